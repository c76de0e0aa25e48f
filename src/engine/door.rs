//! What the engine's thread hears from outside: commands of other threads and the wishes of the sessions.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use super::end::End;
use super::{Request, SavedModel};
use crate::clip::Clip;

/// What other threads tell the engine.
pub(super) enum Command {
    Open(End),
    Close(u64),
    Restore(u64, Request, Arc<Clip>),
    /// For a session, at its choice of that number.
    Errand(u64, u64, Errand),
}

/// What takes longer than a look.
#[derive(PartialEq)]
pub(super) enum Errand {
    Choose(PathBuf),
    Relocate(PathBuf),
    Retry,
    Find(u64),
    Audition(Request),
}

/// What is heard from outside, also while a generator runs.
pub(super) struct Door {
    inbox: Receiver<Command>,
    stop: Arc<AtomicBool>,
    pub ends: Vec<End>,
    /// Session, number of its choice, errand.
    pub errands: Vec<(u64, u64, Errand)>,
}

impl Door {
    pub fn new(inbox: Receiver<Command>, stop: Arc<AtomicBool>) -> Self {
        Self { inbox, stop, ends: Vec::new(), errands: Vec::new() }
    }

    /// Hears all that has been said.
    pub fn listen(&mut self) {
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
                Command::Errand(id, choice, errand) => self.errands.push((id, choice, errand)),
            }
        }
        for end in &mut self.ends {
            end.listen();
        }
    }

    /// True when the thread is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub fn end(&mut self, id: u64) -> Option<&mut End> {
        self.ends.iter_mut().find(|e| e.id == id)
    }

    /// True while the session lives and its newest wish is still this one.
    pub fn wants(&self, id: u64, request: &Request) -> bool {
        !self.stopped() && self.ends.iter().any(|e| e.id == id && e.wanted == Some(*request))
    }

    /// True while nobody wants anything.
    pub fn quiet(&self) -> bool {
        !self.stopped() && self.errands.is_empty() && self.ends.iter().all(|e| e.wanted.is_none())
    }

    /// Of the sessions that chose a model: what their projects keep of it, this session's first.
    pub fn saved(&self, id: u64, model: u64) -> Vec<SavedModel> {
        let mut ends: Vec<&End> = self.ends.iter().collect();
        ends.sort_by_key(|e| e.id != id);
        let mut all: Vec<SavedModel> = ends.iter().map(|e| e.shared.lock().saved.clone()).collect();
        all.retain(|saved| saved.id() == model);
        all.dedup();
        all
    }
}
