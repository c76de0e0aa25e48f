//! One note at a time from a General MIDI sound font, dry.
//!
//! In: a program, a key, a velocity and how long the key is held; out: stereo at 44.1 kHz with
//! the release, as loud as the font has it. Notes are rendered alone because the synthesizer
//! starts notes on 64-sample blocks: placed later, they start on their sample. Any thread.

use std::path::Path;
use std::sync::Arc;

use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use super::sources::FactoryError;
use crate::clip::SAMPLE_RATE;

/// The channel that plays the font's drum bank.
const DRUM_CHANNEL: i32 = 9;
const DRUM_BANK: i32 = 128;
const PROGRAM_CHANGE: i32 = 0xC0;
/// Longest release, in seconds.
const RELEASE: f64 = 2.0;

/// A sound font in memory (FluidR3: 150 MB).
pub struct Font {
    font: Arc<SoundFont>,
}

/// What sounds: a drum kit or an instrument, by program number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Voice {
    Drums(i32),
    Melodic(i32),
}

impl Font {
    /// Reads a font of SoundFont 2.
    pub fn load(path: &Path) -> Result<Self, FactoryError> {
        let wrong = |reason: String| FactoryError::SoundFont { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        let font = SoundFont::new(&mut bytes.as_slice()).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { font: Arc::new(font) })
    }

    /// Program numbers of its drum kits, ascending.
    pub fn drum_kits(&self) -> Vec<i32> {
        let drums = self.font.get_presets().iter().filter(|p| p.get_bank_number() == DRUM_BANK);
        let mut programs: Vec<i32> = drums.map(|p| p.get_patch_number()).collect();
        programs.sort_unstable();
        programs.dedup();
        programs
    }

    /// A player of one voice; make one a thread, it holds state.
    pub fn player(&self, voice: Voice) -> Result<Player, FactoryError> {
        let mut settings = SynthesizerSettings::new(SAMPLE_RATE as i32);
        settings.enable_reverb_and_chorus = false;
        let synth = Synthesizer::new(&self.font, &settings).map_err(|e| FactoryError::Synthesizer(e.to_string()))?;
        Ok(Player { synth, voice })
    }
}

/// Plays single notes of one voice.
pub struct Player {
    synth: Synthesizer,
    voice: Voice,
}

impl Player {
    /// A note held for `held` seconds, with its release until it is silent.
    pub fn note(&mut self, key: i32, velocity: i32, held: f64) -> [Vec<f32>; 2] {
        let (channel, program) = match self.voice {
            Voice::Drums(program) => (DRUM_CHANNEL, program),
            Voice::Melodic(program) => (0, program),
        };
        self.synth.reset();
        self.synth.process_midi_message(channel, PROGRAM_CHANGE, program, 0);
        self.synth.note_on(channel, key, velocity);
        let frames = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
        let (end, len) = (frames(held), frames(held + RELEASE));
        let mut samples = [vec![0.0; len], vec![0.0; len]];
        let [left, right] = &mut samples;
        self.synth.render(&mut left[..end], &mut right[..end]);
        self.synth.note_off(channel, key);
        self.synth.render(&mut left[end..], &mut right[end..]);
        trim(samples)
    }
}

/// Drops the silence at the end and fades what a long release has left there.
fn trim(mut samples: [Vec<f32>; 2]) -> [Vec<f32>; 2] {
    const SILENCE: f32 = 1e-5;
    const FADE: usize = 2048;
    let last = |channel: &Vec<f32>| channel.iter().rposition(|s| s.abs() > SILENCE).map_or(0, |i| i + 1);
    let len = last(&samples[0]).max(last(&samples[1]));
    for channel in &mut samples {
        channel.truncate(len);
        let fade = FADE.min(len);
        for (i, sample) in channel[len - fade..].iter_mut().enumerate() {
            *sample *= 1.0 - (i + 1) as f32 / fade as f32;
        }
    }
    samples
}
