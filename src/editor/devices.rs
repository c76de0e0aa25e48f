//! The page of devices: where the net runs, this machine's by a click, another one's by its address.

use egui::{Label, RichText, Role, ScrollArea, TextEdit, Ui, WidgetInfo, vec2};

use super::button::{heading, word};
use super::later::Later;
use super::theme::{DIM, ERROR, SMALL, TEXT};
use crate::engine::{DeviceCard, REMOTE, Session, Status};

/// What was found, and what is typed.
#[derive(Default)]
pub(super) struct Devices {
    cards: Vec<DeviceCard>,
    reading: Later<Vec<DeviceCard>>,
    /// What the user's settings say.
    chosen: String,
    /// The field's text.
    address: String,
    /// The device that was asked for, once it has answered.
    trying: Later<Result<String, String>>,
    said: Option<Result<String, String>>,
}

impl Devices {
    /// Looks for this machine's devices, on another thread; the field shows another machine that is chosen.
    pub fn read(&mut self, session: &Session) {
        self.reading.start(DeviceCard::all);
        self.chosen = session.home().device();
        if let Some(address) = self.chosen.strip_prefix(REMOTE) {
            self.address = address.into();
        }
    }

    pub fn show(&mut self, ui: &mut Ui, status: &Status, session: &Session) {
        if let Some(cards) = self.reading.fetch() {
            self.cards = cards;
        }
        if let Some(tried) = self.trying.fetch() {
            self.said = Some(tried.and_then(|device| session.use_device(&device).map(|()| device)));
            self.chosen = session.home().device();
        }
        let now = if status.device.is_empty() { "nothing yet".into() } else { status.device_with_speeds() };
        ui.label(RichText::new(format!("Loops are made on {now}")).color(TEXT));
        ui.label(RichText::new("The choice is kept for all projects on this computer").color(DIM).size(SMALL));
        heading(ui, "THIS COMPUTER");
        if self.reading.busy() {
            ui.label(RichText::new("looking…").color(DIM).size(SMALL));
        }
        let height = (ui.available_height() - 150.0).max(60.0);
        let mut asked = None;
        ScrollArea::vertical().id_salt("devices").auto_shrink([false, true]).max_height(height).show(ui, |ui| {
            for card in &self.cards {
                ui.horizontal(|ui| {
                    let help = "Makes loops there from now on";
                    if word(ui, &card.id, 90.0, card.id == self.chosen, help).clicked() {
                        asked = Some(card.id.clone());
                    }
                    // What does not fit is shown whole under the mouse.
                    ui.add(Label::new(RichText::new(&card.name).color(DIM)).truncate());
                });
            }
        });
        heading(ui, "ANOTHER COMPUTER");
        let hint = "its name or address, where `flowloop serve` runs: studio:3000";
        let field = TextEdit::singleline(&mut self.address).hint_text(hint).desired_width(f32::INFINITY);
        let field = ui.add(field.margin(vec2(8.0, 5.0)));
        field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Address of another computer"));
        let typed = self.address.trim();
        let typed = format!("{REMOTE}{}", typed.strip_prefix(REMOTE).unwrap_or(typed));
        ui.horizontal(|ui| {
            ui.add_enabled_ui(typed.len() > REMOTE.len() && !self.trying.busy(), |ui| {
                let help = "Makes loops there from now on, when it answers; the connection is not encrypted";
                if word(ui, "Use it", 0.0, typed == self.chosen, help).clicked() {
                    asked = Some(typed.clone());
                }
            });
            if self.trying.busy() {
                ui.label(RichText::new("asking…").color(DIM).size(SMALL));
            }
        });
        if let Some(device) = asked {
            self.said = None;
            self.trying.start(move || DeviceCard::reach(&device).map(|()| device));
        }
        match &self.said {
            Some(Ok(device)) => drop(
                ui.label(RichText::new(format!("From the next loop on: {}", DeviceCard::shown(device))).color(TEXT)),
            ),
            Some(Err(message)) => drop(ui.label(RichText::new(message).color(ERROR))),
            None => {}
        }
    }
}
