//! What a host can automate. Ids, ranges and the order of choices are promises to saved projects: never
//! change them.

use std::sync::Arc;

use nice_plug::prelude::*;

use super::choices::{Bars, Mode, Slices, Solver, Swap};
use super::memory::{Compared, Memory, ModelMemory, Past};
use crate::engine::Session;
use crate::key::Key;

/// The largest seed.
pub const MAX_SEED: i32 = 9999;
/// The most solver steps.
pub const MAX_STEPS: i32 = 64;
/// The largest number of a style: room for models of many labels.
pub const MAX_STYLE: i32 = 32;
/// The largest number of a key.
pub const MAX_KEY: i32 = Key::COUNT as i32;
/// The largest number of a take.
pub const MAX_TAKE: i32 = 99;
/// Reads the names of the model's labels.
type Labels = Arc<dyn Fn() -> Vec<String> + Send + Sync>;
/// The name of no style in particular.
const ANY: &str = "Any";
/// Low cut at its lowest is off, in hertz.
const LOWEST: f32 = 20.0;
/// High cut at its highest is off, in hertz.
const HIGHEST: f32 = 20_000.0;
/// Gain at its lowest is silence, in decibels.
const SILENCE: f32 = -60.0;
/// One of a pitch wheel's 16,384 steps.
const WHEEL_STEP: f32 = 1.0 / 8192.0;

/// The instrument's parameters.
#[derive(Params)]
pub struct FlowloopParams {
    /// The clip that plays, so that a project sounds the same when it is opened again.
    #[persist = "clip"]
    pub memory: Memory,
    /// The model that makes the clips.
    #[persist = "model"]
    pub model: ModelMemory,
    /// The clips before.
    #[persist = "history"]
    pub past: Past,
    /// The two that are compared.
    #[persist = "compared"]
    pub compared: Compared,
    /// What is made.
    #[nested(group = "Generate")]
    pub generate: GenerateParams,
    /// How it is played.
    #[nested(group = "Play")]
    pub play: PlayParams,
    /// What a note does.
    #[nested(group = "Voice")]
    pub voice: VoiceParams,
    /// What becomes of the sound.
    #[nested(group = "Output")]
    pub output: OutputParams,
}

/// What is made.
#[derive(Params)]
pub struct GenerateParams {
    /// Seed of the noise, 0 to 9999: one seed, one clip.
    #[id = "seed"]
    pub seed: IntParam,
    /// Way from this seed's noise to the next one's, 0 to 1.
    #[id = "morph"]
    pub morph: FloatParam,
    /// Solver steps, 1 to 64: more are finer and slower.
    #[id = "steps"]
    pub steps: IntParam,
    /// How the flow is integrated.
    #[id = "solver"]
    pub solver: EnumParam<Solver>,
    /// Style: 0 is any, 1 the model's first label.
    #[id = "style"]
    pub style: IntParam,
    /// Key: 0 is any, 1 C minor, 2 C major and so on.
    #[id = "key"]
    pub key: IntParam,
    /// How strictly style and key are kept, 0 to 4; 1 is as learnt.
    #[id = "guidance"]
    pub guidance: FloatParam,
    /// How far a take goes from the seed's clip, 0 to 1: the time t from which it is made anew.
    #[id = "variation"]
    pub variation: FloatParam,
    /// Which variation, 0 to 99.
    #[id = "take"]
    pub take: IntParam,
    /// Length in bars of the host's time signature.
    #[id = "bars"]
    pub bars: EnumParam<Bars>,
    /// Each change is followed at once; else only `generate` makes a new clip.
    #[id = "auto"]
    pub auto: BoolParam,
    /// Turning on makes what the parameters ask for.
    #[id = "generate"]
    pub trigger: BoolParam,
}

/// How it is played.
#[derive(Params)]
pub struct PlayParams {
    /// Notes, transport or slices.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// When a new clip takes over.
    #[id = "swap"]
    pub swap: EnumParam<Swap>,
    /// Where in the clip the loop starts, 0 to 1, in 16th notes.
    #[id = "start"]
    pub start: FloatParam,
    /// How much of the clip loops, 0 to 1, in 16th notes.
    #[id = "length"]
    pub length: FloatParam,
    /// Backwards.
    #[id = "reverse"]
    pub reverse: BoolParam,
    /// Where the clip is cut in Slice mode.
    #[id = "slices"]
    pub slices: EnumParam<Slices>,
}

/// What a note does.
#[derive(Params)]
pub struct VoiceParams {
    /// In seconds.
    #[id = "attack"]
    pub attack: FloatParam,
    /// In seconds.
    #[id = "decay"]
    pub decay: FloatParam,
    /// 0 to 1.
    #[id = "sustain"]
    pub sustain: FloatParam,
    /// In seconds.
    #[id = "release"]
    pub release: FloatParam,
    /// Pitch wheel, -1 to 1.
    #[id = "bend"]
    pub bend: FloatParam,
    /// Semitones at the wheel's ends.
    #[id = "bend_range"]
    pub bend_range: IntParam,
}

/// What becomes of the sound.
#[derive(Params)]
pub struct OutputParams {
    /// In decibels.
    #[id = "gain"]
    pub gain: FloatParam,
    /// -1 (left) to 1 (right).
    #[id = "pan"]
    pub pan: FloatParam,
    /// In hertz.
    #[id = "low_cut"]
    pub low_cut: FloatParam,
    /// In hertz.
    #[id = "high_cut"]
    pub high_cut: FloatParam,
}

impl FlowloopParams {
    /// The defaults; what the session knows is kept with them.
    pub fn new(session: Arc<Session>) -> Self {
        let shown = session.clone();
        let labels: Labels = Arc::new(move || shown.labels());
        Self {
            memory: Memory(session.clone()),
            model: ModelMemory(session.clone()),
            past: Past(session.clone()),
            compared: Compared(session),
            generate: GenerateParams::new(labels),
            play: PlayParams::default(),
            voice: VoiceParams::default(),
            output: OutputParams::default(),
        }
    }
}

impl GenerateParams {
    /// The defaults; styles go by the labels that the model has at the time.
    fn new(labels: Labels) -> Self {
        Self {
            seed: IntParam::new("Seed", 0, IntRange::Linear { min: 0, max: MAX_SEED }),
            morph: percent("Seed Morph", 0.0),
            steps: IntParam::new("Steps", 16, IntRange::Linear { min: 1, max: MAX_STEPS }),
            solver: EnumParam::new("Solver", Solver::Adams),
            style: style(labels),
            key: key(),
            guidance: FloatParam::new("Guidance", 1.0, FloatRange::Linear { min: 0.0, max: 4.0 })
                .with_step_size(0.01)
                .with_value_to_string(formatters::v2s_f32_rounded(2)),
            variation: percent("Variation", 0.0),
            take: IntParam::new("Take", 0, IntRange::Linear { min: 0, max: MAX_TAKE }),
            bars: EnumParam::new("Bars", Bars::Two),
            auto: BoolParam::new("Auto", true),
            trigger: BoolParam::new("Generate", false),
        }
    }
}

impl Default for PlayParams {
    fn default() -> Self {
        Self {
            mode: EnumParam::new("Mode", Mode::Trigger),
            swap: EnumParam::new("Swap", Swap::Now),
            start: percent("Start", 0.0),
            length: percent("Length", 1.0),
            reverse: BoolParam::new("Reverse", false),
            slices: EnumParam::new("Slices", Slices::Beats),
        }
    }
}

impl Default for VoiceParams {
    fn default() -> Self {
        Self {
            attack: seconds("Attack", 0.001, 2.0),
            decay: seconds("Decay", 0.5, 5.0),
            sustain: percent("Sustain", 1.0),
            release: seconds("Release", 0.008, 5.0),
            bend: FloatParam::new("Pitch Bend", 0.0, FloatRange::Linear { min: -1.0, max: 1.0 })
                .with_value_to_string(formatters::v2s_f32_rounded(3)),
            bend_range: IntParam::new("Bend Range", 2, IntRange::Linear { min: 0, max: 24 }).with_unit(" st"),
        }
    }
}

impl Default for OutputParams {
    fn default() -> Self {
        let factor = FloatRange::skew_factor(-2.0);
        Self {
            gain: FloatParam::new("Gain", 0.0, FloatRange::Linear { min: SILENCE, max: 12.0 })
                .with_value_to_string(Arc::new(|db| match db >= SILENCE + 0.05 {
                    true => format!("{:.1} dB", db + 0.0),
                    false => "-inf dB".to_string(),
                }))
                .with_string_to_value(Arc::new(|text| {
                    let text = text.trim().trim_end_matches(['d', 'D', 'b', 'B']).trim();
                    if text.eq_ignore_ascii_case("-inf") { Some(SILENCE) } else { text.parse().ok() }
                })),
            pan: FloatParam::new("Pan", 0.0, FloatRange::Linear { min: -1.0, max: 1.0 })
                .with_value_to_string(formatters::v2s_f32_panning())
                .with_string_to_value(formatters::s2v_f32_panning()),
            low_cut: cut("Low Cut", LOWEST, FloatRange::Skewed { min: LOWEST, max: 2_000.0, factor }),
            high_cut: cut("High Cut", HIGHEST, FloatRange::Skewed { min: 200.0, max: HIGHEST, factor }),
        }
    }
}

impl VoiceParams {
    /// The pitch wheel in semitones.
    pub fn semitones(&self) -> f32 {
        let bend = self.bend.value();
        // VST3 hosts put a wheel at rest half a step off its middle; a clip at its own pitch is exact.
        if bend.abs() < WHEEL_STEP { 0.0 } else { bend * self.bend_range.value() as f32 }
    }
}

impl OutputParams {
    /// The gain as a factor.
    pub fn linear_gain(&self) -> f32 {
        let db = self.gain.value();
        if db > SILENCE { 10f32.powf(db / 20.0) } else { 0.0 }
    }

    /// The low cut's corner in hertz, None when it is off.
    pub fn low_corner(&self) -> Option<f32> {
        Some(self.low_cut.value()).filter(|f| *f > LOWEST)
    }

    /// The high cut's corner in hertz, None when it is off.
    pub fn high_corner(&self) -> Option<f32> {
        Some(self.high_cut.value()).filter(|f| *f < HIGHEST)
    }
}

fn percent(name: &str, default: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min: 0.0, max: 1.0 })
        .with_unit(" %")
        .with_value_to_string(formatters::v2s_f32_percentage(1))
        .with_string_to_value(formatters::s2v_f32_percentage())
}

/// Fine where it is short.
fn seconds(name: &str, default: f32, max: f32) -> FloatParam {
    let range = FloatRange::Skewed { min: 0.0, max, factor: FloatRange::skew_factor(-2.0) };
    FloatParam::new(name, default, range)
        .with_value_to_string(Arc::new(|s| match s {
            ..0.01 => format!("{:.3} ms", s * 1000.0),
            0.01..0.9995 => format!("{:.1} ms", s * 1000.0),
            _ => format!("{s:.3} s"),
        }))
        .with_string_to_value(Arc::new(|text| {
            let text = text.trim().to_ascii_lowercase();
            let (number, unit) = match text.strip_suffix("ms") {
                Some(number) => (number, 0.001),
                None => (text.trim_end_matches('s'), 1.0),
            };
            number.trim().parse::<f32>().ok().map(|n| n * unit)
        }))
}

/// A filter's corner; at its neutral end it is off.
fn cut(name: &str, off: f32, range: FloatRange) -> FloatParam {
    let (shown, parsed) = (formatters::v2s_f32_hz_then_khz(1), formatters::s2v_f32_hz_then_khz());
    FloatParam::new(name, off, range)
        .with_value_to_string(Arc::new(move |hz| if shown(hz) == shown(off) { "Off".to_string() } else { shown(hz) }))
        .with_string_to_value(Arc::new(
            move |text| {
                if text.trim().eq_ignore_ascii_case("off") { Some(off) } else { parsed(text) }
            },
        ))
}

/// Shown and typed by the names of the model's labels.
fn style(labels: Labels) -> IntParam {
    let known = labels.clone();
    let shown = move |style: i32| match usize::try_from(style - 1) {
        Err(_) => ANY.to_string(),
        Ok(label) => labels().get(label).cloned().unwrap_or_else(|| format!("Style {style}")),
    };
    let parse = move |text: &str| {
        let text = text.trim();
        let label = known().iter().position(|n| n.eq_ignore_ascii_case(text)).map(|i| i as i32 + 1);
        let any = text.eq_ignore_ascii_case(ANY).then_some(0);
        any.or(label).or_else(|| text.trim_start_matches("Style ").parse().ok())
    };
    IntParam::new("Style", 0, IntRange::Linear { min: 0, max: MAX_STYLE })
        .with_value_to_string(Arc::new(shown))
        .with_string_to_value(Arc::new(parse))
}

/// Shown and typed by name, in short too: A minor, Am.
fn key() -> IntParam {
    let of = |number: i32| Key::from_number(usize::try_from(number - 1).ok()?);
    let shown = move |number: i32| of(number).map_or(ANY.to_string(), |key| key.to_string());
    let parse = |text: &str| match text.trim().eq_ignore_ascii_case(ANY) {
        true => Some(0),
        false => text.parse().ok().map(|key: Key| key.number() as i32 + 1),
    };
    IntParam::new("Key", 0, IntRange::Linear { min: 0, max: MAX_KEY })
        .with_value_to_string(Arc::new(shown))
        .with_string_to_value(Arc::new(parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host shows for a value, typed in again, is that value.
    fn round_trips(param: &impl Param, values: &[f32], tolerance: f32) {
        for normalised in values {
            let text = param.normalized_value_to_string(*normalised, true);
            let back = param.string_to_normalized_value(&text).unwrap_or_else(|| panic!("{text} is not read"));
            assert!((back - normalised).abs() <= tolerance, "{}: {normalised} {text} {back}", param.name());
        }
    }

    #[test]
    fn texts_are_read_back() {
        let values: Vec<f32> = (0..=20).map(|i| i as f32 / 20.0).collect();
        let labels: Labels = Arc::new(|| vec!["house".into(), "Drum and bass".into()]);
        let (make, play) = (GenerateParams::new(labels), PlayParams::default());
        let (voice, output) = (VoiceParams::default(), OutputParams::default());
        for param in [&make.morph, &make.guidance, &make.variation, &play.start, &play.length, &voice.sustain] {
            round_trips(param, &values, 0.003);
        }
        for param in [&voice.attack, &voice.decay, &voice.release, &voice.bend] {
            round_trips(param, &values, 0.02);
        }
        for param in [&output.gain, &output.pan] {
            round_trips(param, &values, 0.006);
        }
        // Near their ends the cuts change by less than is shown.
        for param in [&output.low_cut, &output.high_cut] {
            round_trips(param, &values[6..=19], 0.01);
        }
        for seed in (0..=MAX_SEED).step_by(7) {
            let normalised = make.seed.preview_normalized(seed);
            assert_eq!(make.seed.preview_plain(normalised), seed);
        }
        let styles: Vec<f32> = (0..=MAX_STYLE).map(|s| make.style.preview_normalized(s)).collect();
        round_trips(&make.style, &styles, 1e-6);
        let keys: Vec<f32> = (0..=MAX_KEY).map(|k| make.key.preview_normalized(k)).collect();
        round_trips(&make.key, &keys, 1e-6);
        let typed = |text: &str| make.key.string_to_normalized_value(text).map(|v| make.key.preview_plain(v));
        assert_eq!(["any", "Cm", "c major", "B", "nothing"].map(typed), [Some(0), Some(1), Some(2), Some(24), None]);
        assert_eq!(make.style.string_to_normalized_value("drum and bass"), Some(2.0 / MAX_STYLE as f32));
    }

    #[test]
    fn ends_of_the_output_are_neutral() {
        let output = OutputParams::default();
        assert_eq!((output.linear_gain(), output.low_corner(), output.high_corner()), (1.0, None, None));
        assert_eq!(output.low_cut.normalized_value_to_string(0.0, true), "Off");
        assert_eq!(output.gain.normalized_value_to_string(0.0, true), "-inf dB");
        // What is shown as the end is read as the end.
        for (param, near) in [(&output.low_cut, 0.01), (&output.high_cut, 0.9999), (&output.gain, 0.0004)] {
            let shown = param.normalized_value_to_string(near, true);
            let read = param.string_to_normalized_value(&shown).unwrap();
            assert_eq!(param.normalized_value_to_string(read, true), shown);
        }
    }
}
