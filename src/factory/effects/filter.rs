//! Filters round the circle.

use crate::clip::SAMPLE_RATE;
use crate::factory::circle::{Stereo, twice};
use crate::factory::dice::Dice;
use crate::factory::synth::wave::{Bands, Filter};

fn run(samples: &mut Stereo, hertz: f64, pick: fn(Bands) -> f32) {
    let mut filters = [0, 1].map(|_| Filter::new(hertz, 0.7));
    twice(samples, |_, frame| [pick(filters[0].tick(frame[0])), pick(filters[1].tick(frame[1]))]);
}

/// Two poles.
pub fn low_cut(samples: &mut Stereo, hertz: f64) {
    run(samples, hertz, |bands| bands.high);
}

/// Two poles.
pub fn high_cut(samples: &mut Stereo, hertz: f64) {
    run(samples, hertz, |bands| bands.low);
}

/// Sometimes a little darker or a little brighter: loops come from many desks.
pub fn tilt(samples: &mut Stereo, dice: &mut Dice) {
    let gain = dice.between(-0.2, 0.6) as f32;
    let hertz = dice.between(2500.0, 6000.0);
    if dice.chance(0.25) {
        high_cut(samples, dice.between(7000.0, 16_000.0));
    } else {
        let mut filters = [0, 1].map(|_| Filter::new(hertz, 0.7));
        twice(samples, |_, frame| [0, 1].map(|side| frame[side] + gain * filters[side].tick(frame[side]).high));
    }
}

/// A filter whose cutoff goes up and down once or twice a loop.
pub fn sweep(samples: &mut Stereo, dice: &mut Dice) {
    let (low, high) = (dice.between(300.0, 1500.0), dice.between(4000.0, 14_000.0));
    let (rounds, phase) = (*dice.pick(&[1.0, 1.0, 2.0]), dice.unit());
    let q = dice.between(0.7, 2.5) as f32;
    let len = samples[0].len() as f64;
    let mut filters = [Filter::default(), Filter::default()];
    twice(samples, |i, frame| {
        if i % 32 == 0 {
            let turn = std::f64::consts::TAU * (rounds * i as f64 / len + phase);
            let hertz = low * (high / low).powf(0.5 - 0.5 * turn.cos());
            filters.iter_mut().for_each(|filter| filter.tune(hertz as f32, q));
        }
        [filters[0].tick(frame[0]).low, filters[1].tick(frame[1]).low]
    });
}

/// One-pole low-pass of one channel: the factor of a cutoff.
pub(super) fn pole(hertz: f64) -> f32 {
    (1.0 - (-std::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE)).exp()) as f32
}
