//! Mel bands: linear spectra to log energies in decibels and back.

use std::ops::RangeInclusive;

/// A bank of triangular bands whose centres lie evenly on the mel scale (O'Shaughnessy, 1987).
#[derive(Clone, Debug)]
pub struct MelBank {
    /// Per band: first bin and weights that sum to 1.
    bands: Vec<(usize, Vec<f32>)>,
    /// Per bin: lower band and the share of the one above.
    position: Vec<(usize, f32)>,
    /// Per bin: share of the magnitude that is left below the lowest band.
    skirt: Vec<f32>,
    floor: f32,
}

/// Lowest and highest band centre in hertz, where nothing else is asked for.
const SPAN: RangeInclusive<f32> = 40.0..=18_000.0;

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

/// Magnitude of a Hann window's spectrum so many bins away from its middle; 1 above it.
fn lobe(away: f64) -> f64 {
    let x = std::f64::consts::PI * away;
    match away {
        ..=0.0 => 1.0,
        2.0.. => 0.0,
        _ if (away - 1.0).abs() < 1e-6 => 0.5,
        _ => x.sin() / (x * (1.0 - away * away)),
    }
}

/// Centre in hertz of band `band` of `bands`, where nothing else is asked for than [`MelBank::new`] gives.
pub fn hertz_of_band(band: usize, bands: usize) -> f32 {
    let [lowest, highest] = [*SPAN.start(), *SPAN.end()].map(|f| mel(f64::from(f)));
    let place = lowest + (highest - lowest) * band as f64 / (bands - 1) as f64;
    (700.0 * (10f64.powf(place / 2595.0) - 1.0)) as f32
}

impl MelBank {
    /// `bands` bands over `bins` bins up to half of `sample_rate`; energies below `floor_db`
    /// (relative to a full-scale sine) count as silence.
    pub fn new(bands: usize, bins: usize, sample_rate: u32, floor_db: f32) -> Self {
        Self::within(SPAN, bands, bins, sample_rate, floor_db)
    }

    /// The same with the centres of the lowest and the highest band in hertz.
    pub fn within(span: RangeInclusive<f32>, bands: usize, bins: usize, sample_rate: u32, floor_db: f32) -> Self {
        let [lowest, highest] = [*span.start(), *span.end()].map(|f| mel(f64::from(f)));
        let hertz = |bin: usize| bin as f64 * f64::from(sample_rate) / 2.0 / (bins - 1) as f64;
        let step = (highest - lowest) / (bands - 1) as f64;
        let place = |bin: usize| (mel(hertz(bin)) - lowest) / step;
        let band = |b: usize| {
            let weight = |bin: usize| (1.0 - (place(bin) - b as f64).abs()).max(0.0) as f32;
            let inside: Vec<usize> = (0..bins).filter(|bin| weight(*bin) > 0.0).collect();
            let nearest = (0..bins)
                .min_by(|x, y| (place(*x) - b as f64).abs().total_cmp(&(place(*y) - b as f64).abs()))
                .unwrap_or(0);
            // Low bands are narrower than a bin: they take the nearest.
            let first = inside.first().copied().unwrap_or(nearest);
            let mut weights: Vec<f32> = inside.iter().map(|bin| weight(*bin)).collect();
            if weights.is_empty() {
                weights.push(1.0);
            }
            let sum: f32 = weights.iter().sum();
            (first, weights.into_iter().map(|w| w / sum).collect())
        };
        let position = (0..bins).map(|bin| {
            let p = place(bin).clamp(0.0, (bands - 1) as f64);
            let low = (p as usize).min(bands - 2);
            (low, (p - low as f64) as f32)
        });
        let lowest_bin = f64::from(*span.start()) / hertz(1);
        Self {
            bands: (0..bands).map(band).collect(),
            position: position.collect(),
            skirt: (0..bins).map(|bin| lobe(lowest_bin - bin as f64) as f32).collect(),
            floor: 10f32.powf(floor_db / 10.0),
        }
    }

    /// The band at or below a bin, and the share of the one above.
    pub fn place(&self, bin: usize) -> (usize, f32) {
        self.position[bin]
    }

    /// Energies of one spectrum (power per bin) in decibels, at least the floor.
    pub fn decibels(&self, power: &[f32], out: &mut [f32]) {
        for ((first, weights), out) in self.bands.iter().zip(out) {
            let energy: f32 = weights.iter().zip(&power[*first..]).map(|(w, p)| w * p).sum();
            *out = 10.0 * energy.max(self.floor).log10();
        }
    }

    /// Magnitudes per bin from decibels per band; the floor becomes silence. Below the lowest band they fall as
    /// those of a tone in it: were they level, a bass would beat with what was never there.
    pub fn magnitudes(&self, decibels: &[f32], out: &mut [f32]) {
        for (((low, share), skirt), out) in self.position.iter().zip(&self.skirt).zip(out) {
            let db = decibels[*low] * (1.0 - share) + decibels[low + 1] * share;
            let power = 10f32.powf(db / 10.0) - 2.0 * self.floor;
            *out = power.max(0.0).sqrt() * skirt;
        }
    }
}
