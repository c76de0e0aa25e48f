//! How a run drifts: on its way from noise to latents, a net that has not learnt everything, and a step that
//! is not infinitely short, change the variance that `x_t` had in training; the net is then asked about what
//! it has never seen, and what is decoded is dull or too wild. Measured once for a model, step by step;
//! generating puts each step right: apart what differs from loop to loop and what happens within one, for
//! a net loses the one and keeps the other, and, where they are made differently, loops with keys and loops without,
//! for in few steps the ones come out too wild where the others come out dull.

use std::cell::RefCell;
use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::generator::{GenerateError, Progress};
use super::job::RENEWING;
use super::spread::{self, Moments, Turn, WRONG};
use super::steady::{Remedy, put_right};
use super::{Generator, Header};
use crate::codec::LATENTS_PER_BEAT;
use crate::flow::solver::{Correction, Path, Renewal, Solver};
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
    /// Of loops with keys, or of loops without; None of all together.
    pub keyed: Option<bool>,
    /// `[step, component]`: means after each step, beyond those of training.
    pub mean: Vec<f32>,
    /// `[step, component]`: deviations within loops by those of training.
    pub within: Vec<f32>,
    /// `[step, component]`: deviations of the loops' means by those of training.
    pub between: Vec<f32>,
}

/// Kinds of loops that are measured.
const KINDS: [Option<bool>; 3] = [None, Some(false), Some(true)];
/// Ratios of deviations that are kept, and taken from a file.
const SOUND: std::ops::RangeInclusive<f32> = 1e-3..=1e3;
/// Runs that are measured; between them the drift is interpolated.
const STEPS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Loops of each kind that are measured, and their length in beats.
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
        (name_of(self.steps, self.renewed, self.keyed), vec![3, steps, self.mean.len() / steps.max(1)], values)
    }

    /// Those of a model file; `lookup` gives tensors by name. Says in a sentence what is wrong.
    pub(super) fn from_tensors(channels: usize, lookup: &dyn Fn(&str) -> Option<Weight>) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        let kinds = [false, true].into_iter().flat_map(|renewed| KINDS.map(|keyed| (renewed, keyed)));
        for (steps, (renewed, keyed)) in kinds.flat_map(|kind| STEPS.map(|steps| (steps, kind))) {
            let name = name_of(steps, renewed, keyed);
            let Some(Weight { shape, values }) = lookup(&name) else { continue };
            let part = steps as usize * channels;
            if shape != [3, steps as usize, channels] {
                return Err(format!("tensor {name} has the wrong shape"));
            }
            let [mean, within, between] = [0, 1, 2].map(|i| values[i * part..(i + 1) * part].to_vec());
            if !within.iter().chain(&between).all(|d| SOUND.contains(d)) {
                return Err(WRONG.into());
            }
            all.push(Self { steps, renewed, keyed, mean, within, between });
        }
        Ok(all)
    }

    /// Mean, and logarithms of both deviations, that a channel takes on between two shares of the way, as if each
    /// step's share came evenly.
    pub(super) fn over(&self, from: f32, to: f32, channel: usize, channels: usize) -> [f32; 3] {
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
fn name_of(steps: u32, renewed: bool, keyed: Option<bool>) -> String {
    let kind = match keyed {
        None => "",
        Some(false) => ".keyless",
        Some(true) => ".keyed",
    };
    format!("{}.{steps}{kind}", if renewed { "renewed" } else { "drift" })
}

fn credible(ratio: f32) -> f32 {
    ratio.clamp(*RANGE.start(), *RANGE.end())
}

/// Measures each step of loops of one kind and puts it right.
struct Measuring<'a> {
    wanted: &'a Moments,
    turn: Turn,
    seen: RefCell<[Vec<f32>; 3]>,
}

impl Correction for Measuring<'_> {
    fn correct(&self, x: Tensor<3>, _: &[Condition], _: f32, to: f32) -> Tensor<3> {
        let [loops, channels, frames] = x.dims();
        let x = self.turn.components(x);
        let values = x.clone().into_data().try_into_vec::<f32>().expect("latents are 32-bit floats");
        let is = spread::moments(values.chunks_exact(channels * frames).map(|one| (one, frames)), channels);
        let wanted = self.wanted.at(to, frames);
        let beyond: Vec<f32> = is.mean.iter().zip(&wanted.mean).map(|(is, wanted)| is - wanted).collect();
        let ratio = |(is, wanted): (&f32, &f32)| (is / wanted).clamp(*SOUND.start(), *SOUND.end());
        let by = |is: &[f32], wanted: &[f32]| -> Vec<f32> { is.iter().zip(wanted).map(ratio).collect() };
        let (within, between) = (by(&is.within, &wanted.within), by(&is.between, &wanted.between));
        let back = |ratios: &[f32]| ratios.iter().map(|r| 1.0 / credible(*r)).collect();
        let centre = wanted.mean.clone();
        let remedy = Remedy { centre, beyond: beyond.clone(), within: back(&within), between: back(&between) };
        let right = put_right(&x, &vec![&remedy; loops]);
        let mut seen = self.seen.borrow_mut();
        seen.iter_mut().zip([beyond, within, between]).for_each(|(all, new)| all.extend(new));
        self.turn.channels(right)
    }
}

/// What is measured in one go.
struct Series {
    keyed: Option<bool>,
    conditions: Vec<Condition>,
    steps: u32,
    renewed: Option<f32>,
    /// It holds for runs too whose noise is not renewed: they were not made for that.
    for_both: bool,
}

impl Series {
    /// All of a model; of a distilled one, whose loops with keys and without are made differently, each of those, where
    /// it is known how either spread (`apart`), or else those with keys.
    fn all(header: &Header, apart: bool) -> Vec<Self> {
        match (header.distilled, apart) {
            (false, _) => Self::of(header, None, None),
            (true, false) => Self::of(header, None, Some(true)),
            (true, true) => [false, true].into_iter().flat_map(|k| Self::of(header, Some(k), Some(k))).collect(),
        }
    }

    /// Those that stand for one kind of loops, by such that are all with or all without keys, or of either: as they are,
    /// and, where they are made so, with renewed noise; if a net was made for that, only so.
    fn of(header: &Header, stands_for: Option<bool>, keyed: Option<bool>) -> Vec<Self> {
        let labels = 0..header.net.labels;
        let labels: Vec<usize> = labels.filter(|l| keyed.is_none_or(|k| k == header.is_keyed(Some(*l)))).collect();
        let condition = |i: usize| {
            let label = labels.get(i % labels.len().max(1)).copied();
            let minor = (i / labels.len().max(1)).is_multiple_of(2);
            let mode = if minor { Mode::Minor } else { Mode::Major };
            let mode = keyed.unwrap_or_else(|| header.is_keyed(label)).then_some(mode);
            Condition { bpm: 120.0, label, mode }
        };
        let renewed = header.renewed(keyed.unwrap_or(header.net.keys));
        let series = |steps: u32, renewed: Option<f32>| {
            let conditions = (0..LOOPS).map(condition).collect();
            let for_both = header.distilled && renewed.is_some();
            Self { keyed: stands_for, conditions, steps, renewed, for_both }
        };
        let renews = |steps: &u32| renewed.is_some() && *steps as f32 <= RENEWING;
        let plain = STEPS.into_iter().filter(|steps| !(header.distilled && renews(steps)));
        let plain = plain.map(|steps| series(steps, None));
        plain.chain(STEPS.into_iter().filter(renews).map(|steps| series(steps, renewed))).collect()
    }
}

/// Measures a model on loops of all its labels, and both modes, in turn; if it is distilled, loops with keys and loops
/// without apart. `progress` hears (evaluations done, all).
pub fn measure(generator: &Generator, progress: &mut Progress<'_>) -> Result<Vec<Drift>, GenerateError> {
    let Some(wanted) = &generator.model().spread else { return Ok(Vec::new()) };
    let header = &generator.model().header;
    let net = &header.net;
    let (channels, frames) = (net.channels, (BEATS * LATENTS_PER_BEAT).next_multiple_of(net.stride()));
    let drawn = |stream| -> Vec<f32> {
        (0..LOOPS as u64).flat_map(|i| noise::of_seed(FIRST_SEED + i, stream, channels, frames)).collect()
    };
    let start = drawn(0);
    let new = |step| drawn(noise::renewed(0, step));
    let series = Series::all(header, wanted.apart.is_some());
    let (all, mut done) = (series.iter().map(|one| one.steps).sum(), 0);
    let mut measured = Vec::new();
    for Series { keyed, conditions, steps, renewed, for_both } in series {
        let mut step = |_, _| -> ControlFlow<()> {
            done += 1;
            progress(done, all)
        };
        let (wanted, turn) = (wanted.moments(keyed), wanted.turn(generator.device()));
        let measuring = Measuring { wanted, turn, seen: RefCell::default() };
        let renewal = renewed.map(|share| Renewal { share, noise: &new });
        let (correction, renewal) = (Some(&measuring as _), renewal.as_ref());
        let path = Path { shift: header.shift, correction, renewal, ..Path::new(steps, &conditions) };
        generator.sample(start.clone(), [LOOPS, channels, frames], Solver::default(), path, &mut step)?;
        let [mean, within, between] = measuring.seen.into_inner();
        let drift = Drift { steps, renewed: renewed.is_some(), keyed, mean, within, between };
        measured.extend(for_both.then(|| Drift { renewed: false, ..drift.clone() }));
        measured.push(drift);
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::super::steady::Steady;
    use super::super::{Model, Spread};
    use super::*;
    use crate::flow::unet::UNetConfig;

    /// The same for each step and channel.
    fn of(steps: u32, mean: f32, within: f32, between: f32) -> Drift {
        let all = |value| vec![value; 2 * steps as usize];
        Drift { steps, renewed: false, keyed: None, mean: all(mean), within: all(within), between: all(between) }
    }

    /// What puts right runs of one step.
    fn steady<'a>(spread: &'a Spread, measured: Vec<&'a Drift>) -> Steady<'a> {
        Steady { wanted: Some((spread, spread.turn(&Device::flex()))), measured, steps: 1.0, shift: 1.0 }
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

    fn moments(x: Tensor<3>) -> Moments {
        let values = x.into_data().try_into_vec::<f32>().unwrap();
        spread::moments(values.chunks_exact(100).map(|one| (one, 50)), 2)
    }

    fn wanted(mean: f32, within: [f32; 2], between: f32) -> Moments {
        Moments { mean: vec![mean; 2], within: within.into(), between: vec![between; 2] }
    }

    fn assert_near(found: &Moments, wanted: &Moments) {
        for (found, wanted) in found.rows().iter().zip(wanted.rows()) {
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-3), "{found:?} {wanted:?}");
        }
    }

    /// Loops without keys, or with.
    fn conditions(count: usize, keyed: bool) -> Vec<Condition> {
        vec![Condition { mode: keyed.then_some(Mode::Minor), ..Condition::any(120.0) }; count]
    }

    fn spread(all: Moments) -> Spread {
        Spread { basis: Some(vec![0.6, 0.8, -0.8, 0.6]), all, apart: None }
    }

    #[test]
    fn what_was_measured_is_what_is_put_right() {
        let spread = spread(wanted(0.2, [0.8, 0.7], 0.6));
        let (x, all) = (loops(0.9, 0.4, 0.5), conditions(200, false));
        let turn = || spread.turn(&x.device());
        let measuring = Measuring { wanted: &spread.all, turn: turn(), seen: RefCell::default() };
        let right = measuring.correct(x.clone(), &all, 1.0, 0.0);
        assert_near(&moments(turn().components(right.clone())), &spread.all);
        let [mean, within, between] = measuring.seen.into_inner();
        assert!(within[0] > 1.0 && between[0] < 0.8, "{within:?} {between:?}");
        let drift = Drift { steps: 1, renewed: false, keyed: None, mean, within, between };
        let again = steady(&spread, vec![&drift]).correct(x, &all, 1.0, 0.0);
        let apart = (right - again).abs().max().into_scalar::<f32>();
        assert!(apart < 1e-5, "{apart}");
    }

    #[test]
    fn loops_with_keys_and_without_are_put_right_apart() {
        let apart = [wanted(0.2, [0.8, 0.7], 0.6), wanted(-0.1, [0.5, 0.4], 0.3)];
        let spread = Spread { apart: Some(apart.clone()), ..spread(wanted(0.0, [1.0, 1.0], 1.0)) };
        let both = [loops(0.9, 0.4, 0.5), loops(0.3, 0.35, 0.0)];
        let turn = || spread.turn(&both[0].device());
        let drifts = [false, true].map(|keyed| {
            let wanted = spread.moments(Some(keyed));
            let measuring = Measuring { wanted, turn: turn(), seen: RefCell::default() };
            measuring.correct(both[usize::from(keyed)].clone(), &conditions(200, keyed), 1.0, 0.0);
            let [mean, within, between] = measuring.seen.into_inner();
            Drift { steps: 1, renewed: false, keyed: Some(keyed), mean, within, between }
        });
        let mixed = [conditions(200, false), conditions(200, true)].concat();
        let x = Tensor::cat(both.to_vec(), 0);
        let right =
            turn().components(steady(&spread, drifts.iter().collect()).correct(x, &mixed, 1.0, 0.0)).chunk(2, 0);
        right.into_iter().zip(&apart).for_each(|(x, wanted)| assert_near(&moments(x), wanted));
        // Nothing is done to a kind of which nothing is known.
        let other = steady(&spread, vec![&drifts[0]]).correct(both[1].clone(), &conditions(200, true), 1.0, 0.0);
        assert_eq!(other.into_data(), both[1].clone().into_data());
    }

    #[test]
    fn each_kind_of_loops_is_measured_as_it_is_made() {
        let net = UNetConfig { labels: 3, keys: true, ..UNetConfig::plain(2, 8, 1) };
        let mut header = Model::fresh("some", net).header;
        (header.labels, header.keyed) = (["kit", "bass", "lead"].map(String::from).into(), vec!["bass".into()]);
        // Steps, for which kind, whether noise is renewed, how many loops are in keys.
        let told = |header: &Header, apart| -> Vec<(u32, Option<bool>, bool, usize)> {
            let keyed = |c: &&Condition| c.mode.is_some();
            let told = |one: Series| {
                assert!(one.conditions.iter().all(|c| (c.label == Some(1)) == c.mode.is_some()));
                (one.steps, one.keyed, one.renewed.is_some(), one.conditions.iter().filter(keyed).count())
            };
            Series::all(header, apart).into_iter().map(told).collect()
        };
        let series = |stands_for, steps: std::ops::Range<usize>, renewed, keyed| {
            STEPS[steps].iter().map(move |steps| (*steps, stands_for, renewed, keyed)).collect::<Vec<_>>()
        };
        let all = [series(None, 0..6, false, LOOPS / 3), series(None, 0..5, true, LOOPS / 3)].concat();
        assert_eq!([told(&header, false), told(&header, true)], [all.clone(), all]);
        header.distilled = true;
        let with = |kind| [series(kind, 5..6, false, LOOPS), series(kind, 0..5, true, LOOPS)].concat();
        assert_eq!(told(&header, false), with(None));
        assert_eq!(told(&header, true), [series(Some(false), 0..6, false, 0), with(Some(true))].concat());
    }

    #[test]
    fn statistics_of_a_file_are_checked() {
        let back = |drift: Drift, channels| {
            let (name, shape, values) = drift.tensor();
            let weight = Weight { shape, values };
            Drift::from_tensors(channels, &|asked| (asked == name).then(|| weight.clone()))
        };
        let good = of(8, 0.1, 1.0, 0.5);
        for keyed in KINDS {
            for renewed in [false, true] {
                let good = Drift { renewed, keyed, ..good.clone() };
                assert!(back(good.clone(), 2).unwrap().iter().eq([&good]));
            }
        }
        for bad in [of(8, 0.0, 0.0, 1.0), of(8, 0.0, f32::NAN, 1.0), of(8, 0.0, 1e9, 1.0), of(8, 0.0, 1.0, -1.0)] {
            assert!(back(bad.clone(), 2).is_err(), "{bad:?}");
        }
        assert!(back(good, 3).is_err());
    }
}
