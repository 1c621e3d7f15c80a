//! How the daemon runs, and when it is announced not to.

use chrono::{DateTime, Utc};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

use super::names::{Jitter, StopWithin};
use super::section::{Reader, Rejected, Section};

/// How the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Where `/healthz`, `/readyz` and `/metrics` are served; nowhere unless configured.
    pub listen: Option<SocketAddr>,
    /// How many runs may be under way at once.
    pub runs: usize,
    /// How many of them on one source.
    pub runs_per_source: usize,
    /// The most that a run begins behind its tick.
    pub jitter: Duration,
    /// How long runs under way may go on when the daemon is told to stop.
    pub stop_within: Duration,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            listen: None,
            runs: 4,
            runs_per_source: 2,
            jitter: Duration::from_mins(5),
            stop_within: Duration::from_secs(30),
        }
    }
}

/// A time in which the daemon is announced not to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends.
    pub to: DateTime<Utc>,
    /// Why, as an auditor will read it.
    pub reason: String,
}

pub(super) const DAEMON_KEYS: [&str; 5] = ["listen", "runs", "runs_per_source", "jitter", "stop_within"];
pub(super) const MAINTENANCE_KEYS: [&str; 3] = ["from", "to", "reason"];

/// An address and a port.
struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        text.parse().map(Self).map_err(|_| Rejected {
            what: "is not an IP address and a port",
            help: "listen = \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for every address of this machine",
        })
    }
}

/// An instant with its offset.
struct Instant(DateTime<Utc>);

impl FromStr for Instant {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| Rejected {
            what: "is not an instant of RFC 3339",
            help: "date, time and offset: \"2026-12-24T22:00:00Z\"",
        })?;
        Ok(Self(instant.to_utc()))
    }
}

/// Words for an auditor.
struct Reason(String);

impl FromStr for Reason {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        if text.trim().is_empty() || text.len() > 500 || text.chars().any(char::is_control) {
            return Err(Rejected {
                what: "is empty, of several lines or over 500 bytes",
                help: "say in a sentence why nothing is collected then",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl Reader<'_> {
    /// The `[daemon]` section.
    pub(super) fn daemon(&mut self, top: &Section<'_>) -> Daemon {
        let usual = Daemon::default();
        let Some(value) = top.get("daemon") else {
            return usual;
        };
        let Some(table) = self.table("daemon", value, "[daemon], in single brackets") else {
            return usual;
        };
        let section = self.open("in [daemon]", table, value.span(), &DAEMON_KEYS);
        let listen = self.optional("listen", &section, "listen = \"127.0.0.1:9464\"");
        let jitter = self.optional("jitter", &section, "jitter = \"5m\"");
        let stop_within = self.optional("stop_within", &section, "stop_within = \"30s\"");
        let mut runs = |key, usual: usize| {
            self.number(key, &section, &(1..=64))
                .and_then(|runs| usize::try_from(runs).ok())
                .unwrap_or(usual)
        };
        Daemon {
            listen: listen.ok().flatten().map(|Listen(address)| address),
            runs: runs("runs", usual.runs),
            runs_per_source: runs("runs_per_source", usual.runs_per_source),
            jitter: jitter.ok().flatten().map_or(usual.jitter, |Jitter(most)| most),
            stop_within: stop_within
                .ok()
                .flatten()
                .map_or(usual.stop_within, |StopWithin(most)| most),
        }
    }

    /// Every `[[maintenance]]`.
    pub(super) fn maintenance(&mut self, top: &Section<'_>) -> Vec<Maintenance> {
        let example = "[[maintenance]], in two brackets, once for each time";
        let Some(list) = top
            .get("maintenance")
            .and_then(|value| self.list("maintenance", value, example))
        else {
            return Vec::new();
        };
        let mut announced = Vec::new();
        for value in list {
            let Some(table) = self.table("maintenance", value, example) else {
                continue;
            };
            let section = self.open("in [[maintenance]]", table, value.span(), &MAINTENANCE_KEYS);
            let from = self.instant("from", &section);
            let to = self.instant("to", &section);
            let example = "reason = \"the rack moves\"";
            let reason = self
                .required(&section, "reason", example)
                .and_then(|value| self.text::<Reason>("reason", value, example));
            let (Some(from), Some(to), Some(reason)) = (from, to, reason) else {
                continue;
            };
            if to.get_ref().0 <= from.get_ref().0 {
                self.problem(
                    &to.span(),
                    "to is not after from".to_owned(),
                    "say when it begins and when it ends",
                );
            }
            announced.push(Maintenance {
                from: from.into_inner().0,
                to: to.into_inner().0,
                reason: reason.into_inner().0,
            });
        }
        announced
    }

    fn instant(&mut self, key: &str, section: &Section<'_>) -> Option<Spanned<Instant>> {
        let example = format!("{key} = \"2026-12-24T22:00:00Z\"");
        let value = self.required(section, key, &example)?;
        self.text(key, value, &example)
    }
}
