//! A period for people: what matters first, each part with the way to its details.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use comfy_table::Cell;
use std::io::Write;

use super::super::style::{self, Style};
use super::manual;
use super::sampling;
use crate::period::coverage::Stretch;
use crate::summary::{Failed, PeriodResult, State, Summary, TestRow};

mod beside;

/// So many of a list are shown: the rest is in the JSON.
const SHOWN: usize = 20;

pub(super) fn print(out: &mut dyn Write, summary: &Summary, since: bool) -> Result<()> {
    let style = Style::of_stdout();
    let told = Told {
        style,
        zone: summary.period.zone,
    };
    told.head(out, summary, since)?;
    if !since {
        told.controls(out, summary)?;
        told.tests(out, summary)?;
    }
    manual::print(out, summary)?;
    told.evidence(out, summary)?;
    told.deviations(out, summary)?;
    sampling::print(out, style, summary)?;
    told.changes(out, summary)?;
    told.people(out, summary)?;
    if since { Ok(()) } else { lost(out, summary) }
}

struct Told {
    style: Style,
    zone: Tz,
}

impl Told {
    fn head(&self, out: &mut dyn Write, summary: &Summary, since: bool) -> Result<()> {
        let period = &summary.period;
        let name = match &period.name {
            Some(name) => name.as_str(),
            None if since => "since",
            None => "period",
        };
        let last = period.to - TimeDelta::milliseconds(1);
        let day = |at: DateTime<Utc>| at.with_timezone(&self.zone).format("%Y-%m-%d").to_string();
        let state = match summary.state {
            _ if since => "",
            State::Ahead => ": it has not begun",
            State::Running => ": it goes on",
            State::Ended => ": it has ended",
        };
        writeln!(
            out,
            "{}: {} to {} ({}), as of {}{state}",
            self.style.strong(name),
            day(period.from),
            day(last),
            period.zone,
            self.minute(summary.as_of),
        )?;
        if !since {
            for reason in &summary.draft {
                writeln!(out, "{} an export is a draft: {reason}", self.style.bad("!"))?;
            }
        }
        for (what, list) in [
            ("snapshots that nothing has judged", &summary.unjudged),
            ("leaves that can't be read", &summary.unreadable),
        ] {
            if !list.is_empty() {
                let named: Vec<_> = list.iter().take(SHOWN).map(u64::to_string).collect();
                let more = if list.len() > SHOWN { ", …" } else { "" };
                writeln!(
                    out,
                    "{} {} {what}: {}{more}",
                    self.style.bad("!"),
                    list.len(),
                    named.join(", ")
                )?;
            }
        }
        writeln!(out)?;
        Ok(())
    }

    fn controls(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        if summary.controls.is_empty() {
            writeln!(
                out,
                "No control in scope was in force: nothing can be said of this period.\n"
            )?;
            return Ok(());
        }
        let mut table = self
            .style
            .table(&["CONTROL", "CRITERIA", "RESULT", "COVERED", "DEVIATIONS"]);
        for control in &summary.controls {
            let criteria: Vec<_> = control.criteria.iter().map(ToString::to_string).collect();
            let deviations = match (control.deviations, control.open) {
                (0, _) => "-".to_owned(),
                (all, 0) => all.to_string(),
                (all, open) => format!("{all}, {open} open"),
            };
            table.add_row([
                Cell::new(&control.control),
                Cell::new(criteria.join(" ")),
                self.result(control.result),
                Cell::new(percent(control.coverage_percent)),
                Cell::new(deviations),
            ]);
        }
        writeln!(out, "{}", style::lines(&table))?;
        Ok(())
    }

    fn result(&self, result: PeriodResult) -> Cell {
        match result {
            PeriodResult::Deviations => self.style.bad_cell("deviations"),
            PeriodResult::Incomplete => self.style.bad_cell("incomplete"),
            PeriodResult::NoEvidence => self.style.bad_cell("no evidence"),
            PeriodResult::NoOccurrence => Cell::new("no occurrence"),
            PeriodResult::NoDeviations => Cell::new("no deviations"),
            PeriodResult::NotTested => Cell::new("not tested"),
        }
    }

    fn tests(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        let head = [
            "TEST",
            "SOURCE",
            "PASSED",
            "OBSERVED",
            "COVERED",
            "LONGEST WITHOUT",
        ];
        let mut table = self.style.table(&head);
        for test in &summary.tests {
            for (at, source) in test.sources.iter().enumerate() {
                let of = &source.all.observations;
                let first = if at == 0 { test.test.as_str() } else { "" };
                let passed = match (of.passed, of.taken, of.not_applicable) {
                    (0, taken, none) if none > 0 && none == taken => "no occurrence".to_owned(),
                    (passed, taken, 0) => format!("{passed} of {taken}"),
                    (passed, taken, none) => format!("{passed} of {taken}, {none} without occurrence"),
                };
                table.add_row([
                    Cell::new(first),
                    Cell::new(&source.source),
                    if of.failed + of.unknown > 0 {
                        self.style.bad_cell(&passed)
                    } else {
                        Cell::new(passed)
                    },
                    Cell::new(span(
                        source.all.first.map(|at| at.time),
                        source.all.last.map(|at| at.time),
                        self.zone,
                    )),
                    Cell::new(percent(source.all.coverage_percent)),
                    Cell::new(format!(
                        "{}: {}",
                        length(source.all.longest.stretch),
                        source.all.longest.why.join("; ")
                    )),
                ]);
            }
        }
        if !summary.tests.is_empty() {
            writeln!(out, "{}", style::lines(&table))?;
        }
        for test in summary.tests.iter().filter(|test| test.versions.len() > 1) {
            writeln!(
                out,
                "{} {} was worded in {} ways: {}",
                self.style.bad("~"),
                test.test,
                test.versions.len(),
                self.versions(test)
            )?;
            if let Some(beside) = &test.beside {
                beside::print(out, beside, &|at| self.minute(at))?;
            }
        }
        Ok(())
    }

    fn versions(&self, test: &TestRow) -> String {
        let told = test.versions.iter().map(|version| {
            let changed = if version.changed.is_empty() {
                String::new()
            } else {
                format!(" ({})", version.changed.join(", "))
            };
            format!("from {}{changed}", self.minute(version.from))
        });
        told.collect::<Vec<_>>().join("; ")
    }

    fn evidence(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        let head = [
            "COLLECTOR",
            "SOURCE",
            "TARGET",
            "OWED",
            "COLLECTED",
            "INCOMPLETE",
            "FAILED",
            "MISSED",
            "UNACCOUNTED",
        ];
        let mut table = self.style.table(&head);
        for row in &summary.evidence {
            let ticks = &row.ticks;
            let bad = |count: u64| {
                if count > 0 {
                    self.style.bad_cell(&count.to_string())
                } else {
                    Cell::new("-")
                }
            };
            table.add_row([
                Cell::new(&row.collector),
                Cell::new(&row.source),
                Cell::new(
                    row.target
                        .as_deref()
                        .map_or_else(|| "(targets unknown)".to_owned(), style::plain),
                ),
                Cell::new(ticks.owed),
                Cell::new(ticks.collected),
                bad(ticks.incomplete),
                bad(ticks.failed),
                bad(ticks.missed),
                bad(ticks.unaccounted),
            ]);
        }
        if summary.evidence.is_empty() {
            writeln!(
                out,
                "No daemon ran in this time: nothing was owed by a schedule.\n"
            )?;
            return Ok(());
        }
        writeln!(out, "{}", style::lines(&table))?;
        let holes: Vec<_> = summary
            .evidence
            .iter()
            .flat_map(|row| row.holes.iter().map(move |hole| (row, hole)))
            .collect();
        for (row, hole) in holes.iter().take(SHOWN) {
            let ticks = style::count(hole.ticks, "tick", "ticks");
            let when = span(Some(hole.first), Some(hole.last), self.zone);
            let target = row
                .target
                .as_deref()
                .map_or_else(String::new, |target| format!("  {}", style::plain(target)));
            writeln!(
                out,
                "{} {}  {}{target}: {ticks} {}, {when}: {}",
                self.style.bad("-"),
                row.collector,
                row.source,
                hole.fate,
                hole.why
            )?;
        }
        more(out, holes.len(), "gaps")?;
        for down in &summary.downtime {
            let until = down
                .to
                .map_or_else(|| "the end of what is known".to_owned(), |to| self.minute(to));
            writeln!(
                out,
                "{} no daemon from {} to {until}",
                self.style.bad("-"),
                self.minute(down.from)
            )?;
        }
        if !holes.is_empty() || !summary.downtime.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    fn deviations(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        for failed in summary.deviations.iter().take(SHOWN) {
            writeln!(out, "{} {}", self.style.bad("✗"), self.failed(failed))?;
        }
        more(out, summary.deviations.len(), "deviations")?;
        if !summary.deviations.is_empty() {
            writeln!(out, "  `evidenced deviations` tells what was done about each\n")?;
        }
        Ok(())
    }

    fn failed(&self, failed: &Failed) -> String {
        let what = format!(
            "{}  {}  {}",
            failed.test,
            failed.source,
            style::plain(&failed.resource)
        );
        if failed.events_from.is_some() {
            return format!("{what}: an event, found {}", self.minute(failed.first_fail.time));
        }
        let before = match &failed.before {
            Some(before) => format!("last seen {} {}", seen(before.state), self.minute(before.time)),
            None => "not seen before".to_owned(),
        };
        let mut edges = Vec::new();
        if failed.open_at_start {
            edges.push("open at the beginning");
        }
        if failed.open_at_end {
            edges.push("open at the end");
        }
        let end = match &failed.end {
            Some(end) if failed.open_at_end => format!(
                "a subsequent event: {} {}",
                seen(end.state),
                self.minute(end.time)
            ),
            Some(end) => format!("{} {}", seen(end.state), self.minute(end.time)),
            None => format!(
                "{}, last found {}",
                failed.state,
                self.minute(failed.last_fail.time)
            ),
        };
        let edges = if edges.is_empty() {
            String::new()
        } else {
            format!(" ({})", edges.join(", "))
        };
        format!(
            "{what}: {before}, failing {}, {end}{edges}",
            self.minute(failed.first_fail.time)
        )
    }

    fn changes(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        for change in summary.changes.iter().take(SHOWN) {
            let by = change
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!(", by {}", style::plain(by)));
            let seq = self.style.faint(&format!("(seq {})", change.seq));
            writeln!(
                out,
                "~ {} {}: {}{by} {seq}",
                self.minute(change.time),
                change.what,
                style::plain(&change.detail)
            )?;
        }
        more(out, summary.changes.len(), "changes")?;
        if !summary.changes.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    fn people(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        for person in &summary.people {
            let overlap = if person.overlap {
                self.style.bad("  one person in several of these roles")
            } else {
                String::new()
            };
            writeln!(
                out,
                "{}: {}{overlap}",
                style::plain(&person.name),
                person.roles.join(", ")
            )?;
        }
        if !summary.people.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    fn minute(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M").to_string()
    }
}

/// What no later work can change.
fn lost(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let (mut ticks, mut owed) = (0, 0);
    for row in &summary.evidence {
        owed += row.ticks.owed;
        ticks += row.ticks.owed - row.ticks.collected;
    }
    let covered = |test: &&TestRow| {
        test.sources
            .iter()
            .any(|source| source.all.covered_seconds < source.all.of_seconds)
    };
    let uncovered = summary.tests.iter().filter(covered).count();
    let overdue: usize = summary.manual.iter().map(|row| row.overdue.len()).sum();
    let deviations = summary.deviations.len() + overdue;
    if ticks == 0 && uncovered == 0 && deviations == 0 {
        return Ok(());
    }
    let deviations = style::count(deviations as u64, "deviation", "deviations");
    writeln!(
        out,
        "Whatever is done now, the auditor will find: {deviations}, {ticks} of {owed} ticks without whole evidence,\n\
         {} not covered all of the time.",
        style::count(uncovered as u64, "test", "tests"),
    )?;
    Ok(())
}

fn more(out: &mut dyn Write, all: usize, what: &str) -> Result<()> {
    if all > SHOWN {
        writeln!(out, "  and {} more {what}: --format json has all", all - SHOWN)?;
    }
    Ok(())
}

fn seen(state: Option<&'static str>) -> &'static str {
    match state {
        Some("pass") => "passing",
        Some("gone") => "gone",
        Some("not_applicable") => "not applicable",
        _ => "failing",
    }
}

fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2} %"))
}

fn span(first: Option<DateTime<Utc>>, last: Option<DateTime<Utc>>, zone: Tz) -> String {
    let minute = |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    match (first, last) {
        (Some(first), Some(last)) if first == last => minute(first),
        (Some(first), Some(last)) => format!("{} to {}", minute(first), minute(last)),
        _ => "never".to_owned(),
    }
}

/// In the two largest units.
fn length(stretch: Stretch) -> String {
    let minutes = stretch.length().num_minutes();
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes:02} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
