//! Dense layers for a few frames at a time on the CPU, for a net that is asked the same question over and
//! over: weights are laid out once, and read once a step.
//!
//! In: rows of 32-bit floats, channel last, and a packed [`Matrix`]; out: rows. What a convolution of kernel k
//! sees of consecutive frames lies in one piece, so it is a product over a [`Rows`] view of overlapping rows
//! and nothing is gathered. [`Cpu`] has the operations that a net needs and shares them among a [`Team`] of
//! threads. Every output is one chain of additions in the order of the inputs, whatever the number of rows and
//! threads: with the same instructions the same numbers come out, to the bit.
//!
//! Shapes that do not fit are the caller's mistake and panic. Any thread but the audio thread may call it; the
//! calling thread does its share. Instructions are chosen when the program runs: AVX-512, AVX2 with FMA and
//! F16C, else plain Rust, which compilers turn into SSE2 or NEON. `unsafe` lives in `simd` and `team` alone.
#![deny(unsafe_code)]

mod elementwise;
mod matrix;
mod ops;
mod portable;
mod rows;
#[allow(unsafe_code)]
mod simd;
#[allow(unsafe_code)]
mod team;

#[cfg(test)]
mod tests;

pub use elementwise::Activation;
pub use matrix::{Matrix, Storage};
pub use ops::{Attention, Cpu, Norm, Output, memory_speed};
pub use rows::{Layout, Rows};
pub use simd::Isa;
pub use team::Team;

/// Outputs of a panel of weights, and channels of an attention head.
pub const PANEL: usize = 32;
/// Most rows that are worked on at once.
pub(crate) const TILE: usize = 12;
/// Most tiles that share what was read of a panel.
pub(crate) const TILES: usize = 8;
/// Inputs of a panel that stay in the fastest cache while its tiles take their turns: 32 kB in 32 bits.
pub(crate) const PIECE: usize = 256;

/// Sums of a few rows and one panel.
pub(crate) type Tile = [[f32; PANEL]; TILE];
