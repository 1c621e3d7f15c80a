//! `evidenced status`: where everything stands, and why something is not known.

use chrono::TimeDelta;
use serde_json::json;

use evidenced_collector_api::FailureClass;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

async fn begun(place: &Workplace, age: TimeDelta) -> Bench {
    let clock = HandClock::of_machine();
    clock.forward(-age);
    Bench::begun_at(&place.store(), RULES, clock).await
}

/// The text without its first line, which names the log and the folder.
fn status(place: &Workplace, code: i32) -> String {
    let out = place.run(&["status"]).ends(code).out;
    let (head, rest) = out.split_once("\n\n").unwrap();
    assert!(head.starts_with("acme/"), "{head}");
    rest.to_owned()
}

#[test]
fn before_there_is_a_store_nothing_can_be_said() {
    let place = Workplace::new();
    let ran = place.run(&["status"]).ends(2);
    assert_eq!(
        ran.err,
        format!(
            "error: there is no evidence log in {}\n  \
             help: run `evidenced init`, or name the folder that holds the evidence with --store\n",
            place.store().display()
        )
    );
}

#[test]
fn before_anything_is_collected_all_is_unknown() {
    let place = Workplace::new();
    place.run(&["init"]).ends(0);
    let ran = place.run(&["status"]).ends(1);
    let (head, rest) = ran.out.split_once("\n\n").unwrap();
    assert!(
        head.ends_with(&format!(": 1 leaf in {}", place.store().display())),
        "{head}"
    );
    assert_eq!(
        rest,
        "Nothing has been collected yet: run `evidenced collect --once`.\n"
    );
    let shown = place.run(&["status", "--format", "json"]).ends(1).json();
    assert_eq!((&shown["targets"], &shown["controls"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn what_passes_is_told_with_its_age_and_ends_well() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::hours(3)).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    assert_eq!(
        status(&place, 0),
        "\
COLLECTOR    SOURCE  TARGET  NEWEST EVIDENCE      RESOURCES  OUTCOME
fake.things  src     a       3 hours ago (seq 3)  1          pass

CONTROL      CRITERIA  OUTCOME  TESTS
safe-things  CC6.1     pass     things-safe

"
    );
    let shown = place.run(&["status", "--format", "json"]).ends(0).json();
    assert_eq!(
        shown["controls"],
        json!([{ "control": "safe-things", "criteria": ["CC6.1"], "outcome": "pass" }])
    );
    let target = &shown["targets"][0];
    assert_eq!(
        [
            &target["target"],
            &target["snapshot"],
            &target["outcome"],
            &target["complete"],
            &target["doubts"]
        ],
        [&json!("a"), &json!(3), &json!("pass"), &json!(true), &json!([])]
    );
}

#[tokio::test]
async fn evidence_that_is_too_old_passes_nothing() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::hours(27)).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    assert_eq!(
        status(&place, 1),
        "\
COLLECTOR    SOURCE  TARGET  NEWEST EVIDENCE       RESOURCES  OUTCOME
fake.things  src     a       27 hours ago (seq 3)  1          unknown

! fake.things  src  a: its evidence is older than its tests allow: collect again
  fake.things  src  a: `evidenced show 4` lists every finding

CONTROL      CRITERIA  OUTCOME  TESTS
safe-things  CC6.1     unknown  things-safe

unknown things-safe: the evidence of src, a is older than 26h

"
    );
}

#[tokio::test]
async fn evidence_from_the_future_passes_nothing() {
    let place = Workplace::new();
    let bench = begun(&place, -TimeDelta::hours(1)).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    let text = status(&place, 1);
    assert!(text.contains("in the future (seq 3)"), "{text}");
    assert!(
        text.contains(
            "! fake.things  src  a: its evidence is dated in the future: the clock is wrong, or was\n"
        ),
        "{text}"
    );
    assert!(text.contains("safe-things  CC6.1     unknown"), "{text}");
}

#[tokio::test]
async fn a_failure_after_the_newest_evidence_is_told_and_so_is_a_target_never_observed() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::minutes(5)).await;
    let down = || Answer::Fails(FailureClass::Unavailable, "connection refused".to_owned());
    bench.holds([("a", Answer::seen([thing("x", true)])), ("b", down())]);
    bench.run().await;
    bench.clock.forward(TimeDelta::minutes(4));
    bench.holds([("a", down()), ("b", down())]);
    bench.run().await;
    assert_eq!(
        status(&place, 3),
        "\
COLLECTOR    SOURCE  TARGET  NEWEST EVIDENCE        RESOURCES  OUTCOME
fake.things  src     a       5 minutes ago (seq 3)  1          pass
fake.things  src     b       never                  -          unknown

✗ fake.things  src  a: failed 1 minute ago: connection refused (seq 6)
! fake.things  src  b: never observed
✗ fake.things  src  b: failed 1 minute ago: connection refused (seq 7)

CONTROL      CRITERIA  OUTCOME  TESTS
safe-things  CC6.1     unknown  things-safe

"
    );
    let shown = place.run(&["status", "--format", "json"]).ends(3).json();
    assert_eq!(shown["targets"][0]["failure"]["message"], "connection refused");
    assert_eq!(shown["targets"][0]["failure"]["seq"], 6);

    let ran = place.run(&["log", "--kind", "failure", "-n", "1"]).ends(0);
    assert!(
        ran.out.contains("  unavailable: connection refused\n"),
        "{}",
        ran.out
    );

    // Until it is observed again.
    bench.holds([("a", Answer::seen([thing("x", true)])), ("b", Answer::seen([]))]);
    bench.run().await;
    assert!(!status(&place, 0).contains('✗'));
}

#[tokio::test]
async fn an_incomplete_snapshot_and_a_failing_test_are_told_with_where_to_look() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::zero()).await;
    bench.holds([
        (
            "a",
            Answer::Seen {
                resources: vec![thing("x", true)],
                complete: false,
                raw: Vec::new(),
            },
        ),
        ("b", Answer::seen([thing("x", false)])),
    ]);
    bench.run().await;
    assert_eq!(
        status(&place, 1),
        "\
COLLECTOR    SOURCE  TARGET  NEWEST EVIDENCE   RESOURCES      OUTCOME
fake.things  src     a       just now (seq 3)  1, incomplete  unknown
fake.things  src     b       just now (seq 5)  1              fail

! fake.things  src  a: incomplete: nothing passes that holds for a part only
  fake.things  src  a: `evidenced show 4` lists every finding
  fake.things  src  b: `evidenced show 6` lists every finding

CONTROL      CRITERIA  OUTCOME  TESTS
safe-things  CC6.1     fail     things-safe

"
    );
}

#[tokio::test]
async fn a_test_that_is_switched_off_is_told() {
    let place = Workplace::new();
    let mut bench = begun(&place, TimeDelta::zero()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    let off = RULES.replace(
        "severity",
        "enabled = false\nreason = \"no such things\"\nseverity",
    );
    bench.rules(&off).await;
    bench.run().await;
    let text = status(&place, 1);
    assert!(
        text.contains("off things-safe: switched off, so that it says nothing of safe-things\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_whose_guard_does_not_agree_has_no_status() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::zero()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    let guard = std::fs::read(place.store().join("guard")).unwrap();
    bench.run().await;
    bench.run().await;
    drop(bench);
    let newer = std::fs::read(place.store().join("guard")).unwrap();
    std::fs::remove_file(place.store().join("guard")).unwrap();
    let ran = place.run(&["status"]).ends(4);
    assert!(ran.out.is_empty());
    assert!(
        ran.err
            .contains("  help: run `evidenced verify` for what is wrong;"),
        "{}",
        ran.err
    );
    std::fs::write(place.store().join("guard"), guard).unwrap();
    place.run(&["status"]).ends(4);
    std::fs::write(place.store().join("guard"), newer).unwrap();
    place.run(&["status"]).ends(0);
}

#[tokio::test]
async fn a_status_is_drawn_only_from_leaves_that_the_checkpoint_commits_to() {
    let place = Workplace::new();
    let bench = begun(&place, TimeDelta::zero()).await;
    bench.holds([("a", Answer::seen([thing("x", false)])), ("b", Answer::seen([]))]);
    bench.run().await;
    drop(bench);
    place.run(&["status"]).ends(1);
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let forged = "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"outcome\":\"fail\"', '\"outcome\":\"pass\"') AS BLOB) WHERE seq = 4";
    assert_eq!(database.execute(forged, []).unwrap(), 1);
    drop(database);
    let ran = place.run(&["status"]).ends(4);
    assert!(ran.out.is_empty());
    assert!(
        ran.err
            .starts_with("error: leaf 4 is not the one that the log's checkpoint commits to\n  help: "),
        "{}",
        ran.err
    );
}
