//! What `flowloop train` learns from: a folder read, encoded and standardised; said in words.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{anyhow, bail, ensure};
use flowloop::codec::{Codec, LATENTS_PER_BEAT};
use flowloop::dataset::{self, Dataset, Length, ScanOptions, Sides};
use flowloop::device::Adapter;
use flowloop::model::{Generator, Model};
use flowloop::training::latents::{self, Encoded, LatentSet};
use flowloop::training::straighten;
use rayon::prelude::*;

use super::Train;
use super::aim::VALIDATED;
use crate::Progress;

/// Audio that the codec is fitted on at most: 2.5 GB.
const FITTED_SECONDS: f64 = 7200.0;
/// Up to so many loops, each is listed without being asked for.
const LISTED: usize = 40;
/// Minutes of loops below which a model soon memorises them.
const ENOUGH_MINUTES: f64 = 10.0;
/// Solver steps behind the pairs of --straighten.
const TEACHER_STEPS: u32 = 16;

/// The loops of a folder as a codec encodes them, one after the other: memory holds no more than latents. Without
/// `keys` theirs are not read.
pub(crate) fn encoded_by(codec: &Codec, folder: &Path, keys: bool) -> anyhow::Result<Dataset<Encoded>> {
    let mut progress = Progress::new(0, "reading and encoding");
    let options = ScanOptions { keys, ..ScanOptions::default() };
    let encode = |clip, key| Encoded::of(codec, &clip, key);
    Ok(dataset::scan_each(folder, &options, &encode, &mut |done, total| {
        progress.set(done as u64, total as u64);
    })?)
}

impl Train {
    /// What there is to learn from, encoded and standardised.
    pub(super) fn latent_set(&self, base: Option<&Model>) -> anyhow::Result<LatentSet> {
        let stride = self.stride(base);
        if let Some(path) = &self.latents {
            return Ok(LatentSet::from_file(path, stride)?);
        }
        let Some(folder) = &self.folder else { bail!("name a folder of loops") };
        let (codec, scanned) = self.encoded(folder, base)?;
        let minutes = scanned.loops.iter().map(|l| l.clip.seconds()).sum::<f64>() / 60.0;
        if minutes < ENOUGH_MINUTES {
            println!(
                "warning: {minutes:.1} minutes of loops are little: the model will soon repeat them. {ENOUGH_MINUTES:.0} minutes or more do better{}",
                if base.is_none() { ", and so does going on from the built-in model: --from factory" } else { "" }
            );
        }
        let (training, validation) = self.split(&scanned)?;
        let set = LatentSet::new(&training, &validation, codec, base, stride)?;
        println!(
            "{} loops to learn from, {} held out, {} labels",
            set.training.len(),
            set.validation.len(),
            set.labels.len()
        );
        let left_out = scanned.loops.len() - set.training.len() - set.validation.len();
        if left_out > 0 {
            println!(
                "{left_out} loops left out: this net needs lengths in multiples of {} beats; fewer --widths need less",
                stride / LATENTS_PER_BEAT
            );
        }
        Ok(set)
    }

    /// The codec, of `base` or fitted on as much of the folder as memory holds well, and the loops as it
    /// encodes them.
    fn encoded(&self, folder: &Path, base: Option<&Model>) -> anyhow::Result<(Codec, Dataset<Encoded>)> {
        let keys = self.blocks_of(base) > 0;
        if let Some(codec) = base.and_then(|b| b.codec.clone()) {
            let scanned = encoded_by(&codec, folder, keys)?;
            println!("{}", self.found(&scanned));
            self.split(&scanned)?;
            return Ok((codec, scanned));
        }
        let mut progress = Progress::new(0, "reading");
        let options = ScanOptions { enough_seconds: FITTED_SECONDS, keys, ..ScanOptions::default() };
        let some = dataset::scan(folder, &options, &mut |done, total| progress.set(done as u64, total as u64))?;
        drop(progress);
        if some.whole {
            println!("{}", self.found(&some));
        }
        let (training, _) = self.split(&some)?;
        let mut progress = Progress::new(0, "fitting the codec");
        let codec = latents::fit(&training, &mut |done, total| progress.set(done as u64, total as u64))?;
        drop(progress);
        if !some.whole {
            drop(some);
            let scanned = encoded_by(&codec, folder, keys)?;
            println!("{}", self.found(&scanned));
            return Ok((codec, scanned));
        }
        let Dataset { loops, skipped, whole } = some;
        let loops = loops.into_par_iter().map(|one| one.map(|clip, key| Encoded::of(&codec, &clip, key))).collect();
        Ok((codec, Dataset { loops, skipped, whole }))
    }

    /// Loops to learn from and to judge by.
    fn split<'a, A>(&self, scanned: &'a Dataset<A>) -> anyhow::Result<Sides<'a, A>> {
        let (training, validation) = dataset::split(&scanned.loops, self.validation, self.seed);
        ensure!(
            !validation.is_empty() || self.validation == 0.0,
            "there are too few loops ({}) to hold one out; add loops, or learn without validation: --validation 0",
            training.len()
        );
        Ok((training, validation))
    }

    /// Counts, each skipped file with its reason, and each used one where they are few.
    fn found(&self, scanned: &Dataset<impl Length>) -> String {
        if self.verbose || scanned.loops.len() <= LISTED {
            return scanned.report();
        }
        let skipped = scanned.skipped.iter().map(|s| format!("\n  skipped {}: {}", s.path.display(), s.reason));
        scanned.summary().trim_end().to_string() + &skipped.collect::<String>()
    }

    /// The loops as pairs with the noise that `base` ties to them.
    pub(super) fn pairs(
        &self,
        count: usize,
        base: &Model,
        set: LatentSet,
        adapter: &Adapter,
        stop: &AtomicBool,
    ) -> anyhow::Result<LatentSet> {
        let teacher = Generator::new(base.clone(), adapter)?;
        let wanted = straighten::Pairs { count, held_out: VALIDATED, steps: TEACHER_STEPS, shift: base.header.shift };
        let mut progress = Progress::new(0, "asking the model that is gone on from");
        let right = teacher.correction(TEACHER_STEPS);
        let (net, right, device) = (teacher.velocity(), Some(&right as _), &adapter.device);
        let made = straighten::pairs(net, right, set, wanted, self.seed, device, &mut |done, all| {
            progress.set(done as u64, all as u64);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        drop(progress);
        made.map_err(|_| anyhow!("stopped before the training began; nothing was written"))
    }
}
