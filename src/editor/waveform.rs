//! The clip's waveform with its beats and the playhead.

use std::sync::Arc;

use egui::{Align2, Color32, FontId, Rect, Sense, Shape, Stroke, Ui, pos2, vec2};

use super::theme::{ACCENT, BODY, DIM, LINE, PANEL, TEXT};
use crate::clip::Clip;

/// Columns that the waveform is summed up in.
const COLUMNS: usize = 512;

/// A clip's outline, worked out once a clip.
#[derive(Default)]
pub(super) struct Waveform {
    clip: Option<Arc<Clip>>,
    /// (lowest, highest) sample of both channels a column.
    outline: Vec<(f32, f32)>,
}

impl Waveform {
    /// Draws `clip` over the whole width; `position` is the playhead's place, 0..1.
    pub fn show(&mut self, ui: &mut Ui, height: f32, clip: Option<&Arc<Clip>>, position: Option<f32>) {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 6.0, PANEL);
        let Some(clip) = clip else {
            painter.text(rect.center(), Align2::CENTER_CENTER, "No clip yet", FontId::proportional(BODY), DIM);
            return;
        };
        self.follow(clip);
        let x = |share: f32| rect.left() + share * rect.width();
        for beat in 0..clip.beats {
            let bar = beat % 4 == 0;
            let stroke = Stroke::new(if bar { 1.5 } else { 1.0 }, if bar { DIM.gamma_multiply(0.6) } else { LINE });
            painter.vline(x(beat as f32 / clip.beats as f32), rect.y_range(), stroke);
        }
        painter.extend(self.columns(rect, position));
        if let Some(position) = position {
            painter.vline(x(position), rect.y_range(), Stroke::new(2.0, TEXT));
        }
    }

    fn follow(&mut self, clip: &Arc<Clip>) {
        if self.clip.as_ref().is_some_and(|c| Arc::ptr_eq(c, clip)) {
            return;
        }
        let length = clip.len();
        let column = |i: usize| {
            let range = i * length / COLUMNS..((i + 1) * length / COLUMNS).max(i * length / COLUMNS + 1).min(length);
            clip.samples
                .iter()
                .flat_map(|c| &c[range.clone()])
                .fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)))
        };
        self.outline = (0..COLUMNS).map(column).collect();
        self.clip = Some(clip.clone());
    }

    fn columns(&self, rect: Rect, position: Option<f32>) -> Vec<Shape> {
        let (middle, half) = (rect.center().y, rect.height() * 0.46);
        let width = rect.width() / COLUMNS as f32;
        let shape = |(i, (low, high)): (usize, &(f32, f32))| {
            let x = rect.left() + (i as f32 + 0.5) * width;
            let played = position.is_some_and(|p| (i as f32) < p * COLUMNS as f32);
            let colour: Color32 = if played { ACCENT } else { ACCENT.gamma_multiply(0.7) };
            let (top, bottom) = (middle - high.min(1.0) * half, middle - low.max(-1.0) * half);
            Shape::line_segment([pos2(x, top - 0.5), pos2(x, bottom + 0.5)], Stroke::new(width.max(1.0), colour))
        };
        self.outline.iter().enumerate().map(shape).collect()
    }
}
