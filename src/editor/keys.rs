//! The keyboard. Hosts need their keys, so the window takes them only while something in it has the focus:
//! a click into the circle or the tabulator gives it, Escape gives the keys back to the host.

use egui::{Key, Modifiers, RichText, Ui};

use super::theme::{ACCENT, BODY, DIM};
use super::{App, Now, Page, seed};

/// The keys and what they do.
const KEYS: [(&str, &str); 9] = [
    ("D", "any seed"),
    ("left, right", "the seed before, the next seed"),
    ("G", "Generate"),
    ("S", "stars what plays, or does not any more"),
    ("C", "between A and B, once both are set"),
    ("E, M", "Export, Models"),
    ("Tab", "from control to control; up and down turn a dial, Enter presses a button"),
    ("Escape", "ends listening, closes a page, gives the keys back to the host"),
    (
        "Mouse",
        "drag a dial up and down, with shift finely; wheel; double-click for its default; click its value to type",
    ),
];

/// Does what keys ask for, while the window has them and nothing is typed.
pub(super) fn press(app: &mut App, ui: &mut Ui, now: &Now) {
    let focused = ui.memory(|m| m.focused());
    if focused.is_none() || ui.ctx().text_edit_focused() {
        return;
    }
    let pressed = |key: Key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
    let (make, hand) = (&app.params.generate, &app.hand);
    if pressed(Key::D) {
        seed::roll(hand, &make.seed);
    }
    if pressed(Key::ArrowLeft) {
        seed::nudge(hand, &make.seed, -1);
    }
    if pressed(Key::ArrowRight) {
        seed::nudge(hand, &make.seed, 1);
    }
    if pressed(Key::G) {
        app.generate(ui);
    }
    if pressed(Key::S)
        && let Some(heard) = now.status.history.iter().find(|h| Some(h.request) == now.playing)
    {
        app.session.star(&heard.request, !heard.starred);
    }
    if pressed(Key::E) {
        app.turn_to(Page::Export);
    }
    if pressed(Key::M) {
        app.turn_to(Page::Models);
    }
    if pressed(Key::C)
        && let [Some(a), Some(b)] = now.status.compared
    {
        let other = if now.playing == Some(a) { b } else { a };
        app.recall(ui, &other, now);
    }
    if pressed(Key::Escape) {
        if now.status.auditioned.is_some() {
            app.session.end_audition();
        } else if app.page.take().is_none()
            && let Some(id) = focused
        {
            ui.memory_mut(|m| m.surrender_focus(id));
        }
    }
}

/// The page that says so.
pub(super) fn page(ui: &mut Ui) {
    let words = "The keys are the host's until you click into the circle or press Tab.";
    ui.label(RichText::new(words).color(DIM));
    ui.add_space(6.0);
    egui::Grid::new("keys").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
        for (key, does) in KEYS {
            ui.label(RichText::new(key).size(BODY).color(ACCENT));
            ui.add(egui::Label::new(RichText::new(does).size(BODY)).wrap());
            ui.end_row();
        }
    });
}
