//! Populations for people: how many, what is missing, and how it was obtained, as an auditor asks for it.

use anyhow::Result;
use std::io::Write;
use std::rc::Rc;

use super::seal::Sealed;
use crate::cli::style::{self, Style, minute, plain};
use crate::period::obtained::{Calls, Obtained, Values};
use crate::period::population::{Gap, Item};
use crate::period::sample;
use crate::populations::Population;
use crate::populations::alike::alike;
use crate::populations::sealed::reasons;

/// So many gaps, snapshots and values of a parameter are listed; JSON lists all.
const SHOWN: usize = 8;

/// A value of more characters than this is cut.
const LONG: usize = 60;

pub(super) fn print(out: &mut dyn Write, populations: &[Population], listed: bool) -> Result<()> {
    let style = Style::of_stdout();
    let Some(first) = populations.first() else {
        writeln!(out, "No population: nothing has been planned yet.")?;
        return Ok(());
    };
    let (from, to) = (minute(first.period.from), minute(first.period.to));
    writeln!(
        out,
        "From {from} to {to}, out of {}.",
        style::count(first.leaves, "leaf", "leaves")
    )?;
    if !first.is_over() {
        let now = minute(first.now);
        writeln!(
            out,
            "{}",
            style.bad(&format!("The period is not over: the log ends at {now}."))
        )?;
    }
    if !listed {
        print_counts(out, style, populations)?;
    }
    let mut last: Option<&Population> = None;
    for population in populations {
        writeln!(out)?;
        about(out, style, population)?;
        // One collector obtains several kinds by the same calls.
        match last {
            Some(before) if Rc::ptr_eq(&before.obtained, &population.obtained) => {
                writeln!(out, "  obtained    as {}", before.of)?;
            }
            _ => obtained(out, style, &population.obtained)?,
        }
        if listed {
            writeln!(out)?;
            print_items(out, style, population)?;
        }
        last = last
            .filter(|before| Rc::ptr_eq(&before.obtained, &population.obtained))
            .or(Some(population));
    }
    Ok(())
}

fn print_counts(out: &mut dyn Write, style: Style, populations: &[Population]) -> Result<()> {
    let mut table = style.table(&["POPULATION", "NAME", "ITEMS", "TARGETS", "GAPS"]);
    for population in populations {
        table.add_row([
            population.of.clone(),
            population.name.unwrap_or_default().to_owned(),
            population.count().to_string(),
            population.targets.len().to_string(),
            population.gaps.len().to_string(),
        ]);
    }
    write!(out, "\n{}", style::lines(&table))?;
    Ok(())
}

/// What it is, how many, and what is missing.
pub(in crate::cli) fn about(out: &mut dyn Write, style: Style, population: &Population) -> Result<()> {
    let name = population
        .name
        .map_or_else(String::new, |name| format!(" ({name})"));
    let items = style::count(population.count(), "item", "items");
    writeln!(out, "{}{name}: {items}", style.strong(&population.of))?;
    let mut field =
        |name: &str, text: &str| writeln!(out, "  {}  {text}", style.faint(&format!("{name:10}")));
    if let Some(part) = population.part {
        field("is", part)?;
    }
    field("source", &places(population))?;
    field("counted", &counted(population))?;
    if !population.is_events && population.obtained.snapshots > 0 {
        let reach = population.reach.map_or_else(String::new, |reach| {
            format!(", for at most {}", hours(reach.num_minutes()))
        });
        field(
            "observed",
            &format!("at its snapshots, and inferred between them{reach}"),
        )?;
    }
    let gaps = &population.gaps;
    if gaps.is_empty() {
        field("gaps", "none")?;
    } else {
        field("gaps", &style.bad(&gaps.len().to_string()))?;
    }
    let alike = alike(gaps);
    for (gap, targets) in alike.iter().take(SHOWN) {
        writeln!(out, "    {}", told(gap, *targets))?;
    }
    if alike.len() > SHOWN {
        writeln!(
            out,
            "    and {} more: --format json lists all",
            alike.len() - SHOWN
        )?;
    }
    let mut field =
        |name: &str, text: &str| writeln!(out, "  {}  {text}", style.faint(&format!("{name:10}")));
    for exclusion in &population.exclusions {
        let of = [&exclusion.resource, &exclusion.source, &exclusion.target];
        let of: Vec<String> = of.into_iter().flatten().map(|text| plain(text)).collect();
        let of = if of.is_empty() {
            "all".to_owned()
        } else {
            of.join(", ")
        };
        let text = format!(
            "{of}: not tested ({}); in the list all the same",
            plain(&exclusion.reason)
        );
        field("excluded", &text)?;
    }
    Ok(())
}

fn places(population: &Population) -> String {
    let mut sources: Vec<&str> = population
        .targets
        .iter()
        .map(|scope| scope.source.as_str())
        .collect();
    sources.dedup();
    let targets = style::count(population.targets.len() as u64, "target", "targets");
    format!(
        "{} by {}: {targets}",
        plain(&sources.join(", ")),
        population.collector
    )
}

fn counted(population: &Population) -> String {
    let counts = &population.counts;
    let (read, distinct) = (population.read, population.count());
    let mut parts = vec![format!(
        "{read} read, {} repeated, {distinct} distinct",
        read - distinct
    )];
    let told = [
        (counts.changed, "changed later, the newest kept"),
        (counts.late, "shown late by the source"),
        (
            counts.untimed,
            "of an interval that is known, and a time that is not",
        ),
        (counts.at_start, "there when the period began"),
        (counts.gone, "gone before the last snapshot"),
    ];
    parts.extend(
        told.iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}")),
    );
    parts.join("; ")
}

fn told(gap: &Gap, targets: u64) -> String {
    let scope = &gap.scope;
    let place = match scope.target.as_str() {
        _ if targets > 1 => format!("{targets} targets of {}", plain(&scope.source)),
        "" => format!("all of {}", plain(&scope.source)),
        target => format!("{} of {}", plain(target), plain(&scope.source)),
    };
    let length = gap.span.length();
    let when = if length.num_milliseconds() == 0 {
        format!("the instant {}", minute(gap.span.from))
    } else {
        let length = hours(length.num_minutes());
        format!("{} to {}, {length}", minute(gap.span.from), minute(gap.span.to))
    };
    format!("{place}  {when}: {}", reasons(gap))
}

fn hours(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Source, queries, identity, counts, dates, second source.
fn obtained(out: &mut dyn Write, style: Style, obtained: &Obtained) -> Result<()> {
    let mut field =
        |name: &str, text: &str| writeln!(out, "  {}  {text}", style.faint(&format!("{name:10}")));
    let dates = obtained.dates.map_or_else(String::new, |(first, last)| {
        format!(", from {} to {}", minute(first), minute(last))
    });
    let snapshots = style::count(obtained.snapshots, "snapshot", "snapshots");
    let calls = style::count(obtained.count(), "call", "calls");
    field("obtained", &format!("{snapshots}{dates}, by {calls}"))?;
    for (caller, times) in &obtained.callers {
        field("as", &format!("{}, {times} times", plain(caller)))?;
    }
    for (basis, times) in &obtained.bases {
        field("complete", &format!("{} (said of {times})", plain(basis)))?;
    }
    let told = obtained.reconciled;
    for (second, times) in &obtained.second_sources {
        field("second", &format!("{} (of {times})", plain(second)))?;
    }
    if told.snapshots > 0 {
        let agree = match told.differ {
            0 => "all agree".to_owned(),
            differ => format!("{differ} differ"),
        };
        let counts = format!(
            "{} resources of all kinds read, {} expected",
            told.read, told.expected
        );
        field("reconciled", &format!("{counts}; {agree}"))?;
    }
    for (snapshot, basis) in obtained.incomplete.iter().take(SHOWN) {
        field("incomplete", &format!("snapshot {snapshot}: {}", plain(basis)))?;
    }
    if obtained.incomplete.len() > SHOWN {
        field(
            "",
            &format!("and {} more incomplete", obtained.incomplete.len() - SHOWN),
        )?;
    }
    if !obtained.unreadable.is_empty() {
        let leaves: Vec<String> = obtained.unreadable.iter().map(u64::to_string).collect();
        field("unreadable", &format!("snapshots {}", leaves.join(", ")))?;
    }
    for ((service, operation), calls) in &obtained.calls {
        writeln!(
            out,
            "    {} {}: {}",
            plain(service),
            plain(operation),
            call(calls)
        )?;
        for (name, values) in &calls.parameters {
            writeln!(out, "      {} = {}", plain(name), some(values))?;
        }
    }
    Ok(())
}

fn call(calls: &Calls) -> String {
    let statuses: Vec<String> = calls
        .statuses
        .iter()
        .map(|(status, times)| format!("{} ×{times}", plain(status)))
        .collect();
    format!(
        "{}, {}, {}; {}",
        style::count(calls.calls, "call", "calls"),
        style::count(calls.pages, "page", "pages"),
        style::count(calls.items, "item", "items"),
        statuses.join(", ")
    )
}

fn some(values: &Values) -> String {
    let cut = |text: &String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        match text.char_indices().nth(LONG) {
            Some((at, _)) => format!("{}…", plain(&text[..at])),
            None => plain(&text),
        }
    };
    let distinct = values.some.len();
    if distinct > SHOWN / 2 {
        let first = values.some.first().map(cut).unwrap_or_default();
        let more = if values.more { "more than " } else { "" };
        return format!("{more}{distinct} values, such as {first}");
    }
    values.some.iter().map(cut).collect::<Vec<_>>().join(" | ")
}

fn print_items(out: &mut dyn Write, style: Style, population: &Population) -> Result<()> {
    if population.items.is_empty() {
        return Ok(());
    }
    let times: &[&str] = if population.is_events {
        &["TIME", "LATE"]
    } else {
        &["FIRST SEEN", "LAST SEEN", "GONE"]
    };
    let mut table = style.table(&[&["N", "ID", "SOURCE", "TARGET"], times, &["SNAPSHOT"]].concat());
    for (item, n) in population.items.iter().zip(1_u64..) {
        let scope = &item.scope;
        let times = if population.is_events {
            vec![when(item), if item.late { "late" } else { "" }.to_owned()]
        } else {
            let gone = item.gone.map_or_else(String::new, minute);
            vec![minute(item.first_seen), minute(item.last_seen), gone]
        };
        let mut row = vec![
            n.to_string(),
            plain(&item.resource.id),
            plain(&scope.source),
            plain(&scope.target),
        ];
        row.extend(times);
        row.push(item.snapshot.to_string());
        table.add_row(row);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(())
}

/// An event's own time, or the end of the interval in which it arrived.
fn when(item: &Item) -> String {
    match item.at {
        Some(at) => minute(at),
        None => format!("by {}", minute(item.first_seen)),
    }
}

/// The leaf that seals a population.
pub(in crate::cli) fn print_sealed(out: &mut dyn Write, style: Style, sealed: &Sealed) -> Result<()> {
    let (seq, leaf) = (sealed.seq, &sealed.leaf);
    let items = style::count(leaf.count, "item", "items");
    let before = if sealed.was_there {
        "was sealed before, just so"
    } else {
        "is sealed"
    };
    let what = style.strong(&format!("population {seq}"));
    writeln!(out, "{what} {before}: {items} of {}", leaf.of)?;
    for note in notes(sealed) {
        writeln!(out, "note: {note}")?;
    }
    writeln!(
        out,
        "{}",
        style.faint(&format!("how a draw is made: {}", sample::IN_WORDS))
    )?;
    Ok(())
}

/// What an auditor should know of a list before anything is drawn from it.
pub(in crate::cli) fn notes(sealed: &Sealed) -> Vec<String> {
    let leaf = &sealed.leaf;
    let mut notes = Vec::new();
    if leaf.gaps > 0 {
        let gaps = style::count(leaf.gaps, "stretch", "stretches");
        let what = format!("the list may lack items: for {gaps} of the period there is no complete evidence");
        notes.push(format!("{what}; `evidenced show {}` lists them", sealed.seq));
    }
    if !leaf.over {
        let what = "the period was not over when the list was read: what came later is not in it";
        notes.push(what.to_owned());
    }
    if leaf.incomplete > 0 {
        let snapshots = style::count(leaf.incomplete, "snapshot was", "snapshots were");
        notes.push(format!(
            "{snapshots} not the whole population; later ones may have made up for it"
        ));
    }
    notes
}
