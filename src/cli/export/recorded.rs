//! The `export` leaf: who handed over what stands in the log before the first byte of a bundle is written, and so in the bundle.
//!
//! That way no bundle goes out, also not where the machine dies half-way, of which the log would not tell; one that could not
//! be written is recorded too. And the bundle stays the same, to the byte, for the same log and period: whoever asks for the
//! same again, while nothing but exports was appended since, finds it recorded already, and no leaf is added.
//!
//! A copy without a key, and a store that this user may not write to, can be exported all the same; that it was not recorded
//! is said.

use anyhow::Result;
use std::io::ErrorKind;
use std::sync::Arc;

use super::super::setup;
use crate::clock::SharedClock;
use crate::log::append::{AppendError, Draft};
use crate::log::leaf::{Body, Export};
use crate::log::store::{Reader, StoreError};

/// Whether the log tells of an export.
pub(super) enum Recorded {
    /// It does, in this leaf.
    At(u64),
    /// It can't, for this reason.
    Not(String),
}

impl Recorded {
    pub(super) fn seq(&self) -> Option<u64> {
        match self {
            Self::At(seq) => Some(*seq),
            Self::Not(_) => None,
        }
    }

    pub(super) fn why_not(&self) -> Option<&str> {
        match self {
            Self::At(_) => None,
            Self::Not(why) => Some(why),
        }
    }
}

/// Records an export, unless the log ends with that of the same.
pub(super) fn record(reader: &Reader, export: Export, clock: SharedClock) -> Result<Recorded> {
    if let Some(seq) = same_at_the_end(reader, &export)? {
        return Ok(Recorded::At(seq));
    }
    // Nobody can sign for a copy: not even a lock is left in it.
    if matches!(reader.paths().key().try_exists(), Ok(false)) {
        let why = "this copy of the log is without its key, so that nothing can be appended";
        return Ok(Recorded::Not(why.to_owned()));
    }
    let log = setup::appender(reader, clock).map_err(|error| AppendError::Store(Arc::new(error)));
    match log.and_then(|log| log.append_blocking(Draft::new(Body::Export(export)))) {
        Ok(receipt) => Ok(Recorded::At(receipt.seq)),
        Err(AppendError::Store(error)) if may_not_write(&error) => Ok(Recorded::Not(format!(
            "this user may not write to the store ({error})"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The same export among those that the log ends with.
fn same_at_the_end(reader: &Reader, export: &Export) -> Result<Option<u64>> {
    for seq in (0..reader.size()?).rev() {
        match reader.leaf(seq)?.and_then(|leaf| leaf.body) {
            Some(Body::Export(known)) if known == *export => return Ok(Some(seq)),
            Some(Body::Export(_)) => {}
            _ => break,
        }
    }
    Ok(None)
}

fn may_not_write(error: &StoreError) -> bool {
    match error {
        StoreError::Io(_, error) => matches!(
            error.kind(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
        ),
        error => error.is_read_only(),
    }
}
