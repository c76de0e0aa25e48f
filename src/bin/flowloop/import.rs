//! `flowloop import`: a PyTorch checkpoint to a model file.

use std::path::{Path, PathBuf};

use clap::Args;
use flowloop::flow::layers::Padding;
use flowloop::model::{Precision, import_pytorch};

#[derive(Args)]
pub struct Import {
    /// State dict of the plain U-Net, as torch.save writes it
    checkpoint: PathBuf,
    /// Dict of `mean` and `std`, one value a channel
    #[arg(long)]
    mean_std: Option<PathBuf>,
    /// Let convolutions wrap round, for loops; the tutorial's net was trained with zeros
    #[arg(long)]
    circular: bool,
    /// Model file to write
    #[arg(short, long)]
    output: PathBuf,
}

impl Import {
    pub fn run(self) -> anyhow::Result<()> {
        let inputs: Vec<&Path> = std::iter::once(&self.checkpoint).chain(&self.mean_std).map(|p| p.as_path()).collect();
        super::check_output(&self.output, &inputs)?;
        let padding = if self.circular { Padding::Circular } else { Padding::Zero };
        let model = import_pytorch(&self.checkpoint, self.mean_std.as_deref(), padding)?;
        model.save(&self.output, Precision::Full)?;
        let net = &model.header.net;
        println!(
            "{}: {} layers of {:?} channels, {} latent channels",
            self.output.display(),
            net.widths.len(),
            net.widths,
            net.channels
        );
        Ok(())
    }
}
