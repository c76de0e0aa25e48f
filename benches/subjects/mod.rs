//! What the benches measure, and how long they may take.
#![allow(dead_code)] // Each bench needs some of it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use flowloop::clip::Clip;
use flowloop::flow::Condition;
use flowloop::flow::noise::of_seed;
use flowloop::flow::solver::{Path, Solver};
use flowloop::flow::unet::UNetConfig;
use flowloop::model::{Generator, Model};
use flowloop::random::Philox;

/// Few samples: what is measured is long beside the clock's error, and other programs disturb the more the longer
/// it takes.
pub fn few() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
}

/// Many short samples: for what the audio or the GUI thread does again and again.
pub fn many() -> Criterion {
    few().sample_size(100)
}

/// The tutorial's plain net (35 million weights), fresh.
pub fn tutorial() -> Model {
    Model::fresh("the tutorial's net", UNetConfig::plain(64, 128, 5))
}

/// Integrates noise: loops x frames, in so many Euler steps.
pub fn sample(generator: &Generator, batch: usize, frames: usize, steps: u32) -> Vec<f32> {
    let channels = generator.model().header.net.channels;
    let noise = (0..batch as u64).flat_map(|seed| of_seed(seed, 0, channels, frames)).collect();
    let conditions = vec![Condition::any(120.0); batch];
    let path = Path::new(steps, &conditions);
    let mut go = |_, _| ControlFlow::Continue(());
    generator.sample(noise, [batch, channels, frames], Solver::Euler, path, &mut go).expect("noise of the net's shape")
}

/// Two bars of noise at 120 bpm, with as many slices as there are voices.
pub fn clip(seed: u64) -> Arc<Clip> {
    let length = Clip::length(8, 120.0, 44_100);
    let samples = Philox::new(seed, 0).normals(2 * length);
    let (left, right) = samples.split_at(length);
    Arc::new(Clip {
        samples: [left.to_vec(), right.to_vec()],
        sample_rate: 44_100,
        beats: 8,
        bpm: 120.0,
        provenance: None,
        hits: (0..16).map(|n| n * 11_025).collect(),
    })
}
