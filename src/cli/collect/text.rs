//! What `evidenced collect` says to people.

use anyhow::Result;
use comfy_table::Cell;
use std::collections::BTreeSet;
use std::io::Write;

use super::Arguments;
use crate::cli::setup::Setup;
use crate::cli::style::{self, Style};
use crate::control::{ControlResult, Finding, Outcome};
use crate::registry::Job;
use crate::round::Taken;

/// Findings of one test that are listed; `show` lists all.
const SHOWN: usize = 10;

/// What was taken, what the controls say, and why.
pub(super) fn print_text(
    out: &mut dyn Write,
    setup: &Setup,
    arguments: &Arguments,
    jobs: &[&Job],
    taken: &[Taken],
    controls: &[ControlResult],
) -> Result<()> {
    let style = Style::of_stdout();
    for job in jobs {
        let (collector, source) = (job.collector.id(), job.source.as_str());
        if !taken
            .iter()
            .any(|taken| taken.collector == collector && taken.source == source)
        {
            writeln!(
                out,
                "{} {collector}  {source}: the source has no targets, so that nothing was collected",
                style.bad("!")
            )?;
        }
    }
    for taken in taken {
        let what = format!(
            "{}  {}  {}",
            taken.collector,
            taken.source,
            taken
                .target
                .as_deref()
                .map_or_else(|| "(targets unknown)".to_owned(), style::plain)
        );
        let seq = taken
            .seq
            .map_or_else(|| "not written".to_owned(), |seq| format!("seq {seq}"));
        match &taken.outcome {
            Ok(collected) => {
                let complete = if collected.complete {
                    "complete"
                } else {
                    "incomplete"
                };
                writeln!(
                    out,
                    "{} {what}: {}, {complete} {}",
                    style.good("✓"),
                    style::count(collected.resources, "resource", "resources"),
                    style.faint(&format!("({seq})"))
                )?;
            }
            Err(error) => writeln!(
                out,
                "{} {what}: {} {}",
                style.bad("✗"),
                style::plain(&error.to_string()),
                style.faint(&format!("({seq})"))
            )?,
        }
    }
    writeln!(out)?;
    print_controls(out, style, controls)?;
    print_findings(out, style, taken)?;
    if !arguments.dry_run {
        writeln!(
            out,
            "{}",
            style.faint(&format!(
                "Sealed in {}; check it with `evidenced verify`.",
                setup.paths.directory().display()
            ))
        )?;
    }
    if setup.config.file.is_none() {
        writeln!(
            out,
            "No configuration was found: this machine was collected by the built-in default.\n\
             Next: `evidenced init` writes evidenced.toml to fill in, and `evidenced check` tries it."
        )?;
    }
    Ok(())
}

/// The table of controls.
pub(in crate::cli) fn print_controls(
    out: &mut dyn Write,
    style: Style,
    controls: &[ControlResult],
) -> Result<()> {
    if controls.is_empty() {
        return Ok(());
    }
    let mut table = style.table(&["CONTROL", "CRITERIA", "OUTCOME", "TESTS"]);
    for control in controls {
        let criteria: Vec<_> = control
            .criteria
            .iter()
            .map(|criterion| criterion.number())
            .collect();
        let tests: Vec<_> = control
            .tests
            .iter()
            .map(|standing| standing.test.as_str())
            .collect();
        let manual = control.manual.as_ref().map(|_| "(manual)");
        let tests: Vec<&str> = tests.into_iter().chain(manual).collect();
        table.add_row([
            Cell::new(&control.control),
            Cell::new(criteria.join(" ")),
            style.outcome_cell(control.outcome),
            Cell::new(tests.join(" ")),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    writeln!(out)?;
    print_reasons(out, style, controls)
}

/// Why a control is unknown where no finding tells, and which of its tests say nothing at all.
fn print_reasons(out: &mut dyn Write, style: Style, controls: &[ControlResult]) -> Result<()> {
    let mut said = BTreeSet::new();
    for control in controls {
        for test in control.tests.iter().filter(|test| !test.reason.is_empty()) {
            said.insert(format!(
                "{} {}: {}",
                style.outcome(test.outcome),
                test.test,
                style::plain(&test.reason)
            ));
        }
        if let Some(manual) = control.manual.as_ref().filter(|manual| !manual.reason.is_empty()) {
            said.insert(format!(
                "{} {}: {}",
                style.outcome(manual.outcome),
                control.control,
                style::plain(&manual.reason)
            ));
        }
        for test in &control.disabled {
            said.insert(format!(
                "{} {test}: switched off, so that it says nothing of {}",
                style.faint("off"),
                control.control
            ));
        }
    }
    for line in &said {
        writeln!(out, "{line}")?;
    }
    if !said.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// What fails, is unknown, or would fail without an exception, and why, test by test.
fn print_findings(out: &mut dyn Write, style: Style, taken: &[Taken]) -> Result<()> {
    let mut any = false;
    for taken in taken {
        let Ok(collected) = &taken.outcome else { continue };
        for result in &collected.evaluation.results {
            let to_tell = |outcome| matches!(outcome, Outcome::Fail | Outcome::Unknown | Outcome::Excepted);
            if !to_tell(result.outcome) {
                continue;
            }
            any = true;
            let target = taken.target.as_deref().unwrap_or_default();
            writeln!(
                out,
                "{} {} {}",
                style.outcome(result.outcome),
                style.strong(result.test.as_str()),
                style.faint(&format!("on {}", style::plain(target)))
            )?;
            let findings = collected
                .evaluation
                .findings
                .iter()
                .filter(|finding| finding.test == result.test);
            let mut bad: Vec<&Finding> = findings.filter(|finding| to_tell(finding.outcome)).collect();
            bad.sort_by_key(|finding| finding.outcome);
            for finding in bad.iter().take(SHOWN) {
                let unknown = if finding.outcome == Outcome::Unknown {
                    "unknown: "
                } else {
                    ""
                };
                writeln!(
                    out,
                    "  {}  {unknown}{}",
                    style::plain(&finding.resource),
                    style::plain(&finding.reason)
                )?;
            }
            if bad.len() > SHOWN {
                let where_all = collected
                    .judged
                    .map_or_else(String::new, |seq| format!(": `evidenced show {seq}` lists all"));
                writeln!(out, "  … and {} more{where_all}", bad.len() - SHOWN)?;
            }
            if result.outcome == Outcome::Unknown
                && bad.iter().all(|finding| finding.outcome != Outcome::Unknown)
            {
                writeln!(
                    out,
                    "  the snapshot is incomplete, so that nothing shows that this holds for all"
                )?;
            }
        }
    }
    if any {
        writeln!(out)?;
    }
    Ok(())
}
