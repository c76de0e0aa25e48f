//! Drum patterns: a grammar of chances over the sixteen steps of a 4/4 bar for each style.
//!
//! In: a [`Style`], a number of bars and dice. Out: a [`Pattern`], hits with places in sixteenths
//! (swing included, humanising not) and velocities. Nothing fails.

use super::dice::Dice;
use super::sounds::Role;

/// Steps a bar.
pub const STEPS: usize = 16;

/// Chance of a hit at each step, in tenths: one digit a step, X for ten.
pub(super) type Chances = &'static str;

/// What a style sounds like.
pub struct Style {
    /// Its label.
    pub name: &'static str,
    /// Slowest and fastest tempo in beats per minute.
    pub tempo: (f64, f64),
    /// Delay of every second sixteenth, in sixteenths: least and most (a third is a shuffle).
    swing: (f64, f64),
    kick: Chances,
    snare: Chances,
    clap: Chances,
    closed: Chances,
    open: Chances,
    percussion: Chances,
    /// Chance of a snare or hat roll at the end of the last bar.
    fill: f64,
    /// Chance that a hat step is played as two or three quick ones.
    rolls: f64,
}

/// The styles, in the order of their labels' first use.
#[rustfmt::skip]
pub const STYLES: [Style; 10] = [
    Style { name: "house", tempo: (118.0, 130.0), swing: (0.0, 0.12), fill: 0.2, rolls: 0.0,
        kick: "X000X000X000X001", snare: "0000000000000001", clap: "0000X0000000X000",
        closed: "5050505050505050", open: "00X000X000X000X0", percussion: "1013012101310213" },
    Style { name: "techno", tempo: (126.0, 142.0), swing: (0.0, 0.02), fill: 0.1, rolls: 0.0,
        kick: "X000X000X000X000", snare: "0000100000001001", clap: "0000500000005000",
        closed: "8383838383838383", open: "0090009000900090", percussion: "2032023020320232" },
    Style { name: "hiphop", tempo: (74.0, 98.0), swing: (0.08, 0.3), fill: 0.2, rolls: 0.05,
        kick: "X003002250500203", snare: "0000X0010100X001", clap: "0000300000003000",
        closed: "X0X1X0X1X0X1X0X2", open: "0000001000000030", percussion: "0010020001000200" },
    Style { name: "trap", tempo: (130.0, 150.0), swing: (0.0, 0.0), fill: 0.3, rolls: 0.25,
        kick: "X000003000500300", snare: "00000000X0000001", clap: "0000000070000000",
        closed: "X1X1X1X1X1X1X1X1", open: "0000002000000020", percussion: "0001000100020001" },
    Style { name: "dnb", tempo: (165.0, 178.0), swing: (0.0, 0.05), fill: 0.2, rolls: 0.0,
        kick: "X000000300X00100", snare: "0000X0010100X002", clap: "0000200000002000",
        closed: "X0X2X0X2X0X2X0X2", open: "0000001000000020", percussion: "0010010000100100" },
    Style { name: "breaks", tempo: (120.0, 140.0), swing: (0.02, 0.12), fill: 0.3, rolls: 0.0,
        kick: "X0300020035X0010", snare: "0000X0030303X002", clap: "0000100000001000",
        closed: "X0X0X0X0X0X0X0X0", open: "0000000000300020", percussion: "0001001000010010" },
    Style { name: "funk", tempo: (92.0, 116.0), swing: (0.05, 0.16), fill: 0.35, rolls: 0.0,
        kick: "X020002405200302", snare: "0001X0020401X003", clap: "0000000000001000",
        closed: "X3X3X3X3X3X3X3X3", open: "0000002000000040", percussion: "0100100101001010" },
    Style { name: "electro", tempo: (116.0, 136.0), swing: (0.0, 0.04), fill: 0.2, rolls: 0.05,
        kick: "X003005200X30400", snare: "0000X0000000X001", clap: "0000500000005000",
        closed: "X3X3X3X3X3X3X3X3", open: "0010001000100030", percussion: "0203012002030120" },
    Style { name: "garage", tempo: (128.0, 138.0), swing: (0.12, 0.3), fill: 0.15, rolls: 0.05,
        kick: "X0000020005X0030", snare: "0000X0010010X002", clap: "0000400000004000",
        closed: "30X130X230X130X2", open: "0010000000200010", percussion: "0102010201020102" },
    Style { name: "dembow", tempo: (86.0, 104.0), swing: (0.0, 0.04), fill: 0.2, rolls: 0.05,
        kick: "X000X000X000X002", snare: "000X00X0000X00X0", clap: "0001001000010010",
        closed: "5050505050505050", open: "0010000000100000", percussion: "0012001200120012" },
];

/// The chance of a step.
pub(super) fn chance(chances: Chances, step: usize) -> f64 {
    match chances.as_bytes()[step] {
        b'X' => 1.0,
        digit => f64::from(digit - b'0') / 10.0,
    }
}

/// One hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// What is hit.
    pub role: Role,
    /// When, in sixteenths from the start, swing included.
    pub at: f64,
    /// How hard, 0..1.
    pub velocity: f64,
}

/// A drum pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// 4/4 bars.
    pub bars: u32,
    /// Its hits, bar by bar.
    pub hits: Vec<Hit>,
}

impl Pattern {
    /// A bar drawn from the style, repeated with small changes and a fill at the end.
    pub fn draw(style: &Style, bars: u32, dice: &mut Dice) -> Self {
        let swing = dice.between(style.swing.0, style.swing.1);
        let lanes = [
            (Role::Kick, style.kick),
            (Role::Snare, style.snare),
            (Role::Clap, style.clap),
            (Role::ClosedHat, style.closed),
            (Role::OpenHat, style.open),
            (Role::Percussion, style.percussion),
        ];
        // A loop need not use every lane: hats and percussion come and go as a whole.
        let used: Vec<_> = lanes
            .into_iter()
            .filter(|(role, _)| match role {
                Role::Kick | Role::Snare | Role::Clap => true,
                Role::Percussion => dice.chance(0.5),
                Role::ClosedHat => dice.chance(0.95),
                _ => dice.chance(0.85),
            })
            .collect();
        let bar = draw_bar(&used, style, dice);
        let mut hits = Vec::new();
        for index in 0..bars {
            let mut this = bar.clone();
            if index > 0 && dice.chance(0.5) {
                vary(&mut this, &used, style, dice);
            }
            if index + 1 == bars && bars > 1 && dice.chance(style.fill) {
                fill(&mut this, dice);
            }
            let start = f64::from(index) * STEPS as f64;
            hits.extend(this.into_iter().map(|hit| {
                let odd = (hit.at as usize) % 2 == 1;
                Hit { at: start + hit.at + if odd { swing } else { 0.0 }, ..hit }
            }));
        }
        Self { bars, hits }
    }
}

fn draw_bar(lanes: &[(Role, Chances)], style: &Style, dice: &mut Dice) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (role, chances) in lanes {
        for step in 0..STEPS {
            let p = chance(chances, step);
            if dice.chance(p) {
                push(&mut hits, *role, step, p, style, dice);
            }
        }
    }
    hits
}

/// Sure hits are accents, unsure ones ghosts; a hat may roll.
fn push(hits: &mut Vec<Hit>, role: Role, step: usize, p: f64, style: &Style, dice: &mut Dice) {
    let accent = if step.is_multiple_of(4) { 0.08 } else { 0.0 };
    let base = if p >= 0.5 { 0.85 } else { 0.5 };
    let velocity = (base + accent + dice.between(-0.1, 0.07)).clamp(0.15, 1.0);
    let times = if role == Role::ClosedHat && dice.chance(style.rolls) { *dice.pick(&[2, 3]) } else { 1 };
    for k in 0..times {
        let fade = 1.0 - 0.15 * f64::from(k);
        hits.push(Hit { role, at: step as f64 + f64::from(k) / f64::from(times), velocity: velocity * fade });
    }
}

/// Draws two of the sixteen steps of the light lanes anew.
fn vary(hits: &mut Vec<Hit>, lanes: &[(Role, Chances)], style: &Style, dice: &mut Dice) {
    for _ in 0..2 {
        let (role, chances) = *dice.pick(lanes);
        let step = (dice.unit() * STEPS as f64) as usize;
        let p = chance(chances, step);
        if p < 1.0 {
            hits.retain(|h| h.role != role || h.at as usize != step);
            if dice.chance(p.max(0.15)) {
                push(hits, role, step, p, style, dice);
            }
        }
    }
}

/// A rising roll over the last beat.
fn fill(hits: &mut Vec<Hit>, dice: &mut Dice) {
    let role = *dice.pick(&[Role::Snare, Role::Tom, Role::Tom]);
    hits.retain(|hit| hit.role != role || (hit.at as usize) < STEPS - 4);
    for step in STEPS - 4..STEPS {
        if dice.chance(0.8) {
            let velocity = 0.5 + 0.12 * (step + 4 - STEPS) as f64;
            hits.push(Hit { role, at: step as f64, velocity });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_has_sixteen_steps_and_a_beat() {
        for (index, style) in STYLES.iter().enumerate() {
            for lane in [style.kick, style.snare, style.clap, style.closed, style.open, style.percussion] {
                assert_eq!(lane.len(), STEPS, "{}", style.name);
            }
            let pattern = Pattern::draw(style, 2, &mut Dice::new(1, index as u64));
            let kicks: Vec<_> = pattern.hits.iter().filter(|h| h.role == Role::Kick).collect();
            assert!(kicks.iter().any(|h| h.at == 0.0) && kicks.iter().any(|h| h.at == 16.0), "{}", style.name);
            assert!(pattern.hits.iter().all(|h| h.at < 32.0 && h.velocity <= 1.0));
        }
    }
}
