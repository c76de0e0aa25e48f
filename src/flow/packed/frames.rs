//! Frames between layers, channel last, with one more frame at either end of each loop: what a convolution
//! reads of consecutive frames lies in one piece.

use crate::flow::layers::Padding;
use crate::kernel::{Layout, Rows};

/// Frames `[item][frame][channel]`, each item with one more frame at either end.
#[derive(Default)]
pub(super) struct Frames {
    pub values: Vec<f32>,
    pub items: usize,
    pub frames: usize,
    pub channels: usize,
}

impl Frames {
    pub fn shape(&mut self, items: usize, frames: usize, channels: usize) {
        (self.items, self.frames, self.channels) = (items, frames, channels);
        self.values.resize(items * (frames + 2) * channels, 0.0);
    }

    /// Every `step`th frame from `first` on, counted from the one before the beginning.
    pub fn places(&self, first: usize, step: usize) -> Layout {
        Layout {
            items: self.items,
            rows: self.frames / step,
            first: first * self.channels,
            stride: step * self.channels,
            item_stride: (self.frames + 2) * self.channels,
        }
    }

    /// The frames themselves.
    pub fn inside(&self) -> Layout {
        self.places(1, 1)
    }

    /// For each frame the one before, itself and the one after.
    pub fn taps(&self) -> Layout {
        self.places(0, 1)
    }

    pub fn rows(&self, layout: Layout) -> Rows<'_> {
        Rows { data: &self.values, layout }
    }

    /// Fills what lies beyond the ends.
    pub fn pad(&mut self, padding: Padding) {
        let (channels, frames) = (self.channels, self.frames);
        for item in self.values.chunks_exact_mut((frames + 2) * channels) {
            let end = (frames + 1) * channels;
            match padding {
                Padding::Circular => {
                    item.copy_within(end - channels..end, 0);
                    item.copy_within(channels..2 * channels, end);
                }
                Padding::Zero => {
                    item[..channels].fill(0.0);
                    item[end..].fill(0.0);
                }
            }
        }
    }

    pub fn add(&mut self, other: &Frames) {
        self.values.iter_mut().zip(&other.values).for_each(|(v, o)| *v += o);
    }
}
