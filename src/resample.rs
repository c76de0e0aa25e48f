//! Resampling of loops on the circle: the loop's spectrum, cut or filled up, at the new length.
//!
//! In: one channel of a whole loop at any rate, and a length; out: the loop in that many samples.
//! Exact for a periodic signal up to the lower Nyquist frequency, without delay or seam. Nothing
//! fails; an empty channel stays empty. Any thread.

use realfft::RealFftPlanner;

/// Resamples one channel to `len` samples.
pub fn circular(signal: &[f32], len: usize) -> Vec<f32> {
    if signal.len() == len || signal.is_empty() || len == 0 {
        return signal.to_vec();
    }
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(signal.len()), planner.plan_fft_inverse(len));
    let (mut input, mut spectrum) = (signal.to_vec(), forward.make_output_vec());
    forward.process(&mut input, &mut spectrum).expect("sizes agree");
    spectrum.resize(len / 2 + 1, Default::default());
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
        let out = circular(&sine(4800).collect::<Vec<_>>(), 4410);
        let error = out.iter().zip(sine(4410)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(out.len() == 4410 && error < 1e-4, "{error}");
    }
}
