//! Channels: one file for each kind of receiver.
//!
//! [`TYPES`] is the only list of them. A channel sends one message, once: whoever calls it decides when to send again, by
//! [`SendError::again`], and keeps what the receiver called the alert. Sending a message a second time, after a crash that
//! left open whether it was sent, does no harm: it has the same key, and where a receiver opens tickets, the earlier one is
//! looked for first.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

use evidenced_collector_api::SettingsError;

use super::message::Message;
use crate::clock::SharedClock;
use crate::config::{self, Config, ConfigError, Problem, there_are};
use crate::secret::{SecretError, SecretRef, SecretSources};

mod address;
mod alertmanager;
mod email;
mod github_issues;
mod hook;
mod http;
mod jira;
mod line;
mod pagerduty;
mod slack;
mod teams;
mod webhook;

/// Hands messages to one receiver.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends one message, once. `reference` is what this receiver called the alert when it took an earlier message about
    /// it: a ticket's number.
    async fn send(&self, message: &Message, reference: Option<&str>) -> Result<Sent, SendError>;

    /// Whether the receiver gathers alerts by itself: then it is given each, however many there are at once.
    fn gathers(&self) -> bool {
        false
    }
}

/// A message was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What the receiver answered, in a line of at most 200 characters, without secrets.
    pub answer: String,
    /// What it calls the alert, where it gives it a name of its own: a ticket's number.
    pub reference: Option<String>,
}

/// A message was not taken, or nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SendError {
    /// Why, in a line of at most 200 characters, without secrets.
    pub what: String,
    /// Whether trying again can help.
    pub again: Again,
}

/// Whether and when a message is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would be refused again.
    Never,
    /// After a while.
    Later,
    /// Not before this has passed, as the receiver said.
    After(Duration),
}

impl SendError {
    /// The attempt panicked.
    pub fn broken() -> Self {
        Self {
            what: "the attempt broke off, which is a bug of evidenced".to_owned(),
            again: Again::Later,
        }
    }

    /// The receiver did not answer in time.
    pub fn late() -> Self {
        Self {
            what: "no answer in time".to_owned(),
            again: Again::Later,
        }
    }
}

/// Makes a channel of its settings and of the secrets that these refer to.
type Build =
    fn(&config::Settings, &SecretSources<'_>, &SharedClock) -> Result<Box<dyn Channel>, SettingsError>;

/// A type of channel that can be configured.
pub struct Registered {
    /// The channel's type in the configuration.
    pub kind: &'static str,
    /// What it sends to, in a line.
    pub about: &'static str,
    build: Build,
}

/// Every type of channel.
pub const TYPES: &[Registered] = &[
    Registered {
        kind: "alertmanager",
        about: "Prometheus Alertmanager, by its API v2",
        build: alertmanager::build,
    },
    Registered {
        kind: "email",
        about: "people, by a mail server",
        build: email::build,
    },
    Registered {
        kind: "github_issues",
        about: "a repository on GitHub: an issue for each alert",
        build: github_issues::build,
    },
    Registered {
        kind: "jira",
        about: "a project in Jira, Cloud or Data Center: an issue for each alert",
        build: jira::build,
    },
    Registered {
        kind: "pagerduty",
        about: "a service in PagerDuty, by Events API v2",
        build: pagerduty::build,
    },
    Registered {
        kind: "slack",
        about: "a channel in Slack, by an incoming webhook",
        build: slack::build,
    },
    Registered {
        kind: "teams",
        about: "a channel or chat in Microsoft Teams, by a workflow's webhook",
        build: teams::build,
    },
    Registered {
        kind: "webhook",
        about: "any program that receives Standard Webhooks",
        build: webhook::build,
    },
];

/// A channel, ready to send; or what is wrong with its settings or its secrets, or that there is no such type, which
/// [`Config::channel_problem`] tells with its place. Nothing is sent yet.
pub fn build(
    channel: &config::Channel,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let kind = channel.kind.get_ref().as_str();
    let Some(registered) = TYPES.iter().find(|registered| registered.kind == kind) else {
        let known: Vec<_> = TYPES.iter().map(|registered| registered.kind).collect();
        return Err(SettingsError {
            message: format!("no such type of channel: \"{kind}\"\n{}", there_are(kind, &known)),
            span: Some(channel.kind.span()),
        });
    };
    (registered.build)(&channel.settings, secrets, clock)
}

/// Every channel of a configuration by its name, ready to send; or all that is wrong with them.
pub fn build_all(
    config: &Config,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<BTreeMap<String, Box<dyn Channel>>, ConfigError> {
    let (mut built, mut problems) = (BTreeMap::new(), Vec::new());
    for channel in &config.channels {
        match build(channel, secrets, clock) {
            Ok(ready) => drop(built.insert(channel.name.get_ref().as_str().to_owned(), ready)),
            Err(error) => problems.push(config.channel_problem(channel, &error)),
        }
    }
    ConfigError::check(problems)?;
    Ok(built)
}

/// The secret at a key.
fn secret(
    key: &str,
    reference: &SecretRef,
    secrets: &SecretSources<'_>,
) -> Result<secrecy::SecretString, SettingsError> {
    reference.resolve(secrets).map_err(|error: SecretError| {
        let problem = Problem::from(&error);
        SettingsError {
            message: format!("{key}: {}\n{}", problem.message, error.help()),
            span: None,
        }
    })
}

/// Settings that contradict each other: what is wrong, and what to do.
fn contradiction(what: &str, help: &str) -> SettingsError {
    SettingsError {
        message: format!("{what}\n{help}"),
        span: None,
    }
}

#[cfg(test)]
mod tests;
