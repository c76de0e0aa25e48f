//! Where the song is, as exactly as a host tells.
//!
//! Ardour rounds its song position to 1,920 ticks a quarter note: a dozen samples off at 120 bpm, by
//! another amount in each block, which would be heard. Its position in samples is exact. So a position
//! that lies on a tick is made exact by the time since the one before, and what the wrapper counts on from
//! there inside a block likewise. Any other position is believed as it is.

use nice_plug::prelude::Transport;

/// Ticks a quarter note; hosts that round to fewer have divisors of it.
const TICKS: f64 = 1920.0;
/// What a double's rounding may add, in ticks.
const ROUNDING: f64 = 1e-6;

/// Follows a host's song position.
#[derive(Default)]
pub(super) struct Song {
    before: Place,
}

/// A song position.
#[derive(Clone, Copy, Default)]
struct Place {
    seconds: f64,
    /// Quarter notes as the host tells.
    told: f64,
    /// Quarter notes in truth.
    beats: f64,
    bpm: f64,
}

impl Song {
    /// The song position in quarter notes, at `bpm`; None while the host stands still or names none.
    pub fn beats(&mut self, host: &Transport, bpm: f64) -> Option<f64> {
        let told = host.pos_beats().filter(|b| b.is_finite() && host.playing)?;
        let Some(seconds) = host.pos_seconds() else { return Some(told) };
        // After a change of tempo as in a song that had this one from its start.
        let before = if self.before.bpm == bpm { self.before } else { Place::default() };
        let moved = (seconds - before.seconds) * bpm / 60.0;
        let expected = before.beats + moved;
        let ticks = told * TICKS;
        let rounded = (ticks - ticks.round()).abs() < ROUNDING && (expected - told).abs() < 1.0 / TICKS;
        let counted_on = before.beats != before.told && (before.told + moved - told).abs() * TICKS < ROUNDING;
        let beats = if rounded || counted_on { expected } else { told };
        self.before = Place { seconds, told, beats, bpm };
        Some(beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A song at 120 bpm in blocks of 512 samples and their last samples alone, with the position that
    /// `host` makes of a block's true one: how many samples off the first is found, and how much further
    /// off any other.
    fn follow(host: impl Fn(f64) -> f64) -> (f64, f64) {
        let mut song = Song::default();
        let off = |part: i64| {
            let mut transport = Transport::new(44_100.0);
            let (start, into) = (12_345 + part / 2 * 512, part % 2 * 511);
            let count = |samples: i64| samples as f64 / 22_050.0;
            (transport.playing, transport.tempo) = (true, Some(120.0));
            transport.pos_samples = Some(start + into);
            transport.pos_beats = Some(host(count(start)) + count(into));
            (song.beats(&transport, 120.0).unwrap() - count(start) - count(into)) * 22_050.0
        };
        let off: Vec<f64> = (0..4000).map(off).collect();
        (off[0], off.iter().fold(0.0, |m, o| (o - off[0]).abs().max(m)))
    }

    #[test]
    fn rounded_positions_become_exact_and_exact_ones_stay() {
        let rounded = |beats: f64| (beats * TICKS).floor() / TICKS;
        let (first, more) = follow(rounded);
        assert!(first.abs() < 1e-6 && more < 1e-6, "{first} {more}");
        // After a change of tempo nobody knows the true place, but it moves evenly.
        let (_, more) = follow(|beats| rounded(beats + 3.300_01));
        assert!(more < 1e-6, "{more}");
        let (first, more) = follow(|beats| beats);
        assert!(first.abs() < 1e-9 && more < 1e-9, "{first} {more}");
        let (first, more) = follow(|beats| beats + 0.000_3);
        assert!((first - 0.000_3 * 22_050.0).abs() < 1e-6 && more < 1e-6, "believed");
    }

    #[test]
    fn standing_still_is_none() {
        assert_eq!(Song::default().beats(&Transport::new(44_100.0), 120.0), None);
    }
}
