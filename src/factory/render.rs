//! Patterns and scores as sound: a mixing desk for drums, an instrument for notes.
//!
//! In: a [`Pattern`] and a [`Kit`], or a [`Score`] and an [`Instrument`]; a tempo; a taste; dice
//! for the mix. Out: a [`Clip`] of exactly [`Clip::length`] samples with a peak of -1 dBFS.

use std::collections::HashMap;

use super::circle::{self, Event, Stereo, frames, place, silence};
use super::dice::Dice;
use super::effects::{Sends, dynamics, master, space};
use super::font::{Font, Player, Voice};
use super::melodic::{Note, Part, Score};
use super::pattern::{Hit, Pattern, STEPS};
use super::sounds::{Kit, Role};
use super::sources::FactoryError;
use super::styles::{Feel, Style};
use super::synth::patch::Patch;
use super::synth::tone;
use crate::clip::{Clip, SAMPLE_RATE};

const BEATS_PER_BAR: u32 = 4;
/// Peak of a finished loop, -1 dBFS.
const PEAK: f32 = 0.891;

/// Level, place, length and sends of one lane of the mix.
struct Strip {
    gain: f64,
    /// -1 (left) to 1.
    pan: f64,
    /// Decay time in seconds on top of the sound's own, if any.
    decay: Option<f64>,
    room: f32,
    delay: f32,
}

impl Strip {
    fn draw(role: Role, loudness: f32, feel: &Feel, dice: &mut Dice) -> Self {
        // Level of a hit's loudest twentieth of a second, farthest pan, decay, send to the reverb.
        let (level, pan, decay, room) = match role {
            Role::Kick => (0.40, 0.0, (0.07, 0.25), 0.03),
            Role::Snare => (0.30, 0.1, (0.08, 0.4), 0.6),
            Role::Clap => (0.24, 0.2, (0.08, 0.4), 0.7),
            Role::Rim => (0.10, 0.6, (0.05, 0.2), 0.7),
            Role::ClosedHat => (0.06, 0.5, (0.03, 0.12), 0.15),
            Role::OpenHat => (0.085, 0.5, (0.1, 0.35), 0.25),
            Role::Tom => (0.26, 0.7, (0.1, 0.5), 0.5),
            Role::Cowbell => (0.075, 0.6, (0.05, 0.3), 0.4),
            Role::Shaker => (0.05, 0.7, (0.05, 0.2), 0.25),
            Role::Percussion => (0.13, 0.8, (0.05, 0.3), 0.6),
        };
        let shortened = if role == Role::Kick { 1.0 - feel.boom } else { 0.4 };
        let decibels = dice.between(-3.5, 2.5);
        // A click would have to be far too loud to be as loud as a long sound.
        let gain = (level / f64::from(loudness)).min(level * 8.0) * 10f64.powf(decibels / 20.0);
        let delay = !matches!(role, Role::Kick) && dice.chance(0.35);
        Self {
            gain,
            pan: dice.between(-pan, pan),
            decay: dice.chance(shortened).then(|| dice.between(decay.0, decay.1)),
            room: room * dice.between(0.3, 1.0) as f32,
            delay: if delay { 1.0 } else { 0.0 },
        }
    }

    fn gains(&self, velocity: f64) -> [f32; 2] {
        [1.0 - self.pan, 1.0 + self.pan].map(|side| (self.gain * velocity.powf(1.5) * side.min(1.0)) as f32)
    }
}

/// Renders a drum pattern.
pub fn drums(pattern: &Pattern, style: &Style, kit: &Kit, bpm: f64, dice: &mut Dice) -> Clip {
    let (beats, len) = length(pattern.bars, bpm);
    let mut dry = silence(len);
    let mut sends = Sends { room: silence(len), delay: silence(len) };
    let kicks: Vec<usize> =
        pattern.hits.iter().filter(|h| h.role == Role::Kick).map(|h| start(h.at, bpm, 0.0, len)).collect();
    let pump = dice.chance(style.taste.pump).then(|| (dice.between(0.3, 0.9) as f32, dice.between(0.08, 0.3)));
    for role in pattern.roles() {
        let sound = kit.sound(role);
        let strip = Strip::draw(role, sound.loudness, &style.feel, dice);
        let mut lane = silence(len);
        for hit in pattern.hits.iter().filter(|hit| hit.role == role) {
            place(
                &mut lane,
                &Event {
                    sound: &sound.samples,
                    start: start(hit.at, bpm, human(hit, &style.feel, dice), len),
                    gains: strip.gains(hit.velocity),
                    rate: 2f64.powf(hit.pitch / 12.0),
                    fall: strip.decay.map_or(1.0, |d| (-1.0 / (d * f64::from(SAMPLE_RATE))).exp() as f32),
                    until: choke(hit, pattern, bpm),
                    // A drum that is hit softly is duller, too.
                    bright: (hit.velocity / 0.75).clamp(0.25, 1.0) as f32,
                },
            );
        }
        if let Some((depth, seconds)) = pump.filter(|_| role != Role::Kick) {
            dynamics::duck(&mut lane, &kicks, depth, seconds);
        }
        if !matches!(role, Role::Kick | Role::Snare | Role::Tom) && dice.chance(0.2) {
            space::haas(&mut lane, dice);
        }
        circle::mix(&mut dry, &lane, 1.0);
        circle::mix(&mut sends.room, &lane, strip.room);
        circle::mix(&mut sends.delay, &lane, strip.delay);
    }
    master(&mut dry, &sends, bpm, &style.taste, dice);
    finish(dry, beats, bpm)
}

/// What plays notes.
pub enum Instrument {
    /// A program of the sound font.
    Font(Box<Player>),
    /// A synthesiser.
    Synth(Patch),
}

impl Instrument {
    /// A program of a font.
    pub fn program(font: &Font, program: i32) -> Result<Self, FactoryError> {
        Ok(Self::Font(Box::new(font.player(Voice::Melodic(program))?)))
    }

    fn play(&mut self, note: &Note, held: f64) -> Stereo {
        match self {
            Self::Font(player) => player.note(note.key, (note.velocity * 127.0).round() as i32, held),
            Self::Synth(patch) => tone::note(patch, note.key, note.velocity, held, note.from),
        }
    }
}

/// Renders a melodic part.
pub fn melodic(score: &Score, part: &Part, mut instrument: Instrument, bpm: f64, dice: &mut Dice) -> Clip {
    let (beats, len) = length(score.bars, bpm);
    let mut dry = silence(len);
    let mut rendered = HashMap::new();
    let (pan, loose) = (dice.between(-0.15, 0.15), dice.between(0.0, 0.004));
    for note in &score.notes {
        let held = note.length * 15.0 / bpm;
        let name = (note.key, note.velocity.to_bits(), held.to_bits(), note.from);
        let sound = rendered.entry(name).or_insert_with(|| instrument.play(note, held));
        let event = Event {
            sound,
            start: start(note.at, bpm, dice.between(0.0, loose), len),
            gains: [1.0 - pan, 1.0 + pan].map(|side| side.min(1.0) as f32),
            rate: 1.0,
            fall: 1.0,
            until: usize::MAX,
            bright: 1.0,
        };
        place(&mut dry, &event);
    }
    if dice.chance(part.taste.pump) {
        let on_beats: Vec<usize> = (0..beats).map(|beat| start(4.0 * f64::from(beat), bpm, 0.0, len)).collect();
        dynamics::duck(&mut dry, &on_beats, dice.between(0.4, 0.95) as f32, dice.between(0.4, 0.9) * 60.0 / bpm);
    }
    let sends = Sends { room: dry.clone(), delay: dry.clone() };
    master(&mut dry, &sends, bpm, &part.taste, dice);
    finish(dry, beats, bpm)
}

/// Beats and samples of whole bars.
fn length(bars: u32, bpm: f64) -> (u32, usize) {
    let beats = bars * BEATS_PER_BAR;
    (beats, Clip::length(beats, bpm, SAMPLE_RATE))
}

/// How late a hit is, in seconds. Kicks are the grid, and what starts a loop must not start before it.
fn human(hit: &Hit, feel: &Feel, dice: &mut Dice) -> f64 {
    // Sum of three uniforms: nearly normal, never far off; of unit deviation.
    let normal = dice.between(-1.0, 1.0) + dice.between(-1.0, 1.0) + dice.between(-1.0, 1.0);
    let late = if matches!(hit.role, Role::Snare | Role::Clap) { feel.late } else { 0.0 };
    let off = (normal * feel.loose + late) * 1e-3;
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

/// An open hat ends where the next hat begins, a kick where the next kick begins, round the circle.
fn choke(hit: &Hit, pattern: &Pattern, bpm: f64) -> usize {
    let ends = |other: &&Hit| match hit.role {
        Role::OpenHat => matches!(other.role, Role::OpenHat | Role::ClosedHat),
        Role::Kick => other.role == Role::Kick,
        _ => false,
    };
    let round = f64::from(pattern.bars) * STEPS as f64;
    let others = pattern.hits.iter().filter(ends).map(|h| (h.at - hit.at).rem_euclid(round));
    match others.filter(|away| *away > 0.0).min_by(f64::total_cmp) {
        Some(next) => frames(next * 15.0 / bpm),
        None => usize::MAX,
    }
}

fn finish(samples: Stereo, beats: u32, bpm: f64) -> Clip {
    let mut clip = Clip { samples, sample_rate: SAMPLE_RATE, beats, bpm, provenance: None, hits: Vec::new() };
    let scale = PEAK / clip.peak().max(1e-6);
    clip.samples.iter_mut().flatten().for_each(|s| *s *= scale);
    clip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::effects::Taste;
    use crate::factory::hold_out::Side;
    use crate::factory::sounds::{Make, SoundBank};
    use crate::factory::styles::STYLES;

    const DRY: Taste = Taste { drive: 0.0, glue: 0.0, pump: 0.0, room: 0.0, delay: 0.0, worn: 0.0, sweep: 0.0 };

    fn hit((role, at): &(Role, f64)) -> Hit {
        Hit { role: *role, at: *at, velocity: 1.0, pitch: 0.0 }
    }

    fn tones(hits: &[(Role, f64)]) -> Clip {
        let mut dice = Dice::new(3, 0);
        let kit = SoundBank::of_test_tones().draw_kit(Make::Sampled, Side::All, &mut dice);
        let pattern = Pattern { bars: 1, hits: hits.iter().map(hit).collect() };
        let style = Style { taste: DRY, ..STYLES[0] };
        drums(&pattern, &style, &kit, 120.0, &mut dice)
    }

    fn energy(clip: &Clip, from: f64, to: f64) -> f32 {
        let frame = |seconds: f64| (seconds * 44_100.0) as usize;
        clip.samples[0][frame(from)..frame(to)].iter().map(|s| s * s).sum()
    }

    #[test]
    fn a_hit_sounds_on_its_step_and_not_before() {
        let clip = tones(&[(Role::Kick, 6.0)]);
        let all = energy(&clip, 0.0, 2.0);
        // The filters' memory of the round before is far below what can be heard.
        assert!(energy(&clip, 0.0, 0.7499) < 1e-4 * all, "{}", energy(&clip, 0.0, 0.7499) / all);
        assert!(energy(&clip, 0.75, 0.85) > 0.8 * all);
    }

    #[test]
    fn hats_end_open_hats_and_kicks_end_kicks() {
        let hits = [(Role::OpenHat, 0.0), (Role::ClosedHat, 2.0), (Role::Kick, 0.0), (Role::Kick, 12.0)];
        let pattern = Pattern { bars: 1, hits: hits.iter().map(hit).collect() };
        let ends = |i: usize| choke(&pattern.hits[i], &pattern, 120.0);
        assert_eq!([ends(0), ends(1), ends(2), ends(3)], [11_025, usize::MAX, 66_150, 22_050]);
    }
}
