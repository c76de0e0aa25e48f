//! The page of models: what is in the folder of models, what each one is, and a file by its path.

use egui::{Align2, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::button::{focus, heading, word};
use super::later::Later;
use super::picker::Picker;
use super::theme::{ACCENT, BODY, DIM, ERROR, GAP, HOVERED, PANEL, RAISED, ROUND, SMALL, TEXT, font};
use crate::engine::{ModelCard, Session, Status};

/// Name of the model that comes with the plugin.
const BUILT_IN: &str = "Built-in";
/// Height of a model in the list, in points.
const ROW: f32 = 44.0;

/// What was found, and what is typed.
pub(super) struct Models {
    cards: Vec<ModelCard>,
    reading: Later<Vec<ModelCard>>,
    picker: Picker,
}

impl Default for Models {
    fn default() -> Self {
        Self { cards: Vec::new(), reading: Later::default(), picker: Picker::new(&[".flow"]) }
    }
}

/// The chosen model's name.
pub(super) fn name(status: &Status) -> &str {
    let model = &status.model;
    if model.path.is_none() && model.missing.is_none() { BUILT_IN } else { &model.name }
}

impl Models {
    /// Reads the folder of models, on another thread.
    pub fn read(&mut self, session: &Session) {
        let files = session.models();
        self.reading.start(move || {
            std::iter::once(ModelCard::built_in()).chain(files.iter().map(|path| ModelCard::read(path))).collect()
        });
    }

    pub fn show(&mut self, ui: &mut Ui, status: &Status, session: &Session) {
        if let Some(cards) = self.reading.fetch() {
            self.cards = cards;
        }
        let left = ui.available_height();
        let folder = session.home().models().map_or(String::new(), |f| f.display().to_string());
        ui.horizontal(|ui| {
            ui.label(egui::RichText::new(format!("In {folder}")).color(DIM).size(SMALL));
            if word(ui, "Look again", 0.0, false, "Reads the folder of models once more").clicked() {
                self.read(session);
            }
            if self.reading.busy() {
                ui.label(egui::RichText::new("reading…").color(DIM).size(SMALL));
            }
        });
        let list = ScrollArea::vertical().id_salt("models").auto_shrink([false, true]);
        list.max_height((left * 0.42).max(ROW * 2.0)).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            for card in &self.cards {
                let chosen = match &card.path {
                    None => status.model.path.is_none() && status.model.missing.is_none(),
                    Some(_) => !card.hash.is_empty() && card.hash == status.model.hash,
                };
                if row(ui, card, chosen) {
                    match &card.path {
                        _ if card.trouble.is_some() => {}
                        None => session.choose_built_in(),
                        Some(path) => session.choose(path),
                    }
                }
            }
        });
        self.details(ui, status);
        heading(ui, "OPEN A MODEL FILE");
        let height = (ui.available_height() - 80.0).max(60.0);
        let picked = self.picker.show(ui, "Path of a model", "path of a .flow file, or a folder", height);
        if let Some(path) = picked {
            session.choose(&path);
        }
        ui.horizontal(|ui| {
            let typed = self.picker.path().filter(|p| p.extension().is_some());
            ui.add_enabled_ui(typed.is_some(), |ui| {
                if word(ui, "Open model", 0.0, false, "Makes loops with the typed file's model from now on").clicked()
                    && let Some(path) = &typed
                {
                    session.choose(path);
                }
                let missing = status.model.missing.is_some();
                if missing
                    && word(ui, "The missing one is here", 0.0, false, "Only the very same file is taken").clicked()
                    && let Some(path) = &typed
                {
                    session.relocate(path);
                }
            });
        });
    }

    /// All that is known of the chosen model.
    fn details(&self, ui: &mut Ui, status: &Status) {
        let chosen = self.cards.iter().find(|c| match &c.path {
            None => status.model.path.is_none() && status.model.missing.is_none(),
            Some(_) => c.hash == status.model.hash,
        });
        let Some(card) = chosen else { return };
        let labels = if card.labels.is_empty() { "none".into() } else { card.labels.join(", ") };
        let keyed = match card.keyed.is_empty() {
            true => String::new(),
            false => format!("; in any key: {}", card.keyed.join(", ")),
        };
        let text = format!("Styles: {labels}{keyed}");
        let small = |text: String, colour| egui::RichText::new(text).size(SMALL).color(colour);
        ui.label(small(text, TEXT));
        let credits = if card.credits.is_empty() { "not said".into() } else { card.credits.clone() };
        ScrollArea::vertical().id_salt("credits").max_height(44.0).show(ui, |ui| {
            ui.label(small(format!("Sources and licences: {credits}"), DIM));
        });
        ui.add_space(GAP / 2.0);
    }
}

/// One model; true when it is to be used.
fn row(ui: &mut Ui, card: &ModelCard, chosen: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 6.0, ROW), Sense::click());
    let fill = if response.hovered() { HOVERED } else { RAISED };
    ui.painter().rect_filled(rect, ROUND, if chosen { PANEL } else { fill });
    if chosen {
        ui.painter().rect_stroke(rect, ROUND, Stroke::new(1.5, ACCENT), egui::StrokeKind::Inside);
    }
    focus(ui, &response);
    let name = if card.path.is_none() { format!("{BUILT_IN}: {}", card.name) } else { card.name.clone() };
    let painter = ui.painter().with_clip_rect(rect.shrink(4.0).intersect(ui.clip_rect()));
    let at = |y: f32| pos2(rect.left() + 12.0, rect.top() + y);
    painter.text(at(13.0), Align2::LEFT_CENTER, &name, font(BODY), if chosen { ACCENT } else { TEXT });
    let (below, colour) = match &card.trouble {
        Some(trouble) => (trouble.clone(), ERROR),
        None => (facts(card), DIM),
    };
    painter.text(at(31.0), Align2::LEFT_CENTER, below, font(SMALL), colour);
    let size = if card.size > 0 { format!("{:.1} MB", card.size as f64 / 1e6) } else { String::new() };
    let right = pos2(rect.right() - 12.0, rect.top() + 13.0);
    painter.text(right, Align2::RIGHT_CENTER, size, font(SMALL), DIM);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, format!("Model {name}")));
    let response = match &card.trouble {
        Some(trouble) => response.on_hover_text(trouble),
        None => response.on_hover_text("Makes loops with this model from now on"),
    };
    response.clicked()
}

/// Styles, lengths, training and hash in a line.
fn facts(card: &ModelCard) -> String {
    let styles = match card.labels.len() {
        0 => "no styles".to_string(),
        1 => "1 style".into(),
        n => format!("{n} styles"),
    };
    let length = match card.beats {
        1 => "loops of whole beats".to_string(),
        n => format!("loops in multiples of {n} beats"),
    };
    let hash: String = card.hash.chars().take(8).collect();
    let hash = if hash.is_empty() { "part of the plugin".into() } else { format!("BLAKE3 {hash}") };
    format!("{styles} · {length} · {} training steps · {hash}", thousands(card.trained_steps))
}

/// A number with commas.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_model_are_in_words() {
        let card = ModelCard {
            labels: vec!["a".into(), "b".into()],
            beats: 2,
            trained_steps: 1_234_567,
            hash: "0123456789".into(),
            ..ModelCard::built_in()
        };
        let expected = "2 styles · loops in multiples of 2 beats · 1,234,567 training steps · BLAKE3 01234567";
        assert_eq!(facts(&card), expected);
        assert!(facts(&ModelCard::built_in()).ends_with("part of the plugin"));
        assert_eq!([0, 999, 1000].map(thousands), ["0", "999", "1,000"]);
    }
}
