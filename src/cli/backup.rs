//! `evidenced backup DIR`: copy the store consistently, beside running writers.

use anyhow::{Context as _, Result};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use super::{Common, Format, print_json, setup};
use crate::log::backup;
use crate::log::checkpoint::Checkpoint;

/// Copy the store consistently, beside running writers
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder to copy to, which is empty or does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let note = backup::backup(&setup::store(common)?, &arguments.directory)?;
    let (text, _) = note
        .split_once("\n\n")
        .context("the newest checkpoint is malformed")?;
    let checkpoint = Checkpoint::parse(text)?;
    let directory = arguments.directory.display();
    match common.format {
        Format::Text => writeln!(
            out,
            "Copied {} leaves of {} to {directory}.\nThe signing key is not in the copy: keep it elsewhere, and keep it safe.",
            checkpoint.size, checkpoint.origin
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
