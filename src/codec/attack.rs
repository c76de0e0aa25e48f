//! The attack of low sounds. The lowest range has long windows, so a kick that is decoded swells for half a window
//! before it should begin, and what sounds too early is missing when it does. When hits begin is known from the short
//! windows of the highest range: there, what rises too early in the low signal is taken down to what sounded before,
//! and its energy goes to what comes after. What does not rise at a hit, such as a bass below a hat, is left alone.

use super::Codec;

/// Rise of the bands' mean level over two spectra from which a hit begins, in decibels.
const HIT: f32 = 8.0;
/// Rise of the low signal's power over a hit from which it is part of it.
const RISES: f32 = 2.0;
/// Most by which the power behind the beginning grows.
const MOST: f32 = 4.0;
/// Windows in which the low signal's power is measured, by its own window.
const FINE: usize = 8;

impl Codec {
    /// When hits begin, as shares of the loop, by the mid levels of the highest range.
    pub(super) fn hits(&self, patches: &[f32]) -> Vec<f64> {
        let Some(layer) = self.layers.iter().skip(1).last() else { return Vec::new() };
        let (bands, rows) = (layer.resolution.bands, layer.rows.len());
        let patches = patches.chunks_exact(self.weights.len());
        let spectra: Vec<&[f32]> =
            patches.flat_map(|p| p[layer.patch.clone()].chunks_exact(rows)).map(|s| &s[..bands]).collect();
        let count = spectra.len();
        let mean = |sum: f32| sum / bands as f32;
        let levels: Vec<f32> = spectra.iter().map(|s| mean(s.iter().sum())).collect();
        let rise = |k: usize| {
            let before = spectra[(k + count - 2) % count];
            mean(spectra[k].iter().zip(before).map(|(now, then)| (now - then).max(0.0)).sum())
        };
        let rises: Vec<f32> = (0..count).map(rise).collect();
        let around = |k: usize, by: usize| (0..=2 * by).map(move |i| (k + count - by + i) % count);
        let steepest = |k: &usize| rises[*k] > HIT && around(*k, 3).all(|other| rises[other] <= rises[*k]);
        (0..count)
            .filter(steepest)
            .map(|k| {
                // Half of a window behind the beginning: half of the power.
                let level = |i: usize| levels[(k + count + i - 3) % count];
                let half = (3..=5).map(level).fold(f32::MIN, f32::max) - 3.0;
                let above = (1..=5).find(|i| level(*i) >= half).unwrap_or(3);
                let (low, high) = (level(above - 1), level(above));
                let share = ((half - low) / (high - low).max(1e-3)).clamp(0.0, 1.0);
                let place = (k + count + above) as f64 - 4.0 + f64::from(share);
                place / count as f64 % 1.0
            })
            .collect()
    }
}

/// Lets what rises in a signal of long windows begin with the hits.
pub fn sharpen(signal: &mut [f32], window: usize, hits: &[f64]) {
    let (len, half) = (signal.len(), window / 2);
    if len < 2 * window {
        return;
    }
    for hit in hits {
        let at = (hit * len as f64).round() as usize;
        let place = |i: isize| (at as isize + i).rem_euclid(len as isize) as usize;
        let power = |signal: &[f32], from: isize, to: isize| {
            (from..to).map(|i| signal[place(i)].powi(2)).sum::<f32>() / (to - from) as f32
        };
        let half = half as isize;
        let (before, after) = (power(signal, -2 * half, -half), power(signal, 0, half));
        if after < RISES * before {
            continue;
        }
        let fine = (window / FINE) as isize;
        let gains: Vec<f32> =
            (-half..0).map(|i| (before / power(signal, i - fine, i + 1).max(1e-12)).min(1.0)).collect();
        let mut taken = 0.0;
        for (i, gain) in (-half..0).zip(gains) {
            let sample = &mut signal[place(i)];
            taken += sample.powi(2) * (1.0 - gain);
            *sample *= gain.sqrt();
        }
        let weight = |i: isize| 1.0 - i as f32 / half as f32;
        let weighted: f32 = (0..half).map(|i| signal[place(i)].powi(2) * weight(i)).sum();
        let more = (taken / weighted.max(1e-12)).min(MOST - 1.0);
        (0..half).for_each(|i| signal[place(i)] *= (1.0 + more * weight(i)).sqrt());
    }
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::super::frames::centres;
    use super::super::phase;
    use super::*;
    use crate::codec::tests::codec;

    /// A tone of 60 Hz, as the lowest range decodes it, in a loop of 8192 samples at its rate.
    fn decoded(codec: &Codec, level: impl Fn(usize) -> f32) -> (Vec<f32>, usize) {
        let layer = &codec.layers[0];
        let (len, rate) = (8192, 44_100.0 / layer.decimation as f32);
        let tone = |i: usize| level(i) * (std::f32::consts::TAU * 60.0 * i as f32 / rate).sin();
        let signal: Vec<f32> = (0..len).map(tone).collect();
        let (mut spectra, centres) = (Vec::new(), centres(len, 256));
        layer.decimated.analyse(&signal, &centres, &mut spectra);
        let magnitudes: Vec<f32> = spectra.iter().map(|c| c.norm()).collect();
        let back = phase::signal_of(&layer.decimated, &magnitudes, &centres, len, 16, &mut || true).unwrap();
        (back, layer.resolution.window / layer.decimation)
    }

    fn power(signal: &[f32]) -> f32 {
        signal.iter().map(|s| s * s).sum()
    }

    #[test]
    fn a_kick_begins_with_its_click_and_keeps_its_power() {
        let (codec, _) = codec();
        let (kick, window) =
            decoded(&codec, |i| if i < 4096 { 0.0 } else { 0.5 * (4096.0 - i as f32).exp2().max(0.2) });
        let mut sharp = kick.clone();
        sharpen(&mut sharp, window, &[0.5]);
        let early = |signal: &[f32]| power(&signal[4096 - window / 2..4096]);
        assert!(early(&kick) > 1e-3 * power(&kick), "it swells before it begins: {}", early(&kick) / power(&kick));
        assert!(early(&sharp) < 0.1 * early(&kick), "{} of {}", early(&sharp), early(&kick));
        assert!((power(&sharp) / power(&kick) - 1.0).abs() < 0.02, "{} of {}", power(&sharp), power(&kick));
        assert_eq!(sharp[4096 + window..], kick[4096 + window..]);
    }

    #[test]
    fn a_bass_below_a_hat_is_left_alone() {
        let (codec, _) = codec();
        let (bass, window) = decoded(&codec, |_| 0.5);
        let mut same = bass.clone();
        sharpen(&mut same, window, &[0.1, 0.5, 0.999]);
        assert_eq!(same, bass);
    }

    #[test]
    fn hits_are_found_where_they_begin() {
        let (codec, clips) = codec();
        // Decaying noise begins on each eighth of the loop.
        let loud: Vec<f64> = (0..8)
            .filter(|i| clips[0].samples[0][i * 10_240..i * 10_240 + 400].iter().any(|s| s.abs() > 0.1))
            .map(|i| i as f64 / 8.0)
            .collect();
        let hits = codec.hits(&codec.patches(&clips[0]).unwrap());
        let near = |a: f64, b: f64| (a - b + 0.5).rem_euclid(1.0) - 0.5;
        assert!(loud.len() > 3, "{loud:?}");
        for begins in loud {
            // Two milliseconds of the loop of 1.86 s.
            assert!(hits.iter().any(|hit| near(*hit, begins).abs() < 2e-3 / 1.86), "none at {begins}: {hits:?}");
        }
        assert!(hits.len() <= 8, "{hits:?}");
    }
}
