//! Exceptions as they stand in the log.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::{Exceptions, Waiver};
use crate::log::leaf::{Body, Exception, Leaf, Role};
use crate::log::store::{Reader, StoreError};

/// The exceptions of a log, read as far as it has grown. Whoever judges many snapshots keeps one.
#[derive(Debug, Default)]
pub struct Sealed {
    exceptions: Exceptions,
    /// Those before this position are read.
    next: u64,
}

/// The payload of an exception's `resources` blob: ids, sorted, each once.
#[derive(Serialize, Deserialize)]
struct Resources {
    resources: BTreeSet<String>,
}

impl Sealed {
    /// All that the log holds by now.
    ///
    /// # Errors
    /// The store can't be read. One that is damaged is no error: it covers nothing.
    pub fn up_to_date(&mut self, reader: &Reader) -> Result<&Exceptions, StoreError> {
        for seq in reader.of_kind("exception", self.next)? {
            self.add(reader, seq)?;
            self.next = seq + 1;
        }
        Ok(&self.exceptions)
    }

    fn add(&mut self, reader: &Reader, seq: u64) -> Result<(), StoreError> {
        let leaf = match reader.leaf(seq) {
            Err(error) if !error.is_damage() => return Err(error),
            leaf => leaf.ok().flatten(),
        };
        let Some((leaf, exception)) = leaf.as_ref().and_then(|leaf| Some((leaf, body(leaf)?))) else {
            tracing::warn!("exception {seq} can't be read: none that stands before it counts any more");
            self.exceptions.add_unknown(seq);
            return Ok(());
        };
        let resources = resources(reader, leaf)?;
        if resources.is_none() {
            let test = &exception.test;
            tracing::warn!("the resources of exception {seq} can't be read: no earlier one of {test} counts");
        }
        self.exceptions.add_sealed(seq, exception, resources);
        Ok(())
    }
}

impl Exceptions {
    /// Adds the one that the leaf at `seq` records, for the resources in its blob, if that can be read.
    pub fn add_sealed(&mut self, seq: u64, exception: &Exception, resources: Option<BTreeSet<String>>) {
        let waiver = Waiver {
            seq,
            only_source: exception.only_source.clone(),
            expires: exception.expires,
        };
        match resources {
            Some(resources) => self.add(&exception.test, resources, &waiver),
            None => self.add_unreadable(&exception.test, waiver),
        }
    }
}

fn body(leaf: &Leaf) -> Option<&Exception> {
    match &leaf.body {
        Some(Body::Exception(exception)) => Some(exception),
        _ => None,
    }
}

/// The resources that an `exception` leaf is for; none where they can't be read any more.
pub fn resources(reader: &Reader, leaf: &Leaf) -> Result<Option<BTreeSet<String>>, StoreError> {
    let Some(blob) = leaf.blobs.iter().find(|blob| blob.role == Role::Resources) else {
        return Ok(None);
    };
    let payload = match reader.payload(&blob.sha256) {
        Err(error) if !error.is_damage() => return Err(error),
        payload => payload.ok().flatten(),
    };
    Ok(payload.and_then(|payload| parse(&payload)))
}

/// The resources in the payload of a `resources` blob; none where it can't be read.
pub fn parse(payload: &[u8]) -> Option<BTreeSet<String>> {
    let read = serde_json::from_slice::<Resources>(payload).ok()?;
    Some(read.resources)
}

/// The payload that names resources in an `exception` leaf.
pub fn payload(resources: BTreeSet<String>) -> Vec<u8> {
    serde_json::to_vec(&Resources { resources }).unwrap_or_default()
}
