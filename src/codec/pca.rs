//! Principal components of many patches, by subspace iteration on their covariance, and the channels
//! that are made of them.
//!
//! A model's latents are standardised channel by channel. Were the channels the components themselves, the
//! last of them, faint and hardly predictable, would count as much as the first. So the components are
//! turned into each other until all channels vary alike: standardising then changes no proportion.

use nalgebra::{DMatrix, DVector};

/// Running sums over patches.
pub struct Moments {
    size: usize,
    count: usize,
    sum: Vec<f64>,
    /// Sum of outer products, `[size, size]`.
    outer: DMatrix<f64>,
}

/// Directions kept beside the wanted ones, so that the last of those settle too.
const SPARE: usize = 16;
const ITERATIONS: usize = 24;
/// How far the components are brought to equal variance before they are mixed: 0 leaves their proportions,
/// 1 makes the faintest count as much as the first.
const WHITENING: f64 = 0.5;

impl Moments {
    /// For patches of `size` values.
    pub fn new(size: usize) -> Self {
        Self { size, count: 0, sum: vec![0.0; size], outer: DMatrix::zeros(size, size) }
    }

    /// Patches taken in.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes in patches, one after the other in `values`.
    pub fn add(&mut self, values: &[f32]) {
        let matrix = DMatrix::<f32>::from_column_slice(self.size, values.len() / self.size, values);
        self.count += matrix.ncols();
        for column in matrix.column_iter() {
            self.sum.iter_mut().zip(column.iter()).for_each(|(s, v)| *s += f64::from(*v));
        }
        // One loop's products fit 32 bits; the sum over loops does not.
        let product = &matrix * matrix.transpose();
        self.outer.iter_mut().zip(product.iter()).for_each(|(o, p)| *o += f64::from(*p));
    }

    /// Channels of equal variance made of the first `channels` components.
    pub fn basis(&self, channels: usize) -> Basis {
        let Components { mean, rows, variances } = self.components(channels);
        let scales: Vec<f64> = variances.iter().map(|v| v.max(1e-6).powf(WHITENING / 2.0)).collect();
        let scaled = |by: &dyn Fn(f64) -> f64| -> Vec<f32> {
            let rows = rows.chunks_exact(self.size).zip(&scales);
            rows.flat_map(|(row, scale)| row.iter().map(|v| (f64::from(*v) * by(*scale)) as f32)).collect()
        };
        let (mut analysis, mut synthesis) = (scaled(&|s| 1.0 / s), scaled(&|s| s));
        let left: Vec<f64> = variances.iter().zip(&scales).map(|(v, s)| v / (s * s)).collect();
        for Rotation { first, second, cos, sin } in equalising(&left) {
            for rows in [&mut analysis, &mut synthesis] {
                for i in 0..self.size {
                    let (a, b) = (rows[first * self.size + i], rows[second * self.size + i]);
                    rows[first * self.size + i] = cos * a + sin * b;
                    rows[second * self.size + i] = cos * b - sin * a;
                }
            }
        }
        Basis { mean, analysis, synthesis }
    }

    /// The greatest variance first, each with its largest value positive.
    pub(super) fn components(&self, channels: usize) -> Components {
        let n = self.count as f64;
        let mean: Vec<f64> = self.sum.iter().map(|s| s / n).collect();
        let covariance =
            DMatrix::from_fn(self.size, self.size, |r, c| (self.outer[(r, c)] / n - mean[r] * mean[c]) as f32);
        let width = (channels + SPARE).min(self.size);
        // Any fixed start will do; this one is dense and independent of the data.
        let start = crate::random::Philox::new(0, 0).normals(self.size * width);
        let mut basis = DMatrix::from_vec(self.size, width, start).qr().q();
        for _ in 0..ITERATIONS {
            basis = (&covariance * basis).qr().q();
        }
        // Rotate the basis onto the components themselves.
        let small = basis.transpose() * &covariance * &basis;
        let eigen = small.symmetric_eigen();
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let mut rows = Vec::with_capacity(channels * self.size);
        let mut variances = Vec::with_capacity(channels);
        for index in order.into_iter().take(channels) {
            let component = &basis * eigen.eigenvectors.column(index);
            let sign = component[component.iamax()].signum();
            rows.extend(component.iter().map(|v| v * sign));
            variances.push(f64::from(eigen.eigenvalues[index]));
        }
        Components { mean: mean.iter().map(|m| *m as f32).collect(), rows, variances }
    }
}

/// Patches to channels and back.
pub struct Basis {
    /// `[size]`
    pub mean: Vec<f32>,
    /// `[channel, size]`: a channel's value is its row times what a patch has beyond the mean.
    pub analysis: Vec<f32>,
    /// `[channel, size]`: a patch is the mean and each row times its channel's value.
    pub synthesis: Vec<f32>,
}

/// Principal components.
pub(super) struct Components {
    mean: Vec<f32>,
    /// `[component, size]`, orthonormal.
    pub(super) rows: Vec<f32>,
    variances: Vec<f64>,
}

/// A turn of two channels: `first` becomes `cos first + sin second`, `second` is turned likewise.
struct Rotation {
    first: usize,
    second: usize,
    cos: f32,
    sin: f32,
}

/// Turns after which channels of these variances, uncorrelated before, all have the mean variance: each
/// brings the one that varies the most to the mean, at the cost of the one that varies the least.
fn equalising(variances: &[f64]) -> Vec<Rotation> {
    let count = variances.len();
    let mean = variances.iter().sum::<f64>() / count.max(1) as f64;
    let mut covariance = DMatrix::from_diagonal(&DVector::from_column_slice(variances));
    let mut open: Vec<usize> = (0..count).collect();
    let mut turns = Vec::with_capacity(count);
    while open.len() > 1 {
        open.sort_by(|a, b| covariance[(*a, *a)].total_cmp(&covariance[(*b, *b)]));
        let (second, first) = (open[0], open.pop().expect("there are two"));
        let [a, b, d] = [(first, first), (first, second), (second, second)].map(|at| covariance[at]);
        if a - mean < 1e-9 * mean || mean - d < 1e-9 * mean {
            continue;
        }
        // The first's variance after a turn by the tangent t: (a + 2 b t + d t^2) / (1 + t^2) = mean.
        let t = (-b - (b * b + (a - mean) * (mean - d)).sqrt()) / (d - mean);
        let (cos, sin) = (1.0 / (1.0 + t * t).sqrt(), t / (1.0 + t * t).sqrt());
        for columns in [false, true] {
            for i in 0..count {
                let at = |k: usize| if columns { (i, k) } else { (k, i) };
                let (x, y) = (covariance[at(first)], covariance[at(second)]);
                covariance[at(first)] = cos * x + sin * y;
                covariance[at(second)] = cos * y - sin * x;
            }
        }
        turns.push(Rotation { first, second, cos: cos as f32, sin: sin as f32 });
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    #[test]
    fn channels_vary_alike_and_lead_back() {
        // 12 values that vary by 2^0 to 2^-11, and a mean.
        let patches: Vec<f32> = Philox::new(4, 0)
            .normals(12 * 4000)
            .chunks(12)
            .flat_map(|row| row.iter().enumerate().map(|(i, v)| 3.0 + v * 0.5f32.powi(i as i32)).collect::<Vec<_>>())
            .collect();
        let mut moments = Moments::new(12);
        moments.add(&patches);
        let Basis { mean, analysis, synthesis } = moments.basis(8);
        assert!(mean.iter().all(|m| (m - 3.0).abs() < 0.1));
        let channel = |c: usize, patch: &[f32]| -> f32 {
            let beyond = patch.iter().zip(&mean).map(|(v, m)| v - m);
            beyond.zip(&analysis[c * 12..]).map(|(v, a)| v * a).sum()
        };
        let power = |c| patches.chunks(12).map(|p| channel(c, p).powi(2)).sum::<f32>() / 4000.0;
        let powers: Vec<f32> = (0..8).map(power).collect();
        assert!(powers.iter().all(|p| (p / powers[0] - 1.0).abs() < 0.02), "{powers:?}");
        for patch in patches.chunks(12).take(20) {
            let values: Vec<f32> = (0..8).map(|c| channel(c, patch)).collect();
            for i in 0..12 {
                let back = mean[i] + (0..8).map(|c| values[c] * synthesis[c * 12 + i]).sum::<f32>();
                assert!((back - patch[i]).abs() < 0.05, "value {i}: {back} instead of {}", patch[i]);
            }
        }
    }
}
