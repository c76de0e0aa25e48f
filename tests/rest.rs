//! Promise: an engine costs nothing until somebody wants something, and nothing again once its clip and
//! the clip's neighbours are there.
#![cfg(all(feature = "plugin", target_os = "linux"))]

use std::time::{Duration, Instant};

use flowloop::engine::{Engine, Order, Request, generator};

/// Processor time of this process so far.
fn spent() -> Duration {
    // SAFETY: getrusage fills plain numbers.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn share_of_a_core(over: Duration) -> f64 {
    let before = spent();
    std::thread::sleep(over);
    (spent() - before).as_secs_f64() / over.as_secs_f64()
}

#[test]
fn it_opens_at_once_and_rests_when_all_is_done() {
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        drop(Engine::shared().open());
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    println!("opening and closing the process's engine: {times:.2?} ms");
    assert!(times.iter().all(|t| *t < 50.0), "{times:?}");

    let cpu = |order: &Order| generator(&Order { device: "cpu".into(), ..order.clone() });
    let engine = Engine::start(Box::new(cpu));
    let (session, mut line) = engine.open();
    let share = share_of_a_core(Duration::from_secs(1));
    println!("idle before the first request: {:.3} % of a core", share * 100.0);
    assert!(share < 0.01);

    let of = |seed| Request::new(seed, 2, 0, 4, 120.0);
    let mut heard = |seed| {
        assert!(line.request(of(seed)));
        let start = Instant::now();
        while !line.receive().is_some_and(|d| d.request == of(seed) && d.clip.is_some()) {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        start.elapsed()
    };
    let first = heard(5);
    let start = Instant::now();
    while share_of_a_core(Duration::from_millis(300)) > 0.05 {
        assert!(start.elapsed() < Duration::from_secs(60), "it never rests");
    }
    let nudged = heard(6);
    println!("first clip {first:.1?}, its neighbour {nudged:.1?}");
    assert_eq!(session.status().seconds, None, "the neighbour was there already");
    while share_of_a_core(Duration::from_millis(300)) > 0.05 {
        assert!(start.elapsed() < Duration::from_secs(120), "it never rests");
    }
    let share = share_of_a_core(Duration::from_secs(3));
    println!("idle with its clips made: {:.3} % of a core", share * 100.0);
    assert!(share < 0.01, "{share}");
}
