//! Bits flipped in the database's file, below SQLite: either `verify` finds them, or every reader is told what it was
//! told before. Indexes are stored a second time, so this is about them as much as about the rows.

use evidenced::log::store::{Filter, Reader, StoreError};
use evidenced::log::verify_store::verify_store;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use crate::store::{Store, evaluation, failure, snapshot};

/// Everything that a reader can be told, each way there is to ask.
fn told(store: &Store) -> Result<Vec<String>, StoreError> {
    let reader = Reader::open(&store.paths)?;
    let size = reader.size()?;
    let mut told = vec![format!("{} {size} {}", reader.origin(), reader.checkpoint()?)];
    let mut tell = |what: &dyn std::fmt::Debug| told.push(format!("{what:?}"));
    for seq in 0..size {
        let leaf = reader
            .leaf(seq)?
            .ok_or_else(|| StoreError::Damaged("a leaf is gone".to_owned()))?;
        for blob in &leaf.blobs {
            tell(&reader.payload(&blob.sha256)?);
        }
        tell(&(
            leaf,
            reader.evaluation_of(seq)?,
            reader.inclusion_proof(seq, size)?,
        ));
    }
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter {
            collector: text("a.b"),
            ..Filter::default()
        },
        Filter {
            collector: text("a.b"),
            source: text("s"),
            target: text("t"),
            ..Filter::default()
        },
        Filter {
            kinds: vec!["snapshot".to_owned(), "failure".to_owned()],
            ..Filter::default()
        },
        Filter {
            from: text("2027-01-15T09"),
            to: text("2027-01-15T11"),
            ..Filter::default()
        },
    ];
    for filter in filters {
        tell(&reader.entries(&filter)?);
    }
    for kind in ["key", "snapshot", "failure", "evaluation"] {
        tell(&reader.newest(kind, None)?);
        tell(&reader.newest(kind, Some(("a.b", "s", Some("t"))))?);
        tell(&reader.newest(kind, Some(("a.b", "s", None)))?);
    }
    tell(&reader.unjudged()?);
    Ok(told)
}

#[test]
fn no_flipped_bit_of_the_file_goes_unnoticed_and_changes_what_readers_are_told() {
    const STEP: usize = 5;
    let store = Store::with([snapshot(), evaluation(), failure(), failure(), snapshot()]);
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let before = told(&store).unwrap();
    let bytes = std::fs::read(store.paths.database()).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(store.paths.database())
        .unwrap();
    let used = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte != 0)
        .step_by(STEP);
    let (mut found, mut harmless, mut missed) = (0, 0, Vec::new());
    for (at, byte) in used {
        let flipped = byte ^ (1 << (at / STEP % 8));
        file.write_all_at(&[flipped], at as u64).unwrap();
        match verify_store(&store.paths, None, &|_, _| {}) {
            Ok(report) if report.intact => match told(&store) {
                Ok(after) if after == before => harmless += 1,
                other => missed.push(format!("byte {at}: {}", other.is_ok())),
            },
            Ok(_) | Err(_) => found += 1,
        }
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    println!("{found} found, {harmless} harmless, {} missed", missed.len());
    assert_eq!(missed, [""; 0]);
    assert!(found > 900, "{found}");
}
