//! Levels that a net gets wrong. Its loops spread along each component as the training loops do, but not in the
//! same shape: what it blurs, and what is then widened, has longer tails. The loudest kicks come out several
//! decibels too loud, the silence between hits is not silent, and what is rare in one style and frequent in
//! another lies between the two. So each band's levels are put right when a run is decoded: a level becomes the
//! training loops' level of the same rank, label by label (quantile mapping).

use rayon::prelude::*;

#[cfg(feature = "companion")]
use super::Latents;
use super::{Codec, Stored};

/// Ranks: the 0th is the lowest level, the last the highest; near both they lie closer.
const RANKS: usize = 33;
const TENSOR: &str = "latents.ranks";

/// Levels in decibels of every band, range after range, mid before side: `[label, band, rank]`, ascending in each
/// band; the last label stands for all loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    bands: usize,
    generated: Vec<f32>,
    training: Vec<f32>,
}

/// Levels of one label.
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    generated: &'a [f32],
    training: &'a [f32],
}

impl Levels {
    fn labels(&self) -> usize {
        self.generated.len() / (self.bands * RANKS)
    }

    /// Those of a label, or of all loops.
    pub fn of(&self, label: Option<usize>) -> Curves<'_> {
        let (last, size) = (self.labels() - 1, self.bands * RANKS);
        let start = label.unwrap_or(last).min(last) * size;
        Curves { generated: &self.generated[start..start + size], training: &self.training[start..start + size] }
    }

    /// Name, shape and values in the model file.
    pub fn tensor(&self) -> (String, Vec<usize>, Vec<f32>) {
        let values = [self.generated.as_slice(), &self.training].concat();
        (TENSOR.into(), vec![2, self.labels(), self.bands, RANKS], values)
    }

    /// Those of a model file of so many labels, where it has them; `lookup` gives shape and (finite) values by
    /// name. Says in a sentence what is wrong.
    pub fn from_tensors(
        codec: &Codec,
        labels: usize,
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Result<Option<Self>, String> {
        let Some((shape, values)) = lookup(TENSOR) else { return Ok(None) };
        let bands = codec.config.rows();
        let ascending = values.chunks_exact(RANKS).all(|band| band.is_sorted());
        if shape != [2, labels + 1, bands, RANKS] || !ascending {
            return Err("its levels have the wrong shape or order".into());
        }
        let (generated, training) = values.split_at(values.len() / 2);
        Ok(Some(Self { bands, generated: generated.to_vec(), training: training.to_vec() }))
    }
}

impl Curves<'_> {
    /// The training loops' level of the rank that a level has among the net's.
    fn right(&self, band: usize, level: f32) -> f32 {
        let [made, wanted] = [self.generated, self.training].map(|all| &all[band * RANKS..(band + 1) * RANKS]);
        let above = made.partition_point(|m| *m < level).clamp(1, RANKS - 1);
        let (low, high) = (made[above - 1], made[above]);
        let share = ((level - low) / (high - low).max(1e-3)).clamp(0.0, 1.0);
        wanted[above - 1] + share * (wanted[above] - wanted[above - 1])
    }
}

impl Codec {
    /// Puts the levels of decoded patches right.
    pub(super) fn put_levels_right(&self, patches: &mut [f32], levels: Curves<'_>) {
        patches.par_chunks_exact_mut(self.weights.len()).for_each(|patch| {
            self.change_spectra(patch, |rows, spectrum| {
                rows.zip(spectrum).for_each(|(band, level)| *level = levels.right(band, *level));
            });
        });
    }

    /// Counts the levels of loops of so many labels.
    #[cfg(feature = "companion")]
    pub fn count_levels(&self, labels: usize) -> Count<'_> {
        let bands = self.config.rows();
        Count { codec: self, loops: vec![0; labels + 1], counts: vec![0; (labels + 1) * bands * BINS] }
    }
}

/// How often each level occurs, label by label; the last label stands for loops without one.
#[cfg(feature = "companion")]
pub struct Count<'a> {
    codec: &'a Codec,
    /// `[label]`
    loops: Vec<u32>,
    /// `[label, band, bin]`
    counts: Vec<u32>,
}

/// Bins a decibel.
#[cfg(feature = "companion")]
const FINE: f32 = 4.0;
/// Bins that are counted, from the lowest level up: -140 to 20 decibels.
#[cfg(feature = "companion")]
const BINS: usize = 640;
#[cfg(feature = "companion")]
const LOWEST: f32 = -140.0;
/// So many loops of a label count as much as all loops together; fewer tell little of their style, many all.
#[cfg(feature = "companion")]
const FEW: f32 = 8.0;

#[cfg(feature = "companion")]
impl Count<'_> {
    fn labels(&self) -> usize {
        self.loops.len() - 1
    }

    fn bands(&self) -> usize {
        self.codec.config.rows()
    }

    /// Adds a loop.
    pub fn add(&mut self, latents: &Latents, label: Option<usize>) {
        let (size, labels) = (self.bands() * BINS, self.labels());
        let label = label.filter(|label| *label < labels).unwrap_or(labels);
        self.loops[label] += 1;
        let counts = &mut self.counts[label * size..(label + 1) * size];
        self.codec.each_spectrum(&self.codec.spectra(latents), |rows, spectrum| {
            for (band, level) in rows.zip(spectrum) {
                let bin = ((level - LOWEST) * FINE).max(0.0) as usize;
                counts[band * BINS + bin.min(BINS - 1)] += 1;
            }
        });
    }

    /// Levels `[label, band, rank]`, where so many different loops are known of each label.
    fn ranks(&self, known: &[u32]) -> Vec<f32> {
        let size = self.bands() * BINS;
        let mut all = vec![0u32; size];
        for counts in self.counts.chunks_exact(size) {
            all.iter_mut().zip(counts).for_each(|(all, one)| *all += one);
        }
        let every: Vec<f32> = all.chunks_exact(BINS).flat_map(ranked).collect();
        let labels = self.counts.chunks_exact(size).zip(known).take(self.labels());
        let mut out = Vec::new();
        for (counts, loops) in labels {
            let own = (*loops as f32).powi(2) / ((*loops as f32).powi(2) + FEW * FEW);
            let ranks = counts.chunks_exact(BINS).flat_map(ranked);
            // Between two distributions, rank by rank, lies another one.
            out.extend(
                ranks.zip(&every).map(|(rank, all)| if *loops == 0 { *all } else { own * rank + (1.0 - own) * all }),
            );
        }
        out.extend(every);
        out
    }

    /// Compares the levels of a net's loops, these, with those of training loops.
    pub fn beside(&self, training: &Self) -> Levels {
        let known = &training.loops;
        Levels { bands: self.bands(), generated: self.ranks(known), training: training.ranks(known) }
    }
}

/// Levels at the ranks of one band's counts.
#[cfg(feature = "companion")]
fn ranked(counts: &[u32]) -> impl Iterator<Item = f32> {
    let all = counts.iter().map(|c| f64::from(*c)).sum::<f64>();
    (0..RANKS).scan((0, 0.0), move |(bin, below), rank| {
        let share = 0.5 - 0.5 * (std::f64::consts::PI * rank as f64 / (RANKS - 1) as f64).cos();
        let place = share * all;
        while *bin + 1 < counts.len() && (counts[*bin] == 0 || *below + f64::from(counts[*bin]) < place) {
            *below += f64::from(counts[*bin]);
            *bin += 1;
        }
        let within = (place - *below) / f64::from(counts[*bin].max(1));
        Some(LOWEST + (*bin as f32 + within.clamp(0.0, 1.0) as f32) / FINE)
    })
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::*;
    use crate::codec::tests::codec;

    #[test]
    fn ranks_are_those_of_what_was_counted() {
        let mut counts = vec![0; BINS];
        // -40, -30 and -20 decibels.
        [(400, 10), (440, 80), (480, 10)].iter().for_each(|(bin, count)| counts[*bin] = *count);
        let ranks: Vec<f32> = ranked(&counts).collect();
        assert_eq!((ranks.len(), ranks.is_sorted()), (RANKS, true));
        assert_eq!((ranks[0], ranks[RANKS - 1]), (-40.0, -20.0 + 0.25));
        assert!((ranks[RANKS / 2] + 30.0 - 0.125).abs() < 0.01, "{}", ranks[RANKS / 2]);
    }

    #[test]
    fn levels_become_those_of_training_label_by_label() {
        let (codec, clips) = codec();
        let real: Vec<Latents> = clips.iter().map(|c| codec.encode(c).unwrap()).collect();
        // Twice as far from the mean patch: louder where it is loud, quieter where it is quiet.
        let wild: Vec<Latents> =
            real.iter().map(|l| Latents { values: l.values.iter().map(|v| 2.0 * v).collect(), ..l.clone() }).collect();
        // Half of the clips have a label of their own, many times over; the second label has no loops.
        let label = |i: usize| i.is_multiple_of(2).then_some(0);
        let counted = |loops: &[Latents]| {
            let mut count = codec.count_levels(2);
            (0..200 * loops.len()).for_each(|i| count.add(&loops[i % loops.len()], label(i % loops.len())));
            count
        };
        let levels = counted(&wild).beside(&counted(&real));
        let all = |loops: &[&Latents], levels: Option<Curves>| {
            let mut all = Vec::new();
            for latents in loops {
                let mut patches = codec.spectra(latents);
                levels.iter().for_each(|levels| codec.put_levels_right(&mut patches, *levels));
                all.extend(patches);
            }
            all.sort_by(f32::total_cmp);
            all
        };
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
        for (own, of) in [(vec![0, 2, 4], Some(0)), ((0..6).collect::<Vec<usize>>(), None)] {
            let [wild, real] = [&wild, &real].map(|loops| own.iter().map(|i| &loops[*i]).collect::<Vec<&Latents>>());
            let wanted = all(&real, None);
            let [raw, right] = [None, Some(levels.of(of))].map(|levels| apart(&all(&wild, levels), &wanted));
            assert!(raw > 3.0 && right < 0.1 * raw, "{of:?}: {raw} dB off, put right {right}");
        }
        assert_eq!(levels.of(Some(1)).training, levels.of(None).training, "a label without loops goes by all");
        let (_, shape, values) = levels.tensor();
        let back = |shape: &[usize], values: &[f32]| {
            Levels::from_tensors(&codec, 2, &|_| Some((shape.to_vec(), values.to_vec())))
        };
        assert_eq!(back(&shape, &values), Ok(Some(levels)));
        assert!(back(&[2, 1, 1, RANKS], &values[..2 * RANKS]).is_err());
        let mut fallen = values;
        fallen[1] = fallen[0] - 1.0;
        assert!(back(&shape, &fallen).is_err());
    }
}
