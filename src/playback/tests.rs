use std::f64::consts::TAU;

use super::*;

/// `cycles` of a sine in a loop of `length` samples at 44.1 kHz.
fn sine(cycles: f64, length: usize) -> Arc<Clip> {
    let wave: Vec<f32> = (0..length).map(|i| (TAU * cycles * i as f64 / length as f64).sin() as f32).collect();
    Arc::new(Clip {
        samples: [wave.clone(), wave],
        sample_rate: 44_100,
        beats: 2,
        bpm: 120.0,
        provenance: None,
        hits: Vec::new(),
    })
}

fn render(player: &mut Player, samples: usize, block: usize) -> Vec<f32> {
    let (mut left, mut right) = (vec![0.0; samples], vec![0.0; samples]);
    for (l, r) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
        player.render(None, l, r);
    }
    left
}

#[test]
fn root_key_at_the_clips_rate_is_the_clip_again_and_again() {
    let clip = sine(100.0, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    player.note_on(ROOT_KEY, Some(0), 1.0);
    let heard = render(&mut player, 100_000, 64);
    for (i, sample) in heard.iter().enumerate().skip(64) {
        assert_eq!(*sample, GAIN * clip.samples[0][i % 44_100], "sample {i}");
    }
}

#[test]
fn pitch_and_length_hold_at_every_rate_and_key() {
    for rate in [22_050.0, 48_000.0, 96_000.0, 192_000.0] {
        for key in [48u8, 60, 67, 72] {
            let mut player = Player::new(rate);
            player.swap(sine(400.0, 44_100));
            player.note_on(key, Some(0), 1.0);
            let heard = render(&mut player, rate as usize / 2, 128);
            let hertz = 400.0 * (f64::from(key as i16 - 60) / 12.0).exp2();
            let worst = heard.iter().enumerate().skip(400).map(|(i, s)| {
                let expected = 0.5 * (TAU * hertz * i as f64 / rate).sin();
                (f64::from(*s) - expected).abs()
            });
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 2e-3, "rate {rate}, key {key}: {worst}");
        }
    }
}

#[test]
fn clip_of_treble_does_not_alias_when_transposed_up() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(18_000.0, 44_100));
    player.note_on(ROOT_KEY + 12, Some(0), 1.0);
    let heard = render(&mut player, 20_000, 256);
    let peak = heard[2000..].iter().fold(0f32, |m, s| m.max(s.abs()));
    assert!(peak < 0.005, "an octave up, 18 kHz has no place: {peak}");
}

#[test]
fn swap_fades_without_a_step_and_gives_the_old_clip_back() {
    let (first, second) = (sine(100.0, 44_100), sine(101.0, 30_000));
    let mut player = Player::new(44_100.0);
    player.swap(first.clone());
    player.note_on(ROOT_KEY, Some(0), 1.0);
    render(&mut player, 1000, 64);
    player.swap(second.clone());
    let heard = render(&mut player, 2000, 64);
    let step = heard.windows(2).fold(0f32, |m, w| m.max((w[1] - w[0]).abs()));
    assert!(step < 0.03, "largest step {step}");
    let spent = player.spent().expect("the first clip");
    assert!(Arc::ptr_eq(&spent, &first) && player.spent().is_none());
    assert!(Arc::ptr_eq(player.clip().unwrap(), &second));
}

#[test]
fn same_clip_again_is_not_heard() {
    let clip = sine(100.0, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    player.note_on(ROOT_KEY, None, 1.0);
    let mut heard = render(&mut player, 1000, 64);
    player.swap(clip.clone());
    heard.extend(render(&mut player, 1000, 64));
    assert!(heard[100..].iter().zip(&clip.samples[0][100..]).all(|(h, c)| *h == GAIN * c));
    assert!(player.spent().is_some());
}

#[test]
fn every_clip_of_a_burst_comes_back() {
    let mut player = Player::new(44_100.0);
    player.note_on(ROOT_KEY, Some(0), 1.0);
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
fn seventeenth_note_takes_the_oldest_voice() {
    let mut player = Player::new(44_100.0);
    player.swap(sine(100.0, 44_100));
    for key in 40..57 {
        player.note_on(key, Some(0), 1.0);
        render(&mut player, 10, 10);
    }
    let held = |p: &Player, key| p.voices.iter().any(|v| v.is(Some(key), Some(0)));
    assert!(!held(&player, 40) && (41..57).all(|k| held(&player, k)));
}

#[test]
fn released_note_ends() {
    let mut player = Player::new(48_000.0);
    player.swap(sine(100.0, 44_100));
    player.note_on(64, Some(3), 0.8);
    render(&mut player, 500, 64);
    player.note_off(Some(64), Some(3));
    let heard = render(&mut player, 2000, 64);
    assert!(heard[..100].iter().any(|s| s.abs() > 0.01) && heard[600..].iter().all(|s| *s == 0.0));
    assert_eq!(player.position(), None);
}

/// Renders in time with a transport that starts at `beats`; returns the left channel.
fn follow(player: &mut Player, mut at: Transport, rate: f64, samples: usize, block: usize) -> Vec<f32> {
    let (mut left, mut right) = (vec![0.0; samples], vec![0.0; samples]);
    for (l, r) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
        player.render(Some(&at), l, r);
        at.beats += l.len() as f64 * at.bpm / 60.0 / rate;
    }
    left
}

#[test]
fn transport_at_the_clips_tempo_plays_the_clip_from_its_place() {
    let clip = sine(100.0, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    let at = Transport { beats: 5.5, bpm: 120.0, cycle: None };
    let heard = follow(&mut player, at, 44_100.0, 60_000, 77);
    // Beat 5.5 of a loop of 2 beats is three quarters through.
    for (i, sample) in heard.iter().enumerate().skip(200) {
        assert_eq!(*sample, GAIN * clip.samples[0][(33_075 + i) % 44_100], "sample {i}");
    }
}

#[test]
fn jump_lands_on_the_hosts_place_without_a_click() {
    let clip = sine(100.0, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    let start = Transport { beats: 0.0, bpm: 120.0, cycle: None };
    let mut heard = follow(&mut player, start, 44_100.0, 10_000, 100);
    heard.extend(follow(&mut player, Transport { beats: 17.123, ..start }, 44_100.0, 10_000, 100));
    let place = (17.123f64 / 2.0).fract() * 44_100.0;
    for (i, sample) in heard[10_000..].iter().enumerate().skip(200) {
        let expected = 0.5 * (TAU * 100.0 * (place + i as f64) / 44_100.0).sin();
        assert!((f64::from(*sample) - expected).abs() < 1e-4, "sample {i}");
    }
    let step = heard[300..].windows(2).fold(0f32, |m, w| m.max((w[1] - w[0]).abs()));
    assert!(step < 0.02, "largest step {step}");
}

#[test]
fn hosts_loop_point_inside_a_block_is_followed_to_the_sample() {
    let clip = sine(100.0, 44_100);
    let mut player = Player::new(44_100.0);
    player.swap(clip.clone());
    let cycle = Some((1.0, 1.9));
    let at = Transport { beats: 1.8, bpm: 120.0, cycle };
    // The loop point comes 0.1 beats on: at 2205 samples, inside the one block.
    let heard = follow(&mut player, at, 44_100.0, 8000, 8000);
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
    let slow = Transport { beats: 0.0, bpm: 60.0, cycle: None };
    follow(&mut player, slow, 48_000.0, 48_000, 64);
    assert!((player.position().unwrap() - 0.5).abs() < 1e-4, "one beat of two");
    let (mut left, mut right) = ([0.0; 480], [0.0; 480]);
    player.render(None, &mut left, &mut right);
    assert!(left[..20].iter().any(|s| *s != 0.0) && left[240..].iter().all(|s| *s == 0.0));
    assert!(!player.sounding());
}
