//! `github.branch_protection` over the fake of GitHub: what is found is compared with what the fake holds to be true.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod protection_truth;
mod world;

use evidenced_collector_api::{Collector, Resource, Run, Snapshot, Target, conformance};
use evidenced_collector_github::branch_protection;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use fake::Fake;
use protection_truth::{Truth, truth};
use world::{Kept, MachineClock, settings};

fn collector(fake: &Fake, more: &str) -> Box<dyn Collector> {
    branch_protection(settings(fake, more))
}

async fn collect(fake: &Fake, more: &str) -> Snapshot {
    let clock = MachineClock::default();
    let run = Run::begin(&clock);
    let target = Target::new("acme").unwrap();
    collector(fake, more).collect(&target, &run).await.unwrap()
}

const ADMIN: &str = "token = \"admin-token\"\nbranches = [\"release/**\", \"develop\"]";

/// The world with every trap, by the machine's time, so that limits end when the collector thinks that they do.
fn traps() -> Fake {
    let fake = Fake::start();
    fake.control("/_fake/scenario", &json!({ "name": "traps" }));
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    fake
}

/// Whatever is known must be true; returns how many attributes are not known.
#[track_caller]
fn assert_true(snapshot: &Snapshot, truth: &Truth, label: &str) -> usize {
    for resource in &snapshot.resources {
        let expected = truth
            .get(&resource.id)
            .unwrap_or_else(|| panic!("{label}: {} is not there", resource.id));
        for (name, (value, _)) in expected {
            match (resource.attributes.get(name), resource.unknown.get(name)) {
                (Some(found), None) if is_part(found, value) && !is_whole(resource) => {}
                (Some(found), None) => assert_eq!(found, value, "{label}: {name} of {resource:#?}"),
                (None, Some(_)) => {}
                _ => panic!("{label}: {name} of {resource:#?}"),
            }
        }
    }
    snapshot
        .resources
        .iter()
        .map(|resource| resource.unknown.len())
        .sum()
}

/// Whether both layers were read.
fn is_whole(resource: &Resource) -> bool {
    let mut reasons = resource.unknown.values();
    !reasons.any(|reason| reason.starts_with("classic protection is not") || reason.contains("not all known"))
}

/// Whether this much is asked for at least.
fn is_part(found: &Value, value: &Value) -> bool {
    match (found, value) {
        (Value::Number(found), Value::Number(value)) => {
            found.as_u64() > Some(0) && found.as_u64() <= value.as_u64()
        }
        (Value::Array(found), Value::Array(value)) => {
            !found.is_empty() && found.iter().all(|each| value.contains(each))
        }
        _ => false,
    }
}

fn find<'a>(snapshot: &'a Snapshot, id: &str) -> &'a Resource {
    let mut all = snapshot.resources.iter();
    all.find(|resource| resource.id == id).unwrap()
}

#[tokio::test]
async fn every_branch_is_found_as_it_is_with_every_source() {
    let fake = traps();
    let snapshot = collect(&fake, ADMIN).await;
    let truth = truth(&fake);
    assert_true(&snapshot, &truth, "admin");
    let found: Vec<_> = snapshot.resources.iter().map(|resource| &resource.id).collect();
    let expected: Vec<_> = truth.keys().collect();
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    for resource in &snapshot.resources {
        // A classic rule's merge queue is shown nowhere.
        assert!(
            resource.unknown.keys().all(|name| name == "merge_queue"),
            "{resource:#?}"
        );
        for (name, (_, sources)) in &truth[&resource.id] {
            let found = resource.attributes["sources"].get(name);
            let mut found: Vec<String> =
                found.map_or_else(Vec::new, |found| serde_json::from_value(found.clone()).unwrap());
            found.sort();
            if name != "pull_request_required" {
                assert_eq!(&found, sources, "{name} of {resource:#?}");
            }
        }
    }
    let completeness = &snapshot.provenance.completeness;
    assert!(completeness.complete, "{completeness:?}");
    assert!(
        completeness.basis.contains("went while it was read"),
        "{completeness:?}"
    );
}

#[tokio::test]
async fn who_bypasses_and_what_is_wrong_in_codeowners_is_found() {
    let fake = traps();
    let snapshot = collect(&fake, ADMIN).await;
    let actors = |name: &str| {
        let branch = find(&snapshot, &format!("acme/{name}:main"));
        let actors = branch.attributes["bypass_actors"].as_array().unwrap().iter();
        let mut actors: Vec<_> = actors
            .map(|each| {
                format!(
                    "{} {}",
                    each["actor"].as_str().unwrap(),
                    each["mode"].as_str().unwrap()
                )
            })
            .collect();
        actors.sort();
        actors
    };
    let none: &[&str] = &[];
    assert_eq!(actors("classic-only"), none);
    assert_eq!(actors("conflict-reversed"), none);
    assert_eq!(actors("agreement"), none);
    assert_eq!(actors("admins-free"), ["admins always"]);
    assert_eq!(actors("organization-ruleset-only"), ["owners always"]);
    assert_eq!(
        actors("bypass-classic"),
        ["app/evidence always", "user/dave always"]
    );
    assert_eq!(
        actors("bypass-actors"),
        ["app/#4711 pull_request", "role/5 always", "team/#77 always"]
    );
    let errors = |name: &str| {
        find(&snapshot, &format!("acme/{name}:main"))
            .attributes
            .get("code_owners_errors")
    };
    assert_eq!(errors("code-owners"), Some(&json!(0)));
    assert_eq!(errors("code-owners-invalid"), Some(&json!(2)));
    assert_eq!(errors("code-owners-missing"), Some(&Value::Null));
    assert_eq!(errors("classic-only"), None);
}

#[tokio::test]
async fn the_contract_is_kept() {
    let fake = traps();
    for token in [ADMIN, "token = \"weak-token\""] {
        let collector = collector(&fake, token);
        let clock = MachineClock::default();
        let (_, breaches) = conformance::check(collector.as_ref(), &clock).await.unwrap();
        assert_eq!(breaches, Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_request_is_one_that_github_describes() {
    let fake = Fake::behind_prism();
    fake.control("/_fake/scenario", &json!({ "name": "traps" }));
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    let snapshot = collect(&fake, ADMIN).await;
    assert_true(&snapshot, &truth(&fake), "prism");
    // What GitHub answers where a repository went it does not describe for every route.
    let mut of_requests = fake.violations();
    of_requests.retain(|violation| violation["location"][0] != "response");
    assert_eq!(of_requests, Vec::<Value>::new());
}

#[tokio::test]
async fn a_token_that_sees_less_finds_less_and_nothing_else() {
    let fake = traps();
    let truth = truth(&fake);
    let mut unknown = BTreeMap::new();
    for token in ["reader-token", "weak-token", "member-token", "selected-token"] {
        let snapshot = collect(&fake, &format!("token = \"{token}\"")).await;
        unknown.insert(token, assert_true(&snapshot, &truth, token));
        let calls = &snapshot.provenance.calls;
        let empty = snapshot
            .resources
            .iter()
            .any(|resource| resource.id.starts_with("acme/empty:"));
        assert!(!empty, "{token}: {calls:#?}");
        // Only members of an organisation, and tokens with a permission over it, see how many repositories it has.
        let all = token == "member-token";
        assert_eq!(snapshot.provenance.completeness.complete, all, "{token}");
        assert_eq!(
            snapshot.provenance.completeness.complete, all,
            "{token}: {:?}",
            snapshot.provenance.completeness
        );
    }
    assert!(unknown["weak-token"] > unknown["reader-token"], "{unknown:?}");

    let snapshot = collect(&fake, "token = \"weak-token\"").await;
    let branch = find(&snapshot, "acme/conflict:main");
    assert_eq!(branch.attributes["required_approvals"], 2);
    assert_eq!(branch.attributes["allow_force_pushes"], false);
    assert_eq!(
        branch.unknown["allow_deletions"],
        "classic protection is not known: reading it was refused (403)"
    );
    assert!(
        branch.unknown["bypass_actors"].contains("not known"),
        "{branch:#?}"
    );
}

#[tokio::test]
async fn an_app_that_is_installed_everywhere_reads_the_whole_population() {
    let fake = traps();
    let access = fake.control("/_fake/access", &Value::Null);
    let of = |name: &str| {
        let (id, key) = (
            &access["app"]["id"],
            access["app"]["private_key"].as_str().unwrap(),
        );
        let installation = &access["installations"][name];
        format!("app = {{ id = {id}, installation = {installation}, key = \"\"\"{key}\"\"\" }}")
    };
    let truth = truth(&fake);
    for (name, whole) in [("all", true), ("selected", false)] {
        let snapshot = collect(&fake, &of(name)).await;
        assert_true(&snapshot, &truth, name);
        let completeness = &snapshot.provenance.completeness;
        assert_eq!(completeness.complete, whole, "{name}: {completeness:?}");
        assert_eq!(snapshot.resources.len() > 30, whole, "{name}");
    }
}

#[tokio::test]
async fn each_call_refused_cut_or_wrong_in_turn_makes_nothing_up() {
    let fake = traps();
    let truth = truth(&fake);
    // With one that is not there, a wrong answer where GitHub would give none would be one of the fake's making.
    let settings = format!("{ADMIN}\nexcluded = [{{ repository = \"vanishing\", reason = \"it goes\" }}]");
    let routes = [
        "/branches\\?",
        "/branches/[^/]+/protection",
        "/rules/branches/",
        "/rulesets/\\d",
        "/codeowners/errors",
    ];
    for route in routes {
        for kind in [
            json!({ "kind": "status", "status": 403, "message": "Resource not accessible by personal access token" }),
            json!({ "kind": "status", "status": 404, "message": "Not Found" }),
            json!({ "kind": "status", "status": 451 }),
            json!({ "kind": "wrong_json" }),
            json!({ "kind": "wrong_shape" }),
        ] {
            let mut fault = kind.clone();
            fault["match"] = format!("GET /repos/acme/.*{route}").into();
            fault["times"] = (-1).into();
            fake.control("/_fake/faults", &fault);
            let snapshot = collect(&fake, &settings).await;
            fake.heal();
            let label = format!("{route} {kind}");
            let unknown = assert_true(&snapshot, &truth, &label);
            let run = &snapshot.provenance.completeness;
            assert!(
                unknown > 12 || !run.complete || run.basis.contains("went while"),
                "{label}: {unknown} {run:?}"
            );
            assert!(snapshot.resources.len() > 30 || !run.complete, "{label}: {run:?}");
        }
    }
}

#[tokio::test]
async fn failures_that_pass_leave_no_trace_in_what_is_found() {
    let fake = traps();
    let truth = truth(&fake);
    for kind in ["reset", "cut", "502"] {
        fake.control(
            "/_fake/faults",
            &json!({ "kind": kind, "match": "conflict/branches/main/protection" }),
        );
    }
    fake.control(
        "/_fake/faults",
        &json!({ "kind": "secondary", "retry_after": 1, "match": "rules/branches" }),
    );
    let snapshot = collect(&fake, "token = \"admin-token\"\nrepositories = [\"conflict*\"]").await;
    assert_true(&snapshot, &truth, "healed");
    assert_eq!(snapshot.resources.len(), 2);
    assert!(snapshot.provenance.completeness.complete);
    let waited =
        |call: &evidenced_collector_api::Call| call.parameters.contains_key("waited_for_rate_limit_seconds");
    assert!(snapshot.provenance.calls.iter().any(waited));
}

#[tokio::test]
async fn a_run_that_the_rate_limit_ends_is_sealed_as_incomplete() {
    let fake = traps();
    let truth = truth(&fake);
    // GitHub's window is an hour, a run's time ten minutes.
    fake.control("/_fake/settings", &json!({ "core_limit": 60 }));
    let snapshot = collect(&fake, ADMIN).await;
    assert_true(&snapshot, &truth, "limited");
    let completeness = &snapshot.provenance.completeness;
    assert!(!completeness.complete);
    assert!(
        completeness.basis.contains("the rate limit is used up"),
        "{completeness:?}"
    );
    assert!(!snapshot.resources.is_empty() && snapshot.resources.len() < truth.len());
    assert!(
        snapshot.provenance.calls.len() < 100,
        "what can't be asked is not tried"
    );
}

#[tokio::test]
async fn a_renamed_repository_and_a_lost_default_branch_are_missed_aloud() {
    let fake = traps();
    for (repository, status, message) in [
        ("quiet", 301, "Moved Permanently"),
        ("deployed", 404, "Branch not found"),
    ] {
        let route = format!("GET /repos/acme/{repository}/branches/main/protection");
        fake.control(
            "/_fake/faults",
            &json!({ "kind": "status", "status": status, "message": message, "match": route }),
        );
    }
    let snapshot = collect(&fake, "token = \"admin-token\"").await;
    let completeness = &snapshot.provenance.completeness;
    assert!(!completeness.complete);
    for part in ["has moved", "a default branch was not there any more"] {
        assert!(completeness.basis.contains(part), "{completeness:?}");
    }
    assert!(
        !snapshot
            .resources
            .iter()
            .any(|resource| resource.id.starts_with("acme/quiet"))
    );
}

#[tokio::test]
async fn missing_permissions_are_named() {
    let fake = traps();
    let clock = MachineClock::default();
    let said = collector(&fake, "token = \"weak-token\"\nrepositories = [\"conflict\"]")
        .check(&Run::begin(&clock))
        .await;
    let of = |what: &str| {
        said.iter()
            .find(|(name, _)| name.starts_with(what))
            .unwrap()
            .1
            .clone()
    };
    assert!(
        of("classic protection of acme/conflict:main")
            .unwrap_err()
            .contains("Administration: read")
    );
    assert_eq!(of("rules of rulesets of"), Ok("readable".to_owned()));
    assert_eq!(of("the branch of"), Ok("readable".to_owned()));
    let said = collector(&fake, "token = \"admin-token\"")
        .check(&Run::begin(&clock))
        .await;
    assert!(said.iter().all(|(_, result)| result.is_ok()), "{said:?}");
    fake.control(
        "/_fake/do",
        &json!({ "op": "change_organization", "plan": "free" }),
    );
    let said = collector(&fake, "token = \"admin-token\"")
        .check(&Run::begin(&clock))
        .await;
    let refused = said.iter().find(|(name, _)| name.starts_with("classic")).unwrap();
    assert!(refused.1.as_ref().unwrap_err().contains("plan"), "{said:?}");
}

#[tokio::test]
async fn five_hundred_repositories_take_two_thousand_calls_and_then_seven_hundred() {
    let fake = Fake::start();
    fake.control("/_fake/scenario", &json!({ "name": "many" }));
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    let collector = collector(&fake, "token = \"admin-token\"");
    let (clock, kept, target) = (
        MachineClock::default(),
        Kept::default(),
        Target::new("acme").unwrap(),
    );
    let mut charged = Vec::new();
    let mut first = None;
    for _ in 0..2 {
        fake.control("/_fake/log/clear", &json!({}));
        let run = Run {
            earlier: &kept,
            ..Run::begin(&clock)
        };
        let snapshot = collector.collect(&target, &run).await.unwrap();
        assert_eq!(snapshot.resources.len(), 500);
        assert!(snapshot.provenance.completeness.complete);
        let log = fake.control("/_fake/log", &Value::Null);
        let log = log.as_array().unwrap();
        charged.push((
            log.len(),
            log.iter()
                .filter_map(|entry| entry["charged"].as_u64())
                .sum::<u64>(),
        ));
        let attributes: Vec<_> = snapshot
            .resources
            .into_iter()
            .map(|resource| (resource.id, resource.attributes))
            .collect();
        assert_eq!(first.get_or_insert_with(|| attributes.clone()), &attributes);
    }
    println!("(requests, charged) of each run: {charged:?}");
    assert!(charged[0].0 <= 2000, "{charged:?}");
    assert!(charged[1].1 <= 700, "{charged:?}");
}
