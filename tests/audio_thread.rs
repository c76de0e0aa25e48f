//! The audio thread never allocates or frees: playback and the session's line are driven here with an
//! allocator that counts what this thread does, through swaps, fades, stolen voices, a burst of clips and
//! settings of all kinds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowloop::clip::Clip;
use flowloop::engine::{Engine, Failure, Generate, Progress, Request};
use flowloop::playback::{Expression, Mode, Note, Player, Settings, Slicing, SwapAt, Transport};

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
        let samples = vec![request.seed as f32 * 1e-3; 44_100];
        Ok(Clip {
            samples: [samples.clone(), samples],
            sample_rate: 44_100,
            beats: 8,
            bpm: request.bpm(),
            provenance: None,
            hits: vec![100, 2000, 30_000],
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

fn pick<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

fn settings(random: &mut fastrand::Rng) -> Settings {
    Settings {
        mode: pick(random, &[Mode::Trigger, Mode::Sync, Mode::Slice]),
        swap: pick(random, &[SwapAt::Now, SwapAt::Now, SwapAt::Beat, SwapAt::Bar, SwapAt::Loop]),
        bar: pick(random, &[3.0, 4.0]),
        start: random.f32(),
        length: pick(random, &[0.0, 0.5, 1.0, 1.0]),
        reverse: random.bool(),
        slicing: pick(random, &[Slicing::Beats, Slicing::Hits]),
        attack: 0.01 * random.f32(),
        decay: 0.1 * random.f32(),
        sustain: pick(random, &[0.0, 0.5, 1.0]),
        release: 0.1 * random.f32(),
        bend: 48.0 * random.f32() - 24.0,
        gain: 2.0 * random.f32(),
        pan: 2.0 * random.f32() - 1.0,
        low_cut: pick(random, &[None, Some(20.0), Some(400.0), Some(30_000.0)]),
        high_cut: pick(random, &[None, Some(100.0), Some(5000.0), Some(30_000.0)]),
    }
}

/// Plays notes of all fates, and tells which ended.
fn play(random: &mut fastrand::Rng, player: &mut Player) {
    let key = pick(random, &[36, 37, 40, 43, 50, 60, 67, 90]);
    let id = pick(random, &[None, Some(1), Some(2)]);
    match random.u32(..6) {
        0 | 1 => player.note_on(Note { key, channel: Some(random.u8(..2)), id }, random.f32()),
        2 => player.note_off(Some(key), None, None),
        3 => player.choke(None, Some(1), id),
        4 => player.express(Some(key), None, id, Expression::Tuning(2.0 * random.f32() - 1.0)),
        _ => {
            let expression = pick(random, &[Expression::Volume(0.4), Expression::Pan(-0.7), Expression::Pan(0.0)]);
            player.express(None, None, None, expression);
        }
    }
    while player.ended().is_some() {}
}

#[test]
fn playback_and_the_line_neither_allocate_nor_free() {
    let engine = Engine::start(Box::new(|_| Ok(Box::new(Quick))));
    let (_session, mut line) = engine.open();
    let mut player = Player::new(48_000.0);
    let (mut left, mut right) = ([0f32; 200], [0f32; 200]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut now = settings(&mut random);
    let (mut seed, mut swaps, mut blocks) = (0u64, 0, [0; 3]);
    let start = Instant::now();
    while swaps < 200 || blocks.iter().any(|b| *b < 100) {
        assert!(start.elapsed() < Duration::from_secs(60), "{swaps} swaps, {blocks:?} blocks that sounded only");
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
            if random.u32(..4) == 0 {
                now = Settings { mode: now.mode, ..settings(&mut random) };
            }
            if random.u32(..60) == 0 {
                now.mode = pick(&mut random, &[Mode::Trigger, Mode::Sync, Mode::Slice]);
            }
            if random.u32(..100) == 0 {
                player.set_sample_rate(pick(&mut random, &[22_050.0, 44_100.0, 48_000.0, 192_000.0]));
            }
            play(&mut random, &mut player);
            let n = random.usize(1..=200);
            let (left, right) = (&mut left[..n], &mut right[..n]);
            left.fill(0.0);
            right.fill(0.0);
            // Now and then the transport jumps or stops.
            let at =
                Transport { beats: (seed / 5) as f64 * 0.37, bpm: 90.0 + (seed % 50) as f64, cycle: Some((3.0, 9.5)) };
            player.render(&now, (seed % 7 != 0).then_some(&at), left, right);
        });
        assert_eq!(allocations, 0, "at block {seed}");
        let sound = left.iter().chain(&right);
        assert!(sound.clone().all(|s| s.is_finite()), "at block {seed}: {now:?}");
        blocks[now.mode as usize] += usize::from(sound.clone().any(|s| *s != 0.0));
        left.fill(0.0);
        right.fill(0.0);
        std::thread::sleep(Duration::from_micros(300));
    }
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
