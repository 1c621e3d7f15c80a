//! What a crash or damage left behind: it is judged, or stays unknown, and stops nobody.

use evidenced::control::Outcome;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{Body, Role, SnapshotLeaf, Trigger};
use evidenced::log::verify_store::verify_store;
use evidenced::round::{self, RoundError};
use evidenced_collector_api::Covers;

use crate::fake::{Answer, Bench, RULES, thing};
use crate::{folder, outcome_of_control};

/// A snapshot as a crash leaves it between its commit and the evaluation's.
pub(crate) async fn unjudged(bench: &Bench, plan: u64, evidence: &[u8]) -> u64 {
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let leaf = SnapshotLeaf {
        plan,
        collector: "fake.things".to_owned(),
        source: "src".to_owned(),
        target: "a".to_owned(),
        tick: None,
        trigger: Trigger::AdHoc,
        started: at,
        finished: at,
        attempts: 1,
        covers: Covers::At { at },
        complete: true,
        resources: 1,
    };
    let draft = Draft::new(Body::Snapshot(leaf))
        .with_blob(Role::Evidence, "application/json", evidence)
        .unwrap();
    bench.log.append(draft).await.unwrap().seq
}

const UNSAFE: &[u8] =
    br#"{"resources":[{"id":"x","kind":"fake.thing","name":"x","call":[0],"attributes":{"safe":false},"unknown":{}}]}"#;

#[tokio::test]
async fn what_a_crash_left_unjudged_is_judged_under_its_own_plan() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    let (old_plan, snapshot) = (bench.plan_seq, unjudged(&bench, 1, UNSAFE).await);
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "nobody has judged it"
    );

    // Under the rules of today it would pass.
    let other = RULES
        .replace("passes = \"resource.safe\"", "passes = \"!resource.safe\"")
        .replace(
            "safe = true }, outcome = \"pass\"",
            "safe = true }, outcome = \"fail\"",
        )
        .replace(
            "safe = false }, outcome = \"fail\"",
            "safe = false }, outcome = \"pass\"",
        );
    bench.rules(&other).await;
    assert_ne!(bench.plan_seq, old_plan);
    assert_eq!(
        round::judge_unjudged(&bench.log, &bench.shared(), None)
            .await
            .unwrap(),
        1
    );
    let seq = bench.reader.evaluation_of(snapshot).unwrap().unwrap();
    let Some(Body::Evaluation(evaluation)) = bench.leaf(seq).body else {
        panic!("leaf {seq} is no evaluation")
    };
    assert_eq!(evaluation.plan, old_plan);
    assert_eq!(evaluation.results[0]["outcome"], "fail");
    assert_eq!(
        round::judge_unjudged(&bench.log, &bench.shared(), None)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_snapshot_that_can_not_be_judged_stays_unknown_and_stops_nobody() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    unjudged(&bench, 1, b"not what it should be").await;
    unjudged(&bench, 0, UNSAFE).await;
    let good = unjudged(&bench, 1, UNSAFE).await;
    assert_eq!(
        round::judge_unjudged(&bench.log, &bench.shared(), None)
            .await
            .unwrap(),
        1
    );
    assert!(bench.reader.evaluation_of(good).unwrap().is_some());
    assert_eq!(bench.reader.unjudged().unwrap().len(), 2);
    bench.run().await;
    assert_eq!(outcome_of_control(&bench), Outcome::Pass);
}

#[tokio::test]
async fn damaged_earlier_evidence_is_for_verify_to_report_and_stops_no_collection() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    let database = rusqlite::Connection::open(bench.reader.paths().database()).unwrap();
    database
        .execute("UPDATE blob SET bytes = x'00' WHERE seq IN (2, 3)", [])
        .unwrap();
    drop(database);
    let taken = bench.run().await;
    assert_eq!(
        taken[0].outcome.as_ref().unwrap().evaluation.results[0].outcome,
        Outcome::Pass
    );
    let report = verify_store(bench.reader.paths(), None, &|_, _| {}).unwrap();
    assert!(!report.intact);
}

#[tokio::test]
async fn a_log_that_is_gone_stops_the_round_with_an_error() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    std::fs::remove_file(bench.reader.paths().guard()).unwrap();
    assert!(matches!(bench.try_run().await, Err(RoundError::Append(_))));
}
