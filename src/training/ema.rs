//! A running average of a net's weights: `average = decay * average + (1 - decay) * weights`.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::flow::unet::UNet;

/// The averages, on the plain device beneath the net's autodiff device.
pub struct Ema {
    averages: Tensors,
}

/// Tensors by parameter; `Any` because their ranks differ.
type Tensors = HashMap<ParamId, Box<dyn Any + Send>>;

const COMPLETE: &str = "the average has the net's parameters";

fn of_rank<const D: usize>(tensor: Box<dyn Any + Send>) -> Tensor<D> {
    *tensor.downcast::<Tensor<D>>().expect(COMPLETE)
}

impl Ema {
    /// Starts as the net itself, or from an average made earlier.
    pub fn new(net: &UNet) -> Self {
        let mut collected = Collected(Tensors::new());
        net.valid().visit(&mut collected);
        Self { averages: collected.0 }
    }

    /// The averaged net, of the net in training.
    pub fn net(&self, net: &UNet) -> UNet {
        net.valid().map(&mut Put(&self.averages))
    }

    /// Takes in the net after a step, and gives it back.
    pub fn update(&mut self, net: UNet, decay: f64) -> UNet {
        net.map(&mut Blend { averages: &mut self.averages, decay })
    }
}

struct Collected(Tensors);

impl ModuleVisitor for Collected {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, Box::new(param.val()));
    }
}

struct Put<'a>(&'a Tensors);

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let average = self.0.get(&param.id).and_then(|t| t.downcast_ref::<Tensor<D>>()).expect(COMPLETE).clone();
        param.map(|_| average)
    }
}

struct Blend<'a> {
    averages: &'a mut Tensors,
    decay: f64,
}

impl ModuleMapper for Blend<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let place = self.averages.get_mut(&param.id).expect(COMPLETE);
        let average = of_rank::<D>(std::mem::replace(place, Box::new(())));
        param.map(|weights| {
            let (average, weights) = blended(average, weights, self.decay);
            *place = Box::new(average);
            weights
        })
    }
}

/// Values that one thread works on at a time.
const CHUNK: usize = 1 << 14;

/// The new average, and the weights as they were. On the CPU each value is read once, and nothing is copied.
fn blended<const D: usize>(average: Tensor<D>, weights: Tensor<D>, decay: f64) -> (Tensor<D>, Tensor<D>) {
    let device = average.device();
    if device != Device::flex() {
        return (average * decay + weights.clone().inner() * (1.0 - decay), weights);
    }
    let trained = weights.is_require_grad();
    let [mut average, weights] = [average, weights.inner()].map(Tensor::into_data);
    let (old, new) = (decay as f32, (1.0 - decay) as f32);
    let floats = "weights are 32-bit floats";
    let chunks = average.as_mut_slice::<f32>().expect(floats).par_chunks_mut(CHUNK);
    chunks.zip(weights.as_slice::<f32>().expect(floats).par_chunks(CHUNK)).for_each(|(average, weights)| {
        average.iter_mut().zip(weights).for_each(|(a, w)| *a = *a * old + w * new);
    });
    let [average, weights] = [average, weights].map(|data| Tensor::from_data(data, &device));
    let weights = Tensor::from_inner(weights);
    (average, if trained { weights.require_grad() } else { weights })
}
