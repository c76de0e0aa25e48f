//! Import of PyTorch checkpoints: the state dict of the plain U-Net, and the latents' mean and std.
//!
//! Layer count, widths, channels and the size of the time embedding are read from the tensors.
//! Names: `down_layers.N`, `bottleneck`, `time_mlp.0`, `time_mlp.2`, `up_layers.N`, `final_layer`.

use std::path::Path;

use burn::store::{ModuleStore, PytorchStore};

use super::{Header, Model, ModelError, VERSION};
use crate::flow::layers::Padding;
use crate::flow::unet::{UNetConfig, Weight, Weights};

/// Reads `checkpoint` (a state dict) and `mean_std` (a dict of `mean` and `std`), as
/// `torch.save` writes them; without `mean_std` the latents count as standardised already.
pub fn import_pytorch(checkpoint: &Path, mean_std: Option<&Path>, padding: Padding) -> Result<Model, ModelError> {
    let wrong = |reason: String| ModelError::Checkpoint { path: checkpoint.into(), reason };
    let state = read_state(checkpoint)?;
    let (net, weights) = convert_state(&state, padding).map_err(wrong)?;
    net.validate().map_err(wrong)?;
    let (mean, std) = match mean_std {
        Some(path) => statistics(path, net.channels)?,
        None => (vec![0.0; net.channels], vec![1.0; net.channels]),
    };
    let name = checkpoint.file_stem().map_or("imported".into(), |s| s.to_string_lossy().into_owned());
    let header = Header {
        version: VERSION,
        name,
        credits: "Imported from a PyTorch checkpoint".into(),
        net,
        labels: Vec::new(),
        keyed: Vec::new(),
        shift: 1.0,
        distilled: false,
        codec: None,
        trained_steps: 0,
    };
    Ok(Model::bare(header, weights, mean, std))
}

fn read_state(path: &Path) -> Result<Weights, ModelError> {
    let unreadable = |error| ModelError::Read { path: path.into(), error };
    let file = std::fs::metadata(path).map_err(unreadable)?;
    if !file.is_file() {
        return Err(unreadable(std::io::Error::other("it is not a file")));
    }
    let wrong = |reason: String| ModelError::Checkpoint { path: path.into(), reason };
    let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
    let tensors = store.get_all_tensors().map_err(|e| wrong(e.to_string()))?;
    // A tensor with strides of 0 can claim any size, from a few bytes.
    let values = tensors.values().map(|t| t.shape.iter().fold(1, |n: u64, axis| n.saturating_mul(*axis as u64)));
    if values.fold(0, u64::saturating_add) > file.len() {
        return Err(wrong("its tensors claim more values than the file can hold".into()));
    }
    tensors.iter().map(|(name, tensor)| Ok((name.clone(), read(name, tensor).map_err(wrong)?))).collect()
}

fn read(name: &str, tensor: &burn::store::burn_pack::Tensor) -> Result<Weight, String> {
    let shape = tensor.shape.to_vec();
    let data = burn::store::bridge::to_data(tensor).map_err(|e| format!("tensor {name}: {e}"))?;
    let values = data.convert::<f32>().try_into_vec::<f32>().map_err(|e| format!("tensor {name}: {e:?}"))?;
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(Weight { shape, values }),
        false => Err(format!("tensor {name} holds numbers that are not finite")),
    }
}

fn statistics(path: &Path, channels: usize) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let mut state = read_state(path)?;
    let mut take = |name: &str| {
        let found = state.remove(name).map(|w| w.values).filter(|v| v.len() == channels);
        let reason = format!("{name} must be there with {channels} values, one a channel");
        found.ok_or(ModelError::Checkpoint { path: path.into(), reason })
    };
    let (mean, std) = (take("mean")?, take("std")?);
    if std.iter().any(|s| *s <= 0.0) {
        let reason = "a standard deviation is not positive".into();
        return Err(ModelError::Checkpoint { path: path.into(), reason });
    }
    Ok((mean, std))
}

/// A state dict in the net's own names and layout, and the size that its tensors say.
pub fn convert_state(state: &Weights, padding: Padding) -> Result<(UNetConfig, Weights), String> {
    let layers = (0..).take_while(|i| state.contains_key(&format!("down_layers.{i}.weight"))).count();
    let tensor = |name: &str, axes: usize| match state.get(name) {
        Some(w) if w.shape.len() == axes => Ok(w),
        Some(w) => Err(format!("tensor {name} has shape {:?}, {axes} axes are needed", w.shape)),
        None => Err(format!("tensor {name} is missing")),
    };
    let mut out = Weights::new();
    let mut bias = |from: &str, to: &str| {
        out.insert(to.into(), tensor(from, 1)?.clone());
        Ok::<_, String>(())
    };
    for i in 0..layers {
        bias(&format!("down_layers.{i}.bias"), &format!("down.{i}.bias"))?;
        bias(&format!("up_layers.{i}.bias"), &format!("up.{i}.bias"))?;
    }
    for (from, to) in [
        ("bottleneck", "bottleneck"),
        ("time_mlp.0", "time_inner"),
        ("time_mlp.2", "time_outer"),
        ("final_layer", "last"),
    ] {
        bias(&format!("{from}.bias"), &format!("{to}.bias"))?;
    }
    let (mut widths, mut channels, mut last_width) = (Vec::new(), 0, 0);
    for i in 0..layers {
        let down = tensor(&format!("down_layers.{i}.weight"), 3)?;
        if i == 0 {
            channels = down.shape[1];
        }
        widths.push(down.shape[0]);
        out.insert(format!("down.{i}.weight"), gathered(down, 4)?);
        let up = tensor(&format!("up_layers.{i}.weight"), 3)?;
        last_width = up.shape[1];
        out.insert(format!("up.{i}.even"), phase(up, [1, 3])?);
        out.insert(format!("up.{i}.odd"), phase(up, [2, 0])?);
    }
    out.insert("bottleneck.weight".into(), gathered(tensor("bottleneck.weight", 3)?, 3)?);
    out.insert("last.weight".into(), gathered(tensor("final_layer.weight", 3)?, 1)?);
    let inner = tensor("time_mlp.0.weight", 2)?;
    out.insert("time_inner.weight".into(), transposed(inner));
    out.insert("time_outer.weight".into(), transposed(tensor("time_mlp.2.weight", 2)?));
    let time_features = inner.shape[0];
    let config = UNetConfig { widths, last_width, time_features, padding, ..UNetConfig::plain(channels, 1, 1) };
    Ok((config, out))
}

/// Conv1d `[out, in, tap]` to `[tap * in, out]`.
fn gathered(w: &Weight, taps: usize) -> Result<Weight, String> {
    let [out, input, kernel] = w.shape[..] else { return Err("a convolution needs three axes".into()) };
    if kernel != taps {
        return Err(format!("a convolution has kernel {kernel}, {taps} is needed"));
    }
    let at = |k: usize, i: usize, o: usize| w.values[(o * input + i) * kernel + k];
    let rows = (0..kernel).flat_map(|k| (0..input).map(move |i| (k, i)));
    let values = rows.flat_map(|(k, i)| (0..out).map(move |o| at(k, i, o))).collect();
    Ok(Weight { shape: vec![kernel * input, out], values })
}

/// Two taps of ConvTranspose1d `[in, out, tap]` as `[2 * in, out]`.
fn phase(w: &Weight, taps: [usize; 2]) -> Result<Weight, String> {
    let [input, out, kernel] = w.shape[..] else { return Err("a convolution needs three axes".into()) };
    if kernel != 4 {
        return Err(format!("a transposed convolution has kernel {kernel}, 4 is needed"));
    }
    let rows = taps.into_iter().flat_map(|k| (0..input).map(move |i| (k, i)));
    let values = rows.flat_map(|(k, i)| (0..out).map(move |o| w.values[(i * out + o) * 4 + k])).collect();
    Ok(Weight { shape: vec![2 * input, out], values })
}

/// Linear `[out, in]` to `[in, out]`.
fn transposed(w: &Weight) -> Weight {
    let (out, input) = (w.shape[0], w.shape[1]);
    let values = (0..input).flat_map(|i| (0..out).map(move |o| w.values[o * input + i])).collect();
    Weight { shape: vec![input, out], values }
}
