//! What a caller says about how the clip is played.

/// What makes the clip sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Notes start it and set its pitch.
    #[default]
    Trigger,
    /// It plays with the host's transport, in its place.
    Sync,
    /// Each key plays one slice of it at its own pitch.
    Slice,
}

/// When a new clip takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwapAt {
    /// At once.
    #[default]
    Now,
    /// At the next quarter note.
    Beat,
    /// At the next bar.
    Bar,
    /// When the loop starts anew.
    Loop,
}

/// Where slices begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slicing {
    /// On each quarter note.
    #[default]
    Beats,
    /// On each hit; on each quarter note in a clip without hits.
    Hits,
}

/// How the clip is played; handed over with each block. Envelope and bend are for notes: in
/// [`Mode::Sync`] the host's song alone says what is heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What makes it sound. A change releases the notes that are held.
    pub mode: Mode,
    /// When a new clip takes over.
    pub swap: SwapAt,
    /// Quarter notes a bar.
    pub bar: f64,
    /// Where the loop is entered, 0..1, rounded to a 16th note of the clip.
    pub start: f32,
    /// How much of the loop is played, 0..1, rounded to 16th notes of the clip, one at least.
    pub length: f32,
    /// Backwards. A slice that sounds goes on as it began.
    pub reverse: bool,
    /// Where slices begin.
    pub slicing: Slicing,
    /// Seconds to full level; 1 ms at least.
    pub attack: f32,
    /// Seconds from full level to `sustain`; 2 ms at least.
    pub decay: f32,
    /// Level of a held note, 0..1.
    pub sustain: f32,
    /// Seconds from full level to silence after a note's end; 2 ms at least.
    pub release: f32,
    /// Semitones that all notes are bent by.
    pub bend: f32,
    /// Linear.
    pub gain: f32,
    /// Balance, -1 (left) to 1 (right).
    pub pan: f32,
    /// What is lower is taken away, in hertz; None leaves each sample as it is.
    pub low_cut: Option<f32>,
    /// What is higher is taken away, in hertz; None leaves each sample as it is.
    pub high_cut: Option<f32>,
}

impl Default for Settings {
    /// The whole clip as it is, started by notes.
    fn default() -> Self {
        Self {
            mode: Mode::Trigger,
            swap: SwapAt::Now,
            bar: 4.0,
            start: 0.0,
            length: 1.0,
            reverse: false,
            slicing: Slicing::Beats,
            attack: 0.001,
            decay: 0.1,
            sustain: 1.0,
            release: 0.008,
            bend: 0.0,
            gain: 1.0,
            pan: 0.0,
            low_cut: None,
            high_cut: None,
        }
    }
}

/// A note by its names: what a host sends is matched with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// MIDI key, 0..127.
    pub key: u8,
    /// None belongs to every channel.
    pub channel: Option<u8>,
    /// The host's own number of this note, where it gives one.
    pub id: Option<i32>,
}

impl Note {
    /// True when no name that both sides give differs.
    pub(super) fn is(&self, key: Option<u8>, channel: Option<u8>, id: Option<i32>) -> bool {
        let same_channel = channel.is_none() || self.channel.is_none() || self.channel == channel;
        let same_id = id.is_none() || self.id.is_none() || self.id == id;
        key.is_none_or(|k| k == self.key) && same_channel && same_id
    }
}

/// What a host changes of one note while it sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expression {
    /// Semitones.
    Tuning(f32),
    /// Linear gain.
    Volume(f32),
    /// Balance, -1 (left) to 1 (right).
    Pan(f32),
}
