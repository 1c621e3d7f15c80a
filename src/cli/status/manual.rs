//! The evidence that people owe, for `evidenced status`: what is due when, by whom, and what came last.

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;
use std::io::Write;

use super::super::style::{self, Style};
use crate::log::leaf::{Days, format_time};
use crate::period::manual::{Account, Evidence, State};
use crate::standing::Standing;

/// How a control stands with the evidence that people owe for it.
#[derive(Serialize)]
pub(in super::super) struct ShownManual<'a> {
    control: &'a str,
    owner: &'a str,
    /// The calendar, as it is written.
    every: &'a str,
    /// `current`, `never`, `due`, `overdue` or `too_old`.
    state: State,
    /// What is to be given next, or should have been: evidence must be sealed by then.
    due: Option<String>,
    /// The last day on which that is so, where the calendar is meant.
    due_day: Option<String>,
    /// When it becomes overdue, or became so.
    grace_ends: Option<String>,
    /// The evidence that counts and reaches furthest.
    newest: Option<ShownEvidence>,
    /// Why it is no pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[derive(Serialize)]
pub(in super::super) struct ShownEvidence {
    seq: u64,
    time: String,
    title: String,
    covers: Days,
}

pub(in super::super) fn shown(standing: &Standing, now: DateTime<Utc>) -> Vec<ShownManual<'_>> {
    let manual = standing.manual.iter();
    manual
        .filter_map(|owed| {
            let account = owed.account(now);
            let wanted = account.wanted();
            Some(ShownManual {
                control: owed.control.id.as_str(),
                owner: &owed.control.owner,
                every: owed.control.manual.as_ref()?.every(),
                state: account.state,
                due: wanted.map(|due| format_time(due.at)),
                due_day: wanted.map(|due| due.day.to_string()),
                grace_ends: wanted.map(|due| format_time(due.grace_ends)),
                newest: account.newest.as_ref().map(evidence),
                reason: account.reason(),
            })
        })
        .collect()
}

fn evidence(evidence: &Evidence) -> ShownEvidence {
    ShownEvidence {
        seq: evidence.seq,
        time: format_time(evidence.sealed),
        title: evidence.title.clone(),
        covers: evidence.covers,
    }
}

/// A line for each control, the worst first.
pub(super) fn print(
    out: &mut dyn Write,
    style: Style,
    standing: &Standing,
    now: DateTime<Utc>,
) -> Result<()> {
    if standing.manual.is_empty() {
        return Ok(());
    }
    let accounts = standing.manual.iter().map(|owed| (owed, owed.account(now)));
    let mut accounts: Vec<_> = accounts.collect();
    accounts.sort_by_key(|(_, account)| account.state);
    let mut table = style.table(&["MANUAL EVIDENCE FOR", "OWNER", "DUE BY", "STATE", "NEWEST"]);
    for (owed, account) in accounts {
        table.add_row([
            Cell::new(&owed.control.id),
            Cell::new(style::plain(&owed.control.owner)),
            Cell::new(
                account
                    .wanted()
                    .map_or_else(|| "-".to_owned(), |due| due.day.to_string()),
            ),
            cell(style, &account),
            Cell::new(newest(&account)),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    writeln!(out)?;
    Ok(())
}

fn cell(style: Style, account: &Account) -> Cell {
    style.painted_cell(words(account.state), account.outcome())
}

/// A state as people say it.
pub(in super::super) fn words(state: State) -> &'static str {
    match state {
        State::Overdue => "overdue",
        State::Due => "late, in grace",
        State::TooOld => "too old",
        State::Never => "none yet",
        State::Current => "current",
    }
}

fn newest(account: &Account) -> String {
    account.newest.as_ref().map_or_else(
        || "none".to_owned(),
        |newest| {
            let day = newest.sealed.format("%Y-%m-%d");
            format!("{day} {} (seq {})", style::plain(&newest.title), newest.seq)
        },
    )
}
