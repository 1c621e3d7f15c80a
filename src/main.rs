//! evidenced: continuous, tamper-evident proof that SOC 2 controls operated.

use clap::Parser as _;
use evidenced::cli::{self, Cli};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_logging();
    let mut out = std::io::stdout().lock();
    let ended = cli::run(&cli, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => cli.report(&error),
    }
}
