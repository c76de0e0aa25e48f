//! Promise: the newest wish of each session is answered, in turn; what was made comes from the cache.

use super::*;

#[test]
fn ramp_ends_on_last_seed() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (_session, mut line) = engine.open();
    for seed in 0..1000 {
        while !line.request(of(seed)) {
            std::thread::yield_now();
        }
    }
    assert_eq!(wait(&mut line, of(999)).clip.unwrap().samples[0][0], 999.0);
    assert!(fake.runs().len() < 100, "stale runs are cancelled");
}

#[test]
fn seed_heard_before_comes_from_the_cache() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    let mut clips = Vec::new();
    for seed in [1, 500, 1] {
        assert!(line.request(of(seed)));
        clips.push(wait(&mut line, of(seed)).clip.unwrap());
    }
    assert!(Arc::ptr_eq(&clips[0], &clips[2]));
    assert_eq!(fake.runs().iter().filter(|r| **r == of(1)).count(), 1);
    assert_eq!(session.status().seconds, None);
}

#[test]
fn sessions_take_turns_and_outlive_each_other() {
    let engine = Fake::default().engine();
    let mut open: Vec<_> = (0..10).map(|_| engine.open()).collect();
    for (i, (_, line)) in open.iter_mut().enumerate() {
        assert!(line.request(of(i as u64)));
    }
    drop(open.remove(3));
    for (i, (_, line)) in (0..10).filter(|i| *i != 3).zip(open.iter_mut()) {
        assert_eq!(wait(line, of(i)).clip.unwrap().samples[0][0], i as f32);
    }
}

#[test]
fn last_session_joins_the_thread_in_mid_run() {
    let engine = Fake::default().engine();
    let (session, mut line) = engine.open();
    assert!(line.request(Request::new(1, 10_000, 0, 8, 120.0)));
    std::thread::sleep(Duration::from_millis(20));
    let alive = Arc::downgrade(&engine);
    let start = Instant::now();
    drop((session, engine));
    assert!(alive.upgrade().is_none() && start.elapsed() < Duration::from_secs(2));
}

#[test]
fn restored_clip_answers_its_request_without_a_model() {
    let engine = Engine::start(Box::new(|_| Err(Failure::Refused("there is no model".into()))));
    let (session, mut line) = engine.open();
    let samples = vec![0.25; 64];
    let clip = Clip {
        samples: [samples.clone(), samples],
        sample_rate: 44_100,
        beats: 8,
        bpm: 120.0,
        provenance: None,
        hits: Vec::new(),
    };
    session.restore(of(5), Arc::new(clip.clone()));
    let first = wait(&mut line, of(5)).clip.unwrap();
    assert_eq!(*first, clip, "at once");
    session.restore(of(5), Arc::new(clip.clone()));
    assert!(Arc::ptr_eq(&first, &wait(&mut line, of(5)).clip.unwrap()), "nothing to fade");
    for (seed, expected) in [(6, None), (5, Some(&clip))] {
        assert!(line.request(of(seed)));
        assert_eq!(wait(&mut line, of(seed)).clip.as_deref(), expected);
    }
    assert_eq!(session.status().request, Some(of(5)));
}
