//! The seed: one number, one loop. Drag it, type it, nudge it, roll the dice.

use egui::{Align2, CursorIcon, Id, Key, Rect, Role, Sense, Ui, WidgetInfo, vec2};
use nice_plug::prelude::{IntParam, Param};

use super::button::{focus, icon};
use super::dial::field_at;
use super::hand::Hand;
use super::icons::Icon;
use super::theme::{ACCENT, GAP, NUMBER, PANEL, ROUND, TEXT, font};
use crate::plugin::MAX_SEED;

const HEIGHT: f32 = 44.0;
const BUTTON: f32 = 32.0;
/// Points of a drag for the next seed.
const APART: f32 = 5.0;

pub(super) fn seed(ui: &mut Ui, hand: &Hand, param: &IntParam) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = ui.available_width() - 3.0 * (BUTTON + 4.0);
        number(ui, hand, param, width);
        let buttons = [
            (Icon::Left, "Seed before", "The seed before: its loop is mostly ready (left arrow)"),
            (Icon::Right, "Next seed", "The next seed: its loop is mostly ready (right arrow)"),
            (Icon::Dice, "Any seed", "Any other seed (D)"),
        ];
        for (shape, name, help) in buttons {
            ui.vertical(|ui| {
                ui.add_space((HEIGHT - BUTTON) / 2.0);
                if icon(ui, shape, BUTTON, name, help).clicked() {
                    match shape {
                        Icon::Left => nudge(hand, param, -1),
                        Icon::Right => nudge(hand, param, 1),
                        _ => roll(hand, param),
                    }
                }
            });
        }
    });
    ui.add_space(GAP / 2.0);
}

/// So many seeds further.
pub(super) fn nudge(hand: &Hand, param: &IntParam, by: i32) {
    hand.set_plain(param, (param.value() + by).clamp(0, MAX_SEED));
}

/// Any seed but this.
pub(super) fn roll(hand: &Hand, param: &IntParam) {
    let other = fastrand::i32(0..MAX_SEED);
    hand.set_plain(param, if other >= param.value() { other + 1 } else { other });
}

fn number(ui: &mut Ui, hand: &Hand, param: &IntParam, width: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::hover());
    let id = ui.scope_id().with("seed");
    if let Some(text) = ui.data(|d| d.get_temp::<String>(id)) {
        return typed(ui, hand, param, id, rect, text);
    }
    let response = ui.interact(rect, id, Sense::click_and_drag());
    ui.painter().rect_filled(rect, ROUND, PANEL);
    let colour = if response.hovered() || response.dragged() { ACCENT } else { TEXT };
    let text = param.value().to_string();
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, text, font(NUMBER), colour);
    focus(ui, &response);
    if response.drag_started() {
        hand.begin(param);
        ui.data_mut(|d| d.insert_temp(id.with("from"), param.value() as f32));
    }
    if response.dragged() {
        let delta = ui.input(|i| i.pointer.delta());
        let from = id.with("from");
        let place: f32 = ui.data(|d| d.get_temp(from)).unwrap_or(param.value() as f32);
        let place = (place + (delta.x - delta.y) / APART).clamp(0.0, MAX_SEED as f32);
        ui.data_mut(|d| d.insert_temp(from, place));
        hand.set_plain(param, place.round() as i32);
    }
    if response.drag_stopped() {
        hand.end(param);
    }
    let enter = response.has_focus() && ui.input(|i| i.key_pressed(Key::Enter));
    if response.clicked() || enter {
        ui.data_mut(|d| d.insert_temp(id, param.value().to_string()));
        ui.memory_mut(|m| m.request_focus(id.with("field")));
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::SpinButton, true, "Seed");
        info.value = Some(param.value().into());
        info
    });
    response
        .on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal)
        .on_hover_text("One seed, one loop: the same number always gives the same one. Drag, or click and type");
}

fn typed(ui: &mut Ui, hand: &Hand, param: &IntParam, id: Id, rect: Rect, mut text: String) {
    let response = field_at(ui, rect, id.with("field"), &mut text);
    if response.lost_focus() {
        ui.data_mut(|d| d.remove_temp::<String>(id));
        let value = param.string_to_normalized_value(text.trim());
        if !ui.input(|i| i.key_pressed(Key::Escape))
            && let Some(value) = value
        {
            hand.set(param, value);
        }
    } else {
        ui.data_mut(|d| d.insert_temp(id, text));
    }
}
