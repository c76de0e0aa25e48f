//! The net: a U-Net over latents `[batch, channel, frame]`, conditioned on time.
//!
//! ```text
//! x (+ beat, bar and loop phase) -> [stem] -> down, down, ... -> bottleneck + time -> up (+ skip) ... -> 1x1
//! ```
//! With `blocks = 0`, no phases, no stem and no preconditioning this is the tutorial's plain net, weight for
//! weight. Blocks add residual convolutions and attention, steered by time, tempo and label; the stem has
//! blocks at the full number of frames; [`super::preconditioning`] leaves to the net what a line cannot predict.
//! The number of frames must be a multiple of 2 to the power of the number of layers.

use burn::module::{Initializer, Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, silu};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::layers::{Block, Padding, Up, conv3, down, each_frame};
use super::preconditioning::Preconditioning;
use super::{Condition, Velocity};

/// The size of a net, all that is needed to build it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct UNetConfig {
    /// Latent channels.
    pub channels: usize,
    /// Channels after each strided layer, from the outside in.
    pub widths: Vec<usize>,
    /// Channels after the last transposed layer.
    pub last_width: usize,
    /// Width of the time MLP.
    pub time_features: usize,
    /// What convolutions see beyond the ends.
    pub padding: Padding,
    /// Residual blocks at each level; 0 is the tutorial's plain net.
    #[serde(default)]
    pub blocks: usize,
    /// Latent frames a beat, when the net is told the beat, bar and loop phase.
    #[serde(default)]
    pub frames_per_beat: Option<usize>,
    /// Labels the net knows (needs blocks).
    #[serde(default)]
    pub labels: usize,
    /// Whether the net is told major or minor, and makes loops in keys on the white notes (needs blocks).
    #[serde(default)]
    pub keys: bool,
    /// Channels of the blocks before the first and after the last strided layer, at the full number of
    /// frames; 0 for none. The last transposed layer has as many: `last_width`.
    #[serde(default)]
    pub stem: usize,
    /// Whether the net's output is added to the best linear prediction.
    #[serde(default)]
    pub preconditioned: bool,
}

/// Beats a bar that the bar phase counts.
const BEATS_PER_BAR: usize = 4;
/// Cosine and sine of beat, bar and loop phase.
const PHASES: usize = 6;
/// Octaves of the time features given to blocks.
const TIME_OCTAVES: usize = 6;
/// Value of the input of the label, or the mode, that is wanted: one input among many would be learnt slowly.
const WANTED: f32 = 4.0;
/// Width of the condition given to blocks.
pub(crate) const CONDITION: usize = 256;
/// Bounds that keep a hostile configuration from asking for all memory.
const MAX_WIDTH: usize = 16_384;
const MAX_LAYERS: usize = 12;
const MAX_PARAMETERS: usize = 1 << 30;

impl UNetConfig {
    /// The tutorial's shape: `layers` layers, widths doubling from `base`, zero padding.
    pub fn plain(channels: usize, base: usize, layers: usize) -> Self {
        Self {
            channels,
            widths: (0..layers).map(|i| base << i).collect(),
            last_width: (base / 2).max(1),
            time_features: 128,
            padding: Padding::Zero,
            blocks: 0,
            frames_per_beat: None,
            labels: 0,
            keys: false,
            stem: 0,
            preconditioned: false,
        }
    }

    /// Frames must come in multiples of this.
    pub fn stride(&self) -> usize {
        1 << self.widths.len()
    }

    /// Says in a sentence what is wrong with a configuration, if something is.
    pub fn validate(&self) -> Result<(), String> {
        let sizes = [self.channels, self.last_width, self.time_features];
        if self.widths.is_empty() || self.widths.len() > MAX_LAYERS {
            return Err(format!("the net has {} layers; 1 to {MAX_LAYERS} are possible", self.widths.len()));
        }
        if let Some(bad) = sizes.iter().chain(&self.widths).find(|w| **w == 0 || **w > MAX_WIDTH) {
            return Err(format!("a layer has {bad} channels; 1 to {MAX_WIDTH} are possible"));
        }
        if self.blocks > 8 || self.labels > 4096 || self.frames_per_beat == Some(0) {
            return Err("blocks, labels or frames a beat are out of range".into());
        }
        if self.keys && self.blocks == 0 {
            return Err("a net that is told major or minor needs blocks".into());
        }
        if self.blocks > 0 && self.widths.iter().any(|w| w % 32 != 0) {
            return Err("widths must be multiples of 32 when blocks are used".into());
        }
        if self.stem > 0 && (self.blocks == 0 || !self.stem.is_multiple_of(32) || self.stem != self.last_width) {
            return Err("a stem needs blocks, and as many channels as the last layer, a multiple of 32".into());
        }
        if self.parameter_bound() > MAX_PARAMETERS {
            return Err("the net would have over a billion parameters".into());
        }
        Ok(())
    }

    fn parameter_bound(&self) -> usize {
        let widest = self.widths.iter().copied().max().unwrap_or(0).max(self.channels + PHASES);
        let levels = widest * widest * (self.widths.len() * (8 + 16 * self.blocks) + 4);
        levels + self.stem * (4 * widest + 24 * self.blocks * self.stem)
    }

    /// The same net for another number of labels, told the mode or not; a net that takes no condition is told
    /// neither.
    pub fn told(self, labels: usize, keys: bool) -> Self {
        let labels = if self.conditioned() { labels } else { 0 };
        Self { labels, keys: keys && self.conditioned(), ..self }
    }

    /// Channels of the features of each depth ([`UNet::features`]).
    pub(crate) fn depths(&self) -> impl Iterator<Item = usize> {
        let stem = (self.stem > 0).then_some(self.stem);
        stem.into_iter().chain(self.widths.iter().copied())
    }

    fn conditioned(&self) -> bool {
        self.blocks > 0
    }

    /// How many numbers tell the net of a loop's tempo, mode and label.
    fn known(&self) -> usize {
        1 + self.mode_inputs() + self.labels
    }

    /// Inputs of the mode.
    pub fn mode_inputs(&self) -> usize {
        if self.keys { 2 } else { 0 }
    }
}

#[derive(Module, Debug)]
struct ConditionMlp {
    inner: Linear,
    outer: Linear,
}

/// The net. Its parameters' names are those of the model file.
#[derive(Module, Debug)]
pub struct UNet {
    down: Vec<Linear>,
    bottleneck: Linear,
    time_inner: Linear,
    time_outer: Linear,
    up: Vec<Up>,
    last: Linear,
    condition: Vec<ConditionMlp>,
    down_blocks: Vec<Vec<Block>>,
    deep_blocks: Vec<Block>,
    up_blocks: Vec<Vec<Block>>,
    stem: Vec<Linear>,
    stem_blocks: Vec<Block>,
    last_blocks: Vec<Block>,
    #[module(skip)]
    config: UNetConfig,
}

impl UNet {
    /// A fresh net; `device.seed` decides its weights. `config` must be valid.
    pub fn new(config: &UNetConfig, device: &Device) -> Self {
        let linear = |i, o| LinearConfig::new(i, o).init(device);
        let w = &config.widths;
        let (layers, deep) = (w.len(), *w.last().expect("a valid configuration has layers"));
        let input = config.channels + if config.frames_per_beat.is_some() { PHASES } else { 0 };
        let condition = Self::condition_inputs(config);
        let outer = if config.stem > 0 { config.stem } else { input };
        let blocks = |c| (0..config.blocks).map(|_| Block::new(c, CONDITION, device)).collect::<Vec<_>>();
        let up_width = |i: usize| if i + 1 < layers { w[layers - 2 - i] } else { config.last_width };
        Self {
            down: (0..layers).map(|i| linear(4 * if i == 0 { outer } else { w[i - 1] }, w[i])).collect(),
            bottleneck: linear(3 * deep, deep),
            time_inner: linear(1, config.time_features),
            time_outer: linear(config.time_features, deep),
            up: (0..layers).map(|i| Up::new(w[layers - 1 - i], up_width(i), device)).collect(),
            // A preconditioned net starts as the linear prediction itself.
            last: match config.preconditioned {
                true => LinearConfig::new(config.last_width, config.channels)
                    .with_initializer(Initializer::Zeros)
                    .init(device),
                false => linear(config.last_width, config.channels),
            },
            condition: (0..usize::from(config.conditioned()))
                .map(|_| ConditionMlp { inner: linear(condition, CONDITION), outer: linear(CONDITION, CONDITION) })
                .collect(),
            down_blocks: w.iter().map(|c| blocks(*c)).collect(),
            deep_blocks: blocks(deep),
            up_blocks: (0..layers - 1).map(|i| blocks(up_width(i))).collect(),
            stem: (0..usize::from(config.stem > 0)).map(|_| linear(3 * input, config.stem)).collect(),
            stem_blocks: if config.stem > 0 { blocks(config.stem) } else { Vec::new() },
            last_blocks: if config.stem > 0 { blocks(config.stem) } else { Vec::new() },
            config: config.clone(),
        }
    }

    /// Inputs of the condition's first layer: time, tempo, minor and major where it is told them, and the
    /// labels last.
    pub fn condition_inputs(config: &UNetConfig) -> usize {
        Self::FIRST_MODE + config.known() - 1
    }

    /// Which of them is the first of the mode's.
    pub const FIRST_MODE: usize = 1 + 2 * TIME_OCTAVES + 1;

    /// What the net was built from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// `[batch, condition]` for the blocks, from times, tempi, modes and labels.
    fn condition(&self, t: &Tensor<1>, conditions: &[Condition]) -> Option<Tensor<2>> {
        let mlp = self.condition.first()?;
        let batch = t.dims()[0];
        let device = t.device();
        let time = t.clone().unsqueeze_dim::<2>(1);
        let mut features = vec![time.clone()];
        for frequency in time_frequencies() {
            let angle = time.clone() * frequency;
            features.extend([angle.clone().cos(), angle.sin()]);
        }
        let (known, width) = (known_features(&self.config, batch, conditions), self.config.known());
        features.push(Tensor::from_data(TensorData::new(known, [batch, width]), &device));
        let hidden = silu(mlp.inner.forward(Tensor::cat(features, 1)));
        Some(silu(mlp.outer.forward(hidden)))
    }

    fn with_phases(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, frames, _] = x.dims();
        let phases = phases(&self.config, frames);
        if phases.is_empty() {
            return x;
        }
        let phases = Tensor::<3>::from_data(TensorData::new(phases, [1, frames, PHASES]), &x.device());
        Tensor::cat(vec![x, phases.repeat_dim(0, batch)], 2)
    }
}

/// Cosine and sine of each frame's phases, `[frame, PHASES]`; empty when the net is not told them.
pub(super) fn phases(config: &UNetConfig, frames: usize) -> Vec<f32> {
    let Some(beat) = config.frames_per_beat else { return Vec::new() };
    let mut phases = Vec::with_capacity(frames * PHASES);
    for frame in 0..frames {
        for period in [beat, beat * BEATS_PER_BAR, frames] {
            let angle = std::f32::consts::TAU * (frame % period) as f32 / period as f32;
            phases.extend([angle.cos(), angle.sin()]);
        }
    }
    phases
}

/// Frequencies whose cosine and sine the condition has of the time.
pub(super) fn time_frequencies() -> impl Iterator<Item = f32> {
    (0..TIME_OCTAVES).map(|octave| std::f32::consts::PI * (1 << octave) as f32 / 2.0)
}

/// What the condition has beside the time: tempo, mode and label, `[batch, 1 + mode inputs + labels]`.
pub(super) fn known_features(config: &UNetConfig, batch: usize, conditions: &[Condition]) -> Vec<f32> {
    let width = config.known();
    let mut known = vec![0f32; batch * width];
    for (row, condition) in known.chunks_exact_mut(width).zip(conditions) {
        row[0] = (condition.bpm / 120.0).log2() as f32;
        if let Some(mode) = condition.mode.filter(|_| config.keys) {
            row[1 + mode as usize] = WANTED;
        }
        if let Some(slot) = condition.label.and_then(|label| row.get_mut(1 + config.mode_inputs() + label)) {
            *slot = WANTED;
        }
    }
    known
}

impl Velocity for UNet {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        if !self.config.preconditioned {
            return self.predict(x, t, conditions);
        }
        let Preconditioning { scale, skip } = Preconditioning::at(&t);
        x.clone() * skip + self.predict(x * scale.clone(), t, conditions) * scale
    }
}

impl UNet {
    /// What the net makes of latents in noise on its way down, `[batch, frame, channel]` at each depth
    /// ([`UNetConfig::depths`]), and of what it is told, `[batch, condition]` (0 where it is told nothing).
    pub(crate) fn features(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> (Vec<Tensor<3>>, Tensor<2>) {
        let x = if self.config.preconditioned { x * Preconditioning::at(&t).scale } else { x };
        let condition = self.condition(&t, conditions);
        let depths = self.skips(x, condition.as_ref());
        (depths, condition.unwrap_or_else(|| Tensor::zeros([conditions.len(), CONDITION], &t.device())))
    }

    fn steer(&self, blocks: &[Block], mut h: Tensor<3>, condition: Option<&Tensor<2>>) -> Tensor<3> {
        for block in blocks {
            h = block.forward(h, condition.expect("blocks have a condition"), self.config.padding);
        }
        h
    }

    /// The way down, after each of its depths.
    fn skips(&self, x: Tensor<3>, condition: Option<&Tensor<2>>) -> Vec<Tensor<3>> {
        let padding = self.config.padding;
        let mut h = self.with_phases(x.swap_dims(1, 2));
        let mut skips = Vec::with_capacity(self.down.len() + 1);
        if let Some(stem) = self.stem.first() {
            h = self.steer(&self.stem_blocks, conv3(stem, &h, padding), condition);
            skips.push(h.clone());
        }
        for (layer, blocks) in self.down.iter().zip(&self.down_blocks) {
            h = self.steer(blocks, relu(down(layer, &h, padding)), condition);
            skips.push(h.clone());
        }
        skips
    }

    fn predict(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let padding = self.config.padding;
        let condition = self.condition(&t, conditions);
        let steer = |blocks: &[Block], h: Tensor<3>| self.steer(blocks, h, condition.as_ref());
        let mut skips = self.skips(x, condition.as_ref());
        let mut h = skips.last().expect("a net has layers").clone();
        let time = relu(self.time_inner.forward(t.unsqueeze_dim::<2>(1)));
        let time = relu(self.time_outer.forward(time)).unsqueeze_dim::<3>(1);
        h = steer(&self.deep_blocks, conv3(&self.bottleneck, &h, padding) + time);
        for (i, layer) in self.up.iter().enumerate() {
            let skip = skips.pop().expect("as many skips as layers");
            h = relu(layer.forward(h + skip, padding));
            if let Some(blocks) = self.up_blocks.get(i) {
                h = steer(blocks, h);
            }
        }
        if let Some(skip) = skips.pop() {
            h = steer(&self.last_blocks, h + skip);
        }
        each_frame(&self.last, h).swap_dims(1, 2)
    }
}

/// A named array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Size of each axis.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<f32>,
}

/// All parameters by name.
pub type Weights = std::collections::BTreeMap<String, Weight>;

/// Reads every parameter of a module.
pub fn weights_of(module: &impl Module) -> Weights {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.weights
}

/// Puts `weights` into a module; each parameter must be there in its shape.
pub fn with_weights<M: Module>(module: M, weights: &Weights) -> Result<M, String> {
    write(module, weights, false)
}

/// A net with the weights that its frames are multiplied with held in 16 bits, on a device that has such numbers.
pub fn with_half_weights(net: UNet, weights: &Weights) -> Result<UNet, String> {
    write(net, weights, true)
}

/// Layers of the condition and the time: a row each, whose few products are not worth rounding.
const EXACT: [&str; 3] = ["condition", "time", "film"];

fn write<M: Module>(module: M, weights: &Weights, half: bool) -> Result<M, String> {
    let mut writer = Writer { path: Vec::new(), weights, half, error: None };
    let module = module.map(&mut writer);
    match writer.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    weights: Weights,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let shape = value.dims().to_vec();
        let values = value.into_data().try_into_vec::<f32>().expect("parameters are 32-bit floats");
        self.weights.insert(self.path.join("."), Weight { shape, values });
    }
}

struct Writer<'a> {
    path: Vec<String>,
    weights: &'a Weights,
    half: bool,
    error: Option<String>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let shape = param.lazy_shape().to_vec();
        match self.weights.get(&name) {
            Some(weight) if weight.shape == shape => {
                let device = param.lazy_device();
                let data = TensorData::new(weight.values.clone(), shape);
                let tensor = Tensor::<D>::from_data(data, &device);
                let exact = D != 2 || EXACT.iter().any(|part| name.contains(part));
                let tensor = if self.half && !exact { tensor.cast(FloatDType::F16) } else { tensor };
                let tensor = if device.is_autodiff() { tensor.require_grad() } else { tensor };
                // Not `param.map`: that would first draw the random values it throws away.
                Param::initialized(param.id, tensor)
            }
            found => {
                let what = found.map_or("is missing".into(), |w| format!("has shape {:?}", w.shape));
                self.error.get_or_insert(format!("tensor {name} {what}, shape {shape:?} is needed"));
                param
            }
        }
    }
}
