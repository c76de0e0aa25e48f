//! Reverb, echoes and width on the circle.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

use super::filter::pole;
use crate::clip::SAMPLE_RATE;
use crate::factory::circle::{Stereo, frames, mix, turned};
use crate::factory::dice::Dice;
use crate::factory::synth::wave::{Fall, Noise};

/// A short room or plate: decaying noise, a side each, that loses its treble first.
pub struct Reverb {
    /// Level beside the dry sound.
    pub level: f32,
    response: Stereo,
}

impl Reverb {
    /// From a booth to a hall.
    pub fn draw(dice: &mut Dice) -> Self {
        let (decay, early) = (0.04 * 8f64.powf(dice.unit()), frames(dice.between(0.0, 0.02)));
        let (bright, dark) = (dice.between(5000.0, 14_000.0), dice.between(1200.0, 4000.0));
        let level = dice.between(0.2, 0.7) as f32;
        let len = early + frames(decay * 7.0);
        let response = [0, 1].map(|_| {
            let mut noise = Noise::new(dice);
            let mut fall = Fall::new(1.0, decay);
            let (mut low, mut rumble, mut factor) = (0.0f32, 0.0f32, 0.0f32);
            let floor = pole(180.0);
            let mut out = vec![0.0; len];
            for (i, sample) in out[early..].iter_mut().enumerate() {
                if i % 64 == 0 {
                    let share = i as f64 / (decay * f64::from(SAMPLE_RATE));
                    factor = pole(dark + (bright - dark) * (-share).exp());
                }
                low += factor * (noise.tick() - low);
                rumble += floor * (low - rumble);
                *sample = (low - rumble) * fall.tick();
            }
            // As loud as what comes in, at a level of 1.
            let power: f32 = out.iter().map(|s| s * s).sum();
            out.iter_mut().for_each(|s| *s /= power.sqrt().max(1e-6));
            out
        });
        Self { level, response }
    }

    /// The reverb alone.
    pub fn run(&self, samples: &Stereo) -> Stereo {
        std::array::from_fn(|side| convolve(&samples[side], &self.response[side]))
    }
}

/// The circle, convolved: what rings past the end is folded onto the start.
fn convolve(circle: &[f32], response: &[f32]) -> Vec<f32> {
    let size = (circle.len() + response.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |signal: &[f32]| -> Vec<Complex32> {
        let mut padded = signal.to_vec();
        padded.resize(size, 0.0);
        let mut out = forward.make_output_vec();
        forward.process(&mut padded, &mut out).expect("sizes agree");
        out
    };
    let mut product = spectrum(circle);
    product.iter_mut().zip(spectrum(response)).for_each(|(a, b)| *a *= b);
    let mut wet = inverse.make_output_vec();
    inverse.process(&mut product, &mut wet).expect("sizes agree");
    let mut out = vec![0.0; circle.len()];
    for (i, sample) in wet[..circle.len() + response.len()].iter().enumerate() {
        out[i % circle.len()] += sample / size as f32;
    }
    out
}

/// Echoes in time, darker each time, perhaps from side to side.
pub struct Delay {
    /// Samples.
    time: usize,
    /// Gain from echo to echo.
    feedback: f32,
    /// One-pole low-pass, in hertz.
    cutoff: f64,
    crosses: bool,
}

impl Delay {
    /// Of two, three, four or six sixteenths.
    pub fn draw(bpm: f64, dice: &mut Dice) -> Self {
        let sixteenths = *dice.pick(&[2.0, 3.0, 3.0, 4.0, 6.0]);
        Self {
            time: frames(sixteenths * 15.0 / bpm),
            feedback: dice.between(0.2, 0.55) as f32,
            cutoff: dice.between(1500.0, 7000.0),
            crosses: dice.chance(0.5),
        }
    }

    /// The echoes alone.
    pub fn run(&self, samples: &Stereo) -> Stereo {
        /// Where echoes are no longer heard.
        const QUIET: f32 = 1e-3;
        let mut out = [0, 1].map(|_| vec![0.0; samples[0].len()]);
        let (mut echo, mut gain) = (samples.clone(), 1.0);
        if self.crosses {
            // All of it starts on one side, then changes it.
            let [left, right] = &mut echo;
            left.iter_mut().zip(right).for_each(|(l, r)| (*l, *r) = ((*l + *r) * 0.7, 0.0));
        }
        while gain > QUIET {
            for side in &mut echo {
                let mut later = turned(side, self.time);
                darken(&mut later, self.cutoff);
                *side = later;
            }
            if self.crosses {
                echo.swap(0, 1);
            }
            mix(&mut out, &echo, gain);
            gain *= self.feedback;
        }
        out
    }
}

/// One pole, round the circle.
fn darken(channel: &mut [f32], hertz: f64) {
    let (factor, mut state) = (pole(hertz), 0.0);
    // Its memory is a few hundred samples.
    let warm = channel.len().saturating_sub(4096);
    channel[warm..].iter().for_each(|s| state += factor * (s - state));
    for sample in channel {
        state += factor * (*sample - state);
        *sample = state;
    }
}

/// One side later by some milliseconds: wide without a change of level (Haas 1949).
pub fn haas(samples: &mut Stereo, dice: &mut Dice) {
    let side = usize::from(dice.chance(0.5));
    samples[side] = turned(&samples[side], frames(dice.between(0.004, 0.014)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolution_is_circular() {
        let circle = [1.0, 0.0, 0.0, 0.0, 2.0];
        let response = [1.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.125];
        // Sum of response[k] * circle[(i - k) mod 5].
        let by_hand: Vec<f32> =
            (0..5).map(|i| response.iter().enumerate().map(|(k, r)| r * circle[(i + 10 - k) % 5]).sum()).collect();
        for (i, sample) in convolve(&circle, &response).iter().enumerate() {
            assert!((sample - by_hand[i]).abs() < 1e-5, "{i}: {sample}");
        }
    }

    #[test]
    fn echoes_come_in_time_and_fade() {
        let mut samples = [vec![0.0; 10_000], vec![0.0; 10_000]];
        for side in &mut samples {
            side[9_000] = 1.0;
        }
        let delay = Delay { time: 3000, feedback: 0.5, cutoff: 30_000.0, crosses: false };
        let out = delay.run(&samples);
        let around = |place: usize| out[0][place..place + 5].iter().sum::<f32>();
        assert!((around(2000) - 1.0).abs() < 0.05 && (around(5000) - 0.5).abs() < 0.05, "{}", around(5000));
        assert!(out[0][9_100..].iter().all(|s| s.abs() < 1e-3));
    }
}
