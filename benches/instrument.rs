//! The instrument as a host sees it: `process()` through CLAP, 64 samples at 48 kHz at a time (elements are samples:
//! real time is 48 thousand a second), and the time from a changed seed to the clip that plays. Run by
//! `cargo bench --bench instrument`.

mod subjects;

use std::time::{Duration, Instant};

use clack_host::events::event_types::NoteOnEvent;
use clack_host::prelude::*;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flowloop::engine::{Engine, Line, Request, generator};
use flowloop::playback::{Player, Settings, VOICES};
use flowloop::settings::Home;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 64;

struct Host;
struct Shared;
struct MainThread;

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {}
}

impl MainThreadHandler<'_> for MainThread {}

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();
}

/// `process()` without notes and with as many as there are voices, of the built-in model's first clip.
fn process(c: &mut Criterion) {
    // SAFETY: it is the library's own entry, and lives as long as the program.
    let entry = unsafe { PluginEntry::load_from_raw(&flowloop::plugin::clap_entry, c"") }.expect("an entry");
    let info = HostInfo::new("Flowloop's benches", "Flowloop", "", "1").expect("plain words");
    let id = c"audio.flowloop.instrument";
    let mut plugin = PluginInstance::<Host>::new(|_| Shared, |_| MainThread, &entry, id, &info).expect("an instance");
    let config = PluginAudioConfiguration { sample_rate: RATE, min_frames_count: 1, max_frames_count: BLOCK as u32 };
    let mut processor = plugin.activate(|_, _| (), config).unwrap().start_processing().expect("it processes");
    let (mut inputs, mut outputs) = (AudioPorts::with_capacity(0, 0), AudioPorts::with_capacity(2, 1));
    let mut buffers = [[0f32; BLOCK]; 2];
    let mut block = |events: &EventBuffer| {
        let channels = AudioPortBufferType::f32_output_only(buffers.iter_mut().map(|b| &mut b[..]));
        let mut port = outputs.with_output_buffers([AudioPortBuffer { latency: 0, channels }]);
        let none =
            inputs.with_input_buffers(std::iter::empty::<AudioPortBuffer<std::iter::Empty<_>, std::iter::Empty<_>>>());
        let mut told = EventBuffer::new();
        processor.process(&none, &mut port, &events.as_input(), &mut told.as_output(), None, None).expect("a block");
        buffers.iter().flatten().any(|s| *s != 0.0)
    };
    let (quiet, mut chord) = (EventBuffer::new(), EventBuffer::new());
    for voice in 0..VOICES as u16 {
        chord.push(&NoteOnEvent::new(0, Pckn::new(0u16, 0u16, 52 + voice, u32::from(voice)), 0.8));
    }
    let mut group = c.benchmark_group("process()");
    group.throughput(Throughput::Elements(BLOCK as u64));
    group.bench_function("no voice", |b| b.iter(|| block(&quiet)));
    // Until the clip is there and sounds.
    let start = Instant::now();
    block(&chord);
    while !block(&quiet) {
        assert!(start.elapsed() < Duration::from_secs(60), "no clip came");
        std::thread::sleep(Duration::from_millis(1));
    }
    group.bench_function("16 voices, each its own pitch", |b| b.iter(|| block(&quiet)));
    group.finish();
    plugin.deactivate(processor.stop_processing());
}

/// An engine with the built-in model on the CPU, and a player, joined as the audio thread joins them.
struct Pair {
    line: Line,
    player: Player,
}

impl Pair {
    /// Asks for a seed and renders blocks until its clip plays.
    fn change(&mut self, seed: u64) {
        let (mut left, mut right) = ([0f32; BLOCK], [0f32; BLOCK]);
        let before = self.player.playing().map(std::sync::Arc::as_ptr);
        assert!(self.line.request(Request::new(seed, 8, 0, 8, 120.0)));
        while self.player.playing().map(std::sync::Arc::as_ptr) == before {
            while let Some(clip) = self.player.spent() {
                let _ = self.line.spent.push(clip);
            }
            while let Some(delivery) = self.line.receive() {
                self.player.swap(delivery.clip.expect("a clip"));
            }
            self.player.render(&Settings::default(), None, &mut left, &mut right);
            // The audio thread sleeps between blocks too.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

fn seeds(c: &mut Criterion) {
    // SAFETY: no other thread reads the environment yet.
    unsafe { std::env::set_var("FLOWLOOP_DEVICE", "cpu") };
    let engine = Engine::start_in(Home::of_user(), Box::new(generator));
    let (_session, line) = engine.open();
    let mut pair = Pair { line, player: Player::new(RATE) };
    let mut seed = 0;
    pair.change(seed);
    let mut group = c.benchmark_group("from a seed to its clip, 8 steps, 8 beats");
    group.bench_function("a new seed", |b| {
        b.iter(|| {
            seed += 100;
            pair.change(seed);
        });
    });
    group.bench_function("the next seed, made ready before", |b| {
        b.iter_batched(
            || std::thread::sleep(Duration::from_millis(800)),
            |()| {
                seed += 1;
                pair.change(seed);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! { name = benches; config = subjects::few(); targets = seeds, process }
criterion_main!(benches);
