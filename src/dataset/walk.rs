//! A folder's files.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{SkipReason, Skipped};

/// The files beneath a folder in the order of their names, and what is not one. The folder
/// itself may be hidden.
pub fn walk(folder: &Path) -> (Vec<PathBuf>, Vec<Skipped>) {
    let (mut paths, mut skipped) = (Vec::new(), Vec::new());
    let mut entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let (path, reason) = match entry {
            Ok(entry) => {
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                let is_folder = entry.file_type().is_dir();
                let reason = match hidden && entry.depth() > 0 {
                    true => {
                        if is_folder {
                            entries.skip_current_dir();
                        }
                        SkipReason::Hidden
                    }
                    false if is_folder => continue,
                    false if entry.file_type().is_file() => {
                        paths.push(entry.into_path());
                        continue;
                    }
                    false => SkipReason::NotAFile,
                };
                (entry.into_path(), reason)
            }
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_path_buf();
                match error.loop_ancestor() {
                    Some(_) => (path, SkipReason::LinkLoop),
                    None => (path, SkipReason::Unreadable(error.to_string())),
                }
            }
        };
        skipped.push(Skipped { path, reason });
    }
    (paths, skipped)
}
