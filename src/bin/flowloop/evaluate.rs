//! `flowloop evaluate`: how near generated loops are to real ones that no model has heard.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use clap::Args;
use flowloop::clip::Clip;
use flowloop::codec::{Codec, CodecError, Latents};
use flowloop::dataset::{self, Length, Loop, ScanOptions};
use flowloop::device::Adapter;
use flowloop::evaluate::{Judge, Measures, Row, Sample, features};
use flowloop::flow::solver::Solver;
use flowloop::key::Key;
use flowloop::model::{Generator, Job, Model};
use flowloop::random::Philox;
use flowloop::transpose;

use super::generate::SolverName;

#[derive(Args)]
pub struct Evaluate {
    /// Folder of the loops that the model was trained on
    folder: PathBuf,
    /// Folder of held-out loops; left out, the share that `train` holds out of FOLDER is used
    #[arg(long)]
    held_out: Option<PathBuf>,
    /// Model files; several for a row each. The built-in model if left out
    #[arg(long)]
    model: Vec<PathBuf>,
    /// Solver steps; several for a row each
    #[arg(long, value_delimiter = ',', default_value = "16")]
    steps: Vec<u32>,
    /// Solver
    #[arg(long, value_enum, default_value = "adams")]
    solver: SolverName,
    /// How closely labels and keys are followed; 1 is the plain net
    #[arg(long, default_value_t = 1.0)]
    guidance: f64,
    /// Held-out loops to judge by, at most
    #[arg(long, default_value_t = 200)]
    loops: usize,
    /// Loops to generate like each held-out one; the more, the less is left to chance
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    takes: u32,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The share that `train` held out
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// The seed that `train` had
    #[arg(long, default_value_t = 0)]
    training_seed: u64,
    /// auto, cpu, gpu, gpu:N, gpu:N:f16 or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
    /// Also write the table as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Fewer loops than this make no distribution.
const FEWEST: usize = 8;

impl Evaluate {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.steps.iter().all(|s| *s > 0), "--steps must be at least 1");
        super::generate::guidance(self.guidance)?;
        ensure!(self.loops >= FEWEST, "--loops must be at least {FEWEST}");
        if let Some(path) = &self.json {
            super::check_output(path, &self.model.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        }
        let models = match self.model.is_empty() {
            true => vec![("built-in".to_string(), super::model_of(None)?)],
            false => self.model.iter().map(|p| Ok((stem(p), Model::load(p)?))).collect::<anyhow::Result<_>>()?,
        };
        let adapter = super::device_for(&models[0].1, &self.device)?;
        let stop = super::interruption()?;
        // Loops are taken through the first model's codec, and through it alone.
        let codec = models[0].1.codec.as_ref().context("the model has no codec: its latents belong to another one")?;
        let keys = models[0].1.header.net.keys;
        let all = scan(&self.folder, codec, keys)?;
        let other = self.held_out.as_deref().map(|folder| scan(folder, codec, keys)).transpose()?;
        let (training, mut held_out) = match &other {
            Some(other) => (all.iter().collect(), other.iter().collect()),
            None => dataset::split(&all, self.validation, self.training_seed),
        };
        held_out = spread(&held_out, self.loops);
        ensure!(
            training.len() >= FEWEST && held_out.len() >= FEWEST,
            "{} training and {} held-out loops are too few to compare; at least {FEWEST} of each are needed",
            training.len(),
            held_out.len()
        );
        println!("{} training loops, {} held out, on {}", training.len(), held_out.len(), adapter.name);
        let judge = Judge::new(&samples(&training), &samples(&held_out));
        let mut table = Table::new(self.json.is_some());
        let sets = [("training", &spread(&training, self.loops)), ("held out", &held_out)];
        for (name, set) in sets {
            table.add(judge.row(&format!("real: {name}"), &samples(set)));
        }
        for (name, set) in sets.map(|(name, set)| (format!("codec: {name}"), set)) {
            table.add(self.through_codec(&name, &models[0].1, codec, set, false, &judge)?);
        }
        table.add(self.through_codec("noise", &models[0].1, codec, &held_out, true, &judge)?);
        for (name, model) in &models {
            for steps in &self.steps {
                let set = self.generate(model, &adapter, &held_out, *steps, &stop)?;
                let asked = |(l, measures)| Sample { measures, label: label_of(model, l), key: l.key };
                let samples: Vec<_> = held_out.iter().copied().cycle().zip(&set).map(asked).collect();
                let takes: Vec<_> = samples.chunks(held_out.len()).collect();
                table.add(judge.row_of_takes(&format!("{name}, {steps} steps"), &takes));
            }
        }
        if let Some(path) = &self.json {
            let json = serde_json::to_vec_pretty(&table.rows)?;
            flowloop::disk::write_whole(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// What the model's codec makes of loops, or of noise of their lengths in the model's latents. A net that made
    /// every latent right would be where training loops are that went through the codec: they were not held out
    /// either, while those that were are nearer to themselves.
    fn through_codec(
        &self,
        name: &str,
        model: &Model,
        codec: &Codec,
        set: &[&Loop<Heard>],
        noise: bool,
        judge: &Judge,
    ) -> anyhow::Result<Row> {
        let mut progress = super::Progress::new(set.len() as u64, name);
        let mut decoded = Vec::new();
        for (index, one) in set.iter().enumerate() {
            let mut latents = one.clip.latents.clone()?;
            if noise {
                let drawn = Philox::new(self.seed, index as u64).normals(latents.values.len());
                let rows = drawn.chunks_exact(latents.frames).zip(model.mean.iter().zip(&model.std));
                latents.values = rows.flat_map(|(row, (mean, std))| row.iter().map(move |v| v * std + mean)).collect();
            }
            let (bpm, key) = (one.clip.bpm, one.key.filter(|_| model.header.net.keys));
            let white = codec.decode(&latents, transpose::white_tempo(one.clip.beats, bpm, key))?;
            decoded.push(Measures::of(&transpose::from_white(white, bpm, None)));
            progress.set(index as u64 + 1, set.len() as u64);
        }
        drop(progress);
        let samples: Vec<_> =
            set.iter().zip(&decoded).map(|(one, measures)| Sample { measures, ..sample(one) }).collect();
        Ok(judge.row(name, &samples))
    }

    /// Loops like the held-out ones, of their labels, keys, tempi and lengths: one for each, take after take.
    fn generate(
        &self,
        model: &Model,
        adapter: &Adapter,
        held_out: &[&Loop<Heard>],
        steps: u32,
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<Measures>> {
        let mut generator = Generator::new(model.clone(), adapter)?;
        let (solver, guidance): (Solver, _) = (self.solver.into(), super::generate::guidance(self.guidance)?);
        let all = held_out.len() * self.takes as usize;
        let mut progress = super::Progress::new(all as u64, &format!("generating, {steps} steps"));
        let made = held_out.iter().cycle().take(all).enumerate().map(|(index, one)| {
            let label = label_of(model, one).and_then(|l| model.header.labels.iter().position(|own| own == l));
            let (beats, bpm) = (one.clip.beats, one.clip.bpm);
            let (seed, key) = (self.seed + index as u64, one.key);
            let job = Job { seed, steps, solver, beats, bpm, label, key, guidance, ..Job::default() };
            let clip = generator.generate(&job, &mut |_, _| match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })?;
            progress.set(index as u64 + 1, all as u64);
            Ok(Measures::of(&clip))
        });
        made.collect()
    }
}

/// What is kept of a loop that was read.
struct Heard {
    measures: Measures,
    latents: Result<Latents, CodecError>,
    beats: u32,
    bpm: f64,
}

impl Length for Heard {
    fn beats(&self) -> u32 {
        self.beats
    }

    fn bpm(&self) -> f64 {
        self.bpm
    }
}

/// Measures a folder's loops one after the other, and encodes them as for a net that knows `keys` or does not.
fn scan(folder: &Path, codec: &Codec, keys: bool) -> anyhow::Result<Vec<Loop<Heard>>> {
    let mut progress = super::Progress::new(0, "reading");
    let hear = |clip: Clip, key: Option<Key>| Heard {
        measures: Measures::of(&clip),
        latents: codec.encode(&transpose::to_white(&clip, key.filter(|_| keys))),
        beats: clip.beats,
        bpm: clip.bpm,
    };
    let scanned = dataset::scan_each(folder, &ScanOptions::default(), &hear, &mut |done, total| {
        progress.set(done as u64, total as u64);
    })?;
    Ok(scanned.loops)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn samples<'a>(loops: &[&'a Loop<Heard>]) -> Vec<Sample<'a>> {
    loops.iter().copied().map(sample).collect()
}

fn sample(one: &Loop<Heard>) -> Sample<'_> {
    Sample { measures: &one.clip.measures, label: one.label.as_deref(), key: one.key }
}

/// `count` of the loops, evenly spread; all if there are fewer.
fn spread<'a>(loops: &[&'a Loop<Heard>], count: usize) -> Vec<&'a Loop<Heard>> {
    let count = count.min(loops.len());
    (0..count).map(|i| loops[i * loops.len() / count]).collect()
}

/// The held-out loop's label, where the model knows it.
fn label_of<'a>(model: &Model, one: &'a Loop<Heard>) -> Option<&'a str> {
    one.label.as_deref().filter(|l| model.header.labels.iter().any(|own| own == l))
}

/// Prints each row when it is there.
struct Table {
    rows: Vec<Row>,
    keep: bool,
}

impl Table {
    fn new(keep: bool) -> Self {
        let groups = features::GROUPS.map(|(name, _)| format!("{name:>9}")).join("");
        println!(
            "{:<28} kernel (+-)   frechet  cover diverse  novel   seam on-grid harmony in-key  style  level (sd) | kernel of{groups}",
            ""
        );
        Self { rows: Vec::new(), keep }
    }

    fn add(&mut self, row: Row) {
        let groups: String = row.groups.iter().map(|g| format!("{g:>9.1}")).collect();
        println!(
            "{:<28} {:>6.1} {:<5} {:>8.2} {:>6.2} {:>7.2} {:>6.2} {:>6.2} {:>7.3} {:>7.2} {:>6.2} {:>6.2} {:>6.1} ({:.1}) |          {groups}",
            row.name,
            row.kernel,
            row.chance.map_or(String::new(), |chance| format!("({chance:.1})")),
            row.frechet,
            row.coverage,
            row.diversity,
            row.novelty,
            row.seam,
            row.on_grid,
            row.harmony,
            row.in_key,
            row.style,
            row.level,
            row.level_deviation,
        );
        if self.keep {
            self.rows.push(row);
        }
    }
}
