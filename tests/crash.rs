//! Promise: a device that took the whole program with it is not tried again at the next launch.
#![cfg(all(feature = "plugin", unix))]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flowloop::clip::Clip;
use flowloop::engine::{Activity, Engine, Failure, Generate, Line, Load, Order, Progress, Request};
use flowloop::settings::Home;

/// Names the home folder of a process that is to crash.
const CRASH: &str = "FLOWLOOP_TEST_CRASH";

/// The devices that were tried; on any but the CPU the first clip ends the program.
#[derive(Clone, Default)]
struct Deadly(Arc<Mutex<Vec<String>>>);

impl Deadly {
    fn load(&self) -> Load {
        let devices = self.0.clone();
        Box::new(move |order: &Order| {
            devices.lock().unwrap().push(order.device.clone());
            Ok(Box::new(Running(order.device.clone())))
        })
    }
}

struct Running(String);

impl Generate for Running {
    fn generate(&mut self, request: &Request, _: &mut Progress<'_>) -> Result<Clip, Failure> {
        if self.0 != "cpu" {
            std::process::abort();
        }
        Ok(Clip {
            samples: [vec![0.5; 64], vec![0.5; 64]],
            sample_rate: 44_100,
            beats: request.beats,
            bpm: request.bpm(),
            provenance: None,
            hits: Vec::new(),
        })
    }
    fn device(&self) -> String {
        self.0.clone()
    }
    fn on_cpu(&self) -> bool {
        self.0 == "cpu"
    }
}

/// Asks for a clip and waits for it.
fn ask(line: &mut Line) -> bool {
    assert!(line.request(Request::new(1, 4, 0, 8, 120.0)));
    let start = Instant::now();
    loop {
        if let Some(delivery) = line.receive() {
            return delivery.clip.is_some();
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_cpu_is_used_after_a_crash() {
    if let Some(home) = std::env::var_os(CRASH) {
        let engine = Engine::start_in(Home::at(Path::new(&home)), Deadly::default().load());
        let (_session, mut line) = engine.open();
        ask(&mut line);
        panic!("it should have ended");
    }
    let home = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_string();
    let launch = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([&name, "--exact"]).env(CRASH, home.path()).output().unwrap()
    };
    let ran = launch();
    assert!(!ran.status.success() && ran.status.code().is_none(), "it ends by a signal: {ran:?}");
    let deadly = Deadly::default();
    let engine = Engine::start_in(Home::at(home.path()), deadly.load());
    let (session, mut line) = engine.open();
    assert!(ask(&mut line));
    assert_eq!(*deadly.0.lock().unwrap(), ["cpu"]);
    let status = session.status();
    assert_eq!((status.activity, status.device.as_str()), (Activity::Ready, "cpu"));
    let notice = status.notice.unwrap();
    assert!(notice.contains("the program ended") && notice.contains("goes on with the CPU"), "{notice}");
}
