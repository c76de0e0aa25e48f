//! Parameters through clack-host: every whole number survives, and controllers find them.

use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_extensions::remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer};
use clack_extensions::voice_info::{PluginVoiceInfo, VoiceInfoFlags};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;

use super::host::Instance;

#[test]
fn every_step_of_every_parameter_survives_as_value_and_as_text() {
    let mut instance = Instance::new();
    let handle = instance.clack.plugin_handle();
    let params: PluginParams = handle.get_extension().unwrap();
    let mut stepped = Vec::new();
    for index in 0..params.count(&handle) {
        let mut buffer = ParamInfoBuffer::new();
        let info = params.get_info(&handle, index, &mut buffer).unwrap();
        if info.flags.contains(ParamInfoFlags::IS_STEPPED) {
            let name = String::from_utf8(info.name.to_vec()).unwrap();
            stepped.push((name, info.id, info.min_value as i32..=info.max_value as i32));
        }
    }
    assert!(stepped.iter().any(|(name, _, range)| name == "Seed" && *range == (0..=9999)));
    let mut tried = 0;
    for (name, id, range) in stepped {
        for step in range {
            // Some hosts' own arithmetic leaves a little off.
            let given = f64::from(step) - 3e-5;
            let mut events = EventBuffer::new();
            events.push(&ParamValueEvent::new(0, id, Pckn::match_all(), given));
            let mut inactive = instance.clack.inactive_plugin_handle().unwrap();
            params.flush(&mut inactive, &events.as_input(), &mut EventBuffer::new().as_output());
            let handle = instance.clack.plugin_handle();
            let value = params.get_value(&handle, id).unwrap();
            assert_eq!(value, f64::from(step), "{name}");
            let mut buffer = [0; 64];
            let text = params.value_to_text(&handle, id, value, &mut buffer).unwrap().to_vec();
            let text = std::ffi::CString::new(text).unwrap();
            let read = params.text_to_value(&handle, id, &text).map(f64::round);
            assert_eq!(read, Some(f64::from(step)), "{name}: {text:?}");
            tried += 1;
        }
    }
    println!("clack-host: {tried} values survive as number and as text");
}

#[test]
fn controllers_find_seed_and_steps_first() {
    let mut instance = Instance::new();
    let first = ["Seed", "Steps", "Seed Morph", "Style", "Key", "Variation", "Bars", "Generate"];
    let first = first.map(|name| Some(instance.id(name)));
    let handle = instance.clack.plugin_handle();
    let controls: PluginRemoteControls = handle.get_extension().unwrap();
    let mut shown = Vec::new();
    for index in 0..controls.count(&handle) {
        let mut buffer = RemoteControlsPageBuffer::new();
        let page = controls.get(&handle, index, &mut buffer).unwrap();
        shown.push((String::from_utf8(page.page_name.to_vec()).unwrap(), page.param_ids));
    }
    assert_eq!(shown[0], ("Generate".to_string(), first));
    let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Generate", "Play", "More", "Voice", "Output"]);
    assert!(shown.iter().all(|(_, ids)| ids[0].is_some()));
}

#[test]
fn host_hears_of_sixteen_voices_that_may_overlap() {
    let mut instance = Instance::new();
    let handle = instance.clack.plugin_handle();
    let info = handle.get_extension::<PluginVoiceInfo>().unwrap().get(&handle).unwrap();
    assert_eq!((info.voice_count, info.voice_capacity), (16, 16));
    assert!(info.flags.contains(VoiceInfoFlags::SUPPORTS_OVERLAPPING_NOTES));
}
