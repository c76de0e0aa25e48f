//! How a run drifts: on its way from noise to latents, a net that has not learnt everything, and a step that
//! is not infinitely short, leave less variance in `x_t` than it had in training, and the net is asked about
//! what it has never seen; decoded the latents are dull and quiet. Measured once for a model, step by step;
//! generating gives each channel its mean and deviation back after each step.

use std::cell::RefCell;
use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};

use super::Generator;
use super::generator::{GenerateError, Progress};
use crate::codec::LATENTS_PER_BEAT;
use crate::flow::solver::{Correction, Solver};
use crate::flow::unet::Weight;
use crate::flow::{Condition, noise};

/// What each of a run's Euler steps does to the statistics of `x_t`, when those before were put right.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Steps of the run, from t = 1 to t = 0.
    pub steps: u32,
    /// `[step, channel]`: means after each step; in training they are 0.
    pub mean: Vec<f32>,
    /// `[step, channel]`: deviations by those of training, `sqrt((1 - t)^2 + t^2)`.
    pub std: Vec<f32>,
}

/// Runs that are measured; between them the drift is interpolated.
const STEPS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Loops that are measured, and their length in beats.
const LOOPS: usize = 64;
const BEATS: usize = 8;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 40;
/// Less than this is not made up for: it would be noise.
const LEAST: f32 = 0.5;

impl Drift {
    /// Names, shapes and values in the model file.
    pub(super) fn tensors(&self) -> [(String, Vec<usize>, Vec<f32>); 2] {
        let steps = self.steps as usize;
        let shape = vec![steps, self.mean.len() / steps.max(1)];
        [
            (format!("drift.{steps}.mean"), shape.clone(), self.mean.clone()),
            (format!("drift.{steps}.std"), shape, self.std.clone()),
        ]
    }

    /// Those of a model file; `lookup` gives tensors by name. Says in a sentence what is wrong.
    pub(super) fn from_tensors<'a>(
        channels: usize,
        lookup: &dyn Fn(&str) -> Option<&'a Weight>,
    ) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for steps in STEPS {
            let find = |what| lookup(&format!("drift.{steps}.{what}")).map(|w| w.values.clone());
            if let (Some(mean), Some(std)) = (find("mean"), find("std")) {
                let drift = Self { steps, mean, std };
                drift.validate(channels)?;
                all.push(drift);
            }
        }
        Ok(all)
    }

    /// Says in a sentence what is wrong, if something is.
    fn validate(&self, channels: usize) -> Result<(), String> {
        let values = self.steps as usize * channels;
        let fits = self.mean.len() == values && self.std.len() == values && STEPS.contains(&self.steps);
        let sound = |v: &f32| v.is_finite() && v.abs() < 100.0;
        match fits && self.mean.iter().chain(&self.std).all(sound) && self.std.iter().all(|s| *s > 0.0) {
            true => Ok(()),
            false => Err("the statistics of its generated latents are out of range".into()),
        }
    }

    /// Mean and logarithm of the deviation that a channel takes on from t = `from` to `to`, as if each
    /// step's share came evenly.
    fn over(&self, from: f32, to: f32, channel: usize, channels: usize) -> [f32; 2] {
        let place = |t: f32| (1.0 - t).clamp(0.0, 1.0) * self.steps as f32;
        let (begin, end) = (place(from), place(to));
        let mut sum = [0.0; 2];
        for step in begin.floor() as usize..(end.ceil() as usize).min(self.steps as usize) {
            let share = (end.min(step as f32 + 1.0) - begin.max(step as f32)).max(0.0);
            let at = step * channels + channel;
            sum[0] += share * self.mean[at];
            sum[1] += share * self.std[at].max(LEAST).ln();
        }
        sum
    }
}

/// Puts right the steps of one run.
pub(super) struct Steady<'a> {
    /// Measured, in the order of their steps.
    pub measured: &'a [Drift],
    /// Steps that the whole way from t = 1 would have; infinitely many for a solver of second order.
    pub steps: f32,
}

impl Steady<'_> {
    /// The measured drifts on either side, and how far from the first to the second.
    fn between(&self) -> Option<(&Drift, &Drift, f32)> {
        let last = self.measured.len().checked_sub(1)?;
        let above = self.measured.iter().position(|d| d.steps as f32 >= self.steps).unwrap_or(last);
        let high = &self.measured[above];
        let low = &self.measured[if high.steps as f32 > self.steps { above.saturating_sub(1) } else { above }];
        let octaves = (high.steps as f32 / low.steps as f32).log2();
        let share = if octaves > 0.0 { (self.steps / low.steps as f32).log2() / octaves } else { 0.0 };
        Some((low, high, share.clamp(0.0, 1.0)))
    }

    /// `(x - mean) * scale` puts a step right: mean and scale of each channel.
    fn factors(&self, from: f32, to: f32, channels: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        let (low, high, share) = self.between()?;
        let factors = (0..channels).map(|channel| {
            let [a, b] = [low, high].map(|drift| drift.over(from, to, channel, channels));
            (a[0] + share * (b[0] - a[0]), (-(a[1] + share * (b[1] - a[1]))).exp())
        });
        Some(factors.unzip())
    }
}

impl Correction for Steady<'_> {
    fn correct(&self, x: Tensor<3>, from: f32, to: f32) -> Tensor<3> {
        let channels = x.dims()[1];
        let Some((mean, scale)) = self.factors(from, to, channels) else { return x };
        let device = x.device();
        let row = |v: Vec<f32>| Tensor::<3>::from_data(TensorData::new(v, [1, channels, 1]), &device);
        (x - row(mean)) * row(scale)
    }
}

/// Measures a step and puts it right.
struct Measuring(RefCell<(Vec<f32>, Vec<f32>)>);

impl Correction for Measuring {
    fn correct(&self, x: Tensor<3>, _: f32, to: f32) -> Tensor<3> {
        let wanted = ((1.0 - to).powi(2) + to.powi(2)).sqrt();
        let [batch, channels, frames] = x.dims();
        let channel_first = x.clone().swap_dims(0, 1).reshape([channels, batch * frames]);
        let mean = channel_first.clone().mean_dim(1);
        let std = (channel_first - mean.clone()).powi_scalar(2).mean_dim(1).sqrt() / wanted;
        let read = |v: Tensor<2>| v.into_data().try_into_vec::<f32>().expect("latents are 32-bit floats");
        let (mean, std) = (read(mean), read(std).into_iter().map(|s| s.max(1e-6)).collect::<Vec<_>>());
        let device = x.device();
        let row = |v: Vec<f32>| Tensor::<3>::from_data(TensorData::new(v, [1, channels, 1]), &device);
        let scale = row(std.iter().map(|s| 1.0 / s.max(LEAST)).collect());
        let right = (x - row(mean.clone())) * scale;
        let mut all = self.0.borrow_mut();
        all.0.extend(mean);
        all.1.extend(std);
        right
    }
}

/// Measures a model on loops of all its labels in turn. `progress` hears (evaluations done, all).
pub fn measure(generator: &Generator, progress: &mut Progress<'_>) -> Result<Vec<Drift>, GenerateError> {
    let net = &generator.model().header.net;
    let (channels, frames) = (net.channels, (BEATS * LATENTS_PER_BEAT).next_multiple_of(net.stride()));
    let start: Vec<f32> = (0..LOOPS as u64).flat_map(|i| noise::of_seed(FIRST_SEED + i, 0, channels, frames)).collect();
    let label = |i: usize| (net.labels > 0).then(|| i % net.labels.max(1));
    let conditions: Vec<Condition> = (0..LOOPS).map(|i| Condition { bpm: 120.0, label: label(i) }).collect();
    let (all, mut done) = (STEPS.iter().sum(), 0);
    let mut measured = Vec::new();
    for steps in STEPS {
        let mut step = |_, _| -> ControlFlow<()> {
            done += 1;
            progress(done, all)
        };
        let measuring = Measuring(RefCell::default());
        let shape = [LOOPS, channels, frames];
        let run = (Solver::Euler, steps);
        generator.corrected(start.clone(), shape, run, &conditions, &measuring, &mut step)?;
        let (mean, std) = measuring.0.into_inner();
        measured.push(Drift { steps, mean, std });
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// The same for each step and channel.
    fn of(steps: u32, mean: f32, std: f32) -> Drift {
        let values = 2 * steps as usize;
        Drift { steps, mean: vec![mean; values], std: vec![std; values] }
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn a_step_is_put_right_between_the_measured_runs_too() {
        let measured = [of(1, 0.5, 0.1), of(4, 0.25, 0.75), of(16, 0.0, 0.9)];
        let factors = |steps, from, to| {
            let (mean, scale) = Steady { measured: &measured, steps }.factors(from, to, 2).unwrap();
            assert!(mean[0] == mean[1] && scale[0] == scale[1]);
            (mean[0], scale[0])
        };
        let (mean, scale) = factors(4.0, 0.75, 0.5);
        assert!(close(mean, 0.25) && close(scale, 1.0 / 0.75));
        // Two of its steps at once, and a half.
        assert!(close(factors(4.0, 1.0, 0.5).1, 0.75f32.powi(-2)));
        assert!(close(factors(4.0, 0.75, 0.625).1, 0.75f32.powf(-0.5)));
        // A run of 8 lies half-way between 4 and 16: a step of it is half of one and two of the other.
        let (mean, scale) = factors(8.0, 1.0, 0.875);
        assert!(close(mean, (0.125 + 0.0) / 2.0));
        assert!(close(scale.ln(), -(0.5 * 0.75f32.ln() + 2.0 * 0.9f32.ln()) / 2.0));
        assert_eq!(factors(64.0, 1.0, 0.0), factors(16.0, 1.0, 0.0));
        assert!(close(factors(1.0, 1.0, 0.0).1, 2.0), "a tenth is not blown up");
        assert!(Steady { measured: &[], steps: 8.0 }.factors(1.0, 0.5, 2).is_none());
    }

    #[test]
    fn what_was_measured_is_what_is_put_right() {
        let device = Device::flex();
        let drawn = noise::of_seed(5, 0, 6, 500);
        let x = Tensor::<3>::from_data(TensorData::new(drawn, [3, 2, 500]), &device) * 0.7 + 0.3;
        let measuring = Measuring(RefCell::default());
        let right = measuring.correct(x.clone(), 1.0, 0.0);
        let (mean, std) = measuring.0.into_inner();
        assert!((mean[1] - 0.3).abs() < 0.05 && (std[1] - 0.7).abs() < 0.05);
        let again = Steady { measured: &[Drift { steps: 1, mean, std }], steps: 1.0 }.correct(x, 1.0, 0.0);
        let apart = (right.clone() - again).abs().max().into_scalar::<f32>();
        assert!(apart < 1e-5, "{apart}");
        assert!((right.powi_scalar(2).mean().into_scalar::<f32>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn statistics_of_a_file_are_checked() {
        assert!(of(8, 0.0, 1.0).validate(2).is_ok());
        for bad in [of(8, 0.0, 0.0), of(8, f32::NAN, 1.0), of(0, 0.0, 1.0), of(3, 0.0, 1.0), of(8, 1e9, 1.0)] {
            assert!(bad.validate(2).is_err(), "{bad:?}");
        }
        assert!(of(8, 0.0, 1.0).validate(3).is_err());
    }
}
