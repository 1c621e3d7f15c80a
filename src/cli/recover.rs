//! `evidenced recover`: put a refused store away and begin a new log that names it.

use anyhow::Result;
use serde_json::json;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::config::{Config, Environment};
use crate::log::recover::{self, Reason, Recovered};

/// Put a refused store away and begin a new log that names it
#[derive(Debug, clap::Args)]
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
    let reason = Reason {
        reason: arguments.reason.clone(),
        recorded_by: setup::os_user(),
    };
    match recover::recover(&paths, config.name.as_str(), clock::system(), &reason)? {
        Recovered::NothingToDo => {
            return Err(UsageError::error(
                format!("there is nothing to recover in {}", paths.directory().display()),
                "the store can be opened as it is, or there is none; nothing was changed",
            ));
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
                        Some(head) => writeln!(out, "  its {name} knew {} leaves", head.size)?,
                        None => writeln!(out, "  its {name} could not be read")?,
                    }
                }
                for problem in &recovery.problems {
                    writeln!(out, "  {problem}")?;
                }
                writeln!(
                    out,
                    "A new log was begun, whose leaf 1 says so. Its key is new: note `evidenced key show`."
                )?;
            }
        },
    }
    Ok(Exit::Well)
}
