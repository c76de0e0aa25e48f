//! Threads that share the rows of a result.
//!
//! They are Rayon's: a job of tens of microseconds that is started from inside the pool ([`Team::enter`]) is
//! shared within about 2 % of what threads reach that never sleep, and a pool that nobody asks sleeps. What is added
//! here is the cutting of results into blocks.

use std::sync::{Arc, Mutex, Weak};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::rows::Layout;

/// More than this would wait for memory and each other.
const MOST: usize = 8;

/// A few threads.
pub struct Team {
    /// None when no thread could be started: then whoever asks does the work.
    pool: Option<ThreadPool>,
}

static SHARED: Mutex<Weak<Team>> = Mutex::new(Weak::new());

impl Team {
    /// The process's team; it is started when there is none, and ends with the last who holds it.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let team = Arc::new(Self::new(Self::members_here()));
            *shared = Arc::downgrade(&team);
            team
        })
    }

    /// As many as there are cores, at most 8; of more than two, one is left to the audio thread.
    pub fn members_here() -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores > 2 { (cores - 1).min(MOST) } else { cores }
    }

    /// A team of so many threads; of one, whoever asks does the work.
    pub fn new(members: usize) -> Self {
        let builder = ThreadPoolBuilder::new().num_threads(members).thread_name(|_| "flowloop kernel".into());
        Self { pool: (members > 1).then(|| builder.build().ok()).flatten() }
    }

    /// Threads that share a job.
    pub fn members(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// Runs `work` inside the team, where it starts jobs soonest; returns when it is done.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does the tasks 0 to `tasks`, each once, in any order, and returns when all are done. A task that panics
    /// panics here.
    pub fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        match tasks {
            0 | 1 => (0..tasks).for_each(work),
            _ if self.pool.is_none() => (0..tasks).for_each(work),
            _ => self.enter(|| (0..tasks).into_par_iter().with_max_len(1).for_each(work)),
        }
    }

    /// Cuts rows of `width` values into blocks of at most `tall` rows and `wide` values and has each of them
    /// filled once.
    pub fn fill(
        &self,
        data: &mut [f32],
        layout: Layout,
        width: usize,
        [tall, wide]: [usize; 2],
        fill: &(dyn Fn(Block<'_>) + Sync),
    ) {
        assert!(
            layout.apart(width) && layout.end(width) <= data.len(),
            "rows of {width} values need room of their own"
        );
        let memory = Memory(data.as_mut_ptr());
        let (rows, across) = (layout.count(), width.div_ceil(wide));
        self.run(across * rows.div_ceil(tall), &|task| {
            let (column, row) = (task % across * wide, task / across * tall);
            fill(Block {
                memory: &memory,
                layout,
                row,
                rows: tall.min(rows - row),
                column,
                columns: wide.min(width - column),
            });
        });
    }
}

struct Memory(*mut f32);
// SAFETY: `fill` borrows the memory for as long as its tasks run, and no two blocks share a value.
unsafe impl Sync for Memory {}

/// A block of rows that one task fills.
pub struct Block<'a> {
    memory: &'a Memory,
    layout: Layout,
    /// Its first row.
    pub row: usize,
    /// Its rows.
    pub rows: usize,
    /// The place of its first value in each row.
    pub column: usize,
    /// Its values of each row.
    pub columns: usize,
}

impl Block<'_> {
    /// Its values of its row `row`, counted from 0.
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "a row of the block");
        let at = self.layout.at(self.row + row) + self.column;
        // SAFETY: `Team::fill` has checked that rows of this layout are apart and within the memory that it
        // borrows; blocks are cut apart, each is handed out once, and `&mut self` lends one row at a time.
        unsafe { std::slice::from_raw_parts_mut(self.memory.0.add(at), self.columns) }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_task_is_done_once_and_a_panic_comes_back() {
        for team in [Team::new(1), Team::new(3)] {
            for tasks in [0, 1, 2, 7, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                team.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{tasks} tasks");
            }
            let fails = || team.enter(|| team.run(50, &|i| assert_ne!(i, 17, "seventeen")));
            let panic = catch_unwind(AssertUnwindSafe(fails)).unwrap_err();
            assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("seventeen")));
            team.run(5, &|_| {});
        }
    }

    #[test]
    fn blocks_cover_rows_and_nothing_between() {
        let team = Team::new(2);
        let layout = Layout { items: 3, rows: 5, first: 2, stride: 9, item_stride: 60 };
        let mut data = vec![0.0; 200];
        team.fill(&mut data, layout, 7, [2, 4], &|mut block| {
            for row in 0..block.rows {
                block.row(row).iter_mut().for_each(|v| *v += 1.0);
            }
        });
        let mut expected = vec![0.0; 200];
        (0..15).for_each(|row| expected[layout.at(row)..layout.at(row) + 7].fill(1.0));
        assert_eq!(data, expected);
        for wrong in
            [Layout { stride: 6, ..layout }, Layout { item_stride: 42, ..layout }, Layout { items: 5, ..layout }]
        {
            let mut data = vec![0.0; 200];
            let fill = || team.fill(&mut data, wrong, 7, [2, 4], &|_| {});
            assert!(catch_unwind(AssertUnwindSafe(fill)).is_err(), "{wrong:?}");
        }
    }
}
