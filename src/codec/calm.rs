//! What does not hold still. In a net's loops the levels of a tone that should sound on waver by several decibels from
//! latent to latent: its pitch wobbles, and between partials it rustles. So levels are drawn towards the mean of those
//! about them in time, as far as loops of the label waver less than the net's; slopes and hits stay.

use rayon::prelude::*;

use super::Codec;
#[cfg(feature = "companion")]
use super::Latents;
#[cfg(feature = "companion")]
use super::levels;
use super::resolution::Layer;

/// Decibels beyond which a level about another counts no more: something has begun or ended there.
const APART: f32 = 12.0;

impl Codec {
    /// Draws the levels of decoded patches towards those about them by a share for each range.
    pub(super) fn calm(&self, patches: &mut [f32], shares: &[f32]) {
        for (layer, share) in self.layers.iter().zip(shares).filter(|(_, share)| **share > 0.0) {
            let still = self.still(layer, patches);
            let (size, own) = (self.weights.len(), layer.patch.clone());
            let places = patches.chunks_exact_mut(size).flat_map(|patch| &mut patch[own.clone()]);
            places.zip(still).for_each(|(level, still)| *level += share * (still - *level));
        }
    }

    /// Means about each level of one range, `[spectrum][mid, side][band]` one after the other. Levels count in pairs,
    /// one before and one after, a latent frame away at most.
    fn still(&self, layer: &Layer, patches: &[f32]) -> Vec<f32> {
        let (size, rows, reach) = (self.weights.len(), layer.rows.len(), layer.resolution.frames_per_latent);
        let levels: Vec<f32> = patches.chunks_exact(size).flat_map(|p| &p[layer.patch.clone()]).copied().collect();
        let count = levels.len() / rows;
        let mut still = vec![0.0; levels.len()];
        still.par_chunks_exact_mut(rows).enumerate().for_each(|(k, out)| {
            let spectrum = |k: usize| &levels[k % count * rows..][..rows];
            let own = spectrum(k);
            let mut weights = vec![1.0; rows];
            out.copy_from_slice(own);
            for away in 1..=reach.min(count) {
                let beside = spectrum(k + count - away).iter().zip(spectrum(k + away));
                for (((sum, weight), own), (before, after)) in out.iter_mut().zip(&mut weights).zip(own).zip(beside) {
                    let mean = (before + after) / 2.0;
                    let near = (1.0 - ((mean - own) / APART).powi(2)).max(0.0);
                    *sum += 2.0 * near * mean;
                    *weight += 2.0 * near;
                }
            }
            out.iter_mut().zip(weights).for_each(|(sum, weight)| *sum /= weight);
        });
        still
    }

    /// Measures how loops of so many labels waver.
    #[cfg(feature = "companion")]
    pub fn measure_wavering(&self, labels: usize) -> Wavering<'_> {
        let (loops, frames) = (vec![0; labels + 1], vec![0.0; labels + 1]);
        Wavering { codec: self, loops, frames, sums: vec![0.0; (labels + 1) * self.layers.len()] }
    }
}

/// How much levels waver, label by label; the last label stands for loops without one.
#[cfg(feature = "companion")]
pub struct Wavering<'a> {
    codec: &'a Codec,
    /// `[label]`
    loops: Vec<u32>,
    /// `[label]`: latent frames.
    frames: Vec<f64>,
    /// `[label, range]`: squares of what calming would change.
    sums: Vec<f64>,
}

#[cfg(feature = "companion")]
impl Wavering<'_> {
    /// Adds a loop.
    pub fn add(&mut self, latents: &Latents, label: Option<usize>) {
        let last = self.loops.len() - 1;
        let label = label.filter(|label| *label < last).unwrap_or(last);
        self.loops[label] += 1;
        self.frames[label] += latents.frames as f64;
        let (patches, ranges) = (self.codec.spectra(latents), self.codec.layers.len());
        for (layer, sum) in self.codec.layers.iter().zip(&mut self.sums[label * ranges..]) {
            let levels = patches.chunks_exact(self.codec.weights.len()).flat_map(|p| &p[layer.patch.clone()]);
            let still = self.codec.still(layer, &patches);
            *sum += levels.zip(still).map(|(level, still)| f64::from(still - level).powi(2)).sum::<f64>();
        }
    }

    /// Mean squares of each range, of a label or of all loops.
    fn of(&self, label: Option<usize>) -> impl Iterator<Item = f64> {
        let (ranges, own) = (self.codec.layers.len(), |i: usize| label.is_none_or(|label| label == i));
        let frames: f64 = self.frames.iter().enumerate().filter(|(i, _)| own(*i)).map(|(_, frames)| frames).sum();
        let sum = move |range: usize| {
            let rows = self.sums.chunks_exact(ranges).enumerate().filter(|(i, _)| own(*i));
            rows.map(|(_, row)| row[range]).sum::<f64>() / frames.max(1.0)
        };
        (0..ranges).map(sum).collect::<Vec<_>>().into_iter()
    }

    /// Shares `[label, range]` by which a net's loops are calmed to waver no more than these, training loops.
    pub(super) fn beside(&self, made: &Self) -> Vec<f32> {
        let share = |(real, made): (f64, f64)| (1.0 - (real / made.max(1e-9)).sqrt()).clamp(0.0, 1.0) as f32;
        let shares = |label| self.of(label).zip(made.of(label)).map(share);
        let labels = (0..self.loops.len() - 1).flat_map(|label| {
            let own = levels::trust(self.loops[label]);
            shares(Some(label)).zip(shares(None)).map(move |(label, all)| own * label + (1.0 - own) * all)
        });
        labels.chain(shares(None)).collect()
    }
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::*;
    use crate::codec::tests::codec;
    use crate::random::Philox;

    /// Levels of the lowest range that waver about those of a clip.
    fn wavering(codec: &Codec, clean: &[f32], by: f32) -> Vec<f32> {
        let noise = Philox::new(3, 0).normals(clean.len());
        let (size, own) = (codec.weights.len(), codec.layers[0].patch.clone());
        let waver = |(i, (level, noise)): (usize, (&f32, f32))| match own.contains(&(i % size)) {
            true => level + by * noise,
            false => *level,
        };
        clean.iter().zip(noise).enumerate().map(waver).collect()
    }

    fn apart(a: &[f32], b: &[f32]) -> f32 {
        (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32).sqrt()
    }

    #[test]
    fn what_wavers_is_calmed_and_hits_and_slopes_stay() {
        let (codec, _) = codec();
        let (size, layer) = (codec.weights.len(), &codec.layers[0]);
        let (each, rows) = (layer.resolution.frames_per_latent, layer.rows.len());
        // A hit in the middle, falling by a decibel a spectrum.
        let mut clean = vec![0.0; 16 * size];
        for k in 0..16 * each {
            let level = if k < 8 * each { -60.0 } else { -10.0 - (k - 8 * each) as f32 };
            let at = k / each * size + layer.patch.start + k % each * rows;
            clean[at..at + rows].fill(level);
        }
        let mut calmed = wavering(&codec, &clean, 3.0);
        let before = apart(&calmed, &clean);
        let shares: Vec<f32> = codec.layers.iter().map(|_| 1.0).collect();
        codec.calm(&mut calmed, &shares);
        assert!(apart(&calmed, &clean) < 0.4 * before, "{} of {before}", apart(&calmed, &clean));
        let mut hit = clean.clone();
        codec.calm(&mut hit, &shares);
        let most = hit.iter().zip(&clean).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < 3.0, "the hit is off by {most} dB");
        let mut same = wavering(&codec, &clean, 3.0);
        let untouched = same.clone();
        codec.calm(&mut same, &vec![0.0; codec.layers.len()]);
        assert_eq!(same, untouched);
    }

    #[test]
    fn a_net_is_calmed_by_how_much_more_it_wavers() {
        let (codec, clips) = codec();
        let real: Vec<Latents> = clips.iter().map(|clip| codec.encode(clip).unwrap()).collect();
        let rough = |latents: &Latents| {
            let noise = Philox::new(9, 0).normals(latents.values.len());
            let power = latents.values.iter().map(|v| v * v).sum::<f32>() / latents.values.len() as f32;
            let values = latents.values.iter().zip(noise).map(|(v, n)| v + 0.5 * power.sqrt() * n).collect();
            Latents { values, ..latents.clone() }
        };
        let measured = |loops: &[Latents]| {
            let mut all = codec.measure_wavering(1);
            (0..40 * loops.len()).for_each(|i| all.add(&loops[i % loops.len()], (i % 2 == 0).then_some(0)));
            all
        };
        let (training, made) = (measured(&real), measured(&real.iter().map(rough).collect::<Vec<_>>()));
        let ranges = codec.layers.len();
        assert_eq!(training.beside(&training), vec![0.0; 2 * ranges]);
        let shares = training.beside(&made);
        assert!(shares.iter().all(|share| (0.05..1.0).contains(share)), "{shares:?}");
        assert_eq!(made.beside(&training), vec![0.0; 2 * ranges], "what is calmer is left alone");
    }
}
