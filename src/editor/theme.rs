//! Colours and the type scale. Text on `BACKGROUND` and `PANEL` has a contrast of at least 4.5 : 1
//! (WCAG AA).

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Stroke, TextStyle, Visuals};

/// Window.
pub const BACKGROUND: Color32 = Color32::from_rgb(0x13, 0x15, 0x1a);
/// Waveform and controls.
pub const PANEL: Color32 = Color32::from_rgb(0x1d, 0x20, 0x27);
/// Lines between things.
pub const LINE: Color32 = Color32::from_rgb(0x3a, 0x3f, 0x4b);
/// Words.
pub const TEXT: Color32 = Color32::from_rgb(0xe9, 0xeb, 0xf0);
/// Words of less weight.
pub const DIM: Color32 = Color32::from_rgb(0x9d, 0xa5, 0xb4);
/// The one accent: what plays, what can be moved.
pub const ACCENT: Color32 = Color32::from_rgb(0xf2, 0xa6, 0x5a);
/// Words about what went wrong.
pub const ERROR: Color32 = Color32::from_rgb(0xff, 0x8a, 0x80);

/// Sizes in points.
pub const SMALL: f32 = 12.0;
/// Running text.
pub const BODY: f32 = 14.0;
/// The name, and numbers to read from afar.
pub const TITLE: f32 = 22.0;

/// Makes egui look like Flowloop.
pub fn apply(context: &Context) {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = BACKGROUND;
    visuals.extreme_bg_color = PANEL;
    visuals.override_text_color = Some(TEXT);
    visuals.selection.bg_fill = ACCENT.gamma_multiply(0.5);
    visuals.slider_trailing_fill = true;
    let widgets = &mut visuals.widgets;
    for (widget, line) in [(&mut widgets.inactive, LINE), (&mut widgets.hovered, DIM), (&mut widgets.active, ACCENT)] {
        widget.bg_fill = PANEL;
        widget.weak_bg_fill = PANEL;
        widget.bg_stroke = Stroke::new(1.0, line);
        widget.corner_radius = CornerRadius::same(4);
    }
    context.set_visuals(visuals);
    context.all_styles_mut(|style| {
        let font = |size| FontId::new(size, FontFamily::Proportional);
        style.text_styles.insert(TextStyle::Small, font(SMALL));
        style.text_styles.insert(TextStyle::Body, font(BODY));
        style.text_styles.insert(TextStyle::Button, font(BODY));
        style.text_styles.insert(TextStyle::Heading, font(TITLE));
    });
}
