//! The loop in time with the host's transport.
//!
//! The place in the loop is worked out anew in each block from the host's song position, never counted
//! on: after a jump, a loop point or a tempo change it is where the host is. What played before a jump
//! or a stop fades out over a moment while the new place fades in, so neither clicks.

use super::kernel::Kernels;
use super::voice::read_at;
use crate::clip::Clip;

/// Fade at starts, stops and jumps, in seconds.
const FADE: f64 = 0.004;
/// A song position further than this from the expected one, in seconds, is a jump.
const JUMP: f64 = 0.0005;

/// The host's transport at the start of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transport {
    /// Song position in beats (quarter notes); may be negative in a count-in.
    pub beats: f64,
    /// Tempo in beats per minute, positive and finite.
    pub bpm: f64,
    /// The host's loop, start and end in beats, while it is on.
    pub cycle: Option<(f64, f64)>,
}

impl Transport {
    /// Samples until the host's loop goes back to its start, if it does.
    fn samples_to_cycle(&self, sample_rate: f64) -> Option<usize> {
        let (start, end) = self.cycle.filter(|(start, end)| end > start && self.beats < *end)?;
        // A loop of less than a sample would never be left.
        let samples = ((end - self.beats) * 60.0 / self.bpm * sample_rate).ceil();
        let long = (end - start) * 60.0 / self.bpm * sample_rate >= 1.0;
        long.then_some(samples as usize)
    }

    /// The transport `samples` later, when they end at or after the host's loop end: back at its start.
    fn cycled(&self, samples: usize, sample_rate: f64) -> Self {
        let beats = self.beats + samples as f64 * self.bpm / 60.0 / sample_rate;
        let (start, end) = self.cycle.unwrap_or((beats, beats));
        Self { beats: start + (beats - end), ..*self }
    }
}

/// One reader of the clip: a place and a level.
#[derive(Clone, Copy, Default)]
struct Reader {
    /// Song position in beats.
    beats: f64,
    /// Beats a sample.
    step: f64,
    /// 0..1.
    level: f32,
}

/// Follows the transport.
#[derive(Default)]
pub(super) struct Sync {
    /// What plays; its place is where the next block should start.
    main: Option<Reader>,
    /// What fades out after a jump or a stop.
    tail: Option<Reader>,
}

/// How a reader hears clips: the current one and, in a cross-fade, the one before.
pub(super) struct Source<'a> {
    pub clip: &'a Clip,
    pub fading: Option<(&'a Clip, f32)>,
    pub fade_step: f32,
    pub kernels: &'a Kernels,
    pub sample_rate: f64,
}

impl Sync {
    pub fn sounding(&self) -> bool {
        self.main.is_some() || self.tail.is_some()
    }

    /// The place of the playhead in beats of the song.
    pub fn beats(&self) -> Option<f64> {
        self.main.map(|m| m.beats)
    }

    /// Takes the transport at the start of a block: None when it stands still.
    pub fn follow(&mut self, transport: Option<&Transport>, sample_rate: f64) {
        let Some(transport) = transport else {
            self.tail = self.main.take().or(self.tail);
            return;
        };
        let step = transport.bpm / 60.0 / sample_rate;
        let level = match &self.main {
            Some(main) if (main.beats - transport.beats).abs() < JUMP * transport.bpm / 60.0 => main.level,
            _ => {
                self.tail = self.main.take().or(self.tail);
                0.0
            }
        };
        self.main = Some(Reader { beats: transport.beats, step, level });
    }

    /// Adds a block's sound. `transport` is the one that `follow` heard; a loop point of the host inside
    /// the block is a jump like any other.
    pub fn render(
        &mut self,
        source: &Source,
        gain: f32,
        transport: Option<&Transport>,
        left: &mut [f32],
        right: &mut [f32],
    ) {
        let (mut at, mut from) = (transport.copied(), 0);
        while from < left.len() {
            let cycle = at.and_then(|t| t.samples_to_cycle(source.sample_rate));
            let until = cycle.map_or(left.len(), |n| left.len().min(from + n));
            self.segment(source, gain, from, &mut left[from..until], &mut right[from..until]);
            at = at.filter(|_| until < left.len()).map(|t| t.cycled(until - from, source.sample_rate));
            if at.is_some() {
                self.follow(at.as_ref(), source.sample_rate);
            }
            from = until;
        }
    }

    /// A stretch without a jump, `offset` samples into the block.
    fn segment(&mut self, source: &Source, gain: f32, offset: usize, left: &mut [f32], right: &mut [f32]) {
        let ramp = (1.0 / (FADE * source.sample_rate)) as f32;
        for (reader, ramp) in [(&mut self.tail, -ramp), (&mut self.main, ramp)] {
            let Some(reader) = reader else { continue };
            let start = reader.beats;
            for (i, (l, r)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
                reader.level = (reader.level + ramp).clamp(0.0, 1.0);
                let beats = start + i as f64 * reader.step;
                if reader.level > 0.0 {
                    add(source, gain * reader.level, beats, reader.step, offset + i, l, r);
                }
            }
            reader.beats = start + left.len() as f64 * reader.step;
        }
        self.tail = self.tail.filter(|t| t.level > 0.0);
    }
}

/// Adds one sample of the clip (or of a cross-fade) at a song position.
fn add(source: &Source, gain: f32, beats: f64, step: f64, index: usize, left: &mut f32, right: &mut f32) {
    let at = |clip: &Clip| {
        let length = f64::from(clip.beats);
        let speed = step / length * clip.len() as f64;
        read_at(clip, source.kernels, (beats / length).rem_euclid(1.0), speed)
    };
    let mut sound = at(source.clip);
    if let Some((old, fade)) = source.fading {
        let fade = fade + source.fade_step * index as f32;
        if fade < 1.0 {
            let (up, down) = ((fade * std::f32::consts::FRAC_PI_2).sin(), (fade * std::f32::consts::FRAC_PI_2).cos());
            let before = at(old);
            sound = [sound[0] * up + before[0] * down, sound[1] * up + before[1] * down];
        }
    }
    *left += gain * sound[0];
    *right += gain * sound[1];
}
