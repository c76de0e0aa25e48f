//! A path by typing, pasting or walking through folders: a file dialogue that works inside every host.

use std::path::{Path, PathBuf};

use egui::{Align2, Role, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};

use super::button::{focus, icon};
use super::icons::{self, Icon};
use super::later::Later;
use super::theme::{ACCENT, BODY, DIM, ERROR, HEIGHT, HOVERED, ROUND, SMALL, TEXT, font};

/// Entries that are listed at most.
const MOST: usize = 500;

/// A field and a list.
pub(super) struct Picker {
    /// What files are listed: those whose names end in one of these, in small letters.
    endings: &'static [&'static str],
    /// What is typed.
    pub text: String,
    /// The folder whose entries are listed, and they.
    listed: Option<(PathBuf, Result<Vec<Entry>, String>)>,
    asked: Option<PathBuf>,
    reading: Later<(PathBuf, Result<Vec<Entry>, String>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    name: String,
    folder: bool,
}

impl Picker {
    /// Begins in the user's folder.
    pub fn new(endings: &'static [&'static str]) -> Self {
        let text = dirs::home_dir().map_or(String::new(), |home| home.to_string_lossy().into_owned());
        Self { endings, text, listed: None, asked: None, reading: Later::default() }
    }

    /// The path that is typed; quotes around it, as file managers copy them, do not count.
    pub fn path(&self) -> Option<PathBuf> {
        let text = self.text.trim().trim_matches(['"', '\'']);
        let text = text.strip_prefix("file://").unwrap_or(text);
        let home = text.strip_prefix("~/").and_then(|rest| Some(dirs::home_dir()?.join(rest)));
        (!text.is_empty()).then(|| home.unwrap_or_else(|| text.into()))
    }

    /// Draws it in what is left of the page; gives back a file that was clicked.
    pub fn show(&mut self, ui: &mut Ui, name: &str, hint: &'static str, height: f32) -> Option<PathBuf> {
        ui.horizontal(|ui| {
            let up = icon(ui, Icon::Up, HEIGHT, "Folder above", "To the folder above");
            if up.clicked()
                && let Some(above) = self.folder().and_then(|f| f.parent().map(Path::to_path_buf))
            {
                self.go(&above);
            }
            let field = TextEdit::singleline(&mut self.text).hint_text(hint).desired_width(f32::INFINITY);
            let field = ui.add(field.margin(vec2(8.0, 5.0)));
            field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, name));
        });
        self.follow();
        self.list(ui, height)
    }

    /// The folder that is typed, or that the typed file lies in.
    fn folder(&self) -> Option<PathBuf> {
        self.listed.as_ref().map(|(folder, _)| folder.clone()).or_else(|| self.path())
    }

    fn go(&mut self, path: &Path) {
        self.text = path.to_string_lossy().into_owned();
    }

    /// Reads the folder again when another one is typed.
    fn follow(&mut self) {
        if let Some(read) = self.reading.fetch() {
            self.listed = Some(read);
        }
        let path = self.path();
        if path != self.asked {
            self.asked = path.clone();
            if let Some(path) = path {
                let endings = self.endings;
                self.reading.start(move || read(&path, endings));
            }
        }
    }

    fn list(&mut self, ui: &mut Ui, height: f32) -> Option<PathBuf> {
        let mut picked = None;
        let mut enter = None;
        let list = ScrollArea::vertical().id_salt("files").auto_shrink([false, false]).max_height(height);
        list.show(ui, |ui| {
            ui.set_min_height(height);
            ui.spacing_mut().item_spacing.y = 1.0;
            match &self.listed {
                Some((folder, Ok(entries))) => {
                    if entries.is_empty() {
                        ui.label(egui::RichText::new("Nothing of use in this folder").color(DIM));
                    }
                    for entry in entries {
                        if row(ui, entry) {
                            let path = folder.join(&entry.name);
                            match entry.folder {
                                true => enter = Some(path),
                                false => picked = Some(path),
                            }
                        }
                    }
                }
                Some((_, Err(message))) => drop(ui.label(egui::RichText::new(message).color(ERROR))),
                None => {}
            }
        });
        if let Some(path) = enter.as_ref().or(picked.as_ref()) {
            self.go(&path.clone());
        }
        picked
    }
}

fn row(ui: &mut Ui, entry: &Entry) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::click());
    if response.hovered() {
        ui.painter().rect_filled(rect, ROUND, HOVERED);
    }
    focus(ui, &response);
    let mark = egui::Rect::from_center_size(pos2(rect.left() + 14.0, rect.center().y), vec2(13.0, 13.0));
    let colour = if entry.folder { DIM } else { ACCENT };
    if entry.folder {
        icons::draw(ui.painter(), Icon::Folder, mark, colour);
    } else {
        ui.painter().circle_filled(mark.center(), 3.0, colour);
    }
    let size = if entry.folder { BODY } else { BODY.max(SMALL) };
    ui.painter().text(pos2(rect.left() + 28.0, rect.center().y), Align2::LEFT_CENTER, &entry.name, font(size), TEXT);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &entry.name));
    response.clicked()
}

/// The folder of a path (itself, or where it lies) and what is in it: folders first, then files of use.
fn read(path: &Path, endings: &[&str]) -> (PathBuf, Result<Vec<Entry>, String>) {
    let folder = match path.is_dir() {
        true => path.to_path_buf(),
        false => path.parent().unwrap_or(path).to_path_buf(),
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("{} cannot be read: {error}. Check the path", folder.display());
            return (folder, Err(message));
        }
    };
    let of_use = |name: &str| {
        let name = name.to_lowercase();
        endings.iter().any(|e| name.ends_with(e))
    };
    let mut all: Vec<Entry> = entries
        .flatten()
        .take(20 * MOST)
        .map(|e| Entry { name: e.file_name().to_string_lossy().into_owned(), folder: e.path().is_dir() })
        .filter(|e| !e.name.starts_with('.') && (e.folder || of_use(&e.name)))
        .collect();
    all.sort_by_key(|e| (!e.folder, e.name.to_lowercase()));
    all.truncate(MOST);
    (folder, Ok(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_other_files_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.FLOW", "a.txt", ".hidden.flow"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("z")).unwrap();
        let entry = |name: &str, folder| Entry { name: name.into(), folder };
        let expected = Ok(vec![entry("z", true), entry("b.FLOW", false)]);
        assert_eq!(read(folder.path(), &[".flow"]), (folder.path().into(), expected.clone()));
        // The path of a file, there or not, lists the folder that it lies in.
        assert_eq!(read(&folder.path().join("none.flow"), &[".flow"]).1, expected);
        let (_, missing) = read(&folder.path().join("no/where"), &[]);
        assert!(missing.unwrap_err().contains("Check the path"));
    }

    #[test]
    fn pasted_paths_are_understood() {
        let mut picker = Picker::new(&[]);
        for text in ["/a b/c.flow", " \"/a b/c.flow\" ", "'/a b/c.flow'", "file:///a b/c.flow"] {
            picker.text = text.into();
            assert_eq!(picker.path(), Some("/a b/c.flow".into()), "{text}");
        }
        picker.text = "  ".into();
        assert_eq!(picker.path(), None);
    }
}
