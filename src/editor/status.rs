//! What goes on, in one line: what is heard, what is being made. It is worked out from what the audio
//! thread and the engine say, never from what was asked of them.

use super::recipe;
use crate::engine::{Activity, Request, Status};
use crate::plugin::Seen;
use crate::plugin::choices::{Mode, Swap};

/// What it is worked out from.
pub(super) struct Facts<'a> {
    pub status: &'a Status,
    pub seen: &'a Seen,
    /// The host asks for blocks.
    pub running: bool,
    /// What plays, or would; None when nobody knows where it came from.
    pub playing: Option<&'a Request>,
    /// There is a clip to play.
    pub clip: bool,
    pub mode: Mode,
    pub swap: Swap,
    /// The controls say something else than what plays, and nothing follows them by itself.
    pub stale: bool,
}

impl Facts<'_> {
    /// What is heard, and what is being done about it.
    pub fn line(&self) -> String {
        [Some(self.heard()), self.made()].into_iter().flatten().collect::<Vec<_>>().join("  ·  ")
    }

    fn heard(&self) -> String {
        if !self.running {
            return "Nothing plays: the host does not run its audio".into();
        }
        let listens = self.status.auditioned.as_ref().filter(|_| self.seen.auditions);
        let beside = listens.map(|l| format!("Listening to seed {}", recipe::seed(l)));
        let own = match self.seen.playhead {
            _ if !self.clip => "Nothing plays: there is no loop yet".to_string(),
            Some(_) => match self.playing {
                Some(request) => format!("Playing {}", recipe::describe(request, &self.status.model)),
                None => "Playing the project's loop".to_string(),
            },
            None if beside.is_some() => String::new(),
            None => match self.mode {
                Mode::Trigger => "Silent: play a note; middle C is the loop at its own pitch".to_string(),
                Mode::Sync => "Silent: it plays while the host's transport runs".to_string(),
                Mode::Slice => "Silent: play the slices from C1 (key 36) upwards".to_string(),
            },
        };
        [beside, Some(own)].into_iter().flatten().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("  ·  ")
    }

    fn made(&self) -> Option<String> {
        let status = self.status;
        let seed = |request: &Request| format!("seed {}", recipe::seed(request));
        match (&status.activity, &status.making) {
            (Activity::Loading, _) => Some("loading the model".into()),
            (Activity::Generating(step, steps), Some((request, _))) if step < steps => {
                Some(format!("making {}: step {} of {steps}", seed(request), step + 1))
            }
            (Activity::Generating(..), Some((request, _))) => Some(format!("turning {} into sound", seed(request))),
            _ if self.seen.waits && self.running => {
                let when = match self.swap {
                    Swap::Now => "takes over",
                    Swap::Beat => "takes over at the next beat",
                    Swap::Bar => "takes over at the next bar",
                    Swap::Loop => "takes over when the loop starts over",
                };
                Some(format!("{} {when}", status.request.as_ref().map_or("the next loop".into(), seed)))
            }
            _ if self.stale => Some("the controls have changed: Generate makes what they ask for".into()),
            _ => None,
        }
    }
}

/// How far the clip that is being made is, 0 to 1.
pub(super) fn progress(status: &Status) -> Option<f32> {
    match status.activity {
        Activity::Loading => Some(0.0),
        Activity::Generating(step, steps) => Some(step as f32 / steps.max(1) as f32),
        _ => None,
    }
}

/// What went wrong, each thing once: the request that failed, a device or model that was left, a model
/// that is missing.
pub(super) fn troubles(status: &Status) -> Vec<&str> {
    let failed = match &status.activity {
        Activity::Failed(message) => Some(message.as_str()),
        _ => None,
    };
    let all = [status.model.missing.as_deref(), failed, status.notice.as_deref()];
    let mut troubles: Vec<&str> = Vec::new();
    for trouble in all.into_iter().flatten() {
        if !troubles.contains(&trouble) {
            troubles.push(trouble);
        }
    }
    troubles
}

/// Seconds in words.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    fn seen() -> Seen {
        crate::plugin::Monitor::default().look()
    }

    fn status() -> Status {
        Engine::start(Box::new(|_| unreachable!())).open().0.status()
    }

    fn facts<'a>(status: &'a Status, seen: &'a Seen, playing: Option<&'a Request>) -> Facts<'a> {
        let clip = playing.is_some();
        Facts { status, seen, running: true, playing, clip, mode: Mode::Sync, swap: Swap::Bar, stale: false }
    }

    #[test]
    fn it_says_what_sounds_and_no_more() {
        let (mut status, mut seen) = (status(), seen());
        let playing = Request::new(7, 8, 0, 8, 120.0);
        assert_eq!(facts(&status, &seen, None).line(), "Nothing plays: there is no loop yet");
        assert_eq!(facts(&status, &seen, Some(&playing)).line(), "Silent: it plays while the host's transport runs");
        assert!(
            Facts { running: false, ..facts(&status, &seen, Some(&playing)) }.line().contains("does not run its audio")
        );
        seen.playhead = Some(0.5);
        assert_eq!(facts(&status, &seen, Some(&playing)).line(), "Playing seed 7 · any style · 8 steps");
        let stale = Facts { stale: true, ..facts(&status, &seen, Some(&playing)) };
        assert!(stale.line().ends_with("Generate makes what they ask for"));
        status.making = Some((Request::new(8, 8, 0, 8, 120.0), None));
        status.activity = Activity::Generating(2, 8);
        assert!(facts(&status, &seen, Some(&playing)).line().ends_with("steps  ·  making seed 8: step 3 of 8"));
        status.activity = Activity::Generating(8, 8);
        assert!(facts(&status, &seen, Some(&playing)).line().ends_with("turning seed 8 into sound"));
        (status.activity, status.making, seen.waits) = (Activity::Ready, None, true);
        status.request = Some(Request::new(8, 8, 0, 8, 120.0));
        assert!(facts(&status, &seen, Some(&playing)).line().ends_with("seed 8 takes over at the next bar"));
        (seen.playhead, seen.waits, seen.auditions, status.auditioned) = (None, false, true, status.request);
        assert_eq!(facts(&status, &seen, Some(&playing)).line(), "Listening to seed 8");
    }

    #[test]
    fn each_trouble_is_said_once() {
        let mut status = status();
        assert!(troubles(&status).is_empty());
        status.model.missing = Some("the model is missing".into());
        status.activity = Activity::Failed("the model is missing".into());
        status.notice = Some("the device failed".into());
        assert_eq!(troubles(&status), ["the model is missing", "the device failed"]);
    }

    #[test]
    fn times_are_as_exact_as_they_are_known() {
        assert_eq!([0.03, 0.42, 3.06, 42.4, 300.0].map(seconds), ["30 ms", "0.4 s", "3.1 s", "42 s", "5 min"]);
    }
}
