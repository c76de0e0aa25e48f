//! How long a clip takes here: measured on the last one that was made, to say what another would take.

use std::time::{Duration, Instant};

use super::Request;
use crate::flow::solver::Solver;

/// Seconds for a beat of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// For each evaluation of the net.
    evaluation: f64,
    /// For turning latents into sound.
    sound: f64,
}

impl Pace {
    /// About how long a clip takes, in seconds.
    pub fn seconds(&self, request: &Request) -> f64 {
        f64::from(request.beats) * (self.evaluation * evaluations(request) + self.sound)
    }
}

/// Evaluations of the net behind a clip, of one loop each. A variation's base is mostly known.
fn evaluations(request: &Request) -> f64 {
    let guided = (request.style > 0 || request.key > 0) && request.guidance != 100;
    let part = if request.variation == 0 { 1.0 } else { f64::from(request.variation) / 1000.0 };
    let steps = (f64::from(request.steps) * part).ceil();
    let slopes = if request.solver == Solver::Heun { 2.0 * steps - 1.0 } else { steps };
    slopes * if guided { 2.0 } else { 1.0 }
}

/// Hears the progress of one clip.
#[derive(Default)]
pub(super) struct Stopwatch {
    start: Option<Instant>,
    /// When the last step had been taken, and when the latents were there.
    steps: Option<Instant>,
    latents: Option<Instant>,
    /// Steps of the base that a variation needed, too.
    more: bool,
}

impl Stopwatch {
    /// Step of steps, as a generator tells it; at last several times (steps, steps).
    pub fn hear(&mut self, step: u32, steps: u32, request: &Request) {
        let now = Instant::now();
        self.start.get_or_insert(now);
        self.more |= step > 0 && request.variation > 0 && steps >= request.steps;
        if step == steps && step > 0 {
            match self.steps {
                None => self.steps = Some(now),
                // Reading the latents waits for a GPU.
                Some(_) => drop(self.latents.get_or_insert(now)),
            }
        }
    }

    /// The pace, once the clip is there; None of a run that tells nothing.
    pub fn pace(&self, request: &Request) -> Option<Pace> {
        let (start, latents) = (self.start?, self.latents.or(self.steps)?);
        let beats = f64::from(request.beats.max(1));
        let took = |d: Duration| d.as_secs_f64() / beats;
        let pace = Pace { evaluation: took(latents - start) / evaluations(request), sound: took(latents.elapsed()) };
        (!self.more).then_some(pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_steps_take_twice_the_time_but_for_the_sound() {
        let pace = Pace { evaluation: 0.01, sound: 0.05 };
        let of = |steps, beats| Request::new(1, steps, 2, beats, 120.0);
        assert!((pace.seconds(&of(8, 8)) - 8.0 * 0.13).abs() < 1e-9);
        assert!((pace.seconds(&of(16, 8)) - 8.0 * 0.21).abs() < 1e-9);
        assert!((pace.seconds(&of(8, 16)) - 2.0 * pace.seconds(&of(8, 8))).abs() < 1e-9);
        let heun = Request { solver: Solver::Heun, guidance: 200, ..of(8, 8) };
        assert!((pace.seconds(&heun) - 8.0 * 0.35).abs() < 1e-9);
    }

    #[test]
    fn a_run_is_measured_from_its_first_step_to_its_sound() {
        let request = Request::new(1, 2, 0, 4, 120.0);
        let mut watch = Stopwatch::default();
        assert_eq!(watch.pace(&request), None);
        for step in [0, 1, 2, 2, 2] {
            watch.hear(step, 2, &request);
            std::thread::sleep(Duration::from_millis(8));
        }
        let pace = watch.pace(&request).unwrap();
        assert!(pace.evaluation >= 0.003 && pace.sound >= 0.003, "{pace:?}");
        let varied = Request { variation: 500, ..request };
        let mut watch = Stopwatch::default();
        (0..4).for_each(|step| watch.hear(step, 3, &varied));
        assert_eq!(watch.pace(&varied), None, "the base was made, too");
    }
}
