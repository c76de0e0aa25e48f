//! Promise: a request means one clip: the same in the plugin and in the companion, in an old project and
//! in a new one, made at once or by way of the loop it varies.

use super::*;
use crate::device;
use crate::key::Key;
use crate::model::{Generator, Job, embedded_model};

#[test]
fn states_of_older_versions_mean_the_same() {
    let old = r#"{"seed": 3, "steps": 8, "beats": 8, "style": 2, "centi_bpm": 12000}"#;
    let request: Request = serde_json::from_str(old).unwrap();
    assert_eq!(request, Request::new(3, 8, 2, 8, 120.0));
    assert_eq!(request.normalised(), request);
    let full =
        Request { morph: 250, solver: Solver::Heun, guidance: 250, variation: 300, take: 4, model: 77, ..request };
    let full = Request { key: 24, ..full };
    let back: Request = serde_json::from_str(&serde_json::to_string(&full).unwrap()).unwrap();
    assert_eq!((back, back.normalised()), (full, full));
    let provenance: crate::clip::Provenance =
        serde_json::from_str(r#"{"model": "ab", "seed": 3, "steps": 8}"#).unwrap();
    assert_eq!((provenance.solver.as_str(), provenance.guidance, provenance.variation), ("euler", 100, 0));
    assert_eq!(provenance.device, "", "older versions did not say");
}

#[test]
fn equal_requests_compare_equal() {
    let request = Request::new(3, 8, 2, 8, 120.0);
    let same = [
        (Request { take: 9, ..request }, request),
        (Request { morph: 1000, ..request }, Request { seed: 4, ..request }),
        (Request { style: 0, guidance: 300, ..request }, Request { style: 0, ..request }),
        (Request { guidance: 0, key: 3, ..request }, Request { style: 0, ..request }),
        (Request { key: 25, ..request }, request),
        (
            Request { steps: 0, beats: 0, centi_bpm: 0, ..request },
            Request { steps: 1, beats: 1, centi_bpm: 2000, ..request },
        ),
        (Request { beats: 1000, centi_bpm: u32::MAX, ..request }, Request { beats: 256, centi_bpm: 40_000, ..request }),
    ];
    for (written, expected) in same {
        assert_eq!(written.normalised(), expected);
    }
    let engine = Fake::default().engine();
    let (_session, mut line) = engine.open();
    assert!(line.request(same[0].0));
    assert_eq!(wait(&mut line, request).request, request, "deliveries are named in the normal form");
}

fn net() -> Box<dyn Generate> {
    generator(&Order { path: None, hash: String::new(), device: "cpu".into() }).unwrap()
}

/// The clip, and the steps that it took.
fn made(net: &mut dyn Generate, request: Request) -> (Clip, u32) {
    let mut last = 0;
    let clip = net.generate(&request, &mut |step, steps| {
        assert!(step >= last && step <= steps, "step {step} of {steps} after {last}");
        last = step;
        ControlFlow::Continue(())
    });
    (clip.unwrap(), last)
}

#[test]
fn plugin_and_companion_make_the_same() {
    let mut companion = Generator::new(embedded_model().unwrap(), &device::cpu()).unwrap();
    let labels = companion.model().header.labels.clone();
    let base = Request { model: 0, ..Request::new(7, 3, 2, 8, 123.45) };
    let chords = labels.iter().position(|label| label == "chords").unwrap();
    // Each as the host's parameters and as the command line's options.
    let job = Job { seed: 7, steps: 3, label: Some(1), bpm: 123.45, ..Job::default() };
    let both = [
        (base, job),
        (Request { morph: thousandths(f64::from(0.3f32)), ..base }, Job { morph: thousandths(0.3), ..job }),
        (Request { guidance: hundredths(f64::from(2.2f32)), ..base }, Job { guidance: hundredths(2.2), ..job }),
        (Request { solver: Solver::Heun, ..base }, Job { solver: Solver::Heun, ..job }),
        (
            Request { variation: thousandths(f64::from(0.6f32)), take: 2, ..base },
            Job { variation: thousandths(0.6), take: 2, ..job },
        ),
        (Request { style: 999, ..base }, Job { label: None, ..job }),
        (Request { style: chords as u16 + 1, ..base }, Job { label: Some(chords), ..job }),
        (
            Request { style: chords as u16 + 1, key: 10, ..base },
            Job { label: Some(chords), key: Key::from_number(9), ..job },
        ),
        (Request { style: 0, key: 10, ..base }, Job { label: None, key: Key::from_number(9), ..job }),
    ];
    let mut plugin = net();
    let mut clips: Vec<Clip> = Vec::new();
    for (request, job) in both {
        let clip = companion.generate(&job, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert!(made(&mut *plugin, request).0 == clip, "{request:?} is not {job:?}");
        assert!(clips.iter().all(|c| c.samples != clip.samples), "{job:?} makes no difference");
        let provenance = clip.provenance.as_ref().unwrap();
        let label = job.label.map(|l| labels[l].clone());
        assert_eq!((provenance.seed, provenance.steps, &provenance.label), (7, 3, &label));
        assert_eq!((provenance.morph, provenance.guidance), (job.morph, job.guidance));
        assert_eq!((provenance.variation, provenance.take), (job.variation, job.take));
        assert_eq!((provenance.solver.as_str(), provenance.device.as_str()), (job.solver.name(), "cpu"));
        let key = ModelInfo::built_in().key(&request);
        assert_eq!(provenance.key, key.map(|key| key.to_string()), "the window's words for {request:?}");
        assert!(job.key.is_none() || key == job.key, "{request:?}");
        assert!(job.label != Some(chords) || key.is_some(), "any key is one of the seed's own");
        clips.push(clip);
    }
    // Drums are the same in all keys.
    let clip =
        companion.generate(&Job { key: Key::from_number(9), ..job }, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert!(!companion.model().header.is_keyed(job.label) && clips.contains(&clip));
    assert!(made(&mut *plugin, Request { key: 10, ..base }).0 == clip);
}

#[test]
fn a_file_is_loaded_only_if_it_is_the_model_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.flow");
    let mut model = embedded_model().unwrap();
    model.header.name = "mine".into();
    model.save(&path, crate::model::Precision::Half).unwrap();
    let hash = crate::model::hash_of(&path).unwrap();
    let order = Order { path: Some(path.clone()), hash: hash.clone(), device: "cpu".into() };
    let mut mine = generator(&order).unwrap();
    assert!(mine.on_cpu() && mine.device() == "CPU");
    let clip = made(&mut *mine, Request::new(7, 1, 0, 4, 120.0)).0;
    assert_eq!(clip.provenance.unwrap().model, hash);
    let failure = |order: Order| generator(&order).err().unwrap();
    assert!(matches!(failure(Order { hash: "other".into(), ..order.clone() }), Failure::NotNow(_)));
    assert!(matches!(failure(Order { path: Some(folder.path().into()), ..order.clone() }), Failure::NotNow(_)));
    assert!(matches!(failure(Order { device: "gpu:99".into(), ..order.clone() }), Failure::NoDevice(_)));
    std::fs::write(&path, "no model").unwrap();
    assert!(matches!(failure(order), Failure::Refused(_)));
}

#[test]
fn a_variation_takes_a_part_of_the_steps_and_is_the_same_without_its_loop_at_hand() {
    let base = Request::new(7, 8, 0, 4, 120.0);
    let varied = |variation, take| Request { variation, take, ..base };
    let mut warm = net();
    let (own, steps) = made(&mut *warm, base);
    assert_eq!(steps, 8);
    let (half, steps) = made(&mut *warm, varied(500, 0));
    assert_eq!(steps, 4, "the loop's latents are at hand");
    let (cold, steps) = made(&mut *net(), varied(500, 0));
    assert_eq!(steps, 12, "the loop's latents are made first");
    assert!(cold == half, "it is the same clip");
    let difference = |clip: &Clip| {
        let pairs = crate::measure::compare(&own, clip);
        pairs.log_mel_db
    };
    let (little, steps) = made(&mut *warm, varied(125, 0));
    assert_eq!(steps, 1);
    let (whole, steps) = made(&mut *warm, varied(1000, 0));
    assert_eq!(steps, 8);
    let far = [&little, &half, &whole].map(difference);
    println!("log-mel difference at variation 0.125, 0.5, 1: {far:.2?} dB");
    assert!(far[0] > 0.0 && far[0] < far[1] && far[1] < far[2], "{far:?}");
    assert!(made(&mut *warm, varied(500, 1)).0 != half, "another take is another clip");
}

#[test]
fn a_run_that_is_not_wanted_ends_before_and_while_it_is_decoded() {
    let request = Request::new(7, 2, 0, 4, 120.0);
    let mut net = net();
    // Steps 1 and 2, then the latents are there, then round after round of decoding.
    for last in [1, 2, 3, 4, 8] {
        let mut heard = 0;
        let ended = net.generate(&request, &mut |step, steps| {
            heard += 1;
            assert_eq!((step, steps), (heard.min(2), 2));
            if heard == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((ended.err(), heard), (Some(Failure::Cancelled), last));
    }
    assert!(made(&mut *net, request).0 == made(&mut *self::net(), request).0);
}

#[test]
fn a_morph_goes_from_a_seed_to_the_next() {
    let base = Request::new(7, 4, 0, 4, 120.0);
    let mut net = net();
    let mut clip = |morph| made(&mut *net, Request { morph, ..base }).0;
    let (own, near, next) = (clip(0), clip(100), clip(1000));
    assert!(next.samples == made(&mut *self::net(), Request { seed: 8, ..base }).0.samples);
    let difference = |clip: &Clip| crate::measure::compare(&own, clip).log_mel_db;
    println!("log-mel difference at morph 0.1 and 1: {:.2} and {:.2} dB", difference(&near), difference(&next));
    assert!(difference(&near) < difference(&next));
}
