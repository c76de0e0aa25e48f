//! From noise to latents: the ODE `dx/dt = -v(x, t)` from t = 1, or a smaller t, to t = 0.
//!
//! Euler: `x += dt * net(x, t); t -= dt`, `dt = from / steps`. Adams (Adams and Bashforth, 1883, of two
//! steps): the slope in the middle of the step, in a line with the one before, at Euler's cost; its first step is
//! Euler's, and so are all where all noise is renewed. Heun (Karras et al., 2022, arXiv 2206.00364, algorithm 1): the
//! mean of the slopes at both ends of each step, at twice the cost; its last step is Euler's, for nothing is learnt at
//! t = 0. The last two may take shorter steps where there is much noise ([`shifted`]).

use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};

use super::{Condition, Velocity};

/// How the flow is integrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// Second order, one evaluation a step.
    #[default]
    Adams,
    /// First order, one evaluation a step.
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
    /// `x` `[batch, channel, frame]` after the step from t = `from` to t = `to`, of loops of these conditions.
    fn correct(&self, x: Tensor<3>, conditions: &[Condition], from: f32, to: f32) -> Tensor<3>;
}

/// The shift of the models that are trained here.
pub const SHIFT: f32 = 2.0;

/// Where a share `u` of the way from data (0) to noise (1) is: `t = shift u / (1 + (shift - 1) u)` (Esser et al., 2024,
/// arXiv 2403.03206, section 5.3.2). A loop's many latents say much the same, so that they show through a lot of noise:
/// what a loop is is decided near t = 1. With a shift of 1 `t = u`.
pub fn shifted(u: f32, shift: f32) -> f32 {
    shift * u / (1.0 + (shift - 1.0) * u)
}

/// The share of the way at `t`: the inverse of [`shifted`].
pub fn unshifted(t: f32, shift: f32) -> f32 {
    t / (shift - (shift - 1.0) * t)
}

/// New noise that takes the place of part of what is left after each step but the last: what a net got wrong in
/// early steps is washed out instead of being carried to the end (Song et al., 2021, arXiv 2010.02502, equation 12).
pub struct Renewal<'a> {
    /// Its deviation beside the noise's, 0 to 1.
    pub share: f32,
    /// That of a step, `[batch, channel, frame]` row by row, standard normal.
    pub noise: &'a dyn Fn(u32) -> Vec<f32>,
}

impl Renewal<'_> {
    /// `x` after the step from t = `from` to t = `to` along `slope`: mixed anew from the ends of that line, data and
    /// noise, part of which is new.
    fn step(&self, x: Tensor<3>, slope: Tensor<3>, [from, to]: [f32; 2], step: u32) -> Tensor<3> {
        let new = Tensor::from_data(TensorData::new((self.noise)(step), x.dims()), &x.device());
        let data = x.clone() + slope.clone() * from;
        let noise = x - slope * (1.0 - from);
        let kept = (1.0 - self.share * self.share).max(0.0).sqrt();
        data * (1.0 - to) + (noise * kept + new * self.share) * to
    }
}

/// One integration to t = 0.
pub struct Path<'a> {
    /// Where it starts, as a share of the way in 0..=1; 1 is pure noise.
    pub from: f32,
    /// Steps, at least 1, each of them as much of the way.
    pub steps: u32,
    /// How the way lies ([`shifted`]); Euler's is always even.
    pub shift: f32,
    /// One for each loop of the batch.
    pub conditions: &'a [Condition],
    /// What is done after each step.
    pub correction: Option<&'a dyn Correction>,
    /// What noise is renewed, before that.
    pub renewal: Option<&'a Renewal<'a>>,
}

impl<'a> Path<'a> {
    /// All the way from pure noise in even steps, nothing put right or renewed.
    pub fn new(steps: u32, conditions: &'a [Condition]) -> Self {
        Self { from: 1.0, steps, shift: 1.0, conditions, correction: None, renewal: None }
    }
}

impl Solver {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Solver::Adams => "adams",
            Solver::Euler => "euler",
            Solver::Heun => "heun",
        }
    }

    /// The t at a share of the way: Euler's steps are even in t, those of the others as `shift` says.
    pub fn time(self, share: f32, shift: f32) -> f32 {
        match self {
            Solver::Euler => share,
            Solver::Adams | Solver::Heun => shifted(share, shift),
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

    /// The whole way back: the noise (t = 1) that data `x` (t = 0) would come from.
    pub fn invert(
        self,
        net: &(impl Velocity + ?Sized),
        x: Tensor<3>,
        path: &Path<'_>,
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Tensor<3>, SolveError> {
        self.transport(net, x, &Path { from: 0.0, ..*path }, 1.0, progress)
    }

    fn transport(
        self,
        net: &(impl Velocity + ?Sized),
        mut x: Tensor<3>,
        path: &Path<'_>,
        to: f32,
        progress: &mut dyn FnMut(u32, u32) -> ControlFlow<()>,
    ) -> Result<Tensor<3>, SolveError> {
        let Path { from, steps, shift, conditions, correction, renewal } = *path;
        if steps == 0 {
            return Err(SolveError::NoSteps);
        }
        let [batch, _, _] = x.dims();
        let device = x.device();
        let t = |step: u32| self.time(from + (to - from) * step as f32 / steps as f32, shift);
        let at = |step: u32| Tensor::<1>::full([batch], t(step), &device);
        let mut before: Option<(Tensor<3>, f32)> = None;
        for step in 0..steps {
            let dt = t(step) - t(step + 1);
            let v = net.velocity(x.clone(), at(step), conditions);
            let slope = match self {
                Solver::Adams => match before.replace((v.clone(), dt)) {
                    // Where all noise is new, the slope before was of another path.
                    Some((before, dt_before)) if renewal.is_none_or(|renewal| renewal.share < 1.0) => {
                        v.clone() + (v - before) * (0.5 * dt / dt_before)
                    }
                    _ => v,
                },
                Solver::Heun if step + 1 < steps || to > 0.0 => {
                    let ahead = x.clone() + v.clone() * dt;
                    (v + net.velocity(ahead, at(step + 1), conditions)) * 0.5
                }
                _ => v,
            };
            x = match renewal.filter(|_| step + 1 < steps) {
                Some(renewal) => renewal.step(x, slope, [t(step), t(step + 1)], step),
                None => x + slope * dt,
            };
            if let Some(correction) = correction {
                x = correction.correct(x, conditions, t(step), t(step + 1));
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
    use crate::flow::noise;
    use burn::tensor::Device;

    /// dx/dt = -v with v = -x grows backwards in time: x(0) = x(1) * e^-1.
    struct Decay;
    impl Velocity for Decay {
        fn velocity(&self, x: Tensor<3>, _: Tensor<1>, _: &[Condition]) -> Tensor<3> {
            -x
        }
    }

    fn path(from: f32, steps: u32) -> Path<'static> {
        Path { from, ..Path::new(steps, &[]) }
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
            for second in [Solver::Adams, Solver::Heun] {
                let order = error(second, from, 16) / error(second, from, 32);
                assert!((3.5..4.6).contains(&order), "{second:?} quarters its error: {order}");
                assert!(error(second, from, 16) < error(Solver::Euler, from, 16) / 3.0);
            }
        }
    }

    #[test]
    fn the_way_back_leads_to_where_it_began() {
        let mut never = |_: u32, _: u32| ControlFlow::Continue(());
        let x = Tensor::<3>::ones([1, 1, 1], &Device::flex());
        let noise = Solver::Heun.invert(&Decay, x, &Path { shift: 3.0, ..path(1.0, 128) }, &mut never).unwrap();
        assert!((noise.clone().into_scalar::<f32>() - 1f32.exp()).abs() < 1e-3);
        let back = Solver::Heun.solve(&Decay, noise, &Path { shift: 3.0, ..path(1.0, 128) }, &mut never).unwrap();
        assert!((back.into_scalar::<f32>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn shifted_steps_are_shorter_where_there_is_noise() {
        for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
            assert_eq!(shifted(share, 1.0), share);
            assert!((unshifted(shifted(share, 4.0), 4.0) - share).abs() < 1e-6);
        }
        assert_eq!(Solver::Adams.time(0.5, 4.0), 0.8);
        assert_eq!(Solver::Euler.time(0.5, 4.0), 0.5);
        // Adams of steps of any length is of second order: half as long, a quarter of the error.
        let off = |steps| {
            let x = Tensor::<3>::ones([1, 1, 1], &Device::flex());
            let path = Path { shift: 4.0, ..path(1.0, steps) };
            let y = Solver::Adams.solve(&Decay, x, &path, &mut |_, _| ControlFlow::Continue(())).unwrap();
            (y.into_scalar::<f32>() - (-1f32).exp()).abs()
        };
        let gained = off(32) / off(64);
        assert!((3.0..5.5).contains(&gained), "{gained}");
    }

    #[test]
    fn a_correction_sees_each_step() {
        struct Halving(std::cell::RefCell<Vec<[f32; 2]>>);
        impl Correction for Halving {
            fn correct(&self, x: Tensor<3>, _: &[Condition], from: f32, to: f32) -> Tensor<3> {
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
    fn renewed_noise_is_noise_of_the_same_measure() {
        /// A perfect net, whose data is 3.
        struct Straight;
        impl Velocity for Straight {
            fn velocity(&self, x: Tensor<3>, t: Tensor<1>, _: &[Condition]) -> Tensor<3> {
                (x.clone() * -1.0 + 3.0) / t.reshape([1, 1, 1])
            }
        }
        struct Kept(std::cell::RefCell<Vec<(f32, Vec<f32>)>>);
        impl Correction for Kept {
            fn correct(&self, x: Tensor<3>, _: &[Condition], _: f32, to: f32) -> Tensor<3> {
                self.0.borrow_mut().push((to, x.clone().into_data().try_into_vec().unwrap()));
                x
            }
        }
        let shape = [1, 4, 1000];
        let noise = |stream| noise::of_seed(1, stream, shape[1], shape[2]);
        let likeness = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / a.len() as f32;
        for (share, first) in [(0.0, 1.0), (0.6, 0.8), (1.0, 0.0)] {
            let (kept, new) = (Kept(Default::default()), |step: u32| noise(1 + u64::from(step)));
            let renewal = Renewal { share, noise: &new };
            let path = Path { correction: Some(&kept), renewal: Some(&renewal), ..path(1.0, 3) };
            let x = Tensor::from_data(TensorData::new(noise(0), shape), &Device::flex());
            let y = Solver::Euler.solve(&Straight, x, &path, &mut |_, _| ControlFlow::Continue(())).unwrap();
            assert!((y - 3.0).abs().max().into_scalar::<f32>() < 1e-3, "nothing new at the end");
            let (to, x) = &kept.0.borrow()[0];
            let left: Vec<f32> = x.iter().map(|x| (x - (1.0 - to) * 3.0) / to).collect();
            let found = [likeness(&left, &left), likeness(&left, &noise(0)), likeness(&left, &noise(1))];
            let wanted = [1.0, first, share];
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 0.06), "{found:?} {wanted:?}");
        }
    }

    #[test]
    fn steps_are_of_first_order_where_all_noise_is_new() {
        let new = |step: u32| noise::of_seed(2, u64::from(step), 1, 64);
        let run = |solver: Solver, share| {
            let renewal = Renewal { share, noise: &new };
            let x = Tensor::from_data(TensorData::new(noise::of_seed(1, 0, 1, 64), [1, 1, 64]), &Device::flex());
            let path = Path { renewal: Some(&renewal), ..path(1.0, 4) };
            let y = solver.solve(&Decay, x, &path, &mut |_, _| ControlFlow::Continue(())).unwrap();
            y.into_data().try_into_vec::<f32>().unwrap()
        };
        assert_eq!(run(Solver::Adams, 1.0), run(Solver::Euler, 1.0));
        assert_ne!(run(Solver::Adams, 0.5), run(Solver::Euler, 0.5));
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
