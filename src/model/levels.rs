//! How loud a model's runs come out beside its training loops, measured once for a model.

use std::ops::ControlFlow;

use super::generator::{GenerateError, Generator, Progress};
use crate::codec::{Latents, Levels};
use crate::flow::solver::{Path, Solver};
use crate::flow::{Condition, noise};

/// Steps of the measured runs.
const STEPS: u32 = 8;
/// Loops that are measured, at most.
pub const LOOPS: usize = 512;
/// Seeds of the measured loops start here, away from those that are played.
const FIRST_SEED: u64 = 1 << 43;

/// A training loop: standardised latents `[channel, frame]` and what the net is told of it.
pub type Heard<'a> = (&'a [f32], Condition);

/// Compares the levels of runs with those of training loops of the same styles, tempi and lengths; None without
/// a codec or loops. `progress` hears (loops done, all).
pub fn measure(
    generator: &Generator,
    training: &[Heard<'_>],
    progress: &mut Progress<'_>,
) -> Result<Option<Levels>, GenerateError> {
    let (channels, Some(codec)) = (generator.model().header.net.channels, &generator.model().codec) else {
        return Ok(None);
    };
    let latents = |mut values: Vec<f32>| {
        let frames = values.len() / channels;
        generator.unnormalise(&mut values, frames);
        Latents { channels, frames, values }
    };
    let steady = generator.steady(Solver::Euler, STEPS as f32);
    let mut generated = Vec::new();
    for (i, (values, condition)) in training.iter().enumerate() {
        if progress(i as u32, training.len() as u32).is_break() {
            return Err(GenerateError::Cancelled);
        }
        let frames = values.len() / channels;
        let noise = noise::of_seed(FIRST_SEED + i as u64, 0, channels, frames);
        let conditions = std::slice::from_ref(condition);
        let path = Path { from: 1.0, steps: STEPS, conditions, correction: Some(&steady) };
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let made = generator.sample(noise, [1, channels, frames], Solver::Euler, path, go_on)?;
        generated.push((latents(made), condition.label));
    }
    let training: Vec<_> = training.iter().map(|(values, of)| (latents(values.to_vec()), of.label)).collect();
    let labels = generator.model().header.labels.len();
    Ok((!training.is_empty()).then(|| codec.compare_levels(&generated, &training, labels)))
}
