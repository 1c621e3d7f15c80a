//! Checking a bundle, trusting nothing but what the reader brought along. Never writes, and needs no store.
//!
//! `verify.py` checks the same, and finds the same. What a key and a signature prove is as for a store: without a key or a
//! checkpoint that the reader holds, the bundle is consistent, and whose it is stays open.

use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::Path;

use super::archive::{Archive, ArchiveError};
use super::zip::SUMS;
use super::{Manifest, blob_of};
use crate::log::blob::{self, MAX_PAYLOAD};
use crate::log::checkpoint::{Checkpoint, VerifierKey};
use crate::log::leaf::{Body, decode};
use crate::log::tree::{Frontier, Hash};
use crate::log::verify::{Problem, Problems, Report};

mod blobs;
mod leaves;

/// Files that every bundle has.
const REQUIRED: [&str; 9] = [
    "README.txt",
    SUMS,
    "bundle.json",
    "log/checkpoint",
    "log/hashes",
    "log/key",
    "log/leaves.jsonl",
    "verify.py",
    "withheld.csv",
];

/// Files that are read whole are no larger: hashes of some 30 million leaves, and lines for as many blobs.
const WHOLE: u64 = 1 << 30;

/// No signed note, key or `bundle.json` is larger.
const SMALL: u64 = 1 << 20;

/// What the reader brought along.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The verifier key.
    pub key: Option<VerifierKey>,
    /// A signed checkpoint, as it was handed over before.
    pub checkpoint: Option<String>,
}

/// What checking a bundle found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// As for a store.
    pub report: Report,
    /// What the bundle says of itself; none where that can't be read.
    pub manifest: Option<Manifest>,
}

/// Verifies a bundle; `progress` is told how many bytes have been checked, of how many.
///
/// # Errors
/// Where it can't be read for reasons that say nothing about it. One that was made to do harm is a report.
pub fn verify(
    path: &Path,
    held: &Held,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified, ArchiveError> {
    let mut found = Found::default();
    let checked = Archive::open(path).and_then(|archive| found.check(&archive, held, progress));
    match checked {
        Err(ArchiveError::Refused(why)) => found.problems.add(None, "archive", why),
        checked => checked?,
    }
    Ok(found.finish())
}

#[derive(Default)]
struct Found {
    manifest: Option<Manifest>,
    origin: String,
    size: u64,
    root: String,
    head: String,
    key: String,
    pinned: bool,
    problems: Problems,
}

impl Found {
    fn finish(self) -> Verified {
        let problems: Vec<Problem> = self.problems.finish();
        Verified {
            manifest: self.manifest,
            report: Report {
                intact: problems.is_empty(),
                origin: self.origin,
                size: self.size,
                root: self.root,
                head: self.head,
                key: self.key,
                pinned: self.pinned,
                problems,
            },
        }
    }

    fn add(&mut self, kind: &'static str, detail: impl Into<String>) {
        self.problems.add(None, kind, detail);
    }

    fn check(
        &mut self,
        archive: &Archive,
        held: &Held,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ArchiveError> {
        let missing: Vec<_> = REQUIRED
            .iter()
            .filter(|name| archive.size(name).is_none())
            .collect();
        if !missing.is_empty() {
            for name in missing {
                self.add("file", format!("{name} is missing"));
            }
            return Ok(());
        }
        let in_log = archive.names().filter(|name| name.starts_with("log/"));
        let known = |name: &&str| REQUIRED.contains(name) || name.starts_with("log/checkpoints/");
        let unknown: Vec<&str> = in_log.filter(|name| !known(name)).collect();
        for name in unknown {
            self.add("file", format!("{name} is no file that a bundle has there"));
        }
        self.check_sums(archive, progress)?;
        let Some(manifest) = self.read_manifest(archive)? else {
            return Ok(());
        };
        let Some(key) = self.check_key(archive, held)? else {
            return Ok(());
        };
        let hashes = archive.all("log/hashes", WHOLE)?;
        let Some(hashes) = hashes_of(&hashes).filter(|hashes| hashes.len() as u64 == manifest.size) else {
            let what = "log/hashes does not hold as many hashes as bundle.json says";
            self.add("leaf", what);
            return Ok(());
        };
        self.check_checkpoints(archive, &key, held, &hashes, &manifest)?;
        let leaves = leaves::check(archive, &manifest, &hashes, &mut self.problems)?;
        if leaves.key.as_deref() != Some(key.to_string().as_str()) {
            self.problems
                .add(Some(0), "key", "leaf 0 is not there, or names another key");
        }
        blobs::check(archive, &leaves, &manifest, &mut self.problems)?;
        self.manifest = Some(manifest);
        Ok(())
    }

    /// Hashes every file, and compares with what `SHA256SUMS` would be if it were made now.
    fn check_sums(
        &mut self,
        archive: &Archive,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ArchiveError> {
        let stated = archive.all(SUMS, WHOLE)?;
        let (all, mut done) = (archive.bytes(), stated.len() as u64);
        let (mut at, mut lines) = (0, None);
        for name in archive.names().filter(|name| *name != SUMS) {
            let digest = match blob_of(name) {
                Some(sha256) => self.check_blob(archive, name, &sha256)?,
                None => digest(archive, name)?,
            };
            done += archive.size(name).unwrap_or(0);
            progress(done, all);
            let line = format!("{}  {name}\n", hex::encode(digest));
            if lines.is_none() && stated[at..].starts_with(line.as_bytes()) {
                at += line.len();
                continue;
            }
            // Once something differs, lines are looked up, since one may be missing or too many.
            let lines = lines.get_or_insert_with(|| {
                stated
                    .split_inclusive(|byte| *byte == b'\n')
                    .collect::<HashSet<_>>()
            });
            if !lines.contains(line.as_bytes()) {
                self.add(
                    "sums",
                    format!("{name} is not in SHA256SUMS with the digest it has"),
                );
            }
        }
        if lines.is_some() || at != stated.len() {
            self.add("sums", "SHA256SUMS is not the list of the files that are there");
        }
        Ok(())
    }

    fn check_blob(&mut self, archive: &Archive, name: &str, sha256: &Hash) -> Result<Hash, ArchiveError> {
        let bytes = archive.all(name, (MAX_PAYLOAD + blob::PREFIX) as u64)?;
        let digest = Sha256::digest(&bytes).into();
        if digest != *sha256 {
            self.add("blob", format!("{name} does not have the digest it is named by"));
        } else if let Err(error) = blob::salted(&bytes) {
            self.add("blob", format!("{name}: {error}"));
        }
        Ok(digest)
    }

    fn read_manifest(&mut self, archive: &Archive) -> Result<Option<Manifest>, ArchiveError> {
        let bytes = archive.all("bundle.json", SMALL)?;
        match Manifest::parse(&bytes) {
            Ok(manifest) => {
                self.origin.clone_from(&manifest.origin);
                self.size = manifest.size;
                self.root.clone_from(&manifest.root);
                Ok(Some(manifest))
            }
            Err(why) => {
                self.add("bundle", format!("bundle.json: {why}"));
                Ok(None)
            }
        }
    }

    /// The key to check with: the reader's, else the bundle's own.
    fn check_key(&mut self, archive: &Archive, held: &Held) -> Result<Option<VerifierKey>, ArchiveError> {
        let text = text(archive, "log/key")?;
        let own = text.strip_suffix('\n').map(VerifierKey::parse);
        let Some(Ok(own)) = own else {
            self.add(
                "key",
                "log/key is not a verifier key of the form name+keyid+base64",
            );
            return Ok(None);
        };
        self.key = own.to_string();
        if own.origin().as_str() != self.origin {
            self.add("key", "log/key is of another log than bundle.json says");
        }
        if let Some(key) = &held.key {
            self.pinned = true;
            if *key != own {
                self.add(
                    "key",
                    format!("this log was not begun with the key given: it names {own}"),
                );
            }
        }
        Ok(Some(own))
    }

    /// Checks every signed checkpoint against the root of as many leaves, and the one that the reader holds.
    fn check_checkpoints(
        &mut self,
        archive: &Archive,
        key: &VerifierKey,
        held: &Held,
        hashes: &[Hash],
        manifest: &Manifest,
    ) -> Result<(), ArchiveError> {
        let mut notes = vec![(
            "log/checkpoint".to_owned(),
            Some(manifest.size),
            text(archive, "log/checkpoint")?,
        )];
        for name in archive
            .names()
            .filter(|name| name.starts_with("log/checkpoints/"))
        {
            let size = name.rsplit('/').next().filter(|size| !size.starts_with('0'));
            let size = size
                .and_then(|size| size.parse().ok())
                .filter(|size| *size < manifest.size);
            notes.push((
                name.to_owned(),
                Some(size.unwrap_or(u64::MAX)),
                text(archive, name)?,
            ));
        }
        if notes.len() as u64 != manifest.counts.checkpoints {
            self.add(
                "checkpoint",
                "there are not as many checkpoints as bundle.json says",
            );
        }
        if let Some(note) = &held.checkpoint {
            notes.push(("the checkpoint given".to_owned(), None, note.clone()));
        }
        let mut checkpoints = Vec::new();
        for (name, size, note) in notes {
            match key.verify(&note) {
                Err(error) => self.add("checkpoint", format!("{name}: {error}")),
                Ok(checkpoint) if size.is_some_and(|size| size != checkpoint.size) => {
                    let what = format!("{name} is signed for {} leaves", checkpoint.size);
                    self.add("checkpoint", what);
                }
                Ok(checkpoint) if checkpoint.size > manifest.size => {
                    let what = format!(
                        "{name} is for {} leaves, and the bundle knows fewer",
                        checkpoint.size
                    );
                    self.add("checkpoint", what);
                }
                Ok(checkpoint) => checkpoints.push((name, size.is_none(), checkpoint)),
            }
        }
        let roots = roots(hashes, checkpoints.iter().map(|(_, _, checkpoint)| checkpoint));
        for (name, is_held, checkpoint) in checkpoints {
            if roots.get(&checkpoint.size) != Some(&checkpoint.root) {
                let what = format!(
                    "{name}: the first {} leaves are not the ones it was signed for",
                    checkpoint.size
                );
                self.add("checkpoint", what);
            } else if is_held {
                self.pinned = true;
            }
        }
        let root = roots.get(&manifest.size).map(hex::encode);
        if root.as_ref() != Some(&manifest.root) {
            self.add("bundle", "bundle.json states another root than the leaves give");
        }
        self.root = root.unwrap_or_default();
        self.head = hashes.last().map(hex::encode).unwrap_or_default();
        Ok(())
    }
}

/// The roots at the sizes of some checkpoints, and at the end.
fn roots<'a>(hashes: &[Hash], checkpoints: impl Iterator<Item = &'a Checkpoint>) -> BTreeMap<u64, Hash> {
    let mut roots: BTreeMap<u64, Hash> = checkpoints.map(|checkpoint| (checkpoint.size, [0; 32])).collect();
    let mut frontier = Frontier::default();
    for hash in hashes {
        if let Some(root) = roots.get_mut(&frontier.size()) {
            *root = frontier.root();
        }
        frontier.push(0, *hash, |_, _, _| {});
    }
    roots.insert(frontier.size(), frontier.root());
    roots
}

fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

fn digest(archive: &Archive, name: &str) -> Result<Hash, ArchiveError> {
    let mut from = archive.read(name)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match from
            .read(&mut buffer)
            .map_err(|error| archive.reading(name, error))?
        {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// A small file's text; what is none is found as whatever it should be.
fn text(archive: &Archive, name: &str) -> Result<String, ArchiveError> {
    let bytes = archive.all(name, SMALL)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The key that a leaf names, if it is leaf 0.
fn key_in(bytes: &[u8]) -> Option<String> {
    match decode(bytes).ok()?.body? {
        Body::Key(key) => Some(key.key),
        _ => None,
    }
}
