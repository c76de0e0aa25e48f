//! The page that trains a model on a folder of loops with the companion, which goes on while the window is
//! closed.

use std::path::{Path, PathBuf};

use egui::{RichText, Role, ScrollArea, TextEdit, Ui, WidgetInfo, vec2};

use super::button::{heading, word};
use super::picker::Picker;
use super::theme::{ACCENT, DIM, ERROR, GAP, LINE, ROUND, SMALL, TEXT};
use crate::engine::{REMOTE, Session, Status};
use crate::plugin::companion::{self, Run};

/// What audio files may be called.
const AUDIO: &[&str] = &[".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff"];
/// How long, in words and in training steps.
const STEPS: [(&str, u64); 4] = [("A taste", 300), ("Short", 1000), ("Long", 4000), ("Very long", 20_000)];

/// What is typed, and the run.
pub(super) struct Train {
    folder: Picker,
    name: String,
    from_built_in: bool,
    steps: u64,
    companion: Option<PathBuf>,
    run: Option<(Run, PathBuf)>,
    trouble: Option<String>,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            folder: Picker::new(AUDIO),
            name: "my-loops".into(),
            from_built_in: true,
            steps: STEPS[1].1,
            companion: None,
            run: None,
            trouble: None,
        }
    }
}

impl Train {
    /// Looks for the companion.
    pub fn open(&mut self) {
        self.companion = companion::find();
    }

    /// The run's progress (0 to 1), while it runs.
    pub fn progress(&mut self) -> Option<f32> {
        let (run, _) = self.run.as_mut()?;
        let (done, all) = run.said().progress.unwrap_or((0, 1));
        run.ended().is_none().then(|| done as f32 / all.max(1) as f32)
    }

    pub fn show(&mut self, ui: &mut Ui, status: &Status, session: &Session) {
        let Some(companion) = self.companion.clone() else {
            let words = "The companion program was not found beside the plugin. Install Flowloop again, whole, to \
                         train models here";
            ui.label(RichText::new(words).color(ERROR));
            return;
        };
        match self.run.is_some() {
            true => self.follow(ui, session),
            false => self.ask(ui, &companion, status, session),
        }
    }

    fn ask(&mut self, ui: &mut Ui, companion: &Path, _status: &Status, session: &Session) {
        let words = "Learns from a folder of your loops (WAV, FLAC, MP3, Ogg, AIFF); its sub-folders name the styles. \
                     Ten minutes of loops or more do best. You can go on playing meanwhile.";
        ui.label(RichText::new(words).color(DIM).size(SMALL));
        heading(ui, "FOLDER OF LOOPS");
        let height = (ui.available_height() - 200.0).max(60.0);
        self.folder.show(ui, "Folder of loops", "path of a folder of loops", height);
        ui.horizontal(|ui| {
            ui.label("Name");
            let field = TextEdit::singleline(&mut self.name).desired_width(150.0).margin(vec2(8.0, 5.0));
            ui.add(field).widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Name of the model"));
            let help = "Starts from what the built-in model knows: sooner good, and from fewer loops";
            if word(ui, "From the built-in model", 0.0, self.from_built_in, help).clicked() {
                self.from_built_in = !self.from_built_in;
            }
        });
        ui.horizontal(|ui| {
            for (name, steps) in STEPS {
                let help = format!("{steps} steps; it can be stopped, and gone on with, at any time");
                if word(ui, name, 0.0, self.steps == steps, &help).clicked() {
                    self.steps = steps;
                }
            }
        });
        let folder = self.folder.path().map(|p| if p.is_file() { p.parent().unwrap_or(&p).into() } else { p });
        let output = session.home().models().map(|m| m.join(format!("{}.flow", self.name.trim())));
        let ready = folder.is_some() && output.is_some() && !self.name.trim().is_empty();
        ui.horizontal(|ui| {
            ui.add_enabled_ui(ready, |ui| {
                let (Some(folder), Some(output)) = (&folder, &output) else { return };
                let help = "Starts the companion in the background";
                let start = word(ui, "Start training", 0.0, true, help).clicked();
                let help = "Puts the companion's command line on the clipboard, for a terminal or another machine";
                let copy = word(ui, "Copy command", 0.0, false, help).clicked();
                if !start && !copy {
                    return;
                }
                let arguments = self.arguments(folder, output, &session.home().device());
                match start {
                    true => self.start(companion, &arguments, output),
                    false => ui.ctx().copy_text(command_line(companion, &arguments)),
                }
            });
        });
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(ERROR));
        }
    }

    /// The companion's; it trains on the other machine that makes the plugin's loops, where one does.
    fn arguments(&self, folder: &Path, output: &Path, device: &str) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments = vec!["train".to_string(), text(folder), "-o".into(), text(output)];
        arguments.extend(["--steps".to_string(), self.steps.to_string()]);
        if self.from_built_in {
            arguments.extend(["--from".to_string(), "factory".into()]);
        }
        if device.starts_with(REMOTE) {
            arguments.extend(["--device".to_string(), device.into()]);
        }
        arguments
    }

    fn start(&mut self, companion: &Path, arguments: &[String], output: &Path) {
        let folder = output.parent().unwrap_or(output);
        if let Err(error) = std::fs::create_dir_all(folder) {
            self.trouble = Some(format!("{} cannot be made: {error}. Check the permissions", folder.display()));
            return;
        }
        match Run::start(companion, arguments) {
            Ok(run) => (self.run, self.trouble) = (Some((run, output.into())), None),
            Err(message) => self.trouble = Some(message),
        }
    }

    fn follow(&mut self, ui: &mut Ui, session: &Session) {
        let Some((run, output)) = &mut self.run else { return };
        let (said, ended) = (run.said(), run.ended());
        let name = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (headline, colour) = match ended {
            None => (format!("Training {name}"), TEXT),
            Some(true) => (format!("{name} is ready in the folder of models"), TEXT),
            Some(false) => (format!("Training {name} has failed: the last lines say why"), ERROR),
        };
        ui.label(RichText::new(headline).color(colour));
        let (done, all) = said.progress.unwrap_or((0, 1));
        bar(ui, if ended == Some(true) { 1.0 } else { done as f32 / all.max(1) as f32 });
        let now = if ended.is_none() { said.now.as_str() } else { "" };
        ui.label(RichText::new(now).color(DIM).size(SMALL));
        let height = (ui.available_height() - 44.0).max(60.0);
        let lines = ScrollArea::vertical().id_salt("log").auto_shrink([false, false]).stick_to_bottom(true);
        lines.max_height(height).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for line in &said.lines {
                ui.label(RichText::new(line).monospace().color(DIM));
            }
        });
        let mut over = false;
        ui.horizontal(|ui| match ended {
            None => {
                let help = "Saves what it has and ends; the same folder and name go on from there";
                if word(ui, "Stop", 0.0, false, help).clicked() {
                    run.interrupt();
                }
            }
            Some(well) => {
                if well && word(ui, "Use this model", 0.0, true, "Makes loops with it from now on").clicked() {
                    session.choose(output);
                    over = true;
                }
                over |= word(ui, "Back", 0.0, false, "To another training").clicked();
            }
        });
        if over {
            self.run = None;
        }
    }
}

/// A command as a shell takes it.
fn command_line(program: &Path, arguments: &[String]) -> String {
    let quoted = |word: &str| {
        let plain = word.chars().all(|c| c.is_alphanumeric() || "-_./:\\".contains(c));
        if plain && !word.is_empty() { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let program = program.to_string_lossy();
    std::iter::once(&*program).chain(arguments.iter().map(String::as_str)).map(quoted).collect::<Vec<_>>().join(" ")
}

fn bar(ui: &mut Ui, share: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), egui::Sense::hover());
    ui.painter().rect_filled(rect, ROUND, LINE);
    let mut done = rect;
    done.set_width(rect.width() * share.clamp(0.0, 1.0));
    ui.painter().rect_filled(done, ROUND, ACCENT);
    ui.add_space(GAP / 2.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_the_companion_takes() {
        let train = Train { steps: 300, ..Train::default() };
        let line = |device: &str| {
            let arguments = train.arguments(Path::new("/my loops/d'n'b"), Path::new("/m/a.flow"), device);
            command_line(Path::new("/opt/flowloop"), &arguments)
        };
        let expected = "/opt/flowloop train '/my loops/d'\\''n'\\''b' -o /m/a.flow --steps 300 --from factory";
        assert_eq!(line("gpu:0"), expected);
        assert_eq!(line("remote:studio:3000"), format!("{expected} --device remote:studio:3000"));
    }
}
