//! What a model for few steps learns from: pairs of a loop and the noise that its teacher ties to it. Learnt
//! from such pairs, the paths from noise to loops become straighter, and a straight path is one step.
//!
//! Half of the pairs are real loops with the noise that the teacher's flow, run backwards, leads to: the
//! student so keeps to real loops. The others are noise with what the teacher makes of it, put right step by step as in
//! any of its runs.
//!
//! Sources: reflow: Liu, Gong and Liu, 2022 (arXiv 2209.03003); real loops: Lee et al., 2024 (arXiv 2405.20320).

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};

use super::latents::{LatentLoop, LatentSet};
use crate::dataset::evenly;
use crate::flow::objective::TimeSampling;
use crate::flow::solver::{Correction, Path, SolveError, Solver};
use crate::flow::{Condition, Velocity, noise};
use crate::random::Philox;

/// Times to learn them at: paths are bent near the ends, where straightening has the most to do.
pub const TIMES: TimeSampling = TimeSampling::UShaped { steepness: 4.0 };
/// Loops that the teacher works on at a time.
const TOGETHER: usize = 16;
/// Seeds of the noise start here.
const FIRST_SEED: u64 = 1 << 41;

/// How many pairs are made, and how well.
#[derive(Clone, Copy, Debug)]
pub struct Pairs {
    /// Pairs to learn from.
    pub count: usize,
    /// Pairs to judge by, of held-out loops.
    pub held_out: usize,
    /// Solver steps of the teacher, Heun's on the way back.
    pub steps: u32,
    /// How they lie ([`crate::flow::solver::shifted`]).
    pub shift: f32,
}

/// Replaces the loops of `set` by pairs; `correction` puts right what the teacher makes. `progress` hears (pairs done,
/// all) and may cancel.
pub fn pairs(
    teacher: &dyn Velocity,
    correction: Option<&dyn Correction>,
    set: LatentSet,
    wanted: Pairs,
    seed: u64,
    device: &Device,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<LatentSet, SolveError> {
    let pick = Philox::new(seed, 0);
    let real = wanted.count / 2;
    let chosen = |i: usize| set.training[pick.below(i as u64, set.training.len())].clone();
    let (inverted, generated): (Vec<_>, Vec<_>) =
        (0..wanted.count).map(|i| (i, chosen(i))).partition(|(i, _)| *i < real);
    let generated = generated.into_iter().map(|(i, one)| {
        let noise = noise::of_seed(FIRST_SEED + i as u64, seed, set.channels, one.frames);
        LatentLoop { noise: Some(noise), ..one }
    });
    let held_out: Vec<LatentLoop> = evenly(&set.validation, wanted.held_out).cloned().collect();
    let all = wanted.count + held_out.len();
    let mut work = Work { teacher, correction, wanted, channels: set.channels, device, done: 0, all, progress };
    let mut training = work.each(inverted.into_iter().map(|(_, one)| one).collect(), Work::invert)?;
    training.extend(work.each(generated.collect(), Work::generate)?);
    let validation = work.each(held_out, Work::invert)?;
    Ok(LatentSet { training, validation, ..set })
}

struct Work<'a> {
    teacher: &'a dyn Velocity,
    correction: Option<&'a dyn Correction>,
    wanted: Pairs,
    channels: usize,
    device: &'a Device,
    done: usize,
    all: usize,
    progress: &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>,
}

impl Work<'_> {
    /// Completes loops, those of one length together.
    fn each(
        &mut self,
        mut loops: Vec<LatentLoop>,
        complete: impl Fn(&mut Self, &mut [LatentLoop]) -> Result<(), SolveError>,
    ) -> Result<Vec<LatentLoop>, SolveError> {
        loops.sort_by_key(|one| one.frames);
        for same in loops.chunk_by_mut(|a, b| a.frames == b.frames) {
            for some in same.chunks_mut(TOGETHER) {
                complete(self, some)?;
                self.done += some.len();
            }
        }
        Ok(loops)
    }

    fn invert(&mut self, loops: &mut [LatentLoop]) -> Result<(), SolveError> {
        let data = loops.iter().flat_map(|one| one.values.iter().copied()).collect();
        let noise = self.transported(loops, data, true)?;
        let rows = noise.chunks_exact(noise.len() / loops.len()).map(<[f32]>::to_vec);
        loops.iter_mut().zip(rows).for_each(|(one, noise)| one.noise = Some(noise));
        Ok(())
    }

    fn generate(&mut self, loops: &mut [LatentLoop]) -> Result<(), SolveError> {
        let noise = loops.iter().flat_map(|one| one.noise.iter().flatten().copied()).collect();
        let data = self.transported(loops, noise, false)?;
        let rows = data.chunks_exact(data.len() / loops.len()).map(<[f32]>::to_vec);
        loops.iter_mut().zip(rows).for_each(|(one, values)| one.values = values);
        Ok(())
    }

    fn transported(&mut self, loops: &[LatentLoop], start: Vec<f32>, backwards: bool) -> Result<Vec<f32>, SolveError> {
        let shape = [loops.len(), self.channels, loops[0].frames];
        let x = Tensor::<3>::from_data(TensorData::new(start, shape), self.device);
        let conditions: Vec<Condition> = loops.iter().map(LatentLoop::condition).collect();
        let (done, all) = (self.done, self.all);
        let mut progress = |_: u32, _: u32| (self.progress)(done, all);
        let path = Path { shift: self.wanted.shift, ..Path::new(self.wanted.steps, &conditions) };
        let x = match backwards {
            true => Solver::Heun.invert(self.teacher, x, &path, &mut progress),
            false => {
                let path = Path { correction: self.correction, ..path };
                Solver::default().solve(self.teacher, x, &path, &mut progress)
            }
        }?;
        Ok(x.into_data().try_into_vec().expect("latents are 32-bit floats"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::unet::{UNet, UNetConfig};

    struct Silence;
    impl Correction for Silence {
        fn correct(&self, x: Tensor<3>, _: &[Condition], _: f32, _: f32) -> Tensor<3> {
            x * 0.0
        }
    }

    #[test]
    fn real_loops_get_a_noise_and_noise_gets_a_loop() {
        let device = Device::flex();
        let net =
            UNetConfig { stem: 32, last_width: 32, blocks: 1, preconditioned: true, ..UNetConfig::plain(4, 32, 1) };
        // Untrained it is the linear prediction, which leads every noise to itself: its slopes sum to 0.
        let teacher = UNet::new(&net, &device);
        let mut set = LatentSet::of_noise(4, 8, 6);
        set.validation = set.training.split_off(3);
        set.training.extend(LatentSet::of_noise(4, 16, 3).training);
        let real: Vec<Vec<f32>> = set.training.iter().map(|l| l.values.clone()).collect();
        let wanted = Pairs { count: 20, held_out: 2, steps: 16, shift: 1.0 };
        let mut heard = 0;
        let made = pairs(&teacher, None, set.clone(), wanted, 1, &device, &mut |done, all| {
            assert!(done <= all && all == 22);
            heard += 1;
            ControlFlow::Continue(())
        });
        let made = made.unwrap();
        assert_eq!((made.training.len(), made.validation.len()), (20, 2));
        assert!(heard >= 16 * 3);
        let kept = made.training.iter().filter(|pair| real.contains(&pair.values)).count();
        assert_eq!(kept, 10, "half of the pairs are real loops");
        for pair in made.training.iter().chain(&made.validation) {
            let noise = pair.noise.as_ref().expect("each has its noise");
            let apart = noise.iter().zip(&pair.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 0.05, "{apart}");
        }
        let made =
            pairs(&teacher, Some(&Silence), set.clone(), wanted, 1, &device, &mut |_, _| ControlFlow::Continue(()));
        let silent = made.unwrap().training.iter().filter(|pair| pair.values.iter().all(|v| *v == 0.0)).count();
        assert_eq!(silent, 10, "what is made is put right, and real loops stay");
        let stopped = pairs(&teacher, None, set, wanted, 1, &device, &mut |_, _| ControlFlow::Break(()));
        assert_eq!(stopped.unwrap_err(), SolveError::Cancelled);
    }
}
