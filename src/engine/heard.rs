//! What a session has heard: the clips' requests in the order of their first hearing, with a small
//! picture, a star for what is to be kept, and the clips themselves while somebody holds them.

use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Request;
use crate::clip::Clip;
use crate::model::outline;

/// Entries that a history holds; starred ones are dropped last.
pub const HISTORY: usize = 32;
/// Stretches of a thumbnail.
pub const THUMBNAIL: usize = 64;

/// One clip that was heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heard {
    /// What was asked for.
    #[serde(flatten)]
    pub request: Request,
    /// It is to be kept.
    #[serde(default, skip_serializing_if = "is_not")]
    pub starred: bool,
    /// Largest sample of each of [`THUMBNAIL`] stretches, 255 is full scale; empty when nobody knows.
    #[serde(default, skip_serializing_if = "<[u8]>::is_empty", serialize_with = "write", deserialize_with = "read")]
    pub outline: Arc<[u8]>,
    #[serde(skip)]
    clip: Weak<Clip>,
}

/// The clip is no part of what is remembered.
impl PartialEq for Heard {
    fn eq(&self, other: &Self) -> bool {
        (self.request, self.starred, &self.outline) == (other.request, other.starred, &other.outline)
    }
}

impl From<Request> for Heard {
    fn from(request: Request) -> Self {
        Self { request, starred: false, outline: Arc::default(), clip: Weak::new() }
    }
}

impl Heard {
    /// The clip, while something else still holds it.
    pub fn clip(&self) -> Option<Arc<Clip>> {
        self.clip.upgrade()
    }

    /// True when its clip is, or was, at this address; no other clip can be there as long as this entry
    /// lives.
    pub fn is_at(&self, address: usize) -> bool {
        self.clip.as_ptr() as usize == address
    }
}

/// Notes that a clip was heard; what was heard before keeps its place.
pub(super) fn note(history: &mut Vec<Heard>, request: Request, clip: &Arc<Clip>) {
    let place = history.iter().position(|h| h.request == request).unwrap_or_else(|| {
        history.push(request.into());
        history.len() - 1
    });
    let entry = &mut history[place];
    if entry.outline.is_empty() || entry.clip.strong_count() == 0 {
        entry.outline = outline(clip, THUMBNAIL).into();
    }
    entry.clip = Arc::downgrade(clip);
    tidy(history);
}

/// Each request once, and of too many the oldest without a star dropped, the last one never.
pub(super) fn tidy(history: &mut Vec<Heard>) {
    let mut seen = Vec::with_capacity(history.len());
    history.retain(|h| {
        let new = !seen.contains(&h.request);
        seen.push(h.request);
        new
    });
    while history.len() > HISTORY {
        let oldest = history[..history.len() - 1].iter().position(|h| !h.starred).unwrap_or(0);
        history.remove(oldest);
    }
}

fn is_not(flag: &bool) -> bool {
    !flag
}

fn write<S: Serializer>(outline: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(outline))
}

/// A picture that cannot be read is none.
fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
    let bytes = BASE64.decode(String::deserialize(deserializer)?).unwrap_or_default();
    Ok(if bytes.len() == THUMBNAIL { bytes.into() } else { Arc::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seed: u64) -> Request {
        Request::new(seed, 8, 0, 8, 120.0)
    }

    #[test]
    fn stars_outlive_what_has_none() {
        let mut history: Vec<Heard> = (0..HISTORY as u64).map(|seed| of(seed).into()).collect();
        history[0].starred = true;
        history.push(of(100).into());
        history.push(of(1).into());
        tidy(&mut history);
        assert_eq!((history.len(), history[0].request, history[1].request), (HISTORY, of(0), of(2)));
        history.iter_mut().for_each(|h| h.starred = true);
        history.push(of(200).into());
        tidy(&mut history);
        assert_eq!((history.len(), history[HISTORY - 1].request), (HISTORY, of(200)), "the newest stays");
    }

    #[test]
    fn saved_as_requests_with_a_little_more() {
        let old = serde_json::to_string(&[of(3)]).unwrap();
        let history: Vec<Heard> = serde_json::from_str(&old).unwrap();
        assert_eq!(history, [Heard::from(of(3))]);
        assert_eq!(serde_json::to_string(&history).unwrap(), old, "nothing more where there is nothing");
        let full = Heard { starred: true, outline: (0..THUMBNAIL as u8).collect(), ..of(9999).into() };
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Heard>(&json).unwrap(), full);
        let damaged = json.replace("AAEC", "!!!!");
        assert!(serde_json::from_str::<Heard>(&damaged).unwrap().outline.is_empty());
    }
}
