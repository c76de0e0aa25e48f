//! The two columns of controls: what is made, and how it is played.

use egui::{ComboBox, RichText, Role, Ui, WidgetInfo};
use nice_plug::prelude::{IntParam, Param};

use super::button::{choices, heading, switch, word};
use super::dial::dial;
use super::hand::Hand;
use super::theme::{BODY, DIM, GAP, SMALL, TEXT};
use super::{App, Now, recipe, seed, status};
use crate::key::Key;

/// Left: seed, steps, style, key, length.
pub(super) fn make(app: &mut App, ui: &mut Ui, now: &Now) {
    let (make, hand) = (&app.params.generate, &app.hand);
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 6.0;
    heading(ui, "SEED");
    seed::seed(ui, hand, &make.seed);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        dial(ui, hand, &make.morph, "Morph", "From this seed's loop towards the next seed's");
        dial(ui, hand, &make.variation, "Variation", "How far a take goes from the seed's own loop");
        dial(ui, hand, &make.take, "Take", "Which variation; it counts when Variation is above 0");
        dial(ui, hand, &make.guidance, "Guidance", "How strictly style and key are kept; 1 is as learnt");
    });
    ui.add_space(GAP);
    heading(ui, "STEPS");
    ui.horizontal(|ui| {
        dial(ui, hand, &make.steps, "Steps", "Solver steps: more are finer and slower");
        ui.vertical(|ui| {
            let width = ui.available_width();
            choices(ui, hand, &make.solver, width, "Adams is the finest for its time, Heun takes twice as long");
            let (words, colour) = time(now);
            ui.label(RichText::new(words).size(SMALL).color(colour));
        });
    });
    ui.add_space(GAP);
    heading(ui, "STYLE AND KEY");
    let (model, of) = (&now.status.model, make.style.unmodulated_plain_value().max(0) as usize);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (style, key) = (width * 0.56, width * 0.44 - 6.0);
        list(ui, hand, &make.style, model.labels.len(), style, "One of the model's styles, or any");
        let keyed = model.keyed.get(of).copied().unwrap_or(true);
        let help = match (keyed, model.keyed.contains(&true)) {
            (true, _) => "The key of the loop; any is one of the seed's own",
            (false, true) => "This style has no key: it sounds the same in all of them",
            (false, false) => {
                "This model knows no keys. One that is trained on loops with keys in their names (_Am) does"
            }
        };
        ui.scope(|ui| {
            ui.set_opacity(if keyed { 1.0 } else { 0.5 });
            list(ui, hand, &make.key, Key::COUNT, key, help);
        });
    });
    heading(ui, "BARS");
    choices(ui, hand, &make.bars, width, "Length in bars of the project's time signature");
}

/// Below them, always in sight: Auto and Generate.
pub(super) fn go(app: &mut App, ui: &mut Ui, now: &Now) {
    let (make, hand) = (&app.params.generate, &app.hand);
    ui.horizontal(|ui| {
        let help = "Follows each change of the controls at once. Off: only Generate makes a loop";
        switch(ui, hand, &make.auto, 64.0, help);
        let width = ui.available_width();
        let waits = now.playing.is_some_and(|p| recipe::asked(&app.params, &p) != p) || now.playing.is_none();
        let on = make.trigger.value() || (waits && !make.auto.value());
        if word(ui, "Generate", width, on, "Makes what the controls ask for (G)").clicked() {
            app.generate(ui);
        }
    });
}

/// What a clip takes, beside the steps that it depends on.
fn time(now: &Now) -> (String, egui::Color32) {
    let about = now.status.pace.map(|pace| format!("about {} a loop here", status::seconds(pace.seconds(&now.asked))));
    let last = now.status.seconds.map(|s| format!("last: {}", status::seconds(s)));
    match (about, last) {
        (Some(about), Some(last)) => (format!("{about}\n{last}"), TEXT),
        (Some(about), None) => (format!("{about}\nlast: was there already"), TEXT),
        _ => ("the time of a loop shows\nafter the first".into(), DIM),
    }
}

/// A parameter's values from 0 to `most`, by name.
fn list(ui: &mut Ui, hand: &Hand, param: &IntParam, most: usize, width: f32, help: &str) {
    let now = param.unmodulated_plain_value();
    let name = |value: i32| param.normalized_value_to_string(param.preview_normalized(value), true);
    let list = ComboBox::from_id_salt(param.name()).width(width).height(320.0);
    let list = list.selected_text(RichText::new(name(now)).size(BODY)).show_ui(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for value in 0..=most as i32 {
            let colour = if value == now { super::theme::ON_ACCENT } else { TEXT };
            if ui.selectable_label(value == now, RichText::new(name(value)).color(colour)).clicked() {
                hand.set_plain(param, value);
            }
        }
    });
    list.response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, param.name()));
    list.response.on_hover_text(help);
}

/// Right: how it is played, the envelope of notes, the output.
pub(super) fn play(app: &mut App, ui: &mut Ui) {
    let (play, voice, output, hand) = (&app.params.play, &app.params.voice, &app.params.output, &app.hand);
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 6.0;
    heading(ui, "PLAYS BY");
    let help = "Trigger: notes start it and set its pitch. Sync: it goes with the host's transport. Slice: each key \
                from C1 plays a piece";
    choices(ui, hand, &play.mode, width, help);
    heading(ui, "A NEW LOOP TAKES OVER");
    choices(ui, hand, &play.swap, width, "At once, or at the next beat, bar or start of the loop");
    heading(ui, "SLICES");
    ui.horizontal(|ui| {
        choices(ui, hand, &play.slices, width - 82.0, "Slices begin at each beat, or at each hit");
        switch(ui, hand, &play.reverse, 74.0, "Plays backwards");
    });
    ui.add_space(GAP);
    heading(ui, "PART");
    row(ui, |ui| {
        dial(ui, hand, &play.start, "Start", "Where the loop starts, in 16th notes; or drag the circle's handle");
        dial(ui, hand, &play.length, "Length", "How much of it loops, in 16th notes; or drag the circle's handle");
        dial(ui, hand, &voice.bend_range, "Bend", "Semitones at the pitch wheel's ends");
    });
    heading(ui, "ENVELOPE OF A NOTE");
    row(ui, |ui| {
        dial(ui, hand, &voice.attack, "Attack", "Time to full level");
        dial(ui, hand, &voice.decay, "Decay", "Time from full level to Sustain");
        dial(ui, hand, &voice.sustain, "Sustain", "Level of a held note");
        dial(ui, hand, &voice.release, "Release", "Time to silence after a note");
    });
    heading(ui, "OUTPUT");
    row(ui, |ui| {
        dial(ui, hand, &output.gain, "Gain", "Level of all");
        dial(ui, hand, &output.pan, "Pan", "Left and right");
        dial(ui, hand, &output.low_cut, "Low cut", "Takes away what is below; off at its lowest");
        dial(ui, hand, &output.high_cut, "High cut", "Takes away what is above; off at its highest");
    });
}

fn row(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        contents(ui);
    });
}
