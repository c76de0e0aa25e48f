//! `cargo xtask bundle flowloop --release`: nice-plug's bundler, and the companion put into the VST3
//! bundle too, so that it travels with the plugin.

use std::path::Path;

use anyhow::{Context, Result};

/// File name of the companion.
const COMPANION: &str = if cfg!(windows) { "flowloop.exe" } else { "flowloop" };

fn main() -> Result<()> {
    forget_package();
    nice_plug_xtask::main()?;
    if std::env::args().nth(1).is_some_and(|c| c.starts_with("bundle")) {
        place_companion()?;
    }
    Ok(())
}

/// `cargo run` tells a program of its own package; some dependency's build script would take that for another
/// build than `cargo build`'s, and Burn would be built anew each time one follows the other.
fn forget_package() {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            // SAFETY: no other thread has been started yet.
            unsafe { std::env::remove_var(&name) };
        }
    }
}

/// Copies the program that the bundler put beside the bundles to each library folder of the VST3, and
/// gives it its command's name.
fn place_companion() -> Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
    let bundled = metadata.target_directory.join("bundled").into_std_path_buf();
    let named = bundled.join(if cfg!(windows) { "Flowloop.exe" } else { "Flowloop" });
    let program = bundled.join(COMPANION);
    if named != program && named.is_file() {
        std::fs::rename(&named, &program).with_context(|| format!("cannot rename {}", named.display()))?;
    }
    let contents = bundled.join("Flowloop.vst3").join("Contents");
    for entry in std::fs::read_dir(&contents).with_context(|| format!("cannot read {}", contents.display()))? {
        let folder = entry?.path();
        if has_library(&folder) {
            let to = folder.join(COMPANION);
            std::fs::copy(&program, &to).with_context(|| format!("cannot write {}", to.display()))?;
            eprintln!("Put the companion into the VST3 bundle at '{}'", to.display());
        }
    }
    Ok(())
}

fn has_library(folder: &Path) -> bool {
    let library = |name: &str| folder.join(name).is_file();
    library("Flowloop.so") || library("Flowloop.vst3") || library("Flowloop")
}
