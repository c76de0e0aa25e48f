//! The choices among the parameters. Their ids are saved in projects and their order is automated:
//! new ones go to the end.

use nice_plug::prelude::Enum;

use crate::{engine, playback};

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
    /// Each key plays one beat or hit.
    #[id = "slice"]
    #[name = "Slice"]
    Slice,
}

impl From<Mode> for playback::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Trigger => Self::Trigger,
            Mode::Sync => Self::Sync,
            Mode::Slice => Self::Slice,
        }
    }
}

/// When a new clip takes over from the one that sounds.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum Swap {
    /// As soon as it is ready.
    #[id = "now"]
    #[name = "At once"]
    Now,
    /// At the next beat.
    #[id = "beat"]
    #[name = "Beat"]
    Beat,
    /// At the next bar.
    #[id = "bar"]
    #[name = "Bar"]
    Bar,
    /// When the loop starts over.
    #[id = "loop"]
    #[name = "Loop"]
    Loop,
}

impl From<Swap> for playback::SwapAt {
    fn from(swap: Swap) -> Self {
        match swap {
            Swap::Now => Self::Now,
            Swap::Beat => Self::Beat,
            Swap::Bar => Self::Bar,
            Swap::Loop => Self::Loop,
        }
    }
}

/// Where the clip is cut in Slice mode.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum Slices {
    /// At each quarter note.
    #[id = "beats"]
    #[name = "Beats"]
    Beats,
    /// At each hit.
    #[id = "hits"]
    #[name = "Hits"]
    Hits,
}

impl From<Slices> for playback::Slicing {
    fn from(slices: Slices) -> Self {
        match slices {
            Slices::Beats => Self::Beats,
            Slices::Hits => Self::Hits,
        }
    }
}

/// How the flow is integrated.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum Solver {
    /// Second order, one evaluation a step.
    #[id = "adams"]
    #[name = "Adams"]
    Adams,
    /// First order.
    #[id = "euler"]
    #[name = "Euler"]
    Euler,
    /// Second order, two evaluations a step.
    #[id = "heun"]
    #[name = "Heun"]
    Heun,
}

impl From<Solver> for engine::Solver {
    fn from(solver: Solver) -> Self {
        match solver {
            Solver::Adams => Self::Adams,
            Solver::Euler => Self::Euler,
            Solver::Heun => Self::Heun,
        }
    }
}
