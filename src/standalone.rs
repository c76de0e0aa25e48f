//! The instrument without a host: its window, with audio and MIDI from JACK or the system. `--help` lists
//! devices, rates and tempo.

use std::process::ExitCode;

fn main() -> ExitCode {
    match nice_plug::prelude::nice_export_standalone::<flowloop::plugin::Flowloop>() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
