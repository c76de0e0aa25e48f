use super::*;
use crate::codec::tests::codec;
use crate::random::Philox;

const CHANNELS: usize = 12;
const LEN: usize = 81_920;

/// Says the same of all frames.
fn of(shape: &[f32]) -> Expectation {
    let layer = |input: usize, bias: Vec<f32>| [vec![0.0; input * bias.len()], bias];
    Expectation::new([layer(CHANNELS, vec![0.0; 4]), layer(4, vec![0.0; 4]), layer(4, shape.to_vec())])
}

fn hertz(bin: usize) -> f32 {
    bin as f32 * SAMPLE_RATE as f32 / WINDOW as f32
}

/// A loop of tones of these bins.
fn tones(bins: &[usize], phase: &dyn Fn(usize) -> f32) -> Vec<f32> {
    let tone = |bin: &usize, i: usize| {
        0.1 * (phase(i) + std::f32::consts::TAU * hertz(*bin) * i as f32 / SAMPLE_RATE as f32).sin()
    };
    (0..LEN).map(|i| bins.iter().map(|bin| tone(bin, i)).sum()).collect()
}

/// Share of the power within three bins of these.
fn share(signal: &[f32], bins: &[usize]) -> f32 {
    let spectrum = resample::spectrum(signal);
    let width = SAMPLE_RATE as f32 / signal.len() as f32;
    let near = |hz: f32| bins.iter().any(|bin| (hz - hertz(*bin)).abs() < 3.0 * hertz(1));
    let sum = |all: bool| -> f32 {
        let bins = spectrum.iter().enumerate().filter(|(k, _)| all || near(*k as f32 * width));
        bins.map(|(_, value)| value.norm_sqr()).sum()
    };
    sum(false) / sum(true)
}

/// Shape of tones of these bins.
fn peaks(bins: &[usize]) -> Vec<f32> {
    let away = |bin: usize| bins.iter().map(|peak| peak.abs_diff(bin)).min().unwrap_or(9);
    BINS.map(|bin| [8.0, 6.0][..].get(away(bin)).copied().unwrap_or(-18.0)).collect()
}

fn woven(shape: &[f32], hits: &[f64], signal: &[f32]) -> Vec<f32> {
    let (codec, _) = codec();
    let partials = Partials::new(of(shape), &codec.layers);
    let latents = Latents { channels: CHANNELS, frames: 32, values: vec![0.0; 32 * CHANNELS] };
    let (shapes, mut signal) = (partials.shapes(&latents), signal.to_vec());
    partials.weave(1, &shapes, hits, &mut signal, &mut || true).expect("wanted");
    signal
}

fn power(signal: &[f32]) -> f32 {
    signal.iter().map(|s| s * s).sum()
}

/// Overtones whose phases wander, as a short window's do.
fn blurred() -> (Vec<usize>, Vec<f32>) {
    let drawn = Philox::new(3, 0).normals(LEN / 256 + 1);
    let walk: Vec<f32> = drawn.iter().scan(0.0, |at, step| Some(std::mem::replace(at, *at + 1.5 * step))).collect();
    let peaks = vec![110, 165, 220, 275];
    let phase = |i: usize| {
        let (k, share) = (i / 256, (i % 256) as f32 / 256.0);
        walk[k] * (1.0 - share) + walk[k + 1] * share
    };
    let signal = tones(&peaks, &phase);
    (peaks, signal)
}

#[test]
fn blurred_partials_become_tones_and_keep_their_power() {
    let (bins, signal) = blurred();
    let found = woven(&peaks(&bins), &[], &signal);
    let (before, after) = (share(&signal, &bins), share(&found, &bins));
    assert!(before < 0.85 && after > 0.93, "{before}, then {after}");
    let kept = power(&found) / power(&signal);
    assert!((0.8..1.25).contains(&kept), "{kept} of the power");
}

#[test]
fn hits_and_noise_stay_as_they_are() {
    let (bins, signal) = blurred();
    let at = LEN / 2;
    let found = woven(&peaks(&bins), &[0.5], &signal);
    let changed = |by: Range<usize>| {
        let pairs = || by.clone().map(|i| (found[i], signal[i]));
        pairs().map(|(a, b)| (a - b).powi(2)).sum::<f32>() / pairs().map(|(_, b)| b * b).sum::<f32>()
    };
    assert!(changed(at - 1000..at + 800) < 1e-3, "{} about the hit", changed(at - 1000..at + 800));
    assert!(changed(at + 8000..at + 16_000) > 0.05);
    let flat: Vec<f32> = BINS.map(|bin| -2.0 + (bin % 3) as f32).collect();
    assert_eq!(woven(&flat, &[], &signal), signal);
}

#[test]
fn decoding_uses_what_was_taught_and_a_file_holds_it() {
    let (codec, clips) = codec();
    let latents = codec.encode(&clips[0]).unwrap();
    let with = codec.clone().with_partials(Some(Partials::new(of(&peaks(&[110, 220])), &codec.layers)));
    let [plain, rich] = [&codec, &with].map(|codec| codec.decode(&latents, clips[0].bpm).unwrap().samples);
    assert_ne!(plain, rich);
    let tensors = with.tensors().into_iter().chain(with.partials().unwrap().tensors()).collect::<Vec<_>>();
    let read = |change: &dyn Fn(&str, &mut Vec<usize>) -> bool| {
        Codec::from_tensors(codec.config.clone(), &|asked| {
            let (name, mut shape, mut values) = tensors.iter().find(|(name, ..)| name == asked)?.clone();
            let there = change(&name, &mut shape);
            values.resize(shape.iter().product(), 0.0);
            there.then_some((shape, values))
        })
    };
    assert_eq!(read(&|_, _| true).unwrap().decode(&latents, clips[0].bpm).unwrap().samples, rich);
    let older = read(&|name, _| !name.contains("partials")).unwrap();
    assert_eq!(older.decode(&latents, clips[0].bpm).unwrap().samples, plain);
    for (name, shape, _) in tensors.iter().filter(|(name, ..)| name.contains("partials")) {
        let damaged = read(&|asked, _| asked != name);
        assert!(matches!(damaged, Err(crate::codec::CodecError::Tensor(_))), "without {name}");
        for axis in 0..shape.len() {
            let wider = |asked: &str, shape: &mut Vec<usize>| {
                if asked == name {
                    shape[axis] += 1;
                }
                true
            };
            assert!(read(&wider).is_err(), "{name} with a wider axis {axis}");
        }
    }
}

#[test]
fn a_loops_shape_peaks_at_its_tones() {
    let (codec, clips) = codec();
    let bins = [110, 130];
    let tone = tones(&bins, &|_| 0.0);
    let clip = crate::clip::Clip { samples: [tone.clone(), tone], ..clips[0].clone() };
    let shape = codec.shape(&clip, codec.encode(&clip).unwrap());
    let at = |bin: usize| shape.values[BINS.len() * 16 + bin - BINS.start];
    assert!(at(110) > 3.0 && at(130) > 3.0 && at(120) < -15.0, "{} {} {}", at(110), at(130), at(120));
    assert!(shape.weight(BINS.len() * 16 + 110 - BINS.start) == 1.0);
    assert!(shape.weight(BINS.len() * 16 + 400 - BINS.start) == 0.0, "where nothing sounds");
}
