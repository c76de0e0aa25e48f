//! The audio thread never allocates or frees: playback and the session's line are driven here with an
//! allocator that counts what this thread does, through swaps, fades, stolen voices and a burst of clips.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowloop::clip::Clip;
use flowloop::engine::{Engine, Failure, Generate, Progress, Request};
use flowloop::playback::{Player, Transport};

thread_local! {
    /// Allocations and frees of this thread since it began to count; None while it does not.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    // Threads that are ending have no cell any more.
    let _ = COUNT.try_with(|c| c.set(c.get().map(|n| n + 1)));
}

// SAFETY: hands on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(run: impl FnOnce()) -> u64 {
    COUNT.set(Some(0));
    run();
    COUNT.replace(None).unwrap()
}

/// Makes clips at once; their samples are the seed.
struct Quick;

impl Generate for Quick {
    fn generate(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Clip, Failure> {
        if progress(0, 1) == ControlFlow::Break(()) {
            return Err(Failure::Cancelled);
        }
        let samples = vec![request.seed as f32 * 1e-3; 4410];
        Ok(Clip {
            samples: [samples.clone(), samples],
            sample_rate: 44_100,
            beats: 8,
            bpm: request.bpm(),
            provenance: None,
            hits: Vec::new(),
        })
    }
    fn device(&self) -> String {
        "test".into()
    }
}

#[test]
fn allocations_are_seen() {
    assert!(counted(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

#[test]
fn playback_and_the_line_neither_allocate_nor_free() {
    let engine = Engine::start(Box::new(|_| Ok(Box::new(Quick))));
    let (_session, mut line) = engine.open();
    let mut player = Player::new(48_000.0);
    let (mut left, mut right) = ([0f32; 64], [0f32; 64]);
    let (mut seed, mut swaps, mut sounded) = (0u64, 0, false);
    let start = Instant::now();
    while swaps < 200 {
        assert!(start.elapsed() < Duration::from_secs(60), "{swaps} swaps only");
        let allocations = counted(|| {
            seed += 1;
            line.request(Request::new(seed % 1000, 4, 0, 8, 120.0));
            while line.spent.slots() > 0
                && let Some(clip) = player.spent()
            {
                let _ = line.spent.push(clip);
            }
            while line.spent.slots() > 0
                && player.takes_clip()
                && let Some(delivery) = line.receive()
            {
                if let Some(clip) = delivery.clip {
                    player.swap(clip);
                    swaps += 1;
                }
            }
            player.note_on(40 + (seed % 40) as u8, None, 1.0);
            player.note_off(Some(40 + (seed % 7) as u8), None);
            left.fill(0.0);
            right.fill(0.0);
            // Now and then the transport jumps or stops.
            let at =
                Transport { beats: (seed / 5) as f64 * 0.37, bpm: 90.0 + (seed % 50) as f64, cycle: Some((3.0, 9.5)) };
            player.render((seed % 7 != 0).then_some(&at), &mut left, &mut right);
            sounded |= left.iter().any(|s| *s != 0.0);
        });
        assert_eq!(allocations, 0, "at block {seed}");
        std::thread::sleep(Duration::from_micros(300));
    }
    assert!(sounded);
}

#[test]
fn no_clip_outlives_its_session() {
    let engine = Engine::start(Box::new(|_| Ok(Box::new(Quick))));
    let (session, mut line) = engine.open();
    assert!(line.request(Request::new(1, 4, 0, 8, 120.0)));
    let start = Instant::now();
    let clip = loop {
        if let Some(delivery) = line.receive() {
            break delivery.clip.unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    };
    let watched = Arc::downgrade(&clip);
    let _ = line.spent.push(clip);
    drop((session, line, engine));
    assert!(watched.upgrade().is_none());
}
