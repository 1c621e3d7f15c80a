//! GitHub's activity log: who pushed what to a branch and when, by the server's clock.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use evidenced_collector_api::{FailureClass, Recording};

use crate::ask::Question;
use crate::branch_history::Branch;
use crate::calls;
use crate::client::Refusal;
use crate::pull_requests::Task;

/// A push. `actor` is null where the account was deleted.
#[derive(Clone)]
pub(crate) struct Activity {
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) actor: Value,
    pub(crate) at: DateTime<Utc>,
    /// The call that says so.
    pub(crate) call: usize,
}

impl Activity {
    fn read(item: &Value, call: usize) -> Option<Self> {
        Some(Self {
            before: item["before"].as_str()?.to_owned(),
            after: item["after"].as_str()?.to_owned(),
            actor: item["actor"]["login"].clone(),
            at: DateTime::parse_from_rfc3339(item["timestamp"].as_str()?)
                .ok()?
                .to_utc(),
            call,
        })
    }
}

/// Where a branch was when the interval began; none if it did not exist yet.
pub(crate) async fn head_at(
    task: &Task<'_>,
    branch: &Branch,
    recording: &mut Recording,
) -> Result<Option<String>, Refusal> {
    let question = question(task, &branch.name).with("direction", "asc");
    let after = |push: &Activity| push.at > task.from;
    let first = list(task, question, recording, after)
        .await?
        .into_iter()
        .find(after);
    // Where nothing arrived since, it was where it is.
    let head = first.map_or_else(|| branch.head.clone(), |push| push.before);
    Ok(Some(head).filter(|sha| sha.bytes().any(|byte| byte != b'0')))
}

/// The force pushes to a branch within the interval.
pub(crate) async fn force_pushes(
    task: &Task<'_>,
    branch: &str,
    recording: &mut Recording,
) -> Result<Vec<Activity>, String> {
    let question = question(task, branch).with("activity_type", "force_push");
    let mut read = list(task, question, recording, |_| false)
        .await
        .map_err(|refusal| refusal.reason)?;
    read.retain(|push| push.at > task.from && push.at <= task.to);
    Ok(read)
}

/// The plain pushes to a branch, merges by GitHub left out, or what created it; at least those within the interval.
pub(crate) async fn pushes(
    task: &Task<'_>,
    branch: &str,
    activity_type: &str,
    recording: &mut Recording,
) -> Result<Vec<Activity>, String> {
    let question = question(task, branch).with("activity_type", activity_type);
    let read = list(task, question, recording, |push| push.at <= task.from).await;
    read.map_err(|refusal| refusal.reason)
}

/// Who made a commit the head of a branch; `None` if the log does not say.
pub(crate) async fn pusher(
    task: &Task<'_>,
    branch: &str,
    head: &str,
    recording: &mut Recording,
) -> Result<Option<Activity>, String> {
    let mut question = question(task, branch);
    // The branch may be older than the interval.
    question.query.retain(|(name, _)| *name != "time_period");
    let read = list(task, question, recording, |push| push.after == head).await;
    let read = read.map_err(|refusal| refusal.reason)?;
    Ok(read.into_iter().find(|push| push.after == head))
}

/// The log, up to the page that holds what is looked for.
async fn list(
    task: &Task<'_>,
    question: Question<'_>,
    recording: &mut Recording,
    enough: impl Fn(&Activity) -> bool,
) -> Result<Vec<Activity>, Refusal> {
    let stop = |page: &Value| {
        let items = page.as_array().into_iter().flatten();
        items
            .filter_map(|item| Activity::read(item, 0))
            .any(|push| enough(&push))
    };
    let answer = task.client.all(task.run, question, None, stop).await;
    let (call, listed) = answer.record(recording);
    let listed = listed?;
    if let Some(cut) = listed.cut {
        return Err(cut);
    }
    let items = listed.items.iter().map(|item| Activity::read(item, call));
    let read: Option<Vec<_>> = items.collect();
    read.ok_or_else(|| {
        let what = "the activity log holds items that are not as GitHub documents them";
        Refusal::new(FailureClass::InvalidResponse, what)
    })
}

/// The log of a branch, as far back as the interval reaches: GitHub takes periods, not instants.
fn question<'a>(task: &Task<'_>, branch: &str) -> Question<'a> {
    let reach = task.run.clock.now() - task.from;
    let periods = [("day", 1), ("week", 7), ("month", 28), ("quarter", 89)];
    let period = periods
        .iter()
        .find(|(_, days)| reach < TimeDelta::days(*days))
        .map_or("year", |(name, _)| name);
    Question::new(&calls::ACTIVITY, &[("owner", task.owner), ("repo", task.name)])
        .with("ref", format!("refs/heads/{branch}"))
        .with("time_period", period)
}
