//! Checking a log, trusting nothing but a key. Never writes.
//!
//! The log is checked in stretches of 2^16 leaves, each by itself and so on as many threads as there are: every leaf's
//! form, hash and link to the one before. [`Whole`] then joins the stretches in order and checks that each begins where the
//! last one ended, and that every signed checkpoint is a root on the way. It needs the leaves' form, the tree and the
//! checkpoints, no database: `verify_store` feeds it from a store, and checks what else is there.

use serde::Serialize;

use super::checkpoint::{Checkpoint, VerifierKey};
use super::leaf::{self, BlobRef, Lead};
use super::tree::{self, Frontier, Hash};

/// Leaves in a stretch.
pub const STRETCH: u64 = 1 << 16;

/// Problems beyond this number are counted, not listed.
const LISTED: usize = 1000;

/// What checking a log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// The log's name; empty where even that can't be read.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them, lowercase hex.
    pub root: String,
    /// The hash of the last leaf, lowercase hex.
    pub head: String,
    /// The verifier key that signed the checkpoints.
    pub key: String,
    /// Whether that is a key that the reader brought along.
    pub pinned: bool,
    /// What is wrong, by position.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The leaf concerned; null where it is the whole log.
    pub seq: Option<u64>,
    /// What is concerned: leaf, tree, entry, blob, checkpoint, guard, key, schema, database.
    pub kind: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{} at seq {seq}: {}", self.kind, self.detail),
            None => write!(f, "{}: {}", self.kind, self.detail),
        }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    unlisted: u64,
}

impl Problems {
    /// Notes a problem.
    pub fn add(&mut self, seq: Option<u64>, kind: &'static str, detail: impl Into<String>) {
        if self.list.len() < LISTED {
            self.list.push(Problem {
                seq,
                kind,
                detail: detail.into(),
            });
        } else {
            self.unlisted += 1;
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        for problem in other.list {
            self.add(problem.seq, problem.kind, problem.detail);
        }
        self.unlisted += other.unlisted;
    }

    /// All of them, by position.
    pub fn finish(mut self) -> Vec<Problem> {
        self.list.sort();
        self.list.dedup();
        if self.unlisted > 0 {
            let detail = format!("{} more problems are not listed", self.unlisted);
            self.list.push(Problem {
                seq: None,
                kind: "log",
                detail,
            });
        }
        self.list
    }
}

/// Leaves that follow each other, being checked; begins at a multiple of [`STRETCH`].
pub struct Stretch<'a> {
    origin: &'a str,
    from: u64,
    first_prev: Hash,
    last_hash: Hash,
    frontier: Frontier,
    subtrees: Vec<(u32, u64, Hash)>,
    keep: &'a [u32],
    marks: Vec<(u64, Frontier)>,
    wanted: &'a [u64],
    /// What is wrong so far.
    pub problems: Problems,
}

impl<'a> Stretch<'a> {
    /// A stretch of `origin` from leaf `from` on, whose leaf before has the hash `prev`. `keep` are the levels of
    /// subtree roots to keep, `wanted` the sizes at which checkpoints were signed.
    pub fn new(origin: &'a str, from: u64, prev: Hash, keep: &'a [u32], wanted: &'a [u64]) -> Self {
        Self {
            origin,
            from,
            first_prev: prev,
            last_hash: prev,
            frontier: Frontier::default(),
            subtrees: Vec::new(),
            keep,
            marks: Vec::new(),
            wanted,
            problems: Problems::default(),
        }
    }

    /// The position of the leaf that comes next.
    pub fn next(&self) -> u64 {
        self.from + self.frontier.size()
    }

    /// Notes that the next leaf is not there; the links of the one behind it will be wrong too.
    pub fn missing(&mut self) {
        let seq = self.next();
        self.problems.add(Some(seq), "leaf", "is missing");
        self.last_hash = [0; 32];
        self.frontier.push(0, [0; 32], |_, _, _| {});
    }

    /// Checks the next leaf: its form, that it links to the one before, and that it hashes to `stored`. Returns its
    /// beginning and the blobs it names, as far as they can be read.
    pub fn leaf<'b>(&mut self, stored: &[u8], bytes: &'b [u8]) -> (Option<Lead<'b>>, Vec<BlobRef>) {
        let seq = self.next();
        let hash = tree::hash_leaf(bytes);
        if hash != stored {
            self.problems.add(
                Some(seq),
                "leaf",
                "the bytes don't have the hash that is stored for them",
            );
        }
        if bytes.len() > leaf::MAX_LEAF {
            self.problems
                .add(Some(seq), "leaf", "is longer than 65,535 bytes");
        }
        let lead = leaf::lead(bytes, self.origin, seq, &self.last_hash);
        let blobs = leaf::blobs(bytes);
        self.last_hash = hash;
        let (from, keep, subtrees) = (self.from, self.keep, &mut self.subtrees);
        self.frontier.push(0, hash, |level, position, hash| {
            if keep.contains(&level) {
                subtrees.push((level, (from >> level) + position, *hash));
            }
        });
        let size = self.next();
        if self.wanted.binary_search(&size).is_ok() {
            self.marks.push((size, self.frontier.clone()));
        }
        match &lead {
            Err(what) => self.problems.add(Some(seq), "leaf", *what),
            Ok(_) if blobs.is_none() => self
                .problems
                .add(Some(seq), "leaf", "does not end with its blobs"),
            Ok(_) => {}
        }
        (lead.ok(), blobs.unwrap_or_default())
    }
}

/// The stretches of a log, joined in order.
#[derive(Default)]
pub struct Whole {
    pub(super) frontier: Frontier,
    pub(super) last_hash: Hash,
    roots: Vec<(u64, Hash)>,
    subtrees: Vec<(u32, u64, Hash)>,
    /// What is wrong so far.
    pub problems: Problems,
}

impl Whole {
    /// Joins the next stretch.
    pub fn join(&mut self, stretch: Stretch<'_>) {
        if stretch.first_prev != self.last_hash {
            let detail = "the hash stored for it is not the one its bytes have";
            self.problems.add(stretch.from.checked_sub(1), "leaf", detail);
        }
        for (size, frontier) in &stretch.marks {
            let mut until = self.frontier.clone();
            frontier
                .subtrees()
                .for_each(|(level, hash)| until.push(level, hash, |_, _, _| {}));
            self.roots.push((*size, until.root()));
        }
        let (keep, subtrees) = (stretch.keep, &mut self.subtrees);
        subtrees.extend(stretch.subtrees);
        for (level, hash) in stretch.frontier.subtrees() {
            self.frontier.push(level, hash, |joined, position, hash| {
                if joined > level && keep.contains(&joined) {
                    subtrees.push((joined, position, *hash));
                }
            });
        }
        self.last_hash = stretch.last_hash;
        self.problems.append(stretch.problems);
    }

    /// Checks a signed checkpoint that was wanted, kept under `size`.
    pub fn checkpoint(&mut self, key: &VerifierKey, size: u64, note: &str) {
        let last = size.checked_sub(1);
        match key.verify(note) {
            Err(error) => self
                .problems
                .add(last, "checkpoint", format!("at size {size}: {error}")),
            Ok(checkpoint) if checkpoint.size != size => {
                self.problems.add(
                    last,
                    "checkpoint",
                    format!("kept for {size} leaves, signed for {}", checkpoint.size),
                );
            }
            Ok(checkpoint) if self.root_at(size) != Some(checkpoint.root) => {
                self.problems.add(
                    last,
                    "checkpoint",
                    format!("the first {size} leaves are not the ones it was signed for"),
                );
            }
            Ok(_) => {}
        }
    }

    /// The subtree roots of the levels to keep, by level and position.
    pub(super) fn subtrees(&mut self) -> &[(u32, u64, Hash)] {
        self.subtrees.sort_unstable();
        &self.subtrees
    }

    fn root_at(&self, size: u64) -> Option<Hash> {
        self.roots
            .iter()
            .find(|(wanted, _)| *wanted == size)
            .map(|(_, root)| *root)
    }
}

/// The newest of some checkpoints.
pub(super) fn newest(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Option<Checkpoint> {
    checkpoints.into_iter().max_by_key(|checkpoint| checkpoint.size)
}
