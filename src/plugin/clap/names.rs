//! The note-name extension: which key plays what.

use std::ffi::c_char;
use std::io::Write as _;

use clap_sys::ext::note_name::{clap_note_name, clap_plugin_note_name};
use clap_sys::plugin::clap_plugin;

use super::Shim;
use crate::playback::{ROOT_KEY, SLICE_ROOT, slices};
use crate::plugin::FlowloopParams;
use crate::plugin::choices::Mode;

/// The keys that have names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    mode: Mode,
    count: u32,
}

impl Names {
    /// What the keys do now. Reads the engine's status: not for the audio thread.
    pub fn of(params: &FlowloopParams) -> Self {
        let mode = params.play.mode.value();
        let count = match mode {
            Mode::Trigger => 1,
            Mode::Sync => 0,
            Mode::Slice => {
                let clip = params.memory.0.status().clip;
                let count = clip.map_or(0, |clip| slices(&clip, params.play.slices.value().into()));
                count.min(128 - usize::from(SLICE_ROOT)) as u32
            }
        };
        Self { mode, count }
    }

    /// The name of one of them, on every port and channel.
    fn get(self, index: u32) -> Option<clap_note_name> {
        if index >= self.count {
            return None;
        }
        let mut named = clap_note_name { name: [0; _], port: -1, key: i16::from(ROOT_KEY), channel: -1 };
        // Room for a number and the closing zero is left: no name comes near 256 bytes.
        let mut name = [0u8; 32];
        let mut text = &mut name[..31];
        let written = match self.mode {
            Mode::Slice => {
                named.key = i16::from(SLICE_ROOT) + index as i16;
                write!(text, "Slice {}", index + 1)
            }
            _ => write!(text, "Loop"),
        };
        written.ok()?;
        named.name.iter_mut().zip(name).for_each(|(to, from)| *to = from as c_char);
        Some(named)
    }
}

/// The functions that a host calls.
pub(super) static NOTE_NAME: clap_plugin_note_name =
    clap_plugin_note_name { count: Some(name_count), get: Some(name_get) };

unsafe extern "C" fn name_count(plugin: *const clap_plugin) -> u32 {
    // SAFETY: the host's pointer, valid for this call.
    unsafe { Shim::of(plugin) }.map_or(0, |shim| Names::of(&shim.params).count)
}

unsafe extern "C" fn name_get(plugin: *const clap_plugin, index: u32, into: *mut clap_note_name) -> bool {
    // SAFETY: the host's pointer, valid for this call.
    let named = unsafe { Shim::of(plugin) }.and_then(|shim| Names::of(&shim.params).get(index));
    let Some(named) = named.filter(|_| !into.is_null()) else { return false };
    // SAFETY: not null, and the host's to be written by the interface's contract.
    unsafe { into.write(named) };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names() {
        let text = |names: Names, index| {
            let named = names.get(index)?;
            let bytes: Vec<u8> = named.name.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
            Some((named.key, String::from_utf8(bytes).unwrap()))
        };
        let sliced = Names { mode: Mode::Slice, count: 92 };
        assert_eq!(text(sliced, 0), Some((36, "Slice 1".into())));
        assert_eq!(text(sliced, 91), Some((127, "Slice 92".into())));
        assert_eq!(text(sliced, 92), None);
        assert_eq!(text(Names { mode: Mode::Trigger, count: 1 }, 0), Some((60, "Loop".into())));
    }
}
