//! What became of putting a model on a device, remembered between launches: what failed, or took the
//! whole program with it, is never tried again by itself.
//!
//! While a model is tried, a file names it and stays locked; it goes away when the first clip is there
//! or the program ends in good order. A file that is left, and that no living process has locked, tells
//! of a crash. Where no file can be written nothing is remembered, and loading goes on.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::device::remote;

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mark {
    /// It has not ended: when no process is at it any more, the program crashed.
    Loading,
    /// The device failed.
    Device(String),
    /// The model cannot be used.
    Refused(String),
}

pub(super) struct Trials {
    folder: Option<PathBuf>,
    /// By model and device: what the files said before this process wrote any, and what was refused since.
    marks: HashMap<(String, String), Option<Mark>>,
}

/// A trial under way; dropped, it leaves no trace.
pub(super) struct Trial(Option<(File, PathBuf)>);

impl Trials {
    /// Remembers in `folder`; without one, until the end of the engine.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, marks: HashMap::new() }
    }

    /// What is known of `model` (its key, see [`Self::file`]) on `device`.
    pub fn mark(&mut self, model: &str, device: &str) -> Option<Mark> {
        let file = self.file(model, device);
        self.marks.entry((model.into(), device.into())).or_insert_with(|| read(&file?)).clone()
    }

    /// The rest of this process goes by this mark.
    pub fn set(&mut self, model: &str, device: &str, mark: Mark) {
        self.marks.insert((model.into(), device.into()), Some(mark));
    }

    /// Notes that `model` is about to be put on `device`.
    pub fn begin(&mut self, model: &str, device: &str) -> Trial {
        let open = |path: PathBuf| {
            std::fs::create_dir_all(path.parent()?).ok()?;
            let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).ok()?;
            // Another process is at it: the file is its own.
            file.try_lock().ok()?;
            write(&mut file, &Mark::Loading)?;
            Some((file, path))
        };
        Trial(self.file(model, device).and_then(open))
    }

    /// Forgets all about a model.
    pub fn forget(&mut self, model: &str) {
        self.marks.retain(|(m, _), _| m != model);
        let Some(entries) = self.folder.as_ref().and_then(|f| std::fs::read_dir(f).ok()) else { return };
        let start = format!("{}.", short(model));
        for path in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&start)) {
            let _ = std::fs::remove_file(path.path());
        }
    }

    /// The file of a trial. `model` is its hash, empty for the built-in model, which on the CPU is the
    /// last resort and always tried. Another machine takes no program with it, and may be there next time.
    fn file(&self, model: &str, device: &str) -> Option<PathBuf> {
        if (model.is_empty() && device == "cpu") || remote::is_remote(device) {
            return None;
        }
        let device: String = device.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Some(self.folder.as_ref()?.join(format!("{}.{device}.json", short(model))))
    }
}

/// A model in a file's name.
fn short(model: &str) -> String {
    let plain: String = model.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    if plain.is_empty() { "built-in".into() } else { plain }
}

fn read(path: &PathBuf) -> Option<Mark> {
    let mut file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok()?;
    let mut text = String::new();
    // A file that was cut short is a crash's, too.
    let _ = file.read_to_string(&mut text);
    Some(serde_json::from_str(&text).unwrap_or(Mark::Loading))
}

fn write(file: &mut File, mark: &Mark) -> Option<()> {
    file.set_len(0).ok()?;
    file.rewind().ok()?;
    file.write_all(&serde_json::to_vec(mark).ok()?).ok()?;
    file.sync_all().ok()
}

impl Trial {
    /// It failed; the next launch will know.
    pub fn fail(mut self, mark: &Mark) {
        if let Some((mut file, _)) = self.0.take() {
            let _ = write(&mut file, mark);
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some((file, path)) = self.0.take() {
            let _ = std::fs::remove_file(path);
            drop(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "0123456789abcdef0123";

    #[test]
    fn crashes_and_failures_are_known_at_the_next_launch_and_success_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let launch = || Trials::new(Some(folder.path().join("trials")));
        drop(launch().begin(MODEL, "gpu:0"));
        assert_eq!(launch().mark(MODEL, "gpu:0"), None);
        let refused = Mark::Refused("it is damaged".into());
        launch().begin(MODEL, "gpu:0").fail(&refused);
        let mut next = launch();
        assert_eq!((next.mark(MODEL, "gpu:0"), next.mark(MODEL, "cpu")), (Some(refused), None));
        // A process that ends in the middle leaves its file and loses its lock.
        let mut trial = next.begin(MODEL, "cpu");
        let (file, path) = trial.0.take().unwrap();
        assert_eq!(launch().mark(MODEL, "cpu"), None, "somebody is still at it");
        drop(file);
        assert_eq!(launch().mark(MODEL, "cpu"), Some(Mark::Loading));
        std::fs::write(path, "").unwrap();
        assert_eq!(launch().mark(MODEL, "cpu"), Some(Mark::Loading));
        assert_eq!(next.mark(MODEL, "cpu"), None, "a process goes by what it found at its start");
        next.forget(MODEL);
        assert_eq!((launch().mark(MODEL, "cpu"), launch().mark(MODEL, "gpu:0")), (None, None));
    }

    #[test]
    fn the_last_resort_and_an_unwritable_folder_leave_no_marks() {
        let folder = tempfile::tempdir().unwrap();
        let mut trials = Trials::new(Some(folder.path().into()));
        trials.begin("", "cpu").fail(&Mark::Loading);
        assert_eq!(trials.mark("", "cpu"), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        trials.begin(MODEL, "remote:studio").fail(&Mark::Device("the connection was lost".into()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for folder in [None, Some(file.join("below"))] {
            let mut trials = Trials::new(folder);
            trials.begin(MODEL, "auto").fail(&Mark::Loading);
            assert_eq!(trials.mark(MODEL, "auto"), None);
            trials.set(MODEL, "auto", Mark::Device("gone".into()));
            assert_eq!(trials.mark(MODEL, "auto"), Some(Mark::Device("gone".into())));
        }
    }
}
