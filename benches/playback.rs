//! What playback costs the audio thread, as a share of the time that its block lasts: 64 samples at
//! 48 kHz (1.333 ms). Run by `cargo bench --bench playback`; prints the median and the worst of 100
//! rounds of 200 blocks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use flowloop::clip::Clip;
use flowloop::playback::{Player, ROOT_KEY, Transport, VOICES};
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
        hits: Vec::new(),
    })
}

fn measure(name: &str, mut block: impl FnMut(&mut [f32], &mut [f32])) {
    let (mut left, mut right) = ([0f32; BLOCK], [0f32; BLOCK]);
    let mut shares: Vec<f64> = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        for _ in 0..200 {
            block(black_box(&mut left), black_box(&mut right));
        }
        shares.push(start.elapsed().as_secs_f64() / 200.0 / (BLOCK as f64 / RATE));
    }
    shares.sort_by(f64::total_cmp);
    println!("{name:<40} {:.3} % of one core (worst {:.3} %)", 100.0 * shares[50], 100.0 * shares[99]);
}

fn main() {
    for (name, spread) in [("16 voices, each its own pitch", 1), ("16 voices at the root key", 0)] {
        let mut player = Player::new(RATE);
        player.swap(clip(1));
        for voice in 0..VOICES as u8 {
            player.note_on(ROOT_KEY - 8 * spread + voice * spread, Some(voice), 0.7);
        }
        measure(name, |left, right| player.render(None, left, right));
    }
    let mut player = Player::new(RATE);
    player.swap(clip(2));
    let mut at = Transport { beats: 0.0, bpm: 120.0, cycle: None };
    measure("in time with the transport", |left, right| {
        player.render(Some(&at), left, right);
        at.beats += BLOCK as f64 * 2.0 / RATE;
    });
}
