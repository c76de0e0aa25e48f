//! How much more a solver step costs when there is more to do: longer loops, more of them, wider nets, more
//! instances that ask at the same time. All of a table is measured in turns, so that other load disturbs it alike.

use std::path::Path;
use std::time::Instant;

use clap::Args;
use flowloop::flow::unet::UNetConfig;
use flowloop::kernel::{Cpu, Storage};
use flowloop::model::{Generator, Model};

use super::sampler::{median, step, tutorial};

#[derive(Args)]
pub struct Cost {
    /// Show how a solver step's cost on the CPU grows with frames, loops, channels and instances
    #[arg(long, conflicts_with_all = ["codec", "training", "sampler"])]
    cost: bool,
}

/// Rounds, of which medians are shown.
const ROUNDS: usize = 15;
/// Frames of a loop where another thing grows: two bars.
const FRAMES: usize = 64;
const LENGTHS: [usize; 6] = [32, 64, 128, 256, 512, 1024];
const LOOPS: [usize; 5] = [1, 2, 4, 8, 16];
/// Channels by those of the net, in quarters.
const QUARTERS: [usize; 4] = [1, 2, 4, 8];

impl Cost {
    pub fn asked(&self) -> bool {
        self.cost
    }

    pub fn tables(&self, model: Option<&Path>) -> anyhow::Result<()> {
        for (model, storage) in [(tutorial(), Storage::Half), (crate::model_of(model)?, Storage::Exact)] {
            let (name, config) = (model.header.name.clone(), model.header.net.clone());
            let net = Generator::packed(model, storage, Cpu::shared())?;
            println!("{name}: milliseconds a solver step, medians of {ROUNDS}");
            table("frames of a loop", &LENGTHS, &LENGTHS, |frames| step(&net, 1, frames, 1))?;
            table("loops of 64 frames in a batch", &LOOPS, &LOOPS, |loops| step(&net, loops, FRAMES, 1))?;
            table("instances that ask at once, 64 frames each", &LOOPS, &LOOPS, |count| together(&net, count))?;
            let nets = QUARTERS.map(|quarters| wider(&config, quarters));
            let widest = nets.each_ref().map(|config| config.widths.iter().copied().max().unwrap_or_default());
            let nets = nets.map(|config| Generator::packed(Model::fresh("", config), storage, Cpu::shared()));
            let nets = nets.into_iter().collect::<Result<Vec<_>, _>>()?;
            let places: Vec<usize> = (0..nets.len()).collect();
            table("channels of the widest layer, 64 frames", &widest, &places, |place| {
                step(&nets[place], 1, FRAMES, 1)
            })?;
        }
        Ok(())
    }
}

/// A net with so many quarters of another one's channels.
fn wider(config: &UNetConfig, quarters: usize) -> UNetConfig {
    // Blocks want multiples of 32.
    let of = |channels: usize| (channels * quarters / 4).next_multiple_of(32);
    let stem = if config.stem > 0 { of(config.stem) } else { 0 };
    UNetConfig {
        widths: config.widths.iter().map(|w| of(*w)).collect(),
        last_width: of(config.last_width),
        stem,
        ..config.clone()
    }
}

/// Milliseconds until as many threads as there are instances have each had a step.
fn together(net: &Generator, instances: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..instances).map(|_| scope.spawn(|| step(net, 1, FRAMES, 1))).collect();
        all.into_iter().try_for_each(|one| one.join().expect("a step does not panic").map(drop))
    })?;
    Ok(1e3 * start.elapsed().as_secs_f64())
}

/// The cost at each place of an axis, for one of it, and the power of the axis with which it has grown since the
/// place before: 1 is in proportion.
fn table(
    axis: &str,
    values: &[usize],
    places: &[usize],
    mut cost: impl FnMut(usize) -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    let mut times = vec![Vec::new(); places.len()];
    for round in 0..=ROUNDS {
        for (place, times) in places.iter().zip(&mut times) {
            let took = cost(*place)?;
            if round > 0 {
                times.push(took);
            }
        }
    }
    let times: Vec<f64> = times.into_iter().map(median).collect();
    println!("{axis:>44} {:>10} {:>10} {:>10}", "all", "each", "power");
    for (i, (value, took)) in values.iter().zip(&times).enumerate() {
        print!("{value:>44} {took:>10.2} {:>10.4}", took / *value as f64);
        match i {
            0 => println!(),
            _ => println!(" {:>10.2}", (took / times[i - 1]).ln() / (*value as f64 / values[i - 1] as f64).ln()),
        }
    }
    Ok(())
}
