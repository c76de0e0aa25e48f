//! How loud a model's runs come out beside its training loops, in each band and on each semitone, measured once for
//! a model.

use super::generator::{GenerateError, Generator, Progress};
use crate::codec::tuning::{Shares, shares};
use crate::codec::{Latents, Levels, MEASURED_RUNS, Tuning};
use crate::flow::solver::{Path, Renewal, Solver};
use crate::flow::{Condition, noise};

/// Loops of each label, and loops in all, beyond which no more are measured.
const ENOUGH: [usize; 2] = [60, 240];
/// Loops that are measured, at least: of few training loops each is made several times.
const FEWEST: usize = 64;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 43;

/// Loops of each label whose semitones are measured, at most: these are decoded.
const TUNED: usize = 40;

/// A training loop.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Standardised latents `[channel, frame]`.
    pub values: &'a [f32],
    /// What the net is told of it.
    pub condition: Condition,
    /// Shares of the semitones, of a loop in a key.
    pub shares: Option<Shares>,
}

/// How many training loops are measured for a model of so many labels, at most.
pub fn enough(labels: usize) -> usize {
    let [of_each, together] = ENOUGH;
    (of_each * labels).max(together)
}

/// Compares the levels of runs, and then their semitones, with those of training loops of the same styles, tempi and
/// lengths; None without a codec or loops. `progress` hears (steps done, all).
pub fn measure(
    generator: &Generator,
    training: &[Heard<'_>],
    progress: &mut Progress<'_>,
) -> Result<Option<(Levels, Option<Tuning>)>, GenerateError> {
    let (header, Some(codec)) = (&generator.model().header, &generator.model().codec) else { return Ok(None) };
    if training.is_empty() {
        return Ok(None);
    }
    let (channels, labels) = (header.net.channels, header.labels.len());
    let latents = |mut values: Vec<f32>| {
        let frames = values.len() / channels;
        generator.unnormalise(&mut values, frames);
        Latents { channels, frames, values }
    };
    let (mut wanted, mut wanted_wavering) = (codec.count_levels(labels), codec.measure_wavering(labels));
    for one in training {
        let heard = latents(one.values.to_vec());
        wanted.add(&heard, one.condition.label);
        wanted_wavering.add(&heard, one.condition.label);
    }
    let loops = training.len() * FEWEST.div_ceil(training.len());
    let like = |i: usize| &training[i % training.len()];
    let tuned = tuned((0..loops).map(like));
    let (mut done, all) =
        (0, loops as u32 * MEASURED_RUNS.iter().sum::<u32>() + (tuned.len() * MEASURED_RUNS.len()) as u32);
    let mut step = || {
        done += 1;
        progress(done, all)
    };
    let (mut runs, mut all_made) = (Vec::new(), Vec::new());
    for steps in MEASURED_RUNS {
        let steady = [false, true].map(|renewed| generator.steady(steps as f32, renewed));
        let (mut made, mut wavering) = (Vec::new(), codec.measure_wavering(labels));
        for (i, one) in (0..loops).map(|i| (i, like(i))) {
            let frames = one.values.len() / channels;
            let drawn = |stream| noise::of_seed(FIRST_SEED + i as u64, stream, channels, frames);
            let (noise, new) = (drawn(0), |step| drawn(noise::renewed(0, step)));
            let share = header.renewed(one.condition.mode.is_some()).filter(|_| generator.renews());
            let renewal = share.map(|share| Renewal { share, noise: &new });
            let (correction, renewal) = (Some(&steady[usize::from(renewal.is_some())] as _), renewal.as_ref());
            let conditions = std::slice::from_ref(&one.condition);
            let path = Path { shift: header.shift, correction, renewal, ..Path::new(steps, conditions) };
            let run = generator.sample(noise, [1, channels, frames], Solver::default(), path, &mut |_, _| step())?;
            made.push(latents(run));
            wavering.add(&made[i], one.condition.label);
        }
        let mut levels = codec.count_levels(labels).calmed(&wavering, &wanted_wavering);
        made.iter().enumerate().for_each(|(i, run)| levels.add(run, like(i).condition.label));
        runs.push((steps, levels));
        all_made.push((steps, made));
    }
    let levels = wanted.beside(&runs);
    let wanted: Vec<_> = training.iter().filter_map(|one| Some((one.condition.label, one.shares?))).collect();
    let mut on_semitones = Vec::new();
    for (steps, made) in &all_made {
        let mut heard = Vec::new();
        for i in &tuned {
            let Condition { label, bpm, .. } = like(*i).condition;
            let clip = codec.decode_while(&made[*i], bpm, Some(levels.of(label, *steps as f32)), &mut || true);
            heard.push((label, shares(&clip.map_err(|e| GenerateError::Codec(e.to_string()))?)));
            if step().is_break() {
                return Err(GenerateError::Cancelled);
            }
        }
        on_semitones.push((*steps, heard));
    }
    let tuning = (!wanted.is_empty()).then(|| Tuning::new(labels, &on_semitones, &wanted));
    Ok(Some((levels, tuning)))
}

/// Which of the loops are decoded: the first in keys of each label.
fn tuned<'a>(loops: impl Iterator<Item = &'a Heard<'a>>) -> Vec<usize> {
    let mut times = std::collections::HashMap::new();
    let mut few = |label: Option<usize>| {
        let seen = times.entry(label).or_insert(0);
        *seen += 1;
        *seen <= TUNED
    };
    loops.enumerate().filter(|(_, one)| one.shares.is_some() && few(one.condition.label)).map(|(i, _)| i).collect()
}
