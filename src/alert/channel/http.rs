//! Requests to receivers: bounded in time and in what is read of an answer, and told without addresses or secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::error::Error;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use evidenced_collector_api::SettingsError;

use super::address::Address;
use super::{Again, SendError, line};
use crate::clock::SharedClock;

/// Nobody answers a connection later.
const CONNECT: Duration = Duration::from_secs(5);

/// From the first byte sent to the last one read.
const WHOLE: Duration = Duration::from_secs(20);

/// As much as is read of an answer: it is a sentence or two.
pub(super) const ANSWER: usize = 64 << 10;

/// As long as a receiver may keep us waiting.
const LONGEST: Duration = Duration::from_hours(24);

const USER_AGENT: &str = concat!("evidenced/", env!("CARGO_PKG_VERSION"));

/// Sends requests of one channel.
pub(super) struct Http {
    roots: Vec<Certificate>,
    local: bool,
    clock: SharedClock,
    /// Made when it is first needed: it reads the machine's certificates.
    client: OnceLock<Client>,
    secrets: Vec<SecretString>,
}

/// A file with certificates, in PEM, which are trusted beside the machine's.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct RootCertificates(pub(super) PathBuf);

impl TryFrom<String> for RootCertificates {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = PathBuf::from(text);
        if path.is_absolute() {
            return Ok(Self(path));
        }
        Err("root_certificates is an absolute path: \"/etc/ssl/private-ca.pem\"".to_owned())
    }
}

impl RootCertificates {
    /// The file's bytes, which hold a certificate at least.
    pub(super) fn read(&self) -> Result<Vec<u8>, SettingsError> {
        let bytes = std::fs::read(&self.0);
        let bytes = bytes.map_err(|error| self.wrong(&format!("can't be read: {}", error.kind())))?;
        if memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----").is_none() {
            return Err(self.wrong("holds no certificates"));
        }
        Ok(bytes)
    }

    /// What is wrong with the file.
    pub(super) fn wrong(&self, what: &str) -> SettingsError {
        SettingsError {
            message: format!(
                "root_certificates: {} {what}\nname a file of certificates in PEM that this user may read",
                self.0.display()
            ),
            span: None,
        }
    }
}

/// A user and password as basic authentication writes them, which a receiver may repeat.
pub(super) fn basic(user: &str, password: &SecretString) -> SecretString {
    let plain = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    SecretString::from(STANDARD.encode(plain.as_bytes()))
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// As much of it as was asked for.
    pub(super) body: Vec<u8>,
    now: DateTime<Utc>,
    /// As a line without secrets.
    pub(super) said: String,
}

impl Http {
    /// For requests to one address. `secrets` are what no answer may repeat.
    pub(super) fn new(
        address: &Address,
        roots: Option<&RootCertificates>,
        secrets: Vec<SecretString>,
        clock: &SharedClock,
    ) -> Result<Self, SettingsError> {
        let roots = match roots {
            None => Vec::new(),
            Some(file) => Certificate::from_pem_bundle(&file.read()?)
                .map_err(|_| file.wrong("holds no certificates"))?,
        };
        Ok(Self {
            roots,
            local: address.local,
            clock: SharedClock::clone(clock),
            client: OnceLock::new(),
            secrets,
        })
    }

    /// What makes requests.
    pub(super) fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // There may be one already: all of this program's connections use the same.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .pool_idle_timeout(WHOLE)
            // Who moved may be somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_merge(self.roots.iter().cloned());
        if self.local {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| self.not_answered(error, "no connections can be made"))?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends a request and reads the answer's beginning, whatever its status.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Answer, SendError> {
        self.exchange_reading(request, ANSWER).await
    }

    /// The same for an answer that may be longer.
    pub(super) async fn exchange_reading(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<Answer, SendError> {
        let mut response = request
            .send()
            .await
            .map_err(|error| self.not_answered(error, "the connection broke"))?;
        let body = read(&mut response, limit).await;
        let said = line::answer(&String::from_utf8_lossy(&body), &self.secrets);
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body,
            now: self.clock.now(),
            said,
        })
    }

    /// An error of the way there, in words without the address.
    fn not_answered(&self, error: reqwest::Error, otherwise: &str) -> SendError {
        let error = error.without_url();
        let what = if error.is_connect() {
            "no connection"
        } else if error.is_timeout() {
            "no answer in time"
        } else {
            otherwise
        };
        // The innermost cause tells whether nobody listens, or who isn't trusted.
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(Error::source) {
            cause = Some(deeper);
        }
        let what = cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
        let again = if error.is_builder() {
            Again::Never
        } else {
            Again::Later
        };
        self.failed(&what, again)
    }

    /// An error in these words, without secrets.
    pub(super) fn failed(&self, what: &str, again: Again) -> SendError {
        SendError {
            what: line::answer(what, &self.secrets),
            again,
        }
    }
}

impl Answer {
    /// This answer, if its status says that the request was taken.
    pub(super) fn taken(self) -> Result<Self, SendError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.refused())
        }
    }

    /// Why the request was not taken, by the status.
    pub(super) fn refused(&self) -> SendError {
        // A token that is not accepted may be mended while the message waits.
        let temporary = self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::UNAUTHORIZED
                    | StatusCode::FORBIDDEN
            );
        // GitHub among others says with 403 that there were too many.
        let asked = matches!(self.status, StatusCode::FORBIDDEN).then(|| self.retry_after());
        let again = match asked.flatten() {
            Some(wait) => Again::After(wait),
            None if temporary => self.retry_after().map_or(Again::Later, Again::After),
            None => Again::Never,
        };
        self.not_taken(again)
    }

    /// That the request was not taken, with the status and what was said.
    pub(super) fn not_taken(&self, again: Again) -> SendError {
        let status = self.status.as_u16();
        let what = match self.said.as_str() {
            "" => format!("answered with {status}"),
            said => format!("answered with {status}: {said}"),
        };
        SendError {
            what: line::cut(&what, 200),
            again,
        }
    }

    /// What was said, or where nothing was, the status: for [`super::Sent`].
    pub(super) fn told(&self) -> String {
        match self.said.as_str() {
            "" => self.status.as_u16().to_string(),
            said => line::cut(&format!("{} {said}", self.status.as_u16()), 200),
        }
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// How long the receiver asked to wait, in seconds or until a date, which is by its own clock if it tells that; none
    /// if that has passed.
    fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name)?.to_str().ok().map(str::trim);
        let asked = text(header::RETRY_AFTER)?;
        let wait = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
            asked.parse().map_or(LONGEST, Duration::from_secs)
        } else {
            let until = DateTime::parse_from_rfc2822(asked).ok()?.to_utc();
            let now = text(header::DATE).and_then(|date| DateTime::parse_from_rfc2822(date).ok());
            let now = now.map_or(self.now, |now| now.to_utc());
            (until - now).to_std().unwrap_or_default()
        };
        Some(wait.min(LONGEST)).filter(|wait| !wait.is_zero())
    }
}

/// The beginning of a body, until its end, the limit, or the end of the time. The status has told what matters.
async fn read(response: &mut Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Vec::new(),
            now: "2026-11-22T12:00:00Z".parse().unwrap(),
            said: String::new(),
        }
    }

    fn again(status: u16, headers: &[(&'static str, &str)]) -> Again {
        answer(status, headers).refused().again
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_refused_is_not() {
        for status in [401, 403, 408, 429, 500, 502, 503, 504] {
            assert_eq!(again(status, &[]), Again::Later, "{status}");
        }
        for status in [301, 302, 304, 400, 404, 410, 413, 422] {
            assert_eq!(again(status, &[]), Again::Never, "{status}");
        }
        for status in [200, 202, 204] {
            assert!(answer(status, &[]).taken().is_ok());
        }
        assert!(answer(302, &[]).taken().is_err());
    }

    #[test]
    fn a_receiver_that_says_when_is_asked_then_and_within_a_day() {
        let seconds = |text| again(429, &[("retry-after", text)]);
        assert_eq!(seconds("7"), Again::After(Duration::from_secs(7)));
        assert_eq!(seconds("99999999999999999999999"), Again::After(LONGEST));
        for nonsense in ["0", "", "-1", "soon", "7.5"] {
            assert_eq!(seconds(nonsense), Again::Later, "{nonsense}");
        }
        let date = "Sun, 22 Nov 2026 12:01:00 GMT";
        assert_eq!(seconds(date), Again::After(Duration::from_mins(1)));
        assert_eq!(seconds("Sun, 22 Nov 2026 11:59:00 GMT"), Again::Later);
        assert_eq!(seconds("Wed, 22 Nov 2028 12:00:00 GMT"), Again::After(LONGEST));
        // Its clock is half a minute ahead of ours.
        let own = ("date", "Sun, 22 Nov 2026 12:00:30 GMT");
        assert_eq!(
            again(503, &[("retry-after", date), own]),
            Again::After(Duration::from_secs(30))
        );
        assert_eq!(
            again(403, &[("retry-after", "5")]),
            Again::After(Duration::from_secs(5))
        );
        assert_eq!(again(404, &[("retry-after", "5")]), Again::Never);
    }
}
