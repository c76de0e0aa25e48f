use std::f64::consts::PI;

use super::*;

/// Amplitude of a tone of `hertz` that went through the output, once it has settled.
fn level(rate: f64, hertz: f64, settings: &Settings) -> f64 {
    let mut player = Player::new(rate);
    player.swap(sine(hertz, 44_100));
    player.note_on(key(ROOT_KEY), 1.0);
    let heard = with(&mut player, settings, rate as usize);
    let settled = &heard[rate as usize / 2..];
    let power = settled.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / settled.len() as f64;
    (2.0 * power).sqrt() / f64::from(GAIN)
}

fn decibels(level: f64) -> f64 {
    20.0 * level.log10()
}

#[test]
fn filters_are_butterworths_at_every_rate() {
    for rate in [22_050.0, 48_000.0, 192_000.0] {
        for hertz in [250.0, 1000.0, 4000.0] {
            // The bilinear transform of the analogue filter, corner at 1 kHz.
            let ratio = (PI * hertz / rate).tan() / (PI * 1000.0 / rate).tan();
            let low = Settings { low_cut: Some(1000.0), ..Settings::default() };
            let high = Settings { high_cut: Some(1000.0), ..Settings::default() };
            for (settings, power) in [(low, -4), (high, 4)] {
                let heard = decibels(level(rate, hertz, &settings));
                let expected = -10.0 * (1.0 + f64::powi(ratio, power)).log10();
                assert!((heard - expected).abs() < 0.05, "rate {rate}, {hertz} hertz: {heard} dB, not {expected}");
            }
        }
    }
}

#[test]
fn cut_offs_beyond_the_hosts_rate_or_none_at_all_are_survived() {
    for hertz in [0.0, -5.0, 1e9, f32::NAN, f32::INFINITY] {
        let settings = Settings {
            low_cut: (hertz < 1.0).then_some(hertz),
            high_cut: (hertz >= 1.0 || hertz.is_nan()).then_some(hertz),
            gain: f32::NAN,
            pan: f32::NAN,
            bend: f32::NAN,
            ..Settings::default()
        };
        let heard = level(22_050.0, 500.0, &settings);
        assert!((heard - 1.0).abs() < 0.05, "{hertz}: {heard}");
    }
}

#[test]
fn filters_come_and_go_without_a_step_and_leave_nothing_behind() {
    let clip = sine(100.0, 44_100);
    let mut player = playing(clip.clone());
    let mut heard = render(&mut player, 2000, 64);
    let low = Settings { low_cut: Some(200.0), ..Settings::default() };
    let both = Settings { low_cut: Some(5000.0), high_cut: Some(80.0), ..Settings::default() };
    for settings in [low, both, Settings::default(), both, low, Settings::default()] {
        heard.extend(with(&mut player, &settings, 2000));
    }
    let step = largest_step(&heard[100..]);
    assert!(step < 0.015, "largest step {step}");
    for (i, sample) in heard.iter().enumerate().skip(13_000) {
        assert_eq!(*sample, GAIN * clip.samples[0][i], "sample {i}");
    }
}

#[test]
fn filter_rings_out_and_then_rests() {
    let mut player = playing(flat(1.0));
    let settings = Settings { high_cut: Some(20.0), ..Settings::default() };
    with(&mut player, &settings, 44_100);
    player.note_off(None, None, None);
    let heard = with(&mut player, &settings, 4 * 44_100);
    assert!(heard[600].abs() > 0.1, "it rings on");
    assert!(heard[3 * 44_100..].iter().all(|s| *s == 0.0), "and ends");
    assert!(player.output.rests(44_100.0));
}

#[test]
fn rate_change_retunes_the_filters() {
    let settings = Settings { low_cut: Some(1000.0), ..Settings::default() };
    let mut player = playing(sine(1000.0, 44_100));
    with(&mut player, &settings, 5000);
    player.set_sample_rate(96_000.0);
    let heard = with(&mut player, &settings, 20_000);
    let level = heard[10_000..].iter().fold(0f32, |m, s| m.max(s.abs())) / GAIN;
    assert!((decibels(f64::from(level)) + 3.01).abs() < 0.1, "{level}");
}

#[test]
fn gain_and_balance_move_smoothly() {
    let mut player = playing(flat(1.0));
    let mut all = stereo(&mut player, &Settings::default(), 500, 64);
    assert_eq!((all[0][499], all[1][499]), (GAIN, GAIN));
    for (gain, pan, left, right) in [
        (2.0, 0.0, 2.0, 2.0),
        (1.0, 0.25, 0.75, 1.0),
        (1.0, -1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 1.0, 1.0),
    ] {
        let heard = stereo(&mut player, &Settings { gain, pan, ..Settings::default() }, 500, 64);
        assert_eq!((heard[0][499], heard[1][499]), (GAIN * left, GAIN * right), "gain {gain}, pan {pan}");
        all.iter_mut().zip(&heard).for_each(|(all, heard)| all.extend(heard));
    }
    // 5 ms for the whole way of 2.
    assert!(largest_step(&all[0][100..]) < 1.05 * GAIN * 2.0 / 220.0);
    assert!(largest_step(&all[1][100..]) < 1.05 * GAIN * 2.0 / 220.0);
}
