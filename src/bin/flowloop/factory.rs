//! `flowloop factory`: the training loops of the factory model as WAV files, a folder a style.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use flowloop::factory::render_set;
use flowloop::factory::sounds::{SoundBank, Sources};

#[derive(Args)]
pub struct Factory {
    /// Folder to write to
    #[arg(short, long)]
    output: PathBuf,
    /// How many loops
    #[arg(long, default_value_t = 1400)]
    loops: usize,
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
        let bank = SoundBank::load(&Sources {
            sonic_pi: self.sonic_pi.unwrap_or(default.sonic_pi),
            drumkits: self.drumkits.unwrap_or(default.drumkits),
            sound_font: self.sound_font.unwrap_or(default.sound_font),
        })?;
        let stop = super::interruption()?;
        let (mut progress, mut done) = (super::Progress::new(self.loops as u64, "rendering"), 0);
        let (mut seconds, mut failure) = (0.0, None);
        render_set(&bank, self.loops, self.seed, &mut |one| {
            let folder = self.output.join(one.label);
            let path = folder.join(format!("{}_{}bpm.wav", one.name, one.clip.bpm));
            let made = std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()));
            let written = made.and_then(|()| Ok(flowloop::wav::write(&path, &one.clip)?));
            seconds += one.clip.seconds();
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
        match failure {
            Some(error) => Err(error),
            None => {
                println!("{}: {:.1} min of loops from {} sounds", self.output.display(), seconds / 60.0, bank.len());
                Ok(())
            }
        }
    }
}
