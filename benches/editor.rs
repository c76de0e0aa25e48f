//! What a frame of the window costs the host's GUI thread: built and tessellated, without the device that draws it,
//! with a full history and a loop that plays. Run by `cargo bench --bench editor`.

mod subjects;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use egui::{Context, Event, Pos2, RawInput, Rect, vec2};
use flowloop::clip::Clip;
use flowloop::editor::App;
use flowloop::engine::{Engine, Failure, Generate, HISTORY, Order, Progress, Request, Session};
use flowloop::plugin::{FlowloopParams, Monitor, Seen};
use flowloop::random::Philox;

/// Makes noise with hits on the beats.
struct Noise;

impl Generate for Noise {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        if progress(request.steps, request.steps) == ControlFlow::Break(()) {
            return Err(Failure::Cancelled);
        }
        let length = Clip::length(request.beats, request.bpm(), 44_100);
        let beat = length / request.beats as usize;
        let noise = Philox::new(request.seed, 0).normals(length);
        let wave = noise.iter().enumerate().map(|(i, n)| 0.3 * n * (-((i % beat) as f32) / 3000.0).exp());
        let wave: Vec<f32> = wave.collect();
        let samples = [wave.clone(), wave];
        let (beats, bpm) = (request.beats, request.bpm());
        Ok(Clip { samples, sample_rate: 44_100, beats, bpm, provenance: None, hits: Vec::new() })
    }

    fn device(&self) -> String {
        "noise".into()
    }
}

fn frames(c: &mut Criterion) {
    let engine = Engine::start(Box::new(|_: &Order| Ok(Box::new(Noise) as Box<dyn Generate>)));
    let (session, mut line) = engine.open();
    let session = Arc::new(session);
    let mut last = None;
    for seed in 0..HISTORY as u64 {
        assert!(line.request(Request::new(seed, 8, 0, 8, 120.0)));
        loop {
            if let Some(delivery) = line.receive() {
                last = delivery.clip;
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // What the engine prepares on its own would disturb.
    std::thread::sleep(Duration::from_millis(300));
    let clip = last.expect("the last seed has a clip");
    let mut group = c.benchmark_group("a frame of the window");
    for (size, scale) in [([1000.0, 680.0], 1.0), ([1000.0, 680.0], 2.0), ([1900.0, 1200.0], 2.0)] {
        for pointer in ["resting", "moving"] {
            let mut window = Window::new(&session, &clip, size, scale, pointer == "moving");
            // The first frames lay out all text.
            (0..100).for_each(|_| window.frame());
            let name = format!("{} x {} at {scale}, pointer {pointer}", size[0], size[1]);
            group.bench_function(name, |b| b.iter(|| window.frame()));
        }
    }
    group.finish();
}

struct Window {
    app: App,
    monitor: Arc<Monitor>,
    context: Context,
    clip: usize,
    size: [f32; 2],
    moving: bool,
    frames: u32,
}

impl Window {
    fn new(session: &Arc<Session>, clip: &Arc<Clip>, size: [f32; 2], scale: f32, moving: bool) -> Self {
        let monitor = Arc::new(Monitor::default());
        let params = Arc::new(FlowloopParams::new(session.clone()));
        let app = App::new(params, session.clone(), monitor.clone());
        let context = Context::default();
        context.set_pixels_per_point(scale);
        Self { app, monitor, context, clip: Arc::as_ptr(clip) as usize, size, moving, frames: 0 }
    }

    /// The next frame, with the pointer resting or moving over everything.
    fn frame(&mut self) {
        self.frames += 1;
        let (frame, [width, height]) = (self.frames as f32, self.size);
        let playhead = Some(frame / 240.0 % 1.0);
        self.monitor.tell(&Seen { playhead, clip: self.clip, peak: 0.5, ..Monitor::default().look() });
        let place = |share: f32, of: f32| of * (share * frame % 1.0);
        let pointer = Event::PointerMoved(Pos2::new(place(0.013, width), place(0.007, height)));
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(width, height))),
            time: Some(f64::from(self.frames) / 30.0),
            events: if self.moving { vec![pointer] } else { Vec::new() },
            ..RawInput::default()
        };
        let app = &mut self.app;
        let output = self.context.run_ui(input, |ui| app.frame(ui));
        assert!(!self.context.tessellate(output.shapes, output.pixels_per_point).is_empty());
    }
}

criterion_group! { name = benches; config = subjects::many(); targets = frames }
criterion_main!(benches);
