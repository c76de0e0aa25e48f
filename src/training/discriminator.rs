//! Tells made latents from real ones, by what a trained net sees in them on its way down, and says where made ones
//! should go to be taken for real.
//!
//! The net itself learns nothing any more; small heads do, on the features of each of its depths: one on their mean
//! and deviation over the loop, one on what lies around each frame. Latents are judged with noise in them, for that is
//! what the net knows, and so that neither the large nor the small is forgotten.
//!
//! Sources: features of a frozen flow or diffusion net: Sauer et al., 2024 (arXiv 2403.12015); the hinge loss: Lim and
//! Ye, 2017 (arXiv 1705.02894).

use std::path::Path;

use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::{Device, Tensor};

use super::adamw::AdamW;
use crate::flow::Condition;
use crate::flow::layers::{Padding, conv3, each_frame};
use crate::flow::objective::interpolate;
use crate::flow::unet::{CONDITION, UNet, UNetConfig, weights_of, with_weights};

/// Channels of the heads.
const WIDTH: usize = 128;
/// Slope of the rectifiers below zero.
const LEAK: f64 = 0.2;
/// The heads' step size.
const RATE: f64 = 3e-4;
/// Keeps the root's slope finite.
const LITTLE: f32 = 1e-3;
/// How much of what is remembered of the pull's size stays at each step.
const KEPT: f32 = 0.98;

/// The heads of one depth.
#[derive(Module, Debug)]
struct Head {
    norm: LayerNorm,
    whole: Linear,
    whole_last: Linear,
    inner: Linear,
    told: Linear,
    middle: Linear,
    last: Linear,
}

impl Head {
    fn new(channels: usize, device: &Device) -> Self {
        let linear = |i, o| LinearConfig::new(i, o).init(device);
        Self {
            norm: LayerNormConfig::new(channels).init(device),
            whole: linear(2 * channels + CONDITION, WIDTH),
            whole_last: linear(WIDTH, 1),
            inner: linear(channels, WIDTH),
            told: linear(CONDITION, WIDTH),
            middle: linear(3 * WIDTH, WIDTH),
            last: linear(WIDTH, 1),
        }
    }

    /// Judgements of features `[batch, frame, channel]` and a condition `[batch, condition]`: above 0 is real;
    /// `[batch, 1]` of the whole, `[batch, frame]` of each frame.
    fn judge(&self, features: Tensor<3>, condition: &Tensor<2>) -> [Tensor<2>; 2] {
        let features = self.norm.forward(features);
        let mean = features.clone().mean_dim(1);
        let deviation = ((features.clone() - mean.clone()).square().mean_dim(1) + LITTLE).sqrt();
        let whole = vec![mean.squeeze_dim::<2>(1), deviation.squeeze_dim::<2>(1), condition.clone()];
        let whole = leaky_relu(self.whole.forward(Tensor::cat(whole, 1)), LEAK);
        let told = self.told.forward(condition.clone()).unsqueeze_dim::<3>(1);
        let frames = leaky_relu(each_frame(&self.inner, features) + told, LEAK);
        let frames = leaky_relu(conv3(&self.middle, &frames, Padding::Circular), LEAK);
        [self.whole_last.forward(whole), each_frame(&self.last, frames).squeeze_dim::<2>(2)]
    }
}

#[derive(Module, Debug)]
struct Heads {
    depths: Vec<Head>,
    /// Root of the mean square of recent pulls, 0 before the first; not learnt.
    size: Param<Tensor<1>>,
}

impl Heads {
    fn new(net: &UNetConfig, device: &Device) -> Self {
        let depths = net.depths().map(|channels| Head::new(channels, device)).collect();
        Self { depths, size: Initializer::Zeros.init([1], device) }
    }
}

/// What is learnt: the heads and their optimiser.
pub(super) struct Judges {
    /// None only while a step has them.
    heads: Option<Heads>,
    optimizer: ModuleOptimizer,
}

impl Judges {
    /// The files that [`Self::save`] writes.
    pub const FILES: [&str; 2] = ["judges.bpk", "judges-optimizer.bpk"];

    /// Fresh ones for a net of that size, the same for a seed on each device.
    pub fn new(net: &UNetConfig, seed: u64, device: &Device) -> Self {
        let cpu = Device::flex();
        cpu.seed(seed);
        let weights = weights_of(&Heads::new(net, &cpu));
        let heads = with_weights(Heads::new(net, &device.clone().autodiff()), &weights).expect("they fit themselves");
        Self { heads: Some(heads), optimizer: AdamW::of_module() }
    }

    fn heads(&self) -> &Heads {
        self.heads.as_ref().expect("no step is under way")
    }

    pub fn save(&self, folder: &Path) -> Result<(), String> {
        self.heads().clone().save_file(folder.join(Self::FILES[0])).map_err(|e| e.to_string())?;
        self.optimizer.save(folder.join(Self::FILES[1])).map_err(|e| e.to_string())
    }

    pub fn load(net: &UNetConfig, folder: &Path, device: &Device) -> Result<Self, String> {
        let heads = Heads::new(net, &device.clone().autodiff());
        let heads = heads.try_load_file(folder.join(Self::FILES[0])).map_err(|e| e.to_string())?;
        let optimizer = AdamW::of_module().load(folder.join(Self::FILES[1])).map_err(|e| e.to_string())?;
        Ok(Self { heads: Some(heads), optimizer })
    }
}

/// A trained net and the heads upon it.
pub(super) struct Discriminator {
    /// On an autodiff device, but not to be trained.
    net: UNet,
    judges: Judges,
}

/// Loops `[batch, channel, frame]` in noise, on no autodiff device.
pub(super) struct Noisy {
    /// The latents.
    pub data: Tensor<3>,
    /// Of the same shape.
    pub noise: Tensor<3>,
}

impl Discriminator {
    /// `net` is on an autodiff device.
    pub fn new(net: UNet, judges: Judges) -> Self {
        Self { net: net.no_grad(), judges }
    }

    pub fn judges(&self) -> &Judges {
        &self.judges
    }

    /// Learns to tell `real` loops from `made` ones, both in noise at times `t`, `[batch]`; its loss: 2 where nothing
    /// is told apart, 0 where all is.
    pub fn learn(&mut self, real: Noisy, made: Noisy, t: Tensor<1>, conditions: &[Condition]) -> Tensor<1> {
        let [real, made] = [real, made].map(|Noisy { data, noise }| interpolate(data, noise, t.clone()));
        let t = Tensor::from_inner(t);
        let both = Tensor::from_inner(Tensor::cat(vec![real, made], 0));
        let conditions = [conditions, conditions].concat();
        let (features, condition) = self.net.features(both, Tensor::cat(vec![t.clone(), t], 0), &conditions);
        let heads = self.judges.heads.take().expect("no step is under way");
        let judged = heads.depths.iter().zip(features).flat_map(|(head, features)| head.judge(features, &condition));
        let losses = judged.map(|judged| {
            let (real, made) = halves(judged);
            relu(1.0 - real).mean() + relu(made + 1.0).mean()
        });
        let loss = Tensor::stack::<2>(losses.collect(), 0).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &heads);
        self.judges.heads = Some(self.judges.optimizer.step(RATE, heads, gradients));
        loss.inner()
    }

    /// In which direction `made` loops, in noise at times `t`, would have to go to be taken for real:
    /// `[batch, channel, frame]`, of mean square about 1.
    pub fn pull(&mut self, made: Noisy, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let data = Tensor::from_inner(made.data).require_grad();
        let t = Tensor::from_inner(t);
        let noisy = interpolate(data.clone(), Tensor::from_inner(made.noise), t.clone());
        let (features, condition) = self.net.features(noisy, t, conditions);
        let mut heads = self.judges.heads.take().expect("no step is under way");
        let fixed = heads.clone().no_grad();
        let judged = fixed.depths.iter().zip(features).flat_map(|(head, features)| head.judge(features, &condition));
        let gradients = Tensor::stack::<2>(judged.map(|judged| judged.mean()).collect(), 0).sum().backward();
        let pull = data.grad(&gradients).expect("what is judged depends on what was made");
        let size = pull.clone().square().mean().sqrt().into_scalar::<f32>();
        let before = heads.size.val().into_scalar::<f32>();
        let size = if before > 0.0 { KEPT * before + (1.0 - KEPT) * size } else { size };
        heads.size = heads.size.map(|remembered| Tensor::full([1], size, &remembered.device()));
        self.judges.heads = Some(heads);
        pull / size.max(f32::MIN_POSITIVE)
    }
}

/// The first and the second half of a batch.
fn halves(x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let mut parts = x.chunk(2, 0);
    let second = parts.pop().expect("two halves");
    (parts.pop().expect("two halves"), second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;
    use burn::tensor::TensorData;

    const SHAPE: [usize; 3] = [8, 4, 8];

    fn drawn(stream: u64) -> Tensor<3> {
        let values = Philox::new(5, stream).normals(SHAPE.iter().product());
        Tensor::from_data(TensorData::new(values, SHAPE), &Device::flex())
    }

    /// A net that was never trained, and new judges.
    fn discriminator() -> Discriminator {
        let net =
            UNetConfig { stem: 32, last_width: 32, blocks: 1, preconditioned: true, ..UNetConfig::plain(4, 32, 1) };
        let device = Device::flex();
        device.seed(3);
        Discriminator::new(UNet::new(&net, &device.clone().autodiff()), Judges::new(&net, 1, &device))
    }

    /// After `rounds`: the loss, and how much of the way from what was made to what is real lies along the pull.
    fn judged(real: impl Fn(u64) -> Tensor<3>, made: impl Fn(u64) -> Tensor<3>, rounds: u64) -> (f32, f32) {
        let mut discriminator = discriminator();
        let t = || Tensor::full([SHAPE[0]], 0.2, &Device::flex());
        let conditions = [Condition::any(120.0); SHAPE[0]];
        let (mut losses, mut along) = (0.0, 0.0);
        for round in 0..rounds {
            let (real, made) = (real(2 * round), made(2 * round + 1));
            let noisy = |data: &Tensor<3>, stream| Noisy { data: data.clone(), noise: drawn(stream + round) };
            let loss = discriminator.learn(noisy(&real, 1000), noisy(&made, 2000), t(), &conditions);
            let pull = discriminator.pull(noisy(&made, 3000), t(), &conditions);
            if round >= rounds - 10 {
                let way = real.mean_dim(0) - made.mean_dim(0);
                along += (pull.mean_dim(0) * way).sum().into_scalar::<f32>();
                losses += loss.into_scalar::<f32>() / 10.0;
            }
        }
        (losses, along)
    }

    #[test]
    fn what_differs_is_told_apart_and_pulled_to_what_is_real() {
        // Loops whose first frames are louder than those that were made.
        let louder = |stream| {
            let more = Tensor::cat(
                vec![Tensor::full([1, 4, 4], 1.5, &Device::flex()), Tensor::zeros([1, 4, 4], &Device::flex())],
                2,
            );
            drawn(stream) * 0.5 + more
        };
        let (loss, along) = judged(louder, |stream| drawn(stream) * 0.5, 80);
        assert!(loss < 1.0 && along > 0.0, "{loss} {along}");
        let (loss, _) = judged(drawn, drawn, 80);
        assert!(loss > 1.5, "the same noise cannot be told apart: {loss}");
    }
}
