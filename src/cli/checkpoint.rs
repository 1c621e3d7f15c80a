//! `evidenced checkpoint`: print the signed checkpoint that the log commits to.

use anyhow::Result;
use serde_json::json;
use std::io::Write;

use super::exit::Exit;
use super::{Common, Format, print_json, setup};
use crate::log::start;

/// Print the signed checkpoint that the log commits to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced checkpoint > checkpoint.txt

Kept outside the company, a checkpoint shows later that the log was not rewritten since. It is a C2SP tlog-checkpoint.")]
pub(super) struct Arguments {}

pub(super) fn run(common: &Common, _arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    // No signature leaves the process before the guard has it.
    start::check_end(&reader)?;
    let note = reader.checkpoint()?;
    match common.format {
        Format::Text => write!(out, "{note}")?,
        Format::Json => {
            let checkpoint = setup::checkpoint(&note)?;
            let (origin, root) = (checkpoint.origin.as_str(), hex::encode(checkpoint.root));
            print_json(
                out,
                &json!({ "origin": origin, "size": checkpoint.size, "root": root, "note": note }),
            )?;
        }
    }
    Ok(Exit::Well)
}
