use super::*;

#[test]
fn root_key_at_the_clips_rate_is_the_clip_again_and_again() {
    let clip = noise(1, 44_100);
    let mut player = playing(clip.clone());
    let heard = render(&mut player, 100_000, 64);
    for (i, sample) in heard.iter().enumerate().skip(64) {
        assert_eq!(*sample, GAIN * clip.samples[0][i % 44_100], "sample {i}");
    }
}

#[test]
fn pitch_and_length_hold_at_every_rate_and_key() {
    for rate in [22_050.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0] {
        for number in [48u8, 59, 60, 67, 72] {
            let mut player = Player::new(rate);
            player.swap(sine(400.0, 44_100));
            player.note_on(key(number), 1.0);
            let heard = render(&mut player, rate as usize * 3 / 2, 128);
            let hertz = 400.0 * (f64::from(number as i16 - 60) / 12.0).exp2();
            let worst = heard.iter().enumerate().skip(400).map(|(i, s)| {
                let expected = 0.5 * (TAU * hertz * i as f64 / rate).sin();
                (f64::from(*s) - expected).abs()
            });
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 1e-4, "rate {rate}, key {number}: {worst}");
        }
    }
}

#[test]
fn pitch_and_place_go_on_when_the_rate_changes_in_mid_note() {
    let mut player = Player::new(48_000.0);
    player.swap(sine(400.0, 44_100));
    player.note_on(key(67), 1.0);
    let hertz = 400.0 * (7.0 / 12.0f64).exp2();
    let mut seconds = 0.0;
    for (n, rate) in [48_000.0, 22_050.0, 192_000.0, 44_100.0, 96_000.0, 88_200.0].into_iter().enumerate() {
        player.set_sample_rate(rate);
        let heard = render(&mut player, rate as usize / 5, 100);
        for (i, sample) in heard.iter().enumerate().skip(if n == 0 { 400 } else { 0 }) {
            let expected = 0.5 * (TAU * hertz * (seconds + i as f64 / rate)).sin();
            assert!((f64::from(*sample) - expected).abs() < 1e-4, "rate {rate}, sample {i}");
        }
        seconds += heard.len() as f64 / rate;
    }
}

#[test]
fn clip_of_treble_does_not_alias_when_transposed_up() {
    // Semitones up, and a tone that has no place there.
    for (up, cycles) in [(12, 18_000.0), (24, 12_000.0), (19, 16_000.0)] {
        let mut player = Player::new(44_100.0);
        player.swap(sine(cycles, 44_100));
        player.note_on(key(ROOT_KEY + up), 1.0);
        let heard = render(&mut player, 20_000, 256);
        let peak = heard[2000..].iter().fold(0f32, |m, s| m.max(s.abs()));
        assert!(peak < 0.005, "{up} semitones up, {cycles} hertz: {peak}");
    }
}

#[test]
fn bend_glides_to_its_pitch_without_a_step() {
    let mut player = playing(sine(200.0, 44_100));
    let mut heard = render(&mut player, 2000, 64);
    let bent = Settings { bend: 12.0, ..Settings::default() };
    heard.extend(with(&mut player, &bent, 44_100 + 2000));
    let step = largest_step(&heard[100..]);
    assert!(step < 1.05 * 0.5 * (TAU * 400.0 / 44_100.0) as f32, "largest step {step}");
    let rising = heard[4000..].windows(2).take(44_100).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
    assert!((399..=401).contains(&rising), "{rising} cycles a second");
}

#[test]
fn tiny_clips_and_wild_pitches_stay_in_bounds() {
    for length in [1, 2, 5, 23, 24, 25, 100] {
        for (number, reverse) in [(0, false), (60, false), (127, false), (0, true), (60, true), (127, true)] {
            let mut player = Player::new(22_050.0);
            player.swap(noise(3, length));
            player.note_on(key(number), 1.0);
            let settings = Settings { bend: 24.0, reverse, length: 0.3, ..Settings::default() };
            let heard = with(&mut player, &settings, 3000);
            assert!(heard.iter().all(|s| s.abs() < 1.0), "{length} samples, key {number}");
        }
    }
}
