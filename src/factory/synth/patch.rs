//! Patches: what a melodic synthesiser's knobs are set to, drawn by part.
//!
//! In: a part and a recipe's dice; out: a [`Patch`]. Each part has a few families (acid, reese,
//! supersaw, electric piano, ...), which are ranges of the same knobs.

use super::wave::Wave;
use crate::factory::dice::Dice;
use crate::factory::melodic::Kind;

/// The knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Wave form of the main oscillators.
    pub wave: Wave,
    /// How many of them.
    pub voices: usize,
    /// How far the outermost are apart, in semitones.
    pub detune: f64,
    /// How far apart in stereo, 0..1.
    pub width: f64,
    /// Level of a sine an octave below.
    pub sub: f64,
    /// Level of the same wave an octave above.
    pub octave: f64,
    /// FM: the modulator's frequency by the carrier's, its index in turns, its decay in seconds.
    pub fm: Option<[f64; 3]>,
    /// Cutoff in hertz at key 60; it follows the key by half.
    pub cutoff: f64,
    /// Resonance, 0.7 is flat.
    pub resonance: f64,
    /// Octaves that the filter's envelope opens.
    pub sweep: f64,
    /// Time constant of that envelope in seconds.
    pub sweep_decay: f64,
    /// Four poles instead of two.
    pub steep: bool,
    /// Seconds to full level.
    pub attack: f64,
    /// Time constant from full level to sustain in seconds.
    pub decay: f64,
    /// 0..1.
    pub sustain: f64,
    /// Time constant after the key in seconds.
    pub release: f64,
    /// Time constant of a slide in seconds.
    pub glide: f64,
    /// Input gain of the saturation, 1 for nearly none.
    pub drive: f64,
    /// Depth of vibrato in semitones, which comes in late.
    pub vibrato: f64,
}

/// Ranges of the knobs that differ between families.
struct Family {
    waves: &'static [Wave],
    voices: &'static [usize],
    detune: (f64, f64),
    sub: (f64, f64),
    fm: Option<[(f64, f64); 3]>,
    cutoff: (f64, f64),
    resonance: (f64, f64),
    sweep: (f64, f64),
    sweep_decay: (f64, f64),
    attack: (f64, f64),
    decay: (f64, f64),
    sustain: (f64, f64),
    release: (f64, f64),
    drive: (f64, f64),
}

const SAW: Wave = Wave::Saw;
const SQUARE: Wave = Wave::Pulse(0.5);
const PULSE: Wave = Wave::Pulse(0.25);
const SINE: Wave = Wave::Sine;
const TRIANGLE: Wave = Wave::Triangle;

#[rustfmt::skip]
const BASS: [Family; 6] = [
    // Analogue; acid; reese; sub; FM; plucked.
    Family { waves: &[SAW, SQUARE, PULSE], voices: &[1, 2], detune: (0.0, 0.15), sub: (0.0, 0.6), fm: None,
        cutoff: (300.0, 2400.0), resonance: (0.7, 2.0), sweep: (0.5, 2.5), sweep_decay: (0.05, 0.3),
        attack: (0.001, 0.005), decay: (0.1, 0.6), sustain: (0.4, 1.0), release: (0.01, 0.06), drive: (1.0, 3.0) },
    Family { waves: &[SAW, SAW, SQUARE], voices: &[1], detune: (0.0, 0.0), sub: (0.0, 0.0), fm: None,
        cutoff: (180.0, 700.0), resonance: (3.0, 9.0), sweep: (1.5, 4.0), sweep_decay: (0.05, 0.25),
        attack: (0.001, 0.003), decay: (0.15, 0.5), sustain: (0.3, 0.9), release: (0.008, 0.03), drive: (1.5, 5.0) },
    Family { waves: &[SAW], voices: &[2, 3, 4], detune: (0.15, 0.5), sub: (0.3, 0.8), fm: None,
        cutoff: (400.0, 2800.0), resonance: (0.7, 1.5), sweep: (0.0, 1.0), sweep_decay: (0.2, 0.8),
        attack: (0.003, 0.02), decay: (0.5, 1.5), sustain: (0.7, 1.0), release: (0.02, 0.08), drive: (1.0, 3.5) },
    Family { waves: &[SINE, TRIANGLE], voices: &[1], detune: (0.0, 0.0), sub: (0.0, 0.3), fm: None,
        cutoff: (800.0, 4000.0), resonance: (0.7, 0.8), sweep: (0.0, 0.5), sweep_decay: (0.1, 0.3),
        attack: (0.001, 0.006), decay: (0.3, 1.2), sustain: (0.2, 1.0), release: (0.02, 0.1), drive: (1.0, 4.0) },
    Family { waves: &[SINE], voices: &[1], detune: (0.0, 0.0), sub: (0.0, 0.4),
        fm: Some([(1.0, 3.0), (0.1, 0.7), (0.05, 0.4)]),
        cutoff: (3000.0, 9000.0), resonance: (0.7, 0.8), sweep: (0.0, 0.5), sweep_decay: (0.1, 0.3),
        attack: (0.001, 0.004), decay: (0.15, 0.8), sustain: (0.2, 0.9), release: (0.01, 0.06), drive: (1.0, 2.5) },
    Family { waves: &[SQUARE, TRIANGLE, SAW], voices: &[1], detune: (0.0, 0.0), sub: (0.2, 0.7), fm: None,
        cutoff: (250.0, 1100.0), resonance: (0.7, 2.5), sweep: (1.5, 3.5), sweep_decay: (0.03, 0.12),
        attack: (0.001, 0.003), decay: (0.06, 0.25), sustain: (0.0, 0.2), release: (0.02, 0.06), drive: (1.0, 2.0) },
];

#[rustfmt::skip]
const CHORDS: [Family; 6] = [
    // Pad; supersaw; stab; electric piano; organ; soft.
    Family { waves: &[SAW, PULSE], voices: &[2, 3], detune: (0.1, 0.3), sub: (0.0, 0.2), fm: None,
        cutoff: (500.0, 2500.0), resonance: (0.7, 1.4), sweep: (0.0, 1.5), sweep_decay: (0.4, 2.0),
        attack: (0.03, 0.25), decay: (0.5, 2.0), sustain: (0.6, 1.0), release: (0.1, 0.5), drive: (1.0, 1.3) },
    Family { waves: &[SAW], voices: &[5, 7], detune: (0.2, 0.5), sub: (0.0, 0.2), fm: None,
        cutoff: (2500.0, 9000.0), resonance: (0.7, 1.0), sweep: (0.0, 1.5), sweep_decay: (0.1, 0.6),
        attack: (0.002, 0.03), decay: (0.3, 1.5), sustain: (0.5, 1.0), release: (0.05, 0.3), drive: (1.0, 1.5) },
    Family { waves: &[SAW, SQUARE, PULSE], voices: &[1, 2, 3], detune: (0.0, 0.2), sub: (0.0, 0.3), fm: None,
        cutoff: (400.0, 1800.0), resonance: (0.8, 3.0), sweep: (1.0, 3.5), sweep_decay: (0.04, 0.2),
        attack: (0.001, 0.006), decay: (0.08, 0.35), sustain: (0.0, 0.4), release: (0.03, 0.15), drive: (1.0, 2.0) },
    Family { waves: &[SINE], voices: &[1, 2], detune: (0.0, 0.06), sub: (0.0, 0.1),
        fm: Some([(1.0, 14.0), (0.03, 0.25), (0.1, 0.6)]),
        cutoff: (4000.0, 12_000.0), resonance: (0.7, 0.8), sweep: (0.0, 0.3), sweep_decay: (0.1, 0.5),
        attack: (0.001, 0.005), decay: (0.4, 1.5), sustain: (0.0, 0.3), release: (0.05, 0.25), drive: (1.0, 1.6) },
    Family { waves: &[SINE, TRIANGLE, SQUARE], voices: &[1], detune: (0.0, 0.0), sub: (0.3, 0.8), fm: None,
        cutoff: (1500.0, 6000.0), resonance: (0.7, 0.9), sweep: (0.0, 0.5), sweep_decay: (0.02, 0.05),
        attack: (0.002, 0.008), decay: (0.5, 1.0), sustain: (0.7, 1.0), release: (0.02, 0.06), drive: (1.0, 2.5) },
    Family { waves: &[TRIANGLE, SINE, SQUARE], voices: &[2, 3], detune: (0.05, 0.2), sub: (0.0, 0.3), fm: None,
        cutoff: (400.0, 1600.0), resonance: (0.7, 1.2), sweep: (0.0, 1.0), sweep_decay: (0.2, 1.0),
        attack: (0.01, 0.1), decay: (0.6, 2.0), sustain: (0.4, 0.9), release: (0.1, 0.5), drive: (1.0, 1.4) },
];

#[rustfmt::skip]
const PLUCKS: [Family; 4] = [
    // Filtered pluck; chip; FM bell; soft.
    Family { waves: &[SAW, SQUARE, PULSE], voices: &[1, 2, 3], detune: (0.0, 0.2), sub: (0.0, 0.2), fm: None,
        cutoff: (300.0, 1500.0), resonance: (0.8, 4.0), sweep: (1.5, 4.0), sweep_decay: (0.03, 0.15),
        attack: (0.001, 0.003), decay: (0.06, 0.35), sustain: (0.0, 0.2), release: (0.02, 0.15), drive: (1.0, 1.8) },
    Family { waves: &[SQUARE, PULSE, TRIANGLE], voices: &[1], detune: (0.0, 0.0), sub: (0.0, 0.0), fm: None,
        cutoff: (4000.0, 14_000.0), resonance: (0.7, 0.8), sweep: (0.0, 0.5), sweep_decay: (0.05, 0.1),
        attack: (0.001, 0.002), decay: (0.05, 0.3), sustain: (0.0, 0.5), release: (0.005, 0.04), drive: (1.0, 1.2) },
    Family { waves: &[SINE], voices: &[1, 2], detune: (0.0, 0.05), sub: (0.0, 0.0),
        fm: Some([(1.0, 7.0), (0.05, 0.4), (0.05, 0.5)]),
        cutoff: (6000.0, 14_000.0), resonance: (0.7, 0.8), sweep: (0.0, 0.3), sweep_decay: (0.1, 0.3),
        attack: (0.001, 0.003), decay: (0.15, 0.8), sustain: (0.0, 0.1), release: (0.05, 0.4), drive: (1.0, 1.2) },
    Family { waves: &[TRIANGLE, SINE], voices: &[1, 2], detune: (0.0, 0.1), sub: (0.0, 0.2), fm: None,
        cutoff: (1500.0, 6000.0), resonance: (0.7, 1.2), sweep: (0.0, 1.0), sweep_decay: (0.05, 0.2),
        attack: (0.001, 0.006), decay: (0.1, 0.5), sustain: (0.0, 0.2), release: (0.04, 0.2), drive: (1.0, 1.5) },
];

#[rustfmt::skip]
const LEADS: [Family; 4] = [
    // Analogue; supersaw; whistle; FM.
    Family { waves: &[SAW, SQUARE, PULSE], voices: &[1, 2], detune: (0.0, 0.2), sub: (0.0, 0.3), fm: None,
        cutoff: (700.0, 4000.0), resonance: (0.8, 3.0), sweep: (0.5, 2.5), sweep_decay: (0.1, 0.5),
        attack: (0.001, 0.02), decay: (0.2, 1.0), sustain: (0.4, 1.0), release: (0.02, 0.2), drive: (1.0, 3.0) },
    Family { waves: &[SAW], voices: &[5, 7], detune: (0.2, 0.5), sub: (0.0, 0.3), fm: None,
        cutoff: (3000.0, 11_000.0), resonance: (0.7, 1.0), sweep: (0.0, 1.0), sweep_decay: (0.1, 0.5),
        attack: (0.001, 0.01), decay: (0.2, 1.0), sustain: (0.5, 1.0), release: (0.04, 0.25), drive: (1.0, 1.6) },
    Family { waves: &[SINE, TRIANGLE], voices: &[1, 2], detune: (0.0, 0.1), sub: (0.0, 0.1), fm: None,
        cutoff: (2500.0, 9000.0), resonance: (0.7, 1.0), sweep: (0.0, 0.5), sweep_decay: (0.1, 0.5),
        attack: (0.003, 0.03), decay: (0.3, 1.0), sustain: (0.5, 1.0), release: (0.03, 0.2), drive: (1.0, 2.0) },
    Family { waves: &[SINE], voices: &[1], detune: (0.0, 0.0), sub: (0.0, 0.1),
        fm: Some([(0.5, 3.0), (0.1, 0.6), (0.2, 1.5)]),
        cutoff: (4000.0, 12_000.0), resonance: (0.7, 0.9), sweep: (0.0, 0.5), sweep_decay: (0.1, 0.5),
        attack: (0.001, 0.02), decay: (0.3, 1.0), sustain: (0.3, 0.9), release: (0.03, 0.2), drive: (1.0, 2.0) },
];

impl Patch {
    /// A patch that fits a part.
    pub fn draw(kind: Kind, dice: &mut Dice) -> Self {
        let family = match kind {
            Kind::Bass => dice.pick(&BASS),
            Kind::Chords => dice.pick(&CHORDS),
            Kind::Arp => dice.pick(&PLUCKS),
            Kind::Lead => dice.pick(&LEADS),
        };
        // Times and frequencies are heard by their ratios.
        let ratio = |dice: &mut Dice, (low, high): (f64, f64)| low * (high / low).powf(dice.unit());
        let flat = |dice: &mut Dice, (low, high): (f64, f64)| dice.between(low, high);
        let voices = *dice.pick(family.voices);
        let fm = family.fm.map(|[modulator, index, decay]| {
            // Whole and half ratios sound in tune.
            let modulator = (flat(dice, modulator) * 2.0).round() / 2.0;
            [modulator, ratio(dice, index), ratio(dice, decay)]
        });
        let wide = kind != Kind::Bass && dice.chance(0.7);
        Self {
            wave: *dice.pick(family.waves),
            voices,
            detune: flat(dice, family.detune),
            width: if wide && voices > 1 { dice.between(0.3, 0.9) } else { 0.0 },
            sub: flat(dice, family.sub),
            octave: if dice.chance(0.2) { dice.between(0.2, 0.6) } else { 0.0 },
            fm,
            cutoff: ratio(dice, family.cutoff),
            resonance: ratio(dice, family.resonance),
            sweep: flat(dice, family.sweep),
            sweep_decay: ratio(dice, family.sweep_decay),
            steep: dice.chance(0.5),
            attack: ratio(dice, family.attack),
            decay: ratio(dice, family.decay),
            sustain: flat(dice, family.sustain),
            release: ratio(dice, family.release),
            glide: dice.between(0.015, 0.06),
            drive: ratio(dice, family.drive),
            vibrato: if kind == Kind::Lead && dice.chance(0.4) { dice.between(0.1, 0.35) } else { 0.0 },
        }
    }
}
