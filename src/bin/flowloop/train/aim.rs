//! What a training is to bring about: how its kinds differ.

use std::rc::Rc;

use anyhow::{anyhow, ensure};
use flowloop::dataset::evenly;
use flowloop::device::Adapter;
use flowloop::flow::objective::TimeSampling;
use flowloop::model::Model;
use flowloop::training::distil::{self, DistilError};
use flowloop::training::latents::{LatentLoop, LatentSet};
use flowloop::training::sharpen::Sharpened;
use flowloop::training::{Trainer, constant_loss, straighten};

use super::Train;
use super::beginning::named;

/// Loops of the validation split that are looked at, at most.
pub(super) const VALIDATED: usize = 128;

/// What to learn, and from what beside a folder's loops.
pub(super) enum Aim {
    /// Loops like those of the folder.
    Loops,
    /// To make them in few steps, from so many pairs.
    Straighten(usize),
    /// To go beyond a worse model.
    Sharpen(Rc<Sharpened>),
    /// To make in few steps what is hard to tell from loops by what this model sees.
    Distil(Box<Model>),
}

impl Aim {
    /// That of the options. Models that do not go together are named.
    pub fn of(options: &Train, base: Option<&Model>, adapter: &Adapter) -> anyhow::Result<Self> {
        ensure!(options.straighten != Some(0), "--straighten must be at least 1");
        // The command line asks for one of them, and for --from with it.
        Ok(match (options.straighten, &options.sharpen, &options.distil, base) {
            (Some(count), ..) => Self::Straighten(count),
            (_, Some(worse), _, Some(base)) => {
                let worse = named(worse)?;
                let sharpened = Sharpened::new(base.clone(), worse, adapter).map_err(|e| anyhow!("--sharpen: {e}"))?;
                Self::Sharpen(Rc::new(sharpened))
            }
            (_, _, Some(teacher), Some(base)) => {
                let teacher = named(teacher)?;
                distil::check(&teacher, base).map_err(|e| anyhow!("--distil: {e}"))?;
                Self::Distil(Box::new(teacher))
            }
            _ => Self::Loops,
        })
    }

    /// Step size where none is asked for.
    pub fn rate(&self, goes_on: bool) -> f64 {
        match self {
            Self::Distil(_) => 5e-5,
            Self::Sharpen(_) => 6e-5,
            _ if goes_on => 2e-4,
            _ => 8e-4,
        }
    }

    /// A distillation draws times of its own, and learns the even steps of straightened models' runs.
    pub fn times(&self) -> TimeSampling {
        match self {
            Self::Straighten(_) | Self::Distil(_) => straighten::TIMES,
            Self::Loops | Self::Sharpen(_) => TimeSampling::default(),
        }
    }

    /// Digest of the model that is learnt from beside the one that is gone on from.
    pub fn other(&self) -> &str {
        match self {
            Self::Sharpen(sharpened) => sharpened.worse(),
            Self::Distil(teacher) => &teacher.hash,
            Self::Loops | Self::Straighten(_) => "",
        }
    }

    /// Whether loops of `set` can be learnt so: what is learnt from models must be what they know.
    pub fn check(&self, set: &LatentSet, base: Option<&Model>) -> anyhow::Result<()> {
        let (which, base) = match (self, base) {
            (Self::Sharpen(_), Some(base)) => ("--sharpen", base),
            (Self::Distil(_), Some(base)) => ("--distil", base),
            _ => return Ok(()),
        };
        let unknown = |label: &&String| !base.header.labels.contains(label);
        let unknown: Vec<&str> = set.labels.iter().filter(unknown).map(String::as_str).collect();
        ensure!(unknown.is_empty(), "{which}: --from knows no loops of {}; leave them out", unknown.join(", "));
        let keyless = matches!(self, Self::Distil(_)) && !set.has_keys();
        ensure!(!keyless, "--distil: {}", DistilError::Keyless("FOLDER"));
        Ok(())
    }

    /// Tells a trainer, which may have gone on from `base`.
    pub fn begin(&self, trainer: &mut Trainer, base: Option<&Model>) -> anyhow::Result<()> {
        match (self, base) {
            (Self::Sharpen(sharpened), _) => trainer.learn_from(Rc::clone(sharpened) as _),
            (Self::Distil(teacher), Some(base)) => {
                trainer.distil(teacher, base).map_err(|e| anyhow!("--distil: {e}"))?;
            }
            _ => (),
        }
        Ok(())
    }

    /// The loops that can judge it: what a distilled net does in one step of four is no velocity to be judged by.
    pub fn judges(&self, set: &LatentSet) -> Vec<LatentLoop> {
        match self {
            Self::Distil(_) => Vec::new(),
            _ => evenly(&set.validation, VALIDATED).cloned().collect(),
        }
    }

    /// What to compare the validation loss with, if it is the distance to loops.
    pub fn by_guessing(&self, judges: &[LatentLoop]) -> Option<f64> {
        (!judges.is_empty() && !matches!(self, Self::Sharpen(_))).then(|| constant_loss(judges))
    }

    /// Which loss it is that falls.
    pub fn loss(&self) -> &'static str {
        if matches!(self, Self::Distil(_)) { "the discriminator's loss" } else { "loss" }
    }

    /// Why there was nothing more to be learnt.
    pub fn learnt(&self) -> &'static str {
        match self {
            Self::Sharpen(_) => "The two models were followed no better since (--patience 0 goes on all the same)",
            _ => {
                "Held-out loops were learnt no better since: more steps would only memorise (--patience 0 makes them all the same); more loops would help"
            }
        }
    }
}
