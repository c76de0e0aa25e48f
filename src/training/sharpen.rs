//! What a model learns from to be better than what taught it: its own velocities, pushed away from what a worse model
//! of the same kind does (autoguidance). The push costs a second net in each step of a run; learnt, it costs nothing.
//!
//! The student sees loops and noise as in any training, but the velocity that it is to predict is the pushed one: it
//! has no chance in it, so that few steps are enough.
//!
//! Source: Karras et al., 2024 (arXiv 2406.02507); learnt by the net itself: Meng et al., 2023 (arXiv 2210.03142).

use burn::tensor::Tensor;

use super::alike::{self, Unlike};
use crate::device::Adapter;
use crate::flow::guidance::Autoguided;
use crate::flow::{Condition, Velocity};
use crate::model::{GenerateError, Generator, Model};

/// How far beyond the better model: 1 is no farther.
const STRENGTH: f32 = 1.5;
/// Times between which the push sets in: what loops are is decided where there is more noise.
const SETS_IN: std::ops::Range<f32> = 0.4..0.6;

/// A model and a worse one, on a device.
pub struct Sharpened {
    better: Generator,
    worse: Generator,
}

/// A net that is told what it knows of a condition.
struct Told<'a>(&'a Generator);

impl Velocity for Told<'_> {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let net = &self.0.model().header.net;
        let told = |c: &Condition| Condition {
            label: c.label.filter(|label| *label < net.labels),
            mode: c.mode.filter(|_| net.keys),
            ..*c
        };
        self.0.velocity().velocity(x, t, &conditions.iter().map(told).collect::<Vec<_>>())
    }
}

/// Why there is nothing to be learnt from two models; each message says what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum SharpenError {
    #[error(transparent)]
    Unlike(#[from] Unlike),
    #[error("the two models are the same; choose one that learnt less")]
    Same,
    #[error(transparent)]
    Device(#[from] GenerateError),
}

impl Sharpened {
    /// Puts both on a device. They must understand the same latents, and the better one all that the worse one is
    /// told.
    pub fn new(better: Model, worse: Model, adapter: &Adapter) -> Result<Self, SharpenError> {
        alike::check(&better, &worse)?;
        if better.weights == worse.weights {
            return Err(SharpenError::Same);
        }
        Ok(Self { better: Generator::new(better, adapter)?, worse: Generator::new(worse, adapter)? })
    }

    /// Digest of the worse model's file.
    pub fn worse(&self) -> &str {
        &self.worse.model().hash
    }
}

impl Velocity for Sharpened {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let worse = Told(&self.worse);
        let net = self.better.velocity();
        Autoguided { net, worse: &worse, strength: STRENGTH, sets_in: SETS_IN }.velocity(x, t, conditions)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use burn::tensor::Device;

    use super::*;
    use crate::device;
    use crate::flow::unet::UNetConfig;
    use crate::training::latents::LatentSet;
    use crate::training::{Trainer, TrainingConfig};

    fn model(seed: u64) -> Model {
        let net = UNetConfig { stem: 32, last_width: 32, blocks: 1, ..UNetConfig::plain(4, 32, 1) };
        Device::flex().seed(seed);
        Model::fresh("tiny", net)
    }

    #[test]
    fn the_push_is_learnt() {
        let mut set = LatentSet::of_noise(4, 8, 30);
        set.validation = set.training.split_off(20);
        let (better, worse) = (model(1), model(2));
        let config = TrainingConfig { batch: 8, warm_up: 1, learning_rate: 1e-3, ..TrainingConfig::default() };
        let from = (&better.header.net, &better.weights);
        let mut trainer = Trainer::from_weights(from.0, from, config, &Device::flex()).unwrap();
        trainer.learn_from(Rc::new(Sharpened::new(better.clone(), worse, &device::cpu()).unwrap()));
        let before = trainer.judge(&set.validation, 4).loss;
        let first = trainer.advance(&set).into_scalar::<f32>();
        (0..150).for_each(|_| drop(trainer.advance(&set)));
        let last = trainer.advance(&set).into_scalar::<f32>();
        let after = trainer.judge(&set.validation, 4).loss;
        assert!(before > 1e-3, "untrained nets differ: {before}");
        assert!(after < 0.3 * before && last < 0.5 * first, "{before} {after}, {first} {last}");
    }

    #[test]
    fn models_of_other_kinds_are_refused() {
        let sharpened = |change: fn(&mut Model)| {
            let mut worse = model(2);
            change(&mut worse);
            Sharpened::new(model(1), worse, &device::cpu()).map(drop).map_err(|e| e.to_string())
        };
        assert_eq!(sharpened(|_| ()), Ok(()));
        let refused = |change, what: &str| {
            let said = sharpened(change).unwrap_err();
            assert!(said.contains(what), "{said}");
        };
        refused(|worse| worse.mean[1] = 0.5, "standardised");
        refused(|worse| worse.header.labels = vec!["kicks".into()], "labels");
        refused(|worse| worse.header.net.keys = true, "keys");
        refused(|worse| *worse = model(1), "the same");
    }
}
