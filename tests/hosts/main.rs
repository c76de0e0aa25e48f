//! The built, bundled plugin in hosts that were not written here: a note is the clip that `flowloop
//! generate` writes for that seed, an automated seed is heard, and the same seed is the same again.

mod ardour;
mod bounce;
mod host;
mod instances;
mod notes;
mod parameters;
mod python;
mod state;

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The companion's WAV of a seed, from 4 steps.
fn wav(folder: &Path, seed: u32, bars: u32, bpm: u32) -> PathBuf {
    let path = folder.join(format!("{seed}.wav"));
    let [seed, bars, bpm] = [seed, bars, bpm].map(|n| n.to_string());
    let made = Command::new(env!("CARGO_BIN_EXE_flowloop"))
        .args(["generate", "--steps", "4", "--bars", &bars, "--bpm", &bpm, "--device", "cpu", "--seed", &seed, "-o"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    path
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
