//! From a seed to a clip: noise, solver, statistics, codec. One generator holds one net on one
//! device; it runs on the engine's background thread or in the companion.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::job::PLAIN;
use super::steady::Steady;
use super::watch::Watched;
use super::{Canvas, Drift, Header, Job, Model, ModelError};
use crate::clip::Clip;
use crate::codec::{CodecError, Latents};
use crate::device::{self, Adapter, remote};
use crate::flow::guidance::Guided;
use crate::flow::noise;
use crate::flow::packed::PackedUNet;
use crate::flow::solver::{Correction, Path, Renewal, SolveError, Solver};
use crate::flow::unet::{UNet, Weights};
use crate::flow::{Condition, Velocity};
use crate::kernel::{Cpu, Storage};
use crate::key::Key;
use crate::transpose;

/// Slowest and fastest tempo that is generated, in beats per minute.
pub const TEMPO: std::ops::RangeInclusive<f64> = 20.0..=400.0;
/// Highest sample of a generated clip, -0.5 dBFS: what sticks out is turned down.
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

/// Beats of the loop that a device is timed with.
const TIMED_BEATS: usize = 8;
/// Steps of a run, and runs, that a device is timed with.
const TIMED_STEPS: u32 = 4;
const TIMED_ROUNDS: u32 = 5;

/// Latents of recent loops that are kept to be varied; each is about 2 KB a beat.
const BASES: usize = 16;

/// The net of a generator: one [`Velocity`], two ways to compute it.
enum Net {
    Burn(Box<UNet>),
    Packed(Box<PackedUNet>),
}

impl Velocity for Net {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        match self {
            Net::Burn(net) => net.velocity(x, t, conditions),
            Net::Packed(net) => net.velocity(x, t, conditions),
        }
    }
}

/// A net ready to generate.
pub struct Generator {
    model: Model,
    net: Net,
    device: Device,
    /// The device in a clip's provenance.
    computed_by: String,
    /// Standardised latents of recent loops, the newest first.
    bases: Vec<(Job, Vec<f32>)>,
    canvas: Option<Arc<Canvas>>,
}

/// Hears (step, steps) and may end a run; at last, several times, (steps, steps): the latents are there
/// and are being decoded.
pub type Progress<'a> = dyn FnMut(u32, u32) -> ControlFlow<()> + 'a;

impl Generator {
    /// Puts a model's net on a device: with Burn on a GPU or another machine, packed on the CPU.
    pub fn new(model: Model, adapter: &Adapter) -> Result<Self, GenerateError> {
        match adapter.device == Device::flex() {
            true => Self::packed(model, Storage::Exact, Cpu::shared()),
            false => Self::burn(model, adapter),
        }
    }

    /// The net with Burn, whatever the device.
    pub fn burn(model: Model, adapter: &Adapter) -> Result<Self, GenerateError> {
        let device = adapter.device.clone();
        let net = guarded(&device, || match adapter.half {
            true if !device.supports_dtype(DType::F16) => Err("it has no 16-bit numbers".into()),
            true => model.half_net(&device),
            false => model.net(&device),
        });
        let net = net?.map_err(GenerateError::Device)?;
        // Where a remote one is, and its token, are nobody else's business.
        let computed_by = if remote::is_remote(&adapter.id) { "remote".into() } else { adapter.id.clone() };
        Ok(Self { model, net: Net::Burn(Box::new(net)), device, computed_by, bases: Vec::new(), canvas: None })
    }

    /// The net packed for certain instructions of the CPU and a certain team of threads.
    pub fn packed(model: Model, storage: Storage, cpu: Cpu) -> Result<Self, GenerateError> {
        let net = PackedUNet::new(&model.header.net, &model.weights, storage, cpu);
        let (device, computed_by) = (Device::flex(), device::cpu().id);
        Ok(Self { model, net: Net::Packed(Box::new(net)), device, computed_by, bases: Vec::new(), canvas: None })
    }

    /// Drops the weights that the net was made of: the model behind it can generate, but not be saved or put on
    /// another device.
    pub fn forget_weights(&mut self) {
        self.model.weights = Weights::new();
    }

    /// Bytes of weights that a step reads, when the net is packed.
    pub fn packed_bytes(&self) -> Option<usize> {
        match &self.net {
            Net::Burn(_) => None,
            Net::Packed(net) => Some(net.bytes()),
        }
    }

    /// Milliseconds of a solver step of a loop of [`TIMED_BEATS`] beats: the least of several, after what is
    /// only done at first (a GPU's programs are compiled and chosen then).
    pub fn time_step(&self) -> Result<f64, GenerateError> {
        let net = &self.model.header.net;
        let frames = (TIMED_BEATS * crate::codec::LATENTS_PER_BEAT).next_multiple_of(net.stride());
        let noise = noise::of_seed(0, 0, net.channels, frames);
        let conditions = [Condition::any(120.0)];
        let mut least = f64::INFINITY;
        for round in 0..TIMED_ROUNDS + 2 {
            let path = Path::new(TIMED_STEPS, &conditions);
            let start = Instant::now();
            self.sample(noise.clone(), [1, net.channels, frames], Solver::Euler, path, &mut |_, _| {
                ControlFlow::Continue(())
            })?;
            if round >= 2 {
                least = least.min(1e3 * start.elapsed().as_secs_f64() / f64::from(TIMED_STEPS));
            }
        }
        Ok(least)
    }

    /// Where it runs.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The net itself: velocities without guidance or correction.
    pub fn velocity(&self) -> &dyn Velocity {
        &self.net
    }

    /// Puts runs right by what was measured.
    pub fn set_drift(&mut self, drift: Vec<Drift>) {
        self.model.drift = drift;
    }

    /// The model, without its device.
    pub fn into_model(self) -> Model {
        self.model
    }

    /// Leaves sketches of what is being made on a canvas. For nets on the CPU.
    pub fn draw_on(&mut self, canvas: Arc<Canvas>) {
        self.canvas = Some(canvas);
    }

    /// Generates one clip; `progress` hears (step, steps) and may cancel.
    pub fn generate(&mut self, job: &Job, progress: &mut Progress<'_>) -> Result<Clip, GenerateError> {
        let job = job.normalised().in_key(&self.model.header);
        if self.model.codec.is_none() {
            return Err(GenerateError::NoCodec);
        }
        let frames = self.frames(&job)?;
        let mut total = job.steps;
        let mut step = |step, steps| {
            total = steps;
            progress(step, steps)
        };
        let values = self.latents(&job, frames, &mut step)?;
        let mut clip = self.decoded(values, frames, &job, &mut || progress(total, total).is_continue())?;
        clip.limit_peak(PEAK);
        clip.round_to_24_bits();
        clip.provenance = Some(job.provenance(&self.model, &self.computed_by));
        Ok(clip)
    }

    /// Standardised latents of a job, `[channel, frame]`. A variation `x_t = (1 - t) base + t noise` is
    /// integrated from its t; the base is made first, unless it is still known.
    fn latents(&mut self, job: &Job, frames: usize, progress: &mut Progress<'_>) -> Result<Vec<f32>, GenerateError> {
        let job = &job.on_white();
        let (channels, steps) = (self.model.header.net.channels, job.steps_from_start());
        let mut noise = job.noise(channels, frames);
        let mut before = 0;
        if job.starts_from_base() {
            let base = match self.known(&job.base()) {
                Some(base) => base,
                None => {
                    before = job.steps;
                    let total = before.saturating_add(steps);
                    self.latents(&job.base(), frames, &mut |step, _| progress(step, total))?
                }
            };
            let t = job.solver.time(job.start(), self.model.header.shift);
            noise.iter_mut().zip(base).for_each(|(noise, base)| *noise = (1.0 - t) * base + t * *noise);
        }
        let total = before.saturating_add(steps);
        let conditions = [Condition { bpm: job.bpm, label: job.label, mode: job.key.map(Key::mode) }];
        let new = |step| job.renewed(step, channels, frames);
        let renewal = job.renewal(&self.model.header).filter(|_| self.renews());
        let renewal = renewal.map(|share| Renewal { share, noise: &new });
        let steady = self.steady(job.whole_steps(), renewal.is_some());
        let (correction, renewal) = (Some(&steady as _), renewal.as_ref());
        let shift = self.model.header.shift;
        let path = Path { from: job.start(), shift, correction, renewal, ..Path::new(steps, &conditions) };
        let run = Run { path, solver: job.solver, guidance: job.guidance };
        let mut step = |step: u32, _| progress(before.saturating_add(step), total);
        let values = self.integrate(noise, [1, channels, frames], &run, &mut step)?;
        // A GPU works behind the last step's back: whoever asked may have changed their mind meanwhile.
        if progress(total, total).is_break() {
            return Err(GenerateError::Cancelled);
        }
        if job.variation == 0 {
            self.bases.retain(|(known, _)| known != job);
            self.bases.truncate(BASES - 1);
            self.bases.insert(0, (*job, values.clone()));
        }
        Ok(values)
    }

    /// The latents of a recent loop, which become the most recent.
    fn known(&mut self, base: &Job) -> Option<Vec<f32>> {
        let place = self.bases.iter().position(|(job, _)| job == base)?;
        self.bases[..=place].rotate_right(1);
        Some(self.bases[0].1.clone())
    }

    /// Whether it is known how runs whose noise is renewed drift.
    pub(super) fn renews(&self) -> bool {
        self.model.drift.iter().any(|drift| drift.renewed)
    }

    /// What puts right a run of so many steps of the usual solver, without renewed noise.
    pub fn correction(&self, steps: u32) -> impl Correction + '_ {
        self.steady(steps as f32, false)
    }

    /// Puts right a run whose whole way has `steps` steps, with or without renewed noise.
    pub(super) fn steady(&self, steps: f32, renewed: bool) -> Steady<'_> {
        let wanted = self.model.spread.as_ref().map(|spread| (spread, spread.turn(&self.device)));
        let measured = self.model.drift.iter().filter(|drift| drift.renewed == renewed).collect();
        Steady { wanted, measured, steps, shift: self.model.header.shift }
    }

    /// The sound of a job's standardised latents `[channel, frame]`.
    fn decoded(
        &self,
        mut values: Vec<f32>,
        frames: usize,
        job: &Job,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Clip, GenerateError> {
        let codec = self.model.codec.as_ref().ok_or(GenerateError::NoCodec)?;
        self.unnormalise(&mut values, frames);
        let latents = Latents { channels: self.model.header.net.channels, frames, values };
        let levels = self.model.levels.as_ref().map(|levels| levels.of(job.label, job.whole_steps()));
        let tempo = transpose::white_tempo(job.beats, job.bpm, job.key);
        let white = codec.decode_while(&latents, tempo, levels, wanted).map_err(|error| match error {
            CodecError::Cancelled => GenerateError::Cancelled,
            other => GenerateError::Codec(other.to_string()),
        })?;
        let tuning = self.model.tuning.as_ref().filter(|_| job.key.is_some());
        let response = tuning.map(|tuning| tuning.of(job.label, job.whole_steps()));
        Ok(match &response {
            Some(response) => transpose::from_white(white, job.bpm, Some(&|hertz| response.at(hertz))),
            None => transpose::from_white(white, job.bpm, None),
        })
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

    /// Integrates noise of `shape` `[batch, channel, frame]` with the plain net; returns standardised
    /// latents.
    pub fn sample(
        &self,
        noise: Vec<f32>,
        shape: [usize; 3],
        solver: Solver,
        path: Path<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<f32>, GenerateError> {
        self.integrate(noise, shape, &Run { path, solver, guidance: PLAIN }, progress)
    }

    fn integrate(
        &self,
        start: Vec<f32>,
        shape: [usize; 3],
        run: &Run<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<f32>, GenerateError> {
        let guided = Guided { net: &self.net, strength: f32::from(run.guidance) / f32::from(PLAIN) };
        let see = |values| self.draw(values, shape[2]);
        let net = Watched::new(&guided, self.canvas.is_some().then_some(&see));
        let work = || {
            let x = Tensor::<3>::from_data(TensorData::new(start, shape), &self.device);
            let x = run.solver.solve(&net, x, &run.path, progress);
            x.map(|x| x.try_into_data().map_err(|e| format!("{e:?}")))
        };
        let data = match guarded(&self.device, work)? {
            Err(SolveError::Cancelled) => return Err(GenerateError::Cancelled),
            Err(SolveError::NoSteps) => return Err(GenerateError::NoSteps),
            Ok(data) => data.map_err(|reason| failed(&self.device, reason))?,
        };
        let values = data.try_into_vec::<f32>().map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(GenerateError::NotFinite),
        }
    }

    /// Leaves a sketch of standardised latents `[channel, frame]`. What cannot be drawn is not.
    fn draw(&self, mut values: Vec<f32>, frames: usize) {
        self.unnormalise(&mut values, frames);
        let latents = Latents { channels: self.model.header.net.channels, frames, values };
        let sketch = self.model.codec.as_ref().map(|codec| codec.sketch(&latents));
        if let (Some(canvas), Some(Ok(sketch))) = (&self.canvas, sketch) {
            canvas.leave(sketch);
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

/// How noise is integrated.
struct Run<'a> {
    path: Path<'a>,
    solver: Solver,
    /// In hundredths.
    guidance: u16,
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Burn's backends panic when a device dies; here that is an error like any other.
fn guarded<T>(device: &Device, run: impl FnOnce() -> T) -> Result<T, GenerateError> {
    crate::device::guarded(run).map_err(|reason| failed(device, reason))
}

/// Of a lost connection it is known what became of it.
fn failed(device: &Device, reason: String) -> GenerateError {
    GenerateError::Device(remote::lost(device).unwrap_or(reason))
}

/// The factory model's file, part of the program.
const EMBEDDED: &[u8] = include_bytes!("../../assets/factory.flow");
/// Its length.
pub const EMBEDDED_BYTES: u64 = EMBEDDED.len() as u64;
const EMBEDDED_NAME: &str = "the built-in model";

/// The factory model.
pub fn embedded_model() -> Result<Model, ModelError> {
    Model::from_bytes(EMBEDDED, EMBEDDED_NAME)
}

/// What the factory model says of itself; quick, for it does not read the weights.
pub fn embedded_header() -> Result<Header, ModelError> {
    Header::from_bytes(EMBEDDED, EMBEDDED_NAME)
}
