//! The command line: one verb per file. Only here is anything printed, and only here is the process's end decided.

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

mod acknowledge;
mod alert;
mod attach;
mod backup;
mod check;
mod checkpoint;
mod collect;
mod completions;
mod deviations;
mod diff;
mod drift;
mod except;
mod exit;
mod export;
mod init;
mod instant;
mod key;
mod log;
mod logging;
mod matrix;
mod period;
mod population;
mod readiness;
mod recover;
mod reperform;
mod report;
mod sample;
mod select;
mod setup;
mod show;
mod statement;
mod status;
mod style;
mod verify;

pub use exit::Exit;

/// Continuous, tamper-evident proof that SOC 2 controls operated.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}"
)]
#[command(before_help = VERBS, after_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    /// Say more on standard error: once for what is done, twice for how
    #[arg(short, long, global = true, display_order = 103, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

/// Options of every verb.
#[derive(Clone, Debug, Args)]
struct Common {
    /// The configuration [default: `$EVIDENCED_CONFIG`, ./evidenced.toml, /etc/evidenced/config.toml, built in]
    #[arg(long, global = true, display_order = 100, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds the evidence [default: the configuration's, else the system's state folder]
    #[arg(long, global = true, display_order = 101, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Text for people, or JSON for programs
    #[arg(
        long,
        global = true,
        display_order = 102,
        value_enum,
        default_value_t = Format::Text,
        hide_possible_values = true,
        value_name = "text|json"
    )]
    format: Format,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The verbs as `--help` lists them, by reader; a test keeps this list and the verbs the same.
const VERBS: &str = "\
For the operator:
  init          Write a commented configuration, and make the store and its key
  check         Try configuration, store, key, clock and every source, and say what to do
  collect       Collect on schedule, as a daemon; or once, now (--once)
  status        Where every target and control stands now
  key           Show the key that verifies this log
  backup        Copy the store consistently, beside running writers
  recover       Put a refused store away and begin a new log that names it
  alert         Send a test message to a channel (alert test)
  completions   Print completions for a shell

For the control owner:
  log           List what the log holds
  show          Show a leaf with its evidence, provenance and findings
  diff          What changed between two snapshots
  drift         What changed from snapshot to snapshot, and why
  deviations    Each stretch in which a test failed on a resource, and what was done about it
  period        What an observation period shows: coverage, results, deviations, gaps and changes
  report        Write what a period shows as a page, or with tables, OSCAL and OCSF as a folder
  acknowledge   Record that somebody has taken on an alert, and what came of it
  except        Record that failures of a test on some resources are approved, up to an end
  population    The complete sets that samples are drawn from, with gaps and how they were read
  sample        Draw a sample from a population by the auditor's seed
  attach        Seal a file that people bring as evidence: a review, an approval, a report
  readiness     What an auditor would find, criterion by criterion, and what is missing
  matrix        The control matrix: out to a spreadsheet as CSV, and back as a control file
  export        Write the fieldwork bundle of a period

For the auditor:
  verify        Check that a log or a bundle is whole and unchanged
  reperform     Judge every snapshot in a bundle again, and compare
  checkpoint    Print the signed checkpoint that the log commits to

`evidenced VERB --help` tells more, with examples.

";

const AFTER: &str = "\
Exit codes, the first that applies: 4 a log or bundle does not verify, or re-performing differs;
2 usage or configuration; 3 something could not be collected (only collect, status and period);
1 a test fails or is unknown, or something is wanting (only collect, status, period and readiness);
0 all well.";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
    Check(check::Arguments),
    Collect(collect::Arguments),
    Status(status::Arguments),
    Log(log::Arguments),
    Show(show::Arguments),
    Diff(diff::Arguments),
    Drift(drift::Arguments),
    Deviations(deviations::Arguments),
    Period(period::Arguments),
    Report(report::Arguments),
    Acknowledge(acknowledge::Arguments),
    Except(except::Arguments),
    Population(population::Arguments),
    Sample(sample::Arguments),
    Attach(attach::Arguments),
    Readiness(readiness::Arguments),
    Matrix(matrix::Arguments),
    Export(export::Arguments),
    Verify(verify::Arguments),
    Reperform(reperform::Arguments),
    Checkpoint(checkpoint::Arguments),
    Key(key::Arguments),
    Backup(backup::Arguments),
    Recover(recover::Arguments),
    Alert(alert::Arguments),
    Completions(completions::Arguments),
}

impl Cli {
    /// Lets the program note what it does, where whoever runs it looks for that.
    pub fn start_logging(&self) {
        logging::start(self.verbose, self.is_daemon());
    }

    fn is_daemon(&self) -> bool {
        matches!(&self.command, Command::Collect(collect) if !collect.once)
    }

    /// Prints an error and what to do; returns the exit code it stands for.
    pub fn report(&self, error: &anyhow::Error) -> ExitCode {
        let collects = matches!(self.command, Command::Collect(_) | Command::Status(_));
        exit::report(error, collects, self.is_daemon() && logging::is_journal())
    }
}

/// Runs what was asked for, printing to `out`.
pub fn run(cli: &Cli, out: &mut dyn Write) -> Result<Exit> {
    let common = &cli.common;
    match &cli.command {
        Command::Init(arguments) => init::run(common, arguments, out),
        Command::Check(arguments) => check::run(common, arguments, out),
        Command::Collect(arguments) => collect::run(common, arguments, out),
        Command::Status(arguments) => status::run(common, arguments, out),
        Command::Log(arguments) => log::run(common, arguments, out),
        Command::Show(arguments) => show::run(common, arguments, out),
        Command::Diff(arguments) => diff::run(common, arguments, out),
        Command::Drift(arguments) => drift::run(common, arguments, out),
        Command::Deviations(arguments) => deviations::run(common, arguments, out),
        Command::Period(arguments) => period::run(common, arguments, out),
        Command::Report(arguments) => report::run(common, arguments, out),
        Command::Acknowledge(arguments) => acknowledge::run(common, arguments, out),
        Command::Except(arguments) => except::run(common, arguments, out),
        Command::Population(arguments) => population::run(common, arguments, out),
        Command::Sample(arguments) => sample::run(common, arguments, out),
        Command::Attach(arguments) => attach::run(common, arguments, out),
        Command::Readiness(arguments) => readiness::run(common, arguments, out),
        Command::Matrix(arguments) => matrix::run(common, arguments, out),
        Command::Export(arguments) => export::run(common, arguments, out),
        Command::Verify(arguments) => verify::run(common, arguments, out),
        Command::Reperform(arguments) => reperform::run(common, arguments, out),
        Command::Checkpoint(arguments) => checkpoint::run(common, arguments, out),
        Command::Key(arguments) => key::run(common, arguments, out),
        Command::Backup(arguments) => backup::run(common, arguments, out),
        Command::Recover(arguments) => recover::run(common, arguments, out),
        Command::Alert(arguments) => alert::run(common, arguments, out),
        Command::Completions(arguments) => completions::run(arguments, out),
    }
}

/// Prints a value as JSON, on several lines.
fn print_json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_lists_every_verb_by_reader() {
        let command = Cli::command();
        for verb in command.get_subcommands() {
            let line = VERBS
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{} ", verb.get_name())));
            assert!(line.is_some(), "{} is not listed", verb.get_name());
            assert!(
                verb.get_about().is_some(),
                "{} says nothing of itself",
                verb.get_name()
            );
            let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                examples.contains(&format!("  evidenced {}", verb.get_name())),
                "{} gives no example",
                verb.get_name()
            );
        }
        let listed = VERBS.lines().filter(|line| line.starts_with("  ")).count();
        assert_eq!(listed, command.get_subcommands().count());
    }
}
