//! Phases for magnitudes: phase gradient heap integration (Průša, Balazs and Søndergaard, 2017,
//! "A noniterative method for reconstruction of phase from STFT magnitude"), then fast Griffin-Lim
//! (Perraudin, Balazs and Søndergaard, 2013) on the circle.
//!
//! The first gives attacks and partials their place, the second makes the frames agree.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use realfft::num_complex::Complex32;

use super::frames::Framing;

/// Width of a Hann window's nearest Gaussian, as a share of the squared window.
const HANN_GAMMA: f32 = 0.25645;
/// Bins this far below the loudest get no reconstructed phase (power ratio 1e-7, in magnitude).
const TOLERANCE: f32 = 3e-4;
/// Momentum of fast Griffin-Lim.
const MOMENTUM: f32 = 0.99;

/// A signal of `len` samples whose spectra have the magnitudes `[frame][bin]`; None when, between rounds,
/// it is not wanted any more.
pub fn signal_of(
    framing: &Framing,
    magnitudes: &[f32],
    centres: &[usize],
    len: usize,
    iterations: usize,
    wanted: &mut dyn FnMut() -> bool,
) -> Option<Vec<f32>> {
    if magnitudes.iter().all(|m| *m == 0.0) {
        return Some(vec![0.0; len]);
    }
    let phases = integrate(magnitudes, framing.bins(), centres, len);
    let mut spectra: Vec<Complex32> =
        magnitudes.iter().zip(&phases).map(|(m, p)| Complex32::from_polar(*m, *p)).collect();
    let (mut signal, mut seen, mut last) = (Vec::new(), Vec::new(), Vec::<Complex32>::new());
    for _ in 0..iterations {
        if !wanted() {
            return None;
        }
        framing.synthesise(&mut spectra, centres, len, &mut signal);
        framing.analyse(&signal, centres, &mut seen);
        last.resize(seen.len(), Complex32::default());
        for ((s, c), (m, old)) in spectra.iter_mut().zip(&seen).zip(magnitudes.iter().zip(&mut last)) {
            let ahead = *c + (*c - *old) * MOMENTUM;
            *old = *c;
            let norm = ahead.norm();
            *s = if norm > 1e-12 { ahead * (*m / norm) } else { Complex32::new(*m, 0.0) };
        }
    }
    framing.synthesise(&mut spectra, centres, len, &mut signal);
    Some(signal)
}

/// A bin whose phase is known; the loudest is integrated from first.
#[derive(PartialEq)]
struct Known {
    magnitude: f32,
    frame: u32,
    bin: u32,
}

impl Eq for Known {}
impl Ord for Known {
    fn cmp(&self, other: &Self) -> Ordering {
        self.magnitude.total_cmp(&other.magnitude)
    }
}
impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Phases `[frame][bin]` by heap integration of the log magnitude's gradients.
fn integrate(magnitudes: &[f32], bins: usize, centres: &[usize], len: usize) -> Vec<f32> {
    let frames = centres.len();
    let size = 2.0 * (bins - 1) as f32;
    let gamma = HANN_GAMMA * size * size;
    let loudest = magnitudes.iter().fold(0f32, |m, v| m.max(*v));
    let threshold = loudest * TOLERANCE;
    let log: Vec<f32> = magnitudes.iter().map(|m| m.max(threshold).ln()).collect();
    let hop = |frame: usize| {
        let next = centres[(frame + 1) % frames];
        ((next + len - centres[frame]) % len) as f32
    };
    let mean_hop = len as f32 / frames as f32;
    let omega = |bin: usize| std::f32::consts::TAU * bin as f32 / size;
    // Radians a sample, beyond the bin's own frequency.
    let in_time = |frame: usize, bin: usize| {
        let row = &log[frame * bins..(frame + 1) * bins];
        let slope = (row[(bin + 1).min(bins - 1)] - row[bin.saturating_sub(1)]) / 2.0;
        omega(bin) + slope * size / gamma
    };
    // Radians a bin.
    let in_frequency = |frame: usize, bin: usize| {
        let (before, after) = ((frame + frames - 1) % frames, (frame + 1) % frames);
        -(log[after * bins + bin] - log[before * bins + bin]) / 2.0 * gamma / (mean_hop * size)
    };

    let mut phases = vec![0f32; magnitudes.len()];
    let mut done: Vec<bool> = magnitudes.iter().map(|m| *m <= threshold).collect();
    let mut order: Vec<u32> = (0..magnitudes.len() as u32).filter(|i| !done[*i as usize]).collect();
    order.sort_unstable_by(|a, b| magnitudes[*b as usize].total_cmp(&magnitudes[*a as usize]));
    let mut heap = BinaryHeap::new();
    let known = |at: usize| Known { magnitude: magnitudes[at], frame: (at / bins) as u32, bin: (at % bins) as u32 };
    for start in order {
        if done[start as usize] {
            continue;
        }
        done[start as usize] = true;
        heap.push(known(start as usize));
        while let Some(Known { frame, bin, .. }) = heap.pop() {
            let (frame, bin) = (frame as usize, bin as usize);
            let phase = phases[frame * bins + bin];
            let (before, after) = ((frame + frames - 1) % frames, (frame + 1) % frames);
            let mut reach = |f: usize, b: usize, step: f32| {
                let at = f * bins + b;
                if !done[at] {
                    done[at] = true;
                    phases[at] = (phase + step) % std::f32::consts::TAU;
                    heap.push(known(at));
                }
            };
            let mean = |a: f32, b: f32| (a + b) / 2.0;
            reach(after, bin, hop(frame) * mean(in_time(frame, bin), in_time(after, bin)));
            reach(before, bin, -hop(before) * mean(in_time(frame, bin), in_time(before, bin)));
            if bin + 1 < bins {
                reach(frame, bin + 1, mean(in_frequency(frame, bin), in_frequency(frame, bin + 1)));
            }
            if bin > 0 {
                reach(frame, bin - 1, -mean(in_frequency(frame, bin), in_frequency(frame, bin - 1)));
            }
        }
    }
    phases
}
