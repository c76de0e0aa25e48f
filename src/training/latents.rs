//! The training set as latents: encoded, standardised per channel, split.

use std::path::Path;

use safetensors::SafeTensors;

use crate::clip::Clip;
use crate::codec::tuning::{Shares, shares};
use crate::codec::{Codec, CodecConfig, CodecError, LATENTS_PER_BEAT, Latents};
use crate::dataset::{Length, Loop};
use crate::disk::read_whole;
use crate::flow::Condition;
use crate::key::{Key, Mode};
use crate::model::levels::Heard;
use crate::model::{Model, Spread, read_tensor};
use crate::random::Philox;
use crate::training::expectation;
use crate::transpose;

/// One loop's standardised latents.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentLoop {
    /// Latent frames.
    pub frames: usize,
    /// `[channel, frame]` row by row.
    pub values: Vec<f32>,
    /// Tempo in beats per minute.
    pub bpm: f64,
    /// Index of its label.
    pub label: Option<usize>,
    /// Its mode, where its key is known: then these are the latents of the loop on the white notes.
    pub mode: Option<Mode>,
    /// How the power lies on the semitones, where its key is known.
    pub shares: Option<Shares>,
    /// The noise that belongs to it, of the shape of `values`; without, each step draws some.
    pub noise: Option<Vec<f32>>,
}

impl LatentLoop {
    /// The loop started `frames` later: a circle has no beginning.
    pub fn rotated(&self, frames: usize) -> Self {
        let rotate = |values: &Vec<f32>| {
            let mut values = values.clone();
            values.chunks_exact_mut(self.frames).for_each(|row| row.rotate_left(frames % row.len()));
            values
        };
        Self { values: rotate(&self.values), noise: self.noise.as_ref().map(rotate), ..*self }
    }

    /// The loop, for its levels to be compared with.
    pub fn heard(&self) -> Heard<'_> {
        Heard { values: &self.values, condition: self.condition(), shares: self.shares }
    }

    /// What the net is told of it.
    pub fn condition(&self) -> Condition {
        Condition { bpm: self.bpm, label: self.label, mode: self.mode }
    }
}

/// Everything that a training sees.
#[derive(Clone, Debug)]
pub struct LatentSet {
    /// Latent channels.
    pub channels: usize,
    /// Loops to learn from.
    pub training: Vec<LatentLoop>,
    /// Loops held out.
    pub validation: Vec<LatentLoop>,
    /// Names of the labels.
    pub labels: Vec<String>,
    /// Those of them that are in keys, and of those that are gone on from.
    pub keyed: Vec<String>,
    /// Per channel over the training loops (or the base's), before standardising.
    pub mean: Vec<f32>,
    /// Per channel over the training loops, before standardising; positive.
    pub std: Vec<f32>,
    /// How the training loops' standardised latents spread.
    pub spread: Spread,
    /// Made the latents; None when another codec did.
    pub codec: Option<Codec>,
}

/// Why there is no training set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum LatentError {
    #[error(
        "there are too few loops to learn from: {beats} beats, {needed} are the least (and hundreds of loops do better). Add loops to the folder"
    )]
    TooFew { beats: usize, needed: usize },
    #[error("the codec: {0}")]
    Codec(#[from] crate::codec::CodecError),
    #[error(
        "no loop is left whose length suits the net: lengths must be multiples of {0} latent frames. Use fewer layers"
    )]
    Stride(usize),
    #[error(
        "{path} holds no latents: {reason}. Needed: a safetensors file with a tensor `latents` [loop, channel, frame] of finite numbers, two loops or more"
    )]
    File { path: String, reason: String },
}

/// A loop as its codec encodes it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Latents, not standardised; of a loop with a key those on the white notes.
    pub latents: Result<Latents, CodecError>,
    /// How the power lies on the semitones, of a loop with a key.
    pub shares: Option<Shares>,
    /// The loop's own tempo in beats per minute.
    pub bpm: f64,
    /// Length in beats.
    pub beats: u32,
}

impl Encoded {
    /// Encodes a loop.
    pub fn of(codec: &Codec, clip: &Clip, key: Option<Key>) -> Self {
        let white = transpose::to_white(clip, key);
        Self { latents: codec.encode(&white), shares: key.map(|_| shares(&white)), bpm: clip.bpm, beats: clip.beats }
    }
}

impl Length for Encoded {
    fn beats(&self) -> u32 {
        self.beats
    }

    fn bpm(&self) -> f64 {
        self.bpm
    }
}

/// Fits a codec on loops, and teaches it what to expect beyond its bands; `progress` hears (done, all) of either.
pub fn fit(loops: &[&Loop], progress: &mut dyn FnMut(usize, usize)) -> Result<Codec, LatentError> {
    let clips: Vec<_> = loops.iter().map(|l| transpose::to_white(&l.clip, l.key)).collect();
    let clips: Vec<&Clip> = clips.iter().map(|clip| &**clip).collect();
    let codec = Codec::fit(CodecConfig::default(), &clips, progress).map_err(|e| match e {
        CodecError::TooFew { patches, channels } => {
            LatentError::TooFew { beats: patches / LATENTS_PER_BEAT, needed: (2 * channels).div_ceil(LATENTS_PER_BEAT) }
        }
        other => other.into(),
    })?;
    Ok(expectation::teach(codec, &clips, progress)?)
}

impl LatentSet {
    /// Loops of noise `[channel, frame]`: to measure with.
    pub fn of_noise(channels: usize, frames: usize, loops: u64) -> Self {
        let values = |i| Philox::new(0, i).normals(channels * frames);
        let one = |i| LatentLoop {
            frames,
            values: values(i),
            bpm: 120.0,
            label: None,
            mode: None,
            shares: None,
            noise: None,
        };
        Self {
            channels,
            training: (0..loops).map(one).collect(),
            validation: Vec::new(),
            labels: Vec::new(),
            keyed: Vec::new(),
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            spread: Spread::standard(channels),
            codec: None,
        }
    }

    /// Standardises what `codec` made of the loops. With a `base` to go on from, its statistics and labels
    /// are taken over, and labels that it lacks come after its own.
    pub fn new(
        training: &[&Loop<Encoded>],
        validation: &[&Loop<Encoded>],
        codec: Codec,
        base: Option<&Model>,
        stride: usize,
    ) -> Result<Self, LatentError> {
        let mut labels: Vec<String> = training.iter().filter_map(|l| l.label.clone()).collect();
        labels.sort();
        labels.dedup();
        if let Some(base) = base {
            let known = &base.header.labels;
            labels.retain(|l| !known.contains(l));
            labels = known.iter().cloned().chain(labels).collect();
        }
        let collect = |loops: &[&Loop<Encoded>]| -> Result<Vec<LatentLoop>, LatentError> {
            let all = loops.iter().map(|l| {
                let latents = l.clip.latents.clone()?;
                let label = l.label.as_ref().and_then(|name| labels.iter().position(|own| own == name));
                let (frames, values) = (latents.frames, latents.values);
                Ok(LatentLoop {
                    frames,
                    values,
                    bpm: l.clip.bpm,
                    label,
                    mode: l.key.map(Key::mode),
                    shares: l.clip.shares,
                    noise: None,
                })
            });
            let all: Result<Vec<_>, LatentError> = all.collect();
            Ok(all?.into_iter().filter(|l| l.frames % stride == 0).collect())
        };
        let in_keys = |name: &str| training.iter().any(|l| l.key.is_some() && l.label.as_deref() == Some(name));
        let keyed = labels.iter().filter(|name| base.is_some_and(|b| b.header.keyed.contains(name)) || in_keys(name));
        let keyed = keyed.cloned().collect();
        let (training, validation) = (collect(training)?, collect(validation)?);
        if training.is_empty() {
            return Err(LatentError::Stride(stride));
        }
        let channels = codec.config().channels;
        let statistics = base.map(|b| (b.mean.clone(), b.std.clone()));
        Ok(Self { keyed, ..Self::standardised(channels, training, validation, labels, Some(codec), statistics) })
    }

    /// Latents that another codec made: a safetensors file with a tensor `latents`
    /// `[loop, channel, frame]`. Each tenth loop is held out.
    pub fn from_file(path: &Path, stride: usize) -> Result<Self, LatentError> {
        let wrong = |reason: String| LatentError::File { path: path.display().to_string(), reason };
        let bytes = read_whole(path).map_err(|e| wrong(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
        let view = file.tensor("latents").map_err(|e| wrong(e.to_string()))?;
        let tensor = read_tensor("latents", &view).map_err(wrong)?;
        let [loops, channels, frames] = tensor.shape[..] else {
            return Err(wrong(format!("`latents` has {} axes", tensor.shape.len())));
        };
        if loops < 2 || channels == 0 || frames == 0 {
            return Err(wrong(format!("its shape is {:?}", tensor.shape)));
        }
        if frames % stride != 0 {
            return Err(LatentError::Stride(stride));
        }
        let all = tensor.values.chunks_exact(channels * frames);
        let all = all.map(|v| LatentLoop {
            frames,
            values: v.to_vec(),
            bpm: 120.0,
            label: None,
            mode: None,
            shares: None,
            noise: None,
        });
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        for (i, one) in all.enumerate() {
            if i % 10 == 1 { validation.push(one) } else { training.push(one) }
        }
        Ok(Self::standardised(channels, training, validation, Vec::new(), None, None))
    }

    fn standardised(
        channels: usize,
        mut training: Vec<LatentLoop>,
        mut validation: Vec<LatentLoop>,
        labels: Vec<String>,
        codec: Option<Codec>,
        known: Option<(Vec<f32>, Vec<f32>)>,
    ) -> Self {
        let (mean, std): (Vec<f32>, Vec<f32>) =
            known.unwrap_or_else(|| (0..channels).map(|c| statistics(&training, c)).unzip());
        for one in training.iter_mut().chain(&mut validation) {
            for (c, row) in one.values.chunks_exact_mut(one.frames).enumerate() {
                row.iter_mut().for_each(|v| *v = (*v - mean[c]) / std[c]);
            }
        }
        let spread =
            Spread::of(training.iter().map(|one| (one.values.as_slice(), one.frames, one.mode.is_some())), channels);
        Self { channels, training, validation, labels, keyed: Vec::new(), mean, std, spread, codec }
    }

    /// Whether any loop has a key.
    pub fn has_keys(&self) -> bool {
        self.training.iter().any(|one| one.mode.is_some())
    }

    /// Digest of the loops, their tempi, labels and modes: a checkpoint goes on only with the same.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for one in self.training.iter().chain(&self.validation) {
            hasher.update(&(one.frames as u64).to_le_bytes());
            hasher.update(&one.bpm.to_le_bytes());
            hasher.update(&one.label.map_or(u64::MAX, |l| l as u64).to_le_bytes());
            hasher.update(bytemuck::cast_slice(&one.values));
            // Nothing where there is none: sets from before there were keys stay what they were.
            if let Some(mode) = one.mode {
                hasher.update(&[mode as u8]);
            }
        }
        for label in &self.labels {
            hasher.update(&(label.len() as u64).to_le_bytes());
            hasher.update(label.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Mean and standard deviation of one channel; a constant channel keeps its scale.
fn statistics(loops: &[LatentLoop], channel: usize) -> (f32, f32) {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in loops.iter().flat_map(|l| &l.values[channel * l.frames..(channel + 1) * l.frames]) {
        n += 1.0;
        sum += f64::from(*value);
        squares += f64::from(*value).powi(2);
    }
    let mean = sum / f64::max(n, 1.0);
    let variance = squares / f64::max(n, 1.0) - mean * mean;
    (mean as f32, if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 })
}
