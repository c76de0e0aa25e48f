//! The drum styles: tempo, feel, rhythms, and what they like to sound like.
//!
//! A rhythm is a bar of sixteen steps or two of them. Marks: `X` a hit, `x` a softer one, `g` a
//! ghost note that may be left out, a digit the chance of a hit in tenths.

use super::effects::Taste;
use super::pattern::Rhythm;
use super::sounds::Role;

/// What a style sounds like.
pub struct Style {
    /// Its label.
    pub name: &'static str,
    /// Slowest and fastest tempo in beats per minute.
    pub tempo: (f64, f64),
    /// Delay of every second sixteenth, in sixteenths: least and most (a third is a shuffle).
    pub swing: (f64, f64),
    /// The alternatives of each lane; one is drawn, all that a loop has to have come first.
    pub lanes: &'static [Lane],
    /// How the hands play.
    pub feel: Feel,
    /// Chances of synthesised, sampled and mixed kits.
    pub makes: [f64; 3],
    /// Effects.
    pub taste: Taste,
}

/// A role, the chance that a loop has it, and its rhythms.
pub struct Lane(pub Role, pub f64, pub &'static [Rhythm]);

/// How the hands play.
#[derive(Clone, Copy)]
pub struct Feel {
    /// Standard deviation of a hit's time, in milliseconds.
    pub loose: f64,
    /// How late snares and claps are, in milliseconds.
    pub late: f64,
    /// Chance of a fill at the end.
    pub fill: f64,
    /// Chance that a hat step is played as two or three quick ones.
    pub rolls: f64,
    /// Chance that kick and snare go at half the speed.
    pub half_time: f64,
    /// Chance that the kick is tuned from hit to hit.
    pub tuned: f64,
    /// Chance that the kick may ring as long as it can: elsewhere that is mud.
    pub boom: f64,
}

const TIGHT: Feel = Feel { loose: 0.5, late: 0.0, fill: 0.3, rolls: 0.0, half_time: 0.0, tuned: 0.0, boom: 0.1 };
const PLAYED: Feel = Feel { loose: 3.0, late: 2.0, fill: 0.45, rolls: 0.0, half_time: 0.0, tuned: 0.0, boom: 0.1 };
const LAZY: Feel = Feel { loose: 4.0, late: 7.0, fill: 0.3, rolls: 0.02, half_time: 0.0, tuned: 0.0, boom: 0.1 };

const CLEAN: Taste = Taste { drive: 0.3, glue: 0.5, pump: 0.0, room: 0.4, delay: 0.05, worn: 0.02, sweep: 0.03 };
const CLUB: Taste = Taste { drive: 0.4, glue: 0.7, pump: 0.45, room: 0.5, delay: 0.15, worn: 0.03, sweep: 0.08 };
const DUSTY: Taste = Taste { drive: 0.5, glue: 0.7, pump: 0.1, room: 0.4, delay: 0.05, worn: 0.4, sweep: 0.03 };
const HARD: Taste = Taste { drive: 0.7, glue: 0.8, pump: 0.2, room: 0.35, delay: 0.05, worn: 0.08, sweep: 0.05 };
const WIDE: Taste = Taste { drive: 0.15, glue: 0.3, pump: 0.0, room: 0.95, delay: 0.6, worn: 0.08, sweep: 0.15 };

const MACHINE: [f64; 3] = [0.5, 0.2, 0.3];
const ANY: [f64; 3] = [0.25, 0.45, 0.3];
const HANDS: [f64; 3] = [0.05, 0.8, 0.15];

use Role::{Clap, ClosedHat, Cowbell, Kick, OpenHat, Percussion, Rim, Shaker, Snare, Tom};

/// The styles, in the order of their labels' first use.
#[rustfmt::skip]
pub const STYLES: [Style; 18] = [
    Style { name: "house", tempo: (118.0, 130.0), swing: (0.0, 0.14), feel: TIGHT,
        makes: MACHINE, taste: CLUB, lanes: &[
        Lane(Kick, 1.0, &["X000X000X000X000", "X000X000X000X001", "X000X000X000X000X000X000X000X0x0"]),
        Lane(Clap, 0.9, &["0000X0000000X000", "0000X0000000X001"]),
        Lane(Snare, 0.4, &["0000X0000000X000", "0000x00g0g00x000", "000000g00g0000g1"]),
        Lane(ClosedHat, 0.95, &["5050505050505050", "x0x0x0x0x0x0x0x0", "xgXgxgXgxgXgxgXg", "0000g00000g000g0"]),
        Lane(OpenHat, 0.9, &["00X000X000X000X0", "00X000X000X000X3"]),
        Lane(Percussion, 0.5, &["1013012101310213", "00x00x0000x00x00", "0g00x00g00x0g00g"]),
        Lane(Shaker, 0.35, &["xgxgxgxgxgxgxgxg", "gxgXgxgXgxgXgxgX"]),
        Lane(Rim, 0.25, &["x00x00x000x00x00", "00x0000x00x00000"]),
        Lane(Cowbell, 0.12, &["00x000x000x0x000"])] },
    Style { name: "techno", tempo: (126.0, 142.0), swing: (0.0, 0.03), feel: Feel { fill: 0.15, ..TIGHT },
        makes: [0.65, 0.1, 0.25], taste: HARD, lanes: &[
        Lane(Kick, 1.0, &["X000X000X000X000", "X000X000X000X000X000X000X000X00x"]),
        Lane(Clap, 0.5, &["0000X0000000X000", "0000000000000000000000000000x000"]),
        Lane(Snare, 0.25, &["0000100000001001", "000x000000x00000"]),
        Lane(ClosedHat, 0.85, &["8383838383838383", "xxxxxxxxxxxxxxxx", "xgxgxgxgxgxgxgxg", "0xx00xx00xx00xx0"]),
        Lane(OpenHat, 0.85, &["0090009000900090", "00X000X000X000X0"]),
        Lane(Percussion, 0.6, &["2032023020320232", "x00x00x00x00x0x0", "000x00x0000x0000"]),
        Lane(Rim, 0.4, &["x00x00x00x00x00x", "00g00x0000g00x0x"]),
        Lane(Tom, 0.35, &["000x00x0000x00x0", "00g000x000g00x00", "0x000x0g0x000x0g"]),
        Lane(Shaker, 0.2, &["xgxgxgxgxgxgxgxg"])] },
    Style { name: "hiphop", tempo: (74.0, 98.0), swing: (0.08, 0.28), feel: Feel { boom: 0.4, ..PLAYED },
        makes: ANY, taste: DUSTY, lanes: &[
        Lane(Kick, 1.0, &["X003002250500203", "X000000x00X00000", "X00x000000X0000gX0000x0000X00x00",
            "X0000000X0x0000g"]),
        Lane(Snare, 1.0, &["0000X0010100X001", "0000X00g0g00X000", "0000X000000gX00g"]),
        Lane(Clap, 0.35, &["0000X0000000X000"]),
        Lane(ClosedHat, 0.95, &["X0X1X0X1X0X1X0X2", "X0x0X0x0X0x0X0x0", "xgxgxgxgxgxgxgxg"]),
        Lane(OpenHat, 0.6, &["0000001000000030", "000000000000000x"]),
        Lane(Percussion, 0.35, &["0010020001000200"]),
        Lane(Shaker, 0.2, &["g0x0g0x0g0x0g0x0"])] },
    Style { name: "trap", tempo: (130.0, 150.0), swing: (0.0, 0.0),
        feel: Feel { rolls: 0.22, tuned: 0.4, boom: 0.8, ..TIGHT }, makes: [0.6, 0.1, 0.3],
        taste: Taste { drive: 0.5, ..CLEAN }, lanes: &[
        Lane(Kick, 1.0, &["X000003000500300", "X00000X0000000x0", "X0000000000X00X0X000000X00x00000",
            "X00X00000000X000"]),
        Lane(Snare, 0.8, &["00000000X0000001", "00000000X0000000"]),
        Lane(Clap, 0.7, &["00000000X0000000"]),
        Lane(ClosedHat, 1.0, &["X1X1X1X1X1X1X1X1", "X0X0X0X0X0X0X0X0", "XxxXxxXxxXxxXxxx", "X0x0X0xxX0x0Xxx0"]),
        Lane(OpenHat, 0.5, &["0000002000000020", "00000000000000x0"]),
        Lane(Percussion, 0.3, &["0001000100020001"]),
        Lane(Rim, 0.3, &["000g00g0000g00x0"])] },
    Style { name: "dnb", tempo: (165.0, 178.0), swing: (0.0, 0.06), feel: Feel { loose: 1.0, half_time: 0.08, ..TIGHT },
        makes: ANY, taste: HARD, lanes: &[
        Lane(Kick, 1.0, &["X000000000X00000", "X000000300X00100", "X00000X000X00000",
            "X0000000000x0000X000000000X00000"]),
        Lane(Snare, 1.0, &["0000X0010100X002", "0000X00g0g00X000", "0000X00g0000X00g"]),
        Lane(Clap, 0.2, &["0000X0000000X000"]),
        Lane(ClosedHat, 0.95, &["X0X2X0X2X0X2X0X2", "X0X0X0X0X0X0X0X0", "XgxgXgxgXgxgXgxg"]),
        Lane(OpenHat, 0.5, &["0000001000000020", "00x000x000x000x0"]),
        Lane(Percussion, 0.35, &["0010010000100100"]),
        Lane(Shaker, 0.4, &["xgXgxgXgxgXgxgXg", "x0X0x0X0x0X0x0X0"]),
        Lane(Rim, 0.2, &["000g00g000g00g00"])] },
    Style { name: "breaks", tempo: (120.0, 140.0), swing: (0.02, 0.14), feel: PLAYED,
        makes: HANDS, taste: DUSTY, lanes: &[
        Lane(Kick, 1.0, &["X0300020035X0010", "X0X0000000XX0000", "X00g00X000X00000",
            "X0X000000gX00000X0X000000gX00x00"]),
        Lane(Snare, 1.0, &["0000X0030303X002", "0000X00g0g00X00g", "0000X00g0g0gX000", "0000X00x0g00X0g0"]),
        Lane(ClosedHat, 0.95, &["X0X0X0X0X0X0X0X0", "XgxgXgxgXgxgXgxg"]),
        Lane(OpenHat, 0.5, &["0000000000300020", "00000000000000x0"]),
        Lane(Shaker, 0.25, &["x0X0x0X0x0X0x0X0"]),
        Lane(Percussion, 0.3, &["0001001000010010"])] },
    Style { name: "funk", tempo: (92.0, 116.0), swing: (0.04, 0.16), feel: PLAYED, makes: HANDS, taste: CLEAN, lanes: &[
        Lane(Kick, 1.0, &["X020002405200302", "X000000x00X00x00", "X0X00000x0X00000",
            "X00x00x000x0000gX0x00000x0X00x00"]),
        Lane(Snare, 1.0, &["0001X0020401X003", "0000X00g0g00X00g", "0g00X00g0g0gX0g0", "0000X00g0gg0X00g"]),
        Lane(ClosedHat, 0.97, &["X3X3X3X3X3X3X3X3", "xxXxxxXxxxXxxxXx", "XgxgXgxgXgxgXgxg"]),
        Lane(OpenHat, 0.6, &["0000002000000040", "00000000000000x0", "000000x000000000"]),
        Lane(Clap, 0.12, &["0000x0000000x000"]),
        Lane(Percussion, 0.3, &["0100100101001010"]),
        Lane(Cowbell, 0.15, &["x000x000x000x000", "x0x0x0x0x0x0x0x0"])] },
    Style { name: "electro", tempo: (116.0, 136.0), swing: (0.0, 0.05), feel: Feel { boom: 0.4, ..TIGHT },
        makes: [0.75, 0.05, 0.2], taste: HARD, lanes: &[
        Lane(Kick, 1.0, &["X003005200X30400", "X00000X000X00000", "X00X00X000000X00",
            "X000000x00X00000X00x00X000000x00"]),
        Lane(Snare, 0.9, &["0000X0000000X001", "0000X0000000X000"]),
        Lane(Clap, 0.6, &["0000X0000000X000"]),
        Lane(ClosedHat, 0.95, &["X3X3X3X3X3X3X3X3", "xxXxxxXxxxXxxxXx", "xxxxxxxxxxxxxxxx"]),
        Lane(OpenHat, 0.5, &["0010001000100030", "00x000x000x000x0"]),
        Lane(Cowbell, 0.4, &["x00x00x000x0x000", "x0xx0xx0x0xx0xx0"]),
        Lane(Percussion, 0.45, &["0203012002030120", "000x00x000x00x0x"]),
        Lane(Tom, 0.2, &["00000000000x00xx"])] },
    Style { name: "garage", tempo: (128.0, 138.0), swing: (0.12, 0.26), feel: Feel { loose: 1.5, ..TIGHT },
        makes: ANY, taste: CLUB, lanes: &[
        Lane(Kick, 1.0, &["X0000020005X0030", "X000X000X000X000", "X000000000X00g00",
            "X00000000x00000gX000000000X00x00"]),
        Lane(Snare, 0.8, &["0000X0010010X002", "0000X00g00g0X00g"]),
        Lane(Clap, 0.5, &["0000X0000000X000"]),
        Lane(ClosedHat, 0.95, &["30X130X230X130X2", "gxXggxXggxXggxXg", "00X000X000X000Xg"]),
        Lane(OpenHat, 0.4, &["0010000000200010", "00x000x000x000x0"]),
        Lane(Rim, 0.4, &["00g00g0x00g000g0", "0x00g00x000x00g0"]),
        Lane(Shaker, 0.3, &["xgxgxgxgxgxgxgxg"]),
        Lane(Percussion, 0.3, &["0102010201020102"])] },
    Style { name: "dembow", tempo: (86.0, 104.0), swing: (0.0, 0.05), feel: TIGHT,
        makes: MACHINE, taste: CLEAN, lanes: &[
        Lane(Kick, 1.0, &["X000X000X000X000", "X000X000X000X00x", "X0000000X0000000"]),
        Lane(Snare, 1.0, &["000X00X0000X00X0", "000X00x0000X00X0"]),
        Lane(Rim, 0.35, &["000X00X0000X00X0"]),
        Lane(Clap, 0.15, &["0000000000000000000X00X0000X00X0"]),
        Lane(ClosedHat, 0.8, &["5050505050505050", "x0x0x0x0x0x0x0x0", "xgxgxgxgxgxgxgxg"]),
        Lane(OpenHat, 0.3, &["0010000000100000"]),
        Lane(Shaker, 0.35, &["xgXgxgXgxgXgxgXg"]),
        Lane(Percussion, 0.5, &["0012001200120012", "00x00x0000x00x00"])] },
    Style { name: "disco", tempo: (108.0, 126.0), swing: (0.0, 0.08), feel: Feel { late: 0.0, loose: 2.0, ..PLAYED },
        makes: HANDS, taste: CLEAN, lanes: &[
        Lane(Kick, 1.0, &["X000X000X000X000", "X000X000X000X0x0"]),
        Lane(Snare, 1.0, &["0000X0000000X000", "0000X00g0000X00g", "0000X0000000X0gx"]),
        Lane(ClosedHat, 0.9, &["x000x000x000x000", "xx0xxx0xxx0xxx0x", "xg0gxg0gxg0gxg0g"]),
        Lane(OpenHat, 0.95, &["00X000X000X000X0"]),
        Lane(Clap, 0.4, &["0000X0000000X000"]),
        Lane(Shaker, 0.4, &["xxXxxxXxxxXxxxXx"]),
        Lane(Cowbell, 0.25, &["x000x000x000x000", "x0x0x0x0x0x0x0x0", "00x000x000x0x000"]),
        Lane(Percussion, 0.5, &["00xx00x000xx0xx0", "0gx00gx00gx00gxx"])] },
    Style { name: "drill", tempo: (138.0, 148.0), swing: (0.0, 0.02),
        feel: Feel { rolls: 0.12, tuned: 0.6, boom: 0.8, ..TIGHT }, makes: [0.55, 0.15, 0.3],
        taste: Taste { drive: 0.5, ..CLEAN }, lanes: &[
        Lane(Kick, 1.0, &["X00000x000000x00X000000x00x00000", "X0000000000x0000X00x000000000000", "X00000X000000000"]),
        Lane(Snare, 1.0, &["00000000X00000000000000000000X00", "00000000X000000g00000000g0000X00"]),
        Lane(Clap, 0.3, &["00000000X00000000000000000000X00"]),
        Lane(ClosedHat, 1.0, &["X00X00X0X00X00X0", "X00X00X00X00X00X", "X00X00X0X0xX00X0X00X00X0X00Xxxx0"]),
        Lane(Rim, 0.3, &["000x00000000x00x"]),
        Lane(OpenHat, 0.25, &["00000000000000x0"]),
        Lane(Percussion, 0.4, &["000g00x0000g00g0", "0000x00x00000000"])] },
    Style { name: "jungle", tempo: (158.0, 172.0), swing: (0.0, 0.08), feel: PLAYED,
        makes: HANDS, taste: HARD, lanes: &[
        Lane(Kick, 1.0, &["X0X0000000XX0000", "X0X0000000X00000X00x00X000X00000", "X00000x000X00000X0X0000000xX0000"]),
        Lane(Snare, 1.0, &["0000X00g0g00X00g", "0000X00x0g0gX00x", "0000X00g0g00X00g0g00X00g0X00g0X0"]),
        Lane(ClosedHat, 0.95, &["X0X0X0X0X0X0X0X0", "XgXgXgXgXgXgXgXg"]),
        Lane(OpenHat, 0.4, &["00000000000000x0", "0000000000x00000"]),
        Lane(Tom, 0.15, &["00000000000000gx"]),
        Lane(Shaker, 0.25, &["x0X0x0X0x0X0x0X0"]),
        Lane(Percussion, 0.3, &["00g00x0000g00xg0"])] },
    Style { name: "boombap", tempo: (82.0, 96.0), swing: (0.2, 0.36), feel: LAZY,
        makes: [0.05, 0.75, 0.2], taste: DUSTY, lanes: &[
        Lane(Kick, 1.0, &["X0000000x0X00000", "X000000x00X00000", "X0x000000xX00000X00000x00xX0000g",
            "X000000g0xX0000g"]),
        Lane(Snare, 1.0, &["0000X0000000X000", "0000X00g0000X00g", "0000X0000g00X000"]),
        Lane(ClosedHat, 0.97, &["X0x0X0x0X0x0X0x0", "X0xgX0xgX0xgX0xg", "x0X0x0X0x0X0x0Xg"]),
        Lane(OpenHat, 0.35, &["00000000000000x0", "000000x000000000"]),
        Lane(Rim, 0.15, &["000000000000000x"]),
        Lane(Percussion, 0.2, &["00000000000x00g0"])] },
    Style { name: "twostep", tempo: (126.0, 136.0), swing: (0.14, 0.28), feel: Feel { loose: 1.5, ..TIGHT },
        makes: ANY, taste: CLUB, lanes: &[
        Lane(Kick, 1.0, &["X000000000x00000", "X00000000xX00000", "X000000x00X00000X0000000000x00x0"]),
        Lane(Snare, 0.7, &["0000X0000000X000", "0000X00g0g00X00g"]),
        Lane(Rim, 0.5, &["0000X00g00g0X000", "000x00x00g00x00g"]),
        Lane(Clap, 0.35, &["0000X0000000X000"]),
        Lane(ClosedHat, 0.95, &["gxX0gxX0gxX0gxXg", "0xx00xx00xx00xx0", "x0Xgx0Xgx0Xgx0Xg"]),
        Lane(OpenHat, 0.3, &["0000000000x00000"]),
        Lane(Shaker, 0.4, &["gxgxgxgxgxgxgxgx"]),
        Lane(Percussion, 0.35, &["0g0x00g00x00g00x"])] },
    Style { name: "halftime", tempo: (136.0, 174.0), swing: (0.0, 0.08),
        feel: Feel { fill: 0.4, rolls: 0.06, boom: 0.6, ..TIGHT },
        makes: ANY, taste: HARD, lanes: &[
        Lane(Kick, 1.0, &["X000000000000000", "X00000x000000000", "X0000000000g00x0X00x000000000000",
            "X00x00x000000000"]),
        Lane(Snare, 1.0, &["00000000X0000000", "00000000X000000g", "000000g0X00g0000"]),
        Lane(Clap, 0.35, &["00000000X0000000"]),
        Lane(ClosedHat, 0.9, &["x0x0x0x0x0x0x0x0", "xgxgxgxgxgxgxgxg", "x00x00x0x00x00x0"]),
        Lane(OpenHat, 0.4, &["000000000000x000", "0000x00000000000"]),
        Lane(Tom, 0.2, &["000000000000g0x0"]),
        Lane(Rim, 0.3, &["000g00x0000g00x0"]),
        Lane(Percussion, 0.4, &["00g00x00000g0x00"])] },
    Style { name: "afro", tempo: (108.0, 124.0), swing: (0.0, 0.12), feel: Feel { late: 0.0, loose: 3.0, ..PLAYED },
        makes: ANY,
        taste: Taste { room: 0.6, delay: 0.25, ..CLUB }, lanes: &[
        Lane(Kick, 1.0, &["X000X000X000X000", "X00x00X000X00x00", "X00000x0X00000x0"]),
        Lane(Rim, 0.8, &["x00x00x000x0x000", "x00x000x00x0x000", "00x0x000x00x00x0"]),
        Lane(Snare, 0.3, &["0000x00g0000x00g", "000x00x0000x00x0"]),
        Lane(Shaker, 0.9, &["xgXgxgXgxgXgxgXg", "xxXxxxXxxxXxxxXx"]),
        Lane(Percussion, 0.95, &["x00xx0x0x00xx0xg", "00xx0gx000xx0gxx", "x0gx00x0gx0x00x0x0gx00xxgx0x0xx0"]),
        Lane(Tom, 0.5, &["00x000g000x00xg0", "000000x0000000xx"]),
        Lane(ClosedHat, 0.4, &["00x000x000x000x0"]),
        Lane(OpenHat, 0.3, &["00x000x000x000x0"]),
        Lane(Cowbell, 0.4, &["x0x00x0x0x0x00x0", "x00x00x000x0x000"])] },
    Style { name: "ambient", tempo: (72.0, 112.0), swing: (0.0, 0.15),
        feel: Feel { loose: 5.0, late: 0.0, fill: 0.1, ..LAZY },
        makes: ANY, taste: WIDE, lanes: &[
        Lane(Kick, 0.8, &["x000000000000000", "x000000000g00000", "x0000000g000000gx00000g000000000"]),
        Lane(Percussion, 0.9, &["0200100201002010", "x00g000x00g000g0", "00g0000x000000g0g00x0000000g0000"]),
        Lane(Rim, 0.6, &["00000000x0000000", "00000000x00000g0", "000g000000x00000"]),
        Lane(Shaker, 0.6, &["x0g0x0g0x0g0x0g0", "00x000x000x000x0", "g0x0g0x0g0x0g0x0"]),
        Lane(Tom, 0.4, &["000000g0000000x0", "00g00000000x0000"]),
        Lane(ClosedHat, 0.4, &["3030303030303030", "00x0000000x00000"]),
        Lane(Cowbell, 0.25, &["000000x000000000", "00g0000000x00000"]),
        Lane(Snare, 0.2, &["00000000x0000000"])] },
];
