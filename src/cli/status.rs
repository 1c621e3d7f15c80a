//! `evidenced status`: where every target and control stands now.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
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
use crate::standing::{self, Latest};

/// Where every target and control stands now
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Shown<'a> {
    origin: String,
    store: String,
    size: u64,
    targets: Vec<ShownTarget<'a>>,
    controls: Vec<ShownControl<'a>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ShownFailure>,
}

#[derive(Serialize)]
struct ShownFailure {
    seq: u64,
    time: String,
    message: String,
}

pub(super) fn run(common: &Common, _arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    let now = clock::system().now();
    let standing = standing::standing(&reader)?;
    let (latest, controls) = match &standing {
        Some(standing) => (standing.latest.as_slice(), standing.controls(now)),
        None => (&[][..], Vec::new()),
    };
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                origin: reader.origin().to_string(),
                store: reader.paths().directory().display().to_string(),
                size: reader.size()?,
                targets: latest.iter().map(shown).collect(),
                controls: shown_controls(&controls),
            },
        )?,
        Format::Text => print_text(out, &reader, latest, &controls, now)?,
    }
    Ok(exit(latest, &controls))
}

fn exit(latest: &[Latest], controls: &[ControlResult]) -> Exit {
    let outcomes = latest
        .iter()
        .map(outcome)
        .chain(controls.iter().map(|control| control.outcome));
    if latest.iter().any(|latest| latest.failure.is_some()) {
        Exit::NotCollected
    } else if outcomes
        .into_iter()
        .any(|outcome| matches!(outcome, Outcome::Fail | Outcome::Unknown))
    {
        Exit::TestFails
    } else {
        Exit::Well
    }
}

/// The worst that the tests said of a target; unknown where nothing was observed or judged.
fn outcome(latest: &Latest) -> Outcome {
    let results = latest
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.evaluation.as_ref());
    results
        .and_then(|(_, results)| Outcome::worst(results.iter().map(|result| result.outcome)))
        .unwrap_or(Outcome::Unknown)
}

fn shown(latest: &Latest) -> ShownTarget<'_> {
    let snapshot = latest.snapshot.as_ref();
    ShownTarget {
        collector: &latest.collector,
        source: &latest.source,
        target: latest.target.as_deref(),
        snapshot: snapshot.map(|snapshot| snapshot.seq),
        time: snapshot.map(|snapshot| format_time(snapshot.until)),
        complete: snapshot.is_some_and(|snapshot| snapshot.complete),
        resources: snapshot.map_or(0, |snapshot| snapshot.resources),
        outcome: outcome(latest),
        failure: latest.failure.as_ref().map(|(seq, time, failure)| ShownFailure {
            seq: *seq,
            time: format_time(*time),
            message: failure.message.clone(),
        }),
    }
}

fn print_text(
    out: &mut dyn Write,
    reader: &Reader,
    latest: &[Latest],
    controls: &[ControlResult],
    now: DateTime<Utc>,
) -> Result<()> {
    let style = Style::of_stdout();
    let size = reader.size()?;
    writeln!(
        out,
        "{} {} leaves in {}\n",
        style.strong(reader.origin().as_str()),
        size,
        reader.paths().directory().display()
    )?;
    if latest.is_empty() {
        writeln!(
            out,
            "Nothing has been collected yet: run `evidenced collect --once`."
        )?;
        return Ok(());
    }
    let mut table = style.table(&[
        "COLLECTOR",
        "SOURCE",
        "TARGET",
        "NEWEST EVIDENCE",
        "RESOURCES",
        "OUTCOME",
    ]);
    for latest in latest {
        let (age, resources) = match &latest.snapshot {
            Some(snapshot) => (
                format!("{} (seq {})", ago(now, snapshot.until), snapshot.seq),
                format!(
                    "{}{}",
                    snapshot.resources,
                    if snapshot.complete { "" } else { ", incomplete" }
                ),
            ),
            None => (style.bad("never"), "-".to_owned()),
        };
        let target = latest.target.as_deref().unwrap_or("(unknown)").to_owned();
        table.add_row([
            latest.collector.clone(),
            latest.source.clone(),
            target,
            age,
            resources,
            style.outcome(outcome(latest)),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    writeln!(out)?;
    for latest in latest {
        if let Some((seq, time, failure)) = &latest.failure {
            writeln!(
                out,
                "{} {} of {} failed {}: {} {}\n",
                style.bad("✗"),
                latest.collector,
                latest.source,
                ago(now, *time),
                failure.message,
                style.faint(&format!("(seq {seq})"))
            )?;
        }
    }
    print_controls(out, style, controls)
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
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
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
