//! `flowloop calibrate`: measures how widely a model's latents spread and puts it into the file.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use flowloop::device::Adapter;
use flowloop::model::{Generator, Model, Precision, spread};

#[derive(Args)]
pub struct Calibrate {
    /// Model file; it is written anew, with 16-bit weights
    model: PathBuf,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Calibrate {
    pub fn run(self) -> anyhow::Result<()> {
        super::check_output(&self.model, &[])?;
        let adapter = flowloop::device::choose(&self.device)?;
        let model = measured(Model::load(&self.model)?, &adapter)?;
        for spread in &model.header.spread {
            let mean = spread.std.iter().sum::<f32>() / spread.std.len().max(1) as f32;
            println!("{:>2} steps: latents spread {mean:.3} of the training set's", spread.steps);
        }
        Ok(model.save(&self.model, Precision::Half)?)
    }
}

/// The model with its spread measured anew.
pub(super) fn measured(model: Model, adapter: &Adapter) -> anyhow::Result<Model> {
    let generator = Generator::new(model, adapter.device.clone())?;
    let mut progress = super::Progress::new(0, "measuring what it makes");
    let spread = spread::measure(&generator, &mut |done, all| {
        progress.set(done.into(), all.into());
        ControlFlow::Continue(())
    })?;
    let mut model = generator.model().clone();
    model.header.spread = spread;
    Ok(model)
}
