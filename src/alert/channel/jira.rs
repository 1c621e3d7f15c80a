//! Jira, Cloud or Data Center: an issue for each alert, and a comment in it for all that becomes of it.
//!
//! ```toml
//! settings = { url = "https://acme.atlassian.net", project = "SEC", user = "bot@acme.example", token = { env = "JIRA_TOKEN" } }
//! ```
//!
//! With `user`, the token is an API token of that account (Cloud); without, a personal access token (Data Center). It needs
//! to browse the project, create issues and add comments. Issues are never closed, and one that somebody closed is commented
//! on as it is: what is mended is what the evidence says.
//!
//! An issue has a label with the alert's name. Before one is created, it is looked for by that: a repetition finds what the
//! first attempt left, unless it comes within the seconds that Jira Cloud's search is behind. A repeated comment is made
//! again; it names its message.

use async_trait::async_trait;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use evidenced_collector_api::{SettingsError, checked_setting};

use super::address::Address;
use super::http::{self, Answer, Http, RootCertificates};
use super::{Again, Channel, SendError, Sent, line, secret};
use crate::alert::message::Message;
use crate::clock::SharedClock;
use crate::config;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The site's root.
    url: Address,
    /// The project's key.
    project: Project,
    /// The account's email address, where the token is one of its API tokens.
    user: Option<String>,
    /// An API token or a personal access token.
    token: SecretRef,
    /// The name of the type that issues get.
    #[serde(default)]
    issue_type: IssueType,
    /// Beside the alert's own.
    #[serde(default)]
    labels: Vec<Label>,
    /// What the project asks for beyond: fields as Jira's REST API has them.
    #[serde(default)]
    fields: Map<String, Value>,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

checked_setting!(
    /// The key of a project.
    Project(String),
    |text| text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'),
    "project is a project's key, in capitals: \"SEC\""
);

checked_setting!(
    /// The name of a type of issues.
    IssueType(String = "Task".to_owned()),
    |text| !text.trim().is_empty() && text.len() <= 60,
    "issue_type is the name of a type that the project has: \"Task\""
);

checked_setting!(
    /// A label.
    Label(String),
    |text| !text.is_empty() && text.len() <= 255 && !text.contains(char::is_whitespace),
    "labels are words without spaces: [\"soc2\"]"
);

struct Jira {
    url: Address,
    user: Option<String>,
    token: SecretString,
    project: String,
    issue_type: String,
    labels: Vec<String>,
    fields: Map<String, Value>,
    http: Http,
}

/// What Jira takes of a summary, in characters.
const SUMMARY: usize = 255;

/// Below what Jira takes of a description or comment, which is 32,767 characters.
const TEXT: usize = 30_000;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    settings.url.may_carry_secrets("url")?;
    let token = secret("token", &settings.token, secrets)?;
    let mut hidden = vec![token.clone()];
    hidden.extend(settings.user.iter().map(|user| http::basic(user, &token)));
    let http = Http::new(&settings.url, settings.root_certificates.as_ref(), hidden, clock)?;
    Ok(Box::new(Jira {
        url: settings.url,
        user: settings.user,
        token,
        project: settings.project.0,
        issue_type: settings.issue_type.0,
        labels: settings.labels.into_iter().map(|label| label.0).collect(),
        fields: settings.fields,
        http,
    }))
}

#[async_trait]
impl Channel for Jira {
    fn gathers(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, reference: Option<&str>) -> Result<Sent, SendError> {
        if let Some(key) = reference.filter(|reference| is_key(reference)) {
            let answer = self.comment(key, message).await?;
            // Who deleted an issue has not mended anything.
            if answer.status != StatusCode::NOT_FOUND {
                return self.commented(&answer, key);
            }
        }
        match self.find(message).await? {
            // An attempt before this one has created it with this very message.
            Some((key, true)) => Ok(sent(&key, "the issue was there already")),
            Some((key, false)) => {
                let answer = self.comment(&key, message).await?;
                self.commented(&answer, &key)
            }
            None => self.create(message).await,
        }
    }
}

impl Jira {
    /// The issue of an alert, and whether this message created it.
    async fn find(&self, message: &Message) -> Result<Option<(String, bool)>, SendError> {
        let jql = format!(
            "project = \"{}\" AND labels = \"{}\" ORDER BY created ASC",
            self.project,
            label(&message.alert)
        );
        let search = json!({ "jql": jql, "maxResults": 1, "fields": ["description"] });
        // Cloud has the one, Data Center the other.
        let mut answer = self.post("rest/api/2/search/jql", &search).await?;
        if matches!(
            answer.status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        ) {
            answer = self.post("rest/api/2/search", &search).await?;
        }
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let found = answer.json();
        // What can't be read may name the issue: a second one would be worse than a later message.
        let Some(issues) = found.as_ref().and_then(|found| found["issues"].as_array()) else {
            return Err(answer.not_taken(Again::Later));
        };
        let Some(issue) = issues.first() else {
            return Ok(None);
        };
        let key = issue["key"].as_str().filter(|key| is_key(key));
        let description = issue["fields"]["description"].as_str().unwrap_or_default();
        let same = description.trim_end().ends_with(&mark(message));
        match key {
            Some(key) => Ok(Some((key.to_owned(), same))),
            None => Err(answer.not_taken(Again::Later)),
        }
    }

    async fn create(&self, message: &Message) -> Result<Sent, SendError> {
        let mut fields = self.fields.clone();
        let mut labels = self.labels.clone();
        labels.push(label(&message.alert));
        fields.extend([
            ("project".to_owned(), json!({ "key": self.project })),
            ("issuetype".to_owned(), json!({ "name": self.issue_type })),
            (
                "summary".to_owned(),
                line::cut(&line::one(&message.title), SUMMARY).into(),
            ),
            ("description".to_owned(), body(message).into()),
            ("labels".to_owned(), labels.into()),
        ]);
        let answer = self
            .post("rest/api/2/issue", &json!({ "fields": fields }))
            .await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let created = answer.json();
        let key = created
            .as_ref()
            .and_then(|issue| issue["key"].as_str())
            .filter(|key| is_key(key));
        match key {
            Some(key) => Ok(sent(key, "the issue was created")),
            None => Err(answer.not_taken(Again::Later)),
        }
    }

    async fn comment(&self, key: &str, message: &Message) -> Result<Answer, SendError> {
        let path = format!("rest/api/2/issue/{key}/comment");
        self.post(&path, &json!({ "body": body(message) })).await
    }

    fn commented(&self, answer: &Answer, key: &str) -> Result<Sent, SendError> {
        if answer.status.is_success() {
            return Ok(sent(key, "a comment was made"));
        }
        Err(self.refused(answer))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, SendError> {
        let request = self.http.client()?.post(self.url.below(path));
        // What it says of a long text has the length of that.
        self.http
            .exchange_reading(self.with_access(request).json(body), 1 << 20)
            .await
    }

    fn with_access(&self, request: RequestBuilder) -> RequestBuilder {
        let token = self.token.expose_secret();
        match &self.user {
            Some(user) => request.basic_auth(user, Some(token)),
            None => request.bearer_auth(token),
        }
    }

    /// Why, in Jira's own words where there are any.
    fn refused(&self, answer: &Answer) -> SendError {
        let refused = answer.refused();
        let Some(body) = answer.json() else { return refused };
        let general = body["errorMessages"].as_array().into_iter().flatten();
        let mut said: Vec<String> = general
            .filter_map(|what| Some(what.as_str()?.to_owned()))
            .collect();
        let fields = body["errors"].as_object().into_iter().flatten();
        said.extend(fields.map(|(field, what)| format!("{field}: {}", what.as_str().unwrap_or("wrong"))));
        if said.is_empty() {
            return refused;
        }
        let what = format!("answered with {}: {}", answer.status.as_u16(), said.join("; "));
        self.http.failed(&what, refused.again)
    }
}

fn sent(key: &str, what: &str) -> Sent {
    Sent {
        answer: format!("{key}: {what}"),
        reference: Some(key.to_owned()),
    }
}

/// Whether a text can be the key of an issue, which becomes part of a path.
fn is_key(text: &str) -> bool {
    text.split_once('-').is_some_and(|(project, number)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !project.is_empty()
            && project.bytes().all(plain)
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// An alert's name as a label, of which JQL takes nothing for its own.
fn label(alert: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-".contains(c) {
            c
        } else {
            '_'
        }
    };
    format!("evidenced_{}", alert.chars().map(plain).collect::<String>())
}

fn mark(message: &Message) -> String {
    format!("Message {}", line::one(&message.key))
}

/// The text as it is, in a block that nothing in it ends: no mention, no link, no markup. Then the message's key.
fn body(message: &Message) -> String {
    let text = line::cut(&message.text, TEXT).replace("{noformat", "{ noformat");
    let text = line::cut(&text, TEXT);
    let title = line::cut(&line::one(&message.title), SUMMARY).replace("{noformat", "{ noformat");
    format!(
        "{{noformat}}\n{title}\n\n{text}\n{{noformat}}\n{}, severity {}\n{}",
        message.phase.as_str(),
        message.severity,
        mark(message)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    #[test]
    fn text_stays_text_whatever_it_holds() {
        let mut tricky = message();
        tricky.text = "[~alice] {noformat} *bold* {noformat:x}".to_owned();
        let made = body(&tricky);
        assert_eq!(made.matches("{noformat").count(), 2, "{made}");
        tricky.text = "{noformat".repeat(100_000);
        assert!(body(&tricky).chars().count() < 32_767);
    }

    #[test]
    fn a_label_is_one_word_for_each_alert() {
        assert_eq!(label("acme/0a1b2c3d/7"), "evidenced_acme_0a1b2c3d_7");
        assert_eq!(label("a\" OR b"), "evidenced_a__OR_b");
    }

    #[test]
    fn nothing_but_a_key_becomes_part_of_a_path() {
        assert!(is_key("SEC-12"));
        for text in ["", "SEC", "SEC-", "-1", "SEC-1/../2", "SEC-1?x", "S/C-1"] {
            assert!(!is_key(text), "{text}");
        }
    }
}
