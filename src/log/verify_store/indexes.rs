//! Comparing SQLite's indexes with the rows they are copies of.
//!
//! Queries are answered from indexes: a snapshot missing from one is missing from every list while its row is as it
//! should be. So while the rows are checked, a sum is made of what each index must hold, in any order, and then
//! compared with a pass over the index. SQLite's own `integrity_check` does the same, at many times the cost.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::hash::{DefaultHasher, Hash, Hasher as _};

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
        let [kind, snapshot, collector, source, target] = &columns.map(value);
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
    pub(super) fn compare(self, connection: &Connection, problems: &mut Problems) {
        let by_target = "SELECT collector, source, target, kind, seq FROM entry INDEXED BY entry_target \
                         WHERE collector IS NOT NULL";
        let by_snapshot =
            "SELECT snapshot, seq FROM entry INDEXED BY entry_snapshot WHERE snapshot IS NOT NULL";
        let by_kind =
            "SELECT kind, seq FROM entry INDEXED BY entry_kind WHERE collector IS NULL AND snapshot IS NULL";
        let target = sum(connection, by_target, |row| {
            let column = |index| row.get_ref(index).map(value);
            Ok((
                column(0)?,
                column(1)?,
                column(2)?,
                column(3)?,
                row.get::<_, i64>(4)?,
            ))
        });
        report("entry", "entry_target", self.target, target, problems);
        report(
            "entry",
            "entry_snapshot",
            self.snapshot,
            sum(connection, by_snapshot, one_column),
            problems,
        );
        report(
            "entry",
            "entry_kind",
            self.kind,
            sum(connection, by_kind, one_column),
            problems,
        );
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
    pub(super) fn add(&mut self, rowid: i64, sha256: ValueRef<'_>, payload_sha256: ValueRef<'_>) {
        self.name.add((value(sha256), rowid));
        self.payload.add((value(payload_sha256), rowid));
    }

    pub(super) fn join(&mut self, other: Self) {
        self.name.join(other.name);
        self.payload.join(other.payload);
    }

    /// Compares what the rows gave with what the indexes hold.
    pub(super) fn compare(self, connection: &Connection, problems: &mut Problems) {
        // Ordered by its column, so that the pass is over the index.
        let by_name = "SELECT sha256, rowid FROM blob INDEXED BY sqlite_autoindex_blob_1 ORDER BY sha256";
        let by_payload =
            "SELECT payload_sha256, rowid FROM blob INDEXED BY blob_payload ORDER BY payload_sha256";
        report(
            "blob",
            "of blobs by name",
            self.name,
            sum(connection, by_name, one_column),
            problems,
        );
        report(
            "blob",
            "blob_payload",
            self.payload,
            sum(connection, by_payload, one_column),
            problems,
        );
    }
}

fn report(kind: &'static str, index: &str, rows: Sum, held: rusqlite::Result<Sum>, problems: &mut Problems) {
    match held {
        Ok(held) if held == rows => {}
        Ok(_) => problems.add(
            None,
            kind,
            format!("the index {index} does not hold what the rows say"),
        ),
        Err(error) => problems.add(None, kind, format!("the index {index} can't be read: {error}")),
    }
}

fn sum<R: Hash>(
    connection: &Connection,
    sql: &str,
    columns: impl for<'r> Fn(&'r Row<'_>) -> rusqlite::Result<R>,
) -> rusqlite::Result<Sum> {
    let mut sum = Sum::default();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sum.add(columns(row)?);
    }
    Ok(sum)
}

fn one_column(row: &Row<'_>) -> rusqlite::Result<(Value, i64)> {
    Ok((row.get_ref(0).map(value)?, row.get(1)?))
}

/// A value as an index compares it: by its type, then its bytes. Nothing for null.
type Value = Option<(u8, Vec<u8>)>;

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some((1, number.to_be_bytes().to_vec())),
        ValueRef::Real(number) => Some((2, number.to_be_bytes().to_vec())),
        ValueRef::Text(bytes) => Some((3, bytes.to_vec())),
        ValueRef::Blob(bytes) => Some((4, bytes.to_vec())),
    }
}
