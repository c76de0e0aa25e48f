//! `flowloop devices`: what the net can run on, and where the plugin runs it.

use anyhow::Context;
use clap::Args;
use flowloop::device;
use flowloop::settings::Home;

#[derive(Args)]
pub struct Devices {
    /// Run the plugin's net there from its next start on: auto, cpu, gpu or gpu:N
    #[arg(long = "use", value_name = "DEVICE")]
    chosen: Option<String>,
}

impl Devices {
    pub fn run(self) -> anyhow::Result<()> {
        let home = Home::of_user();
        if let Some(chosen) = self.chosen {
            let adapter = device::choose(&chosen)?;
            let file = home.settings_file().unwrap_or_default();
            home.keep_device(&chosen)
                .with_context(|| format!("cannot write {}; set FLOWLOOP_HOME to a folder of yours", file.display()))?;
            println!("the plugin uses {chosen} ({}) from its next start on; kept in {}", adapter.name, file.display());
            return Ok(());
        }
        let (automatic, plugin) = (device::choose("auto")?.id, home.device());
        for adapter in device::adapters() {
            let kind = if adapter.hardware { "" } else { " (software renderer: slower than cpu)" };
            let chosen = if adapter.id == automatic { "  <- auto" } else { "" };
            println!("{:<8} {}{kind}{chosen}", adapter.id, adapter.name);
        }
        println!("the plugin uses {plugin}");
        Ok(())
    }
}
