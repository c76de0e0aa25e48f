//! `flowloop sample`: noise from a file to latents in a file.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use flowloop::disk::write_whole;
use flowloop::flow::Condition;
use flowloop::flow::solver::Path;
use flowloop::model::Generator;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::generate::SolverName;

#[derive(Args)]
pub struct Sample {
    /// Model file
    #[arg(long)]
    model: PathBuf,
    /// safetensors file with a tensor `noise` [batch, channel, frame]
    #[arg(long)]
    noise: PathBuf,
    /// Solver steps
    #[arg(long, default_value_t = 16)]
    steps: u32,
    /// Solver
    #[arg(long, value_enum, default_value = "euler")]
    solver: SolverName,
    /// Multiply by the training set's std and add its mean
    #[arg(long)]
    unnormalise: bool,
    /// auto, cpu, gpu, gpu:N, gpu:N:f16 or remote:HOST:PORT
    #[arg(long, default_value = "auto")]
    device: String,
    /// safetensors file to write, with a tensor `latents`
    #[arg(short, long)]
    output: PathBuf,
}

impl Sample {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.steps > 0, "--steps must be at least 1");
        super::check_output(&self.output, &[&self.model, &self.noise])?;
        let model = super::model_of(Some(&self.model))?;
        let (noise, shape) = self.read_noise()?;
        let (channels, stride) = (model.header.net.channels, model.header.net.stride());
        ensure!(shape[1] == channels, "the noise has {} channels, the model {channels}", shape[1]);
        ensure!(
            shape[2].is_multiple_of(stride),
            "the noise has {} frames; this model needs a multiple of {stride}",
            shape[2]
        );
        let adapter = super::device_for(&model, &self.device)?;
        let generator = Generator::new(model, &adapter)?;
        let conditions = vec![Condition::any(120.0); shape[0]];
        let mut progress = super::Progress::new(u64::from(self.steps), "sampling");
        let mut step = |done, steps| {
            progress.set(u64::from(done), u64::from(steps));
            ControlFlow::Continue(())
        };
        let path = Path::new(self.steps, &conditions);
        let mut latents = generator.sample(noise, shape, self.solver.into(), path, &mut step)?;
        if self.unnormalise {
            generator.unnormalise(&mut latents, shape[2]);
        }
        drop(progress);
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(&latents))?;
        let bytes = safetensors::serialize(HashMap::from([("latents", view)]), None)?;
        write_whole(&self.output, &bytes).with_context(|| format!("cannot write {}", self.output.display()))?;
        println!("{}: latents {shape:?}", self.output.display());
        Ok(())
    }

    fn read_noise(&self) -> anyhow::Result<(Vec<f32>, [usize; 3])> {
        let name = self.noise.display();
        let bytes = std::fs::read(&self.noise)
            .map_err(|e| anyhow!("cannot read {name}: {e}. Check the path and the permissions"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| {
            anyhow!(
                "{name} is no safetensors file ({e}). Save the noise as a tensor `noise` [batch, channel, frame] of one"
            )
        })?;
        let view =
            file.tensor("noise").map_err(|_| anyhow!("{name} has no tensor `noise`; it has {:?}", file.names()))?;
        let &[batch, channels, frames] = view.shape() else {
            bail!("`noise` has shape {:?}; [batch, channel, frame] is needed", view.shape());
        };
        ensure!(batch > 0 && channels > 0 && frames > 0, "`noise` is empty (shape {:?})", view.shape());
        ensure!(view.dtype() == Dtype::F32, "`noise` must hold 32-bit floats");
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        ensure!(values.iter().all(|v| v.is_finite()), "`noise` holds numbers that are not finite");
        Ok((values, [batch, channels, frames]))
    }
}
