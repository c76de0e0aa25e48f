//! Flowloop: an instrument that dreams up loops inside the DAW, and the companion that trains it.
//!
//! The rooms follow the data; ARCHITECTURE.md has the picture.
#![deny(missing_docs)]

pub mod clip;
pub mod codec;
#[cfg(feature = "companion")]
pub mod dataset;
pub mod device;
pub mod disk;
#[cfg(feature = "plugin")]
pub mod editor;
#[cfg(feature = "plugin")]
pub mod engine;
#[cfg(feature = "companion")]
pub mod evaluate;
#[cfg(feature = "companion")]
pub mod factory;
pub mod flow;
pub mod kernel;
pub mod key;
pub mod measure;
pub mod model;
#[cfg(feature = "plugin")]
pub mod playback;
#[cfg(feature = "plugin")]
pub mod plugin;
pub mod random;
pub mod resample;
#[cfg(any(feature = "plugin", feature = "companion"))]
pub mod settings;
#[cfg(feature = "companion")]
pub mod training;
pub mod transpose;
pub mod wav;
