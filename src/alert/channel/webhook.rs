//! Any program, by Standard Webhooks: JSON with a signature over its id, the time of this attempt and its bytes.
//!
//! ```toml
//! settings = { url = { env = "HOOK_URL" }, secret = { env = "HOOK_SECRET" } }   # whsec_…
//! ```
//!
//! The body is `{"type":"alert.opened","timestamp":…,"data":{…}}`: the type ends with the message's phase, the timestamp is
//! when what it tells was recorded, and the data are the message's own fields, with `facts` as templates get them. It is the
//! same to the letter at each attempt; `webhook-id` names it, so that a receiver can drop a repetition.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::CONTENT_TYPE;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use evidenced_collector_api::SettingsError;

use super::address::Address;
use super::http::{Http, RootCertificates};
use super::{Channel, SendError, Sent, contradiction, secret};
use crate::alert::message::Message;
use crate::clock::SharedClock;
use crate::config;
use crate::log::leaf::format_time;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where it receives.
    url: SecretRef,
    /// What signatures are made with: `whsec_` and 24 to 64 bytes in base64.
    secret: SecretRef,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

struct Webhook {
    url: Address,
    key: Key,
    http: Http,
    clock: SharedClock,
}

/// What signatures are made with.
struct Key(Zeroizing<Vec<u8>>);

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    let url = Address::secret("url", &secret("url", &settings.url, secrets)?)?;
    let written = secret("secret", &settings.secret, secrets)?;
    let key = Key::parse(&written)?;
    let mut hidden = url.secrets();
    hidden.push(written);
    let http = Http::new(&url, settings.root_certificates.as_ref(), hidden, clock)?;
    Ok(Box::new(Webhook {
        url,
        key,
        http,
        clock: SharedClock::clone(clock),
    }))
}

#[async_trait]
impl Channel for Webhook {
    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let body = body(message);
        let timestamp = self.clock.now().timestamp();
        let request = self
            .http
            .client()?
            .post(self.url.whole())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.key)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.key.sign(&message.key, timestamp, &body))
            .body(body);
        let answer = self.http.exchange(request).await?.taken()?;
        Ok(Sent {
            answer: answer.told(),
            reference: None,
        })
    }
}

fn body(message: &Message) -> String {
    let data = json!({
        "key": message.key,
        "alert": message.alert,
        "phase": message.phase.as_str(),
        "event": message.event.as_str(),
        "severity": message.severity.to_string(),
        "since": format_time(message.since),
        "at": format_time(message.at),
        "source": message.source,
        "test": message.test,
        "title": message.title,
        "text": message.text,
        "facts": message.facts,
    });
    let body = json!({
        "type": format!("alert.{}", message.phase.as_str()),
        "timestamp": format_time(message.at),
        "data": data,
    });
    body.to_string()
}

impl Key {
    fn parse(written: &SecretString) -> Result<Self, SettingsError> {
        let wrong = || {
            contradiction(
                "secret: not as Standard Webhooks have it",
                "put whsec_ there and 24 to 64 random bytes in base64: \
                 `echo whsec_$(head -c 32 /dev/urandom | base64)`",
            )
        };
        let encoded = written.expose_secret().strip_prefix("whsec_").ok_or_else(wrong)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
        if !(24..=64).contains(&bytes.len()) {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }

    /// The header `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // It takes keys of every length.
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_as_the_specification_has_it() {
        let key = Key::parse(&SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        assert_eq!(
            key.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                "{\"test\": 2432232314}"
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_being_told() {
        for secret in [
            "",
            "hunter2",
            "whsec_",
            "whsec_hunter2!",
            "whsec_aHVudGVyMg==",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let refused = Key::parse(&SecretString::from(secret)).err().unwrap();
            assert!(!refused.message.contains("hunter2") && !refused.message.contains("aHV"));
        }
    }

    #[test]
    fn the_body_is_the_same_at_each_attempt_and_holds_the_facts() {
        let message = message();
        let made = body(&message);
        assert_eq!(made, body(&message));
        assert!(!made.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(read["type"], "alert.opened");
        assert_eq!(read["data"]["facts"], message.facts);
        assert_eq!(read["data"]["key"], message.key);
    }
}
