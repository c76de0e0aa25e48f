//! Random numbers from a seed: counter-based, so that any element can be drawn alone, in any order, on any
//! machine, and a resumed training draws what an unbroken one would have drawn.
//!
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), then
//! Box-Muller in double precision.

/// A stream of random numbers named by a seed and a stream number.
#[derive(Clone, Copy, Debug)]
pub struct Philox {
    key: [u32; 2],
    stream: u64,
}

impl Philox {
    /// The stream `stream` of `seed`; streams of one seed are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], stream }
    }

    /// Four 32-bit words at position `counter`.
    pub fn words(&self, counter: u64) -> [u32; 4] {
        let mut x = [counter as u32, (counter >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32];
        let mut key = self.key;
        for _ in 0..10 {
            let a = u64::from(x[0]) * 0xD251_1F53;
            let b = u64::from(x[2]) * 0xCD9E_8D57;
            x = [(b >> 32) as u32 ^ x[1] ^ key[0], b as u32, (a >> 32) as u32 ^ x[3] ^ key[1], a as u32];
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        x
    }

    /// A uniform number in 0..1 (53 bits), never 0.
    pub fn uniform(&self, counter: u64) -> f64 {
        let w = self.words(counter);
        unit(w[0], w[1])
    }

    /// A uniform integer below `n` (n at least 1).
    pub fn below(&self, counter: u64, n: usize) -> usize {
        ((self.uniform(counter) * n as f64) as usize).min(n - 1)
    }

    /// `count` standard normal numbers, starting at element 0.
    pub fn normals(&self, count: usize) -> Vec<f32> {
        let pair = |i: u64| {
            let w = self.words(i);
            let radius = (-2.0 * unit(w[0], w[1]).ln()).sqrt();
            let angle = std::f64::consts::TAU * unit(w[2], w[3]);
            [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
        };
        let mut out: Vec<f32> = (0..count.div_ceil(2) as u64).flat_map(pair).collect();
        out.truncate(count);
        out
    }
}

fn unit(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    (bits as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the reference implementation (Random123's kat_vectors).
    #[test]
    fn philox_matches_the_reference() {
        assert_eq!(Philox::new(0, 0).words(0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = Philox::new(u64::MAX, u64::MAX).words(u64::MAX);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn normals_are_standard() {
        let n = Philox::new(7, 3).normals(100_001);
        let mean = n.iter().sum::<f32>() / n.len() as f32;
        let var = n.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n.len() as f32;
        assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.02, "mean {mean}, variance {var}");
    }
}
