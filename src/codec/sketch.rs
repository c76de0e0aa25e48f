//! Sketches of loops to look at: level by time and frequency around the circle, from sound or from
//! latents alone.
//!
//! From latents no phases are needed, so that a loop can be looked at while it is being made: a few
//! milliseconds for 8 beats. Any thread but the audio thread may call it.

use rayon::prelude::*;

use super::frames::{Framing, centres};
use super::mel::{MelBank, hertz_of_band};
use super::{Codec, CodecError, LATENTS_PER_BEAT, Latents};
use crate::clip::{Clip, SAMPLE_RATE};

/// Stretches of equal length that the circle is divided into.
pub const COLUMNS: usize = 384;
/// Bands a column, evenly on the mel scale.
pub const BANDS: usize = 32;
/// What is quieter is silence, in decibels below a full-scale sine.
const FLOOR_DB: f32 = -72.0;
/// Samples a window.
const WINDOW: usize = 1024;
/// Peaks of music by the root of its mean power in such short stretches, about.
const CREST: f32 = 2.0;
/// Power of a window's bins by that of the sine that they show, for a Hann window.
const LEAKAGE: f32 = 1.5;

/// A loop to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// `[column][band]`, the lowest band first: 0 is silence (-72 dB), 255 a full-scale sine.
    pub levels: Vec<u8>,
    /// Largest absolute sample of each column, 255 is full scale. Of latents it is an estimate.
    pub outline: Vec<u8>,
}

impl Sketch {
    /// A sketch of a clip.
    pub fn of(clip: &Clip) -> Self {
        let len = clip.len();
        if len < WINDOW {
            return Self { levels: vec![0; COLUMNS * BANDS], outline: outline(clip, COLUMNS) };
        }
        let mid: Vec<f32> = clip.samples[0].iter().zip(&clip.samples[1]).map(|(l, r)| (l + r) / 2.0).collect();
        let framing = Framing::new(WINDOW);
        let bank = MelBank::new(BANDS, framing.bins(), clip.sample_rate, FLOOR_DB);
        // Windows touch, so that no hit falls between two columns.
        let each = len.div_ceil(COLUMNS * WINDOW / 2).clamp(1, 8);
        let centres = centres(len, COLUMNS * each);
        let levels = centres.par_chunks(each).flat_map_iter(|centres| {
            let (mut spectra, mut decibels) = (Vec::new(), [0f32; BANDS]);
            framing.analyse(&mid, centres, &mut spectra);
            let bins = framing.bins();
            let mean = |bin: usize| spectra.iter().skip(bin).step_by(bins).map(|c| c.norm_sqr()).sum::<f32>();
            let power: Vec<f32> = (0..bins).map(|bin| mean(bin) / each as f32).collect();
            bank.decibels(&power, &mut decibels);
            decibels.map(level)
        });
        Self { levels: levels.collect(), outline: outline(clip, COLUMNS) }
    }
}

/// Largest absolute sample of each of `columns` stretches of a clip, 255 is full scale.
pub fn outline(clip: &Clip, columns: usize) -> Vec<u8> {
    let len = clip.len();
    let column = |i: usize| {
        let (from, to) = (i * len / columns, ((i + 1) * len / columns).min(len));
        let peak = clip.samples.iter().flat_map(|c| &c[from..to]).fold(0f32, |m, s| m.max(s.abs()));
        (peak.min(1.0) * 255.0).round() as u8
    };
    (0..columns).map(column).collect()
}

/// Decibels as a level.
fn level(decibels: f32) -> u8 {
    (255.0 * (1.0 - decibels / FLOOR_DB)).clamp(0.0, 255.0) as u8
}

/// Where a band of a sketch is found in a spectrum of patches.
struct Source {
    layer: usize,
    /// The band at or below it there, and the share of the one above.
    band: usize,
    share: f32,
}

impl Codec {
    /// A sketch of latents on the codec's scale, of their mid channel.
    pub fn sketch(&self, latents: &Latents) -> Result<Sketch, CodecError> {
        let Latents { channels, frames, ref values } = *latents;
        let fits = frames > 0 && frames % LATENTS_PER_BEAT == 0 && values.len() == channels * frames;
        if !fits || channels != self.config.channels {
            return Err(CodecError::Shape { channels, frames });
        }
        let mut patches = self.unproject(latents);
        self.limit(&mut patches);
        let sources: Vec<Source> = (0..BANDS).map(|band| self.source(hertz_of_band(band, BANDS))).collect();
        let weights: Vec<Vec<f32>> = (0..self.layers.len()).map(|l| self.weights_of_bands(l)).collect();
        let patch = self.weights.len();
        // Power of a band, and of all, in the mean of a layer's spectra within a column.
        let columns = (0..COLUMNS).into_par_iter().map(|column| {
            let mut total = 0f32;
            let mut means: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
            for (layer, weights) in self.layers.iter().zip(&weights) {
                let each = layer.resolution.frames_per_latent;
                let (rows, bands) = (layer.rows.len(), layer.resolution.bands);
                let spectra = frames * each;
                let from = column * spectra / COLUMNS;
                let to = ((column + 1) * spectra / COLUMNS).max(from + 1);
                let mut mean = vec![0f32; bands];
                for spectrum in from..to {
                    let start = spectrum / each * patch + layer.patch.start + spectrum % each * rows;
                    let mid = &patches[start..start + bands];
                    mean.iter_mut().zip(mid).for_each(|(m, db)| *m += 10f32.powf(db / 10.0));
                }
                mean.iter_mut().for_each(|m| *m /= (to - from) as f32);
                total += mean.iter().zip(weights).map(|(m, w)| m * w).sum::<f32>();
                means.push(mean);
            }
            let db = |source: &Source| {
                let at = |band: usize| 10.0 * means[source.layer][band].max(1e-12).log10();
                at(source.band) * (1.0 - source.share) + at(source.band + 1) * source.share
            };
            let levels: Vec<u8> = sources.iter().map(|s| level(db(s))).collect();
            let peak = CREST * (total / LEAKAGE / 2.0).sqrt();
            (levels, (peak.min(1.0) * 255.0) as u8)
        });
        let (levels, outline): (Vec<Vec<u8>>, Vec<u8>) = columns.unzip();
        Ok(Sketch { levels: levels.concat(), outline })
    }

    /// The range that has most of a frequency, and the band in it.
    fn source(&self, hertz: f32) -> Source {
        let bin = |layer: usize| {
            let framing = &self.layers[layer].framing;
            let bin = (hertz * 2.0 * (framing.bins() - 1) as f32 / SAMPLE_RATE as f32).round() as usize;
            bin.min(framing.bins() - 1)
        };
        let share = |layer: &usize| self.layers[*layer].share[bin(*layer)];
        let layer = (0..self.layers.len()).max_by(|a, b| share(a).total_cmp(&share(b))).unwrap_or(0);
        let (band, share) = self.layers[layer].bank.place(bin(layer));
        Source { layer, band, share }
    }

    /// Bins that each band of a range stands for, by the range's share of them.
    fn weights_of_bands(&self, layer: usize) -> Vec<f32> {
        let layer = &self.layers[layer];
        let mut weights = vec![0f32; layer.resolution.bands];
        for (bin, share) in layer.share.iter().enumerate() {
            let (band, above) = layer.bank.place(bin);
            weights[band] += (1.0 - above) * share * share;
            weights[band + 1] += above * share * share;
        }
        weights
    }
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::super::CodecConfig;
    use super::*;
    use crate::random::Philox;

    /// Hits of noise on the beats of 4, and a low sine throughout.
    fn loop_of(seed: u64) -> Clip {
        let len = Clip::length(4, 120.0, SAMPLE_RATE);
        let noise = Philox::new(seed, 0).normals(len);
        let wave: Vec<f32> = (0..len)
            .map(|i| {
                let since = (i % (len / 4)) as f32;
                let sine = 0.1 * (i as f32 * 100.0 * std::f32::consts::TAU / SAMPLE_RATE as f32).sin();
                sine + 0.15 * noise[i] * (-since / 1500.0).exp()
            })
            .collect();
        Clip {
            samples: [wave.clone(), wave],
            sample_rate: SAMPLE_RATE,
            beats: 4,
            bpm: 120.0,
            provenance: None,
            hits: Vec::new(),
        }
    }

    fn correlation(a: &[u8], b: &[u8]) -> f64 {
        let mean = |v: &[u8]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / v.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let sum = |f: fn(f64, f64) -> f64| -> f64 {
            a.iter().zip(b).map(|(x, y)| f(f64::from(*x) - ma, f64::from(*y) - mb)).sum()
        };
        sum(|x, y| x * y) / (sum(|x, _| x * x) * sum(|_, y| y * y)).sqrt().max(1e-9)
    }

    #[test]
    fn hits_and_tones_are_seen_where_they_are() {
        let sketch = Sketch::of(&loop_of(1));
        assert_eq!((sketch.levels.len(), sketch.outline.len()), (COLUMNS * BANDS, COLUMNS));
        let at = |column: usize, band: usize| i32::from(sketch.levels[column * BANDS + band]);
        for beat in 0..4 {
            let hit = beat * COLUMNS / 4 + 2;
            assert!(at(hit, 28) > at(hit + 48, 28) + 60, "a hit on beat {beat}");
            assert!(sketch.outline[hit] > sketch.outline[hit + 48] + 40);
            assert!(at(hit + 48, 1) > at(hit + 48, 10) + 60, "the tone is low");
        }
    }

    #[test]
    fn latents_look_like_their_sound() {
        let clips: Vec<Clip> = (0..8).map(loop_of).collect();
        let config = CodecConfig { channels: 32, ..CodecConfig::default() };
        let codec = Codec::fit(config, &clips.iter().collect::<Vec<_>>(), &mut |_, _| {}).unwrap();
        let latents = codec.encode(&clips[3]).unwrap();
        let (seen, heard) = (codec.sketch(&latents).unwrap(), Sketch::of(&clips[3]));
        let apart =
            |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(x, y)| f64::from(x.abs_diff(*y))).sum::<f64>() / a.len() as f64;
        let other = codec.sketch(&Latents { values: vec![0.0; latents.values.len()], ..latents.clone() }).unwrap();
        let (near, far) = (apart(&seen.levels, &heard.levels), apart(&other.levels, &heard.levels));
        assert!(near < 25.0 && near * 1.5 < far, "{near} and {far}");
        let alike = correlation(&seen.outline, &heard.outline);
        assert!(alike > 0.8, "outline: {alike}");
        let bad = Latents { frames: 3, ..latents };
        assert!(matches!(codec.sketch(&bad), Err(CodecError::Shape { .. })));
    }
}
