//! What a training begins with: a model to go on from, and the size of the net.

use std::path::Path;

use anyhow::ensure;
use flowloop::codec::LATENTS_PER_BEAT;
use flowloop::flow::layers::Padding;
use flowloop::flow::unet::UNetConfig;
use flowloop::model::Model;
use flowloop::training::latents::LatentSet;

use super::Train;

impl Train {
    /// The model to go on from.
    pub(super) fn base(&self) -> anyhow::Result<Option<Model>> {
        let Some(path) = &self.from else { return Ok(None) };
        let model = named(path)?;
        ensure!(
            model.codec.is_some(),
            "--from: this model has no codec of its own; choose one that `flowloop train` made"
        );
        ensure!(
            !model.header.distilled,
            "--from: this model was made for few steps (--distil); choose the one that it was straightened from"
        );
        let has = model.header.net.blocks;
        ensure!(
            self.blocks.is_none_or(|blocks| blocks == has || (blocks > has && has > 0)),
            "--blocks: this model has {has} blocks at each level; a net with blocks can grow, but nothing else"
        );
        Ok(Some(model))
    }

    pub(super) fn stride(&self, base: Option<&Model>) -> usize {
        base.map_or(1 << self.widths.len().min(16), |b| b.header.net.stride())
    }

    /// Residual blocks at each level.
    pub(super) fn blocks_of(&self, base: Option<&Model>) -> usize {
        self.blocks.unwrap_or(base.map_or(1, |base| base.header.net.blocks))
    }

    /// The net that the options ask for; without blocks it is the tutorial's in all that it does.
    pub(super) fn fresh_net(&self, channels: usize, phases: bool) -> UNetConfig {
        let half = self.widths.first().map_or(1, |w| (w / 2).max(1));
        let plain = UNetConfig { widths: self.widths.clone(), last_width: half, ..UNetConfig::plain(channels, 1, 1) };
        let blocks = self.blocks_of(None);
        if blocks == 0 {
            return plain;
        }
        UNetConfig {
            last_width: if self.stem > 0 { self.stem } else { half },
            padding: Padding::Circular,
            blocks,
            frames_per_beat: phases.then_some(LATENTS_PER_BEAT),
            stem: self.stem,
            preconditioned: true,
            ..plain
        }
    }

    /// The net to learn with: that of the model to go on from, grown where the options ask for it, and told what the
    /// loops have to tell.
    pub(super) fn net_of(&self, base: Option<&Model>, set: &LatentSet) -> UNetConfig {
        let net = match base {
            Some(base) => UNetConfig { blocks: self.blocks_of(Some(base)), ..base.header.net.clone() },
            None => self.fresh_net(set.channels, set.codec.is_some()),
        };
        let keys = net.keys || set.has_keys();
        net.told(set.labels.len(), keys)
    }
}

/// A model file, or the built-in one by the word factory.
pub(super) fn named(path: &Path) -> anyhow::Result<Model> {
    let built_in = path.as_os_str() == "factory" && !path.exists();
    super::super::model_of((!built_in).then_some(path))
}
