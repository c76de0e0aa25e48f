//! What a host can automate. Ids and ranges are promises to saved projects: never change them.

use std::sync::Arc;

use nice_plug::prelude::*;

use super::memory::Memory;
use crate::engine::{Session, styles};

/// The largest seed.
pub const MAX_SEED: i32 = 9999;
/// The most solver steps.
pub const MAX_STEPS: i32 = 64;

/// The largest number of a style: room for models of many labels.
pub const MAX_STYLE: i32 = 32;
/// The name of no style in particular.
const ANY: &str = "Any";

/// Length of a loop.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Bars {
    #[id = "1"]
    #[name = "1 bar"]
    One,
    #[id = "2"]
    #[name = "2 bars"]
    Two,
    #[id = "4"]
    #[name = "4 bars"]
    Four,
    #[id = "8"]
    #[name = "8 bars"]
    Eight,
}

impl Bars {
    /// How many.
    pub fn count(self) -> u32 {
        1 << self as u32
    }
}

/// What makes the loop sound.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum Mode {
    /// Notes start it and set its pitch.
    #[id = "trigger"]
    #[name = "Trigger"]
    Trigger,
    /// It plays with the host's transport, in its place.
    #[id = "sync"]
    #[name = "Sync"]
    Sync,
}

/// The instrument's parameters.
#[derive(Params)]
pub struct FlowloopParams {
    /// The clip that plays, so that a project sounds the same when it is opened again.
    #[persist = "clip"]
    pub memory: Memory,
    /// Seed of the noise, 0 to 9999: one seed, one clip.
    #[id = "seed"]
    pub seed: IntParam,
    /// Solver steps, 1 to 64: more are finer and slower.
    #[id = "steps"]
    pub steps: IntParam,
    /// Style: 0 is any, 1 the model's first label.
    #[id = "style"]
    pub style: IntParam,
    /// Length in bars of the host's time signature.
    #[id = "bars"]
    pub bars: EnumParam<Bars>,
    /// Notes or transport.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
}

impl FlowloopParams {
    /// The defaults; the session's clip is kept with them.
    pub fn new(session: Arc<Session>) -> Self {
        Self {
            memory: Memory(session),
            seed: IntParam::new("Seed", 0, IntRange::Linear { min: 0, max: MAX_SEED }),
            steps: IntParam::new("Steps", 8, IntRange::Linear { min: 1, max: MAX_STEPS }),
            style: style(),
            bars: EnumParam::new("Bars", Bars::Two),
            mode: EnumParam::new("Mode", Mode::Trigger),
        }
    }
}

/// Shown and typed by the built-in model's names.
fn style() -> IntParam {
    let names: Arc<[String]> = std::iter::once(ANY.to_string()).chain(styles()).collect();
    let typed = names.clone();
    let shown = move |style: i32| names.get(style as usize).cloned().unwrap_or_else(|| format!("Style {style}"));
    let parse = move |text: &str| {
        let known = typed.iter().position(|n| n.eq_ignore_ascii_case(text.trim()));
        let number = || text.trim().trim_start_matches("Style ").parse().ok();
        known.map(|i| i as i32).or_else(number)
    };
    IntParam::new("Style", 0, IntRange::Linear { min: 0, max: MAX_STYLE })
        .with_value_to_string(Arc::new(shown))
        .with_string_to_value(Arc::new(parse))
}
