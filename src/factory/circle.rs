//! A loop as a circle: sounds are laid on it, and filters run round it.
//!
//! What rings past the end goes on at the start, so nothing here makes a seam. Any thread.

use crate::clip::SAMPLE_RATE;

/// `[left, right]` of one length, at 44.1 kHz.
pub type Stereo = [Vec<f32>; 2];

/// Samples in which a sound that is cut off fades.
const CUT: usize = 220;

/// A sound at its place.
pub struct Event<'a> {
    /// What sounds.
    pub sound: &'a Stereo,
    /// First sample, before the end of the loop.
    pub start: usize,
    /// Of left and right.
    pub gains: [f32; 2],
    /// Speed of playback: 2 is an octave up.
    pub rate: f64,
    /// Gain from sample to sample: an exponential decay.
    pub fall: f32,
    /// Samples until it is cut off.
    pub until: usize,
    /// Factor of a one-pole low-pass: 1 leaves the sound as it is, less is darker.
    pub bright: f32,
}

/// That much silence.
pub fn silence(len: usize) -> Stereo {
    [vec![0.0; len], vec![0.0; len]]
}

/// Lays a sound on the circle, round it as often as it rings.
pub fn place(out: &mut Stereo, event: &Event) {
    let len = out[0].len();
    for (channel, side) in out.iter_mut().enumerate() {
        let sound = &event.sound[channel];
        let end = ((sound.len() as f64 / event.rate) as usize).min(event.until.saturating_add(CUT));
        let (mut gain, mut at, mut heard) = (event.gains[channel], event.start, 0.0);
        for i in 0..end {
            let sample = if event.rate == 1.0 { sound[i] } else { between(sound, i as f64 * event.rate) };
            let cut = match i.checked_sub(event.until) {
                Some(past) => 1.0 - past as f32 / CUT as f32,
                None => 1.0,
            };
            heard += event.bright * (sample - heard);
            side[at] += heard * gain * cut;
            gain *= event.fall;
            at = if at + 1 == len { 0 } else { at + 1 };
        }
    }
}

/// Linear interpolation: one-shots are bright enough to lose a little.
fn between(sound: &[f32], place: f64) -> f32 {
    let (index, part) = (place as usize, place.fract() as f32);
    let get = |i: usize| sound.get(i).copied().unwrap_or(0.0);
    get(index) * (1.0 - part) + get(index + 1) * part
}

/// Adds a circle to another, times a gain.
pub fn mix(out: &mut Stereo, other: &Stereo, gain: f32) {
    for (out, other) in out.iter_mut().zip(other) {
        out.iter_mut().zip(other).for_each(|(o, s)| *o += gain * s);
    }
}

/// Runs what has a memory shorter than the loop round it twice and keeps the second round, so
/// that the start hears the end. `step` turns the frame at a place into another.
pub fn twice(samples: &mut Stereo, mut step: impl FnMut(usize, [f32; 2]) -> [f32; 2]) {
    let [left, right] = samples;
    for (i, (l, r)) in left.iter().zip(right.iter()).enumerate() {
        step(i, [*l, *r]);
    }
    for (i, (l, r)) in left.iter_mut().zip(right).enumerate() {
        [*l, *r] = step(i, [*l, *r]);
    }
}

/// The circle, later by some samples.
pub fn turned(channel: &[f32], later: usize) -> Vec<f32> {
    let mut out = channel.to_vec();
    let len = out.len();
    out.rotate_right(later % len);
    out
}

/// Largest absolute sample, never zero.
pub fn peak(samples: &Stereo) -> f32 {
    samples.iter().flatten().fold(1e-6, |m, s| m.max(s.abs()))
}

/// Samples in so many seconds.
pub fn frames(seconds: f64) -> usize {
    (seconds * f64::from(SAMPLE_RATE)) as usize
}

/// Largest step inside the circle, and the step across its seam: for tests of what keeps it.
#[cfg(test)]
pub(super) fn steps(channel: &[f32]) -> (f32, f32) {
    let inside = channel.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    (inside, (channel[0] - channel[channel.len() - 1]).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sound: &Stereo, rate: f64) -> Event<'_> {
        Event { sound, start: 7, gains: [1.0, 0.5], rate, fall: 1.0, until: usize::MAX, bright: 1.0 }
    }

    #[test]
    fn a_tail_goes_round_as_often_as_it_rings() {
        let sound: Vec<f32> = (1..=25).map(|i| i as f32).collect();
        let sound = [sound.clone(), sound];
        let mut out = silence(10);
        place(&mut out, &event(&sound, 1.0));
        // Place 7 hears samples 1, 11 and 21; place 2 hears 6 and 16.
        assert_eq!((out[0][7], out[0][2]), (33.0, 22.0));
        assert_eq!((out[1][7], out[1][2]), (16.5, 11.0));
    }

    #[test]
    fn a_faster_sound_is_shorter_and_passes_the_same_values() {
        let sound: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let sound = [sound.clone(), sound];
        let mut out = silence(100);
        place(&mut out, &event(&sound, 2.0));
        assert_eq!(out[0][7..17], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]);
        assert!(out[0][17..].iter().all(|s| *s == 0.0));
    }

    #[test]
    fn the_second_round_hears_the_first() {
        let mut state = [0.0f32; 2];
        let mut flat = [vec![1.0; 1000], vec![2.0; 1000]];
        twice(&mut flat, |_, [l, r]| {
            state = [state[0] + 0.05 * (l - state[0]), state[1] + 0.05 * (r - state[1])];
            state
        });
        assert!(flat[0].iter().all(|s| (s - 1.0).abs() < 1e-4) && flat[1].iter().all(|s| (s - 2.0).abs() < 1e-4));
    }
}
