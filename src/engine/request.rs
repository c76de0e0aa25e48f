//! What an instance asks for, and the same in the generator's words.

use crate::flow::solver::Solver;
use crate::key::Key;
use crate::model::Job;
use crate::model::generator::{MAX_BEATS, TEMPO};
use crate::model::job::PLAIN;

/// What an instance wants to hear. Small and `Copy`: it travels through a ring. One request and one model
/// are one clip, to the last bit on one device. States of older versions lack the later fields, which
/// are then neutral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// Seed of the noise.
    pub seed: u64,
    /// Thousandths of the way to the next seed's noise, 0 to 1000.
    #[serde(default)]
    pub morph: u16,
    /// Solver steps, at least 1.
    pub steps: u32,
    /// How the flow is integrated.
    #[serde(default)]
    pub solver: Solver,
    /// Length in beats (quarter notes).
    pub beats: u32,
    /// Style: 1 is the model's first label; 0, or one that the model lacks, is any.
    pub style: u16,
    /// Key: 1 is the first ([`Key::from_number`]); 0, or one that there is not, is any.
    #[serde(default)]
    pub key: u8,
    /// How closely style and key are followed, in hundredths: 100 is the plain net.
    #[serde(default = "plain")]
    pub guidance: u16,
    /// How far from the seed's own loop, in thousandths: 0 is that loop, 1000 another one.
    #[serde(default)]
    pub variation: u16,
    /// Which variation of the loop.
    #[serde(default)]
    pub take: u16,
    /// Tempo in hundredths of a beat per minute, so that requests compare exactly.
    pub centi_bpm: u32,
    /// The model's short name (`Line::model`); 0 is the built-in model.
    #[serde(default)]
    pub model: u64,
}

fn plain() -> u16 {
    PLAIN
}

impl Request {
    /// A request at a host's tempo, brought into the range that is generated and rounded to a
    /// hundredth of a beat per minute; everything else is neutral.
    pub fn new(seed: u64, steps: u32, style: u16, beats: u32, bpm: f64) -> Self {
        let bpm = bpm.clamp(*TEMPO.start(), *TEMPO.end());
        Self {
            seed,
            morph: 0,
            steps,
            solver: Solver::default(),
            beats,
            style,
            key: 0,
            guidance: PLAIN,
            variation: 0,
            take: 0,
            centi_bpm: (bpm * 100.0).round() as u32,
            model: 0,
        }
    }

    /// The tempo in beats per minute.
    pub fn bpm(&self) -> f64 {
        f64::from(self.centi_bpm) / 100.0
    }

    /// The same clip in the one way of asking for it: within the ranges, and equal to every other request
    /// for it (no guidance without a style or a key, no take of nothing, the next seed instead of a whole morph).
    /// Deliveries name requests in this form.
    pub fn normalised(self) -> Self {
        let job = self.job().normalised();
        let hundredth = |bpm: &f64| (bpm * 100.0) as u32;
        Self {
            seed: job.seed,
            morph: job.morph,
            steps: self.steps.max(1),
            solver: self.solver,
            beats: self.beats.clamp(1, MAX_BEATS),
            style: job.label.map_or(0, |_| self.style),
            key: job.key.map_or(0, |_| self.key),
            guidance: job.guidance,
            variation: job.variation,
            take: job.take,
            centi_bpm: self.centi_bpm.clamp(hundredth(TEMPO.start()), hundredth(TEMPO.end())),
            model: self.model,
        }
    }

    /// The key that is asked for; None for any.
    pub fn key(&self) -> Option<Key> {
        usize::from(self.key).checked_sub(1).and_then(Key::from_number)
    }

    /// The generator's job, for a model that has the style as a label.
    pub(super) fn job(&self) -> Job {
        Job {
            seed: self.seed,
            morph: self.morph,
            steps: self.steps,
            solver: self.solver,
            beats: self.beats,
            bpm: self.bpm(),
            label: usize::from(self.style).checked_sub(1),
            key: self.key(),
            guidance: self.guidance,
            variation: self.variation,
            take: self.take,
        }
    }
}
