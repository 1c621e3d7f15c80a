//! Evidence that people owe: told before it is due and when it is overdue, once for each due date.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::facts::ManualFacts;
use super::super::outlet::Outlet;
use super::super::usual_severity;
use super::{NO_NEWS, Told};
use crate::log::append::{Change, Subject};
use crate::log::leaf::Event;
use crate::log::store::{Reader, StoreError};
use crate::manual::{self, Owed};
use crate::period::manual::Due;
use crate::plan::PlanError;

/// What is owed now. A plan that can't be read is no reason to tell nobody of anything else.
fn owed(reader: &Reader) -> Result<Vec<Owed>, StoreError> {
    match manual::read(reader) {
        Ok(owed) => Ok(owed.into_iter().filter(|owed| owed.is_owed).collect()),
        Err(PlanError::Store(error)) => Err(error),
        Err(error) => {
            tracing::warn!("what evidence people owe can't be read: {error}");
            Ok(Vec::new())
        }
    }
}

/// Whether the plan in force asks anybody for evidence: most do not, and need not be looked at.
fn asks(outlet: &Outlet) -> bool {
    let mut controls = outlet.plan.lists.rules.controls.iter();
    controls.any(|control| control.enabled && control.manual.is_some())
}

/// What is due at `now`, and when the next of it is.
pub(super) fn changes(
    reader: &Reader,
    told: &Told,
    outlet: &Outlet,
    now: DateTime<Utc>,
    changes: &mut Vec<Change>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    if !asks(outlet) {
        return Ok(None);
    }
    let notice = TimeDelta::from_std(outlet.settings.notice).unwrap_or(TimeDelta::MAX);
    let warned = |due: &Due| {
        due.at
            .checked_sub_signed(notice)
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    };
    let mut next = None::<DateTime<Utc>>;
    for owed in owed(reader)? {
        let control = owed.control.id.as_str();
        let dues = owed.account(now).dues;
        let open = || dues.iter().filter(|due| due.met.is_none());
        let steps = open().flat_map(|due| [warned(due), due.grace_ends + TimeDelta::milliseconds(1)]);
        next = next.into_iter().chain(steps.filter(|step| *step > now)).min();
        let Some(due) = open().rfind(|due| warned(due) <= now) else {
            continue;
        };
        let (event, since) = if now <= due.grace_ends {
            (Event::ManualDue, warned(due))
        } else if now - due.grace_ends < NO_NEWS {
            (Event::ManualOverdue, due.grace_ends)
        } else {
            continue;
        };
        let last = told.manual.get(&(event, control.to_owned()));
        if last.is_none_or(|last| *last < since) {
            changes.push(Change::Notice {
                subject: Subject::of_control(event, control),
                severity: usual_severity(event).to_string(),
                resources: 0,
                about: None,
            });
        }
    }
    Ok(next)
}

/// What is told of a control for which evidence was due at an instant.
pub(in super::super) fn facts(
    reader: &Reader,
    control: &str,
    at: DateTime<Utc>,
) -> Result<Option<ManualFacts>, StoreError> {
    let owed = owed(reader)?;
    let Some(owed) = owed.iter().find(|owed| owed.control.id.as_str() == control) else {
        return Ok(None);
    };
    let account = owed.account(at);
    Ok(account.wanted().map(|due| ManualFacts {
        control: control.to_owned(),
        due: due.day,
        grace_ends: due.grace_ends,
        newest: account.newest.as_ref().map(|newest| newest.seq),
    }))
}

/// What an owner has to bring: what is due within the notice, and what is late. A line for each control.
pub(in super::super) fn lines(
    reader: &Reader,
    outlet: &Outlet,
    owner: &str,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    if !asks(outlet) {
        return Ok(Vec::new());
    }
    let notice = TimeDelta::from_std(outlet.settings.notice).unwrap_or(TimeDelta::MAX);
    let mut lines = Vec::new();
    for owed in owed(reader)?.iter().filter(|owed| owed.control.owner == owner) {
        let account = owed.account(now);
        let Some(due) = account.wanted().filter(|due| due.at - now <= notice) else {
            continue;
        };
        let (control, day) = (&owed.control.id, due.day);
        lines.push(if now > due.grace_ends {
            format!("{control}: overdue, it was due by {day}")
        } else if now > due.at {
            format!("{control}: late, it was due by {day}")
        } else {
            format!("{control}: due by {day}")
        });
    }
    Ok(lines)
}
