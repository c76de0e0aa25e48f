//! Drum patterns: a style's rhythms, drawn and varied bar by bar.
//!
//! In: a [`Style`], a number of bars and dice. Out: a [`Pattern`], hits with places in sixteenths
//! (swing included, humanising not) and velocities. Nothing fails.

use super::dice::Dice;
use super::sounds::Role;
use super::styles::Style;

/// Steps a bar.
pub const STEPS: usize = 16;

/// A mark a step; [`styles`](super::styles) says what they mean.
pub type Rhythm = &'static str;

/// One hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// What is hit.
    pub role: Role,
    /// When, in sixteenths from the start.
    pub at: f64,
    /// How hard, 0..1.
    pub velocity: f64,
    /// How much higher than the sound is, in semitones.
    pub pitch: f64,
}

/// A drum loop before it is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// 4/4 bars.
    pub bars: u32,
    /// Its hits, bar by bar.
    pub hits: Vec<Hit>,
}

/// A step's chance of a hit and how hard the hit is.
pub(super) fn step_of(rhythm: Rhythm, step: usize) -> (f64, f64) {
    match rhythm.as_bytes()[step % rhythm.len()] {
        b'X' => (1.0, 0.88),
        b'x' => (1.0, 0.62),
        b'g' => (0.7, 0.35),
        digit => {
            let chance = f64::from(digit - b'0') / 10.0;
            (chance, if chance >= 0.5 { 0.85 } else { 0.5 })
        }
    }
}

/// What holds for all bars of a loop.
struct Groove<'a> {
    lanes: Vec<(Role, Rhythm)>,
    style: &'a Style,
    /// Kick, snare and clap go at half the speed.
    half_time: bool,
    /// Semitones of the kick from step to step, where it is tuned.
    tuning: Option<[f64; STEPS]>,
}

impl Pattern {
    /// A pattern of a style: a bar, its answer, both again, with a fill at the end.
    pub fn draw(style: &Style, bars: u32, dice: &mut Dice) -> Self {
        let swing = dice.between(style.swing.0, style.swing.1);
        let mut lanes: Vec<(Role, Rhythm)> = Vec::new();
        for lane in style.lanes {
            // Drawn in any case, so that one lane does not change the next.
            let (rhythm, there) = (*dice.pick(lane.2), dice.chance(lane.1));
            if there || lanes.is_empty() {
                lanes.push((lane.0, rhythm));
            }
        }
        let half_time = dice.chance(style.feel.half_time);
        let tuning = dice.chance(style.feel.tuned).then(|| tune(dice));
        let groove = Groove { lanes, style, half_time, tuning };
        let mut drawn: Vec<Vec<Hit>> = Vec::new();
        for index in 0..bars as usize {
            // Rhythms of two bars have two bars to repeat; others answer the first with a variation.
            let mut bar = match index {
                0 => groove.bar(0, dice),
                1 => groove.answer(&drawn[0], dice),
                _ => drawn[index % 2].clone(),
            };
            if index > 0 && dice.chance(0.6) {
                groove.vary(&mut bar, index, dice);
            }
            if index + 1 == bars as usize && bars > 1 && dice.chance(style.feel.fill) {
                fill(&mut bar, dice);
            }
            drawn.push(bar);
        }
        let shift = |(index, bar): (usize, Vec<Hit>)| {
            bar.into_iter().map(move |hit| {
                let late = if (hit.at as usize) % 2 == 1 { swing } else { 0.0 };
                Hit { at: (index * STEPS) as f64 + hit.at + late, ..hit }
            })
        };
        Self { bars, hits: drawn.into_iter().enumerate().flat_map(shift).collect() }
    }

    /// The roles that are hit.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.hits.iter().map(|hit| hit.role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

/// A bass line for the kick: mostly the root, some notes of the minor scale.
fn tune(dice: &mut Dice) -> [f64; STEPS] {
    std::array::from_fn(
        |step| if step == 0 || dice.chance(0.5) { 0.0 } else { *dice.pick(&[-2.0, 3.0, 5.0, 7.0, -5.0, 1.0]) },
    )
}

impl Groove<'_> {
    fn step(&self, role: Role, rhythm: Rhythm, bar: usize, step: usize) -> (f64, f64) {
        let slow = self.half_time && matches!(role, Role::Kick | Role::Snare | Role::Clap);
        let place = bar * STEPS + step;
        match slow {
            false => step_of(rhythm, place),
            true if place.is_multiple_of(2) => step_of(rhythm, place / 2),
            true => (0.0, 0.0),
        }
    }

    fn bar(&self, bar: usize, dice: &mut Dice) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (role, rhythm) in &self.lanes {
            for step in 0..STEPS {
                let (chance, level) = self.step(*role, rhythm, bar, step);
                if dice.chance(chance) {
                    self.push(&mut hits, *role, step, level, dice);
                }
            }
        }
        hits
    }

    /// The second bar: the first one's chances fall the same way, but for rhythms of two bars.
    fn answer(&self, first: &[Hit], dice: &mut Dice) -> Vec<Hit> {
        let two = |(role, rhythm): &&(Role, Rhythm)| {
            rhythm.len() > STEPS || (self.half_time && matches!(role, Role::Kick | Role::Snare | Role::Clap))
        };
        let long: Vec<(Role, Rhythm)> = self.lanes.iter().filter(two).copied().collect();
        let mut hits: Vec<Hit> =
            first.iter().filter(|h| !long.iter().any(|(role, _)| *role == h.role)).copied().collect();
        for (role, rhythm) in long {
            for step in 0..STEPS {
                let (chance, level) = self.step(role, rhythm, 1, step);
                if dice.chance(chance) {
                    self.push(&mut hits, role, step, level, dice);
                }
            }
        }
        hits
    }

    /// One step's hit; a hat may roll, and a roll may rise or fall in pitch.
    fn push(&self, hits: &mut Vec<Hit>, role: Role, step: usize, level: f64, dice: &mut Dice) {
        let accent = if step.is_multiple_of(4) { 0.07 } else { 0.0 };
        let velocity = (level + accent + dice.between(-0.08, 0.06)).clamp(0.12, 1.0);
        let rolls = role == Role::ClosedHat && dice.chance(self.style.feel.rolls);
        let (times, slope) =
            if rolls { (*dice.pick(&[2, 2, 3, 4]), *dice.pick(&[0.0, 0.0, 1.0, -1.0])) } else { (1, 0.0) };
        let pitch = match (role, &self.tuning) {
            (Role::Kick, Some(tuning)) => tuning[step],
            _ => 0.0,
        };
        for k in 0..times {
            let (part, fade) = (f64::from(k) / f64::from(times), 1.0 - 0.12 * f64::from(k));
            hits.push(Hit {
                role,
                at: step as f64 + part,
                velocity: velocity * fade,
                pitch: pitch + slope * f64::from(k),
            });
        }
    }

    /// Draws a few of the steps that are not sure anew.
    fn vary(&self, hits: &mut Vec<Hit>, bar: usize, dice: &mut Dice) {
        for _ in 0..3 {
            let (role, rhythm) = *dice.pick(&self.lanes);
            let step = (dice.unit() * STEPS as f64) as usize;
            let (chance, level) = self.step(role, rhythm, bar % 2, step);
            // Backbeats and first beats stay.
            if chance < 1.0 && !(role == Role::Snare && step.is_multiple_of(8)) {
                hits.retain(|h| h.role != role || h.at as usize != step);
                if dice.chance(chance.max(0.12)) {
                    self.push(hits, role, step, if chance > 0.0 { level } else { 0.4 }, dice);
                }
            }
        }
    }
}

/// Something else over the last beat or two.
fn fill(hits: &mut Vec<Hit>, dice: &mut Dice) {
    let from = STEPS - *dice.pick(&[2, 4, 4, 8]);
    let at = |step: usize, role, velocity, pitch| Hit { role, at: step as f64, velocity, pitch };
    match *dice.pick(&[0, 0, 1, 1, 2, 3]) {
        // A snare roll that rises.
        0 => {
            hits.retain(|hit| !matches!(hit.role, Role::Snare | Role::Clap) || (hit.at as usize) < from);
            let rise = |step: usize| 0.45 + 0.5 * (step - from) as f64 / (STEPS - from) as f64;
            let steps = (from..STEPS).filter(|_| dice.chance(0.8));
            hits.extend(steps.map(|step| at(step, Role::Snare, rise(step), 0.0)));
        }
        // Down the toms.
        1 => {
            hits.retain(|hit| matches!(hit.role, Role::Kick | Role::Shaker) || (hit.at as usize) < from);
            for step in from..STEPS {
                if step == from || dice.chance(0.7) {
                    let down = 6.0 - 10.0 * (step - from) as f64 / (STEPS - from) as f64;
                    hits.push(at(step, Role::Tom, dice.between(0.65, 0.95), down.round()));
                }
            }
        }
        // Silence but for the hats and an upbeat.
        2 => {
            hits.retain(|hit| matches!(hit.role, Role::ClosedHat | Role::Shaker) || (hit.at as usize) < from);
            hits.push(at(STEPS - 2, Role::OpenHat, 0.8, 0.0));
        }
        // Kick and snare in turn.
        _ => {
            hits.retain(|hit| !matches!(hit.role, Role::Kick | Role::Snare) || (hit.at as usize) < from);
            for step in from..STEPS {
                let role = if dice.chance(0.5) { Role::Kick } else { Role::Snare };
                if dice.chance(0.75) {
                    hits.push(at(step, role, dice.between(0.6, 0.95), 0.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::styles::STYLES;

    #[test]
    fn rhythms_have_a_bar_or_two_of_known_marks() {
        for style in &STYLES {
            for rhythm in style.lanes.iter().flat_map(|lane| lane.2) {
                assert!([16, 32].contains(&rhythm.len()), "{}: {rhythm}", style.name);
                assert!(rhythm.chars().all(|c| "Xxg0123456789".contains(c)), "{}: {rhythm}", style.name);
            }
        }
    }

    #[test]
    fn every_style_has_its_beat_and_a_place_for_the_snare() {
        for (index, style) in STYLES.iter().enumerate() {
            for seed in 0..20 {
                let pattern = Pattern::draw(style, 2, &mut Dice::new(seed, index as u64));
                let has = |role: Role, at: f64| pattern.hits.iter().any(|h| h.role == role && h.at == at);
                assert!(style.lanes[0].1 < 1.0 || has(Role::Kick, 0.0), "{} {seed}", style.name);
                assert!(pattern.hits.iter().all(|h| (0.0..32.0).contains(&h.at) && h.velocity <= 1.0));
                let backbeat = [4.0, 8.0].iter().any(|at| has(Role::Snare, *at) || has(Role::Clap, *at));
                let without = ["techno", "dembow", "afro", "ambient", "house", "twostep", "trap", "garage"];
                assert!(backbeat || without.contains(&style.name), "{} {seed}: {pattern:?}", style.name);
            }
        }
    }

    #[test]
    fn the_second_bar_is_nearly_the_first() {
        let (mut same, mut all) = (0, 0);
        for (index, style) in STYLES.iter().enumerate().filter(|(_, s)| s.name == "house" || s.name == "dnb") {
            for seed in 0..40 {
                let pattern = Pattern::draw(style, 4, &mut Dice::new(seed, index as u64));
                let bar = |n: f64| pattern.hits.iter().filter(move |h| (h.at / 16.0).floor() == n);
                all += bar(0.0).count();
                same += bar(0.0).filter(|a| bar(2.0).any(|b| b.role == a.role && b.at == a.at + 32.0)).count();
            }
        }
        assert!(same * 10 > all * 8 && same < all, "{same} of {all}");
    }
}
