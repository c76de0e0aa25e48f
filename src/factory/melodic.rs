//! Melodic parts: notes drawn by key, scale and progression over the sixteen steps of a 4/4 bar.
//!
//! In: a [`Part`], a number of bars and dice. Out: a [`Score`], notes of one General MIDI program
//! with places and lengths in sixteenths. Nothing fails.

use super::dice::Dice;
use super::pattern::{Chances, STEPS, chance};

/// Slowest and fastest tempo in beats per minute.
pub const TEMPO: (f64, f64) = (80.0, 150.0);

/// What plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bass,
    Chords,
    Arp,
    Lead,
}

/// A part and what it may sound like.
pub struct Part {
    /// Its label.
    pub name: &'static str,
    kind: Kind,
    /// General MIDI programs, from 0.
    programs: &'static [i32],
    /// Lowest and highest root, as MIDI keys.
    register: (f64, f64),
    rhythms: &'static [Chances],
}

/// The parts, in the order of their labels' first use.
#[rustfmt::skip]
pub const PARTS: [Part; 4] = [
    Part { name: "bass", kind: Kind::Bass, programs: &[32, 33, 34, 35, 36, 38, 38, 39, 39], register: (28.0, 39.0),
        rhythms: &["X010010020100200", "0080008000800080", "X0X0X0X0X0X0X0X0", "X002001X00200500", "X00X00X0X00X00X0",
            "X1X2X1X2X1X2X1X2", "X000300030005030"] },
    Part { name: "chords", kind: Kind::Chords, programs: &[0, 2, 4, 4, 5, 5, 16, 18, 24, 27, 48, 50, 62, 88, 89, 90],
        register: (52.0, 63.0),
        rhythms: &["X000000000000000", "X0000000X0000000", "00X000X000X000X0", "X00X00X000000000", "X00X00X0X00X0030",
            "0000X0000000X000", "X003003000500300"] },
    Part { name: "arp", kind: Kind::Arp, programs: &[0, 4, 6, 8, 10, 11, 12, 13, 24, 45, 46, 80, 81, 87, 98],
        register: (52.0, 67.0),
        rhythms: &["XXXXXXXXXXXXXXXX", "X0X0X0X0X0X0X0X0", "X00X00X00X00X0X0", "X5X5X5X5X5X5X5X5", "X0XXX0XXX0XXX0XX"] },
    Part { name: "lead", kind: Kind::Lead, programs: &[11, 22, 56, 61, 65, 73, 75, 79, 80, 80, 81, 81, 82, 84, 87],
        register: (60.0, 71.0),
        rhythms: &["X003200350302030", "X030X02030302050", "X00X00X030020030", "00X0300X00X03000"] },
];

/// Semitones of a scale's seven degrees.
type Scale = [i32; 7];
/// Minor, dorian, major, mixolydian; minor is the commonest.
#[rustfmt::skip]
const SCALES: [Scale; 5] = [
    [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 9, 10], [0, 2, 4, 5, 7, 9, 11],
    [0, 2, 4, 5, 7, 9, 10],
];
/// Degrees of the chord of each bar.
#[rustfmt::skip]
const PROGRESSIONS: [[i32; 4]; 8] = [
    [0, 0, 0, 0], [0, 5, 2, 6], [0, 3, 4, 3], [0, 6, 5, 6], [0, 5, 3, 4], [0, 0, 5, 6], [0, 3, 0, 4], [0, 2, 3, 5],
];

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
}

/// A melodic loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 4/4 bars.
    pub bars: u32,
    /// General MIDI program.
    pub program: i32,
    /// Its notes, bar by bar.
    pub notes: Vec<Note>,
}

/// What holds for all bars of a score.
struct Key {
    root: i32,
    scale: Scale,
}

impl Key {
    /// The MIDI key of a degree; degrees go on below 0 and above 6.
    fn of(&self, degree: i32) -> i32 {
        self.root + self.scale[degree.rem_euclid(7) as usize] + 12 * degree.div_euclid(7)
    }
}

impl Score {
    /// A score whose bars share one rhythm and one idea, over a progression.
    pub fn draw(part: &Part, bars: u32, dice: &mut Dice) -> Self {
        let key = Key { root: dice.whole(part.register) as i32, scale: *dice.pick(&SCALES) };
        let progression = *dice.pick(&PROGRESSIONS);
        let program = *dice.pick(part.programs);
        let chances: Chances = *dice.pick(part.rhythms);
        let rhythm = draw_rhythm(chances, dice);
        let held = dice.between(0.4, 1.0);
        let idea = draw_idea(part.kind, rhythm.len(), dice);
        let mut notes = Vec::new();
        for bar in 0..bars {
            let chord = progression[bar as usize % progression.len()];
            let last = bar > 0 && bar + 1 == bars;
            for (i, (step, gap)) in rhythm.iter().enumerate() {
                let at = f64::from(bar) * STEPS as f64 + *step as f64;
                let accent = if step.is_multiple_of(4) { 0.1 } else { 0.0 };
                // Eight levels: enough to breathe, few enough that notes are rendered once.
                let level = (0.6 + accent + dice.between(0.0, 0.25)).min(1.0);
                let velocity = (level * 8.0).round() / 8.0;
                let degrees = &idea[i];
                // The last bar answers: its second half may go elsewhere.
                let turn = last && *step >= 8 && part.kind == Kind::Lead && dice.chance(0.5);
                let shift = if turn { *dice.pick(&[-2, -1, 1, 2]) } else { 0 };
                notes.extend(degrees.iter().map(|degree| Note {
                    key: fold(key.of(chord + degree + shift), part),
                    at,
                    length: *gap as f64 * held,
                    velocity,
                }));
            }
        }
        Self { bars, program, notes }
    }
}

/// Octaves down what a progression has lifted too far above the part's register.
fn fold(key: i32, part: &Part) -> i32 {
    let top = part.register.1 as i32 + if part.kind == Kind::Bass { 12 } else { 24 };
    if key > top { key - 12 } else { key }
}

/// Steps that sound, each with the sixteenths until the next.
fn draw_rhythm(chances: Chances, dice: &mut Dice) -> Vec<(usize, usize)> {
    let steps: Vec<usize> = (0..STEPS).filter(|step| dice.chance(chance(chances, *step))).collect();
    let next = steps.iter().skip(1).copied().chain([STEPS]);
    steps.iter().zip(next).map(|(step, next)| (*step, next - step)).collect()
}

/// Degrees above the chord's root, for each note of a bar.
fn draw_idea(kind: Kind, count: usize, dice: &mut Dice) -> Vec<Vec<i32>> {
    match kind {
        Kind::Bass => (0..count)
            .map(|i| {
                let other = i > 0 && dice.chance(0.35);
                vec![if other { *dice.pick(&[7, 7, 4, 4, 2, -1]) } else { 0 }]
            })
            .collect(),
        Kind::Chords => {
            let voicings: [&[i32]; 6] =
                [&[0, 2, 4], &[0, 2, 4, 6], &[-3, 0, 2], &[0, 4, 9], &[-5, 0, 2, 6], &[0, 2, 4, 8]];
            vec![dice.pick(&voicings).to_vec(); count]
        }
        Kind::Arp => {
            let orders: [&[i32]; 7] = [
                &[0, 2, 4],
                &[0, 2, 4, 7],
                &[7, 4, 2, 0],
                &[0, 2, 4, 7, 4, 2],
                &[0, 4, 7, 9],
                &[0, 7, 4, 7],
                &[0, 2, 4, 6],
            ];
            let order = *dice.pick(&orders);
            (0..count).map(|i| vec![order[i % order.len()]]).collect()
        }
        Kind::Lead => {
            let mut degree = *dice.pick(&[0, 2, 4]);
            let mut walk = || {
                let here = degree;
                degree = (degree + dice.pick(&[-2, -1, -1, 0, 1, 1, 2, 4])).clamp(-3, 9);
                vec![here]
            };
            (0..count).map(|_| walk()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_stay_in_their_loop_scale_and_register() {
        for (index, part) in (0..200).zip(PARTS.iter().cycle()) {
            let score = Score::draw(part, 2, &mut Dice::new(9, index));
            assert!(!score.notes.is_empty(), "{}", part.name);
            let mut classes: Vec<i32> = score.notes.iter().map(|n| n.key % 12).collect();
            classes.sort_unstable();
            classes.dedup();
            assert!(classes.len() <= 7, "{}: {classes:?}", part.name);
            for note in &score.notes {
                assert!((20..=100).contains(&note.key), "{}: {note:?}", part.name);
                assert!((0.0..32.0).contains(&note.at) && note.at + note.length <= 32.0, "{note:?}");
                assert!(note.length > 0.0 && (0.1..=1.0).contains(&note.velocity), "{note:?}");
            }
        }
    }

    #[test]
    fn every_rhythm_has_sixteen_steps() {
        for rhythm in PARTS.iter().flat_map(|part| part.rhythms) {
            assert_eq!(rhythm.len(), STEPS);
            assert!(rhythm.contains(['X', '8']), "{rhythm} may be silent");
        }
    }
}
