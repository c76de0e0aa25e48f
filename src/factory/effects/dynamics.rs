//! Saturation, compression, pumping, and the sound of old samplers.

use super::filter;
use crate::clip::SAMPLE_RATE;
use crate::factory::circle::{Stereo, frames, peak, twice};
use crate::factory::dice::Dice;

/// Soft saturation of a loop by its own peak; memoryless.
pub fn drive(samples: &mut Stereo, amount: f32) {
    let peak = peak(samples);
    samples.iter_mut().flatten().for_each(|s| *s = (*s / peak * amount).tanh());
}

/// Rounds off what is more decibels above the mean power than given, so that a single click does
/// not make a whole loop quiet; memoryless.
pub fn shave(samples: &mut Stereo, crest: f32) {
    let count = (2 * samples[0].len()) as f32;
    let power = samples.iter().flatten().map(|s| s * s).sum::<f32>() / count;
    let top = power.sqrt() * 10f32.powf(crest / 20.0);
    // Straight up to half of the top, then ever flatter.
    let bend = |s: f32| s.signum() * top * (0.5 + 0.5 * ((s.abs() / top - 0.5) * 2.0).tanh());
    samples.iter_mut().flatten().filter(|s| s.abs() > 0.5 * top).for_each(|s| *s = bend(*s));
}

/// A compressor for the whole bus, of both channels together.
pub struct Compressor {
    /// Decibels below the loop's peak.
    threshold: f32,
    ratio: f32,
    /// Seconds.
    attack: f64,
    release: f64,
}

impl Compressor {
    /// From gentle to hard.
    pub fn draw(dice: &mut Dice) -> Self {
        Self {
            threshold: dice.between(-22.0, -8.0) as f32,
            ratio: dice.between(1.5, 5.0) as f32,
            attack: dice.between(0.003, 0.03),
            release: dice.between(0.05, 0.2),
        }
    }

    /// Turns down what is loud, round the circle.
    pub fn run(&self, samples: &mut Stereo) {
        let per = |seconds: f64| (1.0 - (-1.0 / (seconds * f64::from(SAMPLE_RATE))).exp()) as f32;
        let (attack, release) = (per(self.attack), per(self.release));
        let threshold = peak(samples) * 10f32.powf(self.threshold / 20.0);
        let slope = 1.0 / self.ratio - 1.0;
        // The logarithm of the gain is smoothed, not the level: attack and release are then as named.
        let (mut reduction, mut gain) = (0.0f32, 1.0f32);
        let mut loudest = 0.0f32;
        twice(samples, |i, [l, r]| {
            loudest = loudest.max(l.abs()).max(r.abs());
            if i % 8 == 0 {
                let over = (loudest / threshold).max(1.0).ln() * slope;
                let speed = if over < reduction { attack } else { release };
                reduction += (over - reduction) * (1.0 - (1.0 - speed).powi(8));
                loudest = 0.0;
            }
            // Steps of eight samples would be heard as a buzz.
            gain += (reduction.exp() - gain) * 0.1;
            [l * gain, r * gain]
        });
    }
}

/// Turns a circle down at each of some places, and up again: the pump of a side chain.
pub fn duck(samples: &mut Stereo, places: &[usize], depth: f32, seconds: f64) {
    let Some(first) = places.iter().min() else { return };
    let mut starts = vec![false; samples[0].len()];
    places.iter().for_each(|place| starts[*place] = true);
    let (mut since, late) = (samples[0].len() - first, frames(0.004));
    let length = frames(seconds) as f32;
    twice(samples, |i, [l, r]| {
        since = if starts[i] { 0 } else { since + 1 };
        let amount = if since < late {
            // Down in a few milliseconds, or it would click.
            since as f32 / late as f32
        } else {
            (1.0 - (since - late) as f32 / length).max(0.0).powi(2)
        };
        let gain = 1.0 - depth * amount;
        [l * gain, r * gain]
    });
}

/// Fewer bits, fewer samples or less treble, as a sampler of the eighties or a worn tape.
pub fn wear(samples: &mut Stereo, dice: &mut Dice) {
    let peak = peak(samples);
    if dice.chance(0.6) {
        let steps = 2f32.powf(dice.between(5.5, 9.0) as f32);
        samples.iter_mut().flatten().for_each(|s| *s = (*s / peak * steps).round() / steps * peak);
    }
    if dice.chance(0.6) {
        // A whole number of samples is held; the last ones of a loop may be fewer.
        let hold = dice.whole((2.0, 4.0)) as usize;
        for channel in samples.iter_mut() {
            channel.chunks_mut(hold).for_each(|chunk| chunk.fill(chunk[0]));
        }
    }
    filter::high_cut(samples, dice.between(3500.0, 10_000.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(gain: impl Fn(usize) -> f32) -> Stereo {
        let sine = |i: usize| gain(i) * (std::f32::consts::TAU * 441.0 * i as f32 / 44_100.0).sin();
        let samples: Vec<f32> = (0..88_200).map(sine).collect();
        [samples.clone(), samples]
    }

    #[test]
    fn a_compressor_brings_loud_and_quiet_nearer() {
        let mut samples = tone(|i| if i < 44_100 { 1.0 } else { 0.1 });
        Compressor { threshold: -20.0, ratio: 4.0, attack: 0.005, release: 0.1 }.run(&mut samples);
        let level = |from: usize| samples[0][from..from + 4410].iter().fold(0f32, |m, s| m.max(s.abs()));
        // 20 dB over at 4 to 1 is 5 dB over; what is not over stays once the release is done.
        assert!((level(30_000) - 0.178).abs() < 0.02, "{}", level(30_000));
        assert!((level(80_000) - 0.1).abs() < 0.005, "{}", level(80_000));
    }

    #[test]
    fn a_click_does_not_make_a_loop_quiet() {
        let mut samples = tone(|i| if i == 25 { 1.0 } else { 0.01 });
        shave(&mut samples, 15.0);
        let rms = |s: &Stereo| (s[0].iter().map(|s| s * s).sum::<f32>() / 88_200.0).sqrt();
        assert!(20.0 * (peak(&samples) / rms(&samples)).log10() < 16.5);
        let mut even = tone(|_| 0.5);
        shave(&mut even, 15.0);
        assert_eq!(even, tone(|_| 0.5));
    }

    #[test]
    fn ducking_is_deepest_after_its_places() {
        let mut samples = tone(|_| 1.0);
        duck(&mut samples, &[22_050], 0.8, 0.2);
        let level = |from: usize| samples[0][from..from + 200].iter().fold(0f32, |m, s| m.max(s.abs()));
        assert!(level(22_050 + 180) < 0.3 && level(22_050 + 9_500) > 0.98 && level(21_000) > 0.98);
    }
}
