//! What the wordings of a test say of the whole period, for people.

use anyhow::Result;
use chrono::{DateTime, Utc};
use std::io::Write;

use super::percent;
use crate::cli::style;
use crate::period::beside::Verdict;
use crate::summary::{Beside, Otherwise};

/// A line for each wording, and one for how they compare.
pub(super) fn print(
    out: &mut dyn Write,
    beside: &Beside,
    minute: &dyn Fn(DateTime<Utc>) -> String,
) -> Result<()> {
    for wording in &beside.wordings {
        let of = &wording.observations;
        let counts = [
            (of.failed, "failed"),
            (of.unknown, "unknown"),
            (of.excepted, "excepted"),
            (of.not_applicable, "without occurrence"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!(", {count} {what}"))
            .collect();
        let differing = [
            otherwise(&wording.fails_where_passed, ["fails", "fail"], "passed"),
            otherwise(&wording.passes_where_failed, ["passes", "pass"], "failed"),
        ];
        writeln!(
            out,
            "    by that of {}: {} of {} looks passed{}, covered {}{}",
            minute(wording.from),
            of.passed,
            of.taken,
            counts.concat(),
            percent(wording.coverage_percent),
            differing.concat(),
        )?;
    }
    let told = match beside.comparison {
        Verdict::Same => "they say the same of everything that was observed".to_owned(),
        Verdict::Neither => "neither is stricter: each passes something that another one fails".to_owned(),
        Verdict::NotKnown => "which one is stricter is not known: something can't be told or read".to_owned(),
        Verdict::Stricter => {
            let stricter = beside.wordings.iter().filter(|wording| wording.stricter);
            let stricter: Vec<_> = stricter.map(|wording| minute(wording.from)).collect();
            format!(
                "the stricter is that of {}: of all that was observed, what passes by it passes by every other",
                stricter.join(", ")
            )
        }
    };
    writeln!(out, "    {told}")?;
    if !beside.unreadable.is_empty() {
        let snapshots = style::count(beside.unreadable.len() as u64, "snapshot", "snapshots");
        writeln!(
            out,
            "    {snapshots} can't be judged again: unknown by the wordings that were not in force then"
        )?;
    }
    Ok(())
}

fn otherwise(of: &Otherwise, [one, many]: [&str; 2], then: &str) -> String {
    if of.findings == 0 {
        return String::new();
    }
    let findings = style::count(of.findings, "finding", "findings");
    let resources = style::count(of.resources, "resource", "resources");
    let what = if of.findings == 1 { one } else { many };
    format!("; {findings} {what} that {then}, on {resources}")
}
