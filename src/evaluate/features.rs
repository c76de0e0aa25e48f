//! What a bar of music is like, in numbers that need no learnt network: spectrum, timbre, harmony,
//! rhythm, width.
//!
//! Sources: MFCC: Davis and Mermelstein, 1980; onset envelope: spectral
//! flux of log-mel bands (Böck and Widmer, 2013).

use std::f32::consts::PI;

use crate::clip::Clip;
use crate::codec::frames::{Framing, centres};
use crate::codec::mel::MelBank;
use crate::measure;

/// Samples a window of the mel spectra.
const WINDOW: usize = 1024;
/// Spectra a beat.
const FRAMES_PER_BEAT: usize = 32;
/// Mel bands.
const BANDS: usize = 40;
/// Cepstral coefficients, the level left out.
const COEFFICIENTS: usize = 20;
/// Chroma spectra a beat.
const CHROMA_PER_BEAT: usize = 4;
/// Beats of a bar.
pub const BAR: usize = 4;
/// Places of the rhythm in a bar.
const SLOTS: usize = 16;
/// Groups of bands whose width is measured.
const WIDTHS: usize = 8;
/// Quietest level that counts, in decibels.
const FLOOR: f32 = -72.0;
/// Level of a band about which nobody hears how wide it is, in decibels.
const NARROW: f32 = -60.0;

/// Name and length of the groups of a feature vector, in order.
pub const GROUPS: [(&str, usize); 5] =
    [("log-mel", 2 * BANDS), ("MFCC", 2 * COEFFICIENTS), ("chroma", 12), ("onsets", SLOTS + 2), ("mid/side", WIDTHS)];

/// Deviations of each group's features (decibels, shares) below which differences are not heard, however alike the
/// reference's loops are: where those have no highs at all, a rustle in them is not everything.
pub const LEAST: [f32; 5] = [1.0, 0.1, 0.02, 0.02, 1.0];

/// Values of a feature vector.
pub fn dimensions() -> usize {
    GROUPS.iter().map(|(_, length)| length).sum()
}

/// One vector for each 4/4 bar of a loop (one for all of a loop shorter than that).
pub fn of(clip: &Clip) -> Vec<Vec<f32>> {
    let beats = clip.beats as usize;
    let mid: Vec<f32> = clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l + r) / 2.0).collect();
    let side: Vec<f32> = clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l - r) / 2.0).collect();
    let (mel, wide) = (log_mel(&mid, clip, beats), log_mel(&side, clip, beats));
    let chroma = measure::chroma(&mid, clip.sample_rate, beats * CHROMA_PER_BEAT);
    let onsets = measure::onsets(clip);
    let (bars, bar) = ((beats / BAR).max(1), beats.min(BAR));
    let rows = |all: &[f32], bar_index: usize, per_beat: usize, width: usize| -> Vec<f32> {
        let length = bar * per_beat * width;
        all[bar_index * length..(bar_index + 1) * length].to_vec()
    };
    (0..bars)
        .map(|index| {
            let mel = rows(&mel, index, FRAMES_PER_BEAT, BANDS);
            let wide = rows(&wide, index, FRAMES_PER_BEAT, BANDS);
            let mut out = spectrum(&mel);
            out.extend(timbre(&mel));
            out.extend(harmony(&rows(&chroma, index, CHROMA_PER_BEAT, 12)));
            out.extend(rhythm(&onsets, index, bar, beats));
            out.extend(width(&mel, &wide));
            out
        })
        .collect()
}

/// `[frame][band]` in decibels.
fn log_mel(signal: &[f32], clip: &Clip, beats: usize) -> Vec<f32> {
    let framing = Framing::new(WINDOW);
    let bank = MelBank::new(BANDS, framing.bins(), clip.sample_rate, FLOOR);
    let frames = beats * FRAMES_PER_BEAT;
    let mut spectra = Vec::new();
    framing.analyse(signal, &centres(signal.len(), frames), &mut spectra);
    let mut out = vec![0.0; frames * BANDS];
    for (frame, out) in spectra.chunks_exact(framing.bins()).zip(out.chunks_exact_mut(BANDS)) {
        let power: Vec<f32> = frame.iter().map(|c| c.norm_sqr()).collect();
        bank.decibels(&power, out);
    }
    out
}

fn mean_and_deviation(values: impl Iterator<Item = f32> + Clone) -> [f32; 2] {
    let count = values.clone().count().max(1) as f32;
    let mean = values.clone().sum::<f32>() / count;
    let variance = values.map(|v| (v - mean).powi(2)).sum::<f32>() / count;
    [mean, variance.sqrt()]
}

/// Mean and deviation of `width` columns of `[frame][column]`.
fn columns(rows: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|c| mean_and_deviation(rows.iter().skip(c).step_by(width).copied())).collect()
}

fn spectrum(mel: &[f32]) -> Vec<f32> {
    columns(mel, BANDS)
}

fn timbre(mel: &[f32]) -> Vec<f32> {
    let cosine = |k: usize, band: usize| (PI * k as f32 * (band as f32 + 0.5) / BANDS as f32).cos();
    let coefficients: Vec<f32> = mel
        .chunks_exact(BANDS)
        .flat_map(|row| {
            (1..=COEFFICIENTS)
                .map(|k| row.iter().enumerate().map(|(b, v)| v * cosine(k, b)).sum::<f32>() / BANDS as f32)
        })
        .collect();
    columns(&coefficients, COEFFICIENTS)
}

/// Shares of the pitch classes in the bar.
fn harmony(chroma: &[f32]) -> Vec<f32> {
    let sums: Vec<f32> = (0..12).map(|c| chroma.iter().skip(c).step_by(12).sum::<f32>()).collect();
    let all: f32 = sums.iter().sum::<f32>().max(1e-9);
    sums.iter().map(|s| (s / all).sqrt()).collect()
}

/// Onset strength about each 16th relative to the strongest, how uneven it is, and how strong.
fn rhythm(onsets: &[f32], index: usize, bar: usize, beats: usize) -> Vec<f32> {
    let slots = SLOTS * beats / BAR.max(bar);
    let slots = slots.max(SLOTS);
    let per_slot = onsets.len() as f32 / slots as f32;
    let slot = |s: usize| {
        let centre = (s as f32 * per_slot) as isize;
        let reach = (per_slot / 2.0).max(1.0) as isize;
        let at = |i: isize| onsets[i.rem_euclid(onsets.len() as isize) as usize];
        (centre - reach..centre + reach).map(at).fold(0f32, f32::max)
    };
    let strengths: Vec<f32> = (0..SLOTS).map(|s| slot(index * SLOTS + s)).collect();
    let strongest = strengths.iter().fold(1e-6f32, |m, s| m.max(*s));
    let [mean, deviation] = mean_and_deviation(strengths.iter().copied());
    let mut out: Vec<f32> = strengths.iter().map(|s| s / strongest).collect();
    out.extend([deviation / mean.max(1e-6), strongest.max(1e-3).log10()]);
    out
}

/// Side by mid in decibels, a group of bands each; the nearer to 0, the less is heard of both.
fn width(mid: &[f32], side: &[f32]) -> Vec<f32> {
    let group = BANDS / WIDTHS;
    let level = |rows: &[f32], g: usize| {
        let power = |row: &[f32]| row[g * group..(g + 1) * group].iter().map(|d| 10f32.powf(d / 10.0)).sum::<f32>();
        let unheard = (rows.len() / BANDS * group) as f32 * 10f32.powf(NARROW / 10.0);
        10.0 * (rows.chunks_exact(BANDS).map(power).sum::<f32>() + unheard).log10()
    };
    (0..WIDTHS).map(|g| level(side, g) - level(mid, g)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_heard_is_neither_wide_nor_narrow() {
        let rows = |db: f32| vec![db; 4 * BANDS];
        let near = |found: Vec<f32>, wanted: f32| found.iter().all(|v| (v - wanted).abs() < 0.5);
        assert!(near(width(&rows(-20.0), &rows(-32.0)), -12.0));
        assert!(near(width(&rows(FLOOR), &rows(FLOOR)), 0.0));
        // A rustle that one loop has and another has not.
        assert!(near(width(&rows(-69.0), &rows(FLOOR)), 0.0));
    }
}
