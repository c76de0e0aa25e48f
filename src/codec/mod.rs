//! Stereo loops to latents and back, on a circle, closed form.
//!
//! In: a 44.1 kHz [`Clip`] of whole beats; out: [`Latents`] `[channel, frame]` with
//! [`LATENTS_PER_BEAT`] frames a beat, at any tempo. A latent frame is a patch of mid and side
//! log-mel frames, of a long window for the lows and of a short one above ([`resolution`]), projected
//! on channels made of principal components; decoding projects back, makes linear magnitudes and finds
//! phases ([`phase`]). Rolling a loop by one latent rolls its latents by one.
//! Nothing here needs a GPU or a net; any thread but the audio thread may call it.

pub mod frames;
pub mod mel;
#[cfg(feature = "companion")]
mod pca;
mod phase;
pub mod resolution;
pub mod sketch;

#[cfg(feature = "companion")]
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::clip::{Clip, SAMPLE_RATE};
use crate::resample;
use frames::centres;
use resolution::{Layer, Resolution};
pub use sketch::Sketch;

/// Latent frames a beat: a 4/4 bar is 32.
pub const LATENTS_PER_BEAT: usize = 8;
/// Longest loop, in beats.
const MAX_BEATS: usize = 256;
/// Most samples of spectra a latent: bounds what decoding a hostile file's latents may take.
const MAX_SPECTRA: usize = 65_536;
/// Most ranges of frequencies.
const MAX_RESOLUTIONS: usize = 4;
/// Loops that the gain is measured on, at most.
#[cfg(feature = "companion")]
const GAIN_LOOPS: usize = 200;

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
    #[error("the tempo {0} is not between 20 and 400 bpm")]
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
}

impl Codec {
    fn new(config: CodecConfig, [mean, analysis, synthesis, gain, ceiling]: [Vec<f32>; 5]) -> Self {
        let layers = Layer::all(&config.resolutions, config.floor_db);
        let most = config.most_spectra() as f32;
        let weight = |r: &Resolution| (most / r.frames_per_latent as f32).sqrt();
        let weights = config.resolutions.iter().flat_map(|r| std::iter::repeat_n(weight(r), r.patch())).collect();
        Self { config, layers, mean, analysis, synthesis, weights, gain, ceiling }
    }

    /// Fits the components on loops; `progress` hears (loops done, loops).
    #[cfg(feature = "companion")]
    pub fn fit(
        config: CodecConfig,
        clips: &[&Clip],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, CodecError> {
        config.validate()?;
        let rows = config.rows();
        let blank = Self::new(config.clone(), [vec![], vec![], vec![], vec![0.0; rows], vec![f32::MAX; rows]]);
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
        let codec = Self { mean, analysis, synthesis, ..blank };
        let gain = codec.lost_power(clips)?;
        Ok(Self { gain, ceiling, ..codec })
    }

    /// Power in by power out of each band, in decibels, over [`GAIN_LOOPS`] of the loops. Averages
    /// of decibels lie below the decibels of averages: without it decoding is too quiet.
    #[cfg(feature = "companion")]
    fn lost_power(&self, clips: &[&Clip]) -> Result<Vec<f32>, CodecError> {
        let power = |patches: &[f32]| {
            let mut sum = vec![0f64; self.config.rows()];
            self.each_spectrum(patches, |rows, spectrum| {
                sum[rows].iter_mut().zip(spectrum).for_each(|(s, d)| *s += 10f64.powf(f64::from(*d) / 10.0));
            });
            sum
        };
        let some: Vec<_> = clips.iter().step_by(clips.len().div_ceil(GAIN_LOOPS)).collect();
        let both = some.into_par_iter().map(|clip| {
            let patches = self.patches(clip)?;
            Ok((power(&patches), power(&self.unproject(&self.project(&patches)))))
        });
        let both: Result<Vec<_>, CodecError> = both.collect();
        let (mut before, mut after) = (vec![0f64; self.config.rows()], vec![0f64; self.config.rows()]);
        for (a, b) in both? {
            before.iter_mut().zip(a).for_each(|(s, v)| *s += v);
            after.iter_mut().zip(b).for_each(|(s, v)| *s += v);
        }
        Ok(before.iter().zip(&after).map(|(a, b)| (10.0 * (a / b).log10()) as f32).collect())
    }

    /// Calls `see` with each spectrum of patches and where its values lie in gain and ceiling.
    #[cfg(feature = "companion")]
    fn each_spectrum(&self, patches: &[f32], mut see: impl FnMut(Range<usize>, &[f32])) {
        for patch in patches.chunks_exact(self.weights.len()) {
            for layer in &self.layers {
                for spectrum in patch[layer.patch.clone()].chunks_exact(layer.rows.len()) {
                    see(layer.rows.clone(), spectrum);
                }
            }
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

    /// Latents of patches.
    fn project(&self, patches: &[f32]) -> Latents {
        let (patch, channels) = (self.config.patch(), self.config.channels);
        let frames = patches.len() / patch;
        let mut values = vec![0.0; channels * frames];
        for (frame, p) in patches.chunks_exact(patch).enumerate() {
            let centred = p.iter().zip(&self.mean).zip(&self.weights).map(|((v, m), w)| (v - m) * w);
            let centred: Vec<f32> = centred.collect();
            for (channel, component) in self.analysis.chunks_exact(patch).enumerate() {
                values[channel * frames + frame] = component.iter().zip(&centred).map(|(c, v)| c * v).sum();
            }
        }
        Latents { channels, frames, values }
    }

    /// Decodes latents at a tempo: `frames / 8` beats, exactly [`Clip::length`] samples.
    pub fn decode(&self, latents: &Latents, bpm: f64) -> Result<Clip, CodecError> {
        self.decode_while(latents, bpm, &mut || true)
    }

    /// Decodes as long as it is `wanted`, which is asked on this thread several times on the way.
    pub fn decode_while(
        &self,
        latents: &Latents,
        bpm: f64,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Clip, CodecError> {
        let Latents { channels, frames, ref values } = *latents;
        let beats = frames / LATENTS_PER_BEAT;
        let whole = frames % LATENTS_PER_BEAT == 0 && (1..=MAX_BEATS).contains(&beats);
        if !whole || channels != self.config.channels || values.len() != channels * frames {
            return Err(CodecError::Shape { channels, frames });
        }
        if !(20.0..=400.0).contains(&bpm) {
            return Err(CodecError::Tempo(bpm));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(CodecError::NotFinite);
        }
        let len = Clip::length(beats as u32, bpm, SAMPLE_RATE);
        let patches = self.unproject(latents);
        let decode = |layer: &Layer, which: usize, wanted: &mut dyn FnMut() -> bool| {
            let magnitudes = layer.magnitudes(&patches, self.weights.len(), which);
            let decimated = len.div_ceil(layer.decimation);
            let centres = centres(decimated, frames * layer.resolution.frames_per_latent);
            let (framing, rounds) = (&layer.decimated, self.config.phase_iterations);
            let signal = phase::signal_of(framing, &magnitudes, &centres, decimated, rounds, wanted)?;
            Some(resample::circular(&signal, len))
        };
        let given_up = AtomicBool::new(false);
        // Of each range mid and side; the last is this thread's, which alone may ask.
        let mut signals: Vec<[Option<Vec<f32>>; 2]> = vec![[None, None]; self.layers.len()];
        rayon::in_place_scope(|scope| {
            let (mut own, decode, given_up) = (None, &decode, &given_up);
            let parts = self.layers.iter().zip(&mut signals);
            for (layer, which, signal) in parts.flat_map(|(l, [mid, side])| [(l, 1, side), (l, 0, mid)]) {
                if let Some((layer, which, signal)) = own.replace((layer, which, signal)) {
                    scope.spawn(move |_| *signal = decode(layer, which, &mut || !given_up.load(Ordering::Relaxed)));
                }
            }
            if let Some((layer, which, signal)) = own {
                *signal = decode(layer, which, &mut || {
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

    /// Log-mel patches `[frame][range][spectrum][mid, side][band]` of a loop, in decibels.
    fn patches(&self, clip: &Clip) -> Result<Vec<f32>, CodecError> {
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
        let patch = self.weights.len();
        let mut out = vec![0.0; latents * patch];
        let mut spectra = Vec::new();
        for (which, sign) in [1.0, -1.0].into_iter().enumerate() {
            let pairs = clip.samples[0].iter().zip(&clip.samples[1]);
            let signal: Vec<f32> = pairs.map(|(l, r)| (l + sign * r) / 2.0).collect();
            for layer in &self.layers {
                let Resolution { frames_per_latent, bands, .. } = layer.resolution;
                let bins = layer.framing.bins();
                let mut power = vec![0.0; bins];
                layer.framing.analyse(&signal, &centres(len, latents * frames_per_latent), &mut spectra);
                for (k, frame) in spectra.chunks_exact(bins).enumerate() {
                    power.iter_mut().zip(frame).for_each(|(p, c)| *p = c.norm_sqr());
                    let at =
                        k / frames_per_latent * patch + layer.patch.start + (k % frames_per_latent * 2 + which) * bands;
                    layer.bank.decibels(&power, &mut out[at..at + bands]);
                }
            }
        }
        Ok(out)
    }

    /// Patches back from latents, with the gain, under the ceiling.
    fn unproject(&self, latents: &Latents) -> Vec<f32> {
        let patch = self.weights.len();
        let mut out = vec![0.0; latents.frames * patch];
        out.par_chunks_exact_mut(patch).enumerate().for_each(|(frame, p)| {
            for (channel, component) in self.synthesis.chunks_exact(patch).enumerate() {
                let value = latents.values[channel * latents.frames + frame];
                p.iter_mut().zip(component).for_each(|(o, c)| *o += value * c);
            }
            p.iter_mut().zip(self.mean.iter().zip(&self.weights)).for_each(|(o, (m, w))| *o = *o / w + m);
            for layer in &self.layers {
                let (gain, ceiling) = (&self.gain[layer.rows.clone()], &self.ceiling[layer.rows.clone()]);
                for spectrum in p[layer.patch.clone()].chunks_exact_mut(layer.rows.len()) {
                    let limits = gain.iter().zip(ceiling);
                    spectrum.iter_mut().zip(limits).for_each(|(o, (g, c))| *o = (*o + g).min(*c));
                }
            }
        });
        out
    }

    /// Name, shape and values of what the model file must hold.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (patch, channels) = (self.config.patch(), self.config.channels);
        vec![
            ("codec.mean".into(), vec![patch], self.mean.clone()),
            ("codec.analysis".into(), vec![channels, patch], self.analysis.clone()),
            ("codec.synthesis".into(), vec![channels, patch], self.synthesis.clone()),
            ("codec.gain".into(), vec![self.config.rows()], self.gain.clone()),
            ("codec.ceiling".into(), vec![self.config.rows()], self.ceiling.clone()),
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
        Ok(Self::new(config, [mean, analysis, synthesis, gain, ceiling]))
    }
}

#[cfg(all(test, feature = "companion"))]
mod tests {
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

    fn codec() -> (Codec, Vec<Clip>) {
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
        let latents = codec.encode(&clips[0]).expect("encodes");
        let late = Clip { samples: clips[0].samples.each_ref().map(|s| rolled(s, 2560)), ..clips[0].clone() };
        let expected: Vec<f32> = latents.values.chunks(32).flat_map(|row| rolled(row, 1)).collect();
        let found = codec.encode(&late).expect("encodes");
        let error = expected.iter().zip(&found.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 0.05, "latents differ by {error} dB");
        let decoded = codec.decode(&latents, clips[0].bpm).expect("decodes");
        let (mut asked, latents) = (0, Latents { values: expected, ..latents });
        let mut until = |most: u32| {
            codec.decode_while(&latents, clips[0].bpm, &mut || {
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
    fn decoding_keeps_the_level() {
        let (codec, clips) = codec();
        let energy = |c: &Clip| c.samples.iter().flatten().map(|s| f64::from(s * s)).sum::<f64>();
        let back = |c: &Clip| codec.decode(&codec.encode(c).expect("encodes"), c.bpm).expect("decodes");
        let (before, after) = clips.iter().fold((0.0, 0.0), |(b, a), c| (b + energy(c), a + energy(&back(c))));
        let decibels = 10.0 * (after / before).log10();
        assert!(decibels.abs() < 1.0, "decoded louder by {decibels} dB");
        let quiet = Codec { gain: vec![0.0; codec.gain.len()], ..codec.clone() };
        let unaided = quiet.decode(&quiet.encode(&clips[0]).expect("encodes"), clips[0].bpm).expect("decodes");
        assert!(energy(&unaided) < energy(&back(&clips[0])), "the gain makes up for nothing");
    }
}
