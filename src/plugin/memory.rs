//! What a project's state keeps beside the parameters: the clip, so that a project sounds the same when
//! it is opened again, at once, on a machine without the model or the GPU; which model made it; what was heard
//! before; and the two that are compared.
//!
//! nice-plug keeps states as JSON, so the clip is FLAC in base64. Generated clips are rounded to 24
//! bits, which FLAC holds without loss: saving, loading and saving again gives the same bytes. Runs on
//! the host's main thread.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr;
use flacenc::error::Verify;
use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};

use super::clap::saves_preset;
use crate::clip::{Clip, Provenance};
use crate::engine::{Heard, Request, SavedModel, Session};

/// Layout of what is saved; a newer one is left alone.
const VERSION: u32 = 1;
/// Bits a sample.
const BITS: usize = 24;
/// 24-bit full scale.
const FULL: f32 = 8_388_608.0;
/// Longest clip that is read back, in samples: 256 beats at 20 bpm.
const MAX_SAMPLES: usize = 44_100 * 60 / 20 * 256;

/// What is saved. Everything may be missing: states of other versions must load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedClip {
    version: u32,
    request: Option<Request>,
    provenance: Option<Provenance>,
    beats: u32,
    bpm: f64,
    /// Stereo FLAC in base64; empty without a clip.
    audio: String,
}

impl SavedClip {
    fn of(request: Request, clip: &Clip) -> Option<Self> {
        let audio = BASE64.encode(pack(clip)?);
        let (provenance, beats, bpm) = (clip.provenance.clone(), clip.beats, clip.bpm);
        Some(Self { version: VERSION, request: Some(request), provenance, beats, bpm, audio })
    }

    /// The clip and what it answers; None when there is none or it is damaged.
    fn open(&self) -> Option<(Request, Clip)> {
        let request = self.request.filter(|_| self.version == VERSION)?;
        let (samples, sample_rate) = unpack(&BASE64.decode(&self.audio).ok()?)?;
        let sound = self.beats >= 1 && self.bpm.is_finite() && self.bpm > 0.0;
        let clip = Clip {
            samples,
            sample_rate,
            beats: self.beats,
            bpm: self.bpm,
            provenance: self.provenance.clone(),
            hits: Vec::new(),
        };
        sound.then_some((request, clip))
    }
}

/// Stereo FLAC of a clip whose samples are 24-bit numbers.
fn pack(clip: &Clip) -> Option<Vec<u8>> {
    let integer = |s: &f32| (s * FULL).round().clamp(-FULL, FULL - 1.0) as i32;
    let pairs = clip.samples[0].iter().zip(&clip.samples[1]);
    let samples: Vec<i32> = pairs.flat_map(|(l, r)| [integer(l), integer(r)]).collect();
    let config = flacenc::config::Encoder::default().into_verified().ok()?;
    let source = flacenc::source::MemSource::from_samples(&samples, 2, BITS, clip.sample_rate as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size).ok()?;
    let mut sink = ByteSink::new();
    stream.write(&mut sink).ok()?;
    Some(sink.into_inner())
}

fn unpack(flac: &[u8]) -> Option<([Vec<f32>; 2], u32)> {
    let mut reader = claxon::FlacReader::new(flac).ok()?;
    let info = reader.streaminfo();
    let length = info.samples.unwrap_or(0) as usize;
    let fits = info.channels == 2 && info.bits_per_sample as usize == BITS && (1..=MAX_SAMPLES).contains(&length);
    if !fits || !(8_000..=768_000).contains(&info.sample_rate) {
        return None;
    }
    let mut samples = [Vec::new(), Vec::new()];
    for (i, sample) in reader.samples().enumerate() {
        samples[i % 2].push(sample.ok()? as f32 / FULL);
    }
    (samples[0].len() == length && samples[1].len() == length).then_some((samples, info.sample_rate))
}

/// The session's clip, as a persistent field.
pub struct Memory(pub Arc<Session>);

impl<'a> PersistentField<'a, SavedClip> for Memory {
    fn set(&self, saved: SavedClip) {
        if let Some((request, clip)) = saved.open() {
            self.0.restore(request, Arc::new(clip));
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&SavedClip) -> R,
    {
        let status = self.0.status();
        let saved = status.request.zip(status.clip).and_then(|(request, clip)| SavedClip::of(request, &clip));
        f(&saved.unwrap_or_default())
    }
}

/// The session's model, as a persistent field. A preset names no folder of this computer.
pub struct ModelMemory(pub Arc<Session>);

impl<'a> PersistentField<'a, SavedModel> for ModelMemory {
    fn set(&self, saved: SavedModel) {
        self.0.restore_model(saved);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&SavedModel) -> R,
    {
        let mut model = self.0.saved_model();
        if saves_preset() {
            model.path.clear();
        }
        f(&model)
    }
}

/// What was heard before, as a persistent field. A preset starts anew.
pub struct Past(pub Arc<Session>);

impl<'a> PersistentField<'a, Vec<Heard>> for Past {
    fn set(&self, history: Vec<Heard>) {
        self.0.restore_history(history);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Vec<Heard>) -> R,
    {
        f(&if saves_preset() { Vec::new() } else { self.0.status().history })
    }
}

/// The two clips that are compared, as a persistent field. A preset starts anew.
pub struct Compared(pub Arc<Session>);

/// What A and B are.
type Pair = [Option<Request>; 2];

impl<'a> PersistentField<'a, Pair> for Compared {
    fn set(&self, pair: Pair) {
        pair.into_iter().enumerate().for_each(|(which, request)| self.0.compare(which, request));
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Pair) -> R,
    {
        f(&if saves_preset() { Pair::default() } else { self.0.status().compared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> Clip {
        let wave = |step: f32| -> Vec<f32> {
            (0..50_000).map(|i| ((i as f32 * step).sin() * 0.9 * FULL).round() / FULL).collect()
        };
        let provenance = Some(Provenance { model: "ab".into(), seed: 3, steps: 8, ..Provenance::default() });
        Clip {
            samples: [wave(0.031), wave(0.047)],
            sample_rate: 44_100,
            beats: 2,
            bpm: 105.84,
            provenance,
            hits: Vec::new(),
        }
    }

    #[test]
    fn clip_survives_to_the_last_bit_and_is_packed() {
        let request = Request::new(3, 8, 0, 2, 105.84);
        let saved = SavedClip::of(request, &clip()).unwrap();
        let json = serde_json::to_string(&saved).unwrap();
        let back: SavedClip = serde_json::from_str(&json).unwrap();
        let (asked, opened) = back.open().unwrap();
        assert_eq!((asked, &opened), (request, &clip()));
        assert_eq!(serde_json::to_string(&SavedClip::of(asked, &opened).unwrap()).unwrap(), json);
        assert!(json.len() < 50_000 * 2 * 4, "{} bytes", json.len());
    }

    #[test]
    fn damaged_and_foreign_states_are_left_alone() {
        let good = SavedClip::of(Request::new(3, 8, 0, 2, 105.84), &clip()).unwrap();
        for cut in [0, 10, 1000, good.audio.len() / 2] {
            let mut bad = good.clone();
            bad.audio.truncate(cut / 4 * 4);
            assert_eq!(bad.open(), None, "cut at {cut}");
        }
        assert_eq!(SavedClip { version: 2, ..good.clone() }.open(), None);
        assert_eq!(SavedClip { bpm: f64::NAN, ..good }.open(), None);
        let empty: SavedClip = serde_json::from_str("{}").unwrap();
        assert_eq!(empty.open(), None);
    }
}
