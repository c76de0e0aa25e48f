//! The engine: one background thread that turns requests into clips, shared by every instance of
//! the plugin in the process.
//!
//! An instance opens a [`Session`] and splits off its [`Line`], the audio thread's end:
//!
//! - `Line::request` (wait-free, no allocation) puts a [`Request`] into a ring and wakes the thread;
//! - `Line::receive` pops a [`Delivery`], a finished clip or a failure, from a second ring;
//! - spent clips go back through a third ring (`Line::spent`), so that they are freed here.
//!
//! Only the newest request of a session is computed: a run that nobody wants any more is cancelled
//! between solver steps, and a clip that was made before comes from the cache. Sessions take turns.
//! The model is loaded on the engine's thread at the first request, so making an instance never
//! touches a device. When something fails, the session's [`Status`] says what and what to do; the
//! audio thread is told by a delivery without a clip and goes on with the clip it has.
//!
//! The last session to close ends the thread and waits for it.

mod cache;
mod net;
mod session;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{JoinHandle, Thread};

use crossbeam_channel::{Sender, unbounded};

use crate::clip::Clip;
pub use crate::model::embedded_labels as styles;
use crate::model::generator::TEMPO;
pub use net::embedded_generator;
pub use session::{Activity, Delivery, Line, Session, Status};

/// What an instance wants to hear. Small and `Copy`: it travels through a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// Seed of the noise.
    pub seed: u64,
    /// Solver steps, at least 1.
    pub steps: u32,
    /// Length in beats (quarter notes).
    pub beats: u32,
    /// Style: 1 is the model's first label; 0, or one that the model lacks, is any.
    pub style: u16,
    /// Tempo in hundredths of a beat per minute, so that requests compare exactly.
    pub centi_bpm: u32,
}

impl Request {
    /// A request at a host's tempo, brought into the range that is generated and rounded to a
    /// hundredth of a beat per minute.
    pub fn new(seed: u64, steps: u32, style: u16, beats: u32, bpm: f64) -> Self {
        let bpm = bpm.clamp(*TEMPO.start(), *TEMPO.end());
        Self { seed, steps, beats, style, centi_bpm: (bpm * 100.0).round() as u32 }
    }

    /// The tempo in beats per minute.
    pub fn bpm(&self) -> f64 {
        f64::from(self.centi_bpm) / 100.0
    }
}

/// Why a generator gave no clip.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The run was not wanted any more.
    #[error("cancelled")]
    Cancelled,
    /// The device is gone; another one may do.
    #[error("{0}")]
    Device(String),
    /// This request cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// Makes clips; lives on the engine's thread.
pub trait Generate {
    /// Makes one clip. `progress` hears (step, steps) and breaks off a run that nobody wants.
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure>;
    /// The device it runs on, for the editor.
    fn device(&self) -> String;
}

/// Hears (step, steps) between solver steps; breaks to cancel.
pub type Progress<'a> = dyn FnMut(u32, u32) -> std::ops::ControlFlow<()> + 'a;

/// Loads a generator. `fallback` asks for the device that always works.
pub type Load = Box<dyn FnMut(bool) -> Result<Box<dyn Generate>, String> + Send>;

/// The background thread and the door to it.
pub struct Engine {
    commands: Sender<worker::Command>,
    stop: Arc<AtomicBool>,
    sessions: AtomicU64,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());

impl Engine {
    /// The process's engine; started when there is none. It generates with the built-in model.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let engine = Self::start(Box::new(embedded_generator));
            *shared = Arc::downgrade(&engine);
            engine
        })
    }

    /// Starts an engine of its own; `load` is called on its thread at the first request.
    pub fn start(load: Load) -> Arc<Self> {
        let (commands, inbox) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || worker::Worker::new(inbox, stopped, load).run();
        let spawned = std::thread::Builder::new().name("flowloop engine".into()).spawn(run);
        // Without a thread the session stays idle; its status says so.
        let handle = spawned.ok();
        let thread = handle.as_ref().map_or_else(std::thread::current, |h| h.thread().clone());
        Arc::new(Self { commands, stop, sessions: AtomicU64::new(0), thread, handle })
    }

    /// Opens a session: the owner's end and the audio thread's.
    pub fn open(self: &Arc<Self>) -> (Session, Line) {
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (session, line, end) = session::open(self.clone(), id, self.handle.is_some());
        self.send(worker::Command::Open(end));
        (session, line)
    }

    fn send(&self, command: worker::Command) {
        // A closed channel means that the thread is gone: nobody is left to tell.
        let _ = self.commands.send(command);
        self.thread.unpark();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests;
