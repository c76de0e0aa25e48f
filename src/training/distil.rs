//! How a model learns to make melodic loops in a few steps: not by following its teacher's paths, which from noise to
//! notes are too winding to be followed in a few steps, but by making loops that are hard to tell from real ones
//! (adversarial distillation).
//!
//! Between steps of loops with keys all noise is new, so that each step needs to say only what loops may come from what
//! it sees. Those of runs of one, two and four are learnt where they will be played, each from what the model's own
//! steps before lead to: what it makes of that is judged by a [`discriminator`](super::discriminator), which learns
//! beside it on what the teacher sees, and moves to where that would take it for real. Of what a loop's latents are in
//! the mean over its frames nothing is learnt so, for it would wander: it stays that of the model as it began, a
//! straightened one, which knows it well.
//!
//! Loops without keys stay as that model makes them: their hits lose by new noise, and it is near real ones already.
//!
//! Sources: Sauer et al., 2024 (arXiv 2403.12015); steps with new noise: Song et al., 2023 (arXiv 2303.01469); what the
//! student's own steps lead to: Yin et al., 2024 (arXiv 2405.14867).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::Trainer;
use super::alike::{self, Unlike};
use super::discriminator::{Discriminator, Judges, Noisy};
use super::latents::{LatentLoop, LatentSet};
use super::shares::Batch;
use crate::flow::objective::interpolate;
use crate::flow::solver::{SHIFT, shifted};
use crate::flow::unet::{UNet, with_weights};
use crate::flow::{Condition, Velocity};
use crate::model::Model;
use crate::random::Philox;

/// Steps of the runs that are learnt, as often as one of their steps is a batch's.
const RUNS: [usize; 10] = [1, 2, 2, 2, 2, 4, 4, 4, 4, 4];
/// Share of the loops without keys that are seen in noise alone.
const FIRST: f64 = 0.3;
/// Shares of the way at which loops are judged.
const JUDGED: std::ops::Range<f64> = 0.02..0.98;
/// The discriminator's loss where it tells nothing apart.
const UNTOLD: f32 = 2.0;
/// Steps that the discriminator has before anything is learnt from it.
const HEAD_START: u64 = 100;
/// How far a velocity is moved, at t = 1, in the root of the mean square.
const MOVED: f32 = 0.3;
/// Random streams of one step, and where they begin.
const DRAWS: u64 = 16;
const FIRST_STREAM: u64 = 1 << 61;

/// What a model learns few steps from.
pub(super) struct Distilled {
    discriminator: Discriminator,
    /// The student as it began.
    anchor: UNet,
    /// The discriminator's, in its last step.
    loss: Tensor<1>,
}

/// Why there is nothing to be learnt; each message says what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum DistilError {
    #[error(transparent)]
    Unlike(#[from] Unlike),
    #[error(
        "the two models are the same; begin with one that was straightened (--straighten), which knows how to make loops in one step"
    )]
    Same,
    #[error(
        "{0} knows no loops in keys (`_Am` in their names), and others stay as the straightened model makes them: it is as good as it can be"
    )]
    Keyless(&'static str),
    #[error("the model that is to see what is judged was made for few steps; choose the one that it was made from")]
    Distilled,
}

/// Whether `start`, a straightened model, can be judged by what `teacher` sees.
pub fn check(teacher: &Model, start: &Model) -> Result<(), DistilError> {
    alike::check(start, teacher)?;
    // Judges of a checkpoint are made for the student's.
    if !teacher.header.net.depths().eq(start.header.net.depths()) {
        return Err(Unlike("the sizes of their nets").into());
    }
    if !start.header.net.keys {
        return Err(DistilError::Keyless("the model to begin with"));
    }
    if teacher.header.distilled {
        return Err(DistilError::Distilled);
    }
    if teacher.weights == start.weights {
        return Err(DistilError::Same);
    }
    Ok(())
}

impl Distilled {
    /// For a model that goes on from `start`, by what `teacher` sees. The judges are new, or those of the student's
    /// checkpoint. Says in a sentence what is wrong with the models.
    pub fn new(teacher: &Model, start: &Model, student: &mut Trainer) -> Result<Self, String> {
        check(teacher, start).map_err(|e| e.to_string())?;
        let device = &student.device.clone().inner();
        let judges = student.judges.take();
        let judges = judges.unwrap_or_else(|| Judges::new(&teacher.header.net, student.config.seed, device));
        let net = |model: &Model, device| with_weights(UNet::new(&model.header.net, device), &model.weights);
        let discriminator = Discriminator::new(net(teacher, &student.device)?, judges);
        Ok(Self { discriminator, anchor: net(start, device)?, loss: Tensor::full([1], UNTOLD, device) })
    }

    pub fn judges(&self) -> &Judges {
        self.discriminator.judges()
    }

    /// The batch of `student`'s next step, for loops like those of `set`, and the discriminator's loss in the last step
    /// that it made.
    pub fn batch(&mut self, student: &Trainer, set: &LatentSet) -> (Batch, Tensor<1>) {
        let (keyed, others): (Vec<_>, Vec<_>) = student.draw_loops(set).into_iter().partition(|one| one.mode.is_some());
        let keyed = (!keyed.is_empty()).then(|| self.judged(student, keyed));
        let others = (!others.is_empty()).then(|| self.as_before(student, &others));
        let batch = keyed.into_iter().chain(others).reduce(Batch::and).expect("a batch has loops");
        (batch, self.loss.clone())
    }

    /// What loops with keys are to become.
    fn judged(&mut self, student: &Trainer, loops: Vec<LatentLoop>) -> Batch {
        let drawing = Drawing::new(student, &loops);
        let Drawing { shape, device, .. } = &drawing;
        let (noise, random) = (|stream| drawing.noise(stream), |stream| drawing.random(stream));
        let conditions: Vec<Condition> = loops.iter().map(LatentLoop::condition).collect();
        let steps = RUNS[random(0).below(0, RUNS.len())];
        let step = random(0).below(1, steps);
        let t = |step: usize| 1.0 - step as f32 / steps as f32;
        let all = |t: f32| Tensor::<1>::full([shape[0]], t, device);

        // What the student's steps before this one lead to, and what it makes of that.
        let net = student.net().valid();
        let mut data = Tensor::<3>::zeros(*shape, device);
        for before in 0..step {
            let x = interpolate(data, noise(2 + before as u64), all(t(before)));
            data = x.clone() + net.velocity(x, all(t(before)), &conditions) * t(before);
        }
        let (t, start) = (t(step), noise(2 + step as u64));
        let x = interpolate(data.clone(), start.clone(), all(t));
        let v = net.velocity(x.clone(), all(t), &conditions);
        let made = x.clone() + v.clone() * t;

        let real = loops.into_iter().flat_map(|one| one.values).collect();
        let real = Noisy { data: placed(real, *shape, device), noise: noise(8) };
        let noisy = |stream| Noisy { data: made.clone(), noise: noise(stream) };
        let times = |stream| {
            let share = |i| JUDGED.start + (JUDGED.end - JUDGED.start) * random(stream).uniform(i);
            let times: Vec<f32> = (0..shape[0] as u64).map(|i| shifted(share(i) as f32, SHIFT)).collect();
            Tensor::<1>::from_floats(times.as_slice(), device)
        };
        self.loss = self.discriminator.learn(real, noisy(9), times(10), &conditions);
        let pull = self.discriminator.pull(noisy(11), times(12), &conditions);
        let taught = match student.step < HEAD_START {
            true => v,
            false => {
                let anchored = self.anchor.velocity(x, all(t), &conditions) - v.clone();
                v + (pull.clone() - pull.mean_dim(2)) * (MOVED * t) + anchored.mean_dim(2) * t
            }
        };
        let times = vec![t; shape[0]];
        Batch {
            shape: *shape,
            data: values(data),
            noise: values(start),
            times,
            conditions,
            taught: Some(values(taught)),
        }
    }

    /// Loops without keys, as the model made them that the student began as, and how it goes there.
    fn as_before(&self, student: &Trainer, loops: &[LatentLoop]) -> Batch {
        let drawing = Drawing::new(student, loops);
        let Drawing { shape, device, .. } = &drawing;
        let conditions: Vec<Condition> = loops.iter().map(LatentLoop::condition).collect();
        let start = drawing.noise(13);
        let data = start.clone() + self.anchor.velocity(start.clone(), Tensor::ones([shape[0]], device), &conditions);
        let random = drawing.random(14);
        let time =
            |i: u64| if random.uniform(2 * i) < FIRST { 1.0 } else { shifted(random.uniform(2 * i + 1) as f32, SHIFT) };
        let times: Vec<f32> = (0..shape[0] as u64).map(time).collect();
        let batch = Batch { shape: *shape, data: values(data), noise: values(start), times, conditions, taught: None };
        Batch { taught: Some(batch.velocity_of(&self.anchor, device)), ..batch }
    }
}

/// Random numbers of one step, for some loops.
struct Drawing {
    shape: [usize; 3],
    device: Device,
    seed: u64,
    first: u64,
}

impl Drawing {
    fn new(student: &Trainer, loops: &[LatentLoop]) -> Self {
        let frames = loops[0].frames;
        Self {
            shape: [loops.len(), loops[0].values.len() / frames, frames],
            device: student.device.clone().inner(),
            seed: student.config.seed,
            first: FIRST_STREAM + student.step * DRAWS,
        }
    }

    fn random(&self, stream: u64) -> Philox {
        Philox::new(self.seed, self.first + stream)
    }

    fn noise(&self, stream: u64) -> Tensor<3> {
        placed(self.random(stream).normals(self.shape.iter().product()), self.shape, &self.device)
    }
}

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().try_into_vec::<f32>().expect("latents are 32-bit floats")
}

fn placed(values: Vec<f32>, shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::super::TrainingConfig;
    use super::super::checkpoint;
    use super::*;
    use crate::flow::unet::{UNetConfig, weights_of};
    use crate::key::Mode;

    fn net() -> UNetConfig {
        let plain = UNetConfig::plain(4, 32, 1);
        UNetConfig { stem: 32, last_width: 32, blocks: 1, keys: true, preconditioned: true, ..plain }
    }

    /// Loops that are noise, of which nothing can be expected from noise alone; every second one in a key.
    fn noise(loops: u64) -> LatentSet {
        let mut set = LatentSet::of_noise(4, 8, loops);
        set.training.iter_mut().step_by(2).for_each(|one| one.mode = Some(Mode::Minor));
        set
    }

    /// A net that was never trained.
    fn teacher() -> Model {
        Device::flex().seed(7);
        Model::fresh("teacher", net())
    }

    /// A model that went to `set`, and a trainer that goes on from it.
    fn start(set: &LatentSet, rate: f64) -> (Model, Trainer) {
        let mut model = Model::fresh("tiny", net());
        let config = TrainingConfig { batch: 8, warm_up: 1, learning_rate: 1e-3, ..TrainingConfig::default() };
        let mut trainer = Trainer::new(&net(), config, &Device::flex());
        (0..3).for_each(|_| drop(trainer.advance(set)));
        model.weights = weights_of(&trainer.averaged());
        let config = TrainingConfig { batch: 16, warm_up: 1, learning_rate: rate, ..TrainingConfig::default() };
        let trainer = Trainer::from_weights(&net(), (&net(), &model.weights), config, &Device::flex()).unwrap();
        (model, trainer)
    }

    /// What is left of the power of noise when one step makes loops of it, in a key and without.
    fn power(net: &impl Velocity) -> [f32; 2] {
        [Some(Mode::Minor), None].map(|mode| {
            let x = placed(Philox::new(9, 9).normals(32 * 4 * 8), [32, 4, 8], &Device::flex());
            let condition = Condition { mode, ..Condition::any(120.0) };
            let made = x.clone() + net.velocity(x, Tensor::ones([32], &Device::flex()), &[condition; 32]);
            made.square().mean().into_scalar::<f32>()
        })
    }

    #[test]
    fn one_step_makes_more_of_loops_in_keys_than_their_mean() {
        let set = noise(64);
        let (model, mut trainer) = start(&set, 4e-3);
        let before = power(&trainer.averaged());
        trainer.distil(&teacher(), &model).unwrap();
        (0..HEAD_START).for_each(|_| drop(trainer.advance(&set)));
        let waited = power(&trainer.averaged());
        (0..300).for_each(|_| drop(trainer.advance(&set)));
        let [keyed, other] = power(&trainer.averaged());
        assert!(before.iter().chain(&waited).all(|p| *p < 1e-3), "{before:?} {waited:?}");
        // How far the two have pushed each other hangs on rounding: 0.02 to 2.0 with other seeds and step sizes.
        assert!((100.0 * before[0]..8.0).contains(&keyed), "{keyed} {before:?}");
        assert!((other - before[1]).abs() < 0.03, "others stay as they were: {other} {before:?}");
    }

    #[test]
    fn judges_go_on_where_they_were() {
        let set = noise(16);
        let folder = tempfile::tempdir().unwrap();
        let (model, mut trainer) = start(&set, 1e-3);
        trainer.distil(&teacher(), &model).unwrap();
        let losses = |trainer: &mut Trainer| [(); 3].map(|()| trainer.advance(&set).into_scalar::<f32>());
        losses(&mut trainer);
        checkpoint::save(folder.path(), &trainer, "set").unwrap();
        let config = trainer.config().clone();
        let resumed = checkpoint::resume_newest(folder.path(), &net(), &config, "set", &Device::flex(), &mut |_| ());
        let mut resumed = resumed.unwrap().unwrap();
        resumed.distil(&teacher(), &model).unwrap();
        let (on, again) = (losses(&mut trainer), losses(&mut resumed));
        assert_eq!(on, again);
        let (_, mut fresh) = start(&set, 1e-3);
        fresh.distil(&teacher(), &model).unwrap();
        assert_ne!(losses(&mut fresh), on, "they had learnt something");
    }

    #[test]
    fn models_that_teach_nothing_are_refused() {
        let (mut start, _) = start(&noise(8), 1e-3);
        let refused = |change: fn(&mut Model)| {
            let mut teacher = teacher();
            change(&mut teacher);
            check(&teacher, &start).map_or_else(|e| e.to_string(), |()| String::new())
        };
        assert_eq!(refused(|_| ()), "");
        assert!(refused(|teacher| teacher.std[1] = 0.5).contains("standardised"));
        assert!(refused(|teacher| teacher.header.net.widths.push(32)).contains("sizes"));
        assert!(refused(|teacher| teacher.header.distilled = true).contains("few steps"));
        assert!(check(&start, &start).unwrap_err().to_string().contains("the same"));
        let mut teacher = teacher();
        (teacher.header.net.keys, start.header.net.keys) = (false, false);
        assert!(check(&teacher, &start).unwrap_err().to_string().contains("no loops in keys"));
    }
}
