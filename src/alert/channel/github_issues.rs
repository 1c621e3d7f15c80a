//! GitHub: an issue for each alert, and a comment in it for all that becomes of it.
//!
//! ```toml
//! settings = { repository = "acme/compliance", token = { env = "GITHUB_ISSUES_TOKEN" } }
//! ```
//!
//! The token is a fine-grained one with write access to the issues of that one repository, never the collector's own, which
//! only reads. An issue is never closed here, and one that somebody closed is commented on as it is: what is mended is what
//! the evidence says.
//!
//! An issue holds a mark with the alert's name, and a comment one with the message's key. Before an issue is opened, those
//! with the label that changed since the alert began are looked through for the mark (not by search, which is behind), and
//! before a comment is made, the issue's comments since then: a repetition finds what the first attempt left.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use evidenced_collector_api::{SettingsError, checked_setting};

use super::address::Address;
use super::http::{Answer, Http, RootCertificates};
use super::{Again, Channel, SendError, Sent, line, secret};
use crate::alert::message::Message;
use crate::clock::SharedClock;
use crate::config;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where issues are opened.
    repository: Repository,
    /// With write access to issues.
    token: SecretRef,
    /// What issues are found by, and may be filtered by.
    #[serde(default)]
    label: Label,
    /// The REST API's root: of an Enterprise Server, `https://HOST/api/v3`.
    #[serde(default = "api")]
    base_url: Address,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

checked_setting!(
    /// An owner, a slash, a name.
    Repository(String),
    |text| text.split('/').count() == 2
        && text.split('/').all(|part| !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))),
    "repository is an owner and a name: \"acme/compliance\""
);

checked_setting!(
    /// A label's name.
    Label(String = "evidenced".to_owned()),
    |text| !text.trim().is_empty() && text.len() <= 50 && !text.contains(',') && !text.contains(char::is_control),
    "label is the name of a label, without commas: \"evidenced\""
);

fn api() -> Address {
    Address::known("https://api.github.com")
}

struct GithubIssues {
    issues: String,
    token: SecretString,
    label: String,
    http: Http,
}

/// What GitHub takes of a title, in characters.
const TITLE: usize = 256;

/// A third of what GitHub takes of a body, which is 65,536 characters: a text of nothing but backticks is fenced by more.
const TEXT: usize = 20_000;

/// As many as GitHub puts on a page.
const PAGE: usize = 100;

/// More issues that have changed since an alert began are not looked through.
const PAGES: usize = 20;

/// A page of the longest issues.
const LISTING: usize = 16 << 20;

/// GitHub's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::hours(1);

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    settings.base_url.may_carry_secrets("base_url")?;
    let token = secret("token", &settings.token, secrets)?;
    let hidden = vec![token.clone()];
    let http = Http::new(
        &settings.base_url,
        settings.root_certificates.as_ref(),
        hidden,
        clock,
    )?;
    let issues = format!("repos/{}/issues", settings.repository.0);
    Ok(Box::new(GithubIssues {
        issues: settings.base_url.below(&issues),
        token,
        label: settings.label.0,
        http,
    }))
}

#[async_trait]
impl Channel for GithubIssues {
    fn gathers(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, reference: Option<&str>) -> Result<Sent, SendError> {
        let known = reference.and_then(|reference| reference.trim_start_matches('#').parse::<u64>().ok());
        if let Some(number) = known {
            let answer = self.comment(number, message).await?;
            // Who deleted an issue, or moved it away, has not mended anything.
            if !matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
                return told(&answer, number);
            }
        }
        let mark = mark("alert", &message.alert);
        let query = [("labels", self.label.as_str()), ("state", "all")];
        let found = self.find(&self.issues, &query, message.since, &mark).await?;
        match found.and_then(|issue| Some((issue["number"].as_u64()?, issue))) {
            // The issue that an attempt before this one has opened, with this very message.
            Some((number, issue)) if has(&issue, &self::mark("message", &message.key)) => {
                Ok(sent(number, "the issue was there already"))
            }
            Some((number, _)) => told(&self.comment(number, message).await?, number),
            None => self.open(message, &mark).await,
        }
    }
}

impl GithubIssues {
    async fn open(&self, message: &Message, mark: &str) -> Result<Sent, SendError> {
        let issue = json!({
            "title": line::cut(&line::one(&message.title), TITLE),
            "body": format!("{}\n{mark}", body(message)),
            "labels": [self.label],
        });
        let request = self.http.client()?.post(&self.issues).json(&issue);
        let answer = self
            .http
            .exchange_reading(self.with_manners(request), LISTING)
            .await?;
        let answer = self.taken(answer)?;
        let number = answer.json().and_then(|issue| issue["number"].as_u64());
        match number {
            Some(number) => Ok(sent(number, "the issue was opened")),
            None => Err(answer.not_taken(Again::Later)),
        }
    }

    /// Makes a comment, unless it is there; gives the answer also where there is no such issue.
    async fn comment(&self, number: u64, message: &Message) -> Result<Answer, SendError> {
        let comments = format!("{}/{number}/comments", self.issues);
        let request = self.http.client()?.get(format!("{}/{number}", self.issues));
        let issue = self
            .http
            .exchange_reading(self.with_manners(request), LISTING)
            .await?;
        if matches!(issue.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(issue);
        }
        let issue = self.taken(issue)?;
        let mark = mark("message", &message.key);
        if self.find(&comments, &[], message.at, &mark).await?.is_some() {
            return Ok(issue);
        }
        let comment = json!({ "body": body(message) });
        let request = self.http.client()?.post(comments).json(&comment);
        let answer = self
            .http
            .exchange_reading(self.with_manners(request), LISTING)
            .await?;
        self.taken(answer)
    }

    /// The first entry of a list whose body holds a mark, among those that changed since an instant.
    async fn find(
        &self,
        entries: &str,
        query: &[(&str, &str)],
        since: DateTime<Utc>,
        mark: &str,
    ) -> Result<Option<Value>, SendError> {
        let since = (since - SKEW).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        for page in 1..=PAGES {
            let mut url: reqwest::Url = entries
                .parse()
                .map_err(|_| self.http.failed("base_url is no address", Again::Never))?;
            url.query_pairs_mut()
                .extend_pairs(query)
                .append_pair("since", &since)
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let request = self.http.client()?.get(url);
            let answer = self
                .http
                .exchange_reading(self.with_manners(request), LISTING)
                .await?;
            let answer = self.taken(answer)?;
            // What can't be read may hold the mark: a second issue would be worse than a later message.
            let Some(Value::Array(found)) = answer.json() else {
                return Err(answer.not_taken(Again::Later));
            };
            let is_last = found.len() < PAGE;
            if let Some(marked) = found.into_iter().find(|entry| has(entry, mark)) {
                return Ok(Some(marked));
            }
            if is_last {
                break;
            }
        }
        Ok(None)
    }

    fn with_manners(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .bearer_auth(self.token.expose_secret())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
    }

    /// As [`Answer::taken`], and where the hour's requests are used up, when there are more.
    fn taken(&self, answer: Answer) -> Result<Answer, SendError> {
        let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
        if answer.status.is_success() {
            return Ok(answer);
        }
        let mut refused = answer.refused();
        if matches!(
            answer.status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        ) && number("x-ratelimit-remaining") == Some(0)
            && refused.again == Again::Never
        {
            refused.again = Again::Later;
        }
        let message = answer
            .json()
            .and_then(|body| Some(body["message"].as_str()?.to_owned()));
        if let Some(message) = message {
            let what = format!("answered with {}: {message}", answer.status.as_u16());
            return Err(self.http.failed(&what, refused.again));
        }
        Err(refused)
    }
}

fn told(answer: &Answer, number: u64) -> Result<Sent, SendError> {
    if answer.status.is_success() {
        return Ok(sent(number, "a comment is there"));
    }
    // The issue was there a moment ago.
    Err(answer.not_taken(Again::Later))
}

fn sent(number: u64, what: &str) -> Sent {
    Sent {
        answer: format!("#{number}: {what}"),
        reference: Some(number.to_string()),
    }
}

/// Not shown, and no part of another's.
fn mark(kind: &str, name: &str) -> String {
    // Two hyphens would end it.
    let name = line::one(name).replace("--", "- -").replace('>', "");
    format!("<!-- evidenced {kind}: {name} -->")
}

/// Whether a mark stands behind the block with the text: within, a resource's name could look like one.
fn has(entry: &Value, mark: &str) -> bool {
    let body = entry["body"].as_str().unwrap_or_default();
    let behind = body.rsplit_once("```").map_or(body, |(_, behind)| behind);
    behind.lines().any(|line| line.trim() == mark)
}

/// The text as it is, in a block that nothing in it ends: no mention, no link, no markup. Then the message's mark.
fn body(message: &Message) -> String {
    let text = line::cut(&message.text, TEXT);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let phase = message.phase.as_str();
    let title = line::cut(&line::one(&message.title), TITLE);
    format!(
        "{fence}text\n{title}\n\n{text}\n{fence}\n{phase}, severity {}\n{}",
        message.severity,
        mark("message", &message.key)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    #[test]
    fn text_stays_text_whatever_it_holds() {
        let mut tricky = message();
        tricky.text = "@alice #1 <!-- evidenced alert: x --> ```\n`````\n<b>".to_owned();
        let made = body(&tricky);
        assert!(made.starts_with("``````text\n"), "{made}");
        assert_eq!(made.matches("``````").count(), 2);
        tricky.text = "`".repeat(100_000);
        assert!(body(&tricky).len() < 65_536);
        tricky.text = "ä".repeat(100_000);
        assert!(body(&tricky).chars().count() < 65_536 / 2);
    }

    #[test]
    fn a_mark_counts_only_where_no_resource_can_put_it() {
        let mut forged = message();
        forged.text = format!("a\n{}\nb", mark("message", "another"));
        let entry = json!({ "body": body(&forged).replace('\n', "\r\n") });
        assert!(has(&entry, &mark("message", &forged.key)));
        assert!(!has(&entry, &mark("message", "another")));
        assert!(!has(&json!({ "body": null }), &mark("message", "another")));
    }

    #[test]
    fn the_mark_of_one_alert_is_not_part_of_anothers() {
        assert_eq!(mark("alert", "acme/1/7"), "<!-- evidenced alert: acme/1/7 -->");
        assert!(!mark("alert", "acme/1/71").contains(&mark("alert", "acme/1/7")));
        assert_eq!(mark("alert", "a-->\nb"), "<!-- evidenced alert: a- - b -->");
    }

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        let good =
            |text: &str| Repository::try_from(evidenced_collector_api::Plain::Text(text.to_owned())).is_ok();
        assert!(good("acme/compliance.github.io"));
        for text in ["acme", "acme/", "/a", "a/b/c", "a/..", "a b/c", "acme/x?y"] {
            assert!(!good(text), "{text}");
        }
    }
}
