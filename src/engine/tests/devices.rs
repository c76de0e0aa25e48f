//! Promise: a device that fails gives way, says so, and loses no request; what failed is not tried
//! again by itself, in this process or the next.

use super::*;

fn lost() -> Failure {
    Failure::Device("the device is lost".into())
}

#[test]
fn a_failed_device_is_built_again_and_at_its_second_failure_the_cpu_takes_over() {
    let fake = Fake::with(|order, request| match (request.seed, order.device.as_str()) {
        (7 | 9, "auto") => Err(lost()),
        _ => Ok(()),
    });
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(500)), Some(500.0));
    assert_eq!(session.status().notice, None);
    assert_eq!(ask(&mut line, of(7)), Some(7.0), "no request is lost");
    assert_eq!(fake.devices(), ["auto", "auto", "cpu"]);
    assert_eq!(session.status().activity, Activity::Ready);
    let notice = session.status().notice.unwrap();
    assert_eq!(notice, "the device fake auto failed (the device is lost); going on with the CPU");
    assert_eq!(session.status().device, "fake cpu");
    assert_eq!(ask(&mut line, of(9)), Some(9.0));
    assert_eq!(ask(&mut line, of(500)), Some(500.0));
    let runs = fake.runs();
    assert_eq!(runs.iter().filter(|r| r.seed == 500).count(), 2, "what the device made is made anew");
    assert_eq!(fake.devices().len(), 3, "for good");
}

#[test]
fn a_device_that_comes_back_goes_on() {
    let failed = AtomicBool::new(false);
    let fake = Fake::with(move |_, request| match request.seed == 7 && !failed.swap(true, Ordering::Relaxed) {
        true => panic!("out of memory"),
        false => Ok(()),
    });
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!((ask(&mut line, of(500)), ask(&mut line, of(7))), (Some(500.0), Some(7.0)));
    assert_eq!(fake.devices(), ["auto", "auto"]);
    let notice = session.status().notice.unwrap();
    assert_eq!(notice, "the device fake auto failed (out of memory); it was started again");
}

#[test]
fn a_cpu_that_fails_says_so_and_is_tried_for_the_next_request() {
    let fake = Fake::with(|_, request| if request.seed == 7 { Err(lost()) } else { Ok(()) });
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(7)), None);
    assert!(failure(&session).contains("the CPU failed (the device is lost)"), "{}", failure(&session));
    assert_eq!(ask(&mut line, of(500)), Some(500.0));
}

#[test]
fn a_device_that_is_not_there_leaves_the_cpu_and_no_mark() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    home.keep_device("gpu:9").unwrap();
    let fake = Fake::loading(|order| match order.device.as_str() {
        "cpu" => Ok(()),
        _ => Err(Failure::NoDevice("there is none".into())),
    });
    for launch in 1..=2 {
        let engine = fake.engine_in(home.clone());
        let (session, mut line) = engine.open();
        assert_eq!(ask(&mut line, of(1)), Some(1.0));
        assert!(session.status().notice.unwrap().contains("gpu:9 failed (there is none); going on with the CPU"));
        assert_eq!(fake.devices().len(), 2 * launch, "{:?}", fake.devices());
    }
    assert_eq!(fake.devices()[..2], ["gpu:9", "cpu"]);
}

#[test]
fn numbers_that_are_not_finite_are_the_devices_fault_only_if_the_cpu_does_better() {
    let diverged = |_: &Order, request: &Request| match request.seed {
        7 => Err(Failure::NotFinite("not a finite number".into())),
        _ => Ok(()),
    };
    let fake = Fake::with(diverged);
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(7)), None);
    assert_eq!(failure(&session), "not a finite number");
    assert_eq!(ask(&mut line, of(500)), Some(500.0));
    assert_eq!((fake.devices(), session.status().notice), (["auto", "cpu", "auto"].map(String::from).to_vec(), None));

    let fake = Fake::with(move |order, request| match order.device.as_str() {
        "cpu" => Ok(()),
        _ => diverged(order, request),
    });
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    assert_eq!((ask(&mut line, of(7)), ask(&mut line, of(500))), (Some(7.0), Some(500.0)));
    assert_eq!(fake.devices(), ["auto", "cpu"]);
    assert!(session.status().notice.unwrap().contains("not finite); going on with the CPU"));
}

#[test]
fn a_model_that_cannot_be_loaded_is_named_and_tried_once_until_somebody_says_so() {
    let fake = Fake::loading(|_| Err(Failure::Refused("the file is damaged".into())));
    let engine = fake.engine();
    let (session, mut line) = engine.open();
    for seed in [1, 500] {
        assert_eq!(ask(&mut line, of(seed)), None);
        assert!(failure(&session).starts_with("the file is damaged"), "{}", failure(&session));
    }
    assert_eq!(fake.devices().len(), 1);
    session.retry();
    assert!(wait(&mut line, of(500)).clip.is_none(), "what failed is asked for again");
    assert_eq!(fake.devices().len(), 2);
}

#[test]
fn a_failure_is_remembered_at_the_next_launch_until_somebody_tries_again() {
    let folder = tempfile::tempdir().unwrap();
    let home = || Home::at(folder.path());
    let fails = Fake::loading(|order| if order.device == "cpu" { Ok(()) } else { Err(lost()) });
    let engine = fails.engine_in(home());
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(1)), Some(1.0));
    assert_eq!(fails.devices(), ["auto", "auto", "cpu"]);
    drop((session, line, engine));

    let fake = Fake::default();
    let engine = fake.engine_in(home());
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(1)), Some(1.0));
    assert_eq!(fake.devices(), ["cpu"]);
    let notice = session.status().notice.unwrap();
    assert!(notice.contains("failed last time (the device is lost)") && notice.contains("Try again"), "{notice}");
    session.retry();
    until("the notice's end", || session.status().notice.is_none());
    assert_eq!(ask(&mut line, of(500)), Some(500.0));
    assert_eq!(fake.devices(), ["cpu", "auto"]);
    drop((session, line, engine));
    let engine = fake.engine_in(home());
    let (_session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(1)), Some(1.0));
    assert_eq!(fake.devices()[2], "auto", "nothing is held against it any more");
}

#[test]
fn an_orderly_end_before_the_first_clip_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let engine = fake.engine_in(Home::at(folder.path()));
    let (session, mut line) = engine.open();
    assert!(line.request(Request::new(1, 10_000, 0, 8, 120.0)));
    let trials = || std::fs::read_dir(folder.path().join("trials")).map_or(0, |d| d.count());
    until("the trial's file", || trials() == 1);
    drop((session, line, engine));
    assert_eq!(trials(), 0);
}

#[test]
fn a_home_that_cannot_be_written_breaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let fake = Fake::default();
    let engine = fake.engine_in(Home::at(&file.join("home")));
    let (session, mut line) = engine.open();
    assert_eq!(ask(&mut line, of(1)), Some(1.0));
    assert_eq!((session.status().notice, fake.devices()), (None, vec!["auto".to_string()]));
}
