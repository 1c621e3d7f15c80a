//! Deviations and gaps with the numbers by which every file of a report calls them, and what belongs to each.

use serde::Serialize;

use crate::period::response;
use crate::summary::{
    ControlRow, EvidenceRow, Failed, HoleRow, ManualRow, OverdueRow, SourceRow, Summary, TestRow,
};

/// A deviation with its number.
#[derive(Clone, Serialize)]
pub(super) struct Deviation<'a> {
    /// `D1` and on, in the summary's order.
    pub(super) id: String,
    pub(super) failed: &'a Failed,
    /// What it is a deviation from.
    #[serde(skip)]
    pub(super) test: Option<&'a TestRow>,
    /// The controls that the test serves.
    pub(super) controls: Vec<&'a str>,
    /// Who wrote of it last, and what: of each field what was said last.
    pub(super) said: Said<'a>,
}

/// What was said to a deviation, of each field the last.
#[derive(Clone, Default, Serialize)]
pub(super) struct Said<'a> {
    pub(super) ticket: Option<&'a str>,
    pub(super) cause: Option<&'a str>,
    pub(super) correction: Option<&'a str>,
    pub(super) response: Option<&'a str>,
}

/// A deviation of evidence that people owe, with its number.
#[derive(Clone, Serialize)]
pub(super) struct Missed<'a> {
    /// `M1` and on, in the summary's order.
    pub(super) id: String,
    #[serde(skip)]
    pub(super) row: &'a ManualRow,
    pub(super) overdue: &'a OverdueRow,
    /// Who wrote of it last, and what: of each field what was said last.
    pub(super) said: Said<'a>,
}

/// A gap with its number.
#[derive(Clone, Serialize)]
pub(super) struct Gap<'a> {
    /// `G1` and on, in the summary's order.
    pub(super) id: String,
    pub(super) row: &'a EvidenceRow,
    pub(super) hole: &'a HoleRow,
}

pub(super) fn deviations(summary: &Summary) -> Vec<Deviation<'_>> {
    let numbered = summary.deviations.iter().enumerate();
    numbered
        .map(|(at, failed)| Deviation {
            id: format!("D{}", at + 1),
            failed,
            test: summary.tests.iter().find(|test| test.test == failed.test),
            controls: controls(summary, &failed.test)
                .map(|control| control.control.as_str())
                .collect(),
            said: said(&failed.acknowledged),
        })
        .collect()
}

/// Where evidence that people owe was overdue.
pub(super) fn missed(summary: &Summary) -> Vec<Missed<'_>> {
    let rows = summary.manual.iter();
    let all = rows.flat_map(|row| row.overdue.iter().map(move |overdue| (row, overdue)));
    all.enumerate()
        .map(|(at, (row, overdue))| Missed {
            id: format!("M{}", at + 1),
            row,
            overdue,
            said: said(&overdue.acknowledged),
        })
        .collect()
}

pub(super) fn gaps(summary: &Summary) -> Vec<Gap<'_>> {
    let holes = summary
        .evidence
        .iter()
        .flat_map(|row| row.holes.iter().map(move |hole| (row, hole)));
    holes
        .enumerate()
        .map(|(at, (row, hole))| Gap {
            id: format!("G{}", at + 1),
            row,
            hole,
        })
        .collect()
}

impl Gap<'_> {
    /// Whether it is one in what a test was taken of.
    pub(super) fn is_of(&self, source: &SourceRow) -> bool {
        self.row.collector == source.collector && self.row.source == source.source
    }
}

/// The controls that a test serves.
pub(super) fn controls<'a>(summary: &'a Summary, test: &str) -> impl Iterator<Item = &'a ControlRow> {
    summary
        .controls
        .iter()
        .filter(move |control| control.tests.iter().any(|own| own == test))
}

fn said(acknowledged: &[response::Said]) -> Said<'_> {
    let mut last = Said::default();
    for said in acknowledged {
        let what = &said.what;
        last = Said {
            ticket: what.ticket.as_deref().or(last.ticket),
            cause: what.cause.as_deref().or(last.cause),
            correction: what.correction.as_deref().or(last.correction),
            response: what.response.as_deref().or(last.response),
        };
    }
    last
}
