//! What the components drop of a loop, as far as its latents tell. Components are sums: they know nothing of how a
//! hit that begins late in a latent frame looks, nor of which overtones go with which low partials. A small net (two
//! hidden layers) that sees a latent frame and its neighbours does: it was taught what spectra of training loops have
//! beyond their components, and decoding adds what it expects. What nobody can expect remains to the grain
//! ([`super::texture`]).

use std::sync::Arc;

use super::expectation::Expectation;
use super::{Codec, Latents, Stored};
use crate::kernel::{Activation, Cpu, Layout, Matrix, Output, Rows, Storage};

const NAME: &str = "residual";
const COMPONENTS: &str = "codec.residual.components";

/// The net, and the components `[component, patch]` in decibels whose values it says.
#[derive(Clone, Debug)]
pub struct Residual {
    net: Expectation,
    components: Arc<Matrix>,
}

impl Residual {
    pub(super) fn new(net: Expectation, components: &[f32]) -> Self {
        let patch = components.len() / net.outputs();
        Self { net, components: Arc::new(Matrix::new(components, patch, &vec![0.0; patch], Storage::Exact)) }
    }

    /// Adds what is expected of a loop's latents to its spectra.
    pub(super) fn add(&self, latents: &Latents, patches: &mut [f32]) {
        let (values, frames) = (self.net.of(latents), latents.frames);
        let layout = Layout::dense(frames, self.components.inputs());
        let to = Layout::dense(frames, self.components.outputs());
        let onto = Output { layout: to, activation: Activation::Linear, added: true };
        Cpu::shared().product(&self.components, Rows { data: &values, layout }, patches, onto);
    }

    /// Names, shapes and values in the model file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let shape = vec![self.components.inputs(), self.components.outputs()];
        let mut tensors = self.net.tensors(NAME);
        tensors.push((COMPONENTS.into(), shape, self.components.weights()));
        tensors
    }

    /// That of a model file, where it has one; None where it is damaged.
    pub(super) fn from_tensors(
        channels: usize,
        patch: usize,
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Option<Option<Self>> {
        let Some((shape, components)) = lookup(COMPONENTS) else { return Some(None) };
        let net = Expectation::from_tensors(NAME, channels, lookup)??;
        (shape == [net.outputs(), patch]).then(|| Some(Self::new(net, &components)))
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
pub use teaching::Lesson;

/// What a [`Residual`] is taught.
#[cfg(feature = "companion")]
mod teaching {
    use rayon::prelude::*;

    use super::super::expectation::{Example, Expectation, Layers};
    use super::super::patches::dot;
    use super::super::{Codec, CodecError, LATENTS_PER_BEAT, Latents, pca};
    use super::Residual;
    use crate::clip::Clip;

    /// Components that what is dropped is made of, at most, and frames that they are found with.
    const COMPONENTS: usize = 400;
    const FRAMES: usize = 12_000;
    /// Frames for each component, at least.
    const FRAMES_PER_COMPONENT: usize = 8;

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
        pub fn dropped(&self, lesson: &Lesson, clip: &Clip) -> Result<Example, CodecError> {
            let (latents, lacking) = self.lacking(clip, 0, 1)?;
            let size = self.weights.len();
            let frames = lacking.chunks_exact(size);
            let values = frames.flat_map(|frame| lesson.components.chunks_exact(size).map(|c| dot(c, frame)));
            Ok(Example { values: values.collect(), latents, weights: None })
        }

        /// What a net that was taught expects.
        pub fn taught(&self, lesson: &Lesson, layers: Layers) -> Residual {
            let rows = lesson.components.chunks_exact(self.weights.len());
            let components: Vec<f32> = rows.flat_map(|row| row.iter().zip(&self.weights).map(|(c, w)| c / w)).collect();
            Residual::new(Expectation::new(layers), &components)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::expectation::Layers;
    use crate::random::Philox;

    const CHANNELS: usize = 3;
    const PATCH: usize = 40;

    /// Sees a latent frame and its two neighbours.
    fn small() -> (Layers, Vec<f32>) {
        let drawn = |stream, count| Philox::new(5, stream).normals(count);
        let layer = |stream, input, output| [drawn(stream, input * output), drawn(stream + 1, output)];
        ([layer(0, 3 * CHANNELS, 7), layer(2, 7, 5), layer(4, 5, 4)], drawn(6, 4 * PATCH))
    }

    #[test]
    fn it_adds_what_the_net_says_of_each_frame_and_its_neighbours() {
        let (layers, components) = small();
        let residual = Residual::new(Expectation::new(layers.clone()), &components);
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
        let tensors = Residual::new(Expectation::new(layers), &components).tensors();
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
            if asked == "codec.residual.0.weight" {
                shape[0] = 2 * CHANNELS;
            }
            true
        };
        assert!(read(&even).is_none());
    }
}
