//! One instance's connection to the engine: rings to and from the audio thread, and what the editor can
//! ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Thread;

use rtrb::{Consumer, Producer, RingBuffer};

use super::door::{Command, Errand};
use super::end::End;
use super::heard::{self, Heard};
use super::status::{Activity, Shared, Status};
use super::{BUILT_IN, Engine, ModelInfo, Request, SavedModel, library};
use crate::clip::Clip;
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
        self.shared.model()
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

    /// Keeps the device that loops are made on from now on, for all projects, and forgets what failed before.
    pub fn use_device(&self, device: &str) -> Result<(), String> {
        let kept = self.home().keep_device(device);
        kept.map_err(|e| format!("the choice cannot be kept: {e}. Set FLOWLOOP_HOME to a folder that is yours"))?;
        self.retry();
        match self.home().device() == device {
            true => Ok(()),
            false => Err("the environment's FLOWLOOP_DEVICE outranks the choice until it is unset".into()),
        }
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
        self.shared.model()
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
    let shared = Arc::new(Shared::new(activity, auditions_in));
    let thread = engine.thread.clone();
    let end = End::new(id, requests_out, deliveries_in, spent_out, shared.clone());
    (
        Session { engine, id, shared: shared.clone() },
        Line { requests, deliveries, auditions, spent, shared, thread },
        end,
    )
}
