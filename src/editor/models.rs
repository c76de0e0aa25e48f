//! Which model plays: the built-in one, those in the models folder, or a file by its path.

use std::path::PathBuf;

use egui::{Button, ComboBox, RichText, TextEdit, Ui, vec2};

use super::theme::{BODY, DIM, ERROR, SMALL};
use crate::engine::{Session, Status};

/// Name of the model that comes with the plugin.
const BUILT_IN: &str = "Built-in";

/// What is typed and what the folder held when the list was opened last.
#[derive(Default)]
pub(super) struct Models {
    path: String,
    found: Vec<PathBuf>,
    open: bool,
}

impl Models {
    pub fn show(&mut self, ui: &mut Ui, status: &Status, session: &Session) {
        let model = &status.model;
        ui.horizontal(|ui| {
            ui.label(RichText::new("MODEL").size(SMALL).color(DIM));
            let built_in = model.path.is_none() && model.missing.is_none();
            let name = if built_in { BUILT_IN } else { &model.name };
            let list = ComboBox::from_id_salt("models").width(220.0).selected_text(name).show_ui(ui, |ui| {
                if !std::mem::replace(&mut self.open, true) {
                    self.found = session.models();
                }
                if ui.selectable_label(built_in, BUILT_IN).clicked() {
                    session.choose_built_in();
                }
                for path in &self.found {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy();
                    if ui.selectable_label(model.path.as_ref() == Some(path), name).clicked() {
                        session.choose(path);
                    }
                }
            });
            self.open &= list.inner.is_some();
            let hint = "or the path of a model file";
            ui.add(TextEdit::singleline(&mut self.path).hint_text(hint).desired_width(320.0));
            let named = PathBuf::from(self.path.trim().trim_matches('"'));
            let typed = !named.as_os_str().is_empty();
            let use_it = ui.add_enabled(typed, Button::new(RichText::new("Use").size(BODY)).min_size(vec2(48.0, 0.0)));
            if use_it.clicked() {
                session.choose(&named);
            }
            let here = model.missing.is_some() && ui.add_enabled(typed, Button::new("It is here")).clicked();
            if here {
                session.relocate(&named);
            }
        });
        if let Some(missing) = &model.missing {
            trouble(ui, missing, session);
        }
    }
}

/// What went wrong, and the button that tries again.
pub(super) fn trouble(ui: &mut Ui, message: &str, session: &Session) {
    ui.horizontal(|ui| {
        if ui.button("Try again").clicked() {
            session.retry();
        }
        ui.add(egui::Label::new(RichText::new(message).color(ERROR)).wrap());
    });
}
