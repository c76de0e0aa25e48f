//! Checkpoints: a folder beside the model, written whole and then renamed, so that a kill at any
//! moment leaves the last complete one. The one before is kept too, for when a disk fails.
//!
//! `NAME.checkpoint/step-N/`: `net.bpk`, `average.bpk`, `optimizer.bpk` (Burn's records, which
//! keep the parameters' identities), those of a distillation's judges, and `state.json`, which knows the digests of the
//! others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;

use super::adamw::AdamW;
use super::discriminator::Judges;
use super::ema::Ema;
use super::{Judged, Trainer, TrainingConfig};
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
    /// When held-out loops were learnt best.
    #[serde(default)]
    pub best: Option<Judged>,
    /// Digest (BLAKE3) of each of the checkpoint's other files.
    pub files: BTreeMap<String, String>,
}

const RECORDS: [&str; 3] = ["net.bpk", "average.bpk", "optimizer.bpk"];

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum CheckpointError {
    #[error(
        "cannot write the checkpoint {path}: {reason}. The last one is kept; free some space or choose another place"
    )]
    Write { path: PathBuf, reason: String },
    #[error("cannot read the checkpoint {path}: {reason}. There is none before it; start again with --fresh")]
    Read { path: PathBuf, reason: String },
    #[error(
        "the checkpoint {path} belongs to another run ({what} differs). Use --fresh to start again, or another output name"
    )]
    Other { path: PathBuf, what: &'static str },
}

/// The complete checkpoints in `folder` with their steps, the newest first.
pub fn all(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let steps = entries.filter_map(|e| {
        let step = e.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
        Some((step, e.path()))
    });
    let mut steps: Vec<_> = steps.collect();
    steps.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    steps
}

/// Removes all checkpoints in `folder`, and the folder when it held nothing else.
pub fn remove(folder: &Path) {
    remove_all_but(folder, &[]);
    let _ = std::fs::remove_dir(folder);
}

/// Removes checkpoints and what is left of broken ones, but for `kept`.
fn remove_all_but(folder: &Path, kept: &[PathBuf]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with("step-");
        if ours && !kept.contains(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a checkpoint; keeps it and the one before, and removes the others.
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
    trainer.net().clone().save_file(part.join("net.bpk")).map_err(|e| wrong(e.to_string()))?;
    trainer.averaged().save_file(part.join("average.bpk")).map_err(|e| wrong(e.to_string()))?;
    trainer.optimizer.save(part.join("optimizer.bpk")).map_err(|e| wrong(e.to_string()))?;
    let judges = trainer.distilled.as_ref().map(|distilled| distilled.judges());
    if let Some(judges) = judges {
        judges.save(&part).map_err(wrong)?;
    }
    let written = RECORDS.iter().chain(judges.map(|_| &Judges::FILES).into_iter().flatten());
    let digests: std::io::Result<_> = written.map(|n| Ok((n.to_string(), digest(&part.join(n))?))).collect();
    let state = State {
        step: trainer.step,
        config: trainer.config.clone(),
        net: trainer.net().config().clone(),
        data: data.into(),
        best: trainer.best,
        files: digests.map_err(io)?,
    };
    let json = serde_json::to_vec_pretty(&state).expect("a state is plain data");
    std::fs::write(part.join("state.json"), json).map_err(io)?;
    std::fs::rename(&part, &path).map_err(io)?;
    let kept: Vec<_> = all(folder).into_iter().map(|(_, path)| path).take(2).collect();
    remove_all_but(folder, &kept);
    Ok(path)
}

fn digest(path: &Path) -> std::io::Result<String> {
    Ok(blake3::hash(&std::fs::read(path)?).to_hex().to_string())
}

/// Goes on from the newest checkpoint in `folder` that can be read; None where there is none.
/// `warn` hears of each one that cannot; it is put aside, for its step will be made again.
pub fn resume_newest(
    folder: &Path,
    net: &UNetConfig,
    config: &TrainingConfig,
    data: &str,
    device: &Device,
    warn: &mut dyn FnMut(&CheckpointError),
) -> Result<Option<Trainer>, CheckpointError> {
    let mut found = all(folder).into_iter().peekable();
    while let Some((step, path)) = found.next() {
        match resume(&path, net, config, data, device) {
            Err(error @ CheckpointError::Read { .. }) if found.peek().is_some() => {
                warn(&error);
                let _ = std::fs::rename(&path, folder.join(format!("step-{step}.damaged")));
            }
            result => return result.map(Some),
        }
    }
    Ok(None)
}

/// Goes on from a checkpoint; settings, net and data must be those of the run.
fn resume(
    path: &Path,
    net: &UNetConfig,
    config: &TrainingConfig,
    data: &str,
    device: &Device,
) -> Result<Trainer, CheckpointError> {
    let wrong = |reason: String| CheckpointError::Read { path: path.into(), reason };
    let json = std::fs::read(path.join("state.json")).map_err(|e| wrong(e.to_string()))?;
    let state: State = serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
    // Numbers may lose their last digit in JSON: both sides take that way.
    let json = serde_json::to_vec(config).expect("settings are plain data");
    let same_way: TrainingConfig = serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
    let differing = [
        (state.net != *net, "the net's size"),
        (state.config != same_way, "a setting"),
        (state.data != data, "the training set"),
    ];
    if let Some((_, what)) = differing.into_iter().find(|(differs, _)| *differs) {
        return Err(CheckpointError::Other { path: path.into(), what });
    }
    let judged = state.files.contains_key(Judges::FILES[0]);
    for name in RECORDS.into_iter().chain(judged.then_some(Judges::FILES).into_iter().flatten()) {
        let found = digest(&path.join(name)).map_err(|e| wrong(format!("{name}: {e}")))?;
        if state.files.get(name) != Some(&found) {
            return Err(wrong(format!("{name} is damaged")));
        }
    }
    let autodiff = device.clone().autodiff();
    let load = |net: UNet, name: &str| net.try_load_file(path.join(name)).map_err(|e| wrong(e.to_string()));
    let trained = load(UNet::new(net, &autodiff), "net.bpk")?;
    let average = load(UNet::new(net, device), "average.bpk")?;
    let optimizer = AdamW::of_module().load(path.join("optimizer.bpk")).map_err(|e| wrong(e.to_string()))?;
    let judges = judged.then(|| Judges::load(net, path, device)).transpose().map_err(wrong)?;
    Ok(Trainer {
        config: config.clone(),
        net: Some(trained),
        optimizer,
        ema: Ema::new(&average),
        step: state.step,
        best: state.best,
        device: autodiff,
        helpers: Vec::new(),
        teacher: None,
        distilled: None,
        judges,
    })
}
