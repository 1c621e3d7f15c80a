//! Reading for copies that leave the store: all leaves in order, checkpoints, and blobs as their names hash them.

use rusqlite::OptionalExtension as _;

use super::super::blob::{self, Codec};
use super::super::tree::Hash;
use super::{Reader, StoreError, reading};

/// A store that is read as it stood at one instant, whatever is appended meanwhile.
pub struct Held<'a> {
    reader: &'a Reader,
    buffer: Vec<u8>,
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl Reader {
    /// Holds what reads see, until this is dropped.
    pub(in crate::log) fn hold(&self) -> Result<Held<'_>, StoreError> {
        let decompressor = zstd::bulk::Decompressor::new()
            .map_err(|error| StoreError::Damaged(format!("no decompressor: {error}")))?;
        self.connection().execute_batch("BEGIN").map_err(reading)?;
        // The first read fixes what a transaction sees.
        let held = Held {
            reader: self,
            buffer: Vec::new(),
            decompressor,
        };
        self.size().map(|_| held)
    }
}

impl Held<'_> {
    /// The store, for any other read.
    pub fn reader(&self) -> &Reader {
        self.reader
    }

    /// Every checkpoint kept, with the size it is kept under, the newest last.
    pub fn checkpoints(&self) -> Result<Vec<(u64, String)>, StoreError> {
        let connection = self.reader.connection();
        let mut statement = connection
            .prepare("SELECT size, note FROM checkpoint ORDER BY size")
            .map_err(reading)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.map_err(reading)?.collect::<Result<_, _>>().map_err(reading)
    }

    /// The size of a blob, if the store has it.
    pub fn blob_size(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
        self.reader
            .connection()
            .prepare_cached("SELECT size FROM blob WHERE sha256 = ?")
            .and_then(|mut statement| statement.query_row([sha256], |row| row.get(0)).optional())
            .map_err(reading)
    }

    /// All of a blob, checked against its name: salt, newline, payload. `None` if the store does not have it.
    pub fn blob(&mut self, sha256: &Hash) -> Result<Option<&[u8]>, StoreError> {
        let damaged = |what: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("blob {}: {what}", hex::encode(sha256)))
        };
        let row = self
            .reader
            .connection()
            .prepare_cached("SELECT size, codec, bytes FROM blob WHERE sha256 = ?")
            .and_then(|mut statement| {
                let row = |row: &rusqlite::Row<'_>| {
                    Ok((
                        row.get::<_, u64>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, Vec<u8>>(2)?,
                    ))
                };
                statement.query_row([sha256], row).optional()
            });
        let Some((size, codec, stored)) = row.map_err(reading)? else {
            return Ok(None);
        };
        let codec = Codec::parse(&codec).ok_or_else(|| damaged(&"its codec is unknown"))?;
        let (buffer, decompressor) = (&mut self.buffer, &mut self.decompressor);
        let length = if codec == Codec::Raw {
            *buffer = stored;
            blob::whole(sha256, size, codec, buffer, &mut Vec::new(), decompressor).map(<[u8]>::len)
        } else {
            blob::whole(sha256, size, codec, &stored, buffer, decompressor).map(<[u8]>::len)
        };
        length
            .map(|length| Some(&self.buffer[..length]))
            .map_err(|error| damaged(&error))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A transaction that read only ends with the connection at the latest.
        drop(self.reader.connection().execute_batch("ROLLBACK"));
    }
}
