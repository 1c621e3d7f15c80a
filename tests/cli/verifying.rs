//! `evidenced verify`, `key` and `checkpoint`: what an auditor relies on.

use serde_json::json;

use crate::workplace::{Workplace, collected};

const FOREIGN: &str = "acme/1a2b3c4d+";

/// The verifier key of a log that was begun elsewhere.
fn other_key() -> String {
    let other = Workplace::new();
    other.run(&["init"]).ends(0);
    other.run(&["key", "show"]).ends(0).out.trim_end().to_owned()
}

#[test]
fn a_whole_log_is_consistent_and_with_its_key_intact() {
    let place = Workplace::collected();
    let origin = place.reader().origin().to_string();
    let key = place.run(&["key", "show"]).ends(0).out.trim_end().to_owned();
    assert!(key.starts_with(&format!("{origin}+")));
    let shown = place.run(&["verify", "--format", "json"]).ends(0).json();
    let names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "head", "intact", "key", "origin", "pinned", "problems", "root", "size"
        ]
    );
    assert_eq!(
        [
            &shown["intact"],
            &shown["origin"],
            &shown["size"],
            &shown["pinned"],
            &shown["problems"],
            &shown["key"]
        ],
        [
            &json!(true),
            &json!(origin),
            &json!(5),
            &json!(false),
            &json!([]),
            &json!(key)
        ]
    );
    let (root, head) = (shown["root"].as_str().unwrap(), shown["head"].as_str().unwrap());
    assert_eq!(
        place.run(&["verify"]).ends(0).out,
        format!(
            "✓ {origin}: 5 leaves, consistent, signer not established\n  root {root}\n  head {head}\n  key  {key}\n  \
             give --key with the key that was noted when the log began to know whose it is\n"
        )
    );
    let store = place.store();
    let ran = place
        .run(&["verify", store.to_str().unwrap(), "--key", &key])
        .ends(0);
    assert!(
        ran.out.starts_with(&format!(
            "✓ {origin}: 5 leaves, intact, signed by the key given\n"
        )),
        "{}",
        ran.out
    );
    let checkpoint = place.run(&["checkpoint", "--format", "json"]).ends(0).json();
    assert_eq!(
        [&checkpoint["origin"], &checkpoint["size"], &checkpoint["root"]],
        [&json!(origin), &json!(5), &json!(root)]
    );
    assert_eq!(checkpoint["note"], place.run(&["checkpoint"]).ends(0).out);
}

#[test]
fn another_key_is_not_the_logs() {
    let place = Workplace::collected();
    let ran = place.run(&["verify", "--key", &other_key()]).ends(4);
    assert!(
        ran.out.contains("this log was not begun with the key given"),
        "{}",
        ran.out
    );
    let shown = place
        .run(&["verify", "--key", &other_key(), "--format", "json"])
        .ends(4)
        .json();
    assert_eq!(shown["intact"], false);
}

#[test]
fn what_is_no_key_is_refused() {
    let place = Workplace::collected();
    for text in ["", "x", FOREIGN] {
        let ran = place.run(&["verify", "--key", text]).ends(2);
        assert_eq!(
            ran.err,
            "error: --key: not a verifier key of the form name+keyid+base64\n  \
             help: give it as `evidenced key show` prints it, in quotes\n"
        );
    }
}

#[test]
fn a_byte_changed_anywhere_in_a_leaf_or_a_blob_is_found() {
    for (table, column, at) in [("leaf", "bytes", 300), ("leaf", "hash", 7), ("blob", "bytes", 40)] {
        let place = Workplace::collected();
        let path = place.store().join("evidence.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        let (id, mut bytes): (i64, Vec<u8>) = database
            .query_row(
                &format!(
                    "SELECT rowid, {column} FROM {table} WHERE length({column}) > {at} ORDER BY seq DESC"
                ),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        bytes[at] ^= 1;
        database
            .execute(
                &format!("UPDATE {table} SET {column} = ? WHERE rowid = ?"),
                rusqlite::params![bytes, id],
            )
            .unwrap();
        drop(database);
        let shown = place.run(&["verify", "--format", "json"]).ends(4).json();
        assert_eq!(shown["intact"], false);
        let problem = &shown["problems"][0];
        assert!(
            problem["kind"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        let ran = place.run(&["verify"]).ends(4);
        assert!(ran.out.contains(": NOT INTACT, "), "{}", ran.out);
    }
}

#[test]
fn a_store_that_is_not_there_or_may_not_be_looked_at_is_no_verdict() {
    let place = Workplace::new();
    let ran = place.run(&["verify", "../nowhere"]).ends(2);
    assert!(
        ran.err
            .starts_with("error: there is no evidence log in ../nowhere\n  help: "),
        "{}",
        ran.err
    );
    assert!(ran.out.is_empty());
}

#[test]
fn every_problem_is_counted_in_words_that_agree() {
    let place = Workplace::collected();
    std::fs::remove_file(place.store().join("guard")).unwrap();
    let origin = collected().place.reader().origin().to_string();
    assert_eq!(
        place.run(&["verify"]).ends(4).out,
        format!("✗ {origin}: NOT INTACT, 1 problem\n  guard at seq 4: the guard is missing\n")
    );
}
