//! One instance's connection to the engine: rings to and from the audio thread, a status for the
//! editor.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Engine, Request, worker};
use crate::clip::Clip;

/// Requests that may wait in the ring; a fuller ring only means that the request is sent again at
/// the next block.
const REQUESTS: usize = 64;
/// Deliveries under way.
const DELIVERIES: usize = 8;
/// Spent clips under way: all that a session can have out (deliveries, and the three that playback
/// holds) fit, so giving one back never fails.
const SPENT: usize = DELIVERIES + 8;

/// A finished request.
pub struct Delivery {
    /// What was asked for.
    pub request: Request,
    /// None when it failed.
    pub clip: Option<Arc<Clip>>,
}

/// What the engine is doing for a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Activity {
    /// Nothing was asked for yet.
    Idle,
    /// The model is being put on the device.
    Loading,
    /// Step of steps.
    Generating(u32, u32),
    /// The newest request is done.
    Ready,
    /// What went wrong and what to do about it.
    Failed(String),
}

/// What the editor shows; never touched by the audio thread.
#[derive(Clone)]
pub struct Status {
    /// What the engine is doing.
    pub activity: Activity,
    /// The device's name, once a model is loaded.
    pub device: String,
    /// What the clip answers.
    pub request: Option<Request>,
    /// The newest finished clip.
    pub clip: Option<Arc<Clip>>,
    /// Seconds that the newest clip took; None when it came from the cache.
    pub seconds: Option<f64>,
}

pub(super) type SharedStatus = Arc<Mutex<Status>>;

/// Locks a status; a panic of another holder does not spoil it.
pub(super) fn lock(status: &SharedStatus) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(|e| e.into_inner())
}

/// The owner's end (main thread). Dropping it closes the session.
pub struct Session {
    engine: Arc<Engine>,
    id: u64,
    status: SharedStatus,
}

impl Session {
    /// A copy of what the engine is doing.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Takes a clip from a saved project as the answer to `request`: it is delivered without the model,
    /// and again whenever that request comes back.
    pub fn restore(&self, request: Request, clip: Arc<Clip>) {
        {
            let mut status = lock(&self.status);
            (status.request, status.clip, status.seconds) = (Some(request), Some(clip.clone()), None);
        }
        self.engine.send(worker::Command::Restore(self.id, request, clip));
    }

    /// Reads the status from elsewhere, such as an editor's thread.
    pub fn watch(&self) -> impl Fn() -> Status + Send + 'static {
        let status = self.status.clone();
        move || lock(&status).clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.send(worker::Command::Close(self.id));
    }
}

/// The audio thread's end. Its methods neither allocate nor block.
pub struct Line {
    requests: Producer<Request>,
    deliveries: Consumer<Delivery>,
    /// Takes spent clips back to the engine.
    pub spent: Producer<Arc<Clip>>,
    thread: Thread,
}

impl Line {
    /// Asks for a clip; false when the ring is full (ask again at the next block).
    pub fn request(&mut self, request: Request) -> bool {
        let sent = self.requests.push(request).is_ok();
        self.thread.unpark();
        sent
    }

    /// The oldest delivery that waits. Give its clip back through `spent`.
    pub fn receive(&mut self) -> Option<Delivery> {
        self.deliveries.pop().ok()
    }
}

/// The engine thread's end.
pub(super) struct End {
    pub id: u64,
    requests: Consumer<Request>,
    deliveries: Producer<Delivery>,
    spent: Consumer<Arc<Clip>>,
    pub status: SharedStatus,
    /// The newest request that is not yet answered.
    pub wanted: Option<Request>,
    /// A saved project's clip; it outranks what the model would make today.
    pub restored: Option<(Request, Arc<Clip>)>,
}

impl End {
    /// Frees spent clips and notes the newest request. True when a request came in.
    pub fn listen(&mut self) -> bool {
        while self.spent.pop().is_ok() {}
        let before = self.wanted;
        while let Ok(request) = self.requests.pop() {
            self.wanted = Some(request);
        }
        self.wanted != before
    }

    /// The saved project's clip, when it answers this request.
    pub fn kept(&self, request: &Request) -> Option<Arc<Clip>> {
        self.restored.as_ref().filter(|(r, _)| r == request).map(|(_, clip)| clip.clone())
    }

    /// Hands a finished request over. False when the audio thread has not fetched the ones before
    /// (it may be suspended): it stays wanted and is tried again.
    pub fn deliver(&mut self, request: Request, clip: Option<Arc<Clip>>) -> bool {
        self.deliveries.push(Delivery { request, clip }).is_ok()
    }

    pub fn set(&self, activity: Activity) {
        lock(&self.status).activity = activity;
    }
}

pub(super) fn open(engine: Arc<Engine>, id: u64, alive: bool) -> (Session, Line, End) {
    let (requests, requests_out) = RingBuffer::new(REQUESTS);
    let (deliveries_in, deliveries) = RingBuffer::new(DELIVERIES);
    let (spent, spent_out) = RingBuffer::new(SPENT);
    let activity = match alive {
        true => Activity::Idle,
        false => Activity::Failed(
            "the engine's thread could not be started; close some programs and reload the plugin".into(),
        ),
    };
    let status =
        Arc::new(Mutex::new(Status { activity, device: String::new(), request: None, clip: None, seconds: None }));
    let thread = engine.thread.clone();
    let end = End {
        id,
        requests: requests_out,
        deliveries: deliveries_in,
        spent: spent_out,
        status: status.clone(),
        wanted: None,
        restored: None,
    };
    (Session { engine, id, status }, Line { requests, deliveries, spent, thread }, end)
}
