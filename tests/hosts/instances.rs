//! Many instances in one process.

use std::time::{Duration, Instant};

use super::host::Do::*;
use super::host::{self, BLOCK, Instance, PATIENCE, RATE, difference, note, read, seed};
use super::{EQUAL, wav};

/// Samples of a clip of 1 bar at 120 bpm.
const CLIP: usize = 88_200;

#[test]
fn ten_instances_stay_exact_when_one_goes_while_it_generates() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clips: Vec<_> = (0..10).map(|seed| read(&wav(folder.path(), seed, 1, 120))).collect();
    let start = Instant::now();
    let mut instances: Vec<_> = (0..10).map(|_| Instance::new()).collect();
    let each = start.elapsed() / 10;
    println!("clack-host: an instance takes {each:?}");
    assert!(each < Duration::from_secs(2));
    let mut running: Vec<_> = instances.iter_mut().map(|i| i.start(RATE)).collect();
    for (number, running) in running.iter_mut().enumerate() {
        let mut script = vec![(0, Set("Bars", 0.0))];
        script.extend(seed(number as u32));
        running.play(&script, BLOCK);
    }
    // All wait for their clips; the first is being made.
    let mut first = instances.remove(0);
    first.stop(running.remove(0));
    drop(first);
    for (number, (instance, mut running)) in instances.iter_mut().zip(running).enumerate() {
        let number = number + 1;
        let start = Instant::now();
        loop {
            let heard = running.play(&note(number as u32), CLIP).heard;
            let error = difference(&heard, &clips[number]);
            if error < EQUAL {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "instance {number}: {error}");
            running.hush();
            std::thread::sleep(Duration::from_millis(50));
        }
        instance.stop(running);
    }
}
