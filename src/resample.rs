//! Resampling of loops on the circle: the loop's spectrum, cut or filled up, at the new length.
//!
//! In: one channel of a whole loop at any rate, and a length; out: the loop in that many samples.
//! Exact for a periodic signal up to the lower Nyquist frequency, without delay or seam. Nothing
//! fails; an empty channel stays empty. Any thread.

use std::sync::{Arc, LazyLock, Mutex};

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Lengths whose transforms are kept: those of the loops of a session. A transform takes about as much memory
/// as a loop.
const KEPT: usize = 8;

/// Transforms that were used last, by their lengths; planning one takes longer than running it.
struct Recent<T: ?Sized>(Vec<(usize, Arc<T>)>);

impl<T: ?Sized> Recent<T> {
    fn get(&mut self, len: usize, plan: impl FnOnce(usize) -> Arc<T>) -> Arc<T> {
        match self.0.iter().position(|(known, _)| *known == len) {
            Some(place) => self.0[..=place].rotate_right(1),
            None => {
                self.0.truncate(KEPT - 1);
                self.0.insert(0, (len, plan(len)));
            }
        }
        self.0[0].1.clone()
    }
}

type Transforms = (Recent<dyn RealToComplex<f32>>, Recent<dyn ComplexToReal<f32>>);

static TRANSFORMS: LazyLock<Mutex<Transforms>> = LazyLock::new(|| Mutex::new((Recent(Vec::new()), Recent(Vec::new()))));

/// The transforms from `from` samples and to `to` samples.
fn transforms(from: usize, to: usize) -> (Arc<dyn RealToComplex<f32>>, Arc<dyn ComplexToReal<f32>>) {
    let mut transforms = TRANSFORMS.lock().unwrap_or_else(|e| e.into_inner());
    // A planner keeps all that it ever made.
    let forward = transforms.0.get(from, |len| RealFftPlanner::new().plan_fft_forward(len));
    (forward, transforms.1.get(to, |len| RealFftPlanner::new().plan_fft_inverse(len)))
}

/// Resamples one channel to `len` samples.
pub fn circular(signal: &[f32], len: usize) -> Vec<f32> {
    match signal.len() == len {
        true => signal.to_vec(),
        false => circular_through(signal, len, &|_| Complex32::ONE),
    }
}

/// The spectrum of one channel, `len / 2 + 1` bins: bin `k` goes round the loop `k` times.
pub fn spectrum(signal: &[f32]) -> Vec<Complex32> {
    if signal.is_empty() {
        return Vec::new();
    }
    let (forward, _) = transforms(signal.len(), signal.len());
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut signal.to_vec(), &mut spectrum).expect("sizes agree");
    spectrum
}

/// Resamples one channel to `len` samples, through a filter that is given as what it does to each bin.
pub fn circular_through(signal: &[f32], len: usize, filter: &dyn Fn(usize) -> Complex32) -> Vec<f32> {
    if signal.is_empty() || len == 0 {
        return signal.to_vec();
    }
    let (forward, inverse) = transforms(signal.len(), len);
    let (mut input, mut spectrum) = (signal.to_vec(), forward.make_output_vec());
    forward.process(&mut input, &mut spectrum).expect("sizes agree");
    spectrum.resize(len / 2 + 1, Default::default());
    spectrum.iter_mut().enumerate().for_each(|(bin, value)| *value *= filter(bin));
    spectrum[0].im = 0.0;
    // The bin at the lower Nyquist frequency stands for two, which only one length can tell apart.
    let shorter = len.min(signal.len());
    if shorter.is_multiple_of(2) {
        spectrum[shorter / 2] = Default::default();
    }
    let mut out = inverse.make_output_vec();
    inverse.process(&mut spectrum, &mut out).expect("sizes agree");
    let scale = 1.0 / signal.len() as f32;
    out.iter_mut().for_each(|s| *s *= scale);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_stays_a_sine() {
        let sine = |n: usize| (0..n).map(move |i| (std::f32::consts::TAU * 20.0 * i as f32 / n as f32).sin());
        // More lengths than are kept, and again.
        for len in [4410, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009, 4410, 4002] {
            let out = circular(&sine(4800).collect::<Vec<_>>(), len);
            let error = out.iter().zip(sine(len)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(out.len() == len && error < 1e-4, "{len} samples: {error}");
        }
    }
}
