//! `flowloop factory`: the training loops of the factory model as WAV files, a folder a style.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::{Args, ValueEnum};
use flowloop::factory::sounds::Sources;
use flowloop::factory::{Content, SetOptions, render_from};

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
        let options = SetOptions { loops: self.loops, seed: self.seed, content, ..SetOptions::default() };
        let stop = super::interruption()?;
        let (mut progress, mut done, mut failure) = (super::Progress::new(self.loops as u64, "rendering"), 0, None);
        let summary = render_from(&sources, &options, &mut |one| {
            let folder = self.output.join(one.label);
            let path = folder.join(format!("{}_{}bpm.wav", one.name, one.clip.bpm));
            let made = std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()));
            let written = made.and_then(|()| Ok(flowloop::wav::write(&path, &one.clip)?));
            done += 1;
            progress.set(done, self.loops as u64);
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
        let summary = summary?;
        for missing in &summary.missing {
            println!("left out: {missing}");
        }
        let (minutes, sounds) = (summary.seconds / 60.0, summary.sounds);
        println!("{}: {} loops, {minutes:.1} min, from {sounds} sounds", self.output.display(), summary.loops);
        Ok(())
    }
}
