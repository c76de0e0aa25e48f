//! Levels that a net makes too high. Its loops spread along each component as the training loops do, but not in
//! the same shape: what it blurs, and what is then widened, has longer tails, and the loudest kicks come out
//! several decibels too loud. What lies beyond the training loops' level of the same rank is lowered to it,
//! label by label: the lows of a kick are not those of a bass line.

#[cfg(feature = "companion")]
use rayon::prelude::*;

#[cfg(feature = "companion")]
use super::Latents;
use super::{Codec, Stored};

/// Ranks: the 0th is the lowest level, the last the highest; near it they lie closer.
const RANKS: usize = 51;
const TENSOR: &str = "latents.levels";

/// Levels in decibels of the lowest range's mid bands, which hold the kicks: `[label, band, rank]`, ascending in
/// each band; the last label stands for all loops.
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
        let bands = codec.lowest_bands();
        let ascending = values.chunks_exact(RANKS).all(|band| band.is_sorted());
        if shape != [2, labels + 1, bands, RANKS] || !ascending {
            return Err("its levels have the wrong shape or order".into());
        }
        let (generated, training) = values.split_at(values.len() / 2);
        Ok(Some(Self { bands, generated: generated.to_vec(), training: training.to_vec() }))
    }
}

impl Curves<'_> {
    fn lowered(&self, band: usize, level: f32) -> f32 {
        let [made, wanted] = [self.generated, self.training].map(|all| &all[band * RANKS..(band + 1) * RANKS]);
        let above = made.partition_point(|m| *m < level).clamp(1, RANKS - 1);
        let (low, high) = (made[above - 1], made[above]);
        let share = ((level - low) / (high - low).max(1e-3)).clamp(0.0, 1.0);
        level.min(wanted[above - 1] + share * (wanted[above] - wanted[above - 1]))
    }
}

impl Codec {
    fn lowest_bands(&self) -> usize {
        self.layers[0].resolution.bands
    }

    /// Calls `see` with each level in the mid bands of the lowest range, and its band.
    fn each_low(&self, patches: &mut [f32], mut see: impl FnMut(usize, &mut f32)) {
        let layer = &self.layers[0];
        for patch in patches.chunks_exact_mut(self.weights.len()) {
            for spectrum in patch[layer.patch.clone()].chunks_exact_mut(layer.rows.len()) {
                spectrum[..layer.resolution.bands].iter_mut().enumerate().for_each(|(band, level)| see(band, level));
            }
        }
    }

    /// Lowers what is too high in decoded patches.
    pub(super) fn lower(&self, patches: &mut [f32], levels: Curves<'_>) {
        self.each_low(patches, |band, level| *level = levels.lowered(band, *level));
    }

    /// Compares latents that a net made with those of training loops, each with its label of so many.
    #[cfg(feature = "companion")]
    pub fn compare_levels(
        &self,
        generated: &[(Latents, Option<usize>)],
        training: &[(Latents, Option<usize>)],
        labels: usize,
    ) -> Levels {
        let bands = self.lowest_bands();
        let all = |loops: &[(Latents, Option<usize>)]| -> Vec<Vec<f32>> {
            let mut levels = vec![Vec::new(); (labels + 1) * bands];
            for (latents, label) in loops {
                // A net without labels learns from loops that have some.
                let own = label.filter(|label| *label < labels);
                self.each_low(&mut self.unproject(latents), |band, level| {
                    own.iter().for_each(|label| levels[label * bands + band].push(*level));
                    levels[labels * bands + band].push(*level);
                });
            }
            // What no loop was heard of goes by all.
            let (own, every) = levels.split_at_mut(labels * bands);
            for (i, own) in own.iter_mut().enumerate().filter(|(_, own)| own.is_empty()) {
                own.clone_from(&every[i % bands]);
            }
            levels
        };
        let ranks = |loops| -> Vec<f32> {
            let ranked = all(loops).into_par_iter().flat_map_iter(|mut levels| {
                levels.sort_by(f32::total_cmp);
                (0..RANKS).map(move |rank| at_rank(&levels, rank))
            });
            ranked.collect()
        };
        Levels { bands, generated: ranks(generated), training: ranks(training) }
    }
}

/// The level of a rank among ascending ones, 0 if there is none.
#[cfg(feature = "companion")]
fn at_rank(levels: &[f32], rank: usize) -> f32 {
    let left = 1.0 - rank as f64 / (RANKS - 1) as f64;
    let place = (1.0 - left * left) * levels.len().saturating_sub(1) as f64;
    levels.get(place.round() as usize).copied().unwrap_or_default()
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::*;
    use crate::codec::tests::codec;

    #[test]
    fn tails_that_are_too_long_are_cut_to_those_of_training() {
        let (codec, clips) = codec();
        let real: Vec<Latents> = clips.iter().map(|c| codec.encode(c).unwrap()).collect();
        // Twice as far from the mean patch: louder where it is loud, quieter where it is quiet.
        let wild: Vec<Latents> =
            real.iter().map(|l| Latents { values: l.values.iter().map(|v| 2.0 * v).collect(), ..l.clone() }).collect();
        // The first clip has a label of its own, the second label has no loops.
        let labelled = |loops: &[Latents]| -> Vec<(Latents, Option<usize>)> {
            loops.iter().cloned().enumerate().map(|(i, l)| (l, (i == 0).then_some(0))).collect()
        };
        let levels = codec.compare_levels(&labelled(&wild), &labelled(&real), 2);
        let low = |latents: &Latents, levels: Option<Curves>| {
            let mut patches = codec.unproject(latents);
            levels.iter().for_each(|levels| codec.lower(&mut patches, *levels));
            let mut all = Vec::new();
            codec.each_low(&mut patches, |_, level| all.push(*level));
            all
        };
        let (mut raw, mut highest, mut wanted) = (f32::MIN, f32::MIN, f32::MIN);
        for (wild, real) in wild.iter().zip(&real) {
            let lowered = low(wild, Some(levels.of(None)));
            assert!(lowered.iter().zip(low(wild, None)).all(|(l, w)| *l <= w), "a level was raised");
            let top = |all: Vec<f32>| all.into_iter().fold(f32::MIN, f32::max);
            raw = raw.max(top(low(wild, None)));
            highest = highest.max(top(lowered));
            wanted = wanted.max(top(low(real, None)));
        }
        assert!(raw > wanted + 6.0 && (highest - wanted).abs() < 0.1, "{raw} lowered to {highest}, not {wanted}");
        assert_eq!(low(&wild[1], Some(levels.of(Some(1)))), low(&wild[1], Some(levels.of(None))));
        let top = |all: Vec<f32>| all.into_iter().fold(f32::MIN, f32::max);
        let (own, wanted) = (top(low(&wild[0], Some(levels.of(Some(0))))), top(low(&real[0], None)));
        assert!((own - wanted).abs() < 0.1, "{own}, not {wanted}, by its own label");
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
