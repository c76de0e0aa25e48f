//! The engine: one background thread that turns requests into clips, shared by every instance of
//! the plugin in the process.
//!
//! An instance opens a [`Session`] and splits off its [`Line`], the audio thread's end:
//!
//! - `Line::request` (wait-free, no allocation) puts a [`Request`] into a ring and wakes the thread;
//! - `Line::receive` pops a [`Delivery`], a finished clip or a failure, from a second ring;
//! - `Line::audition` pops clips to be listened to beside what plays, from a ring of their own;
//! - spent clips go back through a last ring (`Line::spent`), so that they are freed here;
//! - `Line::model` (wait-free) is the model that requests are to name.
//!
//! Only the newest request of a session is computed: a run that nobody wants any more is cancelled
//! between solver steps, and a clip that was made before comes from the cache. Sessions take turns.
//! While nobody wants anything, the neighbours of the newest seed are prepared; then the thread sleeps.
//!
//! Models are read and put on a device on the engine's thread when they are first needed, so making an
//! instance never touches one, and each is held once for all sessions. When something fails, the
//! session's [`Status`] says what and what to do; the audio thread is told by a delivery without a clip
//! and goes on with the clip it has. A device that fails gives way to the CPU.
//!
//! The last session to close ends the thread and waits for it.

mod cache;
mod door;
mod end;
mod heard;
mod library;
mod neighbours;
mod net;
mod pace;
mod rack;
mod request;
mod session;
mod status;
mod trials;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use crate::clip::Clip;
use crate::device::remote;
use crate::model::Canvas;
use crate::settings::Home;

/// Devices of other machines begin with it.
pub use crate::device::remote::PREFIX as REMOTE;
pub use crate::flow::solver::Solver;
pub use crate::model::Sketch;
pub use crate::model::job::{hundredths, thousandths};
pub use heard::{HISTORY, Heard};
pub use library::{ModelCard, ModelInfo, SavedModel};
pub use net::{DeviceCard, generator};
pub use pace::Pace;
pub use request::Request;
pub use session::{Audition, Delivery, Line, Session};
pub use status::{Activity, Status};

pub use crate::settings::Speed;

static BUILT_IN: LazyLock<ModelInfo> = LazyLock::new(ModelInfo::built_in);

/// Why a generator gave no clip.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The run was not wanted any more.
    #[error("cancelled")]
    Cancelled,
    /// The device is gone; the same anew, or another one, may do.
    #[error("{0}")]
    Device(String),
    /// There is no such device.
    #[error("{0}")]
    NoDevice(String),
    /// The output is not finite: the device or the model is to blame.
    #[error("{0}")]
    NotFinite(String),
    /// It cannot be done now, but may be later.
    #[error("{0}")]
    NotNow(String),
    /// This cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// Makes clips; lives on the engine's thread.
pub trait Generate {
    /// Makes one clip. `progress` hears (step, steps) and breaks off a run that nobody wants.
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure>;
    /// The device it runs on, for the editor.
    fn device(&self) -> String;
    /// True on the CPU, to which there is no alternative.
    fn on_cpu(&self) -> bool {
        false
    }
    /// What was measured to choose the device; nothing where there was no choice.
    fn speeds(&self) -> Vec<Speed> {
        Vec::new()
    }
    /// Leaves sketches of what it is making on a canvas, where that costs next to nothing.
    fn draw_on(&mut self, _canvas: Arc<Canvas>) {}
}

/// Hears (step, steps) between solver steps; breaks to cancel.
pub type Progress<'a> = dyn FnMut(u32, u32) -> std::ops::ControlFlow<()> + 'a;

/// Which model is to be put on which device.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The model's file; None for the built-in model.
    pub path: Option<PathBuf>,
    /// Hex digest (BLAKE3) that the file must have; empty for the built-in model.
    pub hash: String,
    /// As `device::choose` takes it: `auto`, `cpu`, `gpu:0`, ...
    pub device: String,
}

/// Loads a generator.
pub type Load = Box<dyn FnMut(&Order) -> Result<Box<dyn Generate>, Failure> + Send>;

/// How long the thread may take to end before its connections to other machines are cut.
const CLOSING: Duration = Duration::from_millis(500);

/// The background thread and the door to it.
pub struct Engine {
    commands: Sender<door::Command>,
    home: Home,
    stop: Arc<AtomicBool>,
    sessions: AtomicU64,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
/// A device that failed for one engine of the process has failed for the next.
static HEALTH: LazyLock<Arc<Mutex<rack::Health>>> = LazyLock::new(Arc::default);

impl Engine {
    /// The process's engine; started when there is none.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let engine = Self::begin(Box::new(generator), Home::of_user(), HEALTH.clone());
            *shared = Arc::downgrade(&engine);
            engine
        })
    }

    /// Starts an engine of its own that keeps nothing between launches; `load` is called on its thread,
    /// at the first request for a model.
    pub fn start(load: Load) -> Arc<Self> {
        Self::start_in(Home::nowhere(), load)
    }

    /// Starts an engine of its own whose models, settings and memory of failures are in `home`.
    pub fn start_in(home: Home, load: Load) -> Arc<Self> {
        Self::begin(load, home, Arc::default())
    }

    fn begin(load: Load, home: Home, health: Arc<Mutex<rack::Health>>) -> Arc<Self> {
        let (commands, inbox) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let own = home.clone();
        let run = move || worker::Worker::new(inbox, stopped, load, own, health).run();
        let spawned = std::thread::Builder::new().name("flowloop engine".into()).spawn(run);
        // Without a thread the session stays idle; its status says so.
        let handle = spawned.ok();
        let thread = handle.as_ref().map_or_else(std::thread::current, |h| h.thread().clone());
        Arc::new(Self { commands, home, stop, sessions: AtomicU64::new(0), thread, handle })
    }

    /// Opens a session: the owner's end and the audio thread's.
    pub fn open(self: &Arc<Self>) -> (Session, Line) {
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (session, line, end) = session::open(self.clone(), id, self.handle.is_some());
        self.send(door::Command::Open(end));
        (session, line)
    }

    fn send(&self, command: door::Command) {
        // A closed channel means that the thread is gone: nobody is left to tell.
        let _ = self.commands.send(command);
        self.thread.unpark();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        let Some(handle) = self.handle.take() else { return };
        let asked = Instant::now();
        while !handle.is_finished() && asked.elapsed() < CLOSING {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The host must not wait for another machine that does not answer.
        if !handle.is_finished() {
            remote::hang_up();
        }
        let _ = handle.join();
    }
}

#[cfg(test)]
mod tests;
