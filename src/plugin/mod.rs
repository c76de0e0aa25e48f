//! The instrument: joins the host, the engine and playback.
//!
//! On the main thread it opens a session of the process's engine; that touches no device, so a scan
//! is quick. On the audio thread `process` compares the parameters and the host's tempo with what it
//! last asked for, puts a new request into the session's ring, hands finished clips to the player
//! and spent ones back, and renders notes. In realtime it never waits. When the host renders
//! offline and a note sounds, it waits for the clip that the automation asks for at that sample, so a
//! bounce is the same every time; when that clip fails, the bounce goes on with the last one.

mod audition;
pub mod choices;
mod clap;
pub mod companion;
mod memory;
mod monitor;
mod notes;
mod params;
mod song;
mod vst3;
mod wish;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nice_plug::prelude::*;
use nice_plug_egui::EguiEditor;

use crate::editor::{self, App};
use crate::engine::{Engine, Line, Session};
use crate::playback::{self, Player, Settings, Transport};
use audition::Listening;
pub use clap::clap_entry;
pub use monitor::{Monitor, Seen};
pub use params::{FlowloopParams, MAX_KEY, MAX_SEED, MAX_STEPS, MAX_STYLE, MAX_TAKE};
use song::Song;
use wish::Wish;

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
    listening: Listening,
    wish: Wish,
    song: Song,
    /// The host said at activation that it renders offline.
    offline: bool,
    /// For the editor.
    monitor: Arc<Monitor>,
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
            listening: Listening::default(),
            wish: Wish::default(),
            song: Song::default(),
            offline: false,
            monitor: Arc::default(),
        }
    }
}

impl Flowloop {
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
            let taken = self.wish.takes(&delivery);
            match delivery.clip {
                Some(clip) if taken => {
                    self.player.swap(clip);
                    clap::took_clip();
                }
                Some(stale) => drop_later(&mut self.line, stale),
                None => {}
            }
        }
    }

    /// Offline: until the clip that is wanted is here, or failed.
    fn wait(&mut self) {
        let start = Instant::now();
        self.exchange();
        while self.wish.is_open() && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
            self.exchange();
        }
    }

    /// How the parameters say that the clip is played.
    fn settings(&self, host: &nice_plug::prelude::Transport) -> Settings {
        let (play, voice, output) = (&self.params.play, &self.params.voice, &self.params.output);
        Settings {
            mode: play.mode.value().into(),
            swap: play.swap.value().into(),
            bar: wish::bar(host),
            start: play.start.value(),
            length: play.length.value(),
            reverse: play.reverse.value(),
            slicing: play.slices.value().into(),
            attack: voice.attack.value(),
            decay: voice.decay.value(),
            sustain: voice.sustain.value(),
            release: voice.release.value(),
            bend: voice.semitones(),
            gain: output.linear_gain(),
            pan: output.pan.value(),
            low_cut: output.low_corner(),
            high_cut: output.high_corner(),
        }
    }

    /// The transport to play in time with, while the host plays.
    fn in_time(&mut self, host: &nice_plug::prelude::Transport) -> Option<Transport> {
        let bpm = wish::bpm(host);
        let beats = self.song.beats(host, bpm)?;
        Some(Transport { beats, bpm, cycle: host.loop_range_beats() })
    }

    /// Tells the editor of the block.
    fn tell(&self, host: &nice_plug::prelude::Transport, offline: bool, left: &[f32], right: &[f32]) {
        self.monitor.tell(&Seen {
            blocks: 0,
            playhead: self.player.position(),
            clip: self.player.playing().map_or(0, |clip| Arc::as_ptr(clip) as usize),
            waits: self.player.waits(),
            auditions: !offline && self.listening.sounds(),
            transport: host.playing,
            bpm: wish::bpm(host),
            bar: wish::bar(host),
            peak: left.iter().chain(right).fold(0f32, |m, s| m.max(s.abs())),
        });
    }

    /// Renders between the notes of the block, which is offline or not.
    fn render(&mut self, context: &mut impl ProcessContext<Self>, offline: bool, left: &mut [f32], right: &mut [f32]) {
        let settings = self.settings(context.transport());
        let start = self.in_time(context.transport());
        let rate = f64::from(context.transport().sample_rate);
        let (mut at, end) = (0, left.len());
        loop {
            let event = context.next_event();
            let until = event.as_ref().map_or(end, |e| (e.timing() as usize).clamp(at, end));
            let transport = start.map(|t| t.after(at, rate));
            self.player.render(&settings, transport.as_ref(), &mut left[at..until], &mut right[at..until]);
            while let Some(note) = self.player.ended() {
                // A host without room for it only keeps the note's modulation a while longer.
                let _ = context.try_send_event(notes::ended(note, until.saturating_sub(1) as u32));
            }
            at = until;
            let Some(event) = event else { break };
            let starts = matches!(event, NoteEvent::NoteOn { .. });
            if starts && settings.mode == playback::Mode::Sync {
                continue;
            }
            // A bounce sounds from its first note.
            if starts && offline {
                self.wait();
            }
            notes::play(&mut self.player, &event);
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
    type BackgroundTask = clap::Introduce;

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        let params = self.params.clone();
        Box::new(move |clap::Introduce(say)| {
            // Who asked and does not listen any more needs no answer.
            let _ = say.send(params.clone());
        })
    }

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, _executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::create(self.params.clone(), self.session.clone(), self.monitor.clone())
    }

    fn activate(
        &mut self,
        _layout: &AudioIOLayout,
        config: &BufferConfig,
        _context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.player.set_sample_rate(f64::from(config.sample_rate));
        self.listening.set_sample_rate(f64::from(config.sample_rate));
        self.offline = config.process_mode == ProcessMode::Offline;
        true
    }

    fn reset(&mut self) {
        self.player.reset();
        self.listening.reset();
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        self.wish.update(&self.params, context.transport(), &mut self.line);
        let offline = self.offline || vst3::offline();
        let plays = self.params.play.mode.value() == choices::Mode::Sync && context.transport().playing;
        match offline && (self.player.sounding() || plays) {
            true => self.wait(),
            false => self.exchange(),
        }
        let [left, right] = buffer.as_slice() else { return ProcessStatus::Error("two output channels are needed") };
        left.fill(0.0);
        right.fill(0.0);
        self.render(context, offline, left, right);
        // A bounce is of the project alone.
        self.listening.exchange(&mut self.line);
        if !offline {
            self.listening.render(self.params.output.linear_gain(), left, right);
        }
        self.tell(context.transport(), offline, left, right);
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
    // Tells hosts of the voices; no parameter is modulated by voice.
    const CLAP_POLY_MODULATION_CONFIG: Option<PolyModulationConfig> =
        Some(PolyModulationConfig { max_voice_capacity: playback::VOICES as u32, supports_overlapping_voices: true });

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        clap::remote_controls(&self.params, context);
    }
}

impl Vst3Plugin for Flowloop {
    const VST3_CLASS_ID: [u8; 16] = *b"FlowloopInstrum1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Sampler, Vst3SubCategory::Drum];
}
