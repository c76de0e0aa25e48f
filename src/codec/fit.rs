//! A codec made of loops: its components, and what its decoding gives back.

use rayon::prelude::*;

use super::{Codec, CodecConfig, CodecError, pca};
use crate::clip::Clip;

/// Loops that grain and gain are measured on, at most.
const MEASURED: usize = 200;

impl Codec {
    /// Fits the components on loops; `progress` hears (loops done, loops).
    pub fn fit(
        config: CodecConfig,
        clips: &[&Clip],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, CodecError> {
        config.validate()?;
        let rows = config.rows();
        let (none, any) = (vec![0.0; rows], vec![f32::MAX; rows]);
        let blank = Self::new(config.clone(), [vec![], vec![], vec![], none.clone(), any, none]);
        let mut moments = pca::Moments::new(config.patch());
        let mut ceiling = vec![config.floor_db; rows];
        for (i, clips16) in clips.chunks(16).enumerate() {
            let patches: Result<Vec<Vec<f32>>, CodecError> = clips16.par_iter().map(|c| blank.patches(c)).collect();
            for mut patches in patches? {
                blank.each_spectrum(&patches, |rows, spectrum| {
                    ceiling[rows].iter_mut().zip(spectrum).for_each(|(c, d)| *c = c.max(*d));
                });
                for patch in patches.chunks_exact_mut(blank.weights.len()) {
                    patch.iter_mut().zip(&blank.weights).for_each(|(v, w)| *v *= w);
                }
                moments.add(&patches);
            }
            progress((i * 16 + clips16.len()).min(clips.len()), clips.len());
        }
        if moments.count() < 2 * config.channels {
            return Err(CodecError::TooFew { patches: moments.count(), channels: config.channels });
        }
        let pca::Basis { mut mean, analysis, synthesis } = moments.basis(config.channels);
        mean.iter_mut().zip(&blank.weights).for_each(|(m, w)| *m /= w);
        Self { mean, analysis, synthesis, ceiling, ..blank }.measured(clips)
    }

    /// With what decoding gives back, grain and gain, measured anew on [`MEASURED`] of the loops.
    pub fn measured(self, clips: &[&Clip]) -> Result<Self, CodecError> {
        let some: Vec<&Clip> = clips.iter().step_by(clips.len().div_ceil(MEASURED).max(1)).copied().collect();
        let codec = Self { texture: self.missing_grain(&some)?, ..self };
        let gain = codec.lost_power(&some)?;
        Ok(Self { gain, ..codec })
    }

    /// Power in by power out of each band, in decibels. Averages of decibels lie below the decibels of
    /// averages: without it decoding is too quiet.
    fn lost_power(&self, clips: &[&Clip]) -> Result<Vec<f32>, CodecError> {
        let power = |patches: &[f32]| {
            let mut sum = vec![0f64; self.config.rows()];
            self.each_spectrum(patches, |rows, spectrum| {
                sum[rows].iter_mut().zip(spectrum).for_each(|(s, d)| *s += 10f64.powf(f64::from(*d) / 10.0));
            });
            sum
        };
        let both = clips.par_iter().map(|clip| {
            let patches = self.patches(clip)?;
            let latents = self.project(&patches);
            let mut decoded = self.spectra(&latents);
            self.complete(&latents, &mut decoded);
            self.grain(&mut decoded, clip.beats, clip.bpm);
            Ok((power(&patches), power(&decoded)))
        });
        let both: Result<Vec<_>, CodecError> = both.collect();
        let (mut before, mut after) = (vec![0f64; self.config.rows()], vec![0f64; self.config.rows()]);
        for (a, b) in both? {
            before.iter_mut().zip(a).for_each(|(s, v)| *s += v);
            after.iter_mut().zip(b).for_each(|(s, v)| *s += v);
        }
        Ok(before.iter().zip(&after).map(|(a, b)| (10.0 * (a / b).log10()) as f32).collect())
    }
}
