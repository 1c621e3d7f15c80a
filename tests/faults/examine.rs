//! What a store must be after whatever happened to it.

use evidenced::clock;
use evidenced::log::append::Appender;
use evidenced::log::store::{Paths, Reader, StoreError};
use evidenced::log::verify_store::verify_store;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::child::Ack;
use super::program::{draft, payload};

/// What may have become of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// Nothing happened that a log may not survive.
    None,
    /// A write was lost: the log may be damaged if it says so.
    Lost,
}

/// What a store was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Intact,
    /// Damaged, and it says so.
    Reported,
}

/// Verifies a store, opens it as the next start would, appends, and verifies again. Every acknowledged leaf must be
/// there and as it was, or the damage be shown and stay shown.
pub(crate) fn examine(paths: &Paths, acks: &[Ack], excuse: Excuse) -> Result<Found, String> {
    let before = verified(paths, acks).map_err(|what| format!("at first: {what}"))?;
    if before == Found::Reported && excuse == Excuse::None {
        return Err(format!("damaged: {:?}", problems(paths)));
    }
    match append_one(paths) {
        Ok(ack) => {
            let mut acks = acks.to_vec();
            acks.push(ack);
            let after = verified(paths, &acks).map_err(|what| format!("after the next start: {what}"))?;
            if after == before {
                Ok(after)
            } else {
                Err(format!(
                    "{before:?}, and {after:?} after the next start: {:?}",
                    problems(paths)
                ))
            }
        }
        Err(why) if before == Found::Reported => {
            drop(why);
            Ok(Found::Reported)
        }
        Err(why) => Err(format!("{before:?}, and yet the next start fails: {why}")),
    }
}

/// Whether the log verifies; that every acknowledged leaf is there and as it was, if so.
pub(crate) fn verified(paths: &Paths, acks: &[Ack]) -> Result<Found, String> {
    let report = match verify_store(paths, None, &|_, _| {}) {
        Ok(report) => report,
        Err(StoreError::Absent(_)) if acks.is_empty() => return Ok(Found::Intact),
        Err(error) => return Err(chain(&error)),
    };
    if !report.intact {
        return Ok(Found::Reported);
    }
    let read = || -> Result<(), String> {
        let reader = Reader::open(paths).map_err(|error| chain(&error))?;
        for ack in acks {
            let leaf = reader.leaf_bytes(ack.seq).map_err(|error| chain(&error))?;
            let leaf = leaf.ok_or_else(|| format!("intact, and leaf {} is missing", ack.seq))?;
            if hex::encode(evidenced::log::tree::hash_leaf(&leaf)) != ack.hash {
                return Err(format!("intact, and leaf {} is another", ack.seq));
            }
            let blobs = evidenced::log::leaf::blobs(&leaf).unwrap_or_default();
            let found = blobs.first().map(|blob| reader.payload(&blob.sha256));
            if !matches!(found, Some(Ok(Some(found))) if found == payload(&ack.tag)) {
                return Err(format!("intact, and the payload of leaf {} is another", ack.seq));
            }
        }
        Ok(())
    };
    read()?;
    // Queries go through indexes that no leaf stands for.
    let check =
        rusqlite::Connection::open_with_flags(paths.database(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|database| {
                database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
            });
    match check {
        Ok(check) if check == "ok" => Ok(Found::Intact),
        Ok(check) => Err(format!("intact, and yet SQLite says: {check}")),
        Err(error) => Err(format!("intact, and yet SQLite says: {error}")),
    }
}

fn problems(paths: &Paths) -> String {
    match verify_store(paths, None, &|_, _| {}) {
        Ok(report) => format!("{:?}", report.problems),
        Err(error) => chain(&error),
    }
}

fn append_one(paths: &Paths) -> Result<Ack, String> {
    let tag = "next.1:100";
    let log = Appender::open(paths, "acme", clock::system()).map_err(|error| chain(&error))?;
    let receipt = log.append_blocking(draft(tag)).map_err(|error| chain(&error))?;
    Ok(Ack {
        seq: receipt.seq,
        hash: hex::encode(receipt.hash),
        tag: tag.to_owned(),
    })
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

/// Does every case, two at a time, and fails with all that went wrong.
pub(crate) fn every<T: Display + Sync>(cases: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = work(case) {
                        wrong.lock().unwrap().push(format!("{case}: {what}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.lock().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} cases, the first of them:\n{}",
        wrong.len(),
        cases.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}
