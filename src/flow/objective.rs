//! What the net learns: `x_t = (1 - t) x + t noise`, `v = x - noise`, loss = MSE(v, net(x_t, t)),
//! with training times `t = sigmoid(normal * P_std + P_mean)`.

use burn::tensor::Tensor;

use crate::random::Philox;

/// Distribution of the training times: logit-normal.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TimeSampling {
    /// Mean of the normal before the sigmoid.
    pub p_mean: f64,
    /// Standard deviation of the normal before the sigmoid.
    pub p_std: f64,
}

impl Default for TimeSampling {
    fn default() -> Self {
        Self { p_mean: 0.0, p_std: 1.0 }
    }
}

impl TimeSampling {
    /// `count` times in 0..1.
    pub fn draw(&self, random: &Philox, count: usize) -> Vec<f32> {
        let sigmoid = |v: f64| (1.0 / (1.0 + (-v).exp())) as f32;
        random.normals(count).iter().map(|n| sigmoid(f64::from(*n) * self.p_std + self.p_mean)).collect()
    }
}

/// `x_t` for data and noise `[batch, channel, frame]` and times `[batch]`.
pub fn interpolate(data: Tensor<3>, noise: Tensor<3>, t: Tensor<1>) -> Tensor<3> {
    let t = t.unsqueeze_dim::<2>(1).unsqueeze_dim::<3>(2);
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
