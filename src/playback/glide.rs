//! Values that change without a step: all of them move on by samples, never by blocks.

/// A value on its way to a target in a straight line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glide {
    value: f64,
    target: f64,
    /// The larger end of the way.
    highest: f64,
    /// Change a sample.
    step: f64,
    /// Samples to go.
    left: u32,
}

impl Default for Glide {
    fn default() -> Self {
        Self::at(1.0)
    }
}

impl Glide {
    /// Stands still.
    pub fn at(value: f64) -> Self {
        Self { value, target: value, highest: value, step: 0.0, left: 0 }
    }

    /// Starts for a `target`, there after `samples`; goes on where it has that target already.
    pub fn to(&mut self, target: f64, samples: u32) {
        if target != self.target {
            let samples = samples.max(1);
            let step = (target - self.value) / f64::from(samples);
            *self = Self { value: self.value, target, highest: self.value.max(target), step, left: samples };
        }
    }

    pub fn value(&self) -> f64 {
        self.value
    }

    pub fn target(&self) -> f64 {
        self.target
    }

    /// The larger end of the way that it is on.
    pub fn highest(&self) -> f64 {
        self.highest
    }

    /// Change a sample; 0 when it stands still.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Samples to the target.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Moves on by `samples`.
    pub fn advance(&mut self, samples: usize) {
        match samples < self.left as usize {
            true => {
                self.value += self.step * samples as f64;
                self.left -= samples as u32;
            }
            false => *self = Self::at(self.target),
        }
    }

    /// Multiplies `sound` by it, moving on.
    pub fn scale(&mut self, sound: &mut [f32]) {
        let (moving, still) = sound.split_at_mut(sound.len().min(self.left as usize));
        let (value, step) = (self.value as f32, self.step as f32);
        for (i, sample) in moving.iter_mut().enumerate() {
            *sample *= value + step * (i as i32 + 1) as f32;
        }
        self.advance(moving.len());
        if self.value != 1.0 {
            let value = self.value as f32;
            still.iter_mut().for_each(|s| *s *= value);
        }
    }
}

/// Gains of what comes and what goes at `t` (0..1) of a cross-fade: their squares add up to 1, as sine
/// and cosine do, but they cost a root each.
pub(super) fn equal_power(t: f32) -> (f32, f32) {
    (t * (3.0 - 2.0 * t).sqrt(), (1.0 - t) * (1.0 + 2.0 * t).sqrt())
}

/// Gains left and right of a balance of -1..1; exactly 1 in the middle.
pub(super) fn balance(pan: f32) -> [f64; 2] {
    let pan = f64::from(pan.clamp(-1.0, 1.0));
    [(1.0 - pan).min(1.0), (1.0 + pan).min(1.0)]
}
