//! What the net learns: `x_t = (1 - t) x + t noise`, `v = x - noise`, loss = MSE(v, net(x_t, t)),
//! with training times `t = sigmoid(normal * P_std + P_mean)`; pairs of a straightening have others.

use burn::tensor::Tensor;

use super::each_loop;
use super::solver::SHIFT;
use crate::random::Philox;

/// Distribution of the training times.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSampling {
    /// The sigmoid of a normal.
    LogitNormal {
        /// Mean of the normal.
        p_mean: f64,
        /// Standard deviation of the normal.
        p_std: f64,
    },
    /// Density `cosh(steepness (2 t - 1))`: mostly at the ends, where straightened paths are hard to learn
    /// (Lee et al., 2024, arXiv 2405.20320).
    UShaped {
        /// How steep; positive.
        steepness: f64,
    },
}

impl Default for TimeSampling {
    /// Much more noise than data: where hits and notes lie shows through a lot of noise, and is decided there.
    fn default() -> Self {
        Self::LogitNormal { p_mean: 1.9, p_std: 1.2 }
    }
}

impl TimeSampling {
    /// How the steps of a net that learns at these times should lie: as they do, or evenly along straight paths.
    pub fn shift(&self) -> f32 {
        match self {
            Self::LogitNormal { .. } => SHIFT,
            Self::UShaped { .. } => 1.0,
        }
    }

    /// `count` times in 0..1.
    pub fn draw(&self, random: &Philox, count: usize) -> Vec<f32> {
        match *self {
            Self::LogitNormal { p_mean, p_std } => {
                let sigmoid = |v: f64| (1.0 / (1.0 + (-v).exp())) as f32;
                random.normals(count).iter().map(|n| sigmoid(f64::from(*n) * p_std + p_mean)).collect()
            }
            Self::UShaped { steepness } => {
                let place = |u: f64| (((2.0 * u - 1.0) * steepness.sinh()).asinh() / steepness + 1.0) / 2.0;
                (0..count as u64).map(|i| place(random.uniform(i)) as f32).collect()
            }
        }
    }
}

/// `x_t` for data and noise `[batch, channel, frame]` and times `[batch]`.
pub fn interpolate(data: Tensor<3>, noise: Tensor<3>, t: Tensor<1>) -> Tensor<3> {
    let t = each_loop(t);
    data * (t.ones_like() - t.clone()) + noise * t
}

/// The velocity that the net should predict, `x - noise`.
pub fn target(data: Tensor<3>, noise: Tensor<3>) -> Tensor<3> {
    data - noise
}

/// Mean squared error, a tensor of one value.
pub fn loss(predicted: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    (predicted - target).powi_scalar(2).mean()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(times: TimeSampling, inside: std::ops::Range<f32>) -> f64 {
        let drawn = times.draw(&Philox::new(3, 0), 20_000);
        assert!(drawn.iter().all(|t| (0.0..=1.0).contains(t)));
        drawn.iter().filter(|t| inside.contains(t)).count() as f64 / drawn.len() as f64
    }

    #[test]
    fn times_lie_in_the_middle_or_at_the_ends() {
        // A normal lies within ln 3 of its mean with probability 0.728.
        let middle = TimeSampling::LogitNormal { p_mean: 0.0, p_std: 1.0 };
        assert!((share(middle, 0.25..0.75) - 0.728).abs() < 0.015);
        let ends = TimeSampling::UShaped { steepness: 4.0 };
        // sinh(2) / sinh(4).
        assert!((share(ends, 0.25..0.75) - 0.1329).abs() < 0.015);
        assert!((share(ends, 0.0..0.5) - 0.5).abs() < 0.015);
    }
}
