//! `evidenced completions SHELL`: completions for a shell.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write;

use super::Cli;
use super::exit::Exit;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "evidenced", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Well)
}
