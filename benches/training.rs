//! A training step on the CPU: of the tutorial's net (`benches/pytorch.py` sets PyTorch beside it) and of a net of
//! the built-in model's size. Run by `cargo bench --bench training`.

mod subjects;

use burn::tensor::Device;
use criterion::{Criterion, criterion_group, criterion_main};
use flowloop::model::embedded_header;
use flowloop::training::latents::LatentSet;
use flowloop::training::{Trainer, TrainingConfig};

fn steps(c: &mut Criterion) {
    let built_in = embedded_header().expect("it is built in").net;
    let mut group = c.benchmark_group("training step");
    for (name, net, frames, batch) in
        [("tutorial, 16 x 64", subjects::tutorial().header.net, 64, 16), ("built-in, 32 x 64", built_in, 64, 32)]
    {
        let set = LatentSet::of_noise(net.channels, frames, 64);
        let config = TrainingConfig { batch, ..TrainingConfig::default() };
        let mut trainer = Trainer::new(&net, config, &Device::flex());
        group.bench_function(name, |b| b.iter(|| trainer.advance(&set).into_scalar::<f32>()));
    }
    group.finish();
}

criterion_group! { name = benches; config = subjects::few(); targets = steps }
criterion_main!(benches);
