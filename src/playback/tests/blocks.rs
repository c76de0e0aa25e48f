//! What is heard does not depend on how the time is cut into blocks.

use super::*;

fn pick<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

fn settings(random: &mut fastrand::Rng) -> Settings {
    let on = |random: &mut fastrand::Rng, hertz: f32| random.bool().then(|| hertz * (1.0 + random.f32()));
    Settings {
        mode: pick(random, &[Mode::Trigger, Mode::Sync, Mode::Slice]),
        swap: pick(random, &[SwapAt::Now, SwapAt::Beat, SwapAt::Bar, SwapAt::Loop]),
        bar: pick(random, &[3.0, 4.0]),
        start: random.f32(),
        length: pick(random, &[0.0, 0.3, 0.5, 1.0]),
        reverse: random.bool(),
        slicing: pick(random, &[Slicing::Beats, Slicing::Hits]),
        attack: 0.02 * random.f32(),
        decay: 0.1 * random.f32(),
        sustain: pick(random, &[0.0, 0.5, 1.0]),
        release: 0.1 * random.f32(),
        bend: 4.0 * random.f32() - 2.0,
        gain: random.f32(),
        pan: 2.0 * random.f32() - 1.0,
        low_cut: on(random, 100.0),
        high_cut: on(random, 3000.0),
    }
}

/// A song of settings, notes, expressions, clips and jumps by the seed's dice, in blocks of `block`.
fn perform(seed: u64, block: usize) -> [Vec<f32>; 2] {
    let rate = 48_000.0;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut player = Player::new(rate);
    let mut heard = [Vec::new(), Vec::new()];
    let mut song = Transport { beats: 3.0 * random.f64(), bpm: 117.0, cycle: Some((2.0, 4.3)) };
    for part in 0..60 {
        if part % 3 == 0 {
            let hits = vec![500, 3000, 9000];
            while player.spent().is_some() {}
            player.swap(Arc::new(Clip { hits, ..(*noise(random.u64(..), 10_000 + random.usize(..9000))).clone() }));
        }
        let settings = settings(&mut random);
        for _ in 0..random.usize(..4) {
            player.note_on(key(pick(&mut random, &[36, 37, 38, 55, 60, 64])), random.f32());
        }
        if random.bool() {
            player.note_off(Some(pick(&mut random, &[36, 60, 64])), None, None);
        }
        if random.usize(..5) == 0 {
            player.choke(Some(pick(&mut random, &[37, 55])), None, None);
        }
        let expression = pick(&mut random, &[Expression::Tuning(0.4), Expression::Volume(0.7), Expression::Pan(-0.6)]);
        player.express(Some(60), None, None, expression);
        if random.usize(..10) == 0 {
            song.beats = 5.0 * random.f64();
        }
        let plays = random.usize(..4) > 0;
        let (mut left, mut right) = (vec![0.0; 64 * 37], vec![0.0; 64 * 37]);
        for (l, r) in left.chunks_mut(block).zip(right.chunks_mut(block)) {
            player.render(&settings, plays.then_some(&song), l, r);
            song = song.after(l.len(), rate);
        }
        heard[0].extend(left);
        heard[1].extend(right);
    }
    heard
}

#[test]
fn blocks_of_64_37_and_2368_samples_sound_the_same() {
    let mut sounded = 0;
    for seed in 0..40 {
        let [whole, other, long] = [64, 37, 2368].map(|block| perform(seed, block));
        for (channel, others) in whole.iter().zip(other.iter().zip(&long)) {
            for (i, sample) in channel.iter().enumerate() {
                assert!(sample.is_finite());
                sounded += usize::from(*sample != 0.0);
                for other in [others.0[i], others.1[i]] {
                    assert!((sample - other).abs() < 1e-5, "seed {seed}, sample {i}: {sample} and {other}");
                }
            }
        }
    }
    assert!(sounded > 1_000_000, "{sounded}");
}
