use std::f64::consts::TAU;

use super::*;

mod blocks;
mod cuts;
mod notes;
mod output;
mod pitch;
mod swaps;
mod transport;

/// A loop of two beats at 120 beats per minute, made at 44.1 kHz when it has 44,100 samples.
fn clip(wave: Vec<f32>) -> Arc<Clip> {
    let samples = [wave.clone(), wave];
    Arc::new(Clip { samples, sample_rate: 44_100, beats: 2, bpm: 120.0, provenance: None, hits: Vec::new() })
}

/// `cycles` of a sine in a loop of `length` samples.
fn sine(cycles: f64, length: usize) -> Arc<Clip> {
    clip((0..length).map(|i| (TAU * cycles * i as f64 / length as f64).sin() as f32).collect())
}

/// Every sample the same: what is heard is the envelope.
fn flat(level: f32) -> Arc<Clip> {
    clip(vec![level; 44_100])
}

/// Every sample is its place in the loop, 0..1: what is heard is the place.
fn places() -> Arc<Clip> {
    clip((0..44_100).map(|i| i as f32 / 44_100.0).collect())
}

fn noise(seed: u64, length: usize) -> Arc<Clip> {
    let mut random = fastrand::Rng::with_seed(seed);
    clip((0..length).map(|_| random.f32() - 0.5).collect())
}

fn key(key: u8) -> Note {
    Note { key, channel: Some(0), id: None }
}

/// A player at 44.1 kHz whose root key is held.
fn playing(clip: Arc<Clip>) -> Player {
    let mut player = Player::new(44_100.0);
    player.swap(clip);
    player.note_on(key(ROOT_KEY), 1.0);
    player
}

/// Left and right.
fn stereo(player: &mut Player, settings: &Settings, samples: usize, block: usize) -> [Vec<f32>; 2] {
    let (mut left, mut right) = (vec![0.0; samples], vec![0.0; samples]);
    for (l, r) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
        player.render(settings, None, l, r);
    }
    [left, right]
}

/// The left side by `settings`.
fn with(player: &mut Player, settings: &Settings, samples: usize) -> Vec<f32> {
    let [left, _] = stereo(player, settings, samples, 100);
    left
}

/// The left side by the default settings.
fn render(player: &mut Player, samples: usize, block: usize) -> Vec<f32> {
    let [left, _] = stereo(player, &Settings::default(), samples, block);
    left
}

/// The left side in time with a transport that starts at `at`.
fn follow(
    player: &mut Player,
    settings: &Settings,
    mut at: Transport,
    rate: f64,
    samples: usize,
    block: usize,
) -> Vec<f32> {
    let (mut left, mut right) = (vec![0.0; samples], vec![0.0; samples]);
    for (l, r) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
        player.render(settings, Some(&at), l, r);
        at = at.after(l.len(), rate);
    }
    left
}

fn largest_step(sound: &[f32]) -> f32 {
    sound.windows(2).fold(0f32, |m, w| m.max((w[1] - w[0]).abs()))
}

fn all_ended(player: &mut Player) -> Vec<Note> {
    std::iter::from_fn(|| player.ended()).collect()
}
