//! Patches: what a latent frame is made of, and back.

use std::ops::Range;

use rayon::prelude::*;

use super::frames::centres;
use super::resolution::{Layer, Resolution};
use super::{Codec, CodecError, LATENTS_PER_BEAT, Latents, MAX_BEATS};
use crate::clip::{Clip, SAMPLE_RATE};

/// Share of a level's curvature in time that it is moved by, in the ranges above the lowest.
const STEEPER: f32 = 0.3;
/// Curvature that counts, in decibels.
const CURVED: f32 = 20.0;

impl Codec {
    /// Log-mel patches `[frame][range][spectrum][mid, side][band]` of a loop, in decibels.
    pub(super) fn patches(&self, clip: &Clip) -> Result<Vec<f32>, CodecError> {
        let (len, beats) = (clip.len(), clip.beats as usize);
        if clip.sample_rate != SAMPLE_RATE {
            return Err(CodecError::SampleRate(clip.sample_rate));
        }
        let latents = beats * LATENTS_PER_BEAT;
        if beats == 0 || beats > MAX_BEATS || len < latents * self.config.most_spectra() {
            return Err(CodecError::Length { samples: len, beats: clip.beats });
        }
        if clip.samples.iter().flatten().any(|s| !s.is_finite()) {
            return Err(CodecError::NotFinite);
        }
        let mut out = vec![0.0; latents * self.weights.len()];
        for (which, sign) in [1.0, -1.0].into_iter().enumerate() {
            let pairs = clip.samples[0].iter().zip(&clip.samples[1]);
            let signal: Vec<f32> = pairs.map(|(l, r)| (l + sign * r) / 2.0).collect();
            self.layers.iter().for_each(|layer| self.analyse(layer, &signal, which, &mut out));
        }
        Ok(out)
    }

    /// Writes one range of mid (0) or side (1) into patches.
    pub(super) fn analyse(&self, layer: &Layer, signal: &[f32], which: usize, patches: &mut [f32]) {
        let (patch, bins) = (self.weights.len(), layer.framing.bins());
        let Resolution { frames_per_latent, bands, .. } = layer.resolution;
        let (mut spectra, mut power) = (Vec::new(), vec![0.0; bins]);
        let frames = patches.len() / patch * frames_per_latent;
        layer.framing.analyse(signal, &centres(signal.len(), frames), &mut spectra);
        for (k, frame) in spectra.chunks_exact(bins).enumerate() {
            power.iter_mut().zip(frame).for_each(|(p, c)| *p = c.norm_sqr());
            let at = k / frames_per_latent * patch + layer.patch.start + (k % frames_per_latent * 2 + which) * bands;
            layer.bank.decibels(&power, &mut patches[at..at + bands]);
        }
    }

    /// Latents of patches.
    pub(super) fn project(&self, patches: &[f32]) -> Latents {
        let (patch, channels) = (self.config.patch(), self.config.channels);
        let frames = patches.len() / patch;
        let rows = patches.par_chunks_exact(patch).map(|p| {
            let centred = p.iter().zip(&self.mean).zip(&self.weights).map(|((v, m), w)| (v - m) * w);
            let centred: Vec<f32> = centred.collect();
            self.analysis.chunks_exact(patch).map(|component| dot(component, &centred)).collect::<Vec<f32>>()
        });
        let mut values = vec![0.0; channels * frames];
        for (frame, row) in rows.collect::<Vec<_>>().into_iter().enumerate() {
            row.into_iter().enumerate().for_each(|(channel, value)| values[channel * frames + frame] = value);
        }
        Latents { channels, frames, values }
    }

    /// Spectra that decoding begins with, as patches. Components smear a hit over the spectra beside its beginning;
    /// moving each level away from the mean of those before and after makes it begin at once again.
    pub(super) fn spectra(&self, latents: &Latents) -> Vec<f32> {
        let mut out = self.unproject(latents);
        let size = self.weights.len();
        for layer in self.layers.iter().skip(1) {
            let (each, rows) = (layer.resolution.frames_per_latent, layer.rows.len());
            let at = |k: usize| k / each * size + layer.patch.start + k % each * rows;
            let count = latents.frames * each;
            let smooth: Vec<f32> = (0..count).flat_map(|k| &out[at(k)..][..rows]).copied().collect();
            let spectrum = |k: usize| &smooth[k % count * rows..][..rows];
            for k in 0..count {
                let beside = spectrum(k + count - 1).iter().zip(spectrum(k + 1));
                for ((level, own), (before, after)) in out[at(k)..][..rows].iter_mut().zip(spectrum(k)).zip(beside) {
                    *level += STEEPER * (2.0 * own - before - after).clamp(-CURVED, CURVED);
                }
            }
        }
        out
    }

    /// Patches back from latents.
    pub(super) fn unproject(&self, latents: &Latents) -> Vec<f32> {
        let patch = self.weights.len();
        let mut out = vec![0.0; latents.frames * patch];
        out.par_chunks_exact_mut(patch).enumerate().for_each(|(frame, p)| {
            for (channel, component) in self.synthesis.chunks_exact(patch).enumerate() {
                let value = latents.values[channel * latents.frames + frame];
                p.iter_mut().zip(component).for_each(|(o, c)| *o += value * c);
            }
            p.iter_mut().zip(self.mean.iter().zip(&self.weights)).for_each(|(o, (m, w))| *o = *o / w + m);
        });
        out
    }

    /// Calls `see` with each spectrum of patches and where its values lie in gain and ceiling.
    #[cfg(feature = "companion")]
    pub(super) fn each_spectrum(&self, patches: &[f32], mut see: impl FnMut(Range<usize>, &[f32])) {
        for patch in patches.chunks_exact(self.weights.len()) {
            for layer in &self.layers {
                for spectrum in patch[layer.patch.clone()].chunks_exact(layer.rows.len()) {
                    see(layer.rows.clone(), spectrum);
                }
            }
        }
    }

    /// Adds the gain, up to the ceiling.
    pub(super) fn limit(&self, patches: &mut [f32]) {
        for patch in patches.chunks_exact_mut(self.weights.len()) {
            self.change_spectra(patch, |rows, spectrum| {
                let limits = self.gain[rows.clone()].iter().zip(&self.ceiling[rows]);
                spectrum.iter_mut().zip(limits).for_each(|(o, (g, c))| *o = (*o + g).min(*c));
            });
        }
    }

    /// Lets `change` have each spectrum of one patch, with where its values lie in gain and ceiling.
    pub(super) fn change_spectra(&self, patch: &mut [f32], mut change: impl FnMut(Range<usize>, &mut [f32])) {
        for layer in &self.layers {
            for spectrum in patch[layer.patch.clone()].chunks_exact_mut(layer.rows.len()) {
                change(layer.rows.clone(), spectrum);
            }
        }
    }
}

/// Several sums side by side, which vector instructions add up.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    let (a, b) = (a.chunks(16), b.chunks(16));
    a.zip(b).for_each(|(a, b)| sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b));
    sums.iter().sum()
}
