//! Listening to a clip beside what plays, on the audio thread: a player of its own, so that nothing of the
//! project's sound is touched.

use crate::engine::{Audition, Line};
use crate::playback::{Note, Player, ROOT_KEY, Settings};

/// Velocity of a clip that is listened to: it is as loud as a note of full velocity.
const VELOCITY: f32 = 1.0;
const NOTE: Note = Note { key: ROOT_KEY, channel: None, id: None };

/// The player that is listened to.
pub(super) struct Listening(Player);

impl Default for Listening {
    fn default() -> Self {
        Self(Player::new(44_100.0))
    }
}

impl Listening {
    pub fn set_sample_rate(&mut self, sample_rate: f64) {
        self.0.set_sample_rate(sample_rate);
    }

    pub fn reset(&mut self) {
        self.0.reset();
    }

    pub fn sounds(&self) -> bool {
        self.0.sounding()
    }

    /// Takes what is to be listened to, gives back what is no longer.
    pub fn exchange(&mut self, line: &mut Line) {
        while line.spent.slots() > 0
            && let Some(clip) = self.0.spent()
        {
            // There is a slot: the push cannot fail.
            let _ = line.spent.push(clip);
        }
        while self.0.takes_clip()
            && let Some(audition) = line.audition()
        {
            self.0.note_off(None, None, None);
            if let Audition::Play(clip) = audition {
                self.0.swap(clip);
                self.0.note_on(NOTE, VELOCITY);
            }
        }
    }

    /// Adds its sound, by the instrument's gain.
    pub fn render(&mut self, gain: f32, left: &mut [f32], right: &mut [f32]) {
        if self.sounds() {
            self.0.render(&Settings { gain, ..Settings::default() }, None, left, right);
            while self.0.ended().is_some() {}
        }
    }
}
