//! Promise: keys are learnt from the names of files, asked for by name, and make a difference where a model has
//! heard any, and only there.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::path::Path;

use companion::{drum_folder, fails, pad_folder, text, tiny_keyed_model, tiny_model, works};
use flowloop::key::Key;
use flowloop::model::{Model, Precision};

fn train(folder: &Path, output: &Path, more: &[&str]) -> String {
    let args = ["train", text(folder), "-o", text(output), "--device", "cpu", "--steps", "2", "--batch", "2"];
    works(&[&args[..], more].concat())
}

#[test]
fn keys_are_learnt_from_names() {
    let place = tempfile::tempdir().unwrap();
    let [loops, own, base, on] = ["loops", "own.flow", "base.flow", "on.flow"].map(|n| place.path().join(n));
    drum_folder(&loops, 12);
    pad_folder(&loops, &["Am", "D#m", "Cmaj", "F#min", "Bb major", "no"]);
    // One of the drums is no reason to move it.
    std::fs::rename(loops.join("kicks/loop0_120bpm.wav"), loops.join("kicks/loop0_Em_120bpm.wav")).unwrap();
    let said = train(&loops, &own, &["--widths", "32,32", "--stem", "32", "--blocks", "1"]);
    assert!(
        said.contains("5 with their key from: file name") && said.contains("120.00 bpm (acid chunk), A minor"),
        "{said}"
    );
    let header = Model::load(&own).unwrap().header;
    assert!(header.net.keys);
    assert_eq!(header.keyed, ["pads"]);
    assert!(Model::load(&own).unwrap().tuning.is_some(), "how its pads lie on the semitones");
    assert!(works(&["inspect", text(&own)]).contains("keys        pads"));

    // A model that knew none learns them; one that knew some keeps them.
    let gone_on = |model: Model, base: &Path, on: &Path| {
        model.save(base, Precision::Full).unwrap();
        train(&loops, on, &["--from", text(base)]);
        Model::load(on).unwrap().header
    };
    let header = gone_on(tiny_model(&["kicks"]), &base, &on);
    assert!(header.net.keys && header.keyed == ["pads"], "{header:?}");
    std::fs::remove_dir_all(loops.join("pads")).unwrap();
    let still = place.path().join("still.flow");
    let header = gone_on(tiny_keyed_model(&["chords"], &["chords"]), &base, &still);
    assert!(header.net.keys && header.keyed == ["chords"], "{header:?}");
}

#[test]
fn a_key_is_asked_for_by_name() {
    let place = tempfile::tempdir().unwrap();
    let [model, without, output] = ["keyed.flow", "without.flow", "loop.wav"].map(|n| place.path().join(n));
    tiny_keyed_model(&["kicks", "pads"], &["pads"]).save(&model, Precision::Half).unwrap();
    tiny_model(&["kicks", "pads"]).save(&without, Precision::Half).unwrap();
    let args = |model: &Path, more: &[&str]| -> Vec<String> {
        let args =
            ["generate", "--device", "cpu", "--model", text(model), "--bars", "1", "--steps", "2", "--seed", "7"];
        args.iter().chain(["-o", text(&output)].iter()).chain(more).map(|a| a.to_string()).collect()
    };
    let make = |more: &[&str]| {
        let args = args(&model, more);
        let said = works(&args.iter().map(String::as_str).collect::<Vec<_>>());
        (std::fs::read(&output).unwrap(), said.contains("makes no difference"))
    };
    let pads = |key: &str| make(&["--label", "pads", "--key", key]);
    assert_eq!(pads("Am"), pads("a minor"));
    assert_ne!(pads("Am").0, pads("A").0);
    assert_ne!(pads("Am").0, pads("Bm").0);
    let own = Key::of_seed(7);
    assert_eq!(pads(&own.short()).0, make(&["--label", "pads"]).0, "any key is one of the seed's own");
    assert_ne!(make(&["--key", "Am"]).0, make(&[]).0, "a key without a label");
    assert_ne!(make(&["--key", "Am", "--guidance", "2"]).0, make(&["--key", "Am"]).0, "a key is followed more closely");
    let (kicks, said) = make(&["--label", "kicks", "--key", "Am"]);
    assert_eq!((&kicks, said), (&make(&["--label", "kicks"]).0, true), "what has no key");

    let refused = |model: &Path, key: &str, parts: &[&str]| {
        let args = args(model, &["--key", key]);
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    refused(&without, "Am", &["knows no keys", "leave out --key"]);
    let wrong = args(&model, &["--key", "H"]);
    let ran = companion::run(&wrong.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(ran.code == Some(2) && ran.stderr.contains("write it like Am"), "{ran:?}");
}
