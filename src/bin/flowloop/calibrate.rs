//! `flowloop calibrate`: measures what a model's training loops are like and what its runs make of them, and
//! puts it into the file, for generating to go by.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use flowloop::clip::Clip;
use flowloop::codec::expectation::Example;
use flowloop::codec::{Codec, CodecError};
use flowloop::dataset::{self, ScanOptions, evenly};
use flowloop::device::Adapter;
use flowloop::model::{Generator, Model, Precision, drift, levels};
use flowloop::training::expectation::{self, DROPPED, PARTIALS};
use flowloop::training::latents::{LatentLoop, LatentSet};
use flowloop::transpose;

/// Audio that the codec's decoding is measured on: spread evenly over the folder.
const MEASURED_SECONDS: f64 = 1200.0;

#[derive(Args)]
pub struct Calibrate {
    /// Model file; it is written anew, with 16-bit weights
    model: PathBuf,
    /// Folder of loops that it was trained on: how they spread, how loud they are and what decoding must give
    /// back is measured anew too
    #[arg(long, value_name = "FOLDER")]
    loops: Option<PathBuf>,
    /// Teach decoding anew, too, what to expect of such loops: what the codec drops, where partials lie; hours of
    /// them do better than minutes
    #[arg(long, requires = "loops")]
    teach: bool,
    /// auto, cpu, gpu, gpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Calibrate {
    pub fn run(self) -> anyhow::Result<()> {
        super::check_output(&self.model, &[])?;
        let mut model = Model::load(&self.model)?;
        let adapter = super::device_for(&model, &self.device)?;
        let mut training = Vec::new();
        if let Some(folder) = &self.loops {
            let set = heard(&mut model, folder, self.teach)?;
            training = some_of(&set);
            model.spread = Some(set.spread);
        }
        let model = measured(model, &training, &adapter)?;
        for drift in &model.drift {
            let left = |ratios: &[f32]| {
                let mean = ratios.iter().map(|r| r.ln()).sum::<f32>() / ratios.len().max(1) as f32;
                (mean * drift.steps as f32).exp()
            };
            println!(
                "{:>2} steps{}{}: without correction loops would vary by {:.3} of what they should, and differ by {:.3}",
                drift.steps,
                if drift.renewed { ", noise renewed" } else { "" },
                match drift.keyed {
                    None => "",
                    Some(false) => ", loops without keys",
                    Some(true) => ", loops in keys",
                },
                left(&drift.within),
                left(&drift.between)
            );
        }
        Ok(model.save(&self.model, Precision::Half)?)
    }
}

/// The loops of a folder as the model's codec encodes them. What its decoding gives back is measured on them.
fn heard(model: &mut Model, folder: &Path, teach: bool) -> anyhow::Result<LatentSet> {
    let mut codec = model.codec.take().context("the model has no codec: its latents belong to another one")?;
    let keys = model.header.net.keys;
    let options = ScanOptions { enough_seconds: MEASURED_SECONDS, keys, ..ScanOptions::default() };
    let mut progress = super::Progress::new(0, "measuring the codec");
    let some = dataset::scan(folder, &options, &mut |done, all| progress.set(done as u64, all as u64))?;
    drop(progress);
    let clips: Vec<_> = some.loops.iter().map(|l| transpose::to_white(&l.clip, l.key)).collect();
    let clips: Vec<&Clip> = clips.iter().map(|clip| &**clip).collect();
    if teach {
        codec = taught(codec, &clips, folder, keys)?;
    }
    let codec = codec.measured(&clips)?;
    model.codec = Some(codec.clone());
    let scanned = super::train::loops::encoded_by(&codec, folder, keys)?;
    let loops: Vec<_> = scanned.loops.iter().collect();
    Ok(LatentSet::new(&loops, &[], codec, Some(model), model.header.net.stride())?)
}

/// The codec with what all loops of a folder teach it to expect: what it drops, in components that `some` of them
/// have, and where partials lie.
fn taught(codec: Codec, some: &[&Clip], folder: &Path, keys: bool) -> anyhow::Result<Codec> {
    let codec = codec.with_residual(None).with_partials(None);
    let lesson = codec.lesson(some)?.context("there are too few loops to learn from")?;
    let mut progress = super::Progress::new(0, "reading what it drops and where partials lie");
    let options = ScanOptions { keys, ..ScanOptions::default() };
    let both = |clip: Clip, key| {
        let white = transpose::to_white(&clip, key);
        let dropped = codec.dropped(&lesson, &white)?;
        let shape = codec.shape(&white, dropped.latents.clone());
        Ok::<_, CodecError>((dropped, shape))
    };
    let scanned = dataset::scan_each(folder, &options, &both, &mut |done, all| {
        progress.set(done as u64, all as u64);
    })?;
    drop(progress);
    let examples: Result<Vec<_>, _> = scanned.loops.into_iter().map(|one| one.clip).collect();
    let (dropped, shapes): (Vec<_>, Vec<_>) = examples?.into_iter().unzip();
    let learn = |examples: Vec<Example>, hidden: usize, what: &str| {
        let mut progress = super::Progress::new(0, "learning it");
        let learnt = expectation::learn(&examples, hidden, &mut |done, all| {
            progress.set(done as u64, all as u64);
            ControlFlow::Continue(())
        });
        drop(progress);
        let learnt = learnt.context("cancelled")?;
        println!("of {what} {:.0} % can be told from the latents", 100.0 * learnt.share);
        anyhow::Ok(learnt.layers)
    };
    let residual = learn(dropped, DROPPED, "what the codec drops")?.map(|layers| codec.taught(&lesson, layers));
    let partials = learn(shapes, PARTIALS, "where partials lie")?.map(|layers| codec.taught_partials(layers));
    Ok(codec.with_residual(residual).with_partials(partials))
}

/// Loops to compare the model's levels with, spread evenly over all.
pub(super) fn some_of(set: &LatentSet) -> Vec<LatentLoop> {
    let most = levels::enough(set.labels.len());
    evenly(&set.training, most).cloned().collect()
}

/// The model with its drift measured anew, and its levels beside those of training loops, if there are any.
pub(super) fn measured(mut model: Model, training: &[LatentLoop], adapter: &Adapter) -> anyhow::Result<Model> {
    model.drift.clear();
    let mut generator = Generator::new(model, adapter)?;
    let mut progress = super::Progress::new(0, "measuring what it makes");
    let drift = drift::measure(&generator, &mut |done, all| {
        progress.set(done.into(), all.into());
        ControlFlow::Continue(())
    })?;
    generator.set_drift(drift);
    let heard: Vec<_> = training.iter().map(LatentLoop::heard).collect();
    let levels = levels::measure(&generator, &heard, &mut |done, all| {
        progress.set(done.into(), all.into());
        ControlFlow::Continue(())
    })?;
    drop(progress);
    let mut model = generator.into_model();
    if let Some((levels, tuning)) = levels {
        (model.levels, model.tuning) = (Some(levels), tuning);
    }
    Ok(model)
}
