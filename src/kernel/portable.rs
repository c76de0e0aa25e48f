//! Sums of products in plain Rust, for machines without the instructions of [`super::simd`].

use half::slice::HalfFloatSliceExt;

use super::matrix::Panel;
use super::{PANEL, TILE, Tile};

/// Rows that are worked on at once: with half a panel their sums fit the registers of SSE2 and NEON.
pub(super) const ROWS: usize = 3;
/// Rows of a panel that are widened at a time.
const PIECE: usize = 64;

/// `out[n] += sum over i < k of x[at[n] + i] * panel[i]`.
pub(super) fn tile(x: &[f32], at: &[usize], k: usize, panel: Panel<'_>, wide: Option<&mut [f32]>, out: &mut Tile) {
    match (panel, wide) {
        (Panel::Single(w, stride), _) => add(x, at, k, w, stride, out),
        (Panel::Half(w), Some(wide)) => {
            let wide = &mut wide[..k * PANEL];
            w[..k * PANEL].convert_to_f32_slice(wide);
            add(x, at, k, wide, PANEL, out);
        }
        (Panel::Half(w), None) => {
            let mut wide = [0f32; PIECE * PANEL];
            for (piece, w) in w[..k * PANEL].chunks(PIECE * PANEL).enumerate() {
                let (wide, from) = (&mut wide[..w.len()], piece * PIECE);
                w.convert_to_f32_slice(wide);
                let mut shifted = [0; TILE];
                shifted.iter_mut().zip(at).for_each(|(s, at)| *s = at + from);
                add(x, &shifted[..at.len()], w.len() / PANEL, wide, PANEL, out);
            }
        }
    }
}

fn add(x: &[f32], at: &[usize], k: usize, w: &[f32], stride: usize, out: &mut Tile) {
    for (at, out) in at.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
        match *at {
            [a, b, c] => some([a, b, c].map(|a| &x[a..a + k]), w, stride, out),
            [a, b] => some([a, b].map(|a| &x[a..a + k]), w, stride, out),
            [a] => some([&x[a..a + k]], w, stride, out),
            _ => {}
        }
    }
}

fn some<const N: usize>(x: [&[f32]; N], w: &[f32], stride: usize, out: &mut [[f32; PANEL]]) {
    const HALF: usize = PANEL / 2;
    for first in [0, HALF] {
        let mut sums = [[0f32; HALF]; N];
        for (sum, out) in sums.iter_mut().zip(out.iter()) {
            sum.copy_from_slice(&out[first..first + HALF]);
        }
        for i in 0..x[0].len() {
            let at = i * stride + first;
            let w: &[f32; HALF] = w[at..at + HALF].try_into().expect("half a panel");
            for (sum, x) in sums.iter_mut().zip(&x) {
                let x = x[i];
                sum.iter_mut().zip(w).for_each(|(s, w)| *s = multiply_add(x, *w, *s));
            }
        }
        for (sum, out) in sums.iter().zip(out.iter_mut()) {
            out[first..first + HALF].copy_from_slice(sum);
        }
    }
}

/// Only where it is one instruction; elsewhere it would be a call.
pub(super) const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
