//! `flowloop devices`: what the net can run on, and where the plugin runs it.

use anyhow::Context;
use clap::Args;
use flowloop::device::{self, Adapter, remote};
use flowloop::kernel::Cpu;
use flowloop::model::Generator;
use flowloop::settings::{Home, Speed};

#[derive(Args)]
pub struct Devices {
    /// Run the plugin's net there from its next start on: auto, cpu, gpu, gpu:N, gpu:N:f16 or remote:HOST:PORT
    #[arg(long = "use", value_name = "DEVICE")]
    chosen: Option<String>,
    /// Time a solver step of the built-in model on the CPU, on the GPU, and on the other machine that the plugin
    /// uses, if it does; the plugin's `auto` is the faster one of the first two
    #[arg(long, conflicts_with = "chosen")]
    time: bool,
}

impl Devices {
    pub fn run(self) -> anyhow::Result<()> {
        let home = Home::of_user();
        if let Some(chosen) = self.chosen {
            let adapter = device::choose(&chosen)?;
            let file = home.settings_file().unwrap_or_default();
            home.keep_device(&chosen)
                .with_context(|| format!("cannot write {}; set FLOWLOOP_HOME to a folder of yours", file.display()))?;
            let shown = remote::shown(&chosen);
            println!("the plugin uses {shown} ({}) from its next start on; kept in {}", adapter.name, file.display());
            return Ok(());
        }
        let plugins = home.device();
        let other = remote::is_remote(&plugins).then(|| device::choose(&plugins));
        if self.time {
            let speeds = timed(other.as_ref().and_then(|o| o.as_ref().ok()))?;
            home.keep_speeds(&speeds).context("the times cannot be kept; the plugin measures for itself")?;
        }
        let (both, settings) = ([device::cpu(), device::choose(device::AUTO)?], home.settings());
        let known =
            |adapter: &Adapter| settings.speeds.iter().find(|s| s.device == adapter.name).map(|s| s.milliseconds);
        let automatic = &both[settings.fastest(&both).unwrap_or(1)].id;
        let all = device::adapters().into_iter().chain(other.as_ref().and_then(|o| o.as_ref().ok()).cloned());
        for adapter in all {
            let cpu = (adapter.id == device::CPU).then(Cpu::shared);
            let kind = match &cpu {
                Some(cpu) => format!(" ({}, {} threads)", cpu.isa().name(), cpu.members()),
                None if adapter.hardware => String::new(),
                None => " (software renderer: slower than cpu)".into(),
            };
            let speed = known(&adapter).map_or(String::new(), |ms| format!(", {ms:.1} ms a step"));
            let chosen = if adapter.id == *automatic { "  <- auto" } else { "" };
            println!("{:<10} {}{kind}{speed}{chosen}", adapter.id, adapter.name);
        }
        println!("the plugin uses {}", remote::shown(&plugins));
        if let Some(Err(trouble)) = other {
            println!("warning: {trouble}. The plugin goes on with the CPU until then");
        }
        Ok(())
    }
}

/// How fast the built-in model is on the CPU, on the first GPU that is hardware and on `other`.
fn timed(other: Option<&Adapter>) -> anyhow::Result<Vec<Speed>> {
    let (model, automatic) = (flowloop::model::embedded_model()?, device::choose(device::AUTO)?);
    let gpu = (automatic.id != device::CPU).then_some(automatic);
    let time = |adapter: Adapter| {
        let milliseconds = Generator::new(model.clone(), &adapter)?.time_step()?;
        anyhow::Ok(Speed { device: adapter.name, milliseconds })
    };
    let exact = std::iter::once(device::cpu()).chain(gpu.clone()).chain(other.cloned()).map(time);
    let mut speeds = exact.collect::<anyhow::Result<Vec<Speed>>>()?;
    // Not every GPU has 16-bit numbers.
    let half = gpu.and_then(|gpu| device::adapters().into_iter().find(|a| a.half && a.device == gpu.device));
    speeds.extend(half.and_then(|half| time(half).ok()));
    Ok(speeds)
}
