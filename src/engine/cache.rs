//! Clips that were made before, the newest kept: a seed that comes back is heard at once, and is
//! the same to the last bit.

use std::sync::Arc;

use super::Request;
use crate::clip::Clip;

/// Samples of both channels that the cache may hold: about 24 minutes at 44.1 kHz, 256 MiB.
const BUDGET: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Cache {
    /// Least recently used first.
    clips: Vec<(Request, Arc<Clip>)>,
}

impl Cache {
    pub fn get(&mut self, request: &Request) -> Option<Arc<Clip>> {
        let position = self.clips.iter().position(|(r, _)| r == request)?;
        let entry = self.clips.remove(position);
        let clip = entry.1.clone();
        self.clips.push(entry);
        Some(clip)
    }

    pub fn insert(&mut self, request: Request, clip: Arc<Clip>) {
        self.clips.retain(|(r, _)| *r != request);
        self.clips.push((request, clip));
        let mut held: usize = self.clips.iter().map(|(_, c)| 2 * c.len()).sum();
        while held > BUDGET && self.clips.len() > 1 {
            held -= 2 * self.clips.remove(0).1.len();
        }
    }

    pub fn holds(&self, request: &Request) -> bool {
        self.clips.iter().any(|(r, _)| r == request)
    }

    /// True when a clip of this length and its neighbours fit beside each other.
    pub fn has_room_for_neighbours(clip: &Clip) -> bool {
        3 * 2 * clip.len() <= BUDGET
    }

    pub fn clear(&mut self) {
        self.clips.clear();
    }
}
