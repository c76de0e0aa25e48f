//! Files that are read only as files, and written whole or not at all: what was there stays until the
//! new one is complete.

use std::io::Write;
use std::path::Path;

/// The bytes of a file; a folder, pipe or device is an error instead of an endless read.
pub fn read_whole(path: &Path) -> std::io::Result<Vec<u8>> {
    match std::fs::metadata(path)?.is_file() {
        true => std::fs::read(path),
        false => Err(std::io::Error::other("it is not a file")),
    }
}

/// Writes to a temporary file beside `path`, then renames it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&part)?;
        file.write_all(bytes)?;
        // The name must not reach the disk before the bytes do.
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    let result = write();
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result
}
