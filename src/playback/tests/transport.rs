use super::*;

fn sync() -> Settings {
    Settings { mode: Mode::Sync, ..Settings::default() }
}

fn at(beats: f64, bpm: f64) -> Transport {
    Transport { beats, bpm, cycle: None }
}

#[test]
fn transport_at_the_clips_tempo_plays_the_clip_from_its_place() {
    let clip = noise(2, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    let heard = follow(&mut player, &sync(), at(5.5, 120.0), 44_100.0, 60_000, 77);
    // Beat 5.5 of a loop of 2 beats is three quarters through.
    for (i, sample) in heard.iter().enumerate().skip(200) {
        assert_eq!(*sample, GAIN * clip.samples[0][(33_075 + i) % 44_100], "sample {i}");
    }
}

#[test]
fn jump_lands_on_the_hosts_place_without_a_click() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(100.0, 44_100));
    let mut heard = follow(&mut player, &sync(), at(0.0, 120.0), 44_100.0, 10_000, 100);
    heard.extend(follow(&mut player, &sync(), at(17.123, 120.0), 44_100.0, 10_000, 100));
    let place = (17.123f64 / 2.0).fract() * 44_100.0;
    for (i, sample) in heard[10_000..].iter().enumerate().skip(200) {
        let expected = 0.5 * (TAU * 100.0 * (place + i as f64) / 44_100.0).sin();
        assert!((f64::from(*sample) - expected).abs() < 1e-4, "sample {i}");
    }
    let step = largest_step(&heard[300..]);
    assert!(step < 0.02, "largest step {step}");
}

#[test]
fn hosts_loop_point_inside_a_block_is_followed_to_the_sample() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(100.0, 44_100));
    let looped = Transport { cycle: Some((1.0, 1.9)), ..at(1.8, 120.0) };
    // The loop point comes 0.1 beats on: at 2205 samples, inside the one block.
    let heard = follow(&mut player, &sync(), looped, 44_100.0, 8000, 8000);
    for (i, sample) in heard.iter().enumerate().skip(2500) {
        let place = 0.5 * 44_100.0 + i as f64 - 2205.0;
        let expected = 0.5 * (TAU * 100.0 * place / 44_100.0).sin();
        assert!((f64::from(*sample) - expected).abs() < 1e-4, "sample {i}");
    }
}

#[test]
fn tempo_change_keeps_the_place_and_a_stop_fades() {
    let mut player = Player::new(48_000.0);
    player.swap(sine(100.0, 44_100));
    follow(&mut player, &sync(), at(0.0, 60.0), 48_000.0, 48_000, 64);
    assert!((player.position().unwrap() - 0.5).abs() < 1e-4, "one beat of two");
    let heard = with(&mut player, &sync(), 480);
    assert!(heard[..20].iter().any(|s| *s != 0.0) && heard[240..].iter().all(|s| *s == 0.0));
    assert!(!player.sounding());
}

#[test]
fn part_of_the_loop_goes_round_with_the_song() {
    let mut player = Player::new(44_100.0);
    player.swap(places());
    // The half from a quarter on: one beat.
    let half = Settings { start: 0.25, length: 0.5, ..sync() };
    let heard = follow(&mut player, &half, at(7.25, 120.0), 44_100.0, 60_000, 100);
    for i in (300..60_000).step_by(100) {
        let beat = (7.25 + i as f64 / 22_050.0).fract();
        // Outside of the cross-fade before each wrap.
        if beat * 22_050.0 < 22_050.0 - 180.0 {
            let place = f64::from(heard[i] / GAIN);
            assert!((place - (0.25 + 0.5 * beat)).abs() < 1e-5, "sample {i}: {place}");
        }
    }
    assert!((player.position().unwrap() - 0.25 - 0.5 * (7.25f32 + 60_000.0 / 22_050.0).fract()).abs() < 1e-4);
}

#[test]
fn backwards_the_place_comes_from_the_song_too() {
    let mut player = Player::new(44_100.0);
    player.swap(places());
    let reverse = Settings { reverse: true, ..sync() };
    let heard = follow(&mut player, &reverse, at(6.5, 120.0), 44_100.0, 30_000, 64);
    assert_eq!(heard[1000], GAIN * (33_075 - 1000) as f32 / 44_100.0);
    let heard = follow(&mut player, &reverse, at(1.0, 120.0), 44_100.0, 3000, 64);
    assert_eq!(heard[1000], GAIN * (22_050 - 1000) as f32 / 44_100.0);
}

#[test]
fn notes_are_silent_in_sync_and_the_song_in_the_other_modes() {
    let mut player = playing(flat(1.0));
    render(&mut player, 500, 50);
    assert!(with(&mut player, &sync(), 1000)[900..].iter().all(|s| *s == 0.0), "a held note is released");
    player.note_on(key(70), 1.0);
    assert!(with(&mut player, &sync(), 500).iter().all(|s| *s == 0.0));
    assert_eq!(all_ended(&mut player), [key(ROOT_KEY), key(70)]);
    for mode in [Mode::Trigger, Mode::Slice] {
        let settings = Settings { mode, ..sync() };
        let heard = follow(&mut player, &settings, at(0.0, 120.0), 44_100.0, 500, 50);
        assert!(heard.iter().all(|s| *s == 0.0), "{mode:?}");
    }
}

#[test]
fn moving_the_loop_while_the_song_plays_does_not_click() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(101.0, 44_100));
    let mut song = at(0.0, 120.0);
    let mut heard = Vec::new();
    for (start, length, reverse) in [(0.0, 1.0, false), (0.5, 1.0, false), (0.25, 0.5, true), (0.0, 1.0, false)] {
        let settings = Settings { start, length, reverse, ..sync() };
        heard.extend(follow(&mut player, &settings, song, 44_100.0, 5000, 100));
        song = song.after(5000, 44_100.0);
        let beats = f64::from(length) * 2.0;
        let share = song.beats.rem_euclid(beats) / 2.0;
        let place = f64::from(start) + if reverse { f64::from(length) - share } else { share };
        assert!((f64::from(player.position().unwrap()) - place.rem_euclid(1.0)).abs() < 1e-5, "start {start}");
    }
    let step = largest_step(&heard[200..]);
    assert!(step < 0.015, "largest step {step}");
}
