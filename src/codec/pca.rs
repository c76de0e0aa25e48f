//! Principal components of many patches, by subspace iteration on their covariance.

use nalgebra::DMatrix;

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

    /// Mean `[size]` and the first `channels` components `[channel, size]`, orthonormal, the
    /// greatest variance first, each with its largest value positive.
    pub fn components(&self, channels: usize) -> (Vec<f32>, Vec<f32>) {
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
        let mut components = Vec::with_capacity(channels * self.size);
        for index in order.into_iter().take(channels) {
            let component = &basis * eigen.eigenvectors.column(index);
            let sign = component[component.iamax()].signum();
            components.extend(component.iter().map(|v| v * sign));
        }
        (mean.iter().map(|m| *m as f32).collect(), components)
    }
}
