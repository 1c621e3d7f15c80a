//! Slack, by emulate and by a receiver that counts; Teams.

use evidenced::alert::channel::Again;
use evidenced::alert::message::Phase;
use serde_json::{Value, json};

use crate::fake::Emulate;
use crate::receivers::{received, url};
use crate::{channel, http, long, message, refused, taken};

const URL: &str = "url = { env = \"URL\" }";

#[tokio::test]
async fn slack_shows_a_message_as_it_was_sent() {
    let emulate = Emulate::slack(&json!({
        "tokens": { "xoxb-test": { "login": "admin", "scopes": ["channels:history"] } },
        "slack": { "tokens": [{ "token": "xoxb-test", "user": "admin" }] },
    }));
    let hook = format!("{}/services/T000000001/B000000001/X000000001", emulate.url());
    let slack = channel("slack", URL, &[("URL", &hook)]);
    let opened = message("slack", Phase::Opened);
    let sent = taken(slack.as_ref(), &opened, None).await;
    assert_eq!((sent.answer.as_str(), sent.reference), ("200 ok", None));

    let history = http()
        .post(format!("{}/api/conversations.history", emulate.url()))
        .bearer_auth("xoxb-test")
        .json(&json!({ "channel": "C000000001" }));
    let history: Value = history.send().await.unwrap().json().await.unwrap();
    let [shown] = history["messages"].as_array().unwrap().as_slice() else {
        panic!("{history}")
    };
    assert_eq!(
        shown["text"],
        "Console users without MFA: 2 of &lt;prod&gt; &amp; \"more\" (opened)"
    );
    assert_eq!(shown["blocks"][0]["text"]["text"], opened.title);
    let text = shown["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt; alice *bold*"), "{text}");
}

#[tokio::test]
async fn slack_takes_every_message_whatever_is_in_it() {
    let hook = url("slack/services/T00000000/B00000000/tokentokentoken");
    let slack = channel("slack", URL, &[("URL", &hook)]);
    taken(slack.as_ref(), &message("slack-short", Phase::Opened), None).await;
    taken(slack.as_ref(), &long("slack-long"), None).await;
    assert_eq!(received("slack").len(), 2);
}

#[tokio::test]
async fn a_webhook_that_slack_knows_no_more_is_not_tried_again_and_not_told() {
    let hook = url("slack/services/T00000000/B00000000/anothertoken");
    let slack = channel("slack", URL, &[("URL", &hook)]);
    let error = refused(slack.as_ref(), &message("slack", Phase::Opened)).await;
    assert_eq!(error.what, "answered with 404: no_service");
    assert_eq!(error.again, Again::Never);
}

#[tokio::test]
async fn teams_takes_every_message_whatever_is_in_it() {
    let hook = url("teams/workflows/abc?sig=def");
    let teams = channel("teams", URL, &[("URL", &hook)]);
    let sent = taken(teams.as_ref(), &message("teams", Phase::Closed), None).await;
    assert_eq!(sent.answer, "202");
    taken(teams.as_ref(), &long("teams-long"), None).await;
    let got = received("teams");
    let body = &got[0]["attachments"][0]["content"]["body"];
    assert_eq!(
        body[0]["inlines"][0]["text"],
        message("teams", Phase::Closed).title
    );
    assert!(
        body.to_string().contains("@bob {noformat} ``` <b>&amp;</b>"),
        "{body}"
    );
}
