//! How the daemon stands, for `evidenced status`: whether it runs, what it missed lately, and how long the disk lasts.

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

use super::super::exit::{Exit, UsageError};
use super::super::style::{self, Style};
use super::super::{Common, Format, print_json};
use crate::config::{Config, Environment};
use crate::daemon::lock;
use crate::disk;
use crate::log::leaf::{Body, format_time};
use crate::log::store::{Filter, Reader};

/// How the daemon stands.
#[derive(Serialize)]
pub(super) struct ShownDaemon {
    /// Whether one runs on this machine.
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// The newest heartbeat.
    heartbeat: Option<String>,
    /// Ticks recorded as missed within the last day.
    missed: u64,
    /// Bytes left on the store's disk.
    free_bytes: Option<u64>,
    /// How many days those last, at the rate of the last week; null where that can't be told.
    days_left: Option<u64>,
}

/// None where no daemon has ever written to the log.
pub(super) fn shown(reader: &Reader, now: DateTime<Utc>) -> Result<Option<ShownDaemon>> {
    let Some(newest) = reader.newest("heartbeat", None)? else {
        return Ok(None);
    };
    let newest = reader.leaf(newest)?.map(|leaf| leaf.time);
    let holder = lock::holder(reader.paths());
    let (_, free) = disk::sizes(reader.paths());
    Ok(Some(ShownDaemon {
        running: holder.is_some(),
        pid: holder.flatten(),
        heartbeat: newest.map(format_time),
        missed: missed(reader, now - TimeDelta::days(1))?,
        free_bytes: free,
        days_left: disk::days_left(reader, now)?,
    }))
}

fn missed(reader: &Reader, since: DateTime<Utc>) -> Result<u64> {
    let filter = Filter {
        from: Some(format_time(since)),
        kinds: vec!["missed".to_owned()],
        ..Filter::default()
    };
    let mut count = 0;
    for entry in reader.entries(&filter)? {
        if let Some(Body::Missed(missed)) = reader.leaf(entry.seq)?.and_then(|leaf| leaf.body) {
            count += missed.ticks.count;
        }
    }
    Ok(count)
}

pub(super) fn print(out: &mut dyn Write, style: Style, daemon: &ShownDaemon) -> Result<()> {
    match (daemon.running, daemon.pid) {
        (true, Some(pid)) => writeln!(out, "The daemon runs, with pid {pid}.")?,
        (true, None) => writeln!(out, "The daemon runs.")?,
        (false, _) => writeln!(
            out,
            "{} No daemon runs here: ticks that pass are missed. `evidenced collect` starts it.",
            style.bad("!")
        )?,
    }
    if daemon.missed > 0 {
        let ticks = style::count(daemon.missed, "tick", "ticks");
        writeln!(
            out,
            "{} {ticks} recorded as missed within a day: `evidenced log --kind missed` says why.",
            style.bad("!")
        )?;
    }
    if let Some(free) = daemon.free_bytes {
        let lasts = match daemon.days_left {
            Some(3650..) => ", more than ten years' worth".to_owned(),
            Some(days) => format!(", enough for {}", style::count(days, "day", "days")),
            None => String::new(),
        };
        let mark = match daemon.days_left {
            Some(..30) => format!("{} ", style.bad("!")),
            _ => String::new(),
        };
        writeln!(
            out,
            "{mark}{} left on the store's disk{lasts}.",
            style::bytes(free)
        )?;
    }
    writeln!(out)?;
    Ok(())
}

/// Asks the running daemon whether it is ready, at the address that the configuration has it listen on.
pub(super) fn ready(common: &Common, out: &mut dyn Write) -> Result<Exit> {
    // No more than that: a health check is no test of the configuration.
    let config = Config::find(common.config.as_deref(), &Environment::of_process())?;
    let Some(mut address) = config.daemon.listen else {
        return Err(UsageError::error(
            "the daemon answers nowhere: no listen in [daemon]",
            "write listen = \"127.0.0.1:9464\" there, and restart the daemon",
        ));
    };
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ready, why) = match runtime.block_on(ask(address)) {
        Ok((true, _)) => (true, "ready".to_owned()),
        Ok((false, why)) => (false, style::plain(why.trim())),
        Err(error) => (
            false,
            format!("no answer from http://{address}: {}", error.root_cause()),
        ),
    };
    match common.format {
        Format::Json => print_json(out, &serde_json::json!({ "ready": ready, "reason": why }))?,
        Format::Text => writeln!(out, "{why}")?,
    }
    Ok(if ready { Exit::Well } else { Exit::TestFails })
}

async fn ask(address: std::net::SocketAddr) -> Result<(bool, String)> {
    // Without one it makes no client, even for what is not encrypted.
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()
        .context("no client can be made")?;
    let answer = client.get(format!("http://{address}/readyz")).send().await?;
    Ok((answer.status().is_success(), answer.text().await?))
}
