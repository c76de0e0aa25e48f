//! Melodic parts: notes drawn by key, scale and progression over the sixteen steps of a 4/4 bar.
//!
//! In: a [`Part`], a number of bars and dice. Out: a [`Score`], notes with places and lengths in
//! sixteenths; what plays them is drawn elsewhere. Nothing fails.

use super::dice::Dice;
use super::effects::Taste;
use super::harmony::Harmony;
use super::hold_out::{Side, of_few};
use super::pattern::{Rhythm, STEPS, step_of};
use crate::key::Key;

/// Slowest and fastest tempo in beats per minute.
pub const TEMPO: (f64, f64) = (72.0, 174.0);

/// What plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Kind {
    Bass,
    Chords,
    Arp,
    Lead,
}

/// A part and what it may sound like.
pub struct Part {
    /// Its label.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// General MIDI programs, from 0.
    programs: &'static [i32],
    /// Lowest and highest root, as MIDI keys.
    register: (f64, f64),
    /// Rhythms, as in [`super::styles`], each with how its notes are found.
    ideas: &'static [(Rhythm, Line)],
    /// Effects.
    pub taste: Taste,
}

/// How the notes of a rhythm are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Mostly the chord's root.
    Root,
    /// Root and octave in turn.
    Octaves,
    /// Any near degree, with slides.
    Acid,
    /// All notes of the chord.
    Chord,
    /// The chord's notes in turn.
    Broken,
    /// Step by step, with leaps.
    Walk,
}

use Line::{Acid, Broken, Chord, Octaves, Root, Walk};

/// The parts, in the order of their labels' first use.
#[rustfmt::skip]
pub const PARTS: [Part; 4] = [
    Part { name: "bass", kind: Kind::Bass, programs: &[32, 33, 34, 35, 36, 37, 38, 39], register: (28.0, 39.0),
        taste: Taste { drive: 0.3, glue: 0.4, pump: 0.25, room: 0.08, delay: 0.03, worn: 0.05, sweep: 0.15 },
        ideas: &[("X010010020100200", Root), ("00X000X000X000X0", Root), ("00xx00xx00xx00xx", Octaves),
            ("X0X0X0X0X0X0X0X0", Octaves), ("X0xxX0xxX0xxX0xx", Octaves), ("X002001X00200500", Root),
            ("X00X00X0X00X00X0", Root), ("X1X2X1X2X1X2X1X2", Root), ("X000300030005030", Root),
            ("X00x00X000x0x000X00x00X0x000x0xx", Root), ("xxxxxxxxxxxxxxxx", Acid), ("x0xxgxx0x0xxgxXx", Acid),
            ("xx0xx0xxx0xx0xXx", Acid), ("Xg0xXg0x0xgxX00x", Acid), ("X000000000X00000", Root),
            ("X00000X0000000x0X000000000x00X00", Acid), ("X000000000000000", Root), ("X00x00x00x00x0x0", Walk),
            ("X000x000X000x0x0", Walk), ("0xx00xx00xx00xx0", Root)] },
    Part { name: "chords", kind: Kind::Chords,
        programs: &[0, 1, 2, 4, 5, 6, 7, 11, 16, 17, 18, 24, 26, 27, 48, 49, 50, 51, 61, 62, 63, 88, 89, 90, 92, 94],
        register: (48.0, 59.0),
        taste: Taste { drive: 0.15, glue: 0.3, pump: 0.3, room: 0.55, delay: 0.25, worn: 0.12, sweep: 0.2 },
        ideas: &[("X000000000000000", Chord), ("X0000000X0000000", Chord), ("X00X000X000X00X0", Chord),
            ("X00X00X000000000", Chord), ("X00X00X0X00X0030", Chord), ("0000X0000000X000", Chord),
            ("X003003000500300", Chord), ("00X000X000X000X0", Chord), ("X00x00x000x00x00X00x00x0x00x00x0", Chord),
            ("00x00x0000x00x00", Chord), ("X00000x000000000", Chord), ("x0x0x0x0x0x0x0x0", Chord),
            ("X00X0000000x0000", Chord), ("00x00x0x00x00000", Chord)] },
    Part { name: "arp", kind: Kind::Arp,
        programs: &[0, 4, 6, 8, 9, 10, 11, 12, 13, 24, 45, 46, 80, 81, 87, 98, 99, 104, 108],
        register: (52.0, 67.0),
        taste: Taste { drive: 0.1, glue: 0.2, pump: 0.2, room: 0.5, delay: 0.5, worn: 0.1, sweep: 0.25 },
        ideas: &[("XxxxXxxxXxxxXxxx", Broken), ("X0x0X0x0X0x0X0x0", Broken), ("X00X00X00X00X0X0", Broken),
            ("X5X5X5X5X5X5X5X5", Broken), ("X0xxX0xxX0xxX0xx", Broken), ("XxxXxxXxxXxxXxXx", Broken),
            ("xx0xx0xx0xx0xxx0", Broken), ("X0x00x0x0x00x0x0X0x00x0x0x0xx0x0", Broken)] },
    Part { name: "lead", kind: Kind::Lead,
        programs: &[11, 22, 56, 59, 61, 64, 65, 66, 68, 71, 73, 75, 79, 80, 81, 82, 84, 85, 87],
        register: (55.0, 66.0),
        taste: Taste { drive: 0.25, glue: 0.3, pump: 0.12, room: 0.5, delay: 0.45, worn: 0.08, sweep: 0.1 },
        ideas: &[("X003200350302030", Walk), ("X030X02030302050", Walk), ("X00X00X030020030", Walk),
            ("00X0300X00X03000", Walk), ("X00x00x0X0x00000X00x00x000x0x0x0", Walk),
            ("X000x00x00x00000x0x0x00000000000", Walk),
            ("00x0x0x0X00000000000x0x0X00x0000", Walk), ("X00X00X000000000", Walk), ("xx0xx0xx00x000x0", Acid)] },
];

impl Part {
    /// The font's programs of a side; of those that parts share, all parts hold out the same.
    pub fn programs(&self, side: Side) -> Vec<i32> {
        let held_out: Vec<String> = PARTS
            .iter()
            .flat_map(|part| {
                let names: Vec<String> = part.programs.iter().map(|program| program_name(*program)).collect();
                of_few(names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        let takes = |program: &i32| side.takes(held_out.contains(&program_name(*program)));
        self.programs.iter().copied().filter(takes).collect()
    }
}

/// The name of a program as a source.
pub fn program_name(program: i32) -> String {
    format!("font-program-{program}")
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// MIDI key.
    pub key: i32,
    /// When, in sixteenths from the start.
    pub at: f64,
    /// How long it is held, in sixteenths.
    pub length: f64,
    /// How hard, 0..1.
    pub velocity: f64,
    /// The key that it slides from, on what can slide.
    pub from: Option<i32>,
}

/// A melodic loop before it is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 4/4 bars.
    pub bars: u32,
    /// What its scale is on.
    pub key: Key,
    /// Its notes, bar by bar.
    pub notes: Vec<Note>,
}

/// A bar of an idea: steps, the sixteenths until the next, how hard, and degrees above the chord.
type Idea = Vec<(usize, usize, f64, Vec<i32>)>;

impl Score {
    /// A score of one idea, its answer, and both again, over a progression.
    pub fn draw(part: &Part, bars: u32, dice: &mut Dice) -> Self {
        let key = Harmony::draw(part.register, dice);
        let (rhythm, line) = *dice.pick(part.ideas);
        let swing = if dice.chance(0.3) { dice.between(0.05, 0.3) } else { 0.0 };
        let held = dice.between(0.35, 1.0);
        let slides = if part.kind == Kind::Chords { 0.0 } else { [0.1, 0.35][usize::from(line == Acid)] };
        let voicing = *dice.pick(&VOICINGS);
        let first = idea(rhythm, line, 0, dice);
        let second = if rhythm.len() > STEPS || dice.chance(0.3) { idea(rhythm, line, 1, dice) } else { first.clone() };
        let (mut notes, mut voices, mut last): (Vec<Note>, Option<Vec<i32>>, Option<i32>) = (Vec::new(), None, None);
        for bar in 0..bars as usize {
            let ends = bar > 0 && bar + 1 == bars as usize;
            for (step, gap, level, degrees) in if bar % 2 == 0 { &first } else { &second } {
                let chord = key.chord(bar, *step);
                // The last bar answers: its second half may go elsewhere.
                let turn = ends && *step >= 8 && matches!(part.kind, Kind::Lead | Kind::Bass) && dice.chance(0.4);
                let shift = if turn { *dice.pick(&[-2, -1, 1, 2, 4]) } else { 0 };
                let keys = match part.kind {
                    Kind::Chords => {
                        let keys = key.lead(chord, voicing, voices.as_deref());
                        voices = Some(keys.clone());
                        keys
                    }
                    _ => degrees.iter().map(|degree| fold(key.of(chord + degree + shift), part)).collect(),
                };
                // Eight levels: enough to breathe, few enough that notes are rendered once.
                let velocity = ((level + 0.1 + dice.between(-0.1, 0.1)).clamp(0.2, 1.0) * 8.0).round() / 8.0;
                let slide = last.filter(|_| dice.chance(slides));
                let late = if step % 2 == 1 { swing } else { 0.0 };
                let length = (*gap as f64 * held).min(*gap as f64 - late).max(0.3);
                let at = (bar * STEPS + step) as f64 + late;
                let from = slide.filter(|from| keys.len() == 1 && *from != keys[0]);
                last = keys.first().copied();
                notes.extend(keys.into_iter().map(|key| Note { key, at, length, velocity, from }));
            }
        }
        Self { bars, key: key.named(), notes }
    }
}

/// Degrees above a chord's: triads, sevenths, ninths, open and suspended ones.
const VOICINGS: [&[i32]; 9] = [
    &[0, 2, 4],
    &[0, 2, 4],
    &[0, 2, 4, 6],
    &[0, 2, 4, 6],
    &[0, 4, 9],
    &[0, 2, 4, 8],
    &[0, 4, 6, 9],
    &[0, 3, 4],
    &[-7, 0, 2, 4, 6],
];

/// Back by an octave what a progression or a leap has carried too far from the part's register.
fn fold(key: i32, part: &Part) -> i32 {
    let (bottom, top) = (part.register.0 as i32 - 5, part.register.1 as i32);
    let top = top + if part.kind == Kind::Bass { 14 } else { 24 };
    match key {
        _ if key > top => key - 12,
        _ if key < bottom => key + 12,
        _ => key,
    }
}

fn idea(rhythm: Rhythm, line: Line, bar: usize, dice: &mut Dice) -> Idea {
    let mut steps: Vec<(usize, f64)> = Vec::new();
    for step in 0..STEPS {
        let (chance, level) = step_of(rhythm, bar * STEPS + step);
        if dice.chance(chance) {
            steps.push((step, level));
        }
    }
    let next: Vec<usize> = steps.iter().skip(1).map(|s| s.0).chain([STEPS]).collect();
    let degrees = degrees(line, &steps, dice);
    let both = steps.into_iter().zip(next).zip(degrees);
    both.map(|(((step, level), next), degrees)| (step, next - step, level, degrees)).collect()
}

/// Degrees above the chord's root, for each note of a bar.
fn degrees(line: Line, steps: &[(usize, f64)], dice: &mut Dice) -> Vec<Vec<i32>> {
    let count = steps.len();
    match line {
        Root => (0..count)
            .map(|i| vec![if i > 0 && dice.chance(0.3) { *dice.pick(&[7, 7, 4, 4, 2, -1, -3]) } else { 0 }])
            .collect(),
        Octaves => {
            let up = usize::from(dice.chance(0.2));
            let degree = |i: usize, dice: &mut Dice| if dice.chance(0.08) { 4 } else { 7 * ((i + up) % 2) as i32 };
            (0..count).map(|i| vec![degree(i, dice)]).collect()
        }
        Acid => (0..count)
            .map(|i| vec![if i == 0 { 0 } else { *dice.pick(&[0, 0, 0, 0, 7, 7, -7, 2, 4, 6, 1, 3]) }])
            .collect(),
        Chord => vec![vec![0]; count],
        Broken => {
            let orders: [&[i32]; 11] = [
                &[0, 2, 4],
                &[0, 2, 4, 7],
                &[7, 4, 2, 0],
                &[0, 2, 4, 7, 4, 2],
                &[0, 4, 7, 9],
                &[0, 7, 4, 7],
                &[0, 2, 4, 6],
                &[0, 2, 4, 7, 9, 11, 14],
                &[14, 11, 9, 7, 4, 2, 0],
                &[0, 4, 2, 7, 4, 9],
                &[0, 0, 7, 4],
            ];
            let order = *dice.pick(&orders);
            (0..count).map(|i| vec![order[i % order.len()]]).collect()
        }
        Walk => {
            let mut degree: i32 = *dice.pick(&[0, 0, 2, 4]);
            let mut walk = |strong: bool| {
                // Strong beats rest on the chord.
                let here = if strong && degree.rem_euclid(2) == 1 { degree - 1 } else { degree };
                degree = (here + dice.pick(&[-2, -1, -1, 0, 1, 1, 2, 3])).clamp(-3, 9);
                vec![here]
            };
            steps.iter().map(|(step, _)| walk(step.is_multiple_of(8))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Mode;

    #[test]
    fn scores_stay_in_their_loop_scale_and_register() {
        for (index, part) in (0..400).zip(PARTS.iter().cycle()) {
            let score = Score::draw(part, 2, &mut Dice::new(9, index));
            assert!(!score.notes.is_empty(), "{}", part.name);
            let mut classes: Vec<i32> = score.notes.iter().map(|n| n.key % 12).collect();
            classes.sort_unstable();
            classes.dedup();
            assert!(classes.len() <= 7, "{}: {classes:?}", part.name);
            let other = (score.key.tonic() as i32 + if score.key.mode() == Mode::Major { 3 } else { 4 }) % 12;
            assert!(!classes.contains(&other), "{}: {classes:?} in {}", part.name, score.key);
            for note in &score.notes {
                assert!((20..=100).contains(&note.key), "{}: {note:?}", part.name);
                assert!((0.0..32.0).contains(&note.at) && note.at + note.length <= 32.0, "{note:?}");
                assert!(note.length > 0.0 && (0.1..=1.0).contains(&note.velocity), "{note:?}");
            }
        }
    }

    #[test]
    fn every_rhythm_has_a_bar_or_two_and_sounds() {
        for (rhythm, _) in PARTS.iter().flat_map(|part| part.ideas) {
            assert!([STEPS, 2 * STEPS].contains(&rhythm.len()) && rhythm.contains(['X', 'x']), "{rhythm}");
        }
    }

    #[test]
    fn each_part_has_programs_on_both_sides() {
        let trained: Vec<i32> = PARTS.iter().flat_map(|part| part.programs(Side::Training)).collect();
        for part in &PARTS {
            let held_out = part.programs(Side::HeldOut);
            assert!(!held_out.is_empty() && held_out.len() * 3 <= part.programs.len(), "{}: {held_out:?}", part.name);
            assert!(held_out.iter().all(|program| !trained.contains(program)), "{}: {held_out:?}", part.name);
        }
    }
}
