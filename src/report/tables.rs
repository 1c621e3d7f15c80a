//! The tables of a period for a spreadsheet: one row for each control, test and target, deviation, gap and change.

use chrono::{DateTime, Utc};
use std::io;

use super::listed::{self, controls};
use super::{ReportError, manual, words};
use crate::log::leaf::format_time;
use crate::summary::{Sighting, Summary, Tally, TestRow};
use crate::table::{BYTE_ORDER_MARK, Writer};

mod wordings;

/// The tables, by file name. Times are UTC; what is not known is an empty cell.
pub fn tables(summary: &Summary) -> Result<[(&'static str, Vec<u8>); 7], ReportError> {
    Ok([
        ("controls.csv", of_controls(summary)?),
        ("tests.csv", of_tests(summary)?),
        ("wordings.csv", wordings::table(summary)?),
        ("deviations.csv", of_deviations(summary)?),
        ("manual.csv", manual::table(summary)?),
        ("gaps.csv", of_gaps(summary)?),
        ("changes.csv", of_changes(summary)?),
    ])
}

fn begun(columns: &[&str]) -> io::Result<Writer<Vec<u8>>> {
    Writer::new(BYTE_ORDER_MARK.as_bytes().to_vec(), columns)
}

fn of_controls(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&[
        "control",
        "statement",
        "owner",
        "frequency",
        "criteria",
        "tests",
        "result",
        "deviations",
        "open",
        "least_coverage_percent",
    ])?;
    for control in &summary.controls {
        let criteria: Vec<_> = control.criteria.iter().map(ToString::to_string).collect();
        table.row([
            control.control.clone(),
            control.statement.clone(),
            control.owner.clone(),
            control.frequency.clone().unwrap_or_default(),
            criteria.join(" "),
            control.tests.join(" "),
            words::result_name(control.result).to_owned(),
            control.deviations.to_string(),
            control.open.to_string(),
            percent(control.coverage_percent),
        ])?;
    }
    table.finish()
}

fn of_tests(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&[
        "test",
        "title",
        "controls",
        "severity",
        "max_age",
        "resource",
        "applies",
        "passes",
        "collector",
        "source",
        "of",
        "target",
        "owed",
        "collected",
        "incomplete",
        "failed_ticks",
        "missed",
        "unaccounted",
        "looks",
        "passed",
        "failed",
        "unknown",
        "excepted",
        "not_applicable",
        "covered_seconds",
        "of_seconds",
        "coverage_percent",
        "longest_from",
        "longest_to",
        "longest_seconds",
        "longest_why",
        "first",
        "first_snapshot",
        "last",
        "last_snapshot",
        "days",
    ])?;
    for test in &summary.tests {
        if test.sources.is_empty() {
            let mut row = of_test(summary, test);
            row.resize(36, String::new());
            table.row(row)?;
        }
        for source in &test.sources {
            let mut row = |of: &str, target: &str, tally: &Tally| {
                let mut row = of_test(summary, test);
                row.extend([&source.collector, &source.source].map(Clone::clone));
                row.extend([of.to_owned(), target.to_owned()]);
                row.extend(of_tally(tally));
                table.row(row)
            };
            row("all targets", "", &source.all)?;
            for target in &source.targets {
                row(
                    "target",
                    target.target.as_deref().unwrap_or_default(),
                    &target.tally,
                )?;
            }
        }
    }
    table.finish()
}

fn of_test(summary: &Summary, test: &TestRow) -> Vec<String> {
    let served: Vec<_> = controls(summary, &test.test)
        .map(|control| control.control.as_str())
        .collect();
    vec![
        test.test.clone(),
        test.title.clone(),
        served.join(" "),
        test.severity.to_string(),
        test.max_age.clone(),
        test.resource.clone(),
        test.applies.clone(),
        test.passes.clone(),
    ]
}

fn of_tally(tally: &Tally) -> [String; 24] {
    let (ticks, of, longest) = (&tally.ticks, &tally.observations, &tally.longest);
    let seq = |at: Option<crate::period::slot::At>| at.map_or_else(String::new, |at| at.snapshot.to_string());
    [
        ticks.owed.to_string(),
        ticks.collected.to_string(),
        ticks.incomplete.to_string(),
        ticks.failed.to_string(),
        ticks.missed.to_string(),
        ticks.unaccounted.to_string(),
        of.taken.to_string(),
        of.passed.to_string(),
        of.failed.to_string(),
        of.unknown.to_string(),
        of.excepted.to_string(),
        of.not_applicable.to_string(),
        tally.covered_seconds.to_string(),
        tally.of_seconds.to_string(),
        percent(tally.coverage_percent),
        format_time(longest.stretch.from),
        format_time(longest.stretch.to),
        longest.seconds.to_string(),
        longest.why.join("; "),
        time(tally.first.map(|at| at.time)),
        seq(tally.first),
        time(tally.last.map(|at| at.time)),
        seq(tally.last),
        tally.days.clone(),
    ]
}

fn of_deviations(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&[
        "id",
        "test",
        "controls",
        "severity",
        "collector",
        "source",
        "target",
        "resource",
        "state",
        "reason",
        "event_interval_from",
        "before",
        "before_time",
        "before_snapshot",
        "first_fail",
        "first_fail_snapshot",
        "first_fail_evaluation",
        "last_fail",
        "last_fail_snapshot",
        "end",
        "end_time",
        "end_snapshot",
        "detected",
        "open_at_start",
        "open_at_end",
        "at_least_seconds",
        "at_most_seconds",
        "exceptions",
        "notified",
        "notified_channel",
        "notified_seq",
        "acknowledged",
        "acknowledged_by",
        "acknowledged_seq",
        "ticket",
        "cause",
        "correction",
        "response",
    ])?;
    for deviation in listed::deviations(summary) {
        let failed = deviation.failed;
        let said = &deviation.said;
        let told = failed.notified.as_ref();
        let acknowledged = failed.acknowledged.first();
        let exceptions: Vec<_> = failed.exceptions.iter().map(u64::to_string).collect();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let state = |seen: &Option<Sighting>| text(seen.as_ref().and_then(|seen| seen.state));
        let when = |seen: &Option<Sighting>| time(seen.as_ref().map(|seen| seen.time));
        let snapshot = |seen: &Option<Sighting>| number(seen.as_ref().map(|seen| seen.snapshot));
        table.row([
            deviation.id.clone(),
            failed.test.clone(),
            deviation.controls.join(" "),
            deviation
                .test
                .map_or_else(String::new, |test| test.severity.to_string()),
            failed.collector.clone(),
            failed.source.clone(),
            failed.target.clone(),
            failed.resource.clone(),
            failed.state.to_owned(),
            failed.reason.clone(),
            time(failed.events_from),
            state(&failed.before),
            when(&failed.before),
            snapshot(&failed.before),
            format_time(failed.first_fail.time),
            failed.first_fail.snapshot.to_string(),
            failed.first_fail.evaluation.to_string(),
            format_time(failed.last_fail.time),
            failed.last_fail.snapshot.to_string(),
            state(&failed.end),
            when(&failed.end),
            snapshot(&failed.end),
            format_time(failed.detected),
            failed.open_at_start.to_string(),
            failed.open_at_end.to_string(),
            failed.at_least_seconds.to_string(),
            failed
                .at_most_seconds
                .map_or_else(String::new, |seconds| seconds.to_string()),
            exceptions.join(" "),
            time(told.map(|told| told.time)),
            text(told.map(|told| told.channel.as_str())),
            number(told.map(|told| told.seq)),
            time(acknowledged.map(|said| said.time)),
            text(acknowledged.map(|said| said.what.recorded_by.as_str())),
            number(acknowledged.map(|said| said.seq)),
            text(said.ticket),
            text(said.cause),
            text(said.correction),
            text(said.response),
        ])?;
    }
    table.finish()
}

fn of_gaps(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&[
        "id",
        "collector",
        "source",
        "target",
        "first",
        "last",
        "ticks",
        "fate",
        "why",
    ])?;
    for gap in listed::gaps(summary) {
        let (row, hole) = (gap.row, gap.hole);
        table.row([
            gap.id.clone(),
            row.collector.clone(),
            row.source.clone(),
            row.target.clone().unwrap_or_default(),
            format_time(hole.first),
            format_time(hole.last),
            hole.ticks.to_string(),
            hole.fate.to_owned(),
            hole.why.clone(),
        ])?;
    }
    table.finish()
}

fn of_changes(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&["seq", "time", "what", "detail", "by"])?;
    for change in &summary.changes {
        table.row([
            change.seq.to_string(),
            format_time(change.time),
            change.what.to_owned(),
            change.detail.clone(),
            change.by.clone().unwrap_or_default(),
        ])?;
    }
    table.finish()
}

fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(String::new, |percent| format!("{percent:.2}"))
}

fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(String::new, format_time)
}
