//! Flowloop: an instrument that dreams up loops inside the DAW, and the companion that trains it.
//!
//! The rooms follow the data; ARCHITECTURE.md has the picture.
#![deny(missing_docs)]

pub mod clip;
pub mod codec;
pub mod device;
pub mod flow;
pub mod model;
