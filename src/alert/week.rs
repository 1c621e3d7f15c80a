//! The week of each control's owner: what went wrong, what still does, and what soon ends.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

use super::calendar::manual_lines;
use super::facts::{Facts, WeekFacts};
use super::message::Phase;
use super::outlet::Outlet;
use super::template::samples;
use super::usual_severity;
use crate::control::TestId;
use crate::deviations::{self, Deviations};
use crate::log::leaf::{AlertState, Body, Event, MissedReason, format_time};
use crate::log::store::{Filter, Reader, StoreError};
use crate::period::deviation::Deviation;

/// What each owner's channels are told at `to`: of the time since the digest before it, or of a week.
pub(super) fn facts(
    reader: &Reader,
    outlet: &Outlet,
    alert: u64,
    to: DateTime<Utc>,
) -> Result<Vec<(Facts, Vec<String>)>, StoreError> {
    let from = last_before(reader, alert)?.unwrap_or(to - TimeDelta::days(7));
    let read = deviations::read(reader, None)?;
    let gaps = gaps(reader, from, to)?;
    let mut weeks = Vec::new();
    for (owner, channels) in &outlet.owners {
        let tests = tests_of(outlet, owner);
        let collectors = collectors_of(outlet, &tests);
        let week = WeekFacts {
            owner: owner.clone(),
            from,
            to,
            gaps: gaps
                .iter()
                .filter(|((collector, _), _)| collectors.contains(collector.as_str()))
                .map(|((collector, source), count)| {
                    let ticks = if *count == 1 { "tick" } else { "ticks" };
                    format!("{collector} of {source}: {count} {ticks} without evidence")
                })
                .collect(),
            exceptions: ending(reader, outlet, &tests, to)?,
            manual: manual_lines(reader, outlet, owner, to)?,
            ..of_deviations(outlet, &read, &tests, from, to)
        };
        let count = week.new.len() + week.open.len() + week.mended.len();
        let facts = Facts {
            phase: Phase::Digest,
            event: Event::Digest,
            severity: usual_severity(Event::Digest),
            alert,
            count: count as u64,
            week: Some(week),
            ..samples::trial(reader.origin().as_str(), to)
        };
        weeks.push((facts, channels.clone()));
    }
    Ok(weeks)
}

/// When the digest before this one was.
fn last_before(reader: &Reader, alert: u64) -> Result<Option<DateTime<Utc>>, StoreError> {
    let alerts = reader.of_kind("alert", 0)?;
    for seq in alerts.into_iter().rev().filter(|seq| *seq < alert) {
        let Some(leaf) = reader.leaf(seq)? else { continue };
        if let Some(Body::Alert(before)) = &leaf.body
            && before.event == Event::Digest
            && before.state == AlertState::Noticed
        {
            return Ok(Some(leaf.time));
        }
    }
    Ok(None)
}

/// The tests that serve an owner's controls.
fn tests_of<'a>(outlet: &'a Outlet, owner: &str) -> BTreeSet<&'a TestId> {
    let controls = outlet.plan.lists.rules.controls.iter();
    let theirs = controls.filter(|control| control.enabled && control.owner == owner);
    theirs.flat_map(|control| &control.tests).collect()
}

/// The collectors whose evidence those tests judge.
fn collectors_of<'a>(outlet: &'a Outlet, tests: &BTreeSet<&TestId>) -> BTreeSet<&'a str> {
    let collectors = outlet.plan.lists.collectors.keys();
    collectors
        .filter(|collector| outlet.plan.tests(collector).any(|test| tests.contains(&test.id)))
        .map(String::as_str)
        .collect()
}

fn of_deviations(
    outlet: &Outlet,
    read: &Deviations,
    tests: &BTreeSet<&TestId>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> WeekFacts {
    let theirs = |deviation: &&Deviation| tests.contains(&deviation.test) && deviation.first.at <= to;
    let theirs: Vec<&Deviation> = read.deviations.iter().filter(theirs).collect();
    let is_new = |deviation: &Deviation| deviation.first.at > from;
    let is_over = |deviation: &Deviation| deviation.end.as_ref().is_some_and(|end| end.look.at <= to);
    let pick = |wanted: &dyn Fn(&Deviation) -> bool| {
        lines(
            outlet,
            theirs.iter().copied().filter(|deviation| wanted(deviation)),
        )
    };
    WeekFacts {
        new: pick(&is_new),
        open: pick(&|deviation| !is_new(deviation) && deviation.events_from.is_none() && !is_over(deviation)),
        mended: pick(&|deviation| {
            let end = deviation.end.as_ref();
            end.is_some_and(|end| end.look.at > from && end.look.at <= to)
        }),
        ..WeekFacts::default()
    }
}

/// Which resources, and since when the first of them.
type Resources<'a> = (BTreeSet<&'a str>, DateTime<Utc>);

/// A line for each test and source.
fn lines<'a>(outlet: &Outlet, deviations: impl Iterator<Item = &'a Deviation>) -> Vec<String> {
    let mut groups: BTreeMap<(&TestId, &str), Resources<'_>> = BTreeMap::new();
    for deviation in deviations {
        let group = groups
            .entry((&deviation.test, &deviation.scope.source))
            .or_insert_with(|| (BTreeSet::new(), deviation.first.at));
        group.0.insert(&deviation.resource);
        group.1 = group.1.min(deviation.first.at);
    }
    let tests = &outlet.plan.lists.rules.tests;
    groups
        .into_iter()
        .map(|((id, source), (resources, since))| {
            let title = tests.iter().find(|test| test.id == *id);
            let title = title.map_or_else(|| id.to_string(), |test| test.title.clone());
            let count = resources.len();
            let noun = if count == 1 { "resource" } else { "resources" };
            format!(
                "{title} on {source}: {count} {noun}, since {}",
                since.format("%Y-%m-%d")
            )
        })
        .collect()
}

/// Ticks without evidence, by collector and source; announced ones left out.
fn gaps(
    reader: &Reader,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<BTreeMap<(String, String), u64>, StoreError> {
    let filter = Filter {
        from: Some(format_time(from)),
        to: Some(format_time(to)),
        kinds: vec!["missed".to_owned()],
        ..Filter::default()
    };
    let mut gaps = BTreeMap::new();
    for entry in reader.entries(&filter)? {
        if let Some(Body::Missed(missed)) = reader.leaf(entry.seq)?.and_then(|leaf| leaf.body)
            && !matches!(missed.reason, MissedReason::Maintenance | MissedReason::Removed)
        {
            *gaps.entry((missed.collector, missed.source)).or_default() += missed.ticks.count;
        }
    }
    Ok(gaps)
}

/// Exceptions from these tests that end within the notice.
fn ending(
    reader: &Reader,
    outlet: &Outlet,
    tests: &BTreeSet<&TestId>,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let notice = TimeDelta::from_std(outlet.settings.notice).unwrap_or(TimeDelta::MAX);
    let mut lines = Vec::new();
    for seq in reader.of_kind("exception", 0)? {
        let Some(Body::Exception(exception)) = reader.leaf(seq)?.and_then(|leaf| leaf.body) else {
            continue;
        };
        let soon = exception.expires > now && exception.expires - now <= notice;
        if soon && tests.iter().any(|test| test.as_str() == exception.test) {
            lines.push(format!(
                "exception {seq} from {} ends on {}",
                exception.test,
                exception.expires.format("%Y-%m-%d")
            ));
        }
    }
    Ok(lines)
}
