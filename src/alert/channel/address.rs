//! Where a receiver is: an address in a setting, or in a secret, since whoever knows a webhook's address may write to it.

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::net::IpAddr;

use evidenced_collector_api::SettingsError;

/// An address of HTTP. Debug does not show it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Address {
    url: SecretString,
    /// On this machine, where no proxy is between and nobody else listens.
    pub(super) local: bool,
    /// Whether what is sent there is not encrypted.
    clear: bool,
}

const WRONG: &str = "an address is needed here: https://, without user, password or fragment\n\
                     write it as the receiver shows it; http:// only to this machine, or where no secret is sent";

impl Address {
    /// An address that a secret holds. Nothing is told of it, whatever is wrong.
    pub(super) fn secret(key: &str, secret: &SecretString) -> Result<Self, SettingsError> {
        let wrong = |what: &str| SettingsError {
            message: format!("{key}: the secret holds no address that can be used\n{what}"),
            span: None,
        };
        let address = Self::parse(secret.expose_secret())
            .ok_or_else(|| wrong("put the address there as the receiver shows it, and nothing else"))?;
        if address.is_open() {
            return Err(wrong(
                "it begins with http://: all on the way could read it, use https://",
            ));
        }
        Ok(address)
    }

    /// One that is known to be encrypted.
    pub(super) fn known(url: &str) -> Self {
        Self {
            url: SecretString::from(url),
            local: false,
            clear: false,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let url: Url = text.trim().parse().ok()?;
        let host = url.host_str()?;
        let local = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let clear = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return None,
        };
        plain.then(|| Self {
            url: SecretString::from(url.as_str()),
            local,
            clear,
        })
    }

    /// Whether others than this machine could read on the way.
    fn is_open(&self) -> bool {
        self.clear && !self.local
    }

    /// Refuses to send secrets where others could read them on the way.
    pub(super) fn may_carry_secrets(&self, key: &str) -> Result<(), SettingsError> {
        if !self.is_open() {
            return Ok(());
        }
        Err(SettingsError {
            message: format!(
                "{key} begins with http://, and a secret would be sent there for all on the way to read\n\
                 use https://"
            ),
            span: None,
        })
    }

    /// All of it.
    pub(super) fn whole(&self) -> &str {
        self.url.expose_secret()
    }

    /// A path below it.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.whole().trim_end_matches('/'))
    }

    /// What an answer must not repeat, where the address is secret: it, and what of it a server may quote.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        let Ok(url) = self.whole().parse::<Url>() else {
            return vec![self.url.clone()];
        };
        let query = url.query().unwrap_or_default();
        let parts = url.path().split('/').chain(query.split(['&', '=']));
        // Shorter words are in any answer, and give nobody access.
        let parts = parts.filter(|part| part.len() >= 8).map(SecretString::from);
        let path = (url.path().len() > 1).then(|| SecretString::from(url.path()));
        [self.url.clone()].into_iter().chain(path).chain(parts).collect()
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| WRONG.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::answer;
    use super::*;

    #[test]
    fn an_address_is_encrypted_or_on_this_machine() {
        for text in [
            "https://a.example/b",
            "http://127.0.0.1:1/b",
            "http://[::1]/b",
            "http://localhost",
        ] {
            assert!(
                Address::secret("url", &SecretString::from(text)).is_ok(),
                "{text}"
            );
        }
        for text in [
            "",
            "a.example",
            "ftp://a.example",
            "http://a.example/b",
            "http://127.0.0.1.example/",
            "https://user:hunter2@a.example/",
            "https://a.example/#hunter2",
        ] {
            let refused = Address::secret("url", &SecretString::from(text)).unwrap_err();
            assert!(!refused.message.contains("example") && !refused.message.contains("hunter2"));
        }
    }

    #[test]
    fn no_answer_repeats_an_address_or_a_part_that_opens_it() {
        let text = "https://hooks.example/services/T00000000/B00000000/tokentokentoken?sig=signature9";
        let address = Address::secret("url", &SecretString::from(text)).unwrap();
        let said = format!(
            "Cannot POST {text}, no /services/T00000000/B00000000/tokentokentoken, tokentokentoken signature9"
        );
        let told = answer(&said, &address.secrets());
        assert_eq!(told, "Cannot POST [hidden], no [hidden], [hidden] [hidden]");
        assert!(!format!("{address:?}").contains("hooks"));
    }

    #[test]
    fn a_path_is_put_below_an_address_with_or_without_a_slash() {
        for text in ["https://a.example/x", "https://a.example/x/"] {
            let address = Address::try_from(text.to_owned()).unwrap();
            assert_eq!(address.below("api"), "https://a.example/x/api");
        }
    }
}
