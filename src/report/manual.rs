//! The evidence that people owe for a control, as the page shows it, and as a table.

use chrono::NaiveDate;
use serde::Serialize;
use std::io;

use super::listed::{self, Missed};
use super::strip::{self, Month, Run};
use super::words;
use crate::log::leaf::format_time;
use crate::period::manual::DueState;
use crate::period::window::Window;
use crate::summary::{AttachmentRow, DueRow, ManualRow, Summary};
use crate::table::{BYTE_ORDER_MARK, Writer};

/// A control's evidence on the page.
#[derive(Serialize)]
pub(super) struct Manual<'a> {
    row: &'a ManualRow,
    /// The calendar that is in force last.
    calendar: String,
    words: String,
    months: Vec<Month>,
    runs: Vec<Run>,
    marks: Vec<Mark>,
    dues: Vec<Shown<'a>>,
    missed: Vec<Missed<'a>>,
}

/// Where a due date lies on the line, in percent of it.
#[derive(Serialize)]
struct Mark {
    left: String,
    day: NaiveDate,
}

#[derive(Serialize)]
struct Shown<'a> {
    row: &'a DueRow,
    words: &'static str,
    is_bad: bool,
    /// The number of the deviation that it is.
    missed: Option<String>,
}

pub(super) fn shown<'a>(row: &'a ManualRow, missed: Vec<Missed<'a>>, period: &Window) -> Manual<'a> {
    let days = period.days().len().saturating_sub(1);
    let calendar = row.calendars.last().map(|calendar| calendar.every.clone());
    let dues = row.dues.iter().map(|due| Shown {
        row: due,
        words: words::due(due.state),
        is_bad: matches!(
            due.state,
            DueState::MetOverdue | DueState::Overdue | DueState::Grace
        ),
        missed: missed
            .iter()
            .find(|missed| missed.overdue.due == due.due)
            .map(|missed| missed.id.clone()),
    });
    Manual {
        calendar: calendar.unwrap_or_else(|| "no longer owed".to_owned()),
        words: words::brought(row),
        months: strip::months(&row.days[..row.days.len().min(days)], period.from, period.zone),
        runs: strip::runs(&row.days),
        marks: marks(row, period),
        dues: dues.collect(),
        missed,
        row,
    }
}

fn marks(row: &ManualRow, period: &Window) -> Vec<Mark> {
    let (from, to) = (period.from.timestamp(), period.to.timestamp());
    let within = row.dues.iter().filter(|due| due.due.timestamp() > from);
    within
        .map(|due| {
            let permille = (due.due.timestamp() - from) * 1000 / (to - from).max(1);
            Mark {
                left: format!("{}.{}", permille / 10, permille % 10),
                day: due.day,
            }
        })
        .collect()
}

/// So many bytes, for the eye.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", count.div_ceil(1_024)),
        _ => format!("{}.{} MiB", count >> 20, (count % 1_048_576) * 10 / 1_048_576),
    }
}

/// A row for each due date, for each piece of evidence that met none, and for each attachment to nothing that owes any.
pub(super) fn table(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = Writer::new(BYTE_ORDER_MARK.as_bytes().to_vec(), &COLUMNS)?;
    let missed = listed::missed(summary);
    for row in &summary.manual {
        let mut write = |of: &str, due: Option<&DueRow>, given: Option<&AttachmentRow>| {
            let own = missed.iter().find(|missed| {
                missed.row.control == row.control && due.is_some_and(|due| due.due == missed.overdue.due)
            });
            let mut cells = vec![row.control.clone(), row.owner.clone(), of.to_owned()];
            cells.extend(of_due(due));
            cells.extend(of_missed(own));
            cells.extend(of_given(given));
            table.row(cells)
        };
        if let Some(before) = &row.before {
            write("counts at the start", None, Some(before))?;
        }
        for due in &row.dues {
            write("due date", Some(due), due.given.as_ref())?;
        }
        for further in &row.further {
            write("further evidence", None, Some(further))?;
        }
        if row.dues.is_empty() && row.before.is_none() && row.further.is_empty() {
            write("nothing", None, None)?;
        }
    }
    for given in &summary.attachments {
        let mut rows = summary.manual.iter();
        if !rows.any(|row| given.controls.contains(&row.control)) {
            let about = given.controls.join(" ");
            let mut cells = vec![about, String::new(), "no calendar".to_owned()];
            cells.extend(of_due(None));
            cells.extend(of_missed(None));
            cells.extend(of_given(Some(given)));
            table.row(cells)?;
        }
    }
    table.finish()
}

const COLUMNS: [&str; 29] = [
    "control",
    "owner",
    "of",
    "due_day",
    "due",
    "grace_ends",
    "state",
    "deviation",
    "overdue_from",
    "overdue_to",
    "overdue_state",
    "open_at_start",
    "open_at_end",
    "acknowledged_seq",
    "cause",
    "correction",
    "response",
    "seq",
    "sealed",
    "title",
    "criteria",
    "covers_from",
    "covers_to",
    "prepared_by",
    "approved_by",
    "recorded_by",
    "file",
    "size",
    "sha256",
];

fn of_due(due: Option<&DueRow>) -> [String; 4] {
    due.map_or_else(Default::default, |due| {
        [
            due.day.to_string(),
            format_time(due.due),
            format_time(due.grace_ends),
            state(due.state).to_owned(),
        ]
    })
}

fn of_missed(missed: Option<&Missed>) -> [String; 10] {
    let Some(missed) = missed else {
        return Default::default();
    };
    let (overdue, said) = (missed.overdue, &missed.said);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let first = overdue.acknowledged.first();
    [
        missed.id.clone(),
        format_time(overdue.from),
        overdue.to.map_or_else(String::new, format_time),
        overdue.state.to_owned(),
        overdue.open_at_start.to_string(),
        overdue.open_at_end.to_string(),
        first.map_or_else(String::new, |said| said.seq.to_string()),
        text(said.cause),
        text(said.correction),
        text(said.response),
    ]
}

fn of_given(given: Option<&AttachmentRow>) -> [String; 12] {
    let Some(given) = given else {
        return Default::default();
    };
    [
        given.seq.to_string(),
        format_time(given.time),
        given.title.clone(),
        given.criteria.join(" "),
        given.covers.from.to_string(),
        given.covers.to.to_string(),
        given.prepared_by.clone(),
        given.approved_by.clone(),
        given.recorded_by.clone(),
        given.file.clone(),
        given.size.map_or_else(String::new, |size| size.to_string()),
        given.sha256.clone().unwrap_or_default(),
    ]
}

/// A due date's state for programs, as in the JSON.
pub(super) fn state(state: DueState) -> &'static str {
    match state {
        DueState::OnTime => "on_time",
        DueState::Late => "late",
        DueState::MetOverdue => "met_overdue",
        DueState::Overdue => "overdue",
        DueState::Grace => "grace",
        DueState::Ahead => "ahead",
    }
}
