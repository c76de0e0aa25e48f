//! `flowloop inspect`: what a model is.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub struct Inspect {
    /// Model file; the built-in model if left out
    model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> anyhow::Result<()> {
        let model = super::model_of(self.model.as_deref())?;
        let parameters: usize = model.weights.values().map(|w| w.values.len()).sum();
        if self.json {
            let mut json = serde_json::to_value(&model.header)?;
            json["parameters"] = parameters.into();
            json["hash"] = model.hash.into();
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        let (header, net) = (&model.header, &model.header.net);
        println!("name        {}", header.name);
        println!("hash        {}", model.hash);
        println!("credits     {}", header.credits);
        println!("parameters  {parameters}");
        println!(
            "net         {} latent channels, stem {}, widths {:?}, {} blocks a level, {:?} padding",
            net.channels, net.stem, net.widths, net.blocks, net.padding
        );
        println!("labels      {}", if header.labels.is_empty() { "none".into() } else { header.labels.join(", ") });
        let keyed = if header.keyed.is_empty() { "any label".into() } else { header.keyed.join(", ") };
        println!("keys        {}", if header.net.keys { keyed } else { "none".into() });
        let few = if header.distilled { ", for runs of few steps" } else { "" };
        println!("trained     {} steps{few}", header.trained_steps);
        match &header.codec {
            Some(c) => {
                println!(
                    "codec       {} values a latent frame, {} a beat",
                    c.channels,
                    flowloop::codec::LATENTS_PER_BEAT
                );
                for r in &c.resolutions {
                    println!(
                        "            from {} Hz: {} frames of {} mel bands, window {}",
                        r.from_hz, r.frames_per_latent, r.bands, r.window
                    );
                }
            }
            None => println!("codec       none: its latents belong to another codec"),
        }
        Ok(())
    }
}
