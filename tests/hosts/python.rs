//! The VST3 in pedalboard and DawDreamer.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{DIFFERENT, EQUAL, bundled, wav};

/// A Python that has the hosts: `FLOWLOOP_PYTHON`, or the environment that README's set-up makes.
fn python() -> PathBuf {
    let own = std::env::var_os("FLOWLOOP_PYTHON").map(PathBuf::from);
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let python = own.unwrap_or_else(|| home.join(".cache/flowloop/venv/bin/python"));
    assert!(
        python.exists(),
        "{} is missing: `.ci/setup` makes it, or name a Python with pedalboard, dawdreamer, numpy and soundfile in FLOWLOOP_PYTHON",
        python.display()
    );
    python
}

fn run(what: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [1, 2].map(|seed| wav(folder.path(), seed, 2, 120));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/vst3.py");
    let output = Command::new(python())
        .arg(script)
        .arg(what)
        .arg(bundled("Flowloop.vst3"))
        .args([one, two])
        .env("FLOWLOOP_DEVICE", "cpu")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {text}{complaint}");
    println!("{what}: {text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn check(takes: &[&Value]) {
    for (index, take) in takes.iter().enumerate() {
        assert!(take["error"].as_f64().unwrap() < EQUAL, "take {index} is not the clip: {take}");
        assert!(take["distance"].as_f64().unwrap() > DIFFERENT, "take {index} is like the other seed: {take}");
        assert!(take["peak"].as_f64().unwrap() > 0.05, "take {index} is silent: {take}");
    }
}

/// What was heard with the wheel half up is the clip read faster, and with the wheel at its centre the clip.
fn check_bend(heard: &Value) {
    let [bent, straight] = ["bent", "straight"].map(|k| heard[k].as_f64().unwrap());
    assert!(bent > 0.98 && straight < 0.9, "{heard}");
}

#[test]
fn pedalboard_plays_the_clip_of_each_seed_and_keeps_it_in_a_project() {
    let heard = run("pedalboard");
    let takes = heard["takes"].as_array().unwrap();
    assert!(takes.len() >= 3);
    check(&takes.iter().collect::<Vec<_>>());
    assert_eq!(heard["identical"], true, "two renders are the same to the bit");
}

#[test]
fn pedalboard_keeps_each_seed_in_a_project() {
    let kept = run("seeds");
    assert_eq!(kept["lost"].as_array().unwrap().len(), 0, "{kept}");
    assert_eq!(kept["tried"], 100);
}

#[test]
fn pedalboard_and_dawdreamer_bend_with_the_pitch_wheel() {
    let heard = run("bend");
    for host in ["pedalboard", "dawdreamer"] {
        check_bend(&heard[host]);
    }
    check(&[&heard["centred"]]);
}

#[test]
fn dawdreamer_hears_the_seed_automated_within_one_render_and_the_loop_in_sync() {
    let heard = run("dawdreamer");
    let takes = heard["takes"].as_array().unwrap();
    assert!(takes.len() >= 3);
    check(&takes.iter().collect::<Vec<_>>());
    // In Sync mode the loop needs no note.
    check(&[&heard["sync"]]);
    assert_eq!(heard["identical"], true, "two renders of new instances are the same to the bit");
}
