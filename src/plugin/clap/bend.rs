//! The pitch wheel: MIDI messages among the host's events become values of the parameter.

use std::cell::UnsafeCell;
use std::ptr::null;

use clap_sys::events::*;

/// The pitch wheel's parameter as hosts know it, in both formats.
pub const BEND: u32 = param_id("bend");

/// nice-plug's number of a parameter: its id as digits of base 31, without the sign bit.
const fn param_id(id: &str) -> u32 {
    let (mut hash, mut at) = (0u32, 0);
    while at < id.len() {
        hash = hash.wrapping_mul(31).wrapping_add(id.as_bytes()[at] as u32);
        at += 1;
    }
    hash & !(1 << 31)
}

/// The host's events with pitch wheel messages as values of the parameter.
pub(super) struct Bends {
    events: *const clap_input_events,
    /// The one that was asked for last. nice-plug is done with an event before it asks for the next.
    value: UnsafeCell<clap_event_param_value>,
}

impl Bends {
    /// Around a host's list, which is not null when it is read.
    pub fn of(events: *const clap_input_events) -> Self {
        Self { events, value: UnsafeCell::new(bend_event()) }
    }

    /// The list to read instead, while this lives where it is.
    pub fn list(&self) -> clap_input_events {
        clap_input_events { ctx: (&raw const *self).cast_mut().cast(), size: Some(bends_size), get: Some(bends_get) }
    }
}

const fn bend_event() -> clap_event_param_value {
    let header = clap_event_header {
        size: size_of::<clap_event_param_value>() as u32,
        time: 0,
        space_id: CLAP_CORE_EVENT_SPACE_ID,
        type_: CLAP_EVENT_PARAM_VALUE,
        flags: 0,
    };
    let cookie = std::ptr::null_mut();
    clap_event_param_value {
        header,
        param_id: BEND,
        cookie,
        note_id: -1,
        port_index: -1,
        channel: -1,
        key: -1,
        value: 0.0,
    }
}

unsafe extern "C" fn bends_size(list: *const clap_input_events) -> u32 {
    // SAFETY: nice-plug hands back the list that `list` made; the host's list lives as long.
    unsafe {
        let events = (*(*list).ctx.cast::<Bends>()).events;
        (*events).size.map_or(0, |size| size(events))
    }
}

unsafe extern "C" fn bends_get(list: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: as above; an event is as long as its type says.
    unsafe {
        let bends = &*(*list).ctx.cast::<Bends>();
        let Some(get) = (*bends.events).get else { return null() };
        let event = get(bends.events, index);
        let Some(header) = event.as_ref() else { return null() };
        if (header.space_id, header.type_) != (CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_MIDI) {
            return event;
        }
        let [status, low, high] = (*event.cast::<clap_event_midi>()).data;
        if status & 0xf0 != 0xe0 {
            return event;
        }
        // Nobody else holds the value: see the field.
        let value = &mut *bends.value.get();
        (value.header.time, value.header.flags) = (header.time, header.flags);
        value.value = wheel(low, high);
        (&raw const *value).cast()
    }
}

/// A MIDI pitch wheel's two bytes as the parameter's value, 0 to 1: the centre, 8192, is one half
/// exactly.
fn wheel(low: u8, high: u8) -> f64 {
    let bend = (i32::from(high & 0x7f) << 7 | i32::from(low & 0x7f)) - 8192;
    let far = if bend < 0 { 8192.0 } else { 8191.0 };
    0.5 + 0.5 * f64::from(bend) / far
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheel_is_exact_at_its_ends_and_centre() {
        assert_eq!([wheel(0, 0), wheel(0, 64), wheel(0x7f, 0x7f)], [0.0, 0.5, 1.0]);
        assert_eq!(wheel(0, 96), 0.5 + 0.5 * 4096.0 / 8191.0);
    }
}
