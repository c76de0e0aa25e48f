//! Promises: a training goes on from another model, its codec, labels and sound taken over; and
//! `flowloop evaluate` tells real loops, noise and an untrained model apart.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use companion::{drum_folder, fails, pad_folder, text, tiny_keyed_model, tiny_model, works};
use flowloop::model::{Model, Precision};

#[test]
fn training_goes_on_from_a_model() {
    let place = tempfile::tempdir().unwrap();
    let [loops, base, own] = ["loops", "base.flow", "own.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 8);
    tiny_model(&["pads", "kicks"]).save(&base, Precision::Full).unwrap();
    let train = |more: &[&str]| -> Vec<String> {
        let args = ["train", text(&loops), "-o", text(&own), "--from", text(&base), "--device", "cpu", "--batch", "2"];
        args.iter().chain(more).map(|a| a.to_string()).collect()
    };
    // A step too small to be heard.
    let args = train(&["--steps", "1", "--learning-rate", "1e-12"]);
    let said = works(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("are little"), "ten minutes of loops are wanted: {said}");
    let (before, mut after) = (Model::load(&base).unwrap(), Model::load(&own).unwrap());
    assert!(!after.drift.is_empty(), "what it makes was measured");
    // The base was not measured: its sound is to be found without.
    let plain = place.path().join("plain.flow");
    after.drift.clear();
    after.levels = None;
    after.save(&plain, Precision::Half).unwrap();
    assert_eq!(after.header.labels, ["pads", "kicks", "snares"]);
    assert_eq!(after.header.credits, before.header.credits);
    assert_eq!((&after.mean, &after.std), (&before.mean, &before.std));
    assert_eq!(after.codec.unwrap().tensors(), before.codec.unwrap().tensors());
    let heard = |model: &std::path::Path, label: &str| {
        let path = place.path().join("heard.wav");
        works(&[
            "generate",
            "--model",
            text(model),
            "--label",
            label,
            "--bars",
            "1",
            "--steps",
            "4",
            "--device",
            "cpu",
            "-o",
            text(&path),
        ]);
        flowloop::dataset::decode::decode(std::fs::read(&path).unwrap()).unwrap().samples[0].clone()
    };
    let energy = |s: &[f32]| s.iter().map(|v| v * v).sum::<f32>();
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>() / energy(a);
    let (kicks, pads) = (heard(&base, "kicks"), heard(&base, "pads"));
    // What is trained is written with 16 bits.
    let half = place.path().join("half.flow");
    Model::load(&base).unwrap().save(&half, Precision::Half).unwrap();
    assert_eq!(heard(&half, "kicks"), heard(&plain, "kicks"), "the sound is taken over");
    assert!(apart(&kicks, &pads) > 0.2, "labels tell");
    assert_ne!(heard(&plain, "snares"), heard(&plain, "kicks"), "a new label begins as none");
    // And by a net that has grown, too.
    let (grown, blocks) = (place.path().join("grown.flow"), before.header.net.blocks);
    let grow = |from: &std::path::Path, blocks: usize| {
        let args = ["train", text(&loops), "-o", text(&grown), "--from", text(from), "--device", "cpu", "--batch", "2"];
        let more = ["--steps", "1", "--learning-rate", "1e-12", "--blocks"].map(String::from);
        args.map(String::from).into_iter().chain(more).chain([blocks.to_string()]).collect::<Vec<_>>()
    };
    works(&grow(&base, blocks + 1).iter().map(String::as_str).collect::<Vec<_>>());
    let mut larger = Model::load(&grown).unwrap();
    assert_eq!(larger.header.net.blocks, blocks + 1);
    larger.drift.clear();
    larger.levels = None;
    larger.save(&plain, Precision::Half).unwrap();
    assert_eq!(heard(&half, "kicks"), heard(&plain, "kicks"), "the sound is taken over");
    let smaller = grow(&grown, blocks);
    fails(&smaller.iter().map(String::as_str).collect::<Vec<_>>(), &["--blocks", "can grow"]);
    // And on from its checkpoint, or not at all.
    let args = train(&["--steps", "3", "--learning-rate", "1e-12"]);
    assert!(works(&args.iter().map(String::as_str).collect::<Vec<_>>()).contains("going on from step 1"));
    let other = ["train", text(&loops), "-o", text(&own), "--from", "factory", "--device", "cpu", "--batch", "2"];
    fails(&other, &["belongs to another run", "--fresh"]);
}

#[test]
fn what_only_makes_a_model_worse_is_not_kept() {
    let place = tempfile::tempdir().unwrap();
    let [loops, base, own] = ["loops", "base.flow", "own.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 16);
    let train = |output, more: &[&str]| {
        let args = ["train", text(&loops), "-o", output, "--device", "cpu", "--batch", "4", "--every", "4"];
        works(&[&args[..], more].concat())
    };
    train(text(&base), &["--widths", "32", "--stem", "32", "--steps", "40"]);
    let on = ["--from", text(&base), "--learning-rate", "5", "--steps", "100", "--patience", "8"];
    let said = train(text(&own), &on);
    let end = said.lines().last().unwrap();
    assert!(end.starts_with("ended at step 8: ") && end.contains(", as --from is. "), "{said}");
    assert!(end.ends_with("A smaller --learning-rate, with --fresh, may better it"), "{said}");
    let [before, after] = [&base, &own].map(|path| Model::load(path).unwrap());
    assert_eq!((after.weights, after.header.trained_steps), (before.weights, 0));
}

#[test]
fn a_model_for_few_steps_is_made_of_another() {
    let place = tempfile::tempdir().unwrap();
    let [loops, base, fast] = ["loops", "base.flow", "fast.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 8);
    pad_folder(&loops, &["Am", "D#m", "Cmaj", "F#min"]);
    tiny_keyed_model(&["kicks", "snares", "pads"], &["pads"]).save(&base, Precision::Full).unwrap();
    let args = ["train", text(&loops), "-o", text(&fast), "--from", text(&base), "--straighten", "8", "--batch", "4"];
    let train = |steps| works(&[&args[..], &["--device", "cpu", "--steps", steps]].concat());
    assert!(train("3").contains("done at step 3"));
    let (before, after) = (Model::load(&base).unwrap(), Model::load(&fast).unwrap());
    assert_eq!((&after.header.labels, after.header.trained_steps), (&before.header.labels, 3));
    assert!(after.weights != before.weights, "it learnt something");
    // The pairs are made again just so: the run goes on.
    assert!(train("4").contains("going on from step 3"));

    // And on, by what cannot be told from the loops.
    let few = place.path().join("few.flow");
    let distil =
        |from, to, steps| ["train", text(&loops), "--from", from, "-o", to, "--distil", text(&base), "--steps", steps];
    let more = ["--batch", "4", "--device", "cpu"];
    let said = works(&[&distil(text(&fast), text(&few), "3")[..], &more].concat());
    assert!(said.contains("done at step 3") && said.contains("the discriminator's loss"), "{said}");
    let made = Model::load(&few).unwrap();
    assert!(made.header.distilled && !after.header.distilled);
    assert_eq!(made.header.shift, after.header.shift, "its steps are those of the straightened one");
    assert!(made.drift.iter().any(|drift| drift.renewed), "runs with new noise are measured");
    assert!(works(&["inspect", text(&few)]).contains("few steps"));
    let said = works(&[&distil(text(&fast), text(&few), "4")[..], &more].concat());
    assert!(said.contains("going on from step 3"), "{said}");
    let none = place.path().join("none.flow");
    let refused = |from, expected: &[&str]| fails(&[&distil(from, text(&none), "1")[..], &more].concat(), expected);
    refused(text(&few), &["--from", "few steps", "straightened"]);
    let one = place.path().join("one.flow");
    tiny_model(&["kicks"]).save(&one, Precision::Full).unwrap();
    refused(text(&one), &["--distil", "labels"]);
    refused(text(&base), &["--distil", "the same", "--straighten"]);
    std::fs::remove_dir_all(loops.join("pads")).unwrap();
    refused(text(&fast), &["--distil", "FOLDER", "no loops in keys"]);
}

#[test]
fn a_model_is_pushed_away_from_a_worse_one() {
    let place = tempfile::tempdir().unwrap();
    let [loops, worse, better, sharp] =
        ["loops", "worse.flow", "better.flow", "sharp.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 8);
    tiny_model(&["kicks", "snares"]).save(&worse, Precision::Full).unwrap();
    let train = |from, output, more: &[&str]| -> Vec<String> {
        let args = ["train", text(&loops), "--from", text(from), "-o", text(output), "--device", "cpu", "--batch", "4"];
        args.iter().chain(more).map(|a| a.to_string()).collect()
    };
    let run = |args: Vec<String>| works(&args.iter().map(String::as_str).collect::<Vec<_>>());
    run(train(&worse, &better, &["--steps", "5", "--learning-rate", "1e-3"]));
    let sharpen = ["--sharpen", text(&worse), "--patience", "0", "--steps"];
    let said = run(train(&better, &sharp, &[&sharpen[..], &["3"]].concat()));
    assert!(said.contains("done at step 3"), "{said}");
    let [taught, learnt] = [&better, &sharp].map(|path| Model::load(path).unwrap());
    assert_eq!((&learnt.header.labels, &learnt.mean), (&taught.header.labels, &taught.mean));
    assert!(learnt.weights != taught.weights, "it learnt something");
    let runs = |model: &Model, long: bool| -> Vec<_> {
        model.drift.iter().filter(|drift| (drift.steps >= 8) == long).cloned().collect()
    };
    assert!(!runs(&taught, true).is_empty() && !runs(&taught, false).is_empty());
    assert_eq!(runs(&learnt, true), runs(&taught, true), "long runs are put right as before");
    assert_ne!(runs(&learnt, false), runs(&taught, false), "and short ones by what they do now");
    let steps = |model: &Model| model.drift.iter().map(|drift| drift.steps).collect::<Vec<_>>();
    assert_eq!(steps(&learnt), steps(&taught));
    let [before, after] = [&taught, &learnt].map(|model| model.levels.as_ref().unwrap().tensors());
    assert!(before.len() == after.len() && before != after, "levels likewise");
    let of = |all: &[(String, Vec<usize>, Vec<f32>)]| all.iter().find(|t| t.0 == "levels.16").unwrap().2.clone();
    assert_eq!(of(&before), of(&after));
    assert!(run(train(&better, &sharp, &[&sharpen[..], &["4"]].concat())).contains("going on from step 3"));
    // At this step size nothing changes, and after a step that is no better it has done what it can.
    let ended = place.path().join("ended.flow");
    let still = ["--sharpen", text(&worse), "--learning-rate", "1e-12", "--every", "1", "--patience", "1"];
    let said = run(train(&better, &ended, &still));
    assert!(said.contains("followed no better") && !said.contains("memorise"), "{said}");
    let none = place.path().join("none.flow");
    let refused = |from, with, expected: &[&str]| {
        let args = train(from, &none, &["--sharpen", text(with), "--steps", "1"]);
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    refused(&better, &better, &["--sharpen", "the same", "learnt less"]);
    let [other, few] = ["other.flow", "few.flow"].map(|n| place.path().join(n));
    tiny_model(&["pads"]).save(&other, Precision::Full).unwrap();
    refused(&better, &other, &["--sharpen", "labels", "earlier in its training"]);
    // One may know fewer labels than the other; of those that none knows nothing can be learnt.
    let mut changed = tiny_model(&["kicks"]);
    changed.weights.values_mut().for_each(|weight| weight.values[0] += 0.1);
    changed.save(&few, Precision::Full).unwrap();
    run(train(&better, &none, &["--sharpen", text(&few), "--steps", "1"]));
    let one = place.path().join("one.flow");
    tiny_model(&["kicks"]).save(&one, Precision::Full).unwrap();
    refused(&one, &few, &["--sharpen", "snares"]);
}

#[test]
fn evaluate_prints_a_row_a_set() {
    let place = tempfile::tempdir().unwrap();
    let [loops, few, model, json] = ["loops", "few", "tiny.flow", "table.json"].map(|n| place.path().join(n));
    drum_folder(&loops, 48);
    tiny_model(&["kicks", "snares"]).save(&model, Precision::Full).unwrap();
    let args = ["evaluate", text(&loops), "--model", text(&model), "--steps", "1,2", "--validation", "0.3"];
    let args = [&args[..], &["--takes", "2", "--device", "cpu", "--json", text(&json)]].concat();
    let table = works(&args);
    for row in [
        "real: training",
        "real: held out",
        "codec: training",
        "codec: held out",
        "noise",
        "tiny, 1 steps",
        "tiny, 2 steps",
    ] {
        assert!(table.contains(row), "{row} is missing: {table}");
    }
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|r| r["name"] == name).unwrap();
    let kernel = |name: &str| row(name)["kernel"].as_f64().unwrap();
    assert!(kernel("noise") > 5.0 * kernel("real: training").abs().max(1.0), "{table}");
    let [made, real] = ["tiny, 2 steps", "real: held out"].map(row);
    assert_eq!(made["loops"].as_u64().unwrap(), 2 * real["loops"].as_u64().unwrap(), "two like each");
    let chance = made["chance"].as_f64().unwrap();
    assert!(chance > 0.0 && chance < kernel("tiny, 2 steps") && real["chance"].is_null(), "{table}");
    drum_folder(&few, 5);
    fails(&["evaluate", text(&few), "--model", text(&model), "--device", "cpu"], &["too few to compare", "at least 8"]);
}
