//! Promise: `flowloop generate` writes loops of exactly the asked length, the same for the same
//! seed, and a request that cannot be met says in one line what to do and touches no file.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use companion::{command, fails, finish, run, text, tiny_model, works};
use flowloop::model::Precision;

struct Place {
    folder: tempfile::TempDir,
    model: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny.flow");
    tiny_model(&["kicks", "snares"]).save(&model, Precision::Half).unwrap();
    Place { folder, model }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Arguments for one loop, on the CPU.
    fn args<'a>(&'a self, output: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["generate", "--device", "cpu", "--model", text(&self.model), "-o", text(output)];
        args.extend(more);
        args
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The chunks of a RIFF file, whose sizes must add up.
fn chunks(bytes: &[u8]) -> HashMap<String, Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&bytes[..4], &bytes[8..12], word(4)), (&b"RIFF"[..], &b"WAVE"[..], bytes.len() - 8));
    let (mut at, mut out) = (12, HashMap::new());
    while at < bytes.len() {
        let (name, size) = (String::from_utf8(bytes[at..at + 4].to_vec()).unwrap(), word(at + 4));
        out.insert(name, bytes[at + 8..at + 8 + size].to_vec());
        at += 8 + size + size % 2;
    }
    assert_eq!(at, bytes.len());
    out
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect()
}

#[test]
fn lengths_and_chunks_are_exact_at_odd_tempos() {
    let place = place();
    let cases = [(1, 20.0), (2, 61.7), (3, 97.3), (1, 123.456), (2, 128.0), (5, 173.99), (1, 400.0)];
    for (bars, bpm) in cases {
        let path = place.path("loop.wav");
        works(&place.args(&path, &["--bars", &bars.to_string(), "--bpm", &bpm.to_string(), "--steps", "2"]));
        let expected = (f64::from(bars) * 4.0 * 60.0 / bpm * 44_100.0).round() as u32;
        let bytes = std::fs::read(&path).unwrap();
        let found = chunks(&bytes);
        let format = words(&found["fmt "]);
        // PCM, two channels; 44.1 kHz; six bytes a frame; 24 bits.
        assert_eq!(format, [0x0002_0001, 44_100, 264_600, 24 << 16 | 6], "{bars} bars at {bpm}");
        assert_eq!(found["data"].len() as u32, expected * 6, "{bars} bars at {bpm}");
        assert!(found["data"].iter().any(|b| *b != 0), "{bars} bars at {bpm} are silent");
        let acid = words(&found["acid"]);
        assert_eq!(acid[0] & 1, 0, "a loop, not a one-shot");
        assert_eq!((acid[3], acid[4]), (bars * 4, 0x0004_0004), "beats and metre");
        assert_eq!(f32::from_bits(acid[5]), bpm as f32);
        let sampler = words(&found["smpl"]);
        assert_eq!(sampler[7..9], [1, 0], "one loop, nothing behind it");
        assert_eq!(sampler[10..15], [0, 0, expected - 1, 0, 0], "forward, from the first to the last, endless");
    }
}

#[test]
fn a_seed_is_a_loop() {
    let place = place();
    let make = |name: &str, more: &[&str]| {
        let path = place.path(name);
        works(&place.args(&path, &[&["--bars", "1", "--steps", "3"], more].concat()));
        std::fs::read(&path).unwrap_or_default()
    };
    let first = make("a.wav", &["--seed", "7"]);
    assert_eq!(first, make("b.wav", &["--seed", "7"]), "the same seed gives the same bytes");
    let others = [
        make("c.wav", &["--seed", "8"]),
        make("d.wav", &["--seed", "7", "--label", "Snares"]),
        make("e.wav", &["--seed", "7", "--solver", "heun"]),
    ];
    assert!(others.iter().all(|o| o.len() == first.len() && *o != first));
    let snares = ["--seed", "7", "--label", "Snares"];
    let more: [&[&str]; 5] = [
        &["--seed", "7", "--morph", "0.5"],
        &["--seed", "7", "--variation", "0.5"],
        &["--seed", "7", "--variation", "0.5", "--take", "1"],
        &[&snares[..], &["--guidance", "3"]].concat(),
        &[&snares[..], &["--guidance", "1"]].concat(),
    ];
    let more = more.map(|more| make("f.wav", more));
    assert!(more[..4].iter().all(|o| o.len() == first.len() && *o != first && !others.contains(o)));
    assert!(more[1] != more[2] && more[4] == others[1]);
    let same: [(&[&str], &Vec<u8>); 4] = [
        (&["--seed", "7", "--morph", "1"], &others[0]),
        (&["--seed", "7", "--morph", "0", "--take", "4"], &first),
        (&["--seed", "7", "--guidance", "3"], &first),
        (&[&snares[..], &["--guidance", "0"]].concat(), &first),
    ];
    for (more, expected) in same {
        assert!(make("g.wav", more) == *expected, "{more:?}");
    }
    make("many.wav", &["--seed", "7", "--count", "3"]);
    let many = |seed: u64| std::fs::read(place.path(&format!("many-{seed}.wav"))).unwrap();
    assert!(!place.path("many.wav").exists());
    assert_eq!((many(7), many(8)), (first, others[0].clone()), "with others or alone, a seed is the same loop");
    assert!(many(9) != many(8));
    let last = u64::MAX.to_string();
    assert!(!make("last.wav", &["--seed", &last]).is_empty(), "the last seed is one too");
}

#[test]
fn what_cannot_be_done_is_said_and_touches_nothing() {
    let place = place();
    let (fresh, mine) = (place.path("fresh.wav"), place.path("mine.wav"));
    std::fs::write(&mine, "mine").unwrap();
    let before = place.names();
    let (missing, last) = (place.path("missing.flow"), u64::MAX.to_string());
    let cases: [(&[&str], &[&str]); 20] = [
        (&["--steps", "0"], &["--steps must be at least 1"]),
        (&["--bars", "0"], &["--bars must be at least 1"]),
        (&["--bars", "65"], &["--bars must be at most 64"]),
        (&["--bars", "4294967295"], &["--bars must be at most 64"]),
        (&["--count", "0"], &["--count must be at least 1"]),
        (&["--count", "18446744073709551615"], &["--count is too large"]),
        (&["--seed", &last, "--count", "2"], &["--seed", "--count", "2^64"]),
        (&["--bpm", "0"], &["--bpm must be between 20 and 400, not 0"]),
        (&["--bpm", "NaN"], &["--bpm must be between 20 and 400, not NaN"]),
        (&["--bpm", "-1"], &["--bpm must be between 20 and 400, not -1"]),
        (&["--bpm", "1e9"], &["--bpm must be between 20 and 400, not 1000000000"]),
        (&["--bpm", "inf"], &["--bpm must be between 20 and 400, not inf"]),
        (&["--morph", "1.5"], &["--morph must be between 0 and 1, not 1.5"]),
        (&["--variation", "-0.1"], &["--variation must be between 0 and 1, not -0.1"]),
        (&["--variation", "NaN"], &["--variation must be between 0 and 1, not NaN"]),
        (&["--guidance", "11"], &["--guidance must be between 0 and 10, not 11"]),
        (&["--label", "flutes"], &["flutes", "kicks, snares"]),
        (&["--device", "toaster"], &["toaster", "flowloop devices"]),
        (&["--device", "gpu:99"], &["gpu:99", "--device cpu"]),
        (&["--model", text(&missing)], &["missing.flow", "Check the path"]),
    ];
    for (more, parts) in cases {
        for output in [&fresh, &mine] {
            // The case's own --model or --device stands alone: an option is given once.
            let args = place.args(output, more);
            let twice = |flag: &str| more.contains(&flag);
            let mut kept = vec![args[0]];
            for pair in args[1..args.len() - more.len()].chunks(2) {
                if !twice(pair[0]) {
                    kept.extend(pair);
                }
            }
            kept.extend(more);
            if twice("--device") {
                // Looking for GPUs, graphics drivers write lines of their own.
                let ran = run(&kept);
                let errors: Vec<_> =
                    ran.stderr.lines().filter(|l| l.starts_with("error: ") && !l.contains("XDG_")).collect();
                assert!(ran.code == Some(1) && errors.len() == 1, "{ran:?}");
                assert!(parts.iter().all(|p| errors[0].contains(p)), "{ran:?}");
            } else {
                fails(&kept, parts);
            }
            assert_eq!(place.names(), before, "{more:?}");
            assert_eq!(std::fs::read(&mine).unwrap(), b"mine", "{more:?}");
        }
    }
    for bad in [["--bars", "-1"], ["--steps", "many"], ["--bpm", "fast"], ["--solver", "magic"]] {
        let ran = run(&place.args(&fresh, &bad));
        assert!(ran.code == Some(2) && ran.stderr.contains(bad[0]) && ran.stderr.contains(bad[1]), "{ran:?}");
        assert_eq!(place.names(), before);
    }
}

#[test]
fn a_model_without_labels_or_codec_says_so() {
    let place = place();
    let output = place.path("out.wav");
    tiny_model(&[]).save(&place.model, Precision::Half).unwrap();
    fails(&place.args(&output, &["--label", "kicks"]), &["no labels", "leave out --label"]);
    let mut bare = tiny_model(&[]);
    (bare.codec, bare.header.codec) = (None, None);
    bare.save(&place.model, Precision::Half).unwrap();
    fails(&place.args(&output, &[]), &["no codec", "flowloop sample"]);
    assert!(!output.exists());
}

#[test]
fn an_output_that_cannot_be_is_found_before_the_work() {
    let place = place();
    std::fs::create_dir(place.path("folder")).unwrap();
    let before = place.names();
    // So many steps that a check after the work would never come.
    let endless = ["--steps", "4000000000"];
    let nowhere = place.path("nowhere/loop.wav");
    fails(&place.args(&nowhere, &endless), &["nowhere", "a folder that exists"]);
    fails(&place.args(&place.path("folder"), &endless), &["folder", "is a folder"]);
    fails(&place.args(Path::new("/proc/loop.wav"), &endless), &["/proc/loop.wav", "you may write to"]);
    fails(&place.args(&place.model, &endless), &["would overwrite"]);
    assert_eq!(place.names(), before);
    assert!(flowloop::model::Model::load(&place.model).is_ok());
}

#[test]
fn an_interrupted_run_writes_nothing() {
    let place = place();
    let (output, before) = (place.path("out.wav"), place.names());
    let args = place.args(&output, &["--steps", "4000000000"]);
    let piped = std::process::Stdio::piped;
    let child = command(&args).stdout(piped()).stderr(piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // SAFETY: our own child, which nobody has waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let ran = finish(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: cancelled\n"), "{ran:?}");
    assert_eq!(place.names(), before);
}
