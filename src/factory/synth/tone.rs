//! One note of a [`Patch`].
//!
//! In: a key, a velocity, how long the key is held, and the key that it slides from; out: stereo
//! at 44.1 kHz with the release. The same note is the same samples.

use super::patch::Patch;
use super::wave::{Filter, Oscillator, Wave};
use crate::clip::SAMPLE_RATE;
use crate::factory::circle::{Stereo, frames, silence};

/// Samples between two settings of the filter.
const BLOCK: usize = 16;

struct Voice {
    main: Oscillator,
    above: Oscillator,
    modulator: Oscillator,
    /// Frequency by the note's.
    ratio: f32,
    /// Of left and right.
    gains: [f32; 2],
}

/// Renders a note; `velocity` in 0..1, `held` in seconds.
pub fn note(patch: &Patch, key: i32, velocity: f64, held: f64, from: Option<i32>) -> Stereo {
    let mut voices: Vec<Voice> = (0..patch.voices).map(|i| voice(patch, i)).collect();
    let mut sub = Oscillator::new(Wave::Sine, 0.0);
    // An octave below what is low already would not be heard, only take room.
    let below = if key < 45 { 1.0 } else { 0.5 };
    let wide = patch.width > 0.0;
    let mut filters = [0, 1].map(|_| [Filter::default(), Filter::default()]);
    let (end, len) = (frames(held), frames(held + patch.release * 7.0));
    let [mut left, mut right] = silence(len);
    let mut amplitude = Amplitude::new(patch, end, from.is_some());
    let follow = 2f64.powf((f64::from(key) - 60.0) / 24.0);
    // Hard notes are brighter.
    let bright = patch.cutoff * follow * 2f64.powf(1.5 * (velocity - 0.8));
    let (mut hertz, mut index) = (0.0f32, 0.0f32);
    let scale = patch.drive as f32 / (patch.voices as f32).sqrt();
    let level = (velocity.powf(1.2) / patch.drive.tanh().max(0.7)) as f32;
    for (i, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
        if i % BLOCK == 0 {
            let t = i as f64 / f64::from(SAMPLE_RATE);
            hertz = pitch(patch, key, from, t);
            index =
                patch.fm.map_or(0.0, |[_, index, decay]| index * velocity * (0.15 + 0.85 * (-t / decay).exp())) as f32;
            let cutoff = bright * 2f64.powf(patch.sweep * (-t / patch.sweep_decay).exp());
            for filter in filters.iter_mut().flatten() {
                filter.tune(cutoff.min(18_000.0) as f32, patch.resonance as f32);
            }
        }
        let mut sides = [0.0f32; 2];
        for voice in &mut voices {
            let pitch = hertz * voice.ratio;
            let bend = patch.fm.map_or(0.0, |[ratio, _, _]| index * voice.modulator.tick(pitch * ratio as f32, 0.0));
            let mut sample = voice.main.tick(pitch, bend);
            if patch.octave > 0.0 {
                sample += patch.octave as f32 * voice.above.tick(pitch * 2.0, bend);
            }
            sides[0] += sample * voice.gains[0];
            sides[1] += sample * voice.gains[1];
        }
        let low = if patch.sub > 0.0 { patch.sub as f32 * sub.tick(hertz * below, 0.0) } else { 0.0 };
        let gain = amplitude.tick();
        let mut heard = [0.0f32; 2];
        for (side, filters) in filters.iter_mut().enumerate().take(if wide { 2 } else { 1 }) {
            let [first, second] = filters;
            let mut sample = first.tick((sides[side] * 0.5 + low) * scale).low;
            if patch.steep {
                sample = second.tick(sample).low;
            }
            heard[side] = sample.tanh() * gain * level;
        }
        (*left, *right) = (heard[0], if wide { heard[1] } else { heard[0] });
    }
    [left, right]
}

fn voice(patch: &Patch, i: usize) -> Voice {
    let place = if patch.voices > 1 { 2.0 * i as f64 / (patch.voices - 1) as f64 - 1.0 } else { 0.0 };
    // Alternating sides, so that high and low voices are on both.
    let pan = if i.is_multiple_of(2) { place } else { -place } * patch.width;
    // A single oscillator starts at zero; many are spread, or they would beat from the start.
    let phase = if patch.voices > 1 { (i as f32 * 0.618 + 0.1).fract() } else { 0.0 };
    Voice {
        main: Oscillator::new(patch.wave, phase),
        above: Oscillator::new(patch.wave, phase),
        modulator: Oscillator::new(Wave::Sine, 0.0),
        ratio: 2f64.powf(place * patch.detune / 24.0) as f32,
        gains: [1.0 - pan, 1.0 + pan].map(|side| side.min(1.0) as f32),
    }
}

fn pitch(patch: &Patch, key: i32, from: Option<i32>, t: f64) -> f32 {
    let slide = from.map_or(0.0, |from| f64::from(from - key) * (-t / patch.glide).exp());
    let vibrato = match patch.vibrato {
        0.0 => 0.0,
        depth => depth * ((t - 0.25) * 3.0).clamp(0.0, 1.0) * (std::f64::consts::TAU * 5.5 * t).sin(),
    };
    (440.0 * 2f64.powf((f64::from(key) - 69.0 + slide + vibrato) / 12.0)) as f32
}

/// Attack, decay, sustain, release.
struct Amplitude {
    at: usize,
    end: usize,
    rise: f32,
    fall: f32,
    sustain: f32,
    release: f32,
    value: f32,
    risen: bool,
}

impl Amplitude {
    fn new(patch: &Patch, end: usize, slides: bool) -> Self {
        /// A note that slides in goes on where the last one ended, but for a click's length.
        const LEGATO: f64 = 0.004;
        let attack = if slides { LEGATO } else { patch.attack };
        let per = |seconds: f64| (-1.0 / (seconds * f64::from(SAMPLE_RATE))).exp() as f32;
        Self {
            at: 0,
            end,
            rise: (1.0 / (attack * f64::from(SAMPLE_RATE))) as f32,
            fall: per(patch.decay),
            sustain: patch.sustain as f32,
            release: per(patch.release),
            value: 0.0,
            risen: false,
        }
    }

    fn tick(&mut self) -> f32 {
        if self.at >= self.end {
            self.value *= self.release;
        } else if self.risen {
            self.value = self.sustain + (self.value - self.sustain) * self.fall;
        } else {
            self.value = (self.value + self.rise).min(1.0);
            self.risen = self.value >= 1.0;
        }
        self.at += 1;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::dice::Dice;
    use crate::factory::melodic::Kind;

    #[test]
    fn every_patch_sounds_its_key_and_ends() {
        for kind in [Kind::Bass, Kind::Chords, Kind::Arp, Kind::Lead] {
            for recipe in 0..40 {
                let patch = Patch::draw(kind, &mut Dice::new(5, recipe));
                let sound = note(&patch, 57, 0.9, 0.3, None);
                let peak = sound.iter().flatten().fold(0f32, |m, s| m.max(s.abs()));
                assert!((0.05..2.0).contains(&peak), "{kind:?} {recipe}: {peak} {patch:?}");
                let end = sound[0].last().unwrap().abs();
                assert!(sound[0][0].abs() < 0.2 * peak && end < 0.01 * peak, "{kind:?} {recipe}: {end}");
                assert_eq!(sound, note(&patch, 57, 0.9, 0.3, None));
            }
        }
    }

    #[test]
    fn a_slide_ends_on_its_key() {
        let patch = Patch::draw(Kind::Bass, &mut Dice::new(5, 0));
        let [start, end] = [0.0, 1.0].map(|t| pitch(&patch, 57, Some(45), t));
        assert!((start - 110.0).abs() < 0.1 && (end - 220.0).abs() < 0.1, "{start} {end}");
    }
}
