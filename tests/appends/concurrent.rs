//! Many writers and readers of one store at the same time, in one process and in several. What was acknowledged is there,
//! and nobody who looks while others write is ever told that something is wrong.

use chrono::{DateTime, Utc};
use evidenced::clock::{self, Clock};
use evidenced::log::append::{Appender, Receipt};
use evidenced::log::leaf::Role;
use evidenced::log::start;
use evidenced::log::store::{Filter, Paths, Reader};
use evidenced::log::tree;
use evidenced::log::verify_store::verify_store;
use std::io::{BufRead as _, BufReader};
use std::panic::AssertUnwindSafe;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::snapshot;

/// Tells a process that it is a child of [`processes_append_at_once`], and where the store is.
const STORE: &str = "EVIDENCED_TEST_APPEND_TO";

/// How many leaves each writer appends.
const EACH: u64 = 60;

/// Appends [`EACH`] leaves, some with a payload that the others have too.
fn append(log: &Appender, name: &str, acknowledged: impl Fn(Receipt)) {
    for n in 0..EACH {
        let target = if n % 3 == 0 { "common" } else { name };
        let draft = snapshot("a.b", "s", target)
            .with_blob(
                Role::Evidence,
                "text/plain",
                format!("payload {}", n / 10).as_bytes(),
            )
            .unwrap()
            .with_blob(Role::Raw, "text/plain", format!("{name} {n}").as_bytes())
            .unwrap();
        acknowledged(log.append_blocking(draft).unwrap());
    }
}

/// Looks at the store in every way, again and again, until the writers are done; returns how often.
fn watch(paths: &Paths, done: &AtomicBool) -> u64 {
    let (mut rounds, mut size) = (0, 0);
    let reader = Reader::open(paths).unwrap();
    loop {
        let last = done.load(Ordering::Acquire);
        let report = verify_store(paths, None, &|_, _| {}).unwrap();
        assert_eq!(report.problems, [], "a false alarm at {} leaves", report.size);
        assert!(report.size >= size, "a log never shrinks");
        size = report.size;
        let newest = reader
            .entries(&Filter {
                limit: Some(3),
                ..Filter::default()
            })
            .unwrap();
        for entry in newest {
            for blob in reader.leaf(entry.seq).unwrap().unwrap().blobs {
                assert!(reader.payload(&blob.sha256).unwrap().is_some());
            }
        }
        for _ in 0..100 {
            let held = start::hold(&reader).unwrap();
            let end = held.reader().size().unwrap() - 1;
            assert!(held.reader().leaf(end).unwrap().is_some());
        }
        rounds += 1;
        if last {
            return rounds;
        }
    }
}

/// Every acknowledged leaf is in the log under its seq and hash, each once, and there are no others.
fn check(paths: &Paths, mut receipts: Vec<(u64, String)>, others: u64) {
    receipts.sort();
    receipts.dedup();
    let reader = Reader::open(paths).unwrap();
    let size = reader.size().unwrap();
    assert_eq!(
        size,
        receipts.len() as u64 + others,
        "each receipt is of a leaf of its own"
    );
    for (seq, hash) in receipts {
        let bytes = reader.leaf_bytes(seq).unwrap().unwrap();
        assert_eq!(hex::encode(tree::hash_leaf(&bytes)), hash, "leaf {seq}");
    }
    let report = verify_store(paths, None, &|_, _| {}).unwrap();
    assert_eq!((report.problems, report.size), (Vec::new(), size));
}

fn to_text(receipt: Receipt) -> (u64, String) {
    (receipt.seq, hex::encode(receipt.hash))
}

#[test]
fn threads_append_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("store"));
    let open = || Appender::open(&paths, "acme", clock::system()).unwrap();
    let (first, second) = (open(), open());
    // Two appenders, the second shared by two threads, so that batches of several meet batches of another.
    let writers = [(first, "x"), (second.clone(), "y"), (second, "z")];
    let done = AtomicBool::new(false);
    let receipts = std::thread::scope(|scope| {
        let watchers = [(); 2].map(|()| scope.spawn(|| watch(&paths, &done)));
        let threads = writers.map(|(log, name)| {
            scope.spawn(move || {
                let receipts = std::sync::Mutex::new(Vec::new());
                append(&log, name, |receipt| {
                    receipts.lock().unwrap().push(to_text(receipt));
                });
                receipts.into_inner().unwrap()
            })
        });
        let receipts: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        done.store(true, Ordering::Release);
        for watcher in watchers {
            assert!(watcher.join().unwrap() > 1);
        }
        receipts
    });
    assert_eq!(receipts.len() as u64, 3 * EACH);
    check(&paths, receipts, 1);
}

/// Not a test by itself: what [`processes_append_at_once`] starts.
#[test]
fn a_child_process_appends() {
    let Ok(store) = std::env::var(STORE) else { return };
    let log = Appender::open(&Paths::new(store), "acme", clock::system()).unwrap();
    append(&log, &std::process::id().to_string(), |receipt| {
        let (seq, hash) = to_text(receipt);
        println!("\nappended {seq} {hash}");
    });
}

fn child(paths: &Paths) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "concurrent::a_child_process_appends", "--nocapture"])
        .env(STORE, paths.directory())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child was told is in the log, once it has ended well.
fn receipts(mut child: Child) -> Vec<(u64, String)> {
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let receipts = lines.filter_map(|line| {
        let (seq, hash) = line.strip_prefix("appended ")?.split_once(' ')?;
        Some((seq.parse().unwrap(), hash.to_owned()))
    });
    let receipts = receipts.collect();
    assert!(child.wait().unwrap().success());
    receipts
}

#[test]
fn processes_append_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("store"));
    // Both may find no store, and must not make two.
    let children = [child(&paths), child(&paths)];
    while Reader::open(&paths)
        .and_then(|reader| reader.checkpoint())
        .is_err()
    {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let done = AtomicBool::new(false);
    let receipts: Vec<_> = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&paths, &done));
        let threads = children.map(|child| scope.spawn(|| receipts(child)));
        let receipts = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        done.store(true, Ordering::Release);
        assert!(watcher.join().unwrap() > 1);
        receipts
    });
    assert_eq!(receipts.len() as u64, 2 * EACH);
    check(&paths, receipts, 1);
}

/// A clock that panics as often as it is told to.
#[derive(Default)]
struct Faulty(AtomicU64);

impl Clock for Faulty {
    fn now(&self) -> DateTime<Utc> {
        let told = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        assert!(told.is_err(), "the clock is broken");
        DateTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_panic_in_a_batch_costs_that_batch_alone() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("store"));
    let clock = Arc::new(Faulty::default());
    let log = Appender::open(&paths, "acme", clock.clone()).unwrap();
    clock.0.store(3, Ordering::Relaxed);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let log = &log;
                scope.spawn(move || {
                    let name = format!("t{n}");
                    let append = || log.append_blocking(snapshot("a.b", "s", &name));
                    std::panic::catch_unwind(AssertUnwindSafe(append))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let panicked = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let acknowledged: Vec<_> = outcomes.into_iter().flatten().flatten().collect();
    assert!((1..=3).contains(&panicked), "{panicked} panicked");
    let last = loop {
        let append = || log.append_blocking(snapshot("a.b", "s", "last"));
        if let Ok(Ok(receipt)) = std::panic::catch_unwind(AssertUnwindSafe(append)) {
            break receipt;
        }
    };
    let receipts = acknowledged.into_iter().chain([last]);
    check(
        &paths,
        receipts.map(|r| (r.seq, hex::encode(r.hash))).collect(),
        1,
    );
    assert_eq!(verify_store(&paths, None, &|_, _| {}).unwrap().problems, []);
}
