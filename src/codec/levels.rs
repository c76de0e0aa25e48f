//! Levels that a net makes too high. Its loops spread along each component as the training loops do, but not in
//! the same shape: what it blurs, and what is then widened, has longer tails, and the loudest kicks come out
//! several decibels too loud. What lies beyond the training loops' level of the same rank is lowered to it.

#[cfg(feature = "companion")]
use rayon::prelude::*;

#[cfg(feature = "companion")]
use super::Latents;
use super::{Codec, Stored};

/// Ranks: the 0th is the lowest level, the last the highest.
const RANKS: usize = 201;
const TENSOR: &str = "latents.levels";

/// Levels in decibels of the lowest range's mid bands, which hold the kicks: `[band, rank]`, ascending in each
/// band.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    generated: Vec<f32>,
    training: Vec<f32>,
}

impl Levels {
    /// Name, shape and values in the model file.
    pub fn tensor(&self) -> (String, Vec<usize>, Vec<f32>) {
        let values = [self.generated.as_slice(), &self.training].concat();
        (TENSOR.into(), vec![2, self.generated.len() / RANKS, RANKS], values)
    }

    /// Those of a model file, where it has them; `lookup` gives shape and (finite) values by name. Says in a
    /// sentence what is wrong.
    pub fn from_tensors(codec: &Codec, lookup: &dyn Fn(&str) -> Option<Stored>) -> Result<Option<Self>, String> {
        let Some((shape, values)) = lookup(TENSOR) else { return Ok(None) };
        let ascending = values.chunks_exact(RANKS).all(|band| band.is_sorted());
        if shape != [2, codec.lowest_bands(), RANKS] || !ascending {
            return Err("its levels have the wrong shape or order".into());
        }
        let (generated, training) = values.split_at(values.len() / 2);
        Ok(Some(Self { generated: generated.to_vec(), training: training.to_vec() }))
    }

    fn lowered(&self, band: usize, level: f32) -> f32 {
        let [made, wanted] = [&self.generated, &self.training].map(|all| &all[band * RANKS..(band + 1) * RANKS]);
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
    pub(super) fn lower(&self, patches: &mut [f32], levels: &Levels) {
        self.each_low(patches, |band, level| *level = levels.lowered(band, *level));
    }

    /// Compares latents that a net made with those of training loops.
    #[cfg(feature = "companion")]
    pub fn compare_levels(&self, generated: &[Latents], training: &[Latents]) -> Levels {
        let ranks = |loops: &[Latents]| -> Vec<f32> {
            let mut bands = vec![Vec::new(); self.lowest_bands()];
            for latents in loops {
                self.each_low(&mut self.unproject(latents), |band, level| bands[band].push(*level));
            }
            let ranked = bands.into_par_iter().flat_map_iter(|mut band| {
                band.sort_by(f32::total_cmp);
                let last = band.len().saturating_sub(1);
                (0..RANKS).map(move |rank| band.get(rank * last / (RANKS - 1)).copied().unwrap_or_default())
            });
            ranked.collect()
        };
        Levels { generated: ranks(generated), training: ranks(training) }
    }
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
        let levels = codec.compare_levels(&wild, &real);
        let low = |latents: &Latents, levels: Option<&Levels>| {
            let mut patches = codec.unproject(latents);
            levels.iter().for_each(|levels| codec.lower(&mut patches, levels));
            let mut all = Vec::new();
            codec.each_low(&mut patches, |_, level| all.push(*level));
            all
        };
        let (mut raw, mut highest, mut wanted) = (f32::MIN, f32::MIN, f32::MIN);
        for (wild, real) in wild.iter().zip(&real) {
            let lowered = low(wild, Some(&levels));
            assert!(lowered.iter().zip(low(wild, None)).all(|(l, w)| *l <= w), "a level was raised");
            let top = |all: Vec<f32>| all.into_iter().fold(f32::MIN, f32::max);
            raw = raw.max(top(low(wild, None)));
            highest = highest.max(top(lowered));
            wanted = wanted.max(top(low(real, None)));
        }
        assert!(raw > wanted + 6.0 && (highest - wanted).abs() < 0.1, "{raw} lowered to {highest}, not {wanted}");
        let (_, shape, values) = levels.tensor();
        let back = |shape: &[usize], values: &[f32]| {
            Levels::from_tensors(&codec, &|_| Some((shape.to_vec(), values.to_vec())))
        };
        assert_eq!(back(&shape, &values), Ok(Some(levels)));
        assert!(back(&[2, 1, RANKS], &values[..2 * RANKS]).is_err());
        let mut fallen = values;
        fallen[1] = fallen[0] - 1.0;
        assert!(back(&shape, &fallen).is_err());
    }
}
