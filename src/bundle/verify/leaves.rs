//! Checking the leaves of a bundle: each one's form and place, and that none of the period is missing.

use std::io::{BufRead as _, BufReader, Read as _};

use super::super::Manifest;
use super::super::archive::{Archive, ArchiveError};
use super::key_in;
use crate::log::leaf::{self, BlobRef, MAX_LEAF, format_time};
use crate::log::tree::{self, Hash};
use crate::log::verify::Problems;

/// What the leaves say that other files are checked against.
pub(super) struct Leaves {
    /// The blobs they name, with the leaf.
    pub(super) blobs: Vec<(u64, BlobRef)>,
    /// The key that leaf 0 names.
    pub(super) key: Option<String>,
}

/// Where a leaf's time lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Within,
    Behind,
}

pub(super) fn check(
    archive: &Archive,
    manifest: &Manifest,
    hashes: &[Hash],
    problems: &mut Problems,
) -> Result<Leaves, ArchiveError> {
    const NAME: &str = "log/leaves.jsonl";
    let mut leaves = Leaves {
        blobs: Vec::new(),
        key: None,
    };
    let beginning = format!("{{\"v\":1,\"log\":\"{}\",\"seq\":", manifest.origin);
    let edges = (format_time(manifest.period.from), format_time(manifest.period.to));
    let mut from = BufReader::new(archive.read(NAME)?);
    let (mut line, mut present, mut judgements) = (Vec::new(), Vec::<(u64, Side)>::new(), Vec::new());
    loop {
        line.clear();
        let read = from
            .by_ref()
            .take(MAX_LEAF as u64 + 1)
            .read_until(b'\n', &mut line);
        if read.map_err(|error| archive.reading(NAME, error))? == 0 {
            break;
        }
        if line.pop() != Some(b'\n') {
            let detail = "log/leaves.jsonl is cut off, or holds a line that is longer than a leaf";
            problems.add(None, "leaf", detail);
            break;
        }
        let last = present.last().map(|(seq, _)| *seq);
        let seq = seq_of(&line, beginning.as_bytes());
        let Some(seq) = seq.filter(|seq| last.is_none_or(|last| *seq > last)) else {
            let behind = last.map_or("at the beginning".to_owned(), |last| {
                format!("behind leaf {last}")
            });
            problems.add(
                None,
                "leaf",
                format!("{behind} stands a line that is no later leaf of this log"),
            );
            continue;
        };
        let index = usize::try_from(seq).unwrap_or(usize::MAX);
        let Some(hash) = hashes.get(index) else {
            problems.add(Some(seq), "leaf", "the log has no leaf at this position");
            continue;
        };
        if tree::hash_leaf(&line) != *hash {
            problems.add(
                Some(seq),
                "leaf",
                "it does not have the hash that stands in log/hashes",
            );
        }
        let prev = index.checked_sub(1).map_or([0; 32], |before| hashes[before]);
        match leaf::lead(&line, &manifest.origin, seq, &prev) {
            Err(what) => {
                problems.add(Some(seq), "leaf", what);
                present.push((seq, Side::Before));
            }
            Ok(lead) => {
                present.push((seq, side(lead.time, &edges)));
                if let Some(snapshot) = lead.snapshot.filter(|_| lead.kind == "evaluation") {
                    judgements.push((seq, snapshot));
                }
            }
        }
        match leaf::blobs(&line) {
            None => problems.add(Some(seq), "leaf", "does not end with its blobs"),
            Some(blobs) => leaves.blobs.extend(blobs.into_iter().map(|blob| (seq, blob))),
        }
        if seq == 0 {
            leaves.key = key_in(&line);
        }
    }
    if present.len() as u64 != manifest.counts.leaves {
        problems.add(None, "leaf", "there are not as many leaves as bundle.json says");
    }
    check_period(&present, manifest, problems);
    for (seq, snapshot) in judgements {
        if present.binary_search_by_key(&snapshot, |(seq, _)| *seq).is_err() {
            problems.add(
                Some(seq),
                "leaf",
                format!("judges snapshot {snapshot}, which is not in the bundle"),
            );
        }
    }
    Ok(leaves)
}

/// The position that a leaf gives itself.
fn seq_of(line: &[u8], beginning: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(beginning)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits.min(17)]).ok()?.parse().ok()
}

fn side(time: &str, (from, to): &(String, String)) -> Side {
    if time < from.as_str() {
        Side::Before
    } else if time < to.as_str() {
        Side::Within
    } else {
        Side::Behind
    }
}

/// Every leaf of the period is there, without a break, and one more on each side shows that it is all.
fn check_period(present: &[(u64, Side)], manifest: &Manifest, problems: &mut Problems) {
    let is_there = |seq| present.binary_search_by_key(&seq, |(seq, _)| *seq).is_ok();
    let mut within = present
        .iter()
        .filter(|(_, side)| *side == Side::Within)
        .map(|(seq, _)| *seq);
    let head = manifest.size.saturating_sub(1);
    let is_over = if let Some(first) = within.next() {
        let last = within.next_back().unwrap_or(first);
        let missing = (first.saturating_sub(1)..=(last + 1).min(head)).filter(|seq| !is_there(*seq));
        for seq in missing {
            problems.add(Some(seq), "leaf", "is missing, though it may be of the period");
        }
        last < head
    } else {
        // A leaf before the period and, next to it, one behind it: nothing can be between them.
        let beside = present
            .windows(2)
            .any(|two| two[0].1 == Side::Before && two[1].1 == Side::Behind && two[0].0 + 1 == two[1].0);
        let later = present.first().is_some_and(|first| *first == (0, Side::Behind));
        let earlier = present.last().is_some_and(|last| *last == (head, Side::Before));
        if !beside && !later && !earlier {
            problems.add(None, "leaf", "nothing shows that no leaf is of the period");
        }
        !earlier
    };
    if !is_over && manifest.draft.is_empty() {
        problems.add(
            None,
            "bundle",
            "the log ends before the period does, and bundle.json does not call it a draft",
        );
    }
}
