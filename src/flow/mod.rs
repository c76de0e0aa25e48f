//! The method: a rectified flow between noise (t = 1) and latents (t = 0).
//!
//! In: noise `[batch, channel, frame]` and a [`Velocity`] source; out: latents of the same shape,
//! standardised. [`objective`] trains the net, [`solver`] integrates it, [`guidance`] makes it follow a
//! label and a mode, [`noise`] turns a seed into the starting point on the CPU (so that each device starts from
//! the same numbers), and [`unet`] is the net, on whatever Burn device its tensors live on; [`packed`] is the
//! same net on the CPU, several times sooner.
//!
//! Source of the method: Liu, Gong and Liu, "Flow Straight and Fast", 2022 (arXiv 2209.03003).

pub mod guidance;
pub mod layers;
pub mod noise;
pub mod objective;
pub mod packed;
pub mod preconditioning;
pub mod solver;
pub mod unet;

use burn::tensor::Tensor;

use crate::key::Mode;

/// What a loop should be like, beside its noise. One entry per loop of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Tempo in beats per minute.
    pub bpm: f64,
    /// Index of the label, or None for "any".
    pub label: Option<usize>,
    /// Major or minor, of a loop on the white notes; None for "any", also without a key.
    pub mode: Option<Mode>,
}

impl Condition {
    /// Any loop at a tempo.
    pub fn any(bpm: f64) -> Self {
        Self { bpm, label: None, mode: None }
    }
}

/// Times `[batch]` as `[batch, 1, 1]`.
fn each_loop(t: Tensor<1>) -> Tensor<3> {
    t.unsqueeze_dim::<2>(1).unsqueeze_dim::<3>(2)
}

/// A source of the velocity `v(x_t, t)`, the net of the flow.
pub trait Velocity {
    /// `x`: `[batch, channel, frame]`; `t`: `[batch]` in 0..1; one condition per loop.
    /// Returns the velocity, of the shape of `x`.
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3>;
}
