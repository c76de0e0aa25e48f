//! One batch on several devices: each computes the gradients of its share of the loops, the first one averages
//! them and takes the step. But for rounding it is the step of one device with the whole batch.
//!
//! Weights and gradients travel through this process, end to end in one vector: servers need not reach each
//! other, and however many parameters there are, each way is travelled once a step.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use crate::device::{guarded, remote};
use crate::flow::objective;
use crate::flow::unet::UNet;
use crate::flow::{Condition, Velocity};

/// What a step learns from, on no device yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// `[loop, channel, frame]`.
    pub shape: [usize; 3],
    /// Of `shape`.
    pub data: Vec<f32>,
    /// Of `shape`.
    pub noise: Vec<f32>,
    /// One a loop.
    pub times: Vec<f32>,
    /// One a loop.
    pub conditions: Vec<Condition>,
    /// The velocities to learn, of `shape`; those from noise to data where nobody taught others.
    pub taught: Option<Vec<f32>>,
}

impl Batch {
    /// Data, noise and where both lead at the batch's times, on `device`; the times.
    fn placed(&self, device: &Device) -> ([Tensor<3>; 3], Tensor<1>) {
        let [data, noise] = [&self.data, &self.noise].map(|values| self.tensor(values, device));
        let t = Tensor::<1>::from_floats(self.times.as_slice(), device);
        let x = objective::interpolate(data.clone(), noise.clone(), t.clone());
        ([data, noise, x], t)
    }

    fn tensor(&self, values: &[f32], device: &Device) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), self.shape), device)
    }

    /// What a teacher on `device` would do, row by row.
    ///
    /// # Panics
    /// When a device fails, as Burn does.
    pub fn velocity_of(&self, teacher: &dyn Velocity, device: &Device) -> Vec<f32> {
        let ([.., x], t) = self.placed(device);
        let v = teacher.velocity(x, t, &self.conditions);
        read(v.reshape([-1])).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Its loops and those of another, both of which are taught.
    pub fn and(mut self, other: Self) -> Self {
        self.shape[0] += other.shape[0];
        self.data.extend(other.data);
        self.noise.extend(other.noise);
        self.times.extend(other.times);
        self.conditions.extend(other.conditions);
        self.taught = self.taught.zip(other.taught).map(|(one, other)| [one, other].concat());
        self
    }

    /// Loss and gradients of a net that is on `device`.
    pub fn gradients(&self, net: &UNet, device: &Device) -> (Tensor<1>, GradientsParams) {
        let ([data, noise, x], t) = self.placed(device);
        let target = match &self.taught {
            Some(taught) => self.tensor(taught, device),
            None => objective::target(data, noise),
        };
        let loss = objective::loss(net.velocity(x, t, &self.conditions), target);
        let gradients = GradientsParams::from_grads(loss.backward(), net);
        (loss.inner(), gradients)
    }

    /// The loops in `count` parts as equal as can be; fewer parts where there are fewer loops.
    fn split(&self, count: usize) -> Vec<Self> {
        let (loops, count) = (self.shape[0], count.clamp(1, self.shape[0].max(1)));
        let values = self.shape[1] * self.shape[2];
        let part = |i: usize| {
            let (from, to) = (i * loops / count, (i + 1) * loops / count);
            Self {
                shape: [to - from, self.shape[1], self.shape[2]],
                data: self.data[from * values..to * values].to_vec(),
                noise: self.noise[from * values..to * values].to_vec(),
                times: self.times[from..to].to_vec(),
                conditions: self.conditions[from..to].to_vec(),
                taught: self.taught.as_ref().map(|taught| taught[from * values..to * values].to_vec()),
            }
        };
        (0..count).map(part).collect()
    }
}

/// Another device and the net's copy there.
pub(super) struct Helper {
    device: Device,
    net: UNet,
}

impl Helper {
    /// Makes room for a copy of a net like `net` on `device`.
    pub fn new(net: &UNet, device: &Device) -> Self {
        let device = device.clone().autodiff();
        Self { net: UNet::new(net.config(), &device), device }
    }

    /// Takes the weights over; the loss of its share and its gradients, end to end.
    fn work(&mut self, weights: &[f32], share: &Batch) -> Result<(f32, Vec<f32>), String> {
        let mut work = || {
            let plain = self.device.clone().inner();
            let weights = Tensor::from_data(TensorData::new(weights.to_vec(), [weights.len()]), &plain);
            self.net = self.net.clone().map(&mut Pour { from: weights, at: 0 });
            let (loss, gradients) = share.gradients(&self.net, &self.device);
            // The loss comes along: one answer to wait for.
            let mut all = vec![loss];
            all.extend(Flat::of_gradients(&self.net, &gradients));
            let mut all = read(Tensor::cat(all, 0))?;
            let loss = all.remove(0);
            Ok((loss, all))
        };
        let done = guarded(&mut work).and_then(|done| done);
        done.map_err(|reason| remote::lost(&self.device).unwrap_or(reason))
    }
}

/// Mean loss and gradients of a batch, on `net`'s own device; the helpers take their shares.
///
/// # Panics
/// When a device fails, as Burn does where there is one device.
pub(super) fn gradients(
    net: &UNet,
    device: &Device,
    helpers: &mut [Helper],
    batch: &Batch,
) -> (Tensor<1>, GradientsParams) {
    let shares = batch.split(1 + helpers.len());
    let weights = read(Tensor::cat(Flat::of_weights(net), 0)).unwrap_or_else(|reason| panic!("{reason}"));
    let portion = |share: &Batch| share.shape[0] as f32 / batch.shape[0] as f32;
    let (own, others) = std::thread::scope(|scope| {
        let weights = &weights;
        let started: Vec<_> = helpers
            .iter_mut()
            .zip(&shares[1..])
            .map(|(helper, share)| scope.spawn(move || helper.work(weights, share)))
            .collect();
        let own = shares[0].gradients(net, device);
        let ended = started.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("it stopped".into())));
        (own, ended.collect::<Result<Vec<_>, String>>().unwrap_or_else(|reason| panic!("{reason}")))
    });
    let plain = device.clone().inner();
    let mut loss = own.0 * portion(&shares[0]);
    let mut sum = Tensor::cat(Flat::of_gradients(net, &own.1), 0) * portion(&shares[0]);
    for ((theirs, values), share) in others.into_iter().zip(&shares[1..]) {
        let length = values.len();
        loss = loss + theirs * portion(share);
        sum = sum + Tensor::<1>::from_data(TensorData::new(values, [length]), &plain) * portion(share);
    }
    let mut named = Named { from: sum, at: 0, gradients: GradientsParams::new() };
    net.visit(&mut named);
    (loss, named.gradients)
}

fn read(values: Tensor<1>) -> Result<Vec<f32>, String> {
    let data = values.try_into_data().map_err(|e| format!("{e:?}"))?;
    data.try_into_vec::<f32>().map_err(|e| format!("{e:?}"))
}

/// Parameters, or their gradients, as vectors, in the order in which a net is visited.
struct Flat<'a> {
    gradients: Option<&'a GradientsParams>,
    all: Vec<Tensor<1>>,
}

impl<'a> Flat<'a> {
    fn of_weights(net: &UNet) -> Vec<Tensor<1>> {
        let mut flat = Flat { gradients: None, all: Vec::new() };
        net.visit(&mut flat);
        flat.all
    }

    fn of_gradients(net: &UNet, gradients: &'a GradientsParams) -> Vec<Tensor<1>> {
        let mut flat = Flat { gradients: Some(gradients), all: Vec::new() };
        net.visit(&mut flat);
        flat.all
    }
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.val().inner();
        let values = match self.gradients {
            // A parameter that had no part in the loss.
            Some(gradients) => gradients.get::<D>(param.id).unwrap_or_else(|| weights.zeros_like()),
            None => weights,
        };
        self.all.push(values.reshape([-1]));
    }
}

/// The part of a vector that belongs to the next parameter.
fn part<const D: usize>(from: &Tensor<1>, at: &mut usize, shape: [usize; D]) -> Tensor<D> {
    let (begin, length) = (*at, shape.iter().product());
    *at += length;
    from.clone().narrow(0, begin, length).reshape(shape)
}

/// Pours a vector into a net's parameters.
struct Pour {
    from: Tensor<1>,
    at: usize,
}

impl ModuleMapper for Pour {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: [usize; D] = param.lazy_shape().dims();
        let value = part(&self.from, &mut self.at, shape);
        // Not `param.map`: that would first draw the random values it throws away.
        Param::initialized(param.id, Tensor::from_inner(value).require_grad())
    }
}

/// Names the parts of a vector as a net's gradients.
struct Named {
    from: Tensor<1>,
    at: usize,
    gradients: GradientsParams,
}

impl ModuleVisitor for Named {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value: Tensor<D> = part(&self.from, &mut self.at, param.lazy_shape().dims());
        self.gradients.register(param.id, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::unet::{UNetConfig, weights_of};
    use crate::training::latents::LatentSet;
    use crate::training::{Trainer, TrainingConfig};

    #[test]
    fn a_batch_is_split_into_all_of_its_loops() {
        let numbers = |n: usize| (0..n).map(|v| v as f32).collect::<Vec<f32>>();
        let batch = Batch {
            shape: [5, 2, 3],
            data: numbers(30),
            noise: numbers(30),
            times: numbers(5),
            conditions: (0..5).map(|i| Condition::any(f64::from(i))).collect(),
            taught: Some(numbers(30)),
        };
        let parts = batch.split(2);
        assert_eq!(parts.iter().map(|p| p.shape[0]).collect::<Vec<_>>(), [2, 3]);
        assert_eq!([&parts[0].data[..], &parts[1].data[..]].concat(), batch.data);
        assert_eq!([&parts[0].times[..], &parts[1].times[..]].concat(), batch.times);
        assert_eq!(parts[1].taught.as_ref().unwrap(), &parts[1].data);
        assert_eq!((parts[1].conditions[0].bpm, parts[1].noise[0]), (2.0, 12.0));
        assert_eq!((batch.split(9).len(), batch.split(1)), (5, vec![batch.clone()]));
    }

    #[test]
    fn several_devices_learn_what_one_does() {
        let set = LatentSet::of_noise(4, 8, 6);
        let device = Device::flex();
        let trained = |others: usize| {
            let config = TrainingConfig { batch: 5, warm_up: 1, learning_rate: 1e-3, ..TrainingConfig::default() };
            let mut trainer = Trainer::new(&UNetConfig::plain(4, 8, 2), config, &device);
            let weights = |trainer: &Trainer| -> Vec<f32> {
                weights_of(trainer.net()).into_values().flat_map(|w| w.values).collect()
            };
            let before = weights(&trainer);
            trainer.share_with(&vec![device.clone(); others]);
            let losses: Vec<f32> = (0..10).map(|_| trainer.advance(&set).into_scalar()).collect();
            (losses, weights(&trainer), before)
        };
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let alone = trained(0);
        let moved = apart(&alone.1, &alone.2);
        assert!(moved > 5e-3, "{moved}");
        // Three of five loops are not two shares of the same weight.
        for others in [1, 2, 7] {
            let shared = trained(others);
            assert!(apart(&alone.0, &shared.0) < 1e-5, "{others}: {:?} {:?}", alone.0, shared.0);
            let weights = apart(&alone.1, &shared.1);
            assert!(weights < 0.02 * moved, "{others}: {weights} of {moved}");
        }
    }
}
