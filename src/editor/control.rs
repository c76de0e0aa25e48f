//! Controls that edit a host parameter: begin, set, end, so that recording automation works.

use egui::{Button, DragValue, RichText, Slider, Ui, vec2};
use nice_plug::prelude::{IntParam, Param, ParamSetter};

use super::theme::{BODY, DIM, SMALL, TITLE};
use crate::plugin::{MAX_SEED, MAX_STEPS};

/// The seed: drag, type, nudge, or roll the dice.
pub(super) fn seed(ui: &mut Ui, param: &IntParam, setter: &ParamSetter) {
    ui.vertical(|ui| {
        ui.label(RichText::new("SEED").size(SMALL).color(DIM));
        ui.horizontal(|ui| {
            let value = param.value();
            if button(ui, "−", "The seed before").clicked() {
                set(param, setter, (value - 1).max(0));
            }
            ui.scope(|ui| {
                ui.style_mut().text_styles.insert(egui::TextStyle::Button, egui::FontId::proportional(TITLE));
                let mut edited = value;
                let drag = ui.add_sized(vec2(96.0, 32.0), DragValue::new(&mut edited).range(0..=MAX_SEED).speed(0.2));
                edit(&drag, param, setter, value, edited);
                drag.on_hover_text("One seed, one clip. Drag, or click and type");
            });
            if button(ui, "+", "The next seed").clicked() {
                set(param, setter, (value + 1).min(MAX_SEED));
            }
            if button(ui, "Dice", "Any other seed").clicked() {
                set(param, setter, fastrand::i32(0..=MAX_SEED));
            }
        });
    });
}

/// The step count.
pub(super) fn steps(ui: &mut Ui, param: &IntParam, setter: &ParamSetter) {
    ui.vertical(|ui| {
        ui.label(RichText::new("STEPS").size(SMALL).color(DIM));
        let value = param.value();
        let mut edited = value;
        ui.spacing_mut().slider_width = 140.0;
        let slider = ui.add_sized(vec2(0.0, 32.0), Slider::new(&mut edited, 1..=MAX_STEPS));
        edit(&slider, param, setter, value, edited);
        slider.on_hover_text("Solver steps: more are finer and slower");
    });
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
                    setter.begin_set_parameter(param);
                    setter.set_parameter_normalized(param, value);
                    setter.end_set_parameter(param);
                }
            }
        });
    });
}

fn button(ui: &mut Ui, text: &str, help: &str) -> egui::Response {
    ui.add_sized(vec2(if text.len() > 3 { 48.0 } else { 32.0 }, 32.0), Button::new(RichText::new(text).size(BODY)))
        .on_hover_text(help)
}

/// One whole edit.
fn set(param: &IntParam, setter: &ParamSetter, value: i32) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, value);
    setter.end_set_parameter(param);
}

/// A drag is one edit from press to release; a typed value is one of its own.
fn edit(response: &egui::Response, param: &IntParam, setter: &ParamSetter, before: i32, after: i32) {
    if response.drag_started() {
        setter.begin_set_parameter(param);
    }
    if after != before {
        match response.dragged() || response.drag_stopped() {
            true => setter.set_parameter(param, after),
            false => set(param, setter, after),
        }
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
    }
    if response.double_clicked() && response.sense.senses_drag() {
        set(param, setter, param.default_plain_value());
    }
}
