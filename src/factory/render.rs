//! Patterns and scores as exact circles: what rings past the end is added to the start.
//!
//! In: a [`Pattern`] and a [`Kit`], or a [`Score`] and a [`Font`]; a tempo; dice for the mix. Out:
//! a [`Clip`] of exactly [`Clip::length`] samples with a peak of -1 dBFS. What shapes the sum is
//! memoryless or has run round the circle before, so that there is no seam.

use std::collections::HashMap;

use super::dice::Dice;
use super::font::{Font, Voice};
use super::melodic::Score;
use super::pattern::{Hit, Pattern, STEPS};
use super::sounds::{FactoryError, Kit, Role};
use crate::clip::{Clip, SAMPLE_RATE};

const BEATS_PER_BAR: u32 = 4;
/// Peak of a finished loop, -1 dBFS.
const PEAK: f32 = 0.891;
/// Hits are early or late by up to this, in seconds.
const HUMAN: f64 = 0.002;
/// Samples in which a sound that is cut off fades.
const CUT: usize = 220;

/// Level, place and length of one lane of the mix.
struct Strip {
    gain: f64,
    /// -1 (left) to 1.
    pan: f64,
    /// Decay time in seconds, on top of the sound's own.
    decay: f64,
}

impl Strip {
    fn draw(role: Role, dice: &mut Dice) -> Self {
        let (gain, pan, decay) = match role {
            Role::Kick => (1.0, 0.0, (0.15, 0.6)),
            Role::Snare => (0.8, 0.1, (0.1, 0.5)),
            Role::Clap => (0.6, 0.2, (0.1, 0.5)),
            Role::ClosedHat => (0.35, 0.4, (0.03, 0.15)),
            Role::OpenHat => (0.35, 0.4, (0.1, 0.4)),
            Role::Percussion => (0.4, 0.7, (0.05, 0.3)),
            Role::Tom => (0.6, 0.6, (0.1, 0.5)),
        };
        Self {
            gain: gain * dice.between(0.75, 1.15),
            pan: dice.between(-pan, pan),
            decay: dice.between(decay.0, decay.1),
        }
    }

    /// Gains of left and right.
    fn gains(&self, velocity: f64) -> [f32; 2] {
        [1.0 - self.pan, 1.0 + self.pan].map(|side| (self.gain * velocity * side.min(1.0)) as f32)
    }
}

/// One sound at its place.
struct Event<'a> {
    sound: &'a [Vec<f32>; 2],
    /// First sample, before the end of the loop.
    start: usize,
    /// Of left and right.
    gains: [f32; 2],
    /// Factor a sample.
    fall: f32,
    /// Samples until it is cut off.
    until: usize,
}

/// Renders a drum pattern.
pub fn drums(pattern: &Pattern, kit: &Kit, bpm: f64, dice: &mut Dice) -> Clip {
    let (beats, mut samples) = silence(pattern.bars, bpm);
    let mut strips: Vec<(Role, Strip)> = Vec::new();
    for hit in &pattern.hits {
        let known = strips.iter().position(|(role, _)| *role == hit.role);
        let index = known.unwrap_or_else(|| {
            strips.push((hit.role, Strip::draw(hit.role, dice)));
            strips.len() - 1
        });
        let strip = &strips[index].1;
        let fall = (-1.0 / (strip.decay * f64::from(SAMPLE_RATE))).exp() as f32;
        let event = Event {
            sound: &kit.sound(hit.role).samples,
            start: start(hit.at, bpm, human(hit, dice), samples[0].len()),
            gains: strip.gains(hit.velocity.powf(1.5)),
            fall,
            until: choke(hit, pattern, bpm),
        };
        add(&mut samples, &event);
    }
    if dice.chance(0.4) {
        drive(&mut samples, dice.between(1.0, 3.0) as f32);
    }
    if dice.chance(0.12) {
        sweep(&mut samples, dice);
    }
    finish(samples, beats, bpm)
}

/// Renders a melodic part.
pub fn melodic(score: &Score, font: &Font, bpm: f64, dice: &mut Dice) -> Result<Clip, FactoryError> {
    let (beats, mut samples) = silence(score.bars, bpm);
    let mut player = font.player(Voice::Melodic(score.program))?;
    let mut rendered = HashMap::new();
    let pan = dice.between(-0.2, 0.2);
    for note in &score.notes {
        let held = note.length * 15.0 / bpm;
        let velocity = (note.velocity * 127.0).round() as i32;
        let sound = rendered
            .entry((note.key, velocity, held.to_bits()))
            .or_insert_with(|| player.note(note.key, velocity, held));
        let late = dice.between(0.0, 2.0 * HUMAN);
        let event = Event {
            sound,
            start: start(note.at, bpm, late, samples[0].len()),
            gains: [1.0 - pan, 1.0 + pan].map(|side| side.min(1.0) as f32),
            fall: 1.0,
            until: usize::MAX,
        };
        add(&mut samples, &event);
    }
    if dice.chance(0.3) {
        sweep(&mut samples, dice);
    }
    Ok(finish(samples, beats, bpm))
}

/// Beats of whole bars, and that much silence.
fn silence(bars: u32, bpm: f64) -> (u32, [Vec<f32>; 2]) {
    let beats = bars * BEATS_PER_BAR;
    let len = Clip::length(beats, bpm, SAMPLE_RATE);
    (beats, [vec![0.0; len], vec![0.0; len]])
}

/// Kicks are the grid, and what starts a loop must not start before it.
fn human(hit: &Hit, dice: &mut Dice) -> f64 {
    let off = dice.between(-HUMAN, HUMAN);
    match hit.role {
        Role::Kick => 0.0,
        _ if hit.at == 0.0 => off.abs(),
        _ => off,
    }
}

/// The sample of a place in sixteenths, moved by some seconds.
fn start(at: f64, bpm: f64, off: f64, len: usize) -> usize {
    let seconds = at * 15.0 / bpm + off;
    (seconds * f64::from(SAMPLE_RATE)).round().rem_euclid(len as f64) as usize
}

/// An open hat ends where the next hat begins, round the circle.
fn choke(hit: &Hit, pattern: &Pattern, bpm: f64) -> usize {
    if hit.role != Role::OpenHat {
        return usize::MAX;
    }
    let round = f64::from(pattern.bars) * STEPS as f64;
    let hats = pattern.hits.iter().filter(|h| matches!(h.role, Role::OpenHat | Role::ClosedHat) && h.at != hit.at);
    let next = hats.map(|h| (h.at - hit.at).rem_euclid(round)).fold(round, f64::min);
    (next * 15.0 / bpm * f64::from(SAMPLE_RATE)) as usize
}

fn add(out: &mut [Vec<f32>; 2], event: &Event) {
    let len = out[0].len();
    for (channel, side) in out.iter_mut().enumerate() {
        let sound = &event.sound[channel];
        let end = sound.len().min(event.until.saturating_add(CUT));
        let (mut gain, mut at) = (event.gains[channel], event.start);
        for (i, sample) in sound[..end].iter().enumerate() {
            let cut = match i.checked_sub(event.until) {
                Some(past) => 1.0 - past as f32 / CUT as f32,
                None => 1.0,
            };
            side[at] += sample * gain * cut;
            gain *= event.fall;
            at = if at + 1 == len { 0 } else { at + 1 };
        }
    }
}

/// Soft saturation, memoryless, so that the circle stays one.
fn drive(samples: &mut [Vec<f32>; 2], amount: f32) {
    let peak = samples.iter().flatten().fold(1e-6f32, |m, s| m.max(s.abs()));
    samples.iter_mut().flatten().for_each(|s| *s = (*s / peak * amount).tanh());
}

/// A one-pole low-pass whose cutoff goes up and down once or twice a loop.
fn sweep(samples: &mut [Vec<f32>; 2], dice: &mut Dice) {
    /// Samples run before the start: a hundred time constants of the lowest cutoff.
    const WARM: usize = 8192;
    let (low, high) = (dice.between(400.0, 1500.0), dice.between(4000.0, 12000.0));
    let (rounds, phase) = (*dice.pick(&[1.0, 1.0, 2.0]), dice.unit());
    let len = samples[0].len();
    let factor: Vec<f32> = (0..len)
        .map(|i| {
            let turn = std::f64::consts::TAU * (rounds * i as f64 / len as f64 + phase);
            let hertz = low * (high / low).powf(0.5 - 0.5 * turn.cos());
            (1.0 - (-std::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE)).exp()) as f32
        })
        .collect();
    for channel in samples {
        let mut state = 0.0;
        for i in len - WARM.min(len)..len {
            state += factor[i] * (channel[i] - state);
        }
        for (sample, factor) in channel.iter_mut().zip(&factor) {
            state += factor * (*sample - state);
            *sample = state;
        }
    }
}

fn finish(samples: [Vec<f32>; 2], beats: u32, bpm: f64) -> Clip {
    let mut clip = Clip { samples, sample_rate: SAMPLE_RATE, beats, bpm, provenance: None, hits: Vec::new() };
    let scale = PEAK / clip.peak().max(1e-6);
    clip.samples.iter_mut().flatten().for_each(|s| *s *= scale);
    clip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::sounds::SoundBank;

    fn tones(hits: &[(Role, f64)]) -> Clip {
        let mut dice = Dice::new(3, 0);
        let kit = SoundBank::of_test_tones().draw_kit(&mut dice);
        let hit = |(role, at): &(Role, f64)| Hit { role: *role, at: *at, velocity: 1.0 };
        let pattern = Pattern { bars: 1, hits: hits.iter().map(hit).collect() };
        drums(&pattern, &kit, 120.0, &mut dice)
    }

    fn energy(clip: &Clip, from: f64, to: f64) -> f32 {
        let frame = |seconds: f64| (seconds * 44_100.0) as usize;
        clip.samples[0][frame(from)..frame(to)].iter().map(|s| s * s).sum()
    }

    #[test]
    fn a_hit_sounds_on_its_step_and_not_before() {
        let clip = tones(&[(Role::Kick, 6.0)]);
        let all = energy(&clip, 0.0, 2.0);
        assert!(energy(&clip, 0.0, 0.7499) < 1e-6 * all);
        assert!(energy(&clip, 0.75, 0.85) > 0.8 * all);
    }

    #[test]
    fn a_tail_goes_round_as_often_as_it_rings() {
        let sound: Vec<f32> = (1..=25).map(|i| i as f32).collect();
        let mut out = [vec![0.0; 10], vec![0.0; 10]];
        let event = Event { sound: &[sound.clone(), sound], start: 7, gains: [1.0, 0.5], fall: 1.0, until: usize::MAX };
        add(&mut out, &event);
        // Place 7 hears samples 1, 11 and 21; place 2 hears 6 and 16.
        assert_eq!((out[0][7], out[0][2]), (33.0, 22.0));
        assert_eq!((out[1][7], out[1][2]), (16.5, 11.0));
    }

    #[test]
    fn a_swept_loop_is_still_a_circle() {
        let noise = crate::random::Philox::new(1, 0).normals(20_000);
        // With the sweep's phase fixed by the dice, a constant input has no transient at the seam.
        let mut flat = [vec![1.0; 20_000], vec![1.0; 20_000]];
        sweep(&mut flat, &mut Dice::new(4, 0));
        assert!(flat[0].iter().all(|s| (s - 1.0).abs() < 1e-4));
        let mut swept = [noise.clone(), noise];
        sweep(&mut swept, &mut Dice::new(4, 0));
        let step = |i: usize| (swept[0][(i + 1) % 20_000] - swept[0][i]).abs();
        let largest = (0..19_999).map(step).fold(0.0, f32::max);
        assert!(step(19_999) < largest);
    }

    #[test]
    fn a_closed_hat_ends_an_open_one() {
        let hits = [(Role::OpenHat, 0.0), (Role::ClosedHat, 2.0)];
        let pattern = Pattern { bars: 1, hits: hits.map(|(role, at)| Hit { role, at, velocity: 1.0 }).to_vec() };
        assert_eq!(choke(&pattern.hits[0], &pattern, 120.0), 11_025);
        assert_eq!(choke(&pattern.hits[1], &pattern, 120.0), usize::MAX);
    }
}
