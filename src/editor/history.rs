//! What was heard, as small circles in a row: click to recall, listen without changing what plays, keep
//! with a star, compare two.

use std::sync::Arc;

use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, Galley, Painter, Rect, Response, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::button::{focus, icon_at, word};
use super::icons::Icon;
use super::recipe;
use super::ring::wave;
use super::theme::{ACCENT, BODY, DIM, EDGE, GAP, HOVERED, ON_ACCENT, PANEL, ROUND, SMALL, TEXT, font};
use crate::engine::{Heard, Request, Session, Status};

/// Width and height of an entry, in points.
const ENTRY: [f32; 2] = [68.0, 94.0];
const SMALL_BUTTON: f32 = 20.0;
/// Names of the two that are compared.
pub(super) const NAMES: [&str; 2] = ["A", "B"];

/// Draws the row; gives back what is to be recalled.
pub(super) fn show(ui: &mut Ui, status: &Status, playing: Option<&Request>, session: &Session) -> Option<Request> {
    let mut recalled = None;
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(84.0);
            recalled = compare(ui, status, playing, session);
        });
        if status.history.is_empty() {
            let words = "Each loop that you hear is kept here: click to recall it";
            ui.painter().text(ui.max_rect().center(), Align2::CENTER_CENTER, words, font(BODY), DIM);
            return;
        }
        let row = ScrollArea::horizontal().id_salt("history").auto_shrink([false, true]).stick_to_right(true);
        row.show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = GAP / 2.0;
            ui.horizontal_top(|ui| {
                for heard in &status.history {
                    if entry(ui, heard, status, playing, session).clicked() {
                        recalled = Some(heard.request);
                    }
                }
            });
        });
    });
    recalled
}

/// A and B: takes what plays, then goes back and forth.
fn compare(ui: &mut Ui, status: &Status, playing: Option<&Request>, session: &Session) -> Option<Request> {
    ui.spacing_mut().item_spacing.y = 4.0;
    let mut recalled = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (which, name) in NAMES.into_iter().enumerate() {
            let held = status.compared[which];
            let on = held.is_some() && held.as_ref() == playing;
            let help = match held {
                None => format!("Takes what plays as {name}"),
                Some(held) => {
                    let what = recipe::describe(&held, &status.model);
                    format!("Recalls {name}: {what}. Tab goes back and forth. Right click: takes what plays instead")
                }
            };
            let response = word(ui, name, 40.0, on, &help);
            match held {
                Some(held) if response.clicked() => recalled = Some(held),
                None if response.clicked() => session.compare(which, playing.copied()),
                _ if response.secondary_clicked() => session.compare(which, playing.copied()),
                _ => {}
            }
        }
    });
    let both = status.compared.iter().any(Option::is_some);
    ui.add_enabled_ui(both, |ui| {
        if word(ui, "Forget", 84.0, false, "Forgets A and B").clicked() {
            (0..2).for_each(|which| session.compare(which, None));
        }
    });
    let listening = status.auditioned.is_some();
    ui.add_enabled_ui(listening, |ui| {
        if word(ui, "Stop", 84.0, listening, "Ends listening (Escape)").clicked() {
            session.end_audition();
        }
    });
    recalled
}

fn entry(ui: &mut Ui, heard: &Heard, status: &Status, playing: Option<&Request>, session: &Session) -> Response {
    let (rect, response) = ui.allocate_exact_size(ENTRY.into(), Sense::click());
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let request = &heard.request;
    let on = playing == Some(request);
    let fill = if response.hovered() { HOVERED } else { PANEL };
    ui.painter().rect_filled(rect, ROUND, fill);
    if on {
        ui.painter().rect_stroke(rect, ROUND, Stroke::new(1.5, ACCENT), egui::StrokeKind::Inside);
    }
    focus(ui, &response);
    let centre = pos2(rect.center().x, rect.top() + 34.0);
    let colour = if on { ACCENT } else { DIM };
    match heard.outline.is_empty() {
        true => drop(ui.painter().circle_stroke(centre, 18.0, Stroke::new(1.0, EDGE))),
        false => drop(ui.painter().add(wave(centre, 18.0, 9.0, &heard.outline, colour))),
    }
    let seed = recipe::seed(request);
    let below = |y: f32| pos2(rect.center().x, rect.bottom() - y);
    let inside = rect.shrink(2.0);
    let painter = ui.painter().with_clip_rect(inside.intersect(ui.clip_rect()));
    painter.text(below(17.0), Align2::CENTER_BOTTOM, &seed, font(SMALL), if on { ACCENT } else { TEXT });
    let detail = fitted(&painter, recipe::short(request, &status.model), inside.width());
    painter.galley(Align2::CENTER_BOTTOM.anchor_size(below(3.0), detail.size()).min, detail, DIM);
    marks(ui, rect, heard, status, session, response.contains_pointer());
    let what = recipe::describe(request, &status.model);
    let length = format!("{} beats at {:.2} bpm", request.beats, request.bpm());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("Recall seed {seed}")));
    response.on_hover_text(format!("Recall {what}\n{length}"))
}

/// A line of text no wider than `width`: smaller where that is enough, else cut off.
fn fitted(painter: &Painter, text: String, width: f32) -> Arc<Galley> {
    let line = |size: f32| {
        let mut job = LayoutJob::simple_singleline(text.clone(), font(size), DIM);
        job.wrap = TextWrapping::truncate_at_width(width);
        painter.layout_job(job)
    };
    let sizes = [SMALL, 0.9 * SMALL].into_iter();
    sizes.map(line).find(|line| !line.elided).unwrap_or_else(|| line(0.8 * SMALL))
}

/// A star, a button to listen, and the letter of what is compared.
fn marks(ui: &Ui, rect: Rect, heard: &Heard, status: &Status, session: &Session, hovered: bool) {
    let request = heard.request;
    let seed = recipe::seed(&request);
    let corner = |x: f32| Rect::from_min_size(pos2(x, rect.top() + 1.0), vec2(SMALL_BUTTON, SMALL_BUTTON));
    let listens = status.auditioned == Some(request);
    if hovered || listens {
        let (icon, name, help) = match listens {
            true => (Icon::Stop, format!("Stop listening to seed {seed}"), "Ends listening"),
            false => {
                (Icon::Play, format!("Listen to seed {seed}"), "Listens to it beside what plays, which stays as it is")
            }
        };
        if icon_at(ui, corner(rect.left() + 1.0), icon, listens, &name, help).clicked() {
            match listens {
                true => session.end_audition(),
                false => drop(session.audition(request)),
            }
        }
    }
    if hovered || heard.starred {
        let (icon, name, help) = match heard.starred {
            true => (Icon::StarFull, format!("Unstar seed {seed}"), "Kept: the last to make room. Click: not any more"),
            false => (Icon::Star, format!("Star seed {seed}"), "Keeps it when the row is full (S for what plays)"),
        };
        let place = corner(rect.right() - SMALL_BUTTON - 1.0);
        if icon_at(ui, place, icon, heard.starred, &name, help).clicked() {
            session.star(&request, !heard.starred);
        }
    }
    let letter = (0..2).find(|which| status.compared[*which] == Some(request));
    if let Some(which) = letter {
        let place = Rect::from_center_size(pos2(rect.center().x, rect.top() + 34.0), vec2(16.0, 16.0));
        ui.painter().circle_filled(place.center(), 8.0, ACCENT);
        ui.painter().text(place.center(), Align2::CENTER_CENTER, NAMES[which], font(SMALL), ON_ACCENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_smaller_before_it_is_cut_off() {
        let ctx = egui::Context::default();
        let seen = |text: &str| {
            let mut seen = None;
            drop(ctx.run_ui(egui::RawInput::default(), |ui| {
                let line = fitted(ui.painter(), text.into(), ENTRY[0] - 4.0);
                seen = Some((line.size(), line.elided));
            }));
            seen.unwrap()
        };
        let (short, long, too_long) = (seen("dnb 16"), seen("chords D#maj"), seen("drum & bass with a name F#m v3"));
        assert!(!short.1 && !long.1 && too_long.1);
        assert!(long.0.y < short.0.y, "{} {}", long.0.y, short.0.y);
        assert!([short, long, too_long].iter().all(|(size, _)| size.x <= ENTRY[0] - 4.0));
    }
}
