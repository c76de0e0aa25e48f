//! What the components drop of a loop, as far as its latents tell. Components are sums: they know nothing of how a
//! hit that begins late in a latent frame looks, nor of which overtones go with which low partials. A small net (two
//! hidden layers) that sees a latent frame and its neighbours does: it was taught what spectra of training loops have
//! beyond their components, and decoding adds what it expects. What nobody can expect remains to the grain
//! ([`super::texture`]).

use std::sync::Arc;

use super::{Codec, Latents, Stored};
use crate::kernel::{Activation, Cpu, Layout, Matrix, Output, Rows, Storage};

/// Latent frames on either side that a frame is seen with, at most, in a file.
const MOST_CONTEXT: usize = 8;
/// Widest hidden layer in a file.
const WIDEST: usize = 4096;
const COMPONENTS: &str = "codec.residual.components";

/// The net, of `[context, channel]` of latents to decibels of a patch.
#[derive(Clone, Debug)]
pub struct Residual {
    /// Two hidden layers, values of the components, and those components, `[component, patch]`.
    layers: Arc<[Matrix; 4]>,
}

/// Names of weight and bias of the first three layers.
fn names(layer: usize) -> [String; 2] {
    ["weight", "bias"].map(|what| format!("codec.residual.{layer}.{what}"))
}

impl Residual {
    /// Of weights `[input, output]` and biases of three layers, and components `[component, patch]` in decibels.
    pub(super) fn new(layers: [[Vec<f32>; 2]; 3], components: &[f32]) -> Self {
        let count = layers[2][1].len();
        let [a, b, c] = layers.map(|[weight, bias]| Matrix::new(&weight, bias.len(), &bias, Storage::Exact));
        let patch = components.len() / count;
        let last = Matrix::new(components, patch, &vec![0.0; patch], Storage::Exact);
        Self { layers: Arc::new([a, b, c, last]) }
    }

    /// Adds what is expected of a loop's latents to its spectra.
    pub(super) fn add(&self, latents: &Latents, patches: &mut [f32]) {
        let Latents { channels, frames, ref values } = *latents;
        let [.., components] = &*self.layers;
        let seen = self.layers[0].inputs() / channels;
        // On the circle: frame after frame, with those before the first and after the last.
        let frame = |at: usize| values.iter().skip((at + frames * seen - seen / 2) % frames).step_by(frames);
        let mut x: Vec<f32> = (0..frames + seen - 1).flat_map(frame).copied().collect();
        let mut layout = Layout::dense(frames, channels);
        let cpu = Cpu::shared();
        for (i, layer) in self.layers[..3].iter().enumerate() {
            let mut out = vec![0.0; frames * layer.outputs()];
            let activation = if i < 2 { Activation::Relu } else { Activation::Linear };
            let output = Output { layout: Layout::dense(frames, layer.outputs()), activation, added: false };
            cpu.product(layer, Rows { data: &x, layout }, &mut out, output);
            (x, layout) = (out, output.layout);
        }
        let layout_out = Layout::dense(frames, components.outputs());
        let onto = Output { layout: layout_out, activation: Activation::Linear, added: true };
        cpu.product(components, Rows { data: &x, layout }, patches, onto);
    }

    /// Names, shapes and values in the model file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let [first @ .., components] = &*self.layers;
        let weights = |matrix: &Matrix| (vec![matrix.inputs(), matrix.outputs()], matrix.weights());
        let layers = first.iter().enumerate().flat_map(|(i, layer)| {
            let ([weight, bias], (shape, values)) = (names(i), weights(layer));
            [(weight, shape, values), (bias, vec![layer.outputs()], layer.biases().to_vec())]
        });
        let (shape, values) = weights(components);
        layers.chain([(COMPONENTS.into(), shape, values)]).collect()
    }

    /// That of a model file, where it has one; None where it is damaged.
    pub(super) fn from_tensors(
        channels: usize,
        patch: usize,
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Option<Option<Self>> {
        let Some((shape, components)) = lookup(COMPONENTS) else { return Some(None) };
        let layer = |i: usize| {
            let [(shape, weight), (bias_shape, bias)] = {
                let [weight, bias] = names(i);
                [lookup(&weight)?, lookup(&bias)?]
            };
            let right = shape.len() == 2 && shape[1] == bias.len() && bias_shape.len() == 1;
            (right && (1..=WIDEST).contains(&bias.len())).then_some((shape[0], [weight, bias]))
        };
        let layers = [layer(0)?, layer(1)?, layer(2)?];
        let outputs = layers.each_ref().map(|(_, [_, bias])| bias.len());
        let seen = layers[0].0 / channels;
        let fits = layers[0].0 == seen * channels
            && seen % 2 == 1
            && seen <= 2 * MOST_CONTEXT + 1
            && [layers[1].0, layers[2].0] == outputs[..2]
            && shape == [outputs[2], patch];
        fits.then(|| Some(Self::new(layers.map(|(_, layer)| layer), &components)))
    }
}

impl Codec {
    /// Spectra that decoding begins with, with what is expected beyond the components.
    pub(super) fn complete(&self, latents: &Latents, patches: &mut [f32]) {
        if let Some(residual) = &self.residual {
            residual.add(latents, patches);
        }
    }

    /// What it expects beyond the components, if it does.
    pub fn residual(&self) -> Option<&Residual> {
        self.residual.as_ref()
    }
}

#[cfg(feature = "companion")]
pub use teaching::{Dropped, Lesson};

/// What a [`Residual`] is taught.
#[cfg(feature = "companion")]
mod teaching {
    use rayon::prelude::*;

    use super::super::patches::dot;
    use super::super::{Codec, CodecError, LATENTS_PER_BEAT, Latents, pca};
    use super::Residual;
    use crate::clip::Clip;

    /// Components that what is dropped is made of, at most, and frames that they are found with.
    const COMPONENTS: usize = 400;
    const FRAMES: usize = 12_000;
    /// Frames for each component, at least.
    const FRAMES_PER_COMPONENT: usize = 8;

    /// A loop, and what its latents drop of it.
    #[derive(Clone, Debug)]
    pub struct Dropped {
        /// The loop's latents.
        pub latents: Latents,
        /// `[frame, component]`
        pub values: Vec<f32>,
    }

    /// What is dropped of loops, as values of components.
    #[derive(Clone, Debug)]
    pub struct Lesson {
        /// `[component, patch]`, orthonormal when a band of each range weighs the same over a latent frame.
        pub(crate) components: Vec<f32>,
        /// How many.
        pub count: usize,
    }

    impl Codec {
        /// This codec, decoding with what a net expects, or without.
        pub fn with_residual(self, residual: Option<Residual>) -> Self {
            Self { residual, ..self }
        }

        /// Of each `every`th frame of a loop, after `first` ones, what decoding lacks, by weight.
        fn lacking(&self, clip: &Clip, first: usize, every: usize) -> Result<(Latents, Vec<f32>), CodecError> {
            let patches = self.patches(clip)?;
            let latents = self.project(&patches);
            let (coded, size) = (self.spectra(&latents), self.weights.len());
            let own = (0..latents.frames).filter(|frame| (first + frame).is_multiple_of(every));
            let own = own.flat_map(|frame| (frame * size..(frame + 1) * size).zip(&self.weights));
            let lacking = own.map(|(at, weight)| (patches[at] - coded[at]) * weight).collect();
            Ok((latents, lacking))
        }

        /// Components of what is dropped; None of too few loops.
        pub fn lesson(&self, clips: &[&Clip]) -> Result<Option<Lesson>, CodecError> {
            let frames = |clip: &Clip| clip.beats as usize * LATENTS_PER_BEAT;
            let total: usize = clips.iter().map(|clip| frames(clip)).sum();
            let every = total.div_ceil(FRAMES).max(1);
            let size = self.weights.len();
            let count = COMPONENTS.min(total / every / FRAMES_PER_COMPONENT).min(size);
            if count == 0 {
                return Ok(None);
            }
            let firsts = clips.iter().scan(0, |at, clip| Some(std::mem::replace(at, *at + frames(clip))));
            let firsts: Vec<usize> = firsts.collect();
            let mut moments = pca::Moments::new(size);
            for (clips, firsts) in clips.chunks(16).zip(firsts.chunks(16)) {
                let lacking = clips.par_iter().zip(firsts).map(|(clip, first)| self.lacking(clip, *first, every));
                let lacking: Vec<_> = lacking.collect::<Result<_, _>>()?;
                moments.add(&lacking.into_iter().flat_map(|(_, lacking)| lacking).collect::<Vec<_>>());
            }
            Ok(Some(Lesson { components: moments.components(count).rows, count }))
        }

        /// What is dropped of a loop.
        pub fn dropped(&self, lesson: &Lesson, clip: &Clip) -> Result<Dropped, CodecError> {
            let (latents, lacking) = self.lacking(clip, 0, 1)?;
            let size = self.weights.len();
            let frames = lacking.chunks_exact(size);
            let values = frames.flat_map(|frame| lesson.components.chunks_exact(size).map(|c| dot(c, frame)));
            Ok(Dropped { values: values.collect(), latents })
        }

        /// A net that was taught: weights `[input, output]` and biases of its three layers.
        pub fn taught(&self, lesson: &Lesson, layers: [[Vec<f32>; 2]; 3]) -> Residual {
            let rows = lesson.components.chunks_exact(self.weights.len());
            let components: Vec<f32> = rows.flat_map(|row| row.iter().zip(&self.weights).map(|(c, w)| c / w)).collect();
            Residual::new(layers, &components)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    const CHANNELS: usize = 3;
    const PATCH: usize = 40;

    /// Sees a latent frame and its two neighbours.
    fn small() -> ([[Vec<f32>; 2]; 3], Vec<f32>) {
        let drawn = |stream, count| Philox::new(5, stream).normals(count);
        let layer = |stream, input, output| [drawn(stream, input * output), drawn(stream + 1, output)];
        ([layer(0, 3 * CHANNELS, 7), layer(2, 7, 5), layer(4, 5, 4)], drawn(6, 4 * PATCH))
    }

    #[test]
    fn it_adds_what_the_net_says_of_each_frame_and_its_neighbours() {
        let (layers, components) = small();
        let residual = Residual::new(layers.clone(), &components);
        let latents = Latents { channels: CHANNELS, frames: 8, values: Philox::new(6, 0).normals(8 * CHANNELS) };
        let mut patches = vec![1.0; 8 * PATCH];
        residual.add(&latents, &mut patches);
        let product = |x: &[f32], [weight, bias]: &[Vec<f32>; 2]| -> Vec<f32> {
            let count = bias.len();
            (0..count).map(|o| bias[o] + (0..x.len()).map(|i| x[i] * weight[i * count + o]).sum::<f32>()).collect()
        };
        let relu = |x: Vec<f32>| -> Vec<f32> { x.into_iter().map(|v| v.max(0.0)).collect() };
        for frame in 0..8 {
            let seen = [frame + 7, frame, frame + 1].map(|at| at % 8);
            let x = seen.iter().flat_map(|at| (0..CHANNELS).map(move |c| c * 8 + at)).collect::<Vec<_>>();
            let x: Vec<f32> = x.into_iter().map(|at| latents.values[at]).collect();
            let values = product(&relu(product(&relu(product(&x, &layers[0])), &layers[1])), &layers[2]);
            for at in 0..PATCH {
                let wanted = 1.0 + (0..4).map(|c| values[c] * components[c * PATCH + at]).sum::<f32>();
                let found = patches[frame * PATCH + at];
                assert!((found - wanted).abs() < 1e-3 * (1.0 + wanted.abs()), "{frame}, {at}: {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn shapes_of_a_file_are_checked() {
        let (layers, components) = small();
        let tensors = Residual::new(layers, &components).tensors();
        let read = |change: &dyn Fn(&str, &mut Vec<usize>) -> bool| {
            Residual::from_tensors(CHANNELS, PATCH, &|asked| {
                let (name, mut shape, mut values) = tensors.iter().find(|(name, ..)| name == asked)?.clone();
                let there = change(&name, &mut shape);
                values.resize(shape.iter().product(), 0.0);
                there.then_some((shape, values))
            })
        };
        let same = read(&|_, _| true).flatten().expect("it is there");
        assert_eq!(same.tensors(), tensors);
        assert!(matches!(read(&|name, _| !name.contains("residual")), Some(None)), "older files have none");
        for (name, ..) in tensors.iter().filter(|(name, ..)| name != COMPONENTS) {
            assert!(read(&|asked, _| asked != name).is_none(), "without {name}");
        }
        for (name, shape, _) in &tensors {
            for axis in 0..shape.len() {
                let wider = |asked: &str, shape: &mut Vec<usize>| {
                    if asked == name {
                        shape[axis] += 1;
                    }
                    true
                };
                assert!(read(&wider).is_none(), "{name} with a wider axis {axis}");
            }
        }
        // Two frames have no middle.
        let even = |asked: &str, shape: &mut Vec<usize>| {
            if asked == names(0)[0] {
                shape[0] = 2 * CHANNELS;
            }
            true
        };
        assert!(read(&even).is_none());
    }
}
