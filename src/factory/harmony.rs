//! Keys, chords and how one leads to the next.

use super::dice::Dice;
use crate::key::{Key, Mode};

/// Semitones of a scale's seven degrees.
type Scale = [i32; 7];

/// Minor (the commonest), dorian, major, mixolydian, phrygian, harmonic minor.
#[rustfmt::skip]
const SCALES: [Scale; 8] = [
    [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 9, 10], [0, 2, 3, 5, 7, 9, 10],
    [0, 2, 4, 5, 7, 9, 11], [0, 2, 4, 5, 7, 9, 10], [0, 1, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 8, 11],
];

/// Degrees of the chords in turn.
#[rustfmt::skip]
const PROGRESSIONS: [[i32; 4]; 14] = [
    [0, 0, 0, 0], [0, 0, 0, 0], [0, 5, 2, 6], [0, 3, 4, 3], [0, 6, 5, 6], [0, 5, 3, 4], [0, 0, 5, 6], [0, 3, 0, 4],
    [0, 2, 3, 5], [0, 3, 6, 2], [1, 4, 0, 0], [5, 6, 0, 0], [3, 4, 5, 0], [0, 4, 5, 3],
];

/// A key and the chords of a loop.
pub struct Harmony {
    root: i32,
    scale: Scale,
    progression: [i32; 4],
    /// Chords a bar.
    per_bar: usize,
}

impl Harmony {
    /// Tonic and mode; the scale's third decides.
    pub fn named(&self) -> Key {
        Key::new(self.root, if self.scale[2] == 4 { Mode::Major } else { Mode::Minor })
    }

    /// A key whose root lies within a register of MIDI keys.
    pub fn draw(register: (f64, f64), dice: &mut Dice) -> Self {
        Self {
            root: dice.whole(register) as i32,
            scale: *dice.pick(&SCALES),
            progression: *dice.pick(&PROGRESSIONS),
            per_bar: if dice.chance(0.2) { 2 } else { 1 },
        }
    }

    /// The MIDI key of a degree; degrees go on below 0 and above 6.
    pub fn of(&self, degree: i32) -> i32 {
        self.root + self.scale[degree.rem_euclid(7) as usize] + 12 * degree.div_euclid(7)
    }

    /// The chord's degree at a step of a bar.
    pub fn chord(&self, bar: usize, step: usize) -> i32 {
        let index = bar * self.per_bar + step * self.per_bar / 16;
        self.progression[index % 4]
    }

    /// The keys of a chord, each voice as near as can be to where it was; `thirds` are degrees
    /// above the chord's.
    pub fn lead(&self, chord: i32, thirds: &[i32], before: Option<&[i32]>) -> Vec<i32> {
        let plain: Vec<i32> = thirds.iter().map(|third| self.of(chord + third)).collect();
        let Some(before) = before else { return plain };
        let count = plain.len();
        let inversion = |shift: i32| -> Vec<i32> {
            let (octaves, rotation) = (shift.div_euclid(count as i32), shift.rem_euclid(count as i32) as usize);
            let mut keys: Vec<i32> =
                plain.iter().enumerate().map(|(i, key)| key + 12 * (octaves + i32::from(i < rotation))).collect();
            keys.sort_unstable();
            keys
        };
        let way = |keys: &Vec<i32>| -> i32 { keys.iter().zip(before).map(|(a, b)| (a - b).abs()).sum() };
        let inversions = (-2 * count as i32..=2 * count as i32).map(inversion);
        inversions.min_by_key(way).unwrap_or(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_take_short_ways() {
        let key = Harmony { root: 60, scale: SCALES[4], progression: [0, 3, 4, 0], per_bar: 1 };
        let tonic = key.lead(0, &[0, 2, 4], None);
        assert_eq!(tonic, [60, 64, 67]);
        // C to F by the nearest inversion: c stays, e to f, g to a.
        assert_eq!(key.lead(3, &[0, 2, 4], Some(&tonic)), [60, 65, 69]);
        assert_eq!(key.lead(4, &[0, 2, 4], Some(&[60, 65, 69])), [59, 62, 67].map(|k| k), "G below or above");
    }

    #[test]
    fn two_chords_a_bar_change_in_the_middle() {
        let key = Harmony { root: 60, scale: SCALES[0], progression: [0, 3, 4, 5], per_bar: 2 };
        assert_eq!([key.chord(0, 7), key.chord(0, 8), key.chord(1, 0), key.chord(2, 0)], [0, 3, 4, 0]);
    }
}
