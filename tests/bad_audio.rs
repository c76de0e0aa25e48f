//! Promise: whatever lies in a folder, a scan ends, and each file is a loop or is named with the
//! right reason. And what `wav::write` writes comes back as the same loop.
#![cfg(feature = "companion")]

use std::path::Path;

use flowloop::clip::Clip;
use flowloop::dataset::decode::DecodeError;
use flowloop::dataset::{self, Dataset, Loop, Note, ScanError, ScanOptions, SkipReason, TempoSource};
use flowloop::wav;

/// How a WAV file stores its samples.
#[derive(Clone, Copy)]
struct Format {
    /// 1 PCM, 3 float.
    tag: u16,
    bits: u16,
    channels: u16,
    rate: u32,
    extensible: bool,
}

const CD: Format = Format { tag: 1, bits: 16, channels: 2, rate: 44_100, extensible: false };

/// A WAV file whose header claims `claimed` bytes of data (what is there, if None).
fn wave(format: Format, samples: &[f64], claimed: Option<u32>) -> Vec<u8> {
    let mut data = Vec::new();
    for s in samples {
        match (format.tag, format.bits) {
            (3, 32) => data.extend((*s as f32).to_le_bytes()),
            (3, _) => data.extend(s.to_le_bytes()),
            (_, 8) => data.push((s * 127.0 + 128.0) as u8),
            (_, 16) => data.extend(((s * 32767.0) as i16).to_le_bytes()),
            (_, 24) => data.extend(&((s * 8_388_607.0) as i32).to_le_bytes()[..3]),
            _ => data.extend(((s * 2_147_483_647.0) as i32).to_le_bytes()),
        }
    }
    let block = format.channels * format.bits / 8;
    let mut fmt = Vec::new();
    fmt.extend((if format.extensible { 0xfffe } else { format.tag }).to_le_bytes());
    fmt.extend(format.channels.to_le_bytes());
    fmt.extend(format.rate.to_le_bytes());
    fmt.extend(format.rate.wrapping_mul(block.into()).to_le_bytes());
    fmt.extend(block.to_le_bytes());
    fmt.extend(format.bits.to_le_bytes());
    if format.extensible {
        fmt.extend(22u16.to_le_bytes());
        fmt.extend(format.bits.to_le_bytes());
        let mask = if format.channels == 6 { 0x3fu32 } else { (1 << format.channels) - 1 };
        fmt.extend(mask.to_le_bytes());
        fmt.extend(format.tag.to_le_bytes());
        fmt.extend(b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71");
    }
    let size = claimed.unwrap_or(data.len() as u32);
    let mut out = b"RIFF".to_vec();
    out.extend(size.saturating_add(20 + fmt.len() as u32).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend((fmt.len() as u32).to_le_bytes());
    out.extend(fmt);
    out.extend(b"data");
    out.extend(size.to_le_bytes());
    out.extend(data);
    out
}

/// Two seconds (four beats at 120 bpm) of decaying tones on the beats, interleaved; `seed`
/// makes them differ.
fn beats(format: Format, seed: u32) -> Vec<f64> {
    let frames = format.rate as usize * 2;
    let tone = |i: usize| {
        let t = i as f64 / f64::from(format.rate);
        let pitch = 200.0 + 20.0 * f64::from(seed);
        0.5 * (-(t % 0.5) * 12.0).exp() * (t * pitch * std::f64::consts::TAU).sin()
    };
    let channels = usize::from(format.channels);
    (0..frames * channels).map(|k| tone(k / channels)).collect()
}

fn scanned(folder: &Path) -> Dataset {
    let mut last = (0, 0);
    let found = dataset::scan(folder, &ScanOptions::default(), &mut |done, all| last = (done, all));
    let found = found.unwrap();
    assert_eq!(last.0, last.1, "progress ends at the last file");
    found
}

fn used<'a>(found: &'a Dataset, name: &str) -> &'a Loop {
    let one = found.loops.iter().find(|l| l.path.ends_with(name));
    one.unwrap_or_else(|| panic!("{name} was not used:\n{}", found.report()))
}

fn reason<'a>(found: &'a Dataset, name: &str) -> &'a SkipReason {
    let one = found.skipped.iter().find(|s| s.path.ends_with(name));
    &one.unwrap_or_else(|| panic!("{name} was not skipped:\n{}", found.report())).reason
}

#[test]
fn each_hostile_file_is_named_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let float = Format { tag: 3, bits: 32, ..CD };
    let changed = |at: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        beats(float, 40).into_iter().enumerate().map(|(i, s)| at(i, s)).collect()
    };
    put("good_120bpm.wav", &wave(CD, &beats(CD, 0), None));
    put("empty.wav", b"");
    put("text.wav", b"these are my favourite loops, all of them\n".repeat(200).as_slice());
    put("header.wav", &wave(CD, &[], None));
    put("half header.wav", &wave(CD, &beats(CD, 0), None)[..30]);
    put("no channels.wav", &wave(Format { channels: 0, ..CD }, &beats(CD, 1), None));
    put("no rate.wav", &wave(Format { rate: 0, ..CD }, &beats(CD, 1), None));
    put("silent_120bpm.wav", &wave(CD, &vec![0.0; 176_400], None));
    put("constant_120bpm.wav", &wave(CD, &vec![0.4; 176_400], None));
    put("click_120bpm.wav", &wave(CD, &beats(CD, 2)[..8000], None));
    put("hit_100bpm.wav", &wave(CD, &beats(CD, 3)[..40_000], None));
    put("nan_120bpm.wav", &wave(float, &changed(&|i, s| if i % 50 == 0 { f64::NAN } else { s }), None));
    put("infinite_120bpm.wav", &wave(float, &changed(&|_, _| f64::INFINITY), None));
    put("twin_120bpm.wav", &wave(CD, &beats(CD, 0), None));
    put("._fork.wav", &wave(CD, &beats(CD, 4), None));
    let minute = vec![beats(CD, 5); 40].concat();
    put("take.wav", &wave(CD, &minute, None));
    let noise: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    put("noise.mp3", &noise);

    let found = scanned(folder.path());
    let is = |name: &str, expected: SkipReason| assert_eq!(reason(&found, name), &expected, "{name}");
    is("empty.wav", SkipReason::Decode(DecodeError::Empty));
    is("no channels.wav", SkipReason::Decode(DecodeError::NoChannels));
    is("no rate.wav", SkipReason::Decode(DecodeError::SampleRate(0)));
    is("silent_120bpm.wav", SkipReason::Silent);
    is("constant_120bpm.wav", SkipReason::Silent);
    is("infinite_120bpm.wav", SkipReason::NotFinite(176_400));
    is("nan_120bpm.wav", SkipReason::NotFinite(3528));
    is("._fork.wav", SkipReason::Hidden);
    is("twin_120bpm.wav", SkipReason::Duplicate(folder.path().join("good_120bpm.wav")));
    assert!(matches!(reason(&found, "click_120bpm.wav"), SkipReason::Short(s) if *s < 0.1));
    assert!(matches!(reason(&found, "hit_100bpm.wav"), SkipReason::UnderABeat { .. }));
    assert!(matches!(reason(&found, "take.wav"), SkipReason::Long(s) if *s == 80.0));
    assert!(matches!(reason(&found, "header.wav"), SkipReason::Decode(DecodeError::Nothing(_))));
    for name in ["text.wav", "half header.wav", "noise.mp3"] {
        assert_eq!(reason(&found, name).kind(), "not audio, or of an unknown kind", "{name}");
    }
    assert_eq!((found.loops.len(), found.skipped.len()), (1, 16));
    let report = found.report();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        assert!(report.contains(entry.unwrap().path().to_str().unwrap()), "{report}");
    }
}

#[test]
fn damaged_files_are_used_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let float = Format { tag: 3, bits: 32, ..CD };
    let double = Format { tag: 3, bits: 64, ..CD };
    let mut few = beats(float, 6);
    (few[1000], few[1001]) = (f64::NAN, f64::NEG_INFINITY);
    put("few_120bpm.wav", &wave(float, &few, None));
    let loud: Vec<f64> = beats(float, 7).iter().map(|s| s * 32768.0).collect();
    put("loud_120bpm.wav", &wave(float, &loud, None));
    let huge: Vec<f64> = beats(double, 8).iter().map(|s| s * 1e300).collect();
    put("huge_120bpm.wav", &wave(double, &huge, None));
    let offset: Vec<f64> = beats(CD, 9).iter().map(|s| s * 0.5 + 0.3).collect();
    put("offset_120bpm.wav", &wave(CD, &offset, None));
    let whole = wave(CD, &beats(CD, 10), None);
    put("cut_120bpm.wav", &whole[..44 + 264_600 + 3]);
    put("claims_120bpm.wav", &wave(CD, &beats(CD, 11), Some(2_147_483_647)));

    let found = scanned(folder.path());
    let notes = |name: &str| used(&found, name).notes.as_slice();
    assert_eq!(notes("few_120bpm.wav"), [Note::NotFinite(2)]);
    assert!(matches!(notes("loud_120bpm.wav"), [Note::Loud(peak)] if *peak > 10_000.0));
    assert_eq!(notes("offset_120bpm.wav"), [Note::Offset]);
    assert_eq!(notes("cut_120bpm.wav"), [Note::Truncated]);
    assert_eq!(notes("claims_120bpm.wav"), [Note::Truncated]);
    assert!(matches!(reason(&found, "huge_120bpm.wav"), SkipReason::NotFinite(_)));
    assert_eq!(used(&found, "cut_120bpm.wav").clip.beats, 3);
    let sum: f32 = used(&found, "offset_120bpm.wav").clip.samples[0].iter().sum();
    assert!(sum.abs() < 1.0, "{sum}");
    for one in &found.loops {
        assert!(one.clip.peak() <= 1.0 && one.clip.samples[0].iter().all(|s| s.is_finite()));
    }
}

#[test]
fn every_format_gives_the_same_loop() {
    let folder = tempfile::tempdir().unwrap();
    let of = |tag, bits, rate| Format { tag, bits, rate, ..CD };
    let extensible = Format { extensible: true, ..of(1, 24, 44_100) };
    let mono = Format { channels: 1, ..CD };
    // The largest error allowed: rounding, and what the lower rate cannot hold of the onsets.
    let formats = [
        ("8", of(1, 8, 44_100), 1e-2),
        ("16", CD, 1e-4),
        ("24", of(1, 24, 44_100), 1e-6),
        ("32", of(1, 32, 44_100), 1e-6),
        ("f32", of(3, 32, 44_100), 1e-6),
        ("f64", of(3, 64, 44_100), 1e-6),
        ("ext24", extensible, 1e-6),
        ("mono", mono, 1e-4),
        ("22k", of(1, 16, 22_050), 1e-2),
        ("48k", of(1, 24, 48_000), 3e-3),
        ("96k", of(1, 24, 96_000), 3e-3),
        ("192k", of(1, 24, 192_000), 3e-3),
    ];
    let name = |name: &str| format!("ループ {name} 120bpm.wav");
    for (i, (label, format, _)) in formats.iter().enumerate() {
        let bytes = wave(*format, &beats(*format, i as u32), None);
        std::fs::write(folder.path().join(name(label)), bytes).unwrap();
    }
    let found = scanned(folder.path());
    for (i, (label, _, error)) in formats.iter().enumerate() {
        let one = used(&found, &name(label));
        let expected = beats(Format { channels: 1, ..CD }, i as u32);
        assert_eq!((one.clip.beats, one.clip.bpm, one.clip.len()), (4, 120.0, 88_200), "{label}");
        for channel in &one.clip.samples {
            let differences = channel.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
            let worst = differences.fold(0.0, f64::max);
            assert!(worst < *error, "{label}: {worst}");
        }
    }
}

#[test]
fn surround_is_mixed_down() {
    let folder = tempfile::tempdir().unwrap();
    let format = Format { channels: 6, bits: 24, extensible: true, ..CD };
    // Only the left surround sounds, and the LFE, which is left out.
    let mut samples = beats(format, 12);
    samples.iter_mut().enumerate().filter(|(i, _)| !matches!(i % 6, 3 | 4)).for_each(|(_, s)| *s = 0.0);
    std::fs::write(folder.path().join("a_120bpm.wav"), wave(format, &samples, None)).unwrap();
    let found = scanned(folder.path());
    let one = used(&found, "a_120bpm.wav");
    assert_eq!(one.notes, [Note::MixedDown(6)]);
    let peak = |c: &[f32]| c.iter().fold(0f32, |m, s| m.max(s.abs()));
    let all = samples.iter().fold(0f64, |m, s| m.max(s.abs())) as f32;
    assert!((peak(&one.clip.samples[0]) / all - 0.5f32.sqrt()).abs() < 1e-3);
    assert_eq!(peak(&one.clip.samples[1]), 0.0);
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("House")).unwrap();
    let cases = [(4, 120.0), (16, 174.37), (3, 93.0), (64, 128.123_456), (1, 61.7)];
    for (i, (beats, bpm)) in cases.into_iter().enumerate() {
        let wave = |i: usize, pitch: f32| 0.8 * (i as f32 * pitch).sin() * (-((i % 9000) as f32) / 4000.0).exp();
        let len = Clip::length(beats, bpm, 44_100);
        let samples = [0.05, 0.03].map(|pitch| {
            let channel: Vec<f32> = (0..len).map(|i| wave(i, pitch)).collect();
            let mean = channel.iter().sum::<f32>() / len as f32;
            channel.iter().map(|s| s - mean).collect() // An offset would be removed.
        });
        let clip = Clip { samples, sample_rate: 44_100, beats, bpm, provenance: None, hits: Vec::new() };
        // The name lies; the chunk is believed.
        let name = format!("House/{i}_99bpm.wav");
        wav::write(&folder.path().join(&name), &clip).unwrap();
        let found = scanned(folder.path());
        let one = used(&found, &name);
        assert_eq!((one.tempo_source, one.label.as_deref()), (TempoSource::Acid, Some("House")));
        assert_eq!((one.clip.beats, one.clip.len(), &one.notes[..]), (beats, len, &[][..]));
        assert!((one.clip.bpm - bpm).abs() < 1e-5, "{} {bpm}", one.clip.bpm);
        for (read, written) in one.clip.samples.iter().zip(&clip.samples) {
            let worst = read.iter().zip(written).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1.0 / 8_388_607.0 * 2.0, "{worst}");
        }
    }
}

/// A RIFF file with one more chunk.
fn with_chunk(mut riff: Vec<u8>, id: &[u8; 4], words: &[u32]) -> Vec<u8> {
    riff.extend(id);
    riff.extend((words.len() as u32 * 4).to_le_bytes());
    riff.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    let size = riff.len() as u32 - 8;
    riff[4..8].copy_from_slice(&size.to_le_bytes());
    riff
}

#[test]
fn chunks_are_believed_where_the_audio_bears_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let smpl = |start, last| [0, 0, 22_675, 60, 0, 0, 0, 1, 0, 0, 0, start, last, 0, 0];
    let acid = |kind, beats, bpm: f32| [kind, 60, 0, beats, 0x0004_0004, bpm.to_bits()];
    // A quarter of a second before the loop, and one behind it.
    let around = |seed| {
        let quiet = vec![0.0; 22_050];
        wave(CD, &[&quiet, &beats(CD, seed)[..], &quiet].concat(), None)
    };
    let plain = |seed| wave(CD, &beats(CD, seed), None);
    put("points.wav", &with_chunk(around(20), b"smpl", &smpl(11_025, 99_224)));
    put("sliver_120bpm.wav", &with_chunk(plain(21), b"smpl", &smpl(500, 900)));
    put("beyond_120bpm.wav", &with_chunk(plain(22), b"smpl", &smpl(0, 88_200)));
    put("lies_120bpm.wav", &with_chunk(plain(23), b"acid", &acid(0, 7, 120.0)));
    put("hit_120bpm.wav", &with_chunk(plain(24), b"acid", &acid(1, 8, 240.0)));

    let found = scanned(folder.path());
    let points = used(&found, "points.wav");
    assert_eq!(points.tempo_source, TempoSource::Smpl);
    assert_eq!((points.clip.beats, points.clip.len()), (4, 88_200));
    let loudest_early = points.clip.samples[0][..2000].iter().fold(0f32, |m, s| m.max(*s));
    assert!(loudest_early > 0.3, "the loop begins at its first point");
    let told = |name: &str| {
        let one = used(&found, name);
        (one.tempo_source, one.clip.beats, one.notes.as_slice())
    };
    let points_not_used = &[Note::LoopPoints][..];
    assert_eq!(told("sliver_120bpm.wav"), (TempoSource::FileName, 4, points_not_used));
    assert_eq!(told("beyond_120bpm.wav"), (TempoSource::FileName, 4, points_not_used));
    let contradicts = &[Note::AcidContradicts(7)][..];
    assert_eq!(told("lies_120bpm.wav"), (TempoSource::Acid, 4, contradicts));
    // The chunk says that it is no loop; its beats mean nothing.
    assert_eq!(told("hit_120bpm.wav"), (TempoSource::FileName, 4, &[][..]));
}

#[test]
fn files_are_told_apart_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let samples = beats(CD, 30);
    let sound: Vec<u8> = samples.iter().flat_map(|s| ((s * 32767.0) as i16).to_be_bytes()).collect();
    let mut aiff = b"FORM".to_vec();
    aiff.extend((sound.len() as u32 + 46).to_be_bytes());
    aiff.extend(b"AIFFCOMM\0\0\0\x12\0\x02");
    aiff.extend((samples.len() as u32 / 2).to_be_bytes());
    // 16 bits; 44100 as an 80-bit float.
    aiff.extend(b"\0\x10\x40\x0e\xac\x44\0\0\0\0\0\0SSND");
    aiff.extend((sound.len() as u32 + 8).to_be_bytes());
    aiff.extend([0; 8]);
    aiff.extend(&sound);
    std::fs::write(folder.path().join("a_120bpm.wav"), aiff).unwrap();
    let riff = wave(CD, &beats(CD, 31), None);
    std::fs::write(folder.path().join("b_120bpm.mp3"), &riff).unwrap();
    std::fs::write(folder.path().join("c 120 bpm"), wave(CD, &samples, None)).unwrap();

    let found = scanned(folder.path());
    for name in ["a_120bpm.wav", "b_120bpm.mp3"] {
        let one = used(&found, name);
        assert_eq!((one.clip.beats, one.clip.bpm), (4, 120.0), "{name}");
    }
    // The same audio in another container is the same audio.
    let first = folder.path().join("a_120bpm.wav");
    assert_eq!(reason(&found, "c 120 bpm"), &SkipReason::Duplicate(first));
}

#[test]
fn folders_without_loops_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let scan = |path: &Path| dataset::scan(path, &ScanOptions::default(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(scan(folder.path()), ScanError::Empty(_)));
    assert!(matches!(scan(&folder.path().join("none")), ScanError::Missing(_)));
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "nothing but words").unwrap();
    assert!(matches!(scan(&file), ScanError::NotAFolder(_)));
    std::fs::write(folder.path().join("a.wav"), "").unwrap();
    let error = scan(folder.path());
    assert!(matches!(&error, ScanError::NothingUsable { skipped, .. } if skipped.len() == 2));
    let words = error.to_string();
    assert!(words.contains("none of the 2 files") && words.contains("1 skipped: empty"), "{words}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_circles_end() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("Techno");
    std::fs::create_dir_all(folder.path().join(".hidden")).unwrap();
    std::fs::create_dir(&inner).unwrap();
    let loop_file = wave(CD, &beats(CD, 13), None);
    std::fs::write(inner.join("a_120bpm.wav"), &loop_file).unwrap();
    std::fs::write(folder.path().join(".hidden/b_120bpm.wav"), &loop_file).unwrap();
    std::os::unix::fs::symlink(folder.path(), inner.join("up")).unwrap();
    std::os::unix::fs::symlink("nowhere", inner.join("dangling.wav")).unwrap();
    std::os::unix::fs::symlink(inner.join("a_120bpm.wav"), folder.path().join("z.wav")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.wav")).unwrap();
    let found = scanned(folder.path());
    drop(socket);
    assert_eq!(used(&found, "a_120bpm.wav").label.as_deref(), Some("Techno"));
    assert_eq!(reason(&found, "up"), &SkipReason::LinkLoop);
    assert_eq!(reason(&found, ".hidden"), &SkipReason::Hidden);
    assert_eq!(reason(&found, "socket.wav"), &SkipReason::NotAFile);
    assert!(matches!(reason(&found, "dangling.wav"), SkipReason::Unreadable(_)));
    assert!(matches!(reason(&found, "z.wav"), SkipReason::Duplicate(_)));
    assert_eq!((found.loops.len(), found.skipped.len()), (1, 5));
}

#[test]
fn a_damaged_byte_anywhere_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let short = Format { channels: 1, rate: 8000, ..CD };
    let good = wave(short, &beats(short, 14), None);
    std::fs::write(folder.path().join("good_120bpm.wav"), &good).unwrap();
    for at in 0..44 {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            std::fs::write(folder.path().join(format!("{at} {value}.wav")), bytes).unwrap();
        }
    }
    let found = scanned(folder.path());
    assert_eq!(found.loops.len() + found.skipped.len(), 44 * 3 + 1, "{}", found.report());
}
