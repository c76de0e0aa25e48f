//! A clip: one finished stereo loop, the thing every room hands on.
//!
//! A clip is a circle: the sample after the last one is the first one.

/// The codec's and the models' sample rate, in hertz.
pub const SAMPLE_RATE: u32 = 44_100;

/// Where a generated clip came from; with its beats and tempo enough to make it again. What older
/// versions did not know is filled with what they did.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Hex digest (BLAKE3) of the model file.
    pub model: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Thousandths of the way to the next seed's noise.
    pub morph: u16,
    /// Solver steps.
    pub steps: u32,
    /// Name of the solver.
    pub solver: String,
    /// Name of the label; None for any.
    pub label: Option<String>,
    /// Guidance in hundredths, 100 for the plain net.
    pub guidance: u16,
    /// Thousandths of new noise mixed into the seed's loop; 0 is the loop itself.
    pub variation: u16,
    /// Which new noise.
    pub take: u16,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            model: String::new(),
            seed: 0,
            morph: 0,
            steps: 0,
            solver: "euler".into(),
            label: None,
            guidance: 100,
            variation: 0,
            take: 0,
        }
    }
}

/// One stereo loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// `[left, right]`, both of the same length, nominally within -1..1.
    pub samples: [Vec<f32>; 2],
    /// In hertz.
    pub sample_rate: u32,
    /// Length in beats (quarter notes), at least 1.
    pub beats: u32,
    /// Beats per minute, positive and finite.
    pub bpm: f64,
    /// None for recorded audio.
    pub provenance: Option<Provenance>,
    /// Places of the hits in samples, ascending; empty where nobody has looked for them.
    pub hits: Vec<u32>,
}

impl Clip {
    /// Samples per channel of a loop of `beats` at `bpm`, rounded to a sample.
    pub fn length(beats: u32, bpm: f64, sample_rate: u32) -> usize {
        (f64::from(beats) * 60.0 / bpm * f64::from(sample_rate)).round() as usize
    }

    /// Samples per channel.
    pub fn len(&self) -> usize {
        self.samples[0].len()
    }

    /// True when the clip holds no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.len() as f64 / f64::from(self.sample_rate)
    }

    /// Largest absolute sample.
    pub fn peak(&self) -> f32 {
        let channel = |c: &[f32]| c.iter().fold(0f32, |m, s| m.max(s.abs()));
        channel(&self.samples[0]).max(channel(&self.samples[1]))
    }

    /// Turns the whole clip down so that no sample exceeds `peak`; a quieter clip stays as it is.
    pub fn limit_peak(&mut self, peak: f32) {
        let highest = self.peak();
        if highest > peak {
            let gain = peak / highest;
            self.samples.iter_mut().flatten().for_each(|s| *s *= gain);
        }
    }

    /// Rounds each sample to 24 bits, so that WAV and FLAC files hold exactly what plays.
    pub fn round_to_24_bits(&mut self) {
        const FULL: f32 = 8_388_608.0;
        self.samples.iter_mut().flatten().for_each(|s| *s = (*s * FULL).round().clamp(-FULL, FULL - 1.0) / FULL);
    }
}
