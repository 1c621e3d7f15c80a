//! `evidenced drift`: what changed from snapshot to snapshot, and why, as people and programs read it.

use chrono::TimeDelta;
use serde_json::{Value, json};

use evidenced::history::{HistoryError, drifts_of};

use crate::fake::{Answer, Bench, RULES, thing};
use crate::workplace::Workplace;

/// A collection an hour after the last one.
async fn hour<const N: usize>(bench: &Bench, answers: [(&str, Answer); N]) {
    bench.holds(answers);
    bench.run().await;
    bench.clock.forward(TimeDelta::hours(1));
}

fn part(resources: impl IntoIterator<Item = evidenced_collector_api::Resource>) -> Answer {
    Answer::Seen {
        resources: resources.into_iter().collect(),
        complete: false,
        raw: Vec::new(),
    }
}

/// Safe, then unseen, then unsafe; another target comes; a setting and a test change; one thing goes.
async fn history() -> (Workplace, Bench) {
    let place = Workplace::new();
    let mut bench = Bench::new(&place.store()).await;
    let list = |of: Value| thing("y", true).with("rules", of);
    // Leaf 2 is the scope, 3 the snapshot.
    hour(
        &bench,
        [(
            "a",
            Answer::seen([thing("x", true), list(json!([{ "on": true }]))]),
        )],
    )
    .await;
    hour(&bench, [("a", part([list(json!([{ "on": true }]))]))]).await;
    let mut hidden = thing("x", true);
    hidden.attributes.remove("safe");
    hidden.unknown.insert("safe".to_owned(), "not allowed".to_owned());
    hour(&bench, [("a", part([hidden, list(json!([{ "on": true }]))]))]).await;
    let seen = || Answer::seen([thing("x", false), list(json!([{ "on": false }]))]);
    hour(&bench, [("a", seen()), ("b", Answer::seen([]))]).await;
    bench
        .rules(&RULES.replace("passes = \"resource.safe\"", "passes = \"resource.id != 'y'\"").replace(
            "example = [{ given = { safe = true }, outcome = \"pass\" }, { given = { safe = false }, outcome = \"fail\" }]",
            "example = [{ given = { id = 'x' }, outcome = \"pass\" }, { given = { id = 'y' }, outcome = \"fail\" }]",
        ))
        .await;
    hour(&bench, [("a", seen()), ("b", Answer::seen([]))]).await;
    hour(
        &bench,
        [
            ("a", Answer::seen([thing("x", false).with("counter", 9)])),
            ("b", Answer::seen([thing("new", true), thing("y", true)])),
        ],
    )
    .await;
    (place, bench)
}

#[tokio::test]
async fn what_drifted_is_listed_oldest_first_with_both_snapshots_and_the_cause() {
    let (place, _bench) = history().await;
    let ran = place.run(&["drift"]).ends(0);
    assert_eq!(
        ran.out,
        "\
2026-03-01T14:00Z fake.things src a, snapshots 3 → 7
  ~ fake.thing x: safe true → unknown (not allowed)  (no longer known)
  ! things-safe on x: pass → unknown: safe: not allowed  (no longer known)
2026-03-01T15:00Z fake.things src, scopes 2 → 9
  + target b  (at the source)
2026-03-01T15:00Z fake.things src a, snapshots 3 → 10
  ~ fake.thing x: safe true → false  (at the source)
  ! things-safe on x: pass → fail: safe = false  (at the source)
2026-03-01T15:00Z fake.things src a, snapshots 7 → 10
  ~ fake.thing y: rules, inside  (at the source)
      /0/on true → false
2026-03-01T17:00Z fake.things src a, snapshots 15 → 19
  - fake.thing y  (at the source)
2026-03-01T17:00Z fake.things src b, snapshots 17 → 21
  + fake.thing new  (at the source)
  + fake.thing y: things-safe fail  (at the source)
Not the source's doing (the test changed: 2): `--all` lists it.
"
    );
    let all = place.run(&["drift", "--all"]).ends(0).out;
    let (others, listed): (Vec<_>, Vec<_>) = all.lines().partition(|line| line.contains("the test changed"));
    assert_eq!(
        others,
        [
            "  ! things-safe on x: fail → pass  (the test changed)",
            "  ! things-safe on y: pass → fail: id = \"y\"  (the test changed)"
        ]
    );
    assert!(listed.contains(&"2026-03-01T16:00Z fake.things src a, snapshots 10 → 15"));
    assert!(!all.contains("--all"));
}

#[tokio::test]
async fn programs_get_the_same_in_a_stable_form() {
    let (place, bench) = history().await;
    let shown = |arguments: &[&str]| {
        let arguments = [&["drift", "--format", "json"], arguments].concat();
        place.run(&arguments).ends(0).json()
    };
    let everything = shown(&[]);
    assert_eq!(everything["origin"], bench.reader.origin().to_string());
    assert_eq!(everything["from"], Value::Null);
    assert_eq!(
        everything["to"], "2026-03-01T17:00:00.000Z",
        "the newest leaf's time"
    );
    assert_eq!(everything["left_out"], json!({ "test": 2 }));
    assert_eq!(everything["unreadable"], json!([]));
    let drifts = everything["drifts"].as_array().unwrap();
    assert_eq!(drifts.len(), 9);
    assert_eq!(
        drifts[2],
        json!({
            "collector": "fake.things", "source": "src", "target": "b",
            "from": { "seq": 2, "time": "2026-03-01T12:00:00.000Z" },
            "to": { "seq": 9, "time": "2026-03-01T15:00:00.000Z" },
            "resource": null,
            "change": { "what": "target_came" },
            "cause": "source",
        })
    );
    let finding = |drift: &&Value| drift["change"]["what"] == "finding" && drift["to"]["seq"] == 10;
    assert_eq!(
        *drifts.iter().find(finding).unwrap(),
        json!({
            "collector": "fake.things", "source": "src", "target": "a",
            "from": { "seq": 3, "time": "2026-03-01T12:00:00.000Z" },
            "to": { "seq": 10, "time": "2026-03-01T15:00:00.000Z" },
            "resource": { "kind": "fake.thing", "id": "x", "name": "x" },
            "change": {
                "what": "finding", "test": "things-safe", "before": "pass", "after": "fail", "reason": "safe = false",
            },
            "cause": "source",
        })
    );
    let count = |arguments: &[&str]| shown(arguments)["drifts"].as_array().unwrap().len();
    assert_eq!(count(&["--all"]), 11);
    assert_eq!(count(&["--from", "2026-03-01T16:00:00Z"]), 3);
    assert_eq!(count(&["--to", "2026-03-01T15:00:00Z"]), 2);
    assert_eq!(count(&["--target", "b"]), 3, "also that it came");
    assert_eq!(count(&["--test", "things-safe"]), 5);
    assert_eq!(count(&["--test", "other"]), 0);
    assert_eq!(count(&["--collector", "other"]), 0);
    assert_eq!(count(&["--source", "src"]), 9);
    let none = place.run(&["drift", "--from", "2026-03-02"]).ends(0);
    assert_eq!(
        none.out,
        "No drift from 2026-03-02T00:00:00.000Z to 2026-03-01T17:00:00.000Z.\n"
    );
}

#[tokio::test]
async fn evidence_that_is_gone_is_told_and_neither_hides_a_drift_nor_makes_one() {
    let place = Workplace::new();
    let bench = Bench::new(&place.store()).await;
    hour(&bench, [("a", Answer::seen([thing("x", true)]))]).await;
    hour(&bench, [("a", Answer::seen([thing("x", true).with("size", 1)]))]).await;
    hour(&bench, [("a", Answer::seen([thing("x", false)]))]).await;
    let evidence = bench.leaf(5).blobs;
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    for blob in evidence {
        let erase = "DELETE FROM blob WHERE sha256 = ?";
        database.execute(erase, [blob.sha256.as_slice()]).unwrap();
    }
    let ran = place.run(&["drift"]).ends(0);
    assert_eq!(
        ran.out,
        "\
2026-03-01T14:00Z fake.things src a, snapshots 3 → 7
  ~ fake.thing x: safe true → false  (at the source)
  ! things-safe on x: pass → fail: safe = false  (at the source)
! leaf 5 can't be read: nobody can say whether anything changed with it
"
    );
    assert!(matches!(
        drifts_of(&bench.reader, 5),
        Err(HistoryError::Unreadable(5))
    ));
    assert!(matches!(
        drifts_of(&bench.reader, 1),
        Err(HistoryError::Unreadable(1))
    ));
    assert_eq!(drifts_of(&bench.reader, 7).unwrap().len(), 2);
    assert!(drifts_of(&bench.reader, 3).unwrap().is_empty());
}
