//! Effects on a finished loop, drawn by taste; each keeps the circle.
//!
//! In: a [`Taste`] (chances of a style or part), dice, the loop and its tempo. Out: the same loop,
//! as long as before. Effects are memoryless, run round the circle twice ([`circle::twice`]), or
//! turn the circle itself.

pub mod dynamics;
pub mod filter;
pub mod space;

use super::circle::{self, Stereo};
use super::dice::Dice;

/// Chances of effects, 0..1.
#[derive(Clone, Copy, Debug)]
pub struct Taste {
    /// Saturation.
    pub drive: f64,
    /// Bus compression.
    pub glue: f64,
    /// Ducking by the kick (drums) or by each beat (melodic).
    pub pump: f64,
    /// Reverb.
    pub room: f64,
    /// Delay in time with the loop.
    pub delay: f64,
    /// Worn sound: few bits, a low sample rate, a low cutoff.
    pub worn: f64,
    /// A filter that moves over the loop.
    pub sweep: f64,
}

/// Sends: what goes to the reverb and the delay.
pub struct Sends {
    /// Reverb.
    pub room: Stereo,
    /// Delay.
    pub delay: Stereo,
}

/// Runs the bus: sends, saturation, filters, compression. `samples` is the dry mix.
pub fn master(samples: &mut Stereo, sends: &Sends, bpm: f64, taste: &Taste, dice: &mut Dice) {
    if dice.chance(taste.delay) {
        let echo = space::Delay::draw(bpm, dice);
        circle::mix(samples, &echo.run(&sends.delay), dice.between(0.15, 0.45) as f32);
    }
    if dice.chance(taste.room) {
        let reverb = space::Reverb::draw(dice);
        circle::mix(samples, &reverb.run(&sends.room), reverb.level);
    }
    if dice.chance(taste.drive) {
        dynamics::drive(samples, dice.between(1.0, 3.0) as f32);
    }
    if dice.chance(taste.worn) {
        dynamics::wear(samples, dice);
    }
    if dice.chance(taste.sweep) {
        filter::sweep(samples, dice);
    }
    filter::tilt(samples, dice);
    if dice.chance(taste.glue) {
        dynamics::Compressor::draw(dice).run(samples);
    }
    // Nobody hears what is below the kick, and saturation may leave an offset.
    filter::low_cut(samples, 28.0);
    dynamics::shave(samples, dice.between(13.0, 19.0) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::circle::{steps, turned};
    use crate::random::Philox;

    const BPM: f64 = 140.0;
    const LEN: usize = 75_600;

    /// Noise hits on each beat of a bar, one across the seam.
    fn hits(later: usize) -> Stereo {
        let noise = Philox::new(1, 0).normals(LEN);
        let hit = |i: usize| noise[i] * 0.2 * (-((i % (LEN / 4)) as f32) / 4000.0).exp();
        let samples: Vec<f32> = (0..LEN).map(hit).collect();
        let samples = turned(&samples, later);
        [samples.clone(), samples]
    }

    /// Every effect for sure.
    const ALL: Taste = Taste { drive: 1.0, glue: 1.0, pump: 1.0, room: 1.0, delay: 1.0, worn: 1.0, sweep: 0.0 };

    #[test]
    fn the_seam_is_no_place_of_its_own() {
        // An effect that keeps the circle does to the turned loop what it does to the loop, turned.
        let run = |later: usize, index: u64| {
            let (mut samples, sends) = (hits(later), Sends { room: hits(later), delay: hits(later) });
            let taste = Taste { worn: 0.0, ..ALL };
            master(&mut samples, &sends, BPM, &taste, &mut Dice::new(2, index));
            samples
        };
        for index in 0..6 {
            let later = 30_000;
            let (straight, other) = (run(0, index), run(later, index));
            let expected = turned(&straight[1], later);
            let scale = circle::peak(&straight);
            let difference = expected.iter().zip(&other[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 0.01 * scale, "{index}: {difference} of {scale}");
        }
    }

    #[test]
    fn no_step_is_largest_at_the_seam() {
        for index in 0..12 {
            // A hit rings over the seam.
            let (mut samples, sends) = (hits(70_000), Sends { room: hits(70_000), delay: hits(70_000) });
            master(&mut samples, &sends, BPM, &Taste { sweep: 1.0, ..ALL }, &mut Dice::new(3, index));
            for channel in &samples {
                let (inside, seam) = steps(channel);
                assert!(seam <= inside && channel.iter().all(|s| s.is_finite()), "{index}: {seam} > {inside}");
            }
        }
    }
}
