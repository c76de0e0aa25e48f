//! Which sounds are held out: a tenth of the one-shots, font programs and synthesis recipes, told
//! by a hash of their names, so that loops made of them are of sounds that no training loop has.

/// The sounds that a set may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Every sound.
    #[default]
    All,
    /// All but the held-out ones.
    Training,
    /// The held-out ones alone.
    HeldOut,
}

impl Side {
    /// Whether a sound of that kind belongs here.
    pub fn takes(self, held_out: bool) -> bool {
        match self {
            Self::All => true,
            Self::Training => !held_out,
            Self::HeldOut => held_out,
        }
    }
}

/// One in so many is held out.
const ONE_IN: usize = 10;

/// A number that follows from a name alone.
pub fn rank(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// Whether one of many is held out; each name is judged alone.
pub fn is_held_out(name: &str) -> bool {
    rank(name).is_multiple_of(ONE_IN as u64)
}

/// The held-out ones of a few names, at least one where there are two.
pub fn of_few<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable_by_key(|name| (rank(name), *name));
    names.dedup();
    let count = if names.len() < 2 { 0 } else { names.len().div_ceil(ONE_IN) };
    names.truncate(count);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_held_out_and_every_group_has_one() {
        let names: Vec<String> = (0..2000).map(|i| format!("recipe-{i}")).collect();
        let held = names.iter().filter(|name| is_held_out(name)).count();
        assert!((150..250).contains(&held), "{held}");
        let few = |count: usize| of_few(names[..count].iter().map(String::as_str)).len();
        assert_eq!((few(0), few(1), few(2), few(10), few(11)), (0, 0, 1, 1, 2));
    }
}
