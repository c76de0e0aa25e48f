//! Between the host's events and playback's notes.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use crate::playback::{Expression, Note, Player, ROOT_KEY};

/// Plays a host's event; events that mean nothing here are passed over.
pub(super) fn play<S>(player: &mut Player, event: &NoteEvent<S>) {
    match *event {
        NoteEvent::NoteOn { voice_id, channel, key, velocity, .. } => {
            let note = Note { key: key.number().unwrap_or(ROOT_KEY), channel: channel.number(), id: number(voice_id) };
            player.note_on(note, velocity);
        }
        NoteEvent::NoteOff { voice_id, channel, key, .. } => {
            player.note_off(key.number(), channel.number(), number(voice_id));
        }
        NoteEvent::Choke { voice_id, channel, key, .. } => {
            player.choke(key.number(), channel.number(), number(voice_id));
        }
        NoteEvent::PolyTuning { voice_id, channel, key, tuning, .. } => {
            player.express(key.number(), channel.number(), number(voice_id), Expression::Tuning(tuning));
        }
        NoteEvent::PolyVolume { voice_id, channel, key, gain, .. } => {
            player.express(key.number(), channel.number(), number(voice_id), Expression::Volume(gain));
        }
        NoteEvent::PolyPan { voice_id, channel, key, pan, .. } => {
            player.express(key.number(), channel.number(), number(voice_id), Expression::Pan(pan));
        }
        _ => {}
    }
}

/// Tells the host that a note's voice has ended, `timing` samples into the block.
pub(super) fn ended<S>(note: Note, timing: u32) -> NoteEvent<S> {
    NoteEvent::VoiceTerminated {
        timing,
        voice_id: note.id.map_or(VoiceID::Wildcard, VoiceID::ID),
        channel: note.channel.map_or(Channel::Wildcard, Channel::Number),
        key: Key::Number(note.key),
    }
}

fn number(id: VoiceID) -> Option<i32> {
    match id {
        VoiceID::ID(id) => Some(id),
        VoiceID::Wildcard => None,
    }
}
