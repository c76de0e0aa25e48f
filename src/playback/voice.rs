//! One note: a place in the loop, a speed, an envelope against clicks.

use super::ROOT_KEY;
use super::kernel::{Kernels, TAPS};
use crate::clip::Clip;

/// Fade-in of a note, in seconds: no click, and a hit on the clip's first sample stays a hit.
const ATTACK: f64 = 0.001;
/// Fade-out after the key is released, in seconds.
const RELEASE: f64 = 0.008;

/// Where a voice is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Silent,
    Held,
    Released,
}

#[derive(Default)]
pub(super) struct Voice {
    pub stage: Stage,
    key: u8,
    channel: Option<u8>,
    velocity: f32,
    age: u64,
    /// Place in the loop, 0..1: it means the same in clips of other lengths and rates.
    position: f64,
    /// Envelope, 0..1.
    level: f32,
}

/// What changes a sample, worked out once a block.
pub(super) struct Steps {
    /// Samples of the clip a sample of the host.
    pub speed: f64,
    position: f64,
    attack: f32,
    release: f32,
}

impl Voice {
    pub fn sounding(&self) -> bool {
        self.stage != Stage::Silent
    }

    /// True for a sounding note of `key` on `channel`; None matches all.
    pub fn is(&self, key: Option<u8>, channel: Option<u8>) -> bool {
        let same_channel = channel.is_none() || self.channel.is_none() || self.channel == channel;
        self.sounding() && key.is_none_or(|k| k == self.key) && same_channel
    }

    pub fn age(&self) -> u64 {
        self.age
    }

    pub fn position(&self) -> f64 {
        self.position
    }

    pub fn start(&mut self, key: u8, channel: Option<u8>, velocity: f32, age: u64) {
        *self = Self { stage: Stage::Held, key, channel, velocity, age, position: 0.0, level: 0.0 };
    }

    pub fn release(&mut self) {
        self.stage = Stage::Released;
    }

    pub fn steps(&self, sample_rate: f64, clip: &Clip) -> Steps {
        let pitch = ((f64::from(self.key) - f64::from(ROOT_KEY)) / 12.0).exp2();
        let speed = pitch * f64::from(clip.sample_rate) / sample_rate;
        Steps {
            speed,
            position: speed / clip.len() as f64,
            attack: (1.0 / (ATTACK * sample_rate)) as f32,
            release: (1.0 / (RELEASE * sample_rate)) as f32,
        }
    }

    /// The gain of the next sample: envelope times velocity.
    pub fn advance_envelope(&mut self, steps: &Steps) -> f32 {
        match self.stage {
            Stage::Held => self.level = (self.level + steps.attack).min(1.0),
            _ => self.level = (self.level - steps.release).max(0.0),
        }
        self.level * self.velocity
    }

    pub fn read(&self, clip: &Clip, kernels: &Kernels, steps: &Steps) -> [f32; 2] {
        read_at(clip, kernels, self.position, steps.speed)
    }

    pub fn advance(&mut self, steps: &Steps) {
        self.position = (self.position + steps.position).fract();
        if self.stage == Stage::Released && self.level <= 0.0 {
            self.stage = Stage::Silent;
        }
    }
}

/// Left and right at `position` (0..1) of the loop, read at `speed` samples a sample.
pub(super) fn read_at(clip: &Clip, kernels: &Kernels, position: f64, speed: f64) -> [f32; 2] {
    let length = clip.len();
    let exact = position * length as f64;
    // Rounding of the place must not turn an exact read into a blend of neighbours.
    let exact = if (exact - exact.round()).abs() < 1e-6 { exact.round() } else { exact };
    let (index, frac) = (exact as usize % length, exact.fract());
    if frac == 0.0 && speed <= 1.0 + 1e-9 {
        return [clip.samples[0][index], clip.samples[1][index]];
    }
    let taps = kernels.taps(frac, speed);
    let first = index as isize + 1 - TAPS as isize / 2;
    let mut sum = [0f32; 2];
    if first >= 0 && first as usize + TAPS <= length {
        let first = first as usize;
        for (channel, sum) in clip.samples.iter().zip(&mut sum) {
            *sum = channel[first..first + TAPS].iter().zip(&taps).map(|(s, t)| s * t).sum();
        }
        return sum;
    }
    for (i, tap) in taps.iter().enumerate() {
        let at = (first + i as isize).rem_euclid(length as isize) as usize;
        sum[0] += tap * clip.samples[0][at];
        sum[1] += tap * clip.samples[1][at];
    }
    sum
}
