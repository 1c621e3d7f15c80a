//! `evidenced alert test CHANNEL`: whether a message reaches a channel.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::setup::{self, Setup};
use super::style::{self, Style};
use super::{Common, Format, print_json};
use crate::alert::direct::{self, Trial};
use crate::clock;
use crate::config::closest;
use crate::log::append::{Appender, Draft};
use crate::log::leaf::{AlertState, Body, Role};

/// Send a test message to a channel
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced alert test on-call

The message says that it is a test. What the receiver answered is shown, and recorded in the log where there is one.
Exit codes: 0 the channel took it; 2 it did not.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send a marked test message, and say what the receiver answered
    Test {
        /// The channel's configured name
        channel: String,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    channel: &'a str,
    delivered: bool,
    answer: &'a str,
    /// The leaf that records it; null where there is no log yet.
    seq: Option<u64>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let Command::Test { channel } = &arguments.command;
    let setup = setup::setup(common)?;
    known(&setup, channel)?;
    let clock = clock::system();
    // Only what is there already: a test makes no log.
    let log = if setup.paths.database().exists() {
        Some(Appender::open(
            &setup.paths,
            setup.config.name.as_str(),
            clock.clone(),
        )?)
    } else {
        None
    };
    let origin = match &log {
        Some(_) => setup::reader(common)?.origin().to_string(),
        None => setup.config.name.as_str().to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Some(Trial { leaf, text }) = runtime.block_on(direct::try_channel(
        &setup.outlet,
        channel,
        &origin,
        clock.as_ref(),
    )) else {
        anyhow::bail!("no message could be made, as the lines before tell");
    };
    let delivered = leaf.state == AlertState::Delivered;
    let answer = leaf.delivery.as_ref().map(|delivery| delivery.answer.clone());
    let answer = answer.unwrap_or_default();
    let seq = match log {
        Some(log) => {
            let draft =
                Draft::new(Body::Alert(leaf)).with_blob(Role::Message, "text/plain", text.as_bytes())?;
            Some(runtime.block_on(log.append(draft))?.seq)
        }
        None => None,
    };
    match common.format {
        Format::Json => print_json(
            out,
            &Shown {
                channel,
                delivered,
                answer: &answer,
                seq,
            },
        )?,
        Format::Text => {
            let style = Style::of_stdout();
            let answer = style::plain(&answer);
            if delivered {
                writeln!(
                    out,
                    "{} {channel} took the test message: {answer}",
                    style.good("✓")
                )?;
            } else {
                writeln!(
                    out,
                    "{} {channel} did not take the test message: {answer}",
                    style.bad("✗")
                )?;
            }
        }
    }
    Ok(if delivered { Exit::Well } else { Exit::Usage })
}

fn known(setup: &Setup, channel: &str) -> Result<()> {
    let names: Vec<&str> = setup.outlet.channels.keys().map(String::as_str).collect();
    if names.contains(&channel) {
        return Ok(());
    }
    let help = match closest(channel, &names) {
        Some(name) => format!("did you mean {name:?}?"),
        None if names.is_empty() => {
            "add a [[channel]] to the configuration: config.example.toml shows how".to_owned()
        }
        None => format!("there are: {}", names.join(", ")),
    };
    Err(UsageError::error(
        format!("no channel is named {channel:?}"),
        help,
    ))
}
