//! Teaches a codec what decoding should expect: small nets learn, by mean squared error, what is dropped of a latent
//! frame, and where its partials lie, from that frame and its neighbours. A tenth of the loops is held out to see
//! whether they learnt anything.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::clip::Clip;
use crate::codec::expectation::{Example, Layers};
use crate::codec::{Codec, CodecError};
use crate::random::Philox;

/// Latent frames on either side that a frame is seen with.
const CONTEXT: usize = 2;
/// Width of the hidden layers of a net that says what is dropped.
pub const DROPPED: usize = 768;
/// Of one that says where partials lie.
pub const PARTIALS: usize = 512;
/// Frames a step.
const BATCH: usize = 512;
/// Times that each frame is seen.
const ROUNDS: usize = 10;
/// Step size at first; it falls to nothing along a cosine.
const RATE: f64 = 1e-3;
const WEIGHT_DECAY: f32 = 0.1;
/// Noise on what is seen, by its deviation: a net's latents are not quite those of loops.
const NOISE: f32 = 0.1;
/// Each loop of so many is held out.
const HELD_OUT: usize = 10;
/// Held-out frames that are looked at, at most.
const JUDGED: usize = 8192;
/// Share of the held-out loops' variance from which a net has learnt something.
const LEARNT: f64 = 0.03;
/// Random streams of a step.
const DRAWS: u64 = 2;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Net {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(relu(self.second.forward(relu(self.first.forward(x)))))
    }
}

/// What was learnt.
pub struct Taught {
    /// The net; None where it would be no better than none.
    pub layers: Option<Layers>,
    /// Share of the held-out loops' variance that it tells.
    pub share: f64,
}

/// Teaches a codec what to expect of loops; `progress` hears (steps done, steps) of either net.
pub fn teach(mut codec: Codec, clips: &[&Clip], progress: &mut dyn FnMut(usize, usize)) -> Result<Codec, CodecError> {
    let mut learnt = |examples: &[Example], hidden: usize| {
        learn(examples, hidden, &mut |done, all| {
            progress(done, all);
            ControlFlow::Continue(())
        })
        .and_then(|taught| taught.layers)
    };
    if let Some(lesson) = codec.lesson(clips)? {
        let dropped: Result<Vec<_>, _> = clips.par_iter().map(|clip| codec.dropped(&lesson, clip)).collect();
        if let Some(layers) = learnt(&dropped?, DROPPED) {
            let residual = codec.taught(&lesson, layers);
            codec = codec.with_residual(Some(residual)).measured(clips)?;
        }
    }
    let shapes: Result<Vec<_>, CodecError> =
        clips.par_iter().map(|clip| Ok(codec.shape(clip, codec.encode(clip)?))).collect();
    let partials = learnt(&shapes?, PARTIALS).map(|layers| codec.taught_partials(layers));
    Ok(codec.with_partials(partials))
}

/// Loop and frame.
type Place = (usize, usize);

/// Loops to learn from, frame by frame.
struct Frames<'a> {
    loops: &'a [Example],
    channels: usize,
    /// Mean of each value.
    mean: Vec<f32>,
    /// Deviation of latents and of values.
    scales: [f32; 2],
}

impl<'a> Frames<'a> {
    fn new(loops: &'a [Example]) -> Self {
        let first = loops.first();
        let width = first.map_or(0, |one| one.values.len() / one.latents.frames.max(1));
        let mut sums = vec![[0f64; 3]; width];
        for one in loops {
            for (at, value) in one.values.iter().enumerate() {
                let (weight, value) = (f64::from(one.weight(at)), f64::from(*value));
                let parts = [weight, weight * value, weight * value * value];
                sums[at % width].iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        }
        let mean: Vec<f64> = sums.iter().map(|[weight, sum, _]| sum / weight.max(1e-9)).collect();
        let all: f64 = sums.iter().map(|[weight, ..]| weight).sum();
        let variance: f64 = sums.iter().zip(&mean).map(|([_, sum, squares], mean)| squares - sum * mean).sum();
        let latents = loops.iter().flat_map(|one| &one.latents.values);
        let (sum, count) = latents.fold((0.0, 0.0), |(sum, count), v| (sum + f64::from(*v).powi(2), count + 1.0));
        let scales =
            [sum / f64::max(count, 1.0), variance / all.max(1e-9)].map(|v| (v.max(0.0).sqrt() as f32).max(1e-6));
        let mean = mean.into_iter().map(|mean| mean as f32).collect();
        Self { loops, channels: first.map_or(0, |one| one.latents.channels), mean, scales }
    }

    /// Those that are learnt from, and those that are held out.
    fn places(&self) -> [Vec<Place>; 2] {
        let places = self.loops.iter().enumerate();
        let places = places.flat_map(|(i, one)| (0..one.latents.frames).map(move |frame| (i, frame)));
        let (held_out, training) = places.partition(|(i, _)| i % HELD_OUT == HELD_OUT / 2);
        [training, held_out]
    }

    /// What is seen of frames, `[frame, context, channel]`, what is to be said of them, `[frame, value]`, scaled, and
    /// how much that counts.
    fn rows(&self, places: impl Iterator<Item = Place>) -> [Vec<f32>; 3] {
        let (mut seen, mut said, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let width = self.mean.len();
        for (one, frame) in places {
            let example = &self.loops[one];
            let latents = &example.latents;
            for at in 0..=2 * CONTEXT {
                let place = (frame + latents.frames * CONTEXT + at - CONTEXT) % latents.frames;
                seen.extend(latents.values.iter().skip(place).step_by(latents.frames).map(|v| v / self.scales[0]));
            }
            let own = frame * width..(frame + 1) * width;
            said.extend(
                example.values[own.clone()].iter().zip(&self.mean).map(|(v, mean)| (v - mean) / self.scales[1]),
            );
            counts.extend(own.map(|at| example.weight(at)));
        }
        [seen, said, counts]
    }

    fn inputs(&self) -> usize {
        (2 * CONTEXT + 1) * self.channels
    }

    fn tensor(values: Vec<f32>, width: usize, device: &Device) -> Tensor<2> {
        let shape = [values.len() / width, width];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Learns what is to be said of loops; `progress` hears (steps done, steps) and may end it, then with nothing.
pub fn learn(
    loops: &[Example],
    hidden: usize,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Option<Taught> {
    let device = Device::flex();
    device.seed(0);
    let frames = Frames::new(loops);
    let [training, held_out] = frames.places();
    if training.is_empty() || held_out.is_empty() {
        return Some(Taught { layers: None, share: 0.0 });
    }
    let (inputs, outputs) = (frames.inputs(), frames.mean.len());
    let autodiff = device.clone().autodiff();
    let layer = |input: usize, output: usize| LinearConfig::new(input, output).init(&autodiff);
    let mut net = Net { first: layer(inputs, hidden), second: layer(hidden, hidden), last: layer(hidden, outputs) };
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(WEIGHT_DECAY).build();
    let mut optimizer = ModuleOptimizer::from(optimizer);
    let steps = (training.len() * ROUNDS).div_ceil(BATCH);
    for step in 0..steps {
        if progress(step, steps).is_break() {
            return None;
        }
        let random = |draw| Philox::new(1, step as u64 * DRAWS + draw);
        let pick = random(0);
        let places = (0..BATCH as u64).map(|i| training[pick.below(i, training.len())]);
        let [mut seen, said, counts] = frames.rows(places);
        let noise = random(1).normals(seen.len());
        seen.iter_mut().zip(noise).for_each(|(v, noise)| *v += NOISE * noise);
        let expected = net.forward(Frames::tensor(seen, inputs, &autodiff));
        let tensor = |values| Frames::tensor(values, outputs, &autodiff);
        let counting = counts.iter().sum::<f32>().max(1.0);
        let squares = (expected - tensor(said)).powi_scalar(2) * tensor(counts);
        let gradients = GradientsParams::from_grads((squares.sum() / counting).backward(), &net);
        let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        net = optimizer.step(rate, net, gradients);
    }
    let net = net.valid();
    let every = held_out.len().div_ceil(JUDGED);
    let [seen, said, counts] = frames.rows(held_out.into_iter().step_by(every));
    let expected = values_of(net.forward(Frames::tensor(seen, inputs, &device)));
    let square = |values: &mut dyn Iterator<Item = f32>| {
        values.zip(&counts).map(|(v, count)| f64::from(v).powi(2) * f64::from(*count)).sum::<f64>()
    };
    let missed = square(&mut said.iter().zip(&expected).map(|(a, b)| a - b));
    let share = 1.0 - missed / square(&mut said.iter().copied()).max(1e-9);
    let [latents, values] = frames.scales;
    let weights = |linear: &Linear, scale: f32, out: f32| {
        let weight = values_of(linear.weight.val()).into_iter().map(|w| w * scale).collect();
        let bias = linear.bias.as_ref().map_or(Vec::new(), |bias| values_of(bias.val()));
        [weight, bias.into_iter().map(|b| b * out).collect::<Vec<f32>>()]
    };
    let mut last = weights(&net.last, values, values);
    last[1].iter_mut().zip(&frames.mean).for_each(|(bias, mean)| *bias += mean);
    let layers = [weights(&net.first, 1.0 / latents, 1.0), weights(&net.second, 1.0, 1.0), last];
    Some(Taught { layers: (share > LEARNT).then_some(layers), share })
}

fn values_of<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("weights are 32-bit floats")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Latents;

    const CHANNELS: usize = 12;

    /// Loops whose dropped values come of the latents by `of` (this frame's first channel and the one before's).
    fn loops(count: usize, of: impl Fn(f32, f32, f32) -> f32) -> Vec<Example> {
        let one = |i: usize| {
            let (frames, noise) = (32, Philox::new(8, i as u64));
            let drawn = noise.normals((CHANNELS + 8) * frames);
            let (values, other) = drawn.split_at(CHANNELS * frames);
            let value = |frame: usize| of(values[frame], values[(frame + frames - 1) % frames], other[frame]);
            let dropped = (0..frames).flat_map(|frame| (0..8).map(move |c| (frame, c)));
            let dropped = dropped.map(|(frame, c)| if c % 2 == 0 { value(frame) } else { -value(frame) }).collect();
            Example {
                latents: Latents { channels: CHANNELS, frames, values: values.to_vec() },
                values: dropped,
                weights: None,
            }
        };
        (0..count).map(one).collect()
    }

    fn learnt(loops: &[Example]) -> Taught {
        learn(loops, DROPPED, &mut |_, _| ControlFlow::Continue(())).expect("nobody ended it")
    }

    #[test]
    fn it_learns_what_the_latents_tell_and_nothing_else() {
        let told = learnt(&loops(60, |now, before, _| now.abs() + 0.5 * before));
        assert!(told.share > 0.45 && told.layers.is_some(), "{}", told.share);
        let untold = learnt(&loops(60, |_, _, other| other));
        assert!(untold.share < LEARNT && untold.layers.is_none(), "{}", untold.share);
    }

    #[test]
    fn it_can_be_ended() {
        let all = loops(20, |now, _, _| now);
        let mut asked = 0;
        let ended = learn(&all, 64, &mut |done, _| {
            asked += 1;
            if done < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(ended.is_none() && asked == 3);
    }
}
