//! Shapes on a circle: shares of it (0 at the top, clockwise to 1) to places, rings, sectors and waves.

use egui::epaint::{Mesh, Vertex, WHITE_UV};
use egui::{Color32, ColorImage, Pos2, Shape, Stroke, TextureId, Vec2, pos2};

use super::theme::{ACCENT, BACKGROUND, PANEL, TEXT};
use crate::engine::Sketch;

/// Parts that a whole ring is drawn in.
const PARTS: usize = 192;

/// The direction of a share.
pub(super) fn direction(share: f32) -> Vec2 {
    Vec2::angled(share * std::f32::consts::TAU - std::f32::consts::FRAC_PI_2)
}

/// The share of a direction, 0..1.
pub(super) fn share_of(direction: Vec2) -> f32 {
    let share = (direction.angle() + std::f32::consts::FRAC_PI_2) / std::f32::consts::TAU;
    // A tiny negative share rounds to 1.
    share.rem_euclid(1.0) % 1.0
}

/// A line along a circle.
pub(super) fn arc(centre: Pos2, radius: f32, from: f32, to: f32, stroke: Stroke) -> Shape {
    let parts = ((to - from).abs() * PARTS as f32).ceil().max(1.0) as usize;
    let at = |i: usize| centre + direction(from + (to - from) * i as f32 / parts as f32) * radius;
    Shape::line((0..=parts).map(at).collect(), stroke)
}

/// A line outwards.
pub(super) fn spoke(centre: Pos2, share: f32, from: f32, to: f32, stroke: Stroke) -> Shape {
    let direction = direction(share);
    Shape::line_segment([centre + direction * from, centre + direction * to], stroke)
}

/// A part of a ring from `from` to `to`, between two radii.
pub(super) fn sector(centre: Pos2, radii: [f32; 2], from: f32, to: f32, colour: Color32) -> Shape {
    let parts = ((to - from).abs() * PARTS as f32).ceil().max(1.0) as usize;
    strip(parts, |i| {
        let direction = direction(from + (to - from) * i as f32 / parts as f32);
        radii.map(|r| (centre + direction * r, WHITE_UV, colour))
    })
}

/// A ring that shows a texture of columns (around) and rows (outwards from the last).
pub(super) fn picture(texture: TextureId, centre: Pos2, radii: [f32; 2]) -> Shape {
    let shape = strip(PARTS, |i| {
        let share = i as f32 / PARTS as f32;
        let at = |r: f32, row: f32| (centre + direction(share) * r, pos2(share, row), Color32::WHITE);
        [at(radii[0], 1.0), at(radii[1], 0.0)]
    });
    match shape {
        Shape::Mesh(mut mesh) => {
            std::sync::Arc::make_mut(&mut mesh).texture_id = texture;
            Shape::Mesh(mesh)
        }
        other => other,
    }
}

/// An outline (255 is full) around a circle of `radius`, `reach` high to either side.
pub(super) fn wave(centre: Pos2, radius: f32, reach: f32, outline: &[u8], colour: Color32) -> Shape {
    let parts = outline.len().max(1);
    strip(parts, |i| {
        let level = outline.get(i % parts).copied().unwrap_or(0);
        // What is silent is still a line.
        let half = f32::from(level) / 255.0 * reach + 0.6;
        let direction = direction((i as f32 + 0.5) / parts as f32);
        [radius - half, radius + half].map(|r| (centre + direction * r, WHITE_UV, colour))
    })
}

/// A band of quads between pairs of points.
fn strip(parts: usize, mut pair: impl FnMut(usize) -> [(Pos2, Pos2, Color32); 2]) -> Shape {
    let mut mesh = Mesh::default();
    mesh.reserve_vertices(2 * parts + 2);
    mesh.reserve_triangles(2 * parts);
    for i in 0..=parts {
        mesh.vertices.extend(pair(i).map(|(pos, uv, color)| Vertex { pos, uv, color }));
        if i > 0 {
            let n = 2 * i as u32;
            mesh.add_triangle(n - 2, n - 1, n);
            mesh.add_triangle(n - 1, n, n + 1);
        }
    }
    Shape::mesh(mesh)
}

/// A sketch as an image: columns from left to right, the highest band in the first row.
pub(super) fn image(sketch: &Sketch) -> ColorImage {
    let columns = sketch.outline.len().max(1);
    let bands = sketch.levels.len() / columns;
    let ramp: Vec<Color32> = (0..=255).map(shade).collect();
    let pixel = |i: usize| ramp[usize::from(sketch.levels[i % columns * bands + bands - 1 - i / columns])];
    ColorImage::new([columns, bands], (0..columns * bands).map(pixel).collect())
}

/// From the panel's grey over the accent to nearly white.
fn shade(level: u8) -> Color32 {
    // What is 50 dB below full scale is dark.
    let share = ((f32::from(level) - 60.0) / 150.0).clamp(0.0, 1.0);
    match share {
        s if s < 0.6 => PANEL.lerp_to_gamma(BACKGROUND.lerp_to_gamma(ACCENT, 0.85), (s / 0.6).powf(1.3)),
        s => BACKGROUND.lerp_to_gamma(ACCENT, 0.85).lerp_to_gamma(TEXT, (s - 0.6) / 0.4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_begin_at_the_top_and_go_clockwise() {
        let close = |a: Vec2, b: Vec2| (a - b).length() < 1e-5;
        assert!(close(direction(0.0), Vec2::new(0.0, -1.0)) && close(direction(0.25), Vec2::new(1.0, 0.0)));
        for share in [0.0, 0.1, 0.5, 0.74, 0.999] {
            assert!((share_of(direction(share) * 40.0) - share).abs() < 1e-4, "{share}");
        }
    }

    #[test]
    fn images_have_the_lows_at_the_bottom() {
        let mut levels = vec![0; 384 * 32];
        // Column 5, the lowest band.
        levels[5 * 32] = 255;
        let image = image(&Sketch { levels, outline: vec![0; 384] });
        let lit: Vec<usize> = (0..image.pixels.len()).filter(|i| image.pixels[*i] == shade(255)).collect();
        assert_eq!((image.size, lit), ([384, 32], vec![31 * 384 + 5]));
    }
}
