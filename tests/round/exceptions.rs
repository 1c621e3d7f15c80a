//! Exceptions from outside: what is judged under them, whenever it is judged, and what is shown when they have ended.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

use evidenced::clock::Clock as _;
use evidenced::control::Outcome;
use evidenced::exception;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{Body, Exception, Role};
use evidenced::log::verify_store::verify_store;
use evidenced::round::{self, dry_run};
use evidenced::standing;

use crate::fake::{Answer, Bench, thing};
use crate::mishaps::unjudged;
use crate::{findings, folder, outcome_of_control};

pub(crate) fn exception(only_source: Option<&str>, expires: DateTime<Utc>) -> Exception {
    Exception {
        test: "things-safe".to_owned(),
        only_source: only_source.map(str::to_owned),
        reason: "by design".to_owned(),
        requested_by: "Ann".to_owned(),
        approved_by: "Bob".to_owned(),
        recorded_by: "root".to_owned(),
        expires,
        resources: 1,
        ticket: None,
    }
}

async fn record(bench: &Bench, exception: Exception, resources: &[&str]) -> u64 {
    let resources: BTreeSet<String> = resources.iter().map(ToString::to_string).collect();
    let draft = Draft::new(Body::Exception(exception))
        .with_blob(
            Role::Resources,
            "application/json",
            &exception::payload(resources),
        )
        .unwrap();
    bench.log.append(draft).await.unwrap().seq
}

pub(crate) async fn record_for(bench: &Bench, hours: i64) -> u64 {
    let expires = bench.clock.now() + TimeDelta::hours(hours);
    record(bench, exception(None, expires), &["x"]).await
}

/// The outcome of the first test on the first target, and the doubts.
fn stands(bench: &Bench) -> (Outcome, Vec<String>) {
    let standing = standing::standing(&bench.reader).unwrap().unwrap();
    let now = bench.clock.now();
    let latest = &standing.latest[0];
    (standing.outcome(latest, now), standing.doubts(latest, now))
}

async fn outcome(bench: &Bench) -> Outcome {
    let taken = bench.run().await;
    taken[0].outcome.as_ref().unwrap().evaluation.results[0].outcome
}

const UNSAFE: &[u8] =
    br#"{"resources":[{"id":"x","kind":"fake.thing","name":"x","call":[0],"attributes":{"safe":false},"unknown":{}}]}"#;

#[tokio::test]
async fn an_exception_counts_from_its_leaf_on_and_the_finding_names_it() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", true)]))]);
    assert_eq!(outcome(&bench).await, Outcome::Fail);
    let seq = record_for(&bench, 2).await;
    assert_eq!(
        stands(&bench),
        (Outcome::Fail, vec![]),
        "what was judged stays so"
    );
    assert_eq!(outcome_of_control(&bench), Outcome::Fail);
    assert_eq!(outcome(&bench).await, Outcome::Excepted);
    assert_eq!(stands(&bench), (Outcome::Excepted, vec![]));
    assert_eq!(outcome_of_control(&bench), Outcome::Excepted);
    let kinds = bench.kinds();
    let newest = kinds.iter().rposition(|kind| kind == "evaluation").unwrap();
    assert_eq!(
        findings(&bench, newest as u64)[0],
        [
            "things-safe".to_owned(),
            "x".to_owned(),
            "excepted".to_owned(),
            format!("excepted, exception {seq} until 2026-03-01T14:00:00Z: safe = false")
        ]
    );
    // Another resource that fails is not covered.
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", false)]))]);
    assert_eq!(outcome(&bench).await, Outcome::Fail);
    assert!(
        verify_store(bench.reader.paths(), None, &|_, _| {})
            .unwrap()
            .intact
    );
}

#[tokio::test]
async fn a_snapshot_from_before_the_exception_fails_also_where_it_is_judged_after() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let before = unjudged(&bench, bench.plan_seq, UNSAFE).await;
    record_for(&bench, 2).await;
    let after = unjudged(&bench, bench.plan_seq, UNSAFE).await;
    assert_eq!(
        round::judge_unjudged(&bench.log, &bench.shared(), None)
            .await
            .unwrap(),
        2
    );
    let outcome_of = |snapshot| {
        let evaluation = bench.reader.evaluation_of(snapshot).unwrap().unwrap();
        findings(&bench, evaluation)[0][2].clone()
    };
    assert_eq!(outcome_of(before), "fail");
    assert_eq!(outcome_of(after), "excepted");
}

#[tokio::test]
async fn what_was_judged_late_is_judged_by_the_exception_that_it_had_and_not_by_a_later_one() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let first = record_for(&bench, 2).await;
    let snapshot = unjudged(&bench, bench.plan_seq, UNSAFE).await;
    // Withdrawn, and the first one has ended too, when it is judged at last.
    record(&bench, exception(None, bench.clock.now()), &["x"]).await;
    bench.clock.forward(TimeDelta::hours(5));
    round::judge_unjudged(&bench.log, &bench.shared(), None)
        .await
        .unwrap();
    let evaluation = bench.reader.evaluation_of(snapshot).unwrap().unwrap();
    assert!(
        findings(&bench, evaluation)[0][3].starts_with(&format!("excepted, exception {first} until ")),
        "{:?}",
        findings(&bench, evaluation)
    );
}

#[tokio::test]
async fn when_it_ends_nothing_is_shown_as_excepted_and_the_next_snapshot_fails() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let seq = record_for(&bench, 2).await;
    assert_eq!(outcome(&bench).await, Outcome::Excepted);
    bench
        .clock
        .forward(TimeDelta::hours(2) - TimeDelta::milliseconds(1));
    assert_eq!(stands(&bench).0, Outcome::Excepted);
    bench.clock.forward(TimeDelta::milliseconds(1));
    let ended =
        format!("exception {seq} ended at 2026-03-01T14:00:00.000Z, so that things-safe fails on 1 resource");
    assert_eq!(stands(&bench), (Outcome::Fail, vec![ended]));
    assert_eq!(outcome_of_control(&bench), Outcome::Fail);
    assert_eq!(outcome(&bench).await, Outcome::Fail);
    assert_eq!(stands(&bench), (Outcome::Fail, vec![]));
}

#[tokio::test]
async fn one_that_is_withdrawn_or_prolonged_counts_as_the_newest_says() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let first = record_for(&bench, 2).await;
    assert_eq!(outcome(&bench).await, Outcome::Excepted);
    // Prolonged, and no snapshot since: the present is covered all the same.
    record_for(&bench, 8).await;
    bench.clock.forward(TimeDelta::hours(3));
    assert_eq!(stands(&bench), (Outcome::Excepted, vec![]));
    // Withdrawn, and no snapshot since: it is not.
    let end = record(&bench, exception(None, bench.clock.now()), &["x"]).await;
    let (outcome_now, doubts) = stands(&bench);
    assert_eq!(outcome_now, Outcome::Fail);
    assert_eq!(
        doubts,
        [format!(
            "exception {end} took the place of exception {first} and ended at 2026-03-01T15:00:00.000Z, \
             so that things-safe fails on 1 resource"
        )]
    );
    assert_eq!(outcome(&bench).await, Outcome::Fail);
}

#[tokio::test]
async fn one_for_another_source_or_resource_covers_nothing() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let end = bench.clock.now() + TimeDelta::hours(2);
    record(&bench, exception(Some("elsewhere"), end), &["x"]).await;
    record(&bench, exception(None, end), &["y"]).await;
    let other_test = Exception {
        test: "another".to_owned(),
        ..exception(None, end)
    };
    record(&bench, other_test, &["x"]).await;
    assert_eq!(outcome(&bench).await, Outcome::Fail);
    record(&bench, exception(Some("src"), end), &["x"]).await;
    assert_eq!(outcome(&bench).await, Outcome::Excepted);
}

#[tokio::test]
async fn what_is_unknown_or_incomplete_is_never_excepted() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    let mut dim = thing("x", false);
    dim.attributes.remove("safe");
    dim.unknown.insert("safe".to_owned(), "not allowed".to_owned());
    bench.holds([("a", Answer::seen([dim]))]);
    bench.run().await;
    record_for(&bench, 2).await;
    assert_eq!(outcome(&bench).await, Outcome::Unknown);
    let part = Answer::Seen {
        resources: vec![thing("x", false)],
        complete: false,
        raw: Vec::new(),
    };
    bench.holds([("a", part)]);
    assert_eq!(outcome(&bench).await, Outcome::Unknown);
    // Nor is it unknown when the exception has ended: it is known to fail.
    bench.clock.forward(TimeDelta::hours(2));
    assert_eq!(stands(&bench).0, Outcome::Fail);
}

#[tokio::test]
async fn one_whose_resources_can_not_be_read_covers_nothing_and_nor_does_the_one_before() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    record_for(&bench, 2).await;
    assert_eq!(outcome(&bench).await, Outcome::Excepted);
    let without = Draft::new(Body::Exception(exception(
        None,
        bench.clock.now() + TimeDelta::hours(2),
    )));
    bench.log.append(without).await.unwrap();
    assert_eq!(stands(&bench).0, Outcome::Fail);
    assert_eq!(outcome(&bench).await, Outcome::Fail);
}

#[tokio::test]
async fn a_damaged_one_covers_nothing_and_stops_nobody() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let seq = record_for(&bench, 2).await;
    let database = rusqlite::Connection::open(bench.reader.paths().database()).unwrap();
    for damage in [
        "UPDATE blob SET bytes = zeroblob(10) WHERE seq = ?",
        "DELETE FROM blob WHERE seq = ?",
        "UPDATE leaf SET bytes = CAST('nothing' AS BLOB) WHERE seq = ?",
    ] {
        assert_eq!(database.execute(damage, [seq]).unwrap(), 1);
        // A snapshot that was sealed before, since the appender refuses a damaged store.
        let mut sealed = exception::Sealed::default();
        let place = exception::Place {
            test: "things-safe",
            resource: "x",
            source: "src",
        };
        let exceptions = sealed.up_to_date(&bench.reader).unwrap();
        assert_eq!(
            exceptions.covering(place, u64::MAX, bench.clock.now()),
            None,
            "{damage}"
        );
    }
}

#[tokio::test]
async fn a_dry_run_shows_what_the_exceptions_in_force_cover() {
    let folder = folder();
    let bench = Bench::new(folder.path()).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    let tried = async || {
        let taken = dry_run(
            &bench.job,
            &bench.plan,
            bench.clock.as_ref(),
            bench.reader.paths(),
        )
        .await;
        taken[0].outcome.as_ref().unwrap().evaluation.results[0].outcome
    };
    assert_eq!(tried().await, Outcome::Fail);
    record_for(&bench, 2).await;
    assert_eq!(tried().await, Outcome::Excepted);
    bench.clock.forward(TimeDelta::hours(2));
    assert_eq!(tried().await, Outcome::Fail);
}
