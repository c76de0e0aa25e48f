//! Colours, the type scale and the measures of the window: one accent on dark greys. Words have a contrast
//! of at least 4.5 : 1 on whatever they stand on, edges and icons of 3 : 1 (WCAG 2.2 AA); the test below
//! computes it.

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Visuals, vec2};

/// Window.
pub const BACKGROUND: Color32 = Color32::from_rgb(0x10, 0x12, 0x16);
/// Areas that things lie in.
pub const PANEL: Color32 = Color32::from_rgb(0x19, 0x1c, 0x22);
/// What can be pressed.
pub const RAISED: Color32 = Color32::from_rgb(0x25, 0x2a, 0x33);
/// The same under the pointer.
pub const HOVERED: Color32 = Color32::from_rgb(0x30, 0x36, 0x42);
/// Lines that only part things.
pub const LINE: Color32 = Color32::from_rgb(0x39, 0x40, 0x4d);
/// Edges and tracks of what can be moved.
pub const EDGE: Color32 = Color32::from_rgb(0x76, 0x7f, 0x91);
/// Words.
pub const TEXT: Color32 = Color32::from_rgb(0xec, 0xee, 0xf2);
/// Words of less weight.
pub const DIM: Color32 = Color32::from_rgb(0xa6, 0xae, 0xbc);
/// The one accent: what plays, what is on, what can be moved.
pub const ACCENT: Color32 = Color32::from_rgb(0xf4, 0xa9, 0x58);
/// Words on the accent.
pub const ON_ACCENT: Color32 = BACKGROUND;
/// Words about what went wrong.
pub const ERROR: Color32 = Color32::from_rgb(0xff, 0x8f, 0x85);

/// Type scale, in points: names and values.
pub const SMALL: f32 = 11.5;
/// Running text.
pub const BODY: f32 = 13.5;
/// Headings.
pub const LARGE: f32 = 17.0;
/// The seed.
pub const NUMBER: f32 = 30.0;

/// Height of what can be pressed, in points.
pub const HEIGHT: f32 = 26.0;
/// Roundness of corners, in points.
pub const ROUND: f32 = 5.0;
/// Between things, in points.
pub const GAP: f32 = 8.0;

/// Text of a size.
pub fn font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// Makes egui look like Flowloop.
pub fn apply(context: &Context) {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = PANEL;
    visuals.window_stroke = Stroke::new(1.0, LINE);
    visuals.window_corner_radius = CornerRadius::same(ROUND as u8);
    visuals.menu_corner_radius = CornerRadius::same(ROUND as u8);
    visuals.popup_shadow = Shadow::NONE;
    visuals.extreme_bg_color = BACKGROUND;
    visuals.selection.bg_fill = ACCENT;
    visuals.selection.stroke = Stroke::new(1.0, ON_ACCENT);
    visuals.button_frame = true;
    let widgets = &mut visuals.widgets;
    let all = [
        (&mut widgets.noninteractive, PANEL, LINE, TEXT),
        (&mut widgets.inactive, RAISED, Color32::TRANSPARENT, TEXT),
        (&mut widgets.hovered, HOVERED, EDGE, TEXT),
        (&mut widgets.active, HOVERED, ACCENT, TEXT),
        (&mut widgets.open, HOVERED, EDGE, TEXT),
    ];
    for (widget, fill, edge, text) in all {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, edge);
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = CornerRadius::same(ROUND as u8);
        widget.expansion = 0.0;
    }
    context.set_theme(egui::Theme::Dark);
    context.set_visuals(visuals);
    context.all_styles_mut(|style| {
        style.text_styles.insert(TextStyle::Small, font(SMALL));
        style.text_styles.insert(TextStyle::Body, font(BODY));
        style.text_styles.insert(TextStyle::Button, font(BODY));
        style.text_styles.insert(TextStyle::Heading, font(LARGE));
        style.text_styles.insert(TextStyle::Monospace, FontId::new(SMALL, FontFamily::Monospace));
        style.spacing.item_spacing = vec2(GAP, GAP);
        style.spacing.button_padding = vec2(10.0, 4.0);
        style.spacing.interact_size = vec2(HEIGHT, HEIGHT);
        style.spacing.menu_margin = Margin::same(6);
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.6;
        style.animation_time = 0.08;
    });
}

/// Contrast of two opaque colours by WCAG 2.2, 1 to 21.
#[cfg(test)]
fn contrast(a: Color32, b: Color32) -> f32 {
    let linear = |v: u8| {
        let v = f32::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = |c: Color32| 0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b());
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_edges_can_be_made_out() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-3);
        // A published pair: #767676 on white is 4.54.
        assert!((contrast(Color32::from_gray(0x76), Color32::WHITE) - 4.54).abs() < 0.01);
        for ground in [BACKGROUND, PANEL, RAISED, HOVERED] {
            for words in [TEXT, DIM, ACCENT, ERROR] {
                let ratio = contrast(words, ground);
                assert!(ratio >= 4.5, "{words:?} on {ground:?}: {ratio}");
            }
            assert!(contrast(EDGE, ground) >= 3.0, "{}", contrast(EDGE, ground));
        }
        assert!(contrast(ON_ACCENT, ACCENT) >= 4.5);
        // What is on differs from what is off by more than its hue.
        assert!(contrast(ACCENT, RAISED) >= 3.0 && contrast(ACCENT, EDGE) >= 1.5);
    }
}
