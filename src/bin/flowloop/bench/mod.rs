//! `flowloop bench`: the speed of a model, of its sampler with each way to compute it and as there is more to do,
//! the codec on a folder of loops, the time of a training step.

mod codec;
mod cost;
mod sampler;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use flowloop::flow::unet::UNetConfig;
use flowloop::model::{Generator, Job};
use flowloop::training::latents::LatentSet;
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
    #[command(flatten)]
    cost: cost::Cost,
    /// Model file; the built-in model if left out
    #[arg(long)]
    model: Option<PathBuf>,
    /// auto, cpu, gpu, gpu:N, gpu:N:f16 or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<()> {
        match &self.codec {
            Some(folder) => codec::table(folder),
            None if self.training => self.training_step(),
            None if self.cost.asked() => self.cost.tables(self.model.as_deref()),
            None if self.sampler.asked() => self.sampler.table(self.model.as_deref()),
            None => self.speed(),
        }
    }

    /// Median seconds of a training step of the tutorial's net; `benches/pytorch.py` sets
    /// PyTorch's beside it.
    fn training_step(&self) -> anyhow::Result<()> {
        let adapter = flowloop::device::choose(&self.device)?;
        let (net, set) = (UNetConfig::plain(64, 128, 5), LatentSet::of_noise(64, 64, 64));
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
        let before = resident();
        let start = Instant::now();
        let model = super::model_of(self.model.as_deref())?;
        let read = start.elapsed().as_secs_f64();
        let adapter = super::device_for(&model, &self.device)?;
        let start = Instant::now();
        let mut generator = Generator::new(model, &adapter)?;
        let put = start.elapsed().as_secs_f64();
        println!("{}: model read in {read:.3} s, put on the device in {put:.3} s", adapter.name);
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
