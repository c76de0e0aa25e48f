use super::*;

/// The first sample that differs from the first one heard.
fn change(heard: &[f32]) -> Option<usize> {
    heard.iter().position(|s| (s - heard[0]).abs() > 1e-4)
}

fn swapping(swap: SwapAt) -> Settings {
    Settings { swap, ..Settings::default() }
}

/// Other levels left and right.
fn side(left: f32, right: f32) -> Arc<Clip> {
    Arc::new(Clip { samples: [vec![left; 4410], vec![right; 4410]], ..(*flat(0.0)).clone() })
}

/// A player in the middle of a flat clip, and another flat clip handed over.
fn waiting(samples: usize) -> Player {
    let mut player = playing(flat(0.5));
    render(&mut player, samples, 100);
    player.swap(flat(-0.5));
    player
}

#[test]
fn swap_fades_without_a_step_and_gives_the_old_clip_back() {
    let (first, second) = (sine(100.0, 44_100), sine(101.0, 30_000));
    let mut player = playing(first.clone());
    render(&mut player, 1000, 64);
    player.swap(second.clone());
    let heard = render(&mut player, 2000, 64);
    let step = largest_step(&heard);
    assert!(step < 0.03, "largest step {step}");
    let spent = player.spent().expect("the first clip");
    assert!(Arc::ptr_eq(&spent, &first) && player.spent().is_none());
    assert!(Arc::ptr_eq(player.clip().unwrap(), &second));
}

#[test]
fn fade_has_equal_power_and_lasts_ten_milliseconds() {
    // What goes is on the left alone, what comes on the right alone.
    let mut player = playing(side(1.0, 0.0));
    render(&mut player, 500, 64);
    player.swap(side(0.0, 1.0));
    let [left, right] = stereo(&mut player, &Settings::default(), 500, 64);
    for (i, (l, r)) in left.iter().zip(&right).enumerate() {
        assert!((l * l + r * r - GAIN * GAIN).abs() < 1e-5, "sample {i}: {l} {r}");
    }
    assert!((left[220] - right[220]).abs() < 0.01 && left[440] > 0.0 && left[441] == 0.0);
}

#[test]
fn same_clip_again_is_not_heard() {
    let clip = sine(100.0, 44_100);
    let mut player = playing(clip.clone());
    let mut heard = render(&mut player, 1000, 64);
    player.swap(clip.clone());
    heard.extend(render(&mut player, 1000, 64));
    assert!(heard[100..].iter().zip(&clip.samples[0][100..]).all(|(h, c)| *h == GAIN * c));
    assert!(player.spent().is_some());
}

#[test]
fn every_clip_of_a_burst_comes_back() {
    let mut player = Player::new(44_100.0);
    player.note_on(key(ROOT_KEY), 1.0);
    let clips: Vec<_> = (0..50).map(|i| sine(f64::from(i + 1), 4410)).collect();
    for clip in &clips {
        if player.takes_clip() {
            player.swap(clip.clone());
        }
        render(&mut player, 100, 50);
        while player.spent().is_some() {}
    }
    player.reset();
    render(&mut player, 1000, 50);
    render(&mut player, 1000, 50);
    while player.spent().is_some() {}
    assert!(Arc::ptr_eq(player.clip().unwrap(), &clips[49]));
    let held = clips.iter().filter(|c| Arc::strong_count(c) > 1).count();
    assert_eq!(held, 1, "only the clip that plays is held");
}

#[test]
fn whatever_happens_all_clips_come_back() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut player = Player::new(44_100.0);
    let clips: Vec<_> = (0..20).map(|i| noise(i, 1000 + 100 * i as usize)).collect();
    for _ in 0..3000 {
        if player.takes_clip() {
            player.swap(clips[random.usize(..20)].clone());
        }
        match random.u32(..8) {
            0 => player.note_on(key(random.u8(30..90)), 1.0),
            1 => player.note_off(None, None, None),
            2 => player.choke(None, None, None),
            3 if random.u32(..5) == 0 => player.reset(),
            _ => {}
        }
        let one = |random: &mut fastrand::Rng, of: [SwapAt; 4]| of[random.usize(..4)];
        let swap = one(&mut random, [SwapAt::Now, SwapAt::Beat, SwapAt::Bar, SwapAt::Loop]);
        let mode = [Mode::Trigger, Mode::Sync, Mode::Slice][random.usize(..3)];
        let song = Transport { beats: 8.0 * random.f64(), bpm: 120.0, cycle: None };
        let (mut left, mut right) = ([0.0; 300], [0.0; 300]);
        let settings = Settings { mode, ..swapping(swap) };
        player.render(&settings, random.bool().then_some(&song), &mut left, &mut right);
        if random.bool() {
            while player.spent().is_some() {}
        }
    }
    drop(player);
    assert!(clips.iter().all(|c| Arc::strong_count(c) == 1), "one was leaked");
}

#[test]
fn with_a_song_the_swap_is_on_its_beat_bar_or_loop() {
    // Beat 4.9 at 22,050 samples a beat; the clip has 2 beats.
    for (swap, bar, beats) in
        [(SwapAt::Beat, 4.0, 0.1), (SwapAt::Bar, 4.0, 3.1), (SwapAt::Bar, 3.0, 1.1), (SwapAt::Loop, 4.0, 1.1)]
    {
        for block in [64, 1000, 80_000] {
            let mut player = waiting(500);
            let settings = Settings { bar, ..swapping(swap) };
            let song = Transport { beats: 4.9, bpm: 120.0, cycle: None };
            let heard = follow(&mut player, &settings, song, 44_100.0, 80_000, block);
            let expected = (beats * 22_050.0f64).round() as usize;
            // The fade's first sample is the old clip still.
            assert_eq!(change(&heard), Some(expected + 1), "{swap:?}, bar {bar}, block {block}");
        }
    }
}

#[test]
fn hosts_loop_start_on_a_beat_counts_as_that_beat() {
    let mut player = waiting(500);
    let song = Transport { beats: 1.8, bpm: 120.0, cycle: Some((1.0, 1.9)) };
    let heard = follow(&mut player, &swapping(SwapAt::Beat), song, 44_100.0, 5000, 5000);
    assert_eq!(change(&heard), Some(2206));
}

#[test]
fn without_a_song_the_swap_is_where_the_newest_note_is_on_its_beat() {
    for (swap, place) in [(SwapAt::Beat, 22_050), (SwapAt::Bar, 44_100), (SwapAt::Loop, 44_100)] {
        for block in [64, 1000] {
            let mut player = waiting(500);
            let [heard, _] = stereo(&mut player, &swapping(swap), 50_000, block);
            assert_eq!(change(&heard), Some(place - 500 + 1), "{swap:?}");
        }
    }
    // An octave up it gets there in half the time; a newer note is the one that counts.
    let mut player = Player::new(44_100.0);
    player.swap(flat(0.5));
    player.note_on(key(ROOT_KEY), 1.0);
    render(&mut player, 3000, 64);
    player.note_on(key(ROOT_KEY + 12), 1.0);
    render(&mut player, 1000, 64);
    player.swap(flat(-0.5));
    let heard = with(&mut player, &swapping(SwapAt::Beat), 20_000);
    assert_eq!(change(&heard), Some(11_025 - 1000 + 1));
}

#[test]
fn part_of_the_loop_and_backwards_have_their_loop_start() {
    let settings = Settings { start: 0.25, length: 0.5, reverse: true, ..swapping(SwapAt::Loop) };
    let mut player = Player::new(44_100.0);
    player.swap(flat(0.5));
    player.note_on(key(ROOT_KEY), 1.0);
    with(&mut player, &settings, 1000);
    player.swap(flat(-0.5));
    // Flat clips do not show the cross-fade at the wrap but by its power.
    let heard = with(&mut player, &settings, 23_000);
    let gone = heard.iter().position(|s| *s < 0.0).unwrap();
    assert!((21_050..21_050 + 441).contains(&gone), "{gone}");
}

#[test]
fn newer_clip_takes_the_place_of_one_that_waits() {
    let mut player = playing(flat(0.5));
    let settings = swapping(SwapAt::Loop);
    with(&mut player, &settings, 1000);
    let (skipped, wanted) = (flat(0.1), flat(0.2));
    player.swap(skipped.clone());
    with(&mut player, &settings, 1000);
    player.swap(wanted.clone());
    assert!(player.spent().is_some_and(|c| Arc::ptr_eq(&c, &skipped)));
    assert!(Arc::ptr_eq(player.clip().unwrap(), &wanted));
    assert_eq!(with(&mut player, &settings, 50_000)[49_999], GAIN * 0.2);
}

#[test]
fn clip_that_plays_cancels_the_one_that_waits() {
    let first = flat(0.5);
    let mut player = playing(first.clone());
    let settings = swapping(SwapAt::Loop);
    with(&mut player, &settings, 1000);
    player.swap(flat(0.1));
    player.swap(first.clone());
    let heard = with(&mut player, &settings, 50_000);
    assert!(heard.iter().all(|s| *s == GAIN * 0.5));
    assert_eq!(std::iter::from_fn(|| player.spent()).count(), 2);
}

#[test]
fn silent_player_changes_at_once() {
    let mut player = playing(flat(0.5));
    let settings = swapping(SwapAt::Bar);
    with(&mut player, &settings, 1000);
    player.note_off(None, None, None);
    player.swap(flat(0.2));
    with(&mut player, &settings, 1000);
    player.note_on(key(ROOT_KEY), 1.0);
    assert_eq!(with(&mut player, &settings, 100)[99], GAIN * 0.2);
}

#[test]
fn note_that_begins_in_a_fade_hears_the_new_clip_alone() {
    let heard = [false, true].map(|another| {
        let mut player = playing(side(0.0, 1.0));
        render(&mut player, 500, 64);
        player.swap(side(1.0, 0.0));
        render(&mut player, 10, 10);
        if another {
            player.note_on(key(ROOT_KEY), 1.0);
        }
        stereo(&mut player, &Settings::default(), 300, 64)
    });
    assert_eq!(heard[0][1], heard[1][1], "the old clip is on the right");
    assert!((heard[1][0][50] - heard[0][0][50] - GAIN).abs() < 1e-6, "after 1 ms the new one is all there");
}
