//! `flowloop calibrate`: measures how a model's loops spread and its runs drift, and puts it into the file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use flowloop::device::Adapter;
use flowloop::model::{Generator, Model, Precision, Spread, drift};
use flowloop::training::latents::LatentSet;

#[derive(Args)]
pub struct Calibrate {
    /// Model file; it is written anew, with 16-bit weights
    model: PathBuf,
    /// Folder of loops that it was trained on: how they spread is measured anew too
    #[arg(long, value_name = "FOLDER")]
    loops: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Calibrate {
    pub fn run(self) -> anyhow::Result<()> {
        super::check_output(&self.model, &[])?;
        let mut model = Model::load(&self.model)?;
        let adapter = super::device_for(&model, &self.device)?;
        if let Some(folder) = &self.loops {
            model.spread = Some(spread(&model, folder)?);
        }
        let model = measured(model, &adapter)?;
        for drift in &model.drift {
            let left = |ratios: &[f32]| {
                let mean = ratios.iter().map(|r| r.ln()).sum::<f32>() / ratios.len().max(1) as f32;
                (mean * drift.steps as f32).exp()
            };
            println!(
                "{:>2} steps: without correction loops would vary by {:.3} of what they should, and differ by {:.3}",
                drift.steps,
                left(&drift.within),
                left(&drift.between)
            );
        }
        Ok(model.save(&self.model, Precision::Half)?)
    }
}

/// How the loops of a folder spread in the model's latents.
fn spread(model: &Model, folder: &Path) -> anyhow::Result<Spread> {
    let codec = model.codec.clone().context("the model has no codec: its latents belong to another one")?;
    let scanned = super::train::loops::encoded_by(&codec, folder)?;
    let loops: Vec<_> = scanned.loops.iter().collect();
    Ok(LatentSet::new(&loops, &[], codec, Some(model), model.header.net.stride())?.spread)
}

/// The model with its drift measured anew.
pub(super) fn measured(model: Model, adapter: &Adapter) -> anyhow::Result<Model> {
    let generator = Generator::new(model, adapter.device.clone())?;
    let mut progress = super::Progress::new(0, "measuring what it makes");
    let drift = drift::measure(&generator, &mut |done, all| {
        progress.set(done.into(), all.into());
        ControlFlow::Continue(())
    })?;
    let mut model = generator.model().clone();
    model.drift = drift;
    Ok(model)
}
