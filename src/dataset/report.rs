//! What a scan found, in words: a summary, then each file with what was done to it or why not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Dataset, Length, Loop, Skipped};

impl<A: Length> Dataset<A> {
    /// Counts of loops, labels, tempo sources and skip reasons, a line each.
    pub fn summary(&self) -> String {
        let seconds: f64 = self.loops.iter().map(|l| l.clip.seconds()).sum();
        let files: BTreeSet<_> = self.loops.iter().map(|l| &l.path).collect();
        let mut out = format!(
            "{} loops from {} files ({:.1} min), {} skipped\n",
            self.loops.len(),
            files.len(),
            seconds / 60.0,
            self.skipped.len()
        );
        let labels = self.loops.iter().filter_map(|l| l.label.as_deref());
        for (label, count) in counts(labels) {
            let _ = writeln!(out, "  {count} labelled {label}");
        }
        let keys = self.loops.iter().filter(|l| l.key.is_some()).count();
        if keys > 0 {
            let _ = writeln!(out, "  {keys} with their key from: file name");
        }
        let sources = self.loops.iter().map(|l| l.tempo_source);
        for (source, count) in counts(sources) {
            let _ = writeln!(out, "  {count} with their tempo from: {source}");
        }
        out + &reasons(&self.skipped)
    }

    /// The summary, then every file: used, with what was mended, or skipped, and why.
    pub fn report(&self) -> String {
        let mut out = self.summary();
        for one in &self.loops {
            let _ = writeln!(out, "  used {}", line(one));
        }
        for one in &self.skipped {
            let _ = writeln!(out, "  skipped {}: {}", one.path.display(), one.reason);
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// How many were skipped for which reason, a line each, the most frequent first.
pub(super) fn reasons(skipped: &[Skipped]) -> String {
    let mut all: Vec<_> = counts(skipped.iter().map(|s| s.reason.kind())).into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let lines = all.iter().map(|(kind, n)| format!("  {n} skipped: {kind}\n"));
    lines.collect()
}

fn line(one: &Loop<impl Length>) -> String {
    let part = one.part.map_or(String::new(), |n| format!(" [{n}]"));
    let notes: String = one.notes.iter().map(|n| format!("; {n}")).collect();
    let key = one.key.map_or(String::new(), |key| format!(", {key}"));
    format!(
        "{}{part}: {} beats at {:.2} bpm ({}){key}{notes}",
        one.path.display(),
        one.clip.beats(),
        one.clip.bpm(),
        one.tempo_source
    )
}

fn counts<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut out = BTreeMap::new();
    all.for_each(|one| *out.entry(one).or_default() += 1);
    out
}
