//! A GitHub App: which of its installations asks, as long as it is worth what it says.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use chrono::{DateTime, TimeDelta, Utc};
use evidenced_collector_api::{Clock, FailureClass};
use evidenced_collector_github::{branch_protection, pull_requests, repositories};
use serde_json::{Value, json};
use std::time::Duration;

use fake::Fake;
use world::{ScenarioClock, app, collect, collect_by, completeness, facts, settings, settings_at, traps};

fn installation(fake: &Fake, name: &str) -> Value {
    fake.control("/_fake/access", &Value::Null)["installations"][name].clone()
}

#[tokio::test]
async fn an_app_finds_the_owners_installation_or_takes_the_one_that_it_is_told() {
    let fake = traps();
    let (all, selected) = (installation(&fake, "all"), installation(&fake, "selected"));
    for (more, expected, whole) in [
        (String::new(), &all, true),
        (format!(", installation = {all}"), &all, true),
        (format!(", installation = {selected}"), &selected, false),
    ] {
        let collector = repositories(settings(&fake, &app(&fake, &more)));
        let snapshot = collect(collector.as_ref(), "acme").await.unwrap();
        let caller = &snapshot.provenance.caller;
        assert_eq!(&caller["installation"], expected, "{more}");
        assert_eq!(caller["app"], "evidence", "{caller:?}");
        assert_eq!(completeness(&snapshot).complete, whole, "{more}");
        assert_eq!(snapshot.resources.len() == 41, whole, "{more}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_installed_at_the_owner_is_told_what_to_do() {
    let fake = traps();
    let all = installation(&fake, "all");
    for (owner, more, expected) in [
        ("solo", String::new(), "install it there"),
        // Another's installation would show another's repositories under the owner's name.
        ("solo", format!(", installation = {all}"), "is not at the owner"),
        ("acme", ", installation = 1".to_owned(), "is not at the owner"),
    ] {
        let collector = repositories(settings_at(&fake.url(), owner, &app(&fake, &more)));
        let error = collect(collector.as_ref(), owner).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Permission, "{error:?}");
        assert!(error.message.contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_or_another_apps_is_refused_as_such() {
    let fake = traps();
    let good = app(&fake, "");
    let (_, rest) = good.split_once("app = { id = ").unwrap();
    let (id, _) = rest.split_once(',').unwrap();
    for (key, class, expected) in [
        (
            "not a key",
            FailureClass::Auth,
            "begins with -----BEGIN RSA PRIVATE KEY-----",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            FailureClass::Auth,
            "not an RSA key",
        ),
    ] {
        let more = format!("app = {{ id = {id}, key = \"\"\"{key}\"\"\" }}");
        let collector = branch_protection(settings(&fake, &more));
        let error = collect(collector.as_ref(), "acme").await.unwrap_err();
        assert_eq!(error.class, class, "{error:?}");
        assert!(error.message.contains(expected), "{error:?}");
        assert!(
            !format!("{error:?}").contains("AAAA"),
            "no part of a key is shown"
        );
    }
    // The number of an App that the key is not of.
    let more = good.replace(&format!("id = {id},"), "id = 1,");
    let collector = branch_protection(settings(&fake, &more));
    let error = collect(collector.as_ref(), "acme").await.unwrap_err();
    assert!(error.message.starts_with("/app was"), "{error:?}");
}

#[tokio::test]
async fn an_installations_token_is_renewed_when_it_has_run_out() {
    let fake = traps();
    let collector = branch_protection(settings(&fake, &app(&fake, "")));
    let first = collect(collector.as_ref(), "acme").await.unwrap();
    fake.control("/_fake/do", &json!({ "op": "expire_tokens" }));
    let second = collect(collector.as_ref(), "acme").await.unwrap();
    assert!(completeness(&second).complete, "{:?}", completeness(&second));
    assert_eq!(facts(&first), facts(&second));
    let log = fake.control("/_fake/log", &Value::Null);
    let made = log.as_array().unwrap().iter();
    let made = made.filter(|call| call["path"].as_str().unwrap().ends_with("/access_tokens"));
    assert_eq!(made.count(), 2);
}

#[tokio::test]
async fn an_installation_that_is_narrowed_later_is_no_longer_the_whole() {
    let fake = traps();
    let collector = repositories(settings(&fake, &app(&fake, "")));
    let first = collect(collector.as_ref(), "acme").await.unwrap();
    assert!(completeness(&first).complete, "{:?}", completeness(&first));
    let narrowed =
        json!({ "op": "change_installation", "name": "all", "repositories": ["acme/pulls", "acme/quiet"] });
    fake.control("/_fake/do", &narrowed);
    fake.control("/_fake/do", &json!({ "op": "expire_tokens" }));
    let second = collect(collector.as_ref(), "acme").await.unwrap();
    assert_eq!(second.resources.len(), 3);
    let completeness = completeness(&second);
    assert!(!completeness.complete, "{completeness:?}");
    assert!(
        completeness.basis.contains("selected repositories"),
        "{completeness:?}"
    );
}

/// Two hours after the scenario's time.
#[derive(Default)]
struct Later(ScenarioClock);

impl Clock for Later {
    fn now(&self) -> DateTime<Utc> {
        self.0.now() + TimeDelta::hours(2)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[tokio::test]
async fn who_asks_is_found_out_anew_while_the_program_runs_on() {
    let fake = traps();
    let collector = repositories(settings(&fake, &app(&fake, "")));
    collect(collector.as_ref(), "acme").await.unwrap();
    fake.control("/_fake/log/clear", &json!({}));
    collect(collector.as_ref(), "acme").await.unwrap();
    let log = fake.control("/_fake/log", &Value::Null);
    let known = |call: &Value| call["path"] != "/app/installations";
    assert!(log.as_array().unwrap().iter().all(known), "{log:#}");

    let more = json!({ "op": "change_installation", "name": "all", "permissions": { "metadata": "read" } });
    fake.control("/_fake/do", &more);
    let later = collect_by(&Later::default(), collector.as_ref(), "acme")
        .await
        .unwrap();
    assert_eq!(
        later.provenance.caller["permissions"],
        json!({ "metadata": "read" })
    );
}

#[tokio::test]
async fn an_app_reads_pull_requests_as_an_administrator_does() {
    let fake = traps();
    let administrator = "token = \"admin-token\"\nsince = \"2026-05-01\"";
    let mut found = Vec::new();
    for more in [app(&fake, ""), administrator.to_owned()] {
        let collector = pull_requests(settings(&fake, &more));
        found.push(collect(collector.as_ref(), "acme/pulls").await.unwrap());
        let said = completeness(&found[found.len() - 1]);
        assert!(said.complete, "{said:?}");
    }
    assert_eq!(facts(&found[0]), facts(&found[1]));
}
