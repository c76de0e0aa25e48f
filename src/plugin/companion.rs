//! Where the companion program is: it is shipped inside the VST3 bundle and beside the CLAP.

use std::path::{Path, PathBuf};

/// File name of the companion.
pub const NAME: &str = if cfg!(windows) { "flowloop.exe" } else { "flowloop" };

/// The companion that came with this plugin: beside the library (as in a VST3 bundle) or beside the
/// bundle, else the first on the search path.
pub fn find() -> Option<PathBuf> {
    let library = process_path::get_dylib_path();
    let beside = library.as_deref().and_then(|l| l.ancestors().skip(1).take(4).find_map(program_in));
    let path = std::env::var_os("PATH");
    beside.or_else(|| std::env::split_paths(path.as_ref()?).find_map(|p| program_in(&p)))
}

fn program_in(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(NAME);
    path.is_file().then_some(path)
}
