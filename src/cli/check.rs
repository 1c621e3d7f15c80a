//! `evidenced check`: try configuration, store, key, clock and every source, and say what to do.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;

use evidenced_collector_api::Run;

use super::exit::Exit;
use super::setup::{self, Setup};
use super::style::Style;
use super::{Common, Format, print_json};
use crate::clock;
use crate::log::leaf::format_time;
use crate::log::start;
use crate::log::store::{Reader, StoreError};

/// Try configuration, store, key, clock and every source, and say what to do
#[derive(Debug, clap::Args)]
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
                writeln!(out, "{mark} {}: {}", line.what, line.detail)?;
            }
        }
    }
    let damaged = lines.iter().any(|line| line.what == "log" && !line.well);
    let ill = lines.iter().any(|line| !line.well);
    Ok(if damaged {
        Exit::NotIntact
    } else if ill {
        Exit::NotCollected
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
    let counts = format!(
        "{} sources, {} tests ({examples} examples hold), {} controls",
        setup.config.sources.len(),
        rules.tests.iter().filter(|test| test.enabled).count(),
        rules.controls.len()
    );
    line("configuration", Ok(format!("{file}: {counts}")))
}

fn store(setup: &Setup) -> Vec<Line> {
    let directory = setup.paths.directory();
    let reader = match Reader::open(&setup.paths) {
        Ok(reader) => reader,
        Err(StoreError::Absent(_)) => {
            return vec![line(
                "store",
                Ok(format!(
                    "{}: none yet, the first collection makes it",
                    directory.display()
                )),
            )];
        }
        Err(error) => return vec![line("log", Err(format!("{error}; run `evidenced verify`")))],
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
            Ok(_) => Ok(directory.display().to_string()),
            Err(error) => Err(format!("{}: {error}", directory.display())),
        },
    ));
    lines.push(line(
        "log",
        match (start::check_end(&reader), reader.size()) {
            (Ok(()), Ok(size)) => Ok(format!(
                "{}, {size} leaves; database and guard agree",
                reader.origin()
            )),
            (Err(error), _) | (_, Err(error)) => Err(format!("{error}; run `evidenced verify`")),
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

fn key(setup: &Setup, reader: &Reader) -> Line {
    let path = setup.paths.key();
    let mode = std::fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o777);
    let result = match (mode, start::check_key(reader)) {
        (Ok(mode), _) if mode & 0o077 != 0 => Err(format!(
            "{} has mode {mode:o}: run `chmod 600` on it",
            path.display()
        )),
        (_, Err(error)) => Err(error.to_string()),
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
