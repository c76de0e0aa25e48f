//! The smaller drums: rims, toms, cowbells, shakers and blips.

use super::drums::over;
use super::wave::{Fall, Filter, Noise, Oscillator, Wave};
use crate::factory::dice::Dice;

fn sine() -> Oscillator {
    Oscillator::new(Wave::Sine, 0.0)
}

/// Two short tones, driven.
pub(super) fn rim(dice: &mut Dice) -> Vec<f32> {
    let (low, high) = (dice.between(380.0, 620.0) as f32, dice.between(1400.0, 2200.0) as f32);
    let (mut a, mut b, mut fall) = (sine(), sine(), Fall::new(1.0, dice.between(0.006, 0.022)));
    let (drive, balance) = (dice.between(1.5, 5.0) as f32, dice.between(0.3, 0.8) as f32);
    let mut floor = Filter::new(dice.between(200.0, 600.0), 0.7);
    over(0.15, |_| {
        let tone = balance * a.tick(low, 0.0) + (1.0 - balance) * b.tick(high, 0.0);
        floor.tick((tone * drive).tanh()).high * fall.tick()
    })
}

/// A sine that drops, with skin.
pub(super) fn tom(dice: &mut Dice) -> Vec<f32> {
    let hertz = dice.between(75.0, 190.0) as f32;
    let decay = dice.between(0.08, 0.3);
    let (mut drop, mut body) = (Fall::new(dice.between(0.2, 1.2), dice.between(0.02, 0.08)), Fall::new(1.0, decay));
    let (mut skin, mut noise) = (Fall::new(dice.between(0.0, 0.4), 0.02), Noise::new(dice));
    let mut band = Filter::new(dice.between(800.0, 3000.0), 0.8);
    let (mut tone, drive) = (sine(), dice.between(1.0, 2.5) as f32);
    over((decay * 6.0).min(1.4), |_| {
        let pitch = hertz * (1.0 + drop.tick());
        ((tone.tick(pitch, 0.0) * body.tick() + skin.tick() * band.tick(noise.tick()).band) * drive).tanh()
    })
}

/// Two squares through a band.
pub(super) fn cowbell(dice: &mut Dice) -> Vec<f32> {
    let size = dice.between(0.8, 1.3) as f32;
    let ratio = dice.between(1.42, 1.52) as f32;
    let [mut a, mut b] = [0, 1].map(|_| Oscillator::new(Wave::Pulse(0.5), 0.0));
    let mut band = Filter::new(dice.between(900.0, 2600.0), dice.between(1.0, 3.0));
    let decay = dice.between(0.04, 0.16);
    let (mut hit, mut ring) = (Fall::new(1.0, 0.01), Fall::new(dice.between(0.4, 0.9), decay));
    over(decay * 6.0, |_| {
        let pair = a.tick(540.0 * size, 0.0) + b.tick(540.0 * size * ratio, 0.0);
        band.tick(pair).band * (hit.tick() + ring.tick())
    })
}

/// High noise that swells and falls.
pub(super) fn shaker(dice: &mut Dice) -> Vec<f32> {
    let (swell, decay) = (dice.between(0.004, 0.025) as f32, dice.between(0.015, 0.05));
    let mut floor = Filter::new(dice.between(4500.0, 8500.0), dice.between(0.7, 1.4));
    let (mut noise, mut fall) = (Noise::new(dice), Fall::new(1.0, decay));
    over(f64::from(swell) + decay * 6.0, |t| {
        let shape = if t < swell { (t / swell).powi(2) } else { fall.tick() };
        floor.tick(noise.tick()).high * shape
    })
}

/// A hand drum, a block, a zap or a bell.
pub(super) fn percussion(dice: &mut Dice) -> Vec<f32> {
    /// Lowest and highest of: pitch, drop, time of the drop, decay, FM index, noise.
    #[rustfmt::skip]
    const KINDS: [[(f64, f64); 6]; 4] = [
        [(160.0, 420.0), (0.05, 0.4), (0.01, 0.04), (0.05, 0.18), (0.0, 0.1), (0.1, 0.4)],
        [(700.0, 2600.0), (0.0, 0.1), (0.005, 0.01), (0.01, 0.04), (0.0, 0.2), (0.0, 0.2)],
        [(120.0, 500.0), (3.0, 12.0), (0.01, 0.05), (0.04, 0.15), (0.0, 0.3), (0.0, 0.1)],
        [(500.0, 1400.0), (0.0, 0.02), (0.01, 0.02), (0.08, 0.3), (0.2, 0.8), (0.0, 0.1)],
    ];
    let kind = dice.pick(&KINDS);
    let [hertz, drop, time, decay, index, hiss] = kind.map(|(low, high)| dice.between(low, high));
    let (mut drop, mut body) = (Fall::new(drop, time), Fall::new(1.0, decay));
    let (mut index, mut skin) = (Fall::new(index, decay * 0.6), Fall::new(hiss, 0.008));
    let (mut carrier, mut modulator, mut noise) = (sine(), sine(), Noise::new(dice));
    let ratio = dice.between(1.2, 3.6) as f32;
    over((decay * 6.0).min(1.2), |_| {
        let pitch = hertz as f32 * (1.0 + drop.tick());
        let bend = index.tick() * modulator.tick(pitch * ratio, 0.0);
        carrier.tick(pitch, bend) * body.tick() + skin.tick() * noise.tick()
    })
}

#[cfg(test)]
mod tests {
    use crate::factory::circle::frames;
    use crate::factory::dice::Dice;
    use crate::factory::sounds::{ROLES, Role};
    use crate::factory::synth::drums::make;

    /// Mean frequency by zero crossings of the loudest tenth of a second.
    fn brightness(samples: &[f32]) -> f32 {
        let part = &samples[..samples.len().min(frames(0.1))];
        let crossings = part.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
        crossings as f32 / 2.0 / (part.len() as f32 / 44_100.0)
    }

    #[test]
    fn every_recipe_of_every_role_sounds_and_dies_away() {
        for role in ROLES {
            for recipe in 0..60 {
                let samples = make(role, &mut Dice::new(7, recipe));
                let peak = samples.iter().fold(0f32, |m, s| m.max(s.abs()));
                assert!((0.02..4.0).contains(&peak), "{role:?} {recipe}: {peak}");
                let (start, end) = (samples[0].abs(), samples[samples.len() - 1].abs());
                // Long kicks are faded with all other sounds.
                assert!(start == 0.0 && end < 0.3 * peak, "{role:?} {recipe}: {start} {end} of {peak}");
            }
        }
    }

    #[test]
    fn kicks_are_low_and_hats_are_high() {
        let of = |role: Role| (0..60).map(|r| brightness(&make(role, &mut Dice::new(3, r)))).sum::<f32>() / 60.0;
        let [kick, tom, snare, hat] = [Role::Kick, Role::Tom, Role::Snare, Role::ClosedHat].map(of);
        assert!(kick < 300.0 && tom < 600.0, "{kick} {tom}");
        assert!((500.0..6000.0).contains(&snare) && hat > 6000.0, "{snare} {hat}");
    }
}
