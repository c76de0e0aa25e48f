//! Judges sets of loops against real ones, by measures that need no downloaded network.
//!
//! In: [`Measures`] of training loops, of held-out loops and of sets to judge (a loop itself is not needed once it
//! is measured); out: a [`Row`] a set. Features are taken a bar ([`features`]), standardised by the training loops, and compared as
//! distributions ([`distance`]). Read a row beside those of training loops as they are (what is reached by being
//! real) and through the codec (what a net without mistakes would reach), and of noise.

pub mod distance;
pub mod features;

use rayon::prelude::*;

use crate::clip::Clip;
use crate::key::Key;
use crate::measure;
use distance::{Scale, Set};

/// Neighbours that vote for a style.
const VOTES: usize = 5;

/// What judging keeps of a loop: about a kilobyte a bar.
#[derive(Clone, Debug)]
pub struct Measures {
    bars: Set,
    seam: f64,
    on_grid: f64,
    harmony: f64,
    level: f64,
}

impl Measures {
    /// Measures a loop.
    pub fn of(clip: &Clip) -> Self {
        let bars = features::of(clip);
        Self {
            harmony: likeness(&bars),
            bars,
            seam: measure::seam(clip),
            on_grid: measure::on_grid(clip),
            level: clip.level(),
        }
    }
}

/// A loop to judge.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// What was measured of it.
    pub measures: &'a Measures,
    /// Its label, the one it was asked for when it is generated.
    pub label: Option<&'a str>,
    /// Its key, where it has one; likewise.
    pub key: Option<Key>,
}

/// What a set is like.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// Whose row it is.
    pub name: String,
    /// Loops judged.
    pub loops: usize,
    /// Unbiased kernel distance to the held-out loops, times 1000: the headline.
    pub kernel: f64,
    /// Its standard error, by how far several takes of the set lie apart, where there are several. Chance in which
    /// loops were held out is the same for all rows, and not in it.
    pub chance: Option<f64>,
    /// The same distance a group of features: log-mel, MFCC, chroma, onsets, mid/side.
    pub groups: Vec<f64>,
    /// Fréchet distance to the held-out loops.
    pub frechet: f64,
    /// Share of the held-out bars that have one of the set nearby, 0 to 1.
    pub coverage: f64,
    /// Mean distance within the set by that within the held-out loops.
    pub diversity: f64,
    /// Median distance to the nearest training bar by that of held-out bars: well below 1 is copied.
    pub novelty: f64,
    /// Step across the seam by the 99th percentile inside, mean.
    pub seam: f64,
    /// Share of onset energy on the 16th grid, mean.
    pub on_grid: f64,
    /// Likeness of the pitch classes of one bar and the next, 0 to 1, mean.
    pub harmony: f64,
    /// Share of the power between 65 Hz and 2.1 kHz on notes of a loop's key, mean over loops with keys; 0 without
    /// any. Notes at random would have 0.58.
    pub in_key: f64,
    /// Share of the loops whose bars lie among training bars of their own label.
    pub style: f64,
    /// Mean level in decibels below full scale.
    pub level: f64,
    /// Deviation of the level from loop to loop, in decibels.
    pub level_deviation: f64,
}

/// A set's features and figures before comparison.
struct Measured {
    bars: Set,
    /// The loop of each bar.
    owner: Vec<usize>,
    seam: Vec<f64>,
    on_grid: Vec<f64>,
    harmony: Vec<f64>,
    /// Of the loops with keys.
    in_key: Vec<f64>,
    level: Vec<f64>,
    labels: Vec<Option<String>>,
}

/// Judges sets against training and held-out loops.
pub struct Judge {
    scale: Scale,
    training: Set,
    training_labels: Vec<Option<String>>,
    held_out: Set,
    held_out_novelty: f64,
    held_out_diversity: f64,
}

impl Judge {
    /// Compares both sets; each must hold at least a few loops.
    pub fn new(training: &[Sample], held_out: &[Sample]) -> Self {
        let (seen, unseen) = (Measured::of(training), Measured::of(held_out));
        let scale = Scale::new(&seen.bars, &features::GROUPS.map(|(_, length)| length), &features::LEAST);
        let (bars, held_out) = (scale.apply(&seen.bars), scale.apply(&unseen.bars));
        Self {
            training_labels: seen.owner.iter().map(|o| seen.labels[*o].clone()).collect(),
            held_out_novelty: median(distance::nearest(&held_out, &bars)),
            held_out_diversity: distance::diversity(&held_out),
            training: bars,
            held_out,
            scale,
        }
    }

    /// The row of a set.
    pub fn row(&self, name: &str, set: &[Sample]) -> Row {
        self.row_of_takes(name, &[set])
    }

    /// The row of several takes of a set together, and how far they lie apart.
    pub fn row_of_takes(&self, name: &str, takes: &[&[Sample]]) -> Row {
        let set = takes.concat();
        let measured = Measured::of(&set);
        let bars = self.scale.apply(&measured.bars);
        let mut start = 0;
        let groups = features::GROUPS.iter().map(|(_, length)| {
            let cut = |set: &Set| -> Set { set.iter().map(|v| v[start..start + length].to_vec()).collect() };
            let distance = distance::kernel(&cut(&bars), &cut(&self.held_out));
            start += length;
            distance
        });
        let groups = groups.collect();
        let [level, level_deviation] = mean_and_deviation(&measured.level);
        Row {
            name: name.to_string(),
            loops: set.len(),
            kernel: distance::kernel(&bars, &self.held_out),
            chance: self.chance(takes),
            groups,
            frechet: distance::frechet(&self.held_out, &bars),
            coverage: distance::coverage(&self.held_out, &bars),
            diversity: distance::diversity(&bars) / self.held_out_diversity.max(1e-9),
            novelty: median(distance::nearest(&bars, &self.training)) / self.held_out_novelty.max(1e-9),
            seam: mean_and_deviation(&measured.seam)[0],
            on_grid: mean_and_deviation(&measured.on_grid)[0],
            harmony: mean_and_deviation(&measured.harmony)[0],
            in_key: mean_and_deviation(&measured.in_key)[0],
            style: self.style(&measured, &bars),
            level,
            level_deviation,
        }
    }

    /// Standard error of the kernel distance's mean over takes; None of one.
    fn chance(&self, takes: &[&[Sample]]) -> Option<f64> {
        let kernel = |take: &&[Sample]| distance::kernel(&self.scale.apply(&Measured::of(take).bars), &self.held_out);
        (takes.len() > 1).then(|| {
            let [_, deviation] = mean_and_deviation(&takes.iter().map(kernel).collect::<Vec<_>>());
            deviation / (takes.len() as f64 - 1.0).sqrt()
        })
    }

    /// Share of the labelled loops whose bars' nearest training bars bear their label most often.
    fn style(&self, measured: &Measured, bars: &Set) -> f64 {
        let votes: Vec<Vec<&str>> = bars.par_iter().map(|bar| self.neighbours(bar)).collect();
        let (mut right, mut all) = (0usize, 0usize);
        for (index, label) in measured.labels.iter().enumerate() {
            let Some(label) = label else { continue };
            let own = votes.iter().zip(&measured.owner).filter(|(_, o)| **o == index).flat_map(|(v, _)| v);
            let mut counts: Vec<(&str, usize)> = Vec::new();
            for vote in own {
                match counts.iter_mut().find(|(name, _)| name == vote) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((vote, 1)),
                }
            }
            all += 1;
            right += usize::from(counts.iter().max_by_key(|(_, count)| *count).is_some_and(|(name, _)| name == label));
        }
        right as f64 / all.max(1) as f64
    }

    /// Labels of the nearest training bars.
    fn neighbours(&self, bar: &[f32]) -> Vec<&str> {
        let squared = |other: &Vec<f32>| bar.iter().zip(other).map(|(x, y)| (x - y).powi(2)).sum::<f32>();
        let mut near: Vec<(f32, usize)> = self.training.iter().enumerate().map(|(i, v)| (squared(v), i)).collect();
        let count = VOTES.min(near.len());
        if count > 0 && count < near.len() {
            near.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
        }
        near[..count].iter().filter_map(|(_, i)| self.training_labels[*i].as_deref()).collect()
    }
}

impl Measured {
    fn of(set: &[Sample]) -> Self {
        let of = |figure: fn(&Measures) -> f64| set.iter().map(|s| figure(s.measures)).collect();
        let owner = set.iter().enumerate().flat_map(|(i, s)| std::iter::repeat_n(i, s.measures.bars.len()));
        Self {
            owner: owner.collect(),
            seam: of(|m| m.seam),
            on_grid: of(|m| m.on_grid),
            harmony: of(|m| m.harmony),
            in_key: set.iter().filter_map(|s| Some(in_key(&s.measures.bars, s.key?))).collect(),
            level: of(|m| m.level),
            labels: set.iter().map(|s| s.label.map(str::to_string)).collect(),
            bars: set.iter().flat_map(|s| s.measures.bars.iter().cloned()).collect(),
        }
    }
}

/// The part of a bar's features that is of the pitch classes: roots of their shares of the power.
fn chroma(bar: &[f32]) -> &[f32] {
    let before = features::GROUPS.iter().take_while(|(name, _)| *name != "chroma");
    let start: usize = before.map(|(_, length)| length).sum();
    &bar[start..start + 12]
}

/// Share of the power on the notes of a key.
fn in_key(bars: &Set, key: Key) -> f64 {
    let share = |bar: &Vec<f32>| {
        let classes = chroma(bar).iter().enumerate().filter(|(class, _)| key.holds(*class));
        classes.map(|(_, root)| f64::from(root * root)).sum::<f64>()
    };
    bars.iter().map(share).sum::<f64>() / bars.len().max(1) as f64
}

/// Mean cosine of the pitch classes of each bar and the next on the circle.
fn likeness(bars: &Set) -> f64 {
    let chroma = |i: usize| chroma(&bars[i % bars.len()]);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    let cosine = |i: usize| {
        let (a, b) = (chroma(i), chroma(i + 1));
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-9)
    };
    (0..bars.len()).map(cosine).sum::<f64>() / bars.len().max(1) as f64
}

fn mean_and_deviation(values: &[f64]) -> [f64; 2] {
    let count = values.len().max(1) as f64;
    // The sum of nothing is -0.
    let mean = values.iter().sum::<f64>() / count + 0.0;
    [mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt()]
}

fn median(mut values: Vec<f32>) -> f64 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::{SetOptions, render_with, sounds::SoundBank};
    use crate::random::Philox;
    use std::ops::ControlFlow;

    /// Loops with their measures and labels.
    fn drums(seed: u64, count: usize) -> Vec<(Clip, Measures, &'static str)> {
        let mut out = Vec::new();
        let options = SetOptions { loops: count, seed, bars: Some(1), ..SetOptions::default() };
        render_with(&SoundBank::of_test_tones(), &options, &mut |one| {
            let measures = Measures::of(&one.clip);
            out.push((one.clip, measures, one.label));
            ControlFlow::Continue(())
        })
        .unwrap();
        out
    }

    fn samples<'a>(set: &'a [(Clip, Measures, &'static str)]) -> Vec<Sample<'a>> {
        set.iter().map(|(_, measures, label)| Sample { measures, label: Some(label), key: None }).collect()
    }

    #[test]
    fn real_loops_are_near_and_noise_and_copies_are_told() {
        let (seen, unseen, more) = (drums(1, 80), drums(2, 40), drums(3, 40));
        let judge = Judge::new(&samples(&seen), &samples(&unseen));
        let real = judge.row("real", &samples(&more));
        let noise: Vec<(Clip, Measures, &'static str)> = more
            .iter()
            .enumerate()
            .map(|(i, (clip, _, label))| {
                let mut clip = clip.clone();
                for (channel, samples) in clip.samples.iter_mut().enumerate() {
                    let drawn = Philox::new(i as u64, channel as u64).normals(samples.len());
                    samples.iter_mut().zip(drawn).for_each(|(s, n)| *s = 0.1 * n);
                }
                let measures = Measures::of(&clip);
                (clip, measures, *label)
            })
            .collect();
        let noise = judge.row("noise", &samples(&noise));
        assert!(noise.kernel > 10.0 * real.kernel.abs().max(1.0), "{} {}", noise.kernel, real.kernel);
        assert!(noise.frechet > 3.0 * real.frechet, "{} {}", noise.frechet, real.frechet);
        assert!(noise.coverage < 0.1 && real.coverage > 0.5, "{} {}", noise.coverage, real.coverage);
        assert!((0.6..1.5).contains(&real.novelty) && (0.7..1.3).contains(&real.diversity), "{real:?}");
        let copies = judge.row("copies", &samples(&seen[..40]));
        assert!(copies.novelty < 0.05, "{}", copies.novelty);
        // Of 22 labels with fewer loops each than there are votes; chance is one in 22.
        assert!(copies.style > 0.25 && noise.style < 0.15, "{} {}", copies.style, noise.style);
    }
}
