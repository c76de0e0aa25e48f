//! Promise: a loop can be looked at while it is being made, and is the same to the last bit for it.
#![cfg(feature = "plugin")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowloop::codec::Sketch;
use flowloop::device;
use flowloop::engine::{Engine, Order, Request, generator};
use flowloop::model::{Canvas, Generator, Job, embedded_model};

#[test]
fn sketches_lead_to_the_loop_and_leave_it_as_it_is() {
    let cpu = device::choose("cpu").unwrap();
    let mut generator = Generator::new(embedded_model().unwrap(), &cpu).unwrap();
    let job = Job { seed: 5, steps: 64, ..Job::default() };
    let alone = generator.generate(&job, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let canvas = Arc::new(Canvas::default());
    generator.draw_on(canvas.clone());
    let mut sketches = Vec::new();
    let mut progress = |_: u32, _: u32| {
        sketches.extend(canvas.take());
        // As on a slower machine: sketches may take a share of the time.
        std::thread::sleep(Duration::from_millis(20));
        ControlFlow::Continue(())
    };
    let watched = generator.generate(&job, &mut progress).unwrap();
    assert_eq!(alone, watched);
    assert!(sketches.len() >= 2, "{} sketches", sketches.len());
    let end = Sketch::of(&watched);
    let apart = |sketch: &Sketch| {
        let pairs = sketch.levels.iter().zip(&end.levels);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / end.levels.len() as f64
    };
    let (first, last) = (apart(&sketches[0]), apart(&sketches[sketches.len() - 1]));
    println!("{} sketches, {first:.1} to {last:.1} from the loop", sketches.len());
    assert!(last < 0.9 * first, "they come nearer: {first} to {last}");
}

#[test]
fn a_session_sees_what_is_being_made_and_then_the_loop() {
    let cpu = |order: &Order| generator(&Order { device: "cpu".into(), ..order.clone() });
    let engine = Engine::start(Box::new(cpu));
    let (session, mut line) = engine.open();
    let request = Request::new(3, 128, 0, 32, 120.0);
    assert!(line.request(request));
    let (start, mut made) = (Instant::now(), Vec::new());
    let delivery = loop {
        made.extend(session.status().making.and_then(|(of, sketch)| Some((of, sketch?))));
        if let Some(delivery) = line.receive() {
            break delivery;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it has not come");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(!made.is_empty() && made.iter().all(|(of, _)| *of == request), "{} sketches", made.len());
    let clip = delivery.clip.unwrap();
    while session.status().sketch.is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "the loop's own sketch has not come");
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = session.status();
    assert_eq!((status.sketch.as_deref(), &status.making), (Some(&Sketch::of(&clip)), &None));
    assert!(status.pace.is_some_and(|p| p.seconds(&request) > 0.0));
    drop((session, line.spent.push(clip)));
}
