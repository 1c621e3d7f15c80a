//! `evidenced verify`: check that a log or a bundle is whole and unchanged.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::bundle::verify::{Held, Verified, verify as verify_bundle};
use crate::log::checkpoint::VerifierKey;
use crate::log::leaf::{Body, Recovery};
use crate::log::store::{Filter, Paths, Reader};
use crate::log::verify::{Problem, Report};
use crate::log::verify_store::verify_store;

/// Check that a log or a bundle is whole and unchanged
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced verify
  evidenced verify /mnt/copies/2026-11-21 --key \"acme/1a2b3c4d+5e6f7081+AQ…\"
  evidenced verify bundle.zip --checkpoint kick-off.txt

Without --key or --checkpoint, that the log is consistent can be told, but not whose it is. A bundle
is what `evidenced export` wrote, an archive or a folder; it is read where it lies.
Exit codes: 0 intact; 4 not.")]
pub(super) struct Arguments {
    /// The store or the bundle to verify [default: the store, as for every verb]
    #[arg(value_name = "STORE|BUNDLE")]
    path: Option<PathBuf>,
    /// The verifier key that must have signed it, as `evidenced key show` printed it when the log began
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// Of a bundle: a signed checkpoint that you hold, as `evidenced checkpoint` printed it before
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
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
    /// Whether a recovery leaf of a later log names it with its head and its problems as they are.
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
    if let Some(path) = arguments.path.as_deref().filter(|path| is_bundle(path)) {
        let held = Held {
            key,
            checkpoint: arguments.checkpoint.as_deref().map(held_checkpoint).transpose()?,
        };
        let verified = bundle(path, &held)?;
        show(common, out, &verified)?;
        return Ok(exit(&verified.report));
    }
    if arguments.checkpoint.is_some() {
        return Err(UsageError::error(
            "--checkpoint is for a bundle",
            "a store holds its own checkpoints: give --key",
        ));
    }
    let paths = match &arguments.path {
        Some(directory) => Paths::new(directory.clone()),
        None => setup::store(common)?,
    };
    setup::reachable(&paths)?;
    let mut report = verify_one(&paths, key.as_ref())?;
    let earlier = earlier(&paths, key.as_ref())?;
    for log in earlier.iter().filter(|log| !log.recorded) {
        report.intact = false;
        report.problems.push(Problem {
            seq: None,
            kind: "earlier",
            detail: format!("{} is not as a later log recorded it", log.directory),
        });
    }
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
                print_earlier(out, log, key.as_ref())?;
            }
        }
    }
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if report.intact {
        Exit::Well
    } else {
        Exit::NotIntact
    }
}

/// A file, or a folder that holds what only a bundle does.
fn is_bundle(path: &Path) -> bool {
    let holds = |name: &str| path.join(name).exists();
    path.is_file() || !holds("evidence.db") && (holds("bundle.json") || holds("SHA256SUMS"))
}

fn held_checkpoint(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        UsageError::error(
            format!("--checkpoint: {} can't be read: {error}", path.display()),
            "give the file that `evidenced checkpoint` was written to",
        )
    })
}

/// Verifies a bundle.
pub(super) fn bundle(path: &Path, held: &Held) -> Result<Verified> {
    let bar = progress_bar("{bar:40} {bytes} of {total_bytes}, {eta} left");
    let verified = verify_bundle(path, held, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(verified?)
}

/// Says what verifying a bundle found.
pub(super) fn show(common: &Common, out: &mut dyn Write, verified: &Verified) -> Result<()> {
    let (report, style) = (&verified.report, Style::of_stdout());
    if common.format == Format::Json {
        let earlier = Vec::new();
        return print_json(out, &Shown { report, earlier });
    }
    print_text(out, report)?;
    let Some(manifest) = verified.manifest.as_ref().filter(|_| report.intact) else {
        return Ok(());
    };
    let (period, counts) = (&manifest.period, manifest.counts);
    let withheld = style::count(counts.withheld, "blob", "blobs");
    writeln!(
        out,
        "  holds {} and {} of {} to {}; {withheld} withheld",
        style::count(counts.leaves, "leaf", "leaves"),
        style::count(counts.blobs, "blob", "blobs"),
        style::minute(period.from),
        style::minute(period.to),
    )?;
    for why in &manifest.draft {
        writeln!(out, "  {} {}", style.bad("draft:"), style::plain(why))?;
    }
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn verify_one(paths: &Paths, key: Option<&VerifierKey>) -> Result<Report> {
    let bar = progress_bar("{bar:40} {human_pos} of {human_len} leaves, {eta} left");
    let report = verify_store(paths, key, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(report?)
}

/// Logs that were put away. What was wrong with them then stands in a later log, and is no news; that one is gone, or
/// is another than it was then, is.
fn earlier(paths: &Paths, key: Option<&VerifierKey>) -> Result<Vec<Earlier>> {
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
        let key = key.filter(|key| Reader::open(&store).is_ok_and(|log| log.origin() == key.origin()));
        let report = verify_one(&store, key)?;
        let directory = store
            .directory()
            .strip_prefix(paths.directory())
            .unwrap_or(store.directory())
            .display()
            .to_string();
        let recorded = recoveries
            .iter()
            .any(|recovery| recovery.directory == directory && is_as_recorded(&report, recovery));
        earlier.push(Earlier {
            directory,
            report,
            recorded,
        });
    }
    // An earlier log's own predecessors lie beside it, not below.
    let beside = paths.directory().join("../../..");
    for recovery in recoveries {
        let known = earlier.iter().any(|log| log.directory == recovery.directory);
        if !known && !beside.join(&recovery.directory).exists() {
            earlier.push(missing(&recovery));
        }
    }
    Ok(earlier)
}

fn is_as_recorded(report: &Report, recovery: &Recovery) -> bool {
    let problems: Vec<String> = report
        .problems
        .iter()
        .take(Recovery::LISTED)
        .map(ToString::to_string)
        .collect();
    let same_head = recovery
        .database
        .as_ref()
        .is_none_or(|head| head.size == report.size && head.root == report.root);
    let same_problems = report.intact || recovery.problems == problems;
    same_head && same_problems
}

fn missing(recovery: &Recovery) -> Earlier {
    let head = recovery.database.as_ref().or(recovery.guard.as_ref());
    Earlier {
        directory: recovery.directory.clone(),
        report: Report {
            intact: false,
            origin: recovery.origin.clone().unwrap_or_default(),
            size: head.map_or(0, |head| head.size),
            root: head.map_or_else(String::new, |head| head.root.clone()),
            head: String::new(),
            key: String::new(),
            pinned: false,
            problems: vec![Problem {
                seq: None,
                kind: "database",
                detail: "the log is missing".to_owned(),
            }],
        },
        recorded: false,
    }
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
            "{} {}: {}, {verdict}",
            style.good("✓"),
            style.strong(&report.origin),
            style::count(report.size, "leaf", "leaves")
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
        "{} {}: NOT INTACT, {}",
        style.bad("✗"),
        style.strong(name),
        problems(report)
    )?;
    for problem in &report.problems {
        writeln!(out, "  {}", style::plain(&problem.to_string()))?;
    }
    Ok(())
}

fn problems(report: &Report) -> String {
    style::count(report.problems.len() as u64, "problem", "problems")
}

fn print_earlier(out: &mut dyn Write, log: &Earlier, key: Option<&VerifierKey>) -> Result<()> {
    let style = Style::of_stdout();
    let verdict = match (log.report.intact, log.recorded) {
        (true, true) => style.good("consistent"),
        (false, true) => format!("{}, as a later log recorded", problems(&log.report)),
        (_, false) => style.bad("NOT as a later log recorded it"),
    };
    writeln!(
        out,
        "\nearlier log {}: {}, {verdict}",
        style::plain(&log.directory),
        style::count(log.report.size, "leaf", "leaves")
    )?;
    for problem in &log.report.problems {
        writeln!(out, "  {}", style::plain(&problem.to_string()))?;
    }
    if key.is_some_and(|key| key.origin().as_str() == log.report.origin) {
        writeln!(
            out,
            "  The key given is this one's. The log that took over has its own: ask why, and for that key."
        )?;
    }
    Ok(())
}
