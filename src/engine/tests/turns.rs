//! The engine with a generator that needs no net.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// Every step takes a moment; the clip's samples are its seed.
struct Slow {
    step: Duration,
    runs: Arc<AtomicU32>,
    dies_at: Option<u64>,
}

impl Generate for Slow {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        if self.dies_at == Some(request.seed) {
            return Err(Failure::Device("the device is lost".into()));
        }
        for step in 0..request.steps {
            if progress(step, request.steps) == ControlFlow::Break(()) {
                return Err(Failure::Cancelled);
            }
            std::thread::sleep(self.step);
        }
        self.runs.fetch_add(1, Ordering::Relaxed);
        let samples = vec![request.seed as f32; 64];
        Ok(Clip {
            samples: [samples.clone(), samples],
            sample_rate: 44_100,
            beats: request.beats,
            bpm: request.bpm(),
            provenance: None,
            hits: Vec::new(),
        })
    }

    fn device(&self) -> String {
        "test".into()
    }
}

fn engine(dies_at: Option<u64>) -> (Arc<Engine>, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counter = runs.clone();
    let load: Load = Box::new(move |fallback| {
        let dies_at = if fallback { None } else { dies_at };
        Ok(Box::new(Slow { step: Duration::from_millis(2), runs: counter.clone(), dies_at }))
    });
    (Engine::start(load), runs)
}

fn wait(line: &mut Line, request: Request) -> Delivery {
    let start = Instant::now();
    loop {
        match line.receive() {
            Some(delivery) if delivery.request == request => return delivery,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no delivery of {request:?}");
    }
}

fn of(seed: u64) -> Request {
    Request::new(seed, 8, 0, 8, 120.0)
}

#[test]
fn ramp_ends_on_last_seed() {
    let (engine, runs) = engine(None);
    let (_session, mut line) = engine.open();
    for seed in 0..1000 {
        while !line.request(of(seed)) {
            std::thread::yield_now();
        }
    }
    assert_eq!(wait(&mut line, of(999)).clip.unwrap().samples[0][0], 999.0);
    assert!(runs.load(Ordering::Relaxed) < 100, "stale runs are cancelled");
}

#[test]
fn seed_heard_before_comes_from_the_cache() {
    let (engine, runs) = engine(None);
    let (session, mut line) = engine.open();
    let mut clips = Vec::new();
    for seed in [1, 2, 1] {
        assert!(line.request(of(seed)));
        clips.push(wait(&mut line, of(seed)).clip.unwrap());
    }
    assert!(Arc::ptr_eq(&clips[0], &clips[2]));
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(session.status().seconds, None);
}

#[test]
fn sessions_take_turns_and_outlive_each_other() {
    let (engine, _) = engine(None);
    let mut open: Vec<_> = (0..10).map(|_| engine.open()).collect();
    for (i, (_, line)) in open.iter_mut().enumerate() {
        assert!(line.request(of(i as u64)));
    }
    drop(open.remove(3));
    for (i, (_, line)) in (0..10).filter(|i| *i != 3).zip(open.iter_mut()) {
        assert_eq!(wait(line, of(i)).clip.unwrap().samples[0][0], i as f32);
    }
}

#[test]
fn dead_device_gives_way_and_loses_nothing() {
    let (engine, _) = engine(Some(7));
    let (session, mut line) = engine.open();
    for seed in [6, 7] {
        assert!(line.request(of(seed)));
        assert_eq!(wait(&mut line, of(seed)).clip.unwrap().samples[0][0], seed as f32);
    }
    assert_eq!(session.status().activity, Activity::Ready);
}

#[test]
fn model_that_cannot_be_loaded_is_named_and_tried_once() {
    let tries = Arc::new(AtomicU32::new(0));
    let counter = tries.clone();
    let engine = Engine::start(Box::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Err("the file is damaged".into())
    }));
    let (session, mut line) = engine.open();
    for seed in [1, 2] {
        assert!(line.request(of(seed)));
        assert!(wait(&mut line, of(seed)).clip.is_none());
    }
    assert_eq!(session.status().activity, Activity::Failed("the file is damaged".into()));
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[test]
fn last_session_joins_the_thread_in_mid_run() {
    let (engine, _) = engine(None);
    let (session, mut line) = engine.open();
    assert!(line.request(Request::new(1, 10_000, 0, 8, 120.0)));
    std::thread::sleep(Duration::from_millis(20));
    let alive = Arc::downgrade(&engine);
    let start = Instant::now();
    drop((session, engine));
    assert!(alive.upgrade().is_none() && start.elapsed() < Duration::from_secs(2));
}

#[test]
fn restored_clip_answers_its_request_without_a_model() {
    let engine = Engine::start(Box::new(|_| Err("there is no model".into())));
    let (session, mut line) = engine.open();
    let samples = vec![0.25; 64];
    let clip = Clip {
        samples: [samples.clone(), samples],
        sample_rate: 44_100,
        beats: 8,
        bpm: 120.0,
        provenance: None,
        hits: Vec::new(),
    };
    session.restore(of(5), Arc::new(clip.clone()));
    assert_eq!(wait(&mut line, of(5)).clip.as_deref(), Some(&clip), "at once");
    for (seed, expected) in [(6, None), (5, Some(&clip))] {
        assert!(line.request(of(seed)));
        assert_eq!(wait(&mut line, of(seed)).clip.as_deref(), expected);
    }
    assert_eq!(session.status().request, Some(of(5)));
}
