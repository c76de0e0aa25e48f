//! `flowloop factory`: the training loops of the factory model as WAV files, a folder a style; and
//! loops to judge it by, of sounds that it never heard.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use flowloop::factory::hold_out::Side;
use flowloop::factory::sounds::SoundBank;
use flowloop::factory::sources::Sources;
use flowloop::factory::{Content, SetOptions, render_with};

/// What to render, as the command line names it.
#[derive(Clone, Copy, ValueEnum)]
enum ContentName {
    /// Drum loops, labelled by style
    Drums,
    /// Bass, chords, arpeggios and leads, labelled by part
    Melodic,
    /// Both
    All,
}

#[derive(Args)]
pub struct Factory {
    /// Folder to write to
    #[arg(short, long)]
    output: PathBuf,
    /// How many loops
    #[arg(long, default_value_t = 1400)]
    loops: usize,
    /// What to render
    #[arg(long, value_enum, default_value = "drums")]
    content: ContentName,
    /// Folder for held-out loops, a tenth as many: of a tenth of the sounds, which --output then does
    /// without
    #[arg(long)]
    hold_out: Option<PathBuf>,
    /// Seed of the set
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder of Debian's sonic-pi-samples
    #[arg(long)]
    sonic_pi: Option<PathBuf>,
    /// Folder of Debian's hydrogen-drumkits
    #[arg(long)]
    drumkits: Option<PathBuf>,
    /// FluidR3_GM.sf2 of Debian's fluid-soundfont-gm
    #[arg(long)]
    sound_font: Option<PathBuf>,
}

impl Factory {
    pub fn run(self) -> anyhow::Result<()> {
        let default = Sources::default();
        let sources = Sources {
            sonic_pi: self.sonic_pi.unwrap_or(default.sonic_pi),
            drumkits: self.drumkits.unwrap_or(default.drumkits),
            sound_font: self.sound_font.unwrap_or(default.sound_font),
        };
        let content = match self.content {
            ContentName::Drums => Content::Drums,
            ContentName::Melodic => Content::Melodic,
            ContentName::All => Content::All,
        };
        let apart = |folder: &PathBuf| !folder.starts_with(&self.output) && !self.output.starts_with(folder);
        ensure!(
            self.hold_out.as_ref().is_none_or(apart),
            "--hold-out lies within --output, or the other way round; give it a folder beside it, or training would hear it"
        );
        let (bank, missing) = SoundBank::load_available(&sources)?;
        for missing in &missing {
            println!("left out: {missing}");
        }
        println!("{} sampled sounds", bank.len());
        let side = if self.hold_out.is_some() { Side::Training } else { Side::All };
        let options = SetOptions { loops: self.loops, seed: self.seed, content, side, ..SetOptions::default() };
        let stop = super::interruption()?;
        write(&bank, &options, &self.output, &stop)?;
        if let Some(folder) = &self.hold_out {
            let loops = self.loops.div_ceil(10);
            write(&bank, &SetOptions { loops, side: Side::HeldOut, ..options }, folder, &stop)?;
        }
        Ok(())
    }
}

/// Renders a set into a folder, until it is done or stopped.
fn write(bank: &SoundBank, options: &SetOptions, output: &Path, stop: &AtomicBool) -> anyhow::Result<()> {
    let (mut progress, mut done, mut failure) = (super::Progress::new(options.loops as u64, "rendering"), 0, None);
    let rendered = render_with(bank, options, &mut |one| {
        let folder = output.join(one.label);
        let path = folder.join(format!("{}_{}bpm.wav", one.name, one.clip.bpm));
        let made = std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()));
        let written = made.and_then(|()| Ok(flowloop::wav::write(&path, &one.clip)?));
        done += 1;
        progress.set(done, options.loops as u64);
        failure = written.err();
        if failure.is_some() || stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    drop(progress);
    if let Some(error) = failure {
        return Err(error);
    }
    let (loops, seconds) = rendered?;
    println!("{}: {loops} loops, {:.1} min", output.display(), seconds / 60.0);
    Ok(())
}
