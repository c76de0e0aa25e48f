//! Phases for magnitudes: phase gradient heap integration (Průša, Balazs and Søndergaard, 2017,
//! "A noniterative method for reconstruction of phase from STFT magnitude"), then fast Griffin-Lim
//! (Perraudin, Balazs and Søndergaard, 2013) on the circle.
//!
//! The first gives attacks and partials their place, the second makes the frames agree. Where they do not,
//! errors count relative to a frame's own power: equal weights would let a hit ring before its time, in
//! frames so much quieter that the sum of the squares does not notice.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use realfft::num_complex::Complex32;

use super::frames::Framing;

/// Width of a Hann window's nearest Gaussian, as a share of the squared window.
const HANN_GAMMA: f32 = 0.25645;
/// Bins this far below the loudest get no reconstructed phase (power ratio 1e-7, in magnitude).
const TOLERANCE: f32 = 3e-4;
/// Share of the loudest frame's power below which quieter frames count no more.
const QUIET: f32 = 1e-5;
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
    let spectra = magnitudes.iter().zip(&phases).map(|(m, p)| Complex32::from_polar(*m, *p)).collect();
    agree(framing, magnitudes, spectra, centres, len, iterations, wanted)
}

/// The same, from spectra whose phases are a guess.
pub fn agree(
    framing: &Framing,
    magnitudes: &[f32],
    mut spectra: Vec<Complex32>,
    centres: &[usize],
    len: usize,
    iterations: usize,
    wanted: &mut dyn FnMut() -> bool,
) -> Option<Vec<f32>> {
    let (mut signal, mut seen, mut last) = (Vec::new(), Vec::new(), Vec::<Complex32>::new());
    let overlap = framing.overlap(centres, weights(magnitudes, framing.bins()), len);
    for _ in 0..iterations {
        if !wanted() {
            return None;
        }
        framing.synthesise(&mut spectra, &overlap, &mut signal);
        framing.analyse(&signal, centres, &mut seen);
        last.resize(seen.len(), Complex32::default());
        for ((s, c), (m, old)) in spectra.iter_mut().zip(&seen).zip(magnitudes.iter().zip(&mut last)) {
            let ahead = *c + (*c - *old) * MOMENTUM;
            *old = *c;
            let norm = norm(ahead);
            *s = if norm > 1e-12 { ahead * (*m / norm) } else { Complex32::new(*m, 0.0) };
        }
    }
    framing.synthesise(&mut spectra, &overlap, &mut signal);
    Some(signal)
}

/// How much each frame counts: the inverse of its share of the loudest frame's power.
fn weights(magnitudes: &[f32], bins: usize) -> Vec<f32> {
    let powers: Vec<f32> = magnitudes.chunks_exact(bins).map(|row| row.iter().map(|m| m * m).sum()).collect();
    let loudest = powers.iter().fold(f32::MIN_POSITIVE, |most, p| most.max(*p));
    powers.iter().map(|p| 1.0 / (p / loudest + QUIET)).collect()
}

/// The absolute value, rounded once as `hypot` does it, but in instructions that work on several.
fn norm(value: Complex32) -> f32 {
    let [re, im] = [value.re, value.im].map(f64::from);
    (re * re + im * im).sqrt() as f32
}

/// A bin whose phase is known; the loudest is integrated from first.
struct Known {
    /// Bits of the magnitude: of numbers above 0 they are in the numbers' order.
    magnitude: u32,
    at: u32,
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.magnitude == other.magnitude
    }
}
impl Eq for Known {}
impl Ord for Known {
    fn cmp(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude)
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
    let hops: Vec<f32> = (0..frames).map(|f| ((centres[(f + 1) % frames] + len - centres[f]) % len) as f32).collect();
    let mean_hop = len as f32 / frames as f32;
    let (mut in_time, mut in_frequency) = (Vec::with_capacity(log.len()), Vec::with_capacity(log.len()));
    for frame in 0..frames {
        let row = |frame: usize| &log[frame % frames * bins..(frame % frames + 1) * bins];
        let (own, before, after) = (row(frame), row(frame + frames - 1), row(frame + 1));
        // Radians a sample: the bin's own frequency and what is beyond.
        in_time.extend((0..bins).map(|bin| {
            let slope = (own[(bin + 1).min(bins - 1)] - own[bin.saturating_sub(1)]) / 2.0;
            std::f32::consts::TAU * bin as f32 / size + slope * size / gamma
        }));
        // Radians a bin.
        in_frequency.extend(before.iter().zip(after).map(|(b, a)| -(a - b) / 2.0 * gamma / (mean_hop * size)));
    }

    let mut phases = vec![0f32; magnitudes.len()];
    let mut done: Vec<bool> = magnitudes.iter().map(|m| *m <= threshold).collect();
    let mut heap = BinaryHeap::new();
    let known = |at: usize| Known { magnitude: magnitudes[at].to_bits(), at: at as u32 };
    let mean = |of: &[f32], a: usize, b: usize| (of[a] + of[b]) / 2.0;
    let mut from = |start: usize, done: &mut [bool]| {
        done[start] = true;
        heap.push(known(start));
        while let Some(Known { at, .. }) = heap.pop() {
            let at = at as usize;
            let (frame, bin) = (at / bins, at % bins);
            let phase = phases[at];
            let mut reach = |to: usize, step: f32, done: &mut [bool]| {
                done[to] = true;
                phases[to] = (phase + step) % std::f32::consts::TAU;
                heap.push(known(to));
            };
            let after = if frame + 1 < frames { at + bins } else { bin };
            let before = if frame > 0 { at - bins } else { at + (frames - 1) * bins };
            if !done[after] {
                reach(after, hops[frame] * mean(&in_time, at, after), done);
            }
            if !done[before] {
                reach(before, -hops[before / bins] * mean(&in_time, at, before), done);
            }
            if bin + 1 < bins && !done[at + 1] {
                reach(at + 1, mean(&in_frequency, at, at + 1), done);
            }
            if bin > 0 && !done[at - 1] {
                reach(at - 1, -mean(&in_frequency, at, at - 1), done);
            }
        }
    };
    let mut order: Vec<u32> = (0..magnitudes.len() as u32).filter(|at| !done[*at as usize]).collect();
    order.sort_unstable_by_key(|at| Reverse(magnitudes[*at as usize].to_bits()));
    for start in order {
        if !done[start as usize] {
            from(start as usize, &mut done);
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::super::frames::centres;
    use super::*;
    use crate::random::Philox;

    #[test]
    fn before_a_hit_there_is_silence() {
        let (framing, len, hit) = (Framing::new(512), 22_050, 9_000);
        let noise = Philox::new(1, 0).normals(len - hit);
        let mut signal = vec![0.0; hit];
        signal.extend(noise.iter().enumerate().map(|(i, n)| 0.2 * n * (-(i as f32) / 2000.0).exp()));
        let centres = centres(len, 128);
        let mut spectra = Vec::new();
        framing.analyse(&signal, &centres, &mut spectra);
        let magnitudes: Vec<f32> = spectra.iter().map(|c| c.norm()).collect();
        let back = signal_of(&framing, &magnitudes, &centres, len, 16, &mut || true).unwrap();
        let level = |from: usize| {
            let power = back[from..from + 172].iter().map(|s| s * s).sum::<f32>();
            10.0 * (power / 172.0).max(1e-12).log10()
        };
        let before = level(hit - 344) - level(hit);
        assert!(before < -55.0, "{before} dB");
    }

    #[test]
    fn absolute_values_are_those_of_hypot() {
        for pair in Philox::new(2, 0).normals(20_000).chunks_exact(2) {
            for scale in [1e-20, 1e-6, 1.0, 1e10] {
                let value = Complex32::new(pair[0] * scale, pair[1] * pair[1] * scale);
                assert!((norm(value) / value.norm() - 1.0).abs() < 1e-7, "{value}");
            }
        }
    }
}
