//! `evidenced recover`: put a refused store away and begin a new log that names it.

use anyhow::Result;
use serde_json::json;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::style;
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::config::{Config, Environment};
use crate::log::recover::{self, Reason, Recovered};
use crate::log::store::Paths;

/// Put a refused store away and begin a new log that names it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced recover --reason \"disk replaced after a failure, OPS-17\"

For a store that every other verb refuses. Nothing is mended or deleted: the old log moves to logs/ in the store, and
the new one begins with a leaf that names it, the reason, and who recovered.")]
pub(super) struct Arguments {
    /// Why, for the auditor: what happened, and the ticket if there is one
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    if arguments.reason.trim().is_empty() {
        return Err(UsageError::error(
            "--reason is empty",
            "say what happened: it stands in the log for the auditor",
        ));
    }
    let config = Config::find(common.config.as_deref(), &Environment::of_process())?;
    let paths = setup::store(common)?;
    setup::reachable(&paths)?;
    if !paths.directory().exists() {
        return Err(nothing_to_do(&paths));
    }
    let reason = Reason {
        reason: arguments.reason.clone(),
        recorded_by: setup::os_user(),
    };
    match recover::recover(&paths, config.name.as_str(), clock::system(), &reason)? {
        Recovered::NothingToDo => {
            return Err(nothing_to_do(&paths));
        }
        Recovered::Begun { old, recovery } => match common.format {
            Format::Json => print_json(
                out,
                &json!({ "directory": old.display().to_string(), "recovery": *recovery }),
            )?,
            Format::Text => {
                writeln!(out, "The old log is kept as it is in {}.", old.display())?;
                for (name, head) in [("guard", &recovery.guard), ("database", &recovery.database)] {
                    match head {
                        Some(head) => writeln!(
                            out,
                            "  its {name} knew {}",
                            style::count(head.size, "leaf", "leaves")
                        )?,
                        None => writeln!(out, "  its {name} is missing or can't be read")?,
                    }
                }
                for problem in &recovery.problems {
                    writeln!(out, "  {}", style::plain(problem))?;
                }
                writeln!(
                    out,
                    "A new log was begun, whose leaf 1 says so. Its key is new: give your auditor what `evidenced key show`\n\
                     prints, and say why. `evidenced verify` checks both logs."
                )?;
            }
        },
    }
    Ok(Exit::Well)
}

fn nothing_to_do(paths: &Paths) -> anyhow::Error {
    UsageError::error(
        format!("there is nothing to recover in {}", paths.directory().display()),
        "the store can be opened as it is, or there is none; nothing was changed",
    )
}
