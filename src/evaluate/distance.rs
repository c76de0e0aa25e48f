//! How far one set of feature vectors is from another.
//!
//! - [`kernel`]: unbiased squared maximum mean discrepancy with a mixture of rational quadratic kernels
//!   (Bińkowski et al., "Demystifying MMD GANs", 2018): 0 on average for two samples of one
//!   distribution, at any size. The cubic kernel of the same paper is ruled by a few outliers here.
//! - [`frechet`]: distance of Gaussians (Heusel et al., 2017).
//! - [`coverage`]: share of the real vectors that have a generated one nearer than their fifth
//!   real neighbour (Naeem et al., 2020).

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

/// Feature vectors of equal length.
pub type Set = Vec<Vec<f32>>;

/// Neighbours that make a neighbourhood.
const NEIGHBOURS: usize = 5;
/// Directions that the Fréchet distance looks at: more need more vectors.
const DIRECTIONS: usize = 32;

fn squared(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// Standardises by the statistics of a reference set, each group of features weighing the same.
pub struct Scale {
    mean: Vec<f32>,
    weight: Vec<f32>,
}

impl Scale {
    /// `groups`: lengths of the groups of features; `least`: the deviation that each of them is taken to have at
    /// least.
    pub fn new(reference: &Set, groups: &[usize], least: &[f32]) -> Self {
        let count = reference.len().max(1) as f32;
        let dimensions: usize = groups.iter().sum();
        let mut mean = vec![0f32; dimensions];
        reference.iter().for_each(|v| mean.iter_mut().zip(v).for_each(|(m, v)| *m += v / count));
        let mut variance = vec![0f32; dimensions];
        for v in reference {
            variance.iter_mut().zip(v).zip(&mean).for_each(|((s, v), m)| *s += (v - m).powi(2) / count);
        }
        let share = |length: usize| (dimensions as f32 / groups.len() as f32 / length as f32).sqrt();
        let each =
            groups.iter().zip(least).flat_map(|(length, least)| std::iter::repeat_n((share(*length), *least), *length));
        let weight = variance.iter().zip(each).map(|(v, (share, least))| share / v.sqrt().max(least)).collect();
        Self { mean, weight }
    }

    /// The vectors on the reference's scale.
    pub fn apply(&self, set: &Set) -> Set {
        let one = |v: &Vec<f32>| {
            let scaled = v.iter().zip(&self.mean).zip(&self.weight);
            scaled.map(|((v, m), w)| (v - m) * w).collect()
        };
        set.iter().map(one).collect()
    }
}

/// Shapes of the rational quadratic kernels.
const SHAPES: [f64; 5] = [0.2, 0.5, 1.0, 2.0, 5.0];

/// Unbiased squared maximum mean discrepancy, times 1000; squared distances count a feature.
pub fn kernel(a: &Set, b: &Set) -> f64 {
    let dimensions = a.first().map_or(1, Vec::len) as f64;
    let k = |x: &[f32], y: &[f32]| {
        let far = f64::from(squared(x, y)) / dimensions;
        SHAPES.iter().map(|shape| (1.0 + far / (2.0 * shape)).powf(-shape)).sum::<f64>() / SHAPES.len() as f64
    };
    let within = |set: &Set| {
        let n = set.len() as f64;
        let rows = (0..set.len()).into_par_iter().map(|i| (0..i).map(|j| k(&set[i], &set[j])).sum::<f64>());
        2.0 * rows.sum::<f64>() / (n * (n - 1.0)).max(1.0)
    };
    let between: f64 = a.par_iter().map(|x| b.iter().map(|y| k(x, y)).sum::<f64>()).sum();
    1000.0 * (within(a) + within(b) - 2.0 * between / (a.len() * b.len()).max(1) as f64)
}

fn moments(set: &Set) -> (DVector<f64>, DMatrix<f64>) {
    let (rows, columns) = (set.len(), set.first().map_or(0, Vec::len));
    let data = DMatrix::from_fn(rows, columns, |r, c| f64::from(set[r][c]));
    let mean = data.row_mean().transpose();
    let centred = DMatrix::from_fn(rows, columns, |r, c| data[(r, c)] - mean[c]);
    let covariance = centred.transpose() * &centred / (rows.max(2) - 1) as f64;
    (mean, covariance)
}

fn square_root(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(matrix);
    let roots = DMatrix::from_diagonal(&eigen.eigenvalues.map(|v| v.max(0.0).sqrt()));
    &eigen.eigenvectors * roots * eigen.eigenvectors.transpose()
}

/// Fréchet distance of Gaussians in the directions in which `reference` varies most.
pub fn frechet(reference: &Set, other: &Set) -> f64 {
    let (mean, covariance) = moments(reference);
    let (other_mean, other_covariance) = moments(other);
    let eigen = SymmetricEigen::new(covariance.clone());
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let columns: Vec<_> = order.iter().take(DIRECTIONS).map(|i| eigen.eigenvectors.column(*i).into_owned()).collect();
    let basis = DMatrix::from_columns(&columns);
    let (a, b) = (basis.transpose() * covariance * &basis, basis.transpose() * other_covariance * &basis);
    let apart = basis.transpose() * (mean - other_mean);
    let root = square_root(a.clone());
    let cross = square_root(&root * &b * &root);
    apart.norm_squared() + a.trace() + b.trace() - 2.0 * cross.trace()
}

/// Distance of each vector of `of` to its nearest in `among`.
pub fn nearest(of: &Set, among: &Set) -> Vec<f32> {
    of.par_iter().map(|x| among.iter().map(|y| squared(x, y)).fold(f32::MAX, f32::min).sqrt()).collect()
}

/// Share of the real vectors in whose neighbourhood there is a generated one, 0 to 1.
pub fn coverage(real: &Set, generated: &Set) -> f64 {
    let covered = real.par_iter().enumerate().filter(|(i, x)| {
        let mut others: Vec<f32> =
            real.iter().enumerate().filter(|(j, _)| j != i).map(|(_, y)| squared(x, y)).collect();
        let rank = NEIGHBOURS.min(others.len().max(1)) - 1;
        if others.is_empty() {
            return false;
        }
        let reach = *others.select_nth_unstable_by(rank, f32::total_cmp).1;
        generated.iter().any(|y| squared(x, y) <= reach)
    });
    covered.count() as f64 / real.len().max(1) as f64
}

/// Mean distance between two vectors of the set.
pub fn diversity(set: &Set) -> f64 {
    let n = set.len();
    let sum: f64 =
        (0..n).into_par_iter().map(|i| (0..i).map(|j| f64::from(squared(&set[i], &set[j]).sqrt())).sum::<f64>()).sum();
    sum / ((n * n.saturating_sub(1)) / 2).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    fn normal(seed: u64, count: usize, shift: f32, spread: f32) -> Set {
        Philox::new(seed, 0)
            .normals(count * 8)
            .chunks(8)
            .map(|v| v.iter().map(|x| x * spread + shift).collect())
            .collect()
    }

    #[test]
    fn distances_are_nothing_for_one_distribution_and_grow() {
        let (a, b) = (normal(1, 400, 0.0, 1.0), normal(2, 400, 0.0, 1.0));
        let (near, far) = (normal(3, 400, 0.3, 1.0), normal(4, 400, 1.0, 1.0));
        let own = kernel(&a, &b).abs();
        assert!(own < kernel(&a, &near) / 3.0 && kernel(&a, &near) < kernel(&a, &far), "{own}");
        assert!(frechet(&a, &b) < frechet(&a, &near) && frechet(&a, &near) < frechet(&a, &far));
        // Means 1 apart in 8 directions, equal covariances.
        assert!((frechet(&a, &far) - 8.0).abs() < 1.5, "{}", frechet(&a, &far));
        assert!(coverage(&a, &b) > 0.9 && coverage(&a, &normal(5, 400, 20.0, 1.0)) == 0.0);
    }

    #[test]
    fn one_sound_again_and_again_is_not_diverse() {
        let real = normal(1, 100, 0.0, 1.0);
        let collapsed: Set = vec![real[0].clone(); 100];
        assert!(diversity(&collapsed) < 1e-6 && diversity(&real) > 3.0);
        assert!(coverage(&real, &collapsed) < 0.2);
        assert!(nearest(&collapsed, &real).iter().all(|d| *d == 0.0));
    }

    #[test]
    fn groups_weigh_the_same() {
        let set: Set = Philox::new(9, 0).normals(400 * 10).chunks(10).map(<[f32]>::to_vec).collect();
        let scaled = Scale::new(&set, &[8, 2], &[0.1, 0.1]).apply(&set);
        let power =
            |range: std::ops::Range<usize>| scaled.iter().flat_map(|v| &v[range.clone()]).map(|x| x * x).sum::<f32>();
        assert!((power(0..8) / power(8..10) - 1.0).abs() < 0.05);
    }

    #[test]
    fn what_never_varies_does_not_outweigh_the_rest() {
        let mut set = normal(1, 200, 0.0, 1.0);
        set.iter_mut().for_each(|v| v[0] = -72.0);
        let mut other = normal(2, 200, 0.0, 1.0);
        other.iter_mut().for_each(|v| v[0] = -71.9);
        let scale = Scale::new(&set, &[set[0].len()], &[1.0]);
        let (set, other) = (scale.apply(&set), scale.apply(&other));
        assert!(kernel(&set, &other) < 5.0, "{}", kernel(&set, &other));
    }
}
