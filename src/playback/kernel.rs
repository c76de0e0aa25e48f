//! Reading a clip between its samples: windowed-sinc tables, and the inner loop of playback.
//!
//! One table a cut-off, so that a clip played faster than it was made does not alias. A table has the
//! taps of [`PHASES`] positions between two samples and of the next sample itself, so that neighbours can
//! be blended. A clip read at its own rate from whole samples on is copied: exact.
//! Source: J. O. Smith, "Digital Audio Resampling", windowed-sinc interpolation; window: Kaiser, beta 8.

use std::array::from_fn;
use std::f64::consts::PI;
use std::sync::{Arc, OnceLock};

use super::CHUNK;
use crate::clip::Clip;

/// Taps of each table; lower cut-offs use as many, wider apart in the sinc.
const TAPS: usize = 24;
/// Positions between two samples: with blending 256 are 94 dB exact.
const PHASES: usize = 256;
/// Cut-offs, each a quarter of an octave below the one before; the last serves everything faster.
const CUTOFFS: usize = 13;
/// Samples that are added up side by side.
const GROUP: usize = 4;
/// Places this near to a whole sample, and speeds this near to 1, are meant to be it; in samples.
const ROUNDING: f64 = 1e-6;

/// `[phase][tap]`; aligned so that no eight taps lie on two cache lines.
#[repr(align(32))]
struct Table([[f32; TAPS]; PHASES + 1]);
/// Reads `[left, right]` along a path by a table.
type Convolve = fn(&Table, [&[f32]; 2], &Path, &mut [f32], &mut [f32]);

/// The places of the samples to read: `place + i speed + change i (i - 1) / 2`, in samples of the clip;
/// the circle is gone round as often as need be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub place: f64,
    /// Samples of the clip a sample; negative is backwards.
    pub speed: f64,
    /// Change of the speed a sample.
    pub change: f64,
    /// The largest speed of the glide that this is a part of, without its sign.
    pub fastest: f64,
}

impl Path {
    #[inline(always)]
    fn at(&self, i: f64) -> f64 {
        self.place + i * (self.speed + 0.5 * self.change * (i - 1.0))
    }
}

pub(super) struct Kernels {
    tables: Vec<Box<Table>>,
    convolve: Convolve,
}

impl Kernels {
    /// The tables, computed once in a process, and the fastest loop that this processor has.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Kernels>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(Self::new(fastest()))).clone()
    }

    fn new(convolve: Convolve) -> Self {
        let window: Vec<[f64; TAPS]> =
            (0..=PHASES).map(|p| from_fn(|i| kaiser(offset(p, i) * 2.0 / TAPS as f64))).collect();
        let cutoffs = (0..CUTOFFS).map(|k| (-0.25 * k as f64).exp2());
        Self { tables: cutoffs.map(|cutoff| table(cutoff, &window)).collect(), convolve }
    }

    /// Fills `left` and `right` (equal lengths, [`CHUNK`] at most) with the clip's sound along `path`.
    pub fn read(&self, clip: &Clip, path: &Path, left: &mut [f32], right: &mut [f32]) {
        let length = clip.len() as f64;
        // Backwards there must be rounds enough to go down: the loop takes places from 0 on.
        let rounds = if path.speed < 0.0 { (path.fastest * left.len() as f64 / length).ceil() } else { 0.0 };
        let place = path.place.rem_euclid(length) + rounds * length;
        let whole = place.round();
        if path.change == 0.0 && (path.speed.abs() - 1.0).abs() < 1e-9 && (place - whole).abs() < ROUNDING {
            let from = whole as usize % clip.len();
            for (channel, out) in clip.samples.iter().zip([left, right]) {
                copy(channel, from, path.speed < 0.0, out);
            }
            return;
        }
        let [l, r] = &clip.samples;
        (self.convolve)(self.table(path.fastest), [l, r], &Path { place, ..*path }, left, right);
    }

    /// The lowest cut-off that keeps all that fits below half the host's rate.
    fn table(&self, speed: f64) -> &Table {
        let octaves = 4.0 * speed.max(1.0).log2() + 1e-6;
        &self.tables[(octaves as usize).min(CUTOFFS - 1)]
    }
}

/// Samples one after the other from `from` on, round the circle.
fn copy(channel: &[f32], from: usize, reverse: bool, out: &mut [f32]) {
    let mut at = from;
    if reverse {
        for sample in out {
            *sample = channel[at];
            at = if at == 0 { channel.len() } else { at } - 1;
        }
        return;
    }
    let mut out = out;
    while !out.is_empty() {
        let n = out.len().min(channel.len() - at);
        let (now, later) = out.split_at_mut(n);
        now.copy_from_slice(&channel[at..at + n]);
        (out, at) = (later, 0);
    }
}

/// What a sample is made of.
#[derive(Clone, Copy)]
struct Ingredients<'a> {
    /// The taps of the phases before and after its place.
    near: &'a [f32; TAPS],
    far: &'a [f32; TAPS],
    /// How far it is from one to the other, 0..1.
    blend: f32,
    /// Left and right.
    windows: [&'a [f32; TAPS]; 2],
}

/// How taps and samples are multiplied and added up.
trait Arithmetic {
    /// Left and right of [`GROUP`] samples.
    fn weigh(samples: &[Ingredients; GROUP], left: &mut [f32; GROUP], right: &mut [f32; GROUP]);
}

/// The inner loop of playback, for [`CHUNK`] samples at most: first all places, then the sums, so that
/// each goes side by side.
#[inline(always)]
fn convolve<A: Arithmetic>(table: &Table, clip: [&[f32]; 2], path: &Path, left: &mut [f32], right: &mut [f32]) {
    // Adding it rounds to whole numbers and leaves them in the lowest bits.
    const ROUND: f64 = 1.5 * (1u64 << 52) as f64;
    let (mut phases, mut blends) = ([[0u64; GROUP]; CHUNK / GROUP], [[0f32; GROUP]; CHUNK / GROUP]);
    for (i, (phase, blend)) in phases.as_flattened_mut().iter_mut().zip(blends.as_flattened_mut()).enumerate() {
        let place = path.at(f64::from(i as i32)) * PHASES as f64;
        let rounded = place - 0.5 + ROUND;
        *phase = rounded.to_bits().wrapping_sub(ROUND.to_bits());
        *blend = (place - (rounded - ROUND)) as f32;
    }
    let mut sums = [[[0f32; GROUP]; CHUNK / GROUP]; 2];
    let [lefts, rights] = &mut sums;
    let samples = left.len().min(right.len());
    let groups = phases.iter().zip(&blends).zip(lefts.iter_mut().zip(rights.iter_mut()));
    for ((phases, blends), (l, r)) in groups.take(samples.div_ceil(GROUP)) {
        let samples = from_fn(|k| sample(&table.0, clip, phases[k], blends[k]));
        if let [Some(a), Some(b), Some(c), Some(d)] = samples {
            A::weigh(&[a, b, c, d], l, r);
        } else {
            across_the_seam::<A>(&table.0, clip, phases, blends, l, r);
        }
    }
    left.copy_from_slice(&lefts.as_flattened()[..samples]);
    right.copy_from_slice(&rights.as_flattened()[..samples]);
}

/// A place, in phases from the clip's first sample on, that needs no wrapping.
#[inline(always)]
fn sample<'a>(
    table: &'a [[f32; TAPS]; PHASES + 1],
    clip: [&'a [f32]; 2],
    place: u64,
    blend: f32,
) -> Option<Ingredients<'a>> {
    let (index, phase) = ((place / PHASES as u64) as usize, (place % PHASES as u64) as usize);
    let length = clip[0].len();
    // Tap t belongs to this sample and the t after it.
    let first = (if index >= length { index - length } else { index }).wrapping_sub(TAPS / 2 - 1);
    let windows = [clip[0].get(first..)?.first_chunk()?, clip[1][..length].get(first..)?.first_chunk()?];
    Some(Ingredients { near: &table[phase], far: &table[phase + 1], blend, windows })
}

/// The same where the circle closes, from copies.
#[inline(never)]
fn across_the_seam<A: Arithmetic>(
    table: &[[f32; TAPS]; PHASES + 1],
    clip: [&[f32]; 2],
    places: &[u64; GROUP],
    blends: &[f32; GROUP],
    left: &mut [f32; GROUP],
    right: &mut [f32; GROUP],
) {
    let length = clip[0].len();
    let windows: [[[f32; TAPS]; 2]; GROUP] = places.map(|place| {
        let index = (place / PHASES as u64) as usize % length;
        let first = (index + length * TAPS - (TAPS / 2 - 1)) % length;
        clip.map(|channel| wrapped(channel, first))
    });
    let samples = from_fn(|k| {
        let phase = (places[k] % PHASES as u64) as usize;
        let windows = [&windows[k][0], &windows[k][1]];
        Ingredients { near: &table[phase], far: &table[phase + 1], blend: blends[k], windows }
    });
    A::weigh(&samples, left, right);
}

/// A window of the circle across its seam.
fn wrapped(channel: &[f32], first: usize) -> [f32; TAPS] {
    let mut at = first;
    from_fn(|_| {
        let sample = channel[at];
        at = if at + 1 == channel.len() { 0 } else { at + 1 };
        sample
    })
}

/// For any processor; 64-bit ARM has a fused multiply-add always.
struct Portable;

impl Arithmetic for Portable {
    #[inline(always)]
    fn weigh(samples: &[Ingredients; GROUP], left: &mut [f32; GROUP], right: &mut [f32; GROUP]) {
        let multiply_add =
            |a: f32, b: f32, c: f32| if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c };
        // Four lanes a sample, added up together at the end: so compilers find the vectors.
        let (mut lefts, mut rights) = ([[0f32; 4]; GROUP], [[0f32; 4]; GROUP]);
        for (sample, (l, r)) in samples.iter().zip(lefts.iter_mut().zip(&mut rights)) {
            let Ingredients { near, far, blend, windows: [a, b] } = sample;
            for first in 0..TAPS / 4 {
                for lane in 0..4 {
                    let t = 4 * first + lane;
                    let tap = multiply_add(far[t] - near[t], *blend, near[t]);
                    l[lane] = multiply_add(a[t], tap, l[lane]);
                    r[lane] = multiply_add(b[t], tap, r[lane]);
                }
            }
        }
        *left = lefts.map(|l| (l[0] + l[2]) + (l[1] + l[3]));
        *right = rights.map(|r| (r[0] + r[2]) + (r[1] + r[3]));
    }
}

fn portable(table: &Table, clip: [&[f32]; 2], path: &Path, left: &mut [f32], right: &mut [f32]) {
    convolve::<Portable>(table, clip, path, left, right);
}

/// Eight lanes and fused multiply-adds of x86.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Arithmetic, GROUP, Ingredients, Path, TAPS, Table, convolve};

    struct Avx2;

    impl Arithmetic for Avx2 {
        #[inline(always)]
        fn weigh(samples: &[Ingredients; GROUP], left: &mut [f32; GROUP], right: &mut [f32; GROUP]) {
            // SAFETY: only `read` names this type, which has the features; loads and stores are within the
            // arrays.
            unsafe {
                let load = |from: &[f32; TAPS], t: usize| _mm256_loadu_ps(from[t..t + 8].as_ptr());
                let mut sums = [[_mm256_setzero_ps(); GROUP]; 2];
                for (k, sample) in samples.iter().enumerate() {
                    let blend = _mm256_set1_ps(sample.blend);
                    for t in (0..TAPS).step_by(8) {
                        let (near, far) = (load(sample.near, t), load(sample.far, t));
                        let taps = _mm256_fmadd_ps(_mm256_sub_ps(far, near), blend, near);
                        for (sums, window) in sums.iter_mut().zip(sample.windows) {
                            sums[k] = _mm256_fmadd_ps(load(window, t), taps, sums[k]);
                        }
                    }
                }
                for ([a, b, c, d], out) in sums.into_iter().zip([left, right]) {
                    let lanes = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
                    _mm_storeu_ps(out.as_mut_ptr(), four);
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn read(table: &Table, clip: [&[f32]; 2], path: &Path, left: &mut [f32], right: &mut [f32]) {
        convolve::<Avx2>(table, clip, path, left, right);
    }
}

fn fastest() -> Convolve {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what it needs.
        return |table, clip, path, left, right| unsafe { x86::read(table, clip, path, left, right) };
    }
    portable
}

/// How far tap `i` of a phase is from the place read, in samples.
fn offset(phase: usize, i: usize) -> f64 {
    i as f64 + 1.0 - TAPS as f64 / 2.0 - phase as f64 / PHASES as f64
}

fn table(cutoff: f64, window: &[[f64; TAPS]]) -> Box<Table> {
    Box::new(Table(from_fn(|phase| {
        let taps: [f64; TAPS] = from_fn(|i| {
            let x = offset(phase, i);
            let sinc = if x == 0.0 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
            sinc * window[phase][i]
        });
        let sum: f64 = taps.iter().sum();
        taps.map(|t| (t / sum) as f32)
    })))
}

fn kaiser(x: f64) -> f64 {
    const BETA: f64 = 8.0;
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(wave: impl Fn(usize) -> f32, length: usize) -> Clip {
        let samples = [(0..length).map(&wave).collect(), (0..length).map(|i| -wave(i)).collect()];
        Clip { samples, sample_rate: 44_100, beats: 1, bpm: 120.0, provenance: None, hits: Vec::new() }
    }

    fn read(kernels: &Kernels, clip: &Clip, path: &Path) -> [[f32; 64]; 2] {
        let (mut left, mut right) = ([0.0; 64], [0.0; 64]);
        kernels.read(clip, path, &mut left, &mut right);
        [left, right]
    }

    #[test]
    fn loop_of_this_processor_and_the_portable_one_agree() {
        let (portable, fastest) = (Kernels::new(portable), Kernels::new(fastest()));
        let mut random = fastrand::Rng::with_seed(1);
        let samples: Vec<f32> = (0..1000).map(|_| random.f32() - 0.5).collect();
        let clip = clip(|i| samples[i], 1000);
        for _ in 0..1000 {
            let speed = 8.0 * random.f64() - 4.0;
            let path =
                Path { place: 1000.0 * random.f64(), speed, change: 0.001 * random.f64(), fastest: speed.abs() + 0.1 };
            let (a, b) = (read(&portable, &clip, &path), read(&fastest, &clip, &path));
            for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
                assert!((a - b).abs() < 1e-6, "{path:?}: {a} and {b}");
            }
        }
    }

    #[test]
    fn tone_is_read_between_its_samples() {
        // 6 and 13 kHz at 44.1 kHz, across the seam and backwards.
        for (cycles, exact) in [(136.0, 6e-5), (295.0, 2e-4)] {
            let tone = |place: f64| (2.0 * PI * cycles * place / 1000.0).sin();
            let clip = clip(|i| tone(i as f64) as f32, 1000);
            for (place, speed) in [(980.3, 0.77), (20.9, -0.31), (500.0, -0.999), (0.001, 0.01)] {
                let path = Path { place, speed, change: 0.0, fastest: f64::abs(speed) };
                let heard = read(&Kernels::shared(), &clip, &path);
                for (i, (left, right)) in heard[0].iter().zip(&heard[1]).enumerate() {
                    let error = (f64::from(*left) - tone(place + speed * i as f64)).abs();
                    assert!(error < exact && *right == -left, "{path:?}, sample {i}: {error}");
                }
            }
        }
    }
}
