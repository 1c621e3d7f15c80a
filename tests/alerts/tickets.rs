//! Tickets: GitHub's issues by emulate, Jira by a receiver that checks fields.

use evidenced::alert::channel::{Again, Channel};
use evidenced::alert::message::Phase;
use serde_json::{Value, json};

use crate::fake::Emulate;
use crate::receivers::{received, said, url};
use crate::{channel, http, long, message, refused, taken};

struct Repository {
    emulate: Emulate,
    http: reqwest::Client,
}

impl Repository {
    fn start() -> Self {
        let emulate = Emulate::start(&json!({
            "tokens": { "writes-issues": { "login": "bot", "scopes": ["repo"] } },
            "github": {
                "users": [{ "login": "bot" }],
                "repos": [{ "owner": "bot", "name": "compliance", "private": true, "auto_init": true }],
            },
        }));
        Self {
            emulate,
            http: http(),
        }
    }

    fn channel(&self, token: &str) -> Box<dyn Channel> {
        let settings = format!(
            "repository = \"bot/compliance\", base_url = \"{}\", token = {{ env = \"TOKEN\" }}",
            self.emulate.url()
        );
        channel("github_issues", &settings, &[("TOKEN", token)])
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/repos/bot/compliance/issues{path}", self.emulate.url());
        let mut request = self.http.request(method, url).bearer_auth("writes-issues");
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    async fn issues(&self) -> Vec<Value> {
        let all = self
            .call(reqwest::Method::GET, "?state=all&per_page=100", &Value::Null)
            .await;
        all.as_array().unwrap().clone()
    }

    async fn comments(&self, number: &str) -> Vec<Value> {
        let path = format!("/{number}/comments");
        let all = self.call(reqwest::Method::GET, &path, &Value::Null).await;
        all.as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn an_alert_is_one_issue_on_github_and_all_else_is_a_comment() {
    let repository = Repository::start();
    let github = repository.channel("writes-issues");
    let sent = taken(github.as_ref(), &message("7", Phase::Opened), None).await;
    let number = sent.reference.unwrap();
    assert_eq!(sent.answer, format!("#{number}: the issue was opened"));
    // As after a crash that left open whether it was sent.
    let again = taken(github.as_ref(), &message("7", Phase::Opened), None).await;
    assert_eq!(again.answer, format!("#{number}: the issue was there already"));
    assert_eq!(again.reference.as_ref(), Some(&number));
    // Another alert, whose name begins like that of the first.
    let other = taken(github.as_ref(), &message("71", Phase::Opened), None).await;
    assert_ne!(other.reference.as_ref(), Some(&number));

    for phase in [Phase::Grown, Phase::Grown, Phase::Acknowledged] {
        let sent = taken(github.as_ref(), &message("7", phase), Some(&number)).await;
        assert_eq!(sent.reference.as_ref(), Some(&number));
    }
    let closed = json!({ "state": "closed" });
    repository
        .call(reqwest::Method::PATCH, &format!("/{number}"), &closed)
        .await;
    // Nobody knows the number any more, and a person has closed it.
    taken(github.as_ref(), &message("7", Phase::Reminder), None).await;
    taken(github.as_ref(), &message("7", Phase::Closed), Some(&number)).await;

    let issues = repository.issues().await;
    assert_eq!(issues.len(), 2);
    let issue = issues
        .iter()
        .find(|issue| issue["number"].as_u64() == number.parse().ok())
        .unwrap();
    assert_eq!(issue["title"], message("7", Phase::Opened).title);
    assert_eq!(issue["state"], "closed");
    assert_eq!(issue["labels"][0]["name"], "evidenced");
    let comments = repository.comments(&number).await;
    let phases: Vec<_> = comments
        .iter()
        .map(|comment| {
            let body = comment["body"].as_str().unwrap();
            body.lines()
                .find_map(|line| line.strip_suffix(", severity high"))
                .unwrap()
        })
        .collect();
    assert_eq!(phases, ["grown", "acknowledged", "reminder", "closed"]);
}

#[tokio::test]
async fn an_issue_is_found_among_many_and_opened_anew_where_it_is_gone() {
    let repository = Repository::start();
    let github = repository.channel("writes-issues");
    let first = taken(github.as_ref(), &message("first", Phase::Opened), None).await;
    for n in 0..120 {
        let other = json!({ "title": format!("other {n}"), "body": "x", "labels": ["evidenced"] });
        repository.call(reqwest::Method::POST, "", &other).await;
    }
    let again = taken(github.as_ref(), &message("first", Phase::Opened), None).await;
    assert_eq!(again.reference, first.reference);
    let grown = taken(github.as_ref(), &message("gone", Phase::Grown), Some("99999")).await;
    assert!(grown.answer.ends_with("the issue was opened"), "{}", grown.answer);
    let long = taken(github.as_ref(), &long("long"), None).await;
    assert!(long.answer.ends_with("the issue was opened"), "{}", long.answer);
}

#[tokio::test]
async fn a_repository_that_the_token_may_not_see_is_told_in_github_s_words() {
    let emulate = Emulate::start(&json!({ "github": { "users": [{ "login": "bot" }] } }));
    let settings = format!(
        "repository = \"bot/compliance\", base_url = \"{}\", token = {{ env = \"TOKEN\" }}",
        emulate.url()
    );
    let github = channel("github_issues", &settings, &[("TOKEN", "hunter2hunter2")]);
    let error = refused(github.as_ref(), &message("7", Phase::Opened)).await;
    assert_eq!(error.again, Again::Never);
    assert_eq!(error.what, "answered with 404: Not Found");
}

/// A channel to a project of one test's own, where every issue needs a priority.
fn jira(flavour: &str, project: &str, more: &str, token: &str) -> Box<dyn Channel> {
    let settings = format!(
        "url = \"{}\", project = \"{project}\", labels = [\"soc2\"], token = {{ env = \"TOKEN\" }}{more}",
        url(flavour)
    );
    channel("jira", &settings, &[("TOKEN", token)])
}

const HIGH: &str = ", fields = { priority = { name = \"High\" } }";

fn issues(flavour: &str, project: &str) -> Vec<Value> {
    let mut issues = received(flavour);
    issues.retain(|issue| issue["key"].as_str().unwrap().starts_with(&format!("{project}-")));
    issues
}

#[tokio::test]
async fn an_alert_is_one_issue_in_jira_and_all_else_is_a_comment() {
    for (flavour, user) in [
        ("jira-cloud", ", user = \"bot@acme.example\""),
        ("jira-server", ""),
    ] {
        let jira = jira(flavour, "SEC", &format!("{HIGH}{user}"), &said("jira_token"));
        let sent = taken(jira.as_ref(), &message("7", Phase::Opened), None).await;
        assert_eq!(sent.reference.as_deref(), Some("SEC-1"), "{flavour}");
        assert_eq!(sent.answer, "SEC-1: the issue was created");
        let again = taken(jira.as_ref(), &message("7", Phase::Opened), None).await;
        assert_eq!(again.answer, "SEC-1: the issue was there already");
        let other = taken(jira.as_ref(), &message("71", Phase::Opened), None).await;
        assert_eq!(other.reference.as_deref(), Some("SEC-2"));
        taken(jira.as_ref(), &message("7", Phase::Grown), Some("SEC-1")).await;
        taken(jira.as_ref(), &message("7", Phase::Acknowledged), None).await;
        let closed = taken(jira.as_ref(), &message("7", Phase::Closed), Some("SEC-404")).await;
        assert_eq!(closed.reference.as_deref(), Some("SEC-1"));
        taken(jira.as_ref(), &long("long"), None).await;

        let issues = issues(flavour, "SEC");
        assert_eq!(issues.len(), 3, "{flavour}");
        assert_eq!(
            issues[0]["fields"]["labels"],
            json!(["soc2", "evidenced_acme_0a1b2c3d_7"])
        );
        assert_eq!(issues[0]["fields"]["summary"], message("7", Phase::Opened).title);
        assert_eq!(issues[0]["comments"].as_array().unwrap().len(), 3);
        let comment = issues[0]["comments"][2].as_str().unwrap();
        assert!(
            comment.ends_with("closed, severity high\nMessage acme/0a1b2c3d/7/closed"),
            "{comment}"
        );
        assert_eq!(comment.matches("{noformat").count(), 2);
    }
}

#[tokio::test]
async fn what_jira_misses_is_told_in_its_words() {
    let without = jira("jira-server", "MISS", "", &said("jira_token"));
    let error = refused(without.as_ref(), &message("7", Phase::Opened)).await;
    assert_eq!(error.again, Again::Never);
    assert_eq!(error.what, "answered with 400: priority: Priority is required.");
    let user = format!("{HIGH}, user = \"bot@acme.example\"");
    let stranger = jira("jira-cloud", "MISS", &user, "hunter2");
    let error = refused(stranger.as_ref(), &message("7", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    assert_eq!(
        error.what,
        "answered with 401: You do not have the permission, Basic [hidden]"
    );
    assert!(issues("jira-server", "MISS").is_empty());
}
