//! What changed within a period, when no daemon ran, and who did what.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::gather::{Gathered, PlanSeen};
use crate::log::leaf::{self, Attachment, By, Exception, Export};
use crate::period::rules::Version;
use crate::period::window::Window;

/// Something that changed.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The leaf that tells of it.
    pub seq: u64,
    /// When that was sealed.
    pub time: DateTime<Utc>,
    /// `plan`, `test`, `control`, `tool` or `scope`.
    pub what: &'static str,
    /// In words.
    pub detail: String,
    /// Who, as the operating system names them; null of what was found.
    pub by: Option<String>,
}

/// A time without a daemon.
#[derive(Debug, Serialize)]
pub struct Downtime {
    /// The last sign of the one before.
    pub from: DateTime<Utc>,
    /// When the next began; null where none has.
    pub to: Option<DateTime<Utc>>,
    /// Its length as far as the log goes.
    pub seconds: i64,
}

/// Somebody, and what they did.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The name as it was recorded: a login, or as somebody wrote it.
    pub name: String,
    /// `configured`, `requested`, `approved`, `recorded` (an exception, or evidence that somebody brought), `acknowledged`,
    /// `prepared` (such evidence), `exported` (a bundle about the period, whenever that was); `self_approved` of who approved
    /// what they had prepared.
    pub roles: Vec<&'static str>,
    /// Roles that should lie with several people.
    pub overlap: bool,
}

/// Who did what, as leaf after leaf tells.
#[derive(Debug, Default)]
pub(super) struct People {
    did: Vec<(DateTime<Utc>, String, &'static str)>,
    exports: Vec<Export>,
}

impl People {
    pub(super) fn configured(&mut self, time: DateTime<Utc>, name: &str) {
        self.add(time, name, "configured");
    }

    pub(super) fn acknowledged(&mut self, time: DateTime<Utc>, name: &str) {
        self.add(time, name, "acknowledged");
    }

    pub(super) fn excepted(&mut self, time: DateTime<Utc>, exception: &Exception) {
        self.add(time, &exception.requested_by, "requested");
        self.add(time, &exception.approved_by, "approved");
        self.add(time, &exception.recorded_by, "recorded");
    }

    pub(super) fn attached(&mut self, time: DateTime<Utc>, attachment: &Attachment) {
        self.add(time, &attachment.prepared_by, "prepared");
        self.add(time, &attachment.approved_by, "approved");
        self.add(time, &attachment.recorded_by, "recorded");
        if attachment.is_self_approved() {
            self.add(time, &attachment.approved_by, "self_approved");
        }
    }

    pub(super) fn exported(&mut self, export: Export) {
        self.exports.push(export);
    }

    fn add(&mut self, time: DateTime<Utc>, name: &str, role: &'static str) {
        self.did.push((time, name.to_owned(), role));
    }

    /// Each, with the roles within the period.
    pub(super) fn within(&self, period: &Window) -> Vec<Person> {
        let mut by_name: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
        for (_, name, role) in self.did.iter().filter(|(time, ..)| period.holds(*time)) {
            by_name.entry(name).or_default().insert(role);
        }
        // A period is handed over when it has ended.
        let about = |export: &&Export| export.from < period.to && export.to > period.from;
        for export in self.exports.iter().filter(about) {
            by_name.entry(&export.recorded_by).or_default().insert("exported");
        }
        let people = by_name.into_iter().map(|(name, roles)| Person {
            name: name.to_owned(),
            overlap: roles.contains("self_approved")
                || roles.iter().filter(|role| SEPARATE.contains(role)).count() > 1,
            roles: roles.into_iter().collect(),
        });
        people.collect()
    }
}

/// Roles that one person should not all have.
const SEPARATE: [&str; 4] = ["configured", "approved", "acknowledged", "exported"];

/// Everything that changed within the period, in the order of the log.
pub(super) fn rows(gathered: &Gathered, period: &Window) -> Vec<Change> {
    let mut changes = Vec::new();
    plans(gathered, &mut changes);
    scopes(gathered, &mut changes);
    let by = |seq| {
        let plan = gathered.plans.iter().find(|plan| plan.seq == seq);
        plan.map(|plan| plan.leaf.os_user.clone())
    };
    let mut note = |what, id: &str, plan: u64, time, said: String| {
        changes.push(Change {
            seq: plan,
            time,
            what,
            detail: format!("{id}: {said}"),
            by: by(plan),
        });
    };
    for (id, versions) in gathered.versions.tests() {
        worded(gathered, versions, |plan, time, said| {
            note("test", id.as_str(), plan, time, said);
        });
    }
    for versions in gathered.versions.controls() {
        let Some(id) = versions.first().map(|version| version.is.id.to_string()) else {
            continue;
        };
        worded(gathered, versions, |plan, time, said| {
            note("control", &id, plan, time, said);
        });
    }
    changes.retain(|change| period.holds(change.time));
    changes.sort_by(|a, b| (a.seq, a.what, &a.detail).cmp(&(b.seq, b.what, &b.detail)));
    changes
}

/// What became of a wording: it came, changed or went. What the log began with did not come.
fn worded<T>(gathered: &Gathered, versions: &[Version<T>], mut note: impl FnMut(u64, DateTime<Utc>, String)) {
    let plan_at = |time| {
        gathered
            .plans
            .iter()
            .find(|plan| plan.time == time)
            .map_or(0, |plan| plan.seq)
    };
    let mut last: Option<&Version<T>> = None;
    for version in versions {
        let follows = last.is_some_and(|last| last.until == Some(version.from));
        if follows && !version.changed.is_empty() {
            note(
                version.plan,
                version.from,
                format!("{} changed", version.changed.join(", ")),
            );
        } else if Some(version.from) != gathered.versions.begun {
            note(version.plan, version.from, "added".to_owned());
        }
        let next = versions.iter().any(|next| Some(next.from) == version.until);
        if let Some(until) = version.until.filter(|_| !next) {
            note(plan_at(until), until, "taken out".to_owned());
        }
        last = Some(version);
    }
}

fn plans(gathered: &Gathered, changes: &mut Vec<Change>) {
    for pair in gathered.plans.windows(2) {
        let [before, plan] = pair else { continue };
        let mut note = |what, detail: String| {
            changes.push(Change {
                seq: plan.seq,
                time: plan.time,
                what,
                detail,
                by: Some(plan.leaf.os_user.clone()),
            });
        };
        let (old, new) = (&before.leaf, &plan.leaf);
        if old.version != new.version {
            note("tool", format!("evidenced {} to {}", old.version, new.version));
        } else if old.binary_sha256 != new.binary_sha256 {
            note("tool", "another program of the same version".to_owned());
        }
        if old.configuration_sha256 != new.configuration_sha256 {
            note(
                "plan",
                format!("the configuration: {} to {}", count(old), count(new)),
            );
        }
        if old.host != new.host {
            note("plan", format!("the host: {} to {}", old.host, new.host));
        }
    }
}

fn count(plan: &leaf::Plan) -> String {
    format!(
        "{} sources, {} tests, {} controls, {} exclusions",
        plan.sources, plan.tests, plan.controls, plan.exclusions
    )
}

fn scopes(gathered: &Gathered, changes: &mut Vec<Change>) {
    for (at, scope) in gathered.scopes.iter().enumerate() {
        let before = gathered.scopes[..at]
            .iter()
            .rev()
            .find(|before| before.post == scope.post);
        let Some(before) = before else { continue };
        let came = scope
            .targets
            .difference(&before.targets)
            .map(|target| format!("+{target}"));
        let went = before
            .targets
            .difference(&scope.targets)
            .map(|target| format!("-{target}"));
        let targets: Vec<String> = came.chain(went).collect();
        if !targets.is_empty() {
            changes.push(Change {
                seq: scope.seq,
                time: scope.time,
                what: "scope",
                detail: format!(
                    "{} at {}: {}",
                    scope.post.collector,
                    scope.post.source,
                    targets.join(", ")
                ),
                by: None,
            });
        }
    }
}

/// When no daemon ran, within the period: from the last heartbeat of one to the plan of the next. One that ended in order beats
/// a last time; after a crash it may have run for up to an hour longer.
pub(super) fn downtime(gathered: &Gathered, period: &Window) -> Vec<Downtime> {
    let mut signs: Vec<(DateTime<Utc>, &str)> = gathered
        .plans
        .iter()
        .filter(|plan| plan.leaf.by == By::Daemon)
        .map(|plan: &PlanSeen| (plan.time, plan.boot.as_str()))
        .chain(
            gathered
                .heartbeats
                .iter()
                .map(|(time, boot, _)| (*time, boot.as_str())),
        )
        .collect();
    signs.sort();
    let end = period.to.min(gathered.as_of);
    let mut down = Vec::new();
    for pair in signs.windows(2) {
        let [(from, before), (to, after)] = pair else {
            continue;
        };
        if before != after {
            down.push((*from, Some(*to)));
        }
    }
    // Heartbeats are hourly: one that is missing is a sign.
    if let Some((last, _)) = signs.last()
        && end - *last > TimeDelta::minutes(90)
    {
        down.push((*last, None));
    }
    let within = down.into_iter().map(|(from, to)| (from.max(period.from), to));
    let within = within.filter(|(from, to)| *from < to.unwrap_or(end).min(end));
    within
        .map(|(from, to)| Downtime {
            from,
            to,
            seconds: (to.unwrap_or(end).min(end) - from).num_seconds(),
        })
        .collect()
}
