//! The lines at the top (model, pages, device) and at the bottom (what goes on, what went wrong), and the
//! title of a page.

use egui::{Align, Align2, Label, Layout, Rect, RichText, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::button::{focus, icon, word};
use super::icons::Icon;
use super::ring::arc;
use super::status::{Facts, seconds, troubles};
use super::theme::{ACCENT, BODY, DIM, ERROR, HEIGHT, LARGE, LINE, SMALL, TEXT, font};
use super::{App, Now, Page, models, recipe};

/// Name, model, pages, and the device on the right.
pub(super) fn top(app: &mut App, ui: &mut Ui, now: &Now) {
    let rect = ui.max_rect();
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        let (sign, _) = ui.allocate_exact_size(vec2(22.0, 22.0), Sense::hover());
        let stroke = Stroke::new(3.0, ACCENT);
        ui.painter().add(arc(sign.center(), 8.0, 0.08, 0.92, stroke));
        ui.painter().circle_filled(sign.center() - vec2(0.0, 8.0), 2.5, TEXT);
        ui.label(RichText::new("Flowloop").size(LARGE).color(TEXT));
        ui.add_space(8.0);
        let name = format!("Model: {}", models::name(&now.status));
        let training = app.train.progress().map(|share| format!("Training {:.0} %", share * 100.0));
        let pages = [
            (Page::Models, name, "Models: what there is, what each one is, and files by their path"),
            (Page::Train, training.unwrap_or_else(|| "Train".into()), "Learns a model from a folder of your loops"),
            (Page::Export, "Export".into(), "Writes the loop that plays to a WAV file (E)"),
            (Page::Keys, "Keys".into(), "What the keyboard and the mouse do"),
        ];
        for (page, name, help) in pages {
            if word(ui, &name, 0.0, app.page == Some(page), help).clicked() {
                app.turn_to(page);
            }
        }
        let left = ui.cursor().left() + 12.0;
        let device = match (now.status.device.as_str(), now.status.pace) {
            ("", _) => String::new(),
            (device, None) => device.to_string(),
            (device, Some(pace)) => format!("{device} · {} a loop", seconds(pace.seconds(&now.asked))),
        };
        let room = Rect::from_min_max(pos2(left, rect.top()), rect.max);
        let painter = ui.painter().with_clip_rect(room);
        let name = if device.is_empty() { "Device" } else { &device };
        let wide = painter.layout_no_wrap(name.to_string(), font(SMALL), DIM).size().x.min(room.width());
        let room = room.with_min_x(room.right() - wide);
        let response = ui.interact(room, ui.scope_id().with("device"), Sense::click());
        let colour = if response.hovered() || app.page == Some(Page::Devices) { TEXT } else { DIM };
        painter.text(room.right_center(), Align2::RIGHT_CENTER, name, font(SMALL), colour);
        focus(ui, &response);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Device"));
        let help = match now.status.device_with_speeds() {
            none if none.is_empty() => "Where loops are made".into(),
            device => format!("Loops are made on {device}; click to choose"),
        };
        if response.on_hover_text(help).clicked() {
            app.turn_to(Page::Devices);
        }
    });
}

/// The title of a page; true when it is closed.
pub(super) fn title(ui: &mut Ui, page: Page) -> bool {
    let text = match page {
        Page::Models => "Models",
        Page::Devices => "Where loops are made",
        Page::Train => "Train a model on your loops",
        Page::Export => "Export the loop",
        Page::Keys => "Keys and mouse",
    };
    let mut closed = false;
    ui.horizontal(|ui| {
        ui.label(RichText::new(text).size(LARGE));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            closed = icon(ui, Icon::Cross, HEIGHT, "Close page", "Back to the circle (Escape)").clicked();
        });
    });
    closed
}

/// What went wrong with the button that tries again, else what goes on; and the level.
pub(super) fn bottom(app: &mut App, ui: &mut Ui, now: &Now) {
    let rect = ui.max_rect();
    let meter = Rect::from_min_max(pos2(rect.right() - 90.0, rect.top()), rect.max);
    level(ui, meter, app.level);
    let make = &app.params.generate;
    let asked = now.playing.map(|p| recipe::asked(&app.params, &p));
    let facts = Facts {
        status: &now.status,
        seen: &now.seen,
        running: now.running,
        playing: now.playing.as_ref(),
        clip: now.clip.is_some(),
        mode: app.params.play.mode.value(),
        swap: app.params.play.swap.value(),
        stale: !make.auto.value() && asked != now.playing,
    };
    let left = Rect::from_min_max(rect.min, pos2(meter.left() - 12.0, rect.bottom()));
    ui.scope_builder(egui::UiBuilder::new().max_rect(left).layout(Layout::left_to_right(Align::Center)), |ui| {
        let troubles = troubles(&now.status);
        if troubles.is_empty() {
            let line = facts.line();
            ui.add(Label::new(RichText::new(&line).size(BODY).color(TEXT)).truncate()).on_hover_text(line);
            return;
        }
        if word(ui, "Try again", 0.0, false, "Tries once more what failed").clicked() {
            app.session.retry();
        }
        let text = troubles.join("  ·  ");
        let heard = facts.line();
        let label = Label::new(RichText::new(&text).size(BODY).color(ERROR)).truncate();
        let response = ui.add(label.sense(Sense::click())).on_hover_text(format!("{text}\n\n{heard}\n\nClick: copy"));
        if response.clicked() {
            ui.ctx().copy_text(text);
        }
    });
}

/// The largest sample of late, from -48 to 0 dB.
fn level(ui: &Ui, rect: Rect, peak: f32) {
    let track = Rect::from_center_size(rect.center(), vec2(rect.width(), 5.0));
    ui.painter().rect_filled(track, 2.5, LINE);
    let decibels = 20.0 * peak.max(1e-6).log10();
    let share = ((decibels + 48.0) / 48.0).clamp(0.0, 1.0);
    let mut lit = track;
    lit.set_width(track.width() * share);
    if share > 0.0 {
        ui.painter().rect_filled(lit, 2.5, if peak >= 1.0 { ERROR } else { ACCENT });
    }
    ui.interact(rect, ui.scope_id().with("level"), Sense::hover())
        .on_hover_text(format!("Level of the output: {decibels:.1} dB"));
}
