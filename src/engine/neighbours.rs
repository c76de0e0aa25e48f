//! The seeds beside the one that was heard last, to be made while nobody waits, so that a nudge is
//! heard at once.

use super::Request;

/// Seeds that have neighbours: those that a parameter can take.
const SEEDS: std::ops::RangeInclusive<u64> = 0..=9999;

/// What there is to prepare.
#[derive(Default)]
pub(super) struct Neighbours {
    of: Option<Request>,
    left: Vec<Request>,
}

impl Neighbours {
    /// Prepares the neighbours of `heard` from now on, the next seed first.
    pub fn plan(&mut self, heard: Request) {
        if self.of != Some(heard) {
            let seeds = [heard.seed.checked_sub(1), heard.seed.checked_add(1)];
            let seeds = seeds.into_iter().flatten().filter(|s| SEEDS.contains(s) && SEEDS.contains(&heard.seed));
            self.left = seeds.map(|seed| Request { seed, ..heard }).collect();
            self.of = Some(heard);
        }
    }

    /// What to make next; it stays until it is `done`.
    pub fn next(&self) -> Option<Request> {
        self.left.last().copied()
    }

    /// The next one is there.
    pub fn done(&mut self) {
        self.left.pop();
    }

    /// Nothing more is to be prepared until something else is heard.
    pub fn rest(&mut self) {
        self.left.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(heard: u64) -> Vec<u64> {
        let mut neighbours = Neighbours::default();
        neighbours.plan(Request::new(heard, 8, 0, 8, 120.0));
        let mut seeds = Vec::new();
        while let Some(request) = neighbours.next() {
            seeds.push(request.seed);
            neighbours.done();
        }
        seeds
    }

    #[test]
    fn next_then_last_within_the_range() {
        assert_eq!([seeds(5), seeds(0), seeds(9999)], [vec![6, 4], vec![1], vec![9998]]);
        assert!(seeds(10_000).is_empty() && seeds(u64::MAX).is_empty());
    }

    #[test]
    fn the_same_is_not_planned_twice() {
        let mut neighbours = Neighbours::default();
        let heard = Request::new(5, 8, 0, 8, 120.0);
        neighbours.plan(heard);
        neighbours.done();
        neighbours.plan(heard);
        assert_eq!(neighbours.next().map(|r| r.seed), Some(4));
        neighbours.rest();
        assert_eq!(neighbours.next(), None);
    }
}
