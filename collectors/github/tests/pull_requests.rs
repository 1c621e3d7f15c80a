//! `github.pull_requests` over the fake of GitHub: runs that go on from each other, what they cost, and what they do where
//! GitHub fails. What is found of each trap is compared with the truth by the program's own tests.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_api::{
    Clock as _, CollectError, Collector, Covers, Resource, Run, Snapshot, Target, conformance,
};
use evidenced_collector_github::pull_requests;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake::Fake;
use world::{Kept, MachineClock, settings};

const SINCE: &str = "token = \"admin-token\"\nsince = \"2026-05-01\"";

fn fake(scenario: &Value) -> Fake {
    let fake = Fake::start();
    fake.control("/_fake/scenario", scenario);
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    fake
}

/// A collector that knows its targets.
async fn collector(fake: &Fake, more: &str) -> Box<dyn Collector> {
    let collector = pull_requests(settings(fake, more));
    let clock = MachineClock::default();
    collector.targets(&Run::begin(&clock)).await.unwrap();
    fake.control("/_fake/log/clear", &json!({}));
    collector
}

async fn collect(
    collector: &dyn Collector,
    name: &str,
    kept: &Kept,
    seconds: u64,
) -> Result<Snapshot, CollectError> {
    let clock = MachineClock::default();
    let run = Run {
        earlier: kept,
        deadline: Duration::from_secs(seconds),
        ..Run::begin(&clock)
    };
    let snapshot = collector.collect(&Target::new(name)?, &run).await?;
    assert_eq!(
        conformance::snapshot_breaches(&snapshot, &run),
        Vec::<String>::new()
    );
    kept.seal(&snapshot);
    Ok(snapshot)
}

fn calls(fake: &Fake) -> usize {
    let log = fake.control("/_fake/log", &Value::Null);
    fake.control("/_fake/log/clear", &json!({}));
    log.as_array().unwrap().len()
}

fn of_kind<'a>(snapshot: &'a Snapshot, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
    snapshot
        .resources
        .iter()
        .filter(move |resource| resource.kind == kind)
}

fn ids(snapshot: &Snapshot, kind: &str) -> BTreeSet<String> {
    of_kind(snapshot, kind)
        .map(|resource| resource.id.clone())
        .collect()
}

fn history(snapshot: &Snapshot) -> &Resource {
    of_kind(snapshot, "github.branch_history").next().unwrap()
}

#[tokio::test]
async fn the_contract_is_kept() {
    let fake = fake(&json!({ "name": "traps" }));
    let only = format!("{SINCE}\nrepositories = [\"pulls\", \"pushes\", \"checks\"]");
    let (snapshots, breaches) = conformance::check(
        pull_requests(settings(&fake, &only)).as_ref(),
        &MachineClock::default(),
    )
    .await
    .unwrap();
    assert_eq!(breaches, Vec::<String>::new());
    assert_eq!(snapshots.len(), 3);
    for snapshot in &snapshots {
        assert!(
            snapshot.provenance.completeness.complete,
            "{:?}",
            snapshot.provenance.completeness
        );
    }
}

#[tokio::test]
async fn a_run_goes_on_where_the_last_one_ended() {
    let fake = fake(&json!({ "name": "traps" }));
    let collector = collector(&fake, &format!("{SINCE}\nrepositories = [\"pushes\"]")).await;
    let kept = Kept::default();
    let name = "acme/pushes";
    let first = collect(collector.as_ref(), name, &kept, 60).await.unwrap();
    assert!(
        first.provenance.completeness.complete,
        "{:?}",
        first.provenance.completeness
    );
    assert!(ids(&first, "github.pull_request").len() >= 2);
    calls(&fake);

    // What happens in a second that is not over belongs to the next interval.
    let next_second = || tokio::time::sleep(Duration::from_millis(1100));
    // Nothing changed: three requests.
    let second = collect(collector.as_ref(), name, &kept, 60).await.unwrap();
    assert!(calls(&fake) <= 3);
    assert_eq!(second.resources.len(), 1);
    assert_eq!(
        second.covers,
        Covers::Interval {
            from: first.covers.until(),
            to: second.covers.until(),
        }
    );

    let change = |body: Value| fake.control("/_fake/do", &body);
    let pull = change(json!({ "op": "open_pull", "repository": name, "author": "alice", "base": "main" }));
    let number = pull["number"].as_u64().unwrap();
    change(json!({ "op": "review", "repository": name, "number": number, "by": "bob", "state": "APPROVED" }));
    change(json!({ "op": "merge_pull", "repository": name, "number": number, "by": "bob" }));
    change(
        json!({ "op": "push", "repository": name, "branch": "main", "by": "dave", "dated": "2001-01-01T00:00:00Z" }),
    );
    next_second().await;
    let third = collect(collector.as_ref(), name, &kept, 60).await.unwrap();
    assert!(
        third.provenance.completeness.complete,
        "{:?}",
        third.provenance.completeness
    );
    assert_eq!(
        ids(&third, "github.pull_request"),
        BTreeSet::from([format!("{name}#{number}")])
    );
    let direct: Vec<_> = of_kind(&third, "github.commit")
        .filter(|commit| commit.attributes.get("pull_requests") == Some(&json!([])))
        .collect();
    assert_eq!(direct.len(), 1);
    assert_eq!(direct[0].attributes["pushed_by"], "dave");
    assert_eq!(history(&third).attributes["descends"], true);

    // A rewritten branch does not descend from what was sealed.
    change(json!({ "op": "force_push", "repository": name, "branch": "main", "by": "erin" }));
    next_second().await;
    let fourth = collect(collector.as_ref(), name, &kept, 60).await.unwrap();
    assert_eq!(history(&fourth).attributes["descends"], false);
    assert_eq!(history(&fourth).attributes["force_pushes"], 1);
    assert_eq!(ids(&fourth, "github.force_push").len(), 1);
}

#[tokio::test]
async fn a_large_repository_costs_a_request_for_each_forty_pull_requests() {
    let fake = fake(&json!({ "name": "large", "prs": 5000 }));
    let collector = collector(&fake, "token = \"admin-token\"\nsince = \"2025-12-01\"").await;
    let kept = Kept::default();
    let first = collect(collector.as_ref(), "acme/large", &kept, 300)
        .await
        .unwrap();
    assert!(
        first.provenance.completeness.complete,
        "{:?}",
        first.provenance.completeness
    );
    assert_eq!(of_kind(&first, "github.pull_request").count(), 5000);
    let made = calls(&fake);
    assert!(made <= 5000 / 40, "{made} requests");
    let unknown: Vec<_> = first
        .resources
        .iter()
        .filter(|resource| !resource.unknown.is_empty())
        .collect();
    assert!(unknown.is_empty(), "{:?}", unknown[0]);

    collect(collector.as_ref(), "acme/large", &kept, 60)
        .await
        .unwrap();
    let made = calls(&fake);
    assert!(made <= 3, "{made} requests where nothing changed");
}

#[tokio::test]
async fn a_renamed_default_branch_goes_on_under_its_new_name() {
    let fake = fake(&json!({ "name": "traps" }));
    let only = format!("{SINCE}\nrepositories = [\"pushes\"]");
    let (kept, name) = (Kept::default(), "acme/pushes");
    let first = collector(&fake, &only).await;
    collect(first.as_ref(), name, &kept, 60).await.unwrap();
    let change = |body: Value| fake.control("/_fake/do", &body);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let pull = change(json!({ "op": "open_pull", "repository": name, "author": "alice", "base": "main" }));
    let number = pull["number"].as_u64().unwrap();
    change(json!({ "op": "merge_pull", "repository": name, "number": number, "by": "bob" }));
    change(json!({ "op": "rename_branch", "repository": name, "to": "trunk" }));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let second = collector(&fake, &only).await;
    let snapshot = collect(second.as_ref(), name, &kept, 60).await.unwrap();
    let complete = &snapshot.provenance.completeness;
    assert!(complete.complete, "{complete:?}");
    let history = history(&snapshot);
    assert_eq!(
        (history.id.as_str(), &history.attributes["descends"]),
        ("acme/pushes:trunk", &json!(true))
    );
    assert_eq!(
        ids(&snapshot, "github.pull_request"),
        BTreeSet::from([format!("{name}#{number}")])
    );
    for commit in of_kind(&snapshot, "github.commit") {
        assert_eq!(
            commit.attributes["pull_requests"],
            json!([number]),
            "{}",
            commit.id
        );
    }
}

#[tokio::test]
async fn a_merge_that_github_shows_late_is_listed_once() {
    let fake = fake(&json!({ "name": "traps" }));
    let collector = collector(&fake, &format!("{SINCE}\nrepositories = [\"pulls\"]")).await;
    let (kept, name) = (Kept::default(), "acme/pulls");
    collect(collector.as_ref(), name, &kept, 60).await.unwrap();
    let change = |body: Value| fake.control("/_fake/do", &body);
    let before = (MachineClock::default().now() - chrono::TimeDelta::minutes(20)).to_rfc3339();
    let pull = change(
        json!({ "op": "open_pull", "repository": name, "author": "alice", "base": "main", "at": before }),
    );
    let number = pull["number"].as_u64().unwrap();
    change(json!({ "op": "merge_pull", "repository": name, "number": number, "by": "bob", "at": before }));
    let mut late = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let snapshot = collect(collector.as_ref(), name, &kept, 60).await.unwrap();
        let pulls = of_kind(&snapshot, "github.pull_request");
        late.extend(pulls.map(|pull| (pull.id.clone(), pull.attributes["late"].clone())));
    }
    assert_eq!(late, [(format!("{name}#{number}"), json!(true))]);
}

/// Facts, by resource and attribute.
fn facts(snapshot: &Snapshot) -> BTreeMap<(String, String), Value> {
    let facts = snapshot.resources.iter().flat_map(|resource| {
        let id = format!("{} {}", resource.kind, resource.id);
        resource
            .attributes
            .iter()
            .map(move |(name, value)| ((id.clone(), name.clone()), value.clone()))
    });
    facts.collect()
}

fn from(snapshot: &Snapshot) -> String {
    let Covers::Interval { from, .. } = snapshot.covers else {
        panic!("no interval")
    };
    from.to_rfc3339()
}

#[tokio::test]
async fn whatever_call_fails_nothing_false_is_said() {
    let sound = fake(&json!({ "name": "traps" }));
    let only = format!("{SINCE}\nrepositories = [\"pushes\"]");
    let whole = collect(
        collector(&sound, &only).await.as_ref(),
        "acme/pushes",
        &Kept::default(),
        60,
    )
    .await
    .unwrap();
    let (truth, count) = (facts(&whole), whole.resources.len());
    let log = sound.control("/_fake/log", &Value::Null);
    let steps: BTreeSet<String> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            let route = call["path"].as_str().unwrap();
            call["operation"]
                .as_str()
                .map_or_else(|| format!("GET {route}"), str::to_owned)
        })
        .collect();
    assert!(steps.len() >= 5, "{steps:?}");

    let kinds = [
        json!({ "kind": "status", "status": 403, "message": "Resource not accessible by personal access token" }),
        json!({ "kind": "status", "status": 404, "message": "Not Found" }),
        json!({ "kind": "status", "status": 500, "message": "oops" }),
        json!({ "kind": "502" }),
        json!({ "kind": "slow", "milliseconds": 60_000 }),
        json!({ "kind": "reset" }),
        json!({ "kind": "cut" }),
        json!({ "kind": "wrong_json", "text": "<html>" }),
        json!({ "kind": "wrong_shape", "body": { "data": { "nodes": 7 } } }),
        json!({ "kind": "wrong_shape", "body": [7] }),
        json!({ "kind": "secondary", "status": 403, "retry_after": 600 }),
        json!({ "kind": "primary", "reset_in": 600 }),
        json!({ "kind": "graphql_error", "type": "FORBIDDEN", "message": "no" }),
    ];
    for step in &steps {
        for kind in &kinds {
            let collector = collector(&sound, &only).await;
            let mut fault = kind.clone();
            fault["match"] = format!("^{}", step.replace('.', "\\.")).into();
            fault["times"] = json!(-1);
            sound.control("/_fake/faults", &fault);
            // A second and a half to ask in: what is tried again ends with the time.
            let got = collect(collector.as_ref(), "acme/pushes", &Kept::default(), 7).await;
            sound.heal();
            let label = format!("{step} {kind}");
            let Ok(snapshot) = got else { continue };
            let found = facts(&snapshot);
            let missing = !snapshot.provenance.completeness.complete
                || snapshot.resources.len() < count
                || snapshot
                    .resources
                    .iter()
                    .any(|resource| !resource.unknown.is_empty());
            let complete = snapshot.provenance.completeness.complete;
            // Who may not see the activity log begins now, and says so by what the snapshot covers.
            let begins_now = from(&snapshot) != from(&whole);
            // A head that is gone says so itself, or no interval would ever be complete again.
            let rewritten = history(&snapshot).attributes.get("descends") == Some(&json!(false));
            if !begins_now {
                assert!(missing || found == truth, "{label}: a fault that leaves no trace");
                let all = snapshot.resources.len() == count || rewritten;
                assert!(!complete || all, "{label}: less, and yet complete");
            }
            for (place, value) in &found {
                let counted = place.0.starts_with("github.branch_history");
                if let Some(expected) = truth.get(place).filter(|_| !counted) {
                    assert_eq!(value, expected, "{label}: {place:?}");
                } else if !counted {
                    panic!("{label}: {place:?} is {value}, and there is no such thing");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_limit_is_waited_out_and_recorded() {
    let fake = fake(&json!({ "name": "traps" }));
    let collector = collector(&fake, &format!("{SINCE}\nrepositories = [\"pushes\"]")).await;
    let fault = json!({ "match": "MergedPullRequests", "kind": "secondary", "status": 403, "retry_after": 2, "times": 1 });
    fake.control("/_fake/faults", &fault);
    let snapshot = collect(collector.as_ref(), "acme/pushes", &Kept::default(), 60)
        .await
        .unwrap();
    assert!(snapshot.provenance.completeness.complete);
    let waited = snapshot
        .provenance
        .calls
        .iter()
        .filter_map(|call| call.parameters.get("waited_for_rate_limit_seconds")?.as_u64())
        .max();
    assert!(waited.is_some_and(|seconds| seconds >= 2), "{waited:?}");
}

#[tokio::test]
async fn a_page_that_is_too_much_for_github_is_made_smaller() {
    let fake = fake(&json!({ "name": "large", "prs": 60 }));
    fake.control("/_fake/settings", &json!({ "graphql_502_above": 2500 }));
    let collector = collector(&fake, "token = \"admin-token\"\nsince = \"2025-12-01\"").await;
    let snapshot = collect(collector.as_ref(), "acme/large", &Kept::default(), 60)
        .await
        .unwrap();
    assert!(
        snapshot.provenance.completeness.complete,
        "{:?}",
        snapshot.provenance.completeness
    );
    assert_eq!(of_kind(&snapshot, "github.pull_request").count(), 60);
}
