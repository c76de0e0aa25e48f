//! Short-time spectra on a circle, at frame centres in musical time.
//!
//! A loop of `len` samples has a whole number of frames; frame `k` is centred at
//! `k * len / frames`, rounded to a sample, and reads round the end. Phases are relative to the
//! frame's centre. Spectra are `[frame][bin]` with `window / 2 + 1` bins.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// One channel's spectra, frame after frame.
pub type Spectra = Vec<Complex32>;

/// Transforms for one window size; cheap to clone.
#[derive(Clone)]
pub struct Framing {
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl std::fmt::Debug for Framing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Framing({})", self.window.len())
    }
}

/// Frame centres in samples.
pub fn centres(len: usize, frames: usize) -> Vec<usize> {
    (0..frames).map(|k| (k as f64 * len as f64 / frames as f64).round() as usize % len.max(1)).collect()
}

impl Framing {
    /// Hann windows of `window` samples, a power of two.
    pub fn new(window: usize) -> Self {
        let mut planner = RealFftPlanner::<f32>::new();
        let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / window as f64).cos();
        Self {
            window: (0..window).map(|i| hann(i) as f32).collect(),
            forward: planner.plan_fft_forward(window),
            inverse: planner.plan_fft_inverse(window),
        }
    }

    /// Bins of a spectrum.
    pub fn bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// Spectra of `signal`, scaled so that a sine of amplitude 1 peaks at 1.
    pub fn analyse(&self, signal: &[f32], centres: &[usize], spectra: &mut Spectra) {
        let (size, bins) = (self.window.len(), self.bins());
        spectra.resize(centres.len() * bins, Complex32::default());
        let mut buffer = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let scale = 4.0 / size as f32;
        for (centre, out) in centres.iter().zip(spectra.chunks_exact_mut(bins)) {
            self.pieces(*centre, signal.len(), |at, place, window| {
                let values = signal[at..at + window.len()].iter().zip(window);
                buffer[place..place + window.len()].iter_mut().zip(values).for_each(|(b, (s, w))| *b = s * w * scale);
            });
            self.forward.process_with_scratch(&mut buffer, out, &mut scratch).expect("sizes agree");
        }
    }

    /// Calls `piece` with the parts of a frame that lie in one piece: where in a signal of `len` samples,
    /// where in a transform, and the window there. The frame's centre comes first in a transform, so that
    /// phases are relative to it.
    fn pieces(&self, centre: usize, len: usize, mut piece: impl FnMut(usize, usize, &[f32])) {
        let size = self.window.len();
        let (mut done, mut at) = (0, (centre + size * len - size / 2) % len);
        while done < size {
            let place = (done + size / 2) % size;
            let count = (len - at).min(size - done).min(size - place);
            piece(at, place, &self.window[done..done + count]);
            (done, at) = (done + count, (at + count) % len);
        }
    }

    /// The signal whose spectra come closest (least squares; Griffin and Lim, 1984), frames counting as
    /// `overlap` says: windowed overlap-add divided by the summed squared windows.
    pub fn synthesise(&self, spectra: &mut [Complex32], overlap: &Overlap<'_>, signal: &mut Vec<f32>) {
        let bins = self.bins();
        signal.clear();
        signal.resize(overlap.coverage.len(), 0.0);
        let mut buffer = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let frames = overlap.centres.iter().zip(&overlap.weights);
        for ((centre, weight), frame) in frames.zip(spectra.chunks_exact_mut(bins)) {
            frame[0].im = 0.0;
            frame[bins - 1].im = 0.0;
            self.inverse.process_with_scratch(frame, &mut buffer, &mut scratch).expect("sizes agree");
            let scale = 0.25 * weight;
            self.pieces(*centre, signal.len(), |at, place, window| {
                let values = buffer[place..place + window.len()].iter().zip(window);
                signal[at..at + window.len()].iter_mut().zip(values).for_each(|(s, (b, w))| *s += b * w * scale);
            });
        }
        signal.iter_mut().zip(&overlap.coverage).for_each(|(s, sum)| *s /= sum);
    }

    /// Frames at `centres` of a signal of `len` samples, each with its weight, of which the least is about 1.
    pub fn overlap<'a>(&self, centres: &'a [usize], weights: Vec<f32>, len: usize) -> Overlap<'a> {
        let mut coverage = vec![0.0; len];
        for (centre, weight) in centres.iter().zip(&weights) {
            self.pieces(*centre, len, |at, _, window| {
                coverage[at..at + window.len()].iter_mut().zip(window).for_each(|(s, w)| *s += w * w * weight);
            });
        }
        coverage.iter_mut().for_each(|s: &mut f32| *s = s.max(1e-3));
        Overlap { centres, weights, coverage }
    }
}

/// Where frames lie, and how much each counts where they overlap.
pub struct Overlap<'a> {
    centres: &'a [usize],
    /// `[frame]`
    weights: Vec<f32>,
    /// `[sample]`: sum of the weighted squared windows, no less than a thousandth.
    coverage: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analysis_and_synthesis_return_the_loop() {
        let framing = Framing::new(256);
        let signal: Vec<f32> = (0..5000).map(|i| ((i * i) as f32 * 0.001).sin() * 0.5).collect();
        let centres = centres(signal.len(), 77);
        let (mut spectra, mut back) = (Vec::new(), Vec::new());
        framing.analyse(&signal, &centres, &mut spectra);
        for weights in [vec![1.0; 77], (0..77).map(|i| 1.0 + (i % 5) as f32 * 100.0).collect()] {
            let overlap = framing.overlap(&centres, weights, signal.len());
            framing.synthesise(&mut spectra.clone(), &overlap, &mut back);
            let error = signal.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-4, "largest error {error}");
        }
    }

    #[test]
    fn a_sine_of_amplitude_one_peaks_at_one() {
        let framing = Framing::new(1024);
        let signal: Vec<f32> = (0..4096).map(|i| (std::f32::consts::TAU * i as f32 * 64.0 / 1024.0).sin()).collect();
        let mut spectra = Vec::new();
        framing.analyse(&signal, &[500], &mut spectra);
        assert!((spectra[64].norm() - 1.0).abs() < 1e-3);
    }

    /// The plainest reading of a frame, sample by sample; to the bit.
    #[test]
    fn frames_are_read_and_added_round_the_end() {
        let (framing, size) = (Framing::new(64), 64);
        // Also loops shorter than a window.
        for len in [20, 64, 100, 1000] {
            let signal: Vec<f32> = (0..len).map(|i| ((i * i) as f32 * 0.01).sin()).collect();
            let centres = centres(len, 7);
            let place = |centre: usize, i: usize| (centre + i + size * len - size / 2) % len;
            let mut plain = Vec::new();
            for centre in &centres {
                let mut buffer = vec![0.0; size];
                for (i, w) in framing.window.iter().enumerate() {
                    buffer[(i + size / 2) % size] = signal[place(*centre, i)] * w * (4.0 / size as f32);
                }
                let mut spectrum = framing.forward.make_output_vec();
                framing.forward.process(&mut buffer, &mut spectrum).unwrap();
                plain.extend(spectrum);
            }
            let mut spectra = Vec::new();
            framing.analyse(&signal, &centres, &mut spectra);
            assert_eq!(spectra, plain, "{len} samples");

            let (mut sum, mut squares) = (vec![0f32; len], vec![0f32; len]);
            for (centre, spectrum) in centres.iter().zip(plain.chunks_exact_mut(framing.bins())) {
                let mut buffer = framing.inverse.make_output_vec();
                framing.inverse.process(spectrum, &mut buffer).unwrap();
                for (i, w) in framing.window.iter().enumerate() {
                    sum[place(*centre, i)] += buffer[(i + size / 2) % size] * w * 0.25;
                    squares[place(*centre, i)] += w * w;
                }
            }
            sum.iter_mut().zip(squares).for_each(|(s, w)| *s /= w.max(1e-3));
            let mut back = Vec::new();
            framing.synthesise(&mut spectra, &framing.overlap(&centres, vec![1.0; 7], len), &mut back);
            assert_eq!(back, sum, "{len} samples");
        }
    }
}
