//! One-shots by role: read from sample folders and rendered from a General MIDI sound font.
//!
//! In: [`Sources`], of which [`SoundBank::load`] wants all and [`SoundBank::load_available`] at
//! least one. Out: a [`SoundBank`], from which [`Kit`]s of one sound a role are drawn. Sounds are
//! stereo at 44.1 kHz with a peak of 1, begin with their attack and end faded. A file that is
//! broken is an error: a set must not change in silence. Reading uses all cores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::dice::Dice;
use super::font::{Font, Voice};
use crate::clip::SAMPLE_RATE;
use crate::dataset::{decode, resample};

/// What a one-shot is in a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it.
pub enum Role {
    Kick,
    Snare,
    Clap,
    ClosedHat,
    OpenHat,
    Percussion,
    Tom,
}

const ROLES: [Role; 7] =
    [Role::Kick, Role::Snare, Role::Clap, Role::ClosedHat, Role::OpenHat, Role::Percussion, Role::Tom];

/// One-shot of a role, normalised to a peak of 1.
#[derive(Clone, Debug)]
pub struct Sound {
    /// What it is.
    pub role: Role,
    /// The folder or sound font program it came from; a kit prefers one family.
    family: String,
    /// Stereo at 44.1 kHz.
    pub samples: Arc<[Vec<f32>; 2]>,
}

/// Where the sounds are. Defaults: where Debian's packages put them.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Folder of the package sonic-pi-samples (CC0); its `loop_*` files are left out.
    pub sonic_pi: PathBuf,
    /// Folder of the package hydrogen-drumkits; only [`KITS`] are used.
    pub drumkits: PathBuf,
    /// FluidR3 of the package fluid-soundfont-gm (MIT).
    pub sound_font: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            sonic_pi: "/usr/share/sonic-pi/samples".into(),
            drumkits: "/usr/share/hydrogen/data/drumkits".into(),
            sound_font: "/usr/share/sounds/sf2/FluidR3_GM.sf2".into(),
        }
    }
}

/// Kits whose licences allow anything: Audiophob is CC0; the author of the other two, whose files
/// say GPL, granted all rights (debian/copyright of hydrogen-drumkits, 2017).
pub const KITS: [&str; 3] = ["Audiophob", "ElectricEmpireKit", "HardElectro1"];

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum FactoryError {
    #[error("{} is missing; install the Debian package {package}, or name the place", .path.display())]
    Missing { path: PathBuf, package: &'static str },
    #[error(
        "none of the sources is there; install the Debian package sonic-pi-samples, hydrogen-drumkits or fluid-soundfont-gm"
    )]
    NoSource,
    #[error("the sound font {} cannot be read ({reason}); install fluid-soundfont-gm anew", .path.display())]
    SoundFont { path: PathBuf, reason: String },
    #[error("the sound {} cannot be read ({reason}); install its package anew", .path.display())]
    Sound { path: PathBuf, reason: String },
    #[error("the synthesizer refused its settings ({0})")]
    Synthesizer(String),
    #[error("no sound for {0:?} was found; add another source")]
    NoRole(Role),
    #[error("melodic loops need a sound font; install the Debian package fluid-soundfont-gm")]
    NoFont,
    #[error("loops have 1 to 16 bars; choose such a number")]
    Bars,
}

/// Every sound there is.
pub struct SoundBank {
    sounds: Vec<Sound>,
    font: Option<Font>,
}

/// One sound a role.
pub struct Kit {
    sounds: Vec<Sound>,
}

impl Kit {
    /// The sound of a role.
    pub fn sound(&self, role: Role) -> &Sound {
        let of_role = self.sounds.iter().find(|s| s.role == role);
        of_role.expect("a kit has every role")
    }

    /// The families of its sounds, joined by `+`.
    pub fn source(&self) -> String {
        let mut families: Vec<&str> = self.sounds.iter().map(|s| s.family.as_str()).collect();
        families.sort_unstable();
        families.dedup();
        families.join("+")
    }
}

impl SoundBank {
    /// Reads all sources; each has to be there.
    pub fn load(sources: &Sources) -> Result<Self, FactoryError> {
        let (bank, missing) = Self::load_available(sources)?;
        missing.into_iter().next().map_or(Ok(bank), Err)
    }

    /// Reads the sources that are there, at least one; also says which are not.
    pub fn load_available(sources: &Sources) -> Result<(Self, Vec<FactoryError>), FactoryError> {
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        match samples_of(&sources.sonic_pi) {
            Some(found) => files.extend(found),
            None => missing.push(absent(&sources.sonic_pi, "sonic-pi-samples")),
        }
        for kit in KITS {
            let folder = sources.drumkits.join(kit);
            match instruments_of(&folder, kit) {
                Some(found) => files.extend(found),
                None => missing.push(absent(&folder, "hydrogen-drumkits")),
            }
        }
        let read: Result<Vec<_>, _> = files.par_iter().map(OneShot::read).collect();
        let mut sounds: Vec<Sound> = read?.into_iter().flatten().collect();
        let font = if sources.sound_font.exists() {
            Some(Font::load(&sources.sound_font)?)
        } else {
            missing.push(absent(&sources.sound_font, "fluid-soundfont-gm"));
            None
        };
        if let Some(font) = &font {
            sounds.extend(drums_of(font)?);
        }
        if sounds.is_empty() {
            return Err(FactoryError::NoSource);
        }
        let lacks = |role: &Role| !sounds.iter().any(|s| s.role == *role);
        match ROLES.into_iter().find(lacks) {
            Some(role) => Err(FactoryError::NoRole(role)),
            None => Ok((Self { sounds, font }, missing)),
        }
    }

    /// How many sounds there are.
    pub fn len(&self) -> usize {
        self.sounds.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.sounds.is_empty()
    }

    /// The sound font, for melodic loops.
    pub fn font(&self) -> Option<&Font> {
        self.font.as_ref()
    }

    /// A kit: mostly of one family, the rest from anywhere.
    pub fn draw_kit(&self, dice: &mut Dice) -> Kit {
        const FROM_ANYWHERE: f64 = 0.3;
        let family = dice.pick(&self.sounds).family.clone();
        let draw = |role: &Role| {
            let all: Vec<_> = self.sounds.iter().filter(|s| s.role == *role).collect();
            let own: Vec<_> = all.iter().filter(|s| s.family == family).copied().collect();
            let mixed = dice.chance(FROM_ANYWHERE);
            (*dice.pick(if own.is_empty() || mixed { &all } else { &own })).clone()
        };
        Kit { sounds: ROLES.iter().map(draw).collect() }
    }

    /// Decaying tones and noise for every role, for tests without any package.
    #[cfg(test)]
    pub(crate) fn of_test_tones() -> Self {
        let tone = |index: usize, role: Role| {
            let wave = |i: usize| {
                let t = i as f32 / SAMPLE_RATE as f32;
                let hertz = 60.0 * (index as f32 + 1.0).powi(2);
                (std::f32::consts::TAU * hertz * t).cos() * (-t * 30.0).exp()
            };
            let samples: Vec<f32> = (0..20_000).map(wave).collect();
            finish([samples.clone(), samples], role, "test")
        };
        let tones = ROLES.into_iter().enumerate();
        Self { sounds: tones.filter_map(|(i, role)| tone(i, role)).collect(), font: None }
    }
}

fn absent(path: &Path, package: &'static str) -> FactoryError {
    FactoryError::Missing { path: path.into(), package }
}

/// A file that is to be read.
struct OneShot {
    role: Role,
    family: &'static str,
    path: PathBuf,
}

impl OneShot {
    /// None for silence, which drum kits use as a placeholder.
    fn read(&self) -> Result<Option<Sound>, FactoryError> {
        let broken = |reason: String| FactoryError::Sound { path: self.path.clone(), reason };
        let bytes = std::fs::read(&self.path).map_err(|e| broken(e.to_string()))?;
        let audio = decode::decode(bytes).map_err(|e| broken(e.to_string()))?;
        let ratio = f64::from(SAMPLE_RATE) / f64::from(audio.sample_rate);
        let len = (audio.samples[0].len() as f64 * ratio).round() as usize;
        // One-shots end quietly, so that the circle's seam does not matter.
        let samples = audio.samples.map(|c| resample::circular(&c, len));
        Ok(finish(samples, self.role, self.family))
    }
}

/// One-shots of Sonic Pi, whose names say what they are, in the order of their names.
fn samples_of(folder: &Path) -> Option<Vec<OneShot>> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    paths.sort();
    let of_role = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_lowercase();
        let audio = path.extension().is_some_and(|e| e == "flac" || e == "wav");
        let role = role_of(&name).filter(|_| audio && !name.starts_with("loop_"))?;
        Some(OneShot { role, family: "sonic-pi", path })
    };
    Some(paths.into_iter().filter_map(of_role).collect())
}

/// One-shots of a Hydrogen kit, in the order of its description: only that says what they are.
fn instruments_of(folder: &Path, kit: &'static str) -> Option<Vec<OneShot>> {
    let text = std::fs::read_to_string(folder.join("drumkit.xml")).ok()?;
    let mut out = Vec::new();
    for instrument in tags(&text, "instrument") {
        let name = tags(instrument, "name").next().unwrap_or_default();
        let Some(role) = role_of(&name.to_lowercase()) else {
            continue;
        };
        out.extend(tags(instrument, "filename").map(|file| OneShot { role, family: kit, path: folder.join(file) }));
    }
    Some(out)
}

/// What stands between each opening tag of a name and its closing tag.
fn tags<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inner, after) = after.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

/// The role that a lower-case name tells, by the first word that is part of it.
#[rustfmt::skip]
fn role_of(name: &str) -> Option<Role> {
    const WORDS: [(Role, &[&str]); 7] = [
        (Role::Snare, &["snare", "sn_"]),
        (Role::Clap, &["clap", "snap"]),
        (Role::Kick, &["kick", "bd_", "drum_bass"]),
        (Role::OpenHat, &["ohh", "open", "hat op", "elec_cymbal"]),
        (Role::ClosedHat, &["hat", "hh", "cymbal_closed", "cymbal_pedal", "elec_tick"]),
        (Role::Percussion, &["conga", "cowbell", "stick", "click", "tabla", "elec_wood", "elec_bong", "elec_ping",
            "elec_plip", "elec_pop", "elec_blip", "elec_triangle", "glitch_perc", "perc_till", "perc_bell"]),
        (Role::Tom, &["tom", "drum 1", "drum 2"]),
    ];
    let fits = |(_, words): &&(Role, &[&str])| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(fits).map(|(role, _)| *role)
}

/// Longest one-shot, in seconds.
const LONGEST: f64 = 1.5;

/// Starts at the attack, ends faded, peaks at 1; None for silence.
fn finish(mut samples: [Vec<f32>; 2], role: Role, family: &str) -> Option<Sound> {
    const SILENCE: f32 = 1e-3;
    /// Share of the peak at which the attack is there.
    const ATTACK: f32 = 0.01;
    /// Samples faded in before the attack, so that nothing starts with a step.
    const LEAD: usize = 16;
    const FADE: usize = 2000;
    let peak = samples.iter().flatten().fold(0f32, |m, s| m.max(s.abs()));
    if peak < SILENCE {
        return None;
    }
    for channel in &mut samples {
        channel.splice(0..0, [0.0; LEAD]);
    }
    let loud = |i: &usize| samples.iter().any(|c| c[*i].abs() > peak * ATTACK);
    let start = (0..samples[0].len()).find(loud)? - LEAD;
    let len = (samples[0].len() - start).min((LONGEST * f64::from(SAMPLE_RATE)) as usize);
    let (lead, fade) = (LEAD.min(len), FADE.min(len));
    for channel in &mut samples {
        *channel = channel[start..start + len].iter().map(|s| s / peak).collect();
        for (i, s) in channel[..lead].iter_mut().enumerate() {
            *s *= i as f32 / LEAD as f32;
        }
        for (i, s) in channel[len - fade..].iter_mut().enumerate() {
            *s *= 1.0 - (i + 1) as f32 / fade as f32;
        }
    }
    Some(Sound { role, family: family.into(), samples: Arc::new(samples) })
}

/// General MIDI drum keys by role.
#[rustfmt::skip]
const KEYS: [(i32, Role); 16] = [
    (35, Role::Kick), (36, Role::Kick), (38, Role::Snare), (40, Role::Snare), (39, Role::Clap),
    (42, Role::ClosedHat), (44, Role::ClosedHat), (46, Role::OpenHat), (41, Role::Tom), (45, Role::Tom),
    (48, Role::Tom), (37, Role::Percussion), (54, Role::Percussion), (56, Role::Percussion),
    (63, Role::Percussion), (75, Role::Percussion),
];

fn drums_of(font: &Font) -> Result<Vec<Sound>, FactoryError> {
    const VELOCITY: i32 = 115;
    let kit = |program: i32| -> Result<Vec<Sound>, FactoryError> {
        let mut player = font.player(Voice::Drums(program))?;
        let family = format!("font-{program}");
        let drums = KEYS.iter().filter_map(|(key, role)| finish(player.note(*key, VELOCITY, LONGEST), *role, &family));
        Ok(drums.collect())
    };
    let kits: Result<Vec<_>, _> = font.drum_kits().into_par_iter().map(kit).collect();
    // Kits of a font share most of their sounds, which would outweigh the other sources.
    let mut distinct: Vec<Sound> = Vec::new();
    for sound in kits?.into_iter().flatten() {
        let same = |known: &Sound| known.role == sound.role && known.samples == sound.samples;
        if !distinct.iter().any(same) {
            distinct.push(sound);
        }
    }
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_by_name() {
        let cases = [
            ("bd_haus", Some(Role::Kick)),
            ("drum_snare_hard", Some(Role::Snare)),
            ("hat op dirty", Some(Role::OpenHat)),
            ("hat closed bs", Some(Role::ClosedHat)),
            ("side ohh", Some(Role::OpenHat)),
            ("side hh", Some(Role::ClosedHat)),
            ("hand clap", Some(Role::Clap)),
            ("elec_fuzz_tom", Some(Role::Tom)),
            ("ambi_choir", None),
            ("vinyl_scratch", None),
        ];
        for (name, role) in cases {
            assert_eq!(role_of(name), role, "{name}");
        }
    }

    #[test]
    fn a_kit_is_read_by_its_description() {
        let folder = std::env::temp_dir().join(format!("flowloop-kit-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let xml = "<name>Kit</name><instrument><name>Kick</name><layer><filename>tom.wav</filename></layer>\
                   </instrument><instrument><filename>b.wav</filename><name>Crash</name></instrument>";
        std::fs::write(folder.join("drumkit.xml"), xml).unwrap();
        let found = instruments_of(&folder, "Kit").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].role == Role::Kick && found[0].path.ends_with("tom.wav"));
    }

    #[test]
    fn without_sources_the_error_names_packages() {
        let nowhere = PathBuf::from("/nowhere");
        let sources = Sources { sonic_pi: nowhere.clone(), drumkits: nowhere.clone(), sound_font: nowhere };
        let error = SoundBank::load(&sources).err().unwrap().to_string();
        assert!(error.contains("sonic-pi-samples"), "{error}");
    }
}
