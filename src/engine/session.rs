//! One instance's connection to the engine: rings to and from the audio thread, a status for the
//! editor, and the choice of a model.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;

use rtrb::{Consumer, Producer, RingBuffer};

use super::heard::{self, Heard};
use super::worker::{Command, Errand};
use super::{BUILT_IN, Engine, ModelInfo, Pace, Request, SavedModel, Sketch, Speed, library};
use crate::clip::Clip;
use crate::measure;
use crate::settings::Home;

/// Requests that may wait in the ring; a fuller ring only means that the request is sent again at
/// the next block.
const REQUESTS: usize = 64;
/// Deliveries under way.
const DELIVERIES: usize = 8;
/// Clips to be listened to under way.
const AUDITIONS: usize = 4;
/// Spent clips under way: all that a session can have out (deliveries, auditions, and the three that each
/// of the two players holds) fit, so giving one back never fails.
const SPENT: usize = DELIVERIES + AUDITIONS + 12;

/// A finished request.
pub struct Delivery {
    /// What was asked for, normalised.
    pub request: Request,
    /// None when it failed.
    pub clip: Option<Arc<Clip>>,
}

/// What is to be listened to beside what plays.
pub enum Audition {
    /// This clip, from its start.
    Play(Arc<Clip>),
    /// Nothing any more.
    Stop,
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

/// The owner's end (main thread). Dropping it closes the session.
pub struct Session {
    engine: Arc<Engine>,
    id: u64,
    shared: Arc<Shared>,
}

impl Session {
    /// A copy of what the engine is doing.
    pub fn status(&self) -> Status {
        self.shared.lock().status.clone()
    }

    /// Takes a clip from a saved project as the answer to `request`: it is delivered without the model,
    /// and again whenever that request comes back.
    pub fn restore(&self, request: Request, clip: Arc<Clip>) {
        let request = request.normalised();
        let clip = {
            let mut state = self.shared.lock();
            // The same state again brings the very clip that plays: nothing is to be faded.
            let playing = state.status.clip.clone().filter(|playing| playing.samples == clip.samples);
            let clip = playing.unwrap_or(clip);
            state.heard(request, clip.clone(), None);
            clip
        };
        self.engine.send(Command::Restore(self.id, request, clip));
    }

    /// Takes a saved project's history.
    pub fn restore_history(&self, mut history: Vec<Heard>) {
        heard::tidy(&mut history);
        let mut state = self.shared.lock();
        state.status.history = history;
        // The clip may have been restored before its past.
        if let Some((request, clip)) = state.status.request.zip(state.status.clip.clone())
            && state.status.history.iter().any(|h| h.request == request)
        {
            heard::note(&mut state.status.history, request, &clip);
        }
    }

    /// Keeps what was heard, or does not any more.
    pub fn star(&self, request: &Request, starred: bool) {
        let mut state = self.shared.lock();
        let entries = state.status.history.iter_mut();
        entries.filter(|h| h.request == *request).for_each(|h| h.starred = starred);
    }

    /// Takes a clip as the first (0) or second (1) of the two that are compared.
    pub fn compare(&self, which: usize, request: Option<Request>) {
        if let Some(slot) = self.shared.lock().status.compared.get_mut(which) {
            *slot = request;
        }
    }

    /// Lets the clip of a request be listened to beside what plays; it is made when it is not there, as
    /// soon as nothing else is wanted. False when the host does not run its audio.
    pub fn audition(&self, request: Request) -> bool {
        let held = {
            let mut state = self.shared.lock();
            state.status.auditioned = Some(request);
            let entry = state.status.history.iter().find(|h| h.request == request);
            entry.and_then(Heard::clip)
        };
        match held {
            Some(clip) => self.shared.audition(Audition::Play(clip)),
            None => {
                self.ask(Errand::Audition(request));
                true
            }
        }
    }

    /// Ends listening.
    pub fn end_audition(&self) {
        self.shared.lock().status.auditioned = None;
        self.shared.audition(Audition::Stop);
    }

    /// The user's folder and settings.
    pub fn home(&self) -> &Home {
        &self.engine.home
    }

    /// Chooses the model of a file. The engine's thread reads it; until it is read and found sound the
    /// session goes on with its model, and when it is refused the status's notice says why.
    pub fn choose(&self, path: &Path) {
        self.ask(Errand::Choose(path.into()));
    }

    /// The files in the user's folder of models, to choose from. Reads the folder: not for every frame.
    pub fn models(&self) -> Vec<PathBuf> {
        library::all(&self.engine.home)
    }

    /// The chosen model's short name, as requests carry it.
    pub fn model(&self) -> u64 {
        self.shared.model.load(Ordering::Acquire)
    }

    /// Chooses the model of a request that was heard before; it is looked for in the folder of models.
    pub fn choose_known(&self, model: u64) {
        match model {
            0 => self.choose_built_in(),
            _ => self.ask(Errand::Find(model)),
        }
    }

    /// Chooses the built-in model.
    pub fn choose_built_in(&self) {
        self.take(SavedModel::default(), BUILT_IN.clone());
    }

    /// Shows where the file of a missing model is now. Another model's file is refused.
    pub fn relocate(&self, path: &Path) {
        self.ask(Errand::Relocate(path.into()));
    }

    /// Tries once more what failed: the model, its device, the request.
    pub fn retry(&self) {
        self.ask(Errand::Retry);
    }

    /// The chosen model, for a project's state: exactly what was restored, until another is chosen.
    pub fn saved_model(&self) -> SavedModel {
        self.shared.lock().saved.clone()
    }

    /// Takes a saved project's model. Its file is looked for later, on the engine's thread.
    pub fn restore_model(&self, saved: SavedModel) {
        let info = if saved.id() == 0 { BUILT_IN.clone() } else { ModelInfo::of(&saved) };
        self.take(saved, info);
    }

    /// Names of the chosen model's styles.
    pub fn labels(&self) -> Vec<String> {
        self.shared.lock().status.model.labels.clone()
    }

    fn take(&self, saved: SavedModel, info: ModelInfo) {
        let mut state = self.shared.lock();
        state.choice += 1;
        state.status.notice = None;
        let built_in = saved.id() == 0;
        self.shared.adopt(&mut state, saved, info, built_in);
        drop(state);
        // The engine's thread looks for the file when it has nothing else to do.
        self.engine.thread.unpark();
    }

    fn ask(&self, errand: Errand) {
        let choice = {
            let mut state = self.shared.lock();
            state.choice += u64::from(matches!(errand, Errand::Choose(_) | Errand::Relocate(_) | Errand::Find(_)));
            state.choice
        };
        self.engine.send(Command::Errand(self.id, choice, errand));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.send(Command::Close(self.id));
    }
}

/// The audio thread's end. Its methods neither allocate nor block.
pub struct Line {
    requests: Producer<Request>,
    deliveries: Consumer<Delivery>,
    auditions: Consumer<Audition>,
    /// Takes spent clips back to the engine.
    pub spent: Producer<Arc<Clip>>,
    shared: Arc<Shared>,
    thread: Thread,
}

impl Line {
    /// The model that requests are to name.
    pub fn model(&self) -> u64 {
        self.shared.model.load(Ordering::Acquire)
    }

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

    /// The oldest audition that waits. Give its clip back through `spent`.
    pub fn audition(&mut self) -> Option<Audition> {
        self.auditions.pop().ok()
    }
}

/// The engine thread's end.
pub(super) struct End {
    pub id: u64,
    requests: Consumer<Request>,
    deliveries: Producer<Delivery>,
    spent: Consumer<Arc<Clip>>,
    pub shared: Arc<Shared>,
    /// The newest request that is not yet answered.
    pub wanted: Option<Request>,
    /// The newest request, when it failed.
    pub failed: Option<Request>,
    /// What is to be listened to and was not there.
    pub audition: Option<Request>,
    /// A saved project's clip; it outranks what the model would make today.
    pub restored: Option<(Request, Arc<Clip>)>,
}

impl End {
    /// Frees spent clips and notes the newest request.
    pub fn listen(&mut self) {
        while self.spent.pop().is_ok() {}
        while let Ok(request) = self.requests.pop() {
            self.wanted = Some(request.normalised());
            self.failed = None;
        }
    }

    /// The saved project's clip, when it answers this request. States do not keep where its hits are.
    pub fn kept(&mut self, request: &Request) -> Option<Arc<Clip>> {
        let (_, clip) = self.restored.as_mut().filter(|(r, _)| r == request)?;
        if clip.hits.is_empty() {
            let hits = measure::hits(clip);
            // A clip without any stays the same one: nothing is to be faded when its state comes again.
            if !hits.is_empty() {
                Arc::make_mut(clip).hits = hits;
            }
        }
        Some(clip.clone())
    }

    /// Hands a finished request over. False when the audio thread has not fetched the ones before
    /// (it may be suspended): it stays wanted and is tried again.
    pub fn deliver(&mut self, request: Request, clip: Option<Arc<Clip>>) -> bool {
        let failed = clip.is_none();
        let delivered = self.deliveries.push(Delivery { request, clip }).is_ok();
        if delivered {
            self.wanted = None;
            self.failed = failed.then_some(request);
        }
        delivered
    }

    /// Wants again what failed.
    pub fn again(&mut self) {
        self.wanted = self.wanted.or(self.failed.take());
    }

    /// What is being done for a request, and what it looks like when that is new.
    pub fn set(&self, activity: Activity, request: &Request, sketch: Option<Arc<Sketch>>) {
        let status = &mut self.shared.lock().status;
        status.activity = activity;
        let before = status.making.take().filter(|(making, _)| making == request);
        status.making = Some((*request, sketch.or(before.and_then(|(_, sketch)| sketch))));
    }
}

pub(super) fn open(engine: Arc<Engine>, id: u64, alive: bool) -> (Session, Line, End) {
    let (requests, requests_out) = RingBuffer::new(REQUESTS);
    let (deliveries_in, deliveries) = RingBuffer::new(DELIVERIES);
    let (spent, spent_out) = RingBuffer::new(SPENT);
    let (auditions_in, auditions) = RingBuffer::new(AUDITIONS);
    let activity = match alive {
        true => Activity::Idle,
        false => Activity::Failed(
            "the engine's thread could not be started; close some programs and reload the plugin".into(),
        ),
    };
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
    let shared =
        Arc::new(Shared { state: Mutex::new(state), model: AtomicU64::new(0), auditions: Mutex::new(auditions_in) });
    let thread = engine.thread.clone();
    let end = End {
        id,
        requests: requests_out,
        deliveries: deliveries_in,
        spent: spent_out,
        shared: shared.clone(),
        wanted: None,
        failed: None,
        audition: None,
        restored: None,
    };
    (
        Session { engine, id, shared: shared.clone() },
        Line { requests, deliveries, auditions, spent, shared, thread },
        end,
    )
}
