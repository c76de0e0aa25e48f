//! Synthesised sounds: drums in the manner of analogue and FM machines, and melodic patches.
//!
//! A sound follows from its recipe's number alone: the number is the seed of the dice over the
//! ranges of its parameters. So each loop can have its own kit, and a recipe can be held out.

pub mod drums;
pub mod patch;
mod perc;
pub mod tone;
pub mod wave;

use super::dice::Dice;
use super::hold_out::{Side, is_held_out, rank};

/// Recipes of a kind of sound.
const RECIPES: f64 = 10_000.0;
/// Seed of all recipes.
const SEED: u64 = 0x666c_6f77;

/// One synthesised sound of a kind (`kick`, `bass`, ...).
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// A name that is its own in all sets.
    pub name: String,
}

impl Recipe {
    /// A recipe of a side.
    pub fn draw(kind: &str, side: Side, dice: &mut Dice) -> Self {
        loop {
            let number = dice.whole((0.0, RECIPES - 1.0));
            let name = format!("synth-{kind}-{number:04}");
            if side.takes(is_held_out(&name)) {
                return Self { name };
            }
        }
    }

    /// The dice that its parameters are drawn with.
    pub fn dice(&self) -> Dice {
        Dice::new(SEED, rank(&self.name))
    }
}
