//! Where the sounds come from: sample folders, and what their files are.
//!
//! In: [`Sources`]; out: one-shots with their roles, read in the order of their names. A file that
//! is broken is an error: a set must not change in silence.

use std::path::{Path, PathBuf};

use super::sounds::{Role, Sound, finish};
use crate::clip::SAMPLE_RATE;
use crate::dataset::decode;
use crate::resample;

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
    #[error("loops have 1 to 16 bars; choose such a number")]
    Bars,
}

/// The files to read, and which sources are not there.
pub(super) fn one_shots(sources: &Sources) -> (Vec<OneShot>, Vec<FactoryError>) {
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
    (files, missing)
}

pub(super) fn absent(path: &Path, package: &'static str) -> FactoryError {
    FactoryError::Missing { path: path.into(), package }
}

/// A file that is to be read.
pub(super) struct OneShot {
    role: Role,
    /// The instrument: layers of one snare share it.
    name: String,
    family: &'static str,
    path: PathBuf,
}

impl OneShot {
    /// None for silence, which drum kits use as a placeholder.
    pub(super) fn read(&self) -> Result<Option<Sound>, FactoryError> {
        let broken = |reason: String| FactoryError::Sound { path: self.path.clone(), reason };
        let bytes = std::fs::read(&self.path).map_err(|e| broken(e.to_string()))?;
        let audio = decode::decode(bytes).map_err(|e| broken(e.to_string()))?;
        let ratio = f64::from(SAMPLE_RATE) / f64::from(audio.sample_rate);
        let len = (audio.samples[0].len() as f64 * ratio).round() as usize;
        // One-shots end quietly, so that the circle's seam does not matter.
        let samples = audio.samples.map(|c| resample::circular(&c, len));
        Ok(finish(samples, self.role, &self.name, self.family))
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
        // `drum_snare_hard` and `drum_snare_soft` are one drum.
        let instrument = name.trim_end_matches("_hard").trim_end_matches("_soft");
        Some(OneShot { role, name: format!("sonic-pi-{instrument}"), family: "sonic-pi", path })
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
        let of_file = |file: &str| {
            let name = format!("{kit}-{}", name.replace(' ', "-"));
            OneShot { role, name, family: kit, path: folder.join(file) }
        };
        out.extend(tags(instrument, "filename").map(of_file));
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
    const WORDS: [(Role, &[&str]); 9] = [
        (Role::Snare, &["snare", "sn_"]),
        (Role::Clap, &["clap", "snap"]),
        (Role::Kick, &["kick", "bd_", "drum_bass"]),
        (Role::OpenHat, &["ohh", "open", "hat op", "elec_cymbal"]),
        (Role::ClosedHat, &["hat", "hh", "cymbal_closed", "cymbal_pedal", "elec_tick"]),
        (Role::Cowbell, &["cowbell", "perc_bell", "elec_triangle"]),
        (Role::Rim, &["stick", "click", "rim"]),
        (Role::Percussion, &["conga", "tabla", "elec_wood", "elec_bong", "elec_ping",
            "elec_plip", "elec_pop", "elec_blip", "glitch_perc", "perc_till"]),
        (Role::Tom, &["tom", "drum 1", "drum 2"]),
    ];
    let fits = |(_, words): &&(Role, &[&str])| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(fits).map(|(role, _)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::sounds::SoundBank;

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
