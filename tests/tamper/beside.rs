//! Attacks on what stands beside the rows: guard, key, files, schema. As in `attacks`: what `verify` says, and whether the
//! next start refuses.

use evidenced::log::store::StoreError;

use crate::attacks::{Allowed, Refused, expect, expect_opening, longer};
use crate::forge;
use crate::store::failure;

#[test]
fn an_older_copy_of_the_guard_is_found_unless_a_crash_leaves_the_same() {
    let store = longer();
    let older = store.copy();
    store.append([failure()]);
    store.restore(&older, &["guard"]);
    let report = store.verify(None);
    assert!(
        report.intact,
        "one batch behind is what a crash leaves: {:#?}",
        report.problems
    );
    expect_opening(&store, &Allowed);

    store.append([failure()]);
    store.restore(&older, &["guard"]);
    expect(
        &store,
        (Some(7), "guard", "the guard was replaced by an older copy"),
        &Refused("more than one batch apart"),
    );
}

#[test]
fn the_halves_of_the_guard_may_stand_in_either_order() {
    let store = longer();
    let mut guard = std::fs::read(store.paths.guard()).unwrap();
    let half = guard.len() / 2;
    guard.rotate_left(half);
    std::fs::write(store.paths.guard(), &guard).unwrap();
    assert_eq!(store.verify(None).problems, []);
    store.append([failure(), failure(), failure()]);
    assert_eq!(store.verify(None).problems, []);
}

#[test]
fn a_guard_emptied_cut_short_or_of_another_log_is_found() {
    let good = std::fs::read(longer().paths.guard()).unwrap();
    let zeros = vec![0; good.len()];
    let longer_file = [good.as_slice(), b"\0"].concat();
    let cases: [(&[u8], &str); 5] = [
        (&zeros, "the guard is empty"),
        (b"", "the guard is damaged"),
        (&good[..good.len() - 1], "the guard is damaged"),
        (&longer_file, "the guard is damaged"),
        (&good, "a checkpoint that is not this log's"),
    ];
    for (bytes, words) in cases {
        let store = longer();
        std::fs::write(store.paths.guard(), bytes).unwrap();
        expect(&store, (Some(5), "guard", words), &Refused(words));
    }
}

#[test]
fn a_key_replaced_or_unreadable_is_found() {
    let store = longer();
    forge::write_key(&store, &forge::other_key(&store));
    expect(
        &store,
        (Some(0), "key", "the signing key beside the log is another"),
        &Refused("is not the one this log was begun with"),
    );
    std::fs::write(store.paths.key(), "PRIVATE+KEY+").unwrap();
    expect(
        &store,
        (Some(0), "key", "not a signing key"),
        &Refused("not a signing key"),
    );
}

#[test]
fn a_missing_key_stops_appending_but_not_an_auditor() {
    let store = longer();
    std::fs::remove_file(store.paths.key()).unwrap();
    assert!(store.verify(None).intact);
    expect_opening(&store, &Refused("key missing from"));
}

#[test]
fn a_missing_guard_or_database_is_found() {
    let store = longer();
    std::fs::remove_file(store.paths.guard()).unwrap();
    expect(
        &store,
        (Some(5), "guard", "the guard is missing"),
        &Refused("guard missing from"),
    );
    let store = longer();
    std::fs::remove_file(store.paths.database()).unwrap();
    expect(
        &store,
        (None, "database", "is missing"),
        &Refused("evidence.db missing from"),
    );
    std::fs::remove_file(store.paths.guard()).unwrap();
    expect(
        &store,
        (None, "database", "is missing"),
        &Refused("evidence.db and guard missing from"),
    );
}

#[test]
fn a_store_said_to_be_in_the_making_is_not_made_anew_over_a_grown_log() {
    let store = longer();
    std::fs::write(store.paths.creating(), "").unwrap();
    expect_opening(
        &store,
        &Refused("is being made, and yet it holds a log of 6 leaves"),
    );
}

#[test]
fn anything_added_to_the_schema_is_found() {
    let additions = [
        ("index", "CREATE INDEX x ON leaf (hash)"),
        ("index", "CREATE INDEX x ON blob (hex(sha256))"),
        ("view", "CREATE VIEW x AS SELECT 1"),
        ("table", "CREATE TABLE x (y)"),
        ("table", "ALTER TABLE leaf ADD COLUMN x ANY"),
        ("table", "ALTER TABLE blob ADD COLUMN x INTEGER AS (seq + 1)"),
        (
            "trigger",
            "CREATE TRIGGER x BEFORE INSERT ON leaf BEGIN SELECT raise(IGNORE); END",
        ),
        (
            "trigger",
            "CREATE TRIGGER x AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE kind = 'failure'; END",
        ),
        (
            "trigger",
            "PRAGMA writable_schema = ON;
             INSERT INTO sqlite_master SELECT 'trigger', 'sqlite_stat1', 'leaf', 0,
                'CREATE TRIGGER sqlite_stat1 BEFORE INSERT ON leaf BEGIN SELECT raise(IGNORE); END'",
        ),
    ];
    for (kind, sql) in additions {
        let store = longer();
        store.execute(sql);
        expect(
            &store,
            (None, "schema", &format!("the {kind} ")),
            &Refused("the schema was changed"),
        );
    }
    for sql in ["DROP INDEX entry_kind", "DROP VIEW snapshots"] {
        let store = longer();
        store.execute(sql);
        expect(
            &store,
            (None, "schema", "is missing or changed"),
            &Refused("the schema was changed"),
        );
    }
}

#[test]
fn statistics_for_the_query_planner_are_no_change() {
    let store = longer();
    store.execute("ANALYZE");
    assert_eq!(store.verify(None).problems, []);
    expect_opening(&store, &Allowed);
}

/// A trigger added while the log is open could drop a leaf that is about to be acknowledged.
#[test]
fn a_trigger_added_while_the_log_is_open_stops_appending() {
    let store = longer();
    let log = store.open().unwrap();
    store.execute("CREATE TRIGGER x BEFORE INSERT ON leaf BEGIN SELECT raise(IGNORE); END");
    let error = log.append_blocking(failure()).unwrap_err();
    assert!(error.to_string().contains("the schema was changed"), "{error}");
    store.execute("DROP TRIGGER x");
    log.append_blocking(failure()).unwrap();
    assert_eq!(store.verify(None).problems, []);
}

#[test]
fn a_database_of_another_version_is_refused() {
    let store = longer();
    store.execute("PRAGMA user_version = 2");
    let verified = evidenced::log::verify_store::verify_store(&store.paths, None, &|_, _| {});
    assert!(
        matches!(verified, Err(StoreError::Newer(2))),
        "not damaged, but not ours to judge"
    );
    assert!(matches!(store.open(), Err(StoreError::Newer(2))));
    store.execute("PRAGMA user_version = 0");
    expect(
        &store,
        (None, "database", "it is no evidence log"),
        &Refused("it is no evidence log"),
    );
}
