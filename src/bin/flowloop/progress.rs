//! Progress of long work: a bar in a terminal, else a plain line now and then on stdout.
//!
//! One [`Progress`] a task, on the main thread. Lines come at least [`QUIET`] apart, so that a
//! log stays readable; short work prints none.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two plain lines.
const QUIET: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: ProgressBar,
    what: String,
    /// Where the work began and when, for the time left.
    start: (u64, Instant),
    spoke: Instant,
    /// When [`Progress::set`] was last told something new to say.
    message: String,
}

impl Progress {
    /// `total` may be 0 until [`Progress::set`] knows better.
    pub fn new(total: u64, what: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {elapsed}, {eta} left");
        let bar = ProgressBar::new(total);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what.to_string());
        let now = Instant::now();
        Self { bar, what: what.into(), start: (0, now), spoke: now, message: String::new() }
    }

    /// Work that begins at `position` instead of 0.
    pub fn begin_at(&mut self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
        self.start = (position, Instant::now());
    }

    /// Done so far, of how much.
    pub fn set(&mut self, position: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(position);
        if self.bar.is_hidden() && self.spoke.elapsed() >= QUIET {
            self.spoke = Instant::now();
            let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
            println!("{} {position}/{total}{message}, {} left", self.what, self.left(position, total));
        }
    }

    /// What is shown beside the position.
    pub fn message(&mut self, message: String) {
        self.bar.set_message(message.clone());
        self.message = message;
    }

    /// A line that stays.
    pub fn line(&mut self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    /// Time left at the pace so far.
    pub fn left(&self, position: u64, total: u64) -> String {
        let done = position.saturating_sub(self.start.0);
        if done == 0 {
            return "an unknown time".into();
        }
        let seconds = self.start.1.elapsed().as_secs_f64() / done as f64 * total.saturating_sub(position) as f64;
        match seconds.round() as u64 {
            s if s >= 3600 => format!("{} h {} min", s / 3600, s % 3600 / 60),
            s if s >= 60 => format!("{} min {} s", s / 60, s % 60),
            s => format!("{s} s"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
