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

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::clip::Clip;
    use crate::engine::{Engine, Failure, Generate, Progress, Request};

    /// Makes clips that are constant.
    struct Constant;

    impl Generate for Constant {
        fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
            if progress(1, 1) == ControlFlow::Break(()) {
                return Err(Failure::Cancelled);
            }
            let samples = vec![request.seed as f32 / 100.0; 44_100];
            let samples = [samples.clone(), samples];
            Ok(Clip { samples, sample_rate: 44_100, beats: 2, bpm: 120.0, provenance: None, hits: Vec::new() })
        }
        fn device(&self) -> String {
            "test".into()
        }
    }

    fn until(mut so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_clip_is_listened_to_and_given_back() {
        let engine = Engine::start(Box::new(|_| Ok(Box::new(Constant))));
        let (session, mut line) = engine.open();
        let mut listening = Listening::default();
        let block = |line: &mut Line, listening: &mut Listening| {
            let (mut left, mut right) = ([0.25f32; 2000], [0.25f32; 2000]);
            listening.exchange(line);
            listening.render(1.0, &mut left, &mut right);
            left[1999] - 0.25
        };
        assert_eq!(block(&mut line, &mut listening), 0.0);
        // It was never heard: it is made, and nothing is delivered to be played.
        let level = |seed: f32| seed / 100.0 * crate::playback::GAIN;
        for seed in [50u64, 80] {
            assert!(session.audition(Request::new(seed, 1, 0, 2, 120.0)));
            until(|| (block(&mut line, &mut listening) - level(seed as f32)).abs() < 1e-3);
            assert!(listening.sounds() && line.receive().is_none());
        }
        assert!(session.status().history.is_empty() && session.status().clip.is_none());
        session.end_audition();
        until(|| block(&mut line, &mut listening) == 0.0);
        assert!(!listening.sounds() && session.status().auditioned.is_none());
        let held = listening.0.playing().map(Arc::downgrade).unwrap();
        drop((listening, line, session, engine));
        assert!(held.upgrade().is_none());
    }
}
