//! What an instance wants of the engine, on the audio thread: compares what the parameters and the
//! host say with what was asked for last, asks, and tells which deliveries answer.

use nice_plug::prelude::Transport;

use super::FlowloopParams;
use super::params::GenerateParams;
use crate::engine::{Delivery, Line, Request, hundredths, thousandths};

/// Tempo of hosts that name none.
const DEFAULT_BPM: f64 = 120.0;

/// The host's tempo in beats per minute.
pub(super) fn bpm(host: &Transport) -> f64 {
    host.tempo.filter(|t| t.is_finite() && *t > 0.0).unwrap_or(DEFAULT_BPM)
}

/// Length of the host's bar in quarter notes.
pub(super) fn bar(host: &Transport) -> f64 {
    let signature = host.time_sig_numerator.zip(host.time_sig_denominator).filter(|(n, d)| *n > 0 && *d > 0);
    signature.map_or(4.0, |(n, d)| f64::from(n) * 4.0 / f64::from(d))
}

/// What was asked for last.
#[derive(Default)]
pub(super) struct Wish {
    wanted: Option<Request>,
    answered: bool,
    /// The trigger was on in the block before.
    pressed: bool,
    /// Changes are not followed at once.
    manual: bool,
}

impl Wish {
    /// Asks for what the parameters say when that is new: always in Auto, else at the trigger.
    pub fn update(&mut self, params: &FlowloopParams, host: &Transport, line: &mut Line) {
        let make = &params.generate;
        let pressed = std::mem::replace(&mut self.pressed, make.trigger.value());
        let triggered = make.trigger.value() && !pressed;
        self.manual = !make.auto.value();
        if self.manual && !triggered {
            return;
        }
        let request = request(make, host, line.model());
        if self.wanted == Some(request) {
            return;
        }
        match line.request(request) {
            true => (self.wanted, self.answered) = (Some(request), false),
            // The ring is full: the trigger is still to be heard in the next block.
            false => self.pressed = pressed,
        }
    }

    /// True when the delivery is to be played. Notes that the newest wish is answered.
    pub fn takes(&mut self, delivery: &Delivery) -> bool {
        let newest = self.wanted == Some(delivery.request);
        // Nothing is awaited: the engine brings a loaded project's clip unasked. In Auto it was asked for,
        // and one that was not is of a project that another has replaced.
        let unasked = self.wanted.is_none() || (self.answered && self.manual);
        if !newest && unasked && delivery.clip.is_some() {
            (self.wanted, self.answered) = (Some(delivery.request), true);
            return true;
        }
        self.answered |= newest;
        newest
    }

    /// True when a clip was asked for that neither came nor failed.
    pub fn is_open(&self) -> bool {
        self.wanted.is_some() && !self.answered
    }
}

fn request(make: &GenerateParams, host: &Transport, model: u64) -> Request {
    // A clip is whole quarter notes; a bar of 7/8 is rounded with its neighbours.
    let beats = (f64::from(make.bars.value().count()) * bar(host)).round().clamp(1.0, 256.0) as u32;
    let seed = make.seed.value() as u64;
    let asked = Request::new(seed, make.steps.value() as u32, make.style.value() as u16, beats, bpm(host));
    Request {
        morph: thousandths(make.morph.value().into()),
        solver: make.solver.value().into(),
        key: make.key.value() as u8,
        guidance: hundredths(make.guidance.value().into()),
        variation: thousandths(make.variation.value().into()),
        take: make.take.value() as u16,
        model,
        ..asked
    }
    .normalised()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clip::Clip;

    #[test]
    fn unasked_clips_are_taken_unless_what_was_asked_for_is_there() {
        let delivery = |seed| Delivery {
            request: Request::new(seed, 4, 0, 4, 120.0),
            clip: Some(Arc::new(Clip {
                samples: [vec![0.0], vec![0.0]],
                sample_rate: 44_100,
                beats: 4,
                bpm: 120.0,
                provenance: None,
                hits: Vec::new(),
            })),
        };
        let asked = Request::new(7, 4, 0, 4, 120.0);
        assert!(Wish::default().takes(&delivery(8)), "nothing was asked for yet");
        let mut auto = Wish { wanted: Some(asked), ..Wish::default() };
        assert!(!auto.takes(&delivery(8)) && auto.is_open());
        assert!(auto.takes(&delivery(7)) && !auto.is_open());
        assert!(!auto.takes(&delivery(8)), "of a project that was replaced");
        assert_eq!(auto.wanted, Some(asked));
        let mut manual = Wish { wanted: Some(asked), answered: true, manual: true, ..Wish::default() };
        assert!(manual.takes(&delivery(8)), "a loaded project's clip");
    }
}
