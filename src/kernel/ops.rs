//! The operations that a net is made of, shared among a team.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use super::elementwise::Activation;
use super::matrix::{Matrix, Panel};
use super::rows::{Layout, Rows};
use super::simd::{self, Isa};
use super::team::{Block, Team};
use super::{PANEL, PIECE, TILE, TILES, Tile};

/// Instructions and threads to work with.
#[derive(Clone)]
pub struct Cpu {
    isa: Isa,
    team: Arc<Team>,
}

/// Where results go, and what becomes of them first.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Their places.
    pub layout: Layout,
    /// What follows the product.
    pub activation: Activation,
    /// Whether results are added to what is there.
    pub added: bool,
}

/// Layer normalisation of rows.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[channel]`
    pub gamma: &'a [f32],
    /// `[channel]`
    pub beta: &'a [f32],
    /// Of each item scale and then shift, `[2 * channel]`, of `h + h scale + shift` afterwards; or nothing.
    pub film: Option<Rows<'a>>,
}

/// Attention of rows to the rows of their item (Vaswani et al., 2017, arXiv 1706.03762), with heads of
/// [`PANEL`] channels.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[query, key, value][channel]` of each row.
    pub qkv: Rows<'a>,
    /// A multiple of [`PANEL`].
    pub channels: usize,
}

/// Tasks for each member of the team: enough to share work evenly.
const TASKS: usize = 4;

impl Cpu {
    /// The fastest instructions, and the process's team.
    pub fn shared() -> Self {
        Self::new(Isa::best(), Team::shared())
    }

    /// Certain instructions and a certain team.
    pub fn new(isa: Isa, team: Arc<Team>) -> Self {
        Self { isa, team }
    }

    /// The instructions it uses.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads that share the work.
    pub fn members(&self) -> usize {
        self.team.members()
    }

    /// Runs `work` inside the team, where operations start soonest.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.team.enter(work)
    }

    /// Rows of a task when there are `across` tasks for the same rows: all of them as long as that keeps
    /// everyone busy, so that each weight is read from memory once.
    fn tall(&self, rows: usize, across: usize) -> usize {
        let groups = (TASKS * self.team.members()).div_ceil(across.max(1));
        rows.div_ceil(groups).next_multiple_of(self.isa.rows()).max(1)
    }

    /// `out = activation(x matrix + bias)` of each row of `x`, which are as many as the output's.
    pub fn product(&self, matrix: &Matrix, x: Rows<'_>, out: &mut [f32], output: Output) {
        let (k, rows) = (matrix.inputs(), output.layout.count());
        x.check(k);
        assert_eq!(x.layout.count(), rows, "as many rows in as out");
        // Taken, not held: who waits for the team may be given another product to do.
        let mut apart = APART.take();
        let x = if alias(x.layout, matrix.panels()) { self.apart(x, k, &mut apart) } else { x };
        let block = [self.tall(rows, matrix.panels()), PANEL];
        self.team.fill(out, output.layout, matrix.outputs(), block, &|mut block: Block<'_>| {
            let panel = block.column / PANEL;
            let bias = matrix.bias(panel);
            self.tiles(x, k, matrix.panel(panel), &mut block, |tile, row, block| {
                for (i, sums) in tile.iter().enumerate() {
                    simd::finish(self.isa, sums, bias, output.activation, output.added, block.row(row + i));
                }
            });
        });
        APART.set(apart);
    }

    /// Rows of `k` values, copied to places that do not share their place in the cache.
    fn apart<'a>(&self, x: Rows<'_>, k: usize, memory: &'a mut Vec<f32>) -> Rows<'a> {
        let layout = Layout::dense(x.layout.count(), k + LINE);
        memory.resize(layout.item_stride, 0.0);
        let block = [self.tall(layout.rows, 1), k];
        self.team.fill(memory, layout, k, block, &|mut block: Block<'_>| {
            for i in 0..block.rows {
                let from = x.layout.at(block.row + i);
                block.row(i).copy_from_slice(&x.data[from..from + k]);
            }
        });
        Rows { data: memory, layout }
    }

    /// Sums of a block's rows with a panel, tile after tile: with each tile its first row in the block.
    fn tiles(
        &self,
        x: Rows<'_>,
        k: usize,
        panel: Panel<'_>,
        block: &mut Block<'_>,
        mut take: impl FnMut(&[[f32; PANEL]], usize, &mut Block<'_>),
    ) {
        // Tiles of nearly the same height: a low one costs nearly as much as a high one.
        let high = block.rows.div_ceil(block.rows.div_ceil(self.isa.rows()).max(1)).max(1);
        SUMS.with_borrow_mut(|Sums { tiles, wide }| {
            for first in (0..block.rows).step_by(high * TILES) {
                let rows = (block.rows - first).min(high * TILES);
                let (count, height) = (rows.div_ceil(high), |t| high.min(rows - t * high));
                let mut at = [[0; TILE]; TILES];
                for t in 0..count {
                    tiles[t][..height(t)].fill([0.0; PANEL]);
                    (0..height(t)).for_each(|i| at[t][i] = x.layout.at(block.row + first + t * high + i));
                }
                let mut add = |t: usize, x: &[f32], k, panel: Panel<'_>, wide: Option<&mut [f32]>| {
                    simd::tile(self.isa, x, &at[t][..height(t)], k, panel, wide, &mut tiles[t]);
                };
                match panel {
                    // To widen a weight costs as much as one more row: it is done once for all tiles.
                    Panel::Half(w) if count > 1 => {
                        for (i, w) in w.chunks(PIECE * PANEL).enumerate() {
                            let (x, k) = (&x.data[i * PIECE..], w.len() / PANEL);
                            add(0, x, k, Panel::Half(w), Some(wide));
                            (1..count).for_each(|t| add(t, x, k, Panel::Single(wide, PANEL), None));
                        }
                    }
                    _ => (0..count).for_each(|t| add(t, x.data, k, panel, None)),
                }
                for t in 0..count {
                    take(&tiles[t][..height(t)], first + t * high, block);
                }
            }
        });
    }

    /// Normalises each row of `x`, of as many channels as `norm` has.
    pub fn normalise(&self, norm: Norm<'_>, x: Rows<'_>, out: &mut [f32], layout: Layout) {
        let channels = norm.gamma.len();
        x.check(channels);
        assert!(norm.beta.len() == channels && x.layout.count() == layout.count(), "as many rows in as out");
        if let Some(film) = norm.film {
            film.check(2 * channels);
            assert_eq!(film.layout.count(), layout.items, "a film of each item");
        }
        let block = [self.tall(layout.count(), 1), channels];
        self.team.fill(out, layout, channels, block, &|mut block: Block<'_>| {
            for i in 0..block.rows {
                let (from, item) = (x.layout.at(block.row + i), (block.row + i) / layout.rows);
                let film = norm.film.map_or(&[][..], |f| &f.data[f.layout.at(item)..][..2 * channels]);
                let row = &x.data[from..from + channels];
                simd::normalise(self.isa, row, norm.gamma, norm.beta, film, block.row(i));
            }
        });
    }

    /// Attention of each row, `[channel]`, to the places of `layout`.
    pub fn attend(&self, attention: Attention<'_>, out: &mut [f32], layout: Layout) {
        let Attention { qkv, channels } = attention;
        qkv.check(3 * channels);
        assert!(channels.is_multiple_of(PANEL), "channels of whole heads");
        assert_eq!((qkv.layout.items, qkv.layout.rows), (layout.items, layout.rows), "as many rows in as out");
        // A block is of one item: its rows attend to the same rows.
        for item in 0..layout.items {
            let own = |l: Layout| Layout { items: 1, first: l.first + item * l.item_stride, ..l };
            let (own, from) = (own(layout), own(qkv.layout));
            let tall = self.tall(layout.rows, channels / PANEL).max(MANY_QUERIES.min(layout.rows));
            self.team.fill(out, own, channels, [tall, PANEL], &|mut block: Block<'_>| {
                let queries = Rows { data: qkv.data, layout: Layout { first: from.first + block.column, ..from } };
                self.head(queries, channels, &mut block);
            });
        }
    }

    /// One head: `queries` are its queries in rows that hold its keys and values `channels` further on.
    fn head(&self, queries: Rows<'_>, channels: usize, block: &mut Block<'_>) {
        let Layout { rows, first, stride, .. } = queries.layout;
        let padded = rows.next_multiple_of(PANEL);
        WORKSPACE.with_borrow_mut(|workspace| {
            workspace.resize(padded * PANEL + TILE * padded, 0.0);
            let (keys, scores) = workspace.split_at_mut(padded * PANEL);
            // Keys as the panels of a matrix: [panel][channel][key].
            for row in 0..padded {
                let to = row / PANEL * PANEL * PANEL + row % PANEL;
                let at = first + row.min(rows - 1) * stride + channels;
                for (i, key) in queries.data[at..at + PANEL].iter().enumerate() {
                    keys[to + i * PANEL] = *key;
                }
            }
            let values = &queries.data[first + 2 * channels..];
            let mut tile = [[0.0; PANEL]; TILE];
            for row in (0..block.rows).step_by(self.isa.rows()) {
                let count = self.isa.rows().min(block.rows - row);
                let mut at = [0; TILE];
                (0..count).for_each(|i| at[i] = queries.layout.at(block.row + row + i));
                for (panel, keys) in keys.chunks_exact(PANEL * PANEL).enumerate() {
                    tile[..count].fill([0.0; PANEL]);
                    simd::tile(
                        self.isa,
                        queries.data,
                        &at[..count],
                        PANEL,
                        Panel::Single(keys, PANEL),
                        None,
                        &mut tile,
                    );
                    for (i, sums) in tile[..count].iter().enumerate() {
                        scores[i * padded + panel * PANEL..][..PANEL].copy_from_slice(sums);
                    }
                }
                for scores in scores.chunks_exact_mut(padded).take(count) {
                    simd::softmax(self.isa, &mut scores[..rows], 1.0 / (PANEL as f32).sqrt());
                }
                (0..count).for_each(|i| at[i] = i * padded);
                tile[..count].fill([0.0; PANEL]);
                simd::tile(self.isa, scores, &at[..count], rows, Panel::Single(values, stride), None, &mut tile);
                (0..count).for_each(|i| block.row(row + i).copy_from_slice(&tile[i]));
            }
        });
    }
}

/// Bytes a second that the team reads from memory, for comparison: a stream of 128 MB, once.
pub fn memory_speed(cpu: &Cpu) -> f64 {
    thread_local! {
        static STREAM: Vec<u64> = vec![1; 1 << 24];
    }
    STREAM.with(|stream| {
        let parts: Vec<&[u64]> = stream.chunks(1 << 15).collect();
        let start = Instant::now();
        cpu.team.run(parts.len(), &|i| {
            let mut sums = [0u64; 8];
            for eight in parts[i].as_chunks::<8>().0 {
                sums.iter_mut().zip(eight).for_each(|(s, v)| *s = s.wrapping_add(*v));
            }
            std::hint::black_box(sums);
        });
        size_of_val(&stream[..]) as f64 / start.elapsed().as_secs_f64()
    })
}

/// Queries of a block, at least: each block lays the keys out anew.
const MANY_QUERIES: usize = 32;

/// Values of a cache line.
const LINE: usize = 16;
/// Values from one address to the next that shares its place in the fastest cache, and how many may.
const WAY: usize = 1024;
const WAYS: usize = 8;
/// Panels from which on a copy of the rows costs nothing beside the products.
const MANY_PANELS: usize = 8;

/// Whether rows that are worked on at once drive each other out of the cache.
fn alias(layout: Layout, panels: usize) -> bool {
    layout.stride.is_multiple_of(WAY) && layout.count() > WAYS && panels >= MANY_PANELS
}

/// Memory of a block's sums; it begins at a cache line.
#[repr(align(64))]
struct Sums {
    /// Weights of a piece of a panel in 32 bits.
    wide: [f32; PIECE * PANEL],
    tiles: [Tile; TILES],
}

thread_local! {
    static SUMS: RefCell<Sums> =
        const { RefCell::new(Sums { wide: [0.0; PIECE * PANEL], tiles: [[[0.0; PANEL]; TILE]; TILES] }) };
    /// Rows that were copied.
    static APART: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    /// Keys and scores of one head.
    static WORKSPACE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}
