//! Promise: what is done in the window is what the host and the engine hear of, and nothing else; each
//! edit is begun, made and ended.
#![cfg(feature = "plugin")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use egui::{Key, Pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use flowloop::clip::Clip;
use flowloop::editor::App;
use flowloop::engine::{Audition, Engine, Failure, Generate, Line, Order, Progress, Request, SavedModel, Session};
use flowloop::model::{Model, Precision, embedded_model};
use flowloop::plugin::{FlowloopParams, Monitor, Seen};
use flowloop::settings::Home;
use flowloop::wav;
use nice_plug::context::PluginApi;
use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::PluginState;

/// A host that does at once what the window asks for, and notes it.
#[derive(Default)]
struct Host(Mutex<Vec<(&'static str, String, f32)>>);

impl Host {
    fn note(&self, what: &'static str, param: ParamPtr, value: f32) {
        // SAFETY: the parameters live as long as the test's window.
        let name = unsafe { param.name().to_string() };
        self.0.lock().unwrap().push((what, name, value));
    }

    /// What was noted since the last look.
    fn heard(&self) -> Vec<(&'static str, String, f32)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl GuiContextInner for Host {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }
    unsafe fn raw_begin_set_parameter(&self, param: ParamPtr) {
        self.note("begin", param, 0.0);
    }
    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, value: f32) {
        self.note("set", param, value);
        // SAFETY: as above.
        unsafe { param._internal_set_normalized_value(value) };
    }
    unsafe fn raw_end_set_parameter(&self, param: ParamPtr) {
        self.note("end", param, 0.0);
    }
    fn get_state(&self) -> PluginState {
        unimplemented!("the window keeps no state")
    }
    fn set_state(&self, _: PluginState) {}
    fn request_restart(&self) {}
}

/// Makes clips whose level is their seed's; seed 13 cannot be made.
struct Levels;

impl Generate for Levels {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        for step in 1..=request.steps {
            if progress(step, request.steps) == ControlFlow::Break(()) {
                return Err(Failure::Cancelled);
            }
        }
        if request.seed == 13 {
            return Err(Failure::Refused("seed 13 is unlucky; take another".into()));
        }
        let samples = vec![request.seed as f32 / 10_000.0; 44_100];
        let samples = [samples.clone(), samples];
        Ok(Clip { samples, sample_rate: 44_100, beats: 2, bpm: 120.0, provenance: None, hits: vec![0, 22_050] })
    }

    fn device(&self) -> String {
        "a test".into()
    }
}

/// A window with its host, its engine and an audio thread that is driven by hand.
struct Window {
    window: Harness<'static, App>,
    params: Arc<FlowloopParams>,
    session: Arc<Session>,
    line: Line,
    monitor: Arc<Monitor>,
    host: Arc<Host>,
    /// What plays.
    clip: Option<Arc<Clip>>,
}

impl Window {
    fn open() -> Self {
        Self::open_in(Home::nowhere())
    }

    fn open_in(home: Home) -> Self {
        let engine = Engine::start_in(home, Box::new(|_: &Order| Ok(Box::new(Levels) as Box<dyn Generate>)));
        let (session, line) = engine.open();
        let session = Arc::new(session);
        let params = Arc::new(FlowloopParams::new(session.clone()));
        let (monitor, host) = (Arc::new(Monitor::default()), Arc::new(Host::default()));
        let app = App::new(params.clone(), session.clone(), monitor.clone());
        let builder = Harness::builder().with_size(vec2(1000.0, 680.0)).with_step_dt(0.05);
        let mut window = builder.build_ui_state(|ui, app: &mut App| app.frame(ui), app);
        let context = window.ctx.clone();
        window.state_mut().open(&context, GuiContext::new(host.clone()));
        let mut window = Self { window, params, session, line, monitor, host, clip: None };
        window.frames(3);
        window
    }

    fn frames(&mut self, count: usize) {
        self.window.run_steps(count);
    }

    /// What an audio thread would: asks for a clip, waits, plays it and says so.
    fn play(&mut self, seed: u64) -> Request {
        let request = Request { model: self.session.model(), ..Request::new(seed, 8, 0, 8, 120.0) };
        assert!(self.line.request(request));
        let (start, mut found) = (Instant::now(), None);
        while found.is_none() {
            found = self.line.receive().filter(|d| d.request == request);
            assert!(start.elapsed() < Duration::from_secs(20), "the clip has not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        let clip = found.unwrap().clip;
        if let Some(old) = std::mem::replace(&mut self.clip, clip) {
            let _ = self.line.spent.push(old);
        }
        self.block(Some(0.25));
        request
    }

    fn block(&mut self, playhead: Option<f32>) {
        let clip = self.clip.as_ref().map_or(0, |clip| Arc::as_ptr(clip) as usize);
        let still = self.monitor.look();
        self.monitor.tell(&Seen { playhead, clip, peak: 0.5, ..still });
        self.frames(2);
    }

    fn click(&mut self, label: &str) {
        self.window.get_by_label(label).click();
        self.frames(2);
    }

    fn middle_of(&self, label: &str) -> Pos2 {
        self.window.get_by_label(label).rect().center()
    }

    /// Until something is so, frame by frame.
    #[track_caller]
    fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !so(self) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what} has not come");
            self.frames(1);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn seed(&self) -> i32 {
        self.params.generate.seed.value()
    }
}

/// The verbs, and that they are all of one parameter.
fn verbs(heard: &[(&'static str, String, f32)], name: &str) -> Vec<&'static str> {
    assert!(heard.iter().all(|(_, of, _)| of == name), "only {name}: {heard:?}");
    heard.iter().map(|(what, ..)| *what).collect()
}

#[test]
fn a_drag_of_a_dial_is_one_movement() {
    let mut w = Window::open();
    let at = w.middle_of("Variation");
    w.window.hover_at(at);
    w.window.drag_at(at);
    w.frames(1);
    for i in 1..=10 {
        w.window.hover_at(at - vec2(0.0, 8.0 * i as f32));
        w.frames(1);
    }
    assert!((w.params.generate.variation.value() - 0.5).abs() < 0.02, "80 of 160 points up");
    w.window.drop_at(at - vec2(0.0, 80.0));
    w.frames(2);
    let verbs = verbs(&w.host.heard(), "Variation");
    let sets = verbs.len() - 2;
    assert!((5..=11).contains(&sets), "{verbs:?}");
    assert!(verbs[0] == "begin" && verbs[1..=sets].iter().all(|v| *v == "set") && verbs[sets + 1] == "end");
}

#[test]
fn a_window_that_closes_in_a_drag_ends_it() {
    let mut w = Window::open();
    let at = w.middle_of("Gain");
    w.window.hover_at(at);
    w.window.drag_at(at);
    w.frames(1);
    w.window.hover_at(at - vec2(0.0, 20.0));
    w.frames(1);
    w.window.state_mut().close();
    assert_eq!(verbs(&w.host.heard(), "Gain"), ["begin", "set", "end"]);
}

#[test]
fn seeds_are_typed_nudged_and_rolled() {
    let mut w = Window::open();
    w.click("Next seed");
    w.host.heard();
    w.click("Seed");
    w.window.event(egui::Event::Text("4711".into()));
    w.frames(1);
    w.window.key_press(Key::Enter);
    w.frames(2);
    assert_eq!(w.seed(), 4711);
    assert_eq!(verbs(&w.host.heard(), "Seed"), ["begin", "set", "end"]);
    w.click("Next seed");
    w.click("Next seed");
    w.click("Seed before");
    assert_eq!(w.seed(), 4712);
    w.click("Any seed");
    assert_ne!(w.seed(), 4712);
    // Escape leaves it as it is, and so does what is no seed.
    let before = w.seed();
    for (text, key) in [("17", Key::Escape), ("many", Key::Enter)] {
        w.click("Seed");
        w.window.event(egui::Event::Text(text.into()));
        w.frames(1);
        w.window.key_press(key);
        w.frames(2);
        assert_eq!(w.seed(), before, "{text}");
    }
}

#[test]
fn values_are_typed_as_the_host_shows_them() {
    let mut w = Window::open();
    w.click("Type High Cut");
    w.window.event(egui::Event::Text("2 kHz".into()));
    w.frames(1);
    w.window.key_press(Key::Enter);
    w.frames(2);
    assert!((w.params.output.high_cut.value() - 2000.0).abs() < 20.0, "{}", w.params.output.high_cut.value());
    w.click("Swap: Bar");
    w.click("Mode: Slice");
    let heard = w.host.heard();
    assert_eq!(heard.iter().map(|(what, ..)| *what).collect::<Vec<_>>(), ["begin", "set", "end"].repeat(3));
}

#[test]
fn style_and_key_are_chosen_by_name_and_recalled() {
    let mut w = Window::open();
    let make = &w.params.clone().generate;
    w.click("Key");
    w.click("C# minor");
    assert_eq!((make.key.value(), verbs(&w.host.heard(), "Key")), (3, vec!["begin", "set", "end"]));
    let request = Request { key: 3, guidance: 200, ..Request::new(1, 8, 0, 8, 120.0) };
    assert!(w.line.request(request));
    w.until("the clip", |w| w.session.status().history.iter().any(|h| h.request == request));
    w.click("Key");
    w.click("Any");
    assert_eq!(make.key.value(), 0);
    w.click("Recall seed 1");
    assert_eq!((make.key.value(), make.guidance.value()), (3, 2.0));
}

#[test]
fn what_was_heard_is_recalled_starred_compared_and_listened_to() {
    let mut w = Window::open();
    let first = w.play(1);
    let second = w.play(2);
    w.host.heard();
    w.click("Recall seed 1");
    assert_eq!((w.seed(), w.params.generate.steps.value()), (1, 8));
    assert!(w.params.generate.auto.value(), "Auto follows by itself: nothing is to be pressed");
    assert!(w.host.heard().iter().all(|(_, name, _)| name != "Generate"));

    // What plays is 2, whatever the controls say.
    w.click("A");
    assert_eq!(w.session.status().compared, [Some(second), None]);
    let playing = w.play(1);
    assert_eq!(playing, first);
    w.click("B");
    assert_eq!(w.session.status().compared, [Some(second), Some(first)]);
    w.click("A");
    assert_eq!(w.seed(), 2);

    let at = w.middle_of("Recall seed 1");
    w.window.hover_at(at);
    w.frames(2);
    w.click("Star seed 1");
    let starred: Vec<bool> = w.session.status().history.iter().map(|h| h.starred).collect();
    assert_eq!(starred, [true, false]);

    w.host.heard();
    w.window.hover_at(at);
    w.frames(2);
    w.click("Listen to seed 1");
    assert!(w.host.heard().is_empty(), "nothing that plays is touched");
    let Some(Audition::Play(clip)) = w.line.audition() else { panic!("there is something to listen to") };
    assert_eq!(clip.samples[0][0], 1.0 / 10_000.0);
    assert_eq!(w.session.status().auditioned, Some(first));
    let _ = w.line.spent.push(clip);
    w.click("Stop");
    assert!(matches!(w.line.audition(), Some(Audition::Stop)));
}

#[test]
fn without_auto_generate_is_pressed_and_let_go() {
    let mut w = Window::open();
    w.click("Auto");
    w.play(5);
    w.host.heard();
    w.click("Generate");
    assert!(w.params.generate.trigger.value());
    assert_eq!(verbs(&w.host.heard(), "Generate"), ["begin", "set", "end"]);
    w.until("letting go", |w| !w.params.generate.trigger.value());
    assert_eq!(verbs(&w.host.heard(), "Generate"), ["begin", "set", "end"]);
    w.click("Recall seed 5");
    assert!(
        w.host.heard().iter().any(|(what, name, value)| (*what, name.as_str(), *value) == ("set", "Generate", 1.0))
    );
    // A window that closes meanwhile lets go, too.
    w.window.state_mut().close();
    assert!(!w.params.generate.trigger.value());
}

#[test]
fn part_of_the_loop_is_set_on_the_circle() {
    let mut w = Window::open();
    w.play(3);
    w.host.heard();
    let from = w.middle_of("Loop start, on the circle");
    let centre = w.window.get_by_label("The loop").rect().center();
    let radius = centre.y - from.y;
    w.window.hover_at(from);
    w.window.drag_at(from);
    w.frames(1);
    for i in 1..=8 {
        let angle = std::f32::consts::FRAC_PI_2 * (i as f32 / 8.0 - 1.0);
        w.window.hover_at(centre + radius * egui::Vec2::angled(angle));
        w.frames(1);
    }
    w.window.drop_at(centre + vec2(radius, 0.0));
    w.frames(2);
    let verbs = verbs(&w.host.heard(), "Start");
    assert_eq!(w.params.play.start.value(), 0.25, "a quarter of the way round");
    assert!(verbs[0] == "begin" && verbs[verbs.len() - 1] == "end" && verbs.len() >= 4, "{verbs:?}");
}

#[test]
fn the_loop_is_written_with_its_tempo_and_path() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(&folder.path().join("home"));
    let settings = home.settings_file().unwrap();
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let into = folder.path().join("loops");
    std::fs::write(&settings, serde_json::json!({ "exports": into }).to_string()).unwrap();
    let mut w = Window::open_in(home);
    w.play(77);
    w.click("Export");
    w.click("Write WAV");
    let path = into.join("seed77-8beats-120bpm.wav");
    w.until("the file", |w| w.window.query_by_label(&format!("Written: {}", path.display())).is_some());
    let clip = w.session.status().clip.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), wav::encode(&clip));
    w.window.get_by_label("Copy path").click();
    w.window.step();
    let copied = w.window.output().platform_output.commands.iter().any(|c| match c {
        egui::OutputCommand::CopyText(text) => Path::new(text) == path,
        _ => false,
    });
    assert!(copied, "{:?}", w.window.output().platform_output.commands);
}

#[test]
fn a_model_is_chosen_and_what_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let models = home.models().unwrap();
    std::fs::create_dir_all(&models).unwrap();
    let mut model = embedded_model().unwrap();
    model.header.name = "mine".into();
    model.save(&models.join("mine.flow"), Precision::Half).unwrap();
    std::fs::write(models.join("broken.flow"), "no model").unwrap();
    let mut w = Window::open_in(home);
    w.click("Model: Built-in");
    w.until("the list", |w| w.window.query_by_label("Model mine").is_some());
    w.click("Model broken");
    assert_eq!(w.session.status().model.path, None, "what cannot be read is not chosen");
    w.click("Model mine");
    w.until("the model", |w| w.session.status().model.path == Some(models.join("mine.flow")));
    w.until("its name", |w| w.window.query_by_label("Model: mine").is_some());
    w.click("Model Built-in: factory");
    w.until("the built-in one", |w| w.session.status().model.path.is_none());
    // What was heard with another model brings it back.
    w.play(4);
    w.session.choose(&models.join("mine.flow"));
    w.until("the model", |w| w.session.model() != 0);
    w.play(4);
    w.click("Close page");
    let at = w.window.get_all_by_label("Recall seed 4").next().unwrap().rect().center();
    w.window.hover_at(at);
    w.window.drag_at(at);
    w.window.drop_at(at);
    w.until("the built-in one", |w| w.session.model() == 0);
}

#[test]
fn a_missing_model_is_shown_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moved.flow");
    let mut model = embedded_model().unwrap();
    model.header.name = "mine".into();
    model.save(&path, Precision::Half).unwrap();
    let hash = Model::load(&path).unwrap().hash;
    let mut w = Window::open_in(Home::at(&folder.path().join("home")));
    let saved = SavedModel { name: "mine".into(), hash, path: "/no/where/mine.flow".into(), ..SavedModel::default() };
    w.session.restore_model(saved);
    w.until("the search", |w| w.session.status().model.missing.is_some());
    w.until("the words", |w| w.window.query_by_label_contains("was not found at /no/where/mine.flow").is_some());
    w.click("Model: mine");
    // When the models are read, what is below them moves down.
    w.until("the list", |w| w.window.query_by_label("Model Built-in: factory").is_some());
    w.frames(2);
    w.click("Path of a model");
    w.window.key_combination_modifiers(egui::Modifiers::COMMAND, &[Key::A]);
    w.window.event(egui::Event::Text(path.to_string_lossy().into_owned()));
    w.frames(2);
    w.until("the button", |w| w.window.query_by_label("The missing one is here").is_some());
    w.click("The missing one is here");
    w.until("the file", |w| w.session.status().model.missing.is_none());
    assert_eq!(w.session.status().model.path, Some(path));
}

#[test]
fn a_device_is_chosen_and_one_that_does_not_answer_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    home.keep_device(&format!("remote:{nowhere}")).unwrap();
    let mut w = Window::open_in(home.clone());
    w.play(1);
    w.click("Device");
    w.until("the list", |w| w.window.query_by_label("cpu").is_some());
    // The address of the settings is shown, and asked for only by a click.
    w.click("Use it");
    w.until("the words", |w| w.window.query_by_label_contains("no device is served at").is_some());
    w.click("cpu");
    w.until("the choice", |_| home.device() == "cpu");
    w.until("its words", |w| w.window.query_by_label_contains("From the next loop on: cpu").is_some());
    w.click("Address of another computer");
    w.window.key_combination_modifiers(egui::Modifiers::COMMAND, &[Key::A]);
    w.window.event(egui::Event::Text("no address at all".into()));
    w.frames(2);
    w.click("Use it");
    w.until("what to write", |w| w.window.query_by_label_contains("remote:HOST:PORT").is_some());
    assert_eq!(home.device(), "cpu", "what does not answer is not kept");
}

#[test]
fn failures_are_said_and_tried_again() {
    let mut w = Window::open();
    let playing = w.play(1);
    let request = Request { seed: 13, ..playing };
    assert!(w.line.request(request));
    w.until("the words", |w| w.window.query_by_label("seed 13 is unlucky; take another").is_some());
    assert!(w.line.receive().is_some_and(|d| d.clip.is_none()));
    w.click("Try again");
    w.until("another try", |w| w.line.receive().is_some_and(|d| d.request == request));
    // What plays is still said, and shown.
    w.block(Some(0.5));
    assert_eq!(w.session.status().request, Some(playing));
}

#[test]
fn keys_are_the_hosts_until_the_window_has_the_focus() {
    let mut w = Window::open();
    w.window.key_press(Key::ArrowRight);
    w.frames(2);
    assert_eq!(w.seed(), 0);
    w.click("The loop");
    for key in [Key::ArrowRight, Key::ArrowRight, Key::ArrowLeft] {
        w.window.key_press(key);
        w.frames(2);
    }
    assert_eq!(w.seed(), 1);
    w.window.key_press(Key::E);
    w.frames(2);
    assert!(w.window.query_by_label("Write WAV").is_some() || w.window.query_by_label("Close page").is_some());
    for _ in 0..2 {
        w.window.key_press(Key::Escape);
        w.frames(2);
    }
    w.window.key_press(Key::ArrowRight);
    w.frames(2);
    assert_eq!(w.seed(), 1, "Escape gave the keys back");
}

#[test]
fn every_size_has_room_for_what_is_in_it() {
    let mut w = Window::open();
    w.play(1);
    for (size, scale) in [([760.0, 520.0], 1.0), ([1000.0, 680.0], 2.0), ([1900.0, 1200.0], 1.25)] {
        w.window.set_size(size.into());
        w.window.set_pixels_per_point(scale);
        w.frames(4);
        let window = egui::Rect::from_min_size(Pos2::ZERO, size.into());
        for label in ["Seed", "Any seed", "The loop", "Mode: Sync", "Recall seed 1", "Model: Built-in", "Keys"] {
            let rect = w.window.get_by_label(label).rect();
            assert!(window.contains_rect(rect), "{label} at {size:?}: {rect:?}");
        }
    }
}
