//! The fieldwork bundle: what an auditor takes along, and can check without us.
//!
//! A zip archive (its form to the byte is described in `zip`) or a folder with the same files:
//!
//! | file | what |
//! |---|---|
//! | `README.txt` | a page for an auditor: what this is, what it proves, what not, three ways to check it |
//! | `bundle.json` | [`Manifest`]: format version, origin, period, size and root of the log, draft or not, scope, counts |
//! | `SHA256SUMS` | every other file, sorted by path, as `sha256sum` writes it; verifiers make it again and compare each byte |
//! | `verify.py` | checks the folder that it lies in, with the Python standard library alone |
//! | `log/key` | the verifier key, as leaf 0 names it |
//! | `log/checkpoint` | the newest signed checkpoint: what the whole log commits to |
//! | `log/checkpoints/SIZE` | the others that were kept |
//! | `log/hashes` | the leaf hash of every leaf, 32 bytes each: the root at any size follows by hashing |
//! | `log/leaves.jsonl` | the leaves chosen, exactly as stored, a line each, in order (`contents` says which) |
//! | `blobs/ab/ab…` | what the leaves name: 64 hex digits of salt, a newline, the payload; the name is the SHA-256 of the file |
//! | `withheld.csv` | the blobs that leaves in the bundle name and that are not in it, each with the reason |
//!
//! Further files are derived from those, and may stand at any other path. `evidenced export` adds what `report::files` makes, of what
//! is in scope; of populations and samples:
//!
//! | file | what |
//! |---|---|
//! | `populations/NAME.csv` | every item of a population: the bytes that `evidenced population NAME --csv` prints, behind a byte order mark |
//! | `populations/NAME.json` | its statement: source, queries, parameters, identity, pages, counts, dates, second source, gaps; as `evidenced population --format json` |
//! | `csv/samples.csv` | a line for each item of each draw; of what is out of scope the positions alone, as the leaves have them |
//!
//! NAME is what people call it, as in `pull-requests`, else its kind. The blobs of a sealed list or a draw are withheld where an item
//! was read by a collector, or from a source, that is out of scope.
//!
//! What is proved: every leaf in the bundle is in the signed log, as its hash stands at its place in `log/hashes`, of which the
//! checkpoint signs the root. Nothing of the period is left out: its leaves are there without a break, from the last before it to
//! the first behind it, and each names the hash of the one before.
//!
//! The same log and period give the same bytes. Nothing here appends to a log, and nothing reads the clock: whoever hands a bundle
//! over records that before it is written (an `export` leaf), so that the bundle holds it too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::log::leaf::format_time;
use crate::log::tree::Hash;

pub mod archive;
pub mod contents;
pub mod output;
pub mod reperform;
pub mod verify;
pub mod write;
pub mod zip;

mod withheld;

/// The script that checks a bundle without us.
pub const VERIFY_PY: &str = include_str!("verify.py");

/// What an auditor reads first; `{…}` is filled in.
const README: &str = include_str!("README.txt");

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// `bundle.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The bundle's format.
    pub format: u32,
    /// The log's name.
    pub origin: String,
    /// The stretch of time that it is about.
    pub period: Period,
    /// How many leaves the log has.
    pub size: u64,
    /// The root over them, lowercase hex.
    pub root: String,
    /// Why it is a draft; empty where it is none.
    pub draft: Vec<String>,
    /// Whose evidence is in it.
    pub scope: Scope,
    /// How many of each there are in the bundle.
    pub counts: Counts,
}

impl Manifest {
    /// Reads the file: only as it is written, to the byte.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            return Err(format!(
                "format {format} is not known: use a later version of evidenced"
            ));
        }
        if manifest.period.from >= manifest.period.to {
            return Err("the period ends before it begins".to_owned());
        }
        if manifest.to_bytes() != bytes {
            return Err("it is not written as evidenced writes it".to_owned());
        }
        Ok(manifest)
    }

    /// The file's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Its configured name, where it has one.
    pub name: Option<String>,
    /// Its first instant.
    #[serde(serialize_with = "instant")]
    pub from: DateTime<Utc>,
    /// The instant it ends, which is no part of it.
    #[serde(serialize_with = "instant")]
    pub to: DateTime<Utc>,
}

/// As leaves write times, so that they can be compared as text.
fn instant<S: serde::Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*time))
}

/// Whose evidence is handed over. The leaves are always all there; a list that is empty narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Evidence that serves these controls.
    pub controls: BTreeSet<String>,
    /// Evidence that serves these criteria.
    pub criteria: BTreeSet<String>,
    /// Only of these sources.
    pub sources: BTreeSet<String>,
}

/// How many of each there are in a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Leaves.
    pub leaves: u64,
    /// Blobs.
    pub blobs: u64,
    /// Blobs that leaves name and that are not there.
    pub withheld: u64,
    /// Signed checkpoints, the newest included.
    pub checkpoints: u64,
}

/// Where a blob lies in a bundle.
pub fn blob_path(sha256: &Hash) -> String {
    let name = hex::encode(sha256);
    format!("blobs/{}/{name}", &name[..2])
}

/// The blob that lies at a path; none if it is no blob's.
fn blob_of(path: &str) -> Option<Hash> {
    let (folder, name) = path.strip_prefix("blobs/")?.split_once('/')?;
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut hash = [0; 32];
    if name.len() != 64 || !name.bytes().all(lower) || folder != &name[..2] {
        return None;
    }
    hex::decode_to_slice(name, &mut hash).ok()?;
    Some(hash)
}
