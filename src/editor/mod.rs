//! The editor's window: what plays, what is being made, and everything to be done about it.
//!
//! It holds no truth of its own: each frame reads the engine's [`Status`], what the audio thread tells in
//! [`Monitor`], and the parameters; what is done goes to the host as edits of parameters (begin, set, end)
//! or to the engine's [`Session`]. So it runs without a host: [`App::frame`] draws into any egui context.
//! Runs on the host's GUI thread; files are read and written on threads of their own.

mod bar;
mod button;
mod circle;
mod columns;
mod devices;
mod dial;
mod export;
mod hand;
mod history;
mod icons;
mod keys;
mod later;
mod models;
mod picker;
mod recipe;
mod ring;
mod seed;
mod status;
mod theme;
mod train;

use std::sync::Arc;
use std::time::Duration;

use egui::{Context, Frame, Margin, Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{EguiEditor, EguiEditorState, EguiNiceSettings, NiceEguiApp, RepaintNotifier, create_egui_editor};

use crate::clip::Clip;
use crate::engine::{Request, Session, Sketch, Status};
use crate::plugin::{FlowloopParams, Monitor, Seen};
use circle::{Circle, Scene};
use devices::Devices;
use export::Export;
use hand::Hand;
use models::Models;
use theme::{BACKGROUND, GAP, PANEL, ROUND};
use train::Train;

/// First size of the window, and its least, in logical pixels.
const SIZE: LogicalSize<f32> = LogicalSize::new(1000.0, 680.0);
const LEAST: LogicalSize<f32> = LogicalSize::new(760.0, 520.0);
/// Heights and widths of what surrounds the circle, in points.
const TOP: f32 = 42.0;
const HISTORY: f32 = 102.0;
const BOTTOM: f32 = 28.0;
const LEFT: f32 = 244.0;
const RIGHT: f32 = 244.0;
/// Height of Auto and Generate below the left column.
const GO: f32 = 44.0;
/// Between two frames while something moves, and while nothing does.
const MOVING: Duration = Duration::from_millis(33);
const RESTING: Duration = Duration::from_millis(150);
/// Without a block for so long the host's audio is off, in seconds.
const STALLED: f64 = 0.6;

/// What is shown instead of the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Models,
    Devices,
    Train,
    Export,
    Keys,
}

/// The window's contents.
pub struct App {
    params: Arc<FlowloopParams>,
    session: Arc<Session>,
    monitor: Arc<Monitor>,
    hand: Hand,
    circle: Circle,
    models: Models,
    devices: Devices,
    train: Train,
    export: Export,
    page: Option<Page>,
    /// Blocks at the last change, and when that was seen, in egui's seconds.
    blocks: (u32, f64),
    /// The loop in the circle: its clip's address, and what it looks like.
    shown: Option<(usize, Arc<Sketch>)>,
    /// To be recalled as soon as its model is there.
    recalled: Option<Request>,
    /// The level that is shown; it falls slowly.
    level: f32,
}

/// What a frame is drawn from.
struct Now {
    status: Status,
    seen: Seen,
    /// The host asks for blocks.
    running: bool,
    /// The clip that plays, or would, and what it was asked for.
    clip: Option<Arc<Clip>>,
    playing: Option<Request>,
    /// What the controls ask for.
    asked: Request,
}

/// The plugin's editor.
pub fn create(params: Arc<FlowloopParams>, session: Arc<Session>, monitor: Arc<Monitor>) -> Option<EguiEditor<App>> {
    let hint = ResizeHint {
        size_constraints: SizeConstraints::Logical { min_size: Some(LEAST.cast()), max_size: None },
        ..ResizeHint::RESIZABLE
    };
    let settings = EguiNiceSettings::new().with_tile("Flowloop").with_resize_hint(hint);
    let app = App::new(params, session, monitor);
    create_egui_editor(EguiEditorState::from_size(SIZE, 1.0), RepaintNotifier::new(), settings, app)
}

impl NiceEguiApp for App {
    fn build(
        &mut self,
        context: Context,
        host: GuiContext,
        _frame: &mut nice_plug_egui::Frame,
    ) -> Result<(), HandlerError> {
        self.open(&context, host);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut nice_plug_egui::Frame) {
        self.frame(ui);
    }

    fn editor_closed(&mut self) {
        self.close();
    }
}

impl App {
    /// Contents without a window.
    pub fn new(params: Arc<FlowloopParams>, session: Arc<Session>, monitor: Arc<Monitor>) -> Self {
        let export = Export::new(session.home());
        Self {
            params,
            session,
            monitor,
            hand: Hand::default(),
            circle: Circle::default(),
            models: Models::default(),
            devices: Devices::default(),
            train: Train::default(),
            export,
            page: None,
            blocks: (0, f64::NEG_INFINITY),
            shown: None,
            recalled: None,
            level: 0.0,
        }
    }

    /// Takes a window and its host.
    pub fn open(&mut self, context: &Context, host: GuiContext) {
        theme::apply(context);
        self.hand.open(host);
        self.train.open();
        self.models.read(&self.session);
    }

    /// Lets go of both. A training goes on.
    pub fn close(&mut self) {
        self.hand.close(&self.params.generate.trigger);
        self.circle.close();
    }

    /// Draws one frame and does what was asked for.
    pub fn frame(&mut self, ui: &mut Ui) {
        let now = self.look(ui);
        self.hand.tick(&self.params.generate.trigger, ui.input(|i| i.time));
        if let Some(request) = self.recalled.filter(|r| r.model == self.session.model()) {
            self.recall(ui, &request, &now);
        }
        keys::press(self, ui, &now);
        let whole = ui.max_rect();
        ui.painter().rect_filled(whole, 0.0, BACKGROUND);
        let [top, left, middle, right, row, bottom] = layout(whole);
        area(ui, "top", top, |ui| bar::top(self, ui, &now));
        panel(ui, "make", left, GO, |ui| columns::make(self, ui, &now));
        let go = Rect::from_min_max(pos2(left.left(), left.bottom() - GO), left.max).shrink2(vec2(12.0, 9.0));
        area(ui, "go", go, |ui| columns::go(self, ui, &now));
        panel(ui, "play", right, 0.0, |ui| columns::play(self, ui));
        area(ui, "middle", middle, |ui| self.middle(ui, &now));
        let mut recalled = None;
        area(ui, "history", row, |ui| {
            recalled = history::show(ui, &now.status, now.playing.as_ref(), &self.session);
        });
        if let Some(request) = recalled {
            self.recall(ui, &request, &now);
        }
        area(ui, "bottom", bottom, |ui| bar::bottom(self, ui, &now));
        let moves = now.seen.playhead.is_some() || now.seen.auditions || now.status.making.is_some();
        ui.ctx().request_repaint_after(if moves { MOVING } else { RESTING });
    }

    /// What goes on at the moment.
    fn look(&mut self, ui: &Ui) -> Now {
        let (status, seen) = (self.session.status(), self.monitor.look());
        let time = ui.input(|i| i.time);
        if seen.blocks != self.blocks.0 {
            self.blocks = (seen.blocks, time);
        }
        let running = time - self.blocks.1 < STALLED;
        self.level = seen.peak.max(self.level * 0.86);
        let newest = status.clip.as_ref().map_or(0, |clip| Arc::as_ptr(clip) as usize);
        let address = if running && seen.clip != 0 { seen.clip } else { newest };
        let heard = status.history.iter().find(|h| address != 0 && h.is_at(address));
        let (clip, playing) = match address == newest {
            true => (status.clip.clone(), status.request),
            false => (heard.and_then(|h| h.clip()), heard.map(|h| h.request)),
        };
        if let Some(sketch) = status.sketch.as_ref().filter(|_| address == newest) {
            self.shown = Some((address, sketch.clone()));
        }
        let make = &self.params.generate;
        let beats = (f64::from(make.bars.value().count()) * seen.bar).round().max(1.0) as u32;
        let like = Request { model: self.session.model(), ..Request::new(0, 1, 0, beats, seen.bpm) };
        let asked = recipe::asked(&self.params, &like);
        Now { status, seen, running, clip, playing, asked }
    }

    /// The circle, or a page over it.
    fn middle(&mut self, ui: &mut Ui, now: &Now) {
        let rect = ui.max_rect();
        let Some(page) = self.page else { return self.circle(ui, rect, now) };
        ui.painter().rect_filled(rect, ROUND, PANEL);
        let inner = rect.shrink2(vec2(16.0, 12.0));
        ui.scope_builder(UiBuilder::new().max_rect(inner), |ui| {
            if bar::title(ui, page) {
                self.page = None;
            }
            match page {
                Page::Models => self.models.show(ui, &now.status, &self.session),
                Page::Devices => self.devices.show(ui, &now.status, &self.session),
                Page::Train => self.train.show(ui, &now.status, &self.session),
                Page::Export => {
                    let name = now.playing.map(|r| recipe::file_name(&r, &now.status.model));
                    let name = name.unwrap_or_else(|| "loop".into());
                    self.export.show(ui, now.clip.as_ref(), &name, self.session.home());
                }
                Page::Keys => keys::page(ui),
            }
        });
    }

    fn circle(&mut self, ui: &mut Ui, rect: Rect, now: &Now) {
        let status = &now.status;
        let newest = status.clip.as_ref().map_or(0, |clip| Arc::as_ptr(clip) as usize);
        let plays_newest = now.clip.as_ref().is_none_or(|clip| Arc::as_ptr(clip) as usize == newest);
        let made = status.making.as_ref().and_then(|(_, sketch)| sketch.as_ref());
        let waits = status.sketch.as_ref().filter(|_| !plays_newest);
        let words = match (&now.playing, &now.clip) {
            (Some(request), Some(clip)) => [
                recipe::seed(request),
                recipe::kind(request, &status.model),
                format!("{} beats · {:.0} bpm", clip.beats, clip.bpm),
            ],
            (None, Some(clip)) => ["Loop".into(), String::new(), format!("{} beats · {:.0} bpm", clip.beats, clip.bpm)],
            _ => ["No loop yet".into(), String::new(), String::new()],
        };
        let scene = Scene {
            clip: now.clip.as_ref(),
            sketch: self.shown.as_ref().map(|(_, sketch)| sketch),
            next: made.or(waits),
            progress: status::progress(status),
            playhead: now.seen.playhead.filter(|_| now.running),
            bar: now.seen.bar,
            words,
        };
        self.circle.show(ui, rect, &scene, &self.params, &self.hand);
    }

    /// Sets the controls to what a clip was asked for, its model too, and makes it play.
    fn recall(&mut self, ui: &Ui, request: &Request, now: &Now) {
        if request.model != self.session.model() {
            self.recalled = Some(*request);
            return self.session.choose_known(request.model);
        }
        self.recalled = None;
        recipe::recall(request, &self.params, &self.hand, now.seen.bar);
        if !self.params.generate.auto.value() {
            self.generate(ui);
        }
    }

    /// Makes what the controls ask for.
    fn generate(&self, ui: &Ui) {
        self.hand.press(&self.params.generate.trigger, ui.input(|i| i.time));
    }

    fn turn_to(&mut self, page: Page) {
        self.page = (self.page != Some(page)).then_some(page);
        match self.page {
            Some(Page::Models) => self.models.read(&self.session),
            Some(Page::Devices) => self.devices.read(&self.session),
            _ => {}
        }
    }
}

/// Top, left, middle, right, the row of history, and the bottom line.
fn layout(whole: Rect) -> [Rect; 6] {
    let (x0, x1) = (whole.left() + GAP, whole.right() - GAP);
    let rows =
        [whole.top(), whole.top() + TOP, whole.bottom() - BOTTOM - HISTORY, whole.bottom() - BOTTOM, whole.bottom()];
    let cell = |left: f32, right: f32, top: f32, bottom: f32| Rect::from_min_max(pos2(left, top), pos2(right, bottom));
    [
        cell(x0, x1, rows[0], rows[1]),
        cell(x0, x0 + LEFT, rows[1], rows[2] - GAP),
        cell(x0 + LEFT + GAP, x1 - RIGHT - GAP, rows[1], rows[2] - GAP),
        cell(x1 - RIGHT, x1, rows[1], rows[2] - GAP),
        cell(x0, x1, rows[2], rows[3]),
        cell(x0, x1, rows[3], rows[4]),
    ]
}

fn area(ui: &mut Ui, name: &str, rect: Rect, contents: impl FnOnce(&mut Ui)) {
    ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| {
        ui.set_clip_rect(rect.expand(2.0).intersect(ui.clip_rect()));
        contents(ui);
    });
}

/// A column of controls, which scrolls where the window is too low for it; `below` is left free.
fn panel(ui: &mut Ui, name: &str, rect: Rect, below: f32, contents: impl FnOnce(&mut Ui)) {
    ui.painter().rect_filled(rect, ROUND, PANEL);
    let rect = rect.with_max_y(rect.bottom() - below);
    area(ui, name, rect, |ui| {
        ScrollArea::vertical().id_salt(name).auto_shrink([false, false]).show(ui, |ui| {
            Frame::new().inner_margin(Margin::symmetric(12, 10)).show(ui, contents);
        });
    });
}
