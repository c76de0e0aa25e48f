//! The CPU's sampler: a solver step with Burn and packed, in turns, so that other load disturbs all alike.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use clap::{Args, ValueEnum};
use flowloop::device;
use flowloop::flow::noise::of_seed;
use flowloop::flow::unet::UNetConfig;
use flowloop::flow::{Condition, solver};
use flowloop::kernel::{Cpu, Storage, memory_speed};
use flowloop::model::{Generator, Model};

#[derive(Args)]
pub struct Sampler {
    /// Time the CPU's sampler with Burn and packed
    #[arg(long, conflicts_with_all = ["codec", "training"])]
    sampler: bool,
    /// ... of the tutorial's plain net (35 million weights)
    #[arg(long, requires = "sampler", conflicts_with = "model")]
    tutorial: bool,
    /// ... only this way
    #[arg(long, requires = "sampler", value_enum)]
    only: Option<Way>,
    /// ... latent frames
    #[arg(long, requires = "sampler", default_values_t = [32, 128, 512])]
    frames: Vec<usize>,
    /// ... loops at once
    #[arg(long, requires = "sampler", default_values_t = [1, 8])]
    batch: Vec<usize>,
    /// ... solver steps
    #[arg(long, requires = "sampler", default_values_t = [1, 10])]
    steps: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    Burn,
    /// 32-bit weights
    Single,
    /// 16-bit weights
    Half,
}

/// Rounds, of which medians are shown.
const ROUNDS: usize = 9;

impl Sampler {
    pub fn asked(&self) -> bool {
        self.sampler
    }

    pub fn table(&self, model: Option<&Path>) -> anyhow::Result<()> {
        let model = if self.tutorial { tutorial() } else { crate::model_of(model)? };
        let ways: Vec<Way> =
            Way::value_variants().iter().copied().filter(|w| self.only.is_none_or(|o| o == *w)).collect();
        let mut nets = Vec::new();
        for way in &ways {
            nets.push(match way {
                Way::Burn => Generator::burn(model.clone(), &device::cpu()),
                Way::Single => Generator::packed(model.clone(), Storage::Single, Cpu::shared()),
                Way::Half => Generator::packed(model.clone(), Storage::Half, Cpu::shared()),
            }?);
        }
        let (cpu, parameters) = (Cpu::shared(), model.weights.values().map(|w| w.values.len()).sum::<usize>());
        println!("{}: {parameters} weights; {}, {} threads", model.header.name, cpu.isa().name(), cpu.members());
        for (batch, frames, steps) in self.cases() {
            let mut times = vec![Vec::new(); nets.len()];
            let mut memory = Vec::new();
            for round in 0..=ROUNDS {
                for (net, times) in nets.iter().zip(&mut times) {
                    let took = step(net, batch, frames, steps)?;
                    if round > 0 {
                        times.push(took);
                    }
                }
                memory.push(memory_speed(&cpu));
            }
            let (medians, memory) = (times.into_iter().map(median).collect::<Vec<_>>(), median(memory));
            print!("{batch} x {frames:>3} frames, {steps:>3} steps:");
            for ((way, milliseconds), net) in ways.iter().zip(&medians).zip(&nets) {
                print!("  {way:?} {milliseconds:.3} milliseconds a step");
                if *way != Way::Burn && ways[0] == Way::Burn {
                    print!(" ({:.2}x)", medians[0] / milliseconds);
                }
                if let Some(bytes) = net.packed_bytes() {
                    print!(", {:.0} % of memory's speed", 100.0 * bytes as f64 / (milliseconds * 1e-3) / memory);
                }
            }
            println!();
        }
        Ok(())
    }

    fn cases(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let lengths = self.batch.iter().flat_map(|batch| self.frames.iter().map(|frames| (*batch, *frames)));
        lengths.flat_map(|(batch, frames)| self.steps.iter().map(move |steps| (batch, frames, *steps)))
    }
}

/// Milliseconds a step.
pub(super) fn step(generator: &Generator, batch: usize, frames: usize, steps: u32) -> anyhow::Result<f64> {
    let channels = generator.model().header.net.channels;
    let noise: Vec<f32> = (0..batch as u64).flat_map(|seed| of_seed(seed, 0, channels, frames)).collect();
    let conditions = vec![Condition::any(120.0); batch];
    let path = solver::Path::new(steps, &conditions);
    let mut go = |_, _| ControlFlow::Continue(());
    let start = Instant::now();
    generator.sample(noise, [batch, channels, frames], solver::Solver::Euler, path, &mut go)?;
    Ok(1e3 * start.elapsed().as_secs_f64() / f64::from(steps))
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The tutorial's net, fresh.
pub(super) fn tutorial() -> Model {
    Model::fresh("the tutorial's net", UNetConfig::plain(64, 128, 5))
}
