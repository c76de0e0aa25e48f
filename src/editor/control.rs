//! Controls that edit a host parameter: begin, set, end, so that recording automation works.

use egui::{Button, DragValue, RichText, Slider, Ui, vec2};
use nice_plug::prelude::{BoolParam, IntParam, Param, ParamSetter};

use super::theme::{BODY, DIM, SMALL, TITLE};
use crate::plugin::MAX_SEED;

/// The seed: drag, type, nudge, or roll the dice.
pub(super) fn seed(ui: &mut Ui, param: &IntParam, setter: &ParamSetter) {
    ui.vertical(|ui| {
        ui.label(RichText::new("SEED").size(SMALL).color(DIM));
        ui.horizontal(|ui| {
            let value = param.value();
            if button(ui, "−", "The seed before").clicked() {
                set(param, setter, param.preview_normalized((value - 1).max(0)));
            }
            ui.scope(|ui| {
                ui.style_mut().text_styles.insert(egui::TextStyle::Button, egui::FontId::proportional(TITLE));
                let mut edited = value;
                let drag = ui.add_sized(vec2(96.0, 32.0), DragValue::new(&mut edited).range(0..=MAX_SEED).speed(0.2));
                edit(&drag, param, setter, param.preview_normalized(value), param.preview_normalized(edited));
                drag.on_hover_text("One seed, one clip. Drag, or click and type");
            });
            if button(ui, "+", "The next seed").clicked() {
                set(param, setter, param.preview_normalized((value + 1).min(MAX_SEED)));
            }
            if button(ui, "Dice", "Any other seed").clicked() {
                set(param, setter, param.preview_normalized(fastrand::i32(0..=MAX_SEED)));
            }
        });
    });
}

/// A slider for any parameter, shown and typed as the host shows it.
pub(super) fn slider<P: Param>(ui: &mut Ui, param: &P, setter: &ParamSetter, width: f32, help: &str) {
    ui.vertical(|ui| {
        ui.label(RichText::new(param.name().to_uppercase()).size(SMALL).color(DIM));
        let before = param.unmodulated_normalized_value();
        let mut after = before;
        ui.spacing_mut().slider_width = width;
        let show =
            |value: f64, _: std::ops::RangeInclusive<usize>| param.normalized_value_to_string(value as f32, true);
        let read = |text: &str| param.string_to_normalized_value(text).map(f64::from);
        let slider = Slider::new(&mut after, 0.0..=1.0).custom_formatter(show).custom_parser(read);
        let response = ui.add(slider);
        edit(&response, param, setter, before, after);
        response.on_hover_text(help);
    });
}

/// A switch.
pub(super) fn switch(ui: &mut Ui, param: &BoolParam, setter: &ParamSetter, help: &str) {
    let label = RichText::new(param.name()).size(BODY);
    if ui.add_sized(vec2(72.0, 32.0), Button::selectable(param.value(), label)).on_hover_text(help).clicked() {
        set(param, setter, f32::from(!param.value()));
    }
}

/// A button that is on while it is held down.
pub(super) fn trigger(ui: &mut Ui, param: &BoolParam, setter: &ParamSetter, help: &str) {
    let response = button(ui, param.name(), help);
    let down = response.is_pointer_button_down_on() || response.clicked();
    if down != param.value() && (response.contains_pointer() || param.value()) {
        set(param, setter, f32::from(down));
    }
}

/// A parameter of a few named values. Values that have no name of their own are left out.
pub(super) fn choice<P: Param>(ui: &mut Ui, title: &str, param: &P, setter: &ParamSetter) {
    ui.vertical(|ui| {
        ui.label(RichText::new(title).size(SMALL).color(DIM));
        ui.spacing_mut().interact_size.y = 32.0;
        let now = param.unmodulated_normalized_value();
        let text = param.normalized_value_to_string(now, true);
        egui::ComboBox::from_id_salt(title).width(84.0).selected_text(text).show_ui(ui, |ui| {
            let count = param.step_count().unwrap_or(0);
            for value in (0..=count).map(|i| i as f32 / count.max(1) as f32) {
                let name = param.normalized_value_to_string(value, true);
                let unnamed = name.starts_with("Style ");
                if !unnamed && ui.selectable_label(value == now, name).clicked() {
                    set(param, setter, value);
                }
            }
        });
    });
}

fn button(ui: &mut Ui, text: &str, help: &str) -> egui::Response {
    ui.add_sized(
        vec2(
            match text.len() {
                0..=3 => 32.0,
                4..=5 => 48.0,
                _ => 80.0,
            },
            32.0,
        ),
        Button::new(RichText::new(text).size(BODY)),
    )
    .on_hover_text(help)
}

/// One whole edit, to a normalised value.
fn set<P: Param>(param: &P, setter: &ParamSetter, value: f32) {
    setter.begin_set_parameter(param);
    setter.set_parameter_normalized(param, value);
    setter.end_set_parameter(param);
}

/// A drag is one edit from press to release; a typed value is one of its own. Normalised values.
fn edit<P: Param>(response: &egui::Response, param: &P, setter: &ParamSetter, before: f32, after: f32) {
    if response.drag_started() {
        setter.begin_set_parameter(param);
    }
    if after != before {
        match response.dragged() || response.drag_stopped() {
            true => setter.set_parameter_normalized(param, after),
            false => set(param, setter, after),
        }
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
    }
    if response.double_clicked() && response.sense.senses_drag() {
        set(param, setter, param.default_normalized_value());
    }
}
