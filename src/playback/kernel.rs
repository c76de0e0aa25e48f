//! Windowed-sinc tables for reading a clip between its samples.
//!
//! One table a cut-off, so that a clip played faster than it was made does not alias. A table is
//! `[phase][tap]`, one phase more than [`PHASES`] so that neighbours can be blended; at phase 0 and
//! full band it is a unit impulse: at its own rate a clip is read exactly.
//! Source: J. O. Smith, "Digital Audio Resampling", windowed-sinc interpolation; window: Kaiser, beta 8.

use std::f64::consts::PI;
use std::sync::{Arc, OnceLock};

/// Taps of a full-band table; lower cut-offs use as many, wider apart in the sinc.
pub(super) const TAPS: usize = 24;
/// Positions between two samples.
const PHASES: usize = 256;
/// Cut-offs as shares of the clip's band; the last serves everything faster.
const CUTOFFS: [f64; 6] = [1.0, 0.84, 0.7, 0.59, 0.5, 0.25];

pub(super) struct Kernels {
    tables: Vec<Vec<[f32; TAPS]>>,
}

impl Kernels {
    /// The tables, computed once in a process.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Kernels>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(Self { tables: CUTOFFS.map(table).into() })).clone()
    }

    /// Taps for a place `frac` (0..1) past a sample, when the clip is read at `speed` samples a
    /// sample; tap i belongs to sample `i + 1 - TAPS / 2`.
    pub fn taps(&self, frac: f64, speed: f64) -> [f32; TAPS] {
        let cutoff = CUTOFFS.iter().rposition(|c| c * speed >= 1.0 - 1e-6).unwrap_or(0);
        let table = &self.tables[if speed <= 1.0 { 0 } else { cutoff }];
        let at = frac * PHASES as f64;
        let (phase, blend) = (at as usize, at.fract() as f32);
        let (a, b) = (&table[phase], &table[phase + 1]);
        std::array::from_fn(|i| a[i] + blend * (b[i] - a[i]))
    }
}

fn table(cutoff: f64) -> Vec<[f32; TAPS]> {
    let half = TAPS as f64 / 2.0;
    let phase = |p: usize| {
        let frac = p as f64 / PHASES as f64;
        let taps: [f64; TAPS] = std::array::from_fn(|i| {
            let x = i as f64 + 1.0 - half - frac;
            let sinc = if x == 0.0 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
            sinc * kaiser(x / half)
        });
        let sum: f64 = taps.iter().sum();
        taps.map(|t| (t / sum) as f32)
    };
    (0..=PHASES).map(phase).collect()
}

fn kaiser(x: f64) -> f64 {
    const BETA: f64 = 8.0;
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}
