//! A folder of audio to loops of whole beats at 44.1 kHz.
//!
//! In: a folder (walked whole, links followed, files told apart by content). Out: [`Dataset`],
//! in which each file is either one loop or several, with notes on what was mended, or skipped
//! for a reason that is named: nothing is dropped in silence. Labels are the first sub-folders.
//! Runs on the companion's main thread; decoding uses all cores. [`scan`] holds all loops in memory
//! (350 kB a second), [`scan_each`] what its caller makes of each. A broken file never fails a scan, only a
//! folder without any loop does.

mod chunks;
mod clean;
pub mod decode;
mod fit;
mod keys;
mod report;
mod split;
pub mod tempo;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::clip::{Clip, SAMPLE_RATE};
use crate::key::Key;
use crate::resample;
use decode::{Audio, DecodeError};
pub use split::{Sides, evenly, split};
pub use tempo::TempoSource;

/// What counts as a loop.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Shortest audio taken, in seconds.
    pub shortest_seconds: f64,
    /// Longest loop, in beats; longer audio is cut into such loops.
    pub longest_beats: u32,
    /// Longest audio taken whose tempo has to be estimated, in seconds: what is longer is
    /// hardly one loop.
    pub longest_untold: f64,
    /// Longest audio that is cut into loops, in seconds.
    pub longest_seconds: f64,
    /// Peaks below this (linear) are silence.
    pub silence: f32,
    /// Largest file read, in bytes.
    pub largest: u64,
    /// Once so many seconds of loops were found no more files are read. Files are then taken from all over
    /// the folder; not so when it is infinite.
    pub enough_seconds: f64,
    /// Whether keys are read from names, of labels of which most files have one.
    pub keys: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            shortest_seconds: 0.25,
            longest_beats: 64,
            longest_untold: 60.0,
            longest_seconds: 600.0,
            silence: 1e-3,
            largest: 1 << 29,
            enough_seconds: f64::INFINITY,
            keys: true,
        }
    }
}

/// How long a loop is.
pub trait Length {
    /// In beats.
    fn beats(&self) -> u32;
    /// In beats per minute.
    fn bpm(&self) -> f64;
    /// In seconds.
    fn seconds(&self) -> f64 {
        f64::from(self.beats()) * 60.0 / self.bpm()
    }
}

impl Length for Clip {
    fn beats(&self) -> u32 {
        self.beats
    }

    fn bpm(&self) -> f64 {
        self.bpm
    }
}

/// One usable loop, or what was made of it.
#[derive(Clone, Debug)]
pub struct Loop<A = Clip> {
    /// The file.
    pub path: PathBuf,
    /// Its first sub-folder beneath the scanned one.
    pub label: Option<String>,
    /// Its key, where its file's name and most of its label's tell one.
    pub key: Option<Key>,
    /// 44.1 kHz, stereo, whole beats, length as [`Clip::length`]; or what was made of it.
    pub clip: A,
    /// Which loop of its file, from 1, where the file was cut into several.
    pub part: Option<usize>,
    /// Where the tempo came from.
    pub tempo_source: TempoSource,
    /// What was mended.
    pub notes: Vec<Note>,
    /// BLAKE3 of the file's decoded audio; the same for all parts of a file.
    pub digest: [u8; 32],
}

/// Something about a used file that its owner should know.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum Note {
    #[error("ends early or is damaged: what could be decoded was used")]
    Truncated,
    #[error("{0} channels mixed down to two")]
    MixedDown(usize),
    #[error("{0} samples that were not finite numbers were set to 0")]
    NotFinite(usize),
    #[error("peaked at {0:.3e}: brought down to full scale")]
    Loud(f32),
    #[error("its DC offset was removed")]
    Offset,
    #[error("its loop points lie beyond it or enclose less than half of it: not used")]
    LoopPoints,
    #[error("its acid chunk says {0} beats, its length says otherwise")]
    AcidContradicts(u32),
    #[error("few onsets repeat: the tempo is a guess, put it into the name (_120bpm)")]
    WeakTempo,
    #[error("{0:.2} beats at its end were cut off, for whole bars")]
    Cut(f64),
    #[error("{0:.2} beats of silence were added, for whole beats")]
    Filled(f64),
    #[error("cut into {loops} loops, {left_out:.2} beats left out")]
    Divided { loops: usize, left_out: f64 },
}

/// Why a file was left out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum SkipReason {
    #[error("hidden file, hidden folder or resource fork")]
    Hidden,
    #[error("a link back to a folder that holds it")]
    LinkLoop,
    #[error("neither a file nor a folder")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("larger than a loop could be ({} MiB)", .0 >> 20)]
    Large(u64),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{0} samples are not finite numbers; export it again")]
    NotFinite(usize),
    #[error("silent")]
    Silent,
    #[error("too short ({0:.2} s)")]
    Short(f64),
    #[error("too short: under one beat ({seconds:.2} s at {bpm:.2} bpm)")]
    UnderABeat { seconds: f64, bpm: f64 },
    #[error("too long for one loop ({0:.0} s); cut it up, or put its tempo into its name (_120bpm)")]
    Long(f64),
    #[error("too long ({0:.0} s) to be taken apart; cut it into loops")]
    Endless(f64),
    #[error("no tempo is given and none was found; put it into its name (_120bpm)")]
    NoTempo,
    #[error("a single hit that dies away, not a loop; if it is one, put its tempo into its name (_120bpm)")]
    SingleHit,
    #[error("the same audio as {}", .0.display())]
    Duplicate(PathBuf),
}

impl SkipReason {
    /// The reason without its figures, to count by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hidden => "hidden files or folders",
            Self::LinkLoop => "links that lead in circles",
            Self::NotAFile => "neither file nor folder",
            Self::Unreadable(_) => "not readable",
            Self::Large(_) => "too large",
            Self::Decode(DecodeError::Empty) => "empty",
            Self::Decode(DecodeError::Unknown(_)) => "not audio, or of an unknown kind",
            Self::Decode(_) => "broken audio files",
            Self::NotFinite(_) => "not finite numbers",
            Self::Silent => "silent",
            Self::Short(_) | Self::UnderABeat { .. } => "too short",
            Self::Long(_) | Self::Endless(_) => "too long",
            Self::NoTempo => "without a tempo (put it into the name: _120bpm)",
            Self::SingleHit => "single hits",
            Self::Duplicate(_) => "duplicates",
        }
    }
}

/// A file that was left out.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

impl<A> Loop<A> {
    /// The same loop with something else made of its sound.
    pub fn map<B>(self, make: impl FnOnce(A, Option<Key>) -> B) -> Loop<B> {
        let Self { path, label, key, clip, part, tempo_source, notes, digest } = self;
        Loop { path, label, key, clip: make(clip, key), part, tempo_source, notes, digest }
    }
}

/// What a folder held.
#[derive(Clone, Debug)]
pub struct Dataset<A = Clip> {
    /// Usable loops, in the order of their paths.
    pub loops: Vec<Loop<A>>,
    /// Everything else.
    pub skipped: Vec<Skipped>,
    /// False when there was enough before all files were read.
    pub whole: bool,
}

/// Why a folder gives no data set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum ScanError {
    #[error("there is no folder {}; check the path", .0.display())]
    Missing(PathBuf),
    #[error("{} is not a folder; name the folder that holds the loops", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} holds no files; put loops (wav, flac, mp3, ogg, aiff) into it", .0.display())]
    Empty(PathBuf),
    #[error(
        "none of the {} files in {} is a usable loop; use whole loops (wav, flac, mp3, ogg, aiff) of a beat or more, with their tempo in the name (_120bpm):\n{}",
        .skipped.len(), .folder.display(), report::reasons(.skipped).trim_end()
    )]
    NothingUsable { folder: PathBuf, skipped: Vec<Skipped> },
}

/// Reads every file beneath `folder`; `progress` hears (files done, files).
pub fn scan(
    folder: &Path,
    options: &ScanOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Dataset, ScanError> {
    scan_each(folder, options, &|clip, _| clip, progress)
}

/// The same, holding only what `make` makes of each loop and its key, on several threads.
pub fn scan_each<A: Send>(
    folder: &Path,
    options: &ScanOptions,
    make: &(dyn Fn(Clip, Option<Key>) -> A + Sync),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Dataset<A>, ScanError> {
    let metadata = std::fs::metadata(folder).map_err(|_| ScanError::Missing(folder.into()))?;
    if !metadata.is_dir() {
        return Err(ScanError::NotAFolder(folder.into()));
    }
    let (mut paths, mut skipped) = walk::walk(folder);
    if options.enough_seconds.is_finite() {
        paths.sort_by_cached_key(|path| *blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes());
    }
    if paths.is_empty() && skipped.is_empty() {
        return Err(ScanError::Empty(folder.into()));
    }
    let in_keys = if options.keys { keys::labels_in_keys(folder, &paths) } else { HashSet::new() };
    let mut loops: Vec<Loop<A>> = Vec::new();
    // Few at once: each may hold minutes of decoded audio for a moment.
    let at_once = rayon::current_num_threads() * 2;
    let (mut done, mut seconds) = (0, 0.0);
    for some in paths.chunks(at_once) {
        let read: Vec<_> = some.par_iter().map(|path| read_file(folder, path, options, &in_keys)).collect();
        let mut found: Vec<Loop> = Vec::new();
        for (path, result) in some.iter().zip(read) {
            match result {
                Ok(more) => found.extend(more),
                Err(reason) => skipped.push(Skipped { path: path.clone(), reason }),
            }
        }
        seconds += found.iter().map(|l| l.clip.seconds()).sum::<f64>();
        loops.par_extend(found.into_par_iter().map(|one| one.map(make)));
        done += some.len();
        progress(done, paths.len());
        if seconds >= options.enough_seconds {
            break;
        }
    }
    loops.sort_by(|a, b| (&a.path, a.part).cmp(&(&b.path, b.part)));
    leave_out_copies(&mut loops, &mut skipped);
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    if loops.is_empty() {
        let folder = folder.into();
        return Err(ScanError::NothingUsable { folder, skipped });
    }
    Ok(Dataset { loops, skipped, whole: done == paths.len() })
}

/// The loops of one file, all of one digest; never none.
fn read_file(
    folder: &Path,
    path: &Path,
    options: &ScanOptions,
    in_keys: &HashSet<Option<String>>,
) -> Result<Vec<Loop>, SkipReason> {
    let unreadable = |e: std::io::Error| SkipReason::Unreadable(e.to_string());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > options.largest {
        return Err(SkipReason::Large(size));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let facts = chunks::read(&bytes);
    let mut audio = decode::decode(bytes)?;
    let digest = digest(&audio);
    let mut notes = clean::clean(&mut audio, options)?;
    let between_loop_points = facts.loop_frames.is_some_and(|(start, len)| {
        let used = keep_loop(&mut audio, start, len);
        if !used {
            notes.push(Note::LoopPoints);
        }
        used
    });
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let hints = fit::Hints {
        acid_beats: facts.beats,
        acid_bpm: facts.bpm,
        named: tempo::from_name(&stem),
        between_loop_points,
    };
    let fitted = fit::fit(at_clip_rate(audio), hints, options)?;
    notes.extend(fitted.notes);
    let label = label(folder, path);
    let key = keys::of_name(path).filter(|_| in_keys.contains(&label));
    let several = fitted.clips.len() > 1;
    let make = |(i, clip)| Loop {
        path: path.into(),
        label: label.clone(),
        key,
        clip,
        part: several.then_some(i + 1),
        tempo_source: fitted.source,
        notes: notes.clone(),
        digest,
    };
    Ok(fitted.clips.into_iter().enumerate().map(make).collect())
}

fn digest(audio: &Audio) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&audio.sample_rate.to_le_bytes());
    for channel in &audio.samples {
        hasher.update(bytemuck::cast_slice(channel));
    }
    *hasher.finalize().as_bytes()
}

/// Cuts to a `smpl` chunk's loop. A sampler's sustain loop is a sliver of the sound: what is
/// less than half of the file is not the loop that we look for.
fn keep_loop(audio: &mut Audio, start: usize, len: usize) -> bool {
    let frames = audio.samples[0].len();
    let end = start.saturating_add(len);
    if end > frames || len < frames / 2 {
        return false;
    }
    for channel in &mut audio.samples {
        channel.truncate(end);
        channel.drain(..start);
    }
    true
}

/// At 44.1 kHz, as a circle.
fn at_clip_rate(audio: Audio) -> [Vec<f32>; 2] {
    if audio.sample_rate == SAMPLE_RATE {
        return audio.samples;
    }
    let seconds = audio.samples[0].len() as f64 / f64::from(audio.sample_rate);
    let len = (seconds * f64::from(SAMPLE_RATE)).round().max(1.0) as usize;
    audio.samples.map(|channel| resample::circular(&channel, len))
}

fn label(folder: &Path, path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix(folder).ok()?.components();
    let first = parts.next()?.as_os_str().to_string_lossy().into_owned();
    parts.next().map(|_| first)
}

/// Leaves each sound once, in its first file by name; `loops` are in the order of their paths.
fn leave_out_copies<A>(loops: &mut Vec<Loop<A>>, skipped: &mut Vec<Skipped>) {
    let mut seen: HashMap<[u8; 32], PathBuf> = HashMap::new();
    loops.retain(|one| {
        let first = seen.entry(one.digest).or_insert_with(|| one.path.clone());
        let own = *first == one.path;
        if !own && skipped.last().is_none_or(|last| last.path != one.path) {
            skipped.push(Skipped { path: one.path.clone(), reason: SkipReason::Duplicate(first.clone()) });
        }
        own
    });
}
