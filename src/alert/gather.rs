//! A flood becomes a digest: where more messages are due to a channel at once than people read, one takes their place.

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

use super::facts::Facts;
use super::message::{Message, Phase};
use super::outlet::Outlet;
use super::template::samples;
use crate::control::Severity;
use crate::log::append::{Change, NewMessage};
use crate::log::leaf::Event;
use crate::log::store::Posted;

/// So many titles stand in a digest.
const TITLES: usize = 50;

/// So many further alerts its leaf can name.
const ALSO: usize = 4000;

/// The digests that take the place of messages that are due and were not sent yet. What is critical goes by itself, and so
/// does all for a channel that gathers by itself.
pub(super) fn changes(outlet: &Outlet, posted: &[Posted], now: DateTime<Utc>) -> Vec<Change> {
    let mut queues: BTreeMap<&str, Vec<(&Posted, Message)>> = BTreeMap::new();
    for posted in posted {
        let fresh = posted.attempts == 0 && posted.next <= now;
        if !fresh || outlet.gathers(&posted.channel) {
            continue;
        }
        let Ok(message) = serde_json::from_str::<Message>(&posted.message) else {
            continue;
        };
        if message.severity != Severity::Critical && message.phase != Phase::Digest {
            queues.entry(&posted.channel).or_default().push((posted, message));
        }
    }
    queues.retain(|_, queue| queue.len() > outlet.flood());
    let digests = queues.values().filter_map(|queue| digest(outlet, queue, now));
    digests.collect()
}

fn digest(outlet: &Outlet, queue: &[(&Posted, Message)], now: DateTime<Utc>) -> Option<Change> {
    let (first, any) = queue.first()?;
    let worst = queue.iter().map(|(_, message)| message.severity).min()?;
    let log = any.alert.rsplit_once('/').map_or("", |(log, _)| log);
    let facts = Facts {
        phase: Phase::Digest,
        event: Event::Digest,
        severity: worst,
        alert: first.alert,
        count: queue.len() as u64,
        titles: queue
            .iter()
            .take(TITLES)
            .map(|(_, message)| message.title.clone())
            .collect(),
        also: queue[1..]
            .iter()
            .map(|(posted, _)| posted.alert)
            .take(ALSO)
            .collect(),
        ..samples::trial(log, now)
    };
    let message = outlet.message(&facts)?;
    Some(Change::Word {
        rows: queue.iter().map(|(posted, _)| posted.id).collect(),
        messages: vec![NewMessage {
            alert: first.alert,
            phase: Phase::Digest.as_str(),
            about: None,
            since: queue.iter().map(|(posted, _)| posted.since).min()?,
            channel: first.channel.clone(),
            message: serde_json::to_string(&message).ok()?,
            attempts: 0,
            next: now,
        }],
    })
}
