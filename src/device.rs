//! Which device the net runs on: a GPU through wgpu, or the CPU.
//!
//! Looking happens only when asked for: nothing here runs when a plugin is merely scanned.

use burn::tensor::{Device, DeviceType};

/// A device the net can run on.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What `--device` takes: `cpu`, `gpu:0`, ...
    pub id: String,
    /// The name that the device gives itself.
    pub name: String,
    /// False for a software renderer, which is slower than the CPU path.
    pub hardware: bool,
    /// Burn's handle.
    pub device: Device,
}

/// No device of that description.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The description is not of the known form.
    #[error("there is no device called {0:?}; use auto, cpu, gpu or gpu:N (`flowloop devices` lists them)")]
    Unknown(String),
    /// No adapter of that number.
    #[error("no GPU {0:?} was found; install its Vulkan driver, or use --device cpu")]
    Missing(String),
}

/// The CPU and every adapter that wgpu finds.
pub fn adapters() -> Vec<Adapter> {
    let cpu = Adapter { id: "cpu".into(), name: "CPU".into(), hardware: true, device: Device::flex() };
    // A driver that panics while being listed must not take the program with it.
    let found = std::panic::catch_unwind(|| Device::enumerate(DeviceType::Wgpu).into_vec());
    let gpus = found.unwrap_or_default().into_iter().enumerate().map(|(index, device)| {
        let identity = device.identity();
        Adapter {
            id: format!("gpu:{index}"),
            name: identity.as_ref().map_or("unnamed adapter".into(), |i| i.name.clone()),
            hardware: identity.is_some_and(|i| i.physical.is_some()),
            device,
        }
    });
    std::iter::once(cpu).chain(gpus).collect()
}

/// The device of a description: `cpu`, `gpu` (the first), `gpu:N`, or `auto`: the first GPU that
/// is hardware, else the CPU.
pub fn choose(description: &str) -> Result<Adapter, DeviceError> {
    if description == "cpu" {
        return Ok(Adapter { id: "cpu".into(), name: "CPU".into(), hardware: true, device: Device::flex() });
    }
    let wanted = match description {
        "auto" => None,
        "gpu" => Some("gpu:0".to_string()),
        other if other.strip_prefix("gpu:").is_some_and(|n| n.parse::<usize>().is_ok()) => Some(other.into()),
        other => return Err(DeviceError::Unknown(other.into())),
    };
    let mut all = adapters();
    let position = match &wanted {
        Some(id) => all.iter().position(|a| a.id == *id),
        None => all.iter().position(|a| a.id != "cpu" && a.hardware).or(Some(0)),
    };
    position.map(|i| all.swap_remove(i)).ok_or_else(|| DeviceError::Missing(wanted.unwrap_or_default()))
}
