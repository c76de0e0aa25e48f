//! What a project keeps, through clack-host: the same bytes again, and the sound that was kept whatever
//! the model would make today, at whatever moment the state comes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clack_extensions::render::RenderMode;
use clack_extensions::state_context::{PluginStateContext, StateContextType};
use flowloop::engine::Request;
use serde_json::{Value, json};

use super::host::Do::*;
use super::host::{self, BLOCK, Instance, RATE, Song, difference, note, read};
use super::{DIFFERENT, EQUAL, wav};

/// Samples of a clip of 1 bar at 120 bpm.
const CLIP: usize = 88_200;

/// A project with this seed's clip of 1 bar.
fn project(seed: u32) -> Vec<u8> {
    let (mut instance, mut running) = Instance::offline();
    let mut script = vec![(0, Set("Bars", 0.0))];
    script.extend(note(seed));
    running.play(&script, CLIP);
    instance.stop(running);
    instance.save()
}

/// The same project but for its seed, as if the model made another clip of that seed: what is heard then is
/// what was kept, and not made anew.
fn renumbered(saved: &[u8], from: u32, to: u32) -> Vec<u8> {
    let text = std::str::from_utf8(&saved[8..]).unwrap();
    let param = |n| format!("\"seed\":{{\"i32\":{n}}}");
    let request = |n| format!("\\\"seed\\\":{n},");
    assert!(text.contains(&param(from)) && text.contains(&request(from)));
    let text = text.replace(&param(from), &param(to)).replace(&request(from), &request(to));
    state(&text)
}

/// A state of this JSON, as nice-plug writes it.
fn state(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// What a key at the clip's own pitch sounds like.
fn listen(instance: &mut Instance) -> [Vec<f32>; 2] {
    instance.render_mode(RenderMode::Offline);
    let mut running = instance.start(RATE);
    let heard = running.play(&[(0, On(60, None))], CLIP).heard;
    instance.stop(running);
    heard
}

#[test]
fn project_plays_what_it_kept_and_saves_the_same_bytes() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 7, 1, 120));
    let saved = renumbered(&project(7), 7, 77);
    let mut again = Instance::new();
    // Before activation, and twice.
    again.load(&saved);
    assert_eq!(again.value("Seed"), 77.0);
    assert!(again.save() == saved, "save, load, save: the same bytes");
    again.load(&saved);
    assert!(again.save() == saved, "loaded twice: the same bytes");
    let error = difference(&listen(&mut again), &clip);
    println!("clack-host, project of {} bytes: error {error:e}", saved.len());
    assert!(error < EQUAL);
    assert!(again.save() == saved, "played: the same bytes");
}

#[test]
fn state_may_come_while_it_plays() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clips = [7, 8].map(|seed| read(&wav(folder.path(), seed, 1, 120)));
    let projects = [7, 8].map(project);
    let mut instance = Instance::new();
    instance.load(&projects[0]);
    let mut running = instance.start(RATE);
    // The audio thread plays on and on while the main thread loads the one and the other.
    let audio = std::thread::spawn(move || {
        for round in 0..40 {
            running.play(&[(0, if round % 2 == 0 { On(60, None) } else { Off(60) })], CLIP / 4);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        running.hush();
        running
    });
    for round in 0..20 {
        instance.load(&projects[(round + 1) % 2]);
        instance.idle();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut running = audio.join().unwrap();
    // What the engine still had in hand arrives.
    for _ in 0..20 {
        running.play(&[], BLOCK);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    instance.stop(running);
    let heard = listen(&mut instance);
    let [other, newest] = [&clips[1], &clips[0]].map(|c| difference(&heard, c));
    assert_eq!(instance.value("Seed"), 7.0);
    assert!(newest < EQUAL && other > DIFFERENT, "the state that came last: {newest} {other}");
}

#[test]
fn each_context_saves_what_any_host_can_load() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 9, 1, 120));
    let mut first = Instance::new();
    // As if the window had taken its clip as A.
    let field = |saved: &[u8], name: &str| -> Value {
        let json: Value = serde_json::from_slice(&saved[8..]).unwrap();
        serde_json::from_str(json["fields"][name].as_str().unwrap()).unwrap()
    };
    let mut begun: Value = serde_json::from_slice(&project(9)[8..]).unwrap();
    let heard: Value = serde_json::from_str(begun["fields"]["history"].as_str().unwrap()).unwrap();
    let request: Request = serde_json::from_value(heard[0].clone()).unwrap();
    begun["fields"]["compared"] = json!([request, null]).to_string().into();
    first.load(&state(&begun.to_string()));
    let handle = first.clack.plugin_handle();
    let context: PluginStateContext = handle.get_extension().unwrap();
    let contexts = [StateContextType::ForPreset, StateContextType::ForDuplicate, StateContextType::ForProject];
    let saved = contexts.map(|kind| {
        let mut saved = Vec::new();
        context.save(&handle, &mut saved, kind).unwrap();
        saved
    });
    assert!(saved[1] == first.save() && saved[2] == saved[1], "a copy and a project keep everything");
    let history = |saved: &[u8]| field(saved, "history").as_array().unwrap().len();
    assert_eq!((history(&saved[0]), history(&saved[2])), (0, 1), "a preset has no past");
    let compared = [&saved[0], &saved[2]].map(|saved| field(saved, "compared"));
    assert_eq!(compared, [json!([null, null]), json!([request, null])], "a project keeps what is compared");
    drop(first);
    for saved in saved {
        let mut again = Instance::new();
        again.load(&saved);
        let error = difference(&listen(&mut again), &clip);
        assert!(error < EQUAL, "{error}");
    }
}

#[test]
fn project_of_the_first_version_opens() {
    // Saved by the version that had five parameters: seed 4321, 6 steps, 1 bar, Trigger, at 240 bpm.
    let saved = include_bytes!("../fixtures/state-1.clap-state");
    let json: Value = serde_json::from_slice(&saved[8..]).unwrap();
    let kept: Value = serde_json::from_str(json["fields"]["clip"].as_str().unwrap()).unwrap();
    let flac = BASE64.decode(kept["audio"].as_str().unwrap()).unwrap();
    let mut reader = claxon::FlacReader::new(flac.as_slice()).unwrap();
    let both: Vec<f32> = reader.samples().map(|s| s.unwrap() as f32 / 8_388_608.0).collect();
    let clip = [0, 1].map(|channel| both.iter().skip(channel).step_by(2).copied().collect::<Vec<_>>());
    assert_eq!(clip[0].len(), 44_100);
    host::on_cpu();
    let mut instance = Instance::new();
    instance.load(&renumbered(saved, 4321, 1234));
    let values = ["Seed", "Steps", "Style", "Bars", "Mode"].map(|name| instance.value(name));
    // As CLAP counts: Steps from 1.
    assert_eq!(values, [1234.0, 5.0, 0.0, 0.0, 0.0]);
    instance.render_mode(RenderMode::Offline);
    let mut running = instance.start(RATE);
    let song = Some(Song { beats: 0.0, bpm: 240.0 });
    let heard = running.perform(&[(0, On(60, None))], 88_200, song).heard;
    let error = difference(&heard, &clip);
    println!("clack-host, project of the first version: error {error:e}");
    assert!(error < EQUAL);
    instance.stop(running);
}
