//! Playback: clips to sound, on the audio thread.
//!
//! [`Player`] holds the clip that plays and up to [`VOICES`] voices that read it, each at its own
//! pitch; a clip is a circle, so a held note goes round for ever. A new clip is handed over by
//! [`Player::swap`] and cross-faded in at equal power, every voice keeping its place in the loop.
//! Clips that no voice reads any more come out of [`Player::spent`]: they are never freed here.
//!
//! Nothing in this room allocates, locks, blocks or logs after [`Player::new`], and it knows nothing
//! of nets, models or the thread that makes clips. Samples are at the host's rate; times in seconds.

mod kernel;
mod sync;
mod voice;

use std::f32::consts::FRAC_PI_2;
use std::sync::Arc;

use crate::clip::Clip;
use kernel::Kernels;
pub use sync::Transport;
use sync::{Source, Sync};
use voice::{Stage, Voice};

/// Notes that sound at once; the oldest makes room for a seventeenth.
pub const VOICES: usize = 16;
/// The key that plays a clip at its own pitch: middle C (60).
pub const ROOT_KEY: u8 = 60;
/// Gain of a note of full velocity.
pub const GAIN: f32 = 0.5;
/// Length of the cross-fade from clip to clip, in seconds: short enough to keep hits sharp.
const CROSSFADE: f64 = 0.010;

/// Plays the current clip by voices.
pub struct Player {
    voices: [Voice; VOICES],
    sync: Sync,
    kernels: Arc<Kernels>,
    sample_rate: f64,
    current: Option<Arc<Clip>>,
    /// The clip being faded out, and how far the fade is (0..1).
    fading: Option<(Arc<Clip>, f32)>,
    /// The clip that waits for the fade under way to end.
    next: Option<Arc<Clip>>,
    /// Clips to give back.
    spent: [Option<Arc<Clip>>; 3],
    /// Counts notes, to know the oldest.
    notes: u64,
}

impl Player {
    /// A silent player. Allocates; call it off the audio thread.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            voices: std::array::from_fn(|_| Voice::default()),
            sync: Sync::default(),
            kernels: Kernels::shared(),
            sample_rate,
            current: None,
            fading: None,
            next: None,
            spent: [None, None, None],
            notes: 0,
        }
    }

    /// Takes a new host rate, in hertz. Notes go on at their pitch and place.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
    }

    /// True while a note is heard.
    pub fn sounding(&self) -> bool {
        self.sync.sounding() || self.voices.iter().any(Voice::sounding)
    }

    /// The clip that was handed over last.
    pub fn clip(&self) -> Option<&Arc<Clip>> {
        self.next.as_ref().or(self.current.as_ref())
    }

    /// True when `swap` may be called: all spent clips were taken back.
    pub fn takes_clip(&self) -> bool {
        self.spent.iter().all(Option::is_none)
    }

    /// Plays `clip` from now on; sounding notes cross-fade to it. Call only when `takes_clip`.
    pub fn swap(&mut self, clip: Arc<Clip>) {
        let sounding = self.sounding();
        let same = self.clip().is_some_and(|c| Arc::ptr_eq(c, &clip));
        // A fade from a clip to itself would only be louder.
        if same || clip.is_empty() {
            self.retire(clip);
        } else if self.fading.is_some() && sounding {
            if let Some(skipped) = self.next.replace(clip) {
                self.retire(skipped);
            }
        } else if let Some(old) = self.current.replace(clip) {
            match sounding {
                true => self.fading = Some((old, 0.0)),
                false => self.retire(old),
            }
        }
    }

    /// A clip that is no longer needed; the caller frees it elsewhere.
    pub fn spent(&mut self) -> Option<Arc<Clip>> {
        self.spent.iter_mut().find_map(Option::take)
    }

    fn retire(&mut self, clip: Arc<Clip>) {
        match self.spent.iter_mut().find(|s| s.is_none()) {
            Some(slot) => *slot = Some(clip),
            // Three clips are out at most (fading, next, the one handed over): not reached. Leaking
            // is the one way left that neither frees nor blocks.
            None => std::mem::forget(clip),
        }
    }

    /// Starts the clip for `key`, which transposes from [`ROOT_KEY`]; velocity 0..1. Without a
    /// channel the note belongs to every channel.
    pub fn note_on(&mut self, key: u8, channel: Option<u8>, velocity: f32) {
        let oldest = |v: &&mut Voice| (v.sounding(), v.stage != Stage::Released, v.age());
        let Some(voice) = self.voices.iter_mut().min_by_key(oldest) else { return };
        self.notes += 1;
        voice.start(key, channel, velocity, self.notes);
    }

    /// Releases the notes of `key` (None: every key) on `channel` (None: every channel).
    pub fn note_off(&mut self, key: Option<u8>, channel: Option<u8>) {
        self.voices.iter_mut().filter(|v| v.is(key, channel)).for_each(Voice::release);
    }

    /// Ends everything at once.
    pub fn reset(&mut self) {
        self.sync = Sync::default();
        self.voices.iter_mut().for_each(|v| v.stage = Stage::Silent);
    }

    /// The place in the loop (0..1) of the transport, or of the newest note that sounds.
    pub fn position(&self) -> Option<f32> {
        if let (Some(beats), Some(clip)) = (self.sync.beats(), &self.current) {
            return Some((beats / f64::from(clip.beats)).rem_euclid(1.0) as f32);
        }
        let newest = self.voices.iter().filter(|v| v.sounding()).max_by_key(|v| v.age());
        newest.map(|v| v.position() as f32)
    }

    /// Adds sound to `left` and `right` (equal lengths), whose samples it expects to be set: the voices'
    /// and, while there is a `transport`, the loop in time with it.
    pub fn render(&mut self, transport: Option<&Transport>, left: &mut [f32], right: &mut [f32]) {
        let fade_step = (1.0 / (CROSSFADE * self.sample_rate)) as f32;
        self.sync.follow(transport, self.sample_rate);
        let Some(current) = &self.current else { return };
        let source = Source {
            clip: current,
            fading: self.fading.as_ref().map(|(old, fade)| (&**old, *fade)),
            fade_step,
            kernels: &self.kernels,
            sample_rate: self.sample_rate,
        };
        self.sync.render(&source, GAIN, transport, left, right);
        for voice in self.voices.iter_mut().filter(|v| v.sounding()) {
            let mut fade = self.fading.as_ref().map(|(_, f)| *f);
            let steps = voice.steps(self.sample_rate, current);
            for (l, r) in left.iter_mut().zip(right.iter_mut()) {
                let gain = GAIN * voice.advance_envelope(&steps);
                let (mut sound, place) = (voice.read(current, &self.kernels, &steps), voice.position());
                if let (Some(f), Some((old, _))) = (&mut fade, &self.fading)
                    && *f < 1.0
                {
                    let (up, down) = ((*f * FRAC_PI_2).sin(), (*f * FRAC_PI_2).cos());
                    let before = voice::read_at(old, &self.kernels, place, steps.speed);
                    sound = [sound[0] * up + before[0] * down, sound[1] * up + before[1] * down];
                    *f += fade_step;
                }
                *l += gain * sound[0];
                *r += gain * sound[1];
                voice.advance(&steps);
                if !voice.sounding() {
                    break;
                }
            }
        }
        self.end_fade(fade_step * left.len() as f32);
    }

    fn end_fade(&mut self, progress: f32) {
        let sounding = self.sounding();
        let Some((_, fade)) = &mut self.fading else { return };
        *fade += progress;
        if *fade >= 1.0 || !sounding {
            if let Some((old, _)) = self.fading.take() {
                self.retire(old);
            }
            if let Some(next) = self.next.take()
                && let Some(old) = self.current.replace(next)
            {
                self.fading = Some((old, 0.0));
            }
        }
    }
}

#[cfg(test)]
mod tests;
