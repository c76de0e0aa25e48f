//! How loud a model's runs come out beside its training loops, measured once for a model.

use super::generator::{GenerateError, Generator, Progress};
use crate::codec::{Latents, Levels, RUNS};
use crate::flow::solver::{Path, Solver};
use crate::flow::{Condition, noise};

/// Loops of each label, and loops in all, beyond which no more are measured.
const ENOUGH: [usize; 2] = [60, 240];
/// Loops that are measured, at least: of few training loops each is made several times.
const FEWEST: usize = 64;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 43;

/// A training loop: standardised latents `[channel, frame]` and what the net is told of it.
pub type Heard<'a> = (&'a [f32], Condition);

/// How many training loops are measured for a model of so many labels, at most.
pub fn enough(labels: usize) -> usize {
    let [of_each, together] = ENOUGH;
    (of_each * labels).max(together)
}

/// Compares the levels of runs with those of training loops of the same styles, tempi and lengths; None without
/// a codec or loops. `progress` hears (steps done, all).
pub fn measure(
    generator: &Generator,
    training: &[Heard<'_>],
    progress: &mut Progress<'_>,
) -> Result<Option<Levels>, GenerateError> {
    let (header, Some(codec)) = (&generator.model().header, &generator.model().codec) else { return Ok(None) };
    let (channels, labels) = (header.net.channels, header.labels.len());
    let latents = |mut values: Vec<f32>| {
        let frames = values.len() / channels;
        generator.unnormalise(&mut values, frames);
        Latents { channels, frames, values }
    };
    let (mut wanted, mut wanted_wavering) = (codec.count_levels(labels), codec.measure_wavering(labels));
    for (values, condition) in training {
        let heard = latents(values.to_vec());
        wanted.add(&heard, condition.label);
        wanted_wavering.add(&heard, condition.label);
    }
    let loops = training.len() * FEWEST.div_ceil(training.len().max(1));
    let (mut done, all) = (0, loops as u32 * RUNS.iter().sum::<u32>());
    let mut runs = Vec::new();
    for steps in RUNS {
        let steady = generator.steady(steps as f32);
        let (mut made, mut wavering) = (Vec::new(), codec.measure_wavering(labels));
        for (i, (values, condition)) in training.iter().cycle().take(loops).enumerate() {
            let frames = values.len() / channels;
            let noise = noise::of_seed(FIRST_SEED + i as u64, 0, channels, frames);
            let conditions = std::slice::from_ref(condition);
            let path = Path { from: 1.0, steps, conditions, correction: Some(&steady) };
            let run = generator.sample(noise, [1, channels, frames], Solver::Euler, path, &mut |_, _| {
                done += 1;
                progress(done, all)
            })?;
            made.push((latents(run), condition.label));
            wavering.add(&made[i].0, condition.label);
        }
        let mut levels = codec.count_levels(labels).calmed(&wavering, &wanted_wavering);
        made.iter().for_each(|(run, label)| levels.add(run, *label));
        runs.push((steps, levels));
    }
    Ok((!training.is_empty()).then(|| wanted.beside(&runs)))
}
