//! The program against a peer that answers as GitHub does, with everything that deceives: each finding is compared with
//! what the peer holds to be true.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../collectors/github/tests/fake/mod.rs"]
mod fake;
#[path = "github/populations.rs"]
mod populations;

use evidenced::log::leaf::{Body, Role, SnapshotLeaf};
use evidenced::log::store::{Filter, Paths, Reader};
use evidenced::round::resources;
use evidenced_collector_api::Resource;
use evidenced_collector_github::ROUTES;
use fake::Fake;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

fn peer(scenario: &Value) -> Fake {
    let fake = Fake::start();
    fake.control("/_fake/scenario", scenario);
    fake.control("/_fake/clock", &json!({ "now": "machine" }));
    fake
}

const COLLECTORS: &str = r#"
[source.collectors."github.branch_protection"]
schedule = "0 */4 * * *"
deadline = "5m"
[source.collectors."github.pull_requests"]
schedule = "30 */4 * * *"
[source.collectors."github.repositories"]
schedule = "0 3 * * *"
"#;

/// Runs the program as a user would, in a folder of its own; the token is in the environment.
fn evidenced(folder: &Path, fake: &Fake, token: &str, settings: &str, arguments: &[&str]) -> Output {
    let config = folder.join("evidenced.toml");
    let settings = format!(
        "base_url = \"{}\", owners = [\"acme\"], token = {{ env = \"GITHUB_TOKEN\" }}, {settings}",
        fake.url()
    );
    let source = format!("[[source]]\nname = \"github\"\ntype = \"github\"\nsettings = {{ {settings} }}");
    std::fs::write(&config, format!("name = \"acme\"\n{source}\n{COLLECTORS}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_evidenced"));
    command
        .args(arguments)
        .arg("--config")
        .arg(&config)
        .arg("--store")
        .arg(folder.join("store"))
        .env_remove("GITHUB_TOKEN")
        .env("NO_PROXY", "127.0.0.1");
    if !token.is_empty() {
        command.env("GITHUB_TOKEN", token);
    }
    command.output().unwrap()
}

/// A sealed snapshot: its leaf, its resources by id, and what each test said of each.
struct Sealed {
    leaf: SnapshotLeaf,
    resources: BTreeMap<String, Resource>,
    findings: BTreeMap<(String, String), String>,
}

fn sealed(folder: &Path, collector: &str) -> Vec<Sealed> {
    let reader = Reader::open(&Paths::new(folder.join("store"))).unwrap();
    let filter = Filter {
        kinds: vec!["snapshot".to_owned()],
        collector: Some(collector.to_owned()),
        ..Filter::default()
    };
    let entries = reader.entries(&filter).unwrap();
    let snapshots = entries.into_iter().map(|entry| {
        let leaf = reader.leaf(entry.seq).unwrap().unwrap();
        let found = resources(&reader, entry.seq, &leaf).unwrap();
        let Some(Body::Snapshot(snapshot)) = leaf.body else {
            panic!("{} is no snapshot", entry.seq)
        };
        let evaluation = reader.evaluation_of(entry.seq).unwrap().unwrap();
        let evaluation = reader.leaf(evaluation).unwrap().unwrap();
        let blob = evaluation
            .blobs
            .iter()
            .find(|blob| blob.role == Role::Findings)
            .unwrap();
        let payload = reader.payload(&blob.sha256).unwrap().unwrap();
        let said: Value = serde_json::from_slice(&payload).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let findings = said["findings"].as_array().unwrap().iter();
        Sealed {
            leaf: snapshot,
            resources: found
                .into_iter()
                .map(|resource| (resource.id.clone(), resource))
                .collect(),
            findings: findings
                .map(|finding| {
                    (
                        (text(&finding["test"]), text(&finding["resource"])),
                        text(&finding["outcome"]),
                    )
                })
                .collect(),
        }
    });
    snapshots.collect()
}

fn object<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[name].as_object().into_iter().flatten()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

#[test]
fn every_trap_is_seen_for_what_it_is() {
    let fake = peer(&json!({ "name": "traps" }));
    let truth = fake.control("/_fake/truth", &Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let settings = "since = \"2026-05-01\", rule_suites = true, branches = [\"release/**\", \"develop\"], \
                    excluded = [{ repository = \"acme/fork*\", reason = \"not ours\" }]";
    let output = evidenced(
        folder.path(),
        &fake,
        "admin-token",
        settings,
        &["collect", "--once"],
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    // One repository is gone before it is read, which is a failure and stops nothing.
    assert_eq!(output.status.code(), Some(3), "{text}{complaints}");

    let changes = sealed(folder.path(), "github.pull_requests");
    let mut checked = BTreeSet::new();
    for sealed in &changes {
        let name = &sealed.leaf.target;
        let told = &truth["repositories"][name];
        assert!(sealed.leaf.complete, "{name} is incomplete: {text}");
        for (branch, told) in object(told, "branches") {
            check_pull_requests(name, told, sealed, &mut checked);
            check_pushes(name, branch, told, sealed);
        }
    }
    for why in [
        "self_approval",
        "older_commit",
        "dismissed",
        "last_pusher",
        "pusher_unknown",
        "bot_reviewer",
        "after_merge",
    ] {
        assert!(checked.contains(why), "{why} is in no pull request: {checked:?}");
    }
    check_repositories(&truth, &sealed(folder.path(), "github.repositories")[0]);
    check_protection(&truth, &sealed(folder.path(), "github.branch_protection")[0]);
    only_known_requests(&fake.control("/_fake/log", &Value::Null));
    assert_eq!(fake.complaints(), "");
}

/// What each test on branches must say, by what the fake holds to be in force.
fn check_protection(truth: &Value, sealed: &Sealed) {
    let mut compared = BTreeSet::new();
    for ((test, branch), outcome) in &sealed.findings {
        let (repository, name) = branch.split_once(':').unwrap();
        let told = &truth["repositories"][repository]["branches"][name];
        let set = |setting: &str| told["settings"][setting]["value"] == true;
        let approvals = told["settings"]["required_approvals"]["value"]
            .as_u64()
            .unwrap_or(0);
        let expected = match test.as_str() {
            "github-review-required" => approvals >= 1,
            "github-stale-approval-dismissed" => set("dismiss_stale") || set("last_push_approval"),
            "github-history-kept" => set("force_push_blocked") && set("deletion_blocked"),
            "github-checks-required" => list(&told["settings"]["checks"], "value").next().is_some(),
            _ => continue,
        };
        assert_eq!(
            outcome == "pass",
            expected,
            "{test} {branch}: {outcome}, in truth {told}"
        );
        compared.insert(test.as_str());
    }
    assert_eq!(compared.len(), 4, "{compared:?}");
    // As an administrator sees them: who may go around reviews.
    let bypass = |repository: &str| {
        let finding = (
            "github-bypass-limited".to_owned(),
            format!("acme/{repository}:main"),
        );
        sealed.findings[&finding].as_str()
    };
    for (repository, expected) in [
        ("admins-free", "fail"),
        ("bypass-actors", "fail"),
        ("bypass-classic", "fail"),
        ("classic-only", "pass"),
        ("unprotected", "not_applicable"),
    ] {
        assert_eq!(bypass(repository), expected, "{repository}");
    }
}

/// What `deploy/github` grants is what the collectors say that they ask for, and here nothing else was asked for.
fn only_known_requests(log: &Value) {
    let fits = |route: &str, path: &str| {
        let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
        route.len() == path.len()
            && route
                .iter()
                .zip(&path)
                .all(|(part, given)| part.starts_with('{') || part == given)
    };
    for call in log.as_array().unwrap() {
        let (method, path) = (&call["method"], call["path"].as_str().unwrap());
        // The fake shows a branch with its slash.
        let known = ROUTES.iter().any(|route| {
            fits(
                route.path,
                &path.replace("release/", "release-").replace("%2F", "-"),
            )
        });
        let query = path == "/graphql" && *method == "POST";
        assert!(query || (*method == "GET" && known), "{method} {path}");
    }
}

fn check_pull_requests(name: &str, told: &Value, sealed: &Sealed, checked: &mut BTreeSet<String>) {
    for (number, told) in object(told, "pull_requests") {
        let id = format!("{name}#{number}");
        let resource = sealed
            .resources
            .get(&id)
            .unwrap_or_else(|| panic!("{id} is missing"));
        assert_eq!(resource.attributes["merge_commit"], told["merge"], "{id}");
        let outcome = |test: &str| sealed.findings[&(test.to_owned(), id.clone())].as_str();
        // As GitHub decides too: an objection that stands outweighs another's approval.
        let objected = resource.attributes["opinions"]
            .to_string()
            .contains("CHANGES_REQUESTED");
        let expected = match told["approved"].as_bool() {
            Some(true) if objected => &["fail"][..],
            Some(true) => &["pass"],
            Some(false) => &["fail"],
            // Of an account that is gone nobody can say that it was a person with write access: it does not count.
            None if told["why"] == json!(["reviewer_unknown"]) => &["fail"],
            None => &["unknown"],
        };
        let said = outcome("github-pr-approved");
        assert!(
            expected.contains(&said),
            "{id}: {said}, and in truth {told}; {resource:?}"
        );
        // Ours wants one that succeeded: checks that were all skipped have checked nothing.
        let succeeded = resource.attributes["checks"].to_string().contains("\"success\"");
        let passed = told["checks"] == "passed" && succeeded;
        let said = outcome("github-pr-checks-passed");
        assert_eq!(
            said == "pass",
            passed,
            "{id}: checks {said}, and in truth {}; {:?}",
            told["checks"],
            resource.attributes["checks"]
        );
        checked.extend(list(told, "why").filter_map(Value::as_str).map(str::to_owned));
    }
}

fn check_pushes(name: &str, branch: &str, told: &Value, sealed: &Sealed) {
    let prefix = format!("{name}:{branch}@");
    let direct: BTreeSet<_> = sealed
        .findings
        .iter()
        .filter(|((test, id), outcome)| {
            test == "github-no-direct-push" && id.starts_with(&prefix) && *outcome == "fail"
        })
        .map(|((_, id), _)| id[prefix.len()..].to_owned())
        .collect();
    let first = told_first(told);
    let expected: BTreeSet<_> = list(told, "direct_pushes")
        .filter_map(|push| push["sha"].as_str())
        .filter(|sha| Some(*sha) != first)
        .map(str::to_owned)
        .collect();
    let history = sealed.resources.get(&format!("{name}:{branch}"));
    if history.is_some() {
        assert!(
            expected.is_subset(&direct),
            "{name} {branch}: {expected:?} were pushed, and {direct:?} found"
        );
        let more: Vec<_> = direct.difference(&expected).collect();
        assert!(
            more.is_empty(),
            "{name} {branch}: {more:?} were not pushed directly"
        );
    }
    let forced = list(told, "force_pushes").count();
    let found = sealed
        .resources
        .values()
        .filter(|resource| resource.kind == "github.force_push" && resource.attributes["branch"] == branch)
        .count();
    if history.is_some() {
        assert_eq!(found, forced, "{name} {branch}");
    }
}

fn told_first(told: &Value) -> Option<&str> {
    told["first_commit"].as_str()
}

fn check_repositories(truth: &Value, sealed: &Sealed) {
    assert!(sealed.leaf.complete);
    let ours = object(truth, "repositories")
        .filter(|(name, told)| name.starts_with("acme/") && told["deleted"] != true);
    for (name, told) in ours {
        let found = sealed
            .resources
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        for attribute in ["archived", "fork", "default_branch"] {
            assert_eq!(
                found.attributes[attribute], told[attribute],
                "{name}: {attribute}"
            );
        }
        let excluded = name.starts_with("acme/fork");
        assert_eq!(found.attributes["excluded"], excluded, "{name}");
        assert_eq!(
            found.attributes["tested"],
            !excluded && told["archived"] != true,
            "{name}"
        );
    }
    assert_eq!(sealed.resources["acme"].attributes["two_factor_required"], true);
}

#[test]
fn a_second_run_goes_on_from_the_log_and_asks_only_for_what_changed() {
    let fake = peer(&json!({ "name": "traps" }));
    let folder = tempfile::tempdir().unwrap();
    let settings = "since = \"2026-05-01\", repositories = [\"pushes\", \"pulls\", \"conflict\"]";
    let run = || {
        evidenced(
            folder.path(),
            &fake,
            "admin-token",
            settings,
            &["collect", "--once"],
        )
    };
    run();
    fake.control("/_fake/log/clear", &json!({}));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    run();
    let snapshots = sealed(folder.path(), "github.pull_requests");
    assert_eq!(snapshots.len(), 6);
    let of = |name: &str| {
        snapshots
            .iter()
            .filter(|sealed| sealed.leaf.target == name)
            .collect::<Vec<_>>()
    };
    let [first, second] = of("acme/pulls")[..] else {
        panic!("not twice")
    };
    let (first, second) = (
        serde_json::to_value(first.leaf.covers).unwrap(),
        serde_json::to_value(second.leaf.covers).unwrap(),
    );
    assert_eq!(first["to"], second["from"]);
    let log = fake.control("/_fake/log", &Value::Null);
    let of_protection = |call: &&Value| {
        let path = call["path"].as_str().unwrap();
        path.contains("/rules/") || path.ends_with("/repos")
    };
    let answers: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .filter(of_protection)
        .map(|call| call["status"].clone())
        .collect();
    assert!(
        !answers.is_empty() && answers.iter().all(|status| *status == 304),
        "{answers:?}"
    );
}

#[test]
fn what_a_token_may_not_see_is_said() {
    let fake = peer(&json!({ "name": "traps" }));
    let folder = tempfile::tempdir().unwrap();
    let output = evidenced(
        folder.path(),
        &fake,
        "selected-token",
        "",
        &["collect", "--once", "github.repositories"],
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let partial = &sealed(folder.path(), "github.repositories")[0];
    assert!(!partial.leaf.complete);
    let covered = partial
        .findings
        .iter()
        .filter(|((test, _), _)| test == "github-repositories-covered");
    assert!(covered.clone().count() > 1 && covered.clone().all(|(_, outcome)| outcome == "pass"));
    // Each that is seen is tested, and yet nothing passes that holds for a part only.
    let control = text
        .lines()
        .find(|line| line.starts_with("repositories-observed"));
    assert!(control.is_some_and(|line| line.contains("unknown")), "{text}");

    let output = evidenced(folder.path(), &fake, "weak-token", "", &["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("dministration"), "{text}");
    assert_eq!(output.status.code(), Some(2), "{text}");

    let output = evidenced(
        folder.path(),
        &fake,
        "expired-token",
        "",
        &["collect", "--once", "github.repositories"],
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_secret_that_is_missing_is_named_and_one_that_is_there_is_not_written_anywhere() {
    let fake = peer(&json!({ "name": "empty" }));
    let folder = tempfile::tempdir().unwrap();
    let output = evidenced(folder.path(), &fake, "", "", &["collect", "--once"]);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaints.contains("environment variable GITHUB_TOKEN is not set"),
        "{complaints}"
    );
    assert!(complaints.contains("evidenced.toml"), "{complaints}");
    assert!(
        !folder.path().join("store").exists(),
        "a store was made for nothing"
    );

    // A dry run shows, and writes nothing: no cache either.
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    evidenced(
        folder.path(),
        &fake,
        "admin-token",
        "",
        &["collect", "--once", "--dry-run"],
    );
    assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0);
    std::fs::remove_dir(&store).unwrap();

    // The fake's tokens are their names, so that a token found is found.
    let output = evidenced(folder.path(), &fake, "admin-token", "", &["collect", "--once"]);
    let said = [output.stdout, output.stderr].concat();
    let token = b"admin-token";
    let holds = |bytes: &[u8]| bytes.windows(token.len()).any(|part| part == token);
    assert!(!holds(&said));
    for entry in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(!holds(&std::fs::read(&path).unwrap()), "{}", path.display());
        }
    }
}
