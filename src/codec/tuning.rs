//! How loud each semitone is beside its neighbours. The codec's bands and a net that has not learnt everything
//! blur the partials of tones: between the notes of a melody is noise that no instrument made. Loops in keys all
//! stand on the white notes when they are encoded, so of a label it is known how its training loops' power lies on
//! the semitones, in the mean. What is generated is brought to that by a fixed filter, as narrow as semitones.
//!
//! The filter has minimum phase: it rings after what it hears, never before, so hits stay where they are.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

use super::Stored;
use super::levels::{RUNS, between, neighbours};
use crate::clip::{Clip, SAMPLE_RATE};
use crate::resample;

/// Semitones that are looked at, as MIDI keys: 104 Hz to 2.1 kHz. Below, notes lie closer than a loop's notes are
/// long; above, nearly all that sounds is overtones.
const LOWEST: i32 = 44;
/// How many.
pub const SEMITONES: usize = 53;
/// From the lowest on, the filter's share grows to the whole within so many semitones.
const FADE: f32 = 4.0;
/// Standard deviation in semitones of the mean that a semitone is compared with: broad balance is not touched.
const BROAD: f32 = 6.0;
/// Most that a semitone is raised or lowered, in decibels.
const MOST_DB: f32 = 15.0;
/// Loops that weigh as much as the belief that nothing is to be done.
const DOUBT: f32 = 4.0;
/// Share of the power that counts as none.
const NONE: f32 = 1e-6;
/// Points of the filter's transform at the clip's rate, 1.3 Hz apart.
const POINTS: usize = 32_768;

/// Shares of a loop's power on the semitones.
pub type Shares = [f32; SEMITONES];
/// Of a loop with a label.
pub type Labelled = (Option<usize>, Shares);

/// Gains in decibels of the semitones, `[label, semitone]` for runs of ascending steps; the last label stands for
/// all. Those of labels without keys are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    runs: Vec<(u32, Vec<f32>)>,
}

/// MIDI key of a frequency, with its fraction.
fn key_of(hertz: f32) -> f32 {
    12.0 * (hertz.max(1.0) / 440.0).log2() + 69.0
}

/// How a loop's power (both channels' sum) lies on the semitones; their sum is 1, or 0 of silence.
pub fn shares(clip: &Clip) -> Shares {
    let [left, right] = &clip.samples;
    let mid: Vec<f32> = left.iter().zip(right).map(|(l, r)| l + r).collect();
    let mut shares = [0.0; SEMITONES];
    let width = f64::from(clip.sample_rate) / clip.len().max(1) as f64;
    for (bin, value) in resample::spectrum(&mid).iter().enumerate() {
        let semitone = key_of((bin as f64 * width) as f32).round() as i32 - LOWEST;
        if (0..SEMITONES as i32).contains(&semitone) {
            shares[semitone as usize] += value.norm_sqr();
        }
    }
    let sum: f32 = shares.iter().sum();
    shares.map(|share| if sum > 0.0 { share / sum } else { 0.0 })
}

/// The gains that bring loops of the `made` shares to `wanted` ones, in the mean, and leave their power as it is.
fn gains(made: &[Shares], wanted: &[Shares]) -> Shares {
    let mean = |all: &[Shares], i: usize| all.iter().map(|s| s[i]).sum::<f32>() / all.len().max(1) as f32;
    let lacking = |i: usize| 10.0 * ((mean(wanted, i) + NONE) / (mean(made, i) + NONE)).log10();
    let lacking: Vec<f32> = (0..SEMITONES).map(lacking).collect();
    let heard = made.len().min(wanted.len()) as f32;
    let belief = heard / (heard + DOUBT);
    let gains: Shares = std::array::from_fn(|i| {
        let weight = |j: usize| (-0.5 * ((i as f32 - j as f32) / BROAD).powi(2)).exp();
        let all: f32 = (0..SEMITONES).map(weight).sum();
        let broad = (0..SEMITONES).map(|j| weight(j) * lacking[j]).sum::<f32>() / all;
        belief * (lacking[i] - broad).clamp(-MOST_DB, MOST_DB)
    });
    // Notes are louder than what is between them: without this the whole would gain power.
    let (before, after) = gains.iter().enumerate().fold((0.0, 0.0), |(before, after), (i, gain)| {
        let power = mean(made, i);
        (before + power, after + power * 10f32.powf(gain / 10.0))
    });
    let gained = 10.0 * ((after + NONE) / (before + NONE)).log10();
    gains.map(|gain| gain - gained)
}

impl Tuning {
    /// Of what a net makes in runs of so many steps, beside its training loops: `made` by steps (ascending) and
    /// `wanted`, each by label.
    pub fn new(labels: usize, made: &[(u32, Vec<Labelled>)], wanted: &[Labelled]) -> Self {
        let of = |all: &[Labelled], label: usize| -> Vec<Shares> {
            all.iter().filter(|(own, _)| label == labels || *own == Some(label)).map(|(_, shares)| *shares).collect()
        };
        let rows = |made| (0..=labels).flat_map(move |label| gains(&of(made, label), &of(wanted, label)));
        Self { runs: made.iter().map(|(steps, made)| (*steps, rows(made).collect())).collect() }
    }

    /// These, with the runs of fewer than `below` steps of others.
    pub fn with_short_runs(mut self, others: Self, below: u32) -> Self {
        self.runs.retain(|(steps, _)| *steps >= below);
        self.runs.splice(0..0, others.runs.into_iter().filter(|(steps, _)| *steps < below));
        self
    }

    /// The filter of a label, or of all loops, for runs whose whole way has `steps` steps.
    pub fn of(&self, label: Option<usize>, steps: f32) -> Response {
        let (low, high, share) = neighbours(self.runs.iter().map(|run| run.0), steps);
        let gains = between(&self.runs[low].1, &self.runs[high].1, share);
        let last = gains.len() / SEMITONES - 1;
        let start = label.unwrap_or(last).min(last) * SEMITONES;
        Response::of(&gains[start..start + SEMITONES])
    }

    /// Names, shapes and values in the model file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let tensor = |(steps, gains): &(u32, Vec<f32>)| {
            (name_of(*steps), vec![gains.len() / SEMITONES, SEMITONES], gains.clone())
        };
        self.runs.iter().map(tensor).collect()
    }

    /// Those of a model file of so many labels, where it has them; `lookup` gives shape and (finite) values by
    /// name. Says in a sentence what is wrong.
    pub fn from_tensors(labels: usize, lookup: &dyn Fn(&str) -> Option<Stored>) -> Result<Option<Self>, String> {
        let run = |steps: u32| {
            let (shape, gains) = lookup(&name_of(steps))?;
            let right = shape == [labels + 1, SEMITONES] && gains.iter().all(|g| g.abs() <= 2.0 * MOST_DB);
            Some(if right {
                Ok((steps, gains))
            } else {
                Err("the gains of its semitones have the wrong shape or size")
            })
        };
        let runs = RUNS.into_iter().filter_map(run).collect::<Result<Vec<_>, _>>()?;
        Ok((!runs.is_empty()).then_some(Self { runs }))
    }
}

fn name_of(steps: u32) -> String {
    format!("tuning.{steps}")
}

/// A filter over frequency, at the clip's rate.
pub struct Response(Vec<Complex32>);

impl Response {
    /// The filter of minimum phase with the semitones' gains; the phase is the Hilbert transform of the gain's
    /// logarithm, by way of the cepstrum (Oppenheim and Schafer, "Discrete-Time Signal Processing").
    fn of(gains: &[f32]) -> Self {
        let gain_at = |hertz: f32| {
            let place = key_of(hertz) - LOWEST as f32;
            let at = |i: i32| usize::try_from(i).ok().and_then(|i| gains.get(i)).copied().unwrap_or(0.0);
            let (below, share) = (place.floor() as i32, place - place.floor());
            (at(below) + share * (at(below + 1) - at(below))) * (place / FADE).clamp(0.0, 1.0)
        };
        let hertz = |bin: usize| bin as f32 * SAMPLE_RATE as f32 / POINTS as f32;
        let nepers = |bin: usize| Complex32::from(gain_at(hertz(bin)) * std::f32::consts::LN_10 / 20.0);
        let mut spectrum: Vec<Complex32> = (0..=POINTS / 2).map(nepers).collect();
        let mut planner = RealFftPlanner::<f32>::new();
        let inverse = planner.plan_fft_inverse(POINTS);
        let forward = planner.plan_fft_forward(POINTS);
        let mut cepstrum = inverse.make_output_vec();
        inverse.process(&mut spectrum, &mut cepstrum).expect("sizes agree");
        cepstrum[1..POINTS / 2].iter_mut().for_each(|c| *c *= 2.0);
        cepstrum[POINTS / 2 + 1..].fill(0.0);
        forward.process(&mut cepstrum, &mut spectrum).expect("sizes agree");
        spectrum.iter_mut().for_each(|v| *v = (*v / POINTS as f32).exp());
        Self(spectrum)
    }

    /// What it does to a frequency.
    pub fn at(&self, hertz: f64) -> Complex32 {
        let place = hertz * POINTS as f64 / f64::from(SAMPLE_RATE);
        let below = (place as usize).min(self.0.len() - 2);
        let share = ((place - below as f64) as f32).min(1.0);
        self.0[below] * (1.0 - share) + self.0[below + 1] * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    const WHITE: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];

    fn clip(samples: Vec<f32>) -> Clip {
        let samples = [samples.clone(), samples];
        Clip { samples, sample_rate: SAMPLE_RATE, beats: 4, bpm: 120.0, provenance: None, hits: Vec::new() }
    }

    fn noise(seed: u64) -> Clip {
        clip(Philox::new(seed, 0).normals(88_200))
    }

    /// Noise whose black notes are 12 dB below its white ones.
    fn tuned(seed: u64) -> Clip {
        let through = |bin: usize| {
            let class = (key_of(bin as f32 / 2.0).round() as i32).rem_euclid(12) as usize;
            Complex32::from(if WHITE.contains(&class) { 1.0 } else { 0.25 })
        };
        clip(resample::circular_through(&noise(seed).samples[0], 88_200, &through))
    }

    fn on_white(shares: &Shares) -> f32 {
        let white = |i: &usize| WHITE.contains(&((*i + LOWEST as usize) % 12));
        (0..SEMITONES).filter(white).map(|i| shares[i]).sum()
    }

    fn tuning() -> Tuning {
        let wanted: Vec<_> = (0..40).map(|i| (Some(1), shares(&tuned(i)))).collect();
        let made = (40..80).map(|i| (Some(1), shares(&noise(i)))).collect();
        Tuning::new(2, &[(8, made)], &wanted)
    }

    fn filtered(clip: &Clip, response: &Response) -> Clip {
        let len = clip.len();
        let width = f64::from(SAMPLE_RATE) / len as f64;
        let through = |bin: usize| response.at(bin as f64 * width);
        Clip { samples: clip.samples.each_ref().map(|s| resample::circular_through(s, len, &through)), ..clip.clone() }
    }

    #[test]
    fn a_net_that_knows_no_notes_is_tuned_to_those_of_its_training_loops() {
        let tuning = tuning();
        let [is, wanted] = [on_white(&shares(&noise(90))), on_white(&shares(&tuned(90)))];
        let after = on_white(&shares(&filtered(&noise(90), &tuning.of(Some(1), 8.0))));
        assert!(is < 0.65 && wanted > 0.9 && after > is + 0.6 * (wanted - is), "{is} {after} {wanted}");
        // What is right stays, and so does a label of which nothing is known.
        let all = on_white(&shares(&filtered(&noise(90), &tuning.of(None, 8.0))));
        assert!((all - after).abs() < 1e-6, "all loops are those of one label");
        let still = filtered(&noise(90), &tuning.of(Some(0), 8.0));
        assert!(still.samples[0].iter().zip(&noise(90).samples[0]).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn tuning_makes_nothing_louder() {
        let (made, wanted) = (shares(&noise(1)), shares(&tuned(2)));
        let gains = gains(&[made; 20], &[wanted; 20]);
        let power: f32 = made.iter().zip(gains).map(|(share, gain)| share * 10f32.powf(gain / 10.0)).sum();
        assert!((power - 1.0).abs() < 0.01 && gains.iter().any(|gain| *gain > 1.0), "{power} {gains:?}");
    }

    #[test]
    fn hits_do_not_ring_before_they_begin() {
        let mut hit = vec![0.0; 88_200];
        hit[44_100] = 1.0;
        let rung = filtered(&clip(hit), &tuning().of(Some(1), 8.0));
        let energy = |range: std::ops::Range<usize>| rung.samples[0][range].iter().map(|s| s * s).sum::<f32>();
        let (before, at, after) = (energy(40_000..44_095), energy(44_095..44_105), energy(44_105..60_000));
        assert!(at > 0.5 && before < 0.02 * after, "{before} {at} {after}");
    }

    #[test]
    fn gains_of_a_file_are_checked() {
        let tuning = tuning();
        let back = |labels: usize, change: &dyn Fn(&mut Vec<f32>)| {
            Tuning::from_tensors(labels, &|asked| {
                let (_, shape, mut values) = tuning.tensors().into_iter().find(|(name, ..)| name == asked)?;
                change(&mut values);
                Some((shape, values))
            })
        };
        assert_eq!(back(2, &|_| {}), Ok(Some(tuning.clone())));
        assert!(back(3, &|_| {}).is_err() && back(2, &|v| v[0] = 40.0).is_err());
        assert_eq!(Tuning::from_tensors(2, &|_| None), Ok(None));
    }

    #[test]
    fn silence_has_no_notes() {
        assert_eq!(shares(&clip(vec![0.0; 1000])), [0.0; SEMITONES]);
    }
}
