//! Comparing SQLite's indexes with the rows they are copies of.
//!
//! Queries are answered from indexes: a snapshot missing from one is missing from every list while its row is as it
//! should be. So while the rows are checked, a sum is made of what each index must hold, in any order, and compared
//! with a pass over the index. SQLite's own `integrity_check` does the same, at many times the cost.

use foldhash::quality::RandomState;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Problems;

/// A sum over rows, the same in whatever order they come. They are hashed with a key of the moment, so that nobody can
/// prepare other rows with the same sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum(u64);

impl Sum {
    /// Adds a row: its number, and the columns as an index compares them, by type, then bytes.
    fn add(&mut self, key: &RandomState, number: i64, columns: &[ValueRef<'_>]) {
        let mut hasher = key.build_hasher();
        hasher.write_i64(number);
        for column in columns {
            match column {
                ValueRef::Null => hasher.write_u8(0),
                ValueRef::Integer(number) => {
                    hasher.write_u8(1);
                    hasher.write_i64(*number);
                }
                ValueRef::Real(number) => {
                    hasher.write_u8(2);
                    hasher.write_u64(number.to_bits());
                }
                ValueRef::Text(bytes) => {
                    hasher.write_u8(3);
                    hasher.write_usize(bytes.len());
                    hasher.write(bytes);
                }
                ValueRef::Blob(bytes) => {
                    hasher.write_u8(4);
                    hasher.write_usize(bytes.len());
                    hasher.write(bytes);
                }
            }
        }
        self.0 = self.0.wrapping_add(hasher.finish());
    }
}

/// The indexes of a table, read by whichever thread comes first.
pub(super) struct Indexes<const N: usize> {
    table: &'static str,
    /// Names, and queries that are a pass over the index: a row's number, then at most four columns.
    queries: [(&'static str, &'static str); N],
    key: RandomState,
    next: AtomicUsize,
    held: [OnceLock<rusqlite::Result<Sum>>; N],
}

/// What the rows of a table say that its indexes must hold.
pub(super) struct Rows<'a, const N: usize> {
    indexes: &'a Indexes<N>,
    sums: [Sum; N],
}

impl Indexes<3> {
    /// Those of the table `entry`.
    pub(super) fn of_entries() -> Self {
        Self::new(
            "entry",
            [
                (
                    "entry_target",
                    "SELECT seq, collector, source, target, kind FROM entry INDEXED BY entry_target \
                     WHERE collector IS NOT NULL",
                ),
                (
                    "entry_snapshot",
                    "SELECT seq, snapshot FROM entry INDEXED BY entry_snapshot WHERE snapshot IS NOT NULL",
                ),
                (
                    "entry_kind",
                    "SELECT seq, kind FROM entry INDEXED BY entry_kind \
                     WHERE collector IS NULL AND snapshot IS NULL",
                ),
            ],
        )
    }
}

impl Indexes<2> {
    /// Those of the table `blob`.
    pub(super) fn of_blobs() -> Self {
        // Ordered by their column, so that the pass is over the index.
        Self::new(
            "blob",
            [
                (
                    "of blobs by name",
                    "SELECT rowid, sha256 FROM blob INDEXED BY sqlite_autoindex_blob_1 ORDER BY sha256",
                ),
                (
                    "blob_payload",
                    "SELECT rowid, payload_sha256 FROM blob INDEXED BY blob_payload ORDER BY payload_sha256",
                ),
            ],
        )
    }
}

impl<const N: usize> Indexes<N> {
    fn new(table: &'static str, queries: [(&'static str, &'static str); N]) -> Self {
        Self {
            table,
            queries,
            key: RandomState::default(),
            next: AtomicUsize::new(0),
            held: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Goes through the indexes that no other thread has taken.
    pub(super) fn read(&self, connection: &Connection) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((_, sql)) = self.queries.get(index) else {
                return;
            };
            self.held[index].get_or_init(|| self.sum(connection, sql));
        }
    }

    fn sum(&self, connection: &Connection, sql: &str) -> rusqlite::Result<Sum> {
        let mut sum = Sum::default();
        let mut statement = connection.prepare(sql)?;
        let count = statement.column_count() - 1;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut columns = [ValueRef::Null; 4];
            let columns = &mut columns[..count];
            for (index, column) in columns.iter_mut().enumerate() {
                *column = row.get_ref(index + 1)?;
            }
            sum.add(&self.key, row.get(0)?, columns);
        }
        Ok(sum)
    }

    /// No rows yet.
    pub(super) fn rows(&self) -> Rows<'_, N> {
        Rows {
            indexes: self,
            sums: [Sum::default(); N],
        }
    }
}

impl<const N: usize> Rows<'_, N> {
    fn add_to(&mut self, index: usize, number: i64, columns: &[ValueRef<'_>]) {
        self.sums[index].add(&self.indexes.key, number, columns);
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(other.sums) {
            sum.0 = sum.0.wrapping_add(other.0);
        }
    }

    /// Compares all rows of the table with what the indexes, which have been read, hold.
    pub(super) fn compare(&self, problems: &mut Problems) {
        for (index, rows) in self.sums.iter().enumerate() {
            let name = self.indexes.queries[index].0;
            let detail = match self.indexes.held[index].get() {
                Some(Ok(held)) if held == rows => continue,
                Some(Err(error)) => format!("the index {name} can't be read: {error}"),
                _ => format!("the index {name} does not hold what the rows say"),
            };
            problems.add(None, self.indexes.table, detail);
        }
    }
}

impl Rows<'_, 3> {
    /// Adds a row: `seq`, then `kind`, `snapshot`, `collector`, `source` and `target` as they are.
    pub(super) fn add(&mut self, seq: i64, columns: [ValueRef<'_>; 5]) {
        let [kind, snapshot, collector, source, target] = columns;
        if collector != ValueRef::Null {
            self.add_to(0, seq, &[collector, source, target, kind]);
        }
        if snapshot != ValueRef::Null {
            self.add_to(1, seq, &[snapshot]);
        }
        if collector == ValueRef::Null && snapshot == ValueRef::Null {
            self.add_to(2, seq, &[kind]);
        }
    }
}

impl Rows<'_, 2> {
    /// Adds a row.
    pub(super) fn add(&mut self, rowid: i64, sha256: ValueRef<'_>, payload_sha256: ValueRef<'_>) {
        self.add_to(0, rowid, &[sha256]);
        self.add_to(1, rowid, &[payload_sha256]);
    }
}
