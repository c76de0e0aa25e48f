//! The loop as a circle: what plays (its spectrum and outline, beats, hits, playhead), the part of it that
//! loops with handles to move it, and, inside, the next one as it takes shape.

use std::sync::Arc;

use egui::{Align2, Color32, CursorIcon, Pos2, Rect, Response, Role, Sense, Stroke, TextureHandle, Ui, WidgetInfo};
use egui::{TextureOptions, TextureWrapMode, Vec2, vec2};
use nice_plug::prelude::{FloatParam, Param};

use super::hand::Hand;
use super::ring::{arc, direction, image, picture, sector, share_of, spoke, wave};
use super::theme::{ACCENT, BACKGROUND, BODY, DIM, EDGE, LARGE, LINE, NUMBER, PANEL, SMALL, TEXT, font};
use crate::clip::Clip;
use crate::engine::Sketch;
use crate::plugin::FlowloopParams;
use crate::plugin::choices::{Mode, Slices};

/// Radii, as shares of the whole.
const TICKS: [f32; 2] = [0.955, 1.0];
const WAVE: f32 = 0.85;
const REACH: f32 = 0.09;
const SPECTRUM: [f32; 2] = [0.5, 0.74];
const NEXT: [f32; 2] = [0.34, 0.46];
/// Room around the circle for handles, in points.
const MARGIN: f32 = 16.0;
/// From one handle to the other where they would cover each other, in points.
const BESIDE: f32 = 26.0;
/// A handle, in points.
const HANDLE: f32 = 22.0;

/// What is drawn.
pub(super) struct Scene<'a> {
    /// What plays, or would.
    pub clip: Option<&'a Arc<Clip>>,
    /// Its sketch.
    pub sketch: Option<&'a Arc<Sketch>>,
    /// What is being made, or waits.
    pub next: Option<&'a Arc<Sketch>>,
    /// How far that is, 0 to 1.
    pub progress: Option<f32>,
    pub playhead: Option<f32>,
    /// Quarter notes a bar.
    pub bar: f64,
    /// In the middle: large, and below it.
    pub words: [String; 3],
}

/// Textures of what is drawn.
#[derive(Default)]
pub(super) struct Circle {
    playing: Picture,
    next: Picture,
}

#[derive(Default)]
struct Picture {
    of: Option<Arc<Sketch>>,
    texture: Option<TextureHandle>,
}

impl Picture {
    /// The texture of a sketch, sent to the device only when it is another one.
    fn of(&mut self, ui: &Ui, name: &str, sketch: &Arc<Sketch>) -> TextureHandle {
        let same = self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, sketch));
        if let Some(texture) = self.texture.as_mut()
            && !same
        {
            texture.set(image(sketch), OPTIONS);
        }
        self.of = Some(sketch.clone());
        self.texture.get_or_insert_with(|| ui.ctx().load_texture(name, image(sketch), OPTIONS)).clone()
    }
}

const OPTIONS: TextureOptions = TextureOptions { wrap_mode: TextureWrapMode::ClampToEdge, ..TextureOptions::LINEAR };

impl Circle {
    /// Forgets textures; a window that is closed takes them with it.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    pub fn show(&mut self, ui: &mut Ui, rect: Rect, scene: &Scene<'_>, params: &FlowloopParams, hand: &Hand) {
        let radius = (rect.width().min(rect.height()) / 2.0 - MARGIN).max(60.0);
        let centre = rect.center();
        let at = |share: f32| share * radius;
        // A click gives the keys to the window.
        let whole = ui.interact(rect, ui.scope_id().with("circle"), Sense::click());
        whole.widget_info(|| WidgetInfo::labeled(Role::Image, true, "The loop"));
        if whole.clicked() {
            whole.request_focus();
        }
        ui.painter().circle_filled(centre, at(TICKS[0]), PANEL);
        if whole.has_focus() {
            ui.painter().circle_stroke(centre, at(NEXT[0]), Stroke::new(1.5, ACCENT));
        }
        if let Some(sketch) = scene.sketch {
            let texture = self.playing.of(ui, "loop", sketch);
            ui.painter().add(picture(texture.id(), centre, SPECTRUM.map(at)));
            // Hits stand out of their decays.
            ui.painter().add(wave(centre, at(WAVE), at(REACH), &sketch.outline, PANEL.lerp_to_gamma(ACCENT, 0.5)));
            ui.painter().add(wave(centre, at(WAVE), at(REACH) * 0.45, &squared(&sketch.outline), ACCENT));
        } else if let Some(first) = scene.next {
            // The first loop has all the room; it is no sound yet.
            let texture = self.next.of(ui, "next", first);
            ui.painter().add(picture(texture.id(), centre, SPECTRUM.map(at)));
            ui.painter().add(wave(centre, at(WAVE), at(REACH), &first.outline, EDGE));
        } else {
            ui.painter().circle_stroke(centre, at(WAVE), Stroke::new(1.0, LINE));
        }
        if let Some(clip) = scene.clip {
            grid(ui, centre, radius, clip, scene.bar, params);
        }
        part(ui, centre, radius, scene.clip, params, hand);
        if let Some(place) = scene.playhead {
            ui.painter().add(spoke(centre, place, at(SPECTRUM[0]), at(TICKS[1]), Stroke::new(2.0, TEXT)));
        }
        self.making(ui, centre, radius, scene);
        words(ui, centre, at(NEXT[0]), &scene.words);
    }

    /// The ring in which the next loop takes shape, with its progress around it.
    fn making(&mut self, ui: &Ui, centre: Pos2, radius: f32, scene: &Scene<'_>) {
        if let Some(next) = scene.next.filter(|_| scene.sketch.is_some()) {
            let texture = self.next.of(ui, "next", next);
            ui.painter().add(picture(texture.id(), centre, NEXT.map(|r| r * radius)));
        }
        if let Some(progress) = scene.progress {
            let at = (NEXT[1] + SPECTRUM[0]) / 2.0 * radius;
            ui.painter().circle_stroke(centre, at, Stroke::new(2.0, LINE));
            if progress > 0.0 {
                ui.painter().add(arc(centre, at, 0.0, progress.min(1.0), Stroke::new(3.0, ACCENT)));
            }
        }
    }
}

/// Beats, bars and hits; in Slice mode what the keys play.
fn grid(ui: &Ui, centre: Pos2, radius: f32, clip: &Clip, bar: f64, params: &FlowloopParams) {
    let beats = clip.beats.max(1);
    for beat in 0..beats {
        let share = beat as f32 / beats as f32;
        let first = f64::from(beat).rem_euclid(bar.max(1.0)) < 0.5;
        let (from, stroke) = match first {
            true => (TICKS[0] - 0.02, Stroke::new(2.0, DIM)),
            false => (TICKS[0], Stroke::new(1.0, EDGE)),
        };
        ui.painter().add(spoke(centre, share, from * radius, TICKS[1] * radius, stroke));
    }
    let slicing = params.play.mode.value() == Mode::Slice;
    let by_hits = params.play.slices.value() == Slices::Hits && !clip.hits.is_empty();
    let place = |hit: &u32| *hit as f32 / clip.len().max(1) as f32;
    for share in clip.hits.iter().map(place) {
        ui.painter().circle_filled(centre + direction(share) * 0.755 * radius, 1.6, DIM);
    }
    if slicing {
        let cuts: Vec<f32> = match by_hits {
            true => clip.hits.iter().map(place).collect(),
            false => (0..beats).map(|b| b as f32 / beats as f32).collect(),
        };
        let radii = SPECTRUM.map(|r| r * radius);
        let lines = cuts.into_iter().map(|c| spoke(centre, c, radii[0], radii[1], Stroke::new(1.0, TEXT)));
        ui.painter().extend(lines);
    }
}

/// The part that loops, and its handles.
fn part(ui: &Ui, centre: Pos2, radius: f32, clip: Option<&Arc<Clip>>, params: &FlowloopParams, hand: &Hand) {
    let play = &params.play;
    let sixteenths = 4.0 * clip.map_or(8, |c| c.beats.max(1)) as f32;
    let snap = |share: f32| (share * sixteenths).round() / sixteenths;
    let start = snap(play.start.unmodulated_plain_value()).min(1.0 - 1.0 / sixteenths);
    let length = snap(play.length.unmodulated_plain_value()).clamp(1.0 / sixteenths, 1.0);
    if length < 1.0 {
        let radii = [SPECTRUM[0] * radius, TICKS[0] * radius];
        let veil = Color32::from_rgba_unmultiplied(BACKGROUND.r(), BACKGROUND.g(), BACKGROUND.b(), 190);
        ui.painter().add(sector(centre, radii, start + length, start + 1.0, veil));
        let stroke = Stroke::new(2.0, ACCENT);
        ui.painter().add(arc(centre, TICKS[1] * radius + 3.0, start, start + length, stroke));
    }
    let out = radius + 3.0;
    let to = |r: &Response| r.interact_pointer_pos().map(|p| share_of(p - centre));
    let name = "Loop start, on the circle";
    let help = "Where the loop starts: drag along the circle, in 16th notes. Double-click: the clip's start";
    let handle = knob(ui, centre + direction(start) * out, true, name, help, &play.start, hand);
    if let Some(share) = to(&handle).filter(|_| handle.dragged()) {
        hand.set(&play.start, snap(share) % 1.0);
    }
    let end = start + length;
    let name = "Loop length, on the circle";
    let help = "Where the loop ends: drag along the circle, in 16th notes. Double-click: all of the clip";
    // Beside the start's handle while the whole circle loops.
    let shown = if length >= 1.0 { end - BESIDE / (std::f32::consts::TAU * radius) } else { end };
    let handle = knob(ui, centre + direction(shown) * out, false, name, help, &play.length, hand);
    if let Some(share) = to(&handle).filter(|_| handle.dragged()) {
        let way = snap((share - start).rem_euclid(1.0));
        // Nothing is all or next to nothing, whichever is nearer to what it was.
        let least = 1.0 / sixteenths;
        let length = if way < least && length > 0.5 { 1.0 } else { way.max(least) };
        hand.set(&play.length, length);
    }
}

/// A handle at a place, full or hollow; a drag is one movement.
fn knob(ui: &Ui, place: Pos2, full: bool, name: &str, help: &str, param: &FloatParam, hand: &Hand) -> Response {
    let rect = Rect::from_center_size(place, Vec2::splat(HANDLE));
    let response = ui.interact(rect, ui.scope_id().with(name), Sense::click_and_drag());
    if response.drag_started() {
        hand.begin(param);
    }
    if response.drag_stopped() {
        hand.end(param);
    }
    if response.double_clicked() {
        hand.set(param, param.default_normalized_value());
    }
    let hot = response.hovered() || response.dragged() || response.has_focus();
    let (size, colour) = if hot { (7.0, TEXT) } else { (5.5, ACCENT) };
    ui.painter().circle_filled(place, size, if full { colour } else { BACKGROUND });
    ui.painter().circle_stroke(place, size, Stroke::new(2.0, colour));
    response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, name));
    response.on_hover_and_drag_cursor(CursorIcon::Grab).on_hover_text(help)
}

/// An outline's power.
fn squared(outline: &[u8]) -> Vec<u8> {
    outline.iter().map(|v| (u16::from(*v) * u16::from(*v) / 255) as u8).collect()
}

fn words(ui: &Ui, centre: Pos2, radius: f32, words: &[String; 3]) {
    // The type scale, by the room there is.
    let sizes = match radius {
        ..60.0 => [LARGE, SMALL, SMALL],
        60.0..110.0 => [NUMBER, BODY, SMALL],
        _ => [1.6 * NUMBER, LARGE, BODY],
    };
    let colours = [TEXT, DIM, DIM];
    let heights = sizes.map(|s| s * 1.3);
    let shown = words.iter().filter(|w| !w.is_empty()).count();
    let mut y = -heights.iter().take(shown).sum::<f32>() / 2.0;
    for (((text, size), colour), height) in words.iter().zip(sizes).zip(colours).zip(heights) {
        if text.is_empty() {
            continue;
        }
        let place = centre + vec2(0.0, y + height / 2.0);
        let galley = ui.painter().layout_no_wrap(text.clone(), font(size), colour);
        // Within the circle at this height.
        let room = 2.0 * (radius * radius - (y + height / 2.0).powi(2)).max(0.0).sqrt();
        let scale = (room / galley.size().x.max(1.0)).min(1.0);
        ui.painter().text(place, Align2::CENTER_CENTER, text, font(size * scale.max(0.6)), colour);
        y += height;
    }
}
