//! The VST3 in an export of Ardour 7, the host that says only with each block that it renders offline.

use std::path::Path;
use std::process::Command;

use super::host::read;
use super::{DIFFERENT, EQUAL, bundled, wav};

/// An export that changes no sample: 32-bit float, not normalised.
const PRESET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ExportPreset id="6f0e6c1b-2b0e-4f0a-9a51-9a0f7d5c3e11" name="Exact">
  <ExportFormat id="20b4ab09-6452-4cb3-bd66-b921cdbd2942"/>
  <ExportFilename>
    <Folder relative="true" path="/export"/>
    <Field name="label" enabled="false"/>
    <Field name="session" enabled="false"/>
    <Field name="revision" enabled="false"/>
    <Field name="time" enabled="false" value="T_None"/>
    <Field name="date" enabled="false" value="D_None"/>
  </ExportFilename>
</ExportPreset>
"#;
/// Samples of a clip of 1 bar at Ardour's own 120 bpm.
const CLIP: usize = 88_200;

/// Ardour 7.3 frees its own export's objects from two threads at once: with its own synthesizer alone on the
/// track 32 of 100 exports aborted, after or while the file was written. So many are tried.
const TRIES: usize = 10;

/// Runs one of Ardour's programs in a home of its own that has the plugin; false when it crashed.
fn runs(home: &Path, program: &str, args: &[&str]) -> bool {
    let output = Command::new(program)
        .args(args)
        .env("HOME", home)
        .env("LD_LIBRARY_PATH", "/usr/lib/ardour7")
        .env("FLOWLOOP_DEVICE", "cpu")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; `.ci/setup` installs Ardour 7"));
    let [text, complaint] = [&output.stdout, &output.stderr].map(|t| String::from_utf8_lossy(t));
    // A shell that starts it tells of a signal by a status above 128.
    let crashed = output.status.code().is_none_or(|code| code > 128);
    assert!(output.status.success() || crashed, "{program}: {text}{complaint}");
    if crashed {
        println!("{program} crashed: {complaint}");
    }
    !crashed
}

/// A new session's export of loops of these seeds, `[channel][sample]`.
fn bounce(home: &Path, session: &str, seeds: &[&str]) -> [Vec<f32>; 2] {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/ardour.lua");
    let loop_length = CLIP.to_string();
    let folder = (0..TRIES).map(|n| home.join(format!("{session}-{n}"))).find(|folder| {
        let mut args = vec![script.to_str().unwrap(), folder.to_str().unwrap(), "Flowloop", &loop_length];
        args.extend(seeds);
        runs(home, "/usr/bin/ardour7-lua", &args)
    });
    read(&folder.expect("one of many exports comes to its end").join("export/bounce.wav"))
}

#[test]
fn ardour_exports_each_seeds_clip_and_the_same_file_twice() {
    let home = tempfile::tempdir().unwrap();
    let plugins = home.path().join(".vst3");
    std::fs::create_dir(&plugins).unwrap();
    let plugin = plugins.join("Flowloop.vst3");
    std::os::unix::fs::symlink(bundled("Flowloop.vst3"), &plugin).unwrap();
    let presets = home.path().join(".config/ardour7/export");
    std::fs::create_dir_all(&presets).unwrap();
    std::fs::write(presets.join("exact.preset"), PRESET).unwrap();
    assert!(runs(home.path(), "/usr/lib/ardour7/ardour-vst3-scanner", &[plugin.to_str().unwrap()]));
    let clips = [1, 2].map(|seed| read(&wav(home.path(), seed, 1, 120)));
    let heard = bounce(home.path(), "first", &["1", "2"]);
    assert!(heard[0][..100].iter().any(|s| *s != 0.0), "it sounds from the first sample on");
    for (index, (right, wrong)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        // The seed turns 3,000 samples before the second loop, and the old clip fades out.
        let part = |c: &Vec<f32>| c[index * CLIP + 200..][..CLIP - 5000].to_vec();
        let far = |clip: &[Vec<f32>; 2]| {
            let pairs = heard.iter().map(part).zip(clip);
            pairs.fold(0f32, |m, (h, c)| h.iter().zip(&c[200..]).fold(m, |m, (h, c)| m.max((h - 0.5 * c).abs())))
        };
        let [right, wrong] = [right, wrong].map(|i| f64::from(far(&clips[i])));
        println!("Ardour, loop {index}: error {right:e}, distance {wrong}");
        assert!(right < EQUAL && wrong > DIFFERENT, "loop {index}: {right} {wrong}");
    }
    assert!(bounce(home.path(), "again", &["1", "2"]) == heard, "two exports are the same to the bit");
}
