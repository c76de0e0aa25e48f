//! How the standardised latents of the training loops spread: what a run from noise should end on.
//!
//! Channels of latents know of each other: what they share are few strong components and many faint ones.
//! Deviations are therefore kept along the components of the training latents, an orthonormal basis in
//! which noise stays what it is. Loops with keys and loops without are counted apart too where there are enough of both:
//! notes and hits spread otherwise.

use burn::tensor::{Device, Tensor, TensorData};
#[cfg(feature = "companion")]
use nalgebra::DMatrix;

use crate::flow::unet::Weight;

/// Statistics of standardised latents `[channel, frame]` along their principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// `[component, channel]`, orthonormal; None where each channel is a component.
    pub basis: Option<Vec<f32>>,
    /// Of all loops; the means are 0 unless another model's standardisation was taken over.
    pub all: Moments,
    /// Of loops without keys, and of loops with keys; None where either are too few to tell.
    pub apart: Option<[Moments; 2]>,
}

/// Moments of some loops, component by component.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means.
    pub mean: Vec<f32>,
    /// Deviations within loops, from each loop's own mean.
    pub within: Vec<f32>,
    /// Deviations of the loops' means.
    pub between: Vec<f32>,
}

/// Fewest loops with keys, or without, that are counted apart.
#[cfg(feature = "companion")]
const FEWEST: usize = 32;
const SPREAD: &str = "latents.spread";
const APART: &str = "latents.spread.apart";
const BASIS: &str = "latents.basis";
pub(super) const WRONG: &str = "the statistics of its latents are out of range";

impl Moments {
    fn standard(channels: usize) -> Self {
        let ones = vec![1.0; channels];
        Self { mean: vec![0.0; channels], within: ones.clone(), between: ones }
    }

    /// What they are at a time t for loops of so many frames: data that has them, and noise.
    pub(super) fn at(&self, t: f32, frames: usize) -> Self {
        let (data, share) = (1.0 - t, 1.0 / frames as f32);
        let with = |own: &[f32], noise: f32| -> Vec<f32> {
            own.iter().map(|v| ((data * v).powi(2) + t * t * noise).sqrt()).collect()
        };
        let mean = self.mean.iter().map(|m| data * m).collect();
        Self { mean, within: with(&self.within, 1.0 - share), between: with(&self.between, share) }
    }

    pub(super) fn rows(&self) -> [&Vec<f32>; 3] {
        [&self.mean, &self.within, &self.between]
    }

    /// `[3, component]`, one row after the other.
    fn values(&self) -> impl Iterator<Item = f32> {
        self.rows().into_iter().flatten().copied()
    }

    /// Those of such values, where they can be.
    fn from_values(values: &[f32]) -> Option<Self> {
        let mut rows = values.chunks_exact(values.len() / 3).map(<[f32]>::to_vec);
        let (mean, within, between) = (rows.next()?, rows.next()?, rows.next()?);
        let sound = within.iter().chain(&between).all(|d| *d > 0.0);
        sound.then_some(Self { mean, within, between })
    }
}

impl Spread {
    /// Of loops `[channel, frame]`, each with its number of frames and whether it is in a key.
    #[cfg(feature = "companion")]
    pub fn of<'a>(loops: impl Iterator<Item = (&'a [f32], usize, bool)> + Clone, channels: usize) -> Self {
        let basis = components(loops.clone().map(|(values, frames, _)| (values, frames)), channels);
        let turn = DMatrix::from_row_slice(channels, channels, &basis);
        let turned: Vec<(Vec<f32>, usize, bool)> = loops
            .map(|(values, frames, keyed)| {
                let one = DMatrix::from_row_slice(channels, frames, values);
                // Rows of the product, one after the other, are columns of its transpose.
                ((&turn * one).transpose().as_slice().to_vec(), frames, keyed)
            })
            .collect();
        let those = |kind: Option<bool>| turned.iter().filter(move |(.., keyed)| kind.is_none_or(|k| k == *keyed));
        let of = |kind| moments(those(kind).map(|(v, frames, _)| (v.as_slice(), *frames)), channels);
        let enough = [false, true].iter().all(|keyed| those(Some(*keyed)).count() >= FEWEST);
        Self { basis: Some(basis), all: of(None), apart: enough.then(|| [false, true].map(|keyed| of(Some(keyed)))) }
    }

    /// Of channels that know nothing of each other, with deviations of 1.
    pub fn standard(channels: usize) -> Self {
        Self { basis: None, all: Moments::standard(channels), apart: None }
    }

    /// Moments of the loops with keys, or of those without; of all where they are not told apart, or for None.
    pub(super) fn moments(&self, keyed: Option<bool>) -> &Moments {
        keyed.zip(self.apart.as_ref()).map_or(&self.all, |(keyed, apart)| &apart[usize::from(keyed)])
    }

    /// What turns `x_t` to components and back, on a device.
    pub(super) fn turn(&self, device: &Device) -> Turn {
        let channels = self.all.mean.len();
        let tensor = |basis| Tensor::from_data(TensorData::new(basis, [1, channels, channels]), device);
        Turn(self.basis.clone().map(tensor))
    }

    /// Names, shapes and values in the model file.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let channels = self.all.mean.len();
        let rows = (SPREAD.into(), vec![3, channels], self.all.values().collect());
        let apart = |apart: &[Moments; 2]| apart.iter().flat_map(Moments::values).collect();
        let apart = self.apart.iter().map(|both| (APART.into(), vec![2, 3, channels], apart(both)));
        let basis = self.basis.iter().map(|basis| (BASIS.into(), vec![channels, channels], basis.clone()));
        std::iter::once(rows).chain(apart).chain(basis).collect()
    }

    /// That of a model file, where it has one. Says in a sentence what is wrong.
    pub(super) fn from_tensors(
        channels: usize,
        lookup: &dyn Fn(&str) -> Option<Weight>,
    ) -> Result<Option<Self>, String> {
        let found = |name: &str, shape: &[usize]| match lookup(name) {
            Some(found) if found.shape != shape => Err(format!("tensor {name} has the wrong shape")),
            found => Ok(found.map(|found| found.values)),
        };
        let Some(all) = found(SPREAD, &[3, channels])? else { return Ok(None) };
        let basis = found(BASIS, &[channels, channels])?;
        let unit = |row: &[f32]| (0.9..1.1).contains(&row.iter().map(|v| v * v).sum::<f32>());
        if !basis.iter().all(|b| b.chunks_exact(channels).all(unit)) {
            return Err(WRONG.into());
        }
        let moments = |values: &[f32]| Moments::from_values(values).ok_or_else(|| WRONG.to_string());
        let apart = found(APART, &[2, 3, channels])?.map(|values| {
            let (without, with) = values.split_at(3 * channels);
            Ok::<_, String>([moments(without)?, moments(with)?])
        });
        Ok(Some(Self { basis, all: moments(&all)?, apart: apart.transpose()? }))
    }
}

/// A basis `[1, component, channel]` on a device; None where each channel is a component.
pub(super) struct Turn(Option<Tensor<3>>);

impl Turn {
    /// `[batch, channel, frame]` to `[batch, component, frame]`.
    pub(super) fn components(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            Some(basis) => basis.clone().repeat_dim(0, x.dims()[0]).matmul(x),
            None => x,
        }
    }

    /// And back.
    pub(super) fn channels(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            Some(basis) => basis.clone().swap_dims(1, 2).repeat_dim(0, x.dims()[0]).matmul(x),
            None => x,
        }
    }
}

/// Of each row of loops `[row, frame]`.
pub(super) fn moments<'a>(loops: impl Iterator<Item = (&'a [f32], usize)>, rows: usize) -> Moments {
    let mut sums = vec![[0f64; 4]; rows];
    for (values, frames) in loops {
        for (row, [all, mean, own, squares]) in values.chunks_exact(frames).zip(&mut sums) {
            let centre = row.iter().map(|v| f64::from(*v)).sum::<f64>() / frames as f64;
            *all += 1.0;
            *mean += centre;
            *own += centre * centre;
            *squares += row.iter().map(|v| (f64::from(*v) - centre).powi(2)).sum::<f64>() / frames as f64;
        }
    }
    let of = |f: fn(&[f64; 4]) -> f64| sums.iter().map(|sums| f(sums) as f32).collect();
    Moments {
        mean: of(|[all, mean, _, _]| mean / all.max(1.0)),
        within: of(|[all, _, _, squares]| (squares / all.max(1.0)).sqrt().max(1e-3)),
        between: of(|[all, mean, own, _]| {
            (own / all.max(1.0) - (mean / all.max(1.0)).powi(2)).max(0.0).sqrt().max(1e-3)
        }),
    }
}

/// Principal components `[component, channel]` of all frames, the strongest first.
#[cfg(feature = "companion")]
fn components<'a>(loops: impl Iterator<Item = (&'a [f32], usize)>, channels: usize) -> Vec<f32> {
    let (mut outer, mut sum, mut count) = (DMatrix::<f64>::zeros(channels, channels), vec![0f64; channels], 0);
    for (values, frames) in loops {
        let one = DMatrix::from_row_slice(channels, frames, values);
        // One loop's products fit 32 bits; the sum over loops does not.
        outer.iter_mut().zip((&one * one.transpose()).iter()).for_each(|(o, p)| *o += f64::from(*p));
        sum.iter_mut().zip(values.chunks_exact(frames)).for_each(|(s, row)| {
            *s += row.iter().map(|v| f64::from(*v)).sum::<f64>();
        });
        count += frames;
    }
    let n = count.max(1) as f64;
    let covariance = DMatrix::from_fn(channels, channels, |r, c| outer[(r, c)] / n - sum[r] * sum[c] / (n * n));
    let eigen = covariance.symmetric_eigen();
    let mut order: Vec<usize> = (0..channels).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    order.iter().flat_map(|i| eigen.eigenvectors.column(*i).iter().map(|v| *v as f32).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::noise;

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn deviations_are_those_along_the_components() {
        // Two channels that share one strong signal, and have a faint one each.
        let loops: Vec<Vec<f32>> = (0..100)
            .map(|i| {
                let drawn = noise::of_seed(i, 0, 2, 51);
                let (strong, faint) = (&drawn[..51], &drawn[51..]);
                let row = |sign: f32| {
                    let values = (0..50).map(move |k| 3.0 * (strong[k] + strong[50]) + sign * 0.1 * faint[k]);
                    values.collect::<Vec<_>>()
                };
                [row(1.0), row(-1.0)].concat()
            })
            .collect();
        let spread = Spread::of(loops.iter().map(|v| (v.as_slice(), 50, false)), 2);
        let near = |found: f32, right: f32| (found / right - 1.0).abs() < 0.15;
        let all = &spread.all;
        assert!(near(all.within[0], 3.0 * 2f32.sqrt()) && near(all.between[0], 3.0 * 2f32.sqrt()), "{spread:?}");
        assert!(near(all.within[1], 0.1 * 2f32.sqrt()) && all.between[1] < 0.05, "{spread:?}");
        let x = Tensor::<3>::from_data(TensorData::new(loops[..3].concat(), [3, 2, 50]), &Device::flex());
        let turn = spread.turn(&x.device());
        let there = turn.components(x.clone());
        let own = there.clone().into_data().try_into_vec::<f32>().unwrap();
        let faint = own[50..100].iter().fold(0f32, |most, v| most.max(v.abs()));
        assert!(faint < 1.0, "{faint}");
        assert!((turn.channels(there) - x).abs().max().into_scalar::<f32>() < 1e-4);
    }

    #[test]
    fn loops_with_keys_are_counted_apart_where_there_are_enough() {
        // Those with keys, every third one, are half as strong.
        let loops: Vec<Vec<f32>> = (0..3 * FEWEST as u64)
            .map(|i| noise::of_seed(i, 0, 1, 50).iter().map(|v| if i % 3 == 0 { 0.5 * v } else { *v }).collect())
            .collect();
        let of = |loops: &[Vec<f32>]| {
            let all = loops.iter().enumerate().map(|(i, v)| (v.as_slice(), 50, i % 3 == 0));
            Spread::of(all.collect::<Vec<_>>().into_iter(), 1)
        };
        let (few, spread) = (of(&loops[..3 * FEWEST - 3]), of(&loops));
        assert!(few.apart.is_none() && few.moments(Some(true)) == &few.all);
        let within = [Some(false), Some(true), None].map(|keyed| spread.moments(keyed).within[0]);
        assert!(within.iter().zip([1.0, 0.5, 0.75f32.sqrt()]).all(|(found, right)| (found - right).abs() < 0.05));
    }

    #[test]
    fn noise_and_data_share_the_spread_by_the_time() {
        let spread = Moments { mean: vec![1.0], within: vec![0.8], between: vec![0.6] };
        let at = |t| spread.at(t, 25).rows().map(|row| row[0]);
        let right = |found: [f32; 3], right: [f32; 3]| found.iter().zip(right).all(|(f, r)| close(*f, r));
        assert!(right(at(1.0), [0.0, 0.96f32.sqrt(), 0.2]) && right(at(0.0), [1.0, 0.8, 0.6]));
    }

    #[test]
    fn statistics_of_a_file_are_checked() {
        let back = |spread: Spread, with_basis: bool| {
            let tensors = spread.tensors();
            Spread::from_tensors(2, &|asked| {
                let (_, shape, values) = tensors.iter().find(|(name, ..)| name == asked)?;
                (with_basis || asked != BASIS).then(|| Weight { shape: shape.clone(), values: values.clone() })
            })
        };
        let turned = Spread { basis: Some(vec![0.6, 0.8, -0.8, 0.6]), ..Spread::standard(2) };
        assert_eq!(back(turned.clone(), true).unwrap(), Some(turned.clone()));
        assert_eq!(back(turned.clone(), false).unwrap(), Some(Spread::standard(2)));
        let quieter = |within| Moments { within, ..Moments::standard(2) };
        let apart = |within| Some([Moments::standard(2), quieter(within)]);
        let told = Spread { apart: apart(vec![0.5, 0.7]), ..turned.clone() };
        assert_eq!(back(told.clone(), true).unwrap(), Some(told));
        for bad in [vec![0.0, 1.0], vec![f32::NAN, 1.0]] {
            assert!(back(Spread { apart: apart(bad.clone()), ..turned.clone() }, true).is_err());
            assert!(back(Spread { all: quieter(bad), ..turned.clone() }, true).is_err());
        }
        assert!(back(Spread { basis: Some(vec![30.0, 0.0, 0.0, 1.0]), ..turned.clone() }, true).is_err());
        assert!(back(Spread::standard(3), true).is_err());
    }
}
