//! The commits that arrived on a branch, by ancestry, and the pull requests that brought them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{Recording, Resource};

use crate::activity::Activity;
use crate::ask::{Query, Question};
use crate::branch_history::Branch;
use crate::calls;
use crate::merged::Merged;
use crate::pull_requests::Task;

/// As many nodes as GitHub takes in one request.
const AT_ONCE: usize = 100;

const QUERY: &str = "query CommitPullRequests($ids: [ID!]!) { nodes(ids: $ids) { ... on Commit { oid \
    associatedPullRequests(first: 20) { totalCount nodes { number merged mergedAt baseRefName \
    baseRepository { nameWithOwner } } } } } }";

/// What arrived.
pub(crate) struct Arrived {
    pub(crate) commits: Vec<Commit>,
    /// Whether the head descends from where the branch was; null where it was nowhere.
    pub(crate) descends: Result<Value, String>,
    pub(crate) count: Result<u64, String>,
    /// How many there are by GitHub's own count, where it gives one.
    pub(crate) total: Option<u64>,
    pub(crate) calls: Vec<usize>,
    /// What speaks against these being all.
    pub(crate) missing: Option<String>,
}

/// A commit.
pub(crate) struct Commit {
    pub(crate) sha: String,
    node: String,
    author: Value,
    committer: Value,
    committed_at: Value,
    parents: Value,
    calls: Vec<usize>,
    /// The pull requests merged into this branch that brought it.
    pub(crate) brought_by: Result<BTreeSet<u64>, String>,
    /// The same with the instants at which they were merged.
    pub(crate) named: Vec<(u64, DateTime<Utc>)>,
}

impl Commit {
    fn read(item: &Value, call: usize) -> Option<Self> {
        Some(Self {
            sha: item["sha"].as_str()?.to_owned(),
            node: item["node_id"].as_str()?.to_owned(),
            author: item["author"]["login"].clone(),
            committer: item["committer"]["login"].clone(),
            committed_at: item["commit"]["committer"]["date"].clone(),
            parents: item["parents"].as_array()?.len().into(),
            calls: vec![call],
            brought_by: Err("the pull requests that brought it were not asked for".to_owned()),
            named: Vec::new(),
        })
    }

    /// Its resource; a direct push is looked for in the activity log.
    pub(crate) fn resource(
        &self,
        task: &Task<'_>,
        branch: &Branch,
        pushes: &Result<Vec<Activity>, String>,
    ) -> Resource {
        let id = format!("{}:{}@{}", task.repository, branch.name, self.sha);
        let brought_by = self
            .brought_by
            .clone()
            .map(|numbers| numbers.into_iter().collect::<Vec<_>>());
        let direct = brought_by.as_ref().is_ok_and(Vec::is_empty);
        // Nothing is known of one that only stands for others.
        let read = |value: &Value| match &self.brought_by {
            Err(reason) if self.node.is_empty() => Err(reason.clone()),
            _ => Ok(value.clone()),
        };
        let mut resource = Resource::new("github.commit", &id, &id, branch.call)
            .with("branch", branch.name.as_str())
            .with_result("author", read(&self.author))
            .with_result("committer", read(&self.committer))
            .with_result("committed_at", read(&self.committed_at))
            .with_result("parents", read(&self.parents))
            .with_result("pull_requests", brought_by);
        resource.call.extend(&self.calls);
        if !direct {
            return resource;
        }
        // The log names the head of each push, not what lies between.
        let push = match pushes {
            Ok(pushes) => pushes
                .iter()
                .find(|push| push.after == self.sha)
                .ok_or_else(|| "it was not the head of a push in the activity log".to_owned()),
            Err(reason) => Err(reason.clone()),
        };
        resource
            .with_result(
                "pushed_by",
                push.as_ref().map(|push| push.actor.clone()).map_err(Clone::clone),
            )
            .with_result("pushed_at", push.map(|push| push.at.to_rfc3339()))
    }
}

/// The commits from where the branch was to its head. Never by date: a commit's dates are what its committer wrote.
pub(crate) async fn arrived(
    task: &Task<'_>,
    branch: &Branch,
    base: Option<&str>,
    recording: &mut Recording,
) -> Arrived {
    let nothing = Arrived {
        commits: Vec::new(),
        descends: Ok(Value::Null),
        count: Ok(0),
        total: None,
        calls: Vec::new(),
        missing: None,
    };
    let Some(base) = base else {
        return from_the_beginning(task, branch, nothing, recording).await;
    };
    if base == branch.head {
        return Arrived {
            descends: Ok(true.into()),
            ..nothing
        };
    }
    let range = format!("{base}...{}", branch.head);
    let place = [
        ("owner", task.owner),
        ("repo", task.name),
        ("basehead", range.as_str()),
    ];
    let mut head = Value::Null;
    let question = Question::new(&calls::COMPARE, &place);
    let listed = task
        .client
        .all(task.run, question, Some("commits"), |page| {
            if head.is_null() {
                head = page.clone();
            }
            false
        })
        .await;
    let (call, listed) = listed.record(recording);
    let listed = match listed {
        Ok(listed) => listed,
        // What was sealed is no longer there: the branch was rewritten.
        Err(refusal) if refusal.status == Some(404) => {
            return Arrived {
                commits: vec![rewritten(branch, call)],
                descends: Ok(false.into()),
                count: Err("the head that was sealed last is gone from GitHub".to_owned()),
                total: None,
                calls: vec![call],
                missing: None,
            };
        }
        Err(refusal) => {
            let reason = refusal.reason;
            return Arrived {
                descends: Err(reason.clone()),
                count: Err(reason.clone()),
                calls: vec![call],
                missing: Some(reason),
                ..nothing
            };
        }
    };
    let commits: Vec<_> = listed
        .items
        .iter()
        .filter_map(|item| Commit::read(item, call))
        .collect();
    let total = head["total_commits"].as_u64();
    let missing = match listed.cut {
        Some(cut) => Some(cut.reason),
        None if total != Some(commits.len() as u64) => {
            Some("the commits that were read are not as many as GitHub says there are".to_owned())
        }
        None => None,
    };
    let descends = match head["status"].as_str() {
        Some("ahead" | "identical") => Ok(true.into()),
        Some("behind" | "diverged") => Ok(false.into()),
        _ => Err("GitHub does not say how the two heads are related".to_owned()),
    };
    Arrived {
        count: total.ok_or_else(|| "GitHub does not say how many there are".to_owned()),
        total,
        descends,
        commits,
        calls: vec![call],
        missing,
    }
}

/// All commits of a branch that began within the interval: there is nothing to compare with.
async fn from_the_beginning(
    task: &Task<'_>,
    branch: &Branch,
    nothing: Arrived,
    recording: &mut Recording,
) -> Arrived {
    let question = Question::new(&calls::COMMITS, &[("owner", task.owner), ("repo", task.name)]);
    let question = question.with("sha", branch.head.as_str());
    let (call, listed) = task
        .client
        .all(task.run, question, None, |_| false)
        .await
        .record(recording);
    let listed = match listed {
        Ok(listed) => listed,
        Err(refusal) => {
            return Arrived {
                count: Err(refusal.reason.clone()),
                calls: vec![call],
                missing: Some(refusal.reason),
                ..nothing
            };
        }
    };
    let commits: Vec<_> = listed
        .items
        .iter()
        .filter_map(|item| Commit::read(item, call))
        .collect();
    let odd = commits.len() != listed.items.len();
    let odd =
        odd.then(|| "the listing of commits holds some that are not as GitHub documents them".to_owned());
    Arrived {
        count: Ok(commits.len() as u64),
        commits,
        calls: vec![call],
        missing: listed.cut.map(|cut| cut.reason).or(odd),
        ..nothing
    }
}

/// Stands for commits that nobody can list any more, so that no test passes over them.
fn rewritten(branch: &Branch, call: usize) -> Commit {
    Commit {
        sha: branch.head.clone(),
        node: String::new(),
        author: Value::Null,
        committer: Value::Null,
        committed_at: Value::Null,
        parents: Value::Null,
        calls: vec![call],
        brought_by: Err("the branch was rewritten, and what arrived can't be compared".to_owned()),
        named: Vec::new(),
    }
}

/// Finds for each commit the pull requests that brought it. The commit of a merge is known from its pull request; for
/// the others (merged by rebase or as they were, or pushed directly) GitHub is asked.
pub(crate) async fn attribute(
    task: &Task<'_>,
    branch: &Branch,
    merged: &Merged,
    arrived: &mut Arrived,
    recording: &mut Recording,
) {
    let by_commit: BTreeMap<&str, (u64, DateTime<Utc>)> = merged
        .numbers
        .iter()
        .filter_map(|(number, merge)| Some((merge.commit.as_deref()?, (*number, merge.at))))
        .collect();
    let mut asked = Vec::new();
    let read = |(_, commit): &(usize, &mut Commit)| !commit.node.is_empty();
    for (position, commit) in arrived.commits.iter_mut().enumerate().filter(read) {
        match by_commit.get(commit.sha.as_str()) {
            Some((number, at)) => {
                commit.brought_by = Ok(BTreeSet::from([*number]));
                commit.named = vec![(*number, *at)];
                commit.calls.extend(&merged.calls);
            }
            None => asked.push(position),
        }
    }
    for positions in asked.chunks(AT_ONCE) {
        let ids: Vec<Value> = positions
            .iter()
            .map(|at| arrived.commits[*at].node.as_str().into())
            .collect();
        let query = Query {
            name: "CommitPullRequests",
            text: QUERY,
            variables: Map::from_iter([("ids".to_owned(), Value::Array(ids))]),
            connection: "",
            first: 0,
        };
        let (call, answer) = task.client.graphql(task.run, &query).await.record(recording);
        recording.count(call, positions.len());
        let nodes = match answer {
            Ok(answer) => answer["data"]["nodes"].clone(),
            Err(refusal) => {
                for at in positions {
                    arrived.commits[*at].brought_by = Err(refusal.reason.clone());
                }
                arrived.missing.get_or_insert(refusal.reason);
                continue;
            }
        };
        for at in positions {
            let commit = &mut arrived.commits[*at];
            let node = nodes
                .as_array()
                .into_iter()
                .flatten()
                .find(|node| node["oid"] == commit.sha.as_str());
            commit.calls.push(call);
            (commit.brought_by, commit.named) =
                match node.map(|node| brought_by(node, branch, task.repository)) {
                    Some(Ok(named)) => (Ok(named.iter().map(|(number, _)| *number).collect()), named),
                    Some(Err(reason)) => (Err(reason), Vec::new()),
                    None => (
                        Err("GitHub says nothing about this commit".to_owned()),
                        Vec::new(),
                    ),
                };
        }
    }
}

/// The merged pull requests of a commit whose base is this branch: one that was merged into another branch did not
/// bring it here.
fn brought_by(node: &Value, branch: &Branch, repository: &str) -> Result<Vec<(u64, DateTime<Utc>)>, String> {
    let associated = &node["associatedPullRequests"];
    let listed = associated["nodes"]
        .as_array()
        .ok_or("GitHub does not show the pull requests of this commit")?;
    let mut named = Vec::new();
    for pull in listed {
        let here = pull["baseRefName"]
            .as_str()
            .is_some_and(|base| branch.is_called(base))
            && pull["baseRepository"]["nameWithOwner"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(repository));
        let at = pull["mergedAt"]
            .as_str()
            .and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        if let (true, true, Some(number), Some(at)) =
            (here, pull["merged"] == true, pull["number"].as_u64(), at)
        {
            named.push((number, at.to_utc()));
        }
    }
    let all = associated["totalCount"].as_u64() == Some(listed.len() as u64);
    if named.is_empty() && !all {
        return Err("the commit is in more pull requests than were read".to_owned());
    }
    Ok(named)
}
