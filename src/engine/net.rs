//! The model's generator as the engine sees it.

use crate::clip::Clip;
use crate::device;
use crate::flow::solver::Solver;
use crate::model::{GenerateError, Generator, Job, embedded_model};

use super::{Failure, Generate, Progress, Request};

struct Net {
    generator: Generator,
    device: String,
}

impl Generate for Net {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        let labels = self.generator.model().header.labels.len();
        let job = Job {
            seed: request.seed,
            steps: request.steps,
            solver: Solver::Euler,
            beats: request.beats,
            bpm: request.bpm(),
            label: usize::from(request.style).checked_sub(1).filter(|l| *l < labels),
        };
        self.generator.generate(&job, progress).map_err(|error| match error {
            GenerateError::Cancelled => Failure::Cancelled,
            GenerateError::Device(_) => Failure::Device(error.to_string()),
            other => Failure::Refused(other.to_string()),
        })
    }

    fn device(&self) -> String {
        self.device.clone()
    }
}

/// The built-in model on a GPU if there is one, else (or as the fallback) on the CPU. The
/// environment variable `FLOWLOOP_DEVICE` (`auto`, `cpu`, `gpu:N`) overrides the choice.
pub fn embedded_generator(fallback: bool) -> Result<Box<dyn Generate>, String> {
    let wanted = match fallback {
        true => "cpu".to_string(),
        false => std::env::var("FLOWLOOP_DEVICE").unwrap_or_else(|_| "auto".into()),
    };
    let adapter = device::choose(&wanted).map_err(|e| e.to_string())?;
    let model = embedded_model().map_err(|e| e.to_string())?;
    let generator = Generator::new(model.clone(), adapter.device);
    let (generator, device) = match generator {
        Err(GenerateError::Device(_)) if !fallback => {
            let cpu = device::choose("cpu").map_err(|e| e.to_string())?;
            (Generator::new(model, cpu.device), format!("{} ({} failed)", cpu.name, adapter.name))
        }
        other => (other, adapter.name),
    };
    let generator = generator.map_err(|e| e.to_string())?;
    Ok(Box::new(Net { generator, device }))
}
