//! The CLAP in clack-host, offline and in realtime.

use std::time::{Duration, Instant};

use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::event_types::{NoteOffEvent, NoteOnEvent, ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, ClapId, SecondsTime};

use super::{DIFFERENT, EQUAL, bundled, wav};

const RATE: f64 = 44_100.0;
const BLOCK: usize = 512;
/// Of a note of full velocity.
const GAIN: f32 = 0.5;
/// Samples of fade-in that are left out of comparisons.
const SKIP: usize = 100;

struct Shared;

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {}
}

struct Host;

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = ();
    type AudioProcessor<'a> = ();
}

struct Loaded {
    instance: PluginInstance<Host>,
    seed: ClapId,
    steps: ClapId,
    mode: ClapId,
}

fn load() -> Loaded {
    let path = bundled("Flowloop.clap");
    // SAFETY: the file is the plugin that this package built.
    let entry = unsafe { PluginEntry::load(path.to_str().unwrap()) }.unwrap();
    let info = HostInfo::new("Flowloop's tests", "Flowloop", "", "1").unwrap();
    let id = c"audio.flowloop.instrument";
    let mut instance = PluginInstance::<Host>::new(|_| Shared, |_| (), &entry, id, &info).unwrap();
    let handle = instance.plugin_handle();
    let params: PluginParams = handle.get_extension().unwrap();
    let find = |name: &str| {
        (0..params.count(&handle)).find_map(|i| {
            let mut buffer = ParamInfoBuffer::new();
            let info = params.get_info(&handle, i, &mut buffer)?;
            (info.name == name.as_bytes()).then_some(info.id)
        })
    };
    let [seed, steps, mode] = ["Seed", "Steps", "Mode"].map(|name| find(name).unwrap());
    Loaded { instance, seed, steps, mode }
}

impl Loaded {
    fn render_mode(&mut self, mode: RenderMode) {
        let handle = self.instance.plugin_handle();
        let render: PluginRender = handle.get_extension().unwrap();
        render.set(&handle, mode).unwrap();
    }

    fn save(&mut self) -> Vec<u8> {
        let handle = self.instance.plugin_handle();
        let mut saved = Vec::new();
        state_of(&handle).save(&handle, &mut saved).unwrap();
        saved
    }

    fn activate(&mut self) -> StartedPluginAudioProcessor<Host> {
        let config =
            PluginAudioConfiguration { sample_rate: RATE, min_frames_count: 1, max_frames_count: BLOCK as u32 };
        self.instance.activate(|_, _| (), config).unwrap().start_processing().unwrap()
    }

    /// Events that ask for a seed, from 4 steps. A CLAP value counts from the start of its range, and
    /// Steps start at 1.
    fn choose(&self, seed: usize) -> EventBuffer {
        let mut events = EventBuffer::new();
        events.push(&ParamValueEvent::new(0, self.seed, Pckn::match_all(), seed as f64));
        events.push(&ParamValueEvent::new(0, self.steps, Pckn::match_all(), 3.0));
        events
    }
}

/// Renders `blocks` blocks with the transport stopped; `events` go to the first.
fn render(processor: &mut StartedPluginAudioProcessor<Host>, events: &EventBuffer, blocks: usize) -> [Vec<f32>; 2] {
    play(processor, events, blocks, None)
}

/// Renders `blocks` blocks; `events` go to the first, and the song plays at 120 bpm from `beats`.
fn play(
    processor: &mut StartedPluginAudioProcessor<Host>,
    events: &EventBuffer,
    blocks: usize,
    beats: Option<f64>,
) -> [Vec<f32>; 2] {
    let (mut inputs, mut outputs) = (AudioPorts::with_capacity(0, 0), AudioPorts::with_capacity(2, 1));
    let mut heard = [Vec::new(), Vec::new()];
    let nothing = EventBuffer::new();
    for block in 0..blocks {
        let mut buffers = [[0f32; BLOCK]; 2];
        let mut port = outputs.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(buffers.iter_mut().map(|b| b.as_mut_slice())),
        }]);
        let input = if block == 0 { events.as_input() } else { nothing.as_input() };
        let mut out_events = EventBuffer::new();
        let empty =
            inputs.with_input_buffers(std::iter::empty::<AudioPortBuffer<std::iter::Empty<_>, std::iter::Empty<_>>>());
        let transport = beats.map(|b| transport(b + (block * BLOCK) as f64 * 2.0 / RATE));
        processor.process(&empty, &mut port, &input, &mut out_events.as_output(), None, transport.as_ref()).unwrap();
        heard[0].extend_from_slice(&buffers[0]);
        heard[1].extend_from_slice(&buffers[1]);
    }
    heard
}

/// A song in 4/4 at 120 bpm.
fn transport(beats: f64) -> TransportEvent {
    let none = (BeatTime::from_int(0), SecondsTime::from_int(0));
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE
            | TransportFlags::IS_PLAYING,
        song_pos_beats: BeatTime::from_float(beats),
        song_pos_seconds: none.1,
        tempo: 120.0,
        tempo_inc: 0.0,
        loop_start_beats: none.0,
        loop_end_beats: none.0,
        loop_start_seconds: none.1,
        loop_end_seconds: none.1,
        bar_start: BeatTime::from_float((beats / 4.0).floor() * 4.0),
        bar_number: (beats / 4.0) as i32,
        time_signature_numerator: 4,
        time_signature_denominator: 4,
    }
}

fn read(path: &std::path::Path) -> [Vec<f32>; 2] {
    flowloop::dataset::decode::decode(std::fs::read(path).unwrap()).unwrap().samples
}

/// Largest difference of `heard` from the clip at a full note's gain.
fn difference(heard: &[Vec<f32>; 2], clip: &[Vec<f32>; 2]) -> f64 {
    let channel = |(h, c): (&Vec<f32>, &Vec<f32>)| {
        let pairs = h.iter().zip(c).skip(SKIP);
        pairs.fold(0f32, |m, (h, c)| m.max((h - GAIN * c).abs()))
    };
    f64::from(heard.iter().zip(clip).map(channel).fold(0f32, f32::max))
}

fn note(events: &mut EventBuffer, on: bool) {
    let key = Pckn::new(0u16, 0u16, 60u16, clack_host::events::Match::All);
    match on {
        true => events.push(&NoteOnEvent::new(0, key, 1.0)),
        false => events.push(&NoteOffEvent::new(0, key, 0.0)),
    }
}

#[test]
fn clack_host_hears_each_seed_offline_and_a_project_keeps_it() {
    // SAFETY: no other thread of this test process reads the environment now.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "cpu") };
    let folder = tempfile::tempdir().unwrap();
    let wavs = [1, 2].map(|seed| read(&wav(folder.path(), seed)));
    let mut plugin = load();
    plugin.render_mode(RenderMode::Offline);
    let mut processor = plugin.activate();
    for (index, seed) in [1usize, 2, 1].into_iter().enumerate() {
        let mut events = plugin.choose(seed);
        note(&mut events, true);
        let heard = render(&mut processor, &events, 340);
        let [right, wrong] = [&wavs[seed - 1], &wavs[2 - seed]].map(|w| difference(&heard, w));
        println!("clack-host offline, take {index}: error {right:e}, distance {wrong}");
        assert!(right < EQUAL && wrong > DIFFERENT, "take {index}: {right} {wrong}");
        let mut off = EventBuffer::new();
        note(&mut off, false);
        render(&mut processor, &off, 10);
    }
    plugin.instance.deactivate(processor.stop_processing());

    let saved = plugin.save();
    // The engine goes with its last instance; the next one finds neither model nor device.
    drop(plugin);
    // SAFETY: as above.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "gpu:99") };
    let mut again = load();
    let handle = again.instance.plugin_handle();
    state_of(&handle).load(&handle, &mut saved.as_slice()).unwrap();
    let params: PluginParams = handle.get_extension().unwrap();
    assert_eq!(params.get_value(&handle, again.seed).map(f64::round), Some(1.0));
    assert!(again.save() == saved, "save, load, save: the same bytes");
    again.render_mode(RenderMode::Offline);
    let mut processor = again.activate();
    let mut events = EventBuffer::new();
    note(&mut events, true);
    let error = difference(&render(&mut processor, &events, 340), &wavs[0]);
    println!("clack-host, project of {} bytes opened without a device: error {error:e}", saved.len());
    assert!(error < EQUAL);
    again.instance.deactivate(processor.stop_processing());
}

fn state_of(handle: &PluginMainThreadHandle) -> PluginState {
    handle.get_extension().unwrap()
}

#[test]
fn clack_host_in_realtime_never_waits_and_ends_on_the_clip() {
    // SAFETY: as above.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "cpu") };
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 3));
    let mut plugin = load();
    let mut processor = plugin.activate();
    let start = Instant::now();
    let heard = render(&mut processor, &plugin.choose(3), 1);
    assert!(heard[0].iter().all(|s| *s == 0.0), "no clip yet: silence, not a wait");
    // The clip comes some time; until then the host goes on.
    loop {
        let mut events = EventBuffer::new();
        note(&mut events, true);
        let heard = render(&mut processor, &events, 340);
        if difference(&heard, &clip) < EQUAL {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "the clip never came");
        let mut off = EventBuffer::new();
        note(&mut off, false);
        render(&mut processor, &off, 10);
        std::thread::sleep(Duration::from_millis(50));
    }
    plugin.instance.deactivate(processor.stop_processing());
}

#[test]
fn clack_host_in_sync_hears_the_loop_at_the_songs_place_after_jumps() {
    // SAFETY: as above.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "cpu") };
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 5));
    let length = clip[0].len();
    let mut plugin = load();
    plugin.render_mode(RenderMode::Offline);
    let mut processor = plugin.activate();
    let mut events = plugin.choose(5);
    events.push(&ParamValueEvent::new(0, plugin.mode, Pckn::match_all(), 1.0));
    for beats in [0.0, 2.5, 29.0, 3.0, 1003.5] {
        let heard = play(&mut processor, &events, 200, Some(beats));
        let start = (beats * RATE / 2.0).round() as usize % length;
        let rotated = clip.clone().map(|mut c| {
            c.rotate_left(start);
            c.iter().cycle().take(heard[0].len()).copied().collect::<Vec<f32>>()
        });
        // The place before the jump fades out first.
        let from = |all: &[Vec<f32>; 2]| all.clone().map(|c| c[400..].to_vec());
        let error = difference(&from(&heard), &from(&rotated));
        println!("clack-host in sync from beat {beats}: error {error:e}");
        // CLAP's song position is a fixed-point number: off by less than a hundred-thousandth of a sample.
        assert!(error < 1e-5, "beat {beats}: {error}");
        events.clear();
    }
    let stopped = render(&mut processor, &events, 10);
    assert!(stopped[0][BLOCK..].iter().all(|s| *s == 0.0), "the host stopped");
    plugin.instance.deactivate(processor.stop_processing());
}
