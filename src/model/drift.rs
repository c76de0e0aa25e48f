//! How a run drifts: on its way from noise to latents, a net that has not learnt everything, and a step that
//! is not infinitely short, change the variance that `x_t` had in training; the net is then asked about what
//! it has never seen, and what is decoded is dull or too wild. Measured once for a model, step by step;
//! generating puts each step right: apart what differs from loop to loop and what happens within one, for
//! a net loses the one and keeps the other.

use std::cell::RefCell;
use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};

use super::Generator;
use super::generator::{GenerateError, Progress};
use super::job::RENEWING;
use super::spread::{self, Spread, Turn, WRONG};
use crate::codec::{LATENTS_PER_BEAT, neighbours};
use crate::flow::solver::{Correction, Path, Renewal, Solver, unshifted};
use crate::flow::unet::Weight;
use crate::flow::{Condition, noise};
use crate::key::Mode;

/// What each of a run's steps does to the statistics of `x_t`, when those before were put right.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Steps of the run, from t = 1 to t = 0.
    pub steps: u32,
    /// Noise was renewed at each step ([`super::Header::renewed`]).
    pub renewed: bool,
    /// `[step, component]`: means after each step, beyond those of training.
    pub mean: Vec<f32>,
    /// `[step, component]`: deviations within loops by those of training.
    pub within: Vec<f32>,
    /// `[step, component]`: deviations of the loops' means by those of training.
    pub between: Vec<f32>,
}

/// Ratios of deviations that are kept, and taken from a file.
const SOUND: std::ops::RangeInclusive<f32> = 1e-3..=1e3;
/// Runs that are measured; between them the drift is interpolated.
const STEPS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Loops that are measured, and their length in beats.
const LOOPS: usize = 96;
const BEATS: usize = 8;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 40;
/// Less, or more, is not made up for: it would be noise.
const RANGE: std::ops::RangeInclusive<f32> = 0.5..=2.0;

impl Drift {
    fn rows(&self) -> [&Vec<f32>; 3] {
        [&self.mean, &self.within, &self.between]
    }

    /// Name, shape and values in the model file.
    pub(super) fn tensor(&self) -> (String, Vec<usize>, Vec<f32>) {
        let steps = self.steps as usize;
        let values = self.rows().into_iter().flatten().copied().collect();
        (name_of(self.steps, self.renewed), vec![3, steps, self.mean.len() / steps.max(1)], values)
    }

    /// Those of a model file; `lookup` gives tensors by name. Says in a sentence what is wrong.
    pub(super) fn from_tensors(channels: usize, lookup: &dyn Fn(&str) -> Option<Weight>) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for (steps, renewed) in [false, true].into_iter().flat_map(|renewed| STEPS.map(|steps| (steps, renewed))) {
            let name = name_of(steps, renewed);
            let Some(Weight { shape, values }) = lookup(&name) else { continue };
            let part = steps as usize * channels;
            if shape != [3, steps as usize, channels] {
                return Err(format!("tensor {name} has the wrong shape"));
            }
            let [mean, within, between] = [0, 1, 2].map(|i| values[i * part..(i + 1) * part].to_vec());
            if !within.iter().chain(&between).all(|d| SOUND.contains(d)) {
                return Err(WRONG.into());
            }
            all.push(Self { steps, renewed, mean, within, between });
        }
        Ok(all)
    }

    /// Mean, and logarithms of both deviations, that a channel takes on between two shares of the way, as if each
    /// step's share came evenly.
    fn over(&self, from: f32, to: f32, channel: usize, channels: usize) -> [f32; 3] {
        let place = |share: f32| (1.0 - share).clamp(0.0, 1.0) * self.steps as f32;
        let (begin, end) = (place(from), place(to));
        let mut sum = [0.0; 3];
        for step in begin.floor() as usize..(end.ceil() as usize).min(self.steps as usize) {
            let share = (end.min(step as f32 + 1.0) - begin.max(step as f32)).max(0.0);
            let at = step * channels + channel;
            sum[0] += share * self.mean[at];
            sum[1] += share * credible(self.within[at]).ln();
            sum[2] += share * credible(self.between[at]).ln();
        }
        sum
    }
}

/// Its tensor in the model file.
fn name_of(steps: u32, renewed: bool) -> String {
    format!("{}.{steps}", if renewed { "renewed" } else { "drift" })
}

fn credible(ratio: f32) -> f32 {
    ratio.clamp(*RANGE.start(), *RANGE.end())
}

/// `[1, component, 1]`
fn row(values: Vec<f32>, like: &Tensor<3>) -> Tensor<3> {
    let channels = values.len();
    Tensor::from_data(TensorData::new(values, [1, channels, 1]), &like.device())
}

/// Moves `x` by `-beyond`, and scales what it has from `centre` within loops and from loop to loop.
fn put_right(x: Tensor<3>, centre: Vec<f32>, beyond: Vec<f32>, within: Vec<f32>, between: Vec<f32>) -> Tensor<3> {
    let [centre, beyond, within, between] = [centre, beyond, within, between].map(|v| row(v, &x));
    let means = x.clone().mean_dim(2);
    (x - means.clone()) * within + (means - beyond - centre.clone()) * between + centre
}

/// Puts right the steps of one run.
pub(super) struct Steady<'a> {
    /// What is wanted, along which components; nothing is put right where nobody knows.
    pub wanted: Option<(&'a Spread, Turn)>,
    /// Measured, in the order of their steps.
    pub measured: Vec<&'a Drift>,
    /// Steps that the whole way from t = 1 would have; infinitely many for a solver of second order.
    pub steps: f32,
    /// How the measured way lies.
    pub shift: f32,
}

impl Steady<'_> {
    /// What `put_right` needs beside the centre: means beyond it, factors within and between.
    fn factors(&self, from: f32, to: f32, channels: usize) -> Option<[Vec<f32>; 3]> {
        if self.measured.is_empty() {
            return None;
        }
        let (low, high, share) = neighbours(self.measured.iter().map(|drift| drift.steps), self.steps);
        let (low, high) = (self.measured[low], self.measured[high]);
        let [from, to] = [from, to].map(|t| unshifted(t, self.shift));
        let mut factors = [const { Vec::new() }; 3];
        for channel in 0..channels {
            let [a, b] = [low, high].map(|drift| drift.over(from, to, channel, channels));
            let [mean, within, between] = [0, 1, 2].map(|i| a[i] + share * (b[i] - a[i]));
            let values = [mean, (-within).exp(), (-between).exp()];
            factors.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        Some(factors)
    }
}

impl Correction for Steady<'_> {
    fn correct(&self, x: Tensor<3>, from: f32, to: f32) -> Tensor<3> {
        let [_, channels, frames] = x.dims();
        match (&self.wanted, self.factors(from, to, channels)) {
            (Some((wanted, turn)), Some([beyond, within, between])) => {
                let [centre, _, _] = wanted.at(to, frames);
                turn.channels(put_right(turn.components(x), centre, beyond, within, between))
            }
            _ => x,
        }
    }
}

/// Measures each step and puts it right.
struct Measuring<'a> {
    wanted: &'a Spread,
    turn: Turn,
    seen: RefCell<[Vec<f32>; 3]>,
}

impl Correction for Measuring<'_> {
    fn correct(&self, x: Tensor<3>, _: f32, to: f32) -> Tensor<3> {
        let [_, channels, frames] = x.dims();
        let x = self.turn.components(x);
        let values = x.clone().into_data().try_into_vec::<f32>().expect("latents are 32-bit floats");
        let [mean, is_within, is_between] =
            spread::moments(values.chunks_exact(channels * frames).map(|one| (one, frames)), channels);
        let [centre, within, between] = self.wanted.at(to, frames);
        let beyond: Vec<f32> = mean.iter().zip(&centre).map(|(is, wanted)| is - wanted).collect();
        let ratio = |(is, wanted): (&f32, &f32)| (is / wanted).clamp(*SOUND.start(), *SOUND.end());
        let by = |is: &[f32], wanted: &[f32]| -> Vec<f32> { is.iter().zip(wanted).map(ratio).collect() };
        let (within, between) = (by(&is_within, &within), by(&is_between, &between));
        let back = |ratios: &[f32]| ratios.iter().map(|r| 1.0 / credible(*r)).collect();
        let right = put_right(x, centre, beyond.clone(), back(&within), back(&between));
        let mut seen = self.seen.borrow_mut();
        seen.iter_mut().zip([beyond, within, between]).for_each(|(all, new)| all.extend(new));
        self.turn.channels(right)
    }
}

/// Measures a model on loops of all its labels, and both modes, in turn; where any are made so, also with renewed
/// noise, or, if a net was made for that, only as each loop is made. `progress` hears (evaluations done, all).
pub fn measure(generator: &Generator, progress: &mut Progress<'_>) -> Result<Vec<Drift>, GenerateError> {
    let Some(wanted) = &generator.model().spread else { return Ok(Vec::new()) };
    let header = &generator.model().header;
    let net = &header.net;
    let (channels, frames) = (net.channels, (BEATS * LATENTS_PER_BEAT).next_multiple_of(net.stride()));
    let drawn = |stream| -> Vec<f32> {
        (0..LOOPS as u64).flat_map(|i| noise::of_seed(FIRST_SEED + i, stream, channels, frames)).collect()
    };
    let start = drawn(0);
    let label = |i: usize| (net.labels > 0).then(|| i % net.labels.max(1));
    let mode = |i: usize| {
        let mode = if (i / net.labels.max(1)).is_multiple_of(2) { Mode::Minor } else { Mode::Major };
        header.is_keyed(label(i)).then_some(mode)
    };
    let conditions: Vec<Condition> =
        (0..LOOPS).map(|i| Condition { bpm: 120.0, label: label(i), mode: mode(i) }).collect();
    let new = |step| drawn(noise::renewed(0, step));
    let keyed: Vec<bool> = conditions.iter().map(|condition| condition.mode.is_some()).collect();
    let loops = header.distilled.then_some(&*keyed);
    let renewal = header.renewed(net.keys).map(|share| Renewal { share, noise: &new, loops });
    let mut runs: Vec<_> = STEPS.map(|steps| (steps, None)).into();
    let renewing = STEPS.into_iter().filter(|steps| renewal.is_some() && *steps as f32 <= RENEWING);
    if header.distilled {
        runs.retain(|(steps, _)| !renewing.clone().any(|renewing| renewing == *steps));
    }
    runs.extend(renewing.map(|steps| (steps, renewal.as_ref())));
    let (all, mut done) = (runs.iter().map(|(steps, _)| steps).sum(), 0);
    let mut measured = Vec::new();
    for (steps, renewal) in runs {
        let mut step = |_, _| -> ControlFlow<()> {
            done += 1;
            progress(done, all)
        };
        let measuring = Measuring { wanted, turn: wanted.turn(generator.device()), seen: RefCell::default() };
        let shape = [LOOPS, channels, frames];
        let correction = Some(&measuring as _);
        let path = Path { shift: header.shift, correction, renewal, ..Path::new(steps, &conditions) };
        generator.sample(start.clone(), shape, Solver::default(), path, &mut step)?;
        let [mean, within, between] = measuring.seen.into_inner();
        measured.push(Drift { steps, renewed: renewal.is_some(), mean, within, between });
        if loops.is_some() && renewal.is_some() {
            let as_made = Drift { renewed: false, ..measured[measured.len() - 1].clone() };
            measured.push(as_made);
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// The same for each step and channel.
    fn of(steps: u32, mean: f32, within: f32, between: f32) -> Drift {
        let all = |value| vec![value; 2 * steps as usize];
        Drift { steps, renewed: false, mean: all(mean), within: all(within), between: all(between) }
    }

    fn steady(measured: Vec<&Drift>, steps: f32, shift: f32) -> Steady<'_> {
        Steady { wanted: None, measured, steps, shift }
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn a_step_is_put_right_between_the_measured_runs_too() {
        let measured = [of(1, 0.5, 0.1, 1.0), of(4, 0.25, 0.75, 0.8), of(16, 0.0, 0.9, 1.0)];
        let factors = |steps, from, to| {
            let factors = steady(measured.iter().collect(), steps, 1.0).factors(from, to, 2).unwrap();
            factors.map(|both| {
                assert_eq!(both[0], both[1]);
                both[0]
            })
        };
        let [mean, within, between] = factors(4.0, 0.75, 0.5);
        assert!(close(mean, 0.25) && close(within, 1.0 / 0.75) && close(between, 1.0 / 0.8));
        // Two of its steps at once, and a half.
        assert!(close(factors(4.0, 1.0, 0.5)[1], 0.75f32.powi(-2)));
        assert!(close(factors(4.0, 0.75, 0.625)[1], 0.75f32.powf(-0.5)));
        // A run of 8 lies half-way between 4 and 16: a step of it is half of one and two of the other.
        let [mean, within, _] = factors(8.0, 1.0, 0.875);
        assert!(close(mean, (0.125 + 0.0) / 2.0));
        assert!(close(within.ln(), -(0.5 * 0.75f32.ln() + 2.0 * 0.9f32.ln()) / 2.0));
        assert_eq!(factors(64.0, 1.0, 0.0), factors(16.0, 1.0, 0.0));
        // With a shift the first half of the way ends at t = 0.8.
        let shifted = steady(measured.iter().collect(), 4.0, 4.0).factors(1.0, 0.8, 2).unwrap();
        assert!(close(shifted[1][0], factors(4.0, 1.0, 0.5)[1]), "{shifted:?}");
        assert!(close(factors(1.0, 1.0, 0.0)[1], 2.0), "a tenth is not blown up");
        assert!(steady(Vec::new(), 8.0, 1.0).factors(1.0, 0.5, 2).is_none());
    }

    /// Loops whose means vary by `between` and which vary by `within` about them.
    fn loops(within: f32, between: f32, mean: f32) -> Tensor<3> {
        let values = (0..200).flat_map(|i| {
            let drawn = noise::of_seed(i, 0, 2, 51);
            let means: Vec<f32> = drawn.chunks(51).map(|row| mean + between * row[50]).collect();
            let rows = drawn.chunks(51).zip(means).map(move |(row, m)| row[..50].iter().map(move |v| m + within * v));
            rows.flatten().collect::<Vec<_>>()
        });
        Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), [200, 2, 50]), &Device::flex())
    }

    /// Mean, within and between of the components.
    fn moments(x: Tensor<3>) -> [Vec<f32>; 3] {
        let values = x.into_data().try_into_vec::<f32>().unwrap();
        spread::moments(values.chunks_exact(100).map(|one| (one, 50)), 2)
    }

    #[test]
    fn what_was_measured_is_what_is_put_right() {
        let turned = vec![0.6, 0.8, -0.8, 0.6];
        let wanted = Spread { basis: Some(turned), mean: vec![0.2; 2], within: vec![0.8, 0.7], between: vec![0.6; 2] };
        let x = loops(0.9, 0.4, 0.5);
        let turn = || wanted.turn(&x.device());
        let measuring = Measuring { wanted: &wanted, turn: turn(), seen: RefCell::default() };
        let right = measuring.correct(x.clone(), 1.0, 0.0);
        for (found, wanted) in moments(turn().components(right.clone())).iter().zip(wanted.rows()) {
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-3), "{found:?} {wanted:?}");
        }
        let [mean, within, between] = measuring.seen.into_inner();
        assert!(within[0] > 1.0 && between[0] < 0.8, "{within:?} {between:?}");
        let drift = Drift { steps: 1, renewed: false, mean, within, between };
        let wanted = Some((&wanted, turn()));
        let again = Steady { wanted, ..steady(vec![&drift], 1.0, 1.0) }.correct(x, 1.0, 0.0);
        let apart = (right - again).abs().max().into_scalar::<f32>();
        assert!(apart < 1e-5, "{apart}");
    }

    #[test]
    fn statistics_of_a_file_are_checked() {
        let back = |drift: Drift, channels| {
            let (name, shape, values) = drift.tensor();
            let weight = Weight { shape, values };
            Drift::from_tensors(channels, &|asked| (asked == name).then(|| weight.clone()))
        };
        let good = of(8, 0.1, 1.0, 0.5);
        let renewed = Drift { renewed: true, ..good.clone() };
        assert!(back(good.clone(), 2).unwrap().iter().eq([&good]));
        assert!(back(renewed.clone(), 2).unwrap().iter().eq([&renewed]));
        for bad in [of(8, 0.0, 0.0, 1.0), of(8, 0.0, f32::NAN, 1.0), of(8, 0.0, 1e9, 1.0), of(8, 0.0, 1.0, -1.0)] {
            assert!(back(bad.clone(), 2).is_err(), "{bad:?}");
        }
        assert!(back(good, 3).is_err());
    }
}
