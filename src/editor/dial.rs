//! A dial for any parameter: drag up and down (with shift finely), turn the wheel, use the arrow keys,
//! double-click for the default, click its value to type. Shown and typed as the host shows it.

use egui::text::{CCursor, CCursorRange};
use egui::text_edit::TextEditState;
use egui::{Align2, CursorIcon, Event, Id, Key, Modifiers, Painter, Pos2, Rect, Response, Sense, Shape, Stroke, Ui};
use egui::{TextEdit, Vec2, WidgetInfo, pos2, vec2};
use nice_plug::prelude::Param;

use super::button::focus;
use super::hand::Hand;
use super::theme::{ACCENT, DIM, EDGE, LINE, RAISED, SMALL, TEXT, font};

/// Width of a dial with its name and value, in points.
pub(super) const WIDTH: f32 = 53.0;
const KNOB: f32 = 36.0;
const NAME: f32 = 14.0;
const VALUE: f32 = 15.0;
/// Points of a drag from one end to the other.
const TRAVEL: f32 = 160.0;
/// The same with shift.
const FINE: f32 = 1200.0;
/// A notch of the wheel, as a share of the whole.
const NOTCH: f32 = 0.02;
/// From the lower left over the top to the lower right, in radians from upwards.
const ANGLE: f32 = 2.36;

/// A dial named `name`.
pub(super) fn dial<P: Param>(ui: &mut Ui, hand: &Hand, param: &P, name: &str, help: &str) -> Response {
    let size = vec2(WIDTH, NAME + KNOB + VALUE + 2.0);
    let (cell, _) = ui.allocate_exact_size(size, Sense::hover());
    let id = ui.scope_id().with(("dial", param.name()));
    let knob = Rect::from_center_size(pos2(cell.center().x, cell.top() + NAME + KNOB / 2.0), Vec2::splat(KNOB));
    let response = ui.interact(knob, id, Sense::click_and_drag());
    turn(ui, hand, param, &response);
    let value = param.unmodulated_normalized_value();
    let painter = ui.painter();
    painter.text(pos2(cell.center().x, cell.top()), Align2::CENTER_TOP, name, font(SMALL), DIM);
    draw(painter, knob.center(), param, value, response.hovered() || response.dragged());
    focus(ui, &response);
    let shown = param.normalized_value_to_string(value, true);
    typed(ui, hand, param, id, Rect::from_min_max(pos2(cell.left(), knob.bottom()), cell.max), &shown);
    response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), f64::from(value), param.name()));
    let response = response.on_hover_cursor(CursorIcon::ResizeVertical);
    if response.dragged() { response } else { response.on_hover_text(format!("{}: {shown}\n{help}", param.name())) }
}

/// What drags, wheel, keys and double-clicks do.
fn turn<P: Param>(ui: &Ui, hand: &Hand, param: &P, response: &Response) {
    let now = param.unmodulated_normalized_value();
    if response.drag_started() {
        hand.begin(param);
        ui.data_mut(|d| d.insert_temp(response.id, now));
    }
    if response.dragged() {
        let travel = if ui.input(|i| i.modifiers.shift) { FINE } else { TRAVEL };
        let delta = ui.input(|i| i.pointer.delta());
        // Parameters of steps stand still in between: where the hand is, is remembered apart.
        let place = ui.data(|d| d.get_temp(response.id)).unwrap_or(now);
        let place = (place + (delta.x - delta.y) / travel).clamp(0.0, 1.0);
        ui.data_mut(|d| d.insert_temp(response.id, place));
        hand.set(param, place);
    }
    if response.drag_stopped() {
        hand.end(param);
    }
    if response.double_clicked() {
        hand.set(param, param.default_normalized_value());
    }
    if response.hovered() {
        let wheel = ui.input(|i| i.events.iter().map(notches).sum::<f32>());
        if wheel != 0.0 {
            hand.set(param, step(param, now, wheel));
        }
        // The column below stays where it is.
        ui.input_mut(|i| i.smooth_scroll_delta = Vec2::ZERO);
    }
    if response.has_focus() {
        let keys = [(Key::ArrowUp, 1.0), (Key::ArrowDown, -1.0), (Key::PageUp, 5.0), (Key::PageDown, -5.0)];
        ui.memory_mut(|m| {
            let filter = egui::EventFilter { vertical_arrows: true, ..Default::default() };
            m.set_focus_lock_filter(response.id, filter);
        });
        for (key, by) in keys {
            if ui.input_mut(|i| i.consume_key(Modifiers::NONE, key)) {
                hand.set(param, step(param, param.unmodulated_normalized_value(), by));
            }
        }
    }
}

/// Notches of the wheel, whichever way the platform tells it.
fn notches(event: &Event) -> f32 {
    match event {
        Event::MouseWheel { unit: egui::MouseWheelUnit::Line, delta, .. } => delta.y + delta.x,
        Event::MouseWheel { delta, .. } => (delta.y + delta.x) / 40.0,
        _ => 0.0,
    }
}

/// So many notches further, but a whole step of a parameter that has few.
fn step<P: Param>(param: &P, now: f32, notches: f32) -> f32 {
    let least = param.step_count().map_or(0.0, |count| 1.0 / count.max(1) as f32);
    now + notches * if least > 0.005 { least } else { NOTCH.max(least) }
}

/// The value in words; clicked, it is typed.
fn typed<P: Param>(ui: &mut Ui, hand: &Hand, param: &P, id: Id, rect: Rect, shown: &str) {
    let (edit, field) = (id.with("typed"), id.with("field"));
    let Some(mut text) = ui.data(|d| d.get_temp::<String>(edit)) else {
        let value = ui.interact(rect, id.with("value"), Sense::click());
        let colour = if value.hovered() { ACCENT } else { TEXT };
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, shown, font(SMALL), colour);
        let value = value.on_hover_cursor(CursorIcon::Text);
        value.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Type {}", param.name())));
        if value.clicked() {
            ui.data_mut(|d| d.insert_temp(edit, shown.to_string()));
            ui.memory_mut(|m| m.request_focus(field));
        }
        return;
    };
    let response = field_at(ui, rect, field, &mut text);
    if response.lost_focus() {
        ui.data_mut(|d| d.remove_temp::<String>(edit));
        if !ui.input(|i| i.key_pressed(Key::Escape))
            && let Some(value) = param.string_to_normalized_value(&text)
        {
            hand.set(param, value);
        }
    } else {
        ui.data_mut(|d| d.insert_temp(edit, text));
    }
}

/// A text field in the place of a value, with all of it selected at first, so that typing replaces it.
pub(super) fn field_at(ui: &mut Ui, rect: Rect, id: Id, text: &mut String) -> Response {
    let new = TextEdit::load_state(ui.ctx(), id).is_none();
    let field = TextEdit::singleline(text).id(id).font(font(SMALL)).align(Align2::CENTER_CENTER);
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().interact_size.y = rect.height();
            ui.put(rect, field.margin(egui::Margin::ZERO).min_size(rect.size()))
        })
        .inner;
    if new && let Some(mut state) = TextEdit::load_state(ui.ctx(), id) {
        let end = CCursor::new(text.chars().count());
        state.cursor.set_char_range(Some(CCursorRange::two(CCursor::new(0), end)));
        state.store(ui.ctx(), id);
    }
    if response.lost_focus() {
        ui.data_mut(|d| d.remove::<TextEditState>(id));
    }
    response
}

fn draw<P: Param>(painter: &Painter, centre: Pos2, param: &P, value: f32, hot: bool) {
    let radius = KNOB / 2.0 - 3.0;
    // From the middle where the middle is neutral, else from the lower end.
    let neutral = param.default_normalized_value();
    let from = if (0.3..0.7).contains(&neutral) { neutral } else { 0.0 };
    painter.circle_filled(centre, radius - 4.0, if hot { LINE } else { RAISED });
    painter.add(arc(centre, radius, 0.0, 1.0, Stroke::new(3.0, LINE)));
    painter.add(arc(centre, radius, from.min(value), from.max(value), Stroke::new(3.0, ACCENT)));
    let direction = Vec2::angled(angle(value));
    let colour = if hot { TEXT } else { EDGE };
    painter.line_segment([centre + direction * 3.0, centre + direction * (radius - 5.0)], Stroke::new(2.0, colour));
}

/// egui's angle (clockwise from the right) of a normalised value.
fn angle(value: f32) -> f32 {
    (2.0 * value - 1.0) * ANGLE - std::f32::consts::FRAC_PI_2
}

fn arc(centre: Pos2, radius: f32, from: f32, to: f32, stroke: Stroke) -> Shape {
    let parts = ((to - from) * 32.0).ceil().max(1.0) as usize;
    let at = |i: usize| centre + Vec2::angled(angle(from + (to - from) * i as f32 / parts as f32)) * radius;
    Shape::line((0..=parts).map(at).collect(), stroke)
}
