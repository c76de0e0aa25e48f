//! What is pressed: buttons with words or icons, switches, and rows of choices.

use egui::{Align2, Color32, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use nice_plug::prelude::{BoolParam, Param};

use super::hand::Hand;
use super::icons::{self, Icon};
use super::theme::{ACCENT, BODY, DIM, EDGE, HEIGHT, HOVERED, ON_ACCENT, PANEL, RAISED, ROUND, SMALL, TEXT, font};

/// A name above controls.
pub(super) fn heading(ui: &mut Ui, text: &str) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 13.0), Sense::hover());
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, text, font(SMALL), DIM);
}

/// Ground and words of a button.
fn colours(response: &Response, on: bool) -> (Color32, Color32) {
    match (on, response.enabled(), response.hovered()) {
        (_, false, _) => (PANEL, EDGE),
        (true, ..) => (ACCENT, ON_ACCENT),
        (false, _, true) => (HOVERED, TEXT),
        _ => (RAISED, TEXT),
    }
}

fn ground(ui: &Ui, response: &Response, on: bool) -> Color32 {
    let (fill, words) = colours(response, on);
    ui.painter().rect_filled(response.rect, ROUND, fill);
    focus(ui, response);
    words
}

/// A ring around what the keyboard acts on.
pub(super) fn focus(ui: &Ui, response: &Response) {
    if response.has_focus() {
        let stroke = egui::Stroke::new(1.5, ACCENT);
        ui.painter().rect_stroke(response.rect.expand(2.0), ROUND + 2.0, stroke, egui::StrokeKind::Outside);
    }
}

/// A button with a word; `on` fills it with the accent. `width` 0 is as wide as the word.
pub(super) fn word(ui: &mut Ui, text: &str, width: f32, on: bool, help: &str) -> Response {
    let galley = ui.painter().layout_no_wrap(text.to_string(), font(BODY), TEXT);
    let width = if width > 0.0 { width } else { galley.size().x + 20.0 };
    let response = ui.allocate_response(vec2(width, HEIGHT), Sense::click());
    let words = ground(ui, &response, on);
    let painter = ui.painter().with_clip_rect(response.rect.intersect(ui.clip_rect()));
    painter.text(response.rect.center(), Align2::CENTER_CENTER, text, font(BODY), words);
    response.widget_info(|| WidgetInfo::selected(Role::Button, ui.is_enabled(), on, text));
    response.on_hover_text(help)
}

/// A square button with an icon; `name` is for those who do not see it.
pub(super) fn icon(ui: &mut Ui, icon: Icon, size: f32, name: &str, help: &str) -> Response {
    let response = ui.allocate_response(vec2(size, size), Sense::click());
    let words = ground(ui, &response, false);
    icons::draw(ui.painter(), icon, response.rect.shrink(size * 0.26), words);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    response.on_hover_text(help)
}

/// An icon without a ground at a place, for small actions on other things.
pub(super) fn icon_at(ui: &Ui, rect: Rect, icon: Icon, on: bool, name: &str, help: &str) -> Response {
    let response = ui.interact(rect, ui.scope_id().with((name, rect.min.x as i32)), Sense::click());
    let colour = match (on, response.hovered() || response.has_focus()) {
        (true, _) => ACCENT,
        (_, true) => TEXT,
        _ => DIM,
    };
    icons::draw(ui.painter(), icon, rect.shrink(rect.width() * 0.2), colour);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    response.on_hover_text(help)
}

/// A switch of a parameter.
pub(super) fn switch(ui: &mut Ui, hand: &Hand, param: &BoolParam, width: f32, help: &str) -> Response {
    let response = word(ui, param.name(), width, param.value(), help);
    if response.clicked() {
        hand.set(param, f32::from(!param.value()));
    }
    response
}

/// A row of a parameter's values, one of which is on.
pub(super) fn choices<P: Param>(ui: &mut Ui, hand: &Hand, param: &P, width: f32, help: &str) {
    let count = param.step_count().unwrap_or(1) + 1;
    let now = param.unmodulated_normalized_value();
    let value = |i: usize| i as f32 / (count - 1).max(1) as f32;
    let names: Vec<String> = (0..count).map(|i| param.normalized_value_to_string(value(i), true)).collect();
    let (row, _) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::hover());
    ui.painter().rect_filled(row, ROUND, RAISED);
    let each = width / count as f32;
    for (i, name) in names.iter().enumerate() {
        let rect = Rect::from_min_size(pos2(row.left() + i as f32 * each, row.top()), vec2(each, HEIGHT));
        let response = ui.interact(rect, ui.scope_id().with((param.name(), i)), Sense::click());
        let on = value(i) == now;
        if on || response.hovered() {
            ui.painter().rect_filled(rect, ROUND, if on { ACCENT } else { HOVERED });
        }
        focus(ui, &response);
        let colour = if on { ON_ACCENT } else { TEXT };
        // "4 bars" in a row of bars is 4.
        let short = name.trim_end_matches(" bars").trim_end_matches(" bar");
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, short, font(BODY), colour);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, format!("{}: {name}", param.name())));
        if response.on_hover_text(help).clicked() {
            hand.set(param, value(i));
        }
    }
}
