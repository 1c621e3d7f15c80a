//! A small store to tamper with.

use chrono::{DateTime, TimeDelta, Utc};
use evidenced::clock::{Clock, SharedClock};
use evidenced::log::append::{Appender, Draft};
use evidenced::log::checkpoint::VerifierKey;
use evidenced::log::leaf::{Body, EvaluationLeaf, FailureLeaf, Role, SnapshotLeaf, Trigger};
use evidenced::log::store::{Paths, StoreError};
use evidenced::log::verify::Report;
use evidenced::log::verify_store::verify_store;
use evidenced_collector_api::{Covers, FailureClass};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Moves on by an hour whenever it is asked.
#[derive(Default)]
struct Hourly(AtomicI64);

impl Clock for Hourly {
    fn now(&self) -> DateTime<Utc> {
        at(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(7)
    }
}

/// So many hours after 08:00 of some day.
fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::hours(hours)
}

fn clock() -> SharedClock {
    Arc::new(Hourly::default())
}

pub(crate) struct Store {
    /// Deleted with this.
    _folder: TempDir,
    pub(crate) paths: Paths,
}

impl Store {
    /// Leaf 0, a snapshot whose evidence is stored compressed and whose raw answer is not, and its evaluation, each in a
    /// batch of its own.
    pub(crate) fn small() -> Self {
        Self::with([snapshot(), evaluation()])
    }

    /// More leaves than a subtree of the table `tree` has.
    pub(crate) fn large() -> Self {
        Self::with((0..260).map(|n| if n % 2 == 0 { failure() } else { snapshot() }))
    }

    pub(crate) fn with(drafts: impl IntoIterator<Item = Draft>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("store"));
        let store = Self {
            _folder: folder,
            paths,
        };
        store.append(drafts);
        store
    }

    pub(crate) fn append(&self, drafts: impl IntoIterator<Item = Draft>) {
        let log = self.open().unwrap();
        for draft in drafts {
            log.append_blocking(draft).unwrap();
        }
    }

    pub(crate) fn open(&self) -> Result<Appender, StoreError> {
        Appender::open(&self.paths, "acme", clock())
    }

    pub(crate) fn verify(&self, pinned: Option<&VerifierKey>) -> Report {
        verify_store(&self.paths, pinned, &|_, _| {}).unwrap()
    }

    pub(crate) fn key(&self) -> VerifierKey {
        VerifierKey::parse(&self.verify(None).key).unwrap()
    }

    /// A way past all of our code, into the database.
    pub(crate) fn database(&self) -> Connection {
        let connection = Connection::open(self.paths.database()).unwrap();
        connection
            .execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;")
            .unwrap();
        connection
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.database().execute_batch(sql).unwrap();
    }

    /// The same store in another folder.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("store"));
        let copy = Self {
            _folder: folder,
            paths,
        };
        copy.restore(self, &["evidence.db", "guard", "key"]);
        copy
    }

    /// Puts files of another store in the place of this one's.
    pub(crate) fn restore(&self, other: &Self, files: &[&str]) {
        std::fs::create_dir_all(self.paths.directory()).unwrap();
        for file in files {
            if *file == "evidence.db" {
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)");
                for extension in ["db-wal", "db-shm"] {
                    let beside = self.paths.database().with_extension(extension);
                    assert!(std::fs::remove_file(&beside).is_ok() || !beside.exists());
                }
            }
            std::fs::copy(
                other.paths.directory().join(file),
                self.paths.directory().join(file),
            )
            .unwrap();
        }
    }
}

pub(crate) fn snapshot() -> Draft {
    let body = Body::Snapshot(SnapshotLeaf {
        plan: 0,
        collector: "a.b".to_owned(),
        source: "s".to_owned(),
        target: "t".to_owned(),
        tick: None,
        trigger: Trigger::Schedule,
        started: at(0),
        finished: at(0),
        attempts: 1,
        covers: Covers::At { at: at(0) },
        complete: true,
        resources: 2,
    });
    let compressible = "{\"resources\":[]}".repeat(64);
    Draft::new(body)
        .with_blob(Role::Evidence, "application/json", compressible.as_bytes())
        .unwrap()
        .with_blob(Role::Raw, "text/plain", b"short")
        .unwrap()
}

pub(crate) fn evaluation() -> Draft {
    let body = Body::Evaluation(EvaluationLeaf {
        snapshot: 1,
        plan: 0,
        results: serde_json::json!([{ "test": "x", "outcome": "pass", "pass": 2 }]),
    });
    Draft::new(body)
        .with_blob(Role::Findings, "application/json", b"{}")
        .unwrap()
}

pub(crate) fn failure() -> Draft {
    Draft::new(Body::Failure(FailureLeaf {
        plan: 0,
        collector: "a.b".to_owned(),
        source: "s".to_owned(),
        target: None,
        tick: Some(at(1)),
        trigger: Trigger::AdHoc,
        started: at(0),
        finished: at(0),
        attempts: 3,
        class: FailureClass::Timeout,
        message: "no answer".to_owned(),
        retryable: true,
    }))
}
