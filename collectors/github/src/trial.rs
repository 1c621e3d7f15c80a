//! One GraphQL query that takes each permission which reading pull requests takes, and what its answer says of them.
//!
//! GraphQL answers 200 whatever was refused, with an error for each place that it left out: the place tells which
//! permission is missing.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

use crate::ask::Query;

const TEXT: &str = "query TriedPermissions($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { number reviews(first: 1) { nodes { id } } } }
    defaultBranchRef { target { ... on Commit { oid
      checkSuites(first: 1) { nodes { id } }
      status { id }
      statusCheckRollup { contexts(first: 1) { nodes { __typename } } } } } } } }";

/// How a permission fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fared {
    Given,
    /// There was nothing to try it on.
    Untried,
    Missing,
}

/// How each permission fared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) pull_requests: Fared,
    pub(crate) checks: Fared,
    pub(crate) statuses: Fared,
}

/// The query about a repository.
pub(crate) fn query(owner: &str, name: &str) -> Query<'static> {
    Query {
        name: "TriedPermissions",
        text: TEXT,
        variables: Map::from_iter([
            ("owner".to_owned(), owner.into()),
            ("name".to_owned(), name.into()),
        ]),
        connection: "",
        first: 0,
    }
}

impl Trial {
    /// Reads an answer; `None` where it says nothing of the repository.
    pub(crate) fn read(answer: &Value) -> Option<Self> {
        let refused: BTreeSet<&str> = answer["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|error| place(&error["path"]))
            .collect();
        let repository = answer["data"]["repository"].as_object();
        if repository.is_none() && refused.is_empty() {
            return None;
        }
        let is_refused = |field: &str| refused.contains(field);
        let repository = repository.map_or(&Value::Null, |_| &answer["data"]["repository"]);
        // Where either permission is missing there is no rollup: which one, its own field tells, if that was refused.
        let (suites, status, rollup) = (
            is_refused("checkSuites"),
            is_refused("status"),
            is_refused("statusCheckRollup"),
        );
        let no_commit = repository["defaultBranchRef"]["target"]["oid"].is_null();
        let pulls = repository["pullRequests"]["nodes"].as_array();
        Some(Self {
            pull_requests: fared(is_refused("pullRequests"), pulls.is_none_or(Vec::is_empty)),
            checks: fared(suites || (rollup && !status), no_commit),
            statuses: fared(status || (rollup && !suites), no_commit),
        })
    }
}

fn fared(refused: bool, nothing: bool) -> Fared {
    match (refused, nothing) {
        (true, _) => Fared::Missing,
        (false, true) => Fared::Untried,
        (false, false) => Fared::Given,
    }
}

/// The field of the query that a place in its answer belongs to.
fn place(path: &Value) -> Option<&'static str> {
    const FIELDS: [&str; 4] = ["pullRequests", "checkSuites", "statusCheckRollup", "status"];
    let parts = path.as_array()?;
    FIELDS
        .into_iter()
        .find(|field| parts.iter().any(|part| part == field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fared::{Given, Missing, Untried};
    use serde_json::json;

    fn read(refused: &[Value]) -> (Fared, Fared, Fared) {
        let errors: Vec<_> = refused
            .iter()
            .map(|path| json!({ "type": "FORBIDDEN", "path": path }))
            .collect();
        let commit =
            json!({ "oid": "c", "checkSuites": { "nodes": [] }, "status": null, "statusCheckRollup": null });
        let answer = json!({ "errors": errors, "data": { "repository": {
            "pullRequests": { "nodes": [{ "number": 1 }] }, "defaultBranchRef": { "target": commit } } } });
        let trial = Trial::read(&answer).unwrap();
        (trial.pull_requests, trial.checks, trial.statuses)
    }

    fn of_commit(field: &str) -> Value {
        json!(["repository", "defaultBranchRef", "target", field])
    }

    #[test]
    fn a_refused_place_names_the_permission_that_it_takes() {
        assert_eq!(read(&[]), (Given, Given, Given));
        let pulls = json!(["repository", "pullRequests", "nodes", 0]);
        assert_eq!(read(&[pulls]), (Missing, Given, Given));
        let [suites, status, rollup] = ["checkSuites", "status", "statusCheckRollup"].map(of_commit);
        assert_eq!(read(&[suites.clone(), rollup.clone()]), (Given, Missing, Given));
        assert_eq!(read(&[status.clone(), rollup.clone()]), (Given, Given, Missing));
        assert_eq!(read(&[suites, status, rollup]), (Given, Missing, Missing));
        // It may be either.
        let contexts = json!([
            "repository",
            "defaultBranchRef",
            "target",
            "statusCheckRollup",
            "contexts"
        ]);
        assert_eq!(read(&[contexts]), (Given, Missing, Missing));
    }

    #[test]
    fn what_there_is_nothing_to_try_on_is_not_called_given() {
        let answer = json!({ "data": { "repository": { "pullRequests": { "nodes": [] }, "defaultBranchRef": null } } });
        let trial = Trial::read(&answer).unwrap();
        assert_eq!(
            (trial.pull_requests, trial.checks, trial.statuses),
            (Untried, Untried, Untried)
        );
        let answer = json!({ "data": { "repository": null }, "errors": [{ "type": "NOT_FOUND", "path": ["repository"] }] });
        assert_eq!(Trial::read(&answer), None);
    }
}
