//! Populations and samples on the page: how many items, what is missing, how each was obtained, what was sealed and drawn.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{lists, words};
use crate::period::obtained::{Calls, Obtained, Values};
use crate::populations::Population;
use crate::populations::alike::alike;
use crate::populations::handed::{Drawn, Handed};
use crate::populations::sealed::reasons;
use crate::summary::{DrawRow, SealedRow, Summary};

/// So many gaps of a population are shown; its file has all.
const GAPS: usize = 12;

/// So many snapshots that were not whole, and values of a parameter, are named.
const NAMED: usize = 4;

/// A value of more characters than this is cut.
const LONG: usize = 60;

/// What the page shows.
#[derive(Serialize)]
pub(super) struct Section<'a> {
    lists: Vec<List<'a>>,
    means: Vec<Means<'a>>,
    gaps: Vec<Missing>,
    more_gaps: Vec<More>,
    sealed: &'a [SealedRow],
    draws: Vec<Draw<'a>>,
}

/// A population.
#[derive(Serialize)]
struct List<'a> {
    of: &'a str,
    name: Option<&'a str>,
    part: Option<&'a str>,
    file: String,
    collector: &'a str,
    sources: String,
    targets: u64,
    items: u64,
    counted: Vec<String>,
    gaps: usize,
    /// For how long nobody can say that it is whole, over all targets.
    missing: i64,
    over: bool,
    whole: bool,
    excluded: Vec<String>,
    /// The leaves that seal it.
    sealed: Vec<u64>,
}

/// How all that a collector yields was obtained.
#[derive(Serialize)]
struct Means<'a> {
    collector: &'a str,
    populations: String,
    snapshots: u64,
    dates: Option<(DateTime<Utc>, DateTime<Utc>)>,
    calls: u64,
    callers: &'a BTreeMap<String, u64>,
    bases: &'a BTreeMap<String, u64>,
    seconds: &'a BTreeMap<String, u64>,
    /// Snapshots with a second count, what that expected, what was read, and in how many they differ.
    compared: u64,
    expected: u64,
    read: u64,
    differ: u64,
    /// The first few of them, with how many there are.
    incomplete: Vec<(u64, &'a str)>,
    incomplete_count: usize,
    unreadable: &'a BTreeSet<u64>,
    operations: Vec<Operation<'a>>,
}

/// Calls of one operation.
#[derive(Serialize)]
struct Operation<'a> {
    service: &'a str,
    name: &'a str,
    calls: u64,
    pages: u64,
    items: u64,
    statuses: String,
    parameters: Vec<(&'a str, String)>,
}

/// A stretch for which nobody can say that some populations are whole.
#[derive(PartialEq, Serialize)]
struct Missing {
    of: String,
    place: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    seconds: i64,
    why: String,
}

/// Gaps that are not shown.
#[derive(Serialize)]
struct More {
    of: String,
    count: usize,
    file: String,
}

/// A draw.
#[derive(Serialize)]
struct Draw<'a> {
    row: &'a DrawRow,
    /// Why its items are not in the table; none where they are.
    kept: Option<&'static str>,
}

pub(super) fn section<'a>(summary: &'a Summary, handed: &'a Handed) -> Section<'a> {
    let (gaps, more_gaps) = gaps(handed);
    let files = lists::stems(handed);
    let populations = handed.populations.iter().map(|of| &of.population);
    Section {
        lists: populations
            .zip(files)
            .map(|(population, file)| list(population, file, &summary.populations))
            .collect(),
        means: means(handed),
        gaps,
        more_gaps,
        sealed: &summary.populations,
        draws: summary.draws.iter().map(|row| draw(row, handed)).collect(),
    }
}

/// What people call it.
fn called(population: &Population) -> &str {
    population.name.unwrap_or(&population.of)
}

fn list<'a>(population: &'a Population, file: String, sealed: &[SealedRow]) -> List<'a> {
    let mut sources: Vec<&str> = population
        .targets
        .iter()
        .map(|scope| scope.source.as_str())
        .collect();
    sources.dedup();
    let gaps = &population.gaps;
    let excluded = population.exclusions.iter().map(|exclusion| {
        let of = [&exclusion.resource, &exclusion.source, &exclusion.target];
        let of: Vec<&str> = of.into_iter().flatten().map(String::as_str).collect();
        let of = if of.is_empty() {
            "all".to_owned()
        } else {
            of.join(", ")
        };
        format!("{of} not tested: {}", exclusion.reason)
    });
    List {
        of: &population.of,
        name: population.name,
        part: population.part,
        file,
        collector: &population.collector,
        sources: sources.join(", "),
        targets: population.targets.len() as u64,
        items: population.count(),
        counted: counted(population),
        gaps: gaps.len(),
        missing: gaps.iter().map(|gap| gap.span.length().num_seconds()).sum(),
        over: population.is_over(),
        whole: population.is_whole(),
        excluded: excluded.collect(),
        sealed: sealed
            .iter()
            .filter(|row| row.population == population.of)
            .map(|row| row.seq)
            .collect(),
    }
}

fn counted(population: &Population) -> Vec<String> {
    let counts = &population.counts;
    let repeated = population.read.saturating_sub(counts.items);
    let mut parts = vec![format!(
        "{} read, {} of them repeated",
        words::thousands(population.read),
        words::thousands(repeated)
    )];
    let told = [
        (counts.changed, "changed later, the newest kept"),
        (counts.late, "shown late by the source"),
        (counts.untimed, "of a known interval, at an unknown time"),
        (counts.at_start, "there when the period began"),
        (counts.gone, "gone before the last snapshot"),
    ];
    let told = told.iter().filter(|(count, _)| *count > 0);
    parts.extend(told.map(|(count, what)| format!("{} {what}", words::thousands(*count))));
    parts
}

/// By collector: one obtains several kinds by the same calls.
fn means(handed: &Handed) -> Vec<Means<'_>> {
    let mut all: Vec<(&Population, Vec<&str>)> = Vec::new();
    for population in handed.populations.iter().map(|of| &of.population) {
        match all.last_mut() {
            Some((first, names)) if Rc::ptr_eq(&first.obtained, &population.obtained) => {
                names.push(called(population));
            }
            _ => all.push((population, vec![called(population)])),
        }
    }
    let means = all.into_iter().map(|(population, names)| {
        let obtained: &Obtained = &population.obtained;
        let incomplete = obtained.incomplete.iter().take(NAMED);
        Means {
            collector: &population.collector,
            populations: names.join(", "),
            snapshots: obtained.snapshots,
            dates: obtained.dates,
            calls: obtained.count(),
            callers: &obtained.callers,
            bases: &obtained.bases,
            seconds: &obtained.second_sources,
            compared: obtained.reconciled.snapshots,
            expected: obtained.reconciled.expected,
            read: obtained.reconciled.read,
            differ: obtained.reconciled.differ,
            incomplete: incomplete.map(|(seq, basis)| (*seq, basis.as_str())).collect(),
            incomplete_count: obtained.incomplete.len(),
            unreadable: &obtained.unreadable,
            operations: obtained.calls.iter().map(operation).collect(),
        }
    });
    means.collect()
}

fn operation<'a>(((service, name), of): (&'a (String, String), &'a Calls)) -> Operation<'a> {
    let parameters = of.parameters.iter();
    Operation {
        service,
        name,
        calls: of.calls,
        pages: of.pages,
        items: of.items,
        statuses: statuses(of),
        parameters: parameters
            .map(|(name, values)| (name.as_str(), some(values)))
            .collect(),
    }
}

fn statuses(calls: &Calls) -> String {
    let statuses = calls
        .statuses
        .iter()
        .map(|(status, times)| format!("{status} ×{}", words::thousands(*times)));
    statuses.collect::<Vec<_>>().join(", ")
}

fn some(values: &Values) -> String {
    let cut = |text: &String| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(LONG) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    };
    let distinct = values.some.len();
    if distinct > NAMED {
        let first = values.some.first().map(cut).unwrap_or_default();
        let more = if values.more { "more than " } else { "" };
        return format!("{more}{distinct} values, such as {first}");
    }
    values.some.iter().map(cut).collect::<Vec<_>>().join(" or ")
}

/// Every population's gaps; those that several have in common are told once.
fn gaps(handed: &Handed) -> (Vec<Missing>, Vec<More>) {
    let (mut all, mut more): (Vec<Missing>, Vec<More>) = (Vec::new(), Vec::new());
    for (of, file) in handed.populations.iter().zip(lists::stems(handed)) {
        let population = &of.population;
        let alike = alike(&population.gaps);
        if alike.len() > GAPS {
            more.push(More {
                of: called(population).to_owned(),
                count: alike.len() - GAPS,
                file,
            });
        }
        for (gap, targets) in alike.into_iter().take(GAPS) {
            let scope = &gap.scope;
            let place = match scope.target.as_str() {
                _ if targets > 1 => format!("{targets} targets of {}", scope.source),
                "" => format!("all of {}", scope.source),
                target => format!("{target} of {}", scope.source),
            };
            let mut row = Missing {
                of: String::new(),
                place,
                from: gap.span.from,
                to: gap.span.to,
                seconds: gap.span.length().num_seconds(),
                why: reasons(&gap),
            };
            let same = all.iter_mut().find(|other| {
                row.of.clone_from(&other.of);
                row == **other
            });
            if let Some(other) = same {
                other.of = format!("{}, {}", other.of, called(population));
            } else {
                called(population).clone_into(&mut row.of);
                all.push(row);
            }
        }
    }
    (all, more)
}

fn draw<'a>(row: &'a DrawRow, handed: &Handed) -> Draw<'a> {
    let kept = match handed.drawn.get(&row.sample) {
        Some(Drawn::Items(_)) => None,
        Some(Drawn::Withheld) => Some("withheld: out of scope"),
        Some(Drawn::Unreadable) | None => Some("can't be read any more"),
    };
    Draw { row, kept }
}
