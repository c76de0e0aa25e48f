//! What they are taught: how the power of loops lies about what the codec's windows see of it.

use super::*;
use crate::clip::Clip;
use crate::codec::expectation::{Example, Layers};

/// Long windows a latent frame: at its beginning and in its middle.
const EACH: usize = 2;
/// Power below which nothing is heard.
const SILENT: f32 = 4e-8;
/// Decibels below the loop's loudest bin at which one counts for nothing, and the range to where it counts whole.
const QUIET: f32 = 50.0;
const COUNTING: f32 = 40.0;

impl Codec {
    /// How the power of a loop, whose latents these are, lies about what the codec's windows see of it.
    pub fn shape(&self, clip: &Clip, latents: Latents) -> Example {
        let mid: Vec<f32> = clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l + r) / 2.0).collect();
        let mid = resample::circular(&mid, mid.len().div_ceil(DECIMATION));
        let framing = Framing::new(WINDOW / DECIMATION);
        let mut spectra = Vec::new();
        framing.analyse(&mid, &centres(mid.len(), latents.frames * EACH), &mut spectra);
        let bins = framing.bins();
        let blurs: Vec<(Vec<f32>, &Layer)> = self.layers.iter().map(|l| (blur(l.resolution.window), l)).collect();
        let share = |layer: &Layer, bin: usize| {
            let place = bin as f32 * layer.resolution.window as f32 / WINDOW as f32;
            layer.share[(place.round() as usize).min(layer.share.len() - 1)].powi(2)
        };
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (mut power, mut part, mut seen) = (vec![0.0; bins], vec![0.0; bins], vec![0.0; bins]);
        for frame in spectra.chunks_exact(EACH * bins) {
            power.fill(0.0);
            let each = frame.chunks_exact(bins);
            each.for_each(|one| power.iter_mut().zip(one).for_each(|(p, c)| *p += c.norm_sqr() / EACH as f32));
            seen.fill(0.0);
            for (blur, layer) in &blurs {
                blurred(blur, &power, &mut part);
                let parts = part.iter().enumerate().map(|(bin, part)| share(layer, bin) * part);
                seen.iter_mut().zip(parts).for_each(|(seen, part)| *seen += part);
            }
            for bin in BINS {
                let shape = 10.0 * ((power[bin] + SILENT) / (seen[bin] + SILENT)).log10();
                values.push(shape.clamp(DEEPEST, HIGHEST));
                levels.push(10.0 * (seen[bin] + SILENT).log10());
            }
        }
        let loudest = levels.iter().fold(f32::MIN, |most, level| most.max(*level));
        let weight = |level: f32| ((level - loudest + QUIET) / COUNTING).clamp(0.0, 1.0);
        let silent = 10.0 * (2.0 * SILENT).log10();
        let weights = levels.iter().map(|level| if *level < silent { 0.0 } else { weight(*level) }).collect();
        Example { latents, values, weights: Some(weights) }
    }

    /// Partials that were taught.
    pub fn taught_partials(&self, layers: Layers) -> Partials {
        Partials::new(Expectation::new(layers), &self.layers)
    }
}
