//! Each operation against the plainest reference, for every set of instructions that this machine has, with
//! one and with three threads.

use std::sync::Arc;

use super::*;
use crate::random::Philox;

fn cpus() -> Vec<Cpu> {
    let teams = [Arc::new(Team::new(1)), Arc::new(Team::new(3))];
    Isa::all().into_iter().flat_map(|isa| teams.each_ref().map(|team| Cpu::new(isa, team.clone()))).collect()
}

fn normals(stream: u64, count: usize) -> Vec<f32> {
    Philox::new(11, stream).normals(count)
}

#[track_caller]
fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*f) - e).abs() < 2e-5 * (1.0 + e.abs()), "{what}: value {i} is {f}, not {e}");
    }
}

fn activated(v: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Linear => v,
        Activation::Relu => v.max(0.0),
        Activation::Silu => v / (1.0 + (-v).exp()),
    }
}

#[test]
fn products_are_those_of_a_plain_loop() {
    let shapes = [
        (1usize, 1usize, 1usize),
        (1, 33, 5),
        (2, 64, 96),
        (3, 32, 31),
        (5, 306, 40),
        (8, 100, 320),
        (13, 96, 65),
        (70, 130, 64),
        // Rows that share their place in the cache.
        (13, 3072, 256),
    ];
    for (case, (rows, inputs, outputs)) in shapes.into_iter().enumerate() {
        let case = case as u64;
        // Rows overlap as a convolution's do, and results leave gaps.
        let stride = inputs.div_ceil(3);
        let (items, per_item) = if rows % 2 == 0 { (2, rows / 2) } else { (1, rows) };
        let item_stride = per_item * stride + inputs;
        let x = normals(case, items * item_stride + 7);
        let scale = 1.0 / (inputs as f32).sqrt();
        let weights: Vec<f32> = normals(case + 100, inputs * outputs).iter().map(|w| w * scale).collect();
        let bias = normals(case + 200, outputs);
        let view = Rows { data: &x, layout: Layout { items, rows: per_item, first: 7, stride, item_stride } };
        let wide = outputs + 3;
        let layout = Layout { items, rows: per_item, first: 2, stride: wide, item_stride: per_item * wide + 4 };
        let blank = normals(case + 300, items * layout.item_stride + 2);
        for (storage, activation, added) in [
            (Storage::Single, Activation::Linear, false),
            (Storage::Half, Activation::Silu, true),
            (Storage::Half, Activation::Relu, false),
            (Storage::Single, Activation::Silu, false),
        ] {
            let rounded = |w: f32| match storage {
                Storage::Half => half::f16::from_f32(w).to_f64(),
                _ => f64::from(w),
            };
            let mut expected: Vec<f64> = blank.iter().map(|v| f64::from(*v)).collect();
            for row in 0..rows {
                let x = &x[view.layout.at(row)..][..inputs];
                for o in 0..outputs {
                    let products = x.iter().enumerate().map(|(i, x)| f64::from(*x) * rounded(weights[i * outputs + o]));
                    let value = activated(products.sum::<f64>() + f64::from(bias[o]), activation);
                    let place = &mut expected[layout.at(row) + o];
                    *place = if added { *place + value } else { value };
                }
            }
            let matrix = Matrix::new(&weights, outputs, &bias, storage);
            for cpu in cpus() {
                let mut out = blank.clone();
                cpu.product(&matrix, view, &mut out, Output { layout, activation, added });
                let (name, members) = (cpu.isa().name(), cpu.members());
                close(
                    &out,
                    &expected,
                    &format!("{rows} x {inputs} x {outputs} {storage:?}, {name}, {members} threads"),
                );
            }
        }
    }
}

/// One clip a seed: rows alone and together, and with one thread or many, give the same bits.
#[test]
fn sums_do_not_depend_on_company() {
    let (inputs, outputs, rows) = (200, 96, 21);
    let x = normals(1, rows * inputs);
    for storage in [Storage::Single, Storage::Half] {
        let matrix = Matrix::new(&normals(2, inputs * outputs), outputs, &normals(3, outputs), storage);
        let output = |rows| Output { layout: Layout::dense(rows, outputs), activation: Activation::Silu, added: false };
        for isa in Isa::all() {
            let all: Vec<Vec<f32>> = [1, 2, 3]
                .map(|members| {
                    let mut out = vec![0.0; rows * outputs];
                    let cpu = Cpu::new(isa, Arc::new(Team::new(members)));
                    cpu.product(&matrix, Rows::dense(&x, inputs), &mut out, output(rows));
                    out
                })
                .into();
            assert!(all[0] == all[1] && all[0] == all[2], "{}", isa.name());
            let cpu = Cpu::new(isa, Arc::new(Team::new(1)));
            for row in 0..rows {
                let mut out = vec![0.0; outputs];
                cpu.product(&matrix, Rows::dense(&x[row * inputs..][..inputs], inputs), &mut out, output(1));
                assert_eq!(out, all[0][row * outputs..][..outputs], "row {row}, {}", isa.name());
            }
        }
    }
}

#[test]
fn exact_storage_is_16_bits_only_where_nothing_is_lost() {
    let values = normals(4, 64 * 32);
    let short: Vec<f32> = values.iter().map(|v| half::f16::from_f32(*v).to_f32()).collect();
    let bytes = |values: &[f32]| Matrix::new(values, 32, &[0.0; 32], Storage::Exact).bytes();
    assert!(bytes(&short) < 64 * 32 * 3 && bytes(&values) >= 64 * 32 * 4);
    let mut product = [vec![0.0; 32], vec![0.0; 32]];
    for (out, storage) in product.iter_mut().zip([Storage::Exact, Storage::Single]) {
        let matrix = Matrix::new(&short, 32, &[0.5; 32], storage);
        let output = Output { layout: Layout::dense(1, 32), activation: Activation::Linear, added: false };
        Cpu::shared().product(&matrix, Rows::dense(&values[..64], 64), out, output);
    }
    assert_eq!(product[0], product[1]);
}

#[test]
fn rows_are_normalised() {
    for (items, rows, channels) in [(1, 1, 32), (2, 5, 33), (3, 17, 320)] {
        let x = normals(5, items * rows * channels).iter().map(|v| 3.0 * v + 1.0).collect::<Vec<f32>>();
        let [gamma, beta] = [6, 7].map(|s| normals(s, channels));
        let film = normals(8, items * 2 * channels);
        let layout = Layout { items, rows, first: 0, stride: channels, item_stride: rows * channels };
        for film in [None, Some(Rows::dense(&film, 2 * channels))] {
            let mut expected = Vec::new();
            for (row, x) in x.chunks_exact(channels).enumerate() {
                let x: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
                let mean = x.iter().sum::<f64>() / channels as f64;
                let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channels as f64;
                for c in 0..channels {
                    let h = (x[c] - mean) / (variance + 1e-5).sqrt() * f64::from(gamma[c]) + f64::from(beta[c]);
                    let film = film.map(|f| &f.data[row / rows * 2 * channels..]);
                    let [scale, shift] = [c, channels + c].map(|i| film.map_or(0.0, |f| f64::from(f[i])));
                    expected.push(h + h * scale + shift);
                }
            }
            for cpu in cpus() {
                let mut out = vec![0.0; x.len()];
                let norm = Norm { gamma: &gamma, beta: &beta, film };
                cpu.normalise(norm, Rows { data: &x, layout }, &mut out, layout);
                close(&out, &expected, &format!("{items} x {rows} x {channels}, {}", cpu.isa().name()));
            }
        }
    }
}

#[test]
fn rows_attend_to_their_item() {
    for (items, rows, heads) in [(1, 1, 1), (2, 7, 2), (1, 64, 3), (3, 45, 1), (1, 130, 2)] {
        let channels = heads * PANEL;
        let qkv = normals(9, items * rows * 3 * channels);
        let at = |item: usize, row: usize, which: usize, head: usize, i: usize| {
            f64::from(qkv[((item * rows + row) * 3 + which) * channels + head * PANEL + i])
        };
        let mut expected = vec![0.0; items * rows * channels];
        for (item, row, head) in (0..items * rows * heads).map(|n| (n / heads / rows, n / heads % rows, n % heads)) {
            let score = |key| (0..PANEL).map(|i| at(item, row, 0, head, i) * at(item, key, 1, head, i)).sum::<f64>();
            let shares: Vec<f64> = (0..rows).map(|key| (score(key) / (PANEL as f64).sqrt()).exp()).collect();
            let all: f64 = shares.iter().sum();
            for i in 0..PANEL {
                let value = |key: usize| shares[key] / all * at(item, key, 2, head, i);
                expected[(item * rows + row) * channels + head * PANEL + i] = (0..rows).map(value).sum();
            }
        }
        let places = |width| Layout { items, rows, first: 0, stride: width, item_stride: rows * width };
        for cpu in cpus() {
            let mut out = vec![0.0; items * rows * channels];
            let attention = Attention { qkv: Rows { data: &qkv, layout: places(3 * channels) }, channels };
            cpu.attend(attention, &mut out, places(channels));
            close(&out, &expected, &format!("{items} x {rows}, {heads} heads, {}", cpu.isa().name()));
        }
    }
}

#[test]
fn exponentials_are_right_to_a_few_units_in_the_last_place() {
    for i in -8700..=8800 {
        let x = i as f32 / 100.0;
        let right = f64::from(x).exp();
        let found = f64::from(elementwise::exp(x));
        assert!((found / right - 1.0).abs() < 4e-7, "exp({x}) is {right}, not {found}");
    }
    assert!(elementwise::exp(f32::NAN).is_nan());
    assert!(elementwise::exp(-1e9) < 1e-37);
}

#[test]
fn packed_weights_come_back() {
    for (inputs, outputs) in [(3, 5), (40, 32), (7, 70)] {
        let (weights, bias) = (Philox::new(1, 0).normals(inputs * outputs), Philox::new(2, 0).normals(outputs));
        let matrix = Matrix::new(&weights, outputs, &bias, Storage::Single);
        assert_eq!((matrix.weights(), matrix.biases()), (weights.clone(), &bias[..]));
        let halves: Vec<f32> = weights.iter().map(|w| half::f16::from_f32(*w).to_f32()).collect();
        assert_eq!(Matrix::new(&weights, outputs, &bias, Storage::Half).weights(), halves);
    }
}
