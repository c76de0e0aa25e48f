//! Where rows lie in memory.

/// Rows that are read: `items` times `rows`, of as many values as whoever reads them needs. They may overlap.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Where they lie.
    pub data: &'a [f32],
    /// Their places.
    pub layout: Layout,
}

/// Places of rows: `items` times `rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Loops of a batch.
    pub items: usize,
    /// Rows of each.
    pub rows: usize,
    /// Where the first begins.
    pub first: usize,
    /// From one row to the next.
    pub stride: usize,
    /// From one item's first row to the next one's.
    pub item_stride: usize,
}

impl Layout {
    /// Rows that lie one after the other.
    pub fn dense(rows: usize, width: usize) -> Self {
        Self { items: 1, rows, first: 0, stride: width, item_stride: rows * width }
    }

    /// Rows of all items.
    pub fn count(&self) -> usize {
        self.items * self.rows
    }

    /// Where row `row` of all begins.
    pub fn at(&self, row: usize) -> usize {
        // Most often there is one item, and a division takes as long as many additions.
        let (item, row) = if row < self.rows { (0, row) } else { (row / self.rows, row % self.rows) };
        self.first + item * self.item_stride + row * self.stride
    }

    /// Where the last of rows of `width` values ends.
    pub(super) fn end(&self, width: usize) -> usize {
        match self.count() {
            0 => 0,
            count => self.at(count - 1) + width,
        }
    }

    /// Whether no two rows of `width` values share one.
    pub(super) fn apart(&self, width: usize) -> bool {
        let item = self.rows.saturating_sub(1) * self.stride + width;
        (self.rows <= 1 || self.stride >= width) && (self.items <= 1 || self.item_stride >= item)
    }
}

impl<'a> Rows<'a> {
    /// Rows of `width` values that lie one after the other.
    pub fn dense(data: &'a [f32], width: usize) -> Self {
        Self { data, layout: Layout::dense(data.len() / width, width) }
    }

    pub(super) fn check(&self, width: usize) {
        // Strides only grow, so the last row is the one that ends last.
        assert!(self.layout.end(width) <= self.data.len(), "rows of {width} values end beyond their memory");
    }
}
