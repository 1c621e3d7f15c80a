//! Whole attacks on the log in the database. For each: what `verify` says, at which leaf, and whether the next start
//! refuses to append.
//!
//! Opening reads the end of the log, its guard and its key, so that it takes the same time for a log of any length: what
//! was changed far from the end is for `verify` to find.

use evidenced::log::store::{Reader, StoreError};
use evidenced::log::verify::Problem;

use crate::forge;
use crate::store::{Store, evaluation, failure, snapshot};

/// What is expected of an opening.
pub(crate) enum Opening {
    /// Refused, with these words in the message.
    Refused(&'static str),
    /// Left to `verify`.
    Allowed,
}
pub(crate) use Opening::{Allowed, Refused};

/// Checks that the store is found broken at `seq` with a problem of this kind and words, and how it opens.
pub(crate) fn expect(store: &Store, (seq, kind, words): (Option<u64>, &str, &str), opening: &Opening) {
    let report = store.verify(None);
    let is_it =
        |problem: &&Problem| problem.seq == seq && problem.kind == kind && problem.detail.contains(words);
    assert!(!report.intact);
    assert!(
        report.problems.iter().any(|problem| is_it(&problem)),
        "{:#?}",
        report.problems
    );
    expect_opening(store, opening);
}

pub(crate) fn expect_opening(store: &Store, opening: &Opening) {
    match (store.open(), opening) {
        (Ok(_), Allowed) => {}
        (Err(StoreError::Damaged(what)), Refused(words)) => assert!(what.contains(words), "{what}"),
        (Ok(_), Refused(words)) => panic!("opened, and should have said {words:?}"),
        (Err(error), _) => panic!("{error}"),
    }
}

/// Six leaves in six batches.
pub(crate) fn longer() -> Store {
    Store::with([snapshot(), evaluation(), failure(), failure(), failure()])
}

#[test]
fn a_leaf_cut_off_the_end_is_missed() {
    let store = longer();
    store.execute("DELETE FROM leaf WHERE seq = 5");
    expect(
        &store,
        (Some(5), "leaf", "is missing"),
        &Refused("for 6 leaves, and the database holds 5"),
    );
}

#[test]
fn a_tail_cut_off_with_all_its_traces_in_the_database_is_missed_by_the_guard() {
    let store = longer();
    store.execute(
        "DELETE FROM leaf WHERE seq = 5; DELETE FROM entry WHERE seq = 5; DELETE FROM checkpoint WHERE size = 6",
    );
    expect(
        &store,
        (
            Some(4),
            "guard",
            "leaves are missing, or an older copy was put in place",
        ),
        &Refused("the guard knows 6 leaves, the database holds 5"),
    );
}

#[test]
fn swapped_leaves_are_found() {
    for (a, b) in [(1, 2), (4, 5)] {
        let store = longer();
        let swap = |seq: u64, other: u64| format!("UPDATE leaf SET seq = {other} WHERE seq = {seq};");
        store.execute(&[swap(a, 99), swap(b, a), swap(99, b)].concat());
        expect(
            &store,
            (Some(a), "leaf", "names another seq"),
            &Refused("that differ from it"),
        );
    }
}

#[test]
fn leaves_swapped_behind_a_subtree_root_are_for_verify_to_find() {
    let store = Store::large();
    store.execute(
        "UPDATE leaf SET seq = 999 WHERE seq = 7; UPDATE leaf SET seq = 7 WHERE seq = 9;
         UPDATE leaf SET seq = 9 WHERE seq = 999",
    );
    expect(&store, (Some(7), "leaf", "names another seq"), &Allowed);
}

#[test]
fn an_inserted_leaf_is_found() {
    let store = longer();
    store.execute(
        "UPDATE leaf SET seq = seq + 101 WHERE seq >= 3; UPDATE leaf SET seq = seq - 100 WHERE seq > 100;
         INSERT INTO leaf SELECT 3, hash, bytes FROM leaf WHERE seq = 4",
    );
    expect(
        &store,
        (Some(4), "leaf", "names another seq"),
        &Refused("for 6 leaves, and the database holds 7"),
    );
}

#[test]
fn a_leaf_dropped_from_the_middle_is_found() {
    let store = longer();
    store.execute("DELETE FROM leaf WHERE seq = 3; UPDATE leaf SET seq = seq - 1 WHERE seq > 3");
    expect(
        &store,
        (Some(3), "leaf", "names another seq"),
        &Refused("for 6 leaves, and the database holds 5"),
    );
}

#[test]
fn a_leaf_written_anew_without_the_key_is_found() {
    let store = longer();
    let signer = forge::other_key(&store);
    let original = forge::own_key(&store);
    forge::rewrite(&store, &signer, "no answer", "no anger!");
    // Leaf 0 stays, or the key would not match.
    let (new, old) = (signer.verifier().to_string(), original.verifier().to_string());
    forge::rewrite(&store, &signer, &new, &old);
    expect(
        &store,
        (Some(5), "checkpoint", "no signature by the log's key"),
        &Refused("no signature by the log's key"),
    );
}

#[test]
fn a_history_rewritten_with_the_key_itself_is_found_by_the_guard() {
    let store = longer();
    forge::rewrite(&store, &forge::own_key(&store), "no answer", "no anger!");
    expect(
        &store,
        (Some(5), "guard", "the log was rewritten or replaced"),
        &Refused("the log was rewritten or replaced"),
    );
}

/// Who holds the key and the machine can rewrite everything on it: only what somebody else remembers tells.
#[test]
fn a_history_rewritten_with_key_and_guard_is_found_by_a_checkpoint_that_somebody_kept() {
    let store = longer();
    let (key, root) = (store.key(), store.verify(None).root);
    forge::rewrite(&store, &forge::own_key(&store), "no answer", "no anger!");
    forge::rewrite_guard(&store);
    let report = store.verify(Some(&key));
    assert!(report.intact, "{:#?}", report.problems);
    assert_ne!(report.root, root, "what a witness has signed for this size");
}

#[test]
fn a_log_of_another_key_is_found_by_who_knows_the_first() {
    let store = longer();
    let key = store.key();
    store.restore(&longer(), &["evidence.db", "guard", "key"]);
    let report = store.verify(None);
    assert!(
        report.intact && !report.pinned,
        "consistent, signer not established"
    );
    let report = store.verify(Some(&key));
    assert!(!report.intact);
    let words = "not begun with the key given";
    let found = report
        .problems
        .iter()
        .find(|problem| problem.detail.contains(words));
    assert_eq!(
        found.map(|problem| (problem.seq, problem.kind)),
        Some((Some(0), "key"))
    );
    expect_opening(&store, &Allowed);
}

#[test]
fn a_log_of_the_same_origin_and_another_key_is_found_by_who_knows_the_first() {
    let store = longer();
    let (key, signer) = (store.key(), forge::other_key(&store));
    forge::rewrite(&store, &signer, "no answer", "no anger!");
    forge::rewrite_guard(&store);
    expect(
        &store,
        (Some(0), "key", "the signing key beside the log is another"),
        &Refused("is not the one this log was begun with"),
    );
    forge::write_key(&store, &signer);
    assert!(store.verify(None).intact, "consistent, signer not established");
    let report = store.verify(Some(&key));
    assert!(!report.intact && report.pinned);
    assert!(
        report
            .problems
            .iter()
            .any(|problem| (problem.seq, problem.kind) == (Some(0), "key"))
    );
    expect_opening(&store, &Allowed);
}

#[test]
fn a_key_that_a_verifier_brings_must_be_the_logs_own() {
    let store = longer();
    let own = store.verify(Some(&store.key()));
    assert!(own.intact && own.pinned, "{:#?}", own.problems);
    for other in [longer().key(), forge::other_key(&store).verifier().clone()] {
        let report = store.verify(Some(&other));
        assert!(!report.intact);
        assert!(
            report
                .problems
                .iter()
                .any(|problem| (problem.seq, problem.kind) == (Some(0), "key"))
        );
    }
}

#[test]
fn a_database_alone_of_another_log_is_found() {
    let store = longer();
    store.restore(&longer(), &["evidence.db"]);
    expect(
        &store,
        (Some(0), "key", "the signing key beside the log is another"),
        &Refused("is not the one this log was begun with"),
    );
}

#[test]
fn an_older_copy_of_the_database_is_found() {
    let store = longer();
    let older = store.copy();
    store.append([failure()]);
    store.restore(&older, &["evidence.db"]);
    expect(
        &store,
        (Some(5), "guard", "an older copy was put in place"),
        &Refused("the guard knows 7 leaves, the database holds 6"),
    );
}

#[test]
fn numbering_a_blobs_row_anew_changes_nothing_and_stops_nobody() {
    let store = longer();
    for rowid in [i64::MIN, i64::MAX, 1 << 62] {
        store.execute(&format!(
            "UPDATE blob SET rowid = {rowid} WHERE rowid = (SELECT max(rowid) FROM blob)"
        ));
        assert_eq!(store.verify(None).problems, []);
    }
    store.execute("UPDATE blob SET bytes = zeroblob(9) WHERE rowid = -9223372036854775808");
    assert!(!store.verify(None).intact, "and the row is still looked at");
}

#[test]
fn a_leaf_far_behind_the_end_does_not_keep_verify_busy() {
    for seq in [6, 1 << 40, i64::MAX] {
        let store = longer();
        store.execute(&format!(
            "INSERT INTO leaf SELECT {seq}, hash, bytes FROM leaf WHERE seq = 5"
        ));
        let report = store.verify(None);
        assert!(!report.intact);
        assert!(store.open().is_err());
    }
}

#[test]
fn a_leaf_of_a_kind_of_a_later_version_is_verified_and_stepped_over() {
    let store = longer();
    let (from, to) = ("\"kind\":\"failure\"", "\"kind\":\"gratitude\"");
    forge::rewrite(&store, &forge::own_key(&store), from, to);
    forge::rewrite_guard(&store);
    store.execute("UPDATE entry SET kind = 'gratitude' WHERE kind = 'failure'");
    assert_eq!(store.verify(None).problems, []);
    let leaf = Reader::open(&store.paths).unwrap().leaf(5).unwrap().unwrap();
    assert_eq!((leaf.kind.as_str(), leaf.body), ("gratitude", None));
    store.append([failure()]);
    assert_eq!(store.verify(None).problems, []);
}
