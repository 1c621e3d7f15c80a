//! `evidenced status`: where every target and control stands now.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::Cell;
use serde::Serialize;
use std::io::Write;

use super::collect::{ShownControl, print_controls, shown_controls};
use super::exit::Exit;
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::control::{ControlResult, Outcome};
use crate::log::leaf::format_time;
use crate::log::start;
use crate::log::store::Reader;
use crate::standing::{self, Latest, Standing};

mod alerts;
mod daemon;
pub(super) mod manual;

use alerts::ShownAlerts;
use daemon::ShownDaemon;
use manual::ShownManual;

/// Where every target and control stands now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced status
  evidenced status --format json
  evidenced status --ready          whether the running daemon is ready, for health checks: 0 if it is, 1 if not

Evidence older than a test allows (max_age) no longer passes it. Where people owe evidence for a
control, it is unknown until they gave it, passes while what was due was given, is unknown again
within the grace time, and fails when that is over. Exit codes as of collect.")]
pub(super) struct Arguments {
    /// Ask the running daemon, where it listens, whether what it collects is recorded
    #[arg(long)]
    ready: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    origin: String,
    store: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<ShownDaemon>,
    targets: Vec<ShownTarget<'a>>,
    controls: Vec<ShownControl<'a>>,
    /// The evidence that people owe, by control.
    manual: Vec<ShownManual<'a>>,
    alerts: ShownAlerts,
}

#[derive(Serialize)]
struct ShownTarget<'a> {
    collector: &'a str,
    source: &'a str,
    target: Option<&'a str>,
    snapshot: Option<u64>,
    time: Option<String>,
    complete: bool,
    resources: u64,
    outcome: Outcome,
    /// Why the newest snapshot does not speak for every test now.
    doubts: Vec<String>,
    /// Failures that an exception covers now.
    excepted: Vec<ShownExcepted<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ShownFailure>,
}

#[derive(Serialize)]
struct ShownExcepted<'a> {
    test: &'a str,
    resources: u64,
    exception: u64,
    expires: String,
}

#[derive(Serialize)]
struct ShownFailure {
    seq: u64,
    time: String,
    message: String,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    if arguments.ready {
        return daemon::ready(common, out);
    }
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let now = clock::system().now();
    let Some(standing) = standing::standing(&reader)? else {
        return nothing_yet(common, out, &reader);
    };
    for seq in standing.leaves() {
        setup::committed_leaf(&reader, seq)?;
    }
    let controls = standing.controls(now);
    let daemon = daemon::shown(&reader, now)?;
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                origin: reader.origin().to_string(),
                store: reader.paths().directory().display().to_string(),
                size: reader.size()?,
                daemon,
                targets: standing
                    .latest
                    .iter()
                    .map(|latest| shown(&standing, latest, now))
                    .collect(),
                controls: shown_controls(&controls),
                manual: manual::shown(&standing, now),
                alerts: alerts::shown(&reader)?,
            },
        )?,
        Format::Text => print_text(out, &reader, &standing, daemon.as_ref(), &controls, now)?,
    }
    Ok(exit(&standing, &controls, now))
}

/// Nobody has looked yet: that is unknown, not well.
fn nothing_yet(common: &Common, out: &mut dyn Write, reader: &Reader) -> Result<Exit> {
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                origin: reader.origin().to_string(),
                store: reader.paths().directory().display().to_string(),
                size: reader.size()?,
                daemon: None,
                targets: Vec::new(),
                controls: Vec::new(),
                manual: Vec::new(),
                alerts: alerts::shown(reader)?,
            },
        )?,
        Format::Text => {
            print_head(out, reader)?;
            writeln!(
                out,
                "Nothing has been collected yet: run `evidenced collect --once`."
            )?;
        }
    }
    Ok(Exit::TestFails)
}

fn exit(standing: &Standing, controls: &[ControlResult], now: DateTime<Utc>) -> Exit {
    let mut outcomes = standing
        .latest
        .iter()
        .map(|latest| standing.outcome(latest, now))
        .chain(controls.iter().map(|control| control.outcome));
    if standing.latest.iter().any(|latest| latest.failure.is_some()) {
        Exit::NotCollected
    } else if outcomes.any(|outcome| matches!(outcome, Outcome::Fail | Outcome::Unknown)) {
        Exit::TestFails
    } else {
        Exit::Well
    }
}

fn shown<'a>(standing: &'a Standing, latest: &'a Latest, now: DateTime<Utc>) -> ShownTarget<'a> {
    let snapshot = latest.snapshot.as_ref();
    let excepted = standing.excepted(latest, now).filter_map(|excepted| {
        let waiver = excepted.newest.as_ref()?;
        Some(ShownExcepted {
            test: excepted.test.as_str(),
            resources: excepted.resources,
            exception: waiver.seq,
            expires: format_time(waiver.expires),
        })
    });
    ShownTarget {
        collector: &latest.collector,
        source: &latest.source,
        target: latest.target.as_deref(),
        snapshot: snapshot.map(|snapshot| snapshot.seq),
        time: snapshot.map(|snapshot| format_time(snapshot.until)),
        complete: snapshot.is_some_and(|snapshot| snapshot.complete),
        resources: snapshot.map_or(0, |snapshot| snapshot.resources),
        outcome: standing.outcome(latest, now),
        doubts: standing.doubts(latest, now),
        excepted: excepted.collect(),
        failure: latest.failure.as_ref().map(|(seq, time, failure)| ShownFailure {
            seq: *seq,
            time: format_time(*time),
            message: failure.message.clone(),
        }),
    }
}

fn print_head(out: &mut dyn Write, reader: &Reader) -> Result<()> {
    writeln!(
        out,
        "{}: {} in {}\n",
        Style::of_stdout().strong(reader.origin().as_str()),
        style::count(reader.size()?, "leaf", "leaves"),
        reader.paths().directory().display()
    )?;
    Ok(())
}

fn print_text(
    out: &mut dyn Write,
    reader: &Reader,
    standing: &Standing,
    daemon: Option<&ShownDaemon>,
    controls: &[ControlResult],
    now: DateTime<Utc>,
) -> Result<()> {
    let style = Style::of_stdout();
    print_head(out, reader)?;
    if let Some(daemon) = daemon {
        daemon::print(out, style, daemon)?;
    }
    let mut table = style.table(&[
        "COLLECTOR",
        "SOURCE",
        "TARGET",
        "NEWEST EVIDENCE",
        "RESOURCES",
        "OUTCOME",
    ]);
    for latest in &standing.latest {
        let (age, resources) = match &latest.snapshot {
            Some(snapshot) => (
                Cell::new(format!("{} (seq {})", ago(now, snapshot.until), snapshot.seq)),
                format!(
                    "{}{}",
                    snapshot.resources,
                    if snapshot.complete { "" } else { ", incomplete" }
                ),
            ),
            None => (style.bad_cell("never"), "-".to_owned()),
        };
        table.add_row([
            Cell::new(&latest.collector),
            Cell::new(&latest.source),
            Cell::new(name(latest)),
            age,
            Cell::new(resources),
            style.outcome_cell(standing.outcome(latest, now)),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    writeln!(out)?;
    print_remarks(out, style, standing, now)?;
    alerts::print(out, style, &alerts::shown(reader)?)?;
    manual::print(out, style, standing, now)?;
    print_controls(out, style, controls)
}

/// What a reader of the table must know of each target: why its newest evidence does not speak, what failed since,
/// and where the findings are.
fn print_remarks(out: &mut dyn Write, style: Style, standing: &Standing, now: DateTime<Utc>) -> Result<()> {
    let mut any = false;
    for latest in &standing.latest {
        let about = format!("{}  {}  {}", latest.collector, latest.source, name(latest));
        for doubt in standing.doubts(latest, now) {
            writeln!(out, "{} {about}: {}", style.bad("!"), style::plain(&doubt))?;
            any = true;
        }
        if let Some((seq, time, failure)) = &latest.failure {
            writeln!(
                out,
                "{} {about}: failed {}: {} {}",
                style.bad("✗"),
                ago(now, *time),
                style::plain(&failure.message),
                style.faint(&format!("(seq {seq})"))
            )?;
            any = true;
        }
        for excepted in standing.excepted(latest, now) {
            let Some(waiver) = &excepted.newest else { continue };
            writeln!(
                out,
                "{} {about}: {} excepted on {} until {} {}",
                style.faint("~"),
                excepted.test,
                style::count(excepted.resources, "resource", "resources"),
                style::minute(waiver.expires),
                style.faint(&format!("(exception {})", waiver.seq))
            )?;
            any = true;
        }
        let judged = latest
            .snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.evaluation.as_ref());
        if let Some(judged) = judged
            && matches!(
                standing.outcome(latest, now),
                Outcome::Fail | Outcome::Unknown | Outcome::Excepted
            )
        {
            writeln!(
                out,
                "  {about}: `evidenced show {}` lists every finding",
                judged.seq
            )?;
            any = true;
        }
    }
    if any {
        writeln!(out)?;
    }
    Ok(())
}

fn name(latest: &Latest) -> String {
    latest
        .target
        .as_deref()
        .map_or_else(|| "(targets unknown)".to_owned(), style::plain)
}

/// How long ago, in the largest unit that fits.
fn ago(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let age = now - then;
    if age < TimeDelta::zero() {
        return "in the future".to_owned();
    }
    let (count, unit) = match age.num_minutes() {
        0 => return "just now".to_owned(),
        minutes @ 1..120 => (minutes, "minute"),
        minutes @ 120..2880 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!(
        "{} ago",
        style::count(count.unsigned_abs(), unit, &format!("{unit}s"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_largest_unit_that_fits() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        let told = |age| ago(now, now - age);
        assert_eq!(told(TimeDelta::seconds(5)), "just now");
        assert_eq!(told(TimeDelta::minutes(1)), "1 minute ago");
        assert_eq!(told(TimeDelta::minutes(150)), "2 hours ago");
        assert_eq!(told(TimeDelta::days(3)), "3 days ago");
        assert_eq!(told(TimeDelta::seconds(-5)), "in the future");
    }
}
