//! The engine thread's end of a session.

use std::sync::Arc;

use rtrb::{Consumer, Producer};

use super::session::Delivery;
use super::status::{Activity, Shared};
use super::{Request, Sketch};
use crate::clip::Clip;
use crate::measure;

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
    pub fn new(
        id: u64,
        requests: Consumer<Request>,
        deliveries: Producer<Delivery>,
        spent: Consumer<Arc<Clip>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { id, requests, deliveries, spent, shared, wanted: None, failed: None, audition: None, restored: None }
    }

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
