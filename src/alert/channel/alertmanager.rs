//! Prometheus Alertmanager, by its API v2: what goes on is an alert that ends when it is closed.
//!
//! ```toml
//! settings = { url = "http://alertmanager:9093", lasts = "30d" }
//! ```
//!
//! Alertmanager takes an alert that nobody sends again for over, and tells so. That must not look as if it were mended: an
//! alert is sent with an end that lies as far ahead as `lasts` says, which each reminder moves on, and one that is
//! acknowledged, of which nobody is reminded, with one a year ahead. What is only told once ends after an hour.
//!
//! Alertmanager keeps alerts in memory: one that has restarted knows of this one again with its next reminder.

use async_trait::async_trait;
use chrono::TimeDelta;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use evidenced_collector_api::{SettingsError, checked_setting};

use super::address::Address;
use super::http::{self, Http, RootCertificates};
use super::{Channel, SendError, Sent, contradiction, line, secret};
use crate::alert::message::{Message, Phase};
use crate::clock::SharedClock;
use crate::config;
use crate::control::MaxAge;
use crate::log::leaf::format_time;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The server's root, without `/api`.
    url: Address,
    /// How long an alert goes on of which nothing more is heard.
    #[serde(default)]
    lasts: Lasts,
    /// For `Authorization: Bearer`.
    token: Option<SecretRef>,
    /// For basic authentication, with `password`.
    user: Option<String>,
    password: Option<SecretRef>,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

checked_setting!(
    /// A length of time from 25 hours to a year: reminders come daily.
    Lasts(String = "30d".to_owned()),
    |text| lasts(text).is_some(),
    "lasts is a time from 25 hours to 365 days: \"30d\""
);

fn lasts(text: &str) -> Option<TimeDelta> {
    let length = MaxAge::parse(text).ok()?.length();
    (TimeDelta::hours(25)..=TimeDelta::days(365))
        .contains(&length)
        .then_some(length)
}

struct Alertmanager {
    url: String,
    access: Access,
    lasts: TimeDelta,
    http: Http,
}

enum Access {
    None,
    Token(SecretString),
    Basic(String, SecretString),
}

/// How long what is only told once is shown.
const NOTICE: TimeDelta = TimeDelta::hours(1);

/// How long what is acknowledged goes on: nobody is reminded of it.
const ACKNOWLEDGED: TimeDelta = TimeDelta::days(365);

/// As much of a text as receivers behind it can do with, in characters.
const DESCRIPTION: usize = 16_000;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    let access = match (&settings.token, settings.user, &settings.password) {
        (None, None, None) => Access::None,
        (Some(token), None, None) => Access::Token(secret("token", token, secrets)?),
        (None, Some(user), Some(password)) => Access::Basic(user, secret("password", password, secrets)?),
        _ => {
            return Err(contradiction(
                "token, or user and password, or none of them are needed",
                "give what the server asks for",
            ));
        }
    };
    let hidden = match &access {
        Access::None => Vec::new(),
        Access::Token(token) => vec![token.clone()],
        Access::Basic(user, password) => vec![password.clone(), http::basic(user, password)],
    };
    if !hidden.is_empty() {
        settings.url.may_carry_secrets("url")?;
    }
    let http = Http::new(&settings.url, settings.root_certificates.as_ref(), hidden, clock)?;
    Ok(Box::new(Alertmanager {
        url: settings.url.below("api/v2/alerts"),
        access,
        lasts: lasts(&settings.lasts.0).unwrap_or(ACKNOWLEDGED),
        http,
    }))
}

#[async_trait]
impl Channel for Alertmanager {
    fn gathers(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let request = self.http.client()?.post(&self.url);
        let request = self.access.given(request).json(&[alert(message, self.lasts)]);
        let answer = self.http.exchange(request).await?.taken()?;
        Ok(Sent {
            answer: answer.told(),
            reference: None,
        })
    }
}

impl Access {
    fn given(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Token(token) => request.bearer_auth(token.expose_secret()),
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
        }
    }
}

/// The labels are the alert's name: they are the same in every message about it.
fn alert(message: &Message, lasts: TimeDelta) -> Value {
    let ends = message.at
        + match message.phase {
            Phase::Closed => TimeDelta::zero(),
            Phase::Notice | Phase::Digest | Phase::Trial => NOTICE,
            Phase::Acknowledged => ACKNOWLEDGED,
            Phase::Opened | Phase::Grown | Phase::Reminder => lasts,
        };
    let mut labels = json!({
        "alertname": message.event.as_str(),
        "severity": message.severity.to_string(),
        "alert": message.alert,
        "job": "evidenced",
    });
    for (label, value) in [("source", &message.source), ("test", &message.test)] {
        if let Some(value) = value {
            labels[label] = value.as_str().into();
        }
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": line::one(&message.title),
            "description": line::cut(&message.text, DESCRIPTION),
        },
        "startsAt": format_time(message.since),
        "endsAt": format_time(ends.max(message.since)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    fn ends(phase: Phase) -> String {
        let message = Message { phase, ..message() };
        alert(&message, TimeDelta::days(30))["endsAt"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn an_alert_goes_on_until_it_is_closed_and_what_is_told_once_ends_by_itself() {
        for phase in [Phase::Opened, Phase::Grown, Phase::Reminder] {
            assert_eq!(ends(phase), "2026-12-22T12:00:00.000Z");
        }
        assert_eq!(ends(Phase::Acknowledged), "2027-11-22T12:00:00.000Z");
        assert_eq!(ends(Phase::Closed), "2026-11-22T12:00:00.000Z");
        for phase in [Phase::Notice, Phase::Digest, Phase::Trial] {
            assert_eq!(ends(phase), "2026-11-22T13:00:00.000Z");
        }
    }

    #[test]
    fn an_alert_that_is_about_nothing_in_particular_has_no_empty_labels() {
        let mut bare = message();
        (bare.source, bare.test) = (None, None);
        let labels = &alert(&bare, NOTICE)["labels"];
        assert_eq!(labels.as_object().unwrap().len(), 4);
        assert_eq!(labels["alertname"], "test_failing");
    }

    #[test]
    fn it_lasts_longer_than_a_reminder_takes() {
        assert_eq!(
            ["24h", "25h", "365d", "366d", "x"].map(|text| lasts(text).is_some()),
            [false, true, true, false, false]
        );
        assert!(lasts(&Lasts::default().0).is_some());
    }
}
