//! `evidenced log`, `show` and `diff`: what the log holds, as people and programs read it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use evidenced::log::append::Draft;
use evidenced::log::tree;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::{Workplace, collected, forge_newest};

/// A store with two snapshots of a target, a day apart, and one of another.
async fn two_days() -> (Workplace, Bench) {
    let place = Workplace::new();
    let bench = Bench::new(&place.store()).await;
    let other = || Answer::seen([thing("z", true)]);
    bench.holds([
        (
            "a",
            Answer::seen([thing("gone", true), thing("x", true).with("size", 1)]),
        ),
        ("b", other()),
    ]);
    bench.run().await;
    bench.clock.forward(TimeDelta::days(1));
    let mut dim = thing("x", false);
    dim.unknown.insert("size".to_owned(), "not allowed".to_owned());
    bench.holds([
        ("a", Answer::seen([thing("new", true).with("counter", 9), dim])),
        ("b", other()),
    ]);
    bench.run().await;
    (place, bench)
}

fn kinds(place: &Workplace, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["log", "--format", "json"], arguments].concat();
    let shown = place.run(&arguments).ends(0).json();
    let leaves = shown["leaves"].as_array().unwrap();
    leaves
        .iter()
        .map(|leaf| leaf["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_log_is_listed_by_kind_target_time_and_number() {
    let (place, bench) = two_days().await;
    let origin = bench.reader.origin().to_string();
    let ran = place.run(&["log", "-n", "5"]).ends(0);
    assert_eq!(
        ran.out,
        "\
SEQ  TIME                      KIND        ABOUT
6    2026-03-01T12:00:00.000Z  evaluation                     of snapshot 5: 1 test, 0 fail, 0 unknown
7    2026-03-02T12:00:00.000Z  snapshot    fake.things src a  2 resources
8    2026-03-02T12:00:00.000Z  evaluation                     of snapshot 7: 1 test, 1 fail, 0 unknown
9    2026-03-02T12:00:00.000Z  snapshot    fake.things src b  1 resource
10   2026-03-02T12:00:00.000Z  evaluation                     of snapshot 9: 1 test, 0 fail, 0 unknown
These are the newest; `-n 0` lists all.
"
    );
    let all = [
        "key",
        "plan",
        "scope",
        "snapshot",
        "evaluation",
        "snapshot",
        "evaluation",
    ];
    assert_eq!(kinds(&place, &["--to", "2026-03-01"]), all);
    assert_eq!(kinds(&place, &["--to", "2026-03-02T12:00:00Z"]), all);
    assert_eq!(kinds(&place, &["--from", "2026-03-02"]).len(), 4);
    assert_eq!(kinds(&place, &["--from", "2026-03-02T13:00:00+01:00"]).len(), 4);
    assert_eq!(kinds(&place, &["-n", "0"]).len(), 11);
    assert_eq!(kinds(&place, &["--target", "b"]), ["snapshot", "snapshot"]);
    assert_eq!(
        kinds(&place, &["--kind", "scope", "--kind", "key"]),
        ["key", "scope"]
    );
    assert_eq!(
        kinds(&place, &["--collector", "fake.things", "--source", "src"]).len(),
        5
    );
    assert_eq!(kinds(&place, &["--collector", "other"]).len(), 0);
    assert!(
        !place
            .run(&["log", "-n", "11"])
            .out
            .contains("These are the newest"),
        "there are no others"
    );
    assert_eq!(
        place.run(&["log", "--kind", "failure"]).ends(0).out,
        format!("None of the 11 leaves of {origin} matches.\n")
    );
}

#[tokio::test]
async fn the_leaves_are_listed_byte_for_byte() {
    let (place, bench) = two_days().await;
    let ran = place.run(&["log", "--format", "json"]).ends(0);
    for seq in 0..11 {
        let bytes = bench.reader.leaf_bytes(seq).unwrap().unwrap();
        assert!(ran.out.contains(std::str::from_utf8(&bytes).unwrap()));
    }
}

#[test]
fn a_time_that_is_none_is_refused_with_an_example() {
    let place = Workplace::collected();
    for text in ["yesterday", "2026-13-01", "2026-03-01 12:00", "9999-12-31"] {
        let ran = place.run(&["log", "--to", text]).ends(2);
        assert_eq!(
            ran.err,
            format!(
                "error: {text:?} is no time\n  \
                 help: write 2026-11-21, which is meant in UTC, or 2026-11-21T14:00:00Z\n"
            )
        );
    }
}

#[test]
fn every_leaf_can_be_shown_and_every_payload_is_what_its_digest_says() {
    let place = Workplace::collected();
    let reader = place.reader();
    for seq in 0..5_u64 {
        let number = seq.to_string();
        place.run(&["show", &number]).ends(0);
        let shown = place.run(&["show", &number, "--format", "json"]).ends(0).json();
        let bytes = reader.leaf_bytes(seq).unwrap().unwrap();
        assert_eq!(shown["hash"], hex::encode(tree::hash_leaf(&bytes)));
        assert_eq!(shown["leaf"], serde_json::from_slice::<Value>(&bytes).unwrap());
        let leaf = reader.leaf(seq).unwrap().unwrap();
        assert_eq!(shown["blobs"].as_array().unwrap().len(), leaf.blobs.len());
        for blob in &leaf.blobs {
            let output = place
                .command(&["show", &number, "--blob", &hex::encode(blob.sha256)])
                .output()
                .unwrap();
            assert_eq!(
                output.stdout,
                reader.payload(&blob.sha256).unwrap().unwrap(),
                "byte for byte"
            );
        }
    }
}

#[test]
fn an_answer_as_received_has_the_digest_that_its_call_names() {
    let place = Workplace::collected();
    let shown = place.run(&["show", "3", "--format", "json"]).ends(0).json();
    let blobs = shown["blobs"].as_array().unwrap();
    let role = |name: &'static str| blobs.iter().filter(move |blob| blob["role"] == name);
    let calls = role("provenance").next().unwrap()["payload"]["calls"].clone();
    let digests: Vec<_> = calls
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["body_sha256"].clone())
        .collect();
    let mut raw = 0;
    for blob in role("raw") {
        let digest = blob["sha256"].as_str().unwrap();
        let output = place.command(&["show", "3", "--blob", digest]).output().unwrap();
        let sha256 = hex::encode(Sha256::digest(&output.stdout));
        assert!(digests.contains(&json!(sha256)), "no call names {sha256}");
        raw += 1;
    }
    assert!(raw > 0);
}

#[tokio::test]
async fn an_evaluation_shows_what_each_test_says_of_the_whole_also_where_every_finding_passes() {
    let place = Workplace::new();
    let bench = Bench::new(&place.store()).await;
    bench.holds([(
        "a",
        Answer::Seen {
            resources: vec![thing("x", true)],
            complete: false,
            raw: Vec::new(),
        },
    )]);
    bench.run().await;
    let ran = place.run(&["show", "4"]).ends(0);
    let (_, results) = ran.out.split_once("\nresults\n").unwrap();
    let mut lines = results.lines();
    assert_eq!(lines.next(), Some("  TEST         OUTCOME  FINDINGS"));
    assert_eq!(lines.next(), Some("  things-safe  unknown  1 pass"));
    let ran = place.run(&["show", "3"]).ends(0);
    assert!(
        ran.out.contains("  incomplete: the fake says so\n"),
        "{}",
        ran.out
    );
}

#[test]
fn what_is_not_there_can_not_be_shown() {
    let place = Workplace::collected();
    let ran = place.run(&["show", "5"]).ends(2);
    assert_eq!(
        ran.err,
        "error: there is no leaf 5\n  help: the log holds leaves 0 to 4\n"
    );
    let ran = place.run(&["show", "3", "--blob", "plan"]).ends(2);
    assert_eq!(
        ran.err,
        "error: the leaf names no blob \"plan\"\n  help: run `evidenced show SEQ` to see which it names\n"
    );
}

#[test]
fn a_leaf_that_was_changed_is_not_shown() {
    let place = Workplace::collected();
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let forged = "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"fail\"', '\"pass\"') AS BLOB) WHERE seq = 4";
    let forged = if collected().ran.out.contains("\"fail\"") {
        forged.to_owned()
    } else {
        forged.replace("\"fail\"", "\"unknown\"")
    };
    assert_eq!(database.execute(&forged, []).unwrap(), 1);
    drop(database);
    let ran = place.run(&["show", "4"]).ends(4);
    assert!(ran.out.is_empty());
    assert!(
        ran.err.starts_with("error: leaf 4 is not the one that the log's checkpoint commits to\n  help: run `evidenced verify`"),
        "{}",
        ran.err
    );
}

#[test]
fn a_proof_leads_from_the_leaf_to_the_signed_checkpoint() {
    let place = Workplace::collected();
    let reader = place.reader();
    let note = place.run(&["checkpoint"]).ends(0).out;
    for seq in 0..5_u64 {
        let proof = place.run(&["show", &seq.to_string(), "--proof"]).ends(0).out;
        let (head, signed) = proof.split_once("\n\n").unwrap();
        assert_eq!(signed, note);
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        assert_eq!(lines.next(), Some(format!("index {seq}").as_str()));
        let hash = |text: &str| -> [u8; 32] { BASE64_STANDARD.decode(text).unwrap().try_into().unwrap() };
        let path: Vec<_> = lines.map(hash).collect();
        let checkpoint: Vec<_> = signed.lines().collect();
        let (size, root) = (checkpoint[1].parse().unwrap(), hash(checkpoint[2]));
        let leaf = tree::hash_leaf(&reader.leaf_bytes(seq).unwrap().unwrap());
        assert!(tree::verify_inclusion(&leaf, seq, size, &path, &root));
        assert!(!tree::verify_inclusion(&[0; 32], seq, size, &path, &root));
    }
}

#[tokio::test]
async fn what_changed_between_two_snapshots_is_told_resource_by_resource() {
    let (place, _bench) = two_days().await;
    let ran = place.run(&["diff", "3", "7"]).ends(0);
    assert_eq!(
        ran.out,
        "\
+ fake.thing new
- fake.thing gone
~ fake.thing x: safe true → false
~ fake.thing x: size 1 → unknown (not allowed)
! things-safe on gone: pass → none
! things-safe on new: none → pass
! things-safe on x: pass → fail
"
    );
    let shown = place.run(&["diff", "3", "7", "--format", "json"]).ends(0).json();
    assert_eq!(shown["appeared"], json!([{ "kind": "fake.thing", "id": "new" }]));
    assert_eq!(
        shown["changed"][1],
        json!({ "kind": "fake.thing", "id": "x", "attribute": "size",
                "before": { "known": 1 }, "after": { "unknown": "not allowed" } })
    );
    assert_eq!(
        place.run(&["diff", "5", "9"]).ends(0).out,
        "Nothing changed between snapshots 5 and 9 (but perhaps what changes by itself: --volatile).\n"
    );
}

#[tokio::test]
async fn what_changes_by_itself_is_told_on_request_and_what_was_not_seen_is_not_called_gone() {
    let place = Workplace::new();
    let bench = Bench::new(&place.store()).await;
    bench.holds([("a", Answer::seen([thing("x", true), thing("y", true)]))]);
    bench.run().await;
    let resources = vec![thing("x", true).with("counter", 4)];
    bench.holds([(
        "a",
        Answer::Seen {
            resources,
            complete: false,
            raw: Vec::new(),
        },
    )]);
    bench.run().await;
    let ran = place.run(&["diff", "3", "5", "--volatile"]).ends(0);
    assert_eq!(
        ran.out,
        "\
! snapshot 5 is incomplete: what it does not hold may be there all the same
- fake.thing y
~ fake.thing x: counter 0 → 4
! things-safe on y: pass → none
"
    );
}

#[tokio::test]
async fn only_two_snapshots_of_one_target_can_be_compared() {
    let (place, _bench) = two_days().await;
    for (a, b, expected) in [
        (
            "3",
            "9",
            "error: snapshots 3 and 9 are of different collectors, sources or targets\n  \
                    help: `evidenced log --kind snapshot` shows which belong together\n",
        ),
        (
            "3",
            "4",
            "error: leaf 4 is no snapshot\n  help: `evidenced log --kind snapshot` lists them\n",
        ),
        (
            "3",
            "99",
            "error: leaf 99 is no snapshot\n  help: `evidenced log --kind snapshot` lists them\n",
        ),
        (
            "7",
            "3",
            "error: snapshot 7 is not earlier than 3\n  \
                    help: give the earlier one first: `evidenced diff 3 7`\n",
        ),
    ] {
        assert_eq!(place.run(&["diff", a, b]).ends(2).err, expected);
    }
}

#[tokio::test]
async fn a_name_from_a_source_can_not_write_over_what_is_said_of_it() {
    let place = Workplace::new();
    let bench = Bench::new(&place.store()).await;
    let hostile = "x\u{1b}[2K\rnothing fails\u{202e}";
    bench.holds([("a", Answer::seen([thing(hostile, false)]))]);
    bench.run().await;
    bench.holds([("a", Answer::seen([]))]);
    bench.run().await;
    for arguments in [
        &["show", "3"][..],
        &["show", "4"],
        &["diff", "3", "5"],
        &["drift", "--all"],
        &["log"],
        &["status"],
    ] {
        let out = place.run(arguments).out;
        assert!(!out.contains(['\u{1b}', '\r', '\u{202e}']), "{out:?}");
    }
}

#[tokio::test]
async fn leaves_of_a_kind_of_a_later_version_are_verified_and_stepped_over() {
    let place = Workplace::new();
    let bench = Bench::begun_at(&place.store(), RULES, HandClock::of_machine()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    let plan = bench.leaf(1).body.unwrap();
    bench.log.append(Draft::new(plan)).await.unwrap();
    drop(bench);
    forge_newest(&place.store(), |leaf| {
        leaf.replace("\"kind\":\"plan\"", "\"kind\":\"prophecy\"")
    });
    place.run(&["verify"]).ends(0);
    let ran = place.run(&["log", "-n", "1"]).ends(0);
    assert!(ran.out.contains("  prophecy  "), "{}", ran.out);
    assert!(
        ran.out.contains("of a kind that this version does not know"),
        "{}",
        ran.out
    );
    let ran = place.run(&["show", "5"]).ends(0);
    assert!(
        ran.out
            .starts_with("seq                   5\nkind                  prophecy\n"),
        "{}",
        ran.out
    );
    let ran = place.run(&["status"]).ends(0);
    assert!(ran.out.contains("safe-things"), "{}", ran.out);
}
