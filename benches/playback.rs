//! What playback costs the audio thread, 64 samples at 48 kHz at a time: elements are samples, so real time is 48
//! thousand a second, and a share of one core is 48 by the thousands a second. Run by
//! `cargo bench --bench playback`.

mod subjects;

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use flowloop::playback::{
    Expression, Mode, Note, Player, ROOT_KEY, SLICE_ROOT, Settings, Slicing, SwapAt, Transport, VOICES,
};
use subjects::clip;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 64;
/// A voice for each key about the root.
const LOWEST: u8 = ROOT_KEY - 8;

fn measure(group: &mut BenchmarkGroup<WallTime>, name: &str, mut block: impl FnMut(&mut [f32], &mut [f32])) {
    let (mut left, mut right) = ([0f32; BLOCK], [0f32; BLOCK]);
    group.bench_function(name, |b| b.iter(|| block(black_box(&mut left), black_box(&mut right))));
}

/// A player of a clip with as many notes as there are voices, `spread` semitones from key to key.
fn playing(lowest: u8, spread: u8) -> Player {
    let mut player = Player::new(RATE);
    player.swap(clip(1));
    chord(&mut player, lowest, spread);
    player
}

fn chord(player: &mut Player, lowest: u8, spread: u8) {
    for voice in 0..VOICES as u8 {
        let note = Note { key: lowest + voice * spread, channel: Some(0), id: Some(i32::from(voice)) };
        player.note_on(note, 0.7);
    }
}

/// Moves what a host may move from block to block.
fn express(player: &mut Player, block: &mut usize) {
    *block += 1;
    let wave = (*block as f32 * 0.1).sin();
    player.express(None, None, None, Expression::Tuning(wave));
    player.express(None, None, None, Expression::Volume(0.8 + 0.1 * wave));
    player.express(None, None, None, Expression::Pan(0.5 * wave));
}

fn voices(c: &mut Criterion) {
    let plain = Settings::default();
    // A slow decay, so that each sample of the envelope is another; a bend; a gain.
    let shaped = Settings { decay: 60.0, sustain: 0.1, bend: 0.3, gain: 0.8, pan: 0.1, ..plain };
    let filtered = Settings { low_cut: Some(80.0), high_cut: Some(9000.0), ..shaped };
    let part = Settings { start: 0.5, length: 1.0 / 32.0, ..plain };
    let mut group = c.benchmark_group("playback");
    group.throughput(Throughput::Elements(BLOCK as u64));

    let mut player = Player::new(RATE);
    player.swap(clip(1));
    measure(&mut group, "no voice", |left, right| player.render(&plain, None, left, right));

    let mut player = playing(LOWEST, 1);
    measure(&mut group, "16 voices, each its own pitch", |left, right| player.render(&plain, None, left, right));

    for (name, settings) in [("envelopes, expressions moving", shaped), ("and both filters", filtered)] {
        let (mut player, mut block) = (playing(LOWEST, 1), 0);
        measure(&mut group, &format!("16 voices, {name}"), |left, right| {
            express(&mut player, &mut block);
            player.render(&settings, None, left, right);
        });
    }

    let mut player = playing(LOWEST, 1);
    let clips = [clip(2), clip(3)];
    let mut block = 0;
    measure(&mut group, "16 voices, a fade always under way", |left, right| {
        // A fade is 7.5 blocks long.
        if block % 8 == 0 {
            while player.spent().is_some() {}
            player.swap(clips[block / 8 % 2].clone());
        }
        block += 1;
        player.render(&plain, None, left, right);
    });

    let mut player = playing(LOWEST, 1);
    measure(&mut group, "16 voices, each in a loop of a 16th", |left, right| player.render(&part, None, left, right));

    let mut player = playing(ROOT_KEY, 0);
    measure(&mut group, "16 voices at the root key", |left, right| player.render(&plain, None, left, right));
    group.finish();
}

fn modes(c: &mut Criterion) {
    let mut group = c.benchmark_group("playback");
    group.throughput(Throughput::Elements(BLOCK as u64));

    let slices = Settings { mode: Mode::Slice, slicing: Slicing::Hits, swap: SwapAt::Beat, ..Settings::default() };
    let (mut player, mut block) = (playing(SLICE_ROOT, 1), 0);
    measure(&mut group, "16 slices, started anew when they end", |left, right| {
        block += 1;
        if block % 187 == 0 {
            chord(&mut player, SLICE_ROOT, 1);
        }
        player.render(&slices, None, left, right);
    });

    let sync = Settings { mode: Mode::Sync, ..Settings::default() };
    let mut player = Player::new(RATE);
    player.swap(clip(2));
    let mut at = Transport { beats: 0.0, bpm: 120.0, cycle: None };
    measure(&mut group, "in time with the transport", |left, right| {
        player.render(&sync, Some(&at), left, right);
        at.beats += BLOCK as f64 * 2.0 / RATE;
    });
    group.finish();
}

criterion_group! { name = benches; config = subjects::many(); targets = voices, modes }
criterion_main!(benches);
