use super::*;

/// The default with this envelope.
fn shaped(attack: f32, decay: f32, sustain: f32, release: f32) -> Settings {
    Settings { attack, decay, sustain, release, ..Settings::default() }
}

#[test]
fn seventeenth_note_takes_the_oldest_voice() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(100.0, 44_100));
    for number in 40..57 {
        player.note_on(key(number), 1.0);
        render(&mut player, 10, 10);
    }
    let held = |p: &Player, k| p.voices.iter().any(|v| v.is(Some(k), Some(0), None));
    assert!(!held(&player, 40) && (41..57).all(|k| held(&player, k)));
    render(&mut player, 100, 10);
    assert_eq!(all_ended(&mut player), [key(40)]);
}

#[test]
fn released_note_is_taken_before_older_ones_that_are_held() {
    let mut player = Player::new(44_100.0);
    player.swap(flat(0.1));
    let long = shaped(0.001, 0.1, 1.0, 5.0);
    for number in 40..56 {
        player.note_on(key(number), 1.0);
        with(&mut player, &long, 10);
    }
    player.note_off(Some(50), None, None);
    player.note_on(key(90), 1.0);
    with(&mut player, &long, 200);
    assert_eq!(all_ended(&mut player), [key(50)]);
}

#[test]
fn stolen_and_choked_notes_do_not_click() {
    let mut player = Player::new(44_100.0);
    player.swap(flat(1.0));
    for number in 40..56 {
        player.note_on(key(number), 1.0);
    }
    let mut heard = render(&mut player, 500, 64);
    assert!((heard[400] - 16.0 * GAIN).abs() < 1e-4);
    // A whole chord is taken by the next one.
    for number in 60..76 {
        player.note_on(key(number), 1.0);
    }
    heard.extend(render(&mut player, 500, 64));
    player.choke(None, None, None);
    heard.extend(render(&mut player, 500, 64));
    // Sixteen notes rise in 44 samples at the quickest.
    let step = largest_step(&heard);
    assert!(step < 1.05 * 16.0 * GAIN / 44.0, "largest step {step}");
    assert!(heard[1100..].iter().all(|s| *s == 0.0));
    assert_eq!(all_ended(&mut player).len(), 32);
}

#[test]
fn released_note_ends() {
    let mut player = Player::new(48_000.0);
    player.swap(sine(100.0, 44_100));
    let note = Note { key: 64, channel: Some(3), id: Some(9) };
    player.note_on(note, 0.8);
    render(&mut player, 500, 64);
    player.note_off(Some(64), Some(3), None);
    let heard = render(&mut player, 2000, 64);
    assert!(heard[..100].iter().any(|s| s.abs() > 0.01) && heard[600..].iter().all(|s| *s == 0.0));
    assert_eq!(player.position(), None);
    assert_eq!(all_ended(&mut player), [note]);
}

#[test]
fn envelope_has_its_times_and_levels() {
    let mut player = playing(flat(1.0));
    let settings = shaped(0.01, 0.05, 0.4, 0.02);
    let heard = with(&mut player, &settings, 4410);
    let level = |heard: &[f32], seconds: f32| heard[(seconds * 44_100.0) as usize] / GAIN;
    assert!((level(&heard, 0.005) - 0.5).abs() < 0.01 && (level(&heard, 0.01) - 1.0).abs() < 0.01);
    let middle = level(&heard, 0.035);
    assert!(middle > 0.4 && middle < 0.55, "exponential: early down, {middle}");
    assert!(level(&heard, 0.0595) > 0.4 && (level(&heard, 0.061) - 0.4).abs() < 1e-6);
    player.note_off(None, None, None);
    let heard = with(&mut player, &settings, 4410);
    assert!(level(&heard, 0.002) > 0.2 && level(&heard, 0.0201) == 0.0);
}

#[test]
fn sustained_level_is_followed_both_ways_without_a_step() {
    let mut player = playing(flat(1.0));
    let mut heard = Vec::new();
    for sustain in [1.0, 0.3, 0.8, 0.5] {
        heard.extend(with(&mut player, &shaped(0.01, 0.02, sustain, 0.01), 4000));
        assert!((heard[heard.len() - 1] - GAIN * sustain).abs() < 1e-6, "{sustain}");
    }
    assert!(largest_step(&heard) < 0.003, "{}", largest_step(&heard));
}

#[test]
fn pluck_ends_of_itself() {
    let mut player = playing(flat(1.0));
    let heard = with(&mut player, &shaped(0.0, 0.1, 0.0, 1.0), 10_000);
    assert!(heard[2000] > 0.0 && heard[4500..].iter().all(|s| *s == 0.0));
    assert!(!player.sounding());
    assert_eq!(all_ended(&mut player), [key(ROOT_KEY)]);
}

#[test]
fn times_of_zero_do_not_click() {
    let mut player = playing(flat(1.0));
    let settings = shaped(0.0, 0.0, 1.0, 0.0);
    let mut heard = vec![0.0];
    heard.extend(with(&mut player, &settings, 1000));
    player.note_off(None, None, None);
    heard.extend(with(&mut player, &settings, 1000));
    assert_eq!(heard[500], GAIN);
    // 1 ms up; down at a quarter of 2 ms in the first moment.
    assert!(largest_step(&heard) < 1.05 * GAIN / 22.0, "{}", largest_step(&heard));
    assert!(heard[1091..].iter().all(|s| *s == 0.0));
}

#[test]
fn notes_are_matched_by_all_names_that_are_given() {
    let mut player = Player::new(44_100.0);
    player.swap(flat(0.1));
    let note = |key, channel, id| Note { key, channel, id };
    let notes =
        [note(60, Some(0), Some(1)), note(60, Some(1), Some(2)), note(61, Some(0), Some(3)), note(62, None, None)];
    notes.iter().for_each(|n| player.note_on(*n, 1.0));
    let mut ended = |key, channel, id| {
        player.note_off(key, channel, id);
        render(&mut player, 1000, 100);
        all_ended(&mut player)
    };
    assert_eq!(ended(Some(60), Some(1), Some(1)), []);
    assert_eq!(ended(Some(60), Some(0), None), [notes[0]]);
    assert_eq!(ended(Some(62), Some(7), Some(99)), [notes[3]]);
    assert_eq!(ended(None, None, Some(3)), [notes[2]]);
    assert_eq!(ended(None, None, None), [notes[1]]);
}

#[test]
fn expressions_reach_their_note_smoothly() {
    let mut player = Player::new(44_100.0);
    player.swap(flat(1.0));
    for channel in [0, 1] {
        player.note_on(Note { key: ROOT_KEY, channel: Some(channel), id: Some(10 + i32::from(channel)) }, 1.0);
    }
    let [left, _] = stereo(&mut player, &Settings::default(), 500, 50);
    assert_eq!(left[499], 2.0 * GAIN);
    player.express(None, None, Some(11), Expression::Volume(0.5));
    player.express(Some(ROOT_KEY), Some(0), None, Expression::Pan(-1.0));
    let [left, right] = stereo(&mut player, &Settings::default(), 500, 50);
    assert_eq!((left[499], right[499]), (1.5 * GAIN, 0.5 * GAIN));
    assert!(largest_step(&left) < 0.003 && largest_step(&right) < 0.006);
}

#[test]
fn expressions_that_come_with_the_note_are_there_from_its_first_sample() {
    let mut tuned = Player::new(44_100.0);
    tuned.swap(sine(100.0, 44_100));
    tuned.note_on(key(ROOT_KEY), 1.0);
    tuned.express(Some(ROOT_KEY), None, None, Expression::Tuning(12.0));
    let mut octave = Player::new(44_100.0);
    octave.swap(sine(100.0, 44_100));
    octave.note_on(key(ROOT_KEY + 12), 1.0);
    assert_eq!(render(&mut tuned, 5000, 64), render(&mut octave, 5000, 64));
}

#[test]
fn queue_of_ended_notes_forgets_the_oldest() {
    let mut ended = Ended::default();
    (0..100).for_each(|n| ended.push(key(n)));
    let rest: Vec<u8> = std::iter::from_fn(|| ended.take()).map(|n| n.key).collect();
    assert_eq!(rest, (36..100).collect::<Vec<u8>>());
    ended.push(key(5));
    assert_eq!((ended.take(), ended.take()), (Some(key(5)), None));
}

#[test]
fn held_note_waits_for_the_first_clip_and_a_released_one_does_not() {
    let mut player = Player::new(44_100.0);
    player.note_on(key(60), 1.0);
    player.note_on(key(64), 1.0);
    player.note_off(Some(64), None, None);
    render(&mut player, 100, 50);
    assert_eq!(all_ended(&mut player), [key(64)]);
    player.swap(flat(1.0));
    assert_eq!(render(&mut player, 200, 50)[199], GAIN);
}
