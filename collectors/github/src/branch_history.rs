//! One branch over an interval: its commits by ancestry, what brought them, and what was merged.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{FailureClass, Recording, Resource};

use crate::activity::{self, Activity};
use crate::commits::{self, Arrived};
use crate::merged;
use crate::pull_requests::{Found, Task};

/// A branch, as it is now.
#[derive(Clone)]
pub(crate) struct Branch {
    pub(crate) name: String,
    pub(crate) head: String,
    pub(crate) is_default: bool,
    /// What it was called when the last snapshot was taken, if that was something else.
    pub(crate) former: Option<String>,
    /// The call that says so.
    pub(crate) call: usize,
}

impl Branch {
    pub(crate) fn read(item: &Value, default: &str, call: usize) -> Option<Self> {
        let name = item["name"].as_str()?;
        Some(Self {
            name: name.to_owned(),
            head: item["commit"]["sha"].as_str()?.to_owned(),
            is_default: name == default,
            former: None,
            call,
        })
    }

    /// Its name for resources.
    fn id(&self, repository: &str) -> String {
        format!("{repository}:{}", self.name)
    }

    /// Whether a pull request into the branch of this name was one into this branch.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// Its name, and the one that it had when the last snapshot was taken: pull requests merged before it was renamed go
    /// on naming that.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [Some(self.name.as_str()), self.former.as_deref()]
            .into_iter()
            .flatten()
    }

    /// What the last snapshot said of it. A default branch that was renamed stands there under its former name.
    fn past<'a>(&self, task: &Task<'a>) -> Option<&'a Resource> {
        let id = self.id(task.repository);
        let mut history = task
            .before
            .iter()
            .filter(|resource| resource.kind == "github.branch_history");
        let was_default =
            |resource: &&Resource| resource.attributes.get("default_branch") == Some(&true.into());
        let same = history.clone().find(|resource| resource.id == id);
        same.or_else(|| history.find(|resource| self.is_default && was_default(resource)))
    }
}

/// The pull requests that the last snapshot had already, as far as they could be mistaken for late ones.
fn known(past: &Resource) -> BTreeSet<u64> {
    let known = past.attributes.get("recently_merged").and_then(Value::as_array);
    known.into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// Reads a branch. What can't be read is named in `found.missing`, or unknown where it costs an attribute only.
pub(crate) async fn read(
    task: &mut Task<'_>,
    branch: &Branch,
    default_head: Option<&str>,
    recording: &mut Recording,
    found: &mut Found,
) {
    let past = branch.past(task);
    let text = |name: &str| past.and_then(|past| past.attributes.get(name)?.as_str().map(str::to_owned));
    let previous = text("head");
    let branch = &Branch {
        former: text("branch").filter(|name| *name != branch.name),
        ..branch.clone()
    };
    let known = past.map(known);
    let base = match (&previous, default_head) {
        (Some(previous), _) => Ok(Some(previous.clone())),
        // A branch that is new here brings what the default one does not have.
        (None, Some(default)) if !branch.is_default => Ok(Some(default.to_owned())),
        (None, _) => activity::head_at(task, branch, recording).await,
    };
    let base = match base {
        Ok(base) => base,
        // Who may not see the activity log never learns where the branch was: the interval begins now, and what was
        // before is a gap that can be seen.
        Err(refusal) if refusal.class == FailureClass::Permission => {
            task.from = task.to - chrono::TimeDelta::milliseconds(1);
            Some(branch.head.clone())
        }
        Err(refusal) => {
            found.missing.push(refusal.reason);
            Some(branch.head.clone())
        }
    };
    let forced = activity::force_pushes(task, &branch.name, recording).await;
    let merged = merged::read(task, branch, known.as_ref(), recording).await;
    found.missing.extend(merged.missing.clone());
    let mut arrived = commits::arrived(task, branch, base.as_deref(), recording).await;
    found.missing.extend(arrived.missing.take());
    commits::attribute(task, branch, &merged, &mut arrived, recording).await;
    found.missing.extend(arrived.missing.take());
    reconcile(task, &merged, &arrived, previous.is_some(), found);
    let direct: Vec<_> = arrived
        .commits
        .iter()
        .filter(|commit| commit.brought_by.as_ref().is_ok_and(BTreeSet::is_empty))
        .collect();
    let mut pushes: Result<Vec<Activity>, String> = Ok(forced.iter().flatten().cloned().collect());
    let created = base.is_none().then_some("branch_creation");
    for activity_type in ["push"].into_iter().chain(created).filter(|_| !direct.is_empty()) {
        let more = activity::pushes(task, &branch.name, activity_type, recording).await;
        pushes = pushes.and_then(|pushes| Ok(pushes.into_iter().chain(more?).collect()));
    }

    let id = branch.id(task.repository);
    let mut history = Resource::new("github.branch_history", &id, &id, branch.call)
        .with("branch", branch.name.as_str())
        .with("default_branch", branch.is_default)
        .with("head", branch.head.as_str())
        .with("previous_head", previous.clone())
        .with_result("descends", arrived.descends.clone())
        .with_result("commits", arrived.count.clone())
        .with("pull_requests", merged.resources.len() as u64)
        .with("recently_merged", merged.recent.clone());
    history = match &forced {
        Ok(forced) => history.with("force_pushes", forced.len() as u64),
        Err(reason) => history.with_result("force_pushes", Err::<u64, _>(reason.clone())),
    };
    history.call.extend(arrived.calls.iter().copied());
    found.expected += 1 + forced.iter().flatten().count() as u64;
    found.resources.push(history);
    found
        .resources
        .extend(forced.iter().flatten().map(|push| force_push(&id, branch, push)));
    found.resources.extend(
        arrived
            .commits
            .iter()
            .map(|commit| commit.resource(task, branch, &pushes)),
    );
    found.resources.extend(merged.resources);
}

/// Each is the other's second source. A pull request merged while the last run or this one read the branch may be on
/// one side only, and is no contradiction.
fn reconcile(task: &Task<'_>, merged: &merged::Merged, arrived: &Arrived, has_base: bool, found: &mut Found) {
    let reading = chrono::TimeDelta::hours(1);
    let named: BTreeMap<u64, chrono::DateTime<chrono::Utc>> = arrived
        .commits
        .iter()
        .flat_map(|commit| &commit.named)
        .filter(|(_, at)| *at > task.from && *at <= task.to)
        .copied()
        .collect();
    let unlisted = named
        .keys()
        .filter(|number| !merged.numbers.contains_key(*number))
        .count();
    let commits = arrived.total.unwrap_or(arrived.commits.len() as u64);
    found.expected += commits + (merged.resources.len() + unlisted) as u64;
    if let Some((number, _)) = named
        .iter()
        .find(|(number, _)| !merged.numbers.contains_key(*number))
    {
        let what = format!("a commit names pull request {number}, which is not in the listing");
        found.missing.push(what);
    }
    if !has_base || arrived.descends != Ok(true.into()) {
        return;
    }
    let on_branch: BTreeSet<&str> = arrived.commits.iter().map(|commit| commit.sha.as_str()).collect();
    let lost = merged.numbers.iter().find(|(_, merged)| {
        merged.at > task.from + reading
            && merged.at <= task.to
            && merged
                .commit
                .as_deref()
                .is_some_and(|sha| !on_branch.contains(sha))
    });
    if let Some((number, _)) = lost {
        let what = format!("pull request {number} was merged, and its commit did not arrive on the branch");
        found.missing.push(what);
    }
}

fn force_push(id: &str, branch: &Branch, push: &Activity) -> Resource {
    // The same two heads may change places more than once.
    let at = push.at.format("%Y-%m-%dT%H:%M:%SZ");
    let id = format!("{id}:{}..{}@{at}", push.before, push.after);
    Resource::new("github.force_push", &id, &id, push.call)
        .with("branch", branch.name.as_str())
        .with("before", push.before.as_str())
        .with("after", push.after.as_str())
        .with("by", push.actor.clone())
        .with("at", push.at.to_rfc3339())
}
