//! The pull requests merged into a branch within an interval, and what GitHub says of their reviews and checks.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{Recording, Resource};

use crate::activity;
use crate::ask::Query;
use crate::branch_history::Branch;
use crate::client::Refusal;
use crate::merge::{self, Pusher};
use crate::pull_requests::Task;

/// The listing is read so far beyond the interval: one that GitHub shows late was merged before it.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// Pull requests on a page, at most; where that is too much for GitHub's ten seconds, fewer.
const PAGE: u64 = 80;

/// Pull requests whose pusher is looked for in the activity log, a request each.
const PUSHERS: usize = 100;

const QUERY: &str = "query MergedPullRequests($owner: String!, $name: String!, $base: String!, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequests(states: MERGED, baseRefName: $base, orderBy: {field: UPDATED_AT, direction: DESC}, first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor }
      nodes {
        id number title url createdAt updatedAt mergedAt baseRefName headRefName headRefOid isCrossRepository
        author { __typename login } mergedBy { __typename login } mergeCommit { oid }
        commits(last: 1) { nodes { commit { oid
          checkSuites(first: 20) { nodes { push { nextSha pusher { __typename login } } } }
          statusCheckRollup { contexts(first: 30) { pageInfo { hasNextPage } nodes { __typename
            ... on CheckRun { name status conclusion completedAt }
            ... on StatusContext { context state createdAt } } } } } } }
        reviews(first: 30) { pageInfo { hasNextPage } nodes {
          id author { __typename login } state submittedAt authorCanPushToRepository commit { oid } } }
        timelineItems(first: 30, itemTypes: [REVIEW_DISMISSED_EVENT, HEAD_REF_FORCE_PUSHED_EVENT, ADDED_TO_MERGE_QUEUE_EVENT]) {
          pageInfo { hasNextPage } nodes { __typename
            ... on ReviewDismissedEvent { createdAt previousReviewState review { id } }
            ... on HeadRefForcePushedEvent { createdAt actor { __typename login } afterCommit { oid } } } } } } } }";

/// What did not fit into a page of the listing, for one pull request, page by page.
const MORE: [(&str, &str, &str); 3] = [
    (
        "reviews",
        "/node/reviews",
        "query PullRequestReviews($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on PullRequest {
          reviews(first: $first, after: $after) { pageInfo { hasNextPage endCursor } nodes {
            id author { __typename login } state submittedAt authorCanPushToRepository commit { oid } } } } } }",
    ),
    (
        "timelineItems",
        "/node/timelineItems",
        "query PullRequestTimeline($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on PullRequest {
          timelineItems(first: $first, after: $after, itemTypes: [REVIEW_DISMISSED_EVENT, HEAD_REF_FORCE_PUSHED_EVENT, ADDED_TO_MERGE_QUEUE_EVENT]) {
            pageInfo { hasNextPage endCursor } nodes { __typename
              ... on ReviewDismissedEvent { createdAt previousReviewState review { id } }
              ... on HeadRefForcePushedEvent { createdAt actor { __typename login } afterCommit { oid } } } } } } }",
    ),
    (
        "contexts",
        "/node/commits/nodes/0/commit/statusCheckRollup/contexts",
        "query PullRequestChecks($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on PullRequest {
          commits(last: 1) { nodes { commit { statusCheckRollup { contexts(first: $first, after: $after) {
            pageInfo { hasNextPage endCursor } nodes { __typename
              ... on CheckRun { name status conclusion completedAt }
              ... on StatusContext { context state createdAt } } } } } } } } } }",
    ),
];

/// The merged pull requests of an interval.
#[derive(Default)]
pub(crate) struct Merged {
    pub(crate) resources: Vec<Resource>,
    /// Every merged pull request that was read, also those outside the interval: its instant and its commit.
    pub(crate) numbers: BTreeMap<u64, Merge>,
    /// Those that the next run could mistake for late ones.
    pub(crate) recent: Vec<u64>,
    pub(crate) calls: Vec<usize>,
    pub(crate) missing: Option<String>,
}

/// When a pull request was merged, and as which commit.
pub(crate) struct Merge {
    pub(crate) at: DateTime<Utc>,
    pub(crate) commit: Option<String>,
}

/// A pull request as the listing has it.
struct Listed {
    node: Value,
    merged_at: DateTime<Utc>,
    call: usize,
}

/// Lists what was merged; `known` are those that the last snapshot had. Without one, nothing is late: what was merged
/// before the first interval is nobody's.
pub(crate) async fn read(
    task: &Task<'_>,
    branch: &Branch,
    known: Option<&BTreeSet<u64>>,
    recording: &mut Recording,
) -> Merged {
    let mut merged = Merged::default();
    let mut listed: BTreeMap<u64, Listed> = BTreeMap::new();
    let until = task.from - OVERLAP;
    for base in branch.names() {
        let pages = list(task, base, until, &mut listed, &mut merged, recording).await;
        // What changed while pages were read has moved to the front, and others behind.
        if pages > 1 && merged.missing.is_none() {
            list(task, base, task.to, &mut listed, &mut merged, recording).await;
        }
    }
    let mut pushers_left = PUSHERS;
    for (number, pull) in listed {
        let commit = pull.node["mergeCommit"]["oid"].as_str().map(str::to_owned);
        let at = pull.merged_at;
        merged.numbers.insert(number, Merge { at, commit });
        let late = at <= task.from;
        let is_known = known.is_none_or(|known| known.contains(&number));
        if at > task.to || (late && (at <= until || is_known)) {
            continue;
        }
        if at > task.to - OVERLAP {
            merged.recent.push(number);
        }
        let mut calls = vec![pull.call];
        let node = whole(task, pull.node, &mut calls, recording).await;
        let mut pusher = merge::pusher(&node);
        if pusher == Pusher::NotTold && merge::pusher_matters(&node) && pushers_left > 0 {
            pushers_left -= 1;
            pusher = ask_pusher(task, &node, &mut calls, recording).await;
        }
        merged.resources.push(merge::resource(
            task.repository,
            number,
            &node,
            &pusher,
            late,
            calls,
        ));
    }
    // Those known that are still within reach of the next run's overlap.
    let still = |number: &&u64| {
        merged
            .numbers
            .get(number)
            .is_some_and(|merge| merge.at > task.to - OVERLAP)
    };
    let kept: Vec<_> = known.into_iter().flatten().filter(still).copied().collect();
    merged.recent.extend(kept);
    merged.recent.sort_unstable();
    merged.recent.dedup();
    merged
}

/// Reads pages, newest change first, until all on one are older than `until`; returns how many.
async fn list(
    task: &Task<'_>,
    base: &str,
    until: DateTime<Utc>,
    listed: &mut BTreeMap<u64, Listed>,
    merged: &mut Merged,
    recording: &mut Recording,
) -> u64 {
    let query = Query {
        name: "MergedPullRequests",
        text: QUERY,
        variables: Map::from_iter([
            ("owner".to_owned(), task.owner.into()),
            ("name".to_owned(), task.name.into()),
            ("base".to_owned(), base.into()),
        ]),
        connection: "/repository/pullRequests",
        first: PAGE,
    };
    let mut read = Vec::new();
    let mut odd = false;
    let answer = task
        .client
        .connection(task.run, &query, |connection, errors| {
            let mut older = 0;
            let nodes = connection["nodes"].as_array().map_or(&[][..], Vec::as_slice);
            for (position, node) in nodes.iter().enumerate() {
                let (number, updated, merged_at) = (
                    node["number"].as_u64(),
                    instant(&node["updatedAt"]),
                    instant(&node["mergedAt"]),
                );
                let (Some(number), Some(updated), Some(merged_at)) = (number, updated, merged_at) else {
                    odd = true;
                    continue;
                };
                older += usize::from(updated < until);
                read.push((
                    number,
                    merged_at,
                    merge::with_errors(node.clone(), position, errors),
                ));
            }
            older == nodes.len()
        })
        .await;
    let pages = answer.call.pages;
    let (call, result) = answer.record(recording);
    merged.calls.push(call);
    for (number, merged_at, node) in read {
        listed.insert(
            number,
            Listed {
                node,
                merged_at,
                call,
            },
        );
    }
    let cut = match result {
        Ok(cut) => cut,
        Err(refusal) => Some(refusal),
    };
    let odd = odd
        .then(|| "the listing of pull requests holds some that are not as GitHub documents them".to_owned());
    // What was missing under one name of the branch stays missing, however the listing under another ends.
    let missing = cut.map(|refusal: Refusal| refusal.reason).or(odd);
    merged.missing = merged.missing.take().or(missing);
    pages
}

/// A pull request with what did not fit into the listing's page.
async fn whole(task: &Task<'_>, mut node: Value, calls: &mut Vec<usize>, recording: &mut Recording) -> Value {
    for (field, connection, text) in MORE {
        let place = match field {
            "contexts" => "/commits/nodes/0/commit/statusCheckRollup/contexts".to_owned(),
            field => format!("/{field}"),
        };
        let more = node.pointer(&format!("{place}/pageInfo/hasNextPage")) == Some(&true.into());
        if !more {
            continue;
        }
        let query = Query {
            name: match field {
                "reviews" => "PullRequestReviews",
                "contexts" => "PullRequestChecks",
                _ => "PullRequestTimeline",
            },
            text,
            variables: Map::from_iter([("id".to_owned(), node["id"].clone())]),
            connection,
            first: 100,
        };
        let mut items = Vec::new();
        let answer = task.client.connection(task.run, &query, |page, _| {
            items.extend(page["nodes"].as_array().into_iter().flatten().cloned());
            false
        });
        let (call, result) = answer.await.record(recording);
        calls.push(call);
        // Read to the end or not at all: a part of the reviews would be taken for all.
        if let Some(found) = node.pointer_mut(&place) {
            *found = match result {
                Ok(None) => serde_json::json!({ "nodes": items }),
                Ok(Some(refusal)) | Err(refusal) => serde_json::json!({ "refused": refusal.reason }),
            };
        }
    }
    node
}

async fn ask_pusher(
    task: &Task<'_>,
    node: &Value,
    calls: &mut Vec<usize>,
    recording: &mut Recording,
) -> Pusher {
    if node["isCrossRepository"] == true {
        return Pusher::Unknown("the head was pushed to a fork, whose activity log is not read".to_owned());
    }
    let (branch, head) = (node["headRefName"].as_str(), node["headRefOid"].as_str());
    let (Some(branch), Some(head)) = (branch, head) else {
        return Pusher::NotTold;
    };
    let asked = activity::pusher(task, branch, head, recording).await;
    calls.extend(
        asked
            .as_ref()
            .ok()
            .and_then(|found| found.as_ref())
            .map(|push| push.call),
    );
    match asked {
        Ok(Some(push)) => Pusher::Known(push.actor),
        Ok(None) => Pusher::NotTold,
        Err(reason) => Pusher::Unknown(reason),
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}
