//! Checking which blobs a bundle holds: those that its leaves name, but for the ones that it says are withheld.

use std::collections::{BTreeMap, BTreeSet};

use super::super::archive::{Archive, ArchiveError};
use super::super::{Manifest, blob_of, blob_path, withheld};
use super::leaves::Leaves;
use crate::log::leaf::BlobRef;
use crate::log::tree::Hash;
use crate::log::verify::Problems;

pub(super) fn check(
    archive: &Archive,
    leaves: &Leaves,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Result<(), ArchiveError> {
    let withheld = read_withheld(archive, problems)?;
    let mut named: BTreeMap<Hash, (u64, &BlobRef)> = BTreeMap::new();
    for (seq, blob) in &leaves.blobs {
        let (first, known) = *named.entry(blob.sha256).or_insert((*seq, blob));
        if known.size != blob.size {
            let detail = format!("gives a blob another size than leaf {first} does");
            problems.add(Some(*seq), "blob", detail);
        }
    }
    for (sha256, (seq, blob)) in &named {
        let name = blob_path(sha256);
        let is_withheld = withheld.contains_key(sha256);
        match archive.size(&name) {
            None if !is_withheld => {
                problems.add(
                    Some(*seq),
                    "blob",
                    format!("{name} is missing, and not listed as withheld"),
                );
            }
            Some(_) if is_withheld => {
                problems.add(
                    Some(*seq),
                    "withheld",
                    format!("{name} is listed as withheld, and is there"),
                );
            }
            Some(size) if size != blob.size => {
                problems.add(
                    Some(*seq),
                    "blob",
                    format!("{name} has another size than the leaf says"),
                );
            }
            _ => {}
        }
    }
    for (sha256, (role, seq)) in &withheld {
        let of = named
            .get(sha256)
            .map(|(seq, blob)| (withheld::role(&blob.role), *seq));
        if of.as_ref() != Some(&(role.clone(), *seq)) {
            let name = hex::encode(sha256);
            problems.add(
                Some(*seq),
                "withheld",
                format!("{name} is not first named there in this role"),
            );
        }
    }
    let there: BTreeSet<Hash> = archive.names().filter_map(blob_of).collect();
    for sha256 in there.iter().filter(|sha256| !named.contains_key(*sha256)) {
        problems.add(None, "blob", format!("{} is named by no leaf", blob_path(sha256)));
    }
    let counts = (there.len() as u64, withheld.len() as u64);
    if counts != (manifest.counts.blobs, manifest.counts.withheld) {
        problems.add(
            None,
            "blob",
            "there are not as many blobs, or withheld ones, as bundle.json says",
        );
    }
    Ok(())
}

/// The blobs listed as withheld, with role and first leaf.
fn read_withheld(
    archive: &Archive,
    problems: &mut Problems,
) -> Result<BTreeMap<Hash, (String, u64)>, ArchiveError> {
    let bytes = archive.all("withheld.csv", super::WHOLE)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut listed = BTreeMap::new();
    let lines = text
        .strip_prefix(withheld::HEAD)
        .filter(|rest| rest.is_empty() || rest.ends_with('\n'));
    if lines.is_none() {
        problems.add(
            None,
            "withheld",
            "withheld.csv is cut off, or does not begin as it should",
        );
    }
    for line in lines.unwrap_or_default().split_terminator('\n') {
        match withheld::parse(line) {
            Some((sha256, role, seq, _))
                if listed.last_key_value().is_none_or(|(last, _)| *last < sha256) =>
            {
                listed.insert(sha256, (role.to_owned(), seq));
            }
            _ => problems.add(
                None,
                "withheld",
                format!("withheld.csv has a line that does not belong: {line:?}"),
            ),
        }
    }
    Ok(listed)
}
