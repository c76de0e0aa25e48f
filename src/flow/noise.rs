//! The noise that a sampling run starts from (t = 1), drawn on the CPU so that every device starts from
//! the same.

use crate::random::Philox;

/// The noise of a seed: `[channel, frame]` row by row, standard normal. Stream 0 is the seed's own;
/// the others are as many independent takes of it.
///
/// Drawn frame by frame, so a longer loop of the same seed begins with the same noise.
pub fn of_seed(seed: u64, stream: u64, channels: usize, frames: usize) -> Vec<f32> {
    let drawn = Philox::new(seed, stream).normals(channels * frames);
    let mut out = vec![0.0; channels * frames];
    for (frame, values) in drawn.chunks_exact(channels).enumerate() {
        for (channel, value) in values.iter().enumerate() {
            out[channel * frames + frame] = *value;
        }
    }
    out
}

/// The stream of the noise that takes the place of part of another stream's after a solver step.
pub fn renewed(stream: u64, step: u32) -> u64 {
    stream + ((u64::from(step) + 1) << 32)
}

/// Spherical interpolation from `a` (share 0) to `b` (share 1), both taken as one vector each: normal
/// noise in between has unit variance too, which a straight line would lose. At the ends it is `a` or
/// `b` to the last bit. (Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.)
pub fn slerp(a: Vec<f32>, b: &[f32], share: f64) -> Vec<f32> {
    if share <= 0.0 {
        return a;
    }
    if share >= 1.0 {
        return b.to_vec();
    }
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let angle = (dot(&a, b) / (dot(&a, &a) * dot(b, b)).sqrt()).clamp(-1.0, 1.0).acos();
    let (from, to) = match angle.sin() {
        // Of one direction there is nothing to turn.
        sine if sine.abs() < 1e-6 || !sine.is_finite() => (1.0 - share, share),
        sine => (((1.0 - share) * angle).sin() / sine, (share * angle).sin() / sine),
    };
    a.iter().zip(b).map(|(x, y)| (from * f64::from(*x) + to * f64::from(*y)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_loop_begins_alike_and_seeds_and_streams_differ() {
        let (short, long) = (of_seed(5, 0, 4, 8), of_seed(5, 0, 4, 16));
        for c in 0..4 {
            assert_eq!(short[c * 8..(c + 1) * 8], long[c * 16..c * 16 + 8]);
        }
        assert_ne!(short, of_seed(6, 0, 4, 8));
        assert_ne!(short, of_seed(5, 1, 4, 8));
    }

    #[test]
    fn in_between_is_noise_too_and_the_ends_are_exact() {
        let (a, b) = (of_seed(5, 0, 64, 64), of_seed(6, 0, 64, 64));
        assert_eq!((slerp(a.clone(), &b, 0.0), slerp(a.clone(), &b, 1.0)), (a.clone(), b.clone()));
        let power = |v: &[f32]| v.iter().map(|x| f64::from(x * x)).sum::<f64>() / v.len() as f64;
        let distance = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from((x - y).powi(2))).sum::<f64>();
        let mut before = 0.0;
        for share in [0.001, 0.25, 0.5, 0.75, 0.999] {
            let between = slerp(a.clone(), &b, share);
            assert!((power(&between) - 1.0).abs() < 0.05, "at {share}: variance {}", power(&between));
            let away = distance(&a, &between);
            assert!(away > before, "each step leads away from the first seed");
            before = away;
        }
        assert!(distance(&slerp(a.clone(), &b, 0.001), &a) < 0.02 * a.len() as f64);
        assert_eq!(slerp(a.clone(), &a, 0.5).len(), a.len(), "a seed and itself");
    }
}
