//! The companion: trains models on a folder of loops, generates, imports, inspects.
//!
//! Each command is a file; errors are one sentence that says what to do, and a non-zero exit code.

mod bench;
mod calibrate;
mod devices;
mod evaluate;
mod factory;
mod generate;
mod import;
mod inspect;
mod progress;
mod sample;
mod serve;
mod sheet;
mod train;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{bail, ensure};
use clap::{Parser, Subcommand};
use flowloop::device::{self, Adapter};
use flowloop::model::Generator;
use flowloop::settings::Home;
use progress::Progress;

#[derive(Parser)]
#[command(name = "flowloop", version, about = "Dreams up loops, and learns from yours")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model on a folder of loops
    Train(train::Train),
    /// Generate loops as WAV files
    Generate(generate::Generate),
    /// Integrate noise from a file, for checking and for other codecs
    Sample(sample::Sample),
    /// Make a model file of a PyTorch checkpoint
    Import(import::Import),
    /// Measure anew how a model's runs drift, as `train` does at its end
    Calibrate(calibrate::Calibrate),
    /// Print what a model is
    Inspect(inspect::Inspect),
    /// List the devices the net can run on, and choose the plugin's
    Devices(devices::Devices),
    /// Let other machines use this one's devices
    Serve(serve::Serve),
    /// Render the licence-clean training loops of the factory model
    Factory(factory::Factory),
    /// Draw spectrograms of WAV files as a PNG
    Sheet(sheet::Sheet),
    /// Compare generated loops with real ones: distances, diversity, copies, timing
    Evaluate(evaluate::Evaluate),
    /// Measure the codec on a folder of loops, and the speed of a model
    Bench(bench::Bench),
}

fn main() {
    keep_large_buffers();
    end_with_a_closed_pipe();
    if let Err(error) = run(Arguments::parse().command) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Train(c) => c.run(),
        Command::Generate(c) => c.run(),
        Command::Sample(c) => c.run(),
        Command::Import(c) => c.run(),
        Command::Calibrate(c) => c.run(),
        Command::Inspect(c) => c.run(),
        Command::Devices(c) => c.run(),
        Command::Serve(c) => c.run(),
        Command::Factory(c) => c.run(),
        Command::Sheet(c) => c.run(),
        Command::Evaluate(c) => c.run(),
        Command::Bench(c) => c.run(),
    }
}

/// Training allocates large buffers at each step; glibc would map and unmap each of them anew.
fn keep_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets two numbers of the allocator, before any other thread starts.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// `flowloop inspect | head -1` ends in silence, as other programs do.
fn end_with_a_closed_pipe() {
    #[cfg(target_os = "linux")]
    // SAFETY: only restores the signal's default, before any other thread starts.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Finds out before the work begins whether `output` can be written, and that it is no input.
fn check_output(output: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    let shown = output.display();
    let Some(name) = output.file_name() else { bail!("{shown} is no file name; give --output a file") };
    ensure!(!output.is_dir(), "{shown} is a folder; give --output a file in it");
    let same = |input: &&&Path| matches!((input.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if let Some(input) = inputs.iter().find(same) {
        bail!("the output {} would overwrite what it is made of; choose another --output", input.display());
    }
    let mut probe = name.to_os_string();
    probe.push(format!(".{}.probe", std::process::id()));
    let probe = output.with_file_name(probe);
    match std::fs::File::create_new(&probe) {
        Ok(_) => Ok(std::fs::remove_file(&probe)?),
        Err(error) => bail!(
            "cannot write {shown}: {error}. Nothing was written; choose a folder that exists and that you may write to"
        ),
    }
}

/// A flag that Ctrl-C sets, so that long work ends in good order.
fn interruption() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    Ok(flag)
}

/// The model of a path, or the built-in one.
fn model_of(path: Option<&Path>) -> anyhow::Result<flowloop::model::Model> {
    Ok(match path {
        Some(path) => flowloop::model::Model::load(path)?,
        None => flowloop::model::embedded_model()?,
    })
}

/// The device to make loops with. `auto` is the faster one of the CPU and the first GPU that is hardware, as in the
/// plugin. (A training wants the GPU: what is fast here is the CPU's sampler.)
fn device_for(model: &flowloop::model::Model, description: &str) -> anyhow::Result<Adapter> {
    let adapter = device::choose(description)?;
    if description != device::AUTO || adapter.id == device::CPU {
        return Ok(adapter);
    }
    let both = [device::cpu(), adapter];
    let time = |adapter: &Adapter| Generator::new(model.clone(), adapter)?.time_step();
    let (fastest, _) = Home::of_user().fastest(&both, time)?;
    Ok(both[fastest].clone())
}
