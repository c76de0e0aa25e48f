//! Promise: each model is loaded once for all sessions, is found again wherever a project opens, and
//! what a project keeps of it is never changed by not finding it.

use std::path::Path;

use super::*;
use crate::model::{Precision, embedded_model, id_of};

/// The built-in model under other names: files of other digests.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> Home {
        Home::at(&self.folder.path().join("home"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a model; its path.
    fn model(&self, file: &str, name: &str) -> PathBuf {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut model = embedded_model().unwrap();
        model.header.name = name.into();
        model.save(&path, Precision::Half).unwrap();
        path
    }
}

/// Chooses and waits; the model's short name.
#[track_caller]
fn choose(session: &Session, line: &Line, path: &Path) -> u64 {
    let before = line.model();
    session.choose(path);
    until("the chosen model", || line.model() != before);
    line.model()
}

fn with(model: u64, seed: u64) -> Request {
    Request { model, ..of(seed) }
}

#[test]
fn a_chosen_model_plays_and_what_is_none_is_refused() {
    let place = Place::new();
    let (mine, fake) = (place.model("mine.flow", "mine"), Fake::default());
    let engine = fake.engine_in(place.home());
    let (session, mut line) = engine.open();
    let built_in = session.status().model;
    assert_eq!((line.model(), built_in.path), (0, None));
    assert!(!built_in.labels.is_empty() && session.saved_model() == SavedModel::default());
    let id = choose(&session, &line, &mine);
    let info = session.status().model;
    assert_eq!((info.name.as_str(), info.path.as_ref(), info.missing), ("mine", Some(&mine), None));
    assert_eq!((info.labels, id_of(&info.hash)), (built_in.labels, Some(id)));
    assert_eq!(ask(&mut line, with(id, 1)), Some(1.0));
    let order = fake.loads.lock().unwrap()[0].clone();
    assert_eq!(order, Order { path: Some(mine.clone()), hash: info.hash, device: "auto".into() });

    let broken = place.path("broken.flow");
    std::fs::write(&broken, "not a model").unwrap();
    for (path, message) in [(&broken, "is not a Flowloop model"), (&place.path("nowhere.flow"), "cannot read")] {
        session.choose(path);
        until("the notice", || session.status().notice.is_some_and(|n| n.contains(message)));
        assert_eq!((line.model(), session.status().model.name.as_str()), (id, "mine"), "it goes on");
    }
    session.choose(&mine);
    until("the notice's end", || session.status().notice.is_none());
    session.choose(&mine);
    session.choose_built_in();
    assert_eq!(line.model(), 0);
    assert_eq!(ask(&mut line, of(1)), Some(1.0));
    assert_eq!((line.model(), session.status().model.path), (0, None), "an older choice comes too late");
}

#[test]
fn ten_sessions_hold_one_model_once_and_one_that_ends_disturbs_no_other() {
    let place = Place::new();
    let (mine, fake) = (place.model("mine.flow", "mine"), Fake::default());
    let engine = fake.engine_in(place.home());
    let mut open: Vec<_> = (0..10).map(|_| engine.open()).collect();
    let id = choose(&open[0].0, &open[0].1, &mine);
    let saved = open[0].0.saved_model();
    for (session, line) in &open[1..] {
        session.restore_model(saved.clone());
        assert_eq!(line.model(), id);
    }
    let long = |seed| Request { steps: 20, ..with(id, seed) };
    for (i, (_, line)) in open.iter_mut().enumerate() {
        assert!(line.request(long(100 * i as u64)));
    }
    until("the first run", || matches!(open[3].0.status().activity, Activity::Generating(..)));
    drop(open.remove(3));
    for (i, (_, line)) in (0..10u64).filter(|i| *i != 3).zip(open.iter_mut()) {
        assert_eq!(wait(line, long(100 * i)).clip.unwrap().samples[0][0], 100.0 * i as f32);
    }
    assert_eq!(fake.loads.lock().unwrap().len(), 1);
}

#[test]
fn three_models_are_held_at_a_time() {
    let (place, fake) = (Place::new(), Fake::default());
    let engine = fake.engine_in(place.home());
    let (session, mut line) = engine.open();
    let paths: Vec<_> = (0..4).map(|i| place.model(&format!("{i}.flow"), &format!("number {i}"))).collect();
    for (path, loads) in [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (0, 4), (2, 4), (1, 5)] {
        let id = choose(&session, &line, &paths[path]);
        assert!(ask(&mut line, with(id, 1000 * loads as u64 + path as u64)).is_some());
        assert_eq!(fake.loads.lock().unwrap().len(), loads, "model {path}");
    }
}

/// A project's model whose file is gone.
fn gone(place: &Place) -> (SavedModel, PathBuf) {
    let fake = Fake::default();
    let engine = fake.engine_in(place.home());
    let (session, line) = engine.open();
    let path = place.model("here/mine.flow", "mine");
    choose(&session, &line, &path);
    let moved = place.path("elsewhere.flow");
    std::fs::rename(&path, &moved).unwrap();
    (session.saved_model(), moved)
}

#[test]
fn a_missing_model_is_named_kept_and_can_be_shown() {
    let place = Place::new();
    let (saved, moved) = gone(&place);
    let fake = Fake::default();
    let engine = fake.engine_in(place.home());
    let (session, mut line) = engine.open();
    session.restore_model(saved.clone());
    let id = line.model();
    session.restore(with(id, 5), Arc::new(clip(0.5)));
    assert_eq!(wait(&mut line, with(id, 5)).clip.unwrap().samples[0][0], 0.5, "the kept clip plays");
    until("the message", || session.status().model.missing.is_some());
    let missing = session.status().model.missing.unwrap();
    assert!(missing.contains("\"mine\"") && missing.contains(&saved.path) && missing.contains("models"), "{missing}");
    assert_eq!(ask(&mut line, with(id, 6)), None);
    assert_eq!(failure(&session), missing);
    assert_eq!(session.status().clip.unwrap().samples[0][0], 0.5, "the last clip stays");
    assert_eq!(session.saved_model(), saved, "saving, loading, saving");
    assert_eq!(serde_json::from_str::<SavedModel>(&serde_json::to_string(&saved).unwrap()).unwrap(), saved);

    let other = place.model("other.flow", "another");
    session.relocate(&other);
    until("the refusal", || session.status().notice.is_some());
    let notice = session.status().notice.unwrap();
    assert!(notice.contains("\"another\"") && notice.contains("\"mine\""), "{notice}");
    assert_eq!((line.model(), session.saved_model()), (id, saved.clone()));
    session.relocate(&moved);
    assert_eq!(wait(&mut line, with(id, 6)).clip.unwrap().samples[0][0], 6.0, "what failed is asked for again");
    let info = session.status().model;
    assert_eq!((info.missing, info.path), (None, Some(moved.clone())));
    let found = session.saved_model();
    assert_eq!((found.hash, found.path), (saved.hash, moved.display().to_string()));
    assert_ne!(choose(&session, &line, &other), id, "whoever wants the other one may choose it");
}

#[test]
fn a_model_put_into_the_folder_of_models_is_found_when_somebody_tries_again() {
    let place = Place::new();
    let (saved, moved) = gone(&place);
    let fake = Fake::default();
    let engine = fake.engine_in(place.home());
    let (session, mut line) = engine.open();
    session.restore_model(saved.clone());
    let id = line.model();
    assert_eq!(ask(&mut line, with(id, 6)), None);
    let models = place.home().models().unwrap();
    std::fs::create_dir_all(models.join("deeper")).unwrap();
    std::fs::copy(&moved, models.join("deeper/renamed.flow")).unwrap();
    session.retry();
    assert_eq!(wait(&mut line, with(id, 6)).clip.unwrap().samples[0][0], 6.0);
    assert_eq!(session.status().model.path, Some(models.join("deeper/renamed.flow")));
    assert_eq!(session.saved_model(), saved, "what the project keeps is as it was");
}

#[test]
fn a_project_moves_to_another_computer() {
    let (here, there) = (Place::new(), Place::new());
    let path = here.model("home/models/drums/mine.flow", "mine");
    let engine = Fake::default().engine_in(here.home());
    let (session, line) = engine.open();
    choose(&session, &line, &path);
    let saved = session.saved_model();
    assert_eq!(saved.relative, "drums/mine.flow");
    std::fs::write(here.path("home/models/readme.txt"), "").unwrap();
    assert_eq!(session.models(), std::slice::from_ref(&path));
    let fresh = there.path("home/models/drums/mine.flow");
    std::fs::create_dir_all(fresh.parent().unwrap()).unwrap();
    std::fs::rename(&path, &fresh).unwrap();
    // A newer model has taken the old one's place here: it is not mistaken for it.
    here.model("home/models/drums/mine.flow", "mine, newer");
    let engine = Fake::default().engine_in(there.home());
    let (session, line) = engine.open();
    session.restore_model(saved);
    until("the file", || session.status().model.path == Some(fresh.clone()));
    assert!(!session.status().model.labels.is_empty() && line.model() != 0);
}

#[test]
fn damaged_states_are_missing_models_and_not_the_built_in_one() {
    let engine = Fake::default().engine();
    let (session, mut line) = engine.open();
    for hash in ["", "zz", "0123", &"0".repeat(63)] {
        let saved = SavedModel { name: "mine".into(), hash: hash.into(), ..SavedModel::default() };
        session.restore_model(saved.clone());
        assert_ne!(line.model(), 0);
        let id = line.model();
        assert_eq!(ask(&mut line, with(id, 1)), None);
        assert!(failure(&session).contains("\"mine\" was not found"));
        assert_eq!(session.saved_model(), saved);
    }
}

#[test]
fn a_model_that_took_the_program_with_it_waits_until_somebody_tries_again() {
    let place = Place::new();
    let mine = place.model("mine.flow", "mine");
    let hash = crate::model::hash_of(&mine).unwrap();
    let trials = place.path("home/trials");
    std::fs::create_dir_all(&trials).unwrap();
    for name in [&hash[..16], "built-in"] {
        std::fs::write(trials.join(format!("{name}.auto.json")), "\"loading\"").unwrap();
    }
    let fake = Fake::default();
    let engine = fake.engine_in(place.home());
    let (session, mut line) = engine.open();
    let id = choose(&session, &line, &mine);
    assert_eq!(ask(&mut line, with(id, 1)), None);
    let message = failure(&session);
    assert!(message.contains("the program ended while mine") && message.contains("Try again"), "{message}");
    assert!(fake.devices().is_empty());
    // The built-in model always plays.
    assert_eq!((ask(&mut line, of(1)), fake.devices()), (Some(1.0), vec!["cpu".to_string()]));
    assert!(session.status().notice.unwrap().contains("it goes on with the CPU"));
    assert_eq!(ask(&mut line, with(id, 1)), None);
    session.retry();
    assert_eq!(wait(&mut line, with(id, 1)).clip.unwrap().samples[0][0], 1.0);
    assert_eq!(fake.devices()[1], "auto");
    until("the mark's end", || std::fs::read_dir(&trials).unwrap().count() == 1);
}
