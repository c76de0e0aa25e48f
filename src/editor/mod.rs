//! The editor's window: what plays, what is being made, and the controls.
//!
//! It holds no truth of its own: each frame reads the engine's status, the parameters and the
//! playhead, and edits go to the host as begin, set, end. Runs on the host's GUI thread.

mod control;
mod models;
mod theme;
mod waveform;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use egui::{Align, Context, Frame, Layout, ProgressBar, RichText, Ui, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::prelude::ResizeHint;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{EguiEditor, EguiEditorState, EguiNiceSettings, NiceEguiApp, RepaintNotifier, create_egui_editor};

use crate::engine::{Activity, Session, Status};
use crate::plugin::{FlowloopParams, companion};
use models::Models;
use theme::{ACCENT, BACKGROUND, DIM, SMALL, TITLE};
use waveform::Waveform;

/// First size of the window, in logical pixels.
const SIZE: LogicalSize<f32> = LogicalSize::new(960.0, 640.0);
/// Width of a column of controls, and length of a slider in it, in points.
const CELL: f32 = 176.0;
const ROW: f32 = 96.0;
/// Height of what is below the waveform, in points.
const BELOW: f32 = 340.0;

/// The window's contents.
pub struct App {
    params: Arc<FlowloopParams>,
    session: Arc<Session>,
    /// Place of the newest note in the loop (bits of an f32), negative when silent.
    playhead: Arc<AtomicU32>,
    waveform: Waveform,
    models: Models,
    /// The companion program, looked for when the window opens.
    companion: Option<PathBuf>,
    host: Option<GuiContext>,
}

/// The plugin's editor.
pub fn create(params: Arc<FlowloopParams>, session: Arc<Session>, playhead: Arc<AtomicU32>) -> Option<EguiEditor<App>> {
    let hint = ResizeHint {
        can_resize: true,
        can_resize_horizontally: true,
        can_resize_vertically: true,
        ..ResizeHint::NON_RESIZABLE
    };
    let settings = EguiNiceSettings::new().with_tile("Flowloop").with_resize_hint(hint);
    let app = App {
        params,
        session,
        playhead,
        waveform: Waveform::default(),
        models: Models::default(),
        companion: None,
        host: None,
    };
    create_egui_editor(EguiEditorState::from_size(SIZE, 1.0), RepaintNotifier::new(), settings, app)
}

impl NiceEguiApp for App {
    fn build(
        &mut self,
        context: Context,
        host: GuiContext,
        _frame: &mut nice_plug_egui::Frame,
    ) -> Result<(), HandlerError> {
        theme::apply(&context);
        self.companion = companion::find();
        self.host = Some(host);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut nice_plug_egui::Frame) {
        let status = self.session.status();
        Frame::new().fill(BACKGROUND).inner_margin(16.0).show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            header(ui, &status);
            self.models.show(ui, &status, &self.session);
            ui.add_space(8.0);
            let height = (ui.available_height() - BELOW).max(60.0);
            let position = f32::from_bits(self.playhead.load(Ordering::Relaxed));
            self.waveform.show(ui, height, status.clip.as_ref(), (position >= 0.0).then_some(position));
            ui.add_space(12.0);
            self.controls(ui);
            ui.add_space(8.0);
            footer(ui, &status, &self.session, self.companion.as_deref());
        });
        // Playhead and progress move by themselves.
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(33));
    }

    fn editor_closed(&mut self) {
        self.host = None;
    }
}

impl App {
    fn controls(&self, ui: &mut Ui) {
        let Some(host) = &self.host else { return };
        let setter = &host.param_setter();
        let (make, play) = (&self.params.generate, &self.params.play);
        let (voice, output) = (&self.params.voice, &self.params.output);
        ui.horizontal(|ui| {
            control::seed(ui, &make.seed, setter);
            ui.add_space(24.0);
            control::slider(ui, &make.steps, setter, 140.0, "Solver steps: more are finer and slower");
            ui.add_space(24.0);
            control::choice(ui, "STYLE", &make.style, setter);
            control::choice(ui, "LENGTH", &make.bars, setter);
            control::choice(ui, "PLAY", &play.mode, setter);
            control::choice(ui, "SWAP", &play.swap, setter);
        });
        row(ui, |ui| {
            cell(ui, |ui| control::slider(ui, &make.morph, setter, ROW, "From this seed towards the next"));
            cell(ui, |ui| {
                control::slider(ui, &make.guidance, setter, ROW, "How strictly the style is kept; 1 is as learnt")
            });
            cell(ui, |ui| {
                control::slider(ui, &make.variation, setter, ROW, "How far a take goes from the seed's loop")
            });
            cell(ui, |ui| control::slider(ui, &make.take, setter, ROW, "Which variation"));
            control::switch(ui, &make.auto, setter, "Follow each change at once");
            control::trigger(ui, &make.trigger, setter, "Make what the controls ask for");
        });
        row(ui, |ui| {
            cell(ui, |ui| control::slider(ui, &play.start, setter, ROW, "Where the loop starts, in 16th notes"));
            cell(ui, |ui| control::slider(ui, &play.length, setter, ROW, "How much of it loops, in 16th notes"));
            cell(ui, |ui| control::slider(ui, &voice.bend_range, setter, ROW, "Semitones at the pitch wheel's ends"));
            cell(ui, |ui| {
                control::choice(ui, "SLICES", &play.slices, setter);
                control::choice(ui, "SOLVER", &make.solver, setter);
            });
            control::switch(ui, &play.reverse, setter, "Backwards");
        });
        row(ui, |ui| {
            cell(ui, |ui| control::slider(ui, &voice.attack, setter, ROW, "Fade-in of a note"));
            cell(ui, |ui| control::slider(ui, &voice.decay, setter, ROW, "From full level to the sustain"));
            cell(ui, |ui| control::slider(ui, &voice.sustain, setter, ROW, "Level of a held note"));
            cell(ui, |ui| control::slider(ui, &voice.release, setter, ROW, "Fade-out of a note"));
        });
        row(ui, |ui| {
            cell(ui, |ui| control::slider(ui, &output.gain, setter, ROW, "Level"));
            cell(ui, |ui| control::slider(ui, &output.pan, setter, ROW, "Left and right"));
            cell(ui, |ui| control::slider(ui, &output.low_cut, setter, ROW, "Takes away what is below"));
            cell(ui, |ui| control::slider(ui, &output.high_cut, setter, ROW, "Takes away what is above"));
        });
    }
}

fn row(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    ui.add_space(8.0);
    ui.horizontal(contents);
}

/// One of the columns.
fn cell(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    let layout = Layout::left_to_right(Align::Center);
    ui.allocate_ui_with_layout(vec2(CELL, 44.0), layout, |ui| {
        ui.set_min_width(CELL);
        contents(ui);
    });
}

fn header(ui: &mut Ui, status: &Status) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Flowloop").size(TITLE).strong());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(clip) = &status.clip {
                let made = clip
                    .provenance
                    .as_ref()
                    .map_or(String::new(), |p| format!("seed {} · {} steps · ", p.seed, p.steps));
                ui.label(
                    RichText::new(format!("{made}{} beats · {:.2} bpm", clip.beats, clip.bpm)).size(SMALL).color(DIM),
                );
            }
        });
    });
}

/// One line that says what the engine is doing, and one about the device and the companion.
fn footer(ui: &mut Ui, status: &Status, session: &Session, companion: Option<&Path>) {
    match &status.activity {
        Activity::Idle => dim(ui, "Waiting for the host to start its audio"),
        Activity::Loading => dim(ui, "Loading the model"),
        Activity::Generating(step, steps) => {
            let share = *step as f32 / (*steps).max(1) as f32;
            let text = format!("step {step} of {steps}");
            ui.add(ProgressBar::new(share).fill(ACCENT).desired_height(14.0).text(RichText::new(text).size(SMALL)));
        }
        Activity::Ready => dim(
            ui,
            &match status.seconds {
                Some(seconds) => format!("Ready: made in {seconds:.2} s on {}", status.device_with_speeds()),
                None => "Ready: heard before".to_string(),
            },
        ),
        // A missing model is named beside its name.
        Activity::Failed(message) if status.model.missing.as_ref() == Some(message) => {
            dim(ui, "The loop that was kept goes on playing");
        }
        Activity::Failed(message) => models::trouble(ui, message, session),
    }
    if let Some(notice) = &status.notice {
        models::trouble(ui, notice, session);
    }
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| match companion {
        Some(path) => {
            let command = format!("{} train YOUR_LOOPS -o my.flow", path.display());
            let label = ui.add(
                egui::Label::new(RichText::new(format!("Train your own: {command}")).size(SMALL).color(DIM))
                    .truncate()
                    .sense(egui::Sense::click()),
            );
            if label.on_hover_text("Click to copy the command").clicked() {
                ui.ctx().copy_text(command);
            }
        }
        None => {
            dim(ui, "The companion program was not found beside the plugin; install it again to train your own models")
        }
    });
    ui.allocate_space(vec2(0.0, 0.0));
}

fn dim(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).color(DIM));
}
