//! A configuration, as far as telling people is concerned: where messages go, when, and in what words.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::channel::Channel;
use super::facts::Facts;
use super::message::Message;
use super::raise::After;
use super::route::{self, About};
use super::template::Templates;
use crate::config;
use crate::control::Severity;
use crate::log::append::Change;
use crate::log::store::OpenAlert;
use crate::plan::Plan;

/// Where messages go, when, and in what words.
pub struct Outlet {
    /// What is collected, and the controls that tests serve.
    pub plan: Arc<Plan>,
    /// How often and until when.
    pub settings: config::Alerts,
    /// By name.
    pub channels: BTreeMap<String, Line>,
    /// Which alerts go where.
    pub routes: Vec<config::Route>,
    /// Who answers for controls, and the channels that their digest goes to.
    pub owners: Vec<(String, Vec<String>)>,
    /// In what words.
    pub templates: Templates,
}

/// A channel and what may go over it.
pub struct Line {
    /// Hands messages over.
    pub channel: Box<dyn Channel>,
    /// Whether messages may name people and resources.
    pub personal_data: bool,
}

impl Outlet {
    /// Of how many failures in a row people are told; none where there is no channel to tell them by.
    pub fn after(&self) -> After {
        (!self.channels.is_empty()).then_some(self.settings.after)
    }

    pub(super) fn channel(&self, name: &str) -> Option<&dyn Channel> {
        self.channels.get(name).map(|line| line.channel.as_ref())
    }

    /// Whether a channel is given each alert by itself, however many there are.
    pub(super) fn gathers(&self, channel: &str) -> bool {
        self.channel(channel).is_some_and(Channel::gathers)
    }

    pub(super) fn flood(&self) -> usize {
        self.settings.flood
    }

    /// How long a message is tried.
    pub(super) fn give_up(&self) -> TimeDelta {
        TimeDelta::from_std(self.settings.give_up).unwrap_or(TimeDelta::MAX)
    }

    /// The alerts that nobody has taken on, and that were last told of too long ago.
    pub(super) fn reminders(&self, open: &[OpenAlert], now: DateTime<Utc>) -> Vec<Change> {
        let after = TimeDelta::from_std(self.settings.reminder).unwrap_or(TimeDelta::MAX);
        let due = open
            .iter()
            .filter(|open| !open.acknowledged && now - open.told >= after);
        due.map(|open| Change::Remind { alert: open.seq }).collect()
    }

    /// When the next of them is due.
    pub(super) fn next_reminder(&self, open: &[OpenAlert]) -> Option<DateTime<Utc>> {
        let after = TimeDelta::from_std(self.settings.reminder).ok()?;
        let open = open.iter().filter(|open| !open.acknowledged);
        open.filter_map(|open| open.told.checked_add_signed(after)).min()
    }

    /// The channels that an alert goes to.
    pub(super) fn channels_for(&self, facts: &Facts) -> Vec<String> {
        let about = About {
            event: facts.event,
            severity: facts.severity,
            source: facts.source.as_deref(),
            test: facts.test.as_ref().map(|test| test.id.as_str()),
            control: facts.manual.as_ref().map(|manual| manual.control.as_str()),
        };
        let names = self.channels.keys().map(String::as_str);
        let recipients = route::recipients(names, &self.routes, &self.plan.lists.rules, &about);
        recipients.into_iter().map(str::to_owned).collect()
    }

    /// Until when a message is held back: now, but for quiet hours.
    pub(super) fn not_before(&self, severity: Severity, now: DateTime<Utc>) -> DateTime<Utc> {
        let quiet = self.settings.quiet.as_ref();
        quiet
            .and_then(|quiet| route::quiet_until(quiet, severity, now))
            .unwrap_or(now)
    }

    /// A message to one channel, without what may not go over it; none if there is no such channel.
    pub(super) fn message_for(&self, channel: &str, facts: &Facts) -> Option<Message> {
        let line = self.channels.get(channel)?;
        if line.personal_data {
            self.message(facts)
        } else {
            self.message(&facts.clone().without_personal_data())
        }
    }

    /// Words facts. None if the operating system has no random numbers, with which a message is named.
    pub(super) fn message(&self, facts: &Facts) -> Option<Message> {
        let words = self.templates.fill(facts).or_else(|error| {
            // It was tried on messages like this one; what it says about a new one must not be lost.
            tracing::error!("a template fails, and the shipped ones are used: {error}");
            Templates::load(None).and_then(|shipped| shipped.fill(facts))
        });
        let words = words
            .inspect_err(|error| tracing::error!("a shipped template fails, which is a bug: {error}"))
            .ok()?;
        let key = (getrandom::u64().ok()?, getrandom::u64().ok()?);
        Some(Message {
            key: format!("evidenced-{:016x}{:016x}", key.0, key.1),
            alert: format!("{}/{}", facts.log, facts.alert),
            phase: facts.phase,
            event: facts.event,
            severity: facts.severity,
            since: facts.since,
            at: facts.at,
            source: facts.source.clone(),
            test: facts.test.as_ref().map(|test| test.id.clone()),
            title: words.title,
            text: words.text,
            html: words.html,
            facts: serde_json::to_value(facts).unwrap_or_default(),
        })
    }
}
