//! The CPU's sampler: what a solver step costs by loops and frames, and a run by steps. Run by
//! `cargo bench --bench sampler`; `flowloop bench --sampler` sets Burn beside it, `flowloop bench --cost` says how
//! the cost grows.

mod subjects;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowloop::kernel::{Cpu, Storage};
use flowloop::model::{Generator, Model, embedded_model};

fn nets() -> [(&'static str, Model, Storage); 3] {
    [
        ("tutorial, 32 bits", subjects::tutorial(), Storage::Single),
        ("tutorial, 16 bits", subjects::tutorial(), Storage::Half),
        ("built-in", embedded_model().expect("it is built in"), Storage::Exact),
    ]
}

fn steps(c: &mut Criterion) {
    for (name, model, storage) in nets() {
        let generator = Generator::packed(model, storage, Cpu::shared()).expect("a sound model");
        let mut group = c.benchmark_group(format!("step, {name}"));
        for (batch, frames) in [1, 8].into_iter().flat_map(|b| [32, 128, 512].map(|f| (b, f))) {
            group.throughput(Throughput::Elements((batch * frames) as u64));
            group.bench_function(format!("{batch} x {frames}"), |b| {
                b.iter(|| subjects::sample(&generator, batch, frames, 1));
            });
        }
        group.finish();
        let mut group = c.benchmark_group(format!("run of 1 x 32, {name}"));
        for steps in [1, 8, 100] {
            group.throughput(Throughput::Elements(u64::from(steps)));
            group.bench_function(format!("{steps} steps"), |b| b.iter(|| subjects::sample(&generator, 1, 32, steps)));
        }
        group.finish();
    }
}

criterion_group! { name = benches; config = subjects::few(); targets = steps }
criterion_main!(benches);
