//! A running average of a net's weights: `average = decay * average + (1 - decay) * weights`.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::flow::unet::UNet;

/// The averaged net; it lives on the plain device beneath the net's autodiff device.
pub struct Ema {
    net: UNet,
}

impl Ema {
    /// Starts as the net itself.
    pub fn new(net: &UNet) -> Self {
        Self { net: net.valid() }
    }

    /// Starts from an average made earlier.
    pub fn from_net(net: UNet) -> Self {
        Self { net }
    }

    /// The averaged net.
    pub fn net(&self) -> &UNet {
        &self.net
    }

    /// Takes in the net after a step.
    pub fn update(&mut self, net: &UNet, decay: f64) {
        let mut current = Current(HashMap::new());
        net.valid().visit(&mut current);
        self.net = self.net.clone().map(&mut Blend { current: current.0, decay });
    }
}

/// Tensors by parameter; `Any` because their ranks differ.
struct Current(HashMap<ParamId, Box<dyn Any>>);

impl ModuleVisitor for Current {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, Box::new(param.val()));
    }
}

struct Blend {
    current: HashMap<ParamId, Box<dyn Any>>,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let current = self.current.remove(&param.id).and_then(|t| t.downcast::<Tensor<D>>().ok());
        let current = current.expect("the average has the net's parameters");
        let decay = self.decay;
        param.map(|average| average * decay + *current * (1.0 - decay))
    }
}
