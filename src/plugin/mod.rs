//! The instrument: joins the host, the engine and playback.
//!
//! On the main thread it opens a session of the process's engine; that touches no device, so a scan
//! is quick. On the audio thread `process` compares the parameters and the host's tempo with what it
//! last asked for, puts a new request into the session's ring, hands finished clips to the player
//! and spent ones back, and renders notes. In realtime it never waits. When the host renders
//! offline and a note sounds, it waits for the clip that the automation asks for at that sample, so a
//! bounce is the same every time; when that clip fails, the bounce goes on with the last one.

pub mod companion;
mod memory;
mod params;
mod vst3;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nice_plug::prelude::*;
use nice_plug_egui::EguiEditor;

use crate::editor::{self, App};
use crate::engine::{Engine, Line, Request, Session};
use crate::playback::{Player, Transport};
pub use params::{Bars, FlowloopParams, MAX_SEED, MAX_STEPS, MAX_STYLE, Mode};

/// Tempo of hosts that name none.
const DEFAULT_BPM: f64 = 120.0;
/// An offline render gives up on a clip after this long: a slow CPU makes one in a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks for the clip in an offline render.
const LOOK: Duration = Duration::from_micros(200);

/// One instance of the instrument.
pub struct Flowloop {
    params: Arc<FlowloopParams>,
    session: Arc<Session>,
    line: Line,
    player: Player,
    /// What was asked for last, and whether the engine answered.
    wanted: Option<Request>,
    answered: bool,
    /// The host said at activation that it renders offline.
    offline: bool,
    /// Place of the newest note in the loop, for the editor; bits of an f32, negative when silent.
    playhead: Arc<AtomicU32>,
}

impl Default for Flowloop {
    fn default() -> Self {
        let (session, line) = Engine::shared().open();
        let session = Arc::new(session);
        Self {
            params: Arc::new(FlowloopParams::new(session.clone())),
            session,
            line,
            player: Player::new(44_100.0),
            wanted: None,
            answered: false,
            offline: false,
            playhead: Arc::new(AtomicU32::new((-1f32).to_bits())),
        }
    }
}

impl Flowloop {
    /// Asks for what the parameters, the tempo and the time signature say, when it changed.
    fn ask(&mut self, host: &nice_plug::prelude::Transport) {
        let bpm = host.tempo.filter(|t| t.is_finite() && *t > 0.0).unwrap_or(DEFAULT_BPM);
        let signature = host.time_sig_numerator.zip(host.time_sig_denominator).filter(|(n, d)| *n > 0 && *d > 0);
        let bar = signature.map_or(4.0, |(n, d)| f64::from(n) * 4.0 / f64::from(d));
        // A clip is whole quarter notes; a bar of 7/8 is rounded with its neighbours.
        let beats = (f64::from(self.params.bars.value().count()) * bar).round().clamp(1.0, 256.0) as u32;
        let params = &self.params;
        let (seed, steps, style) =
            (params.seed.value() as u64, params.steps.value() as u32, params.style.value() as u16);
        let request = Request { model: self.line.model(), ..Request::new(seed, steps, style, beats, bpm) }.normalised();
        if self.wanted != Some(request) && self.line.request(request) {
            self.wanted = Some(request);
            self.answered = false;
        }
    }

    /// Takes what the engine has finished, gives back what is no longer played.
    fn exchange(&mut self) {
        while self.line.spent.slots() > 0
            && let Some(clip) = self.player.spent()
        {
            // There is a slot: the push cannot fail.
            let _ = self.line.spent.push(clip);
        }
        while self.line.spent.slots() > 0
            && self.player.takes_clip()
            && let Some(delivery) = self.line.receive()
        {
            let newest = self.wanted == Some(delivery.request);
            self.answered |= newest;
            match delivery.clip {
                Some(clip) if newest => self.player.swap(clip),
                Some(stale) => drop_later(&mut self.line, stale),
                None => {}
            }
        }
    }

    /// Offline: until the clip that is wanted is here, or failed.
    fn wait(&mut self) {
        let start = Instant::now();
        self.exchange();
        while !self.answered && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
            self.exchange();
        }
    }

    /// The transport to play in time with: in Sync mode, while the host plays.
    fn in_time(&self, host: &nice_plug::prelude::Transport) -> Option<Transport> {
        if self.params.mode.value() != Mode::Sync || !host.playing {
            return None;
        }
        let bpm = host.tempo.filter(|t| t.is_finite() && *t > 0.0).unwrap_or(DEFAULT_BPM);
        Some(Transport { beats: host.pos_beats().filter(|b| b.is_finite())?, bpm, cycle: host.loop_range_beats() })
    }

    /// Renders between the notes of the block.
    fn render_notes(
        &mut self,
        context: &mut impl ProcessContext<Self>,
        offline: bool,
        left: &mut [f32],
        right: &mut [f32],
    ) {
        let (mut at, end) = (0, left.len());
        loop {
            let event = context.next_event();
            let until = event.as_ref().map_or(end, |e| (e.timing() as usize).clamp(at, end));
            self.player.render(None, &mut left[at..until], &mut right[at..until]);
            at = until;
            match event {
                Some(event) => self.handle(&event, offline),
                None => break,
            }
        }
    }

    fn handle<S>(&mut self, event: &NoteEvent<S>, offline: bool) {
        match *event {
            NoteEvent::NoteOn { channel, key, velocity, .. } => {
                if offline {
                    self.wait();
                }
                self.player.note_on(key.number_or_middle_c(), channel.number(), velocity);
            }
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                self.player.note_off(key.number(), channel.number());
            }
            _ => {}
        }
    }
}

/// Sends a clip back to the engine, which frees it. The caller knows that a slot is free.
fn drop_later(line: &mut Line, clip: Arc<crate::clip::Clip>) {
    let _ = line.spent.push(clip);
}

impl Plugin for Flowloop {
    const NAME: &'static str = "Flowloop";
    const VENDOR: &'static str = "Flowloop";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[AudioIOLayout {
        main_input_channels: None,
        main_output_channels: NonZeroU32::new(2),
        ..AudioIOLayout::const_default()
    }];
    const MIDI_INPUT: MidiConfig = MidiConfig::Basic;
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = EguiEditor<App>;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, _executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::create(self.params.clone(), Box::new(self.session.watch()), self.playhead.clone())
    }

    fn activate(
        &mut self,
        _layout: &AudioIOLayout,
        config: &BufferConfig,
        _context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.player.set_sample_rate(f64::from(config.sample_rate));
        self.offline = config.process_mode == ProcessMode::Offline;
        true
    }

    fn reset(&mut self) {
        self.player.reset();
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        self.ask(context.transport());
        let transport = self.in_time(context.transport());
        let offline = self.offline || vst3::offline();
        match offline && (self.player.sounding() || transport.is_some()) {
            true => self.wait(),
            false => self.exchange(),
        }
        let [left, right] = buffer.as_slice() else { return ProcessStatus::Error("two output channels are needed") };
        left.fill(0.0);
        right.fill(0.0);
        match self.params.mode.value() {
            Mode::Sync => {
                while context.next_event().is_some() {}
                self.player.note_off(None, None);
                self.player.render(transport.as_ref(), left, right);
            }
            Mode::Trigger => self.render_notes(context, offline, left, right),
        }
        let playhead = self.player.position().unwrap_or(-1.0);
        self.playhead.store(playhead.to_bits(), Ordering::Relaxed);
        ProcessStatus::KeepAlive
    }
}

impl ClapPlugin for Flowloop {
    const CLAP_ID: &'static str = "audio.flowloop.instrument";
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Dreams up loops, and learns from yours");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] =
        &[ClapFeature::Instrument, ClapFeature::Sampler, ClapFeature::Drum, ClapFeature::Stereo];
}

impl Vst3Plugin for Flowloop {
    const VST3_CLASS_ID: [u8; 16] = *b"FlowloopInstrum1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Sampler, Vst3SubCategory::Drum];
}

nice_export_clap!(Flowloop);
