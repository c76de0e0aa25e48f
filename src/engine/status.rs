//! What the editor is shown of a session, and what its owner and the engine's thread share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rtrb::Producer;

use super::heard::{self, Heard};
use super::session::Audition;
use super::{BUILT_IN, ModelInfo, Pace, Request, SavedModel, Sketch, Speed};
use crate::clip::Clip;

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
    /// What else to know: a device that failed and what goes on instead, a model file that was refused.
    pub notice: Option<String>,
    /// The model that is chosen.
    pub model: ModelInfo,
    /// The device's name, once a model is loaded.
    pub device: String,
    /// What was measured to choose the device; empty where there was no choice.
    pub speeds: Vec<Speed>,
    /// What the clip answers.
    pub request: Option<Request>,
    /// The newest finished clip.
    pub clip: Option<Arc<Clip>>,
    /// What the clip looks like; it comes a moment after the clip.
    pub sketch: Option<Arc<Sketch>>,
    /// Seconds that the newest clip took; None when it came from the cache.
    pub seconds: Option<f64>,
    /// How long clips take on this device with this model, once one was made.
    pub pace: Option<Pace>,
    /// What is being made, and what it would look like if it were done; on fast devices that does not come.
    pub making: Option<(Request, Option<Arc<Sketch>>)>,
    /// What is listened to beside what plays.
    pub auditioned: Option<Request>,
    /// The two clips that are compared.
    pub compared: [Option<Request>; 2],
    /// What was heard before, in the order of the first hearing, at most [`HISTORY`](super::HISTORY).
    pub history: Vec<Heard>,
}

impl Status {
    /// The device and, where there was a choice, the milliseconds of a step there and elsewhere.
    pub fn device_with_speeds(&self) -> String {
        let each = self.speeds.iter().map(|s| format!("{} {:.1} ms a step", s.device, s.milliseconds));
        match each.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => self.device.clone(),
            speeds => format!("{} ({speeds})", self.device),
        }
    }
}

/// What a session's owner and the engine's thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// The chosen model's short name, for the audio thread.
    model: AtomicU64,
    auditions: Mutex<Producer<Audition>>,
}

pub(super) struct State {
    pub status: Status,
    /// The chosen model as a project keeps it.
    pub saved: SavedModel,
    /// Its file was looked for.
    pub looked_up: bool,
    /// How often a model was chosen: a choice that took long must not undo a newer one.
    pub choice: u64,
}

impl Shared {
    /// Of a session that has just been opened.
    pub fn new(activity: Activity, auditions: Producer<Audition>) -> Self {
        let status = Status {
            activity,
            notice: None,
            model: BUILT_IN.clone(),
            device: String::new(),
            speeds: Vec::new(),
            request: None,
            clip: None,
            sketch: None,
            seconds: None,
            pace: None,
            making: None,
            auditioned: None,
            compared: [None; 2],
            history: Vec::new(),
        };
        let state = State { status, saved: SavedModel::default(), looked_up: true, choice: 0 };
        Self { state: Mutex::new(state), model: AtomicU64::new(0), auditions: Mutex::new(auditions) }
    }

    /// The chosen model's short name; wait-free.
    pub fn model(&self) -> u64 {
        self.model.load(Ordering::Acquire)
    }

    /// Locks the state; a panic of another holder does not spoil it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Lets a clip be listened to, or nothing. False when the audio thread does not fetch any.
    pub fn audition(&self, audition: Audition) -> bool {
        self.auditions.lock().unwrap_or_else(|e| e.into_inner()).push(audition).is_ok()
    }

    /// Takes a model as the chosen one.
    pub fn adopt(&self, state: &mut State, saved: SavedModel, info: ModelInfo, looked_up: bool) {
        self.model.store(saved.id(), Ordering::Release);
        state.status.model = info;
        (state.saved, state.looked_up) = (saved, looked_up);
    }
}

impl State {
    /// Notes what is heard from now on.
    pub fn heard(&mut self, request: Request, clip: Arc<Clip>, seconds: Option<f64>) {
        let status = &mut self.status;
        heard::note(&mut status.history, request, &clip);
        if !status.clip.as_ref().is_some_and(|before| Arc::ptr_eq(before, &clip)) {
            status.sketch = None;
        }
        (status.request, status.clip, status.seconds) = (Some(request), Some(clip), seconds);
    }
}
