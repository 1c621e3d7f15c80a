//! An address that takes JSON and is itself the secret: what Slack's and Teams' webhooks are.

use serde::Deserialize;
use serde_json::Value;

use evidenced_collector_api::SettingsError;

use super::address::Address;
use super::http::{Answer, Http, RootCertificates};
use super::{SendError, secret};
use crate::clock::SharedClock;
use crate::config;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The webhook's address.
    url: SecretRef,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

pub(super) struct Hook {
    url: Address,
    http: Http,
}

impl Hook {
    pub(super) fn new(
        settings: &config::Settings,
        secrets: &SecretSources<'_>,
        clock: &SharedClock,
    ) -> Result<Self, SettingsError> {
        let settings: Settings = settings.read()?;
        let url = Address::secret("url", &secret("url", &settings.url, secrets)?)?;
        let http = Http::new(&url, settings.root_certificates.as_ref(), url.secrets(), clock)?;
        Ok(Self { url, http })
    }

    /// What was answered to a body that was taken.
    pub(super) async fn post(&self, body: &Value) -> Result<Answer, SendError> {
        let request = self.http.client()?.post(self.url.whole()).json(body);
        self.http.exchange(request).await?.taken()
    }
}
