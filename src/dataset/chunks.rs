//! Loop facts that WAV files carry: the `acid` chunk (beats, tempo) and `smpl` (loop points).
//!
//! In: a file's bytes, of any kind; out: [`LoopFacts`]. What is malformed, out of range or cut
//! off is as if it were not there; nothing here fails.

/// What the chunks say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoopFacts {
    /// Beats of the `acid` chunk, when it describes a loop.
    pub beats: Option<u32>,
    /// Tempo of the `acid` chunk in beats per minute, when it describes a loop.
    pub bpm: Option<f64>,
    /// First frame and number of frames of the first loop of the `smpl` chunk.
    pub loop_frames: Option<(usize, usize)>,
}

/// Reads a RIFF file's loop chunks.
pub fn read(bytes: &[u8]) -> LoopFacts {
    let mut facts = LoopFacts::default();
    for (id, body) in chunks(bytes) {
        match &id {
            b"acid" => (facts.beats, facts.bpm) = acid(body).unwrap_or_default(),
            b"smpl" => facts.loop_frames = smpl(body),
            _ => {}
        }
    }
    facts
}

/// Channels and sample rate of a WAV file's `fmt ` chunk.
pub fn wave_format(bytes: &[u8]) -> Option<(u16, u32)> {
    let (_, body) = chunks(bytes).find(|(id, _)| id == b"fmt ")?;
    let channels = body.get(2..4)?;
    let channels = u16::from_le_bytes([channels[0], channels[1]]);
    Some((channels, word(body, 4)?))
}

/// Id and body of each chunk; the last may be shorter than it claims.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE");
    let mut at = if riff { 12 } else { bytes.len() };
    std::iter::from_fn(move || {
        let head: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
        let [a, b, c, d, size @ ..] = head;
        let size = u32::from_le_bytes(size) as usize;
        let start = at + 8;
        let end = start.saturating_add(size).min(bytes.len());
        at = end.saturating_add(size % 2);
        Some(([a, b, c, d], &bytes[start..end]))
    })
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    let bytes = body.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn acid(body: &[u8]) -> Option<(Option<u32>, Option<f64>)> {
    const ONE_SHOT: u32 = 1;
    if word(body, 0)? & ONE_SHOT != 0 {
        return None;
    }
    // The shortest decimal that gives this 32-bit float: 123.4 stays 123.4.
    let tempo = f32::from_bits(word(body, 20)?).to_string().parse().ok();
    let beats = Some(word(body, 12)?).filter(|b| (1..=4096).contains(b));
    let tempo = tempo.filter(|bpm| (20.0..=400.0).contains(bpm));
    Some((beats, tempo))
}

fn smpl(body: &[u8]) -> Option<(usize, usize)> {
    let loops = word(body, 28)?;
    let (start, end) = (word(body, 44)? as usize, word(body, 48)? as usize);
    (loops > 0 && end > start).then(|| (start, end - start + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_sizes_end_the_walk() {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVEacid\xff\xff\xff\xff".to_vec();
        assert_eq!(read(&bytes), LoopFacts::default());
        bytes.extend([0; 7]);
        assert_eq!(read(&bytes), LoopFacts::default());
        assert_eq!(read(b"RIFF"), LoopFacts::default());
    }
}
