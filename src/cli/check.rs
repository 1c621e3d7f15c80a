//! `evidenced check`: try configuration, store, key, clock and every source, and say what to do.

use anyhow::Result;
use rustix::fs::Access;
use serde::Serialize;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use evidenced_collector_api::Run;

use super::exit::Exit;
use super::setup::{self, Setup};
use super::style::{self, Style};
use super::{Common, Format, print_json};
use crate::clock;
use crate::log::leaf::format_time;
use crate::log::start;
use crate::log::store::{Reader, StoreError};

/// Try configuration, store, key, clock and every source, and say what to do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced check
  evidenced check --config new.toml

Nothing is written. Exit codes: 0 all well; 2 something is to be done; 4 the log is not as it was left.")]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Line {
    what: String,
    well: bool,
    detail: String,
}

pub(super) fn run(common: &Common, _arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let setup = setup::setup(common)?;
    let mut lines = vec![configuration(&setup)];
    lines.extend(store(&setup));
    lines.push(clock_line());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = clock::system();
    for job in &setup.jobs {
        let tried = runtime.block_on(job.collector.check(&Run::begin(clock.as_ref())));
        lines.extend(
            tried
                .into_iter()
                .map(|(what, result)| line(format!("{} {}: {what}", job.collector.id(), job.source), result)),
        );
    }
    match common.format {
        Format::Json => print_json(out, &serde_json::json!({ "checks": lines }))?,
        Format::Text => {
            let style = Style::of_stdout();
            for line in &lines {
                let mark = if line.well {
                    style.good("✓")
                } else {
                    style.bad("✗")
                };
                let (what, detail) = (style::plain(&line.what), style::plain(&line.detail));
                writeln!(out, "{mark} {what}: {detail}")?;
            }
        }
    }
    let damaged = lines.iter().any(|line| line.what == "log" && !line.well);
    let ill = lines.iter().any(|line| !line.well);
    Ok(if damaged {
        Exit::NotIntact
    } else if ill {
        Exit::Usage
    } else {
        Exit::Well
    })
}

fn line(what: impl Into<String>, result: Result<String, String>) -> Line {
    let (well, detail) = match result {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    Line {
        what: what.into(),
        well,
        detail,
    }
}

fn configuration(setup: &Setup) -> Line {
    let rules = &setup.plan.lists.rules;
    let examples = setup.plan.self_test().examples;
    let file = setup.config.file.as_ref().map_or_else(
        || "built in (no file was found)".to_owned(),
        |file| file.display().to_string(),
    );
    let tests = rules.tests.iter().filter(|test| test.enabled).count();
    let controls = rules.controls.iter().filter(|control| control.enabled).count();
    let counts = format!(
        "{}, {} ({} hold), {}",
        style::count(setup.config.sources.len() as u64, "source", "sources"),
        style::count(tests as u64, "test", "tests"),
        style::count(examples, "example", "examples"),
        style::count(controls as u64, "control", "controls")
    );
    line("configuration", Ok(format!("{file}: {counts}")))
}

fn store(setup: &Setup) -> Vec<Line> {
    let directory = setup.paths.directory();
    let opened = setup::reachable(&setup.paths).and_then(|()| Reader::open(&setup.paths));
    let reader = match opened {
        Ok(reader) => reader,
        Err(StoreError::Absent(_)) => return vec![line("store", can_be_made(directory))],
        Err(error) if error.is_damage() => return vec![line("log", Err(not_as_left(&error)))],
        Err(error) => {
            let what = format!(
                "{}; run as the user that owns the store, or name another with --store",
                chain(&error)
            );
            return vec![line("store", Err(what))];
        }
    };
    let mut lines = Vec::new();
    let mode = std::fs::metadata(directory).map(|metadata| metadata.permissions().mode() & 0o777);
    lines.push(line(
        "store",
        match mode {
            Ok(mode) if mode & 0o077 != 0 => Err(format!(
                "{} has mode {mode:o}: run `chmod 700` on it",
                directory.display()
            )),
            Ok(_) if !is_writable(directory) => Err(format!(
                "{} can't be written: run as the user that owns it",
                directory.display()
            )),
            Ok(_) => Ok(directory.display().to_string()),
            Err(error) => Err(format!("{}: {error}", directory.display())),
        },
    ));
    lines.push(line(
        "log",
        match (start::check_end(&reader), reader.size()) {
            (Ok(()), Ok(size)) => Ok(format!(
                "{}, {}; database and guard agree",
                reader.origin(),
                style::count(size, "leaf", "leaves")
            )),
            (Err(error), _) | (_, Err(error)) => Err(not_as_left(&error)),
        },
    ));
    let name = setup.config.name.as_str();
    if !reader.origin().as_str().starts_with(&format!("{name}/")) {
        let what = format!(
            "the configuration says {name:?}, the log is {}: a log keeps the name it began with",
            reader.origin()
        );
        lines.push(line("name", Err(what)));
    }
    lines.push(key(setup, &reader));
    lines
}

fn not_as_left(error: &StoreError) -> String {
    format!("{}; run `evidenced verify`", chain(error))
}

/// An error with its causes on one line.
fn chain(error: &StoreError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether the folder of a store that is not there yet could be made here.
fn can_be_made(directory: &Path) -> Result<String, String> {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let there = absolute.ancestors().find(|folder| folder.exists());
    match there {
        Some(folder) if folder.is_dir() && is_writable(folder) => Ok(format!(
            "{}: none yet, the first collection makes it",
            directory.display()
        )),
        _ => Err(format!(
            "{} can't be made: run as a user that may, or name another folder with --store",
            directory.display()
        )),
    }
}

fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn key(setup: &Setup, reader: &Reader) -> Line {
    let path = setup.paths.key();
    let mode = std::fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o777);
    let result = match (mode, start::check_key(reader)) {
        (Ok(mode), _) if mode & 0o077 != 0 => Err(format!(
            "{} has mode {mode:o}: run `chmod 600` on it",
            path.display()
        )),
        (Err(error), _) => Err(format!(
            "{}: {error}; without it nothing can be appended",
            path.display()
        )),
        (_, Err(error)) => Err(chain(&error)),
        (_, Ok(key)) => Ok(key.to_string()),
    };
    line("key", result)
}

/// Whether the clock can be right at all; how far it is off is the host collector's to say.
fn clock_line() -> Line {
    let now = clock::system().now();
    let text = format_time(now);
    // This program is from 2026: an earlier clock has not been set since the machine was started.
    let result = if text.as_str() < "2026" {
        Err(format!("{text} lies before this program was made: set the clock"))
    } else {
        Ok(text)
    };
    line("clock", result)
}
