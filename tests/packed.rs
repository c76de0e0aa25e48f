//! Promise: the packed net of the CPU gives Burn's numbers, for the built-in model, the tutorial's net and
//! nets of other shapes, at any batch and length, with each set of instructions.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use flowloop::flow::layers::Padding;
use flowloop::flow::noise::of_seed;
use flowloop::flow::packed::PackedUNet;
use flowloop::flow::solver::{Path, Solver};
use flowloop::flow::unet::{UNet, UNetConfig, Weights, weights_of};
use flowloop::flow::{Condition, Velocity};
use flowloop::kernel::{Cpu, Isa, Storage, Team};
use flowloop::key::Key;
use flowloop::model::{Generator, Model, embedded_model, import_pytorch};
use flowloop::random::Philox;

fn cpus() -> Vec<Cpu> {
    let team = Arc::new(Team::new(2));
    Isa::all().into_iter().map(|isa| Cpu::new(isa, team.clone())).collect()
}

fn conditions(batch: usize, labels: usize) -> Vec<Condition> {
    let label = |i: usize| (labels > 0 && i % 3 < 2).then(|| i % labels.max(1));
    let of = |i: usize| Condition {
        bpm: 90.0 + 17.0 * i as f64,
        label: label(i),
        mode: Key::from_number(7 * i).map(Key::mode),
    };
    (0..batch).map(of).collect()
}

fn largest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A net whose every parameter matters: fresh nets have zeros in many places.
fn weights(config: &UNetConfig) -> Weights {
    let mut weights = weights_of(&UNet::new(config, &Device::flex()));
    for (i, (name, weight)) in weights.iter_mut().enumerate() {
        let scale = match weight.shape.len() {
            2 => 1.0 / (weight.shape[0] as f32).sqrt(),
            _ => 0.3,
        };
        let centre = if name.ends_with("gamma") { 1.0 } else { 0.0 };
        let drawn = Philox::new(3, i as u64).normals(weight.values.len());
        weight.values.iter_mut().zip(drawn).for_each(|(v, n)| *v = centre + scale * n);
    }
    weights
}

#[test]
fn nets_of_all_shapes_give_burns_velocities() {
    let plain = UNetConfig::plain(5, 24, 3);
    let blocks = UNetConfig {
        widths: vec![64, 96],
        last_width: 32,
        padding: Padding::Circular,
        blocks: 2,
        frames_per_beat: Some(8),
        labels: 3,
        keys: true,
        ..UNetConfig::plain(7, 64, 2)
    };
    let stem = UNetConfig { stem: 32, preconditioned: true, blocks: 1, ..blocks.clone() };
    let zero = UNetConfig { padding: Padding::Zero, frames_per_beat: None, labels: 0, keys: false, ..stem.clone() };
    for config in [plain, blocks, stem, zero] {
        let weights = weights(&config);
        let net = flowloop::flow::unet::with_weights(UNet::new(&config, &Device::flex()), &weights).unwrap();
        for (batch, frames) in [(1, config.stride()), (2, 40), (8, 72)] {
            let noise: Vec<f32> = (0..batch).flat_map(|i| of_seed(i as u64, 0, config.channels, frames)).collect();
            let times: Vec<f32> = (0..batch).map(|i| (i as f32 + 0.5) / batch as f32).collect();
            let conditions = conditions(batch, config.labels);
            let x = burn::tensor::TensorData::new(noise.clone(), [batch, config.channels, frames]);
            let x = burn::tensor::Tensor::<3>::from_data(x, &Device::flex());
            let t = burn::tensor::Tensor::<1>::from_floats(times.as_slice(), &Device::flex());
            let expected = net.velocity(x, t, &conditions).into_data().try_into_vec::<f32>().unwrap();
            let most = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
            for cpu in cpus() {
                let name = cpu.isa().name();
                let packed = PackedUNet::new(&config, &weights, Storage::Single, cpu);
                let found = packed.evaluate(&noise, frames, &times, &conditions);
                let error = largest(&found, &expected);
                assert!(error < 1e-5 * most.max(1.0), "{config:?}, {batch} x {frames}, {name}: {error} of {most}");
            }
        }
    }
}

fn sampled(generator: &Generator, steps: u32, batch: usize, frames: usize) -> Vec<f32> {
    let net = &generator.model().header.net;
    let noise = (0..batch).flat_map(|i| of_seed(40 + i as u64, 0, net.channels, frames)).collect();
    let conditions = conditions(batch, net.labels);
    let path = Path::new(steps, &conditions);
    let shape = [batch, net.channels, frames];
    generator.sample(noise, shape, Solver::Euler, path, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

/// Largest errors of a run of the packed net, beside Burn's.
fn errors(model: &Model, storage: Storage, steps: u32, batch: usize, frames: usize) -> Vec<(&'static str, f32)> {
    let burn = sampled(&Generator::burn(model.clone(), &flowloop::device::cpu()).unwrap(), steps, batch, frames);
    let one = |cpu: Cpu| {
        let name = cpu.isa().name();
        let packed = Generator::packed(model.clone(), storage, cpu).unwrap();
        let error = largest(&sampled(&packed, steps, batch, frames), &burn);
        println!("{name} {storage:?}, {steps} steps, {batch} x {frames}: largest error {error:.1e}");
        (name, error)
    };
    cpus().into_iter().map(one).collect()
}

#[test]
fn the_built_in_model_gives_burns_latents() {
    let model = embedded_model().unwrap();
    // Its weights are 16-bit floats: held as such they are the same.
    for (steps, batch, frames) in [(8, 1, 64), (32, 2, 32)] {
        for (isa, error) in errors(&model, Storage::Exact, steps, batch, frames) {
            assert!(error < 2e-4, "{isa}: {error}");
        }
    }
}

/// One seed, one clip: 16-bit weights of a 16-bit model and another machine's vector instructions change no bit.
#[test]
fn storage_and_vector_instructions_change_nothing_that_is_heard() {
    let model = embedded_model().unwrap();
    let run = |storage, cpu| sampled(&Generator::packed(model.clone(), storage, cpu).unwrap(), 8, 1, 64);
    let expected = run(Storage::Single, Cpu::new(Isa::best(), Arc::new(Team::new(1))));
    for cpu in cpus().into_iter().filter(|cpu| Isa::best().fused() == cpu.isa().fused()) {
        for storage in [Storage::Single, Storage::Half, Storage::Exact] {
            assert!(run(storage, cpu.clone()) == expected, "{}, {storage:?}", cpu.isa().name());
        }
    }
}

#[test]
fn the_tutorials_net_gives_burns_latents() {
    let checkpoint = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed-unet/model_diffusion.pth");
    let model = import_pytorch(&checkpoint, None, Padding::Zero).unwrap();
    for (storage, most) in [(Storage::Single, 1e-5), (Storage::Half, 1e-2)] {
        for (isa, error) in errors(&model, storage, 100, 2, 32) {
            assert!(error < most, "{isa}, {storage:?}: {error}");
        }
    }
}

#[test]
fn many_may_ask_one_net_at_once() {
    let model = embedded_model().unwrap();
    let (net, frames) = (&model.header.net, 32);
    let packed = PackedUNet::new(net, &model.weights, Storage::Exact, Cpu::shared());
    let velocity = |seed| packed.evaluate(&of_seed(seed, 0, net.channels, frames), frames, &[0.5], &conditions(1, 0));
    let alone: Vec<Vec<f32>> = (0..4).map(velocity).collect();
    std::thread::scope(|scope| {
        for (seed, alone) in alone.iter().enumerate() {
            let velocity = &velocity;
            scope.spawn(move || (0..20).for_each(|_| assert!(velocity(seed as u64) == *alone, "seed {seed}")));
        }
    });
}
