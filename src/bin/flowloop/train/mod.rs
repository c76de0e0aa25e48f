//! `flowloop train`: a folder of loops to a model.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use flowloop::codec::CodecConfig;
use flowloop::device::{self, Adapter, remote};
use flowloop::flow::unet::weights_of;
use flowloop::model::{Header, Model, Precision, VERSION};
use flowloop::training::latents::{LatentLoop, LatentSet};
use flowloop::training::{Judged, Trainer, TrainingConfig, checkpoint};

use aim::Aim;

mod aim;
mod beginning;
pub(crate) mod loops;

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
    /// Model to go on from instead of starting from nothing: a file, or the word factory. Its size, codec
    /// and labels are taken over
    #[arg(long, conflicts_with_all = ["latents", "widths", "stem"])]
    from: Option<PathBuf>,
    /// Step size; left out, 8e-4, 2e-4 with --from, 6e-5 with --sharpen or 5e-5 with --distil
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Channels of the layers, from the outside in
    #[arg(long, value_delimiter = ',', default_value = "384")]
    widths: Vec<usize>,
    /// Residual blocks at each level; left out, as many as --from has, or 1. 0 is the tutorial's plain net; more
    /// than --from has make it grow: the new ones begin by changing nothing
    #[arg(long, conflicts_with_all = ["straighten", "sharpen", "distil"])]
    blocks: Option<usize>,
    /// Channels of the blocks at the full number of frames; 0 for none
    #[arg(long, default_value_t = 320)]
    stem: usize,
    /// Make a model for few steps out of --from: learn from so many pairs of a loop and the noise that the
    /// model ties to it
    #[arg(long, requires = "from", value_name = "PAIRS")]
    straighten: Option<usize>,
    /// Make --from better than what it learnt from loops: learn to go farther from what this worse model does, the
    /// same one as it was earlier in its training, or what it went on from (a file, or the word factory)
    #[arg(long, requires = "from", conflicts_with = "straighten", value_name = "WORSE")]
    sharpen: Option<PathBuf>,
    /// Make loops in keys of --from, a model that was straightened, better in runs of four steps (loops without keys
    /// stay as they are): learn to make such as are hard to tell from those of FOLDER by what
    /// this model sees in them, the one that it was straightened from (a file, or the word factory). Held-out loops
    /// cannot judge it: the newest is kept
    #[arg(long, requires = "from", conflicts_with_all = ["straighten", "sharpen"], value_name = "TEACHER")]
    distil: Option<PathBuf>,
    /// Share of the loops held out
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, gpu, gpu:N or remote:HOST:PORT; several, separated by commas, share each step
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Steps between checkpoints, each judged by the held-out loops; the model is the best of them and of --from. The
    /// first one has three before it, for few loops are soon known by heart
    #[arg(long, default_value_t = 100)]
    every: u64,
    /// Steps without a better judgement (or a quarter of the steps before them, if that is more) after which to
    /// stop; 0 to go on to --steps
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// Ignore checkpoints and start again
    #[arg(long)]
    fresh: bool,
    /// List every file that is used, also in a large folder
    #[arg(long)]
    verbose: bool,
    /// Credits to put into the model
    #[arg(long, default_value = "")]
    credits: String,
}

/// Where checkpoints are kept, and of what they must be to be gone on from.
struct Kept {
    folder: PathBuf,
    data: String,
}

/// Solver steps from which on a sharpened model is put right as it was before.
const SHARP_FROM: u32 = 8;
/// Steps between two readings of the loss: reading it makes a GPU wait.
const READ_EVERY: u64 = 10;

impl Train {
    pub fn run(mut self) -> anyhow::Result<()> {
        ensure!(self.steps > 0 && self.every > 0, "--steps and --every must be at least 1");
        ensure!((1..=4096).contains(&self.batch), "--batch must be between 1 and 4096");
        let sound = |rate: f64| rate.is_finite() && rate > 0.0;
        ensure!(self.learning_rate.is_none_or(sound), "--learning-rate must be positive");
        ensure!((0.0..0.9).contains(&self.validation), "--validation must be 0 or more and below 0.9");
        // Before minutes of reading: the settings, the output and the device.
        let base = self.base()?;
        if let Some(base) = base.as_ref().filter(|_| self.credits.is_empty()) {
            self.credits = base.header.credits.clone();
        }
        let channels = CodecConfig::default().channels;
        self.fresh_net(channels, true).validate().map_err(|e| anyhow!("{e}; change --widths, --blocks or --stem"))?;
        self.check_output()?;
        let devices = self.devices()?;
        let aim = Aim::of(&self, base.as_ref(), &devices[0])?;
        let set = self.latent_set(base.as_ref())?;
        aim.check(&set, base.as_ref())?;
        let stop = super::interruption()?;
        let learn = || self.learn(set, base.as_ref(), aim, &devices, &stop);
        match device::guarded(learn) {
            Ok(Ok(())) => Ok(()),
            // Whatever failed, a lost connection is why.
            Ok(Err(error)) => Err(lost(&devices).map_or(error, |what| self.broken_off(&what))),
            Err(reason) => {
                let failed = || format!("the device failed ({reason})");
                Err(self.broken_off(&lost(&devices).unwrap_or_else(failed)))
            }
        }
    }

    /// Learns from `set` on the first of the devices, with the help of the others.
    fn learn(
        &self,
        set: LatentSet,
        base: Option<&Model>,
        aim: Aim,
        devices: &[Adapter],
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let device = &devices[0].device;
        // Before pairs take their place.
        let heard = super::calibrate::some_of(&set);
        let set = match (&aim, base) {
            (Aim::Straighten(count), Some(base)) => self.pairs(*count, base, set, &devices[0], stop)?,
            _ => set,
        };
        let net = self.net_of(base, &set);
        net.validate().map_err(anyhow::Error::msg)?;
        let (batch, seed, times) = (self.batch, self.seed, aim.times());
        let learning_rate = self.learning_rate.unwrap_or_else(|| aim.rate(base.is_some()));
        let config = TrainingConfig { batch, learning_rate, seed, times, ..TrainingConfig::default() };
        let data = set.digest() + base.map_or("", |b| &b.hash) + aim.other();
        let kept = Kept { folder: checkpoint_folder(&self.output), data };
        if self.fresh {
            checkpoint::remove(&kept.folder);
        }
        let mut warn = |e: &checkpoint::CheckpointError| eprintln!("warning: {e}");
        let mut trainer = match checkpoint::resume_newest(&kept.folder, &net, &config, &kept.data, device, &mut warn)? {
            Some(trainer) => {
                println!("going on from step {} ({})", trainer.step(), kept.folder.display());
                trainer
            }
            None => match base {
                Some(base) => {
                    let from = (&base.header.net, &base.weights);
                    Trainer::from_weights(&net, from, config, device).map_err(|e| anyhow!("--from: {e}"))?
                }
                None => Trainer::new(&net, config, device),
            },
        };
        if !self.output.exists() {
            trainer.forget_best();
        }
        aim.begin(&mut trainer, base)?;
        trainer.share_with(&devices[1..].iter().map(|a| a.device.clone()).collect::<Vec<_>>());
        let trainer = self.train(trainer, &aim, &set, &kept, devices, stop)?;
        self.measure(&heard, base.filter(|_| matches!(aim, Aim::Sharpen(_))), &devices[0])?;
        println!("{}", self.ended(&trainer, &aim));
        Ok(())
    }

    /// Why it ended, what there is now, and how to go on.
    fn ended(&self, trainer: &Trainer, aim: &Aim) -> String {
        let (step, output) = (trainer.step(), self.output.display());
        let (which, advice) = match trainer.best().filter(|best| best.step < step) {
            Some(Judged { step: 0, .. }) => {
                (", as --from is".into(), ". A smaller --learning-rate, with --fresh, may better it")
            }
            Some(best) => (format!(", as it was at its best, at step {}", best.step), ""),
            None => (String::new(), ""),
        };
        match (step < self.steps, self.learnt(trainer)) {
            (true, true) => format!("ended at step {step}: {output}{which}. {}{advice}", aim.learnt()),
            (stopped, _) => format!(
                "{} at step {step}: {output}{which} (run the same command to go on; --steps sets how far){advice}",
                if stopped { "stopped" } else { "done" }
            ),
        }
    }

    /// Where to train, the first one first.
    fn devices(&self) -> anyhow::Result<Vec<Adapter>> {
        let devices = self.device.iter().map(|d| device::choose(d)).collect::<Result<Vec<_>, _>>()?;
        for (i, adapter) in devices.iter().enumerate() {
            let other = devices[..i].iter().all(|a| a.device != adapter.device);
            ensure!(other, "--device names one device twice: {}", adapter.id);
        }
        Ok(devices)
    }

    /// How to go on after a device has failed.
    fn broken_off(&self, what: &str) -> anyhow::Error {
        match checkpoint::all(&checkpoint_folder(&self.output)).first() {
            Some((step, _)) => anyhow!(
                "{what}. What was learnt up to step {step} is kept: run the same command to go on from there, with another --device if need be"
            ),
            None => anyhow!("{what}. No checkpoint was written yet; run the same command to start again"),
        }
    }

    /// The output can be written, and holds nothing but a model.
    fn check_output(&self) -> anyhow::Result<()> {
        let inputs: Vec<&Path> = self.latents.iter().map(PathBuf::as_path).collect();
        super::check_output(&self.output, &inputs)?;
        if self.output.exists() && Model::load(&self.output).is_err() {
            bail!(
                "{} is there already and is no Flowloop model; choose another --output, or remove it",
                self.output.display()
            );
        }
        Ok(())
    }

    /// Trains until it is done, stopped, or as good as these loops make it.
    fn train(
        &self,
        mut trainer: Trainer,
        aim: &Aim,
        set: &LatentSet,
        kept: &Kept,
        devices: &[Adapter],
        stop: &AtomicBool,
    ) -> anyhow::Result<Trainer> {
        let held_out = &aim.judges(set);
        if let Some(loss) = aim.by_guessing(held_out) {
            println!("predicting a constant would give validation loss {loss:.4}");
        }
        let names: Vec<&str> = devices.iter().map(|a| a.name.as_str()).collect();
        let mut progress = super::Progress::new(self.steps, &format!("training on {}", names.join(" and ")));
        progress.begin_at(trainer.step());
        let what = aim.loss();
        let (mut pending, mut said, mut saved) = (Vec::new(), String::new(), None);
        // A step of the usual size first unsettles a net that has learnt for long: what it comes from is to be bettered.
        if trainer.step() == 0 && self.from.is_some() && !held_out.is_empty() {
            let judged = self.keep_best(&mut trainer, set, held_out, kept)?;
            said = judged.map_or(String::new(), |j| format!(", validation {:.4}", j.loss));
            progress.line(&format!("step 0, as --from is{said}"));
        }
        while trainer.step() < self.steps && !stop.load(Ordering::Relaxed) && !self.learnt(&trainer) {
            pending.push(trainer.advance(set));
            let step = trainer.step();
            let save = self.saves_at(step) || step == self.steps;
            if step.is_multiple_of(READ_EVERY) || save {
                let losses: Vec<f32> = pending.drain(..).map(|l| l.into_scalar::<f32>()).collect();
                let loss = losses.iter().sum::<f32>() / losses.len() as f32;
                ensure!(loss.is_finite(), "{}", diverged(step, &kept.folder));
                if save {
                    let judged = self.save(&mut trainer, set, held_out, kept)?;
                    (saved, said) =
                        (Some(step), judged.map_or(String::new(), |j| format!(", validation {:.4}", j.loss)));
                    progress.line(&format!(
                        "step {step}: {what} {loss:.4}{said}, {} left",
                        progress.left(step, self.steps)
                    ));
                }
                progress.message(format!("{what} {loss:.4}{said}"));
            }
            progress.set(step, self.steps);
        }
        if saved != Some(trainer.step()) {
            self.save(&mut trainer, set, held_out, kept)?;
        }
        drop(progress);
        Ok(trainer)
    }

    fn saves_at(&self, step: u64) -> bool {
        step.is_multiple_of(if step < self.every { self.every.div_ceil(4) } else { self.every })
    }

    /// Held-out loops have long been learnt no better: more steps would memorise those that are learnt from.
    fn learnt(&self, trainer: &Trainer) -> bool {
        let long = |best: Judged| trainer.step().saturating_sub(best.step) >= self.patience.max(best.step / 4);
        self.patience > 0 && trainer.best().is_some_and(long)
    }

    /// Measures what the model makes, for generating to go by. Only a model with a codec is heard. A sharpened one is to
    /// go beyond what `sharpened`, which it comes from, does: put right by its own measures, it would be brought back, so
    /// those of the other are kept but for short runs.
    fn measure(&self, heard: &[LatentLoop], sharpened: Option<&Model>, adapter: &Adapter) -> anyhow::Result<()> {
        let mut model = Model::load(&self.output)?;
        if model.codec.is_none() {
            return Ok(());
        }
        let sharpened = sharpened.filter(|base| !base.drift.is_empty());
        if let Some(base) = sharpened {
            model.spread.clone_from(&base.spread);
        }
        let mut model = super::calibrate::measured(model, heard, adapter)?;
        if let Some(base) = sharpened {
            model = model.put_right_like(base, SHARP_FROM);
        }
        Ok(model.save(&self.output, Precision::Half)?)
    }

    /// The model, if it is the best so far, and a checkpoint. The model comes first: a checkpoint must not know of a
    /// best that was not written.
    fn save(
        &self,
        trainer: &mut Trainer,
        set: &LatentSet,
        held_out: &[LatentLoop],
        kept: &Kept,
    ) -> anyhow::Result<Option<Judged>> {
        let judged = self.keep_best(trainer, set, held_out, kept)?;
        checkpoint::save(&kept.folder, trainer, &kept.data)?;
        Ok(judged)
    }

    /// Judges, and writes the model if it is the best so far; never of weights that are no numbers.
    fn keep_best(
        &self,
        trainer: &mut Trainer,
        set: &LatentSet,
        held_out: &[LatentLoop],
        kept: &Kept,
    ) -> anyhow::Result<Option<Judged>> {
        let model = self.model(trainer, set);
        let finite = model.weights.values().flat_map(|w| &w.values).all(|v| v.is_finite());
        ensure!(finite, "{}", diverged(trainer.step(), &kept.folder));
        let judged = (!held_out.is_empty()).then(|| trainer.judge(held_out, set.channels));
        ensure!(judged.is_none_or(|j| j.loss.is_finite()), "{}", diverged(trainer.step(), &kept.folder));
        if judged == trainer.best() {
            model.save(&self.output, Precision::Half)?;
        }
        Ok(judged)
    }

    fn model(&self, trainer: &Trainer, set: &LatentSet) -> Model {
        let net = trainer.averaged();
        let labels = if net.config().labels > 0 { set.labels.clone() } else { Vec::new() };
        let header = Header {
            version: VERSION,
            name: self.output.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned()),
            credits: self.credits.clone(),
            net: net.config().clone(),
            labels,
            keyed: if net.config().keys { set.keyed.clone() } else { Vec::new() },
            shift: trainer.config().times.shift(),
            distilled: self.distil.is_some(),
            codec: set.codec.as_ref().map(|c| c.config().clone()),
            trained_steps: trainer.step(),
        };
        Model {
            header,
            weights: weights_of(&net),
            mean: set.mean.clone(),
            std: set.std.clone(),
            codec: set.codec.clone(),
            spread: Some(set.spread.clone()),
            drift: Vec::new(),
            levels: None,
            tuning: None,
            hash: String::new(),
        }
    }
}

/// What became of the first of these devices that was lost.
fn lost(devices: &[Adapter]) -> Option<String> {
    devices.iter().find_map(|a| remote::lost(&a.device))
}

fn diverged(step: u64, folder: &Path) -> String {
    let kept = match checkpoint::all(folder).is_empty() {
        true => String::new(),
        false => format!(" Its last checkpoint is kept in {};", folder.display()),
    };
    format!(
        "the loss is no longer a number at step {step}: the training diverged.{kept} Try a smaller --learning-rate with --fresh"
    )
}

fn checkpoint_folder(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(".checkpoint");
    output.with_file_name(name)
}
