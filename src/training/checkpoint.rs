//! Checkpoints: a folder beside the model, written whole and then renamed, so that a kill at any
//! moment leaves the last complete one.
//!
//! `NAME.checkpoint/step-N/`: `net.bpk`, `average.bpk`, `optimizer.bpk` (Burn's records, which
//! keep the parameters' identities) and `state.json`.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;

use super::ema::Ema;
use super::{Trainer, TrainingConfig, optimizer};
use crate::flow::unet::{UNet, UNetConfig};

/// What must agree before a run goes on.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Settings of the run.
    pub config: TrainingConfig,
    /// The net's size.
    pub net: UNetConfig,
    /// Digest of the training set.
    pub data: String,
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum CheckpointError {
    #[error("cannot write the checkpoint {path}: {reason}. The last one is kept; free some space or choose another place")]
    Write { path: PathBuf, reason: String },
    #[error("cannot read the checkpoint {path}: {reason}. Remove that folder to use the one before, or start again with --fresh")]
    Read { path: PathBuf, reason: String },
    #[error("the checkpoint {path} belongs to another run ({what} differs). Use --fresh to start again, or another output name")]
    Other { path: PathBuf, what: &'static str },
}

/// The newest complete checkpoint in `folder`, with its step.
pub fn newest(folder: &Path) -> Option<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let steps = entries.filter_map(|e| {
        let step = e.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
        Some((step, e.path()))
    });
    steps.max_by_key(|(step, _)| *step)
}

/// Writes a checkpoint and removes the older ones.
pub fn save(folder: &Path, trainer: &Trainer, data: &str) -> Result<PathBuf, CheckpointError> {
    let path = folder.join(format!("step-{}", trainer.step));
    let part = folder.join(format!("step-{}.part", trainer.step));
    let wrong = |reason: String| CheckpointError::Write { path: path.clone(), reason };
    let io = |e: std::io::Error| wrong(e.to_string());
    if path.exists() {
        return Ok(path);
    }
    let _ = std::fs::remove_dir_all(&part);
    std::fs::create_dir_all(&part).map_err(io)?;
    trainer.net.clone().save_file(part.join("net.bpk")).map_err(|e| wrong(e.to_string()))?;
    trainer.ema.net().clone().save_file(part.join("average.bpk")).map_err(|e| wrong(e.to_string()))?;
    trainer.optimizer.save(part.join("optimizer.bpk")).map_err(|e| wrong(e.to_string()))?;
    let state = State {
        step: trainer.step,
        config: trainer.config.clone(),
        net: trainer.net.config().clone(),
        data: data.into(),
    };
    let json = serde_json::to_vec_pretty(&state).expect("a state is plain data");
    std::fs::write(part.join("state.json"), json).map_err(io)?;
    let older = newest(folder);
    std::fs::rename(&part, &path).map_err(io)?;
    if let Some((_, old)) = older {
        let _ = std::fs::remove_dir_all(old);
    }
    Ok(path)
}

/// Goes on from a checkpoint; settings, net and data must be those of the run.
pub fn resume(
    path: &Path,
    net: &UNetConfig,
    config: &TrainingConfig,
    data: &str,
    device: &Device,
) -> Result<Trainer, CheckpointError> {
    let wrong = |reason: String| CheckpointError::Read { path: path.into(), reason };
    let json = std::fs::read(path.join("state.json")).map_err(|e| wrong(e.to_string()))?;
    let state: State = serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
    let differing = [
        (state.net != *net, "the net's size"),
        (state.config != *config, "a setting"),
        (state.data != data, "the training set"),
    ];
    if let Some((_, what)) = differing.into_iter().find(|(differs, _)| *differs) {
        return Err(CheckpointError::Other { path: path.into(), what });
    }
    let autodiff = device.clone().autodiff();
    let load = |net: UNet, name: &str| net.try_load_file(path.join(name)).map_err(|e| wrong(e.to_string()));
    let trained = load(UNet::new(net, &autodiff), "net.bpk")?;
    let average = load(UNet::new(net, device), "average.bpk")?;
    let optimizer = optimizer().load(path.join("optimizer.bpk")).map_err(|e| wrong(e.to_string()))?;
    Ok(Trainer {
        config: state.config,
        net: trained,
        optimizer,
        ema: Ema::from_net(average),
        step: state.step,
        device: autodiff,
    })
}
