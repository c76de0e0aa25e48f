//! Promise: while nobody waits the neighbours of the newest seed are made, and then nothing; the history
//! is what was heard.

use super::*;

fn seeds(fake: &Fake) -> Vec<u64> {
    fake.runs().iter().map(|r| r.seed).collect()
}

#[test]
fn a_nudge_is_heard_at_once() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(5)), Some(5.0));
    until("the neighbours", || seeds(&fake) == [5, 6, 4]);
    assert_eq!(session.status().request, Some(of(5)), "they are not heard before they are asked for");
    for seed in [6, 5, 4] {
        assert_eq!(ask(&mut line, of(seed)), Some(seed as f32));
        assert_eq!(session.status().seconds, None, "from the cache");
    }
    until("the neighbour of the new seed", || seeds(&fake).contains(&3));
}

#[test]
fn whoever_wants_something_comes_first() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (_session, mut line) = engine.open();
    let long = |seed| Request::new(seed, 200, 0, 8, 120.0);
    assert_eq!(ask(&mut line, long(5)), Some(5.0));
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    assert_eq!(ask(&mut line, of(700)), Some(700.0));
    assert!(start.elapsed() < Duration::from_millis(300), "a neighbour takes 400 ms: {:?}", start.elapsed());
    assert!(!fake.runs().contains(&long(6)));
    until("the neighbours of the newest", || seeds(&fake) == [5, 700, 701, 699]);
}

#[test]
fn the_end_waits_for_no_neighbour() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, Request::new(5, 300, 0, 8, 120.0)), Some(5.0));
    std::thread::sleep(Duration::from_millis(30));
    let start = Instant::now();
    drop((session, line, engine));
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    assert_eq!(seeds(&fake), [5]);
}

#[test]
fn a_restored_clip_loads_no_model_for_its_neighbours() {
    let fake = Fake::default();
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    session.restore(of(5), Arc::new(clip(0.5)));
    assert!(wait(&mut line, of(5)).clip.is_some());
    std::thread::sleep(Duration::from_millis(100));
    assert!(fake.devices().is_empty());
}

#[test]
fn a_neighbour_that_fails_is_left_until_it_is_asked_for() {
    let fake = Fake::with(|_, r| if r.seed == 6 { Err(Failure::Refused("not this one".into())) } else { Ok(()) });
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(5)), Some(5.0));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(session.status().activity, Activity::Ready);
    assert_eq!(ask(&mut line, of(6)), None);
    assert_eq!(failure(&session), "not this one");
}

#[test]
fn hits_are_there_with_each_clip() {
    let mut wave = vec![0f32; 44_100];
    for hit in [0, 11_025, 22_050, 33_075] {
        (0..2000).for_each(|i| wave[hit + i] = 0.8 * (i as f32 * 0.7).sin() * (-(i as f32) / 400.0).exp());
    }
    let drums = Clip { samples: [wave.clone(), wave], beats: 2, ..clip(0.0) };
    let expected = crate::measure::hits(&drums);
    assert_eq!(expected.len(), 4);
    let engine = Fake::default().engine();
    let (session, mut line) = engine.open();
    session.restore(of(5), Arc::new(drums));
    assert_eq!(wait(&mut line, of(5)).clip.unwrap().hits, expected);
    assert_eq!(session.status().clip.unwrap().hits, expected);
}

#[test]
fn history_is_what_was_heard_and_survives_saving() {
    let engine = Fake::default().engine();
    let (session, mut line) = engine.open();
    for seed in [1, 500, 500, 1] {
        ask(&mut line, of(seed));
    }
    let requests = |session: &Session| session.status().history.iter().map(|h| h.request).collect::<Vec<_>>();
    assert_eq!(requests(&session), [of(1), of(500)], "what is heard again keeps its place");
    session.star(&of(1), true);
    for seed in 0..40 {
        ask(&mut line, of(seed));
    }
    let history = session.status().history;
    let (first, last) = (&history[0], &history[HISTORY - 1]);
    assert_eq!((history.len(), first.request, first.starred, last.request), (HISTORY, of(1), true, of(39)));
    assert!(history[1].request == of(9) && !last.outline.is_empty(), "the oldest without a star are gone");

    // In either order a state is restored as it was saved, also when it is saved at once.
    for clip_first in [true, false] {
        let (session, mut line) = engine.open();
        let saved = session.status().clip.unwrap_or_else(|| Arc::new(clip(39.0)));
        if clip_first {
            session.restore(of(39), saved.clone());
        }
        session.restore_history(history.clone());
        if !clip_first {
            session.restore(of(39), saved);
        }
        assert_eq!(session.status().history, history);
        assert!(wait(&mut line, of(39)).clip.is_some());
        assert_eq!(session.status().history, history);
    }
}
