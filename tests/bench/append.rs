//! Appending, one after another and from 64 threads, against bare SQLite.
//!
//! The baseline writes the very rows that we wrote, ready-made, each leaf's in a transaction of its own, and flushes a
//! guard of the same size: what remains is what evidenced adds (encoding, hashing, sealing, signing, its queue). All
//! lie on the same disk, each in a store of its own, and are measured in short turns, since disks are noisy: a ratio is
//! the median of those of all turns. What is appended are snapshots, each with a new provenance, and their evaluations.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up should fail")]

use evidenced::log::append::Appender;
use evidenced::log::guard;
use evidenced::log::store::{Paths, SCHEMA};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

#[allow(dead_code, reason = "each benchmark uses its part")]
mod figure;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod store;

use figure::{Figures, time};
use store::Host;

/// How often each is measured.
const TURNS: usize = 75;

/// Snapshots, and as many evaluations, appended one after another in a turn.
const ROUNDS: u64 = 10;

const APPENDERS: usize = 64;

/// Snapshots that each concurrent appender appends in a turn.
const ROUNDS_EACH: u64 = 10;

fn main() -> ExitCode {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let open = |name| {
        let paths = Paths::new(folder.path().join(name));
        let log = Appender::open(&paths, "bench", store::paced()).unwrap();
        (paths, log)
    };
    let ((paths, log), (_, crowded)) = (open("store"), open("crowded"));
    let mut bare = Bare::create(folder.path());
    let reader = Connection::open(paths.database()).unwrap();
    let run = AtomicU64::new(0);
    let append = |log: &Appender, number, rounds| {
        for _ in 0..rounds {
            let run = Some(run.fetch_add(1, Ordering::Relaxed));
            Host { number, plan: 0 }.round(log, 0, run);
        }
    };
    let (mut ours, mut theirs, mut together, mut flush) = (vec![], vec![], vec![], vec![]);
    append(&log, 0, 10);
    for _ in 0..TURNS {
        let from = size(&reader);
        ours.push(per_leaf(2 * ROUNDS, || append(&log, 0, ROUNDS)));
        let rows = Rows::read(&reader, from);
        theirs.push(per_leaf(2 * ROUNDS, || {
            for rows in &rows {
                bare.write(rows);
            }
        }));
        flush.push(per_leaf(ROUNDS, || (0..ROUNDS).for_each(|_| bare.flush())));
        together.push(per_leaf(2 * ROUNDS_EACH * APPENDERS as u64, || {
            std::thread::scope(|scope| {
                for number in 0..APPENDERS {
                    let (append, crowded) = (&append, &crowded);
                    scope.spawn(move || append(crowded, number, ROUNDS_EACH));
                }
            });
        }));
    }
    let ratio = |ours: &[f64], theirs: &[f64]| median(ours.iter().zip(theirs).map(|(a, b)| b / a));
    let (behind_bare, ahead_of_one) = (ratio(&ours, &theirs), ratio(&together, &ours));
    let [ours, theirs, together, flush] = [ours, theirs, together, flush].map(median);

    let mut figures = Figures::default();
    figures.note("one flush of the disk", &format!("{:.0} µs", flush * 1e6));
    let rate = |seconds: f64| format!("{:.0} leaves/s", 1.0 / seconds);
    figures.ratio(
        "appends, one after another",
        &rate(ours),
        &format!("bare SQLite {}", rate(theirs)),
        behind_bare,
        Some(0.8),
    );
    figures.ratio(
        &format!("appends, {APPENDERS} at once"),
        &rate(together),
        &format!("one after another {}", rate(ours)),
        ahead_of_one,
        Some(10.0),
    );
    figures.exit()
}

/// Seconds for each of `count` leaves.
fn per_leaf(count: u64, work: impl FnOnce()) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let count = count as f64;
    time(work).0.as_secs_f64() / count
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn size(connection: &Connection) -> u64 {
    let sql = "SELECT max(seq) + 1 FROM leaf";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The rows that come with one leaf, by table.
struct Rows {
    leaf: Vec<Value>,
    entry: Vec<Value>,
    blobs: Vec<Vec<Value>>,
    checkpoint: Vec<Value>,
}

impl Rows {
    /// Those of all leaves from `seq` on. Only the newest checkpoints are kept: its note stands in for the others'.
    fn read(connection: &Connection, seq: u64) -> Vec<Self> {
        let all = |sql: &str, values: &[u64]| -> Vec<Vec<Value>> {
            let mut statement = connection.prepare(sql).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map(params_from_iter(values), |row| {
                (0..columns).map(|column| row.get(column)).collect()
            });
            rows.unwrap().collect::<Result<_, _>>().unwrap()
        };
        let note = all("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", &[]).remove(0);
        let blobs =
            "SELECT sha256, seq, size, codec, bytes, stored_sha256, payload_sha256, row_sha256 FROM blob";
        (seq..size(connection))
            .map(|seq| Self {
                leaf: all("SELECT * FROM leaf WHERE seq = ?", &[seq]).remove(0),
                entry: all("SELECT * FROM entry WHERE seq = ?", &[seq]).remove(0),
                blobs: all(&format!("{blobs} WHERE seq = ?"), &[seq]),
                checkpoint: vec![Value::Integer(i64::try_from(seq + 1).unwrap()), note[0].clone()],
            })
            .collect()
    }
}

/// SQLite with our schema and settings, and a guard, without anything of ours.
struct Bare {
    connection: Connection,
    guard: File,
}

impl Bare {
    fn create(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("bare.db")).unwrap();
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; \
                        PRAGMA cache_size = -16384;";
        connection.execute_batch(&format!("{settings}{SCHEMA}")).unwrap();
        let guard = File::options()
            .write(true)
            .read(true)
            .create_new(true)
            .open(folder.join("bare.guard"))
            .unwrap();
        guard.set_len(guard::GUARD_SIZE as u64).unwrap();
        guard.sync_all().unwrap();
        Self { connection, guard }
    }

    fn write(&mut self, rows: &Rows) {
        let transaction = self.connection.transaction().unwrap();
        let insert = |sql: &str, values: &[Value]| {
            let mut statement = transaction.prepare_cached(sql).unwrap();
            statement.execute(params_from_iter(values)).unwrap();
        };
        for blob in &rows.blobs {
            insert("INSERT INTO blob VALUES (?, ?, ?, ?, ?, ?, ?, ?)", blob);
        }
        insert("INSERT INTO leaf VALUES (?, ?, ?)", &rows.leaf);
        insert("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", &rows.entry);
        let old = "DELETE FROM checkpoint WHERE size = (SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1 OFFSET 1)";
        insert(old, &[]);
        insert("INSERT INTO checkpoint VALUES (?, ?)", &rows.checkpoint);
        transaction.commit().unwrap();
        self.flush();
    }

    fn flush(&self) {
        guard::write_slot(&self.guard, 0, "a note\n").unwrap();
    }
}
