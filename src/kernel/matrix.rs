//! A layer's weights, laid out for reading: panels of [`PANEL`] outputs, input after input.

use half::f16;

use super::PANEL;

/// How weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// 32-bit floats.
    Single,
    /// 16-bit floats, rounded: half the memory to read.
    Half,
    /// 16-bit floats where they hold each value exactly (as in model files of 16 bits), else 32-bit.
    Exact,
}

/// Values that begin at a cache line.
#[derive(Debug)]
struct Lines<T> {
    values: Vec<T>,
    start: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Copy + Default> Lines<T> {
    fn new(count: usize) -> Self {
        let spare = LINE / size_of::<T>();
        let values = vec![T::default(); count + spare];
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Self { values, start }
    }

    fn get(&self) -> &[T] {
        &self.values[self.start..]
    }

    fn get_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..]
    }
}

#[derive(Debug)]
enum Values {
    Single(Lines<f32>),
    Half(Lines<f16>),
}

/// One panel, `[input][PANEL]`.
#[derive(Clone, Copy)]
pub(super) enum Panel<'a> {
    /// With the number of values from one input to the next.
    Single(&'a [f32], usize),
    Half(&'a [f16]),
}

/// Weights and biases of a dense layer.
#[derive(Debug)]
pub struct Matrix {
    inputs: usize,
    outputs: usize,
    /// `[panel][input][PANEL]`, the last panel filled up with zeros.
    values: Values,
    /// `[panel][PANEL]`.
    bias: Vec<[f32; PANEL]>,
}

impl Matrix {
    /// Packs weights `[inputs, outputs]`, row-major, and biases `[outputs]`.
    pub fn new(weights: &[f32], outputs: usize, bias: &[f32], storage: Storage) -> Self {
        assert!(outputs > 0 && weights.len().is_multiple_of(outputs) && bias.len() == outputs, "shapes of a layer");
        let (inputs, panels) = (weights.len() / outputs, outputs.div_ceil(PANEL));
        let half = match storage {
            Storage::Single => false,
            Storage::Half => true,
            Storage::Exact => weights.iter().all(|w| f16::from_f32(*w).to_f32() == *w),
        };
        let count = panels * inputs * PANEL;
        let values = match half {
            true => Values::Half(packed(weights, outputs, count, f16::from_f32)),
            false => Values::Single(packed(weights, outputs, count, |w| w)),
        };
        let mut padded = vec![[0.0; PANEL]; panels];
        padded.as_flattened_mut()[..outputs].copy_from_slice(bias);
        Self { inputs, outputs, values, bias: padded }
    }

    /// Inputs of the layer.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of the layer.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Its weights `[inputs, outputs]`, row-major.
    pub fn weights(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.inputs * self.outputs];
        let at = |place: usize| match &self.values {
            Values::Single(lines) => lines.get()[place],
            Values::Half(lines) => lines.get()[place].to_f32(),
        };
        for (i, value) in out.iter_mut().enumerate() {
            let (input, output) = (i / self.outputs, i % self.outputs);
            *value = at((output / PANEL * self.inputs + input) * PANEL + output % PANEL);
        }
        out
    }

    /// Its biases `[outputs]`.
    pub fn biases(&self) -> &[f32] {
        &self.bias.as_flattened()[..self.outputs]
    }

    /// Bytes that its weights take.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Single(lines) => size_of_val(lines.get()),
            Values::Half(lines) => size_of_val(lines.get()),
        }
    }

    pub(super) fn panels(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn panel(&self, panel: usize) -> Panel<'_> {
        let at = panel * self.inputs * PANEL..(panel + 1) * self.inputs * PANEL;
        match &self.values {
            Values::Single(lines) => Panel::Single(&lines.get()[at], PANEL),
            Values::Half(lines) => Panel::Half(&lines.get()[at]),
        }
    }

    pub(super) fn bias(&self, panel: usize) -> &[f32; PANEL] {
        &self.bias[panel]
    }
}

fn packed<T: Copy + Default>(weights: &[f32], outputs: usize, count: usize, of: impl Fn(f32) -> T) -> Lines<T> {
    let inputs = weights.len() / outputs;
    let mut lines = Lines::new(count);
    let out = lines.get_mut();
    for (input, row) in weights.chunks_exact(outputs).enumerate() {
        for (panel, part) in row.chunks(PANEL).enumerate() {
            let at = (panel * inputs + input) * PANEL;
            out[at..at + part.len()].iter_mut().zip(part).for_each(|(o, w)| *o = of(*w));
        }
    }
    lines
}
