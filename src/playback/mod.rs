//! Playback: clips to sound, on the audio thread.
//!
//! [`Player`] holds the clip that plays and up to [`VOICES`] voices that read it; a clip is a circle, so
//! a held note goes round for ever. [`Settings`] say what makes it sound (notes that transpose it, the
//! host's transport, or keys that play its slices), which part of it, and through which envelope and
//! filters. A new clip is handed over by [`Player::swap`] and cross-faded in at equal power at once or
//! on the next beat, bar or loop, every voice keeping its place in the loop. Clips that no voice reads
//! any more come out of [`Player::spent`]: they are never freed here.
//!
//! Nothing in this room allocates, locks, blocks or logs after [`Player::new`], and it knows nothing
//! of nets, models or the thread that makes clips. Samples are at the host's rate; times in seconds.
//! What is heard depends on when settings and notes come, not on how the time is cut into blocks.

mod clips;
mod cut;
mod ended;
mod envelope;
mod glide;
mod kernel;
mod output;
mod settings;
mod sync;
mod voice;

use std::sync::Arc;

use crate::clip::Clip;
use clips::{Clips, Playhead};
pub use cut::slices;
use cut::{Cut, Span};
use ended::Ended;
use envelope::Shape;
use glide::equal_power;
use kernel::Kernels;
use output::Output;
pub use settings::{Expression, Mode, Note, Settings, Slicing, SwapAt};
use sync::Sync;
pub use sync::Transport;
use voice::{CHOKE, FADE, Scene, Voice};

/// Notes that sound at once; a seventeenth takes the voice of the oldest, released ones first.
pub const VOICES: usize = 16;
/// The key that plays a clip at its own pitch: middle C (60).
pub const ROOT_KEY: u8 = 60;
/// The key of the first slice: C1 of drum machines (36).
pub const SLICE_ROOT: u8 = 36;
/// Gain of a note of full velocity.
pub const GAIN: f32 = 0.5;
/// Voices in all: as many again as notes, for what fades out after a choke, a theft or a jump.
const SLOTS: usize = 2 * VOICES;
/// Samples that are worked out at a time: they stay in the fastest cache.
const CHUNK: usize = 64;

/// Plays the current clip by voices.
pub struct Player {
    voices: [Voice; SLOTS],
    sync: Sync,
    clips: Clips,
    output: Output,
    ended: Ended,
    kernels: Arc<Kernels>,
    sample_rate: f64,
    mode: Mode,
    /// Counts notes, to know the oldest.
    notes: u64,
}

impl Player {
    /// A silent player. Allocates; call it off the audio thread.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            voices: [Voice::default(); SLOTS],
            sync: Sync::default(),
            clips: Clips::default(),
            output: Output::new(),
            ended: Ended::default(),
            kernels: Kernels::shared(),
            sample_rate,
            mode: Mode::default(),
            notes: 0,
        }
    }

    /// Takes a new host rate, in hertz. Notes go on at their pitch and place.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.sample_rate = sample_rate;
        self.output.set_sample_rate(sample_rate);
    }

    /// True while a note is heard, or about to be.
    pub fn sounding(&self) -> bool {
        self.sync.voice.sounding() || self.voices.iter().any(Voice::sounding)
    }

    /// True when something was heard and has not ended.
    fn heard(&self) -> bool {
        self.sync.voice.heard() || self.voices.iter().any(Voice::heard)
    }

    /// The clip that was handed over last.
    pub fn clip(&self) -> Option<&Arc<Clip>> {
        self.clips.newest()
    }

    /// The clip that is heard, or would be.
    pub fn playing(&self) -> Option<&Arc<Clip>> {
        self.clips.current.as_ref()
    }

    /// True while a clip waits for its moment.
    pub fn waits(&self) -> bool {
        self.clips.waits()
    }

    /// True when `swap` may be called: all spent clips were taken back.
    pub fn takes_clip(&self) -> bool {
        self.clips.takes()
    }

    /// Plays `clip` from when the settings say; sounding notes cross-fade to it, and when none sounds it
    /// is there at once. It takes the place of a clip that still waits. Call only when `takes_clip`.
    pub fn swap(&mut self, clip: Arc<Clip>) {
        self.clips.hand_over(clip);
        if !self.heard() {
            self.change_clip();
        }
    }

    /// A clip that is no longer needed; the caller frees it elsewhere.
    pub fn spent(&mut self) -> Option<Arc<Clip>> {
        self.clips.spent()
    }

    /// A note that ended of itself, was released and has faded, or was choked or taken over; None when
    /// there is no more. The oldest are forgotten when nobody asks.
    pub fn ended(&mut self) -> Option<Note> {
        self.ended.take()
    }

    /// Starts a note, velocity 0..1. What it plays is for the mode to say: in [`Mode::Trigger`] the clip,
    /// transposed by the key from [`ROOT_KEY`]; in [`Mode::Slice`] the slice of the key, from
    /// [`SLICE_ROOT`] on; in [`Mode::Sync`] nothing.
    pub fn note_on(&mut self, note: Note, velocity: f32) {
        if self.voices.iter().filter(|v| v.plays() && v.note().is_some()).count() >= VOICES {
            let oldest = (0..SLOTS)
                .filter(|i| self.voices[*i].plays() && self.voices[*i].note().is_some())
                .min_by_key(|i| (!self.voices[*i].released(), self.voices[*i].age));
            oldest.into_iter().for_each(|i| self.leave(i));
        }
        self.notes += 1;
        let velocity = if velocity.is_finite() { velocity.clamp(0.0, 1.0) } else { 0.0 };
        let slot = self.free_slot();
        self.voices[slot] = Voice::start(note, velocity, self.notes);
    }

    /// Releases notes by their names; None matches all.
    pub fn note_off(&mut self, key: Option<u8>, channel: Option<u8>, id: Option<i32>) {
        self.voices.iter_mut().filter(|v| v.is(key, channel, id)).for_each(Voice::release);
    }

    /// Ends notes by their names at once, in a fade of 2 ms; None matches all.
    pub fn choke(&mut self, key: Option<u8>, channel: Option<u8>, id: Option<i32>) {
        for i in 0..SLOTS {
            if self.voices[i].is(key, channel, id) {
                self.leave(i);
            }
        }
    }

    /// Changes notes by their names while they sound; None matches all.
    pub fn express(&mut self, key: Option<u8>, channel: Option<u8>, id: Option<i32>, expression: Expression) {
        for voice in self.voices.iter_mut().filter(|v| v.is(key, channel, id)) {
            voice.express(expression, self.sample_rate);
        }
    }

    /// Silence from the next sample on; nothing is reported as ended.
    pub fn reset(&mut self) {
        self.sync = Sync::default();
        self.voices = [Voice::default(); SLOTS];
        self.ended = Ended::default();
        self.output.settle(self.sample_rate);
    }

    /// The place in the loop (0..1) of the transport, or of the newest note that sounds.
    pub fn position(&self) -> Option<f32> {
        let clip = self.clips.current.as_ref()?;
        let voice = self.newest()?;
        let span = Span::new(voice.cut(), clip);
        let travelled = voice.motion(&span, clip, clip, self.sample_rate).travelled;
        Some((span.place(travelled) / clip.len() as f64) as f32)
    }

    /// The loop in time, or the newest note that has begun, be it about to end.
    fn newest(&self) -> Option<&Voice> {
        let notes = self.voices.iter().filter(|v| v.sounding() && !v.fresh() && v.note().is_some());
        Some(&self.sync.voice).filter(|v| v.sounding()).or(notes.max_by_key(|v| v.age))
    }

    /// Adds sound to `left` and `right` (equal lengths), whose samples it expects to be set. `transport`
    /// is the host's at the first of them, in every mode, and None while it stands still.
    pub fn render(&mut self, settings: &Settings, transport: Option<&Transport>, left: &mut [f32], right: &mut [f32]) {
        if settings.mode != self.mode {
            self.mode = settings.mode;
            self.voices.iter_mut().filter(|v| v.plays() && !v.fresh()).for_each(Voice::release);
        }
        self.output.set(settings, self.sample_rate);
        self.adapt(settings);
        let (mut song, mut from) = (transport.copied(), 0);
        while from < left.len() {
            let mut n = CHUNK.min(left.len() - from);
            if let Some(song) = &song {
                n = song.at_most(n, self.sample_rate);
            }
            self.follow(settings, song.as_ref());
            n = self.change_when_due(settings, song.as_ref(), n);
            self.chunk(settings, &mut left[from..from + n], &mut right[from..from + n]);
            song = song.map(|s| s.after(n, self.sample_rate));
            from += n;
        }
    }

    /// Begins fresh notes and brings those that sound to the settings.
    fn adapt(&mut self, settings: &Settings) {
        let Some(clip) = self.clips.current.clone() else { return self.end_released() };
        let bend = if settings.bend.is_finite() { settings.bend } else { 0.0 };
        let looped = Cut::looped(&clip, settings);
        for i in 0..SLOTS {
            self.voices[i].bend(bend, self.sample_rate);
            if self.voices[i].fresh() {
                let cut = match settings.mode {
                    Mode::Trigger => Some(looped),
                    Mode::Slice => self.voices[i].note().and_then(|n| Cut::slice(&clip, settings, n.key)),
                    Mode::Sync => None,
                };
                match cut {
                    Some(cut) => self.voices[i].begin(cut, bend),
                    None => self.end(i),
                }
            } else if self.voices[i].moves() && *self.voices[i].cut() != looped {
                let rest = self.voices[i].move_to(looped, &clip, self.sample_rate);
                let slot = self.free_slot();
                self.voices[slot] = rest;
            }
        }
    }

    /// Without a clip held notes wait; released ones never begin.
    fn end_released(&mut self) {
        for i in 0..SLOTS {
            if self.voices[i].sounding() && self.voices[i].released() {
                self.end(i);
            }
        }
    }

    fn follow(&mut self, settings: &Settings, song: Option<&Transport>) {
        let Some(clip) = &self.clips.current else { return };
        let song = song.filter(|_| settings.mode == Mode::Sync);
        if song.is_none() && !self.sync.voice.sounding() {
            return;
        }
        let cut = Cut::looped(clip, settings);
        if let Some(mut rest) = self.sync.follow(song, &cut, self.sample_rate) {
            rest.leave(FADE, self.sample_rate);
            let slot = self.free_slot();
            self.voices[slot] = rest;
        }
    }

    /// Changes to the clip that waits if its moment is now; returns how many of the next `samples` there
    /// are until something changes.
    fn change_when_due(&mut self, settings: &Settings, song: Option<&Transport>, samples: usize) -> usize {
        let mut n = samples;
        if self.clips.waits() {
            let until = match self.heard() {
                true => {
                    let song = song.map(|s| (s, s.step(self.sample_rate)));
                    self.clips.samples_to_change(settings, song, self.playhead())
                }
                false => 0,
            };
            match until {
                0 => {
                    self.change_clip();
                    self.adapt(settings);
                    self.follow(settings, song);
                }
                until => n = n.min(until),
            }
        }
        n.min(self.clips.samples_of_fade(self.sample_rate).unwrap_or(n))
    }

    fn playhead(&self) -> Option<Playhead> {
        let (clip, voice) = (self.clips.current.as_ref()?, self.newest()?);
        let span = Span::new(voice.cut(), clip);
        let motion = voice.motion(&span, clip, clip, self.sample_rate);
        let place = span.place(motion.travelled);
        let way = if voice.cut().reverse { clip.len() as f64 - place } else { place };
        Some(Playhead { way, travelled: motion.travelled, length: span.length, speed: motion.fastest })
    }

    fn change_clip(&mut self) {
        if let Some(ratio) = self.clips.change(self.heard()) {
            self.sync.voice.rescale(ratio);
            self.voices.iter_mut().for_each(|v| v.rescale(ratio));
        }
    }

    /// A stretch of [`CHUNK`] samples at most, in which nothing is decided.
    fn chunk(&mut self, settings: &Settings, left: &mut [f32], right: &mut [f32]) {
        let n = left.len();
        let sounding = self.sounding() && self.clips.current.is_some();
        if !sounding && self.output.rests(self.sample_rate) {
            self.output.settle(self.sample_rate);
            return self.clips.end_fade();
        }
        let mut bus = [[0f32; CHUNK]; 2];
        let [l, r] = &mut bus;
        let (l, r) = (&mut l[..n], &mut r[..n]);
        if sounding {
            self.voices(settings, l, r);
        }
        self.output.process(self.sample_rate, l, r);
        for (out, sound) in [(left, l), (right, r)] {
            out.iter_mut().zip(sound).for_each(|(o, s)| *o += *s);
        }
    }

    fn voices(&mut self, settings: &Settings, left: &mut [f32], right: &mut [f32]) {
        let Some(clip) = &self.clips.current else { return };
        let old = self.clips.fading.as_ref();
        let scene = Scene {
            clip,
            old: old.map(|(clip, _)| &**clip),
            weights: old.map_or([[0.0; CHUNK]; 2], |(_, done)| weights(*done, Clips::fade_step(self.sample_rate))),
            kernels: &self.kernels,
            shape: Shape::new(settings, self.sample_rate),
            sample_rate: self.sample_rate,
        };
        for voice in self.voices.iter_mut().chain([&mut self.sync.voice]).filter(|v| v.sounding()) {
            let note = voice.note();
            if !voice.render(&scene, left, right)
                && let Some(note) = note
            {
                self.ended.push(note);
            }
        }
        match self.heard() {
            true => self.clips.advance(left.len(), self.sample_rate),
            false => self.clips.end_fade(),
        }
    }

    /// Ends a note by a short fade; one that was not heard yet is just gone.
    fn leave(&mut self, voice: usize) {
        match self.voices[voice].fresh() {
            true => self.end(voice),
            false => self.voices[voice].leave(CHOKE, self.sample_rate),
        }
    }

    fn end(&mut self, voice: usize) {
        if let Some(note) = self.voices[voice].note() {
            self.ended.push(note);
        }
        self.voices[voice] = Voice::default();
    }

    /// A voice that is silent, or else the one that has nearly faded out.
    fn free_slot(&mut self) -> usize {
        let fade = |i: &usize| if self.voices[*i].sounding() { self.voices[*i].fade() } else { -1.0 };
        let leaving = |i: &usize| !self.voices[*i].plays();
        // Not all slots hold playing notes: there are twice as many.
        let slot = (0..SLOTS).filter(leaving).min_by(|a, b| fade(a).total_cmp(&fade(b))).unwrap_or(0);
        self.end(slot);
        slot
    }
}

/// Gains of the new and the old clip for each sample of a fade that is `done` so far.
fn weights(done: f64, step: f64) -> [[f32; CHUNK]; 2] {
    let t = |i: usize| (done + step * f64::from(i as i32)).min(1.0) as f32;
    let gains: [(f32, f32); CHUNK] = std::array::from_fn(|i| equal_power(t(i)));
    [gains.map(|(up, _)| up), gains.map(|(_, down)| down)]
}

#[cfg(test)]
mod tests;
