//! One sounding thing: a note, the loop in time with the transport, or what is left of either.

use super::cut::{Cut, Motion, Span};
use super::envelope::{Envelope, Shape};
use super::glide::{Glide, balance};
use super::kernel::Kernels;
use super::settings::{Expression, Note};
use super::{CHUNK, GAIN, ROOT_KEY};
use crate::clip::Clip;

/// Fade at starts, stops and jumps of the transport and where a note's loop is moved, in seconds.
pub(super) const FADE: f64 = 0.004;
/// Fade of a note that is choked, that gives its voice away or comes to its slice's end, in seconds.
pub(super) const CHOKE: f64 = 0.002;
/// How long pitch, volume and pan take to a new value, in seconds: no steps, and still tight.
pub(super) const RAMP: f64 = 0.005;
/// Octaves that a note is transposed by at most, either way.
const MAX_OCTAVES: f64 = 8.0;

/// What a voice is about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Silent,
    /// A note that no block has reached yet.
    Fresh,
    /// A note; its place is the way in its cut, in samples of the current clip.
    Note,
    /// In time; its place is the song position in beats.
    Song {
        /// Beats a sample.
        step: f64,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Voice {
    kind: Kind,
    note: Note,
    /// Number of the note: a higher one is newer.
    pub age: u64,
    velocity: f32,
    tuning: f32,
    volume: f32,
    pan: f32,
    cut: Cut,
    place: f64,
    /// Speed by the clip's own.
    pitch: Glide,
    semitones: f64,
    /// Left and right: velocity, volume and pan.
    gains: [Glide; 2],
    envelope: Envelope,
    /// Against clicks, 0..1.
    fade: Glide,
    /// Some of it was heard.
    begun: bool,
    /// It was heard when the clip that fades out was played.
    knows_old: bool,
    /// The rest of a voice that goes on elsewhere, not a note of its own.
    rest: bool,
}

/// What the voices of a stretch share: clips, rate, envelope.
pub(super) struct Scene<'a> {
    pub clip: &'a Clip,
    /// The clip that fades out.
    pub old: Option<&'a Clip>,
    /// Gains of the new and the old clip, a sample of the stretch each.
    pub weights: [[f32; CHUNK]; 2],
    pub kernels: &'a Kernels,
    pub shape: Shape,
    pub sample_rate: f64,
}

fn samples(seconds: f64, sample_rate: f64) -> u32 {
    (seconds * sample_rate).round().max(1.0) as u32
}

fn ratio(semitones: f64) -> f64 {
    (semitones / 12.0).clamp(-MAX_OCTAVES, MAX_OCTAVES).exp2()
}

impl Voice {
    pub fn start(note: Note, velocity: f32, age: u64) -> Self {
        Self { kind: Kind::Fresh, note, velocity, age, volume: 1.0, ..Self::default() }
    }

    /// The loop at a song position, fading in.
    pub fn in_time(beats: f64, step: f64, cut: Cut, fade: u32) -> Self {
        let mut fading = Glide::at(0.0);
        fading.to(1.0, fade);
        let gains = [Glide::at(f64::from(GAIN)); 2];
        let envelope = Envelope::steady();
        Self { kind: Kind::Song { step }, cut, place: beats, gains, envelope, fade: fading, ..Self::default() }
    }

    pub fn sounding(&self) -> bool {
        self.kind != Kind::Silent
    }

    /// True once some of it was heard, while it sounds.
    pub fn heard(&self) -> bool {
        self.sounding() && self.begun
    }

    pub fn fresh(&self) -> bool {
        self.kind == Kind::Fresh
    }

    /// True for a note that was neither choked nor taken.
    pub fn plays(&self) -> bool {
        self.sounding() && !self.leaves()
    }

    pub fn released(&self) -> bool {
        self.envelope.released()
    }

    /// It fades out for good.
    pub fn leaves(&self) -> bool {
        self.fade.target() == 0.0
    }

    /// How much of the fade is left.
    pub fn fade(&self) -> f64 {
        self.fade.value()
    }

    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// The note that it plays; None for the loop in time and for rests.
    pub fn note(&self) -> Option<Note> {
        (matches!(self.kind, Kind::Note | Kind::Fresh) && !self.rest).then_some(self.note)
    }

    /// True for a playing note of these names.
    pub fn is(&self, key: Option<u8>, channel: Option<u8>, id: Option<i32>) -> bool {
        self.plays() && self.note().is_some_and(|n| n.is(key, channel, id))
    }

    /// The song position.
    pub fn song(&self) -> Option<f64> {
        matches!(self.kind, Kind::Song { .. }).then_some(self.place)
    }

    /// Moves on to where the song is.
    pub fn follow(&mut self, beats: f64, step: f64) {
        self.place = beats;
        self.kind = Kind::Song { step };
    }

    pub fn release(&mut self) {
        self.envelope.release();
    }

    /// Fades out in `seconds`.
    pub fn leave(&mut self, seconds: f64, sample_rate: f64) {
        self.fade.to(0.0, samples(seconds, sample_rate));
    }

    /// A fresh note begins.
    pub fn begin(&mut self, cut: Cut, bend: f32) {
        self.kind = Kind::Note;
        self.cut = cut;
        self.semitones = self.transposed(bend);
        self.pitch = Glide::at(ratio(self.semitones));
        self.gains = self.levels().map(Glide::at);
    }

    /// The bend of all notes, in semitones.
    pub fn bend(&mut self, bend: f32, sample_rate: f64) {
        let semitones = self.transposed(bend);
        if self.kind == Kind::Note && semitones != self.semitones {
            self.semitones = semitones;
            self.pitch.to(ratio(semitones), samples(RAMP, sample_rate));
        }
    }

    /// Semitones from the clip's own pitch: by the key in a loop, none in a slice.
    fn transposed(&self, bend: f32) -> f64 {
        let key = if self.cut.once { 0.0 } else { f64::from(self.note.key) - f64::from(ROOT_KEY) };
        key + f64::from(bend) + f64::from(self.tuning)
    }

    pub fn express(&mut self, expression: Expression, sample_rate: f64) {
        match expression {
            Expression::Tuning(semitones) if semitones.is_finite() => self.tuning = semitones,
            Expression::Volume(gain) if gain.is_finite() => self.volume = gain.max(0.0),
            Expression::Pan(pan) if pan.is_finite() => self.pan = pan,
            _ => {}
        }
        let levels = self.levels();
        for (gain, level) in self.gains.iter_mut().zip(levels) {
            gain.to(level, samples(RAMP, sample_rate));
        }
    }

    fn levels(&self) -> [f64; 2] {
        balance(self.pan).map(|side| side * f64::from(GAIN * self.velocity * self.volume))
    }

    /// Plays `cut` from now on, fading in; returns the rest of what it played. A turn backwards is one
    /// on the spot.
    pub fn move_to(&mut self, cut: Cut, clip: &Clip, sample_rate: f64) -> Self {
        let mut rest = Self { rest: true, ..*self };
        rest.leave(FADE, sample_rate);
        let (from, to) = (Span::new(&self.cut, clip), Span::new(&cut, clip));
        let way = if cut.reverse == self.cut.reverse { self.place } else { from.length - self.place };
        self.place = way.rem_euclid(to.length);
        self.cut = cut;
        self.fade = Glide::at(0.0);
        self.fade.to(1.0, samples(FADE, sample_rate));
        rest
    }

    /// True when a move of its loop would be heard as one: it loops, and no fade is under way.
    pub fn moves(&self) -> bool {
        self.kind == Kind::Note && !self.cut.once && self.fade.left() == 0 && self.plays()
    }

    /// The clip changed for one that is `ratio` times as long: the place in it stays the same share.
    pub fn rescale(&mut self, ratio: f64) {
        if self.kind == Kind::Note {
            self.place *= ratio;
        }
        self.knows_old = self.begun;
    }

    /// The way in its span and the speed, in samples of `clip`, which may be another than the one that
    /// its place is counted in (`current`).
    pub fn motion(&self, span: &Span, clip: &Clip, current: &Clip, sample_rate: f64) -> Motion {
        match self.kind {
            Kind::Song { step } => {
                let by_beat = span.length / span.beats;
                let travelled = self.place.rem_euclid(span.beats) * by_beat;
                Motion { travelled, speed: step * by_beat, change: 0.0, fastest: step * by_beat }
            }
            _ => {
                let ratio = clip.len() as f64 / current.len() as f64;
                let own = f64::from(current.sample_rate) / sample_rate * ratio;
                Motion {
                    travelled: self.place * ratio,
                    speed: self.pitch.value() * own,
                    change: self.pitch.step() * own,
                    fastest: self.pitch.highest() * own,
                }
            }
        }
    }

    /// Adds the next samples of its sound; returns false when it ended.
    pub fn render(&mut self, scene: &Scene, left: &mut [f32], right: &mut [f32]) -> bool {
        let mut at = 0;
        while at < left.len() && self.sounding() {
            at += self.stretch(scene, at, &mut left[at..], &mut right[at..]);
        }
        self.sounding()
    }

    /// Adds as many samples as there are to the next turn of its life; returns how many. `offset` is
    /// where the scene's weights begin.
    fn stretch(&mut self, scene: &Scene, offset: usize, left: &mut [f32], right: &mut [f32]) -> usize {
        let span = Span::new(&self.cut, scene.clip);
        let motion = self.motion(&span, scene.clip, scene.clip, scene.sample_rate);
        let mut n = left.len();
        let mut limit = |samples: u32| n = n.min(samples as usize);
        if self.pitch.left() > 0 {
            limit(self.pitch.left());
        }
        if self.cut.once && !self.leaves() {
            let to_fade = (span.length - motion.travelled) / motion.fastest - CHOKE * scene.sample_rate;
            match to_fade >= 1.0 {
                true => limit(to_fade as u32),
                false => self.leave(CHOKE, scene.sample_rate),
            }
        }
        if self.leaves() {
            limit(self.fade.left());
        }
        let mut levels = [0f32; CHUNK];
        let lives = self.envelope.advance(&scene.shape, &mut levels[..n]);
        let dies = lives < n;
        let n = lives;
        let (mut l, mut r) = ([0f32; CHUNK], [0f32; CHUNK]);
        let (l, r) = (&mut l[..n], &mut r[..n]);
        span.fill(scene.clip, scene.kernels, motion, l, r);
        if let Some(old) = scene.old.filter(|_| self.knows_old) {
            self.mix_old(scene, old, offset, l, r);
        }
        for (channel, gain) in [&mut *l, &mut *r].into_iter().zip(&mut self.gains) {
            channel.iter_mut().zip(&levels).for_each(|(s, level)| *s *= level);
            gain.scale(channel);
            let mut fade = self.fade;
            fade.scale(channel);
        }
        for (out, sound) in [(left, l), (right, r)] {
            out.iter_mut().zip(sound).for_each(|(o, s)| *o += *s);
        }
        self.move_on(n, &span, &motion);
        if dies || (self.leaves() && self.fade.left() == 0) {
            self.kind = Kind::Silent;
        }
        n
    }

    /// Cross-fades from the old clip's sound.
    fn mix_old(&self, scene: &Scene, old: &Clip, offset: usize, left: &mut [f32], right: &mut [f32]) {
        let (mut l, mut r) = ([0f32; CHUNK], [0f32; CHUNK]);
        let n = left.len();
        let span = Span::new(&self.cut, old);
        let motion = self.motion(&span, old, scene.clip, scene.sample_rate);
        span.fill(old, scene.kernels, motion, &mut l[..n], &mut r[..n]);
        let [up, down] = &scene.weights;
        for i in 0..n {
            let (up, down) = (up[offset + i], down[offset + i]);
            left[i] = left[i] * up + l[i] * down;
            right[i] = right[i] * up + r[i] * down;
        }
    }

    fn move_on(&mut self, samples: usize, span: &Span, motion: &Motion) {
        self.begun |= samples > 0;
        self.fade.advance(samples);
        match self.kind {
            Kind::Song { step } => self.place += samples as f64 * step,
            _ => {
                self.place = motion.after(samples).travelled;
                self.pitch.advance(samples);
                if !self.cut.once && self.place >= span.length {
                    self.place = self.place.rem_euclid(span.length);
                }
            }
        }
    }
}
