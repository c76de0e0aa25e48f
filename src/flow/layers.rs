//! The net's building blocks on frames `[batch, frame, channel]` (channel last).
//!
//! Each convolution is a matrix product over gathered frames: on the CPU that is several times
//! faster than laying the weights out anew at every call, and a GPU loses nothing by it.
//! Weights are `[taps * channels in, channels out]`, taps outermost. Where they are held in 16 bits, frames are
//! multiplied in 16 bits too; all else is computed in 32.

use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{DType, Device, FloatDType, Tensor, s};

/// What a convolution sees beyond the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// The other end: a loop is a circle.
    Circular,
    /// Silence, as the tutorial's net.
    Zero,
}

impl Padding {
    /// One frame more at either end.
    fn pad(self, x: &Tensor<3>) -> Tensor<3> {
        let [batch, frames, channels] = x.dims();
        let n = frames as i32;
        let (before, after) = match self {
            Padding::Circular => (x.clone().slice(s![.., n - 1..n, ..]), x.clone().slice(s![.., 0..1, ..])),
            Padding::Zero => {
                let zero = Tensor::<3>::zeros([batch, 1, channels], &x.device());
                (zero.clone(), zero)
            }
        };
        Tensor::cat(vec![before, x.clone(), after], 1)
    }
}

/// Frames `[frame, in]` times a weight `[in, out]`, with as many bits as the weight has.
fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    match weight.dtype() {
        DType::F16 => x.cast(FloatDType::F16).matmul(weight).cast(FloatDType::F32),
        _ => x.matmul(weight),
    }
}

/// `linear` of each frame, as one product over all frames of the batch.
pub fn each_frame(linear: &Linear, x: Tensor<3>) -> Tensor<3> {
    let [batch, frames, channels] = x.dims();
    let x = x.reshape([batch * frames, channels]);
    let y = match (linear.weight.val(), &linear.bias) {
        (weight, Some(bias)) if weight.dtype() == DType::F16 => product(x, weight) + bias.val().unsqueeze_dim::<2>(0),
        _ => linear.forward(x),
    };
    let out = y.dims()[1];
    y.reshape([batch, frames, out])
}

fn linear(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output).init(device)
}

/// Conv1d with kernel 3, stride 1, padding 1.
pub fn conv3(linear: &Linear, x: &Tensor<3>, padding: Padding) -> Tensor<3> {
    let n = x.dims()[1] as i32;
    let p = padding.pad(x);
    let taps = (0..3).map(|k| p.clone().slice(s![.., k..k + n, ..])).collect();
    each_frame(linear, Tensor::cat(taps, 2))
}

/// Conv1d with kernel 4, stride 2, padding 1: half as many frames (an even number is asked for).
pub fn down(linear: &Linear, x: &Tensor<3>, padding: Padding) -> Tensor<3> {
    let [batch, frames, channels] = x.dims();
    let n = (frames / 2) as i32;
    // Pairs (x[2j - 1], x[2j]); two neighbouring pairs are the four taps.
    let pairs = padding.pad(x).reshape([batch, frames / 2 + 1, 2 * channels]);
    let taps = vec![pairs.clone().slice(s![.., 0..n, ..]), pairs.slice(s![.., 1..n + 1, ..])];
    each_frame(linear, Tensor::cat(taps, 2))
}

/// ConvTranspose1d with kernel 4, stride 2, padding 1: twice as many frames.
#[derive(Module, Debug)]
pub struct Up {
    /// Taps `x[j], x[j - 1]` of the even frames, `[2 * in, out]`.
    pub even: Param<Tensor<2>>,
    /// Taps `x[j], x[j + 1]` of the odd frames, `[2 * in, out]`.
    pub odd: Param<Tensor<2>>,
    /// Shared by both phases, `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Up {
    /// Uniform within 1 / sqrt(fan in), as a linear layer of the same fan.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        let bound = 1.0 / (2.0 * input as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let weight = || uniform.init::<2, _>([2 * input, output], device);
        Self { even: weight(), odd: weight(), bias: uniform.init([output], device) }
    }

    /// `[batch, frame, in]` to `[batch, 2 * frame, out]`.
    pub fn forward(&self, x: Tensor<3>, padding: Padding) -> Tensor<3> {
        let [batch, frames, channels] = x.dims();
        let n = frames as i32;
        let p = padding.pad(&x);
        let phase = |weight: &Param<Tensor<2>>, other: Tensor<3>| {
            let taps = Tensor::cat(vec![x.clone(), other], 2).reshape([batch * frames, 2 * channels]);
            product(taps, weight.val()) + self.bias.val().unsqueeze_dim::<2>(0)
        };
        let even = phase(&self.even, p.clone().slice(s![.., 0..n, ..]));
        let odd = phase(&self.odd, p.slice(s![.., 2..n + 2, ..]));
        let out = even.dims()[1];
        Tensor::cat(vec![even, odd], 1).reshape([batch, 2 * frames, out])
    }
}

/// A residual block: a convolution steered by the condition (FiLM: Perez et al., 2017,
/// arXiv 1709.07871), then attention over all frames of the loop, so that bars can repeat.
#[derive(Module, Debug)]
pub struct Block {
    norm: LayerNorm,
    film: Linear,
    conv: Linear,
    project: Linear,
    attention_norm: LayerNorm,
    qkv: Linear,
    attended: Linear,
}

/// Channels of one attention head.
const HEAD: usize = 32;

impl Block {
    /// `channels` must be a multiple of 32, the width of an attention head.
    pub fn new(channels: usize, condition: usize, device: &Device) -> Self {
        // The last layer of each branch starts at zero: the block starts as the identity.
        let zero = |i, o| LinearConfig::new(i, o).with_initializer(Initializer::Zeros).init(device);
        Self {
            norm: LayerNormConfig::new(channels).init(device),
            film: zero(condition, 2 * channels),
            conv: linear(3 * channels, channels, device),
            project: zero(channels, channels),
            attention_norm: LayerNormConfig::new(channels).init(device),
            qkv: linear(channels, 3 * channels, device),
            attended: zero(channels, channels),
        }
    }

    /// `x`: `[batch, frame, channel]`; `condition`: `[batch, condition]`.
    pub fn forward(&self, x: Tensor<3>, condition: &Tensor<2>, padding: Padding) -> Tensor<3> {
        let channels = x.dims()[2];
        let film = self.film.forward(condition.clone()).unsqueeze_dim::<3>(1);
        let [scale, shift]: [Tensor<3>; 2] = film.split(channels, 2).try_into().expect("two halves");
        let h = self.norm.forward(x.clone());
        let h = h.clone() + h * scale + shift;
        let h = silu(conv3(&self.conv, &h, padding));
        let x = x + each_frame(&self.project, h);
        x.clone() + self.attend(self.attention_norm.forward(x))
    }

    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, frames, channels] = x.dims();
        let heads = channels / HEAD;
        let split = |t: Tensor<3>| t.reshape([batch, frames, heads, HEAD]).swap_dims(1, 2);
        let [q, k, v]: [Tensor<3>; 3] = each_frame(&self.qkv, x).split(channels, 2).try_into().expect("three thirds");
        let scores = split(q).matmul(split(k).swap_dims(2, 3)) / (HEAD as f32).sqrt();
        let mixed = softmax(scores, 3).matmul(split(v));
        each_frame(&self.attended, mixed.swap_dims(1, 2).reshape([batch, frames, channels]))
    }
}
