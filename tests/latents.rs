//! Promise: other codecs' latents can be learnt from and sampled, checkpoints of PyTorch give
//! PyTorch's samples, and `inspect` and `devices` tell the truth.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::path::{Path, PathBuf};

use companion::{command, fails, floats, run, text, tiny_model, works};
use flowloop::model::{Model, Precision};
use flowloop::random::Philox;
use safetensors::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed-unet").join(name)
}

fn read(path: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    (view.shape().to_vec(), values)
}

/// Arguments of a short training on latents.
fn train<'a>(latents: &'a Path, output: &'a Path) -> Vec<&'a str> {
    let mut args = vec!["train", "--latents", text(latents), "-o", text(output), "--device", "cpu"];
    args.extend(["--widths", "16,24,32", "--blocks", "0", "--steps", "20", "--batch", "4", "--every", "5"]);
    args
}

#[test]
fn an_imported_net_samples_as_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let [model, output] = ["seed.flow", "out.safetensors"].map(|n| folder.path().join(n));
    let [net, statistics, expected] = ["model_diffusion.pth", "mean_std.pth", "expected.safetensors"].map(fixture);
    works(&["import", text(&net), "--mean-std", text(&statistics), "-o", text(&model)]);
    let cases: [(&str, &[&str], &str); 4] = [
        ("1", &[], "sample_1"),
        ("4", &[], "sample_4"),
        ("100", &[], "sample_100"),
        ("100", &["--unnormalise"], "sample_100_unnormalised"),
    ];
    let sample = |steps: &str, more: &[&str]| {
        let mut args = vec!["sample", "--device", "cpu", "--model", text(&model), "--noise", text(&expected)];
        args.extend(["--steps", steps, "-o", text(&output)]);
        args.extend(more);
        works(&args);
        read(&output, "latents")
    };
    let furthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    for (steps, more, name) in cases {
        let ((shape, found), (right_shape, right)) = (sample(steps, more), read(&expected, name));
        assert_eq!(shape, right_shape, "{name}");
        assert!(furthest(&found, &right) < 1e-4, "{name} is {} away", furthest(&found, &right));
    }
    // Heun with few steps comes nearer to where Euler goes with many.
    let right = read(&expected, "sample_100").1;
    let heun = furthest(&sample("8", &["--solver", "heun"]).1, &right);
    let euler = furthest(&sample("8", &[]).1, &right);
    assert!(heun < euler, "Heun {heun}, Euler {euler}");
}

#[test]
fn latents_are_learnt_and_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [latents, model, noise, output] = ["l.safetensors", "net.flow", "n.safetensors", "o.safetensors"].map(path);
    // Channel c of each loop is 100 c + 1 or - 1 all through.
    let loop_of =
        |i: usize| (0..4).flat_map(move |c| [100.0 * c as f32 + if i.is_multiple_of(2) { 1.0 } else { -1.0 }; 16]);
    let values: Vec<f32> = (0..20).flat_map(loop_of).collect();
    floats(&latents, "latents", &[20, 4, 16], &values);
    let stdout = works(&train(&latents, &model));
    for part in ["step 5: loss", "step 20: loss", "validation", "done at step 20"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let made = Model::load(&model).unwrap();
    assert_eq!((made.header.trained_steps, made.header.net.channels, made.codec.is_none()), (20, 4, true));
    assert!(made.mean.iter().enumerate().all(|(c, m)| (m - 100.0 * c as f32).abs() < 1.0), "{:?}", made.mean);
    floats(&noise, "noise", &[3, 4, 16], &Philox::new(9, 0).normals(3 * 4 * 16));
    let sample = |more: &[&str]| {
        let mut args = vec!["sample", "--device", "cpu", "--model", text(&model), "--noise", text(&noise)];
        args.extend(["-o", text(&output)]);
        args.extend(more);
        works(&args);
        let (shape, values) = read(&output, "latents");
        assert_eq!(shape, [3, 4, 16]);
        values
    };
    let plain = sample(&["--steps", "4"]);
    assert_eq!(plain, sample(&["--steps", "4"]), "the same noise gives the same latents");
    assert!(plain != sample(&["--steps", "5"]) && plain != sample(&["--steps", "4", "--solver", "heun"]));
    for (i, value) in sample(&["--steps", "4", "--unnormalise"]).iter().enumerate() {
        let c = i / 16 % 4;
        let expected = plain[i] * made.std[c] + made.mean[c];
        assert!((value - expected).abs() < 1e-3, "{value} {expected}");
    }
}

#[test]
fn a_training_that_diverges_ends_and_keeps_the_last_good_model() {
    let folder = tempfile::tempdir().unwrap();
    let [latents, model] = ["l.safetensors", "net.flow"].map(|n| folder.path().join(n));
    floats(&latents, "latents", &[8, 4, 8], &Philox::new(2, 0).normals(8 * 4 * 8));
    let wild = [&train(&latents, &model)[..], &["--learning-rate", "1e30"]].concat();
    fails(&wild, &["diverged", "a smaller --learning-rate"]);
    assert!(!model.exists(), "no model of weights that are no numbers");
    works(&train(&latents, &model));
    let good = std::fs::read(&model).unwrap();
    fails(&[&wild[..], &["--fresh"]].concat(), &["diverged"]);
    assert_eq!(std::fs::read(&model).unwrap(), good);
}

#[test]
fn noise_that_does_not_suit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [model, noise, output] = ["tiny.flow", "noise.safetensors", "out.safetensors"].map(path);
    tiny_model(&[]).save(&model, Precision::Full).unwrap();
    std::fs::write(&output, "mine").unwrap();
    let args = ["sample", "--device", "cpu", "--model", text(&model), "--noise", text(&noise), "-o", text(&output)];
    let refused = |parts: &[&str]| {
        fails(&args, parts);
        assert_eq!(std::fs::read(&output).unwrap(), b"mine");
    };
    refused(&["cannot read", "noise.safetensors", "Check the path"]);
    std::fs::write(&noise, "noise").unwrap();
    refused(&["is no safetensors file", "[batch, channel, frame]"]);
    floats(&noise, "nose", &[1, 8, 8], &[0.0; 64]);
    refused(&["no tensor `noise`", "nose"]);
    floats(&noise, "noise", &[8, 8], &[0.0; 64]);
    refused(&["[8, 8]", "[batch, channel, frame]"]);
    floats(&noise, "noise", &[1, 4, 16], &[0.0; 64]);
    refused(&["4 channels, the model 8"]);
    floats(&noise, "noise", &[1, 8, 6], &[0.0; 48]);
    refused(&["6 frames", "multiple of 4"]);
    floats(&noise, "noise", &[0, 8, 8], &[]);
    refused(&["`noise` is empty"]);
    floats(&noise, "noise", &[1, 8, 8], &[f32::NAN; 64]);
    refused(&["not finite"]);
    floats(&noise, "noise", &[1, 8, 8], &[0.0; 64]);
    fails(&[&args[..], &["--steps", "0"]].concat(), &["--steps must be at least 1"]);
    fails(&[&args[..7], &["-o", text(&noise)]].concat(), &["would overwrite"]);
    fails(&[&args[..7], &["-o", text(&path("nowhere/out"))]].concat(), &["nowhere", "a folder that exists"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"mine");
    works(&args);
}

#[test]
fn latents_that_do_not_suit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [latents, model] = ["l.safetensors", "net.flow"].map(|n| folder.path().join(n));
    let refused = |parts: &[&str]| {
        fails(&train(&latents, &model), parts);
        assert!(!model.exists());
    };
    refused(&["l.safetensors", "holds no latents"]);
    std::fs::write(&latents, [7; 50]).unwrap();
    refused(&["holds no latents", "[loop, channel, frame]"]);
    floats(&latents, "noise", &[4, 2, 8], &[0.0; 64]);
    refused(&["holds no latents", "[loop, channel, frame]"]);
    floats(&latents, "latents", &[8, 8], &[0.0; 64]);
    refused(&["2 axes"]);
    floats(&latents, "latents", &[1, 8, 8], &[0.0; 64]);
    refused(&["[1, 8, 8]", "two loops or more"]);
    floats(&latents, "latents", &[4, 4, 4], &[0.0; 64]);
    refused(&["multiples of 8", "fewer"]);
    for bad in [f32::NAN, f32::INFINITY] {
        floats(&latents, "latents", &[4, 2, 8], &[bad; 64]);
        refused(&["not finite"]);
    }
    // An output that is something else's file stays as it is.
    floats(&latents, "latents", &[4, 2, 8], &[0.5; 64]);
    fails(&train(&latents, &latents), &["would overwrite"]);
    std::fs::write(&model, "mine").unwrap();
    fails(&train(&latents, &model), &["is no Flowloop model", "another --output"]);
    assert_eq!(std::fs::read(&model).unwrap(), b"mine");
    for (flag, value, part) in [
        ("--batch", "0", "between 1 and 4096"),
        ("--learning-rate", "NaN", "positive"),
        ("--validation", "1", "below 0.9"),
        ("--device", "cpu,cpu", "one device twice"),
    ] {
        let mut args = train(&latents, Path::new("/tmp/never.flow"));
        args.retain(|a| !["--batch", "4", "--device", "cpu"].contains(a));
        args.extend([flag, value]);
        fails(&args, &[flag, part]);
    }
}

#[test]
fn inspect_tells_what_a_model_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.flow");
    let model = tiny_model(&["kicks", "snares"]);
    model.save(&path, Precision::Full).unwrap();
    let parameters: usize = model.weights.values().map(|w| w.values.len()).sum();
    let hash = Model::load(&path).unwrap().hash;
    let shown = works(&["inspect", text(&path)]);
    for part in ["tiny", "made by a test", "kicks, snares", "[32, 32]", &hash, &parameters.to_string()] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&works(&["inspect", "--json", text(&path)])).unwrap();
    assert_eq!(json["name"], "tiny");
    assert_eq!(json["labels"], serde_json::json!(["kicks", "snares"]));
    assert_eq!(json["net"]["widths"], serde_json::json!([32, 32]));
    assert_eq!(json["codec"]["channels"], 8);
    assert_eq!((&json["parameters"], &json["hash"]), (&parameters.into(), &hash.into()));
}

#[test]
fn devices_has_the_cpu_and_one_choice() {
    let ran = run(&["devices"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.lines().next().unwrap().starts_with("cpu "), "{ran:?}");
    assert_eq!(ran.stdout.matches("<- auto").count(), 1, "{ran:?}");
}

#[test]
fn the_plugins_device_is_chosen_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let devices = |more: &[&str]| {
        let mut command = command(&[&["devices"], more].concat());
        command.env("FLOWLOOP_HOME", &home).env_remove("FLOWLOOP_DEVICE");
        let piped = std::process::Stdio::piped;
        companion::finish(command.stdout(piped()).stderr(piped()).spawn().unwrap())
    };
    assert!(devices(&[]).stdout.contains("the plugin uses auto"));
    assert!(!home.exists(), "looking leaves nothing behind");
    let ran = devices(&["--use", "cpu"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("the plugin uses cpu (CPU)"), "{ran:?}");
    assert!(devices(&[]).stdout.contains("the plugin uses cpu"));
    let ran = devices(&["--use", "toaster"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("toaster"), "{ran:?}");
    assert!(devices(&[]).stdout.contains("the plugin uses cpu"), "a device that is none changes nothing");
}
