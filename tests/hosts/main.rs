//! The built, bundled plugin in hosts that were not written here: a note is the clip that `flowloop
//! generate` writes for that seed, an automated seed is heard, and the same seed is the same again.

mod clap;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Difference that 24-bit WAV files leave (half a step of 2^-23), times a margin.
const EQUAL: f64 = 5e-7;
/// Two clips differ by more than this somewhere.
const DIFFERENT: f64 = 0.05;

fn bundled(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("bundled").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask bundle flowloop --release` first", path.display());
    path
}

/// The companion's WAV of a seed: 2 bars at 120 bpm from 4 steps.
fn wav(folder: &Path, seed: u32) -> PathBuf {
    let path = folder.join(format!("{seed}.wav"));
    let seed = seed.to_string();
    let made = Command::new(env!("CARGO_BIN_EXE_flowloop"))
        .args(["generate", "--steps", "4", "--bars", "2", "--bpm", "120", "--device", "cpu", "--seed", &seed, "-o"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    path
}

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

fn run_vst3(host: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (wav(folder.path(), 1), wav(folder.path(), 2));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/vst3.py");
    let output = Command::new(python())
        .arg(script)
        .arg(host)
        .arg(bundled("Flowloop.vst3"))
        .args([one, two])
        .env("FLOWLOOP_DEVICE", "cpu")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{host}: {text}{complaint}");
    println!("{host}: {text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn check(takes: &Value) {
    let takes = takes.as_array().unwrap();
    assert!(takes.len() >= 3);
    for (index, take) in takes.iter().enumerate() {
        assert!(take["error"].as_f64().unwrap() < EQUAL, "take {index} is not the clip: {take}");
        assert!(take["distance"].as_f64().unwrap() > DIFFERENT, "take {index} is like the other seed: {take}");
        assert!(take["peak"].as_f64().unwrap() > 0.05, "take {index} is silent: {take}");
    }
}

#[test]
fn pedalboard_plays_the_clip_of_each_seed_and_keeps_it_in_a_project() {
    let heard = run_vst3("pedalboard");
    check(&heard["takes"]);
    assert_eq!(heard["seeds_kept"].as_f64(), Some(1.0));
}

#[test]
fn dawdreamer_hears_the_seed_automated_within_one_render_and_the_loop_in_sync() {
    let heard = run_vst3("dawdreamer");
    check(&heard["takes"]);
    // In Sync mode the loop needs no note.
    check(&serde_json::json!([heard["sync"], heard["takes"][0], heard["takes"][1]]));
}

#[test]
fn companion_is_inside_the_bundle_and_beside_it() {
    let inside = bundled("Flowloop.vst3").join("Contents");
    let found = std::fs::read_dir(inside)
        .unwrap()
        .filter_map(|e| e.ok().map(|e| e.path().join("flowloop")))
        .find(|p| p.is_file());
    for program in [found.expect("a companion in the VST3 bundle"), bundled("flowloop")] {
        let shown = Command::new(&program).arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&shown.stdout).trim().to_string();
        assert_eq!(version, concat!("flowloop ", env!("CARGO_PKG_VERSION")), "{}", program.display());
    }
}
