//! A small net (two hidden layers) that sees a latent frame and its neighbours on the circle, and says what decoding
//! should expect there. [`super::residual`] and [`super::partials`] each have one.

use std::sync::Arc;

use super::{Latents, Stored};
use crate::kernel::{Activation, Cpu, Layout, Matrix, Output, Rows, Storage};

/// Latent frames on either side that a frame is seen with, at most, in a file.
const MOST_CONTEXT: usize = 8;
/// Widest layer in a file.
const WIDEST: usize = 4096;

/// Weights `[input, output]` and bias of each layer.
pub type Layers = [[Vec<f32>; 2]; 3];

/// The net, of `[context, channel]` of latents to values of a latent frame.
#[derive(Clone, Debug)]
pub struct Expectation {
    layers: Arc<[Matrix; 3]>,
}

/// A loop that a net learns from.
#[cfg(feature = "companion")]
#[derive(Clone, Debug)]
pub struct Example {
    /// The loop's latents.
    pub latents: Latents,
    /// What is to be said of it, `[frame, value]`.
    pub values: Vec<f32>,
    /// How much each of that counts; None: alike.
    pub weights: Option<Vec<f32>>,
}

#[cfg(feature = "companion")]
impl Example {
    /// How much a value counts.
    pub fn weight(&self, at: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[at])
    }
}

/// Names of weight and bias of a layer.
fn names(of: &str, layer: usize) -> [String; 2] {
    ["weight", "bias"].map(|what| format!("codec.{of}.{layer}.{what}"))
}

impl Expectation {
    pub(super) fn new(layers: Layers) -> Self {
        let matrix = |[weight, bias]: [Vec<f32>; 2]| Matrix::new(&weight, bias.len(), &bias, Storage::Exact);
        Self { layers: Arc::new(layers.map(matrix)) }
    }

    /// Values that it says of a latent frame.
    pub(super) fn outputs(&self) -> usize {
        self.layers[2].outputs()
    }

    /// What it says of a loop, `[frame, value]`.
    pub(super) fn of(&self, latents: &Latents) -> Vec<f32> {
        let Latents { channels, frames, ref values } = *latents;
        let seen = self.layers[0].inputs() / channels;
        // With the frames before the first and after the last.
        let frame = |at: usize| values.iter().skip((at + frames * seen - seen / 2) % frames).step_by(frames);
        let mut x: Vec<f32> = (0..frames + seen - 1).flat_map(frame).copied().collect();
        let mut layout = Layout::dense(frames, channels);
        for (i, layer) in self.layers.iter().enumerate() {
            let mut out = vec![0.0; frames * layer.outputs()];
            let activation = if i < 2 { Activation::Relu } else { Activation::Linear };
            let output = Output { layout: Layout::dense(frames, layer.outputs()), activation, added: false };
            Cpu::shared().product(layer, Rows { data: &x, layout }, &mut out, output);
            (x, layout) = (out, output.layout);
        }
        x
    }

    /// Names, shapes and values in the model file, where it is that `of` something.
    pub(super) fn tensors(&self, of: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let layers = self.layers.iter().enumerate().flat_map(|(i, layer)| {
            let [weight, bias] = names(of, i);
            let shape = vec![layer.inputs(), layer.outputs()];
            [(weight, shape, layer.weights()), (bias, vec![layer.outputs()], layer.biases().to_vec())]
        });
        layers.collect()
    }

    /// That of a model file, where it has one; None where it is damaged. Each tensor is asked for once.
    pub(super) fn from_tensors(
        of: &str,
        channels: usize,
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Option<Option<Self>> {
        let layer = |i: usize| names(of, i).map(|name| lookup(&name));
        let layers = [layer(0), layer(1), layer(2)];
        if layers.as_flattened().iter().all(Option::is_none) {
            return Some(None);
        }
        let whole = |[weight, bias]: [Option<Stored>; 2]| {
            let ((shape, weight), (bias_shape, bias)) = (weight?, bias?);
            let right = shape.len() == 2 && shape[1] == bias.len() && bias_shape.len() == 1;
            (right && (1..=WIDEST).contains(&bias.len())).then_some((shape[0], [weight, bias]))
        };
        let [first, second, last] = layers.map(whole);
        let layers = [first?, second?, last?];
        let outputs = layers.each_ref().map(|(_, [_, bias])| bias.len());
        let seen = layers[0].0 / channels;
        let fits = layers[0].0 == seen * channels
            && seen % 2 == 1
            && seen <= 2 * MOST_CONTEXT + 1
            && [layers[1].0, layers[2].0] == outputs[..2];
        fits.then(|| Some(Self::new(layers.map(|(_, layer)| layer))))
    }
}
