//! What the net need not learn. For data and noise of unit variance the best linear prediction of the
//! velocity is `(1 - 2 t) / d * x_t`, `d = (1 - t)^2 + t^2`; what it leaves has the variance `1 / d`, and `x_t`
//! has `d`: `v = (1 - 2 t) / d * x_t + net(x_t / sqrt(d), t) / sqrt(d)`.
//!
//! Noise in channels that the net cannot predict so keeps its variance on its way to t = 0.
//! Source: Karras et al., 2022 (arXiv 2206.00364), section 5, worked out for this interpolation.

use burn::tensor::Tensor;

/// The factors at some times.
pub struct Preconditioning {
    /// `1 / sqrt(d)`, `[batch, 1, 1]`.
    pub scale: Tensor<3>,
    /// `(1 - 2 t) / d`, `[batch, 1, 1]`.
    pub skip: Tensor<3>,
}

impl Preconditioning {
    /// For times `[batch]`.
    pub fn at(t: &Tensor<1>) -> Self {
        let t = super::each_loop(t.clone());
        let rest = t.ones_like() - t.clone();
        let scale = (rest.clone().powi_scalar(2) + t.clone().powi_scalar(2)).sqrt().recip();
        Self { skip: (rest - t) * scale.clone().powi_scalar(2), scale }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::flow::objective;
    use crate::random::Philox;

    #[test]
    fn it_is_the_best_line_and_scales_what_is_left_to_one() {
        let device = Device::flex();
        let normals = |stream| {
            let drawn = Philox::new(7, stream).normals(40_000);
            Tensor::<1>::from_floats(drawn.as_slice(), &device).reshape([1, 1, 40_000])
        };
        let (data, noise) = (normals(0), normals(1));
        let mean = |x: Tensor<3>| f64::from(x.mean().into_scalar::<f32>());
        for time in [0.0f32, 0.2, 0.5, 0.9, 1.0] {
            let t = Tensor::<1>::full([1], time, &device);
            let x = objective::interpolate(data.clone(), noise.clone(), t.clone());
            let v = objective::target(data.clone(), noise.clone());
            let Preconditioning { scale, skip } = Preconditioning::at(&t);
            let slope = mean(v.clone() * x.clone()) / mean(x.clone().powi_scalar(2));
            assert!((slope - f64::from(skip.clone().into_scalar::<f32>())).abs() < 0.03, "at {time}: {slope}");
            let left = (v - x.clone() * skip) / scale.clone();
            assert!((mean(left.powi_scalar(2)) - 1.0).abs() < 0.03, "at {time}");
            assert!((mean((x * scale).powi_scalar(2)) - 1.0).abs() < 0.03, "at {time}");
        }
    }
}
