//! The grain of noise. The spectra of hats, snares and breath vary from place to place by five decibels; no two
//! noises share that grain, so the components drop it, and what is decoded without it is smooth as no noise is.
//! Decoding therefore adds the grain of another noise: white noise is taken apart like a loop, and what the
//! components keep of it is taken away. Where spectra of loops are flat, what the components drop has about
//! the power of that grain, at all levels; where they peak it is tones, and none is added.

use std::ops::Range;

#[cfg(feature = "companion")]
use rayon::prelude::*;

use super::Codec;
#[cfg(feature = "companion")]
use super::CodecError;
use super::resolution::Layer;
use crate::clip::{Clip, SAMPLE_RATE};
use crate::random::Philox;

/// Seed of the noise, one for all loops: a clip decodes to the same samples every time.
const SEED: u64 = 1 << 42;
/// Bands on either side that a band is compared with.
const NEAR: usize = 3;
/// Decibels, root mean square, by which neighbouring bands differ: noise up to the first, tones from the second.
const PEAKS: Range<f32> = 1.5..4.0;
/// Decibels above silence at which the grain is whole.
const AUDIBLE: f32 = 8.0;
/// Share of the grain that is added: finding phases adds unrest of its own.
const LESS: f32 = 0.85;
/// No more grain than that of the noise by this, whatever a file says.
const MOST: f32 = 3.0;

impl Codec {
    /// Ranges with grain: all but the lowest, whose long windows tell tones apart.
    fn grainy(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().skip(1)
    }

    /// Adds grain to decoded patches of so many beats.
    pub(super) fn grain(&self, patches: &mut [f32], beats: u32, bpm: f64) {
        if self.texture.iter().all(|t| *t == 0.0) {
            return;
        }
        let noise = self.dropped_noise(patches.len(), beats, bpm);
        let size = self.weights.len();
        for (patch, noise) in patches.chunks_exact_mut(size).zip(noise.chunks_exact(size)) {
            for layer in self.grainy() {
                let (own, rows) = (layer.patch.clone(), layer.rows.len());
                let amounts: Vec<f32> = flatness(layer, &patch[own.clone()])
                    .zip(&self.texture[layer.rows.clone()])
                    .map(|(flat, texture)| flat * texture.clamp(0.0, MOST))
                    .collect();
                let spectra = patch[own.clone()].chunks_exact_mut(rows).zip(noise[own].chunks_exact(rows));
                for (value, (noise, amount)) in spectra.flat_map(|(v, n)| v.iter_mut().zip(n.iter().zip(&amounts))) {
                    *value += LESS * amount * self.audible(*value) * noise;
                }
            }
        }
    }

    /// How far a level lies out of silence, 0 to 1.
    fn audible(&self, decibels: f32) -> f32 {
        ((decibels - self.config.floor_db) / AUDIBLE).clamp(0.0, 1.0)
    }

    /// What the components drop of white noise, in patches of `size` values together; nothing in the lowest range.
    fn dropped_noise(&self, size: usize, beats: u32, bpm: f64) -> Vec<f32> {
        let len = Clip::length(beats, bpm, SAMPLE_RATE);
        let side = |which: usize| {
            let (signal, mut patches) = (Philox::new(SEED, which as u64).normals(len), vec![0.0; size]);
            self.grainy().for_each(|layer| self.analyse(layer, &signal, which, &mut patches));
            patches
        };
        let (mut patches, other) = rayon::join(|| side(0), || side(1));
        patches.iter_mut().zip(other).for_each(|(p, o)| *p += o);
        let patch = self.weights.len();
        let count = size / patch;
        for layer in self.grainy() {
            for row in 0..layer.rows.len() {
                let places = || layer.patch.clone().skip(row).step_by(layer.rows.len());
                let all = (0..count).flat_map(|i| places().map(move |at| i * patch + at));
                let mean = all.clone().map(|at| patches[at]).sum::<f32>() / all.clone().count() as f32;
                all.for_each(|at| patches[at] -= mean);
            }
        }
        for noise in patches.chunks_exact_mut(patch) {
            noise.iter_mut().zip(&self.mean).for_each(|(n, mean)| *n += mean);
        }
        let kept = self.unproject(&self.project(&patches));
        let lowest = self.layers[0].patch.clone();
        for (noise, kept) in patches.chunks_exact_mut(patch).zip(kept.chunks_exact(patch)) {
            noise.iter_mut().zip(kept).for_each(|(n, kept)| *n -= kept);
            noise[lowest.clone()].fill(0.0);
        }
        patches
    }

    /// How much grain loops lack, by that of white noise; once a band.
    #[cfg(feature = "companion")]
    pub(super) fn missing_grain(&self, clips: &[&Clip]) -> Result<Vec<f32>, CodecError> {
        let sums = clips.par_iter().map(|clip| {
            let patches = self.patches(clip)?;
            let latents = self.project(&patches);
            let mut coded = self.spectra(&latents);
            self.complete(&latents, &mut coded);
            let noise = self.dropped_noise(patches.len(), clip.beats, clip.bpm);
            let mut sums = vec![[0f64; 2]; self.texture.len()];
            for start in (0..patches.len()).step_by(self.weights.len()) {
                for layer in self.grainy() {
                    let own = start + layer.patch.start..start + layer.patch.end;
                    let flat: Vec<f32> = flatness(layer, &coded[own.clone()]).collect();
                    for (i, at) in own.enumerate() {
                        let row = i % layer.rows.len();
                        if flat[row] == 1.0 && self.audible(coded[at]) == 1.0 {
                            let [dropped, grain] = &mut sums[layer.rows.start + row];
                            *dropped += f64::from(patches[at] - coded[at]).powi(2);
                            *grain += f64::from(noise[at]).powi(2);
                        }
                    }
                }
            }
            Ok(sums)
        });
        let sums: Result<Vec<_>, CodecError> = sums.collect();
        let mut all = vec![[0f64; 2]; self.texture.len()];
        for sums in sums? {
            all.iter_mut().zip(sums).for_each(|(all, one)| (0..2).for_each(|i| all[i] += one[i]));
        }
        Ok(all.iter().map(|[dropped, grain]| (dropped / grain.max(1e-9)).sqrt().min(MOST.into()) as f32).collect())
    }
}

/// For each band of a range's patch, mid before side: 1 where its spectra are flat, 0 where they peak.
fn flatness(layer: &Layer, patch: &[f32]) -> impl Iterator<Item = f32> {
    let (rows, bands) = (layer.rows.len(), layer.resolution.bands);
    let count = (patch.len() / rows) as f32;
    let means: Vec<f32> = (0..rows).map(|row| patch.iter().skip(row).step_by(rows).sum::<f32>() / count).collect();
    let near = move |band: usize| band.saturating_sub(NEAR)..(band + NEAR + 1).min(bands);
    let mean_near = move |values: &[f32], band: usize| {
        let values = &values[near(band)];
        values.iter().sum::<f32>() / values.len() as f32
    };
    means
        .chunks_exact(bands)
        .flat_map(|side| {
            let apart: Vec<f32> = (0..bands).map(|band| (side[band] - mean_near(side, band)).powi(2)).collect();
            (0..bands)
                .map(|band| {
                    let peaks = mean_near(&apart, band).sqrt();
                    ((PEAKS.end - peaks) / (PEAKS.end - PEAKS.start)).clamp(0.0, 1.0)
                })
                .collect::<Vec<_>>()
        })
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::*;
    use crate::codec::tests::codec;

    /// Mean squared change of a level from one spectrum of the highest range to the fourth after it, where the
    /// loop is well above silence.
    fn unrest(codec: &Codec, clip: &Clip, audible: &[f32]) -> f64 {
        let (patches, layer) = (codec.patches(clip).unwrap(), codec.layers.last().unwrap());
        let (mut sum, mut count) = (0.0, 0.0);
        for start in (0..patches.len()).step_by(codec.weights.len()) {
            let later = 4 * layer.rows.len();
            for at in start + layer.patch.start..start + layer.patch.end - later {
                if audible[at] > -60.0 && audible[at + later] > -60.0 {
                    sum += f64::from(patches[at + later] - patches[at]).powi(2);
                    count += 1.0;
                }
            }
        }
        assert!(count > 1e3, "{count} places are audible");
        sum / count
    }

    #[test]
    fn noise_keeps_its_grain() {
        let (codec, clips) = codec();
        let smooth = Codec { texture: vec![0.0; codec.texture.len()], ..codec.clone() };
        let audible = codec.patches(&clips[0]).unwrap();
        let decoded = |by: &Codec| by.decode(&by.encode(&clips[0]).unwrap(), clips[0].bpm).unwrap();
        let real = unrest(&codec, &clips[0], &audible);
        let (with, without) = (unrest(&codec, &decoded(&codec), &audible), unrest(&codec, &decoded(&smooth), &audible));
        assert!((0.6..1.4).contains(&(with / real)), "{with} of {real}");
        assert!(without < 0.7 * with, "{without} without it, {with} with it");
    }

    #[test]
    fn silence_and_tones_get_none() {
        let (codec, _) = codec();
        let layer = codec.layers.last().unwrap();
        let mut patches = vec![codec.config.floor_db; 8 * codec.weights.len()];
        let silent = patches.clone();
        codec.grain(&mut patches, 1, 120.0);
        assert_eq!(patches, silent);
        let rows = layer.rows.len();
        for patch in patches.chunks_exact_mut(codec.weights.len()) {
            for (i, level) in patch[layer.patch.clone()].iter_mut().enumerate() {
                *level = if i % rows % 6 == 0 { -20.0 } else { -50.0 };
            }
        }
        let tones = patches.clone();
        codec.grain(&mut patches, 1, 120.0);
        assert_eq!(patches, tones);
        patches.fill(-30.0);
        codec.grain(&mut patches, 1, 120.0);
        assert!(patches[layer.patch.clone()].iter().any(|level| (level + 30.0).abs() > 3.0), "noise gets none either");
    }
}
