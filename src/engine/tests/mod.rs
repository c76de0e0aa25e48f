//! The engine with generators that need no net.

mod devices;
mod models;
mod quiet;
mod requests;
mod turns;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::*;

/// What a generator does instead of a clip, when it does; it may panic.
type Trouble = dyn Fn(&Order, &Request) -> Result<(), Failure> + Send + Sync;
/// The same of loading one.
type LoadTrouble = dyn Fn(&Order) -> Result<(), Failure> + Send + Sync;

/// Generators whose steps take a moment and whose clips' samples are their seeds; and what was asked of
/// them.
#[derive(Clone)]
struct Fake {
    loads: Arc<Mutex<Vec<Order>>>,
    runs: Arc<Mutex<Vec<Request>>>,
    load_trouble: Arc<LoadTrouble>,
    trouble: Arc<Trouble>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            loads: Arc::default(),
            runs: Arc::default(),
            load_trouble: Arc::new(|_| Ok(())),
            trouble: Arc::new(|_, _| Ok(())),
        }
    }
}

impl Fake {
    /// One that fails while it generates.
    fn with(trouble: impl Fn(&Order, &Request) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { trouble: Arc::new(trouble), ..Self::default() }
    }

    /// One that fails while it is loaded.
    fn loading(trouble: impl Fn(&Order) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { load_trouble: Arc::new(trouble), ..Self::default() }
    }

    fn engine(&self) -> Arc<Engine> {
        self.engine_in(Home::nowhere())
    }

    fn engine_in(&self, home: Home) -> Arc<Engine> {
        let fake = self.clone();
        let load = move |order: &Order| {
            fake.loads.lock().unwrap().push(order.clone());
            (fake.load_trouble)(order)?;
            Ok(Box::new(Running { fake: fake.clone(), order: order.clone() }) as Box<dyn Generate>)
        };
        Engine::start_in(home, Box::new(load))
    }

    /// Devices that were loaded onto, in order.
    fn devices(&self) -> Vec<String> {
        self.loads.lock().unwrap().iter().map(|o| o.device.clone()).collect()
    }

    /// What was generated to the end.
    fn runs(&self) -> Vec<Request> {
        self.runs.lock().unwrap().clone()
    }
}

struct Running {
    fake: Fake,
    order: Order,
}

impl Generate for Running {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        (self.fake.trouble)(&self.order, request)?;
        for step in 0..request.steps {
            if progress(step, request.steps) == ControlFlow::Break(()) {
                return Err(Failure::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.fake.runs.lock().unwrap().push(*request);
        Ok(clip(request.seed as f32))
    }

    fn device(&self) -> String {
        format!("fake {}", self.order.device)
    }

    fn on_cpu(&self) -> bool {
        self.order.device == "cpu"
    }
}

fn clip(value: f32) -> Clip {
    let samples = vec![value; 64];
    Clip {
        samples: [samples.clone(), samples],
        sample_rate: 44_100,
        beats: 8,
        bpm: 120.0,
        provenance: None,
        hits: Vec::new(),
    }
}

fn of(seed: u64) -> Request {
    Request::new(seed, 8, 0, 8, 120.0)
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} has not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn wait(line: &mut Line, request: Request) -> Delivery {
    let mut found = None;
    until(&format!("the delivery of {request:?}"), || {
        found = line.receive().filter(|d| d.request == request);
        found.is_some()
    });
    found.unwrap()
}

/// Asks and waits; the clip's value, None when it failed.
#[track_caller]
fn ask(line: &mut Line, request: Request) -> Option<f32> {
    assert!(line.request(request));
    wait(line, request).clip.map(|clip| clip.samples[0][0])
}

#[track_caller]
fn failure(session: &Session) -> String {
    match session.status().activity {
        Activity::Failed(message) => message,
        other => panic!("{other:?} instead of a failure"),
    }
}
