//! Partials. What the codec's windows and bands do not tell apart comes out as noise: overtones above 800 Hz, where
//! the window is short for the sake of hits, and neighbouring notes below. But latents tell more than bands: where
//! notes lie, and, once it was learnt, which overtones go with them. A small net says how the power in a long window
//! lies about what the codec's windows see of it. Away from hits, and as far as the net is sure of tones, decoding
//! weaves in a signal that agrees with both.

#[cfg(feature = "companion")]
mod teaching;
#[cfg(all(test, feature = "companion"))]
mod tests;

use std::f32::consts::FRAC_PI_2;
use std::ops::Range;

use realfft::num_complex::Complex32;

use super::expectation::Expectation;
use super::frames::{Framing, centres};
use super::mel::lobe;
use super::resolution::{Layer, rise};
use super::{Codec, Latents, Stored, phase};
use crate::clip::SAMPLE_RATE;
use crate::resample;

const NAME: &str = "partials";
/// Samples of the long window.
const WINDOW: usize = 4096;
/// Its bins that the net speaks of: 86 Hz to 5.2 kHz.
const BINS: Range<usize> = 8..482;
/// What is woven in lies between these, in hertz.
const WOVEN: Range<f32> = 120.0..4500.0;
/// Samples of which one is enough for that.
const DECIMATION: usize = 4;
/// Long windows that overlap at any place, at least.
const OVERLAP: usize = 4;
/// Expected shapes are made so much sharper: means of what may be are blunt.
const SHARPER: f32 = 1.4;
/// Farthest that a bin's power may lie below and above what is seen of it, in decibels.
const DEEPEST: f32 = -30.0;
const HIGHEST: f32 = 12.0;
/// Rounds in which shapes are made to agree with what the codec's windows see (Richardson, 1972; Lucy, 1974), and the
/// most that a round changes.
const AGREEING: usize = 4;
const MOST: f32 = 100.0;
/// Rounds of Griffin-Lim.
const ROUNDS: usize = 12;
/// Shares of a window before and behind a hit in which nothing is woven in.
const BEFORE: f32 = 1.0 / 3.0;
const BEHIND: f32 = 1.0 / 4.0;
/// Samples in which it fades.
const FADE: f32 = 256.0;
/// Deviations of the expected shape, in decibels, at which it is noise and at which it is tones.
const TONAL: Range<f32> = 1.5..2.5;
/// Power of nothing.
const NOTHING: f32 = 1e-14;

/// What is expected of partials.
#[derive(Clone, Debug)]
pub struct Partials {
    /// Says [`BINS`] in decibels.
    net: Expectation,
    /// Of each of the codec's ranges; None where its own window tells partials apart.
    ranges: Vec<Option<Woven>>,
}

/// A range of the codec, as the long window sees it.
#[derive(Clone, Debug)]
struct Woven {
    /// Samples at the clip's rate for one that is decoded.
    decoded: usize,
    /// And for one that is worked on.
    decimation: usize,
    framing: Framing,
    /// What its own window makes of a tone, in the long one's bins: weights from its bin on, whose sum both ways is 1.
    blur: Vec<f32>,
}

impl Woven {
    fn new(layer: &Layer) -> Option<Self> {
        let (window, decoded) = (layer.resolution.window, layer.decimation);
        let decimation = decoded.max(DECIMATION);
        let new = || Self { decoded, decimation, framing: Framing::new(WINDOW / decimation), blur: blur(window) };
        (window < WINDOW).then(new)
    }
}

/// Power of a window's lobe, in bins of the long one.
fn blur(window: usize) -> Vec<f32> {
    let power = |k: usize| lobe(k as f64 * window as f64 / WINDOW as f64).powi(2) as f32;
    let lobe: Vec<f32> = (0..=2 * WINDOW / window.min(WINDOW)).map(power).collect();
    let sum = 2.0 * lobe.iter().sum::<f32>() - lobe[0];
    lobe.into_iter().map(|v| v / sum).collect()
}

/// What a window of that lobe would see of power in the long one's bins.
fn blurred(blur: &[f32], power: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(power).for_each(|(out, power)| *out = power * blur[0]);
    for (k, weight) in blur.iter().enumerate().skip(1).take_while(|(k, _)| *k < power.len()) {
        out.iter_mut().zip(&power[k..]).for_each(|(out, power)| *out += weight * power);
        out[k..].iter_mut().zip(power).for_each(|(out, power)| *out += weight * power);
    }
}

impl Partials {
    pub(super) fn new(net: Expectation, layers: &[Layer]) -> Self {
        Self { net, ranges: layers.iter().map(Woven::new).collect() }
    }

    /// Names, shapes and values in the model file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        self.net.tensors(NAME)
    }

    /// That of a model file, where it has one; None where it is damaged.
    pub(super) fn from_tensors(
        channels: usize,
        layers: &[Layer],
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Option<Option<Self>> {
        match Expectation::from_tensors(NAME, channels, lookup)? {
            None => Some(None),
            Some(net) => (net.outputs() == BINS.len()).then(|| Some(Self::new(net, layers))),
        }
    }

    /// What is expected of a loop.
    pub(super) fn shapes(&self, latents: &Latents) -> Shapes {
        Shapes { values: self.net.of(latents), frames: latents.frames }
    }

    /// Weaves what is expected into one channel of the range of that index as it was decoded, at the range's rate;
    /// None when it is not wanted any more.
    pub(super) fn weave(
        &self,
        index: usize,
        shapes: &Shapes,
        hits: &[f64],
        signal: &mut [f32],
        wanted: &mut dyn FnMut() -> bool,
    ) -> Option<()> {
        let Some(range) = self.ranges[index].as_ref().filter(|_| signal.iter().any(|s| *s != 0.0)) else {
            return Some(());
        };
        let whole = signal.len() * range.decoded;
        let len = whole.div_ceil(range.decimation);
        let size = WINDOW / range.decimation;
        let hertz = SAMPLE_RATE as f32 / whole as f32;
        let zone = |bin: usize| {
            let hertz = bin as f32 * hertz;
            Complex32::from(rise(hertz, WOVEN.start) * (1.0 - rise(hertz, WOVEN.end).powi(2)).max(0.0).sqrt())
        };
        let old = resample::circular_through(signal, len, &zone);
        let centres = centres(len, shapes.frames * (len * OVERLAP).div_ceil(size * shapes.frames));
        let mut spectra = Vec::new();
        range.framing.analyse(&old, &centres, &mut spectra);
        let (magnitudes, sure) = range.shaped(&spectra, shapes);
        let shares = shares(hits, &sure, len, range.decimation);
        if shares.iter().all(|share| *share == 0.0) {
            return Some(());
        }
        for (value, magnitude) in spectra.iter_mut().zip(&magnitudes) {
            *value = Complex32::from_polar(*magnitude, value.arg());
        }
        let new = phase::agree(&range.framing, &magnitudes, spectra, &centres, len, ROUNDS, wanted)?;
        // The two know nothing of each other: their powers add up.
        let change = new.iter().zip(&old).zip(&shares).map(|((new, old), share)| {
            let angle = share * FRAC_PI_2;
            angle.sin() * new + (angle.cos() - 1.0) * old
        });
        let change = resample::circular(&change.collect::<Vec<_>>(), signal.len());
        signal.iter_mut().zip(change).for_each(|(s, change)| *s += change);
        Some(())
    }
}

/// Shapes of the power about what is seen of it, in decibels, `[latent frame, bin]`.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    values: Vec<f32>,
    frames: usize,
}

impl Shapes {
    /// Writes that at a share of the loop.
    fn at(&self, place: f32, out: &mut [f32]) {
        // A frame's shape is the mean of its beginning's and its middle's.
        let place = place * self.frames as f32 + self.frames as f32 - 0.25;
        let (before, share) = (place as usize, place.fract());
        let row = |frame: usize| &self.values[frame % self.frames * BINS.len()..][..BINS.len()];
        let both = row(before).iter().zip(row(before + 1));
        out.iter_mut().zip(both).for_each(|(out, (a, b))| *out = SHARPER * (a * (1.0 - share) + b * share));
    }
}

impl Woven {
    /// Magnitudes of the expected shapes that the range's own window would see as it sees those spectra, and, for each
    /// spectrum, how sure they are of tones, 0 to 1.
    fn shaped(&self, spectra: &[Complex32], shapes: &Shapes) -> (Vec<f32>, Vec<f32>) {
        let bins = self.framing.bins();
        let (first, count) = (BINS.start, BINS.len().min(bins - BINS.start));
        let frames = spectra.len() / bins;
        let (mut power, mut seen, mut again, mut lack) =
            (vec![0.0; bins], vec![0.0; bins], vec![0.0; bins], vec![0.0; bins]);
        let mut shape = vec![0.0; BINS.len()];
        let (mut magnitudes, mut sure) = (Vec::with_capacity(spectra.len()), Vec::with_capacity(frames));
        for (frame, spectrum) in spectra.chunks_exact(bins).enumerate() {
            power.iter_mut().zip(spectrum).for_each(|(p, c)| *p = c.norm_sqr());
            blurred(&self.blur, &power, &mut seen);
            shapes.at(frame as f32 / frames as f32, &mut shape);
            let own = tonal(&shape[..count], &seen[first..]);
            sure.push(own);
            if own == 0.0 {
                magnitudes.extend(power.iter().map(|p| p.sqrt()));
                continue;
            }
            let expected = power[first..].iter_mut().zip(&seen[first..]).zip(&shape);
            for ((power, seen), db) in expected {
                *power = seen * 10f32.powf(db.clamp(DEEPEST, HIGHEST) / 10.0);
            }
            for _ in 0..AGREEING {
                blurred(&self.blur, &power, &mut again);
                again.iter_mut().zip(&seen).for_each(|(again, seen)| *again = seen / again.max(NOTHING));
                blurred(&self.blur, &again, &mut lack);
                let lack = lack[first..].iter().take(count);
                power[first..].iter_mut().zip(lack).for_each(|(p, lack)| *p *= lack.clamp(1.0 / MOST, MOST));
            }
            magnitudes.extend(power.iter().map(|p| p.sqrt()));
        }
        (magnitudes, sure)
    }
}

/// How sure a shape is of tones, by its deviation where the power is.
fn tonal(shape: &[f32], seen: &[f32]) -> f32 {
    let pairs = || shape.iter().zip(seen);
    let all: f32 = seen.iter().take(shape.len()).sum::<f32>().max(NOTHING);
    let mean = pairs().map(|(db, seen)| db * seen).sum::<f32>() / all;
    let variance = pairs().map(|(db, seen)| (db - mean).powi(2) * seen).sum::<f32>() / all;
    ((variance.sqrt() / SHARPER - TONAL.start) / (TONAL.end - TONAL.start)).clamp(0.0, 1.0)
}

/// Share of what is expected, sample by sample: as far as it is `sure`, and none about hits.
fn shares(hits: &[f64], sure: &[f32], len: usize, decimation: usize) -> Vec<f32> {
    let sample = |i: usize| {
        let place = (i * sure.len()) as f32 / len as f32;
        let (frame, share) = (place as usize, place.fract());
        sure[frame % sure.len()] * (1.0 - share) + sure[(frame + 1) % sure.len()] * share
    };
    let mut shares: Vec<f32> = (0..len).map(sample).collect();
    let [before, behind, fade] =
        [BEFORE * WINDOW as f32, BEHIND * WINDOW as f32, FADE].map(|samples| samples / decimation as f32);
    for hit in hits {
        let at = (hit * len as f64).round() as isize;
        for i in -((before + fade) as isize)..=(behind + fade) as isize {
            let away = if i < 0 { -i as f32 - before } else { i as f32 - behind };
            let share = &mut shares[(at + i).rem_euclid(len as isize) as usize];
            *share = share.min((away / fade).clamp(0.0, 1.0));
        }
    }
    shares
}

impl Codec {
    /// This codec, decoding with expected partials, or without.
    #[cfg(feature = "companion")]
    pub fn with_partials(self, partials: Option<Partials>) -> Self {
        Self { partials, ..self }
    }

    /// The partials that it expects, if it does.
    pub fn partials(&self) -> Option<&Partials> {
        self.partials.as_ref()
    }
}
