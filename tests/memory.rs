//! Promise: ten instances hold one net, and beside its weights little more than their clips.
#![cfg(all(feature = "plugin", target_os = "linux", target_env = "gnu"))]

use std::time::{Duration, Instant};

use flowloop::engine::{Engine, Line, Order, Request, generator};

/// Bytes that are allocated. What the allocator keeps of what was given back differs from run to run.
fn allocated() -> f64 {
    // SAFETY: it only reads the allocator's own counts.
    let counts = unsafe { libc::mallinfo2() };
    (counts.uordblks + counts.hblkhd) as f64
}

fn hear(line: &mut Line, seed: u64) {
    let request = Request::new(seed, 4, 0, 8, 120.0);
    assert!(line.request(request));
    let start = Instant::now();
    while !line.receive().is_some_and(|d| d.request == request && d.clip.is_some()) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn ten_instances_share_a_net_and_hold_little_more() {
    let before = allocated();
    let cpu = |order: &Order| generator(&Order { device: "cpu".into(), ..order.clone() });
    let engine = Engine::start(Box::new(cpu));
    let (_session, mut line) = engine.open();
    hear(&mut line, 1);
    let one = allocated() - before;
    let mut others: Vec<_> = (0..9).map(|_| engine.open()).collect();
    for (seed, (_, line)) in (2..).zip(&mut others) {
        hear(line, seed);
    }
    let ten = allocated() - before;
    println!("MB beyond an empty process: {:.1} with one instance, {:.1} with ten", one / 1e6, ten / 1e6);
    // 6.4 million weights of 16 bits, 3.4 million of the codec of 32; a clip of 4 seconds takes 1.4 MB, and has
    // neighbours.
    let weights = 27e6;
    assert!(one < weights + 18e6, "{one}");
    assert!(ten < one + 25e6, "{ten}");
}
