//! GitHub: a list of permissions, an App's manifest, and a link that registers the same App.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PERMISSIONS: &str = include_str!("../../deploy/github/permissions.json");
const MANIFEST: &str = include_str!("../../deploy/github/app-manifest.json");
const README: &str = include_str!("../../deploy/github/README.md");

type Permissions = BTreeMap<String, String>;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn of(value: &Value) -> Permissions {
    serde_json::from_value(value.clone()).unwrap()
}

/// All of them, those of repositories and of the organisation.
fn permissions() -> Permissions {
    let listed = json(PERMISSIONS);
    let mut all = of(&listed["repository"]);
    all.extend(of(&listed["organization"]));
    all
}

fn names() -> BTreeSet<String> {
    permissions().into_keys().collect()
}

/// The rows of the README's table under a heading, cell by cell, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = README.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The parameters of the link in the README that registers an App.
fn link() -> BTreeMap<&'static str, &'static str> {
    let (_, query) = README.split_once("/settings/apps/new?").unwrap();
    let query = query.split('>').next().unwrap();
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .collect()
}

#[test]
fn every_permission_reads_and_none_writes() {
    let listed = json(PERMISSIONS);
    let parts: BTreeSet<_> = listed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(parts, BTreeSet::from(["only_app", "organization", "repository"]));
    for (name, access) in permissions() {
        assert_eq!(access, "read", "{name}");
    }
    for text in [PERMISSIONS, MANIFEST] {
        for more in ["\"write\"", "\"admin\""] {
            assert!(!text.contains(more), "{more}");
        }
    }
    for more in ["=write", "=admin"] {
        assert!(!README.contains(more), "{more}");
    }
}

#[test]
fn what_an_organisation_grants_is_apart_from_what_a_repository_grants() {
    let listed = json(PERMISSIONS);
    let of_organization = |name: &String| name.starts_with("organization_") || name == "members";
    assert!(of(&listed["organization"]).keys().all(of_organization));
    assert!(!of(&listed["repository"]).keys().any(of_organization));
}

#[test]
fn the_app_of_the_manifest_has_these_permissions_and_is_told_nothing() {
    let manifest = json(MANIFEST);
    assert_eq!(of(&manifest["default_permissions"]), permissions());
    assert_eq!(manifest["public"], false);
    assert_eq!(manifest["request_oauth_on_install"], false);
    assert_eq!(manifest["hook_attributes"]["active"], false);
    assert_eq!(manifest["default_events"], Value::Array(Vec::new()));
}

#[test]
fn the_link_registers_the_app_of_the_manifest() {
    let (manifest, mut link) = (json(MANIFEST), link());
    for text in ["name", "url"] {
        assert_eq!(link.remove(text), manifest[text].as_str(), "{text}");
    }
    assert_eq!(link.remove("public"), Some("false"));
    assert_eq!(link.remove("webhook_active"), Some("false"));
    let own = |(name, access): (&str, &str)| (name.to_owned(), access.to_owned());
    assert_eq!(link.into_iter().map(own).collect::<Permissions>(), permissions());
}

#[test]
fn the_readme_says_what_needs_each_permission_and_what_is_unknown_without_it() {
    let rows = table("Which request needs which permission");
    let needed: BTreeSet<_> = rows.iter().flat_map(|row| quoted(row[2])).collect();
    let names = names();
    let all: BTreeSet<_> = names.iter().map(String::as_str).collect();
    assert_eq!(needed, all);

    let rows = table("What is unknown without which permission");
    let missed: BTreeSet<_> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    // GitHub adds it to every other.
    let optional: BTreeSet<_> = all.into_iter().filter(|name| *name != "metadata").collect();
    assert_eq!(missed, optional);
}

#[test]
fn every_request_reads_but_the_one_for_the_token_to_read_with() {
    for row in table("Which request needs which permission") {
        let mut requests = quoted(row[1]).peekable();
        assert!(requests.peek().is_some(), "{row:?}");
        for request in requests.filter(|quoted| quoted.contains(" /")) {
            let reads = request.starts_with("GET /")
                || request == "POST /graphql"
                || request == "POST /app/installations/{id}/access_tokens";
            assert!(reads, "{request}");
        }
    }
    assert!(README.contains("queries and no mutations"));
}

#[test]
fn what_no_token_can_have_is_a_permission_and_the_readme_leaves_it_out_for_tokens() {
    let only_app: Vec<String> = serde_json::from_value(json(PERMISSIONS)["only_app"].clone()).unwrap();
    assert!(only_app.iter().all(|name| names().contains(name)));
    let except: Vec<_> = only_app.iter().map(|name| format!("`{name}`")).collect();
    let sentence = format!("those of `permissions.json` except {}", except.join(", "));
    assert!(README.contains(&sentence), "{sentence}");
}
