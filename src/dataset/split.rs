//! Loops to training and validation, by content; and a few of many.
//!
//! In: loops, a share, a seed; out: the loops on either side, each in the order given. A file's
//! side follows from its audio and the seed alone, so that adding a file moves no other, and
//! loops cut from one file stay together. Each side has at least one when there are two or more.

use super::Loop;

/// Training and validation loops.
pub type Sides<'a, A> = (Vec<&'a Loop<A>>, Vec<&'a Loop<A>>);

/// Training and validation loops; `share` (0..1) of the files are held out. A share of 0 holds
/// out none.
pub fn split<A>(loops: &[Loop<A>], share: f64, seed: u64) -> Sides<'_, A> {
    let limit = (share * u64::MAX as f64) as u64;
    let (mut held_out, mut training): (Vec<_>, Vec<_>) = loops.iter().partition(|l| place(l, seed) < limit);
    if share > 0.0 && loops.len() > 1 {
        if held_out.is_empty() {
            hand_over(&mut training, &mut held_out, |l| place(l, seed));
        } else if training.is_empty() {
            hand_over(&mut held_out, &mut training, |l| !place(l, seed));
        }
    }
    (training, held_out)
}

/// `most` of `all`, spread evenly over them, or all there are: loops that lie side by side share their label.
pub fn evenly<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    (0..count).map(move |i| &all[i * all.len() / count])
}

/// Where on the line of all files the loop's file stands.
fn place<A>(one: &Loop<A>, seed: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&one.digest);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Moves the loops of the file that comes first by `key`; only the last loop where all are of
/// that file.
fn hand_over<'a, A>(from: &mut Vec<&'a Loop<A>>, to: &mut Vec<&'a Loop<A>>, key: impl Fn(&Loop<A>) -> u64) {
    let Some(first) = from.iter().min_by_key(|l| key(l)).map(|l| l.digest) else {
        return;
    };
    if from.iter().all(|l| l.digest == first) {
        to.extend(from.pop());
        return;
    }
    to.extend(from.extract_if(.., |l| l.digest == first));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Clip;
    use crate::dataset::TempoSource;

    fn some(count: u8) -> Vec<Loop> {
        let one = |i: u8| Loop {
            path: i.to_string().into(),
            key: None,
            label: None,
            clip: Clip {
                samples: Default::default(),
                sample_rate: 44_100,
                beats: 4,
                bpm: 120.0,
                provenance: None,
                hits: Vec::new(),
            },
            part: None,
            tempo_source: TempoSource::Acid,
            notes: Vec::new(),
            digest: *blake3::hash(&[i]).as_bytes(),
        };
        (0..count).map(one).collect()
    }

    fn held_out(loops: &[Loop], share: f64) -> Vec<&std::path::Path> {
        let (training, held_out) = split(loops, share, 7);
        assert_eq!(training.len() + held_out.len(), loops.len());
        held_out.iter().map(|l| l.path.as_path()).collect()
    }

    #[test]
    fn adding_files_moves_none() {
        let all = some(200);
        let (few, many) = (held_out(&all[..100], 0.2), held_out(&all, 0.2));
        assert!((10..=30).contains(&few.len()) && many[..few.len()] == few[..]);
    }

    #[test]
    fn a_few_are_taken_from_everywhere() {
        let few = |all: usize, most| evenly(&(0..all).collect::<Vec<_>>(), most).copied().collect::<Vec<_>>();
        assert_eq!(few(10, 4), [0, 2, 5, 7]);
        assert_eq!((few(3, 4), few(0, 4), few(5, 0)), (vec![0, 1, 2], vec![], vec![]));
        // Of 22 labels of 90 loops each, 128 know every one.
        let labels: Vec<usize> = few(22 * 90, 128).iter().map(|i| i / 90).collect();
        assert!((0..22).all(|label| labels.iter().filter(|l| **l == label).count() >= 5));
    }

    #[test]
    fn both_sides_have_one() {
        for count in 2..6 {
            let all = some(count);
            for share in [1e-12, 0.5, 1.0] {
                let out = held_out(&all, share).len();
                assert!(out > 0 && out < all.len(), "{count} {share}");
            }
            assert!(held_out(&all, 0.0).is_empty());
        }
    }

    #[test]
    fn parts_of_a_file_stay_together() {
        let mut all = some(12);
        for one in &mut all {
            let file: u8 = one.path.to_string_lossy().parse::<u8>().unwrap() / 3;
            one.digest = *blake3::hash(&[file]).as_bytes();
        }
        let (training, held_out) = split(&all, 1e-12, 7);
        assert_eq!((training.len(), held_out.len()), (9, 3));
        assert!(held_out.iter().all(|l| l.digest == held_out[0].digest));
    }
}
