//! Sums of products with AVX-512 and AVX2, and the element-wise operations compiled for each.
//!
//! All of `unsafe` here is one of two kinds: instructions that [`Isa`] has found on this machine, and
//! unchecked reads within bounds that [`tile`] has checked.

use super::elementwise::{self, Activation};
use super::matrix::Panel;
use super::{PANEL, TILE, Tile, portable};

/// A set of instructions that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// What is here, the fastest first; plain Rust is always last.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c");
            if avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                all.push(Self(Kind::Avx512));
            }
            if avx2 {
                all.push(Self(Kind::Avx2));
            }
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// The fastest.
    pub fn best() -> Self {
        Self::all()[0]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        }
    }

    /// Whether a product and its addition are rounded once. All sets of instructions that do, and all that do
    /// not, give the same bits.
    pub fn fused(self) -> bool {
        self.0 != Kind::Portable || portable::FUSED
    }

    /// Rows that [`tile`] works on at once.
    pub(super) fn rows(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::ROWS,
            _ => TILE,
        }
    }
}

/// `out[n] += sum over i < k of x[at[n] + i] * panel[i]`, for at most [`Isa::rows`] rows, each sum one chain of
/// additions that goes on from what `out` holds.
///
/// With `wide` weights of 16 bits are left there in 32 bits, `[input][PANEL]`, for the rows that follow.
pub(super) fn tile(
    isa: Isa,
    x: &[f32],
    at: &[usize],
    k: usize,
    panel: Panel<'_>,
    wide: Option<&mut [f32]>,
    out: &mut Tile,
) {
    let end = |length: usize, stride: usize| k == 0 || (k - 1) * stride + PANEL <= length;
    let inside = match panel {
        Panel::Single(w, stride) => end(w.len(), stride),
        Panel::Half(w) => end(w.len(), PANEL) && wide.as_ref().is_none_or(|wide| end(wide.len(), PANEL)),
    };
    assert!(inside && at.len() <= isa.rows() && at.iter().all(|at| at + k <= x.len()), "a tile within its memory");
    match isa.0 {
        Kind::Portable => portable::tile(x, at, k, panel, wide, out),
        // SAFETY: an `Isa` is made only of what was found on this machine; the bounds were checked above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2::tile(x, at, k, panel, wide, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { avx512::tile(x, at, k, panel, wide, out) },
    }
}

/// Bytes ahead of what is read that are asked for: weights come from memory, in one long stream.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4096;

/// What `rows` is compiled for: weights of 32 bits,
#[cfg(target_arch = "x86_64")]
const SINGLE: u8 = 0;
/// of 16 bits,
#[cfg(target_arch = "x86_64")]
const HALF: u8 = 1;
/// and of 16 bits that are left in 32 bits.
#[cfg(target_arch = "x86_64")]
const WIDENING: u8 = 2;

/// Calls `$rows::<KIND, N>` for the kind of the panel and the number of rows.
#[cfg(target_arch = "x86_64")]
macro_rules! for_count {
    ($rows:ident, $x:ident, $at:ident, $k:ident, $panel:ident, $wide:ident, $out:ident, $($n:literal)*) => {
        match ($panel, $wide, $at.len()) {
            $(
                (Panel::Single(w, stride), _, $n) => {
                    $rows::<SINGLE, $n>(array($x, $at), $k, w.as_ptr().cast(), stride, null_mut(), $out)
                }
                (Panel::Half(w), None, $n) => {
                    $rows::<HALF, $n>(array($x, $at), $k, w.as_ptr().cast(), PANEL, null_mut(), $out)
                }
                (Panel::Half(w), Some(wide), $n) => {
                    $rows::<WIDENING, $n>(array($x, $at), $k, w.as_ptr().cast(), PANEL, wide.as_mut_ptr(), $out)
                }
            )*
            _ => {}
        }
    };
}

/// Bytes of a weight.
#[cfg(target_arch = "x86_64")]
const fn size<const KIND: u8>() -> usize {
    if KIND == SINGLE { size_of::<f32>() } else { size_of::<u16>() }
}

/// Where rows begin. `at` must have `N` places within `x`.
#[cfg(target_arch = "x86_64")]
fn array<const N: usize>(x: &[f32], at: &[usize]) -> [*const f32; N] {
    std::array::from_fn(|n| x[at[n]..].as_ptr())
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::ptr::null_mut;

    use super::*;

    /// # Safety
    /// The machine has the instructions; `at`, `k` and `panel` stay within their memory.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    pub unsafe fn tile(x: &[f32], at: &[usize], k: usize, panel: Panel<'_>, wide: Option<&mut [f32]>, out: &mut Tile) {
        // SAFETY: the caller's.
        unsafe { for_count!(rows, x, at, k, panel, wide, out, 1 2 3 4 5 6 7 8 9 10 11 12) }
    }

    /// 16 weights from element `at` on, which must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    unsafe fn load<const KIND: u8>(w: *const u8, at: usize) -> __m512 {
        // SAFETY: the caller's.
        unsafe {
            match KIND {
                SINGLE => _mm512_loadu_ps(w.cast::<f32>().add(at)),
                _ => _mm512_cvtph_ps(_mm256_loadu_si256(w.cast::<u16>().add(at).cast())),
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    unsafe fn rows<const KIND: u8, const N: usize>(
        x: [*const f32; N],
        k: usize,
        w: *const u8,
        stride: usize,
        wide: *mut f32,
        out: &mut Tile,
    ) {
        // SAFETY: reads `k` values of each row and `k` inputs of the panel and writes as many, which the caller
        // has checked; what is asked for ahead of time need not be there.
        unsafe {
            let mut sums: [[__m512; 2]; N] =
                std::array::from_fn(|n| std::array::from_fn(|h| _mm512_loadu_ps(out[n].as_ptr().add(16 * h))));
            for i in 0..k {
                let ahead = w.wrapping_add(i * stride * size::<KIND>() + AHEAD).cast();
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                if KIND == SINGLE {
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                }
                let weights = [load::<KIND>(w, i * stride), load::<KIND>(w, i * stride + 16)];
                if KIND == WIDENING {
                    _mm512_storeu_ps(wide.add(i * PANEL), weights[0]);
                    _mm512_storeu_ps(wide.add(i * PANEL + 16), weights[1]);
                }
                for n in 0..N {
                    let value = _mm512_set1_ps(*x[n].add(i));
                    for h in 0..2 {
                        sums[n][h] = _mm512_fmadd_ps(weights[h], value, sums[n][h]);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                _mm512_storeu_ps(out.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;
    use std::ptr::null_mut;

    use super::*;

    /// With half a panel, their sums, the weights and a value fill the 16 registers.
    pub const ROWS: usize = 6;

    /// # Safety
    /// The machine has the instructions; `at`, `k` and `panel` stay within their memory.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn tile(x: &[f32], at: &[usize], k: usize, panel: Panel<'_>, wide: Option<&mut [f32]>, out: &mut Tile) {
        // SAFETY: the caller's.
        unsafe { for_count!(rows, x, at, k, panel, wide, out, 1 2 3 4 5 6) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn rows<const KIND: u8, const N: usize>(
        x: [*const f32; N],
        k: usize,
        w: *const u8,
        stride: usize,
        wide: *mut f32,
        out: &mut Tile,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match N <= 2 {
                true => part::<KIND, N, 4>(&x, k, w, stride, wide, 0, out),
                false => {
                    part::<KIND, N, 2>(&x, k, w, stride, wide, 0, out);
                    part::<KIND, N, 2>(&x, k, w, stride, wide, 16, out);
                }
            }
        }
    }

    /// 8 weights from element `at` on, which must be there.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load<const KIND: u8>(w: *const u8, at: usize) -> __m256 {
        // SAFETY: the caller's.
        unsafe {
            match KIND {
                SINGLE => _mm256_loadu_ps(w.cast::<f32>().add(at)),
                _ => _mm256_cvtph_ps(_mm_loadu_si128(w.cast::<u16>().add(at).cast())),
            }
        }
    }

    /// `8 V` outputs from `first` on.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn part<const KIND: u8, const N: usize, const V: usize>(
        x: &[*const f32; N],
        k: usize,
        w: *const u8,
        stride: usize,
        wide: *mut f32,
        first: usize,
        out: &mut Tile,
    ) {
        // SAFETY: as with AVX-512.
        unsafe {
            let mut sums: [[__m256; V]; N] =
                std::array::from_fn(|n| std::array::from_fn(|v| _mm256_loadu_ps(out[n].as_ptr().add(first + 8 * v))));
            for i in 0..k {
                let ahead = w.wrapping_add((i * stride + first) * size::<KIND>() + AHEAD).cast();
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                if KIND == SINGLE && V == 4 {
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                }
                let weights: [__m256; V] = std::array::from_fn(|v| load::<KIND>(w, i * stride + first + 8 * v));
                if KIND == WIDENING {
                    for (v, weights) in weights.iter().enumerate() {
                        _mm256_storeu_ps(wide.add(i * PANEL + first + 8 * v), *weights);
                    }
                }
                for n in 0..N {
                    let value = _mm256_set1_ps(*x[n].add(i));
                    for v in 0..V {
                        sums[n][v] = _mm256_fmadd_ps(weights[v], value, sums[n][v]);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                for (v, sum) in sums.into_iter().enumerate() {
                    _mm256_storeu_ps(out.as_mut_ptr().add(first + 8 * v), sum);
                }
            }
        }
    }
}

/// A function of [`elementwise`], compiled for each set of instructions.
macro_rules! compiled_for_each {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => { $(
        #[doc = concat!("[`elementwise::", stringify!($name), "`].")]
        pub(super) fn $name(isa: Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($arg: $type),*) {
                elementwise::$name($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
            fn avx512($($arg: $type),*) {
                elementwise::$name($($arg),*);
            }
            match isa.0 {
                Kind::Portable => elementwise::$name($($arg),*),
                // SAFETY: an `Isa` is made only of what was found on this machine.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    )* };
}

compiled_for_each! {
    finish(sums: &[f32], bias: &[f32], activation: Activation, added: bool, out: &mut [f32]);
    normalise(x: &[f32], gamma: &[f32], beta: &[f32], film: &[f32], out: &mut [f32]);
    softmax(row: &mut [f32], factor: f32);
}
