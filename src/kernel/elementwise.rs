//! What is done to single values and rows between products, in plain Rust that compilers turn into vector
//! instructions; [`super::simd`] holds a version of each for each set of instructions.

/// What follows a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + exp(-x))` (also called swish).
    Silu,
}

/// Lanes of sums: a fixed number, so that sums do not depend on the instructions.
const LANES: usize = 16;
/// Of layer normalisation, PyTorch's and Burn's default.
const EPSILON: f32 = 1e-5;

/// `exp(x)` within 2 units in the last place for finite results; the Cephes library's polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Added and taken away, it rounds to a whole number, which its lowest bits then hold.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    (p * r * r + r + 1.0) * scale
}

/// Puts the sums of a row with their bias and the activation into `out`, or adds them to what is `added` to. One
/// row at a time: of more, compilers make vectors across rows.
#[inline(always)]
pub(super) fn finish(sums: &[f32], bias: &[f32], activation: Activation, added: bool, out: &mut [f32]) {
    match activation {
        Activation::Linear => put(sums, bias, |v| v, added, out),
        Activation::Relu => put(sums, bias, |v| v.max(0.0), added, out),
        Activation::Silu => put(sums, bias, |v| v / (1.0 + exp(-v)), added, out),
    }
}

#[inline(always)]
fn put(sums: &[f32], bias: &[f32], activated: impl Fn(f32) -> f32, added: bool, out: &mut [f32]) {
    let n = out.len();
    let (sums, bias) = (&sums[..n], &bias[..n]);
    match added {
        true => (0..n).for_each(|i| out[i] += activated(sums[i] + bias[i])),
        false => (0..n).for_each(|i| out[i] = activated(sums[i] + bias[i])),
    }
}

#[inline(always)]
fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        sums.iter_mut().zip(chunk).for_each(|(s, v)| *s += f(*v));
    }
    sums.iter_mut().zip(rest).for_each(|(s, v)| *s += f(*v));
    sums.iter().sum()
}

/// Layer normalisation of one row (Ba, Kiros and Hinton, 2016, arXiv 1607.06450), then
/// `h + h scale + shift` where there is a `film` (scale and shift, one after the other).
#[inline(always)]
pub(super) fn normalise(x: &[f32], gamma: &[f32], beta: &[f32], film: &[f32], out: &mut [f32]) {
    let (count, n) = (x.len() as f32, x.len());
    let mean = sum_of(x, |v| v) / count;
    let variance = sum_of(x, |v| (v - mean) * (v - mean)) / count;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    let (x, gamma, beta, out) = (&x[..n], &gamma[..n], &beta[..n], &mut out[..n]);
    for i in 0..n {
        out[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
    if !film.is_empty() {
        let (scale, shift) = film.split_at(n);
        for i in 0..n {
            out[i] = out[i] + out[i] * scale[i] + shift[i];
        }
    }
}

/// Softmax of `factor` times a row, in place.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32], factor: f32) {
    let mut most = [f32::MIN; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for chunk in whole {
        most.iter_mut().zip(chunk).for_each(|(m, v)| *m = m.max(*v));
    }
    most.iter_mut().zip(rest).for_each(|(m, v)| *m = m.max(*v));
    let most = most.iter().fold(f32::MIN, |m, v| m.max(*v)) * factor;
    row.iter_mut().for_each(|v| *v = exp(*v * factor - most));
    let scale = 1.0 / sum_of(row, |v| v);
    row.iter_mut().for_each(|v| *v *= scale);
}
