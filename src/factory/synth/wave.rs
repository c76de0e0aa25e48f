//! What voices are made of: oscillators, noise, a filter, decays.

use crate::clip::SAMPLE_RATE;
use crate::factory::dice::Dice;

const RATE: f32 = SAMPLE_RATE as f32;

/// A wave form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wave {
    /// Sine.
    Sine,
    /// Triangle.
    Triangle,
    /// Falling from 1 to -1, smoothed by polyBLEP (Välimäki and Huovilainen 2007).
    Saw,
    /// Of a width in 0..1, smoothed likewise.
    Pulse(f32),
}

/// An oscillator.
#[derive(Clone, Debug)]
pub struct Oscillator {
    wave: Wave,
    /// 0..1.
    phase: f32,
}

impl Oscillator {
    /// Starts at a phase in 0..1.
    pub fn new(wave: Wave, phase: f32) -> Self {
        Self { wave, phase }
    }

    /// The next sample, -1..1, at a frequency; `bend` moves the phase (in turns) for FM.
    pub fn tick(&mut self, hertz: f32, bend: f32) -> f32 {
        let step = (hertz / RATE).clamp(0.0, 0.45);
        let p = if bend == 0.0 { self.phase } else { (self.phase + bend).rem_euclid(1.0) };
        self.phase += step;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
        }
        match self.wave {
            Wave::Sine => (std::f32::consts::TAU * p).sin(),
            Wave::Triangle => 1.0 - 4.0 * ((p + 0.75).fract() - 0.5).abs(),
            Wave::Saw => 1.0 - 2.0 * p + blep(p, step),
            Wave::Pulse(width) => {
                let square = if p < width { 1.0 } else { -1.0 };
                square + blep(p, step) - blep((p + 1.0 - width).fract(), step)
            }
        }
    }
}

/// What rounds off a step up by 2 at phase 0.
fn blep(p: f32, step: f32) -> f32 {
    if step <= 0.0 {
        0.0
    } else if p < step {
        let x = p / step;
        x + x - x * x - 1.0
    } else if p > 1.0 - step {
        let x = (p - 1.0) / step;
        x * x + x + x + 1.0
    } else {
        0.0
    }
}

/// White noise, -1..1 (SplitMix64).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Its own stream for each throw.
    pub fn new(dice: &mut Dice) -> Self {
        Self(dice.unit().to_bits())
    }

    /// The next sample.
    pub fn tick(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A value that falls by 1/e in a time.
#[derive(Clone, Debug)]
pub struct Fall {
    value: f32,
    factor: f32,
}

impl Fall {
    /// From a value, with a time constant in seconds.
    pub fn new(value: f64, seconds: f64) -> Self {
        Self { value: value as f32, factor: (-1.0 / (seconds.max(1e-5) * f64::from(SAMPLE_RATE))).exp() as f32 }
    }

    /// The value, which then falls.
    pub fn tick(&mut self) -> f32 {
        let now = self.value;
        self.value *= self.factor;
        now
    }
}

/// Two-pole state-variable filter (Zavalishin's topology-preserving transform), stable while its
/// cutoff moves.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    g: f32,
    k: f32,
    scale: f32,
    state: [f32; 2],
}

/// What a filter gives.
#[derive(Clone, Copy, Debug)]
pub struct Bands {
    /// Low-pass.
    pub low: f32,
    /// Band-pass, 1 at the cutoff.
    pub band: f32,
    /// High-pass.
    pub high: f32,
}

impl Filter {
    /// At a cutoff in hertz with a resonance (0.7 is flat).
    pub fn new(hertz: f64, q: f64) -> Self {
        let mut filter = Self::default();
        filter.tune(hertz as f32, q as f32);
        filter
    }

    /// Moves it.
    pub fn tune(&mut self, hertz: f32, q: f32) {
        self.g = (std::f32::consts::PI * (hertz / RATE).clamp(1e-4, 0.45)).tan();
        self.k = 1.0 / q.max(0.1);
        self.scale = 1.0 / (1.0 + self.g * (self.g + self.k));
    }

    /// One sample.
    pub fn tick(&mut self, x: f32) -> Bands {
        let high = (x - (self.g + self.k) * self.state[0] - self.state[1]) * self.scale;
        let band = self.g * high + self.state[0];
        self.state[0] = self.g * high + band;
        let low = self.g * band + self.state[1];
        self.state[1] = self.g * band + low;
        Bands { low, band: band * self.k, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_have_their_period_and_no_offset() {
        for wave in [Wave::Sine, Wave::Triangle, Wave::Saw, Wave::Pulse(0.5)] {
            let mut oscillator = Oscillator::new(wave, 0.0);
            let samples: Vec<f32> = (0..44_100).map(|_| oscillator.tick(441.0, 0.0)).collect();
            let mean = samples.iter().sum::<f32>() / 44_100.0;
            let up = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
            assert!(mean.abs() < 0.02 && (439..=442).contains(&up), "{wave:?}: {mean} {up}");
            assert!(samples.iter().all(|s| s.abs() < 1.1), "{wave:?}");
        }
    }

    #[test]
    fn a_filter_passes_its_band() {
        let level = |hertz: f32, pick: fn(Bands) -> f32| {
            let (mut filter, mut sine) = (Filter::new(1000.0, 0.7), Oscillator::new(Wave::Sine, 0.0));
            (0..20_000).map(|_| pick(filter.tick(sine.tick(hertz, 0.0))).abs()).skip(10_000).fold(0.0, f32::max)
        };
        assert!(level(100.0, |b| b.low) > 0.95 && level(10_000.0, |b| b.low) < 0.02);
        assert!(level(100.0, |b| b.high) < 0.02 && level(10_000.0, |b| b.high) > 0.95);
        assert!((level(1000.0, |b| b.band) - 1.0).abs() < 0.05);
    }
}
