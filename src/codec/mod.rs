//! Stereo loops to latents and back, on a circle, closed form.
//!
//! In: a 44.1 kHz [`Clip`] of whole beats; out: [`Latents`] `[channel, frame]` with
//! [`LATENTS_PER_BEAT`] frames a beat, at any tempo. A latent frame is a patch of mid and side
//! log-mel frames projected on principal components; decoding projects back, makes linear
//! magnitudes and finds phases ([`phase`]). Rolling a loop by one latent rolls its latents by one.
//! Nothing here needs a GPU or a net; any thread but the audio thread may call it.

pub mod frames;
pub mod mel;
#[cfg(feature = "companion")]
mod pca;
mod phase;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::clip::{Clip, SAMPLE_RATE};
use frames::{Framing, centres};
use mel::MelBank;

/// Latent frames a beat: a 4/4 bar is 32.
pub const LATENTS_PER_BEAT: usize = 8;
/// Longest loop, in beats.
const MAX_BEATS: usize = 256;
/// Most samples of spectra a latent: bounds what decoding a hostile file's latents may take.
const MAX_SPECTRA: usize = 32_768;
/// Loops that the gain is measured on.
#[cfg(feature = "companion")]
const GAIN_LOOPS: usize = 200;

/// Settings; part of the model file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CodecConfig {
    /// Samples a window, a power of two.
    pub window: usize,
    /// Spectra a latent frame.
    pub frames_per_latent: usize,
    /// Mel bands.
    pub bands: usize,
    /// Values a latent frame.
    pub channels: usize,
    /// Silence, in decibels below a full-scale sine (negative).
    pub floor_db: f32,
    /// Rounds of Griffin-Lim.
    pub phase_iterations: usize,
}

impl Default for CodecConfig {
    fn default() -> Self {
        Self { window: 512, frames_per_latent: 16, bands: 64, channels: 64, floor_db: -72.0, phase_iterations: 16 }
    }
}

impl CodecConfig {
    /// Values of a patch: frames x (mid, side) x bands.
    fn patch(&self) -> usize {
        self.frames_per_latent * 2 * self.bands
    }

    fn validate(&self) -> Result<(), CodecError> {
        let fits = self.window.is_power_of_two()
            && (256..=8192).contains(&self.window)
            && (1..=64).contains(&self.frames_per_latent)
            && self.window * self.frames_per_latent <= MAX_SPECTRA
            && (8..=512).contains(&self.bands)
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
#[derive(Debug, thiserror::Error, PartialEq)]
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

/// The codec: settings, mean patch, principal components and what decoding adds back.
#[derive(Clone, Debug)]
pub struct Codec {
    config: CodecConfig,
    framing: Framing,
    bank: MelBank,
    /// `[patch]`
    mean: Vec<f32>,
    /// `[channel, patch]`, orthonormal rows.
    components: Vec<f32>,
    /// `[mid, side][band]`: decibels that decoding adds, for the power that the dropped
    /// components held.
    gain: Vec<f32>,
    /// `[mid, side][band]`: the most decibels that a loop had; no decoded spectrum exceeds it.
    ceiling: Vec<f32>,
}

impl Codec {
    fn new(config: CodecConfig, mean: Vec<f32>, components: Vec<f32>, gain: Vec<f32>, ceiling: Vec<f32>) -> Self {
        let framing = Framing::new(config.window);
        let bank = MelBank::new(config.bands, framing.bins(), SAMPLE_RATE, config.floor_db);
        Self { config, framing, bank, mean, components, gain, ceiling }
    }

    /// Fits the components on loops; `progress` hears (loops done, loops).
    #[cfg(feature = "companion")]
    pub fn fit(
        config: CodecConfig,
        clips: &[&Clip],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, CodecError> {
        config.validate()?;
        let blank = Self::new(
            config.clone(),
            Vec::new(),
            Vec::new(),
            vec![0.0; 2 * config.bands],
            vec![f32::MAX; 2 * config.bands],
        );
        let mut moments = pca::Moments::new(config.patch());
        let mut ceiling = vec![config.floor_db; 2 * config.bands];
        for (i, clips16) in clips.chunks(16).enumerate() {
            let patches: Result<Vec<Vec<f32>>, CodecError> = clips16.par_iter().map(|c| blank.patches(c)).collect();
            for patches in patches? {
                moments.add(&patches);
                for spectrum in patches.chunks_exact(ceiling.len()) {
                    ceiling.iter_mut().zip(spectrum).for_each(|(c, d)| *c = c.max(*d));
                }
            }
            progress((i * 16 + clips16.len()).min(clips.len()), clips.len());
        }
        if moments.count() < 2 * config.channels {
            return Err(CodecError::TooFew { patches: moments.count(), channels: config.channels });
        }
        let (mean, components) = moments.components(config.channels);
        let codec = Self { mean, components, ..blank };
        let gain = codec.lost_power(clips)?;
        Ok(Self { gain, ceiling, ..codec })
    }

    /// Power in by power out of each band, in decibels, over [`GAIN_LOOPS`] of the loops. Averages
    /// of decibels lie below the decibels of averages: without it decoding is too quiet.
    #[cfg(feature = "companion")]
    fn lost_power(&self, clips: &[&Clip]) -> Result<Vec<f32>, CodecError> {
        let rows = 2 * self.config.bands;
        let power = |decibels: &[f32]| {
            let mut sum = vec![0f64; rows];
            for spectrum in decibels.chunks_exact(rows) {
                sum.iter_mut().zip(spectrum).for_each(|(s, d)| *s += 10f64.powf(f64::from(*d) / 10.0));
            }
            sum
        };
        let some: Vec<_> = clips.iter().step_by(clips.len().div_ceil(GAIN_LOOPS)).collect();
        let both = some.into_par_iter().map(|clip| {
            let patches = self.patches(clip)?;
            Ok((power(&patches), power(&self.unproject(&self.project(&patches)))))
        });
        let both: Result<Vec<_>, CodecError> = both.collect();
        let (mut before, mut after) = (vec![0f64; rows], vec![0f64; rows]);
        for (a, b) in both? {
            before.iter_mut().zip(a).for_each(|(s, v)| *s += v);
            after.iter_mut().zip(b).for_each(|(s, v)| *s += v);
        }
        Ok(before.iter().zip(&after).map(|(a, b)| (10.0 * (a / b).log10()) as f32).collect())
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
            let centred: Vec<f32> = p.iter().zip(&self.mean).map(|(v, m)| v - m).collect();
            for (channel, component) in self.components.chunks_exact(patch).enumerate() {
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
        let centres = centres(len, frames * self.config.frames_per_latent);
        let decibels = self.unproject(latents);
        let decode = |side: usize, wanted: &mut dyn FnMut() -> bool| {
            let magnitudes = self.magnitudes(&decibels, side);
            phase::signal_of(&self.framing, &magnitudes, &centres, len, self.config.phase_iterations, wanted)
        };
        let (given_up, mut side) = (AtomicBool::new(false), None);
        let mid = rayon::in_place_scope(|scope| {
            scope.spawn(|_| side = decode(1, &mut || !given_up.load(Ordering::Relaxed)));
            decode(0, &mut || {
                let wanted = wanted();
                given_up.store(!wanted, Ordering::Relaxed);
                wanted
            })
        });
        let (Some(mid), Some(side)) = (mid, side) else { return Err(CodecError::Cancelled) };
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

    /// Log-mel patches `[frame][spectrum][mid, side][band]` of a loop, in decibels.
    fn patches(&self, clip: &Clip) -> Result<Vec<f32>, CodecError> {
        let (len, beats) = (clip.len(), clip.beats as usize);
        if clip.sample_rate != SAMPLE_RATE {
            return Err(CodecError::SampleRate(clip.sample_rate));
        }
        if beats == 0 || beats > MAX_BEATS || len < beats * LATENTS_PER_BEAT * self.config.frames_per_latent {
            return Err(CodecError::Length { samples: len, beats: clip.beats });
        }
        if clip.samples.iter().flatten().any(|s| !s.is_finite()) {
            return Err(CodecError::NotFinite);
        }
        let centres = centres(len, beats * LATENTS_PER_BEAT * self.config.frames_per_latent);
        let (bands, bins) = (self.config.bands, self.framing.bins());
        let mut out = vec![0.0; centres.len() * 2 * bands];
        let mut spectra = Vec::new();
        let mut power = vec![0.0; bins];
        for (which, sign) in [1.0, -1.0].into_iter().enumerate() {
            let pairs = clip.samples[0].iter().zip(&clip.samples[1]);
            let signal: Vec<f32> = pairs.map(|(l, r)| (l + sign * r) / 2.0).collect();
            self.framing.analyse(&signal, &centres, &mut spectra);
            for (k, frame) in spectra.chunks_exact(bins).enumerate() {
                power.iter_mut().zip(frame).for_each(|(p, c)| *p = c.norm_sqr());
                let at = (k * 2 + which) * bands;
                self.bank.decibels(&power, &mut out[at..at + bands]);
            }
        }
        Ok(out)
    }

    /// Patches back from latents, with the gain, under the ceiling.
    fn unproject(&self, latents: &Latents) -> Vec<f32> {
        let patch = self.config.patch();
        let mut out = vec![0.0; latents.frames * patch];
        out.par_chunks_exact_mut(patch).enumerate().for_each(|(frame, p)| {
            p.copy_from_slice(&self.mean);
            for (channel, component) in self.components.chunks_exact(patch).enumerate() {
                let value = latents.values[channel * latents.frames + frame];
                p.iter_mut().zip(component).for_each(|(o, c)| *o += value * c);
            }
            for spectrum in p.chunks_exact_mut(self.gain.len()) {
                let limits = self.gain.iter().zip(&self.ceiling);
                spectrum.iter_mut().zip(limits).for_each(|(o, (g, c))| *o = (*o + g).min(*c));
            }
        });
        out
    }

    /// Linear magnitudes `[spectrum][bin]` of mid (0) or side (1).
    fn magnitudes(&self, decibels: &[f32], which: usize) -> Vec<f32> {
        let (bands, bins) = (self.config.bands, self.framing.bins());
        let mut out = vec![0.0; decibels.len() / (2 * bands) * bins];
        for (spectrum, out) in decibels.chunks_exact(2 * bands).zip(out.chunks_exact_mut(bins)) {
            self.bank.magnitudes(&spectrum[which * bands..(which + 1) * bands], out);
        }
        out
    }

    /// Name, shape and values of what the model file must hold.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (patch, channels) = (self.config.patch(), self.config.channels);
        vec![
            ("codec.mean".into(), vec![patch], self.mean.clone()),
            ("codec.components".into(), vec![channels, patch], self.components.clone()),
            ("codec.gain".into(), vec![2, self.config.bands], self.gain.clone()),
            ("codec.ceiling".into(), vec![2, self.config.bands], self.ceiling.clone()),
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
        let components = get("codec.components", &[channels, patch])?;
        let gain = get("codec.gain", &[2, config.bands])?;
        let ceiling = get("codec.ceiling", &[2, config.bands])?;
        Ok(Self::new(config, mean, components, gain, ceiling))
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
