//! The training loops of the factory model: patterns of our own, played on licence-clean sounds.
//!
//! In: folders of one-shots and a sound font ([`sources`]), and a seed; synthesis ([`synth`]) adds
//! to them. Out: loops of whole 4/4 bars at whole tempos, stereo at 44.1 kHz, peak -1 dBFS,
//! exactly [`Clip::length`] samples, each an exact circle, effects included. Drum loops are
//! labelled by style, melodic ones by part. A set may keep to one side of a fixed division of the
//! sounds ([`hold_out`]), so that held-out loops are of unheard sounds. Loop `i` of a set follows
//! from the seed, `i`, the options and the sources alone, never from the number of cores. Runs in
//! the companion, on all cores, into a sink that may end the set early. Only sources fail
//! ([`FactoryError`]).

pub mod circle;
pub mod dice;
pub mod effects;
pub mod font;
pub mod harmony;
pub mod hold_out;
pub mod melodic;
pub mod pattern;
pub mod render;
pub mod sounds;
pub mod sources;
pub mod styles;
pub mod synth;

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::clip::Clip;
use crate::key::Key;
use dice::Dice;
use hold_out::Side;
use melodic::{PARTS, Part, Score};
use pattern::Pattern;
use render::Instrument;
use sounds::{Make, SoundBank};
use sources::FactoryError;
use styles::{STYLES, Style};
use synth::Recipe;
use synth::patch::Patch;

/// A rendered loop.
pub struct FactoryLoop {
    /// The loop.
    pub clip: Clip,
    /// Its style (drums) or part (melodic).
    pub label: &'static str,
    /// A name without spaces that is unique in its set, with the key.
    pub name: String,
    /// The names of its sounds, joined by `+`.
    pub source: String,
}

/// Which labels a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Content {
    Drums,
    Melodic,
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
    /// Which sounds.
    pub side: Side,
}

impl Default for SetOptions {
    fn default() -> Self {
        Self { loops: 1400, seed: 0, bars: None, content: Content::All, side: Side::All }
    }
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
    let plans = plans(options.content);
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

fn plans(content: Content) -> Vec<Plan> {
    let drums = STYLES.iter().map(Plan::Drums);
    let melodic = PARTS.iter().map(Plan::Melodic);
    match content {
        Content::Drums => drums.collect(),
        Content::Melodic => melodic.collect(),
        Content::All => drums.chain(melodic).collect(),
    }
}

fn render_loop(bank: &SoundBank, plan: &Plan, options: &SetOptions, index: usize) -> Result<FactoryLoop, FactoryError> {
    /// Most loops have two bars.
    const BARS: [u32; 6] = [1, 2, 2, 2, 2, 4];
    // Held-out loops have patterns of their own, too.
    let first = if options.side == Side::HeldOut { 1 << 40 } else { 0 };
    let mut dice = Dice::new(options.seed, first + index as u64);
    let bars = *dice.pick(&BARS);
    let bars = options.bars.unwrap_or(bars);
    let (label, key, clip, source) = match plan {
        Plan::Drums(style) => {
            let bpm = dice.whole(style.tempo);
            let pattern = Pattern::draw(style, bars, &mut dice);
            let kit = bank.draw_kit(make(style, &mut dice), options.side, &mut dice);
            let clip = render::drums(&pattern, style, &kit, bpm, &mut dice);
            (style.name, None, clip, kit.source(&pattern.roles()))
        }
        Plan::Melodic(part) => {
            let bpm = dice.whole(melodic::TEMPO);
            let score = Score::draw(part, bars, &mut dice);
            let (instrument, source) = instrument(bank, part, options.side, &mut dice)?;
            (part.name, Some(score.key), render::melodic(&score, part, instrument, bpm, &mut dice), source)
        }
    };
    let of_key = key.map_or(String::new(), |key: Key| format!("_{}", key.short()));
    Ok(FactoryLoop { clip, label, name: format!("{label}-{index:05}{of_key}"), source })
}

fn make(style: &Style, dice: &mut Dice) -> Make {
    let [synthesised, sampled, _] = style.makes;
    match dice.unit() {
        u if u < synthesised => Make::Synthesised,
        u if u < synthesised + sampled => Make::Sampled,
        _ => Make::Mixed,
    }
}

/// A synthesiser or, where there is a font, one of its programs; and its name as a source.
fn instrument(
    bank: &SoundBank,
    part: &Part,
    side: Side,
    dice: &mut Dice,
) -> Result<(Instrument, String), FactoryError> {
    const SYNTHESISED: f64 = 0.6;
    match bank.font().filter(|_| !dice.chance(SYNTHESISED)) {
        Some(font) => {
            let program = *dice.pick(&part.programs(side));
            Ok((Instrument::program(font, program)?, melodic::program_name(program)))
        }
        None => {
            let recipe = Recipe::draw(part.name, side, dice);
            Ok((Instrument::Synth(Patch::draw(part.kind, &mut recipe.dice())), recipe.name))
        }
    }
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
        let one_bar = |loops, seed| set(&SetOptions { bars: Some(1), ..options(loops, seed) });
        let (a, b, other) = (one_bar(70, 5), one_bar(12, 5), one_bar(12, 6));
        assert_eq!(a.len(), 70);
        for (a, b) in a.iter().zip(&b) {
            assert!(a.clip == b.clip && a.name == b.name && a.source == b.source);
        }
        assert!(b.iter().zip(&other).all(|(b, o)| b.clip != o.clip));
    }

    #[test]
    fn loops_are_exact_circles_at_whole_tempos() {
        for one in set(&options(44, 1)) {
            let clip = &one.clip;
            assert_eq!(clip.len(), Clip::length(clip.beats, clip.bpm, SAMPLE_RATE), "{}", one.name);
            assert!(clip.bpm.fract() == 0.0 && (70.0..=180.0).contains(&clip.bpm), "{}", one.name);
            assert!((clip.peak() - 0.891).abs() < 1e-3, "{}", one.name);
            for channel in &clip.samples {
                let (inside, seam) = circle::steps(channel);
                assert!(seam <= inside, "{}: {seam} > {inside}", one.name);
            }
        }
    }

    #[test]
    fn every_label_sounds_in_each_bar() {
        for one in set(&SetOptions { bars: Some(2), ..options(44, 8) }) {
            for (bar, part) in one.clip.samples[0].chunks(one.clip.len().div_ceil(2)).enumerate() {
                let level = (part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32).sqrt();
                assert!(level > 0.01, "{} bar {bar}: {level}", one.name);
            }
        }
    }

    #[test]
    fn onsets_are_on_the_grid() {
        let of = |label: &str| -> Vec<f64> {
            let drums = SetOptions { content: Content::Drums, bars: Some(1), ..options(54, 4) };
            let loops = set(&drums);
            loops.iter().filter(|one| one.label == label).map(|one| crate::measure::on_grid(&one.clip)).collect()
        };
        // Played tightly and hardly swung.
        for label in ["techno", "trap", "electro"] {
            let shares = of(label);
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            assert!(mean > 0.85, "{label}: {shares:?}");
        }
    }

    #[test]
    fn held_out_loops_are_of_unheard_sounds() {
        let sources = |side: Side| -> Vec<String> {
            let loops = set(&SetOptions { side, bars: Some(1), ..options(44, 3) });
            loops.iter().flat_map(|one| one.source.split('+').map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        let (training, held_out) = (sources(Side::Training), sources(Side::HeldOut));
        assert!(held_out.len() >= 44 && held_out.iter().all(|name| !training.contains(name)));
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
        let melodic = SetOptions { content: Content::Melodic, ..options(4, 0) };
        assert!(set(&melodic).iter().map(|one| one.label).eq(PARTS.iter().map(|part| part.name)));
    }

    #[test]
    fn a_sink_ends_the_set() {
        let bank = SoundBank::of_test_tones();
        let (taken, _) = render_with(&bank, &options(100, 0), &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!(taken, 1);
    }
}
