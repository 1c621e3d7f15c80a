//! The page for people: what an auditor's table of results needs, with the way from each of its figures to the evidence.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::listed::{self, Deviation, Gap, Missed};
use super::manual::{self, Manual};
use super::populations::{self, Section};
use super::strip::{self, Known, Month, Run};
use super::{ReportError, words};
use crate::populations::handed::Handed;
use crate::summary::{ControlRow, ManualRow, PeriodResult, SourceRow, State, Summary, TargetRow, TestRow};

/// So many targets of a source are shown one by one, those with the most trouble first; the tables have all.
const TARGETS: usize = 40;

/// So many gaps are named beside a source; the list of gaps has all.
const NAMED: usize = 8;

/// A page that needs no network and no script, and prints.
pub fn html(summary: &Summary, handed: &Handed) -> Result<String, ReportError> {
    let zone = summary.period.zone;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("time", move |time: Serde<DateTime<Utc>>| {
        let time = time.0.with_timezone(&zone).format("%Y-%m-%d %H:%M");
        Value::from_safe_string(format!("<span class=\"nowrap\">{time}</span>"))
    });
    environment.add_filter("date", move |time: Serde<DateTime<Utc>>| {
        time.0.with_timezone(&zone).format("%Y-%m-%d").to_string()
    });
    environment.add_filter("lasting", words::length);
    environment.add_filter("number", words::thousands);
    environment.add_filter("percent", |percent: Option<f64>| {
        percent.map_or_else(|| "no time".to_owned(), |percent| format!("{percent:.2}\u{a0}%"))
    });
    environment.add_filter("css", css);
    environment.add_filter("seq", |seq: u64| {
        Value::from_safe_string(format!("<code class=\"seq\">{seq}</code>"))
    });
    environment.add_filter("seen", |state: &str| match state {
        "pass" => "passing".to_owned(),
        other => other.replace('_', " "),
    });
    environment.add_filter("bytes", manual::bytes);
    for (name, text) in [
        ("report.html", include_str!("report.html")),
        ("beside.html", include_str!("beside.html")),
        ("manual.html", include_str!("manual.html")),
        ("attachments.html", include_str!("attachments.html")),
        ("populations.html", include_str!("populations.html")),
    ] {
        environment.add_template_owned(name, template(text))?;
    }
    Ok(environment
        .get_template("report.html")?
        .render(Value::from(Serde(&page(summary, handed, zone))))?)
}

/// The template, in which a line that is a tag and nothing else leaves no empty line behind.
fn template(text: &str) -> String {
    let is_tag =
        |line: &str| line.starts_with("{%") && line.ends_with("%}") && line.matches("{%").count() == 1;
    text.lines()
        .map(|line| {
            if is_tag(line) {
                line.to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect()
}

#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    version: &'static str,
    name: String,
    last: DateTime<Utc>,
    days: usize,
    state: &'static str,
    totals: Totals,
    controls: Vec<Control<'a>>,
    deviations: usize,
    gaps: Vec<Gap<'a>>,
    populations: Section<'a>,
    example: Option<u64>,
}

#[derive(Default, Serialize)]
struct Totals {
    deviations: u64,
    incomplete: u64,
    no_evidence: u64,
    no_occurrence: u64,
    no_deviations: u64,
    not_tested: u64,
    open: u64,
    ticks: u64,
    empty: u64,
    uncovered: u64,
}

#[derive(Serialize)]
struct Control<'a> {
    row: &'a ControlRow,
    result: &'static str,
    words: String,
    tests: Vec<Tested<'a>>,
    manual: Option<Manual<'a>>,
    deviations: Vec<String>,
}

#[derive(Serialize)]
struct Tested<'a> {
    row: &'a TestRow,
    performed: String,
    /// The control under which it is shown: the first that it serves.
    under: &'a str,
    sources: Vec<Source<'a>>,
    deviations: Vec<Deviation<'a>>,
}

#[derive(Serialize)]
struct Source<'a> {
    row: &'a SourceRow,
    months: Vec<Month>,
    known: Known,
    gaps: Vec<String>,
    more_gaps: usize,
    targets: Vec<Target<'a>>,
    more_targets: usize,
}

#[derive(Serialize)]
struct Target<'a> {
    row: &'a TargetRow,
    runs: Vec<Run>,
}

fn page<'a>(summary: &'a Summary, handed: &'a Handed, zone: Tz) -> Page<'a> {
    let deviations = listed::deviations(summary);
    let missed = listed::missed(summary);
    let gaps = listed::gaps(summary);
    let mut shown: HashMap<&str, &str> = HashMap::new();
    for control in &summary.controls {
        for test in &control.tests {
            shown.entry(test).or_insert(&control.control);
        }
    }
    let period = &summary.period;
    let control = |row| control(row, summary, (&deviations, &missed), &gaps, &shown, zone);
    Page {
        version: env!("CARGO_PKG_VERSION"),
        name: period.name.clone().unwrap_or_default(),
        last: period.to - TimeDelta::milliseconds(1),
        days: days(summary, zone),
        state: match summary.state {
            State::Ahead => "It has not begun",
            State::Running => "It goes on",
            State::Ended => "It has ended",
        },
        totals: totals(summary),
        controls: summary.controls.iter().map(control).collect(),
        deviations: deviations.len() + missed.len(),
        example: deviations
            .first()
            .map(|deviation| deviation.failed.first_fail.evaluation),
        gaps,
        populations: populations::section(summary, handed),
        summary,
    }
}

fn control<'a>(
    row: &'a ControlRow,
    summary: &'a Summary,
    (deviations, missed): (&[Deviation<'a>], &[Missed<'a>]),
    gaps: &[Gap<'a>],
    shown: &HashMap<&'a str, &'a str>,
    zone: Tz,
) -> Control<'a> {
    let own = |deviation: &&Deviation| row.tests.contains(&deviation.failed.test);
    let tests = summary.tests.iter().filter(|test| row.tests.contains(&test.test));
    let brought = summary.manual.iter().find(|of| of.control == row.control);
    let own_missed = missed.iter().filter(|missed| missed.row.control == row.control);
    let ids = deviations.iter().filter(own).map(|deviation| &deviation.id);
    Control {
        row,
        result: words::result_name(row.result),
        words: words::result(row, brought),
        deviations: ids
            .chain(own_missed.clone().map(|missed| &missed.id))
            .cloned()
            .collect(),
        manual: brought.map(|row| manual::shown(row, own_missed.cloned().collect(), &summary.period)),
        tests: tests
            .map(|test| {
                let under = shown.get(test.test.as_str()).copied().unwrap_or(&row.control);
                let is_here = under == row.control;
                let sources = test.sources.iter().filter(|_| is_here);
                let failed = deviations
                    .iter()
                    .filter(|deviation| is_here && deviation.failed.test == test.test);
                Tested {
                    row: test,
                    performed: words::performed(test),
                    under,
                    sources: sources.map(|row| source(row, summary, gaps, zone)).collect(),
                    deviations: failed.cloned().collect(),
                }
            })
            .collect(),
    }
}

fn source<'a>(row: &'a SourceRow, summary: &Summary, gaps: &[Gap], zone: Tz) -> Source<'a> {
    let own: Vec<_> = gaps.iter().filter(|gap| gap.is_of(row)).collect();
    // One target is what all of them are.
    let mut targets: Vec<_> = match row.targets.len() {
        0 | 1 => Vec::new(),
        _ => row.targets.iter().collect(),
    };
    targets.sort_by_key(|target| Reverse(strip::trouble(&target.tally.days)));
    let more_targets = targets.len().saturating_sub(TARGETS);
    let targets = targets.into_iter().take(TARGETS).map(|row| Target {
        row,
        runs: strip::runs(&row.tally.days),
    });
    Source {
        row,
        months: strip::months(&row.all.days, summary.period.from, zone),
        known: strip::known(&row.all.days),
        gaps: own.iter().take(NAMED).map(|gap| gap.id.clone()).collect(),
        more_gaps: own.len().saturating_sub(NAMED),
        targets: targets.collect(),
        more_targets,
    }
}

fn totals(summary: &Summary) -> Totals {
    let mut totals = Totals::default();
    for control in &summary.controls {
        *match control.result {
            PeriodResult::Deviations => &mut totals.deviations,
            PeriodResult::Incomplete => &mut totals.incomplete,
            PeriodResult::NoEvidence => &mut totals.no_evidence,
            PeriodResult::NoOccurrence => &mut totals.no_occurrence,
            PeriodResult::NoDeviations => &mut totals.no_deviations,
            PeriodResult::NotTested => &mut totals.not_tested,
        } += 1;
    }
    for row in &summary.evidence {
        totals.ticks += row.ticks.owed;
        totals.empty += row.ticks.owed - row.ticks.collected;
    }
    let open = summary
        .deviations
        .iter()
        .filter(|failed| matches!(failed.state, "open" | "excepted"));
    let missed: u64 = summary.manual.iter().map(ManualRow::open).sum();
    totals.open = open.count() as u64 + missed;
    let uncovered = |test: &&TestRow| {
        let mut sources = test.sources.iter();
        test.sources.is_empty() || sources.any(|source| source.all.covered_seconds < source.all.of_seconds)
    };
    totals.uncovered = summary.tests.iter().filter(uncovered).count() as u64;
    totals
}

/// How many days of its zone the period touches.
fn days(summary: &Summary, zone: Tz) -> usize {
    let date = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let last = date(summary.period.to - TimeDelta::milliseconds(1));
    let between = last.signed_duration_since(date(summary.period.from)).num_days();
    usize::try_from(between + 1).unwrap_or_default()
}

/// A text as a string of a style sheet: every character that could be more than itself by its number.
fn css(text: &str) -> Value {
    let escaped = text.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_string()
        } else {
            format!("\\{:x} ", u32::from(c))
        }
    });
    Value::from_safe_string(format!("\"{}\"", escaped.collect::<String>()))
}
