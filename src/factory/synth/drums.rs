//! Kicks, snares, claps and hats, each with several machines' ways of making one.
//!
//! In: a [`Recipe`]'s dice; out: one channel at 44.1 kHz of any level, which begins at zero.

use super::perc;
use super::wave::{Fall, Filter, Noise, Oscillator, Wave};
use crate::clip::SAMPLE_RATE;
use crate::factory::circle::frames;
use crate::factory::dice::Dice;
use crate::factory::sounds::Role;

/// The kind of recipe of a role: both hats of a kit come from one.
pub fn kind(role: Role) -> &'static str {
    match role {
        Role::Kick => "kick",
        Role::Snare => "snare",
        Role::Clap => "clap",
        Role::Rim => "rim",
        Role::ClosedHat | Role::OpenHat => "hat",
        Role::Tom => "tom",
        Role::Cowbell => "cowbell",
        Role::Shaker => "shaker",
        Role::Percussion => "percussion",
    }
}

/// Makes the sound of a role.
pub fn make(role: Role, dice: &mut Dice) -> Vec<f32> {
    match role {
        Role::Kick => kick(dice),
        Role::Snare => snare(dice),
        Role::Clap => clap(dice),
        Role::ClosedHat => hat(false, dice),
        Role::OpenHat => hat(true, dice),
        Role::Rim => perc::rim(dice),
        Role::Tom => perc::tom(dice),
        Role::Cowbell => perc::cowbell(dice),
        Role::Shaker => perc::shaker(dice),
        Role::Percussion => perc::percussion(dice),
    }
}

/// That many seconds of a function of the time in seconds, without a step at its start.
pub(super) fn over(seconds: f64, mut sample: impl FnMut(f32) -> f32) -> Vec<f32> {
    const RISE: f32 = 12.0;
    (0..frames(seconds)).map(|i| sample(i as f32 / SAMPLE_RATE as f32) * (i as f32 / RISE).min(1.0)).collect()
}

/// A sine whose pitch drops, a click, and drive.
fn kick(dice: &mut Dice) -> Vec<f32> {
    /// Lowest and highest of: final pitch in hertz, drop as a factor, time of the drop, decay,
    /// click, drive.
    struct Machine([(f64, f64); 6]);
    #[rustfmt::skip]
    const MACHINES: [Machine; 5] = [
        // Long and deep; short and punchy; hard; round; a thump with a beater.
        Machine([(42.0, 56.0), (1.0, 3.0), (0.008, 0.03), (0.25, 0.7), (0.0, 0.2), (1.0, 2.5)]),
        Machine([(46.0, 60.0), (3.0, 6.0), (0.012, 0.035), (0.12, 0.3), (0.1, 0.5), (1.2, 2.5)]),
        Machine([(44.0, 58.0), (4.0, 9.0), (0.015, 0.04), (0.15, 0.35), (0.2, 0.6), (3.0, 8.0)]),
        Machine([(50.0, 70.0), (1.0, 2.5), (0.01, 0.03), (0.08, 0.2), (0.0, 0.15), (1.0, 1.5)]),
        Machine([(58.0, 82.0), (0.8, 2.0), (0.006, 0.02), (0.07, 0.15), (0.4, 0.9), (1.0, 1.8)]),
    ];
    let Machine(ranges) = dice.pick(&MACHINES);
    let [hertz, drop, time, decay, click, drive] = ranges.map(|(low, high)| dice.between(low, high));
    let (mut slow, mut fast) = (Fall::new(drop, time), Fall::new(drop * dice.between(0.5, 2.0), 0.003));
    let mut body = Fall::new(1.0, decay);
    // Held for a moment before it falls, as a punchy kick is.
    let hold = dice.between(0.0, 0.05) as f32;
    let (mut sine, mut noise) = (Oscillator::new(Wave::Sine, 0.0), Noise::new(dice));
    let (mut tick, mut tone) =
        (Fall::new(click, dice.between(0.002, 0.008)), Filter::new(dice.between(1500.0, 6000.0), 0.7));
    let fm = if dice.chance(0.2) { dice.between(0.1, 0.5) } else { 0.0 };
    let (mut index, mut modulator) = (Fall::new(fm, dice.between(0.02, 0.1)), Oscillator::new(Wave::Sine, 0.0));
    let ratio = *dice.pick(&[1.0f32, 1.5, 2.0, 3.0]);
    let level = (drive as f32).tanh();
    over((decay * 6.0).min(1.5), |t| {
        let pitch = hertz as f32 * (1.0 + slow.tick() + fast.tick());
        let bend = index.tick() * modulator.tick(pitch * ratio, 0.0);
        let gain = if t < hold { 1.0 } else { body.tick() };
        let click = tick.tick() * tone.tick(noise.tick()).band;
        ((sine.tick(pitch, bend) * gain + click) * drive as f32).tanh() / level
    })
}

/// Two tones that drop a little, and noise.
fn snare(dice: &mut Dice) -> Vec<f32> {
    let low = dice.between(150.0, 240.0);
    let (mut a, mut b) = (Oscillator::new(Wave::Sine, 0.0), Oscillator::new(Wave::Sine, 0.0));
    let spread = dice.between(1.5, 2.2) as f32;
    let (mut drop, mut ring) = (Fall::new(dice.between(0.1, 1.0), 0.012), Fall::new(1.0, dice.between(0.03, 0.14)));
    let tone = dice.between(0.2, 0.9) as f32;
    let rattle = dice.between(0.05, 0.2);
    let (mut fast, mut slow) = (Fall::new(1.0, rattle * 0.25), Fall::new(1.0, rattle));
    let snap = dice.between(0.2, 0.7) as f32;
    let mut noise = Noise::new(dice);
    let mut high = Filter::new(dice.between(700.0, 2500.0), 0.7);
    let mut top = Filter::new(dice.between(5500.0, 14_000.0), 0.7);
    // A metallic ring, as FM machines have it.
    let fm = if dice.chance(0.25) { dice.between(0.1, 0.6) as f32 } else { 0.0 };
    let mut modulator = Oscillator::new(Wave::Sine, 0.0);
    let ratio = dice.between(1.3, 3.7) as f32;
    let gate = if dice.chance(0.12) { dice.between(0.1, 0.2) as f32 } else { f32::MAX };
    let drive = dice.between(1.0, 3.0) as f32;
    over((rattle * 6.0).min(1.2), |t| {
        let pitch = low as f32 * (1.0 + drop.tick());
        let bend = if fm > 0.0 { fm * modulator.tick(pitch * ratio, 0.0) } else { 0.0 };
        let body = tone * ring.tick() * (a.tick(pitch, bend) + 0.6 * b.tick(pitch * spread, bend));
        let hiss = top.tick(high.tick(noise.tick()).high).low;
        let shape = snap * fast.tick() + (1.0 - snap) * slow.tick();
        let open = if t < gate { 1.0 } else { (1.0 - (t - gate) * 200.0).max(0.0) };
        ((body + hiss * shape * 1.2) * drive).tanh() * open
    })
}

/// Noise in three or four bursts and a tail.
fn clap(dice: &mut Dice) -> Vec<f32> {
    let bursts = dice.whole((2.0, 4.0)) as usize;
    let gap = dice.between(0.007, 0.014);
    let mut band = Filter::new(dice.between(800.0, 1900.0), dice.between(0.8, 2.5));
    let mut floor = Filter::new(dice.between(400.0, 900.0), 0.7);
    let mut noise = Noise::new(dice);
    let (burst, tail) = (dice.between(0.003, 0.007), dice.between(0.04, 0.16));
    let (air, room) = (dice.between(0.05, 0.4) as f32, dice.between(0.3, 0.9));
    let last = gap * bursts as f64;
    let mut envelope = Fall::new(0.0, burst);
    let (mut next, mut ring) = (0usize, None);
    over(last + tail * 6.0, |t| {
        if next < bursts && f64::from(t) >= gap * next as f64 {
            (envelope, next) = (Fall::new(1.0, burst), next + 1);
        } else if ring.is_none() && f64::from(t) >= last {
            ring = Some(Fall::new(room, tail));
        }
        let shape = envelope.tick() + ring.as_mut().map_or(0.0, Fall::tick);
        let white = noise.tick();
        floor.tick((band.tick(white).band * 2.0 + air * white) * shape).high
    })
}

/// Six squares that fit no scale, noise, or FM, through a high band.
fn hat(open: bool, dice: &mut Dice) -> Vec<f32> {
    const SQUARES: [f64; 6] = [205.3, 304.4, 369.6, 522.7, 540.0, 800.0];
    let machine = *dice.pick(&[0, 0, 1, 1, 2]);
    let size = dice.between(0.8, 1.9);
    let mut metal: Vec<(Oscillator, f32)> = SQUARES
        .iter()
        .map(|hertz| {
            let hertz = hertz * size * dice.between(0.94, 1.06);
            (Oscillator::new(Wave::Pulse(0.5), dice.unit() as f32), hertz as f32)
        })
        .collect();
    let [mut carrier, mut modulator] = [0, 1].map(|_| Oscillator::new(Wave::Sine, 0.0));
    let (pitch, ratio, index) =
        (dice.between(3000.0, 6500.0) as f32, dice.between(1.2, 2.9) as f32, dice.between(0.5, 2.0) as f32);
    let hiss = [dice.between(0.0, 0.5), 1.0, dice.between(0.2, 0.7)][machine] as f32;
    let mut noise = Noise::new(dice);
    let mut band = Filter::new(dice.between(6500.0, 10_500.0), dice.between(0.6, 1.6));
    let mut floor = Filter::new(dice.between(4000.0, 7500.0), 0.8);
    let (closed, ringing) = (dice.between(0.012, 0.05), dice.between(0.09, 0.35));
    let decay = if open { ringing } else { closed };
    let mut envelope = Fall::new(1.0, decay);
    let (mut hit, accent) = (Fall::new(1.0, 0.004), dice.between(0.0, 0.8) as f32);
    over((decay * 6.0).min(1.4), |_| {
        let white = noise.tick();
        let tone: f32 = match machine {
            0 => metal.iter_mut().map(|(square, hertz)| square.tick(*hertz, 0.0)).sum::<f32>() / 3.0,
            1 => 0.0,
            _ => carrier.tick(pitch, index * modulator.tick(pitch * ratio, 0.0)),
        };
        let source = tone * (1.0 - hiss) + white * hiss;
        let filtered = floor.tick(source * 0.5 + band.tick(source).band).high;
        filtered * (envelope.tick() + accent * hit.tick())
    })
}
