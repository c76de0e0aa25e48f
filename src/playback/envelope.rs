//! A note's level: linear attack, exponential decay and release that end in finite time.

use super::settings::Settings;

/// The shortest attack, in seconds: no click, and a hit on the clip's first sample stays a hit.
const MIN_ATTACK: f32 = 0.001;
/// The shortest decay and release, in seconds.
const MIN_FALL: f32 = 0.002;
/// Time constants that a fall lasts. It heads for a little below its end and so gets there.
const CURVE: f64 = 4.0;
/// Samples that are worked out side by side.
const LANES: usize = 8;

/// The settings in samples of the host.
pub(super) struct Shape {
    /// Level a sample.
    attack: f64,
    sustain: f32,
    decay: Powers,
    release: Powers,
    /// How far below its end a fall from 1 to 0 heads.
    beyond: f32,
}

/// A factor a sample, to the powers 1 to [`LANES`].
type Powers = [f32; LANES];

impl Shape {
    pub fn new(settings: &Settings, sample_rate: f64) -> Self {
        let powers = |seconds: f32| -> Powers {
            let factor = (-CURVE / (f64::from(seconds.max(MIN_FALL)) * sample_rate)).exp();
            std::array::from_fn(|i| factor.powi(i as i32 + 1) as f32)
        };
        Self {
            attack: 1.0 / (f64::from(settings.attack.max(MIN_ATTACK)) * sample_rate),
            sustain: settings.sustain.clamp(0.0, 1.0),
            decay: powers(settings.decay),
            release: powers(settings.release),
            beyond: ((-CURVE).exp() / (1.0 - (-CURVE).exp())) as f32,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Attack,
    /// Falls to the sustained level and follows it.
    Decay,
    Release,
    /// Always 1.
    Steady,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope {
    stage: Stage,
    level: f64,
}

impl Envelope {
    /// A level of 1 that nothing changes.
    pub fn steady() -> Self {
        Self { stage: Stage::Steady, level: 1.0 }
    }

    pub fn release(&mut self) {
        self.stage = Stage::Release;
    }

    pub fn released(&self) -> bool {
        self.stage == Stage::Release
    }

    /// Sets the level of each of the next samples; returns how many it lives for.
    pub fn advance(&mut self, shape: &Shape, levels: &mut [f32]) -> usize {
        let sustain = f64::from(shape.sustain);
        let mut at = 0;
        while at < levels.len() {
            let rest = &mut levels[at..];
            let (end, reached) = match self.stage {
                Stage::Attack => (1.0, self.rise(shape.attack, 1.0, rest)),
                Stage::Decay if self.level < sustain => (sustain, self.rise(shape.attack, sustain, rest)),
                Stage::Decay if self.level > sustain => {
                    let heads_for = shape.sustain - (1.0 - shape.sustain) * shape.beyond;
                    (sustain, self.fall(&shape.decay, heads_for, shape.sustain, rest))
                }
                Stage::Decay if self.level <= 0.0 => return at,
                Stage::Decay | Stage::Steady => {
                    rest.fill(self.level as f32);
                    return levels.len();
                }
                Stage::Release => (0.0, self.fall(&shape.release, -shape.beyond, 0.0, rest)),
            };
            let Some(n) = reached else { return levels.len() };
            if self.stage == Stage::Release {
                return at + n;
            }
            // The sample that would pass the end is the end.
            levels[at + n] = end as f32;
            (self.level, self.stage) = (end, Stage::Decay);
            at += n + 1;
        }
        levels.len()
    }

    /// A straight line up; returns the first sample that is `end` or would be above, if it is among them.
    fn rise(&mut self, step: f64, end: f64, levels: &mut [f32]) -> Option<usize> {
        for (i, level) in levels.iter_mut().enumerate() {
            *level = (self.level + step * f64::from(i as i32 + 1)) as f32;
        }
        // Times are often whole samples: rounding must not add one.
        let steps = (((end - self.level) / step - 0.01).ceil() as usize).max(1);
        if steps <= levels.len() {
            return Some(steps - 1);
        }
        self.level += step * levels.len() as f64;
        None
    }

    /// Falls towards `heads_for`; returns the first sample that is at or below `end`, if it is among them.
    fn fall(&mut self, powers: &Powers, heads_for: f32, end: f32, levels: &mut [f32]) -> Option<usize> {
        let mut distance = self.level as f32 - heads_for;
        for lanes in levels.chunks_mut(LANES) {
            for (level, power) in lanes.iter_mut().zip(powers) {
                *level = heads_for + distance * power;
            }
            distance *= powers[LANES - 1];
        }
        let n = levels.partition_point(|level| *level > end);
        if n < levels.len() {
            return Some(n);
        }
        self.level = f64::from(levels[n - 1]);
        None
    }
}
