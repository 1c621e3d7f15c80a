//! `github.pull_requests`: what was merged into a repository's branches, and every commit that arrived there, over an
//! interval that begins where the last complete snapshot ended.
//!
//! A branch is read twice over: its merged pull requests, newest change first, and its commits, by ancestry from the
//! head that was sealed last to the present one. Each is the other's second source: a commit that a pull request brought
//! names it, and a pull request that was merged has its commit on the branch.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, FailureClass, Provenance, Recording, Resource, Run,
    Snapshot, Target,
};

use crate::access::{Access, Identity};
use crate::ask::Question;
use crate::branch_history::{self, Branch};
use crate::calls;
use crate::check;
use crate::client::Client;
use crate::rule_suites;
use crate::scope::Repository;

/// Without `since`, the first interval begins so long before the first run.
const FIRST: TimeDelta = TimeDelta::days(1);

/// GitHub's activity log reaches back a year.
const REACH: TimeDelta = TimeDelta::days(365);

pub(crate) struct PullRequests {
    access: Access,
    /// The repositories as they were last listed, by name, and why there may be others.
    listed: Mutex<BTreeMap<String, (Repository, Option<String>)>>,
}

/// What one run is about.
pub(crate) struct Task<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) client: &'a Client,
    /// `owner/name`.
    pub(crate) repository: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) name: &'a str,
    /// The interval: `from` excluded, `to` included.
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
    /// The resources of the last complete snapshot; empty at the first run.
    pub(crate) before: &'a [Resource],
}

/// What was read, and what speaks against its being all.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) resources: Vec<Resource>,
    /// GitHub's clock, at the first answer.
    server_date: Option<String>,
    /// What an auditor should know beside, though nothing is missing that GitHub has.
    pub(crate) notes: Vec<String>,
    /// Reasons, in the order in which they were found.
    pub(crate) missing: Vec<String>,
    /// How many resources there should be: commits by GitHub's own count, pull requests by the commits that name them.
    pub(crate) expected: u64,
}

impl PullRequests {
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access,
            listed: Mutex::default(),
        }
    }

    fn repository(&self, target: &Target) -> Result<(Repository, Option<String>), CollectError> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.get(target.as_str()).cloned().ok_or_else(|| {
            CollectError::new(
                FailureClass::Internal,
                "the repository is not among those that were listed",
            )
        })
    }

    /// Where the interval begins, and what the last complete snapshot saw.
    fn begins(&self, target: &Target, run: &Run<'_>) -> Result<(DateTime<Utc>, Vec<Resource>), CollectError> {
        if let Some(earlier) = run.earlier.complete_snapshot(target)? {
            return Ok((earlier.covers.until(), earlier.resources));
        }
        let since = self.access.settings.since;
        // An interval excludes its beginning, and what was merged at `since` is to be in it.
        let since = since.map_or(run.started - FIRST, |since| since.0 - TimeDelta::milliseconds(1));
        let latest = whole_second(run.started) - TimeDelta::seconds(1);
        Ok((since.max(run.started - REACH).min(latest), Vec::new()))
    }

    /// The branches in scope, the default one first, with their heads.
    async fn branches(
        &self,
        task: &Task<'_>,
        default: &str,
        recording: &mut Recording,
        found: &mut Found,
    ) -> Result<Vec<Branch>, CollectError> {
        let place = [("owner", task.owner), ("repo", task.name)];
        let unreadable = || CollectError::invalid_response("a branch is not as GitHub documents it");
        if self.access.settings.branches.is_empty() {
            let question = Question::new(&calls::BRANCH, &[place[0], place[1], ("branch", default)]);
            let answer = task.client.one(task.run, &question).await;
            found.server_date.clone_from(&answer.call.server_date);
            let (call, read) = answer.record(recording);
            return match read {
                Ok(read) => Ok(vec![Branch::read(&read, default, call).ok_or_else(unreadable)?]),
                // An empty repository has a default branch by name only.
                Err(refusal) if refusal.says("Branch not found") => Ok(Vec::new()),
                Err(refusal) => Err(refusal.into()),
            };
        }
        let question = Question::new(&calls::BRANCHES, &place);
        let answer = task.client.all(task.run, question, None, |_| false).await;
        found.server_date.clone_from(&answer.call.server_date);
        let (call, listed) = answer.record(recording);
        let listed = listed?;
        found.missing.extend(listed.cut.map(|cut| cut.reason));
        let read = listed.items.iter().map(|item| Branch::read(item, default, call));
        let mut branches = read.collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        if !branches.is_empty() && !branches.iter().any(|branch| branch.is_default) {
            found
                .missing
                .push("the default branch is not among the branches: it was renamed just now".to_owned());
        }
        let settings = &self.access.settings;
        branches.retain(|branch| branch.is_default || settings.selects_branch(&branch.name));
        branches.sort_by(|a, b| (!a.is_default, &a.name).cmp(&(!b.is_default, &b.name)));
        Ok(branches)
    }
}

/// Why it is all, or why not, in a sentence for an auditor.
fn basis(found: &Found) -> String {
    let whole = "every page of the merged pull requests, and every commit by ancestry; each names the other";
    let first = found.missing.first().map_or(whole, String::as_str);
    let notes = found.notes.iter().map(String::as_str);
    std::iter::once(first).chain(notes).collect::<Vec<_>>().join("; ")
}

/// GitHub's times are whole seconds: what happens in one that is not over yet belongs to the next interval.
fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos())) - TimeDelta::milliseconds(1)
}

/// Where the interval ends: before the present second, by the clock that is behind, GitHub's or ours.
async fn ends(
    run: &Run<'_>,
    from: DateTime<Utc>,
    server_date: Option<&str>,
) -> Result<DateTime<Utc>, CollectError> {
    let server = server_date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let now = server.map_or(run.started, |server| server.to_utc().min(run.started));
    let to = whole_second(now);
    if to > from {
        return Ok(to);
    }
    let wait = from - to + TimeDelta::seconds(1);
    if wait > TimeDelta::seconds(5) {
        let what = "the last snapshot ends after this run begins: the clock was set back";
        return Err(CollectError::new(FailureClass::Internal, what));
    }
    tokio::time::sleep(wait.to_std().unwrap_or_default()).await;
    Ok(to + wait)
}

#[async_trait]
impl Collector for PullRequests {
    fn id(&self) -> &'static str {
        "github.pull_requests"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "github.branch_history",
            "github.bypass",
            "github.commit",
            "github.force_push",
            "github.pull_request",
        ]
    }

    fn volatile(&self) -> &'static [(&'static str, &'static str)] {
        &[("github.branch_history", "recently_merged")]
    }

    async fn targets(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        let mut listed = BTreeMap::new();
        for owner in self.access.owners()? {
            let identity = self.access.identity(run, owner.as_str()).await?;
            // What they are is the evidence of `github.repositories`; here they only are the targets.
            let mut recording = Recording::default();
            let population = self
                .access
                .population(run, &identity, owner.as_str(), &mut recording)
                .await?;
            if let Some(cut) = population.cut {
                return Err(cut.into());
            }
            // Said in every snapshot: a repository that is not seen has none in which it could be.
            let scope = &population.completeness;
            let others = (!scope.complete)
                .then(|| format!("there may be repositories beside those listed: {}", scope.basis));
            let tested = population
                .repositories
                .into_iter()
                .filter(|repository| self.access.tests(repository));
            listed.extend(
                tested.map(|repository| (repository.full_name.clone(), (repository, others.clone()))),
            );
        }
        let targets = listed.keys().map(Target::new).collect();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = listed;
        targets
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let (repository, others) = self.repository(target)?;
        let (owner, name) = repository.parts();
        let identity: std::sync::Arc<Identity> = self.access.identity(run, owner).await?;
        let (from, before) = self.begins(target, run)?;
        let mut task = Task {
            run,
            client: &identity.client,
            repository: target.as_str(),
            owner,
            name,
            from,
            to: run.started,
            before: &before,
        };
        let (mut recording, mut found) = (Recording::default(), Found::default());
        found.notes.extend(others);
        let default = repository.default_branch.as_deref().unwrap_or_default();
        let branches = self.branches(&task, default, &mut recording, &mut found).await?;
        task.to = ends(run, from, found.server_date.as_deref()).await?;
        let default_head = branches
            .iter()
            .find(|branch| branch.is_default)
            .map(|branch| branch.head.clone());
        for branch in &branches {
            branch_history::read(
                &mut task,
                branch,
                default_head.as_deref(),
                &mut recording,
                &mut found,
            )
            .await;
        }
        if self.access.settings.rule_suites {
            rule_suites::read(&task, &mut recording, &mut found).await;
        }
        let (calls, raw) = recording.finish();
        let (read, basis) = (found.resources.len() as u64, basis(&found));
        Ok(Snapshot {
            covers: Covers::Interval {
                from: task.from,
                to: task.to,
            },
            resources: found.resources,
            raw,
            provenance: Provenance {
                caller: identity.caller.clone(),
                calls,
                limits: identity.client.limits_told(),
                completeness: Completeness {
                    complete: found.missing.is_empty(),
                    basis,
                    expected: Some(found.expected),
                    read,
                    second_source: Some(
                        "GitHub's count of the commits, and the pull requests that these name".to_owned(),
                    ),
                },
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        check::changes(&self.access, run).await
    }
}
