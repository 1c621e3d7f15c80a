//! `evidenced recover`: going on after a store was refused, without anything being lost or hidden.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::workplace::{Workplace, collected, copy, forge_newest, tree};

const REASON: &str = "disk replaced, OPS-17";

fn leaf(place: &Workplace, seq: u64) -> Value {
    serde_json::from_slice(&place.reader().leaf_bytes(seq).unwrap().unwrap()).unwrap()
}

/// Recovers, and checks what must hold whatever was wrong.
fn recover(place: &Workplace) -> String {
    let old: Vec<_> = tree(&place.store())
        .into_iter()
        .filter(|(path, _)| path.ends_with("evidence.db") || path.ends_with("key"))
        .collect();
    place.run(&["collect", "--once"]).ends(4);
    let out = place.run(&["recover", "--reason", REASON]).ends(0).out;
    let first = leaf(place, 1);
    assert_eq!(
        [&first["kind"], &first["reason"]],
        [&Value::from("recovery"), &Value::from(REASON)]
    );
    let kept = place.store().join(first["directory"].as_str().unwrap());
    assert!(
        out.starts_with(&format!("The old log is kept as it is in {}.\n", kept.display())),
        "{out}"
    );
    for (path, bytes) in old {
        assert_eq!(fs::read(kept.join(path.file_name().unwrap())).unwrap(), bytes);
    }
    let again = place.run(&["recover", "--reason", REASON]).ends(2);
    assert_eq!(
        again.err,
        format!(
            "error: there is nothing to recover in {}\n  \
             help: the store can be opened as it is, or there is none; nothing was changed\n",
            place.store().display()
        )
    );
    out
}

#[test]
fn a_lost_guard_begins_a_new_log_that_names_the_old_one() {
    let place = Workplace::collected();
    let old_key = place.run(&["key", "show"]).ends(0).out;
    let origin = place.reader().origin().to_string();
    fs::remove_file(place.store().join("guard")).unwrap();
    let out = recover(&place);
    assert!(
        out.contains("\n  its guard is missing or can't be read\n  its database knew 5 leaves\n"),
        "{out}"
    );
    let first = leaf(&place, 1);
    assert_eq!(first["origin"], Value::from(origin.clone()));
    assert_eq!(first["database"]["size"], 5);
    assert_eq!(
        first["problems"],
        serde_json::json!(["guard at seq 4: the guard is missing"])
    );

    let ran = place.run(&["verify"]).ends(0);
    assert!(
        ran.out.ends_with(&format!(
            "\nearlier log logs/{origin}: 5 leaves, 1 problem, as a later log recorded\n  \
             guard at seq 4: the guard is missing\n"
        )),
        "{}",
        ran.out
    );
    let shown = place.run(&["verify", "--format", "json"]).ends(0).json();
    assert_eq!(
        [
            &shown["intact"],
            &shown["earlier"][0]["intact"],
            &shown["earlier"][0]["recorded"]
        ],
        [&Value::from(true), &Value::from(false), &Value::from(true)]
    );
    let pinned = place.run(&["verify", "--key", old_key.trim_end()]).ends(4);
    assert!(
        pinned
            .out
            .contains("The key given is this one's. The log that took over has its own: ask why"),
        "{}",
        pinned.out
    );
    let new_key = place.run(&["key", "show"]).ends(0).out;
    assert_ne!(old_key, new_key);
    place.run(&["verify", "--key", new_key.trim_end()]).ends(0);
    place.run(&["status"]).ends(1);
}

#[test]
fn an_old_log_that_is_taken_away_or_rewritten_afterwards_is_missed() {
    let place = Workplace::collected();
    fs::remove_file(place.store().join("guard")).unwrap();
    recover(&place);
    let kept = place.store().join(leaf(&place, 1)["directory"].as_str().unwrap());

    // Its own key lies beside it: whoever has that can write another log, in which only the guard is missing as well.
    let honest = place.path("honest");
    copy(&kept, &honest);
    for name in ["evidence.db", "evidence.db-wal", "evidence.db-shm"] {
        fs::set_permissions(kept.join(name), fs::Permissions::from_mode(0o600)).ok();
    }
    forge_newest(&kept, |leaf| {
        leaf.replacen("\"outcome\":\"", "\"outcome\":\"not_", 1)
    });
    let ran = place.run(&["verify"]).ends(4);
    let origin = leaf(&place, 1)["origin"].as_str().unwrap().to_owned();
    assert!(
        ran.out.ends_with(&format!(
            "\nearlier log logs/{origin}: 5 leaves, NOT as a later log recorded it\n  \
             guard at seq 4: the guard is missing\n"
        )),
        "{}",
        ran.out
    );
    fs::remove_dir_all(&kept).unwrap();
    copy(&honest, &kept);
    place.run(&["verify"]).ends(0);

    fs::remove_dir_all(place.store().join("logs")).unwrap();
    let ran = place.run(&["verify"]).ends(4);
    assert!(
        ran.out.contains(": NOT INTACT, 1 problem\n  earlier: logs/"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("\n  database: the log is missing\n"),
        "{}",
        ran.out
    );
    let shown = place.run(&["verify", "--format", "json"]).ends(4).json();
    assert_eq!(shown["intact"], false);
    assert_eq!(shown["earlier"][0]["size"], 5);
}

#[test]
fn a_database_cut_short_or_replaced_by_an_older_copy_is_refused_and_kept() {
    let cut = Workplace::collected();
    let database = cut.store().join("evidence.db");
    for name in ["evidence.db-wal", "evidence.db-shm"] {
        fs::remove_file(cut.store().join(name)).ok();
    }
    fs::OpenOptions::new()
        .write(true)
        .open(&database)
        .unwrap()
        .set_len(8192)
        .unwrap();
    recover(&cut);
    cut.run(&["verify"]).ends(0);

    let older = Workplace::collected();
    let before = older.path("before");
    copy(&older.store(), &before);
    older.run(&["recover", "--reason", REASON]).ends(2);
    append_to(&older);
    for name in ["evidence.db", "evidence.db-wal", "evidence.db-shm"] {
        fs::remove_file(older.store().join(name)).ok();
        fs::copy(before.join(name), older.store().join(name)).ok();
    }
    let out = recover(&older);
    assert!(
        out.contains("its guard knew 8 leaves\n  its database knew 5 leaves\n"),
        "{out}"
    );
    older.run(&["verify"]).ends(0);
}

/// Three more leaves.
fn append_to(place: &Workplace) {
    use evidenced::log::append::{Appender, Draft};
    let paths = evidenced::log::store::Paths::new(place.store());
    let log = Appender::open(&paths, "acme", evidenced::clock::system()).unwrap();
    let body = place.reader().leaf(1).unwrap().unwrap().body.unwrap();
    for _ in 0..3 {
        log.append_blocking(Draft::new(body.clone())).unwrap();
    }
}

#[test]
fn where_nothing_is_refused_nothing_is_recovered() {
    let place = Workplace::collected();
    let before = tree(&place.store());
    let ran = place.run(&["recover", "--reason", REASON]).ends(2);
    assert!(
        ran.err.starts_with("error: there is nothing to recover in "),
        "{}",
        ran.err
    );
    let ran = place.run(&["recover", "--reason", " "]).ends(2);
    assert_eq!(
        ran.err,
        "error: --reason is empty\n  help: say what happened: it stands in the log for the auditor\n"
    );
    let leaves = |files: &std::collections::BTreeMap<_, Vec<u8>>| files[&place.store().join("guard")].clone();
    assert_eq!(leaves(&tree(&place.store())), leaves(&before));
    assert_eq!(
        place.reader().size().unwrap(),
        collected().place.reader().size().unwrap()
    );

    let nowhere = Workplace::new();
    let before = nowhere.tree();
    nowhere.run(&["recover", "--reason", REASON]).ends(2);
    assert_eq!(nowhere.tree(), before);
}
