//! `flowloop train`: a folder of loops to a model.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{bail, ensure};
use clap::Args;
use flowloop::codec::{CodecConfig, LATENTS_PER_BEAT};
use flowloop::dataset::{self, ScanOptions};
use flowloop::device::Adapter;
use flowloop::flow::layers::Padding;
use flowloop::flow::unet::{UNetConfig, weights_of};
use flowloop::model::{Header, Model, Precision};
use flowloop::training::latents::LatentSet;
use flowloop::training::{Trainer, TrainingConfig, checkpoint, constant_loss};

#[derive(Args)]
pub struct Train {
    /// Folder of loops; its sub-folders name the labels
    #[arg(required_unless_present = "latents", conflicts_with = "latents")]
    folder: Option<PathBuf>,
    /// Train on latents of another codec instead: a safetensors file with `latents` [loop, channel, frame]
    #[arg(long)]
    latents: Option<PathBuf>,
    /// Model file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Training steps in all
    #[arg(long, default_value_t = 4000)]
    steps: u64,
    /// Loops a step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Step size
    #[arg(long, default_value_t = 8e-4)]
    learning_rate: f64,
    /// Channels of the layers, from the outside in
    #[arg(long, value_delimiter = ',', default_value = "256,320,384")]
    widths: Vec<usize>,
    /// Residual blocks at each level; 0 is the tutorial's plain net
    #[arg(long, default_value_t = 1)]
    blocks: usize,
    /// Share of the loops held out
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Steps between checkpoints
    #[arg(long, default_value_t = 200)]
    every: u64,
    /// Ignore checkpoints and start again
    #[arg(long)]
    fresh: bool,
    /// Name and credits to put into the model
    #[arg(long, default_value = "")]
    credits: String,
}

/// Loops of the validation split that are looked at, at most.
const VALIDATED: usize = 128;
/// Steps between two readings of the loss: reading it makes a GPU wait.
const READ_EVERY: u64 = 10;

impl Train {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.batch > 0 && self.steps > 0 && self.every > 0, "--batch, --steps and --every must be at least 1");
        ensure!(self.learning_rate.is_finite() && self.learning_rate > 0.0, "--learning-rate must be positive");
        ensure!((0.0..0.9).contains(&self.validation), "--validation must be between 0 and 0.9");
        let adapter = flowloop::device::choose(&self.device)?;
        let set = self.latent_set()?;
        let net = self.net(&set);
        net.validate().map_err(anyhow::Error::msg)?;
        let config = TrainingConfig {
            batch: self.batch, learning_rate: self.learning_rate, seed: self.seed, ..TrainingConfig::default()
        };
        let folder = checkpoint_folder(&self.output);
        let data = set.digest();
        let trainer = match checkpoint::newest(&folder).filter(|_| !self.fresh) {
            Some((step, path)) => {
                println!("going on from step {step} ({})", path.display());
                checkpoint::resume(&path, &net, &config, &data, &adapter.device)?
            }
            None => {
                let _ = std::fs::remove_dir_all(&folder);
                Trainer::new(&net, config, &adapter.device)
            }
        };
        self.train(trainer, &set, &data, &folder, &adapter)
    }

    fn stride(&self) -> usize {
        1 << self.widths.len().min(16)
    }

    fn net(&self, set: &LatentSet) -> UNetConfig {
        UNetConfig {
            channels: set.channels,
            widths: self.widths.clone(),
            last_width: self.widths.first().map_or(1, |w| (w / 2).max(1)),
            time_features: 128,
            padding: Padding::Circular,
            blocks: self.blocks,
            frames_per_beat: set.codec.is_some().then_some(LATENTS_PER_BEAT),
            labels: if self.blocks > 0 { set.labels.len() } else { 0 },
        }
    }

    fn latent_set(&self) -> anyhow::Result<LatentSet> {
        if let Some(path) = &self.latents {
            return Ok(LatentSet::from_file(path, self.stride())?);
        }
        let Some(folder) = &self.folder else { bail!("name a folder of loops") };
        let bar = super::bar(0, "reading");
        let scanned = dataset::scan(folder, &ScanOptions::default(), &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        println!("{}", scanned.report());
        let (training, validation) = dataset::split(&scanned.loops, self.validation, self.seed);
        let bar = super::bar(0, "fitting the codec");
        let config = CodecConfig::default();
        let set = LatentSet::encode(&training, &validation, config, None, self.stride(), &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        println!("{} loops to learn from, {} held out, {} labels", set.training.len(), set.validation.len(), set.labels.len());
        Ok(set)
    }

    fn train(&self, mut trainer: Trainer, set: &LatentSet, data: &str, folder: &Path, adapter: &Adapter) -> anyhow::Result<()> {
        let stop = super::interruption()?;
        let held_out = &set.validation[..set.validation.len().min(VALIDATED)];
        if !held_out.is_empty() {
            println!("predicting a constant would give validation loss {:.4}", constant_loss(held_out));
        }
        let bar = super::bar(self.steps, &format!("training on {}", adapter.name));
        bar.set_position(trainer.step());
        bar.reset_eta();
        let (mut pending, mut validation) = (Vec::new(), String::new());
        while trainer.step() < self.steps && !stop.load(Ordering::Relaxed) {
            pending.push(trainer.advance(set));
            bar.set_position(trainer.step());
            let last = trainer.step() == self.steps;
            if trainer.step().is_multiple_of(READ_EVERY) || last {
                let losses: Vec<f32> = pending.drain(..).map(|l| l.into_scalar::<f32>()).collect();
                let loss = losses.iter().sum::<f32>() / losses.len() as f32;
                ensure!(loss.is_finite(), "the loss is no longer a number at step {}: the training diverged. Its last checkpoint is kept in {}; try a smaller --learning-rate with --fresh", trainer.step(), folder.display());
                bar.set_message(format!("loss {loss:.4}{validation}"));
            }
            if trainer.step().is_multiple_of(self.every) || last {
                checkpoint::save(folder, &trainer, data)?;
                self.model(&trainer, set).save(&self.output, Precision::Half)?;
                if !held_out.is_empty() {
                    let loss = trainer.validation_loss(held_out, set.channels);
                    validation = format!(", validation {loss:.4}");
                    let line = format!("step {}: validation loss {loss:.4}", trainer.step());
                    if bar.is_hidden() { println!("{line}") } else { bar.println(line) }
                }
            }
        }
        checkpoint::save(folder, &trainer, data)?;
        self.model(&trainer, set).save(&self.output, Precision::Half)?;
        bar.finish_and_clear();
        let how = if trainer.step() < self.steps { "stopped" } else { "done" };
        println!("{how} at step {}: {} (run the same command to go on; --steps sets how far)", trainer.step(), self.output.display());
        Ok(())
    }

    fn model(&self, trainer: &Trainer, set: &LatentSet) -> Model {
        let net = trainer.averaged();
        let labels = if net.config().labels > 0 { set.labels.clone() } else { Vec::new() };
        let header = Header {
            version: 1,
            name: self.output.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned()),
            credits: self.credits.clone(),
            net: net.config().clone(),
            labels,
            codec: set.codec.as_ref().map(|c| c.config().clone()),
            trained_steps: trainer.step(),
        };
        Model {
            header,
            weights: weights_of(net),
            mean: set.mean.clone(),
            std: set.std.clone(),
            codec: set.codec.clone(),
            hash: String::new(),
        }
    }
}

fn checkpoint_folder(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(".checkpoint");
    output.with_file_name(name)
}
