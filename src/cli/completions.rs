//! `evidenced completions SHELL`: completions for a shell.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write;

use super::Cli;
use super::exit::Exit;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced completions bash > /etc/bash_completion.d/evidenced
  evidenced completions zsh > \"${fpath[1]}/_evidenced\"")]
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
