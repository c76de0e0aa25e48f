//! How widely a model's latents spread: a net that has not learnt everything, or that is integrated in few
//! steps, makes latents that vary less than the training set's, and decoded they are dull and quiet.
//! Measured once for a model; generating gives each channel its mean and deviation back.

use std::ops::ControlFlow;

use super::Generator;
use super::generator::{GenerateError, Progress};
use crate::codec::LATENTS_PER_BEAT;
use crate::flow::solver::Solver;
use crate::flow::{Condition, noise};

/// Statistics of generated latents, per channel; those of the training set are 0 and 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// Solver steps (Euler) behind them.
    pub steps: u32,
    /// Means.
    pub mean: Vec<f32>,
    /// Standard deviations.
    pub std: Vec<f32>,
}

/// Steps that are measured; between them the statistics are interpolated.
const STEPS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Loops that are measured, and their length in beats.
const LOOPS: usize = 32;
const BEATS: usize = 8;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 40;
/// Less than this is not made up for: it would be noise.
const LEAST: f32 = 0.5;

impl Spread {
    /// Says in a sentence what is wrong, if something is.
    pub(super) fn validate(&self, channels: usize) -> Result<(), String> {
        let fits = self.mean.len() == channels && self.std.len() == channels && self.steps > 0;
        let sound = |v: &f32| v.is_finite() && v.abs() < 100.0;
        match fits && self.mean.iter().chain(&self.std).all(sound) && self.std.iter().all(|s| *s > 0.0) {
            true => Ok(()),
            false => Err("the statistics of its generated latents are out of range".into()),
        }
    }
}

/// Gives standardised latents `[channel, frame]` of `steps` steps the training set's mean and deviation.
/// `measured` is in the order of its steps; where it is empty nothing changes.
pub(super) fn restore(measured: &[Spread], steps: u32, values: &mut [f32], frames: usize) {
    let above = measured.iter().position(|s| s.steps >= steps).unwrap_or(measured.len().saturating_sub(1));
    let Some(high) = measured.get(above) else { return };
    let low = &measured[if high.steps > steps { above.saturating_sub(1) } else { above }];
    let octaves = (f64::from(high.steps) / f64::from(low.steps)).log2();
    let share = match octaves > 0.0 {
        true => ((f64::from(steps) / f64::from(low.steps)).log2() / octaves).clamp(0.0, 1.0) as f32,
        false => 0.0,
    };
    for (channel, row) in values.chunks_exact_mut(frames).enumerate() {
        let between = |a: f32, b: f32| a + share * (b - a);
        let mean = between(low.mean[channel], high.mean[channel]);
        let std = between(low.std[channel], high.std[channel]).max(LEAST);
        row.iter_mut().for_each(|v| *v = (*v - mean) / std);
    }
}

/// Measures a model on loops of all its labels in turn. `progress` hears (evaluations done, all).
pub fn measure(generator: &Generator, progress: &mut Progress<'_>) -> Result<Vec<Spread>, GenerateError> {
    let net = &generator.model().header.net;
    let (channels, frames) = (net.channels, (BEATS * LATENTS_PER_BEAT).next_multiple_of(net.stride()));
    let start: Vec<f32> = (0..LOOPS as u64).flat_map(|i| noise::of_seed(FIRST_SEED + i, 0, channels, frames)).collect();
    let label = |i: usize| (net.labels > 0).then(|| i % net.labels.max(1));
    let conditions: Vec<Condition> = (0..LOOPS).map(|i| Condition { bpm: 120.0, label: label(i) }).collect();
    let (all, mut done) = (STEPS.iter().sum(), 0);
    let mut measured = Vec::new();
    for steps in STEPS {
        let shape = [LOOPS, channels, frames];
        let mut step = |_, _| -> ControlFlow<()> {
            done += 1;
            progress(done, all)
        };
        let values = generator.sample(start.clone(), shape, steps, Solver::Euler, &conditions, &mut step)?;
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for channel in 0..channels {
            let rows = (0..LOOPS).map(|i| &values[(i * channels + channel) * frames..][..frames]);
            let (mut sum, mut squares) = (0f64, 0f64);
            rows.flatten().for_each(|v| {
                sum += f64::from(*v);
                squares += f64::from(*v).powi(2);
            });
            let count = (LOOPS * frames) as f64;
            mean.push((sum / count) as f32);
            std.push((squares / count - (sum / count).powi(2)).max(1e-12).sqrt() as f32);
        }
        measured.push(Spread { steps, mean, std });
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: u32, mean: f32, std: f32) -> Spread {
        Spread { steps, mean: vec![mean; 2], std: vec![std; 2] }
    }

    #[test]
    fn latents_get_their_spread_back_between_the_measured_steps_too() {
        let measured = [of(1, 0.5, 0.1), of(4, 0.25, 0.75), of(16, 0.0, 1.0)];
        let restored = |steps, value| {
            let mut values = vec![value; 6];
            restore(&measured, steps, &mut values, 3);
            assert!(values.iter().all(|v| *v == values[0]));
            values[0]
        };
        assert_eq!((restored(4, 1.0), restored(16, 0.3), restored(64, 0.3)), (1.0, 0.3, 0.3));
        assert_eq!(restored(8, 1.0), (1.0 - 0.125) / 0.875, "half an octave of steps further");
        assert_eq!(restored(1, 1.0), 1.0, "a tenth is not blown up");
        let mut values = vec![1.0; 4];
        restore(&[], 8, &mut values, 2);
        assert_eq!(values, [1.0; 4]);
    }

    #[test]
    fn statistics_of_a_file_are_checked() {
        assert!(of(8, 0.0, 1.0).validate(2).is_ok());
        for bad in [of(8, 0.0, 0.0), of(8, f32::NAN, 1.0), of(0, 0.0, 1.0), of(8, 1e9, 1.0)] {
            assert!(bad.validate(2).is_err(), "{bad:?}");
        }
        assert!(of(8, 0.0, 1.0).validate(3).is_err());
    }
}
