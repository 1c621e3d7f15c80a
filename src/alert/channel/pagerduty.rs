//! PagerDuty, by Events API v2: what goes on is triggered, acknowledged and resolved under one key.
//!
//! ```toml
//! settings = { routing_key = { env = "PAGERDUTY_KEY" } }
//! ```
//!
//! A repetition is dropped by PagerDuty itself, by the key that names the alert. What is only told once, a notice or a
//! digest, is triggered, and stays until a person resolves it: somebody has read it then. A trial is resolved at once, so
//! that nobody is called for long.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use evidenced_collector_api::SettingsError;
use secrecy::{ExposeSecret as _, SecretString};

use super::address::Address;
use super::http::{Http, RootCertificates};
use super::{Again, Channel, SendError, Sent, contradiction, line, secret};
use crate::alert::message::{Message, Phase};
use crate::clock::SharedClock;
use crate::config;
use crate::control::Severity;
use crate::log::leaf::format_time;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The integration's key.
    routing_key: SecretRef,
    /// Where events are sent: PagerDuty's European region, or a program that passes them on.
    #[serde(default = "events")]
    url: Address,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

fn events() -> Address {
    const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
    Address::known(EVENTS)
}

struct PagerDuty {
    url: Address,
    routing_key: SecretString,
    http: Http,
}

/// What PagerDuty takes of a summary, in characters.
const SUMMARY: usize = 1024;

/// What PagerDuty takes of a key, in characters.
const KEY: usize = 255;

/// What PagerDuty takes of an event, in bytes.
const EVENT: usize = 512 << 10;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    settings.url.may_carry_secrets("url")?;
    let routing_key = secret("routing_key", &settings.routing_key, secrets)?;
    let written = routing_key.expose_secret();
    if written.len() != 32 || !written.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(contradiction(
            "routing_key: not an integration key",
            "put the 32 letters and digits of an integration for Events API v2 there, and nothing else",
        ));
    }
    let hidden = vec![routing_key.clone()];
    let http = Http::new(&settings.url, settings.root_certificates.as_ref(), hidden, clock)?;
    Ok(Box::new(PagerDuty {
        url: settings.url,
        routing_key,
        http,
    }))
}

#[async_trait]
impl Channel for PagerDuty {
    fn gathers(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let answer = self.enqueue(message, action(message.phase)).await?;
        if message.phase == Phase::Trial {
            self.enqueue(message, "resolve").await?;
        }
        Ok(Sent {
            answer,
            reference: None,
        })
    }
}

impl PagerDuty {
    async fn enqueue(&self, message: &Message, action: &str) -> Result<String, SendError> {
        let event = event(message, action, self.routing_key.expose_secret());
        let request = self.http.client()?.post(self.url.whole()).json(&event);
        let answer = self.http.exchange(request).await?.taken()?;
        let accepted = answer.json().is_some_and(|body| body["status"] == "success");
        if !accepted {
            // Something between us and PagerDuty has answered.
            return Err(answer.not_taken(Again::Later));
        }
        Ok(answer.told())
    }
}

fn action(phase: Phase) -> &'static str {
    match phase {
        Phase::Opened | Phase::Grown | Phase::Reminder | Phase::Notice | Phase::Digest | Phase::Trial => {
            "trigger"
        }
        Phase::Acknowledged => "acknowledge",
        Phase::Closed => "resolve",
    }
}

fn event(message: &Message, action: &str, routing_key: &str) -> Value {
    let origin = message
        .alert
        .rsplit_once('/')
        .map_or(message.alert.as_str(), |(origin, _)| origin);
    let severity = match message.severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(&message.alert),
        "client": "evidenced",
        "payload": {
            "summary": line::cut(&line::one(&message.title), SUMMARY),
            "source": message.source.as_deref().unwrap_or(origin),
            "severity": severity,
            "timestamp": format_time(message.at),
            "group": origin,
            "class": message.event.as_str(),
            "custom_details": match &message.facts {
                facts @ Value::Object(_) => facts.clone(),
                facts => json!({ "facts": facts }),
            },
        },
    });
    if let Some(test) = &message.test {
        event["payload"]["component"] = test.as_str().into();
    }
    if event.to_string().len() > EVENT {
        // What a person needs; the rest is in the log.
        event["payload"]["custom_details"] = json!({ "text": line::cut(&message.text, EVENT / 16) });
    }
    event
}

/// The alert's name, or where that is too long, its digest.
fn dedup_key(alert: &str) -> String {
    if alert.chars().count() <= KEY {
        return alert.to_owned();
    }
    hex::encode(Sha256::digest(alert.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    #[test]
    fn what_becomes_of_an_alert_is_told_under_one_key() {
        for (phase, expected) in [
            (Phase::Opened, "trigger"),
            (Phase::Grown, "trigger"),
            (Phase::Reminder, "trigger"),
            (Phase::Acknowledged, "acknowledge"),
            (Phase::Closed, "resolve"),
        ] {
            let event = event(&message(), action(phase), "k");
            assert_eq!(event["event_action"], expected);
            assert_eq!(event["dedup_key"], "acme/0a1b2c3d/7");
        }
    }

    #[test]
    fn an_event_says_what_it_is_about() {
        let event = event(&message(), "trigger", "k");
        let payload = &event["payload"];
        assert_eq!(payload["source"], "prod");
        assert_eq!(payload["component"], "aws-console-mfa");
        assert_eq!(payload["class"], "test_failing");
        assert_eq!(payload["group"], "acme/0a1b2c3d");
        assert_eq!(payload["severity"], "error");
        assert_eq!(payload["custom_details"]["resources"][0], "alice");
    }

    #[test]
    fn no_part_is_longer_than_pagerduty_takes() {
        let mut long = message();
        long.title = "ä".repeat(5000);
        long.alert = format!("{}/7", "a".repeat(300));
        long.facts = json!({ "resources": vec!["\u{1}name of a resource"; 50_000] });
        long.text = "\u{1}".repeat(1_000_000);
        let event = event(&long, "trigger", "k");
        assert_eq!(
            event["payload"]["summary"].as_str().unwrap().chars().count(),
            SUMMARY
        );
        assert_eq!(event["dedup_key"].as_str().unwrap().len(), 64);
        assert!(event.to_string().len() <= EVENT, "{}", event.to_string().len());
        assert!(event["payload"]["custom_details"]["text"].is_string());
        long.alert = format!("{}/8", "a".repeat(300));
        assert_ne!(dedup_key(&long.alert), event["dedup_key"]);
    }
}
