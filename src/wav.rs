//! WAV files of loops: 24-bit stereo PCM with an `acid` chunk (tempo, beats, 4/4) and a `smpl`
//! chunk (one forward loop over the whole file), as samplers and DAWs read them.
//!
//! In: a [`Clip`] at any rate; out: a file of exactly its length, whole or not at all. Samples
//! beyond -1..1 are clipped, those that are not numbers become 0. Any thread but the audio one.

use std::path::{Path, PathBuf};

use crate::clip::Clip;

/// The file could not be written; what was there before still is.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}. Nothing was overwritten; choose a folder that exists and that you may write to", .path.display())]
pub struct WavError {
    path: PathBuf,
    #[source]
    error: std::io::Error,
}

/// Full scale of 24 bits.
const FULL: f32 = 8_388_608.0;
/// MIDI note at which the loop sounds as it is.
const ROOT: u32 = 60;

/// The bytes of a WAV file; samples beyond -1..1 are clipped.
pub fn encode(clip: &Clip) -> Vec<u8> {
    let mut data = Vec::with_capacity(clip.len() * 6);
    for (left, right) in clip.samples[0].iter().zip(&clip.samples[1]) {
        for sample in [left, right] {
            let value = (sample * FULL).round().clamp(-FULL, FULL - 1.0) as i32;
            data.extend_from_slice(&value.to_le_bytes()[..3]);
        }
    }
    let mut format = Vec::new();
    format.extend(1u16.to_le_bytes()); // PCM
    format.extend(2u16.to_le_bytes());
    format.extend(clip.sample_rate.to_le_bytes());
    format.extend((clip.sample_rate * 6).to_le_bytes());
    format.extend(6u16.to_le_bytes());
    format.extend(24u16.to_le_bytes());
    let body =
        [chunk(b"fmt ", &format), chunk(b"data", &data), chunk(b"acid", &acid(clip)), chunk(b"smpl", &smpl(clip))];
    let body = body.concat();
    let mut out = b"RIFF".to_vec();
    out.extend((body.len() as u32 + 4).to_le_bytes());
    out.extend(b"WAVE");
    out.extend(body);
    out
}

/// Writes a WAV file whole, or not at all.
pub fn write(path: &Path, clip: &Clip) -> Result<(), WavError> {
    crate::disk::write_whole(path, &encode(clip)).map_err(|error| WavError { path: path.into(), error })
}

/// A RIFF chunk, padded to an even length.
fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
    out
}

/// Flags, root note, two unknowns, beats, metre (denominator, numerator), tempo.
fn acid(clip: &Clip) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0u32.to_le_bytes()); // a loop, no root note
    out.extend((ROOT as u16).to_le_bytes());
    out.extend(0x8000u16.to_le_bytes());
    out.extend(0f32.to_le_bytes());
    out.extend(clip.beats.to_le_bytes());
    out.extend(4u16.to_le_bytes());
    out.extend(4u16.to_le_bytes());
    out.extend((clip.bpm as f32).to_le_bytes());
    out
}

/// One endless forward loop over the whole clip.
fn smpl(clip: &Clip) -> Vec<u8> {
    let period = 1_000_000_000 / clip.sample_rate.max(1);
    let last = clip.len().saturating_sub(1) as u32;
    // Manufacturer, product, period, note, fraction, SMPTE format and offset, loops, extra;
    // then one loop: id, forward, start, end (inclusive), fraction, endless.
    let words = [0, 0, period, ROOT, 0, 0, 0, 1, 0, 0, 0, 0, last, 0, 0];
    words.iter().flat_map(|w: &u32| w.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_samples() -> Clip {
        Clip {
            samples: [vec![0.0, 2.0, f32::NAN], vec![-2.0, 0.5, 0.0]],
            sample_rate: 44_100,
            beats: 4,
            bpm: 123.4,
            provenance: None,
            hits: Vec::new(),
        }
    }

    #[test]
    fn sizes_and_full_scale() {
        let bytes = encode(&three_samples());
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        assert_eq!(word(4) as usize, bytes.len() - 8);
        assert_eq!((&bytes[36..40], word(40)), (&b"data"[..], 18));
        assert_eq!(bytes[44..62], [0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0x7f, 0, 0, 0x40, 0, 0, 0, 0, 0, 0]);
        assert_eq!((&bytes[62..66], word(66), word(82), word(90)), (&b"acid"[..], 24, 4, 123.4f32.to_bits()));
        // The end of a loop is its last sample.
        assert_eq!((&bytes[94..98], word(98), word(146), word(150)), (&b"smpl"[..], 60, 0, 2));
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = std::env::temp_dir().join(format!("flowloop-wav-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("taken.wav/kept")).unwrap();
        let error = write(&folder.join("taken.wav"), &three_samples()).unwrap_err();
        assert!(error.to_string().contains("taken.wav"));
        let missing = write(&folder.join("missing/a.wav"), &three_samples());
        assert!(missing.is_err() && !folder.join("missing").exists());
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert!(left.len() == 1 && folder.join("taken.wav/kept").is_dir());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
