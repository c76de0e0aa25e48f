//! Promise: a training that was killed, stopped or lost its newest checkpoint ends, on the CPU,
//! with the very model that an unbroken run gives; and one that has learnt all it can ends by itself with
//! the model as it was then.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use companion::{command, drum_folder, fails, finish, floats, run, text, works};
use flowloop::model::Model;
use flowloop::random::Philox;

const STEPS: &str = "40";

/// A folder with latents to learn from; trainings of the same name in different folders give the
/// same file.
struct Place {
    folder: tempfile::TempDir,
    latents: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let latents = folder.path().join("latents.safetensors");
    floats(&latents, "latents", &[12, 6, 16], &Philox::new(3, 0).normals(12 * 6 * 16));
    Place { folder, latents }
}

impl Place {
    fn output(&self, run: &str) -> PathBuf {
        let folder = self.folder.path().join(run);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("net.flow")
    }

    fn args<'a>(&'a self, output: &'a Path, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["train", "--latents", text(&self.latents), "-o", text(output), "--steps", steps];
        args.extend(["--device", "cpu", "--widths", "16,24,32", "--blocks", "0", "--batch", "4", "--every", "5"]);
        args.extend(more);
        args
    }

    /// Bytes of the model of an unbroken run, and its stdout.
    fn unbroken(&self) -> (Vec<u8>, String) {
        let output = self.output("unbroken");
        let stdout = works(&self.args(&output, STEPS, &[]));
        (std::fs::read(output).unwrap(), stdout)
    }
}

fn checkpoints(output: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(output.with_file_name("net.flow.checkpoint")).into_iter().flatten().flatten();
    let mut steps: Vec<u64> =
        entries.filter_map(|e| e.file_name().to_str()?.strip_prefix("step-")?.parse().ok()).collect();
    steps.sort();
    steps
}

fn checkpoint(output: &Path, step: u64) -> PathBuf {
    output.with_file_name("net.flow.checkpoint").join(format!("step-{step}"))
}

fn start(args: &[&str]) -> Child {
    command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal once a checkpoint of `step` or later is there.
fn signal_at(child: &Child, output: &Path, step: u64, signal: i32) {
    let begun = Instant::now();
    while checkpoints(output).last().is_none_or(|s| *s < step) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint of step {step} came");
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: our own child, which nobody has waited for.
    unsafe { libc::kill(child.id() as i32, signal) };
}

/// The lines that tell losses, without the time left.
fn losses(stdout: &str) -> Vec<&str> {
    let lines = stdout.lines().filter(|l| l.starts_with("step "));
    lines.map(|l| l.rsplit_once(", ").unwrap().0).collect()
}

/// Flips a bit in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn killed_half_way_gives_the_same_losses_and_weights() {
    let place = place();
    let (expected, unbroken) = place.unbroken();
    let output = place.output("killed");
    let args = place.args(&output, STEPS, &[]);
    let child = start(&args);
    signal_at(&child, &output, 10, libc::SIGKILL);
    let killed = finish(child);
    let reached = *checkpoints(&output).last().unwrap();
    assert!(killed.code.is_none() && reached < 40, "killed at {reached}: {killed:?}");
    let again = works(&args);
    assert!(again.contains(&format!("going on from step {reached}")), "{again}");
    let (all, late) = (losses(&unbroken), losses(&again));
    // Every fifth step, and the second and fourth: the first checkpoint has others before it.
    assert_eq!((all.len(), late.len() as u64), (10, (40 - reached) / 5), "{again}");
    assert_eq!(all[all.len() - late.len()..], late[..], "the same losses");
    assert!(all.first() != all.last() && all[0].contains("validation"), "{all:?}");
    assert_eq!(std::fs::read(&output).unwrap(), expected, "the same weights");
    assert_eq!(checkpoints(&output), [35, 40], "the newest and the one before");
}

#[test]
fn killed_again_and_again_at_any_moment_it_still_arrives() {
    let place = place();
    let (expected, _) = place.unbroken();
    let output = place.output("killed");
    // A checkpoint at each step: most of these kills fall into the writing of one.
    let args = place.args(&output, STEPS, &[]);
    let args: Vec<_> = args.into_iter().map(|a| if a == "5" { "1" } else { a }).collect();
    let mut kills = 0;
    for round in 0..12 {
        let child = start(&args);
        let reached = checkpoints(&output).last().copied().unwrap_or(0);
        if reached >= 36 {
            finish(child);
            break;
        }
        signal_at(&child, &output, reached + 2, 0);
        std::thread::sleep(Duration::from_micros(700 * round));
        // SAFETY: our own child, which nobody has waited for.
        unsafe { libc::kill(child.id() as i32, libc::SIGKILL) };
        kills += u32::from(finish(child).code.is_none());
        assert!(Model::load(&output).is_ok() || !output.exists(), "the model is whole or not there");
    }
    assert!(kills >= 3, "only {kills} kills hit");
    works(&args);
    assert_eq!(std::fs::read(&output).unwrap(), expected);
}

#[test]
fn what_a_kill_left_half_written_is_not_used() {
    let place = place();
    let (expected, _) = place.unbroken();
    let output = place.output("killed");
    works(&place.args(&output, "10", &[]));
    let part = output.with_file_name("net.flow.checkpoint/step-15.part");
    std::fs::create_dir(&part).unwrap();
    let whole = std::fs::read(checkpoint(&output, 10).join("net.bpk")).unwrap();
    std::fs::write(part.join("net.bpk"), &whole[..whole.len() / 3]).unwrap();
    assert!(works(&place.args(&output, STEPS, &[])).contains("going on from step 10"));
    assert_eq!(std::fs::read(&output).unwrap(), expected);
    assert!(!part.exists(), "nothing is left lying about");
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let place = place();
    let (expected, _) = place.unbroken();
    for name in ["net.bpk", "average.bpk", "optimizer.bpk", "state.json"] {
        let output = place.output(name);
        works(&place.args(&output, "20", &[]));
        damage(&checkpoint(&output, 20).join(name));
        let again = run(&place.args(&output, STEPS, &[]));
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.stderr.starts_with("warning: ") && again.stderr.contains("step-20"), "{again:?}");
        assert!(again.stdout.contains("going on from step 15"), "{again:?}");
        assert_eq!(std::fs::read(&output).unwrap(), expected, "{name}");
    }
    // A file that is missing or cut is as bad.
    let output = place.output("missing");
    works(&place.args(&output, "20", &[]));
    std::fs::remove_file(checkpoint(&output, 20).join("average.bpk")).unwrap();
    std::fs::write(checkpoint(&output, 15).join("optimizer.bpk"), "").unwrap();
    let model = std::fs::read(&output).unwrap();
    fails_with_a_warning(&place.args(&output, STEPS, &[]));
    assert_eq!(std::fs::read(&output).unwrap(), model, "the model made so far is kept");
    assert!(works(&place.args(&output, STEPS, &["--fresh"])).contains("done at step 40"));
    assert_eq!(std::fs::read(&output).unwrap(), expected);
}

#[track_caller]
fn fails_with_a_warning(args: &[&str]) {
    let ran = run(args);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert!(ran.code == Some(1) && lines.len() == 2, "{ran:?}");
    assert!(lines[0].starts_with("warning: ") && lines[0].contains("step-20"), "{ran:?}");
    assert!(lines[1].starts_with("error: ") && lines[1].contains("step-15") && lines[1].contains("--fresh"), "{ran:?}");
}

#[test]
fn interrupting_stops_with_a_checkpoint() {
    let place = place();
    let (expected, _) = place.unbroken();
    let output = place.output("stopped");
    let endless = place.args(&output, "1000000", &[]);
    let child = start(&endless);
    signal_at(&child, &output, 5, libc::SIGINT);
    let ran = finish(child);
    let step = *checkpoints(&output).last().unwrap();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.contains(&format!("stopped at step {step}")), "{ran:?}");
    // On a slow machine it may have gone beyond its best.
    let kept = Model::load(&output).unwrap().header.trained_steps;
    assert!(kept == step || ran.stdout.contains(&format!("at its best, at step {kept} ")), "{kept}: {ran:?}");
    if step < 40 {
        works(&place.args(&output, STEPS, &[]));
        assert_eq!(std::fs::read(&output).unwrap(), expected);
    }
}

#[test]
fn what_only_memorises_ends_and_the_best_is_kept() {
    let place = place();
    let output = place.output("best");
    // Noise: nothing about the held-out loops can be learnt.
    let args = |patience| place.args(&output, "100000", &["--patience", patience, "--learning-rate", "5e-3"]);
    let said = works(&args("40"));
    let end = said.lines().last().unwrap();
    let kept = Model::load(&output).unwrap().header.trained_steps;
    let ended: u64 = end.strip_prefix("ended at step ").unwrap().split(':').next().unwrap().parse().unwrap();
    assert!(kept < ended && end.contains(&format!("at its best, at step {kept}.")), "{kept}: {end}");
    let judged = |line: &str| -> Option<(u64, f64)> {
        let (step, rest) = line.strip_prefix("step ")?.split_once(':')?;
        Some((step.parse().ok()?, rest.split_once("validation ")?.1.split(',').next()?.parse().ok()?))
    };
    let losses: Vec<(u64, f64)> = said.lines().filter_map(judged).collect();
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!(kept, best, "{losses:?}");
    assert!(ended >= kept + (40).max(kept / 4) && ended < kept + 50 + kept / 4, "{kept}, {ended}");
    // Run again it ends at once with the same model; asked to, it goes on and still keeps the best.
    let model = std::fs::read(&output).unwrap();
    assert!(works(&args("40")).contains(&format!("ended at step {ended}")));
    assert!(std::fs::read(&output).unwrap() == model);
    let further = (ended + 10).to_string();
    let said = works(&place.args(&output, &further, &["--patience", "0", "--learning-rate", "5e-3"]));
    assert!(said.contains(&format!("done at step {further}")) && said.contains(&format!("step {kept} ")), "{said}");
    assert!(std::fs::read(&output).unwrap() == model);
    // Nothing is left of the best: the next judgement counts.
    std::fs::remove_file(&output).unwrap();
    works(&place.args(&output, &further, &["--patience", "0", "--learning-rate", "5e-3"]));
    assert_eq!(Model::load(&output).unwrap().header.trained_steps.to_string(), further);
}

#[test]
fn another_run_is_not_gone_on_with() {
    let place = place();
    let output = place.output("other");
    // Settings that JSON does not print in few digits must be recognised, too.
    let rate = ["--learning-rate", "0.00073000000000000001301"];
    works(&place.args(&output, "5", &rate));
    assert!(works(&place.args(&output, "6", &rate)).contains("going on from step 5"));
    let model = std::fs::read(&output).unwrap();
    let refused = ["another run", "--fresh"];
    fails(&place.args(&output, "7", &[]), &[refused[0], refused[1], "a setting"]);
    fails(&place.args(&output, "7", &[&rate[..], &["--seed", "1"]].concat()), &refused);
    floats(&place.latents, "latents", &[12, 6, 16], &Philox::new(4, 0).normals(12 * 6 * 16));
    fails(&place.args(&output, "7", &rate), &[refused[0], refused[1], "the training set"]);
    assert_eq!(std::fs::read(&output).unwrap(), model);
}

#[test]
fn a_folder_of_loops_goes_on_just_so() {
    let folder = tempfile::tempdir().unwrap();
    let loops = folder.path().join("loops");
    drum_folder(&loops, 12);
    let train = |run: &str, steps: &str| {
        let output = folder.path().join(run).join("net.flow");
        std::fs::create_dir_all(output.parent().unwrap()).unwrap();
        let stdout = works(&[
            "train",
            text(&loops),
            "-o",
            text(&output),
            "--steps",
            steps,
            "--device",
            "cpu",
            "--widths",
            "32,32",
            "--batch",
            "4",
            "--every",
            "5",
            "--validation",
            "0.2",
        ]);
        (std::fs::read(output).unwrap(), stdout)
    };
    let (expected, stdout) = train("unbroken", "12");
    for part in ["12 loops from 12 files", "6 labelled kicks", "6 labelled snares", "2 labels", "validation"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    train("broken", "7");
    let (found, stdout) = train("broken", "12");
    assert!(stdout.contains("going on from step 7"), "{stdout}");
    assert_eq!(found, expected);
    // And it makes sound.
    let wav = folder.path().join("new.wav");
    let model = folder.path().join("broken/net.flow");
    works(&["generate", "--device", "cpu", "--model", text(&model), "--label", "snares", "-o", text(&wav)]);
    assert_eq!(std::fs::metadata(wav).unwrap().len(), 44 + 4 * 44_100 * 6 + 8 + 24 + 8 + 60);
}
