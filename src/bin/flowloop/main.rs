//! The companion: trains models on a folder of loops, generates, imports, inspects.
//!
//! Each command is a file; errors are one sentence that says what to do, and a non-zero exit code.

mod bench;
mod factory;
mod generate;
mod import;
mod inspect;
mod sample;
mod sheet;
mod train;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};

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
    /// Print what a model is
    Inspect(inspect::Inspect),
    /// List the devices the net can run on
    Devices,
    /// Render the licence-clean training loops of the factory model
    Factory(factory::Factory),
    /// Draw spectrograms of WAV files as a PNG
    Sheet(sheet::Sheet),
    /// Measure the codec on a folder of loops, and the speed of a model
    Bench(bench::Bench),
}

fn main() {
    keep_large_buffers();
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
        Command::Inspect(c) => c.run(),
        Command::Devices => devices(),
        Command::Factory(c) => c.run(),
        Command::Sheet(c) => c.run(),
        Command::Bench(c) => c.run(),
    }
}

fn devices() -> anyhow::Result<()> {
    let automatic = flowloop::device::choose("auto")?.id;
    for adapter in flowloop::device::adapters() {
        let kind = if adapter.hardware { "" } else { " (software renderer: slower than cpu)" };
        let chosen = if adapter.id == automatic { "  <- auto" } else { "" };
        println!("{:<8} {}{kind}{chosen}", adapter.id, adapter.name);
    }
    Ok(())
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

/// A progress bar, hidden by indicatif itself when nobody watches.
fn bar(total: u64, what: &str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {elapsed}, {eta} left");
    let bar = indicatif::ProgressBar::new(total);
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    bar.set_prefix(what.to_string());
    bar
}

/// The model of a path, or the built-in one.
fn model_of(path: Option<&std::path::Path>) -> anyhow::Result<flowloop::model::Model> {
    Ok(match path {
        Some(path) => flowloop::model::Model::load(path)?,
        None => flowloop::model::embedded_model()?,
    })
}
