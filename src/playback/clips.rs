//! The clips of a player: the one that plays, the one that fades out, the one that waits, and those to
//! give back.

use std::sync::Arc;

use super::settings::{Settings, SwapAt};
use super::sync::Transport;
use crate::clip::Clip;

/// Length of the cross-fade from clip to clip, in seconds: short enough to keep hits sharp.
const CROSSFADE: f64 = 0.010;
/// A boundary nearer than this is reached, in samples: positions of hosts are rounded.
const ROUNDING: f64 = 1e-6;

#[derive(Default)]
pub(super) struct Clips {
    pub current: Option<Arc<Clip>>,
    /// The clip being faded out, and how far the fade is (0..1).
    pub fading: Option<(Arc<Clip>, f64)>,
    /// The clip that waits for its moment.
    next: Option<Arc<Clip>>,
    /// Its moment came while a fade was under way.
    due: bool,
    spent: [Option<Arc<Clip>>; 3],
}

impl Clips {
    pub fn newest(&self) -> Option<&Arc<Clip>> {
        self.next.as_ref().or(self.current.as_ref())
    }

    pub fn waits(&self) -> bool {
        self.next.is_some()
    }

    pub fn takes(&self) -> bool {
        self.spent.iter().all(Option::is_none)
    }

    pub fn spent(&mut self) -> Option<Arc<Clip>> {
        self.spent.iter_mut().find_map(Option::take)
    }

    /// Takes a clip: to play it now where none is there, else to wait.
    pub fn hand_over(&mut self, clip: Arc<Clip>) {
        let is = |other: &Option<Arc<Clip>>| other.as_ref().is_some_and(|c| Arc::ptr_eq(c, &clip));
        if clip.is_empty() || is(&self.next) {
            self.retire(clip);
        } else if is(&self.current) {
            // A fade from a clip to itself would only be louder; what waited is not wanted any more.
            self.retire(clip);
            self.due = false;
            if let Some(skipped) = self.next.take() {
                self.retire(skipped);
            }
        } else if self.current.is_none() {
            self.current = Some(clip);
        } else if let Some(skipped) = self.next.replace(clip) {
            self.retire(skipped);
        }
    }

    /// The clip that waits is played from now on, faded in if the one before is `heard`; when a fade is
    /// under way, then as soon as it ends. Returns the new clip's length by the old one's.
    pub fn change(&mut self, heard: bool) -> Option<f64> {
        if self.fading.is_some() && heard {
            self.due = true;
            return None;
        }
        self.end_fade();
        let next = self.next.take()?;
        self.due = false;
        let ratio = self.current.as_ref().map_or(1.0, |old| next.len() as f64 / old.len() as f64);
        match (self.current.replace(next), heard) {
            (Some(old), true) => self.fading = Some((old, 0.0)),
            (Some(old), false) => self.retire(old),
            (None, _) => {}
        }
        Some(ratio)
    }

    /// Samples until the fade ends; None without one.
    pub fn samples_of_fade(&self, sample_rate: f64) -> Option<usize> {
        let (_, done) = self.fading.as_ref()?;
        Some((((1.0 - done) * CROSSFADE * sample_rate - ROUNDING).ceil() as usize).max(1))
    }

    /// How far a fade goes in a sample.
    pub fn fade_step(sample_rate: f64) -> f64 {
        1.0 / (CROSSFADE * sample_rate)
    }

    /// Moves the fade on.
    pub fn advance(&mut self, samples: usize, sample_rate: f64) {
        let Some((_, done)) = &mut self.fading else { return };
        *done += samples as f64 * Self::fade_step(sample_rate);
        if *done >= 1.0 - ROUNDING * Self::fade_step(sample_rate) {
            self.end_fade();
        }
    }

    /// The old clip is not heard any more.
    pub fn end_fade(&mut self) {
        if let Some((old, _)) = self.fading.take() {
            self.retire(old);
        }
    }

    fn retire(&mut self, clip: Arc<Clip>) {
        match self.spent.iter_mut().find(|s| s.is_none()) {
            Some(slot) => *slot = Some(clip),
            // Three clips are out at most (fading, next, the one handed over): not reached. Leaking
            // is the one way left that neither frees nor blocks.
            None => std::mem::forget(clip),
        }
    }

    /// Samples until the clip that waits has its moment, by the song or else by the newest note; 0 when
    /// that is now.
    pub fn samples_to_change(
        &self,
        settings: &Settings,
        song: Option<(&Transport, f64)>,
        newest: Option<Playhead>,
    ) -> usize {
        let Some(current) = self.current.as_ref().filter(|_| !self.due && settings.swap != SwapAt::Now) else {
            return 0;
        };
        let beats = f64::from(current.beats.max(1));
        let period = match settings.swap {
            SwapAt::Now => return 0,
            SwapAt::Beat => 1.0,
            SwapAt::Bar => Some(settings.bar).filter(|b| b.is_finite() && *b > 0.0).unwrap_or(4.0),
            SwapAt::Loop => beats,
        };
        match (song, newest) {
            (Some((transport, step)), _) => samples_to_multiple(transport.beats, period, step),
            (None, Some(head)) => {
                let wrap = samples_to_multiple(head.travelled, head.length, head.speed);
                match settings.swap {
                    SwapAt::Loop => wrap,
                    _ => samples_to_multiple(head.way, period / beats * current.len() as f64, head.speed).min(wrap),
                }
            }
            // What is left of the loop in time after a stop fades within moments.
            (None, None) => usize::MAX,
        }
    }
}

/// Where the newest note is, in samples of the current clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Playhead {
    /// The way from the clip's first sample, or from its end backwards.
    pub way: f64,
    /// The way from where its loop or slice is entered, and the length of that.
    pub travelled: f64,
    pub length: f64,
    /// Way a sample, at most: so that no boundary is passed by.
    pub speed: f64,
}

/// Samples until `position`, which moves by `step` a sample, is at a multiple of `period` or has passed
/// it by less than a step.
fn samples_to_multiple(position: f64, period: f64, step: f64) -> usize {
    let past = position.rem_euclid(period);
    if past < step * (1.0 - ROUNDING) {
        return 0;
    }
    ((period - past) / step - ROUNDING).ceil().max(0.0) as usize
}
