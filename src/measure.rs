//! Measures of a decoded or generated loop that need no trained weights.

use crate::clip::Clip;
use crate::codec::frames::{Framing, centres};
use crate::codec::mel::MelBank;

/// What decoding did to a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Mean absolute log-mel difference of the mid channel, in dB (floor -72 dB).
    pub log_mel_db: f64,
    /// The same at a window of 4096, which tells tones apart.
    pub tonal_db: f64,
    /// Correlation of the onset envelopes.
    pub onset_correlation: f64,
    /// Level above 8 kHz, decoded minus original, in dB.
    pub high_band_db: f64,
    /// Level of the side relative to the mid, decoded minus original, in dB.
    pub width_db: f64,
    /// Onset energy within 20 ms of the 16th grid: original.
    pub on_grid_original: f64,
    /// Onset energy within 20 ms of the 16th grid: decoded.
    pub on_grid_decoded: f64,
    /// Step across the wrap by the 99th percentile of the steps inside, decoded.
    pub seam: f64,
}

/// Samples a window of the chroma at 44.1 kHz.
const CHROMA_WINDOW: usize = 8192;
const WINDOW: usize = 512;
const HOP: usize = 128;
const BANDS: usize = 80;
/// Window, hop and bands that tell tones apart.
const TONAL: [usize; 3] = [4096, 1024, 160];

/// Log-mel frames in dB (`[frame][band]`) at a hop of about 128 samples.
fn log_mel(signal: &[f32], sample_rate: u32) -> (Vec<f32>, usize) {
    log_mel_of(signal, sample_rate, [WINDOW, HOP, BANDS])
}

/// Log-mel frames in dB (`[frame][band]`) of a window, hop and number of bands.
fn log_mel_of(signal: &[f32], sample_rate: u32, [window, hop, bands]: [usize; 3]) -> (Vec<f32>, usize) {
    let framing = Framing::new(window);
    let bank = MelBank::new(bands, framing.bins(), sample_rate, -72.0);
    let frames = (signal.len() / hop).max(1);
    let mut spectra = Vec::new();
    framing.analyse(signal, &centres(signal.len(), frames), &mut spectra);
    let mut out = vec![0.0; frames * bands];
    for (frame, out) in spectra.chunks_exact(framing.bins()).zip(out.chunks_exact_mut(bands)) {
        let power: Vec<f32> = frame.iter().map(|c| c.norm_sqr()).collect();
        bank.decibels(&power, out);
    }
    (out, frames)
}

fn mid(clip: &Clip) -> Vec<f32> {
    clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l + r) / 2.0).collect()
}

fn side(clip: &Clip) -> Vec<f32> {
    clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l - r) / 2.0).collect()
}

/// Onset envelope on the circle: the summed rise of the log-mel bands, a value a frame of about
/// 128 samples.
pub fn onsets(clip: &Clip) -> Vec<f32> {
    let (mel, frames) = log_mel(&mid(clip), clip.sample_rate);
    let row = |k: usize| &mel[k * BANDS..(k + 1) * BANDS];
    let rise = |k: usize| {
        let before = row((k + 2 * frames - 2) % frames);
        row(k).iter().zip(before).map(|(now, then)| (now - then).max(0.0)).sum::<f32>() / BANDS as f32
    };
    (0..frames).map(rise).collect()
}

/// Places of a clip's hits in samples, ascending: the peaks of the onset envelope that stand out of
/// their surroundings and are no nearer to each other than a 32nd note, each moved to the quietest
/// moment just before its rise so that a slice starts clean.
pub fn hits(clip: &Clip) -> Vec<u32> {
    if clip.len() < 8 * HOP {
        return Vec::new();
    }
    let envelope = onsets(clip);
    let frames = envelope.len();
    let highest = envelope.iter().copied().fold(0f32, f32::max);
    let frame = clip.len() as f64 / frames as f64;
    let apart = (7.5 / clip.bpm * f64::from(clip.sample_rate) / frame).max(3.0) as usize;
    let around = |k: usize, reach: usize| (0..=2 * reach).map(move |i| (k + frames + i - reach) % frames);
    let stands_out = |k: usize| {
        let mean = around(k, 2 * apart).map(|i| envelope[i]).sum::<f32>() / (4 * apart + 1) as f32;
        envelope[k] > 0.12 * highest && envelope[k] > 1.5 * mean
    };
    let mut peaks: Vec<usize> = (0..frames).filter(|k| stands_out(*k)).collect();
    peaks.sort_by(|a, b| envelope[*b].total_cmp(&envelope[*a]));
    let mut kept: Vec<usize> = Vec::new();
    for peak in peaks {
        let distance = |other: &usize| peak.abs_diff(*other).min(frames - peak.abs_diff(*other));
        if kept.iter().all(|k| distance(k) >= apart) {
            kept.push(peak);
        }
    }
    let mut hits: Vec<u32> = kept.into_iter().map(|k| start_of_hit(clip, (k as f64 * frame) as usize)).collect();
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// The quietest of the 1 ms stretches in the 12 ms up to a rise.
fn start_of_hit(clip: &Clip, rise: usize) -> u32 {
    let (length, stretch) = (clip.len(), (clip.sample_rate / 1000).max(1) as usize);
    let energy = |start: usize| -> f32 {
        let at = |i: usize| (start + i) % length;
        (0..stretch).map(|i| clip.samples[0][at(i)].powi(2) + clip.samples[1][at(i)].powi(2)).sum()
    };
    let starts = (0..12).map(|i| (rise + length - (i + 1) * stretch % length) % length);
    starts.min_by(|a, b| energy(*a).total_cmp(&energy(*b))).unwrap_or(rise) as u32
}

/// Power of the pitch classes (0 is C) between 65 Hz and 2.1 kHz, `[frame][class]`, of frames evenly spread over
/// the circle, in windows that tell semitones apart from 130 Hz up. Source: Fujishima, 1999.
pub fn chroma(signal: &[f32], sample_rate: u32, frames: usize) -> Vec<f32> {
    let framing = Framing::new(CHROMA_WINDOW);
    let mut spectra = Vec::new();
    framing.analyse(signal, &centres(signal.len(), frames), &mut spectra);
    let hertz = |bin: usize| bin as f32 * sample_rate as f32 / CHROMA_WINDOW as f32;
    let class = |bin: usize| (12.0 * (hertz(bin) / 440.0).log2() + 69.0).round().rem_euclid(12.0) as usize;
    let bins: Vec<(usize, usize)> =
        (1..framing.bins()).filter(|b| (65.0..2100.0).contains(&hertz(*b))).map(|b| (b, class(b))).collect();
    let mut out = vec![0.0; frames * 12];
    for (frame, out) in spectra.chunks_exact(framing.bins()).zip(out.chunks_exact_mut(12)) {
        bins.iter().for_each(|(bin, class)| out[*class] += frame[*bin].norm_sqr());
    }
    out
}

/// Share of onset energy (squared envelope above its mean) within 20 ms of the 16th grid.
pub fn on_grid(clip: &Clip) -> f64 {
    let envelope = onsets(clip);
    let mean = envelope.iter().sum::<f32>() / envelope.len() as f32;
    let sixteenth = 15.0 / clip.bpm;
    let (mut near, mut all) = (0.0, 0.0);
    for (k, value) in envelope.iter().enumerate() {
        let energy = f64::from((value - mean).max(0.0)).powi(2);
        // The rise is seen between the frame two before and this one.
        let seconds = (k as f64 - 0.5) * clip.seconds() / envelope.len() as f64;
        let phase = (seconds / sixteenth).rem_euclid(1.0);
        all += energy;
        if phase.min(1.0 - phase) * sixteenth <= 0.02 {
            near += energy;
        }
    }
    if all > 0.0 { near / all } else { 0.0 }
}

/// The step across the wrap by the 99th percentile of the steps inside, the worse channel.
pub fn seam(clip: &Clip) -> f64 {
    let channel = |samples: &[f32]| {
        let mut steps: Vec<f32> = samples.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        if steps.is_empty() {
            return 0.0;
        }
        steps.sort_by(f32::total_cmp);
        let usual = steps[steps.len() * 99 / 100].max(1e-6);
        f64::from((samples[0] - samples[samples.len() - 1]).abs() / usual)
    };
    channel(&clip.samples[0]).max(channel(&clip.samples[1]))
}

fn level(signal: &[f32]) -> f64 {
    let power = signal.iter().map(|s| f64::from(s * s)).sum::<f64>() / signal.len().max(1) as f64;
    10.0 * power.max(1e-10).log10()
}

/// Mean power above 8 kHz in dB.
fn high_level(signal: &[f32], sample_rate: u32) -> f64 {
    let framing = Framing::new(1024);
    let mut spectra = Vec::new();
    framing.analyse(signal, &centres(signal.len(), (signal.len() / 256).max(1)), &mut spectra);
    let first = 8000 * 1024 / sample_rate as usize;
    let frames = spectra.chunks_exact(framing.bins());
    let count = frames.len() as f64;
    let power: f64 = frames.map(|f| f[first..].iter().map(|c| f64::from(c.norm_sqr())).sum::<f64>()).sum();
    10.0 * (power / count).max(1e-10).log10()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let n = a.len().min(b.len()) as f64;
    let mean = |v: &[f32]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x) - ma, f64::from(*y) - mb);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt().max(1e-12)
}

/// Compares a loop with what a codec made of it; both must have the same length.
pub fn compare(original: &Clip, decoded: &Clip) -> Comparison {
    let (a, b) = (mid(original), mid(decoded));
    let difference = |sizes| {
        let of = |signal: &[f32], clip: &Clip| log_mel_of(signal, clip.sample_rate, sizes).0;
        let (a, b) = (of(&a, original), of(&b, decoded));
        a.iter().zip(&b).map(|(x, y)| f64::from((x - y).abs())).sum::<f64>() / a.len().max(1) as f64
    };
    let width = |clip: &Clip, mid: &[f32]| level(&side(clip)).max(level(mid) - 40.0) - level(mid);
    Comparison {
        log_mel_db: difference([WINDOW, HOP, BANDS]),
        tonal_db: difference(TONAL),
        onset_correlation: correlation(&onsets(original), &onsets(decoded)),
        high_band_db: high_level(&b, decoded.sample_rate) - high_level(&a, original.sample_rate),
        width_db: width(decoded, &b) - width(original, &a),
        on_grid_original: on_grid(original),
        on_grid_decoded: on_grid(decoded),
        seam: seam(decoded),
    }
}

/// The mean of each figure.
pub fn mean(all: &[Comparison]) -> Comparison {
    let of = |f: fn(&Comparison) -> f64| all.iter().map(f).sum::<f64>() / all.len().max(1) as f64;
    Comparison {
        log_mel_db: of(|c| c.log_mel_db),
        tonal_db: of(|c| c.tonal_db),
        onset_correlation: of(|c| c.onset_correlation),
        high_band_db: of(|c| c.high_band_db),
        width_db: of(|c| c.width_db),
        on_grid_original: of(|c| c.on_grid_original),
        on_grid_decoded: of(|c| c.on_grid_decoded),
        seam: of(|c| c.seam),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    #[test]
    fn hits_are_found_where_they_are_and_nowhere_else() {
        let length = Clip::length(4, 120.0, 44_100);
        let noise = Philox::new(1, 0).normals(length);
        let expected = [0usize, 22_050, 33_075, 44_100, 66_150, 77_175];
        let mut wave = vec![0f32; length];
        for start in expected {
            for i in 0..8000 {
                wave[start + i] += 0.3 * noise[start + i] * (-(i as f32) / 1500.0).exp();
            }
        }
        let clip = Clip {
            samples: [wave.clone(), wave],
            sample_rate: 44_100,
            beats: 4,
            bpm: 120.0,
            provenance: None,
            hits: Vec::new(),
        };
        let found = hits(&clip);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for start in expected {
            let away = |h: &u32| (i64::from(*h) - start as i64).rem_euclid(length as i64);
            let nearest = found.iter().map(|h| away(h).min(length as i64 - away(h))).min().unwrap();
            assert!(nearest < 600, "hit at {start}: {found:?}");
        }
    }
}
