//! Evidence that people owed and did not give in time: deviations of controls, beside those of tests.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use std::io::Write;

use super::super::style::{self, Style};
use crate::log::leaf::format_time;
use crate::log::store::Reader;
use crate::manual;
use crate::period::manual::Overdue;
use crate::period::response::{Response, Responses, Said, Told};

/// A stretch in which evidence for a control was overdue.
#[derive(Serialize)]
pub(super) struct ShownOverdue {
    control: String,
    owner: String,
    /// The last day on which it would have been on time.
    due_day: Option<NaiveDate>,
    due: String,
    /// `open`, `given`, or `owed_no_more` where a plan ended it.
    state: &'static str,
    /// When the grace time was over.
    from: String,
    to: Option<String>,
    /// The attachment that ended it.
    attachment: Option<u64>,
    #[serde(flatten)]
    done: Done,
}

/// What was done about it.
#[derive(Serialize)]
struct Done {
    notified: Option<Told>,
    acknowledged: Vec<Said>,
    ticket: Option<String>,
    cause: Option<String>,
    correction: Option<String>,
    response: Option<String>,
}

impl From<Response> for Done {
    fn from(done: Response) -> Self {
        let Response {
            notified,
            acknowledged,
            ticket,
            cause,
            correction,
            response,
        } = done;
        Self {
            notified,
            acknowledged,
            ticket,
            cause,
            correction,
            response,
        }
    }
}

/// Those that concern a time; only those that go on if `open`.
pub(super) fn shown(
    reader: &Reader,
    responses: &Responses,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    open: bool,
) -> Result<Vec<ShownOverdue>> {
    let last = reader.size()?.saturating_sub(1);
    let Some(now) = reader.leaf(last)?.map(|leaf| leaf.time) else {
        return Ok(Vec::new());
    };
    let touches = |overdue: &&Overdue| overdue.concerns(from, to) && (!open || overdue.to.is_none());
    let mut shown = Vec::new();
    for owed in manual::read(reader)? {
        let account = owed.account(now);
        for overdue in account.overdue.iter().filter(touches) {
            let due = account.dues.iter().find(|due| due.at == overdue.due);
            shown.push(ShownOverdue {
                control: owed.control.id.to_string(),
                owner: owed.control.owner.clone(),
                due_day: due.map(|due| due.day),
                due: format_time(overdue.due),
                state: overdue.state(),
                from: format_time(overdue.from),
                to: overdue.to.map(format_time),
                attachment: overdue.by,
                done: responses.to_overdue(owed.control.id.as_str(), overdue).into(),
            });
        }
    }
    Ok(shown)
}

/// The leaves that it speaks from.
pub(super) fn leaves(shown: &[ShownOverdue]) -> impl Iterator<Item = u64> + '_ {
    shown.iter().flat_map(|overdue| {
        let told = overdue.done.notified.iter().map(|told| told.seq);
        let said = overdue.done.acknowledged.iter().map(|said| said.seq);
        overdue.attachment.into_iter().chain(told).chain(said)
    })
}

pub(super) fn print(out: &mut dyn Write, shown: &[ShownOverdue]) -> Result<()> {
    let style = Style::of_stdout();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.strong("Evidence that people owe was overdue"))?;
    for overdue in shown {
        let day = overdue.due_day.map(|day| day.to_string()).unwrap_or_default();
        let end = match (&overdue.to, overdue.attachment) {
            (None, _) => style.bad("it still is"),
            (Some(to), Some(seq)) => format!("given {} (attachment {seq})", &to[..10]),
            (Some(to), None) => format!("no longer owed from {}", &to[..10]),
        };
        writeln!(
            out,
            "  {}, owner {}: due by {day}, overdue from {}, {end}",
            overdue.control,
            style::plain(&overdue.owner),
            &overdue.from[..10]
        )?;
        if let Some(told) = &overdue.done.notified {
            writeln!(
                out,
                "    told {} {} (seq {})",
                told.channel,
                style::minute(told.time),
                told.seq
            )?;
        }
        for said in &overdue.done.acknowledged {
            let (by, note) = (
                style::plain(&said.what.recorded_by),
                style::plain(&said.what.note),
            );
            writeln!(
                out,
                "    acknowledged {} by {by}: {note} (seq {})",
                style::minute(said.time),
                said.seq
            )?;
        }
        for (name, text) in [
            ("ticket", &overdue.done.ticket),
            ("cause", &overdue.done.cause),
            ("correction", &overdue.done.correction),
            ("response", &overdue.done.response),
        ] {
            if let Some(text) = text {
                writeln!(out, "    {name}: {}", style::plain(text))?;
            }
        }
    }
    Ok(())
}
