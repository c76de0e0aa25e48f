//! Icons, drawn as lines and shapes so that they are sharp at any scale.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Keep.
    Star,
    /// Kept.
    StarFull,
    /// Listen.
    Play,
    /// End listening.
    Stop,
    /// Any other.
    Dice,
    /// The one before.
    Left,
    /// The next one.
    Right,
    /// Close.
    Cross,
    /// Folder.
    Folder,
    /// One folder up.
    Up,
}

/// Draws an icon into the middle of `rect`, as large as its shorter side.
pub fn draw(painter: &Painter, icon: Icon, rect: Rect, colour: Color32) {
    let half = rect.width().min(rect.height()) / 2.0;
    let c = rect.center();
    let at = |x: f32, y: f32| pos2(c.x + x * half, c.y + y * half);
    let stroke = Stroke::new((half * 0.22).clamp(1.2, 2.0), colour);
    let fill = |points: Vec<Pos2>| Shape::convex_polygon(points, colour, Stroke::NONE);
    match icon {
        Icon::Star => {
            painter.add(Shape::closed_line(star(c, half), stroke));
        }
        Icon::StarFull => {
            // A star is not convex: a fan of triangles around its middle.
            let points = star(c, half);
            let next = points.iter().cycle().skip(1);
            painter.extend(points.iter().zip(next).map(|(a, b)| fill(vec![c, *a, *b])));
        }
        Icon::Play => drop(painter.add(fill(vec![at(-0.55, -0.75), at(0.75, 0.0), at(-0.55, 0.75)]))),
        Icon::Stop => drop(painter.rect_filled(Rect::from_center_size(c, vec2(1.2, 1.2) * half), 1.0, colour)),
        Icon::Dice => {
            let body = Rect::from_center_size(c, vec2(1.7, 1.7) * half);
            painter.rect_stroke(body, half * 0.35, stroke, egui::StrokeKind::Inside);
            for (x, y) in [(-0.38, -0.38), (0.38, 0.38), (0.0, 0.0), (-0.38, 0.38), (0.38, -0.38)] {
                painter.circle_filled(at(x, y), half * 0.15, colour);
            }
        }
        Icon::Left => drop(painter.line(vec![at(0.3, -0.6), at(-0.35, 0.0), at(0.3, 0.6)], stroke)),
        Icon::Right => drop(painter.line(vec![at(-0.3, -0.6), at(0.35, 0.0), at(-0.3, 0.6)], stroke)),
        Icon::Cross => {
            painter.line_segment([at(-0.6, -0.6), at(0.6, 0.6)], stroke);
            painter.line_segment([at(-0.6, 0.6), at(0.6, -0.6)], stroke);
        }
        Icon::Folder => {
            let outline = [(-0.85, 0.65), (-0.85, -0.65), (-0.2, -0.65), (0.05, -0.35), (0.85, -0.35), (0.85, 0.65)];
            painter.add(Shape::closed_line(outline.map(|(x, y)| at(x, y)).to_vec(), stroke));
        }
        Icon::Up => {
            painter.line(vec![at(-0.55, -0.05), at(0.0, -0.65), at(0.55, -0.05)], stroke);
            painter.line_segment([at(0.0, -0.6), at(0.0, 0.7)], stroke);
        }
    }
}

/// Corners of a star.
fn star(centre: Pos2, radius: f32) -> Vec<Pos2> {
    let corner = |i: usize| {
        let angle = std::f32::consts::PI * (i as f32 / 5.0 - 0.5);
        centre + egui::Vec2::angled(angle) * radius * if i.is_multiple_of(2) { 0.95 } else { 0.42 }
    };
    (0..10).map(corner).collect()
}
