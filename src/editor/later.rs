//! Work that would make the window stutter (reading folders and files, writing them), on a thread of its
//! own; its result is fetched by a later frame.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// One piece of work at a time; a newer one takes the place of one that is still under way.
pub(super) struct Later<T>(Option<Receiver<T>>);

impl<T> Default for Later<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Send + 'static> Later<T> {
    /// Begins.
    pub fn start(&mut self, work: impl FnOnce() -> T + Send + 'static) {
        let (sender, receiver) = channel();
        self.0 = Some(receiver);
        // Nobody may listen any more.
        let run = move || drop(sender.send(work()));
        let _ = std::thread::Builder::new().name("flowloop files".into()).spawn(run);
    }

    /// True until the result was fetched.
    pub fn busy(&self) -> bool {
        self.0.is_some()
    }

    /// The result, once. Work that panicked has none.
    pub fn fetch(&mut self) -> Option<T> {
        match self.0.as_ref()?.try_recv() {
            Ok(result) => {
                self.0 = None;
                Some(result)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.0 = None;
                None
            }
        }
    }
}
