//! The model file: one net, the statistics of its latents, its labels and its codec, in one
//! safetensors file.
//!
//! Layout: metadata `flowloop` holds a JSON [`Header`]; tensors `net.*` (16-bit or 32-bit floats,
//! named as the net's parameters), `latents.mean` and `latents.std` `[channel]`, `latents.spread`,
//! `latents.basis`, `levels.*`, `calm.*`, `tuning.*`, `codec.residual.*` and `codec.partials.*` (16-bit),
//! `drift.*` and `codec.*`.
//! A file is checked whole before anything is built: sizes, shapes, finite numbers. Memory stays
//! within a small multiple of the file's size. Runs on any thread but the audio thread.

pub mod drift;
pub mod generator;
mod import;
pub mod job;
#[cfg(feature = "companion")]
pub mod levels;
pub mod spread;
mod steady;
mod watch;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub use crate::codec::LATENTS_PER_BEAT;
use crate::codec::partials::Partials;
use crate::codec::residual::Residual;
pub use crate::codec::sketch::{Sketch, outline};
use crate::codec::{Codec, CodecConfig, Levels, Tuning};
use crate::flow::unet::{UNet, UNetConfig, Weight, Weights, weights_of, with_half_weights, with_weights};

pub use drift::Drift;
pub use generator::{EMBEDDED_BYTES, GenerateError, Generator, embedded_header, embedded_model};
pub use import::{convert_state, import_pytorch};
pub use job::Job;
pub use spread::Spread;
pub use watch::Canvas;

/// The layout's version; a file of another one is refused.
pub const VERSION: u32 = 2;
/// Shifts that a file may ask for.
const SHIFTS: std::ops::RangeInclusive<f32> = 1.0..=100.0;
const METADATA: &str = "flowloop";

/// What a model file says of itself.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Version of the layout.
    pub version: u32,
    /// The model's name.
    pub name: String,
    /// Sources, licences and credits in a sentence or two.
    #[serde(default)]
    pub credits: String,
    /// The net's size.
    pub net: UNetConfig,
    /// Names of the labels, in the net's order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Those of them whose loops had keys, where the net is told the key; the others sound the same in all.
    #[serde(default)]
    pub keyed: Vec<String>,
    /// How its runs go from noise to data ([`crate::flow::solver::shifted`]).
    #[serde(default = "even")]
    pub shift: f32,
    /// Made for few steps: after each of them all noise of loops in keys is new (multistep sampling of Song et al.,
    /// 2023, arXiv 2303.01469, algorithm 1).
    #[serde(default)]
    pub distilled: bool,
    /// The codec's settings; None when another codec made the latents.
    #[serde(default)]
    pub codec: Option<CodecConfig>,
    /// Training steps behind the weights.
    #[serde(default)]
    pub trained_steps: u64,
}

/// Of files that do not say.
fn even() -> f32 {
    1.0
}

impl Header {
    /// Whether it makes a difference in which key a loop of a label (None for any) is asked for.
    pub fn is_keyed(&self, label: Option<usize>) -> bool {
        let of = |label: usize| self.labels.get(label).is_some_and(|name| self.keyed.contains(name));
        self.net.keys && label.is_none_or(of)
    }

    /// Deviation of the noise that is renewed after each step of runs of up to 16 steps, in loops with keys or
    /// (`keyed`) without: it does tones good and hits harm.
    pub(crate) fn renewed(&self, keyed: bool) -> Option<f32> {
        keyed.then_some(if self.distilled { 1.0 } else { job::RENEWED })
    }

    /// Reads what a model file says of itself, without its weights; `what` names it in errors.
    pub fn from_bytes(bytes: &[u8], what: &str) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::Damaged { what: what.into(), reason };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get(METADATA));
        let json = json.ok_or_else(|| damaged("it has no Flowloop header".into()))?;
        let version: Version = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
        match version.version.cmp(&VERSION) {
            Ordering::Greater => return Err(ModelError::Newer { what: what.into(), version: version.version }),
            Ordering::Less => return Err(ModelError::Older { what: what.into(), version: version.version }),
            Ordering::Equal => {}
        }
        serde_json::from_str(json).map_err(|e| damaged(e.to_string()))
    }
}

/// A model in memory.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it says of itself.
    pub header: Header,
    /// The net's parameters.
    pub weights: Weights,
    /// Mean of each latent channel over the training set.
    pub mean: Vec<f32>,
    /// Standard deviation of each latent channel over the training set, positive.
    pub std: Vec<f32>,
    /// Turns latents to audio; None when another codec made the latents.
    pub codec: Option<Codec>,
    /// How its training latents spread; None where nobody has measured.
    pub spread: Option<Spread>,
    /// How its runs drift, in the order of their steps; empty where nobody has measured.
    pub drift: Vec<Drift>,
    /// Levels of its runs beside those of its training loops; None where nobody has measured.
    pub levels: Option<Levels>,
    /// How its loops in keys are tuned; None where nobody has measured, or nothing is in a key.
    pub tuning: Option<Tuning>,
    /// Hex digest (BLAKE3) of the file it came from; empty before it was saved.
    pub hash: String,
}

/// Why a model could not be read or written. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum ModelError {
    #[error("cannot read {path}: {error}. Check the path and the permissions")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("cannot write {path}: {error}. Nothing was overwritten; choose a folder you may write to")]
    Write { path: PathBuf, error: std::io::Error },
    #[error("{what} is not a Flowloop model ({reason}). Export or download it again")]
    Damaged { what: String, reason: String },
    #[error(
        "{what} was made by an earlier Flowloop (layout {version}), which heard sounds in another way. Train it again, or import it again"
    )]
    Older { what: String, version: u32 },
    #[error("{what} was made by a newer Flowloop (layout {version}). Update Flowloop to open it")]
    Newer { what: String, version: u32 },
    #[error("{path} is no PyTorch checkpoint of this net: {reason}")]
    Checkpoint { path: PathBuf, reason: String },
}

/// A model's short name: the first 8 bytes of its file's digest, little endian; None when `hash` is no
/// digest in hex.
pub fn id_of(hash: &str) -> Option<u64> {
    Some(u64::from_le_bytes(blake3::Hash::from_hex(hash).ok()?.as_bytes()[..8].try_into().ok()?))
}

/// Hex digest (BLAKE3) of a file, read piece by piece.
pub fn hash_of(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(blake3::Hasher::new().update_reader(file)?.finalize().to_hex().to_string()),
        false => Err(std::io::Error::other("it is not a file")),
    }
}

/// Storage of the net's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16-bit floats, for files that travel.
    Half,
    /// 32-bit floats, exact.
    Full,
}

impl Model {
    /// A net that has learnt nothing, of latents without a codec: to measure with.
    pub fn fresh(name: &str, net: UNetConfig) -> Self {
        let (weights, channels) = (weights_of(&UNet::new(&net, &Device::flex())), net.channels);
        let header = Header {
            version: VERSION,
            name: name.into(),
            credits: String::new(),
            labels: (0..net.labels).map(|i| i.to_string()).collect(),
            keyed: Vec::new(),
            net,
            shift: even(),
            distilled: false,
            codec: None,
            trained_steps: 0,
        };
        Self::bare(header, weights, vec![0.0; channels], vec![1.0; channels])
    }

    /// The model, put right like `base`, a model of the same labels and codec, in runs of `from` steps and more, and by
    /// its own measures in shorter ones.
    pub fn put_right_like(mut self, base: &Self, from: u32) -> Self {
        self.drift.retain(|drift| drift.steps < from);
        self.drift.extend(base.drift.iter().filter(|drift| drift.steps >= from).cloned());
        let levels = base.levels.clone().into_iter().chain(self.levels);
        self.levels = levels.reduce(|long, short| long.with_short_runs(short, from));
        let tuning = base.tuning.clone().into_iter().chain(self.tuning);
        self.tuning = tuning.reduce(|long, short| long.with_short_runs(short, from));
        self
    }

    /// A net of latents without a codec, of which nothing was measured.
    fn bare(header: Header, weights: Weights, mean: Vec<f32>, std: Vec<f32>) -> Self {
        let (codec, spread, drift, levels, tuning, hash) = (None, None, Vec::new(), None, None, String::new());
        Self { header, weights, mean, std, codec, spread, drift, levels, tuning, hash }
    }

    /// Reads a model file.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = crate::disk::read_whole(path).map_err(|error| ModelError::Read { path: path.into(), error })?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }

    /// Reads a model from memory; `what` names it in errors.
    pub fn from_bytes(bytes: &[u8], what: &str) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::Damaged { what: what.into(), reason };
        let header = Header::from_bytes(bytes, what)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
        header.net.validate().map_err(damaged)?;
        if !SHIFTS.contains(&header.shift) {
            return Err(damaged("its shift is out of range".into()));
        }
        if header.net.labels != header.labels.len() {
            return Err(damaged("the labels do not match the net".into()));
        }
        let mut weights = Weights::new();
        let mut others = HashMap::new();
        for (name, view) in tensors.iter() {
            let weight = read_tensor(name, &view).map_err(damaged)?;
            match name.strip_prefix("net.") {
                Some(name) => drop(weights.insert(name.into(), weight)),
                None => drop(others.insert(name.to_string(), weight)),
            }
        }
        let channels = header.net.channels;
        // Each is taken, not copied: there are megabytes of them.
        let others = RefCell::new(others);
        let tensor = |name: &str| others.borrow_mut().remove(name);
        let drift = Drift::from_tensors(channels, &tensor).map_err(damaged)?;
        let spread = Spread::from_tensors(channels, &tensor).map_err(damaged)?;
        let statistic = |name: &str| match tensor(name) {
            Some(w) if w.shape == [channels] => Ok(w.values),
            _ => Err(damaged(format!("tensor {name} is missing or has the wrong shape"))),
        };
        let (mean, std) = (statistic("latents.mean")?, statistic("latents.std")?);
        if std.iter().any(|s| *s <= 0.0) {
            return Err(damaged("a standard deviation is not positive".into()));
        }
        let lookup = |name: &str| tensor(name).map(|w| (w.shape, w.values));
        let codec = match &header.codec {
            Some(config) => {
                let codec = Codec::from_tensors(config.clone(), &lookup).map_err(|e| damaged(e.to_string()))?;
                if config.channels != channels {
                    return Err(damaged("the codec's channels do not match the net's".into()));
                }
                Some(codec)
            }
            None => None,
        };
        let levels = match &codec {
            Some(codec) => Levels::from_tensors(codec, header.labels.len(), &lookup).map_err(damaged)?,
            None => None,
        };
        let tuning = Tuning::from_tensors(header.labels.len(), &lookup).map_err(damaged)?;
        let hash = blake3::hash(bytes).to_hex().to_string();
        let model = Self { header, weights, mean, std, codec, spread, drift, levels, tuning, hash };
        // Shapes are checked by building the net once; its parameters are lazy until replaced.
        model.net(&Device::flex()).map_err(damaged)?;
        Ok(model)
    }

    /// Builds the net on a device.
    pub fn net(&self, device: &Device) -> Result<UNet, String> {
        with_weights(UNet::new(&self.header.net, device), &self.weights)
    }

    /// The same with its frames multiplied in 16 bits, on a device that has such numbers.
    pub fn half_net(&self, device: &Device) -> Result<UNet, String> {
        with_half_weights(UNet::new(&self.header.net, device), &self.weights)
    }

    /// The file's bytes.
    pub fn to_bytes(&self, precision: Precision) -> Vec<u8> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let full = |v: &[f32]| bytemuck::cast_slice(v).to_vec();
        let half = |v: &[f32]| v.iter().flat_map(|v| f16::from_f32(*v).to_bits().to_le_bytes()).collect();
        for (name, weight) in &self.weights {
            // What 16 bits cannot hold would come back as infinite, and be refused.
            let fits = weight.values.iter().all(|v| f16::from_f32(*v).is_finite());
            let (dtype, bytes) = match precision {
                _ if !fits => (Dtype::F32, full(&weight.values)),
                Precision::Full => (Dtype::F32, full(&weight.values)),
                Precision::Half => (Dtype::F16, half(&weight.values)),
            };
            tensors.push((format!("net.{name}"), dtype, weight.shape.clone(), bytes));
        }
        for (name, values) in [("latents.mean", &self.mean), ("latents.std", &self.std)] {
            tensors.push((name.into(), Dtype::F32, vec![values.len()], full(values)));
        }
        let measured = self.spread.iter().flat_map(Spread::tensors).chain(self.drift.iter().map(Drift::tensor));
        for (name, shape, values) in self.codec.iter().flat_map(|c| c.tensors()).chain(measured) {
            tensors.push((name, Dtype::F32, shape, full(&values)));
        }
        let levels = self.levels.iter().flat_map(Levels::tensors);
        let residual = self.codec.iter().filter_map(Codec::residual).flat_map(Residual::tensors);
        let partials = self.codec.iter().filter_map(Codec::partials).flat_map(Partials::tensors);
        let levels = levels.chain(self.tuning.iter().flat_map(Tuning::tensors));
        for (name, shape, values) in levels.chain(residual).chain(partials) {
            tensors.push((name, Dtype::F16, shape, half(&values)));
        }
        let json = serde_json::to_string(&self.header).expect("a header is plain data");
        let views: BTreeMap<&str, TensorView> = tensors
            .iter()
            .map(|(n, d, s, b)| (n.as_str(), TensorView::new(*d, s.clone(), b).expect("sizes agree")))
            .collect();
        safetensors::serialize(views, Some(HashMap::from([(METADATA.to_string(), json)])))
            .expect("valid tensors serialise")
    }

    /// Writes the file; an older one of the name is replaced only by a complete new one.
    pub fn save(&self, path: &Path, precision: Precision) -> Result<(), ModelError> {
        crate::disk::write_whole(path, &self.to_bytes(precision))
            .map_err(|error| ModelError::Write { path: path.into(), error })
    }
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

/// A tensor as 32-bit floats, all finite.
pub(crate) fn read_tensor(name: &str, view: &TensorView) -> Result<Weight, String> {
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect(),
        Dtype::F16 => data.chunks_exact(2).map(|c| f16::from_le_bytes([c[0], c[1]]).to_f32()).collect(),
        other => return Err(format!("tensor {name} holds {other:?}, 16- or 32-bit floats are needed")),
    };
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(Weight { shape: view.shape().to_vec(), values }),
        false => Err(format!("tensor {name} holds numbers that are not finite")),
    }
}
