//! A clip: one finished stereo loop, the thing every room hands on.
//!
//! A clip is a circle: the sample after the last one is the first one.

use std::collections::VecDeque;

/// The codec's and the models' sample rate, in hertz.
pub const SAMPLE_RATE: u32 = 44_100;

/// Where a generated clip came from; with its beats and tempo enough to make it again. What older
/// versions did not know is filled with what they did.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Hex digest (BLAKE3) of the model file.
    pub model: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Thousandths of the way to the next seed's noise.
    pub morph: u16,
    /// Solver steps.
    pub steps: u32,
    /// Name of the solver.
    pub solver: String,
    /// Name of the label; None for any.
    pub label: Option<String>,
    /// Name of the key; None for any.
    pub key: Option<String>,
    /// Guidance in hundredths, 100 for the plain net.
    pub guidance: u16,
    /// Thousandths of new noise mixed into the seed's loop; 0 is the loop itself.
    pub variation: u16,
    /// Which new noise.
    pub take: u16,
    /// What computed it: `cpu`, `gpu:0`, `gpu:0:f16`, `remote`; empty where nobody said. A GPU's loops differ from the
    /// CPU's by rounding, those of 16 bits by up to a thousandth.
    pub device: String,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            model: String::new(),
            seed: 0,
            morph: 0,
            steps: 0,
            solver: "euler".into(),
            label: None,
            key: None,
            guidance: 100,
            variation: 0,
            take: 0,
            device: String::new(),
        }
    }
}

/// One stereo loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// `[left, right]`, both of the same length, nominally within -1..1.
    pub samples: [Vec<f32>; 2],
    /// In hertz.
    pub sample_rate: u32,
    /// Length in beats (quarter notes), at least 1.
    pub beats: u32,
    /// Beats per minute, positive and finite.
    pub bpm: f64,
    /// None for recorded audio.
    pub provenance: Option<Provenance>,
    /// Places of the hits in samples, ascending; empty where nobody has looked for them.
    pub hits: Vec<u32>,
}

impl Clip {
    /// Samples per channel of a loop of `beats` at `bpm`, rounded to a sample.
    pub fn length(beats: u32, bpm: f64, sample_rate: u32) -> usize {
        (f64::from(beats) * 60.0 / bpm * f64::from(sample_rate)).round() as usize
    }

    /// Samples per channel.
    pub fn len(&self) -> usize {
        self.samples[0].len()
    }

    /// True when the clip holds no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.len() as f64 / f64::from(self.sample_rate)
    }

    /// Largest absolute sample.
    pub fn peak(&self) -> f32 {
        let channel = |c: &[f32]| c.iter().fold(0f32, |m, s| m.max(s.abs()));
        channel(&self.samples[0]).max(channel(&self.samples[1]))
    }

    /// Mean power of both channels in decibels below full scale, at least -100.
    pub fn level(&self) -> f64 {
        let power = self.samples.iter().flatten().map(|s| f64::from(s * s)).sum::<f64>();
        10.0 * (power / (2 * self.len()).max(1) as f64).max(1e-10).log10()
    }

    /// Holds the clip below `peak` by turning down what exceeds it and 4 ms around, on the circle: a hit
    /// that sticks out does not make the whole loop quiet. A clip that stays below is left as it is.
    pub fn limit_peak(&mut self, peak: f32) {
        let reach = (self.sample_rate / 250) as usize;
        if self.peak() <= peak {
            return;
        }
        let [left, right] = &self.samples;
        let loudest = left.iter().zip(right).map(|(l, r)| l.abs().max(r.abs()));
        let needed: Vec<f32> = loudest.map(|m| if m > peak { peak / m } else { 1.0 }).collect();
        // The mean of what is least nearby is never above what a sample needs itself.
        let gain = mean_around(&least_around(&needed, reach), reach);
        for samples in &mut self.samples {
            samples.iter_mut().zip(&gain).for_each(|(s, g)| *s = (*s * g).clamp(-peak, peak));
        }
    }

    /// Rounds each sample to 24 bits, so that WAV and FLAC files hold exactly what plays.
    pub fn round_to_24_bits(&mut self) {
        const FULL: f32 = 8_388_608.0;
        self.samples.iter_mut().flatten().for_each(|s| *s = (*s * FULL).round().clamp(-FULL, FULL - 1.0) / FULL);
    }
}

/// A circle's sample at `i - reach`.
fn wrapped(values: &[f32], i: usize, reach: usize) -> f32 {
    let rounds = (reach / values.len() + 1) * values.len();
    values[(i + rounds - reach) % values.len()]
}

/// The least of each sample and the `reach` on either side, on the circle (a queue of rising values).
fn least_around(values: &[f32], reach: usize) -> Vec<f32> {
    let (mut queue, mut out) = (VecDeque::<(usize, f32)>::new(), Vec::with_capacity(values.len()));
    for i in 0..values.len() + 2 * reach {
        let value = wrapped(values, i, reach);
        while queue.back().is_some_and(|(_, last)| *last >= value) {
            queue.pop_back();
        }
        queue.push_back((i, value));
        if let Some(start) = i.checked_sub(2 * reach) {
            while queue.front().is_some_and(|(first, _)| *first < start) {
                queue.pop_front();
            }
            out.extend(queue.front().map(|(_, least)| *least));
        }
    }
    out
}

/// The mean of each sample and the `reach` on either side, on the circle.
fn mean_around(values: &[f32], reach: usize) -> Vec<f32> {
    let at = |i: usize| f64::from(wrapped(values, i, reach));
    let mut sum: f64 = (0..2 * reach).map(at).sum();
    let mean = |i: usize| {
        sum += at(i + 2 * reach);
        let mean = sum / (2 * reach + 1) as f64;
        sum -= at(i);
        mean as f32
    };
    (0..values.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(wave: impl Fn(usize) -> f32) -> Clip {
        let samples: Vec<f32> = (0..44_100).map(wave).collect();
        let quieter = samples.iter().map(|s| s * 0.5).collect();
        Clip {
            samples: [samples, quieter],
            sample_rate: 44_100,
            beats: 2,
            bpm: 120.0,
            provenance: None,
            hits: Vec::new(),
        }
    }

    #[test]
    fn one_loud_hit_does_not_make_the_loop_quiet() {
        let wave = |i: usize| 0.3 * (i as f32 * 0.05).sin();
        // Across the seam, and in the middle.
        let loud = |i: usize| if !(20..44_000).contains(&i) || (22_000..22_050).contains(&i) { 10.0 } else { 1.0 };
        let mut limited = clip(|i| wave(i) * loud(i));
        limited.limit_peak(0.9);
        assert!(limited.peak() <= 0.9 && limited.peak() > 0.85);
        let (left, right) = (&limited.samples[0], &limited.samples[1]);
        for i in (500..21_000).chain(23_000..43_000) {
            assert_eq!(left[i], wave(i), "sample {i} is away from the hits");
        }
        assert!(left.iter().zip(right).all(|(l, r)| (l * 0.5 - r).abs() < 1e-6), "the image stays");
        let gain = |i: usize| left[i] / (wave(i) * loud(i));
        let steps = (1..44_100).filter(|i| wave(*i).abs() > 0.01 && wave(i - 1).abs() > 0.01);
        let step = steps.map(|i| (gain(i) - gain(i - 1)).abs()).fold(0.0, f32::max);
        assert!(step < 0.01, "the gain glides: {step}");
    }

    #[test]
    fn quiet_clips_stay_and_tiny_ones_are_held() {
        let quiet = clip(|i| 0.5 * (i as f32 * 0.05).sin());
        let mut same = quiet.clone();
        same.limit_peak(0.9);
        assert_eq!(same, quiet);
        let mut tiny = Clip { samples: [vec![3.0, -0.5], vec![0.0, 0.1]], ..quiet };
        tiny.limit_peak(0.9);
        assert!(tiny.peak() <= 0.9 && tiny.samples[0][0] > 0.89);
    }
}
