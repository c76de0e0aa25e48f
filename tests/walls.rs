//! The walls between the rooms: which of the crate's modules a room may name. ARCHITECTURE.md has the
//! reasons; the one that matters most is that playback, on the audio thread, knows no net and no
//! engine.

use std::path::{Path, PathBuf};

/// Room, and the rooms that it may name. `bin` may name all but plugin, editor and what they join.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("clip.rs", &[]),
    ("key.rs", &["random"]),
    ("disk.rs", &[]),
    ("random.rs", &[]),
    ("resample.rs", &[]),
    ("transpose.rs", &["clip", "key", "resample"]),
    ("device", &[]),
    ("settings.rs", &["disk", "device"]),
    ("wav.rs", &["clip", "disk"]),
    ("measure.rs", &["clip", "codec", "random"]),
    // Random numbers in its tests.
    ("kernel", &["random"]),
    ("flow", &["kernel", "key", "random"]),
    ("codec", &["clip", "kernel", "random", "resample"]),
    ("model", &["flow", "kernel", "codec", "clip", "key", "device", "disk", "transpose"]),
    ("dataset", &["clip", "key", "wav", "measure", "resample"]),
    ("training", &["model", "dataset", "flow", "codec", "clip", "key", "device", "disk", "random", "transpose"]),
    // Measures only in its tests: that hits are on the grid is found out as users find it out.
    ("factory", &["clip", "dataset", "key", "measure", "random", "resample"]),
    ("evaluate", &["clip", "codec", "key", "measure", "factory", "random"]),
    ("engine", &["model", "clip", "key", "device", "flow", "measure", "settings", "disk"]),
    ("playback", &["clip"]),
    ("plugin", &["engine", "playback", "editor", "clip", "key"]),
    ("editor", &["plugin", "engine", "clip", "key", "settings", "wav"]),
    ("standalone.rs", &["plugin"]),
    (
        "bin",
        &[
            "training",
            "evaluate",
            "model",
            "dataset",
            "flow",
            "codec",
            "measure",
            "clip",
            "wav",
            "device",
            "disk",
            "factory",
            "random",
            "settings",
            "kernel",
            "key",
            "transpose",
        ],
    ),
];

/// Rooms that work without the net's library.
const WITHOUT_BURN: &[&str] = &[
    "clip.rs",
    "key.rs",
    "wav.rs",
    "measure.rs",
    "random.rs",
    "resample.rs",
    "transpose.rs",
    "settings.rs",
    "kernel",
    "playback",
    "plugin",
    "editor",
    "standalone.rs",
    "dataset",
    "factory",
    "evaluate",
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    entries.flat_map(|e| sources(&e.unwrap().path())).filter(|p| p.extension().is_some_and(|e| e == "rs")).collect()
}

/// The library's modules that a line of code names by `prefix` (`crate::`, in programs `flowloop::`);
/// comments do not count.
fn named(line: &str, prefix: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or("");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let boundary = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$');
        let room: String = code[at + prefix.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if boundary && !room.is_empty() {
            rooms.push(room);
        }
    }
    rooms
}

#[test]
fn each_room_names_only_what_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: Vec<String> =
        std::fs::read_dir(&src).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    rooms.retain(|r| r != "lib.rs");
    rooms.sort();
    let mut known: Vec<&str> = MAY_NAME.iter().map(|(room, _)| *room).collect();
    known.sort_unstable();
    assert_eq!(rooms, known, "a new room needs a line in this test");
    let mut breaches = Vec::new();
    for (room, may) in MAY_NAME {
        let own = room.trim_end_matches(".rs");
        let program = ["bin", "standalone.rs"].contains(room);
        let prefix = if program { "flowloop::" } else { "crate::" };
        for file in sources(&src.join(room)) {
            for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
                for name in named(line, prefix).iter().filter(|n| *n != own && !may.contains(&n.as_str())) {
                    breaches.push(format!("{}:{}: {room} names {name}", file.display(), number + 1));
                }
                let burn = line.split("//").next().unwrap_or("").contains("burn::");
                if burn && WITHOUT_BURN.contains(room) {
                    breaches.push(format!("{}:{}: {room} names burn", file.display(), number + 1));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn breaches_are_seen() {
    assert_eq!(named("use crate::engine::Engine; // crate::model", "crate::"), ["engine"]);
    assert_eq!(named("let x = flowloop::model::Model::load(flowloop::clip::X);", "flowloop::"), ["model", "clip"]);
    assert!(named("use other_crate::engine;", "crate::").is_empty());
}
