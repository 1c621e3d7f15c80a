//! The program under test: it appends, and says what was acknowledged, once it was.
//!
//! Its only test does nothing unless one of the other tests runs it as a child process.

use evidenced::clock;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, Role, Scope};
use evidenced::log::store::{Paths, StoreError};
use evidenced::log::verify_store::verify_store;
use std::fmt::Display;
use std::io::Write as _;

/// The name of the test below.
pub(crate) const NAME: &str = "program::the_program_under_test_does_nothing_by_itself";

#[test]
fn the_program_under_test_does_nothing_by_itself() {
    let Ok(workload) = std::env::var("FAULTS_WORKLOAD") else {
        return;
    };
    let program = Program {
        paths: Paths::new(std::env::var("FAULTS_STORE").unwrap()),
        attempts: std::env::var("FAULTS_ATTEMPTS").map_or(3, |text| text.parse().unwrap()),
    };
    // Behind what the test runner has begun a line with.
    say(&"");
    match workload.as_str() {
        "brief" => program.brief(),
        "steady" => program.steady(),
        "heavy" => program.heavy(),
        "endless" => program.endless(),
        "limited" => program.limited(),
        "verify" => program.verify(),
        "daemon" => super::daemon::run(&program.paths),
        "alerts" => super::alerts::run(&program.paths),
        other => panic!("there is no workload {other}"),
    }
    say(&"done");
}

/// What a leaf's payload is, by its tag, `NAME:SIZE`: bytes that can't be compressed.
pub(crate) fn payload(tag: &str) -> Vec<u8> {
    let size = tag.rsplit(':').next().unwrap().parse::<usize>().unwrap();
    let mut random = Random(tag.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte)));
    let mut payload = vec![0; size];
    for part in payload.chunks_mut(8) {
        part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
    }
    payload
}

/// A leaf with that payload, of the collector that the tag begins with.
pub(crate) fn draft(tag: &str) -> Draft {
    let scope = Scope {
        collector: tag.split('.').next().unwrap().to_owned(),
        source: "s".to_owned(),
        count: 1,
    };
    Draft::new(Body::Scope(scope))
        .with_blob(Role::Scope, "application/octet-stream", &payload(tag))
        .unwrap()
}

/// Numbers that only look random, the same for the same seed (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

pub(crate) fn say(what: &dyn Display) {
    let mut out = std::io::stdout().lock();
    // One write for the whole line, so that a death leaves no half of one.
    out.write_all(format!("{what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn say_error(error: &StoreError) {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    let word = if error.is_damage() { "damaged" } else { "error" };
    say(&format!("{word} {error}{}", source.unwrap_or_default()));
}

struct Program {
    paths: Paths,
    attempts: u32,
}

impl Program {
    /// The log, tried anew after an error as the service manager would; without one there is nothing more to do.
    fn open(&self) -> Appender {
        for _ in 0..self.attempts {
            match Appender::open(&self.paths, "acme", clock::system()) {
                Ok(log) => return log,
                Err(error) => say_error(&error),
            }
        }
        say(&"gave up");
        std::process::exit(3)
    }

    fn append(&self, log: &Appender, tag: &str) {
        for _ in 0..self.attempts {
            match log.append_blocking(draft(tag)) {
                Ok(receipt) => {
                    return say(&format!(
                        "ack {} {} {tag}",
                        receipt.seq,
                        hex::encode(receipt.hash)
                    ));
                }
                Err(evidenced::log::append::AppendError::Store(error)) => say_error(&error),
                Err(error) => say(&format!("error {error}")),
            }
        }
        say(&format!("missed {tag}"));
    }

    /// The shortest that has a beginning, a middle and an end.
    fn brief(&self) {
        let log = self.open();
        self.append(&log, "a.1:100");
        self.append(&log, "a.2:100");
        drop(log);
        self.append(&self.open(), "a.3:100");
    }

    /// New and unchanged payloads, a write-ahead log that is begun again, a batch of several, a reopening, overflow
    /// pages.
    fn steady(&self) {
        let log = self.open();
        self.append(&log, "a.1:100");
        self.append(&log, "a.1:100");
        self.checkpoint("PASSIVE");
        self.append(&log, "a.2:100");
        std::thread::scope(|scope| {
            for tag in ["b.1:50", "c.1:50", "d.1:50"] {
                let log = &log;
                scope.spawn(move || self.append(log, tag));
            }
        });
        self.checkpoint("TRUNCATE");
        self.append(&log, "a.2:100");
        drop(log);
        let log = self.open();
        self.append(&log, "a.2:100");
        self.append(&log, "e.1:20000");
    }

    /// More than the write-ahead log holds before SQLite moves it into the database by itself.
    fn heavy(&self) {
        let log = self.open();
        for tag in ["a.1:100", "b.1:2100000", "b.2:2100000", "a.2:100", "a.2:100"] {
            self.append(&log, tag);
        }
        drop(log);
        self.append(&self.open(), "a.3:100");
    }

    /// Four threads append until the process is killed.
    fn endless(&self) {
        let log = self.open();
        let mine = std::env::var("FAULTS_SEED").unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (log, mine) = (&log, &mine);
                scope.spawn(move || {
                    for n in 0_u64.. {
                        let size = if n % 50 == 49 { 30_000 } else { 60 };
                        // Every third is unchanged.
                        self.append(log, &format!("{thread}.{mine}.{}:{size}", n - n % 3));
                    }
                });
            }
        });
    }

    /// A disk that is full from the second leaf on and then has room again, by the limit on the size of files.
    fn limited(&self) {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let log = self.open();
        self.append(&log, "a.1:100");
        let Rlimit { current, maximum } = getrlimit(Resource::Fsize);
        let limit = |current| setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
        // Less than a leaf needs, more than the database has.
        limit(Some(80_000));
        self.append(&log, "a.2:100000");
        self.append(&log, "a.3:100000");
        limit(current);
        self.append(&log, "a.4:100000");
    }

    /// Says what a verifier says.
    fn verify(&self) {
        match verify_store(&self.paths, None, &|_, _| {}) {
            Ok(report) => say(&format!("verified {} {}", report.intact, report.size)),
            Err(error) => say_error(&error),
        }
    }

    /// Another connection moves the write-ahead log into the database, as a person with the `sqlite3` shell may.
    fn checkpoint(&self, mode: &str) {
        let moved = rusqlite::Connection::open(self.paths.database()).and_then(|connection| {
            connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                row.get::<_, i64>(0)
            })
        });
        if let Err(error) = moved {
            say(&format!("error {error}"));
        }
    }
}
