//! A loop's tempo where no chunk tells it: from its file's name or from its onsets.
//!
//! In: a file's stem, or 44.1 kHz stereo audio that is taken for a whole loop; out: a tempo in
//! beats per minute, or a number of beats with the strength of the evidence. Any thread; what
//! cannot be told is None.

use realfft::RealFftPlanner;

use crate::clip::Clip;
use crate::measure;

/// Where a loop's tempo came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TempoSource {
    /// The `acid` chunk.
    Acid,
    /// The loop points of the `smpl` chunk; the beats between them are estimated.
    Smpl,
    /// The file's name.
    FileName,
    /// Estimated from the onsets over the whole file.
    Estimated,
}

impl std::fmt::Display for TempoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Acid => "acid chunk",
            Self::Smpl => "smpl chunk, beats estimated",
            Self::FileName => "file name",
            Self::Estimated => "estimated",
        })
    }
}

/// A tempo read from a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named {
    /// Beats per minute.
    pub bpm: f64,
    /// The name says "bpm"; otherwise it is a lone number that may mean something else.
    pub sure: bool,
}

/// Slowest and fastest tempo that an estimate or a lone number may give, in beats per minute.
const RANGE: std::ops::RangeInclusive<f64> = 70.0..=180.0;
/// The same where the name says "bpm".
const SURE_RANGE: std::ops::RangeInclusive<f64> = 20.0..=400.0;

/// A tempo in a file's stem: `120bpm`, `120 BPM`, `bpm_120`, or a number of its own (`_120_`).
pub fn from_name(stem: &str) -> Option<Named> {
    let lower = stem.to_lowercase();
    let numbers = numbers(&lower);
    let named = |n: &&Number| {
        let after = lower[n.end..].trim_start_matches([' ', '_', '-']);
        let before = lower[..n.start].trim_end_matches([' ', '_', '-', '=']);
        SURE_RANGE.contains(&n.value) && (after.starts_with("bpm") || before.ends_with("bpm"))
    };
    let alone = |n: &&Number| {
        let before = lower[..n.start].chars().next_back();
        let after = lower[n.end..].chars().next();
        let free = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        RANGE.contains(&n.value) && free(before) && free(after)
    };
    let sure = numbers.iter().find(named);
    let found = sure.or_else(|| numbers.iter().find(alone))?;
    Some(Named { bpm: found.value, sure: sure.is_some() })
}

struct Number {
    start: usize,
    end: usize,
    value: f64,
}

/// The numbers in ASCII digits, with a decimal part if there is one.
fn numbers(text: &str) -> Vec<Number> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut out, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        if !digit(start) {
            start += 1;
            continue;
        }
        let mut end = start;
        while digit(end) {
            end += 1;
        }
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end += 1;
            while digit(end) {
                end += 1;
            }
        }
        if let Ok(value) = text[start..end].parse() {
            out.push(Number { start, end, value });
        }
        start = end;
    }
    out
}

/// Beats of a loop, told from its onsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Whole beats.
    pub beats: u32,
    /// Correlation of the onsets with themselves a beat later, -1..1.
    pub evidence: f64,
}

/// Fewest beats that an estimate gives: shorter audio is as likely a single hit.
pub const FEWEST: u32 = 2;
/// Evidence that audio of less than a bar repeats at all.
const REPEATS: f64 = 0.25;

/// The number of beats, of those that give a tempo of 70 to 180 bpm, after which the onsets
/// repeat best on the circle; whole bars, powers of two and tempos near 120 bpm are preferred. Half and
/// double tempo differ by that preference only: fast loops (above 170 bpm) may be told as slow.
pub fn estimate(samples: &[Vec<f32>; 2], sample_rate: u32, most: u32) -> Option<Estimate> {
    let clip = Clip {
        samples: samples.clone(),
        sample_rate,
        beats: 1,
        bpm: 120.0, // Neither is looked at by the envelope.
        provenance: None,
        hits: Vec::new(),
    };
    let correlation = self_correlation(&measure::onsets(&clip));
    let weighed = (FEWEST..=most).filter_map(|beats| {
        let bpm = f64::from(beats) * 60.0 / clip.seconds();
        if !RANGE.contains(&bpm) {
            return None;
        }
        let after = |steps: f64| near(&correlation, steps / f64::from(beats));
        let evidence = after(1.0);
        // A beat is divided in two as a rule, and repeats within two beats and within a bar.
        let rhythm = 0.3 * evidence + 0.2 * after(0.5) + 0.3 * after(2.0) + 0.2 * after(4.0);
        // Tempo preference after Parncutt (1994): log-normal, an octave wide.
        let tempo = (-0.5 * ((bpm / 120.0).log2() / 0.5).powi(2)).exp();
        let score = (0.3 + rhythm.max(0.0)) * tempo * shape(beats);
        let fits = beats >= 4 || evidence >= REPEATS;
        fits.then_some((score, Estimate { beats, evidence }))
    });
    let best = weighed.max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, estimate)| estimate)
}

/// How usual a loop of so many beats is.
fn shape(beats: u32) -> f64 {
    match beats {
        4 | 8 | 16 | 32 | 64 => 1.0,
        2 | 12 | 24 | 48 => 0.6,
        _ if beats.is_multiple_of(4) => 0.45,
        _ if beats.is_multiple_of(2) => 0.3,
        _ => 0.2,
    }
}

/// Circular autocorrelation of the envelope about its mean, 1 at lag 0.
fn self_correlation(envelope: &[f32]) -> Vec<f32> {
    let mean = envelope.iter().sum::<f32>() / envelope.len().max(1) as f32;
    let mut input: Vec<f32> = envelope.iter().map(|v| v - mean).collect();
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(input.len());
    let inverse = planner.plan_fft_inverse(input.len());
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut input, &mut spectrum).expect("sizes agree");
    for bin in &mut spectrum {
        (bin.re, bin.im) = (bin.norm_sqr(), 0.0);
    }
    inverse.process(&mut spectrum, &mut input).expect("sizes agree");
    let scale = 1.0 / input[0].max(f32::MIN_POSITIVE);
    input.iter_mut().for_each(|v| *v *= scale);
    input
}

/// The largest correlation within about 10 ms of `share` of the circle.
fn near(correlation: &[f32], share: f64) -> f64 {
    const AROUND: i64 = 3; // Envelope values, each of about 3 ms.
    let count = correlation.len() as i64;
    let at = (share * count as f64).round() as i64;
    let values = (at - AROUND..=at + AROUND).map(|i| correlation[i.rem_euclid(count) as usize]);
    f64::from(values.fold(-1.0, f32::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let sure = |name, bpm| assert_eq!(from_name(name), Some(Named { bpm, sure: true }));
        sure("Break_174BPM", 174.0);
        sure("loop 2 bpm 92.5 v2", 92.5);
        sure("2_loop_120bpm_130", 120.0);
        let lone = |name, bpm| assert_eq!(from_name(name), Some(Named { bpm, sure: false }));
        lone("808 kick pattern 140 a", 140.0);
        lone("ループ_128", 128.0);
        assert_eq!(from_name("take 3"), None);
        assert_eq!(from_name("sp120x"), None);
        assert_eq!(from_name("99999999999999999999999bpm"), None);
    }

    /// Clicks of noise on the given 16ths of a loop of `beats` at `bpm`.
    fn pattern(beats: u32, bpm: f64, hit: impl Fn(u32) -> f32) -> [Vec<f32>; 2] {
        let len = Clip::length(beats, bpm, 44_100);
        let mut out = vec![0.0; len];
        let mut noise = 1u32;
        for step in 0..beats * 4 {
            let at = (f64::from(step) * len as f64 / f64::from(beats * 4)) as usize;
            for i in 0..2000 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let sample = noise as i32 as f32 / i32::MAX as f32;
                out[(at + i) % len] += hit(step) * sample * (-(i as f32) / 300.0).exp();
            }
        }
        [out.clone(), out]
    }

    #[test]
    fn beats_of_patterns() {
        let rock = |step: u32| match step % 16 {
            0 | 8 => 1.0,
            4 | 12 => 0.7,
            step if step % 2 == 0 => 0.2,
            _ => 0.0,
        };
        for (beats, bpm) in [(4, 92.0), (8, 120.0), (16, 140.0), (16, 155.0), (32, 100.0)] {
            let found = estimate(&pattern(beats, bpm, rock), 44_100, 64).unwrap();
            assert_eq!(found.beats, beats, "{bpm} bpm, {}", found.evidence);
        }
    }

    #[test]
    fn a_single_short_hit_has_no_tempo() {
        let hit = pattern(2, 120.0, |step| f32::from(step == 0));
        assert_eq!(estimate(&hit, 44_100, 64), None);
    }
}
