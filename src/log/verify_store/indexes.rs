//! Comparing SQLite's indexes with the rows they are copies of.
//!
//! Queries are answered from indexes: a snapshot missing from one is missing from every list while its row is as it
//! should be. So while the rows are checked, a sum is made of what each index must hold, in any order, and then
//! compared with a pass over the index. SQLite's own `integrity_check` does the same, at many times the cost.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::super::store::{StoreError, reading};
use super::Problems;

/// A sum over rows, the same in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, row: impl Hash) {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        self.0 = self.0.wrapping_add(hasher.finish());
    }

    fn join(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// What the indexes of the table `entry` hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryIndexes {
    target: Sum,
    snapshot: Sum,
    kind: Sum,
}

impl EntryIndexes {
    /// Adds a row of the table: `seq`, then `kind`, `snapshot`, `collector`, `source` and `target` as they are.
    pub(super) fn add(&mut self, seq: i64, columns: [ValueRef<'_>; 5]) {
        let [kind, snapshot, collector, source, target] = &columns.map(bytes);
        if collector.is_some() {
            self.target.add((collector, source, target, kind, seq));
        }
        if snapshot.is_some() {
            self.snapshot.add((snapshot, seq));
        }
        if collector.is_none() && snapshot.is_none() {
            self.kind.add((kind, seq));
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.target.join(other.target);
        self.snapshot.join(other.snapshot);
        self.kind.join(other.kind);
    }

    /// Compares what the rows gave with what the indexes hold.
    pub(super) fn compare(self, connection: &Connection, problems: &mut Problems) -> Result<(), StoreError> {
        let mut held = Self::default();
        let by_target = "SELECT collector, source, target, kind, seq FROM entry INDEXED BY entry_target \
                         WHERE collector IS NOT NULL";
        each(connection, by_target, |row| {
            let column = |index| row.get_ref(index).map(bytes);
            held.target.add((
                column(0)?,
                column(1)?,
                column(2)?,
                column(3)?,
                row.get::<_, i64>(4)?,
            ));
            Ok(())
        })?;
        let by_snapshot =
            "SELECT snapshot, seq FROM entry INDEXED BY entry_snapshot WHERE snapshot IS NOT NULL";
        each(connection, by_snapshot, |row| {
            held.snapshot
                .add((row.get_ref(0).map(bytes)?, row.get::<_, i64>(1)?));
            Ok(())
        })?;
        let by_kind =
            "SELECT kind, seq FROM entry INDEXED BY entry_kind WHERE collector IS NULL AND snapshot IS NULL";
        each(connection, by_kind, |row| {
            held.kind.add((row.get_ref(0).map(bytes)?, row.get::<_, i64>(1)?));
            Ok(())
        })?;
        let indexes = [
            ("entry_target", self.target == held.target),
            ("entry_snapshot", self.snapshot == held.snapshot),
            ("entry_kind", self.kind == held.kind),
        ];
        report(indexes, "entry", problems);
        Ok(())
    }
}

/// What the indexes of the table `blob` hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BlobIndexes {
    name: Sum,
    payload: Sum,
}

impl BlobIndexes {
    /// Adds a row of the table.
    pub(super) fn add(&mut self, rowid: i64, sha256: &[u8], payload_sha256: &[u8]) {
        self.name.add((sha256, rowid));
        self.payload.add((payload_sha256, rowid));
    }

    pub(super) fn join(&mut self, other: Self) {
        self.name.join(other.name);
        self.payload.join(other.payload);
    }

    /// Compares what the rows gave with what the indexes hold.
    pub(super) fn compare(self, connection: &Connection, problems: &mut Problems) -> Result<(), StoreError> {
        let sum = |sql| {
            let mut sum = Sum::default();
            each(connection, sql, |row| {
                sum.add((row.get_ref(0)?.as_bytes()?, row.get::<_, i64>(1)?));
                Ok(())
            })?;
            Ok(sum)
        };
        // Ordered by its column, so that the pass is over the index.
        let name = sum("SELECT sha256, rowid FROM blob INDEXED BY sqlite_autoindex_blob_1 ORDER BY sha256")?;
        let payload =
            sum("SELECT payload_sha256, rowid FROM blob INDEXED BY blob_payload ORDER BY payload_sha256")?;
        let indexes = [
            ("of blob by name", self.name == name),
            ("blob_payload", self.payload == payload),
        ];
        report(indexes, "blob", problems);
        Ok(())
    }
}

fn report<const N: usize>(indexes: [(&str, bool); N], kind: &'static str, problems: &mut Problems) {
    for (index, same) in indexes {
        if !same {
            problems.add(
                None,
                kind,
                format!("the index {index} does not hold what the rows say"),
            );
        }
    }
}

fn each(
    connection: &Connection,
    sql: &str,
    mut work: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(sql).map_err(reading)?;
    let mut rows = statement.query([]).map_err(reading)?;
    while let Some(row) = rows.next().map_err(reading)? {
        work(row).map_err(reading)?;
    }
    Ok(())
}

/// A value's bytes, a number's as it stands, whatever type a damaged row has; nothing for null.
fn bytes(value: ValueRef<'_>) -> Option<std::borrow::Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_be_bytes().to_vec().into()),
        ValueRef::Real(number) => Some(number.to_be_bytes().to_vec().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.into()),
    }
}
