//! Notes that ended, for the host to hear of.

use super::SLOTS;
use super::settings::Note;

/// A queue that forgets its oldest when it is full: a host that asks after each block misses none.
pub(super) struct Ended {
    notes: [Note; 2 * SLOTS],
    first: usize,
    count: usize,
}

impl Default for Ended {
    fn default() -> Self {
        Self { notes: [Note::default(); 2 * SLOTS], first: 0, count: 0 }
    }
}

impl Ended {
    pub fn push(&mut self, note: Note) {
        let size = self.notes.len();
        self.notes[(self.first + self.count) % size] = note;
        match self.count < size {
            true => self.count += 1,
            false => self.first = (self.first + 1) % size,
        }
    }

    pub fn take(&mut self) -> Option<Note> {
        self.count = self.count.checked_sub(1)?;
        let note = self.notes[self.first];
        self.first = (self.first + 1) % self.notes.len();
        Some(note)
    }
}
