//! The evidence that people owe within a period, for people: each due date with what was given, and where it was overdue.

use anyhow::Result;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use comfy_table::Cell;
use std::io::Write;

use super::super::style::{self, Style};
use crate::control::Outcome;
use crate::period::manual::DueState;
use crate::summary::{AttachmentRow, ManualRow, OverdueRow, Summary};

pub(super) fn print(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let told = Told {
        style: Style::of_stdout(),
        zone: summary.period.zone,
    };
    if !summary.manual.is_empty() {
        told.table(out, summary)?;
        told.stretches(out, summary)?;
    }
    told.others(out, summary)
}

struct Told {
    style: Style,
    zone: Tz,
}

impl Told {
    fn table(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        let mut table = self
            .style
            .table(&["MANUAL EVIDENCE FOR", "OWNER", "DUE BY", "STATE", "GIVEN"]);
        for row in &summary.manual {
            let mut lines = Vec::new();
            if let Some(before) = &row.before {
                lines.push([
                    "-".to_owned(),
                    "counts at the start".to_owned(),
                    self.given(before),
                ]);
            }
            for due in &row.dues {
                let given = due.given.as_ref().map(|given| self.given(given));
                let state = state(due.state).to_owned();
                lines.push([
                    due.day.to_string(),
                    state,
                    given.unwrap_or_else(|| "-".to_owned()),
                ]);
            }
            for further in &row.further {
                lines.push(["-".to_owned(), "further evidence".to_owned(), self.given(further)]);
            }
            if row.dues.is_empty() {
                lines.push(["nothing".to_owned(), ahead(row), "-".to_owned()]);
            }
            let outcome = |state: &str| match state {
                "overdue" | "given overdue" => Some(Outcome::Fail),
                "late, in grace" => Some(Outcome::Unknown),
                _ => None,
            };
            for (at, [day, state, given]) in lines.into_iter().enumerate() {
                let of_first = |text: &str| {
                    Cell::new(if at == 0 {
                        style::plain(text)
                    } else {
                        String::new()
                    })
                };
                table.add_row([
                    of_first(&row.control),
                    of_first(&row.owner),
                    Cell::new(day),
                    match outcome(&state) {
                        Some(outcome) => self.style.painted_cell(&state, outcome),
                        None => Cell::new(state),
                    },
                    Cell::new(given),
                ]);
            }
        }
        writeln!(out, "{}", style::lines(&table))?;
        Ok(())
    }

    fn given(&self, given: &AttachmentRow) -> String {
        let own = if given.self_approved {
            ", the same person"
        } else {
            ""
        };
        format!(
            "{} {} (seq {}), by {}, approved by {}{own}",
            self.day(given.time),
            style::plain(&given.title),
            given.seq,
            style::plain(&given.prepared_by),
            style::plain(&given.approved_by),
        )
    }

    fn stretches(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        let mut any = false;
        for row in &summary.manual {
            for bare in &row.bare {
                any = true;
                let why = bare.after.map_or_else(
                    || "none had been given".to_owned(),
                    |seq| format!("attachment {seq} had become too old"),
                );
                writeln!(
                    out,
                    "{} {}: no evidence counted from {} to {}: {why}",
                    self.style.bad("-"),
                    row.control,
                    self.minute(bare.from),
                    self.minute(bare.to)
                )?;
            }
            for overdue in &row.overdue {
                any = true;
                writeln!(out, "{} {}", self.style.bad("✗"), self.overdue(row, overdue))?;
            }
        }
        if any {
            writeln!(out)?;
        }
        Ok(())
    }

    fn overdue(&self, row: &ManualRow, overdue: &OverdueRow) -> String {
        let day = overdue
            .day
            .map_or_else(|| self.day(overdue.due), |day| day.to_string());
        let end = match (overdue.to, overdue.by) {
            (None, _) => "it still is".to_owned(),
            (Some(to), Some(seq)) => format!("given {} (seq {seq})", self.minute(to)),
            (Some(to), None) => format!("no longer owed from {}", self.minute(to)),
        };
        let mut edges = Vec::new();
        if overdue.open_at_start {
            edges.push("open at the beginning");
        }
        if overdue.open_at_end {
            edges.push("open at the end");
        }
        let edges = match edges.join(", ") {
            none if none.is_empty() => none,
            edges => format!(" ({edges})"),
        };
        let said = match overdue.acknowledged.last() {
            Some(said) => format!(", acknowledged by {}", style::plain(&said.what.recorded_by)),
            None => String::new(),
        };
        format!(
            "{}: evidence was due by {day}, overdue from {}, {end}{edges}{said}",
            row.control,
            self.minute(overdue.from)
        )
    }

    /// What was attached to no control that owes evidence.
    fn others(&self, out: &mut dyn Write, summary: &Summary) -> Result<()> {
        let is_other = |given: &&AttachmentRow| {
            let mut rows = summary.manual.iter();
            !rows.any(|row| given.controls.contains(&row.control))
        };
        let mut any = false;
        for given in summary.attachments.iter().filter(is_other) {
            any = true;
            let about = [given.controls.as_slice(), &given.criteria].concat().join(", ");
            writeln!(out, "+ {}, for {about}", self.given(given))?;
        }
        if any {
            writeln!(out)?;
        }
        Ok(())
    }

    fn day(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d").to_string()
    }

    fn minute(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M").to_string()
    }
}

/// What came of a due date, as people say it.
fn state(state: DueState) -> &'static str {
    match state {
        DueState::OnTime => "on time",
        DueState::Late => "late",
        DueState::MetOverdue => "given overdue",
        DueState::Overdue => "overdue",
        DueState::Grace => "late, in grace",
        DueState::Ahead => "ahead",
    }
}

fn ahead(row: &ManualRow) -> String {
    match row.next {
        Some(day) => format!("fell due; next by {day}"),
        None => "fell due".to_owned(),
    }
}
