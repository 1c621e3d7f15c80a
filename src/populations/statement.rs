//! Populations for programs, in a form that stays: what is in them, what is missing, and how they were obtained.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::Population;
use super::sealed::reasons;
use crate::control::Exclusion;
use crate::log::leaf::format_time;
use crate::period::obtained::{Calls, Obtained};
use crate::period::population::{self, What};

/// Populations of a log.
#[derive(Serialize)]
pub struct Shown<'a> {
    origin: &'a str,
    populations: Vec<About<'a>>,
    /// The leaf that seals it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<u64>,
}

#[derive(Serialize)]
struct About<'a> {
    population: &'a str,
    name: Option<&'a str>,
    part: Option<&'a str>,
    collector: &'a str,
    sources: &'a BTreeSet<String>,
    /// Null where there is no snapshot to tell.
    form: Option<&'static str>,
    from: String,
    to: String,
    over: bool,
    whole: bool,
    count: u64,
    read: u64,
    repeated: u64,
    late: u64,
    changed: u64,
    untimed: u64,
    targets: Vec<Target<'a>>,
    gaps: Vec<Gap<'a>>,
    obtained: IpeStatement<'a>,
    exclusions: &'a [Exclusion],
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item<'a>>>,
}

#[derive(Serialize)]
struct Target<'a> {
    source: &'a str,
    target: &'a str,
}

#[derive(Serialize)]
struct Gap<'a> {
    source: &'a str,
    target: &'a str,
    from: String,
    to: String,
    seconds: i64,
    why: String,
    happened: Vec<Happened<'a>>,
}

#[derive(Serialize)]
struct Happened<'a> {
    what: &'static str,
    detail: Option<&'a str>,
    leaves: &'a [u64],
}

/// How it was obtained.
#[derive(Serialize)]
struct IpeStatement<'a> {
    snapshots: u64,
    first: Option<String>,
    last: Option<String>,
    incomplete: Vec<Incomplete<'a>>,
    unreadable: &'a BTreeSet<u64>,
    callers: Vec<Caller>,
    bases: Vec<Counted<'a>>,
    second_sources: Vec<Counted<'a>>,
    reconciled: Reconciled,
    calls: Vec<Asked<'a>>,
}

#[derive(Serialize)]
struct Incomplete<'a> {
    snapshot: u64,
    basis: &'a str,
}

#[derive(Serialize)]
struct Caller {
    caller: Value,
    snapshots: u64,
}

#[derive(Serialize)]
struct Counted<'a> {
    text: &'a str,
    snapshots: u64,
}

#[derive(Serialize)]
struct Reconciled {
    snapshots: u64,
    expected: u64,
    read: u64,
    differ: u64,
}

#[derive(Serialize)]
struct Asked<'a> {
    service: &'a str,
    operation: &'a str,
    calls: u64,
    pages: u64,
    items: u64,
    statuses: &'a BTreeMap<String, u64>,
    first: Option<String>,
    last: Option<String>,
    parameters: Vec<Parameter<'a>>,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'a str,
    /// At most [`VALUES`] of them.
    values: Vec<Value>,
    distinct: usize,
    /// Whether there are more than were told apart.
    more: bool,
}

/// So many values of a parameter are listed.
const VALUES: usize = 10;

#[derive(Serialize)]
struct Item<'a> {
    n: u64,
    id: &'a str,
    name: &'a str,
    source: &'a str,
    target: &'a str,
    at: Option<String>,
    between: Option<[String; 2]>,
    first_seen: String,
    last_seen: String,
    gone: Option<String>,
    at_start: bool,
    late: bool,
    seen: u64,
    snapshot: u64,
    changed: &'a BTreeSet<String>,
    attributes: &'a BTreeMap<String, Value>,
    unknown: &'a BTreeMap<String, String>,
}

/// What there is to say of populations of the log `origin`; `listed` has their items told one by one.
pub fn shown<'a>(
    origin: &'a str,
    populations: &'a [Population],
    listed: bool,
    sealed: Option<u64>,
) -> Shown<'a> {
    Shown {
        origin,
        populations: populations
            .iter()
            .map(|population| about(population, listed))
            .collect(),
        sealed,
    }
}

fn about(population: &Population, listed: bool) -> About<'_> {
    let (items, counts) = (&population.items, &population.counts);
    About {
        population: &population.of,
        name: population.name,
        part: population.part,
        collector: &population.collector,
        sources: &population.only_sources,
        form: form(population),
        from: format_time(population.period.from),
        to: format_time(population.period.to),
        over: population.is_over(),
        whole: population.is_whole(),
        count: population.count(),
        read: population.read,
        repeated: population.read - population.count(),
        late: counts.late,
        changed: counts.changed,
        untimed: counts.untimed,
        targets: population
            .targets
            .iter()
            .map(|scope| Target {
                source: &scope.source,
                target: &scope.target,
            })
            .collect(),
        gaps: population.gaps.iter().map(gap).collect(),
        obtained: obtained(&population.obtained),
        exclusions: &population.exclusions,
        items: listed.then(|| items.iter().zip(1..).map(|(each, n)| item(each, n)).collect()),
    }
}

fn form(population: &Population) -> Option<&'static str> {
    let form = if population.is_events { "events" } else { "states" };
    (population.obtained.snapshots > 0).then_some(form)
}

fn gap(gap: &population::Gap) -> Gap<'_> {
    let happened = gap.why.happened.iter().map(|(what, leaves)| {
        let (what, detail) = match what {
            What::Failure(class) => ("failure", Some(class.as_str())),
            What::Missed(reason) => ("missed", Some(reason.as_str())),
            What::Incomplete => ("incomplete", None),
            What::Unreadable => ("unreadable", None),
        };
        Happened { what, detail, leaves }
    });
    Gap {
        source: &gap.scope.source,
        target: &gap.scope.target,
        from: format_time(gap.span.from),
        to: format_time(gap.span.to),
        seconds: gap.span.length().num_seconds(),
        why: reasons(gap),
        happened: happened.collect(),
    }
}

fn obtained(obtained: &Obtained) -> IpeStatement<'_> {
    let counted = |counts: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
        counts
            .iter()
            .map(|(text, snapshots)| (text.clone(), *snapshots))
            .collect()
    };
    let callers = counted(&obtained.callers)
        .into_iter()
        .map(|(caller, snapshots)| Caller {
            caller: serde_json::from_str(&caller).unwrap_or(Value::String(caller)),
            snapshots,
        });
    let told = &obtained.reconciled;
    IpeStatement {
        snapshots: obtained.snapshots,
        first: obtained.dates.map(|(first, _)| format_time(first)),
        last: obtained.dates.map(|(_, last)| format_time(last)),
        incomplete: obtained
            .incomplete
            .iter()
            .map(|(snapshot, basis)| Incomplete {
                snapshot: *snapshot,
                basis,
            })
            .collect(),
        unreadable: &obtained.unreadable,
        callers: callers.collect(),
        bases: texts(&obtained.bases),
        second_sources: texts(&obtained.second_sources),
        reconciled: Reconciled {
            snapshots: told.snapshots,
            expected: told.expected,
            read: told.read,
            differ: told.differ,
        },
        calls: obtained
            .calls
            .iter()
            .map(|((service, name), calls)| operation(service, name, calls))
            .collect(),
    }
}

fn texts(counts: &BTreeMap<String, u64>) -> Vec<Counted<'_>> {
    let counts = counts.iter();
    counts
        .map(|(text, snapshots)| Counted {
            text,
            snapshots: *snapshots,
        })
        .collect()
}

fn operation<'a>(service: &'a str, operation: &'a str, calls: &'a Calls) -> Asked<'a> {
    let time = |at: Option<DateTime<Utc>>| at.map(format_time);
    Asked {
        service,
        operation,
        calls: calls.calls,
        pages: calls.pages,
        items: calls.items,
        statuses: &calls.statuses,
        first: time(calls.dates.map(|(first, _)| first)),
        last: time(calls.dates.map(|(_, last)| last)),
        parameters: calls
            .parameters
            .iter()
            .map(|(name, values)| Parameter {
                name,
                values: values
                    .some
                    .iter()
                    .take(VALUES)
                    .filter_map(|text| serde_json::from_str(text).ok())
                    .collect(),
                distinct: values.some.len(),
                more: values.more,
            })
            .collect(),
    }
}

fn item(item: &population::Item, n: u64) -> Item<'_> {
    let resource = &item.resource;
    Item {
        n,
        id: &resource.id,
        name: &resource.name,
        source: &item.scope.source,
        target: &item.scope.target,
        at: item.at.map(format_time),
        between: item
            .between
            .map(|span| [format_time(span.from), format_time(span.to)]),
        first_seen: format_time(item.first_seen),
        last_seen: format_time(item.last_seen),
        gone: item.gone.map(format_time),
        at_start: item.at_start,
        late: item.late,
        seen: item.seen,
        snapshot: item.snapshot,
        changed: &item.changed,
        attributes: &resource.attributes,
        unknown: &resource.unknown,
    }
}
