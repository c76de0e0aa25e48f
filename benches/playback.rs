//! What playback costs the audio thread, as a share of the time that its block lasts: 64 samples at
//! 48 kHz (1.333 ms). Run by `cargo bench --bench playback`; prints the median, the 1st and the 99th
//! percentile of 1000 rounds of 20 blocks: the 1st is what a machine does that others leave alone.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use flowloop::clip::Clip;
use flowloop::playback::{
    Expression, Mode, Note, Player, ROOT_KEY, SLICE_ROOT, Settings, Slicing, SwapAt, Transport, VOICES,
};
use flowloop::random::Philox;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 64;

fn clip(seed: u64) -> Arc<Clip> {
    let length = Clip::length(8, 120.0, 44_100);
    let samples = Philox::new(seed, 0).normals(2 * length);
    let (left, right) = samples.split_at(length);
    Arc::new(Clip {
        samples: [left.to_vec(), right.to_vec()],
        sample_rate: 44_100,
        beats: 8,
        bpm: 120.0,
        provenance: None,
        // As many slices as voices.
        hits: (0..16).map(|n| n * 11_025).collect(),
    })
}

fn measure(name: &str, mut block: impl FnMut(&mut [f32], &mut [f32])) {
    let (mut left, mut right) = ([0f32; BLOCK], [0f32; BLOCK]);
    let mut shares: Vec<f64> = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        for _ in 0..20 {
            block(black_box(&mut left), black_box(&mut right));
        }
        shares.push(start.elapsed().as_secs_f64() / 20.0 / (BLOCK as f64 / RATE));
    }
    shares.sort_by(f64::total_cmp);
    let [quiet, median, busy] = [10, 500, 990].map(|i| 100.0 * shares[i]);
    println!("{name:<40} {median:.3} % of one core (1st percentile {quiet:.3} %, 99th {busy:.3} %)");
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

fn main() {
    let plain = Settings::default();
    // A slow decay, so that each sample of the envelope is another; a bend; a gain.
    let shaped = Settings { decay: 60.0, sustain: 0.1, bend: 0.3, gain: 0.8, pan: 0.1, ..plain };
    let filtered = Settings { low_cut: Some(80.0), high_cut: Some(9000.0), ..shaped };
    let lowest = ROOT_KEY - 8;

    let mut player = Player::new(RATE);
    player.swap(clip(1));
    measure("no voice", |left, right| player.render(&plain, None, left, right));

    let mut player = playing(lowest, 1);
    measure("16 voices, each its own pitch", |left, right| player.render(&plain, None, left, right));

    let mut player = playing(lowest, 1);
    let mut block = 0;
    let mut express = |player: &mut Player| {
        block += 1;
        let wave = (block as f32 * 0.1).sin();
        player.express(None, None, None, Expression::Tuning(wave));
        player.express(None, None, None, Expression::Volume(0.8 + 0.1 * wave));
        player.express(None, None, None, Expression::Pan(0.5 * wave));
    };
    measure("... with envelopes, expressions moving", |left, right| {
        express(&mut player);
        player.render(&shaped, None, left, right);
    });
    let mut player = playing(lowest, 1);
    measure("... and both filters", |left, right| {
        express(&mut player);
        player.render(&filtered, None, left, right);
    });

    let mut player = playing(lowest, 1);
    let clips = [clip(2), clip(3)];
    let mut block = 0;
    measure("16 voices, a fade always under way", |left, right| {
        // A fade is 7.5 blocks long.
        if block % 8 == 0 {
            while player.spent().is_some() {}
            player.swap(clips[block / 8 % 2].clone());
        }
        block += 1;
        player.render(&plain, None, left, right);
    });

    let part = Settings { start: 0.5, length: 1.0 / 32.0, ..plain };
    let mut player = playing(lowest, 1);
    measure("16 voices, each in a loop of a 16th", |left, right| player.render(&part, None, left, right));

    let mut player = playing(ROOT_KEY, 0);
    measure("16 voices at the root key", |left, right| player.render(&plain, None, left, right));

    let slices = Settings { mode: Mode::Slice, slicing: Slicing::Hits, swap: SwapAt::Beat, ..plain };
    let mut player = playing(SLICE_ROOT, 1);
    let mut block = 0;
    measure("16 slices, started anew when they end", |left, right| {
        block += 1;
        if block % 187 == 0 {
            chord(&mut player, SLICE_ROOT, 1);
        }
        player.render(&slices, None, left, right);
    });

    let sync = Settings { mode: Mode::Sync, ..plain };
    let mut player = Player::new(RATE);
    player.swap(clip(2));
    let mut at = Transport { beats: 0.0, bpm: 120.0, cycle: None };
    measure("in time with the transport", |left, right| {
        player.render(&sync, Some(&at), left, right);
        at.beats += BLOCK as f64 * 2.0 / RATE;
    });
}
