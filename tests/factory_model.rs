//! The built-in model generates loops of its styles: exact length, no seam, drums on the grid, something in
//! each bar, a clip a seed.

use std::ops::ControlFlow;

use flowloop::clip::Clip;
use flowloop::measure;
use flowloop::model::{Generator, Job, embedded_model};

const STYLES: [&str; 4] = ["house", "breaks", "electro", "hiphop"];

fn clips() -> Vec<Clip> {
    let adapter = flowloop::device::cpu();
    let mut generator = Generator::new(embedded_model().unwrap(), &adapter).unwrap();
    let labels = generator.model().header.labels.clone();
    let job = |seed: usize| {
        let label = labels.iter().position(|label| label == STYLES[seed - 1]);
        assert!(label.is_some(), "{} is a style", STYLES[seed - 1]);
        Job { seed: seed as u64, steps: 8, beats: 8, bpm: 124.0, label, ..Job::default() }
    };
    (1..=4).map(|seed| generator.generate(&job(seed), &mut |_, _| ControlFlow::Continue(())).unwrap()).collect()
}

#[test]
fn four_seeds_are_four_drum_loops_on_the_grid_without_a_seam() {
    let clips = clips();
    for (seed, clip) in clips.iter().enumerate() {
        let seed = seed + 1;
        assert_eq!(clip.len(), Clip::length(8, 124.0, 44_100));
        assert!((0.05..=1.0).contains(&clip.peak()), "seed {seed}: peak {}", clip.peak());
        let (on_grid, seam) = (measure::on_grid(clip), measure::seam(clip));
        println!("seed {seed}: on grid {on_grid:.3}, seam {seam:.3}, peak {:.3}", clip.peak());
        // A sixth of all places lies within 20 ms of the 16th grid at this tempo: see the noise below.
        assert!(on_grid > 0.7, "seed {seed}: {on_grid} of the onset energy is on the grid");
        assert!(seam < 1.0, "seed {seed}: the step across the seam is {seam} of the largest inside");
        for bar in 0..2 {
            let part = &clip.samples[0][bar * clip.len() / 2..(bar + 1) * clip.len() / 2];
            let rms = (part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32).sqrt();
            assert!(rms > 0.003, "seed {seed}: bar {bar} is silent ({rms})");
        }
    }
    assert!(clips.windows(2).all(|w| w[0].samples != w[1].samples));
}

#[test]
fn measures_tell_noise_from_drums() {
    let noise = flowloop::random::Philox::new(1, 0).normals(2 * Clip::length(8, 124.0, 44_100));
    let (left, right) = noise.split_at(noise.len() / 2);
    let clip = Clip {
        samples: [left.to_vec(), right.to_vec()],
        sample_rate: 44_100,
        beats: 8,
        bpm: 124.0,
        provenance: None,
        hits: Vec::new(),
    };
    assert!(measure::on_grid(&clip) < 0.6, "{}", measure::on_grid(&clip));
}
