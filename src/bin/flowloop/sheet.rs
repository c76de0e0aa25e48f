//! `flowloop sheet`: spectrograms of WAV files under one another, beats marked, as a PNG.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use flowloop::codec::frames::{Framing, centres};
use flowloop::dataset::decode;
use flowloop::disk::write_whole;

#[derive(Args)]
pub struct Sheet {
    /// Audio files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Spectrograms beside one another
    #[arg(long, default_value_t = 2)]
    columns: usize,
    /// PNG to write
    #[arg(short, long)]
    output: PathBuf,
}

const WIDTH: usize = 700;
const HEIGHT: usize = 200;
const GAP: usize = 6;

impl Sheet {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.columns > 0, "--columns must be at least 1");
        super::check_output(&self.output, &self.files.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        let columns = self.columns.min(self.files.len());
        let rows = self.files.len().div_ceil(columns);
        let (width, height) = (columns * (WIDTH + GAP), rows * (HEIGHT + GAP));
        let mut pixels = vec![255u8; width * height];
        for (i, path) in self.files.iter().enumerate() {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let audio = decode::decode(bytes).with_context(|| path.display().to_string())?;
            let (x, y) = (i % columns * (WIDTH + GAP), i / columns * (HEIGHT + GAP));
            for (row, line) in spectrogram(&audio).chunks_exact(WIDTH).enumerate() {
                let at = (y + row) * width + x;
                pixels[at..at + WIDTH].copy_from_slice(line);
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header()?.write_image_data(&pixels)?;
        write_whole(&self.output, &bytes).with_context(|| format!("cannot write {}", self.output.display()))?;
        println!("{}: {} spectrograms, 40 Hz to 20 kHz, 80 dB", self.output.display(), self.files.len());
        Ok(())
    }
}

/// `HEIGHT` rows of `WIDTH` grey values, high frequencies on top, dark is loud.
fn spectrogram(audio: &decode::Audio) -> Vec<u8> {
    let framing = Framing::new(1024);
    let mono: Vec<f32> = audio.samples[0].iter().zip(&audio.samples[1]).map(|(l, r)| (l + r) / 2.0).collect();
    let mut spectra = Vec::new();
    framing.analyse(&mono, &centres(mono.len(), WIDTH), &mut spectra);
    let power: Vec<f32> = spectra.iter().map(|c| c.norm_sqr()).collect();
    let loudest = power.iter().fold(1e-9f32, |m, p| m.max(*p));
    let bins = framing.bins();
    let bin = |row: usize| {
        let share = 1.0 - row as f32 / HEIGHT as f32;
        let hertz = 40.0 * 500f32.powf(share);
        ((hertz * 1024.0 / audio.sample_rate as f32) as usize).min(bins - 1)
    };
    let grey = |p: f32| (-10.0 * (p / loudest).max(1e-8).log10() / 80.0 * 255.0) as u8;
    (0..HEIGHT)
        .flat_map(|row| (0..WIDTH).map(move |x| (row, x)))
        .map(|(row, x)| grey(power[x * bins + bin(row)]))
        .collect()
}
