//! The model's generator as the engine sees it.

use std::sync::Arc;

use crate::clip::Clip;
use crate::device::{self, Adapter};
use crate::model::{Canvas, GenerateError, Generator, Job, Model, ModelError, embedded_model};
use crate::settings::{Home, Speed};

use super::{Failure, Generate, Order, Progress, Request};

struct Net {
    generator: Generator,
    device: String,
    on_cpu: bool,
    speeds: Vec<Speed>,
}

impl Generate for Net {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        let labels = self.generator.model().header.labels.len();
        let job = request.job();
        let job = Job { label: job.label.filter(|l| *l < labels), ..job };
        self.generator.generate(&job, progress).map_err(failure)
    }

    fn device(&self) -> String {
        self.device.clone()
    }

    fn on_cpu(&self) -> bool {
        self.on_cpu
    }

    fn speeds(&self) -> Vec<Speed> {
        self.speeds.clone()
    }

    fn draw_on(&mut self, canvas: Arc<Canvas>) {
        if self.on_cpu {
            self.generator.draw_on(canvas);
        }
    }
}

fn failure(error: GenerateError) -> Failure {
    match error {
        GenerateError::Cancelled => Failure::Cancelled,
        GenerateError::Device(reason) => Failure::Device(reason),
        GenerateError::NotFinite => Failure::NotFinite(error.to_string()),
        other => Failure::Refused(other.to_string()),
    }
}

/// Reads a model and puts it on a device.
pub fn generator(order: &Order) -> Result<Box<dyn Generate>, Failure> {
    // Before the model is read: a device that is not there must not hide behind a file that is not.
    let adapter = device::choose(&order.device).map_err(|e| Failure::NoDevice(e.to_string()))?;
    let model = match &order.path {
        Some(path) => Model::load(path),
        None => embedded_model(),
    };
    let model = model.map_err(|error| match error {
        ModelError::Read { .. } => Failure::NotNow(error.to_string()),
        other => Failure::Refused(other.to_string()),
    })?;
    if let Some(path) = order.path.as_ref().filter(|_| model.hash != order.hash) {
        return Err(Failure::NotNow(format!("{} changed while it was being read; try again", path.display())));
    }
    let on = |model: Model, adapter: Adapter, speeds: Vec<Speed>| {
        let on_cpu = adapter.id == device::CPU;
        let mut generator = Generator::new(model, &adapter).map_err(failure)?;
        generator.forget_weights();
        Ok(Box::new(Net { generator, device: adapter.name, on_cpu, speeds }) as Box<dyn Generate>)
    };
    if order.device != device::AUTO || adapter.id == device::CPU {
        return on(model, adapter, Vec::new());
    }
    let both = [device::cpu(), adapter];
    let time = |adapter: &Adapter| Generator::new(model.clone(), adapter)?.time_step();
    let (fastest, speeds) = Home::of_user().fastest(&both, time).map_err(failure)?;
    on(model, both[fastest].clone(), speeds)
}

/// A device of this machine as the editor shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceCard {
    /// What [`Session::use_device`](super::Session::use_device) takes.
    pub id: String,
    /// Its name, or what it means.
    pub name: String,
}

impl DeviceCard {
    /// What there is to choose from. Looks for GPUs: not on a GUI thread.
    pub fn all() -> Vec<Self> {
        let automatic = Self { id: device::AUTO.into(), name: "the faster of the CPU and the first GPU".into() };
        let found = device::adapters().into_iter().map(|a| {
            let name = if a.hardware { a.name } else { format!("{} (software: slower than the CPU)", a.name) };
            Self { id: a.id, name }
        });
        std::iter::once(automatic).chain(found).collect()
    }

    /// Looks whether a device is there, on another machine too; a sentence says why it is not. Takes seconds
    /// where nothing answers.
    pub fn reach(id: &str) -> Result<(), String> {
        device::choose(id).map(drop).map_err(|e| e.to_string())
    }

    /// An id as it may be shown: without a token.
    pub fn shown(id: &str) -> String {
        device::remote::shown(id)
    }
}
