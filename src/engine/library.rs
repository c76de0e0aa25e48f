//! Which model a session plays, and where its file is: what a project keeps of it, and how it is found
//! again on another machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::disk::read_whole;
use crate::key::Key;
use crate::model::{EMBEDDED_BYTES, Header, Model, embedded_header, hash_of, id_of};
use crate::settings::Home;

/// What a project's state keeps of its model; empty for the built-in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedModel {
    /// The model's name, for messages.
    pub name: String,
    /// Hex digest (BLAKE3) of its file.
    pub hash: String,
    /// Where the file was, absolute.
    pub path: String,
    /// The same from the folder of models, with `/` between; empty when it lay elsewhere.
    pub relative: String,
}

/// The session's model, for the editor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Its file, as far as it is known; None for the built-in model.
    pub path: Option<PathBuf>,
    /// Hex digest of its file; empty for the built-in model.
    pub hash: String,
    /// Names of its styles; empty until its file was read.
    pub labels: Vec<String>,
    /// Of each style, any being the first, whether the key makes a difference.
    pub keyed: Vec<bool>,
    /// What to do about a file that was not found.
    pub missing: Option<String>,
}

impl ModelInfo {
    /// The key of the loop that a request asks for; None where it has none.
    pub fn key(&self, request: &Request) -> Option<Key> {
        let labels = self.keyed.len().saturating_sub(1);
        let mut job = request.job().normalised();
        // A style that the model has not is any.
        job.label = job.label.filter(|label| *label < labels);
        let place = |label: Option<usize>| label.map_or(0, |label| label + 1);
        job.key_among(labels, |label| self.keyed.get(place(label)).copied().unwrap_or(false))
    }
}

/// A model's file, to choose from.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// None for the built-in model.
    pub path: Option<PathBuf>,
    /// The model's name, the file's where it cannot be read.
    pub name: String,
    /// Names of its styles.
    pub labels: Vec<String>,
    /// Those of them that it makes in any key.
    pub keyed: Vec<String>,
    /// Sources, licences and credits.
    pub credits: String,
    /// Its loops have a multiple of so many beats.
    pub beats: u32,
    /// Training steps behind it.
    pub trained_steps: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Hex digest (BLAKE3) of the file.
    pub hash: String,
    /// Why it cannot be played and what to do.
    pub trouble: Option<String>,
}

impl ModelCard {
    /// The built-in model.
    pub fn built_in() -> Self {
        match embedded_header() {
            Ok(header) => Self::new(None, header, EMBEDDED_BYTES, String::new()),
            Err(error) => Self::of_trouble(None, "Built-in".into(), error.to_string()),
        }
    }

    /// Reads a file whole: not on a thread that draws.
    pub fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = match read_whole(path) {
            Ok(bytes) => bytes,
            Err(error) => return Self::of_trouble(Some(path), name, format!("{error}. Check the permissions")),
        };
        match Header::from_bytes(&bytes, &name) {
            Ok(header) if header.codec.is_none() => Self::of_trouble(Some(path), name, NO_CODEC.into()),
            Ok(header) => Self::new(Some(path), header, bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string()),
            Err(error) => Self::of_trouble(Some(path), name, error.to_string()),
        }
    }

    fn new(path: Option<&Path>, header: Header, size: u64, hash: String) -> Self {
        let latents = crate::model::LATENTS_PER_BEAT as u32;
        let stride = header.net.stride() as u32;
        Self {
            path: path.map(Path::to_path_buf),
            name: header.name,
            keyed: if header.net.keys { header.keyed } else { Vec::new() },
            labels: header.labels,
            credits: header.credits,
            beats: (stride / latents).max(1),
            trained_steps: header.trained_steps,
            size,
            hash,
            trouble: None,
        }
    }

    fn of_trouble(path: Option<&Path>, name: String, trouble: String) -> Self {
        Self {
            path: path.map(Path::to_path_buf),
            name,
            labels: Vec::new(),
            keyed: Vec::new(),
            credits: String::new(),
            beats: 1,
            trained_steps: 0,
            size: 0,
            hash: String::new(),
            trouble: Some(trouble),
        }
    }
}

/// What to say of a model that nothing here can play.
const NO_CODEC: &str = "It has no codec: its latents belong to another one, and nothing here can play them. Choose a \
                        model that `flowloop train` made from audio";
/// Extension of a model's file.
const EXTENSION: &str = "flow";
/// Folders below the folder of models that are looked through.
const DEPTH: usize = 4;

impl SavedModel {
    /// The short name that requests carry.
    pub(super) fn id(&self) -> u64 {
        match *self == Self::default() {
            true => 0,
            // What is no digest is no file's: such a model is missing, and not the built-in one.
            false => id_of(&self.hash).unwrap_or(u64::MAX),
        }
    }
}

impl ModelInfo {
    /// The built-in model.
    pub(super) fn built_in() -> Self {
        let header = embedded_header().ok();
        let (name, keyed, labels) = header.map(|h| (h.name.clone(), keyed(&h), h.labels)).unwrap_or_default();
        Self { name, path: None, hash: String::new(), labels, keyed, missing: None }
    }

    /// As much as a state tells.
    pub(super) fn of(saved: &SavedModel) -> Self {
        let path = Some(PathBuf::from(&saved.path)).filter(|p| !p.as_os_str().is_empty());
        let (name, hash) = (saved.name.clone(), saved.hash.clone());
        Self { name, path, hash, labels: Vec::new(), keyed: Vec::new(), missing: None }
    }
}

/// Of each style, any being the first, whether the key makes a difference.
fn keyed(header: &Header) -> Vec<bool> {
    let labels = (0..header.labels.len()).map(Some);
    std::iter::once(None).chain(labels).map(|label| header.is_keyed(label)).collect()
}

/// Reads a model file whole and checks that the plugin can play it; the error says what to do.
pub(super) fn examine(path: &Path, home: &Home) -> Result<(SavedModel, ModelInfo), String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let model = Model::load(&path).map_err(|e| e.to_string())?;
    if model.codec.is_none() {
        return Err(format!("{}: {NO_CODEC}", path.display()));
    }
    let parts = home.models().and_then(|models| {
        let inside = path.strip_prefix(models).ok()?.components();
        Some(inside.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>())
    });
    let saved = SavedModel {
        name: model.header.name.clone(),
        hash: model.hash.clone(),
        path: path.to_string_lossy().into_owned(),
        relative: parts.unwrap_or_default().join("/"),
    };
    let info = ModelInfo {
        keyed: keyed(&model.header),
        name: model.header.name,
        path: Some(path),
        hash: model.hash,
        labels: model.header.labels,
        missing: None,
    };
    Ok((saved, info))
}

/// Finds the file of a saved model: where it was, else in the folder of models, under its name there or
/// any other; only a file of the same digest counts.
pub(super) fn find(saved: &SavedModel, home: &Home) -> Option<ModelInfo> {
    let models = home.models();
    let there = |name: &String| Some(PathBuf::from(name)).filter(|_| !name.is_empty());
    let relative = there(&saved.relative).and_then(|relative| Some(models.as_ref()?.join(relative)));
    let mut first = there(&saved.path).into_iter().chain(relative);
    let is_it = |path: &PathBuf| hash_of(path).is_ok_and(|hash| hash == saved.hash);
    let path = first.find(is_it).or_else(|| all(home).into_iter().find(is_it))?;
    let bytes = read_whole(&path).ok()?;
    let header = Header::from_bytes(&bytes, "the model").ok();
    let (keyed, labels) = header.map(|h| (keyed(&h), h.labels)).unwrap_or_default();
    Some(ModelInfo { path: Some(path), labels, keyed, ..ModelInfo::of(saved) })
}

/// The file in the folder of models that has a short name.
pub(super) fn of_id(model: u64, home: &Home) -> Option<PathBuf> {
    all(home).into_iter().find(|path| hash_of(path).is_ok_and(|hash| id_of(&hash) == Some(model)))
}

/// What to say when there is none.
pub(super) fn unknown(home: &Home) -> String {
    let folder = home.models().map_or(String::new(), |f| format!(" to {}", f.display()));
    format!("the model that made this loop was not found: copy its file{folder}, or open it, and recall the loop again")
}

/// What to say when it is not found.
pub(super) fn missing(saved: &SavedModel, home: &Home) -> String {
    let folder = home.models().map_or(String::new(), |f| format!("copy it to {} and try again, or ", f.display()));
    format!(
        "the model {:?} was not found at {}: {folder}show where it is now. The loop that the project kept still plays",
        saved.name,
        if saved.path.is_empty() { "its place" } else { &saved.path },
    )
}

/// What to say when a project's model is looked for and another one is shown.
pub(super) fn another(wanted: &SavedModel, shown: &SavedModel) -> String {
    let short = |hash: &str| hash.chars().take(8).collect::<String>();
    format!(
        "{} is the model {:?} ({}), but the project was made with {:?} ({}). Look for that one, or choose this one \
         as the project's model",
        shown.path,
        shown.name,
        short(&shown.hash),
        wanted.name,
        short(&wanted.hash)
    )
}

/// The model files in the folder of models.
pub(super) fn all(home: &Home) -> Vec<PathBuf> {
    home.models().map(|folder| files(&folder, DEPTH)).unwrap_or_default()
}

/// The model files in a folder and those below it, in order.
fn files(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let of = |path: PathBuf| match path.is_dir() {
        true if depth > 0 => files(&path, depth - 1),
        false if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(EXTENSION)) => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(of).collect()
}
