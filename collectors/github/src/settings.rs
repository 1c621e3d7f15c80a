//! The settings of a source of type `github`.

use chrono::{DateTime, NaiveDate, Utc};
use evidenced_collector_api::{SettingsError, checked_setting};
use globset::{Glob, GlobMatcher};
use serde::Deserialize;

/// What a source of type `github` says. `S` is a secret: where it is, as it is read, and then the secret itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct Settings<S> {
    /// A fine-grained or classic token.
    pub token: Option<S>,
    /// A GitHub App instead.
    pub app: Option<App<S>>,
    /// The REST API's root.
    #[serde(default)]
    pub base_url: BaseUrl,
    /// Organisations and users.
    pub owners: Vec<Owner>,
    /// Which of their repositories are tested; empty: all.
    #[serde(default)]
    pub repositories: Vec<Pattern>,
    /// Repositories that are left out, and why.
    #[serde(default)]
    pub excluded: Vec<Excluded>,
    /// Branches that are tested beside the default one.
    #[serde(default)]
    pub branches: Vec<Pattern>,
    /// Where the first interval of events begins.
    pub since: Option<Since>,
    /// Whether bypassed rules are read too.
    #[serde(default)]
    pub rule_suites: bool,
    /// How much of the rate limit may be used, in percent.
    #[serde(default)]
    pub rate_share: RateShare,
    /// Requests under way at once.
    #[serde(default)]
    pub concurrency: Concurrency,
}

/// A GitHub App, as which installation tokens are asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App<S> {
    /// The App's number.
    pub id: u64,
    /// Its private key, as GitHub gives it: PEM.
    pub key: S,
    /// Which installation; else the owner's.
    pub installation: Option<u64>,
}

/// Repositories that are left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Which.
    pub repository: Pattern,
    /// Why.
    pub reason: Reason,
}

impl<S> Settings<S> {
    /// Refuses settings that contradict each other.
    pub fn checked(self) -> Result<Self, SettingsError> {
        let wrong = if self.token.is_some() == self.app.is_some() {
            "exactly one of token and app is needed\nset token = { env = \"GITHUB_TOKEN\" }, or app = { id = 12345, key = { file = \"/path\" } }"
        } else if self.owners.is_empty() {
            "owners is empty, so nothing would be collected\nname an organisation or user: owners = [\"acme\"]"
        } else {
            return Ok(self);
        };
        Err(SettingsError {
            message: wrong.to_owned(),
            span: None,
        })
    }

    /// The same settings with the secrets that `read` finds.
    pub fn resolve<T, E>(self, mut read: impl FnMut(&S) -> Result<T, E>) -> Result<Settings<T>, E> {
        let token = self.token.as_ref().map(&mut read).transpose()?;
        let app = match self.app {
            None => None,
            Some(App {
                id,
                key,
                installation,
            }) => Some(App {
                id,
                key: read(&key)?,
                installation,
            }),
        };
        Ok(Settings {
            token,
            app,
            base_url: self.base_url,
            owners: self.owners,
            repositories: self.repositories,
            excluded: self.excluded,
            branches: self.branches,
            since: self.since,
            rule_suites: self.rule_suites,
            rate_share: self.rate_share,
            concurrency: self.concurrency,
        })
    }

    /// Whether a repository is tested, unless it is left out.
    pub(crate) fn selects(&self, full_name: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|pattern| pattern.names(full_name))
    }

    /// Why a repository is left out, if it is.
    pub(crate) fn exclusion(&self, full_name: &str) -> Option<&str> {
        let excluded = self
            .excluded
            .iter()
            .find(|excluded| excluded.repository.names(full_name));
        excluded.map(|excluded| excluded.reason.0.as_str())
    }

    /// Whether a branch that is not the default one is tested.
    pub(crate) fn selects_branch(&self, branch: &str) -> bool {
        self.branches
            .iter()
            .any(|pattern| pattern.matcher.is_match(branch))
    }
}

/// A glob.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    matcher: GlobMatcher,
    with_owner: bool,
}

impl Pattern {
    /// Whether a repository fits, by `owner/name` where the pattern has a slash, else by its name. As GitHub does, upper
    /// and lower case are the same.
    fn names(&self, full_name: &str) -> bool {
        let name = full_name.rsplit('/').next().unwrap_or(full_name);
        let text = if self.with_owner { full_name } else { name };
        self.matcher.is_match(text) || self.matcher.is_match(text.to_lowercase())
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let glob = Glob::new(&text)
            .ok()
            .filter(|_| !text.is_empty() && text.matches('/').count() <= 8);
        let glob = glob.ok_or("a pattern is a name, or a glob with *, ? and {a,b}: \"acme/docs-*\"")?;
        Ok(Self {
            matcher: glob.compile_matcher(),
            with_owner: text.contains('/'),
        })
    }
}

/// The REST API's root, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl(pub(crate) String);

impl Default for BaseUrl {
    fn default() -> Self {
        Self("https://api.github.com".to_owned())
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = text.trim_end_matches('/');
        let uri: http::Uri = url.parse().map_err(|_| BASE_URL.to_owned())?;
        let host = uri.host().unwrap_or_default();
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            // A token in the clear reaches nobody else on this machine.
            Some("http") => loopback,
            _ => false,
        };
        if !encrypted || uri.query().is_some() || host.is_empty() {
            return Err(BASE_URL.to_owned());
        }
        Ok(Self(url.to_owned()))
    }
}

const BASE_URL: &str =
    "base_url is the root of the REST API, by https: \"https://github.example.com/api/v3\"";

/// Where the first interval begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Since(pub(crate) DateTime<Utc>);

impl TryFrom<String> for Since {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day = || {
            let date: NaiveDate = text.parse().ok()?;
            Some(date.and_time(chrono::NaiveTime::MIN).and_utc())
        };
        let instant = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc());
        instant
            .or_else(day)
            .map(Self)
            .ok_or_else(|| "since is a date, or a time by RFC 3339, in quotes: \"2026-01-01\"".to_owned())
    }
}

checked_setting!(
    /// An organisation or user.
    Owner(String),
    |name| (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
    "an owner is the login of an organisation or user, in quotes: \"acme\""
);

checked_setting!(
    /// Why something is left out.
    Reason(String),
    |reason| !reason.trim().is_empty(),
    "an exclusion needs a reason that an auditor can read"
);

checked_setting!(
    /// A part of the rate limit.
    RateShare(u64 = 80),
    |percent| (1..=100).contains(percent),
    "rate_share is a number from 1 to 100, in percent"
);

checked_setting!(
    /// Requests at once.
    Concurrency(usize = 8),
    |number| (1..=50).contains(number),
    "concurrency is a number from 1 to 50"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings<String>, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    const LEAST: &str = "token = \"t\"\nowners = [\"acme\"]\n";

    #[test]
    fn a_token_and_an_owner_are_enough() {
        let settings = read(LEAST).unwrap().checked().unwrap();
        assert_eq!(settings.base_url.0, "https://api.github.com");
        assert_eq!((settings.rate_share.0, settings.concurrency.0), (80, 8));
        assert!(settings.selects("acme/anything"));
        assert!(!settings.selects_branch("main"));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for (text, expected) in [
            ("owners = [\"acme\"]", "exactly one of token and app"),
            (
                "token = \"t\"\napp = { id = 1, key = \"k\" }\nowners = [\"acme\"]",
                "exactly one",
            ),
            ("token = \"t\"\nowners = []", "owners is empty"),
        ] {
            let error = read(text).unwrap().checked().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_in_words_that_say_what_is_right() {
        for (text, expected) in [
            ("base_url = \"http://github.example.com\"", "by https"),
            ("base_url = \"api.github.com\"", "by https"),
            ("since = \"yesterday\"", "a date"),
            ("rate_share = 0", "from 1 to 100"),
            ("concurrency = \"8\"", "from 1 to 50"),
            ("repositories = [\"a[\"]", "a pattern is"),
            (
                "excluded = [{ repository = \"x\", reason = \"\" }]",
                "needs a reason",
            ),
            ("owner = \"acme\"", "unknown field `owner`"),
        ] {
            let error = read(&format!("{LEAST}{text}")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = read("token = \"t\"\nowners = [\"acme/app\"]").unwrap_err();
        assert!(error.contains("login"), "{error}");
    }

    #[test]
    fn patterns_name_repositories_with_and_without_their_owner() {
        let text = "repositories = [\"acme/api-*\", \"web\"]\nexcluded = [{ repository = \"api-old\", reason = \"r\" }]";
        let settings = read(&format!("{LEAST}{text}\nbranches = [\"release/*\"]")).unwrap();
        let selected =
            ["acme/api-x", "other/api-x", "other/WEB", "acme/web2"].map(|name| settings.selects(name));
        assert_eq!(selected, [true, false, true, false]);
        assert_eq!(settings.exclusion("acme/api-old"), Some("r"));
        assert_eq!(settings.exclusion("acme/api-older"), None);
        assert!(settings.selects_branch("release/1.2"));
    }

    #[test]
    fn a_local_server_may_be_asked_without_encryption() {
        let settings = read(&format!("{LEAST}base_url = \"http://127.0.0.1:8080/api/v3/\"")).unwrap();
        assert_eq!(settings.base_url.0, "http://127.0.0.1:8080/api/v3");
    }
}
