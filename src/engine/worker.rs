//! The engine's thread: listens, takes turns, generates, delivers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::cache::Cache;
use super::session::{Activity, End, lock};
use super::{Failure, Generate, Load, Request};
use crate::clip::Clip;

/// What other threads tell the engine.
pub(super) enum Command {
    Open(End),
    Close(u64),
    Restore(u64, Request, Arc<Clip>),
}

/// How long to wait before a delivery that found its ring full is tried again.
const RETRY: Duration = Duration::from_millis(20);

pub(super) struct Worker {
    door: Door,
    load: Load,
    generator: Option<Box<dyn Generate>>,
    /// Why the model could not be loaded; it is not tried again.
    broken: Option<String>,
    cache: Cache,
    turn: usize,
}

/// What is heard from outside, also while a generator runs.
struct Door {
    inbox: Receiver<Command>,
    stop: Arc<AtomicBool>,
    ends: Vec<End>,
}

impl Door {
    fn listen(&mut self) {
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Open(end) => self.ends.push(end),
                Command::Close(id) => self.ends.retain(|e| e.id != id),
                Command::Restore(id, request, clip) => {
                    if let Some(end) = self.end(id) {
                        end.restored = Some((request, clip));
                        end.wanted = Some(request);
                    }
                }
            }
        }
        for end in &mut self.ends {
            end.listen();
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn end(&mut self, id: u64) -> Option<&mut End> {
        self.ends.iter_mut().find(|e| e.id == id)
    }

    /// True while the session lives and its newest wish is still this one.
    fn wants(&self, id: u64, request: &Request) -> bool {
        !self.stopped() && self.ends.iter().any(|e| e.id == id && e.wanted == Some(*request))
    }
}

impl Worker {
    pub fn new(inbox: Receiver<Command>, stop: Arc<AtomicBool>, load: Load) -> Self {
        let door = Door { inbox, stop, ends: Vec::new() };
        Self { door, load, generator: None, broken: None, cache: Cache::default(), turn: 0 }
    }

    pub fn run(mut self) {
        while !self.door.stopped() {
            self.door.listen();
            match self.next() {
                Some((id, request)) => {
                    if !self.serve(id, request) {
                        std::thread::park_timeout(RETRY);
                    }
                }
                // A wish or command that came since `listen` left a token: park returns at once.
                None => std::thread::park(),
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
            None => {
                let made = self.make(id, &request).map(Arc::new);
                if let Ok(clip) = &made {
                    self.cache.insert(request, clip.clone());
                }
                (made, Some(start.elapsed().as_secs_f64()))
            }
        };
        let device = self.generator.as_ref().map(|g| g.device());
        self.door.listen();
        let wanted = self.door.wants(id, &request);
        let Some(end) = self.door.end(id).filter(|_| wanted) else { return true };
        let activity = match &clip {
            Ok(_) => Activity::Ready,
            Err(Failure::Cancelled) => return true,
            Err(failure) => Activity::Failed(failure.to_string()),
        };
        let clip = clip.ok();
        {
            let mut status = lock(&end.status);
            status.activity = activity;
            status.device = device.unwrap_or_default();
            if clip.is_some() {
                (status.request, status.clip, status.seconds) = (Some(request), clip.clone(), seconds);
            }
        }
        let delivered = end.deliver(request, clip);
        if delivered {
            end.wanted = None;
        }
        delivered
    }

    /// Generates; a device that fails is left for the one that always works, once.
    fn make(&mut self, id: u64, request: &Request) -> Result<Clip, Failure> {
        self.ready(id, false)?;
        match self.generate(id, request) {
            Err(Failure::Device(_)) => {
                // Whatever was made on a failing device is not trusted.
                self.generator = None;
                self.cache.clear();
                self.ready(id, true)?;
                self.generate(id, request)
            }
            other => other,
        }
    }

    fn ready(&mut self, id: u64, fallback: bool) -> Result<(), Failure> {
        if let Some(message) = &self.broken {
            return Err(Failure::Refused(message.clone()));
        }
        if self.generator.is_none() {
            if let Some(end) = self.door.end(id) {
                end.set(Activity::Loading);
            }
            match (self.load)(fallback) {
                Ok(generator) => self.generator = Some(generator),
                Err(message) => {
                    self.broken = Some(message.clone());
                    return Err(Failure::Refused(message));
                }
            }
        }
        Ok(())
    }

    fn generate(&mut self, id: u64, request: &Request) -> Result<Clip, Failure> {
        let Some(generator) = self.generator.as_mut() else { return Err(Failure::Cancelled) };
        let door = &mut self.door;
        generator.generate(request, &mut |step, steps| {
            door.listen();
            if !door.wants(id, request) {
                return ControlFlow::Break(());
            }
            if let Some(end) = door.end(id) {
                end.set(Activity::Generating(step, steps));
            }
            ControlFlow::Continue(())
        })
    }
}
