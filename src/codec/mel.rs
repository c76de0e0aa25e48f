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
    /// Per bin: its weights in all bands together.
    heard: Vec<f32>,
    floor: f32,
}

/// Lowest and highest band centre in hertz, where nothing else is asked for.
const SPAN: RangeInclusive<f32> = 40.0..=18_000.0;

/// Rounds that bins are made to agree with their bands. More cost time: ten bring tones 0.2 dB nearer, a tenth of what
/// three do.
const ROUNDS: usize = 3;
/// Energies below this are none, where they are divided by.
const NOTHING: f32 = 1e-12;

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

/// Magnitude of a Hann window's spectrum so many bins away from its middle; 1 above it.
pub(super) fn lobe(away: f64) -> f64 {
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
        let bands: Vec<(usize, Vec<f32>)> = (0..bands).map(band).collect();
        let mut heard = vec![0.0; bins];
        for (first, weights) in &bands {
            heard[*first..].iter_mut().zip(weights).for_each(|(sum, w)| *sum += w);
        }
        Self {
            bands,
            heard,
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
    ///
    /// Between bands they begin as straight lines, too wide for tones, whose bands would then hold more than they
    /// should; each bin is multiplied by what its bands lack (Richardson, 1972; Lucy, 1974).
    pub fn magnitudes(&self, decibels: &[f32], out: &mut [f32]) {
        let energy = |db: f32| (10f32.powf(db / 10.0) - 2.0 * self.floor).max(0.0);
        for (((low, share), skirt), out) in self.position.iter().zip(&self.skirt).zip(&mut *out) {
            *out = energy(decibels[*low] * (1.0 - share) + decibels[low + 1] * share) * skirt * skirt;
        }
        let wanted: Vec<f32> = decibels.iter().map(|db| energy(*db)).collect();
        let mut lack = vec![0.0; out.len()];
        for _ in 0..ROUNDS {
            lack.fill(0.0);
            for ((first, weights), wanted) in self.bands.iter().zip(&wanted) {
                let found: f32 = weights.iter().zip(out.iter().skip(*first)).map(|(w, power)| w * power).sum();
                let ratio = wanted / found.max(NOTHING);
                lack.iter_mut().skip(*first).zip(weights).for_each(|(lack, w)| *lack += w * ratio);
            }
            let heard = lack.iter().zip(&self.heard);
            out.iter_mut().zip(heard).filter(|(_, (_, heard))| **heard > 0.0).for_each(|(o, (l, h))| *o *= l / h);
        }
        out.iter_mut().for_each(|power| *power = power.sqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frames::Framing;

    /// The lowest range's bank as the codec has it.
    fn bank(framing: &Framing) -> MelBank {
        MelBank::within(40.0..=1000.0, 48, framing.bins(), 44_100, -96.0)
    }

    #[test]
    fn a_tones_peak_is_as_narrow_as_its_window_makes_it() {
        let framing = Framing::new(2048);
        let bank = bank(&framing);
        let mut worst = 0f32;
        for hertz in [180.0, 333.3, 512.0, 777.0, 900.0] {
            let tone: Vec<f32> =
                (0..8192).map(|i| (std::f32::consts::TAU * hertz * i as f32 / 44_100.0).sin()).collect();
            let mut spectrum = Vec::new();
            framing.analyse(&tone, &[4096], &mut spectrum);
            let power: Vec<f32> = spectrum.iter().map(|c| c.norm_sqr()).collect();
            let (mut decibels, mut found) = (vec![0.0; 48], vec![0.0; framing.bins()]);
            bank.decibels(&power, &mut decibels);
            bank.magnitudes(&decibels, &mut found);
            let loudest = power.iter().fold(0f32, |most, p| most.max(*p));
            let off = |(found, power): (&f32, &f32)| 10.0 * (found * found / power).log10();
            let peak = found.iter().zip(&power).filter(|(_, power)| **power > 0.03 * loudest);
            worst = peak.map(off).fold(worst, |most, db| most.max(db.abs()));
        }
        assert!(worst < 2.5, "{worst} dB");
    }

    #[test]
    fn silence_stays_silent_and_a_loud_band_beside_it_finite() {
        let framing = Framing::new(2048);
        let bank = bank(&framing);
        let (mut decibels, mut found) = (vec![-96.0; 48], vec![1.0; 65]);
        bank.magnitudes(&decibels, &mut found);
        assert!(found.iter().all(|m| *m == 0.0));
        decibels[20] = 0.0;
        bank.magnitudes(&decibels, &mut found);
        assert!(found.iter().all(|m| (0.0..2.0).contains(m)), "{found:?}");
        assert!(found.iter().any(|m| *m > 0.5));
    }
}
