//! Shared by the tests of the companion: running the built binary, small loops, a small model.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Stdio};

use burn::tensor::Device;
use flowloop::clip::{Clip, SAMPLE_RATE};
use flowloop::codec::resolution::Resolution;
use flowloop::codec::{Codec, CodecConfig};
use flowloop::flow::layers::Padding;
use flowloop::flow::unet::{UNet, UNetConfig, weights_of};
use flowloop::model::{Header, Model};
use flowloop::random::Philox;

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Ran {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Largest resident memory, in MiB.
    pub peak: i64,
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowloop"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Ran {
    let child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(child)
}

/// Waits for a child; its peak memory is its own.
pub fn finish(mut child: std::process::Child) -> Ran {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let text = |pipe: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = std::thread::scope(|s| {
        let errors = s.spawn(|| text(&mut err));
        (text(&mut out), errors.join().unwrap())
    });
    let mut status = 0;
    // SAFETY: plain numbers, and the process is our child that nobody has waited for.
    let (found, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(child.id() as i32, &mut status, 0, &mut usage), usage)
    };
    assert_eq!(found, child.id() as i32);
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    Ran { code, stdout, stderr, peak: usage.ru_maxrss / 1024 }
}

/// Runs the binary, which must work; its stdout.
#[track_caller]
pub fn works(args: &[&str]) -> String {
    let ran = run(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    ran.stdout
}

/// Runs the binary, which must fail with one line on stderr that has all of `parts`.
#[track_caller]
pub fn fails(args: &[&str], parts: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.lines().count() == 1, "{args:?}: {ran:?}");
    for part in parts {
        assert!(ran.stderr.contains(part), "{args:?} should say {part:?}: {}", ran.stderr);
    }
    ran
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A drum loop of `beats` beats: a burst of decaying noise on each half beat, loud ones on beats.
pub fn drums(seed: u64, beats: u32, bpm: f64) -> Clip {
    let len = Clip::length(beats, bpm, SAMPLE_RATE);
    let random = Philox::new(seed, 0);
    let noise = random.normals(len);
    let half = len as f64 / f64::from(2 * beats);
    let at = |i: usize, pan: f32| {
        let hit = (i as f64 / half) as u64;
        let since = (i as f64 % half) as f32 / SAMPLE_RATE as f32;
        let gain = if hit.is_multiple_of(2) { 0.6 } else { 0.1 + 0.2 * random.uniform(1000 + hit) as f32 };
        let pitch = 50.0 + 20.0 * (seed % 5) as f32;
        let tone = (2.0 * std::f32::consts::PI * pitch * since).sin();
        gain * (-since * 18.0).exp() * (0.6 * tone + 0.3 * noise[i] * pan).clamp(-1.0, 1.0)
    };
    let side = |pan| (0..len).map(|i| at(i, pan)).collect();
    Clip { samples: [side(1.0), side(0.8)], sample_rate: SAMPLE_RATE, beats, bpm, provenance: None, hits: Vec::new() }
}

/// `count` loops of one bar in the sub-folders `kicks` and `snares`.
pub fn drum_folder(folder: &Path, count: u64) {
    for i in 0..count {
        let sub = folder.join(if i % 2 == 0 { "kicks" } else { "snares" });
        std::fs::create_dir_all(&sub).unwrap();
        let bpm = [120.0, 140.0, 160.0][i as usize % 3];
        flowloop::wav::write(&sub.join(format!("loop{i}_{bpm}bpm.wav")), &drums(i, 4, bpm)).unwrap();
    }
}

/// A bar of a tone with its octave, in place of the drums.
fn tone(hertz: f32) -> Clip {
    let wave = |i: usize| (std::f32::consts::TAU * hertz * i as f32 / SAMPLE_RATE as f32).sin();
    let mut clip = drums(1, 4, 120.0);
    for samples in &mut clip.samples {
        samples.iter_mut().enumerate().for_each(|(i, s)| *s = 0.2 * wave(i) + 0.1 * wave(2 * i));
    }
    clip
}

/// A bar of a tone a semitone above the one before, in the sub-folder `pads`, for each of the `keys` in their names.
pub fn pad_folder(folder: &Path, keys: &[&str]) {
    let sub = folder.join("pads");
    std::fs::create_dir_all(&sub).unwrap();
    for (i, key) in keys.iter().enumerate() {
        let path = sub.join(format!("pad{i}_{key}_120bpm.wav"));
        flowloop::wav::write(&path, &tone(110.0 * 1.06f32.powi(i as i32))).unwrap();
    }
}

/// An untrained model with a small codec, enough to make sound.
pub fn tiny_model(labels: &[&str]) -> Model {
    tiny_keyed_model(labels, &[])
}

/// The same, which makes some of its labels in keys.
pub fn tiny_keyed_model(labels: &[&str], keyed: &[&str]) -> Model {
    let channels = 8;
    let net = UNetConfig {
        channels,
        widths: vec![32, 32],
        last_width: 32,
        time_features: 16,
        padding: Padding::Circular,
        blocks: 1,
        frames_per_beat: Some(flowloop::codec::LATENTS_PER_BEAT),
        labels: labels.len(),
        keys: !keyed.is_empty(),
        stem: 32,
        preconditioned: true,
    };
    let resolutions = vec![Resolution { from_hz: 0.0, window: 512, frames_per_latent: 4, bands: 16 }];
    let config = CodecConfig { resolutions, channels, floor_db: -72.0, phase_iterations: 2 };
    let patch = 4 * 2 * 16;
    let drawn = |shape: Vec<usize>| {
        let count = shape.iter().product();
        Some((shape, Philox::new(7, count as u64).normals(count).iter().map(|v| 0.1 * v).collect()))
    };
    let lookup = |name: &str| match name {
        "codec.residual.0.weight" => drawn(vec![3 * channels, 16]),
        "codec.residual.1.weight" => drawn(vec![16, 12]),
        "codec.residual.2.weight" => drawn(vec![12, 5]),
        "codec.residual.0.bias" => drawn(vec![16]),
        "codec.residual.1.bias" => drawn(vec![12]),
        "codec.residual.2.bias" => drawn(vec![5]),
        "codec.residual.components" => drawn(vec![5, patch]),
        "codec.mean" => Some((vec![patch], vec![-24.0; patch])),
        "codec.gain" => Some((vec![32], vec![0.0; 32])),
        "codec.ceiling" => Some((vec![32], vec![0.0; 32])),
        "codec.analysis" | "codec.synthesis" => {
            Some((vec![channels, patch], Philox::new(1, 0).normals(channels * patch)))
        }
        _ => None,
    };
    let device = Device::flex();
    device.seed(5);
    let mut weights = weights_of(&UNet::new(&net, &device));
    // Some layers start at zero; training would have moved them, so that labels tell.
    for (i, weight) in weights.values_mut().filter(|w| w.values.iter().all(|v| *v == 0.0)).enumerate() {
        let count = weight.values.len();
        weight.values = Philox::new(6, i as u64).normals(count).iter().map(|v| 0.1 * v).collect();
    }
    Model {
        header: Header {
            version: flowloop::model::VERSION,
            name: "tiny".into(),
            credits: "made by a test".into(),
            net: net.clone(),
            labels: labels.iter().map(|l| l.to_string()).collect(),
            keyed: keyed.iter().map(|l| l.to_string()).collect(),
            shift: 2.0,
            distilled: false,
            codec: Some(config.clone()),
            trained_steps: 0,
        },
        weights,
        mean: vec![0.0; channels],
        std: vec![1.0; channels],
        codec: Some(Codec::from_tensors(config, &lookup).unwrap()),
        spread: None,
        drift: Vec::new(),
        levels: None,
        tuning: None,
        hash: String::new(),
    }
}

/// A safetensors file of 32-bit floats.
pub fn floats(path: &Path, name: &str, shape: &[usize], values: &[f32]) {
    use safetensors::tensor::{Dtype, TensorView};
    let view = TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values)).unwrap();
    std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}
