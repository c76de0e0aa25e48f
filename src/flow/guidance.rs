//! Guidance: the velocity pushed away from a worse one, `v = v_worse + strength (v_better - v_worse)`; 1 is the better
//! one as it is.
//!
//! [`Guided`] pushes away from "any label and mode" towards the wanted ones: more follows label and mode more closely.
//! The net has to have been trained with some of its labels and modes left out. [`Autoguided`] pushes away from what a
//! worse net of the same kind does: where a net has learnt too little it hedges, and a worse one hedges more.
//!
//! Pushed away, loops would become louder and wider than any that was learnt; so the end that the guided velocity
//! leads to, `x + t v`, keeps the power of the better one's end.
//!
//! Sources: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022 (arXiv 2207.12598); Karras et al., "Guiding a
//! Diffusion Model with a Bad Version of Itself", 2024 (arXiv 2406.02507), at some times only: Kynkäänniemi et al., 2024
//! (arXiv 2404.07724); the power: Lin et al., 2023 (arXiv 2305.08891), section 3.4.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{Condition, Velocity, each_loop};

/// A guided net; both velocities are one evaluation of a batch twice as large.
pub struct Guided<'a, V> {
    /// The net.
    pub net: &'a V,
    /// 1 for the plain net, which is then evaluated as it is.
    pub strength: f32,
}

impl<V: Velocity> Velocity for Guided<'_, V> {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let any: Vec<Condition> = conditions.iter().map(|c| Condition::any(c.bpm)).collect();
        if self.strength == 1.0 || any == conditions {
            return self.net.velocity(x, t, conditions);
        }
        let batch = x.dims()[0];
        let (start, time) = (x.clone(), each_loop(t.clone()));
        let both = [any.as_slice(), conditions].concat();
        let v = self.net.velocity(Tensor::cat(vec![x.clone(), x], 0), Tensor::cat(vec![t.clone(), t], 0), &both);
        let (any, wanted) = (v.clone().narrow(0, 0, batch), v.narrow(0, batch, batch));
        let strength = time.ones_like() * self.strength;
        pushed(start, time, [any, wanted], strength)
    }
}

/// A net pushed away from what a worse one does: of the same latents and conditions, trained shorter or smaller.
pub struct Autoguided<'a> {
    /// The net.
    pub net: &'a dyn Velocity,
    /// The worse one.
    pub worse: &'a dyn Velocity,
    /// 1 for the net as it is; reached where there is most noise.
    pub strength: f32,
    /// Times between which the push sets in: below the first the net is left as it is.
    pub sets_in: Range<f32>,
}

impl Velocity for Autoguided<'_> {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let [worse, better] = [self.worse, self.net].map(|net| net.velocity(x.clone(), t.clone(), conditions));
        let time = each_loop(t);
        let share = (time.clone() - self.sets_in.start) / (self.sets_in.end - self.sets_in.start);
        let strength = share.clamp(0.0, 1.0) * (self.strength - 1.0) + 1.0;
        pushed(x, time, [worse, better], strength)
    }
}

/// The velocity at `x` as far beyond the better one as `strength` says, which is `[batch, 1, 1]` like `time`.
fn pushed(x: Tensor<3>, time: Tensor<3>, [worse, better]: [Tensor<3>; 2], strength: Tensor<3>) -> Tensor<3> {
    let guided = worse.clone() + (better.clone() - worse) * strength;
    let [end, wanted] = [&guided, &better].map(|v| power(x.clone() + v.clone() * time.clone()));
    let scale = (wanted / end).sqrt();
    // That is ((x + t v) scale - x) / t.
    guided * scale.clone() + x * (scale - 1.0) / time.clamp_min(SOON)
}

/// Mean square of each loop, `[batch, 1, 1]`, never nothing.
fn power(x: Tensor<3>) -> Tensor<3> {
    x.powi_scalar(2).mean_dim(2).mean_dim(1) + NOTHING
}

/// Times below which nothing is left to be pushed.
const SOON: f32 = 1e-3;
/// A power that counts as none.
const NOTHING: f32 = 1e-12;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use burn::tensor::Device;

    use super::*;
    use crate::key::Mode;

    /// The velocity of a loop is its label, -1 for any, and for major a quarter more; counts what it was asked for.
    struct Labels(Cell<usize>);

    impl Velocity for Labels {
        fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
            assert_eq!((x.dims()[0], t.dims()[0]), (conditions.len(), conditions.len()));
            self.0.set(self.0.get() + conditions.len());
            let row =
                |c: &Condition| c.label.map_or(-1.0, |l| l as f32) + c.mode.map_or(0.0, |m| 0.25 * m as u8 as f32);
            let rows = conditions.iter().map(row);
            let rows = rows.map(|v| Tensor::<3>::full([1, 2, 3], v, &x.device())).collect();
            Tensor::cat(rows, 0)
        }
    }

    fn velocity(strength: f32, labels: &[Option<usize>]) -> (Vec<f32>, usize) {
        let any = Condition::any(120.0);
        of(strength, &labels.iter().map(|label| Condition { label: *label, ..any }).collect::<Vec<_>>())
    }

    fn of(strength: f32, conditions: &[Condition]) -> (Vec<f32>, usize) {
        let net = Labels(Cell::new(0));
        let x = Tensor::<3>::zeros([conditions.len(), 2, 3], &Device::flex());
        let t = Tensor::<1>::zeros([conditions.len()], &Device::flex());
        let v = Guided { net: &net, strength }.velocity(x, t, conditions);
        let values = v.into_data().try_into_vec::<f32>().unwrap();
        (values.chunks(6).map(|row| row[0]).collect(), net.0.get())
    }

    #[test]
    fn the_label_is_followed_by_strength_and_doubled_only_where_it_must() {
        assert_eq!(velocity(1.0, &[Some(3)]), (vec![3.0], 1));
        assert_eq!(velocity(2.5, &[None]), (vec![-1.0], 1));
        assert_eq!(velocity(2.0, &[Some(3)]), (vec![7.0], 2));
        assert_eq!(velocity(0.5, &[Some(3), Some(5)]), (vec![1.0, 2.0], 4));
        assert_eq!(velocity(3.0, &[None, Some(1)]), (vec![-1.0, 5.0], 4));
    }

    #[test]
    fn ends_keep_the_power_of_the_wanted_ones() {
        let net = Labels(Cell::new(0));
        let noise = crate::random::Philox::new(5, 0).normals(12);
        let x = Tensor::<3>::from_data(burn::tensor::TensorData::new(noise, [2, 2, 3]), &Device::flex());
        let t = Tensor::<1>::from_floats([0.9, 0.3], &Device::flex());
        let time = each_loop(t.clone());
        let conditions = [2, 4].map(|label| Condition { label: Some(label), ..Condition::any(120.0) });
        let end = |strength: f32| {
            let v = Guided { net: &net, strength }.velocity(x.clone(), t.clone(), &conditions);
            x.clone() + v * time.clone()
        };
        let powers = |x: Tensor<3>| power(x).into_data().try_into_vec::<f32>().unwrap();
        let (plain, guided) = (end(1.0), end(3.0));
        for (a, b) in powers(plain.clone()).into_iter().zip(powers(guided.clone())) {
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
        let apart: f32 = (plain - guided).abs().mean().into_scalar();
        assert!(apart > 0.1, "and yet it is pushed: {apart}");
    }

    #[test]
    fn a_mode_alone_is_followed_too() {
        let mode = Some(Mode::Major);
        assert_eq!(of(2.0, &[Condition { mode, ..Condition::any(120.0) }]), (vec![-0.5], 2));
    }

    #[test]
    fn a_worse_net_is_left_behind_where_there_is_noise() {
        /// A velocity of its own sign from place to place, so that ends can keep their power.
        struct Net([f32; 2]);
        impl Velocity for Net {
            fn velocity(&self, x: Tensor<3>, _: Tensor<1>, _: &[Condition]) -> Tensor<3> {
                Tensor::<3>::from_floats([[self.0]], &x.device()).repeat_dim(0, x.dims()[0])
            }
        }
        let (net, worse) = (Net([3.0, 1.0]), Net([2.0, 2.0]));
        let guided = Autoguided { net: &net, worse: &worse, strength: 2.0, sets_in: 0.4..0.6 };
        let at = |t: f32| {
            let x = Tensor::<3>::zeros([1, 1, 2], &Device::flex());
            let time = Tensor::<1>::from_floats([t], &Device::flex());
            guided.velocity(x, time, &[Condition::any(120.0)]).into_data().try_into_vec::<f32>().unwrap()
        };
        assert_eq!(at(0.4), [3.0, 1.0]);
        // 4 and 0, brought to the power of 3 and 1.
        for all in [at(0.6), at(0.9)] {
            assert!((all[0] - 10f32.sqrt()).abs() < 1e-4 && all[1].abs() < 1e-4, "{all:?}");
        }
        let half = at(0.5);
        assert!((3.0..10f32.sqrt()).contains(&half[0]) && half[1] < 1.0, "{half:?}");
    }
}
