//! Levels that a net gets wrong. Its loops spread along each component as the training loops do, but not in the
//! same shape: what it blurs, and what is then widened, has longer tails. The loudest kicks come out several
//! decibels too loud, the silence between hits is not silent, and what is rare in one style and frequent in
//! another lies between the two. So each band's levels are put right when a run is decoded: a level becomes the
//! training loops' level of the same rank, label by label (quantile mapping). Runs of few steps blur more than runs
//! of many, so each was measured for itself.

use std::borrow::Cow;

use rayon::prelude::*;

#[cfg(feature = "companion")]
use super::Latents;
#[cfg(feature = "companion")]
use super::calm::Wavering;
use super::{Codec, Stored};

/// Ranks: the 0th is the lowest level, the last the highest; near both they lie closer.
const RANKS: usize = 33;
const TRAINING: &str = "levels.training";

/// Solver steps of the runs that a model file may tell of; between them levels are interpolated.
pub(super) const RUNS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Those that are measured: with more steps than 16 runs come out as with 16.
#[cfg(feature = "companion")]
pub const MEASURED_RUNS: [u32; 5] = [1, 2, 4, 8, 16];

/// Levels in decibels of every band, range after range, mid before side: `[label, band, rank]`, ascending in each
/// band; the last label stands for all loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    bands: usize,
    /// Of ascending steps; never empty.
    generated: Vec<Run>,
    training: Vec<f32>,
}

/// What a net's loops come out as.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    steps: u32,
    /// `[label, range]`: shares by which they are calmed before their levels are put right.
    calm: Vec<f32>,
    ranks: Vec<f32>,
}

/// Levels of one label, and of runs of so many steps.
#[derive(Clone, Debug)]
pub struct Curves<'a> {
    calm: Vec<f32>,
    generated: Cow<'a, [f32]>,
    training: &'a [f32],
}

/// Between two rows of numbers.
pub(super) fn between<'a>(low: &'a [f32], high: &'a [f32], share: f32) -> Cow<'a, [f32]> {
    match share {
        0.0 => Cow::Borrowed(low),
        share => low.iter().zip(high).map(|(l, h)| l + share * (h - l)).collect(),
    }
}

impl Levels {
    fn labels(&self) -> usize {
        self.training.len() / (self.bands * RANKS)
    }

    /// These, with the runs of fewer than `below` steps of others, which were measured with the same codec and labels.
    pub fn with_short_runs(mut self, others: Self, below: u32) -> Self {
        self.generated.retain(|run| run.steps >= below);
        self.generated.splice(0..0, others.generated.into_iter().filter(|run| run.steps < below));
        self
    }

    /// Those of a label, or of all loops, of runs whose whole way has `steps` steps.
    pub fn of(&self, label: Option<usize>, steps: f32) -> Curves<'_> {
        let (last, size) = (self.labels() - 1, self.bands * RANKS);
        let start = label.unwrap_or(last).min(last) * size;
        let own = start..start + size;
        let (low, high, share) = neighbours(self.generated.iter().map(|run| run.steps), steps);
        let (low, high) = (&self.generated[low], &self.generated[high]);
        let ranges = low.calm.len() / self.labels();
        let calmed = label.unwrap_or(last).min(last) * ranges..;
        let calm = between(&low.calm[calmed.clone()][..ranges], &high.calm[calmed][..ranges], share).into_owned();
        let generated = between(&low.ranks[own.clone()], &high.ranks[own.clone()], share);
        Curves { calm, generated, training: &self.training[own] }
    }

    /// Names, shapes and values in the model file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let shape = vec![self.labels(), self.bands, RANKS];
        let training = [(TRAINING.into(), shape.clone(), self.training.clone())];
        let runs = self.generated.iter().flat_map(|run| {
            let calm = vec![self.labels(), run.calm.len() / self.labels()];
            let [ranks_name, calm_name] = names_of(run.steps);
            [(ranks_name, shape.clone(), run.ranks.clone()), (calm_name, calm, run.calm.clone())]
        });
        runs.chain(training).collect()
    }

    /// Those of a model file of so many labels, where it has them; `lookup` gives shape and (finite) values by
    /// name. Says in a sentence what is wrong.
    pub fn from_tensors(
        codec: &Codec,
        labels: usize,
        lookup: &dyn Fn(&str) -> Option<Stored>,
    ) -> Result<Option<Self>, String> {
        let bands = codec.config.rows();
        let checked = |(shape, values): Stored| {
            let ascending = values.chunks_exact(RANKS).all(|band| band.is_sorted());
            match shape == [labels + 1, bands, RANKS] && ascending {
                true => Ok(values),
                false => Err("its levels have the wrong shape or order".to_string()),
            }
        };
        let run = |steps: u32| {
            let [ranks_name, calm_name] = names_of(steps);
            let (ranks, (shape, calm)) = (lookup(&ranks_name)?, lookup(&calm_name)?);
            let shares = shape == [labels + 1, codec.layers.len()] && calm.iter().all(|c| (0.0..=1.0).contains(c));
            Some(match shares {
                true => checked(ranks).map(|ranks| Run { steps, calm, ranks }),
                false => Err("the shares by which its loops are calmed have the wrong shape or size".into()),
            })
        };
        let generated = RUNS.into_iter().filter_map(run).collect::<Result<Vec<_>, _>>()?;
        match lookup(TRAINING) {
            Some(training) if !generated.is_empty() => {
                Ok(Some(Self { bands, generated, training: checked(training)? }))
            }
            _ => Ok(None),
        }
    }
}

/// Of a run's levels, and of the shares by which it is calmed.
fn names_of(steps: u32) -> [String; 2] {
    ["levels", "calm"].map(|what| format!("{what}.{steps}"))
}

/// The measured runs (their steps ascend, at least one) on either side of one with so many steps, and how far it
/// lies from the first to the second.
pub fn neighbours(measured: impl Iterator<Item = u32>, steps: f32) -> (usize, usize, f32) {
    let measured: Vec<f32> = measured.map(|steps| steps as f32).collect();
    let high = measured.iter().position(|m| *m >= steps).unwrap_or(measured.len() - 1);
    let low = if measured[high] > steps { high.saturating_sub(1) } else { high };
    let octaves = (measured[high] / measured[low]).log2();
    let share = if octaves > 0.0 { (steps / measured[low]).log2() / octaves } else { 0.0 };
    (low, high, share.clamp(0.0, 1.0))
}

impl Curves<'_> {
    /// The training loops' level of the rank that a level has among the net's.
    fn right(&self, band: usize, level: f32) -> f32 {
        let [made, wanted] = [&*self.generated, self.training].map(|all| &all[band * RANKS..(band + 1) * RANKS]);
        let above = made.partition_point(|m| *m < level).clamp(1, RANKS - 1);
        let (low, high) = (made[above - 1], made[above]);
        let share = ((level - low) / (high - low).max(1e-3)).clamp(0.0, 1.0);
        wanted[above - 1] + share * (wanted[above] - wanted[above - 1])
    }
}

impl Codec {
    /// Calms decoded patches, and puts their levels right.
    pub(super) fn put_levels_right(&self, patches: &mut [f32], levels: &Curves<'_>) {
        self.calm(patches, &levels.calm);
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
        let counts = vec![0; (labels + 1) * bands * BINS];
        Count { codec: self, calm: Vec::new(), loops: vec![0; labels + 1], counts }
    }
}

/// How often each level occurs, label by label; the last label stands for loops without one.
#[cfg(feature = "companion")]
pub struct Count<'a> {
    codec: &'a Codec,
    /// `[label, range]`; empty where nothing is calmed.
    calm: Vec<f32>,
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
/// So many loops of a label count as much as all loops together.
#[cfg(feature = "companion")]
const FEW: f32 = 8.0;

/// How much loops of a label tell of their style beside all loops: few tell little, many all.
#[cfg(feature = "companion")]
pub(super) fn trust(loops: u32) -> f32 {
    let squared = (loops as f32).powi(2);
    squared / (squared + FEW * FEW)
}

#[cfg(feature = "companion")]
impl Count<'_> {
    fn labels(&self) -> usize {
        self.loops.len() - 1
    }

    fn bands(&self) -> usize {
        self.codec.config.rows()
    }

    /// From now on loops are calmed as they will be, these being a net's, beside what training loops do.
    pub fn calmed(self, made: &Wavering<'_>, training: &Wavering<'_>) -> Self {
        Self { calm: training.beside(made), ..self }
    }

    /// Adds a loop.
    pub fn add(&mut self, latents: &Latents, label: Option<usize>) {
        let (size, labels) = (self.bands() * BINS, self.labels());
        let label = label.filter(|label| *label < labels).unwrap_or(labels);
        self.loops[label] += 1;
        let counts = &mut self.counts[label * size..(label + 1) * size];
        let mut patches = self.codec.spectra(latents);
        if !self.calm.is_empty() {
            let ranges = self.calm.len() / self.loops.len();
            self.codec.calm(&mut patches, &self.calm[label * ranges..][..ranges]);
        }
        self.codec.each_spectrum(&patches, |rows, spectrum| {
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
            let own = trust(*loops);
            let ranks = counts.chunks_exact(BINS).flat_map(ranked);
            // Between two distributions, rank by rank, lies another one.
            out.extend(
                ranks.zip(&every).map(|(rank, all)| if *loops == 0 { *all } else { own * rank + (1.0 - own) * all }),
            );
        }
        out.extend(every);
        out
    }

    /// Compares the levels of training loops, these, with those of a net's runs, each with its steps, which
    /// ascend (at least one).
    pub fn beside(&self, runs: &[(u32, Self)]) -> Levels {
        let known = &self.loops;
        let calm = |made: &Self| match made.calm.is_empty() {
            true => vec![0.0; self.loops.len() * self.codec.layers.len()],
            false => made.calm.clone(),
        };
        let run = |(steps, made): &(u32, Self)| Run { steps: *steps, calm: calm(made), ranks: made.ranks(known) };
        let generated = runs.iter().map(run).collect();
        Levels { bands: self.bands(), generated, training: self.ranks(known) }
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
        // With more steps they are right.
        let levels = counted(&real).beside(&[(2, counted(&wild)), (8, counted(&real))]);
        let all = |loops: &[&Latents], levels: Option<Curves>| {
            let mut all = Vec::new();
            for latents in loops {
                let mut patches = codec.spectra(latents);
                levels.iter().for_each(|levels| codec.put_levels_right(&mut patches, levels));
                all.extend(patches);
            }
            all.sort_by(f32::total_cmp);
            all
        };
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
        for (own, of) in [(vec![0, 2, 4], Some(0)), ((0..6).collect::<Vec<usize>>(), None)] {
            let [wild, real] = [&wild, &real].map(|loops| own.iter().map(|i| &loops[*i]).collect::<Vec<&Latents>>());
            let wanted = all(&real, None);
            let [raw, right] = [None, Some(levels.of(of, 2.0))].map(|levels| apart(&all(&wild, levels), &wanted));
            assert!(raw > 3.0 && right < 0.1 * raw, "{of:?}: {raw} dB off, put right {right}");
        }
        let [few, some, many] = [1.0, 4.0, 99.0].map(|steps| levels.of(Some(0), steps));
        let between = |i: usize| (few.generated[i] + many.generated[i]) / 2.0 - some.generated[i];
        assert!((0..few.generated.len()).all(|i| between(i).abs() < 1e-3), "half-way between two and eight");
        assert!(many.generated == many.training && few.generated != few.training);
        assert_eq!(
            levels.of(Some(1), 2.0).training,
            levels.of(None, 2.0).training,
            "a label without loops goes by all"
        );
    }

    #[test]
    fn levels_of_a_file_are_checked() {
        let (codec, clips) = codec();
        let mut count = codec.count_levels(1);
        count.add(&codec.encode(&clips[0]).unwrap(), None);
        let mut louder = codec.count_levels(1);
        louder.add(&codec.encode(&clips[1]).unwrap(), Some(0));
        let levels = count.beside(&[(1, louder)]);
        let tensors = levels.tensors();
        let back = |change: &dyn Fn(&str, &mut Stored)| {
            Levels::from_tensors(&codec, 1, &|asked| {
                let (name, shape, values) = tensors.iter().find(|(name, ..)| name == asked)?;
                let mut stored = (shape.clone(), values.clone());
                change(name, &mut stored);
                Some(stored)
            })
        };
        assert_eq!(back(&|_, _| {}), Ok(Some(levels.clone())));
        assert_eq!(Levels::from_tensors(&codec, 1, &|_| None), Ok(None), "a model may have none");
        for which in [names_of(1)[0].clone(), TRAINING.into()] {
            let short = |name: &str, (shape, values): &mut Stored| {
                if name == which {
                    (*shape, *values) = (vec![1, 1, RANKS], values[..RANKS].to_vec());
                }
            };
            let fallen = |name: &str, (_, values): &mut Stored| {
                if name == which {
                    values[1] = values[0] - 1.0;
                }
            };
            assert!(back(&short).is_err() && back(&fallen).is_err(), "{which}");
        }
        let wild = |name: &str, (_, values): &mut Stored| {
            if name == names_of(1)[1] {
                values[0] = 1.5;
            }
        };
        assert!(back(&wild).is_err());
    }
}
