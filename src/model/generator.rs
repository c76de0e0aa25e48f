//! From a seed to a clip: noise, solver, statistics, codec. One generator holds one net on one
//! device; it runs on the engine's background thread or in the companion.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor, TensorData};

use super::{Header, Model, ModelError};
use crate::clip::{Clip, Provenance};
use crate::codec::Latents;
use crate::flow::solver::{SolveError, Solver};
use crate::flow::unet::UNet;
use crate::flow::{Condition, noise};

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Seed of the noise.
    pub seed: u64,
    /// Solver steps, at least 1.
    pub steps: u32,
    /// Euler or Heun.
    pub solver: Solver,
    /// Length in beats.
    pub beats: u32,
    /// Tempo in beats per minute.
    pub bpm: f64,
    /// Index of a label; None for any.
    pub label: Option<usize>,
}

/// Slowest and fastest tempo that is generated, in beats per minute.
pub const TEMPO: std::ops::RangeInclusive<f64> = 20.0..=400.0;
/// Highest sample of a generated clip, -0.5 dBFS: a louder one is turned down as a whole.
pub const PEAK: f32 = 0.944;
/// Longest loop, in beats.
pub const MAX_BEATS: u32 = 256;

/// Why no clip came out; each message says what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum GenerateError {
    #[error("cancelled")]
    Cancelled,
    #[error("steps must be at least 1")]
    NoSteps,
    #[error("the tempo must be between 20 and 400 bpm, not {0}")]
    Tempo(f64),
    #[error(
        "the length must be between 1 and {MAX_BEATS} beats, in multiples of {multiple} for this model; {beats} beats were asked for"
    )]
    Length { beats: u32, multiple: u32 },
    #[error("the model has {count} labels, there is none of number {index}")]
    Label { index: usize, count: usize },
    #[error("this model has no codec: its latents belong to another one. Use `flowloop sample` and decode them there")]
    NoCodec,
    #[error("the model's output is not a finite number; the file may be damaged or its training diverged")]
    NotFinite,
    #[error("the device failed ({0}). Try another one: --device cpu always works")]
    Device(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{0}")]
    Codec(String),
}

/// A net ready to generate.
pub struct Generator {
    model: Model,
    net: UNet,
    device: Device,
}

impl Generator {
    /// Puts a model's net on a device.
    pub fn new(model: Model, device: Device) -> Result<Self, GenerateError> {
        let net = guarded(|| model.net(&device))?.map_err(GenerateError::Device)?;
        Ok(Self { model, net, device })
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Generates one clip; `progress` hears (step, steps) and may cancel.
    pub fn generate(
        &self,
        job: &Job,
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Clip, GenerateError> {
        let codec = self.model.codec.as_ref().ok_or(GenerateError::NoCodec)?;
        let frames = self.frames(job)?;
        let channels = self.model.header.net.channels;
        let noise = noise::of_seed(job.seed, channels, frames);
        let condition = Condition { bpm: job.bpm, label: job.label };
        let mut values = self.sample(noise, [1, channels, frames], job.steps, job.solver, &[condition], progress)?;
        self.unnormalise(&mut values, frames);
        let latents = Latents { channels, frames, values };
        let mut clip = codec.decode(&latents, job.bpm).map_err(|e| GenerateError::Codec(e.to_string()))?;
        clip.limit_peak(PEAK);
        clip.round_to_24_bits();
        clip.provenance = Some(Provenance { model: self.model.hash.clone(), seed: job.seed, steps: job.steps });
        Ok(clip)
    }

    fn frames(&self, job: &Job) -> Result<usize, GenerateError> {
        if !TEMPO.contains(&job.bpm) {
            return Err(GenerateError::Tempo(job.bpm));
        }
        let (net, per_beat) = (&self.model.header.net, crate::codec::LATENTS_PER_BEAT);
        let stride = net.stride() as u32;
        let multiple = (stride / gcd(stride, per_beat as u32)).max(1);
        if job.beats == 0 || job.beats > MAX_BEATS || !job.beats.is_multiple_of(multiple) {
            return Err(GenerateError::Length { beats: job.beats, multiple });
        }
        if let Some(index) = job.label.filter(|l| *l >= net.labels) {
            return Err(GenerateError::Label { index, count: net.labels });
        }
        Ok(job.beats as usize * per_beat)
    }

    /// Integrates noise of `shape` `[batch, channel, frame]`; returns standardised latents.
    pub fn sample(
        &self,
        noise: Vec<f32>,
        shape: [usize; 3],
        steps: u32,
        solver: Solver,
        conditions: &[Condition],
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, GenerateError> {
        let run = || {
            let x = Tensor::<3>::from_data(TensorData::new(noise, shape), &self.device);
            let x = solver.solve(&self.net, x, steps, conditions, progress);
            x.map(|x| x.try_into_data().map_err(|e| format!("{e:?}")))
        };
        let data = match guarded(run)? {
            Err(SolveError::Cancelled) => return Err(GenerateError::Cancelled),
            Err(SolveError::NoSteps) => return Err(GenerateError::NoSteps),
            Ok(data) => data.map_err(GenerateError::Device)?,
        };
        let values = data.try_into_vec::<f32>().map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(GenerateError::NotFinite),
        }
    }

    /// Standardised latents `[.., channel, frame]` back to the codec's scale.
    pub fn unnormalise(&self, values: &mut [f32], frames: usize) {
        let channels = self.model.mean.len();
        for (i, row) in values.chunks_exact_mut(frames).enumerate() {
            let (mean, std) = (self.model.mean[i % channels], self.model.std[i % channels]);
            row.iter_mut().for_each(|v| *v = *v * std + mean);
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Burn's GPU backends panic when a device dies; here that is an error like any other.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, GenerateError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string()));
        GenerateError::Device(text.unwrap_or_else(|| "it stopped without a word".into()))
    })
}

/// The factory model's file, part of the program.
const EMBEDDED: &[u8] = include_bytes!("../../assets/factory.flow");
const EMBEDDED_NAME: &str = "the built-in model";

/// The factory model.
pub fn embedded_model() -> Result<Model, ModelError> {
    Model::from_bytes(EMBEDDED, EMBEDDED_NAME)
}

/// The factory model's labels; quick, for it does not read the weights.
pub fn embedded_labels() -> Vec<String> {
    Header::from_bytes(EMBEDDED, EMBEDDED_NAME).map(|h| h.labels).unwrap_or_default()
}
