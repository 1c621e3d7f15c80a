//! `evidenced report`: what an observation period shows, as a page and as files for other programs.

use anyhow::{Context as _, Result};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError};
use super::{Common, Format, period, print_json, select, setup};
use crate::log::start;
use crate::log::store::Held;
use crate::populations::handed::{self, Handed};
use crate::report;
use crate::summary::{self, Summary};

/// Write what an observation period shows as a page that prints, or with tables, OSCAL and OCSF as a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced report --period 2026-h1 -o report.html
  evidenced report --period 2026-h1 -o 2026-h1/      the page and everything else, in a new folder

The page needs no network and no script, and prints to PDF from any browser. While the period goes on, or
as long as nothing is sealed from behind its end, it is a draft and says so. Every snapshot of the period is
read for its populations.

A folder holds:
  report.html     the page
  period.json     what `evidenced period --format json` prints
  csv/            controls, tests, deviations, manual evidence, gaps, changes and samples, for a
                  spreadsheet
  populations/    of each kind collected NAME.csv, the items, and NAME.json, how they were obtained,
                  as `evidenced population NAME --csv` and `population --format json` tell it
  oscal/          assessment-results.json, OSCAL 1.1.2
  ocsf/           compliance-findings.jsonl, OCSF 1.3.0, a finding on each line

With --format json: files [paths], draft [reasons].

Exit codes: 2 where something is in the way, else 0, whatever the period shows.")]
pub(super) struct Arguments {
    /// The [[period]]; needed only where several are configured
    #[arg(long, value_name = "NAME")]
    period: Option<String>,
    /// A page, if it ends in .html, which is overwritten; else a folder, which is empty or does not exist
    #[arg(short, long, value_name = "FILE|DIR")]
    output: PathBuf,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let window = period::window(&select::period(common, arguments.period.as_deref())?);
    let held = start::hold(&reader)?;
    let summary = summary::read(&held, window)?;
    let handed = handed(&held, &summary)?;
    let output = &arguments.output;
    let is_page = output.extension().is_some_and(|extension| extension == "html");
    let files = if is_page {
        vec![(output.clone(), report::html(&summary, &handed)?.into_bytes())]
    } else {
        check_empty(output)?;
        let files = report::files(&summary, handed)?.into_iter();
        files.map(|(path, bytes)| (output.join(path), bytes)).collect()
    };
    for (path, bytes) in &files {
        write(path, bytes)?;
    }
    match common.format {
        Format::Text => {
            for (path, _) in &files {
                writeln!(out, "{}", path.display())?;
            }
            for reason in &summary.draft {
                writeln!(out, "This is a draft: {reason}")?;
            }
        }
        Format::Json => {
            let files: Vec<_> = files.iter().map(|(path, _)| path.display().to_string()).collect();
            print_json(out, &json!({ "files": files, "draft": summary.draft }))?;
        }
    }
    Ok(Exit::Well)
}

/// The populations of its time, and what was drawn. Every snapshot is read for it.
pub(super) fn handed(held: &Held<'_>, summary: &Summary) -> Result<Handed> {
    let draws: Vec<u64> = summary.draws.iter().map(|draw| draw.sample).collect();
    let (asking, collectors) = (summary.populations_asked(), summary.collectors());
    let read = handed::read(held.reader(), &asking, &draws, collectors.as_ref());
    Ok(read?)
}

fn check_empty(directory: &Path) -> Result<()> {
    if directory.is_file() || fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(UsageError::error(
            format!("{} is in the way", directory.display()),
            "name a folder that is empty or does not exist, or a page that ends in .html",
        ));
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = match folder {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    };
    written
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("failed to write {}", path.display()))
}
