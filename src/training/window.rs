//! Which codec suits a folder: short windows keep hits sharp, long ones tell tones apart. Each candidate
//! is fitted on some of the loops and judged by what it makes of others.

use crate::clip::Clip;
use crate::codec::{Codec, CodecConfig, CodecError};
use crate::measure;

/// Window in samples, bands, spectra a latent.
const CANDIDATES: [(usize, usize, usize); 4] = [(512, 64, 16), (1024, 96, 12), (2048, 128, 6), (4096, 160, 4)];
/// Loops that a candidate is fitted on, and judged by, at most.
const FITTED: usize = 64;
const JUDGED: usize = 16;

/// The codec's settings for a window, one of 512 to 4096 samples.
pub fn of(window: usize) -> CodecConfig {
    let near = CANDIDATES.into_iter().min_by_key(|(size, _, _)| size.abs_diff(window));
    let (window, bands, frames_per_latent) = near.unwrap_or(CANDIDATES[0]);
    CodecConfig { window, bands, frames_per_latent, ..CodecConfig::default() }
}

/// The candidate whose reconstruction errors at a short and at a long window are the least together, and
/// those of each in decibels. `progress` hears (done, all).
pub fn choose(
    clips: &[&Clip],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(CodecConfig, Vec<(usize, f64)>), CodecError> {
    among(&CANDIDATES.map(|(window, _, _)| window), clips, progress)
}

fn among(
    windows: &[usize],
    clips: &[&Clip],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(CodecConfig, Vec<(usize, f64)>), CodecError> {
    let every = |offset: usize, count: usize| -> Vec<&Clip> {
        let stride = (clips.len() / count).max(1);
        clips.iter().skip(offset % clips.len().max(1)).step_by(stride).take(count).copied().collect()
    };
    let (fit, judge) = (every(0, FITTED), every(1, JUDGED));
    let (mut best, mut errors) = (None, Vec::new());
    for (index, window) in windows.iter().copied().enumerate() {
        let config = of(window);
        let codec = Codec::fit(config.clone(), &fit, &mut |_, _| {})?;
        let rows: Result<Vec<_>, CodecError> = judge
            .iter()
            .map(|clip| Ok(measure::compare(clip, &codec.decode(&codec.encode(clip)?, clip.bpm)?)))
            .collect();
        let mean = measure::mean(&rows?);
        let error = mean.log_mel_db + mean.tonal_db;
        errors.push((window, error));
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, config));
        }
        progress(index + 1, windows.len());
    }
    let chosen = best.map_or_else(CodecConfig::default, |(_, config)| config);
    Ok((chosen, errors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::SAMPLE_RATE;
    use crate::random::Philox;

    /// A loop of `voices(second)` samples.
    fn clip(bpm: f64, wave: impl Fn(usize, f64) -> f32) -> Clip {
        let len = Clip::length(8, bpm, SAMPLE_RATE);
        let samples: Vec<f32> = (0..len).map(|i| wave(i, i as f64 / f64::from(SAMPLE_RATE))).collect();
        Clip {
            samples: [samples.clone(), samples],
            sample_rate: SAMPLE_RATE,
            beats: 8,
            bpm,
            provenance: None,
            hits: Vec::new(),
        }
    }

    #[test]
    fn hits_get_a_short_window_and_chords_a_long_one() {
        let hits: Vec<Clip> = (0..12)
            .map(|seed| {
                let noise = Philox::new(seed, 0).normals(Clip::length(8, 120.0, SAMPLE_RATE));
                clip(120.0, |i, second| 0.3 * noise[i] * (-(second % 0.25) * 90.0).exp() as f32)
            })
            .collect();
        let chords: Vec<Clip> = (0..12)
            .map(|seed| {
                let root = 220.0 * (f64::from(seed) / 12.0).exp2();
                let tone = |ratio: f64, second: f64| (std::f64::consts::TAU * root * ratio * second).sin();
                clip(120.0, |_, second| 0.1 * (tone(1.0, second) + tone(1.189, second) + tone(1.498, second)) as f32)
            })
            .collect();
        let choose =
            |clips: &[Clip]| among(&[512, 4096], &clips.iter().collect::<Vec<_>>(), &mut |_, _| {}).unwrap().0.window;
        assert_eq!((choose(&hits), choose(&chords)), (512, 4096));
    }
}
