//! Which stretch of the circle is played: all of it, a part that loops, or a slice.

use super::glide::equal_power;
use super::kernel::{Kernels, Path};
use super::settings::{Settings, Slicing};
use super::{CHUNK, SLICE_ROOT};
use crate::clip::Clip;

/// Cross-fade where a part of the loop wraps, in seconds of the clip: the clip is seamless as a whole only.
const SEAM: f64 = 0.004;

/// A stretch of the circle in shares of it, so that it means the same in another clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    start: f64,
    length: f64,
    pub reverse: bool,
    /// A slice: it ends where a loop wraps.
    pub once: bool,
}

impl Default for Cut {
    fn default() -> Self {
        Self { start: 0.0, length: 1.0, reverse: false, once: false }
    }
}

impl Cut {
    /// The part that loops by the settings, on the clip's 16th notes.
    pub fn looped(clip: &Clip, settings: &Settings) -> Self {
        let sixteenths = 4.0 * f64::from(clip.beats.max(1));
        let grid = |share: f32, least: f64, most: f64| (f64::from(share) * sixteenths).round().max(least).min(most);
        Self {
            start: grid(settings.start, 0.0, sixteenths - 1.0) / sixteenths,
            length: grid(settings.length, 1.0, sixteenths) / sixteenths,
            reverse: settings.reverse,
            once: false,
        }
    }

    /// The slice of a key; None where there is none.
    pub fn slice(clip: &Clip, settings: &Settings, key: u8) -> Option<Self> {
        let n = usize::from(key.checked_sub(SLICE_ROOT)?);
        let count = slices(clip, settings.slicing);
        if n >= count {
            return None;
        }
        let start = |n: usize| match by_hits(clip, settings.slicing) {
            true => f64::from(clip.hits[n]) / clip.len() as f64,
            false => n as f64 / count as f64,
        };
        // From the last to the first it is across the seam; a single slice is the whole circle.
        let length = if n + 1 < count { start(n + 1) - start(n) } else { start(0) + 1.0 - start(n) };
        Some(Self { start: start(n), length, reverse: settings.reverse, once: true })
    }
}

/// How many slices a clip has.
pub fn slices(clip: &Clip, slicing: Slicing) -> usize {
    if by_hits(clip, slicing) { clip.hits.len() } else { clip.beats.max(1) as usize }
}

fn by_hits(clip: &Clip, slicing: Slicing) -> bool {
    slicing == Slicing::Hits && !clip.hits.is_empty()
}

/// A cut in one clip, in its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: f64,
    pub length: f64,
    /// Length in quarter notes.
    pub beats: f64,
    /// Samples of the cross-fade into the wrap; 0 where none is needed.
    seam: f64,
    reverse: bool,
    /// Samples of the whole circle.
    circle: f64,
}

/// Movement through a span, in samples of the clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    /// The way from where the span is entered.
    pub travelled: f64,
    /// Way a sample, positive.
    pub speed: f64,
    /// Change of the speed a sample.
    pub change: f64,
    /// The largest speed of the glide that this is a part of.
    pub fastest: f64,
}

impl Motion {
    pub fn after(&self, samples: usize) -> Self {
        let n = samples as f64;
        let travelled = self.travelled + n * (self.speed + 0.5 * self.change * (n - 1.0));
        Self { travelled, speed: self.speed + n * self.change, ..*self }
    }

    /// Samples until `distance` is left behind: exact at an even speed, else a little less.
    fn samples_for(&self, distance: f64) -> usize {
        let speed = if self.change == 0.0 { self.speed } else { self.fastest };
        ((distance / speed).ceil() as usize).max(1)
    }
}

impl Span {
    pub fn new(cut: &Cut, clip: &Clip) -> Self {
        let circle = clip.len() as f64;
        let length = (cut.length * circle).max(1.0);
        let whole = cut.once || cut.length >= 1.0;
        Self {
            start: cut.start * circle,
            length,
            beats: cut.length * f64::from(clip.beats.max(1)),
            seam: if whole { 0.0 } else { (SEAM * f64::from(clip.sample_rate)).min(0.5 * length) },
            reverse: cut.reverse,
            circle,
        }
    }

    /// Where in the clip one is after having `travelled`.
    pub fn place(&self, travelled: f64) -> f64 {
        let place = if self.reverse { self.start + self.length - travelled } else { self.start + travelled };
        place.rem_euclid(self.circle)
    }

    /// Fills `left` and `right` (equal lengths, [`CHUNK`] at most) with the sound of `clip`.
    pub fn fill(&self, clip: &Clip, kernels: &Kernels, motion: Motion, left: &mut [f32], right: &mut [f32]) {
        if self.seam == 0.0 {
            kernels.read(clip, &self.path(&motion), left, right);
            return;
        }
        let (mut at, mut motion) = (0, motion);
        while at < left.len() {
            let to_wrap = self.length - motion.travelled;
            let wraps = to_wrap <= self.seam;
            let n = motion.samples_for(if wraps { to_wrap } else { to_wrap - self.seam }).min(left.len() - at);
            let (l, r) = (&mut left[at..at + n], &mut right[at..at + n]);
            kernels.read(clip, &self.path(&motion), l, r);
            if wraps {
                self.fade_into_wrap(clip, kernels, motion, l, r);
            }
            motion = motion.after(n);
            if motion.travelled >= self.length {
                motion.travelled = motion.travelled.rem_euclid(self.length);
            }
            at += n;
        }
    }

    /// What leads up to the start comes in while the end goes, so that the wrap itself joins.
    fn fade_into_wrap(&self, clip: &Clip, kernels: &Kernels, motion: Motion, left: &mut [f32], right: &mut [f32]) {
        let (mut lead_left, mut lead_right) = ([0f32; CHUNK], [0f32; CHUNK]);
        let n = left.len();
        let lead = Motion { travelled: motion.travelled - self.length, ..motion };
        kernels.read(clip, &self.path(&lead), &mut lead_left[..n], &mut lead_right[..n]);
        for i in 0..n {
            let done = 1.0 + motion.after(i).travelled / self.seam - self.length / self.seam;
            let (up, down) = equal_power(done.clamp(0.0, 1.0) as f32);
            left[i] = left[i] * down + lead_left[i] * up;
            right[i] = right[i] * down + lead_right[i] * up;
        }
    }

    fn path(&self, motion: &Motion) -> Path {
        let direction = if self.reverse { -1.0 } else { 1.0 };
        Path {
            place: self.place(motion.travelled),
            speed: direction * motion.speed,
            change: direction * motion.change,
            fastest: motion.fastest,
        }
    }
}
