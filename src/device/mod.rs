//! Which device the net runs on: a GPU through wgpu, the CPU, or a device of another machine ([`remote`]).
//!
//! Looking happens only when asked for: nothing here runs when a plugin is merely scanned.

mod relay;
pub mod remote;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use burn::tensor::{Device, DeviceType};
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

/// Describes the CPU.
pub const CPU: &str = "cpu";
/// Ends the description of a GPU whose 16-bit numbers are used.
const HALF: &str = ":f16";
/// Describes the first GPU that is hardware, else the CPU.
pub const AUTO: &str = "auto";

/// A device the net can run on.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What `--device` takes: `cpu`, `gpu:0`, `gpu:0:f16`, `remote:studio:3000`, ...
    pub id: String,
    /// The name that the device gives itself.
    pub name: String,
    /// False for a software renderer, which is slower than the CPU path.
    pub hardware: bool,
    /// Burn's handle.
    pub device: Device,
    /// True where a net's frames are multiplied in 16 bits when loops are made (training always takes 32).
    pub half: bool,
}

/// No device of that description.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The description is not of the known form.
    #[error(
        "there is no device called {0:?}; use auto, cpu, gpu, gpu:N, gpu:N:f16 (`flowloop devices` lists them) or remote:HOST:PORT"
    )]
    Unknown(String),
    /// No adapter of that number.
    #[error("no GPU {0:?} was found; install its Vulkan driver, or use --device cpu")]
    Missing(String),
    /// The description of a remote device is not of the known form.
    #[error("{0:?} is no device of another machine; write remote:HOST:PORT, with /N for its device N")]
    Address(String),
    /// No server there.
    #[error("no device is served at {address} ({reason}); run `flowloop serve` there, and check the address")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What was found instead.
        reason: String,
    },
    /// The server wants another token.
    #[error(
        "{0} asks for a token; set FLOWLOOP_TOKEN to the one that `flowloop serve` was given there, or write remote:TOKEN@HOST:PORT"
    )]
    Token(String),
    /// The server has fewer devices.
    #[error("there is no device {index} at {address}; it serves {count}, counted from 0")]
    Index {
        /// `host:port`.
        address: String,
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The server is of another version.
    #[error("{0} serves another version of the protocol; install the same version of Flowloop on both machines")]
    Version(String),
}

/// The CPU.
pub fn cpu() -> Adapter {
    Adapter { id: CPU.into(), name: "CPU".into(), hardware: true, device: Device::flex(), half: false }
}

/// Which of a GPU's programs are the fastest is found by trying them: a second or two at first, kept in the user's
/// folder for caches. Left to itself, the library would look for the folder of a Cargo project around the host's.
fn keep_tuning() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        CubeClRuntimeConfig::get();
        if let Some(caches) = dirs::cache_dir() {
            cubecl::environment::set_root(caches.join("flowloop"));
        }
    });
}

/// The CPU and every adapter that wgpu finds, each with 32 bits and with 16: whether it has those is known when it
/// is used.
pub fn adapters() -> Vec<Adapter> {
    keep_tuning();
    // A driver that panics while being listed must not take the program with it.
    let found = guarded(|| Device::enumerate(DeviceType::Wgpu).into_vec());
    let gpus = found.unwrap_or_default().into_iter().enumerate().flat_map(|(index, device)| {
        let identity = device.identity();
        let exact = Adapter {
            id: format!("gpu:{index}"),
            name: identity.as_ref().map_or("unnamed adapter".into(), |i| i.name.clone()),
            hardware: identity.is_some_and(|i| i.physical.is_some()),
            device,
            half: false,
        };
        let (id, name) = (format!("{}{HALF}", exact.id), format!("{}, 16 bits", exact.name));
        [exact.clone(), Adapter { id, name, half: true, ..exact }]
    });
    std::iter::once(cpu()).chain(gpus).collect()
}

/// The device of a description: `cpu`, `gpu` (the first), `gpu:N`, `gpu:N:f16`, `remote:HOST:PORT/N`, or `auto`:
/// the first GPU that is hardware, else the CPU.
pub fn choose(description: &str) -> Result<Adapter, DeviceError> {
    if description == CPU {
        return Ok(cpu());
    }
    if remote::is_remote(description) {
        return remote::choose(description);
    }
    let wanted = match description {
        AUTO => None,
        "gpu" => Some("gpu:0".to_string()),
        other if numbered(other) => Some(other.into()),
        other => return Err(DeviceError::Unknown(other.into())),
    };
    let mut all = adapters();
    let position = match &wanted {
        Some(id) => all.iter().position(|a| a.id == *id),
        None => all.iter().position(|a| a.id != CPU && a.hardware).or(Some(0)),
    };
    position.map(|i| all.swap_remove(i)).ok_or_else(|| DeviceError::Missing(wanted.unwrap_or_default()))
}

/// True for `gpu:N` and `gpu:N:f16`.
fn numbered(description: &str) -> bool {
    let number = description.strip_prefix("gpu:").map(|n| n.strip_suffix(HALF).unwrap_or(n));
    number.is_some_and(|n| n.parse::<usize>().is_ok())
}

/// Runs what may panic when a device dies, as Burn's backends do; the panic's words are the error, and are
/// not printed.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    thread_local!(static GUARDED: Cell<bool> = const { Cell::new(false) });
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let ran = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(before);
    ran.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string()));
        text.unwrap_or_else(|| "it stopped without a word".into())
    })
}
