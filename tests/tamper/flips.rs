//! Every bit of every column of every row, of the guard: `verify` finds each, and says at which leaf.

use evidenced::log::checkpoint::Checkpoint;
use evidenced::log::guard::{self, GUARD_SIZE, Slot};
use evidenced::log::verify::Report;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::store::Store;
use crate::table::{Row, Table, Value};

/// The leaf that a row belongs to. A new table must be given its answer here.
fn leaf_of(table: &Table, row: &Row) -> Option<u64> {
    let number = |column| table.get(row, column).and_then(Value::as_u64);
    match table.name.as_str() {
        // No leaf is concerned, but the log.
        "meta" => None,
        "leaf" | "entry" | "blob" => number("seq"),
        // The last of the leaves that it is over.
        "checkpoint" => number("size")?.checked_sub(1),
        "tree" => Some(((number("position")? + 1) << number("level")?) - 1),
        other => panic!("which leaf does a row of {other} belong to?"),
    }
}

/// Whether a report speaks of a change to a row of this leaf. What names the log is checked against leaf 0.
fn names(report: &Report, leaf: Option<u64>) -> bool {
    !report.intact
        && report
            .problems
            .iter()
            .any(|problem| problem.seq == leaf || (leaf.is_none() && problem.seq == Some(0)))
}

/// One column of one row, to be changed in every way.
struct Cell {
    table: Table,
    row: Row,
    column: usize,
}

impl Cell {
    fn all(store: &Store) -> Vec<Self> {
        let database = store.database();
        let mut cells = Vec::new();
        for table in Table::all(&database) {
            for row in table.rows(&database) {
                cells.extend((0..table.columns.len()).map(|column| Self {
                    table: table.clone(),
                    row: row.clone(),
                    column,
                }));
            }
        }
        cells
    }

    /// The row with a bit flipped, for each bit; and with nothing where there was something, and the reverse.
    fn changes(&self) -> impl Iterator<Item = Row> {
        let (column, value) = (&self.table.columns[self.column], &self.row[self.column]);
        let nulled = match value {
            Value::Null => Some(column.sample.clone()),
            _ => column.nullable.then_some(Value::Null),
        };
        let flipped = (0..value.bits()).map(|bit| value.clone().with_flipped(bit));
        flipped.chain(nulled).map(|value| {
            let mut row = self.row.clone();
            row[self.column] = value;
            row
        })
    }

    /// Makes every change to the store, and returns how many there were and what was not found.
    fn change(&self, store: &Store) -> (usize, Vec<String>) {
        let (database, table) = (store.database(), &self.table);
        let (mut changes, mut missed) = (0, Vec::new());
        for row in self.changes() {
            if !table.replace(&database, &self.row, &row) {
                assert!(table.columns[self.column].of_key, "only a key can collide");
                continue;
            }
            changes += 1;
            let report = store.verify(None);
            if !names(&report, leaf_of(table, &self.row)) && !names(&report, leaf_claimed(table, &row)) {
                let (name, was) = (&table.columns[self.column].name, &self.row[self.column]);
                let bit = (0..was.bits()).find(|bit| was.clone().with_flipped(*bit) == row[self.column]);
                missed.push(format!(
                    "{}.{name} of {:?}, bit {bit:?}: {:?}",
                    table.name,
                    leaf_of(table, &self.row),
                    report.problems
                ));
            }
            assert!(table.replace(&database, &row, &self.row));
        }
        assert_eq!(store.verify(None).problems, [], "all was put back");
        (changes, missed)
    }
}

/// As [`leaf_of`], of a changed row: where its leaf is what was changed, either is right.
fn leaf_claimed(table: &Table, row: &Row) -> Option<u64> {
    match table.name.as_str() {
        // A root in a place without leaves.
        "tree" => None,
        _ => leaf_of(table, row),
    }
}

/// Makes every change to the cells, on two threads with a store each, since there are tens of thousands.
fn change_all(stores: &[Store; 2], cells: &[Cell]) -> usize {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let changes: usize = std::thread::scope(|scope| {
        let threads = stores.each_ref().map(|store| {
            let (next, missed) = (&next, &missed);
            scope.spawn(move || {
                let mut total = 0;
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (changes, new) = cell.change(store);
                    total += changes;
                    missed.lock().unwrap().extend(new);
                }
                total
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let missed = missed.into_inner().unwrap();
    assert!(
        missed.is_empty(),
        "{} of {changes} changes were not found, or not at their leaf:\n{}",
        missed.len(),
        missed
            .iter()
            .step_by(missed.len().div_ceil(30))
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    changes
}

#[test]
fn every_flipped_bit_of_every_column_is_found_at_its_leaf() {
    let store = Store::small();
    let cells = Cell::all(&store);
    let codecs: Vec<_> = cells
        .iter()
        .filter_map(|cell| cell.table.get(&cell.row, "codec"))
        .collect();
    for codec in ["raw", "zstd"] {
        assert!(
            codecs.contains(&&Value::Text(codec.into())),
            "a blob is stored as {codec}"
        );
    }
    let changes = change_all(&[store.copy(), store], &cells);
    assert!(changes > 15_000, "{changes}");
}

#[test]
fn every_flipped_bit_of_a_subtree_root_is_found_at_its_last_leaf() {
    let store = Store::large();
    let cells = Cell::all(&store)
        .into_iter()
        .filter(|cell| cell.table.name == "tree");
    let cells: Vec<_> = cells.collect();
    assert_eq!(cells.len(), 3, "one row of three columns");
    let changes = change_all(&[store.copy(), store], &cells);
    assert_eq!(changes, 64 + 64 + 256);
}

#[test]
fn every_row_taken_away_or_added_is_found() {
    for store in [Store::small(), Store::large()] {
        let database = store.database();
        for table in Table::all(&database) {
            let rows = table.rows(&database);
            // Few rows of a kind, for the time it takes.
            for row in rows.iter().step_by(rows.len().div_ceil(12).max(1)) {
                table.delete(&database, row);
                let report = store.verify(None);
                // A checkpoint that no longer counts is dropped by every later batch: only the newest can be missed.
                let dispensable = table.name == "checkpoint" && Some(row) != rows.last();
                assert!(
                    dispensable || names(&report, leaf_of(&table, row)),
                    "{}: {report:?}",
                    table.name
                );
                table.insert(&database, row);
            }
            if let Some(row) = rows.first() {
                let added = table.insert_beside(&database, row);
                let report = store.verify(None);
                assert!(!report.intact, "{}: {added:?}", table.name);
                table.delete(&database, &added);
            }
        }
        assert_eq!(store.verify(None).problems, []);
    }
}

/// What a crash leaves is a half-written newer half and a database one batch ahead of the older one, so a damaged newer
/// half alone can't be told from a crash: nothing is lost by it, and the next start writes it anew. Any other bit is found.
#[test]
fn every_flipped_bit_of_the_guard_is_found_or_mended_as_after_a_crash() {
    let store = Store::small();
    let guard = std::fs::read(store.paths.guard()).unwrap();
    let slots = guard::parse(&guard);
    let size = |slot: &Slot| match slot {
        Slot::Note(note) => Checkpoint::parse(note).unwrap().size,
        other => panic!("{other:?}"),
    };
    let newer = usize::from(size(&slots[1]) > size(&slots[0]));
    let mut broken = guard.clone();
    for bit in 0..guard.len() * 8 {
        broken[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(store.paths.guard(), &broken).unwrap();
        let report = store.verify(None);
        if bit / 8 / (GUARD_SIZE / 2) == newer {
            assert_eq!(report.problems, [], "bit {bit}");
        } else {
            assert!(names(&report, Some(2)), "bit {bit}: {report:?}");
            assert!(
                report.problems.iter().all(|problem| problem.kind == "guard"),
                "{report:?}"
            );
        }
        broken[bit / 8] ^= 1 << (bit % 8);
    }
    broken[newer * GUARD_SIZE / 2] ^= 1;
    std::fs::write(store.paths.guard(), &broken).unwrap();
    drop(store.open().unwrap());
    assert_eq!(
        std::fs::read(store.paths.guard()).unwrap(),
        guard,
        "mended by the next start"
    );
}
