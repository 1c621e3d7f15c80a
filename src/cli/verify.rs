//! `evidenced verify`: check that a log is whole and unchanged.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;

use super::exit::{Exit, UsageError};
use super::style::Style;
use super::{Common, Format, print_json, setup};
use crate::log::checkpoint::VerifierKey;
use crate::log::leaf::{Body, Recovery};
use crate::log::store::{Filter, Paths, Reader};
use crate::log::verify::Report;
use crate::log::verify_store::verify_store;

/// Check that a log is whole and unchanged
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The store to verify [default: as for every verb]
    #[arg(value_name = "STORE")]
    directory: Option<PathBuf>,
    /// The verifier key that must have signed it, as `evidenced key show` printed it when the log began
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Logs that `recover` put away, each with what its successor's recovery leaf says was wrong already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
}

#[derive(Serialize)]
struct Earlier {
    directory: String,
    #[serde(flatten)]
    report: Report,
    /// Whether a recovery leaf of a later log names it and its problems as they are.
    recorded: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let key = arguments
        .key
        .as_deref()
        .map(VerifierKey::parse)
        .transpose()
        .map_err(|error| {
            UsageError::error(
                format!("--key: {error}"),
                "give it as `evidenced key show` prints it, in quotes",
            )
        })?;
    let paths = match &arguments.directory {
        Some(directory) => Paths::new(directory.clone()),
        None => setup::store(common)?,
    };
    let report = verify_one(&paths, key.as_ref())?;
    let earlier = earlier(&paths)?;
    let intact = report.intact && earlier.iter().all(|log| log.report.intact || log.recorded);
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                report: &report,
                earlier,
            },
        )?,
        Format::Text => {
            print_text(out, &report)?;
            for log in &earlier {
                print_earlier(out, log)?;
            }
        }
    }
    Ok(if intact { Exit::Well } else { Exit::NotIntact })
}

fn verify_one(paths: &Paths, key: Option<&VerifierKey>) -> Result<Report> {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    let template = "{bar:40} {human_pos} of {human_len} leaves, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = verify_store(paths, key, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(report?)
}

/// Logs that were put away. What was wrong with them then stands in a later log, and is no news.
fn earlier(paths: &Paths) -> Result<Vec<Earlier>> {
    let stores = paths.earlier();
    let mut recoveries = Vec::new();
    for store in stores.iter().chain([paths]) {
        recoveries.extend(
            Reader::open(store)
                .map(|reader| recoveries_in(&reader))
                .unwrap_or_default(),
        );
    }
    let mut earlier = Vec::with_capacity(stores.len());
    for store in stores {
        let report = verify_one(&store, None)?;
        let directory = store
            .directory()
            .strip_prefix(paths.directory())
            .unwrap_or(store.directory())
            .display()
            .to_string();
        let problems: Vec<String> = report
            .problems
            .iter()
            .take(Recovery::LISTED)
            .map(ToString::to_string)
            .collect();
        let recorded = recoveries
            .iter()
            .any(|recovery| recovery.directory == directory && recovery.problems == problems);
        earlier.push(Earlier {
            directory,
            report,
            recorded,
        });
    }
    Ok(earlier)
}

fn recoveries_in(reader: &Reader) -> Vec<Recovery> {
    let filter = Filter {
        kinds: vec!["recovery".to_owned()],
        ..Filter::default()
    };
    let entries = reader.entries(&filter).unwrap_or_default();
    let leaves = entries
        .iter()
        .filter_map(|entry| reader.leaf(entry.seq).ok().flatten());
    leaves
        .filter_map(|leaf| match leaf.body {
            Some(Body::Recovery(recovery)) => Some(recovery),
            _ => None,
        })
        .collect()
}

fn print_text(out: &mut dyn Write, report: &Report) -> Result<()> {
    let style = Style::of_stdout();
    if report.intact {
        let verdict = if report.pinned {
            "intact, signed by the key given"
        } else {
            "consistent, signer not established"
        };
        writeln!(
            out,
            "{} {}: {} leaves, {verdict}",
            style.good("✓"),
            style.strong(&report.origin),
            report.size
        )?;
        writeln!(
            out,
            "  root {}\n  head {}\n  key  {}",
            report.root, report.head, report.key
        )?;
        if !report.pinned {
            writeln!(
                out,
                "{}",
                style
                    .faint("  give --key with the key that was noted when the log began to know whose it is")
            )?;
        }
        return Ok(());
    }
    let name = if report.origin.is_empty() {
        "the log"
    } else {
        report.origin.as_str()
    };
    writeln!(
        out,
        "{} {}: NOT INTACT, {} problems",
        style.bad("✗"),
        style.strong(name),
        report.problems.len()
    )?;
    for problem in &report.problems {
        writeln!(out, "  {problem}")?;
    }
    Ok(())
}

fn print_earlier(out: &mut dyn Write, log: &Earlier) -> Result<()> {
    let style = Style::of_stdout();
    let verdict = match (log.report.intact, log.recorded) {
        (true, _) => style.good("consistent"),
        (false, true) => format!(
            "{} problems, as the recovery of this log recorded",
            log.report.problems.len()
        ),
        (false, false) => style.bad(&format!(
            "NOT INTACT, {} problems that no recovery recorded",
            log.report.problems.len()
        )),
    };
    writeln!(
        out,
        "\nearlier log {}: {} leaves, {verdict}",
        log.directory, log.report.size
    )?;
    for problem in &log.report.problems {
        writeln!(out, "  {problem}")?;
    }
    Ok(())
}
