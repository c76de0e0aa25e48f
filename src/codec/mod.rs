//! Stereo loops to latents and back, on a circle.
//!
//! In: a 44.1 kHz [`Clip`] of whole beats; out: [`Latents`] `[channel, frame]` with
//! [`LATENTS_PER_BEAT`] frames a beat, at any tempo. A latent frame is a patch of mid and side
//! log-mel frames, of a long window for the lows and of a short one above ([`resolution`]), projected
//! on channels made of principal components; decoding projects back, adds what is expected beyond the
//! components ([`residual`]), makes linear magnitudes, finds phases ([`phase`]) and weaves in partials where they are
//! expected ([`partials`]). Rolling a loop by one latent rolls its latents by one.
//! Nothing here needs a GPU; any thread but the audio thread may call it.

mod attack;
mod calm;
pub mod expectation;
#[cfg(feature = "companion")]
mod fit;
pub mod frames;
pub mod levels;
pub mod mel;
pub mod partials;
mod patches;
#[cfg(feature = "companion")]
mod pca;
mod phase;
pub mod residual;
pub mod resolution;
pub mod sketch;
mod texture;
pub mod tuning;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::clip::{Clip, SAMPLE_RATE};
use crate::resample;
#[cfg(feature = "companion")]
pub use calm::Wavering;
use frames::centres;
#[cfg(feature = "companion")]
pub use levels::MEASURED_RUNS;
pub use levels::{Curves, Levels, neighbours};
use partials::Partials;
use residual::Residual;
use resolution::{Layer, Resolution};
pub use sketch::Sketch;
pub use tuning::Tuning;

/// Latent frames a beat: a 4/4 bar is 32.
pub const LATENTS_PER_BEAT: usize = 8;
/// Longest loop, in beats.
const MAX_BEATS: usize = 256;
/// Most samples of spectra a latent: bounds what decoding a hostile file's latents may take.
const MAX_SPECTRA: usize = 65_536;
/// Most ranges of frequencies.
const MAX_RESOLUTIONS: usize = 4;

/// Settings; part of the model file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CodecConfig {
    /// Ranges of frequencies with their windows, from the lowest up.
    pub resolutions: Vec<Resolution>,
    /// Values a latent frame.
    pub channels: usize,
    /// Silence, in decibels below a full-scale sine (negative).
    pub floor_db: f32,
    /// Rounds of Griffin-Lim.
    pub phase_iterations: usize,
}

impl Default for CodecConfig {
    fn default() -> Self {
        let low = Resolution { from_hz: 0.0, window: 2048, frames_per_latent: 6, bands: 48 };
        let high = Resolution { from_hz: 800.0, window: 512, frames_per_latent: 16, bands: 56 };
        Self { resolutions: vec![low, high], channels: 96, floor_db: -72.0, phase_iterations: 16 }
    }
}

impl CodecConfig {
    /// Values of a patch.
    fn patch(&self) -> usize {
        self.resolutions.iter().map(Resolution::patch).sum()
    }

    /// Values of a spectrum of each range, together.
    fn rows(&self) -> usize {
        self.resolutions.iter().map(Resolution::rows).sum()
    }

    /// Spectra a latent frame of the range that has the most.
    fn most_spectra(&self) -> usize {
        self.resolutions.iter().map(|r| r.frames_per_latent).max().unwrap_or(1)
    }

    fn validate(&self) -> Result<(), CodecError> {
        let fits = (1..=MAX_RESOLUTIONS).contains(&self.resolutions.len())
            && self.resolutions.iter().all(Resolution::fits)
            && self
                .resolutions
                .is_sorted_by(|a, b| a.from_hz * 1.5 < b.from_hz || (a.from_hz == 0.0 && b.from_hz >= 100.0))
            && self.resolutions.iter().map(|r| r.window * r.frames_per_latent).sum::<usize>() <= MAX_SPECTRA
            && (1..=self.patch()).contains(&self.channels)
            && (-140.0..=-20.0).contains(&self.floor_db)
            && self.phase_iterations <= 1000;
        if fits { Ok(()) } else { Err(CodecError::Config) }
    }
}

/// Latents of one loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// Values a frame.
    pub channels: usize,
    /// Latent frames, a multiple of [`LATENTS_PER_BEAT`].
    pub frames: usize,
    /// `[channel, frame]`, row by row.
    pub values: Vec<f32>,
}

/// Why a loop could not be coded; each message says what to do.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // The messages say it.
pub enum CodecError {
    #[error("its settings are out of range")]
    Config,
    #[error("the clip has {0} Hz; resample it to {SAMPLE_RATE} Hz first")]
    SampleRate(u32),
    #[error("the clip has {samples} samples for {beats} beats: too short or too long to be a loop")]
    Length { samples: usize, beats: u32 },
    #[error("the clip holds numbers that are not finite")]
    NotFinite,
    #[error("{frames} latent frames of {channels} channels do not make a loop of whole beats for this codec")]
    Shape { channels: usize, frames: usize },
    #[error("the tempo {0} is not between 10 and 800 bpm")]
    Tempo(f64),
    #[error("there are too few loops to fit it: {patches} latent frames for {channels} channels")]
    TooFew { patches: usize, channels: usize },
    #[error("tensor {0} is missing or has the wrong shape")]
    Tensor(&'static str),
    #[error("cancelled")]
    Cancelled,
}

/// Shape and values of a tensor.
type Stored = (Vec<usize>, Vec<f32>);

/// The codec: settings, mean patch, channels made of principal components and what decoding adds back.
#[derive(Clone, Debug)]
pub struct Codec {
    config: CodecConfig,
    layers: Vec<Layer>,
    /// `[patch]`, in decibels.
    mean: Vec<f32>,
    /// `[channel, patch]`: patches to latents, when a band of each range weighs the same over a latent
    /// frame.
    analysis: Vec<f32>,
    /// `[channel, patch]`: and back.
    synthesis: Vec<f32>,
    /// `[patch]`: those weights.
    weights: Vec<f32>,
    /// Once a band, range after range, mid before side: decibels that decoding adds, for the power
    /// that the dropped components held.
    gain: Vec<f32>,
    /// Likewise: the most decibels that a loop had; no decoded spectrum exceeds it.
    ceiling: Vec<f32>,
    /// Likewise: how much of the grain of noise decoding adds, see [`texture`].
    texture: Vec<f32>,
    /// What decoding adds of what the components dropped; None where nothing was taught.
    residual: Option<Residual>,
    /// Where decoding puts partials; None where nothing was taught.
    partials: Option<Partials>,
}

impl Codec {
    fn new(config: CodecConfig, [mean, analysis, synthesis, gain, ceiling, texture]: [Vec<f32>; 6]) -> Self {
        let layers = Layer::all(&config.resolutions, config.floor_db);
        let most = config.most_spectra() as f32;
        let weight = |r: &Resolution| (most / r.frames_per_latent as f32).sqrt();
        let weights = config.resolutions.iter().flat_map(|r| std::iter::repeat_n(weight(r), r.patch())).collect();
        Self {
            config,
            layers,
            mean,
            analysis,
            synthesis,
            weights,
            gain,
            ceiling,
            texture,
            residual: None,
            partials: None,
        }
    }

    /// The settings.
    pub fn config(&self) -> &CodecConfig {
        &self.config
    }

    /// Encodes a loop.
    pub fn encode(&self, clip: &Clip) -> Result<Latents, CodecError> {
        Ok(self.project(&self.patches(clip)?))
    }

    /// Decodes latents at a tempo: `frames / 8` beats, exactly [`Clip::length`] samples.
    pub fn decode(&self, latents: &Latents, bpm: f64) -> Result<Clip, CodecError> {
        self.decode_while(latents, bpm, None, &mut || true)
    }

    /// Decodes, with the `levels` of a net's latents put right, as long as it is `wanted`, which is asked on
    /// this thread several times on the way.
    pub fn decode_while(
        &self,
        latents: &Latents,
        bpm: f64,
        levels: Option<Curves<'_>>,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Clip, CodecError> {
        let Latents { channels, frames, ref values } = *latents;
        let beats = frames / LATENTS_PER_BEAT;
        let whole = frames % LATENTS_PER_BEAT == 0 && (1..=MAX_BEATS).contains(&beats);
        if !whole || channels != self.config.channels || values.len() != channels * frames {
            return Err(CodecError::Shape { channels, frames });
        }
        if !(10.0..=800.0).contains(&bpm) {
            return Err(CodecError::Tempo(bpm));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(CodecError::NotFinite);
        }
        let len = Clip::length(beats as u32, bpm, SAMPLE_RATE);
        let mut patches = self.spectra(latents);
        if let Some(levels) = &levels {
            self.put_levels_right(&mut patches, levels);
        }
        self.complete(latents, &mut patches);
        self.grain(&mut patches, beats as u32, bpm);
        self.limit(&mut patches);
        let hits = self.hits(&patches);
        let shapes = self.partials.as_ref().map(|partials| (partials, partials.shapes(latents)));
        let decode = |index: usize, which: usize, wanted: &mut dyn FnMut() -> bool| {
            let layer = &self.layers[index];
            let magnitudes = layer.magnitudes(&patches, self.weights.len(), which);
            let decimated = len.div_ceil(layer.decimation);
            let centres = centres(decimated, frames * layer.resolution.frames_per_latent);
            let (framing, rounds) = (&layer.decimated, self.config.phase_iterations);
            let mut signal = phase::signal_of(framing, &magnitudes, &centres, decimated, rounds, wanted)?;
            if layer.patch.start == 0 {
                attack::sharpen(&mut signal, layer.resolution.window / layer.decimation, &hits);
            }
            if let Some((partials, shapes)) = &shapes {
                partials.weave(index, shapes, &hits, &mut signal, wanted)?;
            }
            Some(resample::circular(&signal, len))
        };
        let given_up = AtomicBool::new(false);
        // Of each range mid and side; the last is this thread's, which alone may ask.
        let mut signals: Vec<[Option<Vec<f32>>; 2]> = vec![[None, None]; self.layers.len()];
        rayon::in_place_scope(|scope| {
            let (mut own, decode, given_up) = (None, &decode, &given_up);
            let parts = signals.iter_mut().enumerate();
            for (index, which, signal) in parts.flat_map(|(i, [mid, side])| [(i, 1, side), (i, 0, mid)]) {
                if let Some((index, which, signal)) = own.replace((index, which, signal)) {
                    scope.spawn(move |_| *signal = decode(index, which, &mut || !given_up.load(Ordering::Relaxed)));
                }
            }
            if let Some((index, which, signal)) = own {
                *signal = decode(index, which, &mut || {
                    let wanted = wanted();
                    given_up.store(!wanted, Ordering::Relaxed);
                    wanted
                });
            }
        });
        let (mut mid, mut side) = (vec![0f32; len], vec![0f32; len]);
        for signals in signals {
            let [Some(m), Some(s)] = signals else { return Err(CodecError::Cancelled) };
            mid.iter_mut().zip(m).for_each(|(sum, v)| *sum += v);
            side.iter_mut().zip(s).for_each(|(sum, v)| *sum += v);
        }
        let left = mid.iter().zip(&side).map(|(m, s)| m + s).collect();
        let right = mid.iter().zip(&side).map(|(m, s)| m - s).collect();
        Ok(Clip {
            samples: [left, right],
            sample_rate: SAMPLE_RATE,
            beats: beats as u32,
            bpm,
            provenance: None,
            hits: Vec::new(),
        })
    }

    /// Name, shape and values of what the model file must hold; it may also hold those of the residual
    /// and of the partials.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (patch, channels) = (self.config.patch(), self.config.channels);
        vec![
            ("codec.mean".into(), vec![patch], self.mean.clone()),
            ("codec.analysis".into(), vec![channels, patch], self.analysis.clone()),
            ("codec.synthesis".into(), vec![channels, patch], self.synthesis.clone()),
            ("codec.gain".into(), vec![self.config.rows()], self.gain.clone()),
            ("codec.ceiling".into(), vec![self.config.rows()], self.ceiling.clone()),
            ("codec.texture".into(), vec![self.config.rows()], self.texture.clone()),
        ]
    }

    /// The codec of a model file; `lookup` gives shape and (finite) values by name.
    pub fn from_tensors(config: CodecConfig, lookup: &dyn Fn(&str) -> Option<Stored>) -> Result<Self, CodecError> {
        config.validate()?;
        let (patch, channels) = (config.patch(), config.channels);
        let get = |name: &'static str, shape: &[usize]| match lookup(name) {
            Some((found, values)) if found == shape => Ok(values),
            _ => Err(CodecError::Tensor(name)),
        };
        let mean = get("codec.mean", &[patch])?;
        let analysis = get("codec.analysis", &[channels, patch])?;
        let synthesis = get("codec.synthesis", &[channels, patch])?;
        let gain = get("codec.gain", &[config.rows()])?;
        let ceiling = get("codec.ceiling", &[config.rows()])?;
        // Files from before it had it decode as they did.
        let texture = match lookup("codec.texture") {
            None => vec![0.0; config.rows()],
            Some((found, values)) if found == [config.rows()] => values,
            Some(_) => return Err(CodecError::Tensor("codec.texture")),
        };
        let residual = Residual::from_tensors(channels, patch, lookup);
        let residual = residual.ok_or(CodecError::Tensor("codec.residual"))?;
        let codec = Self::new(config, [mean, analysis, synthesis, gain, ceiling, texture]);
        let partials = Partials::from_tensors(channels, &codec.layers, lookup);
        let partials = partials.ok_or(CodecError::Tensor("codec.partials"))?;
        Ok(Self { residual, partials, ..codec })
    }
}

#[cfg(all(test, feature = "companion"))]
pub(crate) mod tests {
    use super::*;
    use crate::random::Philox;

    /// Decaying noise of random level on each eighth; a latent frame is 2560 samples exactly.
    fn clip(seed: u64) -> Clip {
        let noise = Philox::new(seed, 1);
        let (levels, a, b) = (noise.normals(8), noise.normals(81_920), noise.normals(81_920));
        let shape = |i: usize| 0.1 * levels[i / 10_240].abs() * (-((i % 10_240) as f32) / 2000.0).exp();
        let left = a.iter().enumerate().map(|(i, v)| v * shape(i)).collect();
        let right = a.iter().zip(&b).enumerate().map(|(i, (x, y))| (0.6 * x + 0.4 * y) * shape(i)).collect();
        let bpm = f64::from(SAMPLE_RATE) * 60.0 / 20_480.0;
        Clip { samples: [left, right], sample_rate: SAMPLE_RATE, beats: 4, bpm, provenance: None, hits: Vec::new() }
    }

    pub(crate) fn codec() -> (Codec, Vec<Clip>) {
        let clips: Vec<Clip> = (0..6).map(clip).collect();
        let config = CodecConfig { channels: 12, ..Default::default() };
        (Codec::fit(config, &clips.iter().collect::<Vec<_>>(), &mut |_, _| {}).expect("fits"), clips)
    }

    fn rolled(values: &[f32], by: usize) -> Vec<f32> {
        let mut values = values.to_vec();
        values.rotate_left(by);
        values
    }

    #[test]
    fn rolling_by_a_latent_rolls_latents_and_audio() {
        let (codec, clips) = codec();
        // The grain is that of another noise, which does not roll.
        let codec = Codec { texture: vec![0.0; codec.texture.len()], ..codec };
        let latents = codec.encode(&clips[0]).expect("encodes");
        let late = Clip { samples: clips[0].samples.each_ref().map(|s| rolled(s, 2560)), ..clips[0].clone() };
        let expected: Vec<f32> = latents.values.chunks(32).flat_map(|row| rolled(row, 1)).collect();
        let found = codec.encode(&late).expect("encodes");
        let error = expected.iter().zip(&found.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 0.05, "latents differ by {error} dB");
        let decoded = codec.decode(&latents, clips[0].bpm).expect("decodes");
        let (mut asked, latents) = (0, Latents { values: expected, ..latents });
        let mut until = |most: u32| {
            codec.decode_while(&latents, clips[0].bpm, None, &mut || {
                asked += 1;
                asked <= most
            })
        };
        assert_eq!(until(3), Err(CodecError::Cancelled));
        let again = until(u32::MAX).expect("decodes");
        assert!((10..40).contains(&asked), "it asked {asked} times");
        let wanted = rolled(&decoded.samples[0], 2560);
        let energy: f32 = wanted.iter().map(|v| v * v).sum();
        let error: f32 = wanted.iter().zip(&again.samples[0]).map(|(a, b)| (a - b).powi(2)).sum();
        assert!(error < 1e-3 * energy, "audio differs by {error} of {energy}");
    }

    #[test]
    fn hits_begin_at_once() {
        let (codec, clips) = codec();
        let (layer, size) = (&codec.layers[1], codec.weights.len());
        let rows = layer.rows.len();
        // Mean level of the mid bands, spectrum by spectrum.
        let levels = |patches: &[f32]| -> Vec<f32> {
            let spectra = patches.chunks_exact(size).flat_map(|p| p[layer.patch.clone()].chunks_exact(rows));
            spectra.map(|s| s[..rows / 2].iter().sum::<f32>() / (rows / 2) as f32).collect()
        };
        let steepest = |levels: &[f32]| levels.windows(2).map(|w| w[1] - w[0]).fold(0f32, f32::max);
        let mean = |levels: &[f32]| levels.iter().sum::<f32>() / levels.len() as f32;
        for clip in &clips {
            let latents = codec.encode(clip).expect("encodes");
            let (smooth, steep) = (codec.unproject(&latents), codec.spectra(&latents));
            let low = |patches: &[f32]| {
                patches.chunks_exact(size).flat_map(|p| p[..layer.patch.start].to_vec()).collect::<Vec<_>>()
            };
            assert_eq!(low(&smooth), low(&steep), "the lowest range stays");
            let (smooth, steep) = (levels(&smooth), levels(&steep));
            let (before, after) = (steepest(&smooth), steepest(&steep));
            assert!(before > 10.0 && after > 1.1 * before && after < 2.0 * before, "{before} and {after} dB");
            assert!((mean(&smooth) - mean(&steep)).abs() < 0.5, "what rises at once is not louder for it");
        }
    }

    #[test]
    fn decoding_keeps_the_level() {
        let (codec, clips) = codec();
        let energy = |c: &Clip| c.samples.iter().flatten().map(|s| f64::from(s * s)).sum::<f64>();
        let back = |c: &Clip| codec.decode(&codec.encode(c).expect("encodes"), c.bpm).expect("decodes");
        let (before, after) = clips.iter().fold((0.0, 0.0), |(b, a), c| (b + energy(c), a + energy(&back(c))));
        let decibels = 10.0 * (after / before).log10();
        assert!(decibels.abs() < 1.0, "decoded louder by {decibels} dB");
    }
}
