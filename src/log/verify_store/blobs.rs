//! Checking every row of a store's blobs, over several threads.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};
use std::sync::{Mutex, PoisonError};

use super::super::blob::{self, Codec};
use super::super::leaf;
use super::super::store::{StoreError, reading};
use super::super::tree::Hash;
use super::Problems;
use super::indexes::Rows;

/// Rows that a thread takes at a time.
const SHARE: u64 = 64;

/// Checks the rows that are left, share by share, until there are none; `next` is the rowid where the next share
/// begins, common to all threads. Rowids are no part of the format: there may be gaps of any width between them.
pub(super) fn check(
    connection: &Connection,
    next: &Mutex<Option<i64>>,
    size: u64,
    indexed: &mut Rows<'_, 2>,
) -> Result<Problems, StoreError> {
    let mut problems = Problems::default();
    let mut decompressor = zstd::bulk::Decompressor::new()
        .map_err(|error| StoreError::Damaged(format!("no decompressor: {error}")))?;
    let mut buffer = Vec::new();
    let sql = "SELECT sha256, seq, size, codec, bytes, stored_sha256, payload_sha256, row_sha256, rowid \
               FROM blob WHERE rowid BETWEEN ? AND ?";
    let mut statement = connection.prepare(sql).map_err(reading)?;
    while let Some((first, last)) = share(connection, next).map_err(reading)? {
        let mut rows = statement.query([first, last]).map_err(reading)?;
        while let Some(row) = rows.next().map_err(reading)? {
            add_to(indexed, row).map_err(reading)?;
            let (seq, found) =
                check_row(connection, row, size, &mut buffer, &mut decompressor).map_err(reading)?;
            for detail in found {
                problems.add(seq, "blob", detail);
            }
        }
    }
    Ok(problems)
}

fn add_to(indexed: &mut Rows<'_, 2>, row: &Row<'_>) -> rusqlite::Result<()> {
    indexed.add(row.get(8)?, row.get_ref(0)?, row.get_ref(6)?);
    Ok(())
}

/// The rowids that the next share begins and ends with.
fn share(connection: &Connection, next: &Mutex<Option<i64>>) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(from) = *next else { return Ok(None) };
    let sql =
        "SELECT min(rowid), max(rowid) FROM (SELECT rowid FROM blob WHERE rowid >= ? ORDER BY rowid LIMIT ?)";
    let mut statement = connection.prepare_cached(sql)?;
    let share: (Option<i64>, Option<i64>) =
        statement.query_row(params![from, SHARE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    *next = share.1.and_then(|last| last.checked_add(1));
    Ok(share.0.zip(share.1))
}

/// What is wrong with a row, and the leaf it belongs to.
fn check_row(
    connection: &Connection,
    row: &Row<'_>,
    log_size: u64,
    buffer: &mut Vec<u8>,
    decompressor: &mut zstd::bulk::Decompressor<'_>,
) -> rusqlite::Result<(Option<u64>, Vec<String>)> {
    let mut found = Vec::new();
    let sha256 = row.get_ref(0)?.as_blob()?;
    let (seq, size): (i64, i64) = (row.get(1)?, row.get(2)?);
    let (seq, size) = (
        u64::try_from(seq).unwrap_or(u64::MAX),
        u64::try_from(size).unwrap_or(u64::MAX),
    );
    // What is not UTF-8 has another digest when read like this, and is found by it. What is no text has none.
    let codec = match row.get_ref(3)? {
        ValueRef::Text(bytes) => &*String::from_utf8_lossy(bytes),
        _ => "",
    };
    let bytes = row.get_ref(4)?.as_blob()?;
    let (stored, payload) = (row.get_ref(5)?.as_blob()?, row.get_ref(6)?.as_blob()?);
    if blob::row_sha256(sha256, seq, size, codec, stored, payload) != row.get_ref(7)?.as_blob()? {
        found.push(format!(
            "blob {}: the columns don't have the digest stored for them",
            hex::encode(sha256)
        ));
    }
    let Ok(name) = Hash::try_from(sha256) else {
        found.push(format!("blob {}: its name is no SHA-256", hex::encode(sha256)));
        return Ok((Some(seq), found));
    };
    match Codec::parse(codec) {
        None => found.push(format!(
            "blob {}: the codec {codec:?} is unknown",
            hex::encode(name)
        )),
        Some(codec) => {
            // A raw blob's stored bytes are the blob: one digest serves for both columns.
            let digest: Hash = if codec == Codec::Raw && stored == name {
                name
            } else {
                Sha256::digest(bytes).into()
            };
            if digest != stored {
                found.push(format!(
                    "blob {}: the stored bytes were changed",
                    hex::encode(name)
                ));
            }
            if let Err(error) = blob::open(&name, size, codec, bytes, buffer, decompressor) {
                found.push(format!("blob {}: {error}", hex::encode(name)));
            }
        }
    }
    // What a writer appended after this check began is not looked at.
    if seq < log_size && !names_blob(connection, seq, &name)? {
        found.push(format!("blob {}: leaf {seq} does not name it", hex::encode(name)));
    }
    Ok((Some(seq).filter(|seq| *seq < u64::MAX), found))
}

fn names_blob(connection: &Connection, seq: u64, name: &Hash) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM leaf WHERE seq = ?")?;
    let leaf: Option<Vec<u8>> = statement.query_row([seq], |row| row.get(0)).optional()?;
    let mut named = Vec::new();
    let read = leaf.and_then(|bytes| leaf::named_blobs(&bytes, &mut named));
    Ok(read.is_some() && named.iter().any(|(sha256, _)| sha256 == name))
}
