//! A range of frequencies that is taken apart with a window of its own: long windows tell low tones
//! apart, short ones keep the hits above them sharp.

use std::ops::Range;

use super::frames::Framing;
use super::mel::MelBank;
use crate::clip::SAMPLE_RATE;

/// Settings of one range; part of the model file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Resolution {
    /// Where it begins, in hertz; the first begins at 0 whatever it says.
    pub from_hz: f32,
    /// Samples a window, a power of two.
    pub window: usize,
    /// Spectra a latent frame.
    pub frames_per_latent: usize,
    /// Mel bands.
    pub bands: usize,
}

impl Resolution {
    /// Values of a spectrum: (mid, side) x bands.
    pub fn rows(&self) -> usize {
        2 * self.bands
    }

    /// Values of a latent frame's patch.
    pub fn patch(&self) -> usize {
        self.frames_per_latent * self.rows()
    }

    /// True for settings that neither fail nor take all memory.
    pub fn fits(&self) -> bool {
        self.window.is_power_of_two()
            && (256..=8192).contains(&self.window)
            && (1..=64).contains(&self.frames_per_latent)
            && (8..=512).contains(&self.bands)
            && (0.0..=16_000.0).contains(&self.from_hz)
    }
}

/// Centre of the lowest band of all and of the highest, in hertz.
const LOWEST: f32 = 40.0;
const HIGHEST: f32 = 18_000.0;
/// Ranges fade into each other from their border divided by this to their border times this.
const FADE: f32 = 1.12;
/// Bands reach beyond the border by this factor.
const BEYOND: f32 = 1.25;
/// Fewest samples of a decimated window.
const LEAST_WINDOW: usize = 64;

/// One range, ready for work.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its settings.
    pub resolution: Resolution,
    /// Its transforms.
    pub framing: Framing,
    /// Samples of which decoding makes one: it needs no more for the range.
    pub decimation: usize,
    /// The transforms of the decimated signal.
    pub decimated: Framing,
    /// Its bands.
    pub bank: MelBank,
    /// Where its values lie in a patch.
    pub patch: Range<usize>,
    /// Where its values lie in what there is once a band: gain and ceiling.
    pub rows: Range<usize>,
    /// Share of the magnitude that is this range's, per bin; the squares of all ranges sum to 1.
    pub share: Vec<f32>,
}

impl Layer {
    /// All ranges of a codec, from the lowest up.
    pub fn all(resolutions: &[Resolution], floor_db: f32) -> Vec<Self> {
        let (mut patch, mut rows) = (0, 0);
        let one = |(i, own): (usize, &Resolution)| {
            let framing = Framing::new(own.window);
            let below = (i > 0).then_some(own.from_hz);
            let above = resolutions.get(i + 1).map(|next| next.from_hz);
            let span = below.map_or(LOWEST, |f| f / BEYOND)..=above.map_or(HIGHEST, |f| f * BEYOND);
            let share = |bin: usize| {
                let hertz = bin as f32 * SAMPLE_RATE as f32 / own.window as f32;
                below.map_or(1.0, |f| rise(hertz, f)) * above.map_or(1.0, |f| (1.0 - rise(hertz, f).powi(2)).sqrt())
            };
            let decimation = above.map_or(1, |f| decimation(f * FADE).min(own.window / LEAST_WINDOW));
            let layer = Self {
                decimated: Framing::new(own.window / decimation),
                decimation,
                bank: MelBank::within(span, own.bands, framing.bins(), SAMPLE_RATE, floor_db),
                patch: patch..patch + own.patch(),
                rows: rows..rows + own.rows(),
                share: (0..framing.bins()).map(share).collect(),
                framing,
                resolution: own.clone(),
            };
            (patch, rows) = (layer.patch.end, layer.rows.end);
            layer
        };
        resolutions.iter().enumerate().map(one).collect()
    }

    /// Magnitudes `[spectrum][bin]` of mid (0) or side (1), decimated, from patches of `patch` decibels.
    pub fn magnitudes(&self, patches: &[f32], patch: usize, which: usize) -> Vec<f32> {
        let (bands, bins) = (self.resolution.bands, self.decimated.bins());
        let mut out = vec![0.0; patches.len() / patch * self.resolution.frames_per_latent * bins];
        let spectra = patches.chunks_exact(patch).flat_map(|p| p[self.patch.clone()].chunks_exact(2 * bands));
        for (spectrum, out) in spectra.zip(out.chunks_exact_mut(bins)) {
            self.bank.magnitudes(&spectrum[which * bands..(which + 1) * bands], out);
            out.iter_mut().zip(&self.share).for_each(|(m, share)| *m *= share);
        }
        out
    }
}

/// The greatest power of two at which what lies below `highest` hertz stays well within the signal.
fn decimation(highest: f32) -> usize {
    let most = SAMPLE_RATE as f32 / 2.0 / (1.4 * highest);
    1 << (most.max(1.0).log2() as u32)
}

/// From 0 below a border to 1 above it, a quarter of a sine over the logarithm of the frequency.
pub fn rise(hertz: f32, border: f32) -> f32 {
    let place = ((hertz.max(1.0) / border).ln() / FADE.ln()).clamp(-1.0, 1.0);
    ((place + 1.0) * std::f32::consts::FRAC_PI_4).sin()
}

#[cfg(test)]
mod tests {
    use super::super::frames::centres;
    use super::super::phase;
    use super::*;

    #[test]
    fn a_low_tone_stays_steady() {
        let of = |from_hz, window, frames_per_latent, bands| Resolution { from_hz, window, frames_per_latent, bands };
        let layers = Layer::all(&[of(0.0, 2048, 6, 48), of(800.0, 512, 16, 56)], -72.0);
        let (low, patch, latents, len) = (&layers[0], layers[1].patch.end, 16, 44_100);
        let tone = |hertz: f32| move |i: usize| 0.5 * (std::f32::consts::TAU * hertz * i as f32 / len as f32).sin();
        for hertz in [36.0, 45.0, 52.0, 80.0] {
            let signal: Vec<f32> = (0..len).map(tone(hertz)).collect();
            let mut spectra = Vec::new();
            low.framing.analyse(&signal, &centres(len, 6 * latents), &mut spectra);
            let mut patches = vec![-72.0; latents * patch];
            for (k, frame) in spectra.chunks_exact(low.framing.bins()).enumerate() {
                let power: Vec<f32> = frame.iter().map(|c| c.norm_sqr()).collect();
                let at = k / 6 * patch + k % 6 * low.rows.len();
                low.bank.decibels(&power, &mut patches[at..at + 48]);
            }
            let (magnitudes, short) = (low.magnitudes(&patches, patch, 0), len.div_ceil(low.decimation));
            let centres = centres(short, 6 * latents);
            let back = phase::signal_of(&low.decimated, &magnitudes, &centres, short, 16, &mut || true).unwrap();
            // About a twentieth of a second each.
            let powers: Vec<f32> = back.chunks_exact(138).map(|c| c.iter().map(|s| s * s).sum()).collect();
            let [least, most] = [f32::min, f32::max].map(|f| powers.iter().copied().reduce(f).unwrap());
            assert!(most < 1.3 * least, "{hertz} Hz: between {least} and {most}");
        }
    }

    #[test]
    fn ranges_share_the_power_of_each_frequency() {
        let of = |from_hz, window| Resolution { from_hz, window, frames_per_latent: 4, bands: 16 };
        let layers = Layer::all(&[of(0.0, 2048), of(300.0, 2048), of(1200.0, 2048)], -72.0);
        for bin in 0..1025 {
            let power: f32 = layers.iter().map(|l| l.share[bin].powi(2)).sum();
            assert!((power - 1.0).abs() < 1e-5, "bin {bin}: {power}");
        }
        // 301 Hz lies on the border, 1000 Hz in the middle range.
        assert!((layers[0].share[14] - layers[1].share[14]).abs() < 0.1);
        assert!(layers[1].share[46] > 0.999);
        // 336 and 1344 Hz are the highest of the lower two.
        assert_eq!([0, 1, 2].map(|i: usize| layers[i].decimation), [32, 8, 1]);
        assert_eq!((layers[2].patch.clone(), layers[2].rows.clone()), (256..384, 64..96));
    }
}
