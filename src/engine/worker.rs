//! The engine's thread: listens, takes turns, generates, delivers; between wishes it does errands and
//! prepares neighbours.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::cache::Cache;
use super::door::{Command, Door, Errand};
use super::library;
use super::neighbours::Neighbours;
use super::pace::Stopwatch;
use super::rack::{Health, Hear, Rack, Source};
use super::session::Audition;
use super::status::Activity;
use super::{BUILT_IN, Failure, Load, ModelInfo, Request, Sketch};
use crate::clip::Clip;
use crate::measure;
use crate::model::Canvas;
use crate::settings::Home;

/// How long to wait before a delivery that found its ring full is tried again.
const RETRY: Duration = Duration::from_millis(20);

pub(super) struct Worker {
    door: Door,
    home: Home,
    rack: Rack,
    cache: Cache,
    neighbours: Neighbours,
    /// Where generators leave sketches of what they make.
    canvas: Arc<Canvas>,
    turn: usize,
}

impl Worker {
    pub fn new(
        inbox: Receiver<Command>,
        stop: Arc<AtomicBool>,
        load: Load,
        home: Home,
        health: Arc<Mutex<Health>>,
    ) -> Self {
        let door = Door::new(inbox, stop);
        let canvas = Arc::new(Canvas::default());
        let rack = Rack::new(load, home.clone(), health, canvas.clone());
        let (cache, neighbours) = (Cache::default(), Neighbours::default());
        Self { door, home, rack, cache, neighbours, canvas, turn: 0 }
    }

    pub fn run(mut self) {
        while !self.door.stopped() {
            self.door.listen();
            for (id, choice, errand) in std::mem::take(&mut self.door.errands) {
                self.run_errand(id, choice, errand);
            }
            match self.next() {
                Some((id, request)) => {
                    if !self.serve(id, request) {
                        std::thread::park_timeout(RETRY);
                    }
                }
                None => {
                    if !self.listen_to() && !self.look_up() && !self.prepare() {
                        // A wish or command that came since `listen` left a token: park returns at once.
                        std::thread::park();
                    }
                }
            }
        }
    }

    /// The next session in turn that wants something.
    fn next(&mut self) -> Option<(u64, Request)> {
        let count = self.door.ends.len();
        let index = (0..count).map(|i| (self.turn + i) % count).find(|i| self.door.ends[*i].wanted.is_some())?;
        self.turn = index + 1;
        let end = &self.door.ends[index];
        Some((end.id, end.wanted?))
    }

    /// Answers one wish. False when the answer found no room.
    fn serve(&mut self, id: u64, request: Request) -> bool {
        let start = Instant::now();
        let kept = self.door.end(id).and_then(|e| e.kept(&request));
        let (clip, seconds) = match kept.or_else(|| self.cache.get(&request)) {
            Some(clip) => (Ok(clip), None),
            None => (self.make(id, &request), Some(start.elapsed().as_secs_f64())),
        };
        let (device, note) = (self.rack.device(request.model), self.rack.note());
        let speeds = self.rack.speeds(request.model);
        self.door.listen();
        let wanted = self.door.wants(id, &request);
        if let Some(end) = self.door.end(id) {
            end.shared.lock().status.making = None;
        }
        let Some(end) = self.door.end(id).filter(|_| wanted) else { return true };
        let activity = match &clip {
            Ok(_) => Activity::Ready,
            Err(Failure::Cancelled) => return true,
            Err(failure) => Activity::Failed(failure.to_string()),
        };
        let clip = clip.ok();
        {
            let mut state = end.shared.lock();
            state.status.activity = activity;
            state.status.device = device.unwrap_or_default();
            state.status.speeds = speeds;
            state.status.notice = note.or(state.status.notice.take());
            if let Some(clip) = &clip {
                state.heard(request, clip.clone(), seconds);
            }
        }
        if clip.as_ref().is_some_and(|clip| Cache::has_room_for_neighbours(clip)) {
            self.neighbours.plan(request);
        }
        let delivered = end.deliver(request, clip.clone());
        if let Some(clip) = clip {
            // Nobody waits for the picture.
            let sketch = Sketch::of(&clip);
            let mut state = end.shared.lock();
            let shown = state.status.clip.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &clip));
            state.status.sketch = shown.then(|| Arc::new(sketch)).or(state.status.sketch.take());
        }
        delivered
    }

    /// Generates for a session that waits; a device that fails gives way to the next.
    fn make(&mut self, id: u64, request: &Request) -> Result<Arc<Clip>, Failure> {
        loop {
            let source = self.source(id, request.model)?;
            let (door, canvas) = (&mut self.door, &self.canvas);
            let mut watch = Stopwatch::default();
            canvas.take();
            let mut hear = |activity| {
                door.listen();
                if !door.wants(id, request) {
                    return ControlFlow::Break(());
                }
                if let Activity::Generating(step, steps) = activity {
                    watch.hear(step, steps, request);
                }
                if let Some(end) = door.end(id) {
                    end.set(activity, request, canvas.take());
                }
                ControlFlow::Continue(())
            };
            match make(&mut self.rack, &mut self.cache, &source, request, &mut hear) {
                Err(Failure::Device(_)) => {}
                other => {
                    if let (Some(pace), Ok(_), Some(end)) = (watch.pace(request), &other, self.door.end(id)) {
                        end.shared.lock().status.pace = Some(pace);
                    }
                    return other;
                }
            }
        }
    }

    /// Makes one clip that a session would listen to and that was not there, until somebody wants
    /// something. False when there is nothing to do.
    fn listen_to(&mut self) -> bool {
        let waits = self.door.ends.iter().find_map(|end| Some((end.id, end.audition?)));
        let Some((id, request)) = waits else { return false };
        let clip = self.door.end(id).and_then(|e| e.kept(&request)).or_else(|| self.cache.get(&request));
        let made = clip.map_or_else(
            || {
                let source = self.source(id, request.model)?;
                let door = &mut self.door;
                let mut hear = |_| {
                    door.listen();
                    let still = door.end(id).is_some_and(|e| e.audition == Some(request));
                    if still && door.quiet() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                make(&mut self.rack, &mut self.cache, &source, &request, &mut hear)
            },
            Ok,
        );
        let Some(end) = self.door.end(id) else { return true };
        match made {
            // It is tried again when whoever wanted something has it.
            Err(Failure::Cancelled | Failure::Device(_)) => return true,
            Err(failure) => {
                let mut state = end.shared.lock();
                state.status.notice = Some(failure.to_string());
                state.status.auditioned = None;
            }
            Ok(clip) => {
                let wanted = end.shared.lock().status.auditioned == Some(request);
                if wanted {
                    end.shared.audition(Audition::Play(clip));
                }
            }
        }
        end.audition = None;
        true
    }

    /// Makes one neighbour of what was heard last, if its model is there and until somebody wants
    /// something. False when there is nothing to do.
    fn prepare(&mut self) -> bool {
        let Some(request) = self.neighbours.next() else { return false };
        if self.cache.holds(&request) {
            self.neighbours.done();
            return true;
        }
        if !self.rack.holds(request.model) {
            self.neighbours.rest();
            return true;
        }
        let door = &mut self.door;
        let mut hear = |_| {
            door.listen();
            if door.quiet() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let source = Source { id: request.model, name: String::new(), hash: String::new(), path: None };
        match make(&mut self.rack, &mut self.cache, &source, &request, &mut hear) {
            Ok(_) => self.neighbours.done(),
            Err(Failure::Cancelled) => {}
            // Whoever wants it will be told.
            Err(_) => self.neighbours.rest(),
        }
        true
    }

    /// The model that a request names.
    fn source(&mut self, id: u64, model: u64) -> Result<Source, Failure> {
        if model == 0 {
            return Ok(Source { id: 0, name: BUILT_IN.name.clone(), hash: String::new(), path: None });
        }
        let Some(saved) = self.door.saved(id, model).into_iter().next() else {
            return Err(Failure::NotNow("the model that was asked for is no longer chosen".into()));
        };
        let source = |path| Source { id: model, name: saved.name.clone(), hash: saved.hash.clone(), path };
        if self.rack.holds(model) {
            return Ok(source(None));
        }
        let known = self.door.end(id).and_then(|e| {
            let state = e.shared.lock();
            (state.saved.id() == model && state.looked_up).then(|| state.status.model.missing.clone()).flatten()
        });
        match known {
            Some(missing) => Err(Failure::NotNow(missing)),
            None => match self.locate(id, model) {
                Some(path) => Ok(source(Some(path))),
                None => Err(Failure::NotNow(library::missing(&saved, &self.home))),
            },
        }
    }

    /// Looks for a model's file and tells every session that chose it.
    fn locate(&mut self, id: u64, model: u64) -> Option<PathBuf> {
        let found = self.door.saved(id, model).iter().find_map(|saved| library::find(saved, &self.home));
        for end in &self.door.ends {
            let mut state = end.shared.lock();
            if state.saved.id() == model {
                state.looked_up = true;
                state.status.model = match &found {
                    Some(info) => info.clone(),
                    None => {
                        let missing = Some(library::missing(&state.saved, &self.home));
                        ModelInfo { missing, ..ModelInfo::of(&state.saved) }
                    }
                };
            }
        }
        found?.path
    }

    /// Looks for the file of one model that nobody has looked for. False when there is none.
    fn look_up(&mut self) -> bool {
        let new = self.door.ends.iter().find_map(|end| {
            let state = end.shared.lock();
            (!state.looked_up).then(|| (end.id, state.saved.id()))
        });
        let Some((id, model)) = new else { return false };
        let _ = self.locate(id, model);
        true
    }

    fn run_errand(&mut self, id: u64, choice: u64, errand: Errand) {
        let Some(shared) = self.door.end(id).map(|e| e.shared.clone()) else { return };
        let before = shared.lock().saved.clone();
        let (path, same) = match errand {
            Errand::Choose(path) => (path, false),
            Errand::Relocate(path) => (path, true),
            Errand::Find(model) => match library::of_id(model, &self.home) {
                Some(path) => (path, false),
                None => {
                    shared.lock().status.notice = Some(library::unknown(&self.home));
                    return;
                }
            },
            Errand::Audition(request) => {
                if let Some(end) = self.door.end(id) {
                    end.audition = Some(request);
                }
                return;
            }
            Errand::Retry => {
                self.rack.retry(&before.hash);
                self.door.ends.iter().for_each(|e| e.shared.lock().status.notice = None);
                return self.again(before.id());
            }
        };
        let examined =
            library::examine(&path, &self.home).and_then(|found| match same && found.0.hash != before.hash {
                true => Err(library::another(&before, &found.0)),
                false => Ok(found),
            });
        let mut state = shared.lock();
        if state.choice != choice {
            return;
        }
        match examined {
            Err(message) => state.status.notice = Some(message),
            Ok((saved, info)) => {
                let model = saved.id();
                state.status.notice = None;
                shared.adopt(&mut state, saved, info, true);
                drop(state);
                self.again(model);
            }
        }
    }

    /// Every session that chose this model looks for it anew and wants again what failed.
    fn again(&mut self, model: u64) {
        for end in &mut self.door.ends {
            let mut state = end.shared.lock();
            if state.saved.id() == model {
                if state.status.model.missing.take().is_some() {
                    state.looked_up = false;
                }
                drop(state);
                end.again();
            }
        }
    }
}

/// Makes a clip, says where its hits are and keeps it.
fn make(
    rack: &mut Rack,
    cache: &mut Cache,
    source: &Source,
    request: &Request,
    hear: &mut Hear<'_>,
) -> Result<Arc<Clip>, Failure> {
    let made = rack.make(source, request, hear);
    if rack.spoilt() {
        cache.clear();
    }
    let mut clip = made?;
    clip.hits = measure::hits(&clip);
    let clip = Arc::new(clip);
    cache.insert(*request, clip.clone());
    Ok(clip)
}
