//! What a generator is asked for. Shares are whole numbers, so that equal jobs compare equal and give
//! equal clips wherever they come from: a host's parameters, a saved project, a command line.

use crate::clip::Provenance;
use crate::flow::noise;
use crate::flow::solver::Solver;
use crate::key::Key;

use super::{Header, Model};

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Seed of the noise.
    pub seed: u64,
    /// Thousandths of the way from this seed's noise to the next one's, 0 to [`WHOLE`].
    pub morph: u16,
    /// Solver steps, at least 1.
    pub steps: u32,
    /// How the flow is integrated.
    pub solver: Solver,
    /// Length in beats.
    pub beats: u32,
    /// Tempo in beats per minute.
    pub bpm: f64,
    /// Index of a label; None for any.
    pub label: Option<usize>,
    /// The key; None for any: the seed's own ([`Key::of_seed`]), where all that may come has keys. What a model has
    /// never heard in a key sounds the same in all.
    pub key: Option<Key>,
    /// How closely label and key are followed, in hundredths: 100 ([`PLAIN`]) is the plain net, 0 is any
    /// label in any key; up to [`MAX_GUIDANCE`].
    pub guidance: u16,
    /// How far from the seed's own loop, in thousandths: 0 is that loop, [`WHOLE`] another one. In
    /// between, new noise is mixed into its latents and taken away again.
    pub variation: u16,
    /// Which new noise; without meaning when nothing is varied.
    pub take: u16,
}

/// The whole, in thousandths.
pub const WHOLE: u16 = 1000;
/// Guidance of the plain net, in hundredths.
pub const PLAIN: u16 = 100;
/// Most guidance, in hundredths.
pub const MAX_GUIDANCE: u16 = 1000;

/// Deviation of the noise that takes the place of part of what is left after each step, of a loop in a key.
pub(super) const RENEWED: f32 = 0.5;

/// Steps of a whole way up to which each renews so much, and up to which such runs are measured. Of more, each renews
/// less, so that it is as much in all, and what was measured of so many holds.
pub(super) const RENEWING: f32 = 16.0;

/// A share (0 to 1) in thousandths, for [`Job::morph`] and [`Job::variation`].
pub fn thousandths(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u16
}

/// A strength (1 is plain) in hundredths, for [`Job::guidance`].
pub fn hundredths(strength: f64) -> u16 {
    (strength * f64::from(PLAIN)).round().clamp(0.0, f64::from(MAX_GUIDANCE)) as u16
}

impl Default for Job {
    /// Seed 0 in 8 steps: 8 beats at 120 bpm, of any label, in any key.
    fn default() -> Self {
        Self {
            seed: 0,
            morph: 0,
            steps: 8,
            solver: Solver::default(),
            beats: 8,
            bpm: 120.0,
            label: None,
            key: None,
            guidance: PLAIN,
            variation: 0,
            take: 0,
        }
    }
}

impl Job {
    /// The same clip in the one way of writing it: shares within their ranges, the next seed instead of
    /// a whole morph, no guidance where there is nothing to follow, no take of nothing.
    pub fn normalised(mut self) -> Self {
        self.morph = self.morph.min(WHOLE);
        if self.morph == WHOLE
            && let Some(next) = self.seed.checked_add(1)
        {
            (self.seed, self.morph) = (next, 0);
        }
        self.guidance = self.guidance.min(MAX_GUIDANCE);
        if self.guidance == 0 {
            (self.label, self.key) = (None, None);
        }
        if self.label.is_none() && self.key.is_none() {
            self.guidance = PLAIN;
        }
        self.variation = self.variation.min(WHOLE);
        if self.variation == 0 {
            self.take = 0;
        }
        self
    }

    /// The key of its loop, by a model of so many labels, of which (None for any) `keyed` says whether keys make a
    /// difference: none where they do not, and one of the seed's own where any will do and all that may come has keys.
    pub fn key_among(&self, labels: usize, keyed: impl Fn(Option<usize>) -> bool) -> Option<Key> {
        let own = || self.label.is_some() || (0..labels).all(|label| keyed(Some(label)));
        let key = self.key.or_else(|| own().then(|| Key::of_seed(self.seed)));
        key.filter(|_| keyed(self.label))
    }

    /// The job in the key that its loop has by a model.
    pub(super) fn in_key(self, header: &Header) -> Self {
        Self { key: self.key_among(header.labels.len(), |label| header.is_keyed(label)), ..self }
    }

    /// The job of the same latents in A minor or C major: they are the same in all keys of a mode.
    pub(super) fn on_white(self) -> Self {
        Self { key: self.key.map(Key::white), ..self }
    }

    /// The job whose latents a variation starts from: the seed's own loop.
    pub(super) fn base(self) -> Self {
        Self { variation: 0, take: 0, ..self }
    }

    /// True when it starts from the base's latents instead of from noise alone.
    pub(super) fn starts_from_base(&self) -> bool {
        (1..WHOLE).contains(&self.variation)
    }

    /// The noise it starts with, `[channel, frame]`. The new noise of a variation is a stream of its own
    /// of the seed, and goes with the morph too.
    pub(super) fn noise(&self, channels: usize, frames: usize) -> Vec<f32> {
        self.drawn(self.stream(), channels, frames)
    }

    /// Deviation of the noise that takes the place of part of what is left after each step; None where nothing is
    /// renewed: only by the solver that was measured so.
    pub(super) fn renewal(&self, header: &Header) -> Option<f32> {
        let share = header.renewed(self.key.is_some()).filter(|_| self.solver == Solver::Adams)?;
        Some(if share < 1.0 { share * (RENEWING / self.steps_of_the_whole()).min(1.0).sqrt() } else { share })
    }

    /// The noise that is renewed after a step, likewise.
    pub(super) fn renewed(&self, step: u32, channels: usize, frames: usize) -> Vec<f32> {
        self.drawn(noise::renewed(self.stream(), step), channels, frames)
    }

    fn stream(&self) -> u64 {
        match self.variation {
            0 => 0,
            _ => u64::from(self.take) + 1,
        }
    }

    fn drawn(&self, stream: u64, channels: usize, frames: usize) -> Vec<f32> {
        let own = noise::of_seed(self.seed, stream, channels, frames);
        if self.morph == 0 {
            return own;
        }
        let next = noise::of_seed(self.seed.wrapping_add(1), stream, channels, frames);
        noise::slerp(own, &next, f64::from(self.morph) / f64::from(WHOLE))
    }

    /// Where on the way from data (0) to noise (1) the solver starts.
    pub(super) fn start(&self) -> f32 {
        match self.variation {
            0 => 1.0,
            share => f32::from(share) / f32::from(WHOLE),
        }
    }

    /// Solver steps from there: fewer for a part of the way, at least one.
    pub(super) fn steps_from_start(&self) -> u32 {
        match self.starts_from_base() {
            true => (u64::from(self.steps) * u64::from(self.variation)).div_ceil(u64::from(WHOLE)) as u32,
            false => self.steps,
        }
    }

    /// Steps that the whole way from noise would have, for what was measured of such runs. That was done with
    /// Adams's; about twice as many of Euler's leave as much of the deviations, and what it is in infinitely many
    /// steps it is for Heun too.
    pub(super) fn whole_steps(&self) -> f32 {
        let steps = self.steps_of_the_whole();
        match self.solver {
            Solver::Adams if self.key.is_some() => steps.min(RENEWING),
            Solver::Adams => steps,
            Solver::Euler => (steps / 2.0).max(1.0),
            Solver::Heun => f32::INFINITY,
        }
    }

    fn steps_of_the_whole(&self) -> f32 {
        self.steps_from_start() as f32 / self.start()
    }

    /// Where a clip of this job came from.
    pub(super) fn provenance(&self, model: &Model, device: &str) -> Provenance {
        Provenance {
            model: model.hash.clone(),
            seed: self.seed,
            morph: self.morph,
            steps: self.steps,
            solver: self.solver.name().into(),
            label: self.label.and_then(|index| model.header.labels.get(index).cloned()),
            key: self.key.map(|key| key.to_string()),
            guidance: self.guidance,
            variation: self.variation,
            take: self.take,
            device: device.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_clips_are_written_alike() {
        let job = Job { seed: 7, label: Some(1), ..Job::default() };
        let key = Key::from_number(9);
        let same = [
            (Job { morph: 1000, ..job }, Job { seed: 8, ..job }),
            (Job { morph: 60_000, ..job }, Job { seed: 8, ..job }),
            (Job { take: 5, ..job }, job),
            (Job { label: None, guidance: 250, ..job }, Job { label: None, ..job }),
            (Job { guidance: 0, key, ..job }, Job { label: None, ..job }),
            (Job { label: None, key, guidance: 5000, ..job }, Job { label: None, key, guidance: MAX_GUIDANCE, ..job }),
            (Job { variation: 1001, take: 5, ..job }, Job { variation: 1000, take: 5, ..job }),
            (Job { guidance: 5000, ..job }, Job { guidance: MAX_GUIDANCE, ..job }),
        ];
        for (written, expected) in same {
            assert_eq!(written.normalised(), expected);
            assert_eq!(expected.normalised(), expected, "once is enough");
        }
        let last = Job { seed: u64::MAX, morph: 1000, ..job };
        assert_eq!((last.normalised(), last.noise(4, 8)), (last, Job { seed: 0, ..job }.noise(4, 8)));
    }

    #[test]
    fn noise_of_the_ends_of_a_morph_is_the_seeds_own() {
        let job = Job { seed: 7, ..Job::default() };
        let noise = |job: Job| job.noise(8, 16);
        let own = noise::of_seed(7, 0, 8, 16);
        assert_eq!(noise(job), own);
        assert_eq!(noise(Job { morph: 1000, ..job }), noise::of_seed(8, 0, 8, 16));
        let takes: Vec<_> = (0..3).map(|take| noise(Job { variation: 500, take, ..job })).collect();
        assert_eq!(takes[1], noise::of_seed(7, 2, 8, 16));
        assert!(takes[0] != takes[1] && takes[1] != takes[2] && takes.iter().all(|t| *t != own));
    }

    #[test]
    fn noise_is_renewed_in_keys_by_the_solver_that_was_measured_so() {
        let job = Job { seed: 7, key: Key::from_number(9), ..Job::default() };
        let mut header = Model::fresh("keys or none", crate::flow::unet::UNetConfig::plain(4, 8, 1)).header;
        let renewal = |steps| Job { steps, ..job }.renewal(&header).unwrap();
        assert_eq!([1, 8, 16].map(renewal), [RENEWED; 3]);
        assert!((64.0 * renewal(64).powi(2) - 16.0 * RENEWED.powi(2)).abs() < 1e-4, "as much in all");
        assert_eq!([8, 16, 64].map(|steps| Job { steps, ..job }.whole_steps()), [8.0, 16.0, 16.0]);
        let without =
            [Job { key: None, ..job }, Job { solver: Solver::Euler, ..job }, Job { solver: Solver::Heun, ..job }];
        assert!(without.iter().all(|job| job.renewal(&header).is_none()));
        header.distilled = true;
        assert_eq!(Job { steps: 64, ..job }.renewal(&header), Some(1.0), "made for it");
        assert!(without.iter().all(|job| job.renewal(&header).is_none()));
        let new = |job: Job, step| job.renewed(step, 8, 16);
        let varied = Job { variation: 500, ..job };
        let all = [job.noise(8, 16), new(job, 0), new(job, 1), new(varied, 0), new(Job { take: 1, ..varied }, 0)];
        assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])), "each is noise of its own");
        assert_eq!(new(Job { morph: 1000, ..job }, 3), new(Job { seed: 8, ..job }, 3), "it goes with the morph");
    }

    #[test]
    fn a_part_of_the_way_takes_a_part_of_the_steps() {
        let steps = |variation| Job { variation, steps: 8, ..Job::default() }.steps_from_start();
        assert_eq!([0, 1, 125, 126, 500, 999, 1000].map(steps), [8, 1, 1, 2, 4, 8, 8]);
        let many = Job { steps: u32::MAX, variation: 999, ..Job::default() };
        assert!(many.steps_from_start() < u32::MAX);
    }

    #[test]
    fn shares_are_rounded_once() {
        assert_eq!([0.0, 0.333, 0.9996, 1.0, 2.0, -1.0, f64::NAN].map(thousandths), [0, 333, 1000, 1000, 1000, 0, 0]);
        assert_eq!(thousandths(f64::from(0.333f32)), 333, "as a host's number of single precision");
        assert_eq!([0.0, 1.0, 1.505, 4.0, 1e9, -3.0].map(hundredths), [0, 100, 151, 400, 1000, 0]);
    }
}
