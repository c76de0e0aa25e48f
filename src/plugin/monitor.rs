//! What the audio thread tells the window: plain numbers, written each block and read each frame, wait-free
//! on both sides.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Written by the audio thread.
#[derive(Debug)]
pub struct Monitor {
    blocks: AtomicU32,
    /// Bits of an f32; negative while nothing sounds.
    playhead: AtomicU32,
    clip: AtomicUsize,
    waits: AtomicBool,
    auditions: AtomicBool,
    transport: AtomicBool,
    /// Bits of an f64.
    bpm: AtomicU64,
    bar: AtomicU64,
    /// Largest sample since the window looked last, bits of an f32 that is not negative.
    peak: AtomicU32,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            blocks: AtomicU32::new(0),
            playhead: AtomicU32::new((-1f32).to_bits()),
            clip: AtomicUsize::new(0),
            waits: AtomicBool::new(false),
            auditions: AtomicBool::new(false),
            transport: AtomicBool::new(false),
            bpm: AtomicU64::new(120f64.to_bits()),
            bar: AtomicU64::new(4f64.to_bits()),
            peak: AtomicU32::new(0),
        }
    }
}

/// One look at it, or what is to be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Counts the blocks that the host has asked for; it wraps.
    pub blocks: u32,
    /// Place in the loop (0..1) of the transport or the newest note; None while nothing sounds.
    pub playhead: Option<f32>,
    /// Address of the clip that plays, or would; 0 without one.
    pub clip: usize,
    /// Another clip waits for its beat, bar or loop.
    pub waits: bool,
    /// A clip is listened to beside what plays.
    pub auditions: bool,
    /// The host's transport runs.
    pub transport: bool,
    /// The host's tempo in beats per minute.
    pub bpm: f64,
    /// The host's bar in quarter notes.
    pub bar: f64,
    /// Largest absolute sample since the last look.
    pub peak: f32,
}

impl Monitor {
    /// Tells of one block; `blocks` is not read, the peak is kept if it is the largest.
    pub fn tell(&self, seen: &Seen) {
        self.playhead.store(seen.playhead.unwrap_or(-1.0).to_bits(), Relaxed);
        self.clip.store(seen.clip, Relaxed);
        self.waits.store(seen.waits, Relaxed);
        self.auditions.store(seen.auditions, Relaxed);
        self.transport.store(seen.transport, Relaxed);
        self.bpm.store(seen.bpm.to_bits(), Relaxed);
        self.bar.store(seen.bar.to_bits(), Relaxed);
        // Bits of floats that are not negative are in their order.
        self.peak.fetch_max(seen.peak.max(0.0).to_bits(), Relaxed);
        self.blocks.fetch_add(1, Relaxed);
    }

    /// A look; it takes the peak.
    pub fn look(&self) -> Seen {
        let playhead = f32::from_bits(self.playhead.load(Relaxed));
        Seen {
            blocks: self.blocks.load(Relaxed),
            playhead: (playhead >= 0.0).then_some(playhead),
            clip: self.clip.load(Relaxed),
            waits: self.waits.load(Relaxed),
            auditions: self.auditions.load(Relaxed),
            transport: self.transport.load(Relaxed),
            bpm: f64::from_bits(self.bpm.load(Relaxed)),
            bar: f64::from_bits(self.bar.load(Relaxed)),
            peak: f32::from_bits(self.peak.swap(0, Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_seen_and_the_peak_is_of_all_blocks() {
        let monitor = Monitor::default();
        assert_eq!((monitor.look().playhead, monitor.look().blocks), (None, 0));
        let told = Seen {
            blocks: 0,
            playhead: Some(0.25),
            clip: 64,
            waits: true,
            auditions: true,
            transport: true,
            bpm: 97.5,
            bar: 3.5,
            peak: 0.8,
        };
        monitor.tell(&told);
        monitor.tell(&Seen { peak: 0.3, ..told });
        assert_eq!(monitor.look(), Seen { blocks: 2, ..told });
        assert_eq!(monitor.look().peak, 0.0);
    }
}
