//! Promise: another machine's device is a device like the others. Two processes on this machine: loops come out
//! the same, models are learnt, several devices learn what one does; and a server that goes away takes nothing
//! with it.
#![cfg(all(feature = "plugin", feature = "companion", target_os = "linux"))]

mod companion;

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use companion::{command, drum_folder, fails, finish, run, text, works};
use flowloop::clip::Clip;
use flowloop::device::{self, DeviceError};
use flowloop::engine::{Activity, Engine, Line, Request, generator};
use flowloop::flow::{Condition, solver};
use flowloop::model::{Generator, Job, Model, embedded_model};
use flowloop::random::Philox;
use flowloop::settings::Home;

/// `flowloop serve` in a process of its own, which ends with the test.
struct Server {
    child: Child,
    /// `host:port`.
    address: String,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&["--bind", "127.0.0.1:0"], None)
    }

    fn start_with(more: &[&str], token: Option<&str>) -> Self {
        let mut command = command(&[&["serve", "--device", "cpu"], more].concat());
        command.env_remove("FLOWLOOP_TOKEN").stdout(Stdio::piped());
        if let Some(token) = token {
            command.env("FLOWLOOP_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("it says what it serves").unwrap();
        // What else it says is read so that it may go on.
        std::thread::spawn(move || lines.for_each(drop));
        let address = line.rsplit_once("remote:").unwrap_or_else(|| panic!("{line}")).1;
        let address = address.trim_start_matches("TOKEN@").to_string();
        assert!(line.contains("CPU") && address.starts_with("127.0.0.1:"), "{line}");
        Self { child, address }
    }

    fn device(&self) -> String {
        format!("remote:{}", self.address)
    }

    /// As a machine that fell asleep: connections stand, nobody answers.
    fn halt(&self) {
        // SAFETY: a call with plain numbers; the child has not been waited for, so its number is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGSTOP) }, 0);
    }

    /// As a crash or a lost machine would.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address where nothing listens.
fn nowhere() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn made(generator: &mut Generator) -> Clip {
    let job = Job { seed: 7, steps: 4, beats: 4, bpm: 140.0, label: Some(1), guidance: 150, ..Job::default() };
    generator.generate(&job, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

/// Standardised latents of a loop of 8 beats.
fn latents(generator: &Generator) -> Vec<f32> {
    let shape = [1, generator.model().header.net.channels, 64];
    let conditions = [Condition { label: Some(1), ..Condition::any(120.0) }];
    let path = solver::Path::new(8, &conditions);
    let noise = Philox::new(7, 0).normals(shape.iter().product());
    generator.sample(noise, shape, solver::Solver::Euler, path, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_loop_is_the_same_as_here() {
    let server = Server::start();
    let there = device::choose(&server.device()).unwrap();
    assert_eq!((&there.id, &there.name), (&server.device(), &server.address));
    let model = embedded_model().unwrap();
    let mut remote = Generator::new(model.clone(), &there).unwrap();
    let clip = made(&mut remote);
    let here = Generator::burn(model, &device::cpu()).unwrap();
    let apart = latents(&remote).iter().zip(latents(&here)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Their size is about 1.
    assert!(apart < 1e-5, "{apart}");
    assert!(clip == made(&mut remote), "and the same again, to the bit");
    let folder = tempfile::tempdir().unwrap();
    let label = &remote.model().header.labels[1];
    let written = |name: &str| {
        let path = folder.path().join(name);
        let job = ["--seed", "7", "--steps", "4", "--bars", "1", "--bpm", "140", "--label", label, "--guidance", "1.5"];
        works(&[&["generate", "--device", &server.device(), "-o", text(&path)], &job[..]].concat());
        std::fs::read(path).unwrap()
    };
    let expected = folder.path().join("expected.wav");
    flowloop::wav::write(&expected, &clip).unwrap();
    assert!(written("a.wav") == std::fs::read(expected).unwrap(), "the companion's is another one");
}

/// A short training on few loops; its model and what it said.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        drum_folder(&folder.path().join("loops"), 12);
        Self { folder }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self, output: &Path, device: &str, steps: &str) -> Vec<String> {
        let loops = self.folder.path().join("loops");
        let args = ["train", text(&loops), "-o", text(output), "--device", device, "--steps", steps, "--every", "5"];
        let more =
            ["--widths", "32,32", "--stem", "32", "--batch", "5", "--validation", "0.2", "--learning-rate", "4e-3"];
        args.iter().chain(&more).map(|a| a.to_string()).collect()
    }

    fn trained(&self, name: &str, device: &str, steps: &str) -> (Model, String) {
        let output = self.output(name);
        let args = self.args(&output, device, steps);
        let said = works(&args.iter().map(String::as_str).collect::<Vec<_>>());
        (Model::load(&output).unwrap(), said)
    }
}

/// Losses of a training's lines, of what it learned from and of what it is judged by.
fn losses(said: &str) -> Vec<[f32; 2]> {
    let lines = said.lines().filter_map(|l| l.strip_prefix("step ")?.split_once("loss "));
    lines
        .map(|(_, rest)| {
            let mut parts = rest.split(", ").map(|part| part.trim_start_matches("validation "));
            [(); 2].map(|()| parts.next().unwrap().parse().unwrap())
        })
        .collect()
}

/// The largest difference of two models' weights.
fn apart(a: &Model, b: &Model) -> f32 {
    assert_eq!(a.weights.len(), b.weights.len());
    let both = a.weights.iter().flat_map(|(name, weight)| weight.values.iter().zip(&b.weights[name].values));
    both.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_training_there_and_one_that_is_shared_learn_what_one_here_does() {
    let place = Place::new();
    let [first, second] = [Server::start(), Server::start()];
    let (here, said) = place.trained("here.flow", "cpu", "30");
    let expected = losses(&said);
    assert!(expected.len() == 8 && expected[7][1] < 0.95 * expected[0][1], "{expected:?}");
    let shared = format!("cpu,{},{}", first.device(), second.device());
    for (name, device) in [("there.flow", first.device()), ("shared.flow", shared)] {
        let (model, said) = place.trained(name, &device, "30");
        let found = losses(&said);
        let near = |(a, b): (&[f32; 2], &[f32; 2])| (0..2).all(|i| (a[i] - b[i]).abs() < 1e-3);
        assert!(
            found.len() == expected.len() && found.iter().zip(&expected).all(near),
            "{device}: {found:?} {expected:?}"
        );
        // Models keep 16 bits of each weight.
        assert!(apart(&model, &here) < 1e-3, "{device}: {}", apart(&model, &here));
        assert!(!model.drift.is_empty(), "what it makes was measured there too");
    }
}

#[test]
fn a_training_whose_server_goes_away_keeps_its_checkpoint() {
    let place = Place::new();
    let mut server = Server::start();
    let output = place.output("lost.flow");
    let args = place.args(&output, &server.device(), "1000000");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let steps = || std::fs::read_dir(output.with_file_name("lost.flow.checkpoint")).into_iter().flatten().flatten();
    while !steps().any(|e| e.file_name() == "step-10") {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.kill();
    let ran = finish(child);
    assert!(ran.code == Some(1) && ran.stderr.lines().count() == 1, "{ran:?}");
    for part in ["error: the connection to", "was lost", "What was learnt up to step", "run the same command"] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    let kept: u64 = ran.stderr.split("up to step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let (model, said) = place.trained("lost.flow", "cpu", &(kept + 1).to_string());
    assert!(said.contains(&format!("going on from step {kept}")), "{said}");
    assert_eq!(model.header.trained_steps, kept + 1);
}

/// Asks for a clip and waits for it.
#[track_caller]
fn ask(line: &mut Line, seed: u64) -> Arc<Clip> {
    let request = Request::new(seed, 4, 0, 4, 140.0);
    assert!(line.request(request));
    let begun = Instant::now();
    loop {
        if let Some(delivery) = line.receive().filter(|d| d.request == request.normalised()) {
            return delivery.clip.expect("a clip");
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the clip of seed {seed} has not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_engine_goes_on_without_its_server_and_takes_it_back() {
    let mut server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    home.keep_device(&server.device()).unwrap();
    let engine = Engine::start_in(home.clone(), Box::new(generator));
    let (session, mut line) = engine.open();
    ask(&mut line, 1);
    let status = session.status();
    assert_eq!((status.notice, status.activity), (None, Activity::Ready));
    assert!(status.device.contains(&server.address), "{}", status.device);
    server.kill();
    // Far from what was prepared.
    ask(&mut line, 500);
    let status = session.status();
    let notice = status.notice.unwrap();
    assert!(notice.contains(&server.address) && notice.contains("flowloop serve"), "{notice}");
    assert!(notice.ends_with("going on with the CPU"), "{notice}");
    assert_eq!((status.device.as_str(), status.activity), ("CPU", Activity::Ready));
    // The same address is served again.
    let again = Server::start_with(&["--bind", &server.address], None);
    assert_eq!(again.address, server.address);
    session.retry();
    ask(&mut line, 900);
    let status = session.status();
    assert!(
        status.device.contains(&server.address) && status.notice.is_none(),
        "{} {:?}",
        status.device,
        status.notice
    );
    assert!(
        !folder.path().join("trials").exists() || std::fs::read_dir(folder.path().join("trials")).unwrap().count() == 0
    );
}

#[test]
fn an_engine_ends_although_its_server_sleeps() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    home.keep_device(&server.device()).unwrap();
    let engine = Engine::start_in(home, Box::new(generator));
    let (session, mut line) = engine.open();
    ask(&mut line, 1);
    server.halt();
    assert!(line.request(Request::new(500, 4, 0, 4, 140.0)));
    let begun = Instant::now();
    while !matches!(session.status().activity, Activity::Generating(..)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", session.status().activity);
        std::thread::sleep(Duration::from_millis(1));
    }
    let begun = Instant::now();
    drop((session, line, engine));
    // A server that does not answer is otherwise given up after 30 seconds.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn what_is_not_there_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("a.wav");
    let generate = |device: &str, parts: &[&str]| {
        fails(&["generate", "--device", device, "-o", text(&wav)], parts);
        assert!(!wav.exists());
    };
    let address = nowhere();
    let begun = Instant::now();
    generate(&format!("remote:{address}"), &["no device is served at", &address, "refused", "flowloop serve"]);
    // Burn alone would try for 16 seconds.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    generate("remote:", &["remote:HOST:PORT"]);
    generate("remote:127.0.0.1:http", &["remote:HOST:PORT"]);
    fails(&["serve", "--device", "cpu", "--bind", "nonsense"], &["--bind", "HOST:PORT"]);
    fails(&["serve", "--device", "cpu", "--bind", "192.0.2.1:3000"], &["no address of this machine"]);
    fails(&["serve", "--device", "remote:studio"], &["its own machine"]);
    fails(&["serve", "--device", "cpu", "--token", ""], &["--token is empty"]);
}

#[test]
fn a_server_says_whom_and_what_it_serves() {
    let server = Server::start_with(&["--bind", "127.0.0.1:0"], Some("open sesame"));
    let at = |token: &str, more: &str| device::choose(&format!("remote:{token}{}{more}", server.address));
    assert!(matches!(at("", ""), Err(DeviceError::Token(_))));
    assert!(matches!(at("wrong@", ""), Err(DeviceError::Token(_))));
    assert!(matches!(at("open sesame@", "/1"), Err(DeviceError::Index { index: 1, count: 1, .. })));
    assert!(at("open sesame@", "").is_ok());
    fails(&["serve", "--device", "cpu", "--bind", &server.address], &["in use", "--bind"]);
    // The environment's token does as well, and the plugin keeps its address.
    let folder = tempfile::tempdir().unwrap();
    let devices = |more: &[&str]| {
        let mut command = command(&[&["devices"], more].concat());
        command.env("FLOWLOOP_HOME", folder.path()).env("FLOWLOOP_TOKEN", "open sesame").env_remove("FLOWLOOP_DEVICE");
        finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let used = devices(&["--use", &server.device()]);
    assert!(used.code == Some(0) && used.stdout.contains(&server.device()), "{used:?}");
    assert_eq!(Home::at(folder.path()).device(), server.device());
    let listed = devices(&[]);
    assert!(listed.stdout.contains(&format!("the plugin uses {}", server.device())), "{listed:?}");
    let line = listed.stdout.lines().find(|l| l.starts_with("remote:")).unwrap();
    assert!(line.contains(&server.address) && !line.contains("auto"), "auto is of this machine: {line}");
    drop(server);
    let listed = devices(&[]);
    assert!(listed.code == Some(0) && listed.stdout.contains("goes on with the CPU"), "{listed:?}");
    assert_eq!(run(&["serve", "--help"]).code, Some(0));
}
