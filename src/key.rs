//! The key of a loop: a tonic and a mode, as a number for the net and for parameters, as a name to read, and as
//! it is told from the names of files. Any thread; nothing fails.

use std::fmt;
use std::str::FromStr;

use crate::random::Philox;

/// Major or minor; the older modes go with the third that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it.
pub enum Mode {
    Minor,
    Major,
}

/// Random stream of the seeds' keys, beyond those of their noise.
const STREAM: u64 = 1 << 32;

/// A tonic and a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    tonic: u8,
    mode: Mode,
}

const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

impl Key {
    /// How many keys there are.
    pub const COUNT: usize = 24;

    /// The key on a pitch class (0 is C), or on the MIDI key of one.
    pub fn new(tonic: i32, mode: Mode) -> Self {
        Self { tonic: tonic.rem_euclid(12) as u8, mode }
    }

    /// The key of a number below [`Self::COUNT`]: C minor, C major, C# minor and so on.
    pub fn from_number(number: usize) -> Option<Self> {
        let mode = if number.is_multiple_of(2) { Mode::Minor } else { Mode::Major };
        (number < Self::COUNT).then(|| Self::new(number as i32 / 2, mode))
    }

    /// A seed's own key, where any will do.
    pub fn of_seed(seed: u64) -> Self {
        Self::from_number(Philox::new(seed, STREAM).below(0, Self::COUNT)).expect("a number below the count")
    }

    /// Its number, the inverse of [`Self::from_number`].
    pub fn number(self) -> usize {
        2 * usize::from(self.tonic) + usize::from(self.mode == Mode::Major)
    }

    /// The pitch class that it is on, 0 (C) to 11.
    pub fn tonic(self) -> usize {
        self.tonic.into()
    }

    /// Whether a pitch class (0 is C) belongs to its scale, of minor the natural one.
    pub fn holds(self, class: usize) -> bool {
        const MINOR: [usize; 7] = [0, 2, 3, 5, 7, 8, 10];
        const MAJOR: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];
        let scale = if self.mode == Mode::Minor { MINOR } else { MAJOR };
        scale.contains(&((class + 12 - self.tonic()) % 12))
    }

    /// Semitones, -6 to 5, that take it to the white notes: to A minor or C major.
    pub fn to_white(self) -> i32 {
        let target = if self.mode == Mode::Minor { 9 } else { 0 };
        (target - i32::from(self.tonic) + 6).rem_euclid(12) - 6
    }

    /// A minor or C major, whichever has its mode.
    pub fn white(self) -> Self {
        Self::new(i32::from(self.tonic) + self.to_white(), self.mode)
    }

    /// Its mode.
    pub fn mode(self) -> Mode {
        self.mode
    }

    /// As it stands in the names of files: `F#m`, `Cmaj`.
    pub fn short(self) -> String {
        let mode = if self.mode == Mode::Minor { "m" } else { "maj" };
        format!("{}{mode}", NAMES[self.tonic()])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == Mode::Minor { "minor" } else { "major" };
        write!(f, "{} {mode}", NAMES[self.tonic()])
    }
}

impl FromStr for Key {
    type Err = String;

    /// What [`from_name`] reads, a tonic alone as major, small letters too.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut letters = text.trim().chars();
        let text: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let alone = || Named::of(&text).map(|(named, _)| Key::new(named.tonic, named.mode.unwrap_or(Mode::Major)));
        let told = from_name(&text).and_then(|named| Some(Key::new(named.tonic, named.mode?)));
        told.or_else(alone).ok_or_else(|| format!("{text:?} is no key; write it like Am, F#m, Bb or C major"))
    }
}

/// A key as a name tells it; a tonic alone leaves the mode open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named {
    /// Pitch class or beside it: B# is 12.
    pub tonic: i32,
    /// The mode, where the name says it.
    pub mode: Option<Mode>,
}

impl Named {
    /// One word, `Am`, `F#min`, `C`, and whether it can hardly be another: small letters are words ("am", "bb")
    /// unless more says that they are not.
    fn of(word: &str) -> Option<(Self, bool)> {
        let mut letters = word.chars();
        let first = letters.next()?;
        let natural = NAMES.iter().position(|name| name.starts_with(first.to_ascii_uppercase()) && name.len() == 1)?;
        let rest = letters.as_str();
        let accidental = |sign: &str| rest.strip_prefix(sign);
        let (step, rest) = match (accidental("#").or(accidental("♯")), accidental("b").or(accidental("♭"))) {
            (Some(rest), _) => (1, rest),
            (_, Some(rest)) => (-1, rest),
            _ => (0, rest),
        };
        let mode = match rest {
            "" => None,
            "m" => Some(Mode::Minor),
            spelled => Some(mode_of(spelled)?),
        };
        let sure = first.is_ascii_uppercase() || rest.len() > 1 || word.contains(['#', '♯', '♭']);
        Some((Self { tonic: natural as i32 + step, mode }, sure))
    }
}

fn mode_of(word: &str) -> Option<Mode> {
    match word.to_lowercase().as_str() {
        "min" | "minor" => Some(Mode::Minor),
        "maj" | "major" => Some(Mode::Major),
        _ => None,
    }
}

/// The key in a file's stem, the last that it names: `Am`, `F#min`, `C minor`, `Bb`, `key of E`. A single letter
/// is a key only where the word "key" or a mode says so.
pub fn from_name(stem: &str) -> Option<Named> {
    let words: Vec<&str> =
        stem.split(|c: char| !c.is_alphanumeric() && !"#♯♭".contains(c)).filter(|word| !word.is_empty()).collect();
    let key = |at: usize| {
        let (named, sure) = Named::of(words[at])?;
        let spelled = words.get(at + 1).and_then(|next| mode_of(next));
        let said = |back: usize| at.checked_sub(back).is_some_and(|i| words[i].eq_ignore_ascii_case("key"));
        let told = said(1) || said(2) && words[at - 1].eq_ignore_ascii_case("of");
        let alone = sure && words[at].chars().count() > 1;
        (spelled.is_some() || alone || told).then_some(Named { mode: named.mode.or(spelled), ..named })
    };
    (0..words.len()).rev().find_map(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for number in 0..Key::COUNT {
            let key = Key::from_number(number).unwrap();
            assert_eq!(key.number(), number);
            assert_eq!((key.short().parse(), key.to_string().parse()), (Ok(key), Ok(key)), "{key}");
            let named = from_name(&format!("loop_{}_128bpm", key.short())).unwrap();
            assert_eq!(Key::new(named.tonic, named.mode.unwrap()), key);
        }
        assert_eq!(Key::from_number(Key::COUNT), None);
        assert_eq!(Key::new(57, Mode::Minor).to_string(), "A minor");
        // The white notes are half an octave away at most.
        for key in (0..Key::COUNT).map(|number| Key::from_number(number).unwrap()) {
            assert!((-6..=5).contains(&key.to_white()) && ["Am", "Cmaj"].contains(&key.white().short().as_str()));
            assert!(key.white().mode() == key.mode() && key.white().to_white() == 0);
        }
        // Relatives share their scale.
        let [d, f]: [Key; 2] = ["Dm", "F"].map(|name| name.parse().unwrap());
        assert!((0..12).all(|class| d.holds(class) == f.holds(class)) && d.holds(9) && !d.holds(6));
    }

    #[test]
    fn seeds_have_all_keys() {
        let mut times = [0; Key::COUNT];
        (0..2400).for_each(|seed| times[Key::of_seed(seed).number()] += 1);
        assert!(times.iter().all(|n| (50..150).contains(n)), "{times:?}");
        assert_eq!(Key::of_seed(7), Key::of_seed(7));
    }

    #[test]
    fn names_of_files() {
        let told = |name: &str| {
            from_name(name).map(|named| (named.tonic.rem_euclid(12), named.mode.map(|mode| mode == Mode::Major)))
        };
        for (name, key) in [
            ("Bass_Loop_120_Am", (9, Some(false))),
            ("pad F#min 90bpm", (6, Some(false))),
            ("lead-Bb-140", (10, None)),
            ("keys_c_minor_2", (0, Some(false))),
            ("Gb Major choir", (6, Some(true))),
            ("piano key of E", (4, None)),
            ("stab (Key C#) 01", (1, None)),
            ("Dm into Em", (4, Some(false))),
            ("Cb maj", (11, Some(true))),
            ("dmin_arp", (2, Some(false))),
        ] {
            assert_eq!(told(name), Some(key), "{name}");
        }
        for name in ["Loop A", "808 kick pattern 140 a", "I am", "Break_174BPM", "FM bass", "take 3", "abba", "Ambient"]
        {
            assert_eq!(told(name), None, "{name}");
        }
    }

    #[test]
    fn keys_that_are_typed() {
        let key = |text: &str| text.parse::<Key>().map(|key| key.to_string());
        assert_eq!(
            ["am", "A", "bb", "f# minor", "Ebmaj"].map(|t| key(t).unwrap()),
            ["A minor", "A major", "A# major", "F# minor", "D# major"]
        );
        assert!(key("H minor").unwrap_err().contains("write it like"));
        assert!(key("").is_err());
    }
}
