//! One-shots by role, and kits drawn from them and from synthesis.
//!
//! In: [`Sources`], of which [`SoundBank::load`] wants all and [`SoundBank::load_available`] at
//! least one. Out: a [`SoundBank`], from which [`Kit`]s of one sound a role are drawn. Sounds are
//! stereo at 44.1 kHz with a peak of 1, begin with their attack and end faded. Reading uses all
//! cores.

use std::sync::Arc;

use rayon::prelude::*;

use super::circle::{Stereo, frames};
use super::dice::Dice;
use super::font::{Font, Voice};
use super::hold_out::{Side, of_few};
use super::sources::{self, FactoryError, Sources};
use super::synth::{Recipe, drums};

/// What a one-shot is in a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it.
pub enum Role {
    Kick,
    Snare,
    Clap,
    Rim,
    ClosedHat,
    OpenHat,
    Tom,
    Cowbell,
    Shaker,
    Percussion,
}

/// Every role.
pub const ROLES: [Role; 10] = [
    Role::Kick,
    Role::Snare,
    Role::Clap,
    Role::Rim,
    Role::ClosedHat,
    Role::OpenHat,
    Role::Tom,
    Role::Cowbell,
    Role::Shaker,
    Role::Percussion,
];

/// One-shot of a role, normalised to a peak of 1.
#[derive(Clone, Debug)]
pub struct Sound {
    /// What it is.
    pub role: Role,
    /// The instrument, recipe or key it is: several files may be one snare.
    pub name: String,
    /// The folder or sound font program it came from; a sampled kit prefers one family.
    family: String,
    held_out: bool,
    /// Root mean square of its loudest twentieth of a second.
    pub loudness: f32,
    /// Stereo at 44.1 kHz.
    pub samples: Arc<Stereo>,
}

/// Every sampled sound there is.
pub struct SoundBank {
    sounds: Vec<Sound>,
    families: Vec<String>,
    font: Option<Font>,
}

/// One sound a role.
pub struct Kit {
    sounds: Vec<Sound>,
}

/// Where the sounds of a kit come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// All synthesised.
    Synthesised,
    /// All sampled, mostly of one family.
    Sampled,
    /// Some of each.
    Mixed,
}

impl Kit {
    /// The sound of a role.
    pub fn sound(&self, role: Role) -> &Sound {
        let of_role = self.sounds.iter().find(|s| s.role == role);
        of_role.expect("a kit has every role")
    }

    /// The names of its sounds for some roles, joined by `+`.
    pub fn source(&self, roles: &[Role]) -> String {
        let used = self.sounds.iter().filter(|s| roles.contains(&s.role));
        let mut names: Vec<&str> = used.map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join("+")
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
        let (files, mut missing) = sources::one_shots(sources);
        let read: Result<Vec<_>, _> = files.par_iter().map(sources::OneShot::read).collect();
        let mut sounds: Vec<Sound> = read?.into_iter().flatten().collect();
        let font = if sources.sound_font.exists() {
            Some(Font::load(&sources.sound_font)?)
        } else {
            missing.push(sources::absent(&sources.sound_font, "fluid-soundfont-gm"));
            None
        };
        if let Some(font) = &font {
            sounds.extend(drums_of(font)?);
        }
        if sounds.is_empty() {
            return Err(FactoryError::NoSource);
        }
        Ok((Self::new(sounds, font), missing))
    }

    fn new(mut sounds: Vec<Sound>, font: Option<Font>) -> Self {
        for role in ROLES {
            let names: Vec<String> = sounds.iter().filter(|s| s.role == role).map(|s| s.name.clone()).collect();
            let held_out = of_few(names.iter().map(String::as_str));
            for sound in sounds.iter_mut().filter(|s| s.role == role) {
                sound.held_out = held_out.contains(&sound.name.as_str());
            }
        }
        let mut families: Vec<String> = sounds.iter().map(|s| s.family.clone()).collect();
        families.sort_unstable();
        families.dedup();
        Self { sounds, families, font }
    }

    /// How many sampled sounds there are.
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

    /// A kit of sounds of one side. What no sample can be found for is synthesised.
    pub fn draw_kit(&self, make: Make, side: Side, dice: &mut Dice) -> Kit {
        /// Chance that a sampled sound is of another family than the kit's, or that a sound of a
        /// mixed kit is synthesised.
        const FROM_ANYWHERE: f64 = 0.25;
        let family = dice.pick(&self.families);
        let hats = Recipe::draw(drums::kind(Role::ClosedHat), side, dice);
        let draw = |role: &Role| {
            let synthesised = match make {
                Make::Synthesised => true,
                Make::Sampled => false,
                Make::Mixed => dice.chance(0.5),
            };
            let all: Vec<_> = self.sounds.iter().filter(|s| s.role == *role && side.takes(s.held_out)).collect();
            if synthesised || all.is_empty() {
                return synthesise(*role, &hats, side, dice);
            }
            let own: Vec<_> = all.iter().filter(|s| s.family == *family).copied().collect();
            let mixed = dice.chance(FROM_ANYWHERE);
            (*dice.pick(if own.is_empty() || mixed { &all } else { &own })).clone()
        };
        Kit { sounds: ROLES.iter().map(draw).collect() }
    }

    /// Decaying tones for every role, for tests without any package.
    #[cfg(test)]
    pub(crate) fn of_test_tones() -> Self {
        let tone = |index: usize, role: Role| {
            let wave = |i: usize| {
                let t = i as f32 / crate::clip::SAMPLE_RATE as f32;
                let hertz = 60.0 * (index as f32 + 1.0).powi(2);
                (std::f32::consts::TAU * hertz * t).cos() * (-t * 30.0).exp()
            };
            let samples: Vec<f32> = (0..20_000).map(wave).collect();
            finish([samples.clone(), samples], role, &format!("test-{role:?}"), "test")
        };
        let tones = ROLES.into_iter().enumerate();
        Self::new(tones.filter_map(|(i, role)| tone(i, role)).collect(), None)
    }
}

fn synthesise(role: Role, hats: &Recipe, side: Side, dice: &mut Dice) -> Sound {
    let is_hat = matches!(role, Role::ClosedHat | Role::OpenHat);
    let recipe = if is_hat { hats.clone() } else { Recipe::draw(drums::kind(role), side, dice) };
    let samples = drums::make(role, &mut recipe.dice());
    finish([samples.clone(), samples], role, &recipe.name, "synth").expect("every recipe sounds, as its test says")
}

/// Longest one-shot, in seconds.
const LONGEST: f64 = 1.5;

/// Starts at the attack, ends faded, peaks at 1; None for silence.
pub(super) fn finish(mut samples: Stereo, role: Role, name: &str, family: &str) -> Option<Sound> {
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
    let len = (samples[0].len() - start).min(frames(LONGEST));
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
    let loudness = loudness(&samples);
    let (name, family) = (name.to_owned(), family.to_owned());
    Some(Sound { role, name, family, held_out: false, loudness, samples: Arc::new(samples) })
}

/// Root mean square of the loudest twentieth of a second; silence counts where a sound is shorter.
fn loudness(samples: &Stereo) -> f32 {
    let window = frames(0.05);
    let power: Vec<f32> = samples[0].iter().zip(&samples[1]).map(|(l, r)| (l * l + r * r) / 2.0).collect();
    let of = |start: usize| power[start..].iter().take(window).sum::<f32>() / window as f32;
    let starts = (0..power.len()).step_by(window / 5);
    starts.map(of).fold(1e-6f32, f32::max).sqrt()
}

/// General MIDI drum keys by role.
#[rustfmt::skip]
const KEYS: [(i32, Role); 25] = [
    (35, Role::Kick), (36, Role::Kick), (38, Role::Snare), (40, Role::Snare), (39, Role::Clap), (37, Role::Rim),
    (42, Role::ClosedHat), (44, Role::ClosedHat), (46, Role::OpenHat), (41, Role::Tom), (45, Role::Tom),
    (48, Role::Tom), (56, Role::Cowbell), (69, Role::Shaker), (70, Role::Shaker), (54, Role::Shaker),
    (60, Role::Percussion), (62, Role::Percussion), (63, Role::Percussion), (64, Role::Percussion),
    (65, Role::Percussion), (67, Role::Percussion), (75, Role::Percussion), (76, Role::Percussion),
    (77, Role::Percussion),
];

fn drums_of(font: &Font) -> Result<Vec<Sound>, FactoryError> {
    const VELOCITY: i32 = 115;
    let kit = |program: i32| -> Result<Vec<Sound>, FactoryError> {
        let mut player = font.player(Voice::Drums(program))?;
        let family = format!("font-{program}");
        let drum = |(key, role): &(i32, Role)| {
            finish(player.note(*key, VELOCITY, LONGEST), *role, &format!("{family}-key-{key}"), &family)
        };
        Ok(KEYS.iter().filter_map(drum).collect())
    };
    let kits: Result<Vec<_>, _> = font.drum_kits().into_par_iter().map(kit).collect();
    // Kits of a font share most of their sounds, some a little louder or longer, which would outweigh
    // the other sources and be on both sides of the division.
    let mut distinct: Vec<Sound> = Vec::new();
    for sound in kits?.into_iter().flatten() {
        let same = |known: &Sound| known.role == sound.role && likeness(&known.samples, &sound.samples) > 0.9;
        if !distinct.iter().any(same) {
            distinct.push(sound);
        }
    }
    Ok(distinct)
}

/// Correlation of the first tenth of a second of two sounds.
fn likeness(a: &Stereo, b: &Stereo) -> f32 {
    let start = |sound: &Stereo| -> Vec<f32> {
        sound[0].iter().zip(&sound[1]).map(|(l, r)| l + r).chain(std::iter::repeat(0.0)).take(frames(0.1)).collect()
    };
    let (a, b) = (start(a), start(b));
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_louder_copy_is_alike_and_another_recipe_is_not() {
        let make = |recipe: u64| drums::make(Role::Snare, &mut Dice::new(1, recipe));
        let (one, other) = (make(1), make(2));
        let louder: Vec<f32> = one.iter().map(|s| 0.5 * s).collect();
        let stereo = |sound: Vec<f32>| [sound.clone(), sound];
        assert!(likeness(&stereo(one.clone()), &stereo(louder)) > 0.99);
        assert!(likeness(&stereo(one), &stereo(other)) < 0.7);
    }

    #[test]
    fn loudness_is_of_the_loudest_moment() {
        let burst: Vec<f32> = (0..44_100).map(|i| if i < 4410 { 0.5 } else { 0.0 }).collect();
        assert!((loudness(&[burst.clone(), burst]) - 0.5).abs() < 1e-3);
        let short: Vec<f32> = vec![1.0; 221];
        assert!((loudness(&[short.clone(), short]) - 0.1f32.sqrt()).abs() < 0.01);
    }

    #[test]
    fn kits_keep_to_their_side_and_make() {
        let bank = SoundBank::of_test_tones();
        for index in 0..30 {
            let dice = &mut Dice::new(1, index);
            // Each role has but one test tone, which is not held out.
            let sampled = bank.draw_kit(Make::Sampled, Side::Training, dice).source(&ROLES);
            assert!(sampled.split('+').all(|name| name.starts_with("test-")), "{sampled}");
            let names = |side: Side, dice: &mut Dice| bank.draw_kit(Make::Synthesised, side, dice).source(&ROLES);
            let held = |name: &str| super::super::hold_out::is_held_out(name);
            assert!(names(Side::HeldOut, dice).split('+').all(held));
            assert!(!names(Side::Training, dice).split('+').any(held));
        }
    }
}
