//! Loops in keys, moved to the white notes and back: played faster or slower, as a turntable does. A loop in a
//! minor key goes to A minor, one in a major key to C major, which have the same notes; beats stay beats.
//!
//! So a net hears every melody in one scale, and one loop of its makes the same riff in all keys. Any thread;
//! nothing fails.

use std::borrow::Cow;

use realfft::num_complex::Complex32;

use crate::clip::{Clip, SAMPLE_RATE};
use crate::key::Key;
use crate::resample;

/// A loop on the white notes, at the tempo that it then has; the loop itself where no key is known.
pub fn to_white(clip: &Clip, key: Option<Key>) -> Cow<'_, Clip> {
    match white_tempo(clip.beats, clip.bpm, key) {
        bpm if bpm == clip.bpm => Cow::Borrowed(clip),
        bpm => Cow::Owned(at_tempo(clip, bpm)),
    }
}

/// The tempo at which a loop of so many beats has to be made on the white notes, for it to have `bpm` in a key: 0.71
/// to 1.34 times as fast. Within three cents, so that the length suits Fourier transforms: one with large primes takes
/// several times as long.
pub fn white_tempo(beats: u32, bpm: f64, key: Option<Key>) -> f64 {
    let Some(semitones) = key.map(Key::to_white).filter(|semitones| *semitones != 0) else { return bpm };
    let len = smooth(Clip::length(beats, bpm * (f64::from(semitones) / 12.0).exp2(), SAMPLE_RATE));
    f64::from(beats) * 60.0 * f64::from(SAMPLE_RATE) / len as f64
}

/// The number of small primes that is nearest.
fn smooth(len: usize) -> usize {
    let small = |n: &usize| {
        let divided = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31].iter().fold(*n, |mut n, prime| {
            while n > 0 && n.is_multiple_of(*prime) {
                n /= prime;
            }
            n
        });
        divided == 1
    };
    (0..len).flat_map(|apart| [len + apart, len - apart]).find(small).unwrap_or(len)
}

/// A loop that was made at [`white_tempo`], in its key; on the way through a filter, where there is one, given as
/// what it does to a frequency in hertz on the white notes.
pub fn from_white(clip: Clip, bpm: f64, filter: Option<&dyn Fn(f64) -> Complex32>) -> Clip {
    match filter {
        None if clip.bpm == bpm => clip,
        None => at_tempo(&clip, bpm),
        Some(filter) => {
            let width = f64::from(clip.sample_rate) / clip.len().max(1) as f64;
            let through = |bin: usize| filter(bin as f64 * width);
            resampled(&clip, bpm, &|channel, len| resample::circular_through(channel, len, &through))
        }
    }
}

/// All of the loop in the time that its beats have at another tempo.
fn at_tempo(clip: &Clip, bpm: f64) -> Clip {
    resampled(clip, bpm, &resample::circular)
}

fn resampled(clip: &Clip, bpm: f64, channel: &dyn Fn(&[f32], usize) -> Vec<f32>) -> Clip {
    let len = Clip::length(clip.beats, bpm, clip.sample_rate);
    let samples = clip.samples.each_ref().map(|samples| channel(samples, len));
    let place = |hit: &u32| (u64::from(*hit) * len as u64 / clip.len().max(1) as u64) as u32;
    let hits = clip.hits.iter().map(place).collect();
    Clip { samples, sample_rate: clip.sample_rate, beats: clip.beats, bpm, provenance: clip.provenance.clone(), hits }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Four beats at 120 bpm of a note, by its MIDI number, and its hits.
    fn tone(note: f64) -> Clip {
        let hertz = 440.0 * ((note - 69.0) / 12.0).exp2();
        // Whole periods: a circle.
        let periods = (2.0 * hertz).round();
        let sample = |i: usize| (0.5 * (TAU * periods * i as f64 / 88_200.0).sin()) as f32;
        let samples: Vec<f32> = (0..88_200).map(sample).collect();
        let samples = [samples.clone(), samples];
        Clip { samples, sample_rate: 44_100, beats: 4, bpm: 120.0, provenance: None, hits: vec![0, 44_100] }
    }

    fn hertz(clip: &Clip) -> f64 {
        let samples = &clip.samples[0];
        let rising = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        rising as f64 / clip.seconds()
    }

    #[test]
    fn a_tonic_goes_to_a_or_c_and_back() {
        for number in 0..Key::COUNT {
            let key = Key::from_number(number).unwrap();
            let tonic = tone(60.0 + key.tonic() as f64);
            let white = to_white(&tonic, Some(key));
            let note = 69.0 + 12.0 * (hertz(&white) / 440.0).log2();
            let wanted = if key.short().ends_with("maj") { 0.0 } else { 9.0 };
            let apart = (note - wanted).rem_euclid(12.0);
            assert!(apart.min(12.0 - apart) < 0.1, "{key}: {note}");
            assert!((note - 60.0 - key.tonic() as f64).abs() < 6.1, "{key}: half an octave is enough, {note}");
            assert_eq!((white.beats, white.len()), (4, Clip::length(4, white.bpm, 44_100)));
            assert_eq!(white.bpm, white_tempo(4, 120.0, Some(key)));
            assert_eq!(white.len(), if key.to_white() == 0 { 88_200 } else { smooth(white.len()) });
            assert!((f64::from(white.hits[1]) / white.len() as f64 - 0.5).abs() < 1e-4, "beats stay beats");
            let back = from_white(white.into_owned(), 120.0, None);
            let error = back.samples[0].iter().zip(&tonic.samples[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(back.len() == tonic.len() && back.bpm == 120.0 && error < 1e-3, "{key}: {error}");
        }
    }

    #[test]
    fn lengths_suit_transforms_and_are_within_two_cents() {
        for bpm in 60..180 {
            for key in (0..Key::COUNT).filter_map(Key::from_number) {
                let exact = f64::from(bpm) * (f64::from(key.to_white()) / 12.0).exp2();
                let cents = 1200.0 * (white_tempo(8, bpm.into(), Some(key)) / exact).log2();
                assert!(cents.abs() < 2.0, "{key} at {bpm}: {cents} cents");
            }
        }
        assert_eq!([1, 31, 37, 88_200, 0].map(smooth), [1, 31, 38, 88_200, 0]);
    }

    #[test]
    fn what_has_no_key_stays() {
        let clip = tone(61.0);
        assert_eq!(*to_white(&clip, None), clip);
        assert_eq!(white_tempo(4, 93.0, None), 93.0);
        assert_eq!(from_white(clip.clone(), 120.0, None), clip);
        let halved =
            from_white(clip.clone(), 120.0, Some(&|hertz| Complex32::from(if hertz > 250.0 { 0.5 } else { 0.0 })));
        assert!((halved.peak() - clip.peak() / 2.0).abs() < 1e-3 && halved.len() == clip.len());
    }
}
