//! The net of [`super::unet`] on the CPU, with [`crate::kernel`]'s products: the same numbers to about 1e-6,
//! several times sooner. For sampling only; training needs Burn's gradients.

mod frames;

use std::sync::Mutex;

use burn::tensor::{Tensor, TensorData};

use super::unet::{self, UNetConfig, Weight, Weights};
use super::{Condition, Velocity};
use crate::kernel::{Activation, Attention, Cpu, Layout, Matrix, Norm, Output, Rows, Storage};
use frames::Frames;

/// The net, packed.
pub struct PackedUNet {
    config: UNetConfig,
    cpu: Cpu,
    stem: Option<Matrix>,
    stem_blocks: Vec<Block>,
    down: Vec<(Matrix, Vec<Block>)>,
    bottleneck: Matrix,
    time: [Matrix; 2],
    deep_blocks: Vec<Block>,
    up: Vec<(Up, Vec<Block>)>,
    last_blocks: Vec<Block>,
    last: Matrix,
    /// The condition's MLP, and the scales and shifts of all blocks.
    condition: Option<[Matrix; 3]>,
    workspace: Mutex<Workspace>,
}

struct Up {
    even: Matrix,
    odd: Matrix,
}

struct Block {
    norm: [Vec<f32>; 2],
    /// Where its scale and shift begin among all.
    film: usize,
    conv: Matrix,
    project: Matrix,
    attention_norm: [Vec<f32>; 2],
    qkv: Matrix,
    attended: Matrix,
}

/// Memory between layers, kept from call to call.
#[derive(Default)]
struct Workspace {
    input: Frames,
    levels: Vec<Frames>,
    normed: Frames,
    hidden: Frames,
    qkv: Frames,
    mixed: Frames,
    ups: Vec<Frames>,
    output: Frames,
    films: Vec<f32>,
}

fn to(layout: Layout, activation: Activation) -> Output {
    Output { layout, activation, added: false }
}

fn onto(layout: Layout) -> Output {
    Output { layout, activation: Activation::Linear, added: true }
}

/// Takes layers out of a net's weights.
struct Packing<'a> {
    config: &'a UNetConfig,
    weights: &'a Weights,
    storage: Storage,
    /// Weight and bias of each block's scale and shift.
    films: Vec<[&'a Weight; 2]>,
    film: usize,
}

impl<'a> Packing<'a> {
    fn get(&self, name: &str) -> &'a Weight {
        self.weights.get(name).unwrap_or_else(|| panic!("the net has no parameter {name}"))
    }

    fn vector(&self, name: String) -> Vec<f32> {
        self.get(&name).values.clone()
    }

    fn linear(&self, name: &str) -> Matrix {
        let [weight, bias] = ["weight", "bias"].map(|part| self.get(&format!("{name}.{part}")));
        Matrix::new(&weight.values, bias.values.len(), &bias.values, self.storage)
    }

    fn up(&self, i: usize) -> Up {
        let [even, odd, bias] = ["even", "odd", "bias"].map(|part| &self.get(&format!("up.{i}.{part}")).values);
        // The net has the taps x[j], x[j - 1]; here the earlier frame comes first.
        let mut earlier = even.clone();
        earlier.rotate_left(even.len() / 2);
        let matrix = |weights: &[f32]| Matrix::new(weights, bias.len(), bias, self.storage);
        Up { even: matrix(&earlier), odd: matrix(odd) }
    }

    fn blocks(&mut self, name: String) -> Vec<Block> {
        let config = self.config;
        let mut block = |i| {
            let part = |part: &str| format!("{name}.{i}.{part}");
            let norm = |of: &str| [".gamma", ".beta"].map(|p| self.vector(part(of) + p));
            let block = Block {
                norm: norm("norm"),
                film: self.film,
                conv: self.linear(&part("conv")),
                project: self.linear(&part("project")),
                attention_norm: norm("attention_norm"),
                qkv: self.linear(&part("qkv")),
                attended: self.linear(&part("attended")),
            };
            let film = ["film.weight", "film.bias"].map(|p| self.get(&part(p)));
            self.film += film[1].values.len();
            self.films.push(film);
            block
        };
        (0..config.blocks).map(&mut block).collect()
    }

    /// One layer that gives all blocks' scales and shifts.
    fn all_films(&self) -> Matrix {
        let bias: Vec<f32> = self.films.iter().flat_map(|[_, bias]| bias.values.iter().copied()).collect();
        let inputs = self.films.first().map_or(0, |[weight, _]| weight.shape[0]);
        let row = |input| {
            let part = move |[weight, bias]: &[&'a Weight; 2]| {
                let outputs = bias.values.len();
                weight.values[input * outputs..(input + 1) * outputs].iter().copied()
            };
            self.films.iter().flat_map(part)
        };
        let weights: Vec<f32> = (0..inputs).flat_map(row).collect();
        Matrix::new(&weights, bias.len(), &bias, self.storage)
    }
}

/// `1 / sqrt(d)` and `(1 - 2 t) / d` of [`super::preconditioning`].
fn factors(t: f32) -> [f32; 2] {
    let scale = ((1.0 - t).powi(2) + t * t).sqrt().recip();
    [scale, (1.0 - t - t) * scale.powi(2)]
}

impl Velocity for PackedUNet {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let (shape, device) = (x.dims(), x.device());
        let values = |data: TensorData| data.try_into_vec::<f32>().expect("latents are 32-bit floats");
        let (x, t) = (values(x.into_data()), values(t.into_data()));
        Tensor::from_data(TensorData::new(self.evaluate(&x, shape[2], &t, conditions), shape), &device)
    }
}

impl PackedUNet {
    /// Packs the parameters of a net of `config`, which have its names and shapes.
    pub fn new(config: &UNetConfig, weights: &Weights, storage: Storage, cpu: Cpu) -> Self {
        let mut packing = Packing { config, weights, storage, films: Vec::new(), film: 0 };
        let (layers, stem) = (config.widths.len(), config.stem > 0);
        let stem_blocks = |packing: &mut Packing, name: &str| match stem {
            true => packing.blocks(name.into()),
            false => Vec::new(),
        };
        Self {
            stem_blocks: stem_blocks(&mut packing, "stem_blocks"),
            down: (0..layers)
                .map(|i| (packing.linear(&format!("down.{i}")), packing.blocks(format!("down_blocks.{i}"))))
                .collect(),
            deep_blocks: packing.blocks("deep_blocks".into()),
            up: (0..layers)
                .map(|i| {
                    let blocks = if i + 1 < layers { packing.blocks(format!("up_blocks.{i}")) } else { Vec::new() };
                    (packing.up(i), blocks)
                })
                .collect(),
            last_blocks: stem_blocks(&mut packing, "last_blocks"),
            stem: stem.then(|| packing.linear("stem.0")),
            bottleneck: packing.linear("bottleneck"),
            time: ["time_inner", "time_outer"].map(|name| packing.linear(name)),
            last: packing.linear("last"),
            condition: (config.blocks > 0).then(|| {
                let mlp = ["condition.0.inner", "condition.0.outer"].map(|name| packing.linear(name));
                let [inner, outer] = mlp;
                [inner, outer, packing.all_films()]
            }),
            config: config.clone(),
            cpu,
            workspace: Mutex::default(),
        }
    }

    /// Bytes of the weights that each evaluation reads.
    pub fn bytes(&self) -> usize {
        let block = |b: &Block| [&b.conv, &b.project, &b.qkv, &b.attended].map(Matrix::bytes).iter().sum::<usize>();
        let blocks = |blocks: &[Block]| blocks.iter().map(block).sum::<usize>();
        let one = self.stem.iter().chain([&self.bottleneck, &self.last]).chain(&self.time);
        let one = one.chain(self.condition.iter().flatten()).map(Matrix::bytes).sum::<usize>();
        let down: usize = self.down.iter().map(|(m, b)| m.bytes() + blocks(b)).sum();
        let up: usize = self.up.iter().map(|(u, b)| u.even.bytes() + u.odd.bytes() + blocks(b)).sum();
        one + down + up + blocks(&self.stem_blocks) + blocks(&self.deep_blocks) + blocks(&self.last_blocks)
    }

    /// The velocity of `x` `[batch, channel, frame]`, row by row, at the times `t` `[batch]`.
    pub fn evaluate(&self, x: &[f32], frames: usize, t: &[f32], conditions: &[Condition]) -> Vec<f32> {
        self.cpu.enter(|| self.evaluate_inside(x, frames, t, conditions))
    }

    fn evaluate_inside(&self, x: &[f32], frames: usize, t: &[f32], conditions: &[Condition]) -> Vec<f32> {
        let (batch, channels) = (t.len(), self.config.channels);
        assert_eq!(x.len(), batch * channels * frames, "a time for each loop");
        assert!(frames.is_multiple_of(self.config.stride()), "frames in multiples of the net's stride");
        let scales: Vec<[f32; 2]> =
            t.iter().map(|t| if self.config.preconditioned { factors(*t) } else { [1.0, 0.0] }).collect();
        // Taken, not held: who waits for the team may be given another evaluation of this net to do.
        let mut workspace = std::mem::take(&mut *self.workspace.lock().unwrap_or_else(|e| e.into_inner()));
        let work = &mut workspace;
        self.enter(x, frames, &scales, &mut work.input);
        self.films(t, conditions, &mut work.films);
        let time = self.time(t);
        self.run(work, &time);
        let mut out = vec![0.0; x.len()];
        for (item, (out, [scale, skip])) in out.chunks_exact_mut(channels * frames).zip(&scales).enumerate() {
            let x = &x[item * channels * frames..];
            let layout = work.output.inside();
            for frame in 0..frames {
                let predicted = &work.output.values[layout.at(item * frames + frame)..][..channels];
                for (channel, v) in predicted.iter().enumerate() {
                    let at = channel * frames + frame;
                    out[at] = x[at] * skip + v * scale;
                }
            }
        }
        *self.workspace.lock().unwrap_or_else(|e| e.into_inner()) = workspace;
        out
    }

    /// The net's input: scaled, channel last, with the phases.
    fn enter(&self, x: &[f32], frames: usize, scales: &[[f32; 2]], input: &mut Frames) {
        let phases = unet::phases(&self.config, frames);
        let (channels, extra) = (self.config.channels, phases.len() / frames);
        input.shape(scales.len(), frames, channels + extra);
        let layout = input.inside();
        for (item, (x, [scale, _])) in x.chunks_exact(channels * frames).zip(scales).enumerate() {
            for frame in 0..frames {
                let row = &mut input.values[layout.at(item * frames + frame)..][..channels + extra];
                let (values, phase) = row.split_at_mut(channels);
                values.iter_mut().enumerate().for_each(|(c, v)| *v = x[c * frames + frame] * scale);
                phase.copy_from_slice(&phases[frame * extra..(frame + 1) * extra]);
            }
        }
    }

    /// Rows through a layer.
    fn dense(&self, matrix: &Matrix, x: &[f32], activation: Activation, out: &mut Vec<f32>) {
        let rows = Rows::dense(x, matrix.inputs());
        let layout = Layout::dense(rows.layout.rows, matrix.outputs());
        out.resize(layout.item_stride, 0.0);
        self.cpu.product(matrix, rows, out, to(layout, activation));
    }

    /// Scales and shifts of all blocks, `[batch][..]`.
    fn films(&self, t: &[f32], conditions: &[Condition], films: &mut Vec<f32>) {
        let Some([inner, outer, all]) = &self.condition else { return };
        let known = unet::known_features(&self.config, t.len(), conditions);
        let mut features = Vec::new();
        for (t, known) in t.iter().zip(known.chunks_exact(known.len() / t.len())) {
            features.push(*t);
            features.extend(unet::time_frequencies().map(|f| t * f).flat_map(|angle| [angle.cos(), angle.sin()]));
            features.extend(known);
        }
        let (mut hidden, mut condition) = (Vec::new(), Vec::new());
        self.dense(inner, &features, Activation::Silu, &mut hidden);
        self.dense(outer, &hidden, Activation::Silu, &mut condition);
        self.dense(all, &condition, Activation::Linear, films);
    }

    /// What is added at the deepest level, `[batch][channel]`.
    fn time(&self, t: &[f32]) -> Vec<f32> {
        let (mut hidden, mut time) = (Vec::new(), Vec::new());
        self.dense(&self.time[0], t, Activation::Relu, &mut hidden);
        self.dense(&self.time[1], &hidden, Activation::Relu, &mut time);
        time
    }

    /// From `work.input` to `work.output`.
    fn run(&self, work: &mut Workspace, time: &[f32]) {
        let (padding, layers) = (self.config.padding, self.down.len());
        let (items, mut frames) = (work.input.items, work.input.frames);
        let (mut levels, mut ups) = (std::mem::take(&mut work.levels), std::mem::take(&mut work.ups));
        levels.resize_with(layers + 1, Frames::default);
        ups.resize_with(layers + 1, Frames::default);
        // Level 0 is the stem's.
        work.input.pad(padding);
        if let Some(stem) = &self.stem {
            let level = &mut levels[0];
            level.shape(items, frames, stem.outputs());
            let output = to(level.inside(), Activation::Linear);
            self.cpu.product(stem, work.input.rows(work.input.taps()), &mut level.values, output);
            self.steer(&self.stem_blocks, level, work);
            level.pad(padding);
        }
        for (i, (matrix, blocks)) in self.down.iter().enumerate() {
            let (before, after) = levels.split_at_mut(i + 1);
            let source = if i == 0 && self.stem.is_none() { &work.input } else { &before[i] };
            let level = &mut after[0];
            frames /= 2;
            level.shape(items, frames, matrix.outputs());
            let layout = level.inside();
            self.cpu.product(matrix, source.rows(source.places(0, 2)), &mut level.values, to(layout, Activation::Relu));
            self.steer(blocks, level, work);
            level.pad(padding);
        }
        let deep = &mut ups[0];
        deep.shape(items, frames, self.bottleneck.outputs());
        let layout = deep.inside();
        for (row, channels) in (0..layout.count()).map(|row| (row, layout.at(row)..layout.at(row) + deep.channels)) {
            deep.values[channels].copy_from_slice(&time[row / frames * deep.channels..][..deep.channels]);
        }
        let source = &levels[layers];
        self.cpu.product(&self.bottleneck, source.rows(source.taps()), &mut deep.values, onto(layout));
        self.steer(&self.deep_blocks, deep, work);
        for (i, (up, blocks)) in self.up.iter().enumerate() {
            let (before, after) = ups.split_at_mut(i + 1);
            let (h, next) = (&mut before[i], &mut after[0]);
            h.add(&levels[layers - i]);
            h.pad(padding);
            next.shape(items, 2 * frames, up.even.outputs());
            for (matrix, first) in [(&up.even, 0), (&up.odd, 1)] {
                let output = to(next.places(1 + first, 2), Activation::Relu);
                self.cpu.product(matrix, h.rows(h.places(first, 1)), &mut next.values, output);
            }
            frames *= 2;
            self.steer(blocks, next, work);
        }
        let h = &mut ups[layers];
        if self.stem.is_some() {
            h.add(&levels[0]);
            self.steer(&self.last_blocks, h, work);
        }
        work.output.shape(items, frames, self.last.outputs());
        let layout = work.output.inside();
        self.cpu.product(&self.last, h.rows(h.inside()), &mut work.output.values, to(layout, Activation::Linear));
        (work.levels, work.ups) = (levels, ups);
    }

    /// Residual blocks, in place.
    fn steer(&self, blocks: &[Block], x: &mut Frames, work: &mut Workspace) {
        let Workspace { normed, hidden, qkv, mixed, films, .. } = work;
        let (items, frames, channels) = (x.items, x.frames, x.channels);
        let inside = x.inside();
        for block in blocks {
            for frames_of in [&mut *normed, &mut *hidden, &mut *mixed] {
                frames_of.shape(items, frames, channels);
            }
            qkv.shape(items, frames, 3 * channels);
            let film = Layout { items: 1, rows: items, first: block.film, stride: films.len() / items, item_stride: 0 };
            let [gamma, beta] = &block.norm;
            let norm = Norm { gamma, beta, film: Some(Rows { data: films, layout: film }) };
            self.cpu.normalise(norm, x.rows(inside), &mut normed.values, inside);
            normed.pad(self.config.padding);
            self.cpu.product(&block.conv, normed.rows(normed.taps()), &mut hidden.values, to(inside, Activation::Silu));
            self.cpu.product(&block.project, hidden.rows(inside), &mut x.values, onto(inside));
            let [gamma, beta] = &block.attention_norm;
            self.cpu.normalise(Norm { gamma, beta, film: None }, x.rows(inside), &mut normed.values, inside);
            let places = qkv.inside();
            self.cpu.product(&block.qkv, normed.rows(inside), &mut qkv.values, to(places, Activation::Linear));
            self.cpu.attend(Attention { qkv: qkv.rows(places), channels }, &mut mixed.values, inside);
            self.cpu.product(&block.attended, mixed.rows(inside), &mut x.values, onto(inside));
        }
    }
}
