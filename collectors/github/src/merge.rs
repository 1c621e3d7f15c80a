//! A merged pull request as a resource: who approved what when, who pushed it, what its checks said. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use evidenced_collector_api::Resource;

/// Who pushed the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pusher {
    /// The login; null where the account was deleted.
    Known(Value),
    /// Not by what is in the listing.
    NotTold,
    /// It could not be found out.
    Unknown(String),
}

/// The resource of a pull request, as GraphQL's `PullRequest` has it.
pub(crate) fn resource(
    repository: &str,
    number: u64,
    node: &Value,
    pusher: &Pusher,
    late: bool,
    calls: Vec<usize>,
) -> Resource {
    let id = format!("{repository}#{number}");
    let mut resource = Resource::new("github.pull_request", &id, &id, 0)
        .with("number", number)
        .with("title", node["title"].clone())
        .with("url", node["url"].clone())
        .with("base", node["baseRefName"].clone())
        .with("created_at", node["createdAt"].clone())
        .with("merged_at", node["mergedAt"].clone())
        .with_result("author", account(node, "author").map(|(login, _)| login))
        .with_result("author_kind", account(node, "author").map(|(_, kind)| kind))
        .with_result("merged_by", account(node, "mergedBy").map(|(login, _)| login))
        .with_result("merged_by_kind", account(node, "mergedBy").map(|(_, kind)| kind))
        .with("merge_commit", node["mergeCommit"]["oid"].clone())
        .with("head", node["headRefOid"].clone())
        .with("late", late)
        .with_result("merge_queue", queued(node))
        .with_result("opinions", opinions(node))
        .with_result("checks", checks(node))
        .with_result(
            "last_pusher",
            match pusher {
                Pusher::Known(login) => Ok(login.clone()),
                Pusher::NotTold => {
                    Err("neither a check suite nor the activity log names who pushed the head".to_owned())
                }
                Pusher::Unknown(reason) => Err(reason.clone()),
            },
        );
    resource.call = calls;
    resource
}

/// A node of a listing with what GitHub could not give of it: a field that is null for an error is not one that is
/// null by nature. `refused` has the node's own fields, and those of its head commit.
pub(crate) fn with_errors(mut node: Value, position: usize, errors: &[Value]) -> Value {
    for error in errors {
        let path = error["path"].as_array().map_or(&[][..], Vec::as_slice);
        let begin = path.iter().position(|part| part == "pullRequests");
        let place = begin.and_then(|begin| path.get(begin + 1..));
        let Some([nodes, at, within @ ..]) = place else {
            continue;
        };
        let (Some(fields), true) = (node.as_object_mut(), nodes == "nodes" && at == position) else {
            continue;
        };
        let kind = error["type"].as_str().unwrap_or("an error");
        let of_commit = within.first().is_some_and(|field| field == "commits");
        let names = within
            .iter()
            .filter_map(Value::as_str)
            .take(if of_commit { usize::MAX } else { 1 });
        let refused = fields.entry("refused").or_insert_with(|| json!({}));
        for name in names {
            refused[name] = format!("{name} was not given ({kind})").into();
        }
    }
    node
}

/// An account at a field: its login and its kind, both null if it was deleted.
fn account(node: &Value, field: &str) -> Result<(Value, Value), String> {
    match node["refused"][field].as_str() {
        Some(reason) => Err(reason.to_owned()),
        None => Ok((login(&node[field]), node[field]["__typename"].clone())),
    }
}

/// The items of a connection of the node, or why they are not there.
fn items<'a>(node: &'a Value, connection: &'a Value, name: &str) -> Result<&'a [Value], String> {
    if let Some(reason) = node["refused"][name]
        .as_str()
        .or_else(|| connection["refused"].as_str())
    {
        return Err(reason.to_owned());
    }
    let more = connection["pageInfo"]["hasNextPage"] == true;
    let items = connection["nodes"]
        .as_array()
        .filter(|items| !more && !items.iter().any(Value::is_null));
    items
        .map(Vec::as_slice)
        .ok_or_else(|| format!("{name} were not given, or not all of them"))
}

fn timeline<'a>(node: &'a Value, kind: &'static str) -> Result<impl Iterator<Item = &'a Value>, String> {
    let events = items(node, &node["timelineItems"], "timelineItems")?;
    Ok(events.iter().filter(move |event| event["__typename"] == kind))
}

fn queued(node: &Value) -> Result<bool, String> {
    if node["mergedBy"]["login"] == "github-merge-queue" {
        return Ok(true);
    }
    Ok(timeline(node, "AddedToMergeQueueEvent")?.next().is_some())
}

/// Each reviewer's latest opinion that was in force when the pull request was merged. A comment is none; a dismissal
/// ends one, and GitHub then shows the review as dismissed whenever that was.
fn opinions(node: &Value) -> Result<Value, String> {
    let merged = instant(&node["mergedAt"]).ok_or("when it was merged is not said")?;
    let mut latest: BTreeMap<String, (DateTime<Utc>, Option<Value>)> = BTreeMap::new();
    for review in items(node, &node["reviews"], "reviews")? {
        let state = review["state"].as_str().unwrap_or_default();
        let Some(at) = instant(&review["submittedAt"]).filter(|at| *at <= merged) else {
            continue;
        };
        let state = match state {
            "APPROVED" | "CHANGES_REQUESTED" => Some(state.to_owned()),
            "DISMISSED" => before_dismissal(node, review, merged)?,
            _ => continue,
        };
        let login = login(&review["author"]);
        // Nobody knows which of the deleted accounts it was: each review of one stands for itself.
        let reviewer = login
            .as_str()
            .map_or_else(|| format!("\0{}", review["id"]), str::to_owned);
        let opinion = state.map(|state| {
            json!({
                "reviewer": login,
                "kind": review["author"]["__typename"],
                "state": state,
                "commit": review["commit"]["oid"],
                "at": review["submittedAt"],
                "can_write": review["authorCanPushToRepository"],
            })
        });
        let known = latest.entry(reviewer).or_insert((at, None));
        if at >= known.0 {
            *known = (at, opinion);
        }
    }
    Ok(latest.into_values().filter_map(|(_, opinion)| opinion).collect())
}

/// What a review that is now dismissed said when the pull request was merged: `None` if it was dismissed by then.
fn before_dismissal(node: &Value, review: &Value, merged: DateTime<Utc>) -> Result<Option<String>, String> {
    let dismissal =
        timeline(node, "ReviewDismissedEvent")?.find(|event| event["review"]["id"] == review["id"]);
    let event = dismissal.ok_or("a review was dismissed, and the timeline does not say when")?;
    let at =
        instant(&event["createdAt"]).ok_or("a review was dismissed, and the timeline does not say when")?;
    let before = event["previousReviewState"].as_str().unwrap_or_default();
    Ok((at > merged).then(|| before.to_owned()))
}

/// The checks of the head. One that was completed after the merge was pending then.
fn checks(node: &Value) -> Result<Value, String> {
    let merged = instant(&node["mergedAt"]).ok_or("when it was merged is not said")?;
    let commit = &node["commits"]["nodes"][0]["commit"];
    if commit["oid"] != node["headRefOid"] {
        return Err("the last commit that GitHub lists is not the head that was merged".to_owned());
    }
    let refused = ["statusCheckRollup", "contexts"]
        .iter()
        .find_map(|name| node["refused"][*name].as_str());
    if let Some(reason) = refused {
        return Err(reason.to_owned());
    }
    let rollup = &commit["statusCheckRollup"];
    // GitHub gives null where nothing ever reported on the commit.
    if rollup.is_null() {
        return Ok(json!([]));
    }
    let mut checks = Vec::new();
    for context in items(node, &rollup["contexts"], "checks")? {
        let (name, said, at) = if context["__typename"] == "StatusContext" {
            (&context["context"], &context["state"], &context["createdAt"])
        } else {
            (&context["name"], &context["conclusion"], &context["completedAt"])
        };
        let in_time = instant(at).is_some_and(|at| at <= merged);
        let said = said
            .as_str()
            .filter(|said| in_time && *said != "EXPECTED")
            .unwrap_or("PENDING");
        checks.push(json!({ "name": name, "outcome": said.to_lowercase(), "completed_at": at }));
    }
    checks.sort_by_key(ToString::to_string);
    Ok(Value::Array(checks))
}

/// Who pushed the head, by a check suite that the push began, or by the event of a forced one.
pub(crate) fn pusher(node: &Value) -> Pusher {
    let head = &node["headRefOid"];
    let suites = node["commits"]["nodes"][0]["commit"]["checkSuites"]["nodes"].as_array();
    let pushes = suites.into_iter().flatten().map(|suite| &suite["push"]);
    let told = pushes
        .into_iter()
        .find(|push| push["nextSha"] == *head && !push["pusher"].is_null());
    if let Some(push) = told {
        return Pusher::Known(login(&push["pusher"]));
    }
    let forced = timeline(node, "HeadRefForcePushedEvent")
        .ok()
        .and_then(|events| events.filter(|event| event["afterCommit"]["oid"] == *head).last());
    forced.map_or(Pusher::NotTold, |event| Pusher::Known(login(&event["actor"])))
}

/// Whether it depends on the pusher if the pull request was approved by somebody else: not where nobody approved the
/// head, nor where two did.
pub(crate) fn pusher_matters(node: &Value) -> bool {
    let Ok(opinions) = opinions(node) else {
        return false;
    };
    let counts = |opinion: &&Value| {
        opinion["state"] == "APPROVED"
            && opinion["kind"] == "User"
            && opinion["can_write"] == true
            && opinion["commit"] == node["headRefOid"]
            && opinion["reviewer"] != login(&node["author"])
    };
    opinions.as_array().into_iter().flatten().filter(counts).count() == 1
}

/// Who it is, by the name that the REST API knows too: GraphQL leaves a bot's suffix out. Null for a deleted account.
fn login(actor: &Value) -> Value {
    match (actor["login"].as_str(), actor["__typename"] == "Bot") {
        (Some(login), true) if !login.ends_with("[bot]") => format!("{login}[bot]").into(),
        _ => actor["login"].clone(),
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(id: &str, who: &str, state: &str, at: &str) -> Value {
        json!({ "id": id, "author": { "__typename": "User", "login": who }, "state": state,
            "submittedAt": format!("2026-11-0{at}:00Z"), "authorCanPushToRepository": true, "commit": { "oid": "h" } })
    }

    /// Merged on 5 November at noon.
    fn pull(reviews: &[Value], events: &[Value], checks: &Value) -> Value {
        json!({ "mergedAt": "2026-11-05T12:00:00Z", "headRefOid": "h", "author": { "login": "ann" },
            "reviews": { "nodes": reviews }, "timelineItems": { "nodes": events },
            "commits": { "nodes": [{ "commit": { "oid": "h", "statusCheckRollup": checks } }] } })
    }

    fn states(node: &Value) -> Vec<(String, String)> {
        let opinions = opinions(node).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or("(deleted)").to_owned();
        let list = opinions.as_array().unwrap().iter();
        list.map(|opinion| (text(&opinion["reviewer"]), text(&opinion["state"])))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(who, what)| ((*who).to_owned(), (*what).to_owned()))
            .collect()
    }

    #[test]
    fn the_latest_opinion_before_the_merge_is_in_force() {
        let reviews = [
            review("1", "bob", "APPROVED", "1T10:00"),
            review("2", "bob", "CHANGES_REQUESTED", "2T10:00"),
            review("3", "bob", "COMMENTED", "3T10:00"),
            review("4", "cid", "CHANGES_REQUESTED", "1T10:00"),
            review("5", "cid", "APPROVED", "4T10:00"),
            review("6", "dan", "APPROVED", "5T12:01"),
        ];
        let found = states(&pull(&reviews, &[], &Value::Null));
        assert_eq!(found, pairs(&[("bob", "CHANGES_REQUESTED"), ("cid", "APPROVED")]));
    }

    #[test]
    fn a_dismissal_counts_from_when_it_was_made() {
        let reviews = [
            review("1", "bob", "DISMISSED", "1T10:00"),
            review("2", "cid", "DISMISSED", "1T10:00"),
        ];
        let event = |id: &str, at: &str| {
            json!({ "__typename": "ReviewDismissedEvent", "previousReviewState": "APPROVED",
                "createdAt": format!("2026-11-0{at}:00Z"), "review": { "id": id } })
        };
        let both = [event("1", "5T11:59"), event("2", "5T12:01")];
        assert_eq!(
            states(&pull(&reviews, &both, &Value::Null)),
            pairs(&[("cid", "APPROVED")])
        );
        // Nobody knows when: nobody knows what was in force.
        assert!(opinions(&pull(&reviews, &both[..1], &Value::Null)).is_err());
    }

    #[test]
    fn a_bot_has_one_name() {
        assert_eq!(
            login(&json!({ "__typename": "Bot", "login": "helper" })),
            "helper[bot]"
        );
        assert_eq!(
            login(&json!({ "__typename": "Bot", "login": "helper[bot]" })),
            "helper[bot]"
        );
        assert_eq!(
            login(&json!({ "__typename": "User", "login": "helper" })),
            "helper"
        );
        assert_eq!(login(&Value::Null), Value::Null);
    }

    #[test]
    fn deleted_reviewers_are_not_taken_for_one() {
        let ghost = |id: &str, state: &str| {
            let mut review = review(id, "x", state, "1T10:00");
            review["author"] = Value::Null;
            review
        };
        let reviews = [ghost("1", "APPROVED"), ghost("2", "CHANGES_REQUESTED")];
        let found = states(&pull(&reviews, &[], &Value::Null));
        assert_eq!(
            found,
            pairs(&[("(deleted)", "APPROVED"), ("(deleted)", "CHANGES_REQUESTED")])
        );
    }

    #[test]
    fn a_check_that_ended_after_the_merge_was_pending() {
        let contexts = json!({ "contexts": { "nodes": [
            { "__typename": "CheckRun", "name": "unit", "conclusion": "SUCCESS", "completedAt": "2026-11-05T11:00:00Z" },
            { "__typename": "CheckRun", "name": "slow", "conclusion": "SUCCESS", "completedAt": "2026-11-05T12:30:00Z" },
            { "__typename": "CheckRun", "name": "stuck", "conclusion": null, "completedAt": null },
            { "__typename": "StatusContext", "context": "ci", "state": "FAILURE", "createdAt": "2026-11-05T11:00:00Z" },
        ] } });
        let found = checks(&pull(&[], &[], &contexts)).unwrap();
        let outcomes: BTreeMap<_, _> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|check| {
                (
                    check["name"].as_str().unwrap(),
                    check["outcome"].as_str().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("ci", "failure"),
            ("slow", "pending"),
            ("stuck", "pending"),
            ("unit", "success"),
        ];
        assert_eq!(outcomes, BTreeMap::from(expected));
    }

    #[test]
    fn no_check_at_all_is_an_empty_list_and_a_refused_one_is_unknown() {
        let mut node = pull(&[], &[], &Value::Null);
        assert_eq!(checks(&node), Ok(json!([])));
        let error = json!({ "type": "FORBIDDEN", "path": ["repository", "pullRequests", "nodes", 3, "commits", "nodes", 0,
            "commit", "statusCheckRollup"] });
        node = with_errors(node, 3, &[error]);
        assert_eq!(
            checks(&node),
            Err("statusCheckRollup was not given (FORBIDDEN)".to_owned())
        );
    }

    #[test]
    fn an_author_that_was_not_given_is_not_taken_for_a_deleted_one() {
        let error = |path: Value| json!({ "type": "FORBIDDEN", "path": path });
        let nodes = json!(["repository", "pullRequests", "nodes", 3, "author"]);
        let node = pull(&[], &[], &Value::Null);
        let made = |node: &Value| resource("acme/app", 1, node, &Pusher::NotTold, false, vec![0]);
        let refused = made(&with_errors(node.clone(), 3, &[error(nodes.clone())]));
        assert!(refused.unknown.contains_key("author") && !refused.attributes.contains_key("author"));
        // Another node's error, and one deep in it whose last place has the same number.
        let deep = json!([
            "repository",
            "pullRequests",
            "nodes",
            3,
            "commits",
            "nodes",
            0,
            "commit",
            "statusCheckRollup"
        ]);
        let sound = made(&with_errors(node, 0, &[error(nodes), error(deep)]));
        assert_eq!(sound.attributes["author"], "ann");
        assert_eq!(sound.attributes["checks"], json!([]));
    }

    #[test]
    fn reviews_that_were_not_read_to_the_end_are_unknown() {
        let mut node = pull(&[review("1", "bob", "APPROVED", "1T10:00")], &[], &Value::Null);
        node["reviews"]["pageInfo"] = json!({ "hasNextPage": true });
        assert!(opinions(&node).is_err());
        node["reviews"] = json!({ "refused": "PullRequestReviews was answered with an error (502)" });
        let error = opinions(&node).unwrap_err();
        assert!(error.contains("502"), "{error}");
    }

    #[test]
    fn the_pusher_is_whom_a_check_suite_or_a_forced_push_names() {
        let mut node = pull(&[], &[], &Value::Null);
        assert_eq!(pusher(&node), Pusher::NotTold);
        let event = json!({ "__typename": "HeadRefForcePushedEvent", "actor": { "login": "eve" }, "afterCommit": { "oid": "h" } });
        node["timelineItems"]["nodes"] = json!([event]);
        assert_eq!(pusher(&node), Pusher::Known("eve".into()));
        let suites = json!({ "nodes": [{ "push": null }, { "push": { "nextSha": "old", "pusher": { "login": "ann" } } },
            { "push": { "nextSha": "h", "pusher": { "login": "bob" } } }] });
        node["commits"]["nodes"][0]["commit"]["checkSuites"] = suites;
        assert_eq!(pusher(&node), Pusher::Known("bob".into()));
    }
}
