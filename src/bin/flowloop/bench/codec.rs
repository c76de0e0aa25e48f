//! The codec's tables: reconstruction at several sizes, and framing in musical time against a fixed hop.

use std::time::Instant;

use flowloop::clip::Clip;
use flowloop::codec::resolution::Resolution;
use flowloop::codec::{Codec, CodecConfig, Latents};
use flowloop::dataset::{self, ScanOptions, evenly};
use flowloop::measure;
use flowloop::random::Philox;

/// From hertz, window in samples, spectra a latent, mel bands of each range.
type Range = (f32, usize, usize, usize);

const CODEC_ROWS: [&[Range]; 9] = [
    &[(0.0, 512, 16, 64)],
    &[(0.0, 2048, 6, 128)],
    &[(0.0, 4096, 4, 160)],
    &[(0.0, 2048, 6, 48), (800.0, 512, 16, 56)],
    &[(0.0, 2048, 6, 32), (400.0, 512, 16, 64)],
    &[(0.0, 4096, 4, 64), (400.0, 1024, 8, 40), (1600.0, 512, 16, 44)],
    &[(0.0, 4096, 4, 72), (800.0, 1024, 8, 64)],
    &[(0.0, 2048, 8, 48), (800.0, 512, 16, 56)],
    &[(0.0, 2048, 6, 64), (1600.0, 512, 16, 44)],
];

/// Reconstruction of held-out loops at several sizes.
pub(super) fn table(folder: &std::path::Path) -> anyhow::Result<()> {
    let mut progress = crate::Progress::new(0, "reading");
    let scanned =
        dataset::scan(folder, &ScanOptions::default(), &mut |done, total| progress.set(done as u64, total as u64))?;
    drop(progress);
    let (fit, judge) = dataset::split(&scanned.loops, 0.25, 0);
    let clips: Vec<_> = fit.iter().map(|l| &l.clip).collect();
    println!("fitted on {} loops, judged on {}", clips.len(), judge.len().min(64));
    println!("{:<48} | {COLUMNS}  s per s", "from Hz: window/spectra/bands");
    for ranges in CODEC_ROWS {
        let resolution = |&(from_hz, window, frames_per_latent, bands): &Range| Resolution {
            from_hz,
            window,
            frames_per_latent,
            bands,
        };
        let resolutions = ranges.iter().map(resolution).collect();
        let config = CodecConfig { resolutions, ..CodecConfig::default() };
        let codec = Codec::fit(config, &clips, &mut |_, _| {})?;
        let (mut all, mut cost, mut seconds) = (Vec::new(), 0.0, 0.0);
        for one in evenly(&judge, 64) {
            let latents = codec.encode(&one.clip)?;
            let start = Instant::now();
            let decoded = codec.decode(&latents, one.clip.bpm)?;
            cost += start.elapsed().as_secs_f64();
            seconds += decoded.seconds();
            all.push(measure::compare(&one.clip, &decoded));
        }
        let ranges: Vec<String> = ranges.iter().map(|(f, w, n, b)| format!("{f}: {w}/{n}/{b}")).collect();
        println!("{:<48} | {} {:>8.3}", ranges.join(" "), row(&all), cost / seconds);
    }
    let judge: Vec<_> = evenly(&judge, 16).map(|l| tiled(&l.clip)).collect();
    let clips: Vec<_> = evenly(&clips, 64).map(|c| tiled(c)).collect();
    println!("{:<33} | {COLUMNS}", "latents and damage");
    framing_rows("on the beat", &clips, &judge, [0, 0])?;
    framing_rows("fixed hop", &clips, &judge, [-1, 1])
}

const COLUMNS: &str = "log-mel dB  tonal dB  onset corr.  >8 kHz dB  width dB  on grid (real)  seam";

fn row(all: &[measure::Comparison]) -> String {
    let m = measure::mean(all);
    format!(
        "{:>10.2} {:>9.2} {:>12.3} {:>10.1} {:>9.1} {:>7.3} ({:.3}) {:>5.2}",
        m.log_mel_db,
        m.tonal_db,
        m.onset_correlation,
        m.high_band_db,
        m.width_db,
        m.on_grid_decoded,
        m.on_grid_original,
        m.seam
    )
}

/// The loop again and again, 32 beats or more.
fn tiled(clip: &Clip) -> Clip {
    let times = 32u32.div_ceil(clip.beats);
    let samples = clip.samples.each_ref().map(|s| s.repeat(times as usize));
    Clip { samples, beats: clip.beats * times, ..clip.clone() }
}

/// The same sound as a loop of `more` beats more: the codec's latents then drift across the real
/// beats, as those of a fixed hop do.
fn miscounted(clip: &Clip, more: i32) -> Clip {
    let beats = clip.beats.saturating_add_signed(more);
    let mut out = Clip { beats, bpm: f64::from(beats) * 60.0 / clip.seconds(), ..clip.clone() };
    let len = Clip::length(beats, out.bpm, out.sample_rate);
    out.samples.iter_mut().for_each(|s| s.resize(len, 0.0));
    out
}

/// Decodes damaged latents, taken on the beat (`more` 0) or off it. Every other loop takes the
/// other `more`, so that the average latent rate stays the same.
fn framing_rows(name: &str, fit: &[Clip], judge: &[Clip], more: [i32; 2]) -> anyhow::Result<()> {
    let fit: Vec<Clip> = fit.iter().enumerate().map(|(i, c)| miscounted(c, more[i % 2])).collect();
    let codec = Codec::fit(CodecConfig::default(), &fit.iter().collect::<Vec<_>>(), &mut |_, _| {})?;
    let framed: Vec<Clip> = judge.iter().enumerate().map(|(i, c)| miscounted(c, more[i % 2])).collect();
    let latents = framed.iter().map(|c| codec.encode(c)).collect::<Result<Vec<_>, _>>()?;
    // Principal components have mean 0.
    let frames: usize = latents.iter().map(|l| l.frames).sum();
    let row_of = |l: &Latents, channel: usize| l.values[channel * l.frames..(channel + 1) * l.frames].to_vec();
    let power = |channel| latents.iter().flat_map(|l| row_of(l, channel)).map(|v| v * v).sum::<f32>();
    let std: Vec<f32> = (0..codec.config().channels).map(|c| (power(c) / frames as f32).sqrt()).collect();
    for (damage, noise, averaged) in
        [("none", 0.0, 1), ("noise 0.3", 0.3, 1), ("noise 0.6", 0.6, 1), ("pairs averaged", 0.0, 2)]
    {
        let mut all = Vec::new();
        for (i, (clip, framed)) in judge.iter().zip(&framed).enumerate() {
            let mut damaged = latents[i].clone();
            let normals = Philox::new(0, i as u64).normals(damaged.values.len());
            let rows = damaged.values.chunks_exact_mut(damaged.frames).zip(normals.chunks_exact(damaged.frames));
            for (channel, (row, normals)) in rows.enumerate() {
                row.iter_mut().zip(normals).for_each(|(v, n)| *v += noise * std[channel] * n);
                row.chunks_mut(averaged).for_each(|w| w.fill(w.iter().sum::<f32>() / w.len() as f32));
            }
            let mut decoded = codec.decode(&damaged, framed.bpm)?;
            decoded.samples.iter_mut().for_each(|s| s.resize(clip.len(), 0.0));
            all.push(measure::compare(clip, &Clip { beats: clip.beats, bpm: clip.bpm, ..decoded }));
        }
        println!("{name:<15} {damage:<17} | {}", row(&all));
    }
    Ok(())
}
