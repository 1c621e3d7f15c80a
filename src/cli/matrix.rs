//! `evidenced matrix`: the control matrix, out to a spreadsheet and back into a control file.

use anyhow::{Context as _, Result};
use serde::Serialize;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::config::{Config, Environment};
use crate::control::{Control, ControlId, Manual, Rules, TestId};
use crate::matrix::{self, MARK, Returned, Wrong};
use crate::table::{BYTE_ORDER_MARK, Table, TableError};

/// The control matrix: out to a spreadsheet as CSV, and back as a control file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced matrix -o controls.csv                      every control of the configuration, in rows
  evidenced matrix --from controls.csv -o matrix.toml   what was edited, as a control file
  evidenced matrix --format json

The columns: control, statement, owner, frequency, nature (automated, manual, both or none, as tests
and evidence make it), criteria, tests, evidence due, time zone, grace, max age, in force, reason.
Cells that a spreadsheet would run as a formula get an apostrophe, which --from takes off again.

What --from writes changes only what differs from the other control files: name it last in
control_files. Columns and rows that are left out change nothing; a control is switched off with
\"no\" under \"in force\" and a reason. Tests, exclusions and comments stay where they are.")]
pub(super) struct Arguments {
    /// Where to write; without it, to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read an edited matrix, and write a control file
    #[arg(long, value_name = "CSV")]
    from: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown<'a> {
    controls: Vec<ShownControl<'a>>,
}

#[derive(Serialize)]
struct ShownControl<'a> {
    control: &'a str,
    statement: &'a str,
    owner: &'a str,
    frequency: Option<&'a str>,
    nature: &'static str,
    criteria: Vec<&'static str>,
    tests: Vec<&'a str>,
    manual: Option<&'a Manual>,
    in_force: bool,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct ShownReturn<'a> {
    file: Option<String>,
    changed: Vec<&'a str>,
    added: Vec<&'a str>,
    /// Controls that no row names: they stay as they are.
    absent: Vec<&'a str>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let environment = Environment::of_process();
    let mut config = Config::find(common.config.as_deref(), &environment)?;
    match &arguments.from {
        None => export(common, &config, arguments.output.as_deref(), out),
        Some(from) => {
            if let Some(output) = &arguments.output {
                may_write(output)?;
                // What this file said before is not what it is compared with.
                let same = |path: &Path| fs::canonicalize(path).ok() == fs::canonicalize(output).ok();
                config
                    .control_files
                    .retain(|file| !output.exists() || !same(file.get_ref()));
            }
            import(common, &config, from, arguments.output.as_deref(), out)
        }
    }
}

/// The rules of a configuration; of the shipped controls, those on vendors that it names.
fn rules(config: &Config) -> Result<(Rules, Vec<Control>)> {
    let rules = setup::rules(config)?;
    let of_vendor = |kind: &str| {
        let vendor = kind.split('.').next().unwrap_or_default();
        config
            .sources
            .iter()
            .any(|source| source.vendor.get_ref().as_str() == vendor)
    };
    let kinds: Vec<String> = rules.tests.iter().map(|test| test.resource.clone()).collect();
    let kinds: Vec<&str> = kinds
        .iter()
        .map(String::as_str)
        .filter(|kind| of_vendor(kind))
        .collect();
    let in_scope = rules.clone().in_scope(&kinds).controls;
    Ok((rules, in_scope))
}

fn export(common: &Common, config: &Config, output: Option<&Path>, out: &mut dyn Write) -> Result<Exit> {
    let (_, controls) = rules(config)?;
    let csv = matrix::write(&controls, Vec::new())?;
    if let Some(path) = output {
        let file = [BYTE_ORDER_MARK.as_bytes(), csv.as_slice()].concat();
        fs::write(path, file).with_context(|| format!("failed to write {}", path.display()))?;
    }
    match (common.format, output) {
        (Format::Json, _) => print_json(
            out,
            &Shown {
                controls: controls.iter().map(shown).collect(),
            },
        )?,
        (Format::Text, None) => out.write_all(&csv)?,
        (Format::Text, Some(path)) => writeln!(
            out,
            "Written: {} to {}; `evidenced matrix --from {}` reads it back.",
            style::count(controls.len() as u64, "control", "controls"),
            path.display(),
            path.display()
        )?,
    }
    Ok(Exit::Well)
}

fn shown(control: &Control) -> ShownControl<'_> {
    ShownControl {
        control: control.id.as_str(),
        statement: &control.statement,
        owner: &control.owner,
        frequency: control.frequency.as_deref(),
        nature: matrix::nature(control),
        criteria: control
            .criteria
            .iter()
            .map(|criterion| criterion.number())
            .collect(),
        tests: control.tests.iter().map(TestId::as_str).collect(),
        manual: control.manual.as_ref(),
        in_force: control.enabled,
        reason: control.reason.as_deref(),
    }
}

fn import(
    common: &Common,
    config: &Config,
    from: &Path,
    output: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Exit> {
    let (rules, in_scope) = rules(config)?;
    let bytes = fs::read(from).map_err(|error| {
        let what = format!("{} can't be read: {error}", from.display());
        UsageError::error(what, "check the path")
    })?;
    let table = Table::read(&bytes).map_err(|error| no_table(from, &error))?;
    let returned = matrix::read(&table, &rules, &in_scope).map_err(|wrong| refused(from, &wrong))?;
    // What would be refused at the next start, or would say something else than the matrix, is not written.
    let joined = rules.with(&returned.toml).map_err(|problems| {
        let what: Vec<String> = problems.iter().map(ToString::to_string).collect();
        UsageError::error(what.join("; "), "mend the rows that are named")
    })?;
    let again = matrix::read(&table, &joined, &[]).map_err(|wrong| refused(from, &wrong))?;
    if !again.changed.is_empty() || !again.added.is_empty() {
        anyhow::bail!("the control file would not say what the matrix says: report this as a bug");
    }
    if let Some(path) = output {
        let written = fs::write(path, &returned.toml);
        written.with_context(|| format!("failed to write {}", path.display()))?;
    }
    match (common.format, output) {
        (Format::Json, _) => print_json(out, &shown_return(&returned, output))?,
        (Format::Text, None) => write!(out, "{}", returned.toml)?,
        (Format::Text, Some(path)) => print_text(out, &returned, path)?,
    }
    Ok(Exit::Well)
}

fn no_table(from: &Path, error: &TableError) -> anyhow::Error {
    let help = match error {
        TableError::NotUtf8(_) => "save it as \"CSV UTF-8\"",
        TableError::OpenQuote(_) => "close the cell, or save it from the spreadsheet again",
        _ => "save it from the spreadsheet as CSV, with the first line as it was",
    };
    UsageError::error(format!("{}: {error}", from.display()), help)
}

fn refused(from: &Path, wrong: &[Wrong]) -> anyhow::Error {
    let lines: Vec<String> = wrong
        .iter()
        .map(|each| format!("  {}", style::plain(&each.to_string())))
        .collect();
    UsageError::error(
        format!("{} is not taken:\n{}", from.display(), lines.join("\n")),
        "mend these cells; nothing has been written",
    )
}

/// Whether a file may be written: not over one that somebody wrote by hand.
fn may_write(path: &Path) -> Result<()> {
    match fs::read_to_string(path) {
        Ok(there) if !there.starts_with(MARK) => Err(UsageError::error(
            format!(
                "{} is there already, and was not written by `evidenced matrix`",
                path.display()
            ),
            "name another file: what stands in this one would be lost",
        )),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(UsageError::error(
            format!("{} can't be written over: {error}", path.display()),
            "name another file",
        )),
        _ => Ok(()),
    }
}

fn shown_return<'a>(returned: &'a Returned, output: Option<&Path>) -> ShownReturn<'a> {
    ShownReturn {
        file: output.map(|path| path.display().to_string()),
        changed: returned.changed.iter().map(ControlId::as_str).collect(),
        added: returned.added.iter().map(ControlId::as_str).collect(),
        absent: returned.absent.iter().map(ControlId::as_str).collect(),
    }
}

fn print_text(out: &mut dyn Write, returned: &Returned, path: &Path) -> Result<()> {
    let style = Style::of_stdout();
    let shown = shown_return(returned, Some(path));
    writeln!(out, "Written: {}", style.strong(&path.display().to_string()))?;
    for (what, ids) in [("changed", &shown.changed), ("new", &shown.added)] {
        if !ids.is_empty() {
            writeln!(out, "{}  {}", style.faint(&format!("{what:7}")), ids.join(", "))?;
        }
    }
    if !shown.absent.is_empty() {
        writeln!(
            out,
            "note: no row names {}: what was said of them stays as it is",
            shown.absent.join(", ")
        )?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    writeln!(
        out,
        "Name {name} last in control_files, and `evidenced check` tries it."
    )?;
    Ok(())
}
