//! `check` of `github.pull_requests`: each permission that is missing is named before anything is collected.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_api::Run;
use evidenced_collector_github::pull_requests;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use fake::Fake;
use world::{ScenarioClock, settings, traps};

type Said = BTreeMap<String, Result<String, String>>;

async fn check(fake: &Fake, more: &str) -> Said {
    let clock = ScenarioClock::default();
    let collector = pull_requests(settings(fake, more));
    let said = collector.check(&Run::begin(&clock)).await;
    let count = said.len();
    let said: Said = said.into_iter().collect();
    assert_eq!(said.len(), count, "each is tried once: {said:#?}");
    said
}

/// What is said to be missing, and what to do; without the owner's own line.
fn refused(said: &Said) -> BTreeMap<&str, &str> {
    let refused = said
        .iter()
        .filter(|(what, _)| !what.starts_with("repositories of "));
    let refused = refused.filter_map(|(what, result)| Some((what.as_str(), result.as_ref().err()?.as_str())));
    refused.collect()
}

const PULLS: &str = "repositories = [\"pulls\"]\nrule_suites = true";

#[tokio::test]
async fn who_may_read_everything_is_told_so() {
    let fake = traps();
    let said = check(&fake, &format!("token = \"admin-token\"\n{PULLS}")).await;
    let expected: Said = [
        ("repositories of acme", "40, all of them"),
        ("the branch of acme/pulls:main", "readable"),
        ("the activity log of acme/pulls:main", "readable"),
        ("bypassed rules of acme/pulls:main", "readable"),
        ("pull requests and reviews of acme/pulls", "readable"),
        ("check suites and check runs of acme/pulls", "readable"),
        ("commit statuses of acme/pulls", "readable"),
    ]
    .into_iter()
    .map(|(what, how)| (what.to_owned(), Ok(how.to_owned())))
    .collect();
    assert_eq!(said, expected);
    // Whichever repository comes first.
    let said = check(&fake, "token = \"admin-token\"\nrule_suites = true").await;
    assert!(said.values().all(Result::is_ok), "{said:#?}");
}

const ALL: [&str; 6] = [
    "administration",
    "checks",
    "contents",
    "metadata",
    "pull_requests",
    "statuses",
];

#[tokio::test]
async fn each_missing_permission_is_named_with_what_to_do() {
    let fake = traps();
    for (missing, places, means) in [
        ("administration", &["bypassed rules"][..], "Administration: read"),
        ("checks", &["check suites"], "Checks: read"),
        ("contents", &["the branch", "the activity log"], "Contents: read"),
        ("pull_requests", &["pull requests"], "Pull requests: read"),
        ("statuses", &["commit statuses"], "Commit statuses: read"),
    ] {
        let given: BTreeMap<_, _> = ALL
            .iter()
            .filter(|name| **name != missing)
            .map(|name| (*name, "read"))
            .collect();
        fake.control(
            "/_fake/do",
            &json!({ "op": "change_token", "name": "reader-token", "permissions": given }),
        );
        let said = check(&fake, &format!("token = \"reader-token\"\n{PULLS}")).await;
        let refused = refused(&said);
        assert_eq!(refused.len(), places.len(), "{missing}: {said:#?}");
        for place in places {
            let found = refused.iter().find(|(what, _)| what.starts_with(place));
            let (_, reason) = found.unwrap_or_else(|| panic!("{missing}: {said:#?}"));
            assert!(
                reason.contains(means) && reason.contains("refused"),
                "{missing}: {reason}"
            );
        }
    }
}

#[tokio::test]
async fn a_weak_token_is_told_all_that_it_lacks_at_once() {
    let fake = traps();
    let said = check(&fake, &format!("token = \"weak-token\"\n{PULLS}")).await;
    let refused = refused(&said);
    let missing: Vec<_> = refused
        .keys()
        .map(|what| what.split(" of ").next().unwrap())
        .collect();
    assert_eq!(
        missing,
        ["bypassed rules", "check suites and check runs", "commit statuses"]
    );
    let owner = said["repositories of acme"].as_ref().unwrap_err();
    assert!(owner.contains("perhaps not all"), "{owner}");

    // What is not asked for is not tried.
    let said = check(&fake, "token = \"weak-token\"\nrepositories = [\"pulls\"]").await;
    assert!(!said.keys().any(|what| what.starts_with("bypassed")), "{said:#?}");
}

#[tokio::test]
async fn a_server_that_shows_bypasses_only_to_writers_is_told_from_a_missing_permission() {
    let fake = traps();
    fake.control("/_fake/settings", &json!({ "rule_suites_need_write": true }));
    let said = check(&fake, &format!("token = \"reader-token\"\n{PULLS}")).await;
    let refused = refused(&said);
    assert_eq!(refused.len(), 1, "{said:#?}");
    assert!(
        refused["bypassed rules of acme/pulls:main"].contains("rule_suites = false"),
        "{said:#?}"
    );
}

#[tokio::test]
async fn what_there_is_nothing_to_try_on_is_said_to_be_untried() {
    let fake = traps();
    let said = check(&fake, "token = \"admin-token\"\nrepositories = [\"empty\"]").await;
    for what in [
        "pull requests and reviews",
        "check suites and check runs",
        "commit statuses",
    ] {
        let found = &said[&format!("{what} of acme/empty")];
        assert_eq!(
            found,
            &Ok("not tried: there is nothing yet to try it on".to_owned())
        );
    }
    let said = check(
        &fake,
        "token = \"admin-token\"\nrepositories = [\"nothing-of-that-name\"]",
    )
    .await;
    assert!(
        refused(&said)["pull requests of acme"].contains("no repository is tested"),
        "{said:#?}"
    );
    let said = check(&fake, "token = \"expired-token\"").await;
    assert_eq!(said.len(), 1);
    assert!(
        said["repositories of acme"]
            .as_ref()
            .unwrap_err()
            .contains("credentials"),
        "{said:#?}"
    );
}

#[tokio::test]
async fn a_failure_that_is_no_missing_permission_is_not_called_one() {
    let fake = traps();
    fake.control(
        "/_fake/faults",
        &json!({ "kind": "status", "status": 500, "match": "TriedPermissions", "times": -1 }),
    );
    let said = check(&fake, &format!("token = \"admin-token\"\n{PULLS}")).await;
    let refused = refused(&said);
    assert_eq!(refused.len(), 1, "{said:#?}");
    assert_eq!(
        refused["pull requests of acme/pulls"],
        "TriedPermissions was answered with an error (500)"
    );
    fake.heal();
    let nothing = json!({ "kind": "graphql_error", "type": "NOT_FOUND", "path": ["repository"], "match": "TriedPermissions" });
    fake.control("/_fake/faults", &nothing);
    let said = check(&fake, &format!("token = \"admin-token\"\n{PULLS}")).await;
    let reason = said["pull requests of acme/pulls"].as_ref().unwrap_err();
    assert!(
        reason.starts_with("GitHub says nothing of the repository"),
        "{reason}"
    );
    let log = fake.control("/_fake/log", &Value::Null);
    assert!(
        log.as_array().unwrap().iter().all(|call| call["status"] != 599),
        "{}",
        fake.complaints()
    );
}
