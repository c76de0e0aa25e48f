//! From noise to latents: the ODE `dx/dt = -v(x, t)` from t = 1, or a smaller t, to t = 0.
//!
//! Euler: `x += dt * net(x, t); t -= dt`, `dt = from / steps`. Heun (Karras et al., 2022,
//! arXiv 2206.00364, algorithm 1): the mean of the slopes at both ends of each step, at twice the
//! cost; its last step is Euler's, for nothing is learnt at t = 0.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::{Condition, Velocity};

/// How the flow is integrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// First order, one evaluation a step.
    #[default]
    Euler,
    /// Second order, two evaluations a step.
    Heun,
}

/// Why no latents came back.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SolveError {
    /// Steps were 0.
    #[error("steps must be at least 1")]
    NoSteps,
    /// The caller's progress function said so.
    #[error("cancelled")]
    Cancelled,
}

/// Puts right what a step does to `x`.
pub trait Correction {
    /// `x` `[batch, channel, frame]` after the step from t = `from` to t = `to`.
    fn correct(&self, x: Tensor<3>, from: f32, to: f32) -> Tensor<3>;
}

/// One integration to t = 0.
pub struct Path<'a> {
    /// Where it starts, in 0..=1; 1 is pure noise.
    pub from: f32,
    /// Steps, at least 1.
    pub steps: u32,
    /// One for each loop of the batch.
    pub conditions: &'a [Condition],
    /// What is done after each step.
    pub correction: Option<&'a dyn Correction>,
}

impl Solver {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Solver::Euler => "euler",
            Solver::Heun => "heun",
        }
    }

    /// Integrates `x` `[batch, channel, frame]` to t = 0. `progress` hears of each finished step and may
    /// end the run; nothing is read back from the device in between.
    pub fn solve(
        self,
        net: &(impl Velocity + ?Sized),
        x: Tensor<3>,
        path: &Path<'_>,
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Tensor<3>, SolveError> {
        self.transport(net, x, path, 0.0, progress)
    }

    /// The other way: the noise (t = 1) that data `x` (t = 0) would come from.
    pub fn invert(
        self,
        net: &(impl Velocity + ?Sized),
        x: Tensor<3>,
        steps: u32,
        conditions: &[Condition],
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Tensor<3>, SolveError> {
        self.transport(net, x, &Path { from: 0.0, steps, conditions, correction: None }, 1.0, progress)
    }

    fn transport(
        self,
        net: &(impl Velocity + ?Sized),
        mut x: Tensor<3>,
        path: &Path<'_>,
        to: f32,
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Tensor<3>, SolveError> {
        let Path { from, steps, conditions, correction } = *path;
        if steps == 0 {
            return Err(SolveError::NoSteps);
        }
        let [batch, _, _] = x.dims();
        let device = x.device();
        let dt = (from - to) / steps as f32;
        let t = |step: u32| from - step as f32 * dt;
        let at = |step: u32| Tensor::<1>::full([batch], t(step), &device);
        for step in 0..steps {
            let v = net.velocity(x.clone(), at(step), conditions);
            x = match self {
                Solver::Heun if step + 1 < steps || to > 0.0 => {
                    let ahead = x.clone() + v.clone() * dt;
                    let w = net.velocity(ahead, at(step + 1), conditions);
                    x + (v + w) * (dt / 2.0)
                }
                _ => x + v * dt,
            };
            if let Some(correction) = correction {
                x = correction.correct(x, t(step), t(step + 1));
            }
            if progress(step + 1, steps).is_break() {
                return Err(SolveError::Cancelled);
            }
        }
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// dx/dt = -v with v = -x grows backwards in time: x(0) = x(1) * e^-1.
    struct Decay;
    impl Velocity for Decay {
        fn velocity(&self, x: Tensor<3>, _: Tensor<1>, _: &[Condition]) -> Tensor<3> {
            -x
        }
    }

    fn path(from: f32, steps: u32) -> Path<'static> {
        Path { from, steps, conditions: &[], correction: None }
    }

    fn error(solver: Solver, from: f32, steps: u32) -> f32 {
        let x = Tensor::<3>::ones([1, 1, 1], &Device::flex());
        let y = solver.solve(&Decay, x, &path(from, steps), &mut |_, _| ControlFlow::Continue(())).unwrap();
        (y.into_scalar::<f32>() - (-from).exp()).abs()
    }

    #[test]
    fn orders_of_convergence() {
        for from in [1.0, 0.4] {
            let euler = error(Solver::Euler, from, 16) / error(Solver::Euler, from, 32);
            assert!((1.8..2.3).contains(&euler), "Euler halves its error: {euler}");
            assert!(error(Solver::Heun, from, 16) < error(Solver::Euler, from, 16) / 3.0);
        }
    }

    #[test]
    fn the_way_back_leads_to_where_it_began() {
        let mut never = |_: u32, _: u32| ControlFlow::Continue(());
        let x = Tensor::<3>::ones([1, 1, 1], &Device::flex());
        let noise = Solver::Heun.invert(&Decay, x, 64, &[], &mut never).unwrap();
        assert!((noise.clone().into_scalar::<f32>() - 1f32.exp()).abs() < 1e-3);
        let back = Solver::Heun.solve(&Decay, noise, &path(1.0, 64), &mut never).unwrap();
        assert!((back.into_scalar::<f32>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_correction_sees_each_step() {
        struct Halving(std::cell::RefCell<Vec<[f32; 2]>>);
        impl Correction for Halving {
            fn correct(&self, x: Tensor<3>, from: f32, to: f32) -> Tensor<3> {
                self.0.borrow_mut().push([from, to]);
                x / 2.0
            }
        }
        let halving = Halving(Default::default());
        let path = Path { correction: Some(&halving), ..path(0.5, 2) };
        let x = Tensor::<3>::ones([1, 1, 1], &Device::flex());
        let y = Solver::Euler.solve(&Decay, x, &path, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert!((y.into_scalar::<f32>() - (0.75f32 / 2.0).powi(2)).abs() < 1e-6);
        assert_eq!(*halving.0.borrow(), [[0.5, 0.25], [0.25, 0.0]]);
    }

    #[test]
    fn zero_steps_and_cancelling_are_errors() {
        let x = || Tensor::<3>::ones([1, 1, 1], &Device::flex());
        let go = |n, f: &mut dyn FnMut(u32, u32) -> ControlFlow<()>| Solver::Euler.solve(&Decay, x(), &path(1.0, n), f);
        assert_eq!(go(0, &mut |_, _| ControlFlow::Continue(())).unwrap_err(), SolveError::NoSteps);
        let mut seen = 0;
        let stop = go(9, &mut |step, _| {
            seen = step;
            if step == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((stop.unwrap_err(), seen), (SolveError::Cancelled, 2));
    }
}
