//! `flowloop generate`: seeds to WAV files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use flowloop::flow::solver::Solver;
use flowloop::key::Key;
use flowloop::model::generator::{MAX_BEATS, TEMPO};
use flowloop::model::job::{MAX_GUIDANCE, PLAIN, hundredths, thousandths};
use flowloop::model::{Generator, Job};

/// Solvers as the command line names them.
#[derive(Clone, Copy, ValueEnum)]
pub enum SolverName {
    /// Second order, at the cost of Euler
    Adams,
    /// First order
    Euler,
    /// Second order, twice the cost a step
    Heun,
}

impl From<SolverName> for Solver {
    fn from(name: SolverName) -> Self {
        match name {
            SolverName::Adams => Solver::Adams,
            SolverName::Euler => Solver::Euler,
            SolverName::Heun => Solver::Heun,
        }
    }
}

/// A strength in hundredths.
pub fn guidance(strength: f64) -> anyhow::Result<u16> {
    let most = f64::from(MAX_GUIDANCE) / f64::from(PLAIN);
    ensure!((0.0..=most).contains(&strength), "--guidance must be between 0 and {most}, not {strength}");
    Ok(hundredths(strength))
}

#[derive(Args)]
pub struct Generate {
    /// Model file; the built-in model if left out
    #[arg(long)]
    model: Option<PathBuf>,
    /// Seed, the first of them with --count
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    count: u64,
    /// How far towards the next seed, 0 to 1
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    morph: f64,
    /// Solver steps
    #[arg(long, default_value_t = 16, allow_negative_numbers = true)]
    steps: u32,
    /// Solver
    #[arg(long, value_enum, default_value = "adams")]
    solver: SolverName,
    /// Length in 4/4 bars
    #[arg(long, default_value_t = 2, allow_negative_numbers = true)]
    bars: u32,
    /// Tempo in beats per minute
    #[arg(long, default_value_t = 120.0, allow_negative_numbers = true)]
    bpm: f64,
    /// Label, one of those that `inspect` prints
    #[arg(long)]
    label: Option<String>,
    /// Key: Am, F#m, Bb, C major; one of the seed's own if left out
    #[arg(long)]
    key: Option<Key>,
    /// How closely to follow label and key: 1 is the model as it is, more is closer
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    guidance: f64,
    /// How far from the seed's loop, 0 to 1
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    variation: f64,
    /// Which variation
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    take: u16,
    /// auto, cpu, gpu, gpu:N, gpu:N:f16 or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
    /// WAV file; with --count, the seed is put before the extension
    #[arg(short, long)]
    output: PathBuf,
}

const BEATS_PER_BAR: u32 = 4;

impl Generate {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.count > 0, "--count must be at least 1");
        ensure!(self.steps > 0, "--steps must be at least 1");
        ensure!(self.bars > 0, "--bars must be at least 1");
        ensure!(self.bars <= MAX_BEATS / BEATS_PER_BAR, "--bars must be at most {}", MAX_BEATS / BEATS_PER_BAR);
        ensure!(
            TEMPO.contains(&self.bpm),
            "--bpm must be between {} and {}, not {}",
            TEMPO.start(),
            TEMPO.end(),
            self.bpm
        );
        for (flag, share) in [("--morph", self.morph), ("--variation", self.variation)] {
            ensure!((0.0..=1.0).contains(&share), "{flag} must be between 0 and 1, not {share}");
        }
        guidance(self.guidance)?;
        let last = self
            .seed
            .checked_add(self.count - 1)
            .context("--seed and --count go beyond the last seed there is, 2^64 - 1")?;
        let total = self.count.checked_mul(u64::from(self.steps)).context("--count is too large")?;
        // Before the work, not after it.
        for seed in [self.seed, last] {
            let inputs: Vec<&Path> = self.model.iter().map(PathBuf::as_path).collect();
            super::check_output(&self.path(seed), &inputs)?;
        }
        let model = super::model_of(self.model.as_deref())?;
        let label = match &self.label {
            Some(name) => Some(label_index(&model.header.labels, name)?),
            None => None,
        };
        ensure!(
            self.key.is_none() || model.header.net.keys,
            "this model knows no keys: it learned from loops without one in their names (_Am); leave out --key"
        );
        if let (Some(key), false) = (self.key, model.header.is_keyed(label)) {
            println!("of this label there is nothing in a key: {key} makes no difference");
        }
        let adapter = super::device_for(&model, &self.device)?;
        let mut generator = Generator::new(model, &adapter)?;
        let stop = super::interruption()?;
        let mut progress = super::Progress::new(total, &format!("generating on {}", adapter.name));
        for (index, seed) in (self.seed..=last).enumerate() {
            let done = index as u64 * u64::from(self.steps);
            let clip = generator.generate(&self.job(seed, label), &mut |step, steps| {
                let part = f64::from(step) / f64::from(steps.max(1));
                progress.set(done + (part * f64::from(self.steps)) as u64, total);
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let path = self.path(seed);
            flowloop::wav::write(&path, &clip)?;
            progress.line(&format!(
                "seed {seed}: {} ({:.3} s, peak {:.2})",
                path.display(),
                clip.seconds(),
                clip.peak()
            ));
        }
        Ok(())
    }

    fn job(&self, seed: u64, label: Option<usize>) -> Job {
        Job {
            seed,
            morph: thousandths(self.morph),
            steps: self.steps,
            solver: self.solver.into(),
            beats: self.bars * BEATS_PER_BAR,
            bpm: self.bpm,
            label,
            key: self.key,
            guidance: hundredths(self.guidance),
            variation: thousandths(self.variation),
            take: self.take,
        }
    }

    fn path(&self, seed: u64) -> PathBuf {
        if self.count == 1 {
            return self.output.clone();
        }
        let stem = self.output.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.output.extension().unwrap_or(Path::new("wav").as_os_str()).to_string_lossy();
        self.output.with_file_name(format!("{stem}-{seed}.{extension}"))
    }
}

fn label_index(labels: &[String], name: &str) -> anyhow::Result<usize> {
    match labels.iter().position(|l| l.eq_ignore_ascii_case(name)) {
        Some(index) => Ok(index),
        None if labels.is_empty() => bail!("this model has no labels; leave out --label"),
        None => bail!("this model has no label {name:?}; it knows {}", labels.join(", ")),
    }
}
