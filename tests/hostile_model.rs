//! Promise: no file, however broken or hostile, makes the companion panic, or take more memory
//! than a small multiple of the file; each is refused in one line that says what is wrong.
#![cfg(all(feature = "companion", target_os = "linux"))]

mod companion;

use std::path::{Path, PathBuf};

use companion::{drums, fails, run, text, tiny_model, works};
use flowloop::model::{Model, Precision};
use flowloop::random::Philox;
use serde_json::{Value, json};

/// MiB above an ordinary run that a hostile file may cost.
const SPARE: i64 = 300;

fn good() -> Vec<u8> {
    tiny_model(&["kicks", "snares"]).to_bytes(Precision::Full)
}

/// A safetensors file in its two parts.
fn parts(bytes: &[u8]) -> (Value, &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), &bytes[8 + length..])
}

fn joined(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = serde_json::to_vec(header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
}

/// A good file whose safetensors header was changed.
fn with_header(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let good = good();
    let (mut header, data) = parts(&good);
    change(&mut header);
    joined(&header, data)
}

/// A good file whose Flowloop header was changed.
fn with_metadata(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_header(|header| {
        let text = header["__metadata__"]["flowloop"].as_str().unwrap();
        let mut ours = serde_json::from_str(text).unwrap();
        change(&mut ours);
        header["__metadata__"]["flowloop"] = ours.to_string().into();
    })
}

/// A good file with other bytes at the start of a tensor.
fn with_value(tensor: &str, value: f32) -> Vec<u8> {
    let good = good();
    let (header, data) = parts(&good);
    let at = header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    let mut data = data.to_vec();
    data[at..at + 4].copy_from_slice(&value.to_le_bytes());
    joined(&header, &data)
}

fn with_length(length: u64) -> Vec<u8> {
    let mut bytes = good();
    bytes[..8].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let wav = flowloop::wav::encode(&drums(1, 4, 120.0));
    let offsets = |header: &mut Value, name: &str, begin: i64, end: i64| {
        let old: Vec<i64> = serde_json::from_value(header[name]["data_offsets"].clone()).unwrap();
        header[name]["data_offsets"] = json!([old[0] + begin, old[1] + end]);
    };
    let not_one = "is not a Flowloop model";
    vec![
        ("empty", Vec::new(), not_one),
        ("wav", wav, not_one),
        ("text", b"hello, I am a model\n".repeat(9).to_vec(), not_one),
        ("zeros", vec![0; 4096], not_one),
        ("length 0", with_length(0), not_one),
        ("length -1", with_length(u64::MAX), not_one),
        ("length 2^63-1", with_length(i64::MAX as u64), not_one),
        ("length 99 MB", with_length(99_000_000), not_one),
        ("overlap", with_header(|h| offsets(h, "latents.std", -8, -8)), not_one),
        (
            "reversed",
            with_header(|h| {
                let [a, b] = [0, 1].map(|i| h["latents.std"]["data_offsets"][i].clone());
                h["latents.std"]["data_offsets"] = json!([b, a]);
            }),
            not_one,
        ),
        ("beyond the end", with_header(|h| offsets(h, "latents.std", 1 << 40, 1 << 40)), not_one),
        ("other shape", with_header(|h| h["latents.std"]["shape"] = json!([9])), not_one),
        ("overflowing shape", with_header(|h| h["latents.std"]["shape"] = json!([1u64 << 62, 8])), not_one),
        ("other type", with_header(|h| h["latents.std"]["dtype"] = "I32".into()), "holds I32"),
        (
            "turned",
            with_header(|h| h["net.last.weight"]["shape"] = json!([8, 32])),
            "last.weight has shape [8, 32], shape [32, 8] is needed",
        ),
        (
            "missing",
            with_header(|h| {
                let taken = h.as_object_mut().unwrap().remove("net.last.bias").unwrap();
                h["net.other"] = taken;
            }),
            "last.bias is missing",
        ),
        ("NaN weight", with_value("net.last.weight", f32::NAN), "not finite"),
        ("inf weight", with_value("net.down.0.weight", f32::INFINITY), "not finite"),
        ("NaN mean", with_value("latents.mean", f32::NAN), "not finite"),
        ("NaN std", with_value("latents.std", f32::NAN), "not finite"),
        ("zero std", with_value("latents.std", 0.0), "standard deviation is not positive"),
        ("negative std", with_value("latents.std", -1.0), "standard deviation is not positive"),
        ("NaN codec", with_value("codec.synthesis", f32::NAN), "not finite"),
        ("NaN residual", with_value("codec.residual.1.weight", f32::NAN), "not finite"),
        ("residual of no shape", with_header(|h| h["codec.residual.1.weight"]["shape"] = json!([12, 16])), "residual"),
        (
            "residual without a bias",
            with_header(|h| {
                let taken = h.as_object_mut().unwrap().remove("codec.residual.2.bias").unwrap();
                h["codec.other"] = taken;
            }),
            "residual",
        ),
        ("no metadata", with_header(|h| drop(h.as_object_mut().unwrap().remove("__metadata__"))), "no Flowloop header"),
        ("older", with_metadata(|m| m["version"] = 1.into()), "Train it again"),
        ("newer", with_metadata(|m| m["version"] = 99.into()), "Update Flowloop"),
        ("no net", with_metadata(|m| drop(m.as_object_mut().unwrap().remove("net"))), "net"),
        ("no layers", with_metadata(|m| m["net"]["widths"] = json!([])), "0 layers"),
        ("many layers", with_metadata(|m| m["net"]["widths"] = vec![32; 64].into()), "64 layers"),
        ("huge widths", with_metadata(|m| m["net"]["widths"] = json!([4096, 4096])), "shape"),
        ("vast widths", with_metadata(|m| m["net"]["widths"] = json!([1u64 << 40, 1u64 << 62])), "channels"),
        ("widths over 64 bits", with_metadata(|m| m["net"]["widths"] = json!([1e30])), not_one),
        ("negative width", with_metadata(|m| m["net"]["widths"] = json!([-32])), not_one),
        ("huge time", with_metadata(|m| m["net"]["time_features"] = 16_384.into()), "shape"),
        ("huge channels", with_metadata(|m| m["net"]["channels"] = 16_384.into()), "over a billion parameters"),
        ("large channels", with_metadata(|m| m["net"]["channels"] = 4000.into()), "shape"),
        ("no channels", with_metadata(|m| m["net"]["channels"] = 0.into()), "0 channels"),
        ("many blocks", with_metadata(|m| m["net"]["blocks"] = 8.into()), "is missing"),
        ("blocks beyond", with_metadata(|m| m["net"]["blocks"] = 999_999_999.into()), "out of range"),
        ("labels beyond", with_metadata(|m| m["net"]["labels"] = 4_000_000_000u32.into()), "out of range"),
        ("labels differ", with_metadata(|m| m["labels"] = json!(["one"])), "labels"),
        ("shift beyond", with_metadata(|m| m["shift"] = 1e9.into()), "shift is out of range"),
        ("shift of nothing", with_metadata(|m| m["shift"] = 0.0.into()), "shift is out of range"),
        ("phases", with_metadata(|m| m["net"]["frames_per_beat"] = 0.into()), "out of range"),
        (
            "codec window",
            with_metadata(|m| m["codec"]["resolutions"][0]["window"] = (1u64 << 40).into()),
            "out of range",
        ),
        ("codec bands", with_metadata(|m| m["codec"]["resolutions"][0]["bands"] = 512.into()), "codec."),
        ("codec rounds", with_metadata(|m| m["codec"]["phase_iterations"] = u32::MAX.into()), "out of range"),
        ("codec channels", with_metadata(|m| m["codec"]["channels"] = 4.into()), "codec"),
    ]
}

struct Place {
    folder: tempfile::TempDir,
    /// Peak memory of an ordinary run, in MiB.
    usual: i64,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.flow");
    std::fs::write(&path, good()).unwrap();
    let ran = run(&["inspect", text(&path)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Place { folder, usual: ran.peak }
}

impl Place {
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[track_caller]
    fn refused(&self, args: &[&str], parts: &[&str]) {
        let ran = fails(args, parts);
        assert!(ran.peak < self.usual + SPARE, "{args:?} took {} MiB, {} are usual", ran.peak, self.usual);
    }
}

#[test]
fn each_hostile_model_is_refused_in_a_line() {
    let place = place();
    let output = place.folder.path().join("out.wav");
    for (name, bytes, part) in hostile() {
        let path = place.file(&format!("{name}.flow"), &bytes);
        place.refused(&["inspect", text(&path)], &[text(&path), part]);
        place.refused(&["generate", "--device", "cpu", "--model", text(&path), "-o", text(&output)], &[part]);
        assert!(!output.exists(), "{name}");
    }
    let folder = place.folder.path();
    place.refused(&["inspect", text(folder)], &["cannot read", "it is not a file"]);
    place.refused(&["inspect", "/dev/zero"], &["/dev/zero", "it is not a file"]);
    place.refused(&["inspect", text(&folder.join("none.flow"))], &["none.flow", "Check the path"]);
}

#[test]
fn a_model_cut_anywhere_is_refused() {
    let bytes = good();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // Each place in the header, and many in the data.
    for end in (0..header + 64).chain((header..bytes.len()).step_by(997)).chain([bytes.len() - 1]) {
        let error = Model::from_bytes(&bytes[..end], "it").unwrap_err().to_string();
        assert!(error.starts_with("it is not a Flowloop model"), "{end}: {error}");
    }
    let place = place();
    for end in [1, 7, 8, 9, header / 2, header - 1, header, bytes.len() / 2, bytes.len() - 1] {
        let path = place.file("cut.flow", &bytes[..end]);
        place.refused(&["inspect", text(&path)], &["is not a Flowloop model"]);
    }
    let longer = place.file("longer.flow", &[&bytes[..], b"more"].concat());
    place.refused(&["inspect", text(&longer)], &["is not a Flowloop model"]);
}

#[test]
fn a_flipped_byte_in_the_header_is_survived() {
    let bytes = good();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let random = Philox::new(11, 0);
    let mut refused = 0;
    for round in 0..3000 {
        let mut bytes = bytes.clone();
        let at = random.below(2 * round, header);
        bytes[at] ^= 1 + random.below(2 * round + 1, 255) as u8;
        refused += u32::from(Model::from_bytes(&bytes, "it").is_err());
    }
    assert!(refused > 2000, "{refused} of 3000 refused");
}

#[test]
fn weights_too_great_for_16_bits_are_kept() {
    let mut model = tiny_model(&[]);
    model.weights.get_mut("last.bias").unwrap().values[0] = 1e6;
    let loaded = Model::from_bytes(&model.to_bytes(Precision::Half), "it").unwrap();
    assert_eq!(loaded.weights["last.bias"].values[0], 1e6);
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn broken_checkpoints_are_refused_in_a_line() {
    let place = place();
    let good = std::fs::read(fixture("gradients/model.pth")).unwrap();
    let output = place.folder.path().join("out.flow");
    let import = |path: &Path| vec!["import".to_string(), text(path).into(), "-o".into(), text(&output).into()];
    let refused = |name: &str, bytes: &[u8]| {
        let path = place.file(name, bytes);
        let args = import(&path);
        place.refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[name]);
        assert!(!output.exists(), "{name}");
    };
    for share in [0, 1, 5, 20, 50, 80, 95, 99] {
        refused("cut.pth", &good[..good.len() * share / 100]);
    }
    refused("short.pth", &good[..good.len() - 1]);
    refused("text.pth", &b"not a checkpoint ".repeat(500));
    refused("zeros.pth", &[0; 9999]);
    refused("sound.pth", &flowloop::wav::encode(&drums(1, 4, 120.0)));
    refused("model.pth", &self::good());
    // Old torch.save files begin with a pickled number; here comes nonsense after it.
    refused("old.pth", &[&b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."[..], &[0x8c; 999]].concat());
    refused("long.pth", &[&b"\x80\x02X\xff\xff\xff\x7f"[..], &[b'a'; 99]].concat());
    refused("zip.pth", &[&b"PK\x03\x04"[..], &[0xff; 500]].concat());
    let path = place.folder.path();
    place.refused(&["import", text(path), "-o", text(&output)], &["it is not a file"]);
    // 600 bytes whose tensor claims 4 GiB (expanded.py makes it).
    let expanded = fixture("expanded.pth");
    place.refused(&["import", text(&expanded), "-o", text(&output)], &["more values than the file can hold"]);
    place.refused(&["import", "/dev/zero", "-o", text(&output)], &["it is not a file"]);
    // The statistics of another net.
    let [net, other] = ["gradients/model.pth", "seed-unet/mean_std.pth"].map(fixture);
    place.refused(&["import", text(&net), "--mean-std", text(&net), "-o", text(&output)], &["mean", "one a channel"]);
    assert!(!output.exists());
    let seed = fixture("seed-unet/model_diffusion.pth");
    place.refused(&["import", text(&other), "-o", text(&output)], &["mean_std.pth"]);
    works(&["import", text(&seed), "--mean-std", text(&other), "-o", text(&output)]);
}

#[test]
fn a_damaged_byte_of_a_checkpoint_is_survived() {
    let place = place();
    let good = std::fs::read(fixture("gradients/model.pth")).unwrap();
    let random = Philox::new(12, 0);
    let output = place.folder.path().join("out.flow");
    for round in 0..120 {
        let mut bytes = good.clone();
        // Half of them in the zip's tail and head, where sizes and names are.
        let at = match round % 4 {
            0 => random.below(3 * round, 2000),
            1 => good.len() - 1 - random.below(3 * round, 1500),
            _ => random.below(3 * round, good.len()),
        };
        bytes[at] = random.below(3 * round + 1, 256) as u8;
        let path = place.file("damaged.pth", &bytes);
        let ran = run(&["import", text(&path), "-o", text(&output)]);
        assert!(matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"), "byte {at}: {ran:?}");
        assert!(ran.stderr.lines().count() <= 1, "byte {at}: {ran:?}");
        assert!(ran.peak < place.usual + SPARE, "byte {at} took {} MiB", ran.peak);
    }
}
