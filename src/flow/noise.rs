//! The noise that a sampling run starts from (t = 1), drawn on the CPU so that every device starts from
//! the same.

use crate::random::Philox;

/// The noise of a seed: `[channel, frame]` row by row, standard normal.
///
/// Drawn frame by frame, so a longer loop of the same seed begins with the same noise.
pub fn of_seed(seed: u64, channels: usize, frames: usize) -> Vec<f32> {
    let drawn = Philox::new(seed, 0).normals(channels * frames);
    let mut out = vec![0.0; channels * frames];
    for (frame, values) in drawn.chunks_exact(channels).enumerate() {
        for (channel, value) in values.iter().enumerate() {
            out[channel * frames + frame] = *value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_loop_begins_alike_and_seeds_differ() {
        let (short, long) = (of_seed(5, 4, 8), of_seed(5, 4, 16));
        for c in 0..4 {
            assert_eq!(short[c * 8..(c + 1) * 8], long[c * 16..c * 16 + 8]);
        }
        assert_ne!(short, of_seed(6, 4, 8));
    }
}
