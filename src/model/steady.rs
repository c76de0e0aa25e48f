//! Puts right what a run's steps do to its loops, by how the model was measured to drift ([`super::drift`]).

use burn::tensor::{Tensor, TensorData};

use super::drift::Drift;
use super::spread::{Spread, Turn};
use crate::codec::neighbours;
use crate::flow::Condition;
use crate::flow::solver::{Correction, unshifted};

/// What `x_t` of loops of one kind is put right by, component by component.
pub(super) struct Remedy {
    /// Mean that is wanted.
    pub centre: Vec<f32>,
    /// How far it is beyond.
    pub beyond: Vec<f32>,
    /// Factor of what loops have within them.
    pub within: Vec<f32>,
    /// Factor of their means.
    pub between: Vec<f32>,
}

/// Moves loops of `x` `[batch, component, frame]` by `-beyond`, and scales what they have from `centre` within them and
/// from loop to loop, each by its own remedy.
pub(super) fn put_right(x: &Tensor<3>, remedies: &[&Remedy]) -> Tensor<3> {
    let [loops, components, _] = x.dims();
    let rows = |of: fn(&Remedy) -> &Vec<f32>| {
        let values: Vec<f32> = remedies.iter().flat_map(|remedy| of(remedy)).copied().collect();
        Tensor::<3>::from_data(TensorData::new(values, [loops, components, 1]), &x.device())
    };
    let (centre, beyond) = (rows(|remedy| &remedy.centre), rows(|remedy| &remedy.beyond));
    let (within, between) = (rows(|remedy| &remedy.within), rows(|remedy| &remedy.between));
    let means = x.clone().mean_dim(2);
    (x.clone() - means.clone()) * within + (means - beyond - centre.clone()) * between + centre
}

/// Puts right the steps of one run.
pub(super) struct Steady<'a> {
    /// What is wanted, along which components; nothing is put right where nobody knows.
    pub wanted: Option<(&'a Spread, Turn)>,
    /// Measured, those of a kind in the order of their steps.
    pub measured: Vec<&'a Drift>,
    /// Steps that the whole way from t = 1 would have; infinitely many for a solver of second order.
    pub steps: f32,
    /// How the measured way lies.
    pub shift: f32,
}

impl Steady<'_> {
    /// What was measured of loops with or without keys, or of all where they were not told apart; of which loops that is.
    fn measured(&self, keyed: bool) -> (Vec<&Drift>, Option<bool>) {
        let of = |kind| self.measured.iter().copied().filter(|drift| drift.keyed == kind).collect::<Vec<_>>();
        let own = of(Some(keyed));
        if own.is_empty() { (of(None), None) } else { (own, Some(keyed)) }
    }

    /// For loops with or without keys; None where nothing is known of them.
    fn remedy(&self, keyed: bool, from: f32, to: f32, [channels, frames]: [usize; 2]) -> Option<Remedy> {
        let (wanted, _) = self.wanted.as_ref()?;
        let (measured, kind) = self.measured(keyed);
        if measured.is_empty() {
            return None;
        }
        let [beyond, within, between] = self.factors(&measured, from, to, channels);
        Some(Remedy { centre: wanted.moments(kind).at(to, frames).mean, beyond, within, between })
    }

    /// Means beyond those wanted, and factors within and between.
    fn factors(&self, measured: &[&Drift], from: f32, to: f32, channels: usize) -> [Vec<f32>; 3] {
        let (low, high, share) = neighbours(measured.iter().map(|drift| drift.steps), self.steps);
        let (low, high) = (measured[low], measured[high]);
        let [from, to] = [from, to].map(|t| unshifted(t, self.shift));
        let mut factors = [const { Vec::new() }; 3];
        for channel in 0..channels {
            let [a, b] = [low, high].map(|drift| drift.over(from, to, channel, channels));
            let [mean, within, between] = [0, 1, 2].map(|i| a[i] + share * (b[i] - a[i]));
            let values = [mean, (-within).exp(), (-between).exp()];
            factors.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        factors
    }
}

impl Correction for Steady<'_> {
    fn correct(&self, x: Tensor<3>, conditions: &[Condition], from: f32, to: f32) -> Tensor<3> {
        let [_, channels, frames] = x.dims();
        let Some((_, turn)) = &self.wanted else { return x };
        let keyed = |one: &Condition| one.mode.is_some();
        let of = |kind| {
            conditions.iter().any(|one| keyed(one) == kind).then(|| self.remedy(kind, from, to, [channels, frames]))
        };
        let known = [false, true].map(|kind| of(kind).flatten());
        let remedies: Option<Vec<&Remedy>> =
            conditions.iter().map(|one| known[usize::from(keyed(one))].as_ref()).collect();
        match remedies {
            Some(remedies) => turn.channels(put_right(&turn.components(x), &remedies)),
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same for each step and channel.
    fn of(steps: u32, mean: f32, within: f32, between: f32) -> Drift {
        let all = |value| vec![value; 2 * steps as usize];
        Drift { steps, renewed: false, keyed: None, mean: all(mean), within: all(within), between: all(between) }
    }

    fn steady<'a>(steps: f32, shift: f32) -> Steady<'a> {
        Steady { wanted: None, measured: Vec::new(), steps, shift }
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn a_step_is_put_right_between_the_measured_runs_too() {
        let measured = [of(1, 0.5, 0.1, 1.0), of(4, 0.25, 0.75, 0.8), of(16, 0.0, 0.9, 1.0)];
        let factors = |steps, from, to| {
            let measured: Vec<_> = measured.iter().collect();
            let factors = steady(steps, 1.0).factors(&measured, from, to, 2);
            factors.map(|both| {
                assert_eq!(both[0], both[1]);
                both[0]
            })
        };
        let [mean, within, between] = factors(4.0, 0.75, 0.5);
        assert!(close(mean, 0.25) && close(within, 1.0 / 0.75) && close(between, 1.0 / 0.8));
        // Two of its steps at once, and a half.
        assert!(close(factors(4.0, 1.0, 0.5)[1], 0.75f32.powi(-2)));
        assert!(close(factors(4.0, 0.75, 0.625)[1], 0.75f32.powf(-0.5)));
        // A run of 8 lies half-way between 4 and 16: a step of it is half of one and two of the other.
        let [mean, within, _] = factors(8.0, 1.0, 0.875);
        assert!(close(mean, (0.125 + 0.0) / 2.0));
        assert!(close(within.ln(), -(0.5 * 0.75f32.ln() + 2.0 * 0.9f32.ln()) / 2.0));
        assert_eq!(factors(64.0, 1.0, 0.0), factors(16.0, 1.0, 0.0));
        // With a shift the first half of the way ends at t = 0.8.
        let all: Vec<_> = measured.iter().collect();
        let shifted = steady(4.0, 4.0).factors(&all, 1.0, 0.8, 2);
        assert!(close(shifted[1][0], factors(4.0, 1.0, 0.5)[1]), "{shifted:?}");
        assert!(close(factors(1.0, 1.0, 0.0)[1], 2.0), "a tenth is not blown up");
    }
}
