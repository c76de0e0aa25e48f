use super::*;

fn slicing(slicing: Slicing) -> Settings {
    Settings { mode: Mode::Slice, slicing, ..Settings::default() }
}

/// The place (0..1) that a sample of [`places`] shows.
fn place(sample: f32) -> f64 {
    f64::from(sample / GAIN)
}

#[test]
fn start_and_length_are_on_the_clips_sixteenths() {
    // Eight 16ths in two beats.
    for (start, length, begins, lasts) in
        [(0.26, 0.49, 0.25, 0.5), (0.0, 0.0, 0.0, 0.125), (1.0, 1.0, 0.875, 1.0), (0.95, 0.3, 0.875, 0.25)]
    {
        let settings = Settings { start, length, ..Settings::default() };
        let mut player = playing(places());
        let heard = with(&mut player, &settings, 60_000);
        for i in (100..60_000).step_by(97) {
            let way = (i as f64 / 44_100.0) % lasts;
            let expected: f64 = (begins + way) % 1.0;
            // Outside of the cross-fade, and of the step in this clip's own seam.
            if way < lasts - 0.005 && (0.001..0.999).contains(&expected) {
                let heard = place(heard[i]);
                assert!((heard - expected).abs() < 1e-5, "start {start}, length {length}, sample {i}: {heard}");
            }
        }
    }
}

#[test]
fn part_of_the_loop_wraps_without_a_click() {
    // 101 cycles: the 16ths do not fall together with the cycles.
    for reverse in [false, true] {
        let settings = Settings { start: 0.1, length: 0.125, reverse, ..Settings::default() };
        let mut player = playing(sine(101.0, 44_100));
        let heard = with(&mut player, &settings, 44_100);
        let step = largest_step(&heard[100..]);
        assert!(step < 0.015, "largest step {step}");
    }
}

#[test]
fn reverse_is_the_clip_from_its_end() {
    let clip = noise(4, 44_100);
    let mut player = playing(clip.clone());
    let heard = with(&mut player, &Settings { reverse: true, ..Settings::default() }, 100_000);
    for (i, sample) in heard.iter().enumerate().skip(64) {
        assert_eq!(*sample, GAIN * clip.samples[0][(3 * 44_100 - i) % 44_100], "sample {i}");
    }
}

#[test]
fn reversed_transposed_note_is_the_mirror_of_the_forward_one() {
    let forward = noise(5, 20_000);
    let mirrored: Vec<f32> = (0..20_000).map(|i| forward.samples[0][(20_000 - i) % 20_000]).collect();
    let heard = [(forward, true), (clip(mirrored), false)].map(|(clip, reverse)| {
        let mut player = Player::new(48_000.0);
        player.swap(clip);
        player.note_on(key(65), 1.0);
        with(&mut player, &Settings { reverse, ..Settings::default() }, 50_000)
    });
    let worst = heard[0].iter().zip(&heard[1]).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn sounding_note_turns_on_the_spot() {
    let mut player = playing(places());
    render(&mut player, 10_000, 100);
    let back = with(&mut player, &Settings { reverse: true, ..Settings::default() }, 2000);
    assert!((place(back[1000]) - 9000.0 / 44_100.0).abs() < 1e-5);
    let on = with(&mut player, &Settings::default(), 2000);
    assert!((place(on[1000]) - 9000.0 / 44_100.0).abs() < 1e-5);
}

#[test]
fn moving_the_loop_of_a_note_does_not_click() {
    let mut player = playing(sine(101.0, 44_100));
    let mut heard = render(&mut player, 3000, 64);
    let settings = [(0.5, 1.0, false), (0.5, 0.25, false), (0.5, 0.25, true), (0.0, 1.0, true), (0.0, 1.0, false)];
    for (start, length, reverse) in settings {
        heard.extend(with(&mut player, &Settings { start, length, reverse, ..Settings::default() }, 3000));
    }
    let step = largest_step(&heard[100..]);
    assert!(step < 0.015, "largest step {step}");
    assert_eq!(all_ended(&mut player), [], "the note goes on");
}

#[test]
fn keys_play_beats_at_the_clips_pitch_until_they_end() {
    let (clip, settings) = (places(), slicing(Slicing::Beats));
    assert_eq!(slices(&clip, Slicing::Beats), 2);
    for (n, begins) in [(0, 0.0), (1, 0.5)] {
        let mut player = Player::new(44_100.0);
        player.swap(clip.clone());
        player.note_on(key(SLICE_ROOT + n), 1.0);
        let heard = with(&mut player, &settings, 23_000);
        for i in (100..21_900).step_by(100) {
            let heard = place(heard[i]);
            assert!((heard - begins - i as f64 / 44_100.0).abs() < 1e-5, "slice {n}, sample {i}: {heard}");
        }
        assert!(heard[22_000] > 0.0 && heard[22_051..].iter().all(|s| *s == 0.0));
        assert!(largest_step(&heard[21_000..]) < 0.02, "it fades out");
        assert_eq!(all_ended(&mut player), [key(SLICE_ROOT + n)]);
    }
}

#[test]
fn keys_without_a_slice_play_nothing() {
    let mut player = Player::new(44_100.0);
    player.swap(flat(1.0));
    let keys = [0, SLICE_ROOT - 1, SLICE_ROOT + 2, 127];
    keys.iter().for_each(|k| player.note_on(key(*k), 1.0));
    assert!(with(&mut player, &slicing(Slicing::Beats), 500).iter().all(|s| *s == 0.0));
    assert_eq!(all_ended(&mut player), keys.map(key));
    assert!(!player.sounding());
}

#[test]
fn slices_by_hits_go_round_the_circle() {
    let clip = Arc::new(Clip { hits: vec![1000, 5000, 40_000], ..(*places()).clone() });
    assert_eq!((slices(&clip, Slicing::Hits), slices(&places(), Slicing::Hits)), (3, 2));
    for (n, from, length) in [(0u8, 1000, 4000), (1, 5000, 35_000), (2, 40_000, 5100)] {
        let mut player = Player::new(44_100.0);
        player.swap(clip.clone());
        player.note_on(key(SLICE_ROOT + n), 1.0);
        let heard = with(&mut player, &slicing(Slicing::Hits), 50_000);
        for i in [100, length / 2, length - 100] {
            let expected = ((from + i) % 44_100) as f64 / 44_100.0;
            assert!((place(heard[i]) - expected).abs() < 1e-5, "slice {n}, sample {i}");
        }
        assert!(heard[length..].iter().all(|s| *s == 0.0), "slice {n}");
    }
}

#[test]
fn slice_ends_with_its_key_and_bends() {
    let settings = slicing(Slicing::Beats);
    let mut player = Player::new(44_100.0);
    player.swap(flat(1.0));
    player.note_on(key(SLICE_ROOT), 1.0);
    with(&mut player, &settings, 1000);
    player.note_off(Some(SLICE_ROOT), None, None);
    assert!(with(&mut player, &settings, 1000)[400..].iter().all(|s| *s == 0.0));
    player.note_on(key(SLICE_ROOT), 1.0);
    let heard = with(&mut player, &Settings { bend: 12.0, ..settings }, 20_000);
    assert!(heard[10_900] > 0.0 && heard[11_025..].iter().all(|s| *s == 0.0), "an octave up it is half as long");
}

#[test]
fn slice_keeps_its_place_in_a_new_clip() {
    let mut player = Player::new(44_100.0);
    player.swap(places());
    player.note_on(key(SLICE_ROOT + 1), 1.0);
    let settings = slicing(Slicing::Beats);
    with(&mut player, &settings, 1000);
    // The same places, twice as many samples, four beats.
    let longer = clip((0..88_200).map(|i| i as f32 / 88_200.0).collect());
    player.swap(Arc::new(Clip { beats: 4, ..(*longer).clone() }));
    let heard = with(&mut player, &settings, 1000);
    let expected = 0.5 + 1000.0 / 44_100.0 + 999.0 / 88_200.0;
    assert!((place(heard[999]) - expected).abs() < 1e-4, "{}", place(heard[999]));
}
