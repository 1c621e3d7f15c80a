//! The least that is asked for: the calls that are made, those that the code knows, and the permissions that are
//! documented say the same.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod fake;
mod world;

use evidenced_collector_github::{GRAPHQL, ROUTES, branch_protection, pull_requests, repositories};
use serde_json::Value;
use std::collections::BTreeSet;

use world::{app, collect, settings, traps};

const PERMISSIONS: &str = include_str!("../../../deploy/github/permissions.json");
const README: &str = include_str!("../../../deploy/github/README.md");

/// A path whose parts in braces have no names.
fn unnamed(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Requests and the permission of each, as the README has them.
fn documented() -> BTreeSet<(String, Option<String>)> {
    let (_, table) = README
        .split_once("## Which request needs which permission\n")
        .unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        // What a cell says after a semicolon is about a part of the answer.
        let permission = quoted(cells[2].split(';').next().unwrap()).next();
        for request in quoted(cells[1]).filter_map(|quoted| quoted.strip_prefix("GET ")) {
            documented.insert((unnamed(request), permission.map(str::to_owned)));
        }
    }
    documented
}

#[test]
fn each_route_is_documented_with_its_permission_and_no_other_is() {
    let known = ROUTES
        .iter()
        .map(|route| (unnamed(route.path), route.permission.map(str::to_owned)));
    assert_eq!(documented(), known.collect());
}

#[test]
fn the_permissions_are_those_of_the_routes_and_queries() {
    let listed: Value = serde_json::from_str(PERMISSIONS).unwrap();
    let listed: BTreeSet<_> = listed["repository"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let routes = ROUTES.iter().filter_map(|route| route.permission);
    let needed: BTreeSet<_> = routes
        .chain(GRAPHQL.iter().map(|(_, permission)| *permission))
        .collect();
    assert_eq!(needed, listed);
}

#[tokio::test]
async fn every_call_that_is_made_is_a_known_route_and_reads() {
    let fake = traps();
    let more = "rule_suites = true\nbranches = [\"develop\"]";
    for access in [
        app(&fake, ""),
        "token = \"admin-token\"\nsince = \"2026-05-01\"".to_owned(),
    ] {
        let of = || settings(&fake, &format!("{more}\n{access}"));
        collect(repositories(of()).as_ref(), "acme").await.unwrap();
        collect(branch_protection(of()).as_ref(), "acme").await.unwrap();
        for repository in ["acme/pushes", "acme/pulls", "acme/bypass-actors", "acme/deployed"] {
            collect(pull_requests(of()).as_ref(), repository).await.unwrap();
        }
    }
    let log = fake.control("/_fake/log", &Value::Null);
    let mut made = BTreeSet::new();
    for call in log.as_array().unwrap() {
        let (method, path) = (call["method"].as_str().unwrap(), call["path"].as_str().unwrap());
        match method {
            "GET" => {
                let route = ROUTES.iter().find(|route| matches(route.path, path));
                made.insert(route.unwrap_or_else(|| panic!("{path} is no known route")).path);
            }
            // Queries, and the token that an App reads with.
            "POST" => assert!(path == "/graphql" || path.ends_with("/access_tokens"), "{path}"),
            _ => panic!("{method} {path}"),
        }
    }
    assert!(made.len() > ROUTES.len() / 2, "{made:?}");
}

/// Whether a path is one of a route; names in it are percent-encoded, and so have no slashes.
fn matches(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let same = |(part, found): (&&str, &&str)| part.starts_with('{') || part == found;
    route.len() == path.len() && route.iter().zip(&path).all(same)
}
