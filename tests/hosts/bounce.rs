//! The CLAP bounced and played: a note is the clip that `flowloop generate` writes for that seed, two
//! bounces are the same to the bit, and realtime ends on what a bounce has.

use std::time::{Duration, Instant};

use super::host::Do::*;
use super::host::{self, BLOCK, Instance, PATIENCE, RATE, Running, Song, difference, note, read, seed};
use super::{DIFFERENT, EQUAL, wav};

/// Samples of a clip of 2 bars at 120 bpm.
const CLIP: usize = 176_400;

#[test]
fn bounce_follows_the_automated_seed_and_is_the_same_each_time() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let wavs = [1, 2].map(|seed| read(&wav(folder.path(), seed, 2, 120)));
    // The seed turns a little before each note, which comes within a block.
    let mut script = note(1);
    let turns = [(CLIP, 2), (2 * CLIP, 1)];
    for (at, seed) in turns.map(|(at, seed)| (at + 77, seed)) {
        script.extend([(at - 4000, Set("Seed", f64::from(seed))), (at - 1000, Off(60)), (at, On(60, None))]);
    }
    let bounce = || {
        let (mut instance, mut running) = Instance::offline();
        let heard = running.play(&script, 3 * CLIP).heard;
        instance.stop(running);
        heard
    };
    let heard = bounce();
    assert!(heard[0][..2000].iter().any(|s| s.abs() > 0.01), "a fresh instance sounds from its first note");
    for (index, (start, seed)) in [(0, 1), (CLIP + 77, 2), (2 * CLIP + 77, 1)].into_iter().enumerate() {
        let take = heard.clone().map(|c| c[start..start + CLIP - 5000].to_vec());
        let [right, wrong] = [&wavs[seed - 1], &wavs[2 - seed]].map(|w| difference(&take, w));
        println!("clack-host, bounce, note {index}: error {right:e}, distance {wrong}");
        assert!(right < EQUAL && wrong > DIFFERENT, "note {index}: {right} {wrong}");
    }
    assert!(bounce() == heard, "two bounces are the same to the bit");
}

/// Asks in realtime until the clip has come and sounds.
fn converge(running: &mut Running, number: u32, clip: &[Vec<f32>; 2]) -> [Vec<f32>; 2] {
    let start = Instant::now();
    loop {
        let heard = running.play(&note(number), CLIP).heard;
        if difference(&heard, clip) < EQUAL {
            return heard;
        }
        assert!(start.elapsed() < PATIENCE, "the clip never came");
        running.hush();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn realtime_never_waits_and_ends_on_what_a_bounce_has() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 3, 2, 120));
    let mut instance = Instance::new();
    let mut running = instance.start(RATE);
    let heard = running.play(&note(3), BLOCK).heard;
    assert!(heard[0].iter().all(|s| *s == 0.0), "no clip yet: silence, not a wait");
    running.hush();
    let live = converge(&mut running, 3, &clip);
    instance.stop(running);
    let (mut offline, mut running) = Instance::offline();
    assert!(running.play(&note(3), CLIP).heard == live, "the bounce is what was heard");
    offline.stop(running);
}

#[test]
fn sync_is_at_the_songs_place_after_jumps() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 5, 2, 120));
    let (mut instance, mut running) = Instance::offline();
    let mut script = seed(5).to_vec();
    script.push((0, Set("Mode", 1.0)));
    for beats in [0.0, 2.5, 29.0, 3.0, 1003.5] {
        let heard = running.perform(&script, 200 * BLOCK, Some(Song { beats, bpm: 120.0 })).heard;
        // The place before the jump fades out first.
        let start = (beats * RATE / 2.0).round() as usize + 400;
        let rotated = clip.clone().map(|mut c| {
            let length = c.len();
            c.rotate_left(start % length);
            c
        });
        let error = difference(&heard.map(|c| c[400..].to_vec()), &rotated);
        println!("clack-host in sync from beat {beats}: error {error:e}");
        // CLAP's song position is a fixed-point number: off by less than a hundred-thousandth of a sample.
        assert!(error < 1e-5, "beat {beats}: {error}");
        script.clear();
    }
    let stopped = running.play(&[], 10 * BLOCK).heard;
    assert!(stopped[0][BLOCK..].iter().all(|s| *s == 0.0), "the host stopped");
    instance.stop(running);
}
