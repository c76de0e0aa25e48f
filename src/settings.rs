//! What a user keeps for all projects: a folder of models and the choice of the device.
//!
//! The home folder is `$FLOWLOOP_HOME`, else `flowloop` in the user's folder for data. Nothing here has
//! to exist or to be writable: what cannot be read is as it is by default, and folders are made only
//! when something is written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::Adapter;

/// The folder, where there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Home {
    folder: Option<PathBuf>,
    /// Outranks the settings' device.
    device: Option<String>,
}

/// The contents of `settings.json`; entries of later versions are kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the plugin's net runs: `auto`, `cpu`, `gpu`, `gpu:N`, `gpu:N:f16` or `remote:HOST:PORT`.
    pub device: String,
    /// What was measured to find the fastest device for `auto`.
    pub speeds: Vec<Speed>,
    /// Folder that loops were written to last; empty before.
    pub exports: String,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { device: "auto".into(), speeds: Vec::new(), exports: String::new(), others: Default::default() }
    }
}

/// How fast a device is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// The name that the device gives itself.
    pub device: String,
    /// Milliseconds that a solver step of a loop of 8 beats takes there.
    pub milliseconds: f64,
}

impl Settings {
    /// Which of these devices was the fastest; None when one of them was not measured.
    pub fn fastest(&self, adapters: &[Adapter]) -> Option<usize> {
        let of = |adapter: &Adapter| self.speeds.iter().find(|s| s.device == adapter.name).map(|s| s.milliseconds);
        let all = adapters.iter().map(of).collect::<Option<Vec<f64>>>()?;
        (0..all.len()).min_by(|a, b| all[*a].total_cmp(&all[*b]))
    }
}

impl Home {
    /// The user's; `$FLOWLOOP_DEVICE` outranks its settings.
    pub fn of_user() -> Self {
        let named = std::env::var_os("FLOWLOOP_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = named.or_else(|| Some(dirs::data_dir()?.join("flowloop")));
        Self { folder, device: std::env::var("FLOWLOOP_DEVICE").ok().filter(|v| !v.is_empty()) }
    }

    /// A folder of one's own.
    pub fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.into()), device: None }
    }

    /// Nowhere: nothing is read or kept.
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// The folder itself.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The folder of model files.
    pub fn models(&self) -> Option<PathBuf> {
        Some(self.folder()?.join("models"))
    }

    /// The settings' file.
    pub fn settings_file(&self) -> Option<PathBuf> {
        Some(self.folder()?.join("settings.json"))
    }

    /// The settings; the defaults where there are none that can be read.
    pub fn settings(&self) -> Settings {
        let bytes = self.settings_file().and_then(|file| crate::disk::read_whole(&file).ok());
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps the plugin's device from now on.
    pub fn keep_device(&self, device: &str) -> std::io::Result<()> {
        self.keep(&Settings { device: device.into(), ..self.settings() })
    }

    /// Keeps what was measured, so that the same device makes a project's loops tomorrow.
    pub fn keep_speeds(&self, speeds: &[Speed]) -> std::io::Result<()> {
        self.keep(&Settings { speeds: speeds.to_vec(), ..self.settings() })
    }

    /// Which of these devices is the fastest, and how fast all are. What `time` says, in milliseconds a step, is kept
    /// and not asked for again; where nothing can be kept it is measured at each start.
    pub fn fastest<E>(
        &self,
        adapters: &[Adapter],
        mut time: impl FnMut(&Adapter) -> Result<f64, E>,
    ) -> Result<(usize, Vec<Speed>), E> {
        let mut settings = self.settings();
        if settings.fastest(adapters).is_none() {
            let speed = |a: &Adapter| Ok(Speed { device: a.name.clone(), milliseconds: time(a)? });
            settings.speeds = adapters.iter().map(speed).collect::<Result<_, E>>()?;
            let _ = self.keep_speeds(&settings.speeds);
        }
        Ok((settings.fastest(adapters).unwrap_or(0), settings.speeds))
    }

    /// Keeps the folder that loops are written to.
    pub fn keep_exports(&self, folder: &str) -> std::io::Result<()> {
        self.keep(&Settings { exports: folder.into(), ..self.settings() })
    }

    /// Writes the settings, whole or not at all.
    fn keep(&self, settings: &Settings) -> std::io::Result<()> {
        let file = self.settings_file().ok_or_else(|| std::io::Error::other("there is no folder for it"))?;
        std::fs::create_dir_all(file.parent().unwrap_or(&file))?;
        let json = serde_json::to_string_pretty(settings).expect("settings are plain data");
        crate::disk::write_whole(&file, format!("{json}\n").as_bytes())
    }

    /// Where the plugin's net is to run.
    pub fn device(&self) -> String {
        self.device.clone().unwrap_or_else(|| self.settings().device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_settings_come_back_and_unknown_entries_stay() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("not/yet/there"));
        assert_eq!(home.settings(), Settings::default());
        home.keep_device("gpu:1").unwrap();
        assert_eq!(home.settings().device, "gpu:1");
        let file = home.settings_file().unwrap();
        std::fs::write(&file, r#"{"colour": "dark", "device": "cpu"}"#).unwrap();
        home.keep_device("auto").unwrap();
        let speeds = [Speed { device: "CPU".into(), milliseconds: 3.25 }];
        home.keep_speeds(&speeds).unwrap();
        assert_eq!(home.settings().speeds, speeds);
        home.keep_exports("/loops").unwrap();
        assert_eq!((home.settings().device.as_str(), home.settings().exports.as_str()), ("auto", "/loops"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(r#""colour": "dark""#) && text.contains(r#""device": "auto""#), "{text}");
        let names: Vec<_> =
            std::fs::read_dir(home.folder().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["settings.json"], "nothing else is left behind");
    }

    #[test]
    fn devices_are_timed_once() {
        let cpu = crate::device::cpu();
        let other = |name: &str| Adapter { id: "gpu:0".into(), name: name.into(), ..cpu.clone() };
        let speed = |device: &str, milliseconds| Speed { device: device.into(), milliseconds };
        let speeds = vec![speed("slow card", 9.0), speed(&cpu.name, 3.0), speed("fast card", 0.5)];
        let settings = Settings { speeds, ..Settings::default() };
        assert_eq!(settings.fastest(&[cpu.clone(), other("slow card")]), Some(0));
        assert_eq!(settings.fastest(&[cpu.clone(), other("fast card")]), Some(1));
        assert_eq!(settings.fastest(&[cpu.clone(), other("new card")]), None);
        assert_eq!(Settings::default().fastest(&[cpu.clone(), other("slow card")]), None);

        let folder = tempfile::tempdir().unwrap();
        let (home, both, mut asked) = (Home::at(folder.path()), [cpu.clone(), other("new card")], 0);
        let mut fastest = |home: &Home, milliseconds: [f64; 2]| {
            let (place, speeds) = home
                .fastest(&both, |a| {
                    asked += 1;
                    Ok::<_, ()>(milliseconds[usize::from(a.id != crate::device::CPU)])
                })
                .unwrap();
            (place, speeds.len(), asked)
        };
        assert_eq!(fastest(&home, [3.0, 2.0]), (1, 2, 2));
        assert_eq!(fastest(&home, [3.0, 9.0]), (1, 2, 2), "what is known is not measured again");
        assert_eq!(fastest(&Home::nowhere(), [3.0, 9.0]), (0, 2, 4));
        assert_eq!(home.fastest(&[other("broken card")], |_| Err("broken")), Err("broken"));
        assert_eq!(home.settings().speeds.len(), 2, "a failure changes nothing");
    }

    #[test]
    fn damaged_or_missing_settings_are_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        for text in ["", "{", "[1, 2]", r#"{"device": 7}"#, "null"] {
            std::fs::write(home.settings_file().unwrap(), text).unwrap();
            assert_eq!(home.settings(), Settings::default(), "{text}");
        }
        std::fs::write(home.settings_file().unwrap(), "{}").unwrap();
        assert_eq!(home.settings(), Settings::default());
        assert_eq!(Home::nowhere().settings(), Settings::default());
        assert!(Home::nowhere().keep_device("cpu").is_err());
        let file = home.settings_file().unwrap();
        assert!(Home::at(&file).keep_device("cpu").is_err(), "a file is no folder");
    }
}
