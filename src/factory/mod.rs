//! The training loops of the factory model: patterns of our own, played on licence-clean sounds.
//!
//! In: folders of one-shots and a sound font ([`sounds`]), and a seed. Out: loops of whole 4/4
//! bars at whole tempos, stereo at 44.1 kHz, peak -1 dBFS, exactly [`Clip::length`] samples, with
//! what rings past the end folded onto the start, so that each is an exact circle. Drum loops are
//! labelled by style, melodic ones by part. Loop `i` of a set follows from the seed, `i`, the
//! options and the sources alone, never from the number of cores. Runs in the companion, on all
//! cores, into a sink that may end the set early. Only sources fail ([`FactoryError`]).

pub mod dice;
pub mod font;
pub mod melodic;
pub mod pattern;
pub mod render;
pub mod sounds;

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::clip::Clip;
use dice::Dice;
use melodic::{PARTS, Part, Score};
use pattern::{Pattern, STYLES, Style};
use sounds::{FactoryError, SoundBank, Sources};

/// A rendered loop.
pub struct FactoryLoop {
    /// The loop.
    pub clip: Clip,
    /// Its style (drums) or part (melodic).
    pub label: &'static str,
    /// A name without spaces that is unique in its set.
    pub name: String,
    /// The families of its sounds, joined by `+`: for splits by source.
    pub source: String,
}

/// Which labels a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Content {
    Drums,
    Melodic,
    /// Drums, and the melodic parts where there is a sound font.
    All,
}

/// What to render.
#[derive(Clone, Debug)]
pub struct SetOptions {
    /// How many loops.
    pub loops: usize,
    /// Names the set.
    pub seed: u64,
    /// Length in bars, at least 1; None for mostly two, sometimes one or four.
    pub bars: Option<u32>,
    /// Which labels.
    pub content: Content,
}

impl Default for SetOptions {
    fn default() -> Self {
        Self { loops: 1400, seed: 0, bars: None, content: Content::All }
    }
}

/// What came of a set.
#[derive(Debug)]
pub struct Summary {
    /// Loops handed to the sink.
    pub loops: usize,
    /// Their length together.
    pub seconds: f64,
    /// One-shots that they were made of.
    pub sounds: usize,
    /// Sources that were not there: the same seed with them gives another set.
    pub missing: Vec<FactoryError>,
}

/// Renders a set from the sources that are there (at least one), in order, into `sink`.
pub fn render_from(
    sources: &Sources,
    options: &SetOptions,
    sink: &mut dyn FnMut(FactoryLoop) -> ControlFlow<()>,
) -> Result<Summary, FactoryError> {
    let (bank, missing) = SoundBank::load_available(sources)?;
    let (loops, seconds) = render_with(&bank, options, sink)?;
    Ok(Summary { loops, seconds, sounds: bank.len(), missing })
}

/// Renders a set from a bank; how many loops and seconds the sink took.
pub fn render_with(
    bank: &SoundBank,
    options: &SetOptions,
    sink: &mut dyn FnMut(FactoryLoop) -> ControlFlow<()>,
) -> Result<(usize, f64), FactoryError> {
    /// Loops held at once: enough for all cores, about 100 MB.
    const AT_ONCE: usize = 64;
    if options.bars.is_some_and(|bars| !(1..=16).contains(&bars)) {
        return Err(FactoryError::Bars);
    }
    let plans = plans(bank, options.content)?;
    let (mut taken, mut seconds) = (0, 0.0);
    for first in (0..options.loops).step_by(AT_ONCE) {
        let last = (first + AT_ONCE).min(options.loops);
        let made: Result<Vec<FactoryLoop>, FactoryError> = (first..last)
            .into_par_iter()
            .map(|index| render_loop(bank, &plans[index % plans.len()], options, index))
            .collect();
        for one in made? {
            (taken, seconds) = (taken + 1, seconds + one.clip.seconds());
            if sink(one).is_break() {
                return Ok((taken, seconds));
            }
        }
    }
    Ok((taken, seconds))
}

/// What one loop is: labels take turns.
enum Plan {
    Drums(&'static Style),
    Melodic(&'static Part),
}

fn plans(bank: &SoundBank, content: Content) -> Result<Vec<Plan>, FactoryError> {
    let drums = STYLES.iter().map(Plan::Drums);
    let melodic = PARTS.iter().map(Plan::Melodic);
    Ok(match (content, bank.font()) {
        (Content::Drums, _) | (Content::All, None) => drums.collect(),
        (Content::Melodic, None) => return Err(FactoryError::NoFont),
        (Content::Melodic, Some(_)) => melodic.collect(),
        (Content::All, Some(_)) => drums.chain(melodic).collect(),
    })
}

fn render_loop(bank: &SoundBank, plan: &Plan, options: &SetOptions, index: usize) -> Result<FactoryLoop, FactoryError> {
    /// Most loops have two bars.
    const BARS: [u32; 6] = [1, 2, 2, 2, 2, 4];
    let mut dice = Dice::new(options.seed, index as u64);
    let bars = *dice.pick(&BARS);
    let bars = options.bars.unwrap_or(bars);
    let (label, clip, source) = match plan {
        Plan::Drums(style) => {
            let bpm = dice.whole(style.tempo);
            let pattern = Pattern::draw(style, bars, &mut dice);
            let kit = bank.draw_kit(&mut dice);
            let clip = render::drums(&pattern, &kit, bpm, &mut dice);
            (style.name, clip, kit.source())
        }
        Plan::Melodic(part) => {
            let bpm = dice.whole(melodic::TEMPO);
            let score = Score::draw(part, bars, &mut dice);
            let font = bank.font().ok_or(FactoryError::NoFont)?;
            let clip = render::melodic(&score, font, bpm, &mut dice)?;
            (part.name, clip, format!("font-{}-{}", part.name, score.program))
        }
    };
    Ok(FactoryLoop { clip, label, name: format!("{label}-{index:05}"), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::SAMPLE_RATE;

    fn set(options: &SetOptions) -> Vec<FactoryLoop> {
        let mut loops = Vec::new();
        let bank = SoundBank::of_test_tones();
        render_with(&bank, options, &mut |one| {
            loops.push(one);
            ControlFlow::Continue(())
        })
        .unwrap();
        loops
    }

    fn options(loops: usize, seed: u64) -> SetOptions {
        SetOptions { loops, seed, ..SetOptions::default() }
    }

    #[test]
    fn a_seed_names_its_set_and_its_beginning() {
        let (a, b, other) = (set(&options(70, 5)), set(&options(12, 5)), set(&options(12, 6)));
        assert_eq!(a.len(), 70);
        for (a, b) in a.iter().zip(&b) {
            assert!(a.clip == b.clip && a.name == b.name && a.source == b.source);
        }
        assert!(b.iter().zip(&other).all(|(b, o)| b.clip != o.clip));
    }

    #[test]
    fn loops_are_exact_circles_at_whole_tempos() {
        for one in set(&options(40, 1)) {
            let clip = &one.clip;
            assert_eq!(clip.len(), Clip::length(clip.beats, clip.bpm, SAMPLE_RATE), "{}", one.name);
            assert!(clip.bpm.fract() == 0.0 && (70.0..=180.0).contains(&clip.bpm), "{}", one.name);
            assert!((clip.peak() - 0.891).abs() < 1e-3, "{}", one.name);
            for channel in &clip.samples {
                let near = 1024;
                let step = |i: usize| (channel[(i + 1) % channel.len()] - channel[i]).abs();
                let around = (0..near).chain(clip.len() - 1 - near..clip.len() - 1);
                let local = around.map(step).fold(0.0, f32::max);
                let seam = step(clip.len() - 1);
                assert!(seam <= local + 1e-4, "{}: {seam} > {local}", one.name);
            }
        }
    }

    #[test]
    fn options_are_kept_or_refused() {
        let fixed = SetOptions { bars: Some(3), ..options(8, 2) };
        assert!(set(&fixed).iter().all(|one| one.clip.beats == 12));
        let bank = SoundBank::of_test_tones();
        let refuse =
            |options: SetOptions| render_with(&bank, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        let none = SetOptions { bars: Some(0), ..options(1, 0) };
        assert!(matches!(refuse(none), FactoryError::Bars));
        let melodic = SetOptions { content: Content::Melodic, ..options(1, 0) };
        assert!(matches!(refuse(melodic), FactoryError::NoFont));
    }

    #[test]
    fn a_sink_ends_the_set() {
        let bank = SoundBank::of_test_tones();
        let (taken, _) = render_with(&bank, &options(100, 0), &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!(taken, 1);
    }
}
