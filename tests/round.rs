//! A round from outside: what stands in the log after it, in which order, and what nobody can be led to believe by it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use chrono::TimeDelta;
use std::time::Duration;

use evidenced::config::KeepRaw;
use evidenced::control::Outcome;
use evidenced::log::leaf::{Body, Role};
use evidenced::log::verify_store::verify_store;
use evidenced::plan::Observed;
use evidenced::round;
use evidenced::standing;
use evidenced_collector_api::{FailureClass, Resource};

mod fake;

#[path = "round/alerts.rs"]
mod alerts;
#[path = "round/beside.rs"]
mod beside;
#[path = "round/calendar.rs"]
mod calendar;
#[path = "fake/everything.rs"]
mod everything;
#[path = "round/exceptions.rs"]
mod exceptions;
#[path = "round/mishaps.rs"]
mod mishaps;

use fake::{Answer, Bench, RULES, thing};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The findings that an evaluation seals, as test, resource, outcome and reason.
fn findings(bench: &Bench, seq: u64) -> Vec<[String; 4]> {
    let leaf = bench.leaf(seq);
    let blob = leaf
        .blobs
        .iter()
        .find(|blob| blob.role == Role::Findings)
        .unwrap();
    let payload = bench.reader.payload(&blob.sha256).unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let text = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let list = value["findings"].as_array().unwrap();
    list.iter()
        .map(|finding| ["test", "resource", "outcome", "reason"].map(|name| text(finding, name)))
        .collect()
}

fn outcome_of_control(bench: &Bench) -> Outcome {
    let standing = standing::standing(&bench.reader).unwrap().unwrap();
    standing.controls(evidenced::clock::Clock::now(bench.clock.as_ref()))[0].outcome
}

fn blob_of(bench: &Bench, seq: u64, role: &Role) -> Option<[u8; 32]> {
    let leaf = bench.leaf(seq);
    leaf.blobs
        .iter()
        .find(|blob| blob.role == *role)
        .map(|blob| blob.sha256)
}

#[tokio::test]
async fn the_scope_stands_before_its_snapshots_and_each_snapshot_before_its_evaluation() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)])), ("b", Answer::seen([]))]);
    bench.run().await;
    assert_eq!(
        bench.kinds(),
        [
            "key",
            "plan",
            "scope",
            "snapshot",
            "evaluation",
            "snapshot",
            "evaluation"
        ]
    );
    let Some(Body::Evaluation(evaluation)) = bench.leaf(4).body else {
        panic!("leaf 4 is no evaluation")
    };
    assert_eq!((evaluation.snapshot, evaluation.plan), (3, 1));
    assert!(
        verify_store(bench.reader.paths(), None, &|_, _| {})
            .unwrap()
            .intact
    );
}

#[tokio::test]
async fn the_scope_is_written_again_only_when_it_changes() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let safe = || Answer::seen([thing("x", true)]);
    bench.holds([("a", safe())]);
    bench.run().await;
    bench.run().await;
    bench.holds([("a", safe()), ("b", safe())]);
    bench.run().await;
    bench.holds([("b", safe())]);
    bench.run().await;
    let scopes: Vec<_> = (0..)
        .zip(bench.kinds())
        .filter(|(_, kind)| kind == "scope")
        .collect();
    assert_eq!(scopes.len(), 3, "{:?}", bench.kinds());
    let (last, _) = scopes[2];
    let payload = bench
        .reader
        .payload(&blob_of(&bench, last, &Role::Scope).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(payload, br#"{"targets":["b"]}"#);
}

#[tokio::test]
async fn an_evaluation_is_what_judging_the_sealed_evidence_again_gives() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let mut dim = Resource::new("fake.thing", "z", "z", 0);
    dim.unknown.insert("safe".to_owned(), "not allowed".to_owned());
    bench.holds([("a", Answer::seen([thing("y", false), thing("x", true), dim]))]);
    let taken = bench.run().await;
    let leaf = bench.leaf(3);
    let again = bench.plan.evaluate(
        "fake.things",
        &Observed {
            source: "src",
            target: "a",
            resources: &round::resources(&bench.reader, 3, &leaf).unwrap(),
            complete: true,
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
        },
    );
    assert_eq!(taken[0].outcome.as_ref().unwrap().evaluation, again);
    let Some(Body::Evaluation(sealed)) = bench.leaf(4).body else {
        panic!("leaf 4 is no evaluation")
    };
    assert_eq!(sealed.results, serde_json::to_value(&again.results).unwrap());
    let outcomes: Vec<_> = findings(&bench, 4)
        .into_iter()
        .map(|[_, resource, outcome, _]| [resource, outcome])
        .collect();
    assert_eq!(outcomes, [["x", "pass"], ["y", "fail"], ["z", "unknown"]]);
}

#[tokio::test]
async fn every_class_of_failure_is_a_leaf_for_its_target_and_the_others_go_on() {
    use FailureClass::{Auth, Internal, InvalidResponse, Permission, RateLimited, Timeout, Unavailable};
    for class in [
        Auth,
        Permission,
        RateLimited,
        Unavailable,
        Timeout,
        InvalidResponse,
        Internal,
    ] {
        let folder = folder();
        let bench = Bench::new(folder.path()).await;
        bench.holds([
            ("a", Answer::Fails(class, "as told".to_owned())),
            ("b", Answer::seen([thing("x", true)])),
        ]);
        let taken = bench.run().await;
        let Some(Body::Failure(failure)) = bench.leaf(3).body else {
            panic!("leaf 3 is no failure: {:?}", bench.kinds())
        };
        assert_eq!((failure.class, failure.message.as_str()), (class, "as told"));
        assert_eq!(failure.target.as_deref(), Some("a"));
        assert_eq!(
            failure.retryable,
            matches!(class, RateLimited | Unavailable | Timeout)
        );
        assert_eq!(taken[0].seq, Some(3));
        assert!(taken[1].outcome.is_ok());
        assert_eq!(
            outcome_of_control(&bench),
            Outcome::Unknown,
            "a was never observed"
        );
    }
}

#[tokio::test]
async fn targets_that_can_not_be_found_out_are_one_failure_and_make_every_target_doubtful() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    bench.world.lock().unwrap().answers = None;
    let taken = bench.run().await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].target, None);
    let Some(Body::Failure(failure)) = bench.leaf(5).body else {
        panic!("leaf 5 is no failure: {:?}", bench.kinds())
    };
    assert_eq!((failure.target, failure.class), (None, FailureClass::Auth));
    let standing = standing::standing(&bench.reader).unwrap().unwrap();
    assert_eq!(standing.latest[0].target.as_deref(), Some("a"));
    assert_eq!(standing.latest[0].failure.as_ref().unwrap().0, 5);
}

#[tokio::test]
async fn a_source_without_targets_is_unknown() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    assert!(bench.run().await.is_empty());
    assert_eq!(bench.kinds(), ["key", "plan", "scope"]);
    assert_eq!(outcome_of_control(&bench), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_never_ends_is_a_timeout_after_ten_minutes() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::Hangs)]);
    let begun = tokio::time::Instant::now();
    let taken = bench.run().await;
    let error = taken[0].outcome.as_ref().unwrap_err();
    assert_eq!((error.class, error.retryable), (FailureClass::Timeout, true));
    assert_eq!(begun.elapsed().as_secs(), Duration::from_mins(10).as_secs());
}

#[tokio::test(start_paused = true)]
async fn each_target_has_the_deadline_that_is_configured() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.job.deadline = Duration::from_secs(30);
    bench.holds([("a", Answer::Hangs), ("b", Answer::Hangs)]);
    let begun = tokio::time::Instant::now();
    let taken = bench.run().await;
    let error = taken[1].outcome.as_ref().unwrap_err();
    assert_eq!(error.message, "no end after 30 seconds");
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_collector_that_panics_has_failed() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::Panics), ("b", Answer::seen([thing("x", true)]))]);
    let taken = bench.run().await;
    let error = taken[0].outcome.as_ref().unwrap_err();
    assert_eq!(error.class, FailureClass::Internal);
    assert_eq!(error.message, "the collector panicked: this is a bug in it");
    assert!(taken[1].outcome.is_ok());
}

#[tokio::test]
async fn a_breach_of_the_contract_is_a_failure_that_names_nobody() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let person = "ann.smith@example.org";
    bench.holds([("a", Answer::seen([thing(person, true), thing(person, false)]))]);
    let taken = bench.run().await;
    let error = taken[0].outcome.as_ref().unwrap_err();
    assert_eq!(error.class, FailureClass::Internal);
    assert_eq!(
        error.message,
        "fake.things 1 broke its contract: fake.thing: twice in one snapshot"
    );
    for seq in 0..bench.reader.size().unwrap() {
        let bytes = String::from_utf8(bench.reader.leaf_bytes(seq).unwrap().unwrap()).unwrap();
        assert!(!bytes.contains(person), "{bytes}");
    }
}

#[tokio::test]
async fn an_incomplete_snapshot_fails_but_never_passes() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let part = |resources| Answer::Seen {
        resources,
        complete: false,
        raw: Vec::new(),
    };
    for (resources, expected) in [
        (vec![thing("x", true)], Outcome::Unknown),
        (vec![], Outcome::Unknown),
        (vec![thing("x", true), thing("y", false)], Outcome::Fail),
    ] {
        bench.holds([("a", part(resources))]);
        let taken = bench.run().await;
        let evaluation = &taken[0].outcome.as_ref().unwrap().evaluation;
        assert_eq!(evaluation.results[0].outcome, expected);
        assert_eq!(outcome_of_control(&bench), expected);
    }
}

#[tokio::test]
async fn a_control_passes_only_while_every_target_speaks_for_it() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    let safe = || Answer::seen([thing("x", true)]);
    let broken = || Answer::Fails(FailureClass::Unavailable, "down".to_owned());
    bench.holds([("a", safe()), ("b", broken())]);
    bench.run().await;
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "b was never observed"
    );
    bench.holds([("a", safe()), ("b", safe())]);
    bench.run().await;
    assert_eq!(outcome_of_control(&bench), Outcome::Pass);

    // b fails from here on, and its last snapshot speaks until it is 26 hours old.
    bench.holds([("a", safe()), ("b", broken())]);
    bench.clock.forward(TimeDelta::hours(26));
    bench.run().await;
    assert_eq!(outcome_of_control(&bench), Outcome::Pass);
    bench.clock.forward(TimeDelta::milliseconds(1));
    bench.run().await;
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "b's evidence is too old"
    );
    bench.holds([("a", safe()), ("b", safe())]);
    bench.run().await;
    assert_eq!(outcome_of_control(&bench), Outcome::Pass);

    // Other rules: what b's last snapshot was found to be under the old ones is no answer.
    let stricter = RULES.replace(
        "passes = \"resource.safe\"",
        "passes = \"resource.safe && resource.counter < 10\"",
    );
    let stricter = stricter.replace("safe = true }", "safe = true, counter = 0 }");
    bench.rules(&stricter).await;
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "neither was judged so"
    );
    bench.holds([("a", safe()), ("b", broken())]);
    bench.run().await;
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "b was not judged so"
    );
    let standing = standing::standing(&bench.reader).unwrap().unwrap();
    let now = evidenced::clock::Clock::now(bench.clock.as_ref());
    assert_eq!(standing.outcome(&standing.latest[1], now), Outcome::Unknown);
    assert_eq!(
        standing.doubts(&standing.latest[1], now),
        ["judged before these tests changed: things-safe; collect again"]
    );

    // A clock that was set back does not make old evidence new.
    bench.holds([("a", safe()), ("b", safe())]);
    bench.run().await;
    assert_eq!(outcome_of_control(&bench), Outcome::Pass);
    bench.clock.forward(-TimeDelta::hours(3));
    assert_eq!(
        outcome_of_control(&bench),
        Outcome::Unknown,
        "it is from the future"
    );
}

#[tokio::test]
async fn a_changed_exclusion_or_a_new_test_asks_for_new_evidence_too() {
    for addition in [
        "[[exclusion]]\nresource = \"x\"\nreason = \"a sandbox\"\n",
        "[[test]]\nid = \"more\"\ntitle = \"More\"\ndoc = \"More.\"\nresource = \"fake.thing\"\npasses = \"resource.safe\"\n\
         severity = \"low\"\nmax_age = \"26h\"\nexample = [{ given = { safe = true }, outcome = \"pass\" }, \
         { given = { safe = false }, outcome = \"fail\" }]\n\
         [[control]]\nid = \"more-safety\"\nstatement = \"S\"\nowner = \"o\"\ncriteria = [\"CC6.1\"]\ntests = [\"more\"]\n",
    ] {
        let folder = folder();
        let mut bench = Bench::new(folder.path()).await;
        bench.holds([("a", Answer::seen([thing("x", true)]))]);
        bench.run().await;
        assert_eq!(outcome_of_control(&bench), Outcome::Pass);
        bench.rules(&format!("{RULES}{addition}")).await;
        let worst = |bench: &Bench| {
            let standing = standing::standing(&bench.reader).unwrap().unwrap();
            standing.outcome(
                &standing.latest[0],
                evidenced::clock::Clock::now(bench.clock.as_ref()),
            )
        };
        assert_eq!(worst(&bench), Outcome::Unknown);
        bench.run().await;
        assert_ne!(worst(&bench), Outcome::Unknown);
    }
}

#[tokio::test]
async fn an_exclusion_shows_in_the_findings_with_its_reason() {
    let folder = folder();
    let rules = format!("{RULES}\n[[exclusion]]\nresource = \"sand*\"\nreason = \"a sandbox, SEC-9\"\n");
    let bench = Bench::with_rules(folder.path(), &rules).await;
    bench.holds([("a", Answer::seen([thing("sandbox", false), thing("x", true)]))]);
    bench.run().await;
    assert_eq!(
        findings(&bench, 4),
        [
            [
                "things-safe",
                "sandbox",
                "not_applicable",
                "excluded: a sandbox, SEC-9"
            ],
            ["things-safe", "x", "pass", ""],
        ]
    );
    let Some(Body::Plan(plan)) = bench.leaf(1).body else {
        panic!("leaf 1 is no plan")
    };
    assert_eq!(plan.exclusions, 1);
}

#[tokio::test]
async fn answers_are_kept_when_the_resources_changed_and_daily_and_not_otherwise() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    let counted = |safe, counter: u64| Answer::seen([thing("x", safe).with("counter", counter)]);
    let mut kept = Vec::new();
    for (answer, hours) in [
        (counted(true, 0), 0),
        (counted(true, 0), 1),
        (counted(true, 7), 1),
        (counted(false, 7), 1),
        (counted(false, 8), 1),
        (counted(false, 8), 24),
        (counted(false, 8), 1),
    ] {
        bench.clock.forward(TimeDelta::hours(hours));
        bench.holds([("a", answer)]);
        let seq = bench.run().await[0].seq.unwrap();
        kept.push(blob_of(&bench, seq, &Role::Raw).is_some());
    }
    assert_eq!(kept, [true, false, false, true, false, true, false]);
    bench.raw = KeepRaw::Always;
    let seq = bench.run().await[0].seq.unwrap();
    assert!(blob_of(&bench, seq, &Role::Raw).is_some());
}

#[tokio::test]
async fn unchanged_evidence_is_stored_once_for_each_target() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let same = || Answer::seen([thing("x", true)]);
    bench.holds([("a", same()), ("b", same())]);
    let first = bench.run().await;
    let second = bench.run().await;
    let evidence = |seq: Option<u64>| blob_of(&bench, seq.unwrap(), &Role::Evidence).unwrap();
    assert_eq!(evidence(first[0].seq), evidence(second[0].seq));
    assert_ne!(evidence(first[0].seq), evidence(first[1].seq), "another target's");
    bench.holds([("a", Answer::seen([thing("x", false)])), ("b", same())]);
    let third = bench.run().await;
    assert_ne!(evidence(second[0].seq), evidence(third[0].seq));
}

#[tokio::test]
async fn a_payload_above_the_limit_is_a_failure() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([(
        "a",
        Answer::Seen {
            resources: vec![thing("x", true)],
            complete: true,
            raw: vec![0; (16 << 20) + 1],
        },
    )]);
    let taken = bench.run().await;
    let error = taken[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        error.message,
        "a payload of 16777217 bytes, and the log takes none above 16 MiB"
    );
    assert_eq!(bench.kinds(), ["key", "plan", "scope", "failure"]);
}
