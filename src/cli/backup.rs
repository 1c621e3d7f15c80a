//! `evidenced backup DIR`: copy the store consistently, beside running writers.

use anyhow::Result;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

use super::exit::{Exit, UsageError};
use super::style;
use super::{Common, Format, print_json, setup};
use crate::log::backup;

/// Copy the store consistently, beside running writers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced backup /mnt/copies/2026-11-21
  evidenced verify /mnt/copies/2026-11-21

The copy can be read and verified like the store; without the key nobody can append to it.")]
pub(super) struct Arguments {
    /// The folder to copy to, which is empty or does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let paths = setup::store(common)?;
    setup::reachable(&paths)?;
    let directory = &arguments.directory;
    if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(UsageError::error(
            format!(
                "{} is not empty, and a backup overwrites nothing",
                directory.display()
            ),
            "name a folder that is empty or does not exist",
        ));
    }
    let note = backup::backup(&paths, directory)?;
    let checkpoint = setup::checkpoint(&note)?;
    let directory = directory.display();
    match common.format {
        Format::Text => writeln!(
            out,
            "Copied {} of {} to {directory}.\nThe signing key is not in the copy: keep it elsewhere, and keep it safe.",
            style::count(checkpoint.size, "leaf", "leaves"),
            checkpoint.origin
        )?,
        Format::Json => {
            let (origin, root) = (checkpoint.origin.as_str(), hex::encode(checkpoint.root));
            let directory = directory.to_string();
            print_json(
                out,
                &json!({ "directory": directory, "origin": origin, "size": checkpoint.size, "root": root }),
            )?;
        }
    }
    Ok(Exit::Well)
}
