//! By which way GitHub is asked (Enterprise Server, a proxy), and what each kind of token sees.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_api::{FailureClass, Resource, Run, Snapshot, Target};
use evidenced_collector_github::{branch_protection, pull_requests, repositories};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Command;

use fake::Fake;
use world::{ScenarioClock, app, collect, completeness, facts, settings, settings_at, traps};

const ADMIN: &str = "token = \"admin-token\"\nsince = \"2026-05-01\"";

/// What is unknown anywhere, as `kind.attribute`, with every reason.
fn unknown(snapshot: &Snapshot) -> BTreeMap<String, BTreeSet<&str>> {
    let mut unknown: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for resource in &snapshot.resources {
        for (name, reason) in &resource.unknown {
            let place = format!("{}.{name}", resource.kind);
            unknown.entry(place).or_default().insert(reason.as_str());
        }
    }
    unknown
}

#[tokio::test]
async fn an_enterprise_server_is_read_by_its_address_graphql_included() {
    let fake = traps();
    let url = format!("{}/api/v3", fake.url());
    let over = |url: &str| pull_requests(settings_at(url, "acme", ADMIN));
    let found = collect(over(&url).as_ref(), "acme/pushes").await.unwrap();
    assert!(completeness(&found).complete, "{:?}", completeness(&found));
    let expected = collect(over(&fake.url()).as_ref(), "acme/pushes").await.unwrap();
    assert_eq!(facts(&found), facts(&expected));
    let app = repositories(settings_at(&url, "acme", &app(&fake, "")));
    let found = collect(app.as_ref(), "acme").await.unwrap();
    assert!(completeness(&found).complete, "{:?}", completeness(&found));
}

#[tokio::test]
async fn the_pages_of_an_enterprise_server_are_followed_below_its_address() {
    let fake = Fake::start();
    fake.control("/_fake/scenario", &json!({ "name": "many" }));
    for links in ["", "by_id"] {
        if !links.is_empty() {
            fake.control("/_fake/settings", &json!({ "links": links }));
        }
        let url = format!("{}/api/v3", fake.url());
        let collector = repositories(settings_at(&url, "acme", ADMIN));
        let found = collect(collector.as_ref(), "acme").await.unwrap();
        assert_eq!(found.resources.len(), 501, "{links}");
        assert!(completeness(&found).complete, "{:?}", completeness(&found));
    }
}

/// Set in the child process: where GitHub is said to be.
const BEYOND: &str = "EVIDENCED_TEST_BEYOND_THE_PROXY";

/// A process's environment is read once, and can't be changed safely by one test among others: so this runs itself.
#[tokio::test]
async fn a_proxy_of_the_environment_is_used() {
    if let Ok(url) = std::env::var(BEYOND) {
        let collector = pull_requests(settings_at(&url, "acme", ADMIN));
        let found = collect(collector.as_ref(), "acme/pushes").await;
        println!("{:?}", found.map(|found| completeness(&found).clone()));
        return;
    }
    let fake = traps();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = |no_proxy: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in [
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
            "REQUEST_METHOD",
        ] {
            command.env_remove(name);
        }
        command
            .args(["--exact", "a_proxy_of_the_environment_is_used", "--nocapture"])
            .env(BEYOND, format!("http://{nobody}"))
            .env("HTTP_PROXY", fake.url())
            .env("NO_PROXY", no_proxy);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let through = said("");
    assert!(through.contains("complete: true"), "{through}");
    let past = said("127.0.0.1");
    assert!(past.contains("class: Unavailable"), "{past}");
}

#[tokio::test]
async fn a_token_that_has_ended_is_a_failure_and_no_evidence() {
    let fake = traps();
    let more = "token = \"expired-token\"";
    for (collector, target) in [
        (repositories(settings(&fake, more)), "acme"),
        (branch_protection(settings(&fake, more)), "acme"),
        (pull_requests(settings(&fake, more)), "acme/pulls"),
    ] {
        let error = collect(collector.as_ref(), target).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Auth, "{error:?}");
        assert!(
            error.message.contains("credentials are not accepted (401)"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_listing_that_a_token_may_not_count_is_not_called_whole() {
    let fake = traps();
    for (token, count, basis) in [
        ("admin-token", 40, "the owner's own count agrees"),
        ("member-token", 40, "the owner's own count agrees"),
        ("reader-token", 40, "may not see how many private"),
        ("weak-token", 40, "may not see how many private"),
        // Five that it was given, and five that everybody sees.
        ("selected-token", 10, "may not see how many private"),
    ] {
        let more = format!("token = \"{token}\"");
        let collector = repositories(settings(&fake, &more));
        let snapshot = collect(collector.as_ref(), "acme").await.unwrap();
        assert_eq!(snapshot.resources.len(), count + 1, "{token}");
        let said = completeness(&snapshot);
        assert!(said.basis.contains(basis), "{token}: {said:?}");
        assert_eq!(said.complete, basis.contains("agrees"), "{token}");
        let unknown = unknown(&snapshot);
        let owner = token == "admin-token";
        assert_eq!(unknown.is_empty(), owner, "{token}: {unknown:?}");
        assert!(
            unknown
                .keys()
                .all(|name| name == "github.owner.two_factor_required"),
            "{token}"
        );
        // Only classic tokens have scopes.
        let classic = matches!(token, "admin-token" | "member-token");
        let kind = if classic { "scopes" } else { "token" };
        assert!(snapshot.provenance.caller.contains_key(kind), "{token}");
    }
}

#[tokio::test]
async fn protection_that_a_token_may_not_read_is_unknown_for_the_reason_that_github_gives() {
    let fake = traps();
    for (token, count, reason) in [
        ("weak-token", 37, "reading it was refused (403)"),
        (
            "member-token",
            37,
            "to administrators of the repository only (404)",
        ),
        ("selected-token", 10, "reading it was refused (403)"),
    ] {
        let more = format!("token = \"{token}\"");
        let collector = branch_protection(settings(&fake, &more));
        let snapshot = collect(collector.as_ref(), "acme").await.unwrap();
        assert_eq!(snapshot.resources.len(), count, "{token}");
        let unknown = unknown(&snapshot);
        let expected = format!("classic protection is not known: GitHub shows it {reason}");
        let expected = [expected, format!("classic protection is not known: {reason}")];
        for name in [
            "dismiss_stale_reviews",
            "require_signatures",
            "bypass_actors",
            "required_checks",
        ] {
            let reasons = &unknown[&format!("github.branch.{name}")];
            assert!(
                expected.iter().any(|reason| reasons.contains(reason.as_str())),
                "{token}: {reasons:?}"
            );
        }
        let known = |branch: &Resource| !branch.unknown.contains_key("require_signatures");
        let known = snapshot.resources.iter().filter(|branch| known(branch)).count();
        // The repositories that were given.
        assert_eq!(known, if token == "selected-token" { 5 } else { 0 }, "{token}");
    }
}

#[tokio::test]
async fn pull_requests_lose_what_a_token_may_not_read_and_keep_the_rest() {
    let fake = traps();
    let whole = collect(pull_requests(settings(&fake, ADMIN)).as_ref(), "acme/pulls")
        .await
        .unwrap();
    let truth = facts(&whole);
    for (token, lost) in [
        ("reader-token", 0),
        ("member-token", 0),
        ("selected-token", 0),
        // The checks of each, and the pusher of many, whom only a check suite names.
        ("weak-token", 40 + 15),
    ] {
        let more = ADMIN.replace("admin-token", token);
        let found = collect(pull_requests(settings(&fake, &more)).as_ref(), "acme/pulls")
            .await
            .unwrap();
        let known = facts(&found);
        for (place, value) in &known {
            assert_eq!(truth.get(place), Some(value), "{token}: {place:?}");
        }
        assert_eq!(truth.len() - known.len(), lost, "{token}");
        assert!(
            completeness(&found).complete,
            "{token}: {:?}",
            completeness(&found)
        );
        let unknown = unknown(&found);
        let checks = unknown
            .get("github.pull_request.checks")
            .cloned()
            .unwrap_or_default();
        let expected: &[&str] = if lost > 0 {
            &["statusCheckRollup was not given (FORBIDDEN)"]
        } else {
            &[]
        };
        assert_eq!(checks, expected.iter().copied().collect(), "{token}");
    }
    // Not given, and not to be seen: it is no target, and nothing says that it is empty.
    let more = ADMIN.replace("admin-token", "selected-token");
    let error = collect(pull_requests(settings(&fake, &more)).as_ref(), "acme/checks")
        .await
        .unwrap_err();
    assert!(
        error.message.contains("not among those that were listed"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_repository_that_was_renamed_while_it_was_read_is_not_followed() {
    let fake = traps();
    let only = format!("{ADMIN}\nrepositories = [\"pushes\", \"conflict\"]");
    let clock = ScenarioClock::default();
    let run = Run::begin(&clock);
    let collector = pull_requests(settings(&fake, &only));
    collector.targets(&run).await.unwrap();
    fake.control(
        "/_fake/do",
        &json!({ "op": "rename_repository", "repository": "acme/pushes", "to": "pushed" }),
    );
    fake.control("/_fake/log/clear", &json!({}));
    let error = collector
        .collect(&Target::new("acme/pushes").unwrap(), &run)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("has moved: the repository was renamed or transferred (301)"),
        "{error:?}"
    );
    let log = fake.control("/_fake/log", &Value::Null);
    let followed = |call: &Value| call["path"].as_str().unwrap().starts_with("/repositories/");
    assert!(!log.as_array().unwrap().iter().any(followed), "{log:#}");

    let moved = json!({ "kind": "status", "status": 301, "message": "Moved Permanently", "times": -1,
        "match": "GET /repos/acme/conflict/", "headers": { "location": format!("{}/repos/acme/pulls/branches", fake.url()) } });
    fake.control("/_fake/faults", &moved);
    let snapshot = collect(branch_protection(settings(&fake, &only)).as_ref(), "acme")
        .await
        .unwrap();
    let completeness = completeness(&snapshot);
    assert!(
        !completeness.complete && completeness.basis.contains("has moved"),
        "{completeness:?}"
    );
    assert!(snapshot.resources.is_empty(), "{:#?}", snapshot.resources);
}
