//! Audio files to stereo samples.
//!
//! In: a whole file's bytes, told apart by content (wav, aiff, flac, mp3, ogg vorbis, ...).
//! Out: [`Audio`] at the file's own rate, as it decodes: no level, length or NaN is mended here.
//! Memory follows from what really decodes, never from what a header claims. Any thread. Broken
//! files give [`DecodeError`], also where a decoder panics.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Decoded audio at its own rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audio {
    /// `[left, right]` of one length.
    pub samples: [Vec<f32>; 2],
    /// In hertz.
    pub sample_rate: u32,
    /// Channels of the file, before they became two.
    pub channels: usize,
    /// The file ended before its header said, or a packet was broken.
    pub truncated: bool,
    /// The file goes on; decoding stopped at [`MAX_FRAMES`].
    pub overlong: bool,
}

/// Why a file is not audio we can use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum DecodeError {
    #[error("the file is empty")]
    Empty,
    #[error("not an audio file that is known ({0})")]
    Unknown(String),
    #[error("its header says that it has no channels")]
    NoChannels,
    #[error("its sample rate of {0} Hz is out of range (4 to 768 kHz)")]
    SampleRate(u32),
    #[error("nothing in it could be decoded ({0})")]
    Nothing(String),
}

/// Most frames taken from one file: about 12 minutes at 44.1 kHz, 256 MiB.
pub const MAX_FRAMES: usize = 1 << 25;

/// Decodes a whole file held in memory.
pub fn decode(bytes: Vec<u8>) -> Result<Audio, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    // A musician's folder is no place to trust three container parsers' arithmetic.
    let guarded = catch_unwind(AssertUnwindSafe(|| decode_trusting(bytes)));
    guarded.unwrap_or_else(|_| Err(DecodeError::Unknown("its decoder failed".into())))
}

fn decode_trusting(bytes: Vec<u8>) -> Result<Audio, DecodeError> {
    let unknown = |e: Error| DecodeError::Unknown(e.to_string());
    check_wave_header(&bytes)?;
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(unknown)?;
    let missing = || DecodeError::Unknown("no audio track".into());
    let track = format.default_track(TrackType::Audio).ok_or_else(missing)?;
    let (id, claimed) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio());
    let parameters = parameters.ok_or_else(missing)?;
    if parameters.sample_rate == Some(0) {
        return Err(DecodeError::SampleRate(0));
    }
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(unknown)?;
    let mut audio = read_packets(&mut *format, &mut *decoder, id)?;
    if !(4_000..=768_000).contains(&audio.sample_rate) {
        return Err(DecodeError::SampleRate(audio.sample_rate));
    }
    // Lossy formats count encoder delay: up to two packets of the longest kind.
    const SLACK: u64 = 2 * 1152;
    let got = audio.samples[0].len() as u64;
    audio.truncated |= !audio.overlong && claimed.is_some_and(|n| n > got + SLACK);
    Ok(audio)
}

/// Reads to the end, to the first broken container read, or to [`MAX_FRAMES`].
fn read_packets(format: &mut dyn FormatReader, decoder: &mut dyn AudioDecoder, id: u32) -> Result<Audio, DecodeError> {
    let mut audio = Audio::default();
    let mut reason = String::from("it holds no samples");
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        if audio.samples[0].len() >= MAX_FRAMES {
            audio.overlong = true;
            break;
        }
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) => {
                (audio.truncated, reason) = (true, error.to_string());
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let channels = spec.channels().count();
                if channels == 0 {
                    return Err(DecodeError::NoChannels);
                }
                if audio.sample_rate != 0 && audio.sample_rate != spec.rate() {
                    audio.truncated = true; // A chained stream at another rate.
                    break;
                }
                (audio.sample_rate, audio.channels) = (spec.rate(), channels);
                interleaved.resize(buffer.samples_interleaved(), 0.0);
                buffer.copy_to_slice_interleaved(&mut interleaved);
                mix(&interleaved, &gains(spec.channels()), &mut audio.samples);
            }
            Err(error) => (audio.truncated, reason) = (true, error.to_string()),
        }
    }
    if audio.samples[0].is_empty() {
        return Err(DecodeError::Nothing(reason));
    }
    Ok(audio)
}

/// A WAV header's zeros, named before a parser words them otherwise.
fn check_wave_header(bytes: &[u8]) -> Result<(), DecodeError> {
    let Some(fmt) = super::chunks::wave_format(bytes) else {
        return Ok(());
    };
    match fmt {
        (0, _) => Err(DecodeError::NoChannels),
        (_, 0) => Err(DecodeError::SampleRate(0)),
        _ => Ok(()),
    }
}

/// What each channel gives to left and right: mono whole to both; more than two after ITU-R
/// BS.775 (centre and surrounds at -3 dB, no LFE); unnamed channels beyond two are left out.
fn gains(channels: &Channels) -> Vec<[f32; 2]> {
    const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let count = channels.count();
    if count == 1 {
        return vec![[1.0, 1.0]];
    }
    let left = Position::FRONT_LEFT;
    let right = Position::FRONT_RIGHT;
    let lefts = Position::REAR_LEFT | Position::SIDE_LEFT | Position::FRONT_LEFT_CENTER;
    let rights = Position::REAR_RIGHT | Position::SIDE_RIGHT | Position::FRONT_RIGHT_CENTER;
    let middle = Position::FRONT_CENTER | Position::REAR_CENTER;
    match channels {
        Channels::Positioned(named) if count > 2 && named.contains(left | right) => named
            .iter()
            .map(|at| match at {
                _ if at == left => [1.0, 0.0],
                _ if at == right => [0.0, 1.0],
                _ if lefts.contains(at) => [HALF_POWER, 0.0],
                _ if rights.contains(at) => [0.0, HALF_POWER],
                _ if middle.contains(at) => [HALF_POWER, HALF_POWER],
                _ => [0.0, 0.0],
            })
            .collect(),
        _ => {
            let mut gains = vec![[0.0, 0.0]; count];
            (gains[0], gains[1]) = ([1.0, 0.0], [0.0, 1.0]);
            gains
        }
    }
}

/// Appends interleaved frames as stereo. A channel without a part in a side is not touched, so
/// that a broken sample stays where it is.
fn mix(interleaved: &[f32], gains: &[[f32; 2]], out: &mut [Vec<f32>; 2]) {
    for frame in interleaved.chunks_exact(gains.len()) {
        for (side, out) in out.iter_mut().enumerate() {
            let parts = frame.iter().zip(gains).filter(|(_, g)| g[side] != 0.0);
            out.push(parts.map(|(s, g)| s * g[side]).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surround_goes_to_its_side() {
        let five_one = Position::FRONT_LEFT
            | Position::FRONT_RIGHT
            | Position::FRONT_CENTER
            | Position::LFE1
            | Position::REAR_LEFT
            | Position::REAR_RIGHT;
        let gains = gains(&Channels::Positioned(five_one));
        let mut out: [Vec<f32>; 2] = Default::default();
        mix(&[0.1, 0.2, 0.0, 9.0, 1.0, 0.0], &gains, &mut out);
        assert!((out[0][0] - 0.807_106_8).abs() < 1e-6 && (out[1][0] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn mono_goes_to_both_sides() {
        let mut out: [Vec<f32>; 2] = Default::default();
        mix(&[0.5, -0.5], &gains(&Channels::Discrete(1)), &mut out);
        assert_eq!(out, [vec![0.5, -0.5], vec![0.5, -0.5]]);
    }
}
