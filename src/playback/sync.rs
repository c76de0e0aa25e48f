//! The loop in time with the host's transport.
//!
//! The place in the loop is worked out anew from the host's song position, never counted on: after a
//! jump, a loop point or a tempo change it is where the host is. What played before a jump or a stop
//! fades out over a moment while the new place fades in, so neither clicks.

use super::cut::Cut;
use super::voice::{FADE, Voice};

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
    /// Beats a sample.
    pub(super) fn step(&self, sample_rate: f64) -> f64 {
        self.bpm / 60.0 / sample_rate
    }

    /// Samples until the host's loop goes back to its start, if it does.
    fn samples_to_cycle(&self, sample_rate: f64) -> Option<usize> {
        let (start, end) = self.cycle.filter(|(start, end)| end > start && self.beats < *end)?;
        let step = self.step(sample_rate);
        // A loop of less than a sample would never be left.
        (end - start >= step).then_some(((end - self.beats) / step).ceil() as usize)
    }

    /// The transport `samples` later, back at the start of the host's loop if its end is among them: where
    /// the next part of a block begins that is rendered in parts.
    pub fn after(&self, samples: usize, sample_rate: f64) -> Self {
        let beats = self.beats + samples as f64 * self.step(sample_rate);
        match self.samples_to_cycle(sample_rate).zip(self.cycle) {
            Some((until, (start, end))) if until <= samples => Self { beats: start + (beats - end), ..*self },
            _ => Self { beats, ..*self },
        }
    }

    /// `samples` or as many as there are to the host's loop point.
    pub(super) fn at_most(&self, samples: usize, sample_rate: f64) -> usize {
        self.samples_to_cycle(sample_rate).map_or(samples, |n| samples.min(n))
    }
}

/// Follows the transport.
#[derive(Default)]
pub(super) struct Sync {
    pub voice: Voice,
}

impl Sync {
    /// Takes the transport (None: it stands still) and the cut to play; returns what must fade out.
    pub fn follow(&mut self, transport: Option<&Transport>, cut: &Cut, sample_rate: f64) -> Option<Voice> {
        let before = self.voice.sounding().then_some(self.voice);
        let Some(transport) = transport else {
            self.voice = Voice::default();
            return before;
        };
        let expected = |v: &Voice| {
            let beats = v.song().unwrap_or(f64::INFINITY);
            (beats - transport.beats).abs() < JUMP * transport.bpm / 60.0 && v.cut() == cut
        };
        let step = transport.step(sample_rate);
        if before.as_ref().is_some_and(expected) {
            self.voice.follow(transport.beats, step);
            return None;
        }
        self.voice = Voice::in_time(transport.beats, step, *cut, (FADE * sample_rate) as u32);
        before
    }
}
