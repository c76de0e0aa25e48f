//! Which loops are in keys: those whose files' names tell one, of labels of which most files do. Only what is made of
//! such a label is played back into a key; the few of another one must therefore not be moved to the white notes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::label;
use crate::key::{self, Key};

/// The labels (None of loops that have none) of which most files tell their key.
pub(super) fn labels_in_keys(folder: &Path, paths: &[PathBuf]) -> HashSet<Option<String>> {
    let mut counts: HashMap<Option<String>, [usize; 2]> = HashMap::new();
    for path in paths {
        let [all, with] = counts.entry(label(folder, path)).or_default();
        *all += 1;
        *with += usize::from(of_name(path).is_some());
    }
    counts.into_iter().filter(|(_, [all, with])| 2 * with > *all).map(|(label, _)| label).collect()
}

/// The key that a file's name tells.
pub(super) fn of_name(path: &Path) -> Option<Key> {
    let named = key::from_name(&path.file_stem()?.to_string_lossy())?;
    Some(Key::new(named.tonic, named.mode?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_in_keys_when_most_of_its_files_are() {
        let paths: Vec<PathBuf> =
            ["pads/a_Am.wav", "pads/b_C#min.wav", "pads/c.wav", "drums/d_Am.wav", "drums/e.wav", "f_Em.wav"]
                .map(|path| Path::new("/loops").join(path))
                .to_vec();
        let found = labels_in_keys(Path::new("/loops"), &paths);
        assert_eq!(found, HashSet::from([None, Some("pads".to_string())]));
    }
}
