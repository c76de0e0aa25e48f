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
        let (size, bins, len) = (self.window.len(), self.bins(), signal.len());
        spectra.resize(centres.len() * bins, Complex32::default());
        let mut buffer = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let scale = 4.0 / size as f32;
        for (centre, out) in centres.iter().zip(spectra.chunks_exact_mut(bins)) {
            let mut at = (centre + size * len - size / 2) % len;
            for (i, w) in self.window.iter().enumerate() {
                // The frame's centre comes first, so that phases are relative to it.
                buffer[(i + size / 2) % size] = signal[at] * w * scale;
                at = if at + 1 == len { 0 } else { at + 1 };
            }
            self.forward.process_with_scratch(&mut buffer, out, &mut scratch).expect("sizes agree");
        }
    }

    /// The signal of `len` samples whose spectra come closest (least squares; Griffin and Lim,
    /// 1984): windowed overlap-add divided by the summed squared windows.
    pub fn synthesise(&self, spectra: &mut [Complex32], centres: &[usize], len: usize, signal: &mut Vec<f32>) {
        let (size, bins) = (self.window.len(), self.bins());
        signal.clear();
        signal.resize(len, 0.0);
        let mut buffer = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let scale = 0.25;
        for (centre, frame) in centres.iter().zip(spectra.chunks_exact_mut(bins)) {
            frame[0].im = 0.0;
            frame[bins - 1].im = 0.0;
            self.inverse.process_with_scratch(frame, &mut buffer, &mut scratch).expect("sizes agree");
            let mut at = (centre + size * len - size / 2) % len;
            for (i, w) in self.window.iter().enumerate() {
                signal[at] += buffer[(i + size / 2) % size] * w * scale;
                at = if at + 1 == len { 0 } else { at + 1 };
            }
        }
        for (s, weight) in signal.iter_mut().zip(self.coverage(centres, len)) {
            *s /= weight.max(1e-3);
        }
    }

    /// Sum of the squared windows over each sample.
    fn coverage(&self, centres: &[usize], len: usize) -> Vec<f32> {
        let size = self.window.len();
        let mut sum = vec![0.0; len];
        for centre in centres {
            let mut at = (centre + size * len - size / 2) % len;
            for w in &self.window {
                sum[at] += w * w;
                at = if at + 1 == len { 0 } else { at + 1 };
            }
        }
        sum
    }
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
        framing.synthesise(&mut spectra, &centres, signal.len(), &mut back);
        let error = signal.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 1e-4, "largest error {error}");
    }

    #[test]
    fn a_sine_of_amplitude_one_peaks_at_one() {
        let framing = Framing::new(1024);
        let signal: Vec<f32> = (0..4096).map(|i| (std::f32::consts::TAU * i as f32 * 64.0 / 1024.0).sin()).collect();
        let mut spectra = Vec::new();
        framing.analyse(&signal, &[500], &mut spectra);
        assert!((spectra[64].norm() - 1.0).abs() < 1e-3);
    }
}
