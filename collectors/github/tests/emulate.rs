//! Another's emulator of GitHub: what it does is read rightly, and what it lacks passes for nothing.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_api::{FailureClass, Resource, Snapshot};
use evidenced_collector_github::{branch_protection, pull_requests, repositories};
use serde_json::{Value, json};

use fake::Emulate;
use world::{collect, settings_at};

const TOKEN: &str = "token = \"solo-token\"";
const APP: u64 = 4711;

/// A user's repositories, and an organisation's with an App that is installed there.
fn emulate() -> Emulate {
    let repository = |owner: &str, name: &str, private: bool| json!({ "owner": owner, "name": name, "private": private, "auto_init": true });
    Emulate::start(&json!({
        "tokens": { "solo-token": { "login": "solo", "scopes": ["repo"] }, "other-token": { "login": "other", "scopes": ["repo"] } },
        "github": {
            "users": [{ "login": "solo" }, { "login": "other" }],
            "orgs": [{ "login": "acme", "members": [{ "login": "solo", "role": "admin" }] }],
            "repos": [repository("solo", "guarded", false), repository("solo", "bare", false), repository("solo", "hidden", true),
                repository("acme", "api", true)],
            "apps": [{ "app_id": APP, "slug": "evidence", "name": "Evidence", "permissions": { "metadata": "read", "administration": "read" },
                "installations": [{ "installation_id": 99, "account": "acme", "repository_selection": "all" }] }],
        },
    }))
}

/// Sets classic protection, as somebody who administers the repository would.
async fn protect(emulate: &Emulate, repository: &str, rule: &Value) {
    // Connections need it, even those in the clear.
    rustls::crypto::ring::default_provider().install_default().ok();
    let answer = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = answer
        .put(format!(
            "{}/repos/{repository}/branches/main/protection",
            emulate.url()
        ))
        .header("authorization", "Bearer solo-token")
        .header("content-type", "application/json")
        .body(rule.to_string());
    let answer = answer.send().await.unwrap();
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

fn find<'a>(snapshot: &'a Snapshot, id: &str) -> &'a Resource {
    let mut all = snapshot.resources.iter();
    all.find(|resource| resource.id == id)
        .unwrap_or_else(|| panic!("{id} is not there: {snapshot:#?}"))
}

#[tokio::test]
async fn classic_protection_of_a_users_repository_is_read_as_it_was_set() {
    let emulate = emulate();
    let rule = json!({
        "required_status_checks": { "strict": true, "contexts": ["lint", "build"] },
        "required_pull_request_reviews": { "required_approving_review_count": 2, "dismiss_stale_reviews": true },
        "enforce_admins": true,
        "restrictions": null,
        "required_linear_history": true,
    });
    protect(&emulate, "solo/guarded", &rule).await;
    let collector = branch_protection(settings_at(&emulate.url(), "solo", TOKEN));
    let snapshot = collect(collector.as_ref(), "solo").await.unwrap();
    let branch = find(&snapshot, "solo/guarded:main");
    for (name, expected) in [
        ("pull_request_required", json!(true)),
        ("required_approvals", json!(2)),
        ("dismiss_stale_reviews", json!(true)),
        ("required_checks", json!(["build", "lint"])),
        ("strict_checks", json!(true)),
        ("require_linear_history", json!(true)),
        ("allow_force_pushes", json!(false)),
        ("allow_deletions", json!(false)),
        ("bypass_actors", json!([])),
    ] {
        assert_eq!(
            branch.attributes.get(name),
            Some(&expected),
            "{name}: {branch:#?}"
        );
    }
    // Emulate has no rulesets, and so nobody knows whether one asks for what the classic rule does not.
    for name in [
        "require_code_owner_review",
        "require_conversation_resolution",
        "require_signatures",
    ] {
        let reason = branch.unknown.get(name).map(String::as_str).unwrap_or_default();
        assert!(
            reason.contains("rules of rulesets are not all known"),
            "{name}: {branch:#?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_could_mean_no_protection_or_no_permission_is_taken_for_neither() {
    let emulate = emulate();
    let collector = branch_protection(settings_at(&emulate.url(), "solo", TOKEN));
    let snapshot = collect(collector.as_ref(), "solo").await.unwrap();
    // Emulate says Not Found where GitHub says Branch not protected.
    let branch = find(&snapshot, "solo/bare:main");
    let known: Vec<_> = branch.attributes.keys().map(String::as_str).collect();
    assert_eq!(known, ["branch", "default_branch", "repository", "sources"]);
    assert_eq!(branch.attributes["sources"], json!({}));
    for reason in branch.unknown.values() {
        assert!(
            reason.starts_with("classic protection is not known"),
            "{branch:#?}"
        );
    }
    assert!(!snapshot.provenance.completeness.complete);
}

#[tokio::test]
async fn a_users_own_private_repositories_are_listed_by_the_route_that_shows_them() {
    let emulate = emulate();
    for (token, route, basis) in [
        (
            "solo-token",
            "GET /user/repos",
            "may not see how many private repositories",
        ),
        (
            "other-token",
            "GET /users/{username}/repos",
            "a user other than the token's",
        ),
    ] {
        let more = format!("token = \"{token}\"");
        let collector = repositories(settings_at(&emulate.url(), "solo", &more));
        let snapshot = collect(collector.as_ref(), "solo").await.unwrap();
        // Emulate shows private ones by either, GitHub only by the first.
        find(&snapshot, "solo/hidden");
        let mut calls = snapshot.provenance.calls.iter();
        assert!(calls.any(|call| call.operation == route), "{token}: {route}");
        let owner = find(&snapshot, "solo");
        assert_eq!(owner.attributes["owner_kind"], "User");
        assert_eq!(owner.attributes["two_factor_required"], Value::Null);
        let completeness = &snapshot.provenance.completeness;
        assert!(
            !completeness.complete && completeness.basis.contains(basis),
            "{token}: {completeness:?}"
        );
    }
}

#[tokio::test]
async fn pull_requests_without_graphql_and_activity_are_incomplete_and_none() {
    let emulate = emulate();
    let collector = pull_requests(settings_at(&emulate.url(), "solo", TOKEN));
    let snapshot = collect(collector.as_ref(), "solo/guarded").await.unwrap();
    let completeness = &snapshot.provenance.completeness;
    assert!(!completeness.complete, "{completeness:?}");
    assert!(
        completeness.basis.contains("MergedPullRequests"),
        "{completeness:?}"
    );
    assert_eq!(snapshot.resources.len(), 1);
    let history = find(&snapshot, "solo/guarded:main");
    assert!(
        history.unknown["force_pushes"].contains("not found (404)"),
        "{history:#?}"
    );
}

#[tokio::test]
async fn a_listing_that_is_not_there_is_a_failure_and_no_empty_population() {
    let emulate = emulate();
    let key = emulate.key(APP).unwrap();
    let app = format!("app = {{ id = {APP}, key = \"\"\"{key}\"\"\" }}");
    for (more, route) in [
        (TOKEN, "/orgs/{org}/repos"),
        // The App has come as far as its installation's token, by its key.
        (app.as_str(), "/installation/repositories"),
    ] {
        for collector in [
            repositories(settings_at(&emulate.url(), "acme", more)),
            branch_protection(settings_at(&emulate.url(), "acme", more)),
            pull_requests(settings_at(&emulate.url(), "acme", more)),
        ] {
            let error = collect(collector.as_ref(), "acme").await.unwrap_err();
            assert_eq!(
                error.message,
                format!("{route} was answered with not found (404)")
            );
            assert_eq!(error.class, FailureClass::Permission);
        }
    }
    // Another App's number: the key signs, and emulate does not know who.
    let more = app.replace(&format!("id = {APP}"), "id = 4712");
    let collector = repositories(settings_at(&emulate.url(), "acme", &more));
    let error = collect(collector.as_ref(), "acme").await.unwrap_err();
    assert!(error.message.starts_with("/app was"), "{error:?}");
}
