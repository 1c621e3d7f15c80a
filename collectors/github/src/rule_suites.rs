//! Who pushed or merged past the rules: GitHub's rule suites, which it keeps for about a month.

use chrono::{DateTime, Utc};
use serde_json::Value;

use evidenced_collector_api::{Recording, Resource};

use crate::ask::Question;
use crate::calls;
use crate::pull_requests::{Found, Task};

/// Reads the bypasses of the interval. Where they may not be seen, the snapshot is incomplete: none seen is not none.
pub(crate) async fn read(task: &Task<'_>, recording: &mut Recording, found: &mut Found) {
    let place = [("owner", task.owner), ("repo", task.name)];
    if task.run.clock.now() - task.from > chrono::TimeDelta::days(28) {
        found
            .notes
            .push("bypassed rules are known of the last month only".to_owned());
    }
    let period = if task.to - task.from < chrono::TimeDelta::days(7) {
        "week"
    } else {
        "month"
    };
    let question = Question::new(&calls::RULE_SUITES, &place)
        .with("time_period", period)
        .with("rule_suite_result", "bypass");
    let (call, listed) = task
        .client
        .all(task.run, question, None, |_| false)
        .await
        .record(recording);
    let listed = match listed {
        Ok(listed) => listed,
        Err(refusal) => {
            found.missing.push(refusal.reason);
            return;
        }
    };
    found.missing.extend(listed.cut.map(|cut| cut.reason));
    for suite in &listed.items {
        let at = suite["pushed_at"]
            .as_str()
            .and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        let (Some(at), Some(id)) = (at, suite["id"].as_u64()) else {
            found
                .missing
                .push("the rule suites hold some that are not as GitHub documents them".to_owned());
            continue;
        };
        if !within(task, at.to_utc()) {
            continue;
        }
        let number = id.to_string();
        let question = Question::new(
            &calls::RULE_SUITE,
            &[place[0], place[1], ("rule_suite_id", number.as_str())],
        );
        let (details_call, details) = task.client.one(task.run, &question).await.record(recording);
        let id = format!("{}!{id}", task.repository);
        let mut resource = Resource::new("github.bypass", &id, &id, call)
            .with("actor", suite["actor_name"].clone())
            .with("ref", suite["ref"].clone())
            .with("before", suite["before_sha"].clone())
            .with("after", suite["after_sha"].clone())
            .with("at", suite["pushed_at"].clone())
            .with_result(
                "rules",
                details
                    .map_err(|refusal| refusal.reason)
                    .and_then(|details| rules(&details)),
            );
        resource.call.push(details_call);
        found.expected += 1;
        found.resources.push(resource);
    }
}

fn within(task: &Task<'_>, at: DateTime<Utc>) -> bool {
    at > task.from && at <= task.to
}

/// The rules that were not kept, by name, sorted.
fn rules(details: &Value) -> Result<Vec<String>, String> {
    let evaluations = details["rule_evaluations"].as_array();
    let evaluations = evaluations.ok_or("GitHub does not say which rules were bypassed")?;
    let failed = evaluations.iter().filter(|rule| rule["result"] == "fail");
    let mut names: Vec<_> = failed
        .filter_map(|rule| rule["rule_type"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
