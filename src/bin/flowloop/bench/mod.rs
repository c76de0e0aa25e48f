//! `flowloop bench`: the speed of a model, of its sampler with each way to compute it, the codec on a folder
//! of loops, the time of a training step.

mod codec;
mod sampler;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use flowloop::flow::unet::UNetConfig;
use flowloop::model::{Generator, Job, Spread};
use flowloop::random::Philox;
use flowloop::training::latents::{LatentLoop, LatentSet};
use flowloop::training::{Trainer, TrainingConfig};

#[derive(Args)]
pub struct Bench {
    /// Folder of loops for the codec's table; half of them fit the codec, half judge it
    #[arg(long)]
    codec: Option<PathBuf>,
    /// Time a training step of the tutorial's plain net (35 million weights, 16 clips of 64 x 64)
    #[arg(long, conflicts_with = "codec")]
    training: bool,
    /// Time the CPU's sampler: Burn's way beside the packed one
    #[command(flatten)]
    sampler: sampler::Sampler,
    /// Model file; the built-in model if left out
    #[arg(long)]
    model: Option<PathBuf>,
    /// auto, cpu, gpu, gpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<()> {
        match &self.codec {
            Some(folder) => codec::table(folder),
            None if self.training => self.training_step(),
            None if self.sampler.asked() => self.sampler.table(self.model.as_deref()),
            None => self.speed(),
        }
    }

    /// Median seconds of a training step of the tutorial's net; `benches/pytorch.py` sets
    /// PyTorch's beside it.
    fn training_step(&self) -> anyhow::Result<()> {
        let adapter = flowloop::device::choose(&self.device)?;
        let (channels, frames) = (64, 64);
        let net = UNetConfig::plain(channels, 128, 5);
        let values = |i| Philox::new(0, i).normals(channels * frames);
        let one = |i| LatentLoop { frames, values: values(i), bpm: 120.0, label: None, noise: None };
        let set = LatentSet {
            channels,
            training: (0..64).map(one).collect(),
            validation: Vec::new(),
            labels: Vec::new(),
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            spread: Spread::standard(channels),
            codec: None,
        };
        let config = TrainingConfig { batch: 16, ..TrainingConfig::default() };
        let mut trainer = Trainer::new(&net, config, &adapter.device);
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..12 {
            let start = Instant::now();
            let _loss: f32 = trainer.advance(&set).into_scalar();
            times.push(start.elapsed().as_secs_f64());
        }
        let mut times = times.split_off(2); // warm-up
        times.sort_by(f64::total_cmp);
        println!("{}: {:.4} seconds a training step", adapter.name, times[times.len() / 2]);
        Ok(())
    }

    /// Median seconds of a 4-second loop at several step counts, of its decoding and encoding, of loading the
    /// model, and the memory that it all took.
    fn speed(&self) -> anyhow::Result<()> {
        let adapter = flowloop::device::choose(&self.device)?;
        let before = resident();
        let start = Instant::now();
        let model = super::model_of(self.model.as_deref())?;
        let read = start.elapsed().as_secs_f64();
        let mut generator = Generator::new(model, adapter.device)?;
        println!(
            "{}: model read in {read:.3} s, on the device after {:.3} s",
            adapter.name,
            start.elapsed().as_secs_f64()
        );
        println!("seconds per loop of 8 beats at 120 bpm (median of 9)");
        for steps in [1, 4, 8, 16, 32] {
            let seconds = median_seconds(|seed| {
                let job = Job { seed, steps, ..Job::default() };
                Ok(generator.generate(&job, &mut |_, _| ControlFlow::Continue(()))?)
            })?;
            println!("{steps:>3} steps   {seconds:.3}");
        }
        let job = Job::default();
        let clip = generator.generate(&job, &mut |_, _| ControlFlow::Continue(()))?;
        if let Some(codec) = generator.model().codec.clone() {
            let latents = codec.encode(&clip)?;
            println!("encoding    {:.3}", median_seconds(|_| Ok(codec.encode(&clip)?))?);
            println!("decoding    {:.3}", median_seconds(|_| Ok(codec.decode(&latents, clip.bpm)?))?);
        }
        if let (Some(before), Some(after)) = (before, resident()) {
            println!("memory      {:.0} MB more than before the model was read", (after - before) / 1e6);
        }
        Ok(())
    }
}

/// Of nine runs, after one that does not count.
fn median_seconds<T>(mut run: impl FnMut(u64) -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for seed in 0..10 {
        let start = Instant::now();
        std::hint::black_box(run(seed)?);
        times.push(start.elapsed().as_secs_f64());
    }
    let mut times = times.split_off(1);
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Bytes of memory that the program holds, where the system says so.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(1024.0 * line.split_whitespace().next()?.parse::<f64>().ok()?)
}
