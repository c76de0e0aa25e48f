//! The codec on loops of the built-in model, whole loops, and reading that model. Run by `cargo bench --bench codec`.

mod subjects;

use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowloop::device;
use flowloop::key::Key;
use flowloop::model::{EMBEDDED_BYTES, Generator, Job, embedded_model};

fn loops(c: &mut Criterion) {
    let mut generator = Generator::new(embedded_model().expect("it is built in"), &device::cpu()).expect("sound");
    let codec = generator.model().codec.clone().expect("it has a codec");
    let mut group = c.benchmark_group("codec");
    for beats in [8, 32] {
        let job = Job { beats, ..Job::default() };
        let clip = generator.generate(&job, &mut |_, _| ControlFlow::Continue(())).expect("a clip");
        let latents = codec.encode(&clip).expect("latents");
        // Elements are samples: real time is 44.1 thousand a second.
        group.throughput(Throughput::Elements(clip.len() as u64));
        group.bench_function(format!("encode {beats} beats"), |b| b.iter(|| codec.encode(&clip)));
        group.bench_function(format!("decode {beats} beats"), |b| b.iter(|| codec.decode(&latents, clip.bpm)));
    }
    group.finish();
    // What noise that is renewed, another key, and a filter on the semitones cost beside a loop of drums.
    let mut group = c.benchmark_group("a loop of 8 beats, 16 steps");
    let labels = generator.model().header.labels.clone();
    for (name, label, key) in
        [("drums", "house", None), ("in A minor", "chords", Some("Am")), ("in E minor", "chords", Some("Em"))]
    {
        let label = labels.iter().position(|own| own == label).expect("the built-in model knows it");
        let key = key.map(|name| name.parse::<Key>().expect("a key"));
        let job = Job { steps: 16, beats: 8, label: Some(label), key, ..Job::default() };
        let mut go = |_, _| ControlFlow::Continue(());
        group.bench_function(name, |b| b.iter(|| generator.generate(&job, &mut go).expect("a clip")));
    }
    group.finish();
}

fn models(c: &mut Criterion) {
    let model = embedded_model().expect("it is built in");
    let mut group = c.benchmark_group("built-in model");
    group.throughput(Throughput::Bytes(EMBEDDED_BYTES));
    group.bench_function("read", |b| b.iter(embedded_model));
    group.bench_function("pack for the CPU", |b| {
        b.iter_batched(
            || model.clone(),
            |model| Generator::new(model, &device::cpu()),
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group! { name = benches; config = subjects::few(); targets = loops, models }
criterion_main!(benches);
