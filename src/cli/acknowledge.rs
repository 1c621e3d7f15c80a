//! `evidenced acknowledge ALERT`: record that somebody has taken on an alert, and what came of it.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::statement::{self, NAME, PROSE};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::log::append::{Change, Draft};
use crate::log::leaf::{self, Acknowledgement, Alert, AlertState, Body};
use crate::log::store::Reader;

/// Record that somebody has taken on an alert, and what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced log --kind alert    which there are
  evidenced acknowledge 812 --note \"looking into it\" --ticket OPS-17
  evidenced acknowledge 812 --note \"mended\" --cause \"a bucket made by hand\" \\
    --correction \"policy applied\" --response \"buckets are made by Terraform only from now on\"

A later acknowledgement adds to an earlier one. Cause, correction and response stand beside the
deviation in `evidenced deviations`: the response is management's, for the report. So they do with
evidence that people owe and that is overdue (`manual_overdue`).")]
pub(super) struct Arguments {
    /// The alert: the leaf that opened it
    alert: u64,
    /// What you say to it
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Where it is worked on
    #[arg(long, value_name = "TEXT")]
    ticket: Option<String>,
    /// Why it came to it
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    /// What was done about it
    #[arg(long, value_name = "TEXT")]
    correction: Option<String>,
    /// Management's response, for the report
    #[arg(long, value_name = "TEXT")]
    response: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    seq: u64,
    #[serde(flatten)]
    said: &'a Acknowledgement,
    /// Earlier acknowledgements of the same alert.
    adds_to: Vec<u64>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let prose = |flag, text: &Option<String>| statement::checked_if_given(flag, text.as_deref(), PROSE);
    let said = Acknowledgement {
        alert: arguments.alert,
        note: statement::checked("--note", &arguments.note, PROSE)?,
        ticket: statement::checked_if_given("--ticket", arguments.ticket.as_deref(), NAME)?,
        cause: prose("--cause", &arguments.cause)?,
        correction: prose("--correction", &arguments.correction)?,
        response: prose("--response", &arguments.response)?,
        recorded_by: setup::os_user(),
    };
    let reader = setup::reader(common)?;
    let alert = alert(&reader, arguments.alert)?;
    let adds_to = earlier(&reader, arguments.alert)?;
    let known = vec![Change::Acknowledge { alert: said.alert }];
    let draft = Draft::new(Body::Acknowledgement(said.clone())).with_changes(known);
    let receipt = setup::appender(&reader, clock::system())?.append_blocking(draft)?;
    let shown = Shown {
        seq: receipt.seq,
        said: &said,
        adds_to,
    };
    match common.format {
        Format::Json => print_json(out, &shown)?,
        Format::Text => print_text(out, &alert, &shown)?,
    }
    Ok(Exit::Well)
}

/// The alert that is meant; another leaf is refused, with the number that was probably meant.
fn alert(reader: &Reader, seq: u64) -> Result<Alert> {
    let Some(bytes) = setup::committed_leaf(reader, seq)? else {
        let last = reader.size()?.saturating_sub(1);
        return Err(UsageError::error(
            format!("there is no leaf {seq}"),
            format!("the log holds leaves 0 to {last}; `evidenced log --kind alert` lists the alerts"),
        ));
    };
    let leaf = leaf::decode(&bytes)?;
    let Some(Body::Alert(alert)) = leaf.body else {
        return Err(UsageError::error(
            format!("leaf {seq} is no alert, but of kind {}", leaf.kind),
            "`evidenced log --kind alert` lists the alerts",
        ));
    };
    let is = match alert.state {
        AlertState::Opened | AlertState::Noticed => return Ok(alert),
        AlertState::Closed => "the end",
        AlertState::Delivered => "a delivery",
        AlertState::Undelivered => "a failed delivery",
    };
    Err(match alert.alert {
        Some(opened) => UsageError::error(
            format!("leaf {seq} is {is} of alert {opened}"),
            format!("acknowledge the alert itself: `evidenced acknowledge {opened} …`"),
        ),
        None => UsageError::error(
            format!("leaf {seq} is {is} that belongs to no alert"),
            "`evidenced log --kind alert` lists the alerts",
        ),
    })
}

/// What was said of the alert before.
fn earlier(reader: &Reader, alert: u64) -> Result<Vec<u64>> {
    let mut earlier = Vec::new();
    for seq in reader.of_kind("acknowledgement", alert)? {
        if let Some(Body::Acknowledgement(said)) = reader.leaf(seq)?.and_then(|leaf| leaf.body)
            && said.alert == alert
        {
            earlier.push(seq);
        }
    }
    Ok(earlier)
}

fn print_text(out: &mut dyn Write, alert: &Alert, shown: &Shown<'_>) -> Result<()> {
    let style = Style::of_stdout();
    let event = alert.event.as_str().replace('_', " ");
    let about: Vec<_> = [&alert.test, &alert.control, &alert.source]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let about = match about.join(" on ") {
        empty if empty.is_empty() => event,
        about => format!("{event}: {}", style::plain(&about)),
    };
    let (seq, said) = (shown.seq, shown.said);
    writeln!(
        out,
        "Recorded: {} of alert {} ({about})",
        style.strong(&format!("acknowledgement {seq}")),
        said.alert
    )?;
    let fields = [
        ("note", Some(&said.note)),
        ("ticket", said.ticket.as_ref()),
        ("cause", said.cause.as_ref()),
        ("correction", said.correction.as_ref()),
        ("response", said.response.as_ref()),
        ("recorded", Some(&format!("by {}", said.recorded_by))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(out, "{}  {value}", style.faint(&format!("{name:10}")))?;
        }
    }
    if !shown.adds_to.is_empty() {
        let earlier: Vec<_> = shown.adds_to.iter().map(ToString::to_string).collect();
        writeln!(out, "It adds to what was said in {}.", earlier.join(", "))?;
    }
    Ok(())
}
