//! `evidenced checkpoint`: print the signed checkpoint that the log commits to.

use anyhow::{Context as _, Result};
use serde_json::json;
use std::io::Write;

use super::exit::Exit;
use super::{Common, Format, print_json, setup};
use crate::log::checkpoint::Checkpoint;
use crate::log::start;

/// Print the signed checkpoint that the log commits to
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(common: &Common, _arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    // No signature leaves the process before the guard has it.
    start::check_end(&reader)?;
    let note = reader.checkpoint()?;
    match common.format {
        Format::Text => write!(out, "{note}")?,
        Format::Json => {
            let (text, _) = note
                .split_once("\n\n")
                .context("the newest checkpoint is malformed")?;
            let checkpoint = Checkpoint::parse(text)?;
            let (origin, root) = (checkpoint.origin.as_str(), hex::encode(checkpoint.root));
            print_json(
                out,
                &json!({ "origin": origin, "size": checkpoint.size, "root": root, "note": note }),
            )?;
        }
    }
    Ok(Exit::Well)
}
