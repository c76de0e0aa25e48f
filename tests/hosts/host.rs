//! A CLAP host to test with: clack-host, playing scripts of events.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clack_extensions::note_name::{HostNoteName, HostNoteNameImpl};
use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::Match;
use clack_host::events::event_types::*;
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, ClapId, SecondsTime};

use super::bundled;

/// The clips' own rate.
pub const RATE: f64 = 44_100.0;
/// Samples a block.
pub const BLOCK: usize = 512;
/// Of a note of full velocity.
pub const GAIN: f32 = 0.5;
/// Samples of fade-in that are left out of comparisons.
const SKIP: usize = 100;
/// A clip that is not there by then never comes.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Default)]
pub struct Shared {
    callback: AtomicBool,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.callback.store(true, Ordering::Release);
    }
}

#[derive(Default)]
pub struct MainThread {
    renamed: Cell<u32>,
}

impl MainThreadHandler<'_> for MainThread {}

impl HostNoteNameImpl for MainThread {
    fn changed(&self) {
        self.renamed.set(self.renamed.get() + 1);
    }
}

pub struct Host;

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Shared) {
        builder.register::<HostNoteName>();
    }
}

/// The numbers of the parameters by their names.
type Ids = Rc<HashMap<String, ClapId>>;

/// An instance of the plugin, seen from the main thread.
pub struct Instance {
    pub clack: PluginInstance<Host>,
    ids: Ids,
}

/// Generates on the CPU: the same clip everywhere.
pub fn on_cpu() {
    // SAFETY: each test is a process of its own, and no other thread reads the environment yet.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "cpu") };
}

impl Instance {
    pub fn new() -> Self {
        let path = bundled("Flowloop.clap");
        // SAFETY: the file is the plugin that this package built.
        let entry = unsafe { PluginEntry::load(path.to_str().unwrap()) }.unwrap();
        let info = HostInfo::new("Flowloop's tests", "Flowloop", "", "1").unwrap();
        let id = c"audio.flowloop.instrument";
        let (shared, main) = (Shared::default(), MainThread::default());
        let mut clack = PluginInstance::<Host>::new(|_| shared, |_| main, &entry, id, &info).unwrap();
        let handle = clack.plugin_handle();
        let params: PluginParams = handle.get_extension().unwrap();
        let named = (0..params.count(&handle)).map(|i| {
            let mut buffer = ParamInfoBuffer::new();
            let info = params.get_info(&handle, i, &mut buffer).unwrap();
            (String::from_utf8(info.name.to_vec()).unwrap(), info.id)
        });
        let ids = Rc::new(named.collect());
        Self { clack, ids }
    }

    /// A new instance that renders offline at the clips' rate.
    pub fn offline() -> (Self, Running) {
        let mut instance = Self::new();
        instance.render_mode(RenderMode::Offline);
        let running = instance.start(RATE);
        (instance, running)
    }

    pub fn id(&self, name: &str) -> ClapId {
        self.ids[name]
    }

    /// A parameter's value, to a thousandth: it is single precision in the plugin.
    pub fn value(&mut self, name: &str) -> f64 {
        let id = self.id(name);
        let handle = self.clack.plugin_handle();
        let params: PluginParams = handle.get_extension().unwrap();
        (params.get_value(&handle, id).unwrap() * 1000.0).round() / 1000.0
    }

    pub fn render_mode(&mut self, mode: RenderMode) {
        let handle = self.clack.plugin_handle();
        let render: PluginRender = handle.get_extension().unwrap();
        render.set(&handle, mode).unwrap();
    }

    pub fn save(&mut self) -> Vec<u8> {
        let handle = self.clack.plugin_handle();
        let state: PluginState = handle.get_extension().unwrap();
        let mut saved = Vec::new();
        state.save(&handle, &mut saved).unwrap();
        saved
    }

    pub fn load(&mut self, mut saved: &[u8]) {
        let handle = self.clack.plugin_handle();
        let state: PluginState = handle.get_extension().unwrap();
        state.load(&handle, &mut saved).unwrap();
    }

    pub fn start(&mut self, rate: f64) -> Running {
        let config =
            PluginAudioConfiguration { sample_rate: rate, min_frames_count: 1, max_frames_count: BLOCK as u32 };
        let processor = self.clack.activate(|_, _| (), config).unwrap().start_processing().unwrap();
        Running { processor, ids: (*self.ids).clone(), rate }
    }

    pub fn stop(&mut self, running: Running) {
        self.clack.deactivate(running.processor.stop_processing());
    }

    /// Does what the plugin asked to be done on the main thread. How often it said since it was made that
    /// the keys have other names.
    pub fn idle(&mut self) -> u32 {
        if self.clack.access_shared_handler(|s| s.callback.swap(false, Ordering::AcqRel)) {
            self.clack.call_on_main_thread_callback();
        }
        self.clack.access_handler(|h| h.renamed.get())
    }
}

/// What happens at a sample.
#[derive(Clone, Copy)]
pub enum Do {
    /// A parameter's value as CLAP counts it: steps from the start of the range, or 0 to 1.
    Set(&'static str, f64),
    /// A key goes down at full velocity; with the host's number of the note, if it has one.
    On(u16, Option<u32>),
    /// A key goes up.
    Off(u16),
    /// A MIDI message.
    Midi([u8; 3]),
}
use Do::*;

/// Asks for a seed, from 4 steps.
pub fn seed(seed: u32) -> [(usize, Do); 2] {
    [(0, Set("Seed", f64::from(seed))), (0, Set("Steps", 3.0))]
}

/// Asks for a seed, from 4 steps, and plays it at its own pitch.
pub fn note(number: u32) -> Vec<(usize, Do)> {
    let [first, second] = seed(number);
    vec![first, second, (0, On(60, None))]
}

/// Where the song is; in 4/4.
#[derive(Clone, Copy)]
pub struct Song {
    /// Quarter notes from the start.
    pub beats: f64,
    pub bpm: f64,
}

/// What came out: `[channel][sample]`, and the notes that ended, with sample, key and number.
pub struct Take {
    pub heard: [Vec<f32>; 2],
    pub ended: Vec<(usize, Match<u16>, Match<u32>)>,
}

/// An instance that processes; may be on a thread of its own.
pub struct Running {
    processor: StartedPluginAudioProcessor<Host>,
    ids: HashMap<String, ClapId>,
    rate: f64,
}

impl Running {
    /// Renders `samples` samples with the transport stopped.
    pub fn play(&mut self, script: &[(usize, Do)], samples: usize) -> Take {
        self.perform(script, samples, None)
    }

    /// Renders `samples` samples, with the song playing if there is one. The script is in order.
    pub fn perform(&mut self, script: &[(usize, Do)], samples: usize, song: Option<Song>) -> Take {
        let (mut inputs, mut outputs) = (AudioPorts::with_capacity(0, 0), AudioPorts::with_capacity(2, 1));
        let mut take = Take { heard: [Vec::new(), Vec::new()], ended: Vec::new() };
        for start in (0..samples).step_by(BLOCK) {
            let length = BLOCK.min(samples - start);
            let mut events = EventBuffer::new();
            for (at, what) in script.iter().filter(|(at, _)| (start..start + length).contains(at)) {
                self.push(&mut events, (at - start) as u32, *what);
            }
            let mut buffers = [[0f32; BLOCK]; 2];
            let mut port = outputs.with_output_buffers([AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_output_only(buffers.iter_mut().map(|b| &mut b[..length])),
            }]);
            let empty = inputs
                .with_input_buffers(std::iter::empty::<AudioPortBuffer<std::iter::Empty<_>, std::iter::Empty<_>>>());
            let transport = song.map(|s| transport(s.bpm, s.beats + start as f64 * s.bpm / 60.0 / self.rate));
            let mut told = EventBuffer::new();
            self.processor
                .process(&empty, &mut port, &events.as_input(), &mut told.as_output(), None, transport.as_ref())
                .unwrap();
            for (all, block) in take.heard.iter_mut().zip(&buffers) {
                all.extend_from_slice(&block[..length]);
            }
            for event in told.iter() {
                if let Some(CoreEventSpace::NoteEnd(end)) = event.as_core_event() {
                    take.ended.push((start + event.header().time() as usize, end.key(), end.note_id()));
                }
            }
        }
        take
    }

    fn push(&self, events: &mut EventBuffer, at: u32, what: Do) {
        let key = |key, id: Option<u32>| Pckn {
            note_id: id.map_or(Match::All, Match::Specific),
            ..Pckn::new(0u16, 0u16, key, Match::All)
        };
        match what {
            Set(name, value) => events.push(&ParamValueEvent::new(at, self.ids[name], Pckn::match_all(), value)),
            On(number, id) => events.push(&NoteOnEvent::new(at, key(number, id), 1.0)),
            Off(number) => events.push(&NoteOffEvent::new(at, key(number, None), 0.0)),
            Midi(data) => events.push(&MidiEvent::new(at, 0, data)),
        }
    }

    /// Lets sounding notes ring out.
    pub fn hush(&mut self) {
        self.play(&[(0, Off(60))], 10 * BLOCK);
    }
}

/// A song in 4/4.
fn transport(bpm: f64, beats: f64) -> TransportEvent {
    let none = (BeatTime::from_int(0), SecondsTime::from_int(0));
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE
            | TransportFlags::IS_PLAYING,
        song_pos_beats: BeatTime::from_float(beats),
        song_pos_seconds: none.1,
        tempo: bpm,
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

/// Samples of a WAV or FLAC file, `[channel][sample]`.
pub fn read(path: &std::path::Path) -> [Vec<f32>; 2] {
    flowloop::dataset::decode::decode(std::fs::read(path).unwrap()).unwrap().samples
}

/// Largest difference of what was heard from the clip at a full note's gain; a longer take goes round.
pub fn difference(heard: &[Vec<f32>; 2], clip: &[Vec<f32>; 2]) -> f64 {
    let channel = |(h, c): (&Vec<f32>, &Vec<f32>)| {
        let pairs = h.iter().zip(c.iter().cycle()).skip(SKIP);
        pairs.fold(0f32, |m, (h, c)| m.max((h - GAIN * c).abs()))
    };
    f64::from(heard.iter().zip(clip).map(channel).fold(0f32, f32::max))
}

/// How much what was heard is like a clip read `speed` times as fast as it was heard, 0 to 1. Both are compared
/// below the band's edge that both have.
pub fn likeness(heard: &[Vec<f32>; 2], clip: &[Vec<f32>; 2], speed: f64) -> f64 {
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for (heard, clip) in heard.iter().zip(clip) {
        for (at, h) in heard.iter().enumerate().skip(SKIP) {
            let (h, c) = (f64::from(*h), sinc_read(clip, at as f64 * speed, speed));
            (both, one, other) = (both + h * c, one + h * h, other + c * c);
        }
    }
    both / (one * other).sqrt().max(1e-12)
}

/// The clip's band-limited value at a place, which goes round.
fn sinc_read(clip: &[f32], place: f64, speed: f64) -> f64 {
    const REACH: i64 = 16;
    let cutoff = (1.0 / speed).min(1.0);
    let first = place.floor() as i64;
    let weigh = |i: i64| {
        let away = place - i as f64;
        let x = std::f64::consts::PI * away * cutoff;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (std::f64::consts::PI * away / (REACH as f64 + 1.0)).cos();
        cutoff * sinc * window * f64::from(clip[i.rem_euclid(clip.len() as i64) as usize])
    };
    (first - REACH + 1..=first + REACH).map(weigh).sum()
}
