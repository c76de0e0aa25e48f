//! Decoded audio to audio that can be learned from.
//!
//! In: [`Audio`] as decoded; out: the same, finite, without DC offset, within a sane level, with
//! a note for each thing mended; or the reason why not. Any thread.

use super::decode::Audio;
use super::{Note, ScanOptions, SkipReason};

/// Peaks above this are no headroom any more but another unit (integers stored as floats).
const LOUDEST: f32 = 4.0;
/// Means below this are left alone.
const OFFSET: f64 = 1e-3;
/// One broken sample in so many is mended, more are refused.
const MENDABLE: usize = 10_000;

pub(super) fn clean(audio: &mut Audio, options: &ScanOptions) -> Result<Vec<Note>, SkipReason> {
    let mut notes = Vec::new();
    if audio.truncated {
        notes.push(Note::Truncated);
    }
    if audio.channels > 2 {
        notes.push(Note::MixedDown(audio.channels));
    }
    let frames = audio.samples[0].len();
    let seconds = frames as f64 / f64::from(audio.sample_rate);
    if audio.overlong || seconds > options.longest_seconds {
        return Err(SkipReason::Endless(seconds));
    }
    let broken = audio.samples.iter().flatten().filter(|s| !s.is_finite());
    let broken = broken.count();
    if broken > 2 * frames / MENDABLE {
        return Err(SkipReason::NotFinite(broken));
    }
    if broken > 0 {
        let samples = audio.samples.iter_mut().flatten();
        samples.for_each(|s| *s = if s.is_finite() { *s } else { 0.0 });
        notes.push(Note::NotFinite(broken));
    }
    // A surround mix may add up beyond full scale, and is then brought back.
    let ceiling = if audio.channels > 2 { 1.0 } else { LOUDEST };
    let loud = peak(audio);
    if loud > ceiling {
        scale(audio, 1.0 / f64::from(loud));
        notes.push(Note::Loud(loud));
    }
    if remove_offset(audio) {
        notes.push(Note::Offset);
    }
    if peak(audio) < options.silence {
        return Err(SkipReason::Silent);
    }
    if seconds < options.shortest_seconds {
        return Err(SkipReason::Short(seconds));
    }
    Ok(notes)
}

fn peak(audio: &Audio) -> f32 {
    let samples = audio.samples.iter().flatten();
    samples.fold(0f32, |m, s| m.max(s.abs()))
}

fn scale(audio: &mut Audio, by: f64) {
    let samples = audio.samples.iter_mut().flatten();
    samples.for_each(|s| *s = (f64::from(*s) * by) as f32);
}

fn remove_offset(audio: &mut Audio) -> bool {
    let mut removed = false;
    for channel in &mut audio.samples {
        let sum: f64 = channel.iter().map(|s| f64::from(*s)).sum();
        let mean = sum / channel.len() as f64;
        if mean.abs() > OFFSET {
            channel.iter_mut().for_each(|s| *s = (f64::from(*s) - mean) as f32);
            removed = true;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(wave: impl Fn(usize) -> f32) -> (Audio, Result<Vec<Note>, SkipReason>) {
        let samples: Vec<f32> = (0..44_100).map(wave).collect();
        let mut audio =
            Audio { samples: [samples.clone(), samples], sample_rate: 44_100, channels: 2, ..Audio::default() };
        let result = clean(&mut audio, &ScanOptions::default());
        (audio, result)
    }

    #[test]
    fn offset_and_level() {
        let (audio, notes) = cleaned(|i| 1e38 * (0.5 + (i as f32 * 0.1).sin()));
        assert_eq!(notes, Ok(vec![Note::Loud(audio_peak()), Note::Offset]));
        assert!(peak(&audio) <= 1.0 && audio.samples[0].iter().sum::<f32>().abs() < 1.0);
        fn audio_peak() -> f32 {
            (0..44_100).fold(0f32, |m, i| m.max((1e38 * (0.5 + (i as f32 * 0.1).sin())).abs()))
        }
        assert_eq!(cleaned(|_| 0.7).1, Err(SkipReason::Silent));
    }

    #[test]
    fn few_broken_samples_are_mended_many_are_not() {
        let wave = |i: usize| (i as f32 * 0.1).sin();
        let (audio, notes) = cleaned(|i| if i == 100 { f32::NAN } else { wave(i) });
        assert_eq!(notes, Ok(vec![Note::NotFinite(2)]));
        assert!(audio.samples[0].iter().all(|s| s.is_finite()));
        let (_, notes) = cleaned(|i| if i % 100 == 0 { f32::INFINITY } else { wave(i) });
        assert_eq!(notes, Err(SkipReason::NotFinite(882)));
    }
}
