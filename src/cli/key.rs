//! `evidenced key show`: the key that verifies this log.

use anyhow::Result;
use serde_json::json;
use std::io::Write;

use super::exit::Exit;
use super::{Common, Format, print_json, setup};
use crate::log::start;

/// Show the key that verifies this log
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced key show

It is the public half; the signing key never leaves the store.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the verifier key, for `evidenced verify --key`: give it to the auditor when the log begins
    Show,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let Command::Show = arguments.command;
    let key = start::verifier_key(&setup::reader(common)?)?;
    match common.format {
        Format::Text => writeln!(out, "{key}")?,
        Format::Json => print_json(
            out,
            &json!({ "key": key.to_string(), "origin": key.origin().as_str() }),
        )?,
    }
    Ok(Exit::Well)
}
