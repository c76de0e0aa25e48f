//! AdamW (Loshchilov and Hutter, 2019, arXiv 1711.05101, algorithm 2) on gradients whose norm is bounded, layer
//! by layer (Pascanu et al., 2013, arXiv 1211.5063).
//!
//! On the CPU a weight, its gradient and its moments are each read and written once a step: made of tensor
//! operations, it would read and write them many times over, and take longer than the gradients themselves.
//! Elsewhere Burn's does it. Both keep Burn's state and give the same numbers to a few units in the last place.

use burn::grad_clipping::GradientClipping;
use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.99;
const EPSILON: f32 = 1e-5;
const WEIGHT_DECAY: f32 = 0.01;
/// Longer gradients are shortened.
const LONGEST: f32 = 1.0;

/// The optimiser of a net's weights.
#[derive(Clone)]
pub struct AdamW {
    elsewhere: burn::optim::AdamW,
}

impl AdamW {
    /// For all weights of a module.
    pub fn of_module() -> ModuleOptimizer {
        Self::new().into()
    }

    fn new() -> Self {
        let config = AdamWConfig::new().with_beta_1(BETA_1).with_beta_2(BETA_2);
        Self { elsewhere: config.with_epsilon(EPSILON).with_weight_decay(WEIGHT_DECAY).build() }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let device = weights.device();
        if device != Device::flex() {
            let gradient = GradientClipping::Norm(LONGEST).clip_gradient(gradient);
            return self.elsewhere.step(rate, weights, gradient, state);
        }
        let (time, first, second) = match state {
            Some(AdamWState { momentum: m }) => (m.time + 1, m.moment_1, m.moment_2),
            None => (1, gradient.zeros_like(), gradient.zeros_like()),
        };
        // Where nobody else holds a tensor its values are handed over and back, not copied.
        let [mut w, mut m, mut v] = [weights, first, second].map(Tensor::into_data);
        let g = gradient.into_data();
        let floats = "weights are 32-bit floats";
        let update = Update::new(rate, time, g.as_slice().expect(floats));
        update.apply(
            [&mut w, &mut m, &mut v].map(|data| data.as_mut_slice().expect(floats)),
            g.as_slice().expect(floats),
        );
        let [weights, first, second] = [w, m, v].map(|data| Tensor::from_data(data, &device));
        (weights, Some(AdamWState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

/// Values that one thread works on at a time.
const CHUNK: usize = 1 << 14;
/// Sums side by side, for vector instructions.
const LANES: usize = 16;

/// The factors of one step.
struct Update {
    shorten: f32,
    keep: f32,
    /// The step size by the first moment's bias.
    rate: f32,
    /// One by the second moment's bias.
    unbias: f32,
}

impl Update {
    /// Of step `time`, counted from 1.
    fn new(rate: f64, time: usize, gradient: &[f32]) -> Self {
        let left = |beta: f32| 1.0 - f64::from(beta).powi(time as i32);
        Self {
            shorten: (LONGEST / (norm(gradient) + f32::MIN_POSITIVE)).min(1.0),
            keep: (1.0 - rate * f64::from(WEIGHT_DECAY)) as f32,
            rate: (rate / left(BETA_1)) as f32,
            unbias: (1.0 / left(BETA_2)) as f32,
        }
    }

    /// Changes weights, first and second moments.
    fn apply(&self, [w, m, v]: [&mut [f32]; 3], g: &[f32]) {
        let chunks = w.par_chunks_mut(CHUNK).zip(m.par_chunks_mut(CHUNK)).zip(v.par_chunks_mut(CHUNK));
        chunks.zip(g.par_chunks(CHUNK)).for_each(|(((w, m), v), g)| {
            for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * self.shorten;
                *m = *m * BETA_1 + g * (1.0 - BETA_1);
                *v = *v * BETA_2 + g * g * (1.0 - BETA_2);
                *w = *w * self.keep - self.rate * *m / ((*v * self.unbias).sqrt() + EPSILON);
            }
        });
    }
}

/// The root of the sum of the squares, the same with any number of threads.
fn norm(values: &[f32]) -> f32 {
    let squares = |chunk: &[f32]| {
        let mut sums = [0f32; LANES];
        let (whole, rest) = chunk.as_chunks::<LANES>();
        for lanes in whole.iter().map(|l| &l[..]).chain([rest]) {
            sums.iter_mut().zip(lanes).for_each(|(s, v)| *s += v * v);
        }
        sums.iter().map(|s| f64::from(*s)).sum::<f64>()
    };
    let sums: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
    sums.iter().sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::random::Philox;

    #[test]
    fn steps_are_those_of_burn() {
        // More than a chunk, no multiple of the lanes; gradients shorter and longer than the bound, and none.
        let shape = [3, 6667];
        let drawn = |stream, scale: f32| {
            let values = Philox::new(5, stream).normals(shape[0] * shape[1]).iter().map(|v| v * scale).collect();
            Tensor::<2>::from_data(TensorData::new::<f32, _>(values, shape), &Device::flex())
        };
        let own = AdamW::new();
        let (mut found, mut expected) = (drawn(0, 0.1), drawn(0, 0.1));
        let (mut found_state, mut expected_state) = (None, None);
        for (step, scale) in [1e-4, 1e-3, 0.5, 0.0, 1e-2, 20.0].into_iter().enumerate() {
            let (rate, gradient) = (1e-3 * (step + 1) as f64, drawn(1 + step as u64, scale));
            let clipped = GradientClipping::Norm(LONGEST).clip_gradient(gradient.clone());
            (found, found_state) = own.step(rate, found, gradient, found_state);
            (expected, expected_state) = own.elsewhere.step(rate, expected, clipped, expected_state);
            let apart = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
            assert!(apart(&found, &expected) < 1e-6, "step {step}: {}", apart(&found, &expected));
            let [one, other] = [&found_state, &expected_state].map(|s| &s.as_ref().unwrap().momentum);
            assert_eq!(one.time, other.time);
            assert!(apart(&one.moment_1, &other.moment_1) < 1e-7 && apart(&one.moment_2, &other.moment_2) < 1e-7);
        }
        let moved = (found - drawn(0, 0.1)).abs().mean().into_scalar::<f32>();
        assert!(moved > 1e-3, "the weights moved by {moved}");
    }

    #[test]
    fn norms_do_not_depend_on_threads() {
        let values = Philox::new(6, 0).normals(100_003);
        let exact = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let of =
            |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| norm(&values));
        assert_eq!(of(1), of(3));
        assert!((f64::from(of(1)) / exact - 1.0).abs() < 1e-6);
    }
}
