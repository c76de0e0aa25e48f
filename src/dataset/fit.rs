//! Audio to loops of whole beats.
//!
//! In: a whole file's audio at 44.1 kHz and what is known of its tempo ([`Hints`]); out: one
//! clip, or several where the audio is longer than a loop may be. Each clip's length is exactly
//! [`Clip::length`] of its beats and tempo. Audio that holds whole beats is used as it is and
//! the tempo follows from its length; other audio is cut at a bar, or filled up with silence
//! where less than half a beat is missing. Any thread.

use super::tempo::{self, Named, TempoSource};
use super::{Note, ScanOptions, SkipReason};
use crate::clip::{Clip, SAMPLE_RATE};

/// What a file tells about its tempo.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hints {
    /// Beats of the `acid` chunk.
    pub acid_beats: Option<u32>,
    /// Tempo of the `acid` chunk.
    pub acid_bpm: Option<f64>,
    /// Tempo in the name.
    pub named: Option<Named>,
    /// The audio is what lies between the loop points of a `smpl` chunk.
    pub between_loop_points: bool,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Fitted {
    pub clips: Vec<Clip>,
    pub source: TempoSource,
    pub notes: Vec<Note>,
}

/// Beats at a tempo, and whether the audio holds exactly these.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// The audio is these beats.
    Whole(u32),
    /// The audio is cut or filled up to these beats.
    Adjusted(u32),
}

/// Beats in a bar of 4/4.
const BAR: u32 = 4;
/// A length is whole beats when it is off by less than this share and by less than
/// [`CLOSE_BEATS`]: stated tempos are rounded, but a grid must not drift by half a beat.
const CLOSE: f64 = 0.02;
const CLOSE_BEATS: f64 = 0.3;
/// Most silence added, in beats.
const FILL: f64 = 0.5;

/// Fits `samples` (both channels of one length, not empty).
pub(super) fn fit(samples: [Vec<f32>; 2], hints: Hints, options: &ScanOptions) -> Result<Fitted, SkipReason> {
    let seconds = samples[0].len() as f64 / f64::from(SAMPLE_RATE);
    let mut notes = Vec::new();
    let (bpm, plan, source) = match stated(seconds, hints, &mut notes) {
        Some(found) => found,
        None => {
            if seconds > options.longest_untold {
                return Err(SkipReason::Long(seconds));
            }
            let most = options.longest_beats;
            let found = tempo::estimate(&samples, SAMPLE_RATE, most).ok_or(SkipReason::NoTempo)?;
            const WEAK: f64 = 0.1;
            if found.evidence < WEAK {
                if rings_out(&samples) {
                    return Err(SkipReason::SingleHit);
                }
                notes.push(Note::WeakTempo);
            }
            let source = match hints.between_loop_points {
                true => TempoSource::Smpl,
                false => TempoSource::Estimated,
            };
            let bpm = f64::from(found.beats) * 60.0 / seconds;
            (bpm, Plan::Whole(found.beats), source)
        }
    };
    let beats = match plan {
        Plan::Whole(beats) | Plan::Adjusted(beats) => beats,
    };
    if beats == 0 {
        return Err(SkipReason::UnderABeat { seconds, bpm });
    }
    let clips = match plan {
        _ if beats > options.longest_beats => pieces(&samples, beats, bpm, plan, options, &mut notes),
        Plan::Whole(_) => vec![whole(samples, beats, bpm)],
        Plan::Adjusted(_) => {
            let beats_held = seconds * bpm / 60.0;
            notes.push(match f64::from(beats) > beats_held {
                true => Note::Filled(f64::from(beats) - beats_held),
                false => Note::Cut(beats_held - f64::from(beats)),
            });
            vec![piece(&samples, 0, beats, bpm)]
        }
    };
    Ok(Fitted { clips, source, notes })
}

/// Tempo, beats and source, where a chunk or the name tells them.
fn stated(seconds: f64, hints: Hints, notes: &mut Vec<Note>) -> Option<(f64, Plan, TempoSource)> {
    const SANE: std::ops::RangeInclusive<f64> = 30.0..=300.0;
    if let Some(beats) = hints.acid_beats {
        let implied = f64::from(beats) * 60.0 / seconds;
        match hints.acid_bpm {
            Some(bpm) if close(seconds * bpm / 60.0, beats) => {
                return Some((bpm, Plan::Whole(beats), TempoSource::Acid));
            }
            None if SANE.contains(&implied) => {
                return Some((implied, Plan::Whole(beats), TempoSource::Acid));
            }
            _ => notes.push(Note::AcidContradicts(beats)),
        }
    }
    if let Some(bpm) = hints.acid_bpm {
        return Some((bpm, plan(seconds * bpm / 60.0), TempoSource::Acid));
    }
    let Named { bpm, sure } = hints.named?;
    match plan(seconds * bpm / 60.0) {
        // A lone number in a name must be borne out by the length.
        Plan::Adjusted(_) if !sure => None,
        plan => Some((bpm, plan, TempoSource::FileName)),
    }
}

/// Whether the sound only dies away: at least 40 dB are gone at its end, and the second half is
/// 20 dB below the first.
fn rings_out(samples: &[Vec<f32>; 2]) -> bool {
    let power = |from: f64, to: f64| {
        let count = samples[0].len() as f64;
        let part = (from * count) as usize..(to * count) as usize;
        let squares = samples.iter().flat_map(|c| &c[part.clone()]);
        squares.map(|s| f64::from(*s).powi(2)).sum::<f64>() / ((to - from) * count)
    };
    power(0.5, 1.0) < 1e-2 * power(0.0, 0.5) && power(0.95, 1.0) < 1e-4 * power(0.0, 0.1)
}

fn close(held: f64, beats: u32) -> bool {
    let beats = f64::from(beats);
    (held - beats).abs() <= (beats * CLOSE).min(CLOSE_BEATS)
}

/// Whole bars if `held` beats are close to them, or whole beats; otherwise the bars (beats, if
/// less than a bar) to cut or fill up to. Zero beats when less than one is held.
fn plan(held: f64) -> Plan {
    let bars = (held / f64::from(BAR)).round() as u32 * BAR;
    let beats = held.round() as u32;
    if let Some(near) = [bars, beats].into_iter().find(|b| *b > 0 && close(held, *b)) {
        return Plan::Whole(near);
    }
    let unit = if held > f64::from(BAR) - FILL { BAR } else { 1 };
    let below = (held / f64::from(unit)).floor() as u32 * unit;
    let above = below + unit;
    match f64::from(above) - held <= FILL && held >= 1.0 {
        true => Plan::Adjusted(above),
        false => Plan::Adjusted(below),
    }
}

/// All of the samples; of the tempos that give this length, the one that is stated, or the
/// roundest.
fn whole(samples: [Vec<f32>; 2], beats: u32, stated: f64) -> Clip {
    let exact = f64::from(beats) * 60.0 * f64::from(SAMPLE_RATE) / samples[0].len() as f64;
    let round = |to: f64| (exact * to).round() / to;
    let mut bpm = exact;
    for candidate in [stated, round(1.0), round(100.0), round(10_000.0)] {
        if candidate > 0.0 && Clip::length(beats, candidate, SAMPLE_RATE) == samples[0].len() {
            bpm = candidate;
            break;
        }
    }
    clip(samples, beats, bpm)
}

/// Loops of at most the longest length, from the start on; a rest of whole bars is one more.
fn pieces(
    samples: &[Vec<f32>; 2],
    beats: u32,
    stated: f64,
    plan: Plan,
    options: &ScanOptions,
    notes: &mut Vec<Note>,
) -> Vec<Clip> {
    // Where the whole holds whole beats, these give the tempo, so that the last cut is in time.
    let bpm = match plan {
        Plan::Whole(_) => f64::from(beats) * 60.0 * f64::from(SAMPLE_RATE) / samples[0].len() as f64,
        Plan::Adjusted(_) => stated,
    };
    let longest = options.longest_beats.max(1);
    let mut clips = Vec::new();
    let mut at = 0;
    while at < beats {
        let mut take = (beats - at).min(longest);
        if at > 0 && take < longest {
            take -= take % BAR;
        }
        if take == 0 {
            break;
        }
        clips.push(piece(samples, at, take, bpm));
        at += take;
    }
    let held = samples[0].len() as f64 / f64::from(SAMPLE_RATE) * bpm / 60.0;
    notes.push(Note::Divided { loops: clips.len(), left_out: (held - f64::from(at)).max(0.0) });
    clips
}

/// `beats` from beat `from` on. The last 5 ms go over into what comes before the first sample
/// (silence, at the file's start), so that the seam does not click.
fn piece(samples: &[Vec<f32>; 2], from: u32, beats: u32, bpm: f64) -> Clip {
    const FADE: usize = SAMPLE_RATE as usize / 200;
    let start = Clip::length(from, bpm, SAMPLE_RATE);
    let len = Clip::length(beats, bpm, SAMPLE_RATE);
    let cut = samples.each_ref().map(|channel| {
        let held = &channel[start.min(channel.len())..(start + len).min(channel.len())];
        let mut out = held.to_vec();
        // Where silence follows, the fade is towards it.
        let (end, silence) = (held.len(), held.len() < len);
        let fade = FADE.min(end);
        for i in 0..fade {
            let weight = (i + 1) as f32 / fade as f32;
            let before = match silence {
                true => 0.0,
                false => (start + i).checked_sub(fade).map_or(0.0, |at| channel[at]),
            };
            let sample = &mut out[end - fade + i];
            *sample += (before - *sample) * weight;
        }
        out.resize(len, 0.0);
        out
    });
    clip(cut, beats, bpm)
}

fn clip(samples: [Vec<f32>; 2], beats: u32, bpm: f64) -> Clip {
    Clip { samples, sample_rate: SAMPLE_RATE, beats, bpm, provenance: None, hits: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(seconds: f64, bpm: f64, sure: bool) -> Result<Fitted, SkipReason> {
        let len = (seconds * 44_100.0) as usize;
        let wave: Vec<f32> = (0..len).map(|i| (i as f32 * 0.05).sin()).collect();
        let hints = Hints { named: Some(Named { bpm, sure }), ..Hints::default() };
        fit([wave.clone(), wave], hints, &ScanOptions::default())
    }

    #[test]
    fn whole_bars_first() {
        assert_eq!(plan(8.0), Plan::Whole(8));
        assert_eq!(plan(8.1), Plan::Whole(8));
        assert_eq!(plan(3.01), Plan::Whole(3));
        assert_eq!(plan(63.0), Plan::Whole(63));
        assert_eq!(plan(9.5), Plan::Adjusted(8));
        assert_eq!(plan(7.6), Plan::Adjusted(8));
        assert_eq!(plan(3.6), Plan::Adjusted(4));
        assert_eq!(plan(2.3), Plan::Adjusted(2));
        assert_eq!(plan(0.8), Plan::Adjusted(0));
    }

    #[test]
    fn every_length_is_exact() {
        for (seconds, bpm) in [(4.01, 120.0), (3.8, 120.0), (5.1, 120.0), (100.3, 174.0)] {
            for clip in named(seconds, bpm, true).unwrap().clips {
                assert_eq!(clip.len(), Clip::length(clip.beats, clip.bpm, SAMPLE_RATE));
                assert!((clip.bpm / bpm - 1.0).abs() <= CLOSE && clip.beats <= 64);
            }
        }
    }

    #[test]
    fn a_long_take_is_divided_at_bars() {
        // 290 beats and a bit: four loops of 16 bars, eight bars, two beats left out.
        let found = named(100.3, 174.0, true).unwrap();
        let beats: Vec<u32> = found.clips.iter().map(|c| c.beats).collect();
        assert_eq!(beats, [64, 64, 64, 64, 32]);
        assert!(matches!(found.notes[..], [Note::Divided { loops: 5, .. }]));
    }

    #[test]
    fn cut_seams_do_not_step() {
        let cut = named(5.2, 120.0, true).unwrap();
        assert!(matches!(cut.notes[..], [Note::Cut(beats)] if (beats - 2.4).abs() < 0.01));
        let divided = named(100.3, 174.0, true).unwrap();
        for clip in cut.clips.iter().chain(&divided.clips) {
            // The wave steps by 0.05 at most, and begins at 0.
            let [left, _] = &clip.samples;
            let step = (left[0] - left[left.len() - 1]).abs();
            assert!(step < 0.051, "{step}");
        }
    }

    #[test]
    fn a_lone_number_must_be_borne_out() {
        let beside = named(4.4, 120.0, false);
        assert!(!beside.is_ok_and(|found| found.source == TempoSource::FileName));
        let found = named(4.0, 120.0, false).unwrap();
        assert_eq!(found.source, TempoSource::FileName);
    }
}
