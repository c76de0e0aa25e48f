//! The page that writes the loop that plays to a WAV file with its tempo and loop points.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{RichText, Role, TextEdit, Ui, WidgetInfo, vec2};

use super::button::{heading, word};
use super::later::Later;
use super::picker::Picker;
use super::theme::{DIM, ERROR, SMALL, TEXT};
use crate::clip::Clip;
use crate::settings::Home;
use crate::wav;

/// What is typed and what came of it.
pub(super) struct Export {
    picker: Picker,
    /// What the name was made from, and the name.
    suggested: String,
    name: String,
    writing: Later<Result<PathBuf, String>>,
    written: Option<Result<PathBuf, String>>,
}

impl Export {
    /// Into the folder that was used last, or a folder of its own in the user's music.
    pub fn new(home: &Home) -> Self {
        let mut picker = Picker::new(&[".wav"]);
        let kept = home.settings().exports;
        let music = || dirs::audio_dir().or_else(dirs::home_dir).map(|d| d.join("Flowloop"));
        let folder = if kept.is_empty() { music().unwrap_or_default() } else { kept.into() };
        picker.text = folder.to_string_lossy().into_owned();
        Self { picker, suggested: String::new(), name: String::new(), writing: Later::default(), written: None }
    }

    /// Draws the page for a clip whose file is best called `suggested` (without an extension).
    pub fn show(&mut self, ui: &mut Ui, clip: Option<&Arc<Clip>>, suggested: &str, home: &Home) {
        if let Some(result) = self.writing.fetch() {
            self.written = Some(result);
        }
        if self.suggested != suggested {
            self.suggested = suggested.to_string();
            self.name = suggested.to_string();
        }
        let Some(clip) = clip else {
            ui.label(RichText::new("There is no loop yet to be written").color(DIM));
            return;
        };
        let facts = format!(
            "{} beats at {:.2} bpm, {:.2} s, {} Hz, 24 bits, with tempo and loop points for samplers and DAWs",
            clip.beats,
            clip.bpm,
            clip.seconds(),
            clip.sample_rate
        );
        ui.label(RichText::new(facts).color(DIM).size(SMALL));
        heading(ui, "NAME");
        let field = TextEdit::singleline(&mut self.name).desired_width(f32::INFINITY).margin(vec2(8.0, 5.0));
        ui.add(field).widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Name of the file"));
        heading(ui, "FOLDER");
        let height = (ui.available_height() - 130.0).max(60.0);
        self.picker.show(ui, "Folder of exports", "a folder; it is made when it is not there", height);
        ui.horizontal(|ui| {
            ui.add_enabled_ui(!self.writing.busy() && !self.name.trim().is_empty(), |ui| {
                if word(ui, "Write WAV", 0.0, true, "Writes the loop that plays; a file of the name is kept").clicked()
                {
                    self.write(clip, home);
                }
            });
            if let Some(Ok(path)) = &self.written
                && word(ui, "Copy path", 0.0, false, "Puts the file's path on the clipboard").clicked()
            {
                ui.ctx().copy_text(path.to_string_lossy().into_owned());
            }
        });
        match &self.written {
            Some(Ok(path)) => drop(ui.label(RichText::new(format!("Written: {}", path.display())).color(TEXT))),
            Some(Err(message)) => drop(ui.label(RichText::new(message).color(ERROR))),
            None => {}
        }
    }

    fn write(&mut self, clip: &Arc<Clip>, home: &Home) {
        let Some(mut folder) = self.picker.path() else { return };
        if folder.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) {
            folder.pop();
        }
        let (name, clip, home) = (self.name.trim().to_string(), clip.clone(), home.clone());
        self.written = None;
        self.writing.start(move || {
            let written = write(&folder, &name, &clip);
            if written.is_ok() {
                // Where it cannot be kept, the next window asks again.
                let _ = home.keep_exports(&folder.to_string_lossy());
            }
            written
        });
    }
}

/// Writes a clip into a folder, which is made; a name that is taken gets a number.
fn write(folder: &Path, name: &str, clip: &Clip) -> Result<PathBuf, String> {
    let made = std::fs::create_dir_all(folder);
    made.map_err(|e| format!("{} cannot be made: {e}. Choose another folder", folder.display()))?;
    let name = name.trim_end_matches(".wav");
    let free = |n: u32| match n {
        1 => folder.join(format!("{name}.wav")),
        n => folder.join(format!("{name}-{n}.wav")),
    };
    let path = (1..10_000).map(free).find(|p| !p.exists()).unwrap_or_else(|| free(1));
    wav::write(&path, clip).map_err(|e| e.to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_overwritten_and_folders_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("new/loops");
        let clip = Clip {
            samples: [vec![0.5; 100], vec![-0.5; 100]],
            sample_rate: 44_100,
            beats: 1,
            bpm: 120.0,
            provenance: None,
            hits: Vec::new(),
        };
        let first = write(&into, "a", &clip).unwrap();
        let second = write(&into, "a.wav", &clip).unwrap();
        assert_eq!([&first, &second], [&into.join("a.wav"), &into.join("a-2.wav")]);
        assert_eq!(std::fs::read(first).unwrap(), wav::encode(&clip));
        let blocked = write(&second, "a", &clip).unwrap_err();
        assert!(blocked.contains("Choose another folder"), "{blocked}");
    }
}
