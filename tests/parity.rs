//! Promise: a PyTorch checkpoint of the plain net gives PyTorch's numbers, on the CPU and on wgpu.

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use flowloop::device::{self, Adapter};
use flowloop::flow::layers::Padding;
use flowloop::flow::solver::{Path, Solver};
use flowloop::flow::unet::{Weight, Weights};
use flowloop::flow::{Condition, Velocity, objective};
use flowloop::model::{GenerateError, Generator, Model, import_pytorch};
use safetensors::SafeTensors;

const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn arrays(name: &str) -> Weights {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |data: &[u8]| data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    file.iter().map(|(n, v)| (n.to_string(), Weight { shape: v.shape().to_vec(), values: read(v.data()) })).collect()
}

fn tensor(w: &Weight, device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(w.values.clone(), [w.shape[0], w.shape[1], w.shape[2]]), device)
}

fn times(w: &Weight, device: &Device) -> Tensor<1> {
    Tensor::from_floats(w.values.as_slice(), device)
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: largest error {error:.1e}");
    assert!(error <= TOLERANCE, "{what}: largest error {error}");
}

fn seed_model() -> Model {
    let mean_std = fixture("seed-unet/mean_std.pth");
    import_pytorch(&fixture("seed-unet/model_diffusion.pth"), Some(&mean_std), Padding::Zero).unwrap()
}

fn check_velocity_loss_and_samples(adapter: &Adapter, what: &str) {
    let device = &adapter.device;
    let expected = arrays("seed-unet/expected.safetensors");
    let generator = Generator::new(seed_model(), adapter).unwrap();
    let net = generator.model().net(device).unwrap();
    let values = |t: Tensor<3>| t.into_data().try_into_vec::<f32>().unwrap();
    let noise = &expected["noise"];
    let conditions = vec![Condition::any(120.0); noise.shape[0]];

    let v = net.velocity(tensor(noise, device), times(&expected["time"], device), &conditions);
    close(&values(v), &expected["velocity"].values, &format!("{what} velocity"));

    let (data, t) = (tensor(&expected["data"], device), times(&expected["loss_time"], device));
    let x = objective::interpolate(data.clone(), tensor(noise, device), t.clone());
    close(&values(x.clone()), &expected["noisy"].values, &format!("{what} interpolation"));
    let loss = objective::loss(net.velocity(x, t, &conditions), objective::target(data, tensor(noise, device)));
    close(&[loss.into_scalar::<f32>()], &expected["loss"].values, &format!("{what} loss"));

    let shape = [noise.shape[0], noise.shape[1], noise.shape[2]];
    for steps in [1, 4, 100] {
        let go = &mut |_, _| ControlFlow::Continue(());
        let path = Path::new(steps, &conditions);
        let mut found = generator.sample(noise.values.clone(), shape, Solver::Euler, path, go).unwrap();
        close(&found, &expected[&format!("sample_{steps}")].values, &format!("{what} {steps} steps"));
        if steps == 100 {
            generator.unnormalise(&mut found, shape[2]);
            close(&found, &expected["sample_100_unnormalised"].values, &format!("{what} unnormalised"));
        }
    }
}

#[test]
fn cpu_gives_pytorchs_numbers() {
    check_velocity_loss_and_samples(&device::cpu(), "cpu");
}

#[test]
fn wgpu_gives_pytorchs_numbers_where_there_is_an_adapter() {
    let adapters = device::adapters();
    match adapters.iter().find(|a| a.id.starts_with("gpu")) {
        Some(adapter) => check_velocity_loss_and_samples(adapter, &adapter.name),
        None => println!("no adapter here: nothing to compare"),
    }
}

#[test]
fn sixteen_bits_on_wgpu_give_nearly_the_same() {
    let adapters = device::adapters();
    let Some(half) = adapters.iter().find(|a| a.half) else { return println!("no adapter here: nothing to compare") };
    let generator = match Generator::new(seed_model(), half) {
        Err(GenerateError::Device(reason)) if !half.device.supports_dtype(DType::F16) => {
            return println!("{}: {reason}", half.name);
        }
        made => made.unwrap(),
    };
    let arrays = arrays("seed-unet/expected.safetensors");
    let (noise, expected) = (&arrays["noise"], &arrays["sample_4"].values);
    let shape = [noise.shape[0], noise.shape[1], noise.shape[2]];
    let conditions = vec![Condition::any(120.0); shape[0]];
    let path = Path::new(4, &conditions);
    let go = &mut |_, _| ControlFlow::Continue(());
    let found = generator.sample(noise.values.clone(), shape, Solver::Euler, path, go).unwrap();
    let power = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>();
    let difference = power(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let error = (difference / power(&mut expected.iter().copied())).sqrt();
    println!("{}: latents are off by {error:.1e} of their size", half.name);
    assert!((1e-6..1e-2).contains(&error), "16 bits are not exact, but near: {error}");
}

#[test]
fn a_saved_model_gives_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.flow");
    let model = seed_model();
    model.save(&path, flowloop::model::Precision::Full).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!((loaded.weights, loaded.mean, loaded.std), (model.weights, model.mean, model.std));
}

/// Gradients by parameter name, in the net's own layout.
struct Gradients<'a> {
    path: Vec<String>,
    all: &'a burn::tensor::Gradients,
    found: Weights,
}

impl ModuleVisitor for Gradients<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = param.val().grad(self.all).expect("every parameter has a gradient");
        let shape = grad.dims().to_vec();
        let values = grad.into_data().try_into_vec().unwrap();
        self.found.insert(self.path.join("."), Weight { shape, values });
    }
}

#[test]
fn gradients_are_pytorchs() {
    use burn::module::Module;
    let expected = arrays("gradients/expected.safetensors");
    let model = import_pytorch(&fixture("gradients/model.pth"), None, Padding::Zero).unwrap();
    let device = Device::flex().autodiff();
    let net = model.net(&device).unwrap();
    let (data, noise) = (tensor(&expected["data"], &device), tensor(&expected["noise"], &device));
    let t = times(&expected["t"], &device);
    let x = objective::interpolate(data.clone(), noise.clone(), t.clone());
    let loss = objective::loss(net.velocity(x, t, &[]), objective::target(data, noise));
    close(&[loss.clone().into_scalar::<f32>()], &expected["loss"].values, "loss");
    let all = loss.backward();
    let mut visitor = Gradients { path: Vec::new(), all: &all, found: Weights::new() };
    net.visit(&mut visitor);
    assert_eq!(visitor.found.len(), 2 + 2 + 2 + 2 + 2 + 2 + 2 * 3);

    // The importer's own rearrangement brings PyTorch's gradients into the net's layout.
    let grads: Weights =
        expected.iter().filter_map(|(name, w)| Some((name.strip_prefix("grad.")?.to_string(), w.clone()))).collect();
    let (_, rearranged) = flowloop::model::convert_state(&grads, Padding::Zero).unwrap();
    for (name, weight) in &rearranged {
        close(&visitor.found[name].values, &weight.values, name);
    }
}
