//! Random choices in a row, from one counter-based stream: the same on every machine.

use crate::random::Philox;

/// The dice of one loop.
pub struct Dice {
    random: Philox,
    next: u64,
}

impl Dice {
    /// The dice of loop `index` of a set.
    pub fn new(seed: u64, index: u64) -> Self {
        Self { random: Philox::new(seed, index), next: 0 }
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.next += 1;
        self.random.uniform(self.next)
    }

    /// Uniform between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number of a range of whole numbers, both ends included.
    pub fn whole(&mut self, (low, high): (f64, f64)) -> f64 {
        self.between(low, high + 1.0).floor().min(high)
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of a slice that is not empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = (self.unit() * from.len() as f64) as usize;
        &from[index.min(from.len() - 1)]
    }
}
