//! What all sound goes through at last: low cut, high cut, balance and gain.

use biquad::{Biquad, Coefficients, DirectForm1, Q_BUTTERWORTH_F64, Type};

use super::glide::{Glide, balance};
use super::settings::Settings;

/// How long gain, pan and a filter's way in or out take, in seconds.
const RAMP: f64 = 0.005;
/// How long a cut-off takes to a new place, in seconds.
const SWEEP: f64 = 0.020;
/// Samples between two retunings while a cut-off moves.
const RETUNE: u32 = 16;
/// A filter whose sound stays below this has faded away (-140 dB), ...
const SILENCE: f32 = 1e-7;
/// ... when it does so for this long, in seconds: a period of the lowest cut-off.
const PATIENCE: f64 = 0.1;
/// The lowest cut-off, in hertz, and the highest as a share of the host's rate.
const LOWEST: f64 = 10.0;
const HIGHEST: f64 = 0.49;

/// A Butterworth filter of 12 dB an octave, left and right. Direct form 1 and double precision: the
/// former bears retuning, the latter cut-offs far below the rate.
struct Filter {
    kind: Type<f64>,
    sides: [DirectForm1<f64>; 2],
    /// Logarithm to base 2 of the cut-off in hertz.
    octave: Glide,
    /// Share of the filtered sound: 0 is off.
    wet: Glide,
    /// Samples until the next retuning.
    retune: u32,
}

impl Filter {
    fn new(kind: Type<f64>) -> Self {
        let through = Coefficients { a1: 0.0, a2: 0.0, b0: 1.0, b1: 0.0, b2: 0.0 };
        let sides = [DirectForm1::new(through); 2];
        Self { kind, sides, octave: Glide::at(0.0), wet: Glide::at(0.0), retune: 0 }
    }

    fn off(&self) -> bool {
        self.wet.value() == 0.0 && self.wet.left() == 0
    }

    fn set(&mut self, hertz: Option<f32>, sample_rate: f64) {
        let ramp = (RAMP * sample_rate) as u32;
        let Some(hertz) = hertz.filter(|h| h.is_finite()) else { return self.wet.to(0.0, ramp) };
        let octave = f64::from(hertz).clamp(LOWEST, HIGHEST * sample_rate).log2();
        if self.off() {
            self.sides.iter_mut().for_each(Biquad::reset_state);
            self.octave = Glide::at(octave);
            self.tune(sample_rate);
        } else {
            self.octave.to(octave, (SWEEP * sample_rate) as u32);
        }
        self.wet.to(1.0, ramp);
    }

    fn tune(&mut self, sample_rate: f64) {
        let share = (2.0 * self.octave.value().exp2() / sample_rate).min(2.0 * HIGHEST);
        // The share is within what the formulas take.
        if let Ok(coefficients) = Coefficients::from_normalized_params(self.kind, share, Q_BUTTERWORTH_F64) {
            self.sides.iter_mut().for_each(|s| s.update_coefficients(coefficients));
        }
    }

    fn moves(&self) -> bool {
        self.octave.left() > 0 || self.wet.left() > 0
    }

    fn settle(&mut self, sample_rate: f64) {
        self.sides.iter_mut().for_each(Biquad::reset_state);
        self.octave = Glide::at(self.octave.target());
        self.wet = Glide::at(self.wet.target());
        self.retune = 0;
        self.tune(sample_rate);
    }

    fn process(&mut self, sample_rate: f64, left: &mut [f32], right: &mut [f32]) {
        let mut at = 0;
        while at < left.len() && !self.off() {
            let mut n = left.len() - at;
            let sweeps = self.octave.left() > 0;
            if sweeps {
                if self.retune == 0 {
                    self.tune(sample_rate);
                    self.retune = RETUNE;
                }
                n = n.min(self.retune as usize).min(self.octave.left() as usize);
            }
            let wet = self.wet;
            for (side, channel) in self.sides.iter_mut().zip([&mut left[at..at + n], &mut right[at..at + n]]) {
                filter(side, wet, channel);
            }
            self.wet.advance(n);
            at += n;
            if sweeps {
                self.retune -= n as u32;
                self.octave.advance(n);
                if self.octave.left() == 0 {
                    self.retune = 0;
                    self.tune(sample_rate);
                }
            }
        }
    }
}

fn filter(side: &mut DirectForm1<f64>, mut wet: Glide, channel: &mut [f32]) {
    if wet.left() == 0 && wet.value() == 1.0 {
        channel.iter_mut().for_each(|s| *s = side.run(f64::from(*s)) as f32);
        return;
    }
    for sample in channel {
        let dry = f64::from(*sample);
        wet.advance(1);
        *sample = (dry + wet.value() * (side.run(dry) - dry)) as f32;
    }
}

pub(super) struct Output {
    low: Filter,
    high: Filter,
    gains: [Glide; 2],
    /// Samples since something was heard.
    silent: u32,
    /// Nothing was heard since all came to rest.
    settled: bool,
}

impl Output {
    pub fn new() -> Self {
        let (low, high) = (Filter::new(Type::HighPass), Filter::new(Type::LowPass));
        Self { low, high, gains: [Glide::at(1.0); 2], silent: u32::MAX, settled: false }
    }

    pub fn set(&mut self, settings: &Settings, sample_rate: f64) {
        self.low.set(settings.low_cut, sample_rate);
        self.high.set(settings.high_cut, sample_rate);
        let gain = if settings.gain.is_finite() { f64::from(settings.gain) } else { 1.0 };
        let sides = balance(if settings.pan.is_finite() { settings.pan } else { 0.0 });
        for (glide, side) in self.gains.iter_mut().zip(sides) {
            glide.to(gain * side, (RAMP * sample_rate) as u32);
        }
    }

    /// The filters for another rate; what moves goes on.
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.low.tune(sample_rate);
        self.high.tune(sample_rate);
    }

    /// True when nothing rings any more: silence in would be silence out.
    pub fn rests(&self, sample_rate: f64) -> bool {
        f64::from(self.silent) > PATIENCE * sample_rate || (self.low.off() && self.high.off())
    }

    /// Forgets all that rang; nothing moves any more.
    pub fn settle(&mut self, sample_rate: f64) {
        let moves = self.low.moves() || self.high.moves() || self.gains.iter().any(|g| g.left() > 0);
        if self.settled && !moves {
            return;
        }
        self.settled = true;
        self.low.settle(sample_rate);
        self.high.settle(sample_rate);
        self.gains = self.gains.map(|g| Glide::at(g.target()));
    }

    pub fn process(&mut self, sample_rate: f64, left: &mut [f32], right: &mut [f32]) {
        self.settled = false;
        self.low.process(sample_rate, left, right);
        self.high.process(sample_rate, left, right);
        for (glide, channel) in self.gains.iter_mut().zip([&mut *left, &mut *right]) {
            glide.scale(channel);
        }
        let loudest = |s: &[f32]| s.iter().fold(0f32, |m, s| m.max(s.abs()));
        let silent = loudest(left).max(loudest(right)) < SILENCE;
        self.silent = if silent { self.silent.saturating_add(left.len() as u32) } else { 0 };
    }
}
