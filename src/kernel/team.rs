//! Threads that share a job of many small tasks.
//!
//! A product takes tens of microseconds, less than it takes to wake a thread. So between jobs the helpers
//! look out for the next one for [`SPIN`], then park: a team that nobody asks costs nothing. (Rayon's workers
//! go to sleep at once and are awake again after the job is done.)

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::rows::Layout;

/// How long a helper looks out for the next job: longer than a solver takes between two steps.
const SPIN: Duration = Duration::from_micros(300);
/// More helpers than this would wait for memory and each other.
const MOST: usize = 8;
/// Bits of the number of the next task, and of the number of tasks.
const BITS: u32 = 20;

type Work<'a> = &'a (dyn Fn(usize) + Sync);

#[derive(Default)]
struct Shared {
    /// From the lowest bits: next task, tasks, number of the job.
    state: AtomicU64,
    /// Tasks that are not finished.
    left: AtomicUsize,
    /// The job's work: a `Work` on the stack of whoever waits for it.
    work: AtomicPtr<()>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
}

impl Shared {
    /// Takes the next task of the job there is, if one is left.
    fn claim(&self) -> Option<usize> {
        let mask = (1 << BITS) - 1;
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let (next, tasks) = (state & mask, state >> BITS & mask);
            if next >= tasks {
                return None;
            }
            match self.state.compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(next as usize),
                Err(now) => state = now,
            }
        }
    }

    /// Does tasks until none is left; true when there was one.
    fn help(&self) -> bool {
        let mut helped = false;
        while let Some(task) = self.claim() {
            helped = true;
            // SAFETY: `Team::run` stored a pointer to a `Work` on its stack before it published the job's state,
            // and stays until `left` is 0. The task claimed here is one of `left`, so work and pointer are alive.
            let work = unsafe { *self.work.load(Ordering::Relaxed).cast::<Work<'_>>() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(task))) {
                self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
            }
            self.left.fetch_sub(1, Ordering::Release);
        }
        helped
    }

    fn look_out(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let idle = Instant::now();
            while !self.help() && !self.stop.load(Ordering::Relaxed) {
                if idle.elapsed() > SPIN {
                    std::thread::park();
                    break;
                }
                (0..32).for_each(|_| std::hint::spin_loop());
                // On a busy machine it may share its core with whoever makes the next job.
                std::thread::yield_now();
            }
        }
    }
}

/// A few threads, and whoever asks them.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    asking: Mutex<()>,
}

static SHARED: Mutex<Weak<Team>> = Mutex::new(Weak::new());

impl Team {
    /// The process's team; it is started when there is none, and ends with the last who holds it, as a
    /// plugin's code may be taken from memory then.
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

    /// `members` threads, counting the one that asks. When a thread cannot be started there are fewer.
    pub fn new(members: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let helper = |_| {
            let shared = shared.clone();
            std::thread::Builder::new().name("flowloop kernel".into()).spawn(move || shared.look_out()).ok()
        };
        let helpers = (1..members).filter_map(helper).collect();
        Self { shared, helpers, asking: Mutex::new(()) }
    }

    /// Threads that share a job.
    pub fn members(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Does the tasks 0 to `tasks`, each once, in any order, and returns when all are done. While another
    /// thread asks the team, the caller does them alone. A task that panics panics here, when all are done.
    pub fn run(&self, tasks: usize, work: Work<'_>) {
        let asking = self.asking.try_lock();
        if tasks <= 1 || tasks >= 1 << BITS || self.helpers.is_empty() || asking.is_err() {
            return (0..tasks).for_each(work);
        }
        let shared = &*self.shared;
        shared.work.store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        shared.left.store(tasks, Ordering::Relaxed);
        let job = (shared.state.load(Ordering::Relaxed) >> (2 * BITS)).wrapping_add(1);
        shared.state.store(job << (2 * BITS) | (tasks as u64) << BITS, Ordering::Release);
        self.helpers.iter().for_each(|h| h.thread().unpark());
        shared.help();
        let mut looks = 0;
        while shared.left.load(Ordering::Acquire) > 0 {
            looks += 1;
            // On a busy machine a helper may have lost its core in the middle of a task.
            if looks > 2000 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        let panic = shared.panic.lock().unwrap_or_else(|e| e.into_inner()).take();
        drop(asking);
        if let Some(panic) = panic {
            resume_unwind(panic);
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

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            let _ = helper.join();
        }
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
    use super::*;

    #[test]
    fn each_task_is_done_once_and_a_panic_comes_back() {
        let team = Team::new(3);
        for tasks in [0, 1, 2, 7, 1000] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            team.run(tasks, &|i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{tasks} tasks");
        }
        let done = AtomicUsize::new(0);
        let fails = || {
            team.run(50, &|i| {
                done.fetch_add(1, Ordering::Relaxed);
                assert_ne!(i, 17, "seventeen");
            })
        };
        let panic = catch_unwind(AssertUnwindSafe(fails)).unwrap_err();
        assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("seventeen")));
        assert_eq!(done.load(Ordering::Relaxed), 50);
        team.run(5, &|_| {});
    }

    #[test]
    fn many_may_ask_at_once() {
        let team = Team::new(2);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        team.run(20, &|i| {
                            sum.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 4 * 200 * 190);
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
