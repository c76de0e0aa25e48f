//! Training: latents in, a model out.
//!
//! [`latents`] turns loops (or another codec's latents) into a standardised set, [`Trainer`] makes
//! one step after the other, on several devices if need be (`shares`), [`checkpoint`] keeps it safe,
//! [`straighten`] and `distil` make what models for few steps learn from, [`sharpen`] what one learns from that is to
//! be better than its teacher (`alike`: which two models can teach each other). Each step draws its loops, times and
//! noise from counters of (seed, step), so a resumed run sees what an unbroken one would have seen.
//! Runs on the companion's main thread, on any Burn device.

mod adamw;
mod alike;
pub mod checkpoint;
mod discriminator;
pub mod distil;
pub mod ema;
pub mod expectation;
pub mod latents;
mod shares;
pub mod sharpen;
pub mod straighten;

use std::rc::Rc;

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};

use crate::flow::Velocity;
use crate::flow::objective::{self, TimeSampling};
use crate::flow::unet::{UNet, UNetConfig, Weights, weights_of, with_weights};
use crate::model::Model;
use crate::random::Philox;
use adamw::AdamW;
use discriminator::Judges;
use distil::Distilled;
use ema::Ema;
use latents::{LatentLoop, LatentSet};
use shares::{Batch, Helper};

/// Settings of a run; a checkpoint remembers them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainingConfig {
    /// Loops a step.
    pub batch: usize,
    /// Adam's step size after the warm-up.
    pub learning_rate: f64,
    /// Steps over which the step size rises from 0.
    pub warm_up: u64,
    /// Steps after which the step size falls with the root of the steps, so that no run needs to know
    /// where it will end.
    pub steady: u64,
    /// Power of the running average of the weights: a step counts in proportion to its number to this
    /// power. 7 averages over the last eighth or so of the run, however long that is.
    pub ema_power: f64,
    /// Share of loops shown without their label, half of them without their key too, for guidance; as many are
    /// shown without their key alone.
    pub label_dropout: f64,
    /// Distribution of the training times.
    pub times: TimeSampling,
    /// Names the run's random numbers.
    pub seed: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            batch: 32,
            learning_rate: 8e-4,
            warm_up: 100,
            steady: 2000,
            ema_power: 7.0,
            label_dropout: 0.1,
            times: TimeSampling::default(),
            seed: 0,
        }
    }
}

impl TrainingConfig {
    /// Step size of the step after `done` ones: up in a line, level, down with the root (Karras et al., 2024,
    /// arXiv 2312.02696, equation 15).
    fn rate(&self, done: u64) -> f64 {
        let up = ((done + 1) as f64 / self.warm_up.max(1) as f64).min(1.0);
        let down = (self.steady.max(1) as f64 / (done + 1) as f64).sqrt().min(1.0);
        self.learning_rate * up * down
    }

    /// How much of the average stays at step `step` (the first is 1, and leaves next to nothing of the
    /// random start): the power function average of the same paper, equation 9.
    fn ema_decay(&self, step: u64) -> f64 {
        (1.0 - 1.0 / (step + 1) as f64).powf(self.ema_power + 1.0)
    }
}

/// Random streams of one step.
#[derive(Clone, Copy)]
enum Draw {
    Loops,
    Times,
    Noise,
    Labels,
    Bars,
}

const DRAWS: u64 = 8;
/// Stream numbers of the validation noise, apart from those of the steps.
const VALIDATION_STREAM: u64 = 1 << 62;
/// Stream number and size of a net's first weights for modes.
const MODES_STREAM: u64 = (1 << 62) - 1;
const MODES: f32 = 0.05;
/// Latent frames of a 4/4 bar, the unit of rotation.
const BAR: usize = 4 * crate::codec::LATENTS_PER_BEAT;

/// A net in training.
pub struct Trainer {
    config: TrainingConfig,
    /// None only while a step has it: weights that nobody else holds are changed in place.
    net: Option<UNet>,
    optimizer: ModuleOptimizer,
    ema: Ema,
    step: u64,
    best: Option<Judged>,
    device: Device,
    helpers: Vec<Helper>,
    teacher: Option<Rc<dyn Velocity>>,
    distilled: Option<Distilled>,
    /// That of a checkpoint, until it is taken up.
    judges: Option<Judges>,
}

/// How well the averaged net did on held-out loops.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Judged {
    /// Steps done.
    pub step: u64,
    /// Validation loss.
    pub loss: f64,
}

impl Trainer {
    /// A fresh net on `device` (made autodiff here).
    pub fn new(net: &UNetConfig, config: TrainingConfig, device: &Device) -> Self {
        let weights = fresh_weights(net, &config);
        Self::from_weights(net, (net, &weights), config, device).expect("a net's weights fit it")
    }

    /// Goes on from the weights of a trained net of `net`'s widths that may have fewer blocks, know fewer labels, and
    /// no modes: what it lacks changes nothing for loops without a new label or a mode. Says in a sentence what does
    /// not fit.
    pub fn from_weights(
        net: &UNetConfig,
        (from, weights): (&UNetConfig, &Weights),
        config: TrainingConfig,
        device: &Device,
    ) -> Result<Self, String> {
        let device = device.clone().autodiff();
        let blank = UNet::new(net, &device);
        let mut weights = told(net, from, weights);
        if net.blocks > from.blocks && from.blocks > 0 {
            for (name, fresh) in fresh_weights(net, &config) {
                weights.entry(name).or_insert(fresh);
            }
        }
        let net = with_weights(blank, &weights)?;
        let ema = Ema::new(&net);
        Ok(Self {
            optimizer: AdamW::of_module(),
            config,
            net: Some(net),
            ema,
            step: 0,
            best: None,
            device,
            helpers: Vec::new(),
            teacher: None,
            distilled: None,
            judges: None,
        })
    }

    /// From now on the velocities of `teacher`, on the net's device, are learnt instead of those to the loops, and
    /// judged by.
    pub fn learn_from(&mut self, teacher: Rc<dyn Velocity>) {
        self.teacher = Some(teacher);
    }

    /// From now on it learns to make in few steps what is hard to tell from loops by what `teacher` sees; it goes on
    /// from `start`. Says in a sentence what is wrong with the two.
    pub fn distil(&mut self, teacher: &Model, start: &Model) -> Result<(), String> {
        self.distilled = Some(Distilled::new(teacher, start, self)?);
        Ok(())
    }

    /// Other devices that take their shares of each batch from now on.
    pub fn share_with(&mut self, others: &[Device]) {
        self.helpers = others.iter().map(|device| Helper::new(self.net(), device)).collect();
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The run's settings.
    pub fn config(&self) -> &TrainingConfig {
        &self.config
    }

    /// The net in training.
    fn net(&self) -> &UNet {
        self.net.as_ref().expect("no step is under way")
    }

    /// The averaged net, the one to use.
    pub fn averaged(&self) -> UNet {
        self.ema.net(self.net())
    }

    /// One step on loops of `set`; returns the loss (of a distillation, the discriminator's) as a tensor, so that
    /// reading it can wait.
    pub fn advance(&mut self, set: &LatentSet) -> Tensor<1> {
        let Some(mut distilled) = self.distilled.take() else {
            let batch = self.batch(set);
            return self.learn(batch);
        };
        let (batch, loss) = distilled.batch(self, set);
        self.distilled = Some(distilled);
        self.learn(batch);
        loss
    }

    fn learn(&mut self, batch: Batch) -> Tensor<1> {
        let net = self.net.take().expect("no step is under way");
        let (loss, gradients) = match self.helpers.is_empty() {
            true => batch.gradients(&net, &self.device),
            false => shares::gradients(&net, &self.device, &mut self.helpers, &batch),
        };
        let net = self.optimizer.step(self.config.rate(self.step), net, gradients);
        self.step += 1;
        self.net = Some(self.ema.update(net, self.config.ema_decay(self.step)));
        loss
    }

    /// Loops, times and noise of the next step.
    fn batch(&self, set: &LatentSet) -> Batch {
        let loops = self.draw_loops(set);
        let shape = [loops.len(), set.channels, loops[0].frames];
        let drawn = self.random(Draw::Noise).normals(shape.iter().product());
        let rows = loops.iter().zip(drawn.chunks_exact(shape[1] * shape[2]));
        let mut batch = Batch {
            shape,
            noise: rows.flat_map(|(one, drawn)| one.noise.as_deref().unwrap_or(drawn)).copied().collect(),
            times: self.config.times.draw(&self.random(Draw::Times), shape[0]),
            conditions: loops.iter().map(LatentLoop::condition).collect(),
            data: loops.into_iter().flat_map(|one| one.values).collect(),
            taught: None,
        };
        batch.taught = self.teacher.as_deref().map(|teacher| batch.velocity_of(teacher, &self.device.clone().inner()));
        batch
    }

    fn random(&self, draw: Draw) -> Philox {
        Philox::new(self.config.seed, self.step * DRAWS + draw as u64)
    }

    /// Loops of one length, rotated by whole bars (where our codec says what a bar is), some without
    /// their label.
    fn draw_loops(&self, set: &LatentSet) -> Vec<LatentLoop> {
        let pick = self.random(Draw::Loops);
        let frames = set.training[pick.below(0, set.training.len())].frames;
        let same: Vec<&LatentLoop> = set.training.iter().filter(|l| l.frames == frames).collect();
        let (bars, labels) = (self.random(Draw::Bars), self.random(Draw::Labels));
        let places = if set.codec.is_some() { (frames / BAR).max(1) } else { 1 };
        let share = self.config.label_dropout;
        (0..self.config.batch as u64)
            .map(|i| {
                let (chosen, drawn) = (same[pick.below(1 + i, same.len())], labels.uniform(i));
                let label = chosen.label.filter(|_| drawn >= share);
                let mode = chosen.mode.filter(|_| (share / 2.0..share).contains(&drawn) || drawn >= 1.5 * share);
                LatentLoop { label, mode, ..chosen.rotated(BAR * bars.below(i, places)) }
            })
            .collect()
    }

    /// Judges the averaged net by held-out loops, at fixed times and noise, and remembers the best.
    pub fn judge(&mut self, loops: &[LatentLoop], channels: usize) -> Judged {
        let (device, times) = (self.device.clone().inner(), self.config.times);
        let loss = validation_loss(&self.averaged(), self.teacher.as_deref(), loops, channels, times, &device);
        let judged = Judged { step: self.step, loss };
        if self.best.is_none_or(|best| loss < best.loss) {
            self.best = Some(judged);
        }
        judged
    }

    /// The best so far, of this run and of those that it went on from.
    pub fn best(&self) -> Option<Judged> {
        self.best
    }

    /// Forgets the best, of which nothing is left: the next judgement is the best.
    pub fn forget_best(&mut self) {
        self.best = None;
    }
}

/// Mean loss of a net over loops, each at four fixed times with fixed noise; by a teacher's velocities, where there is
/// one.
pub fn validation_loss(
    net: &impl Velocity,
    teacher: Option<&dyn Velocity>,
    loops: &[LatentLoop],
    channels: usize,
    times: TimeSampling,
    device: &Device,
) -> f64 {
    const TIMES: usize = 4;
    let mut sum = 0.0;
    for (index, one) in loops.iter().enumerate() {
        let random = Philox::new(0, VALIDATION_STREAM + index as u64);
        let shape = [TIMES, channels, one.frames];
        let tensor = |v: Vec<f32>| Tensor::<3>::from_data(TensorData::new(v, shape), device);
        let data = tensor(one.values.repeat(TIMES));
        let noise = tensor(match &one.noise {
            Some(noise) => noise.repeat(TIMES),
            None => random.normals(shape.iter().product()),
        });
        let drawn = times.draw(&Philox::new(1, VALIDATION_STREAM + index as u64), TIMES);
        let t = Tensor::<1>::from_floats(drawn.as_slice(), device);
        let conditions = vec![one.condition(); TIMES];
        let x = objective::interpolate(data.clone(), noise.clone(), t.clone());
        let target = match teacher {
            Some(teacher) => teacher.velocity(x.clone(), t.clone(), &conditions),
            None => objective::target(data, noise),
        };
        let loss = objective::loss(net.velocity(x, t, &conditions), target);
        sum += f64::from(loss.into_scalar::<f32>());
    }
    sum / loops.len().max(1) as f64
}

/// The loss of always predicting the mean velocity, 0 for standardised latents.
pub fn constant_loss(loops: &[LatentLoop]) -> f64 {
    let squares = |l: &LatentLoop| l.values.iter().map(|v| f64::from(v * v)).sum::<f64>() / l.values.len() as f64;
    1.0 + loops.iter().map(squares).sum::<f64>() / loops.len().max(1) as f64
}

/// Weights of a fresh net, drawn on the CPU: the same everywhere.
fn fresh_weights(net: &UNetConfig, config: &TrainingConfig) -> Weights {
    let cpu = Device::flex();
    cpu.seed(config.seed);
    weights_of(&UNet::new(net, &cpu))
}

/// The weights of a net `from`, that is told fewer labels or no modes, made to fit `net`: labels are the last
/// inputs of the condition's first layer, modes come before them. A new label begins as no label at all; modes
/// are told apart from the first step on, for with nothing to begin with they would be learnt slowly.
fn told(net: &UNetConfig, from: &UNetConfig, weights: &Weights) -> Weights {
    let mut weights = weights.clone();
    if let Some(first) = weights.get_mut("condition.0.inner.weight")
        && let [inputs, outputs] = first.shape[..]
    {
        let mut insert = |at: usize, rows: Vec<f32>| {
            first.shape[0] += rows.len() / outputs;
            first.values.splice(at * outputs..at * outputs, rows);
        };
        insert(inputs, vec![0.0; net.labels.saturating_sub(from.labels) * outputs]);
        if net.keys && !from.keys {
            let drawn = Philox::new(0, MODES_STREAM).normals(net.mode_inputs() * outputs);
            insert(UNet::FIRST_MODE, drawn.iter().map(|v| MODES * v).collect());
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Condition;

    #[test]
    fn the_step_size_rises_stays_and_falls() {
        let config = TrainingConfig { learning_rate: 1.0, warm_up: 100, steady: 2000, ..TrainingConfig::default() };
        assert_eq!([0, 49, 99, 1000, 1999].map(|done| config.rate(done)), [0.01, 0.5, 1.0, 1.0, 1.0]);
        assert!((config.rate(7999) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn labels_begin_as_none_and_keys_apart() {
        let before = UNetConfig { blocks: 1, labels: 2, ..UNetConfig::plain(4, 32, 1) };
        let weights = weights_of(&UNet::new(&before, &Device::flex()));
        let name = "condition.0.inner.weight";
        let (rows, outputs) = (UNet::condition_inputs(&before), weights[name].shape[1]);
        for (labels, keys) in [(2, false), (3, false), (2, true), (5, true)] {
            let after = UNetConfig { labels, keys, ..before.clone() };
            let told = told(&after, &before, &weights);
            assert!(with_weights(UNet::new(&after, &Device::flex()), &told).is_ok());
            let row = |weights: &Weights, at: usize| weights[name].values[at * outputs..(at + 1) * outputs].to_vec();
            let key_rows = after.mode_inputs();
            for at in 0..UNet::condition_inputs(&after) {
                let known = match at.checked_sub(UNet::FIRST_MODE) {
                    None => Some(at),
                    Some(past) => past.checked_sub(key_rows).map(|label| UNet::FIRST_MODE + label),
                };
                let expected = known.filter(|at| *at < rows).map_or(vec![0.0; outputs], |at| row(&weights, at));
                if (UNet::FIRST_MODE..UNet::FIRST_MODE + key_rows).contains(&at) {
                    let key = row(&told, at);
                    assert!(key.iter().all(|v| v.abs() < 0.3) && key != row(&told, at - 1), "{key:?}");
                    continue;
                }
                assert_eq!(row(&told, at), expected, "{labels} labels, keys {keys}, input {at}");
            }
        }
    }

    #[test]
    fn new_blocks_begin_by_changing_nothing() {
        let before = UNetConfig { blocks: 1, labels: 2, stem: 32, last_width: 32, ..UNetConfig::plain(4, 32, 2) };
        let mut weights = weights_of(&UNet::new(&before, &Device::flex()));
        let values = weights.values_mut().flat_map(|weight| &mut weight.values);
        values.enumerate().for_each(|(i, value)| *value += 0.1 * (i as f32).sin());
        let grown = |blocks, seed| {
            let (net, config) =
                (UNetConfig { blocks, ..before.clone() }, TrainingConfig { seed, ..Default::default() });
            Trainer::from_weights(&net, (&before, &weights), config, &Device::flex()).unwrap().averaged()
        };
        let velocity = |net: &UNet| {
            let drawn = crate::flow::noise::of_seed(1, 0, 4, 16);
            let x = Tensor::from_data(TensorData::new(drawn, [1, 4, 16]), &Device::flex());
            let t = Tensor::from_data([0.7f32], &Device::flex());
            let condition = Condition { label: Some(1), ..Condition::any(120.0) };
            net.velocity(x, t, &[condition]).into_data().try_into_vec::<f32>().unwrap()
        };
        let [same, more] = [grown(1, 0), grown(3, 0)].map(|net| velocity(&net));
        assert!(same.iter().zip(&more).all(|(a, b)| (a - b).abs() < 1e-6) && same.iter().any(|v| v.abs() > 0.1));
        let new = |seed| weights_of(&grown(2, seed))["deep_blocks.1.conv.weight"].values.clone();
        assert!(new(0) == new(0) && new(0) != new(1), "the seed's own, and able to learn");
    }

    #[test]
    fn the_average_weighs_late_steps_whatever_the_length() {
        let config = TrainingConfig::default();
        for steps in [100u64, 10_000] {
            // The value averaged is the share of the run: its mean is that of a density of power 7.
            let mut average = -1.0;
            for step in 1..=steps {
                let decay = config.ema_decay(step);
                average = decay * average + (1.0 - decay) * step as f64 / steps as f64;
            }
            assert!((average - 8.0 / 9.0).abs() < 0.01, "{steps} steps: {average}");
        }
    }
}
