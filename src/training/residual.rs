//! Teaches a codec what its components drop: a small net learns, by mean squared error, the values of what is
//! dropped of a latent frame from that frame and its neighbours. A tenth of the loops is held out to see whether it
//! learnt anything.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::clip::Clip;
use crate::codec::residual::{Dropped, Lesson, Residual};
use crate::codec::{Codec, CodecError};
use crate::random::Philox;

/// Latent frames on either side that a frame is seen with.
const CONTEXT: usize = 2;
/// Width of the hidden layers.
const HIDDEN: usize = 768;
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
/// Share of the held-out loops' dropped power from which it has learnt something.
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
    pub residual: Option<Residual>,
    /// Share of the held-out loops' dropped power that it tells.
    pub share: f64,
}

/// Teaches a codec what it drops of loops; `progress` hears (steps done, steps).
pub fn teach(codec: Codec, clips: &[&Clip], progress: &mut dyn FnMut(usize, usize)) -> Result<Codec, CodecError> {
    let Some(lesson) = codec.lesson(clips)? else { return Ok(codec) };
    let loops: Result<Vec<_>, _> = clips.par_iter().map(|clip| codec.dropped(&lesson, clip)).collect();
    let taught = learn(&codec, &lesson, &loops?, &mut |done, all| {
        progress(done, all);
        ControlFlow::Continue(())
    });
    match taught.and_then(|taught| taught.residual) {
        Some(residual) => codec.with_residual(Some(residual)).measured(clips),
        None => Ok(codec),
    }
}

/// Loops to learn from, frame by frame.
struct Frames<'a> {
    loops: &'a [Dropped],
    /// Loop and frame of each.
    places: Vec<(usize, usize)>,
    channels: usize,
    components: usize,
    /// Deviation of latents and of values.
    scales: [f32; 2],
}

impl<'a> Frames<'a> {
    fn new(loops: &'a [Dropped], lesson: &Lesson, own: impl Fn(usize) -> bool) -> Self {
        let places = loops.iter().enumerate().filter(|(i, _)| own(*i));
        let places = places.flat_map(|(i, one)| (0..one.latents.frames).map(move |frame| (i, frame))).collect();
        let deviation = |of: &dyn Fn(&Dropped) -> &[f32]| {
            let (sum, count) = loops
                .iter()
                .flat_map(of)
                .fold((0.0, 0.0), |(sum, count), v| (sum + f64::from(*v).powi(2), count + 1.0));
            ((sum / f64::max(count, 1.0)).sqrt() as f32).max(1e-6)
        };
        let scales = [deviation(&|one| &one.latents.values), deviation(&|one| &one.values)];
        let channels = loops.first().map_or(0, |one| one.latents.channels);
        Self { loops, places, channels, components: lesson.count, scales }
    }

    /// What is seen of frames, `[frame, context, channel]`, and what is to be said of them, `[frame, component]`,
    /// scaled.
    fn rows(&self, places: impl Iterator<Item = (usize, usize)>) -> [Vec<f32>; 2] {
        let (mut seen, mut said) = (Vec::new(), Vec::new());
        for (one, frame) in places {
            let Dropped { latents, values } = &self.loops[one];
            for at in 0..=2 * CONTEXT {
                let place = (frame + latents.frames * CONTEXT + at - CONTEXT) % latents.frames;
                seen.extend(latents.values.iter().skip(place).step_by(latents.frames).map(|v| v / self.scales[0]));
            }
            let own = frame * self.components..(frame + 1) * self.components;
            said.extend(values[own].iter().map(|v| v / self.scales[1]));
        }
        [seen, said]
    }

    fn inputs(&self) -> usize {
        (2 * CONTEXT + 1) * self.channels
    }

    fn tensor(values: Vec<f32>, width: usize, device: &Device) -> Tensor<2> {
        let shape = [values.len() / width, width];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Learns what a codec drops of loops; `progress` hears (steps done, steps) and may end it, then with nothing.
pub fn learn(
    codec: &Codec,
    lesson: &Lesson,
    loops: &[Dropped],
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Option<Taught> {
    let device = Device::flex();
    device.seed(0);
    let training = Frames::new(loops, lesson, |i| i % HELD_OUT != HELD_OUT / 2);
    let held_out = Frames::new(loops, lesson, |i| i % HELD_OUT == HELD_OUT / 2);
    if training.places.is_empty() || held_out.places.is_empty() {
        return Some(Taught { residual: None, share: 0.0 });
    }
    let (inputs, components) = (training.inputs(), training.components);
    let autodiff = device.clone().autodiff();
    let layer = |input: usize, output: usize| LinearConfig::new(input, output).init(&autodiff);
    let mut net = Net { first: layer(inputs, HIDDEN), second: layer(HIDDEN, HIDDEN), last: layer(HIDDEN, components) };
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(WEIGHT_DECAY).build();
    let mut optimizer = ModuleOptimizer::from(optimizer);
    let steps = (training.places.len() * ROUNDS).div_ceil(BATCH);
    for step in 0..steps {
        if progress(step, steps).is_break() {
            return None;
        }
        let random = |draw| Philox::new(1, step as u64 * DRAWS + draw);
        let pick = random(0);
        let places = (0..BATCH as u64).map(|i| training.places[pick.below(i, training.places.len())]);
        let [mut seen, said] = training.rows(places);
        let noise = random(1).normals(seen.len());
        seen.iter_mut().zip(noise).for_each(|(v, noise)| *v += NOISE * noise);
        let expected = net.forward(Frames::tensor(seen, inputs, &autodiff));
        let loss = (expected - Frames::tensor(said, components, &autodiff)).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        net = optimizer.step(rate, net, gradients);
    }
    let net = net.valid();
    let every = held_out.places.len().div_ceil(JUDGED);
    let [seen, said] = held_out.rows(held_out.places.iter().step_by(every).copied());
    let expected = values_of(net.forward(Frames::tensor(seen, inputs, &device)));
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let missed = square(&mut said.iter().zip(&expected).map(|(a, b)| a - b));
    let share = 1.0 - missed / square(&mut said.iter().copied()).max(1e-9);
    let [latents, values] = training.scales;
    let weights = |linear: &Linear, scale: f32, out: f32| {
        let weight = values_of(linear.weight.val()).into_iter().map(|w| w * scale).collect();
        let bias = linear.bias.as_ref().map_or(Vec::new(), |bias| values_of(bias.val()));
        [weight, bias.into_iter().map(|b| b * out).collect()]
    };
    let layers =
        [weights(&net.first, 1.0 / latents, 1.0), weights(&net.second, 1.0, 1.0), weights(&net.last, values, values)];
    let residual = (share > LEARNT).then(|| codec.taught(lesson, layers));
    Some(Taught { residual, share })
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
    fn loops(count: usize, of: impl Fn(f32, f32, f32) -> f32) -> Vec<Dropped> {
        let one = |i: usize| {
            let (frames, noise) = (32, Philox::new(8, i as u64));
            let drawn = noise.normals((CHANNELS + 8) * frames);
            let (values, other) = drawn.split_at(CHANNELS * frames);
            let value = |frame: usize| of(values[frame], values[(frame + frames - 1) % frames], other[frame]);
            let dropped = (0..frames).flat_map(|frame| (0..8).map(move |c| (frame, c)));
            let dropped = dropped.map(|(frame, c)| if c % 2 == 0 { value(frame) } else { -value(frame) }).collect();
            Dropped { latents: Latents { channels: CHANNELS, frames, values: values.to_vec() }, values: dropped }
        };
        (0..count).map(one).collect()
    }

    fn learnt(loops: &[Dropped]) -> Taught {
        let (codec, clips) = crate::codec::tests::codec();
        let lesson = codec.lesson(&clips.iter().collect::<Vec<_>>()).unwrap().expect("there are loops");
        let components = lesson.components[..8 * lesson.components.len() / lesson.count].to_vec();
        let lesson = Lesson { components, count: 8 };
        learn(&codec, &lesson, loops, &mut |_, _| ControlFlow::Continue(())).expect("nobody ended it")
    }

    #[test]
    fn it_learns_what_the_latents_tell_and_nothing_else() {
        let told = learnt(&loops(60, |now, before, _| now.abs() + 0.5 * before));
        assert!(told.share > 0.6 && told.residual.is_some(), "{}", told.share);
        let untold = learnt(&loops(60, |_, _, other| other));
        assert!(untold.share < LEARNT && untold.residual.is_none(), "{}", untold.share);
    }

    #[test]
    fn it_can_be_ended() {
        let (codec, clips) = crate::codec::tests::codec();
        let lesson = codec.lesson(&clips.iter().collect::<Vec<_>>()).unwrap().expect("there are loops");
        let loops: Vec<_> = clips.iter().map(|clip| codec.dropped(&lesson, clip).unwrap()).collect();
        let all: Vec<_> = loops.iter().cycle().take(20).cloned().collect();
        let mut asked = 0;
        let ended = learn(&codec, &lesson, &all, &mut |done, _| {
            asked += 1;
            if done < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(ended.is_none() && asked == 3);
    }
}
