//! Messages that do not wait in the outbox: a test of a channel, and that the log is not intact.

use sha2::{Digest as _, Sha256};
use std::time::Duration;

use super::channel::SendError;
use super::courier::ATTEMPT;
use super::facts::Facts;
use super::message::Phase;
use super::outlet::Outlet;
use super::template::samples;
use super::usual_severity;
use crate::clock::Clock;
use crate::log::leaf::{Alert, AlertState, Delivery, Event};

/// How long an attempt may take where the program is about to end.
const LAST: Duration = Duration::from_secs(10);

/// What came of trying a channel: the leaf that records it, and the message's text.
pub struct Trial {
    /// Not in the log yet.
    pub leaf: Alert,
    /// What was sent.
    pub text: String,
}

/// Sends a test message to a channel, once; none if no message can be made.
pub async fn try_channel(outlet: &Outlet, channel: &str, log: &str, clock: &dyn Clock) -> Option<Trial> {
    let facts = samples::trial(log, clock.now());
    let message = outlet.message_for(channel, &facts)?;
    let attempt = outlet.channel(channel)?.send(&message, None);
    let came = match tokio::time::timeout(ATTEMPT, attempt).await {
        Ok(came) => came,
        Err(_) => Err(SendError::late()),
    };
    let (state, answer) = match came {
        Ok(sent) => (AlertState::Delivered, sent.answer),
        Err(error) => (AlertState::Undelivered, error.what),
    };
    let leaf = Alert {
        collector: None,
        source: None,
        state,
        alert: None,
        event: Event::Trial,
        severity: message.severity.to_string(),
        test: None,
        control: None,
        about: None,
        resources: 0,
        delivery: Some(Delivery {
            channel: channel.to_owned(),
            phase: message.phase.as_str().to_owned(),
            key: message.key,
            attempts: 1,
            answer,
            reference: None,
            also: Vec::new(),
        }),
    };
    Some(Trial {
        leaf,
        text: message.text,
    })
}

/// Tells every channel concerned that the log is not intact: directly, since nothing can be recorded. The message's key
/// says what is wrong, so that one who starts a broken daemon again and again is not told again and again.
pub async fn tell_not_intact(outlet: &Outlet, log: &str, problems: Vec<String>, clock: &dyn Clock) {
    let digest = Sha256::digest(format!("{log} {}", problems.join("\n")));
    let facts = Facts {
        phase: Phase::Notice,
        event: Event::LogNotIntact,
        severity: usual_severity(Event::LogNotIntact),
        problems,
        ..samples::trial(log, clock.now())
    };
    let told = outlet.channels_for(&facts).into_iter().map(async |name| {
        let mut message = outlet.message_for(&name, &facts)?;
        message.key = format!("evidenced-{}", &hex::encode(digest)[..32]);
        let channel = outlet.channel(&name)?;
        for pause in [1, 3, 0] {
            match tokio::time::timeout(LAST, channel.send(&message, None)).await {
                Ok(Ok(sent)) => {
                    tracing::info!("told {name} that the log is not intact: {}", sent.answer);
                    break;
                }
                Ok(Err(error)) => tracing::error!("{name} was not told that the log is not intact: {error}"),
                Err(_) => {
                    tracing::error!("{name} was not told that the log is not intact: no answer in time");
                }
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        Some(())
    });
    futures_util::future::join_all(told).await;
}
