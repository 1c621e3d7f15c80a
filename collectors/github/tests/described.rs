//! `github.pull_requests` with GitHub's `OpenAPI` description beside the fake, and who went past the rules.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_api::{Run, Snapshot, Target};
use evidenced_collector_github::pull_requests;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use fake::Fake;
use world::{ScenarioClock, settings};

/// GitHub shows rule suites of a month: this interval ends within it.
const SINCE: &str = "rule_suites = true\nsince = \"2026-11-01\"";

/// Runs over repositories at the instant at which the scenario is written: in a world that stands still.
async fn collect(fake: &Fake, token: &str, repositories: &[&str]) -> Vec<Snapshot> {
    fake.control("/_fake/scenario", &json!({ "name": "traps" }));
    let collector = pull_requests(settings(fake, &format!("token = \"{token}\"\n{SINCE}")));
    let clock = ScenarioClock::default();
    let run = Run::begin(&clock);
    collector.targets(&run).await.unwrap();
    let mut snapshots = Vec::new();
    for repository in repositories {
        let target = Target::new(*repository).unwrap();
        snapshots.push(collector.collect(&target, &run).await.unwrap());
    }
    snapshots
}

/// Who bypassed what when, of `github.bypass`.
fn bypasses(snapshot: &Snapshot) -> BTreeSet<(String, String, String)> {
    let bypasses = snapshot
        .resources
        .iter()
        .filter(|resource| resource.kind == "github.bypass");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let bypasses = bypasses.map(|bypass| {
        assert_eq!(bypass.attributes["rules"], json!(["pull_request"]), "{bypass:#?}");
        assert_eq!(bypass.attributes["ref"], "refs/heads/main", "{bypass:#?}");
        let of = |name: &str| text(&bypass.attributes[name]);
        (of("after"), of("actor"), of("at"))
    });
    bypasses.collect()
}

#[tokio::test]
async fn every_request_about_changes_is_one_that_github_describes() {
    let fake = Fake::behind_prism();
    let repositories = [
        "acme/pushes",
        "acme/pulls",
        "acme/force-pushed",
        "acme/bypass-actors",
    ];
    let snapshots = collect(&fake, "admin-token", &repositories).await;
    assert_eq!(fake.violations(), Vec::<Value>::new());
    for snapshot in &snapshots {
        let completeness = &snapshot.provenance.completeness;
        assert!(completeness.complete, "{completeness:?}");
    }
}

#[tokio::test]
async fn those_who_went_past_the_rules_within_the_interval_are_found_and_no_others() {
    let fake = Fake::start();
    let snapshots = collect(&fake, "admin-token", &["acme/bypass-actors", "acme/pulls"]).await;
    let truth = fake.control("/_fake/truth", &Value::Null);
    let told = &truth["repositories"]["acme/bypass-actors"]["branches"]["main"]["rule_suites"];
    let told = told.as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let expected: BTreeSet<_> = told
        .iter()
        .filter(|suite| suite["result"] == "bypass" && suite["at"].as_str() > Some("2026-11-01"))
        .map(|suite| (text(&suite["sha"]), text(&suite["actor"]), text(&suite["at"])))
        .collect();
    assert!(!expected.is_empty() && expected.len() < told.len(), "{told:?}");
    assert_eq!(bypasses(&snapshots[0]), expected);
    assert_eq!(bypasses(&snapshots[1]), BTreeSet::new());
}

#[tokio::test]
async fn bypasses_that_may_not_be_seen_are_missed_aloud() {
    let fake = Fake::start();
    for token in ["weak-token", "member-token"] {
        let snapshots = collect(&fake, token, &["acme/bypass-actors"]).await;
        let completeness = &snapshots[0].provenance.completeness;
        assert!(!completeness.complete, "{token}: {completeness:?}");
        assert!(
            completeness.basis.contains("rule-suites was"),
            "{token}: {completeness:?}"
        );
        assert_eq!(bypasses(&snapshots[0]), BTreeSet::new());
    }
}
