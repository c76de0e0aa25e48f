//! What a frame of the window costs the host's GUI thread: built and tessellated, without the device that
//! draws it. Run by `cargo bench --bench editor`; prints the median, the 1st and the 99th percentile of
//! 1000 frames in milliseconds.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Context, Event, Pos2, RawInput, Rect, vec2};
use flowloop::clip::Clip;
use flowloop::editor::App;
use flowloop::engine::{Engine, Failure, Generate, Order, Progress, Request, Session};
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

fn main() {
    let engine = Engine::start(Box::new(|_: &Order| Ok(Box::new(Noise) as Box<dyn Generate>)));
    let (session, mut line) = engine.open();
    let session = Arc::new(session);
    let mut clips = Vec::new();
    for seed in 0..32 {
        assert!(line.request(Request::new(seed, 8, 0, 8, 120.0)));
        loop {
            if let Some(delivery) = line.receive() {
                clips.extend(delivery.clip);
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    for (size, scale) in [([1000.0, 680.0], 1.0), ([1000.0, 680.0], 2.0), ([1900.0, 1200.0], 2.0)] {
        for moving in [false, true] {
            measure(&session, clips.last().unwrap(), size, scale, moving);
        }
    }
}

/// A full history, a loop that plays; with the pointer resting or moving over everything.
fn measure(session: &Arc<Session>, clip: &Arc<Clip>, size: [f32; 2], scale: f32, moving: bool) {
    let monitor = Arc::new(Monitor::default());
    let params = Arc::new(FlowloopParams::new(session.clone()));
    let mut app = App::new(params, session.clone(), monitor.clone());
    let context = Context::default();
    context.set_pixels_per_point(scale);
    let mut times = Vec::new();
    for frame in 0..1100 {
        let playhead = Some(frame as f32 / 240.0 % 1.0);
        let clip = Arc::as_ptr(clip) as usize;
        monitor.tell(&Seen { playhead, clip, peak: 0.5, ..Monitor::default().look() });
        let place = |share: f32, of: f32| of * (share * frame as f32 % 1.0);
        let pointer = Event::PointerMoved(Pos2::new(place(0.013, size[0]), place(0.007, size[1])));
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(size[0], size[1]))),
            time: Some(frame as f64 / 30.0),
            events: if moving { vec![pointer] } else { Vec::new() },
            ..RawInput::default()
        };
        let start = Instant::now();
        let output = context.run_ui(input, |ui| app.frame(ui));
        let shapes = context.tessellate(output.shapes, output.pixels_per_point);
        let took = start.elapsed().as_secs_f64() * 1000.0;
        assert!(!shapes.is_empty());
        // The first frames lay out all text.
        if frame >= 100 {
            times.push(took);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    let pointer = if moving { "moving" } else { "resting" };
    println!(
        "{} x {} at {scale}, pointer {pointer}: {:.2} ms (1 %: {:.2}, 99 %: {:.2})",
        size[0],
        size[1],
        at(0.5),
        at(0.01),
        at(0.99)
    );
}
