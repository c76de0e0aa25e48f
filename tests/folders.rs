//! Promise: `flowloop train` on a folder says what it found, names each file that it left out,
//! and says what to do where there is too little to learn from.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::path::Path;

use companion::{drum_folder, drums, fails, run, text};
use flowloop::clip::Clip;
use flowloop::dataset::{self, ScanOptions};

fn train<'a>(loops: &'a Path, output: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", text(loops), "-o", text(output), "--device", "cpu"];
    args.extend(["--widths", "32,32", "--blocks", "0", "--steps", "2", "--batch", "2"]);
    args.extend(more);
    args
}

#[test]
fn folders_with_nothing_to_learn_from_say_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let [loops, output, file] = ["loops", "net.flow", "file"].map(|n| place.path().join(n));
    fails(&train(&loops, &output, &[]), &["there is no folder", "check the path"]);
    std::fs::write(&file, "x").unwrap();
    fails(&train(&file, &output, &[]), &["is not a folder", "name the folder"]);
    std::fs::create_dir(&loops).unwrap();
    fails(&train(&loops, &output, &[]), &["holds no files", "put loops"]);
    for i in 0..3 {
        let samples = [vec![0.0; 88_200], vec![0.0; 88_200]];
        let silence = Clip { samples, sample_rate: 44_100, beats: 4, bpm: 120.0, provenance: None, hits: Vec::new() };
        flowloop::wav::write(&loops.join(format!("silence{i}_120bpm.wav")), &silence).unwrap();
    }
    // A line more for each kind of file that was left out.
    let silent = run(&train(&loops, &output, &[]));
    assert_eq!((silent.code, silent.stderr.lines().count()), (Some(1), 2), "{silent:?}");
    assert!(silent.stderr.contains("use whole loops") && silent.stderr.contains("3 skipped: silent"), "{silent:?}");
    assert!(!output.exists());
}

#[test]
fn too_few_loops_are_named() {
    let place = tempfile::tempdir().unwrap();
    let [loops, output] = ["loops", "net.flow"].map(|n| place.path().join(n));
    std::fs::create_dir(&loops).unwrap();
    flowloop::wav::write(&loops.join("one_120bpm.wav"), &drums(1, 16, 120.0)).unwrap();
    fails(&train(&loops, &output, &[]), &["too few loops (1) to hold one out", "--validation 0"]);
    std::fs::remove_file(loops.join("one_120bpm.wav")).unwrap();
    flowloop::wav::write(&loops.join("two_120bpm.wav"), &drums(2, 4, 120.0)).unwrap();
    fails(&train(&loops, &output, &["--validation", "0"]), &["too few loops to learn from: 4 beats, 24", "Add loops"]);
    assert!(!output.exists());
}

#[test]
fn settings_and_output_are_checked_before_the_folder_is_read() {
    let place = tempfile::tempdir().unwrap();
    let [loops, output] = ["missing", "net.flow"].map(|n| place.path().join(n));
    let with = |from: &str, to: &'static str| -> Vec<String> {
        train(&loops, &output, &[]).into_iter().map(|a| if a == from { to.into() } else { a.to_string() }).collect()
    };
    let refused = |args: Vec<String>, parts: &[&str]| {
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    refused(with("32,32", "0"), &["--widths"]);
    refused(with("32,32", "99999999"), &["channels", "--widths"]);
    refused(with("32,32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"), &["19 layers", "--widths"]);
    refused(
        with("0", "1").into_iter().map(|a| if a == "32,32" { "16,24".into() } else { a }).collect(),
        &["multiples of 32", "--widths"],
    );
    let nowhere = place.path().join("nowhere/net.flow");
    fails(&train(&loops, &nowhere, &[]), &["nowhere", "a folder that exists"]);
    fails(&train(&loops, place.path(), &[]), &["is a folder"]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_large_folder_is_summed_up_and_what_is_left_out_is_named() {
    let place = tempfile::tempdir().unwrap();
    let [loops, output] = ["loops", "net.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 44);
    std::fs::write(loops.join("kicks/notes.txt"), "not a loop").unwrap();
    let ran = run(&train(&loops, &output, &[]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let names = |stdout: &str| stdout.matches("used ").count();
    assert_eq!(names(&ran.stdout), 0, "{}", ran.stdout);
    for part in ["44 loops from 44 files", "1 skipped", "22 labelled kicks", "notes.txt: "] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let wordy = run(&train(&loops, &output, &["--verbose"]));
    assert_eq!((wordy.code, names(&wordy.stdout)), (Some(0), 44), "{wordy:?}");
}

#[test]
fn of_a_large_folder_so_much_is_read_as_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    drum_folder(place.path(), 40);
    // The same sound under a name that comes later.
    std::fs::copy(place.path().join("kicks/loop0_120bpm.wav"), place.path().join("kicks/z_120bpm.wav")).unwrap();
    let beats = |enough_seconds: f64| {
        let options = ScanOptions { enough_seconds, ..ScanOptions::default() };
        let found = dataset::scan_each(place.path(), &options, &|clip, _| clip.beats, &mut |_, _| {}).unwrap();
        assert!(found.loops.is_sorted_by_key(|l| &l.path) && found.loops.iter().all(|l| l.clip == 4));
        found
    };
    let all = beats(f64::INFINITY);
    assert_eq!((all.whole, all.loops.len(), all.skipped.len()), (true, 40, 1));
    // In whatever order the files are read, the first by name is kept.
    let enough = beats(1e6);
    assert_eq!((enough.whole, enough.loops.len()), (true, 40));
    assert!(enough.skipped[0].path.ends_with("z_120bpm.wav"), "{:?}", enough.skipped);
    // A bar has 1.5 to 2 seconds; a few files are read at once.
    let some = beats(5.0);
    assert!(!some.whole && (3..40).contains(&some.loops.len()), "{} loops", some.loops.len());
}
