//! `evidenced log`: list what the log holds.

use anyhow::Result;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::Write;

use super::exit::Exit;
use super::select::{self, About, Within};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::control::{Outcome, TestResult};
use crate::log::leaf::{Alert, AlertState, Attachment, Body, By, Export, Heartbeat, Missed};
use crate::log::store::{Entry, Filter, Reader};

/// List what the log holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced log
  evidenced log --kind failure --from 2026-01-01 --to 2026-03-31
  evidenced log --target web-1 -n 0 --format json")]
pub(super) struct Arguments {
    #[command(flatten)]
    within: Within,
    /// Only leaves of this kind; may be given more than once
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    #[command(flatten)]
    about: About,
    /// At most so many, the newest; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    limit: u64,
}

#[derive(Serialize)]
struct Shown {
    origin: String,
    leaves: Vec<Box<RawValue>>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let filter = Filter {
        kinds: arguments.kind.clone(),
        // One more than is shown tells whether there are more.
        limit: (arguments.limit > 0).then_some(arguments.limit.saturating_add(1)),
        ..select::filter(common, &arguments.within, &arguments.about)?
    };
    let mut entries = reader.entries(&filter)?;
    let more = arguments.limit > 0 && entries.len() as u64 > arguments.limit;
    if more {
        entries.remove(0);
    }
    match common.format {
        Format::Json => {
            let mut leaves = Vec::with_capacity(entries.len());
            for entry in &entries {
                let bytes = reader.leaf_bytes(entry.seq)?.unwrap_or_default();
                leaves.push(RawValue::from_string(String::from_utf8(bytes)?)?);
            }
            print_json(
                out,
                &Shown {
                    origin: reader.origin().to_string(),
                    leaves,
                },
            )?;
        }
        Format::Text if entries.is_empty() => writeln!(
            out,
            "None of the {} of {} matches.",
            style::count(reader.size()?, "leaf", "leaves"),
            reader.origin()
        )?,
        Format::Text => {
            let style = Style::of_stdout();
            let mut table = style.table(&["SEQ", "TIME", "KIND", "ABOUT", ""]);
            for entry in &entries {
                let about: Vec<_> = [&entry.collector, &entry.source, &entry.target]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect();
                table.add_row([
                    entry.seq.to_string(),
                    entry.time.clone(),
                    entry.kind.clone(),
                    style::plain(&about.join(" ")),
                    style::plain(&summary(&reader, entry)?),
                ]);
            }
            write!(out, "{}", style::lines(&table))?;
            if more {
                writeln!(out, "{}", style.faint("These are the newest; `-n 0` lists all."))?;
            }
        }
    }
    Ok(Exit::Well)
}

fn summary(reader: &Reader, entry: &Entry) -> Result<String> {
    let Some(leaf) = reader.leaf(entry.seq)? else {
        return Ok(String::new());
    };
    Ok(match leaf.body {
        Some(Body::Key(key)) => key.key,
        Some(Body::Plan(plan)) => {
            let daemon = if plan.by == By::Daemon { ", daemon" } else { "" };
            format!(
                "evidenced {}{daemon} by {}: {}, {}, {}",
                plan.version,
                plan.os_user,
                style::count(plan.sources, "source", "sources"),
                style::count(plan.tests, "test", "tests"),
                style::count(plan.controls, "control", "controls")
            )
        }
        Some(Body::Scope(scope)) => style::count(scope.count, "target", "targets"),
        Some(Body::Snapshot(snapshot)) => {
            format!(
                "{}{}",
                style::count(snapshot.resources, "resource", "resources"),
                if snapshot.complete { "" } else { ", incomplete" }
            )
        }
        Some(Body::Failure(failure)) => {
            let class = serde_json::to_value(failure.class)?;
            format!("{}: {}", class.as_str().unwrap_or_default(), failure.message)
        }
        Some(Body::Missed(missed)) => missed_summary(&missed),
        Some(Body::Heartbeat(heartbeat)) => heartbeat_summary(&heartbeat),
        Some(Body::Evaluation(evaluation)) => {
            let results: Vec<TestResult> = serde_json::from_value(evaluation.results).unwrap_or_default();
            let bad = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
            let (fail, unknown) = (bad(Outcome::Fail), bad(Outcome::Unknown));
            let excepted = match bad(Outcome::Excepted) {
                0 => String::new(),
                excepted => format!(", {excepted} excepted"),
            };
            format!(
                "of snapshot {}: {}, {fail} fail, {unknown} unknown{excepted}",
                evaluation.snapshot,
                style::count(results.len() as u64, "test", "tests")
            )
        }
        Some(Body::Alert(alert)) => alert_summary(&alert),
        Some(Body::Acknowledgement(said)) => {
            format!("of alert {}, by {}: {}", said.alert, said.recorded_by, said.note)
        }
        Some(Body::Exception(exception)) => format!(
            "from {} on {}, until {}: {}",
            exception.test,
            style::count(exception.resources, "resource", "resources"),
            style::minute(exception.expires),
            exception.reason
        ),
        Some(Body::Population(population)) => format!(
            "{}: {} from {} to {}{}",
            population.of,
            style::count(population.count, "item", "items"),
            style::minute(population.from),
            style::minute(population.to),
            match population.gaps {
                0 => String::new(),
                gaps => format!(", {}", style::count(gaps, "gap", "gaps")),
            }
        ),
        Some(Body::Sample(sample)) => format!(
            "{} drawn from population {}, seed {:?}, by {}",
            sample.drawn, sample.population, sample.seed, sample.drawn_by
        ),
        Some(Body::Attachment(attachment)) => attachment_summary(&attachment),
        Some(Body::Export(export)) => export_summary(&export),
        Some(Body::Recovery(recovery)) => format!("after {}: {}", recovery.directory, recovery.reason),
        None => "of a kind that this version does not know".to_owned(),
    })
}

fn alert_summary(alert: &Alert) -> String {
    let event = alert.event.as_str().replace('_', " ");
    let what = match alert.test.as_ref().or(alert.control.as_ref()) {
        Some(of) => format!("{event}: {of}"),
        None => event,
    };
    let about = match (alert.state, alert.alert) {
        (AlertState::Closed, Some(opened)) => format!("closed: alert {opened}, {what}"),
        (_, Some(opened)) => format!("alert {opened}, {what}"),
        (_, None) => format!("{}, {what}", alert.severity),
    };
    let on = style::count(alert.resources, "resource", "resources");
    match &alert.delivery {
        Some(delivery) => {
            let (channel, phase, answer) = (&delivery.channel, &delivery.phase, &delivery.answer);
            let how = match alert.state {
                AlertState::Undelivered => "given up, not delivered",
                _ => "delivered",
            };
            format!("{about} ({phase}) {how} to {channel}: {answer}")
        }
        None if alert.resources > 0 => format!("{about} on {on}"),
        None => about,
    }
}

fn attachment_summary(attachment: &Attachment) -> String {
    let Attachment {
        controls,
        criteria,
        title,
        covers,
        ..
    } = attachment;
    let about = [controls.as_slice(), criteria].concat().join(", ");
    format!("{title}, for {about}, covers {covers}")
}

fn export_summary(export: &Export) -> String {
    let (from, to) = (style::minute(export.from), style::minute(export.to));
    let name = export
        .period
        .as_ref()
        .map_or_else(String::new, |name| format!("{name}, "));
    let lists = [&export.only_controls, &export.only_criteria, &export.only_sources];
    let only: Vec<&str> = lists.into_iter().flatten().map(String::as_str).collect();
    let only = if only.is_empty() {
        String::new()
    } else {
        format!(", only {}", only.join(", "))
    };
    let draft = if export.draft { ", a draft" } else { "" };
    let encrypted = if export.recipient_sha256.is_some() {
        ", encrypted"
    } else {
        ""
    };
    let by = &export.recorded_by;
    format!("{name}from {from} to {to}, by {by}{draft}{encrypted}{only}")
}

fn missed_summary(missed: &Missed) -> String {
    let ticks = missed.ticks;
    let which = if ticks.count == 1 {
        format!("the tick of {}", style::minute(ticks.first))
    } else {
        let (first, last) = (style::minute(ticks.first), style::minute(ticks.last));
        format!("{} ticks from {first} to {last}", ticks.count)
    };
    let why = missed.reason;
    match &missed.note {
        Some(note) => format!("{which}: {why}: {note}"),
        None => format!("{which}: {why}"),
    }
}

fn heartbeat_summary(heartbeat: &Heartbeat) -> String {
    let clock = match (heartbeat.clock.synchronised, heartbeat.clock.offset_ms) {
        (Some(true), Some(offset)) => format!("clock synchronised, {offset} ms off"),
        (Some(true), None) => "clock synchronised".to_owned(),
        (Some(false), _) => "clock not synchronised".to_owned(),
        (None, _) => "clock unknown".to_owned(),
    };
    let step = heartbeat.stepped_ms.map_or(String::new(), |step| {
        let way = if step < 0 { "back" } else { "forward" };
        format!(", was set {way} by {} s", step.abs() / 1000)
    });
    format!(
        "evidenced {}, up {} h, {clock}{step}",
        heartbeat.version,
        heartbeat.uptime_s / 3600
    )
}
