//! Microsoft Teams, by the webhook of a workflow: an adaptive card.
//!
//! ```toml
//! settings = { url = { env = "TEAMS_WEBHOOK_URL" } }
//! ```
//!
//! The workflow is the one that posts to a channel or chat when a webhook request is received. Its address is the secret:
//! whoever has it may write there. Teams has no key to drop a repetition by.

use async_trait::async_trait;
use serde_json::{Value, json};

use evidenced_collector_api::SettingsError;

use super::hook::Hook;
use super::{Again, Channel, SendError, Sent, line};
use crate::alert::message::Message;
use crate::clock::SharedClock;
use crate::config;
use crate::log::leaf::format_time;
use crate::secret::SecretSources;

struct Teams(Hook);

/// What Teams takes of a message is 28 KB, in bytes, by one way of counting and by others; this is below all.
const MESSAGE: usize = 27_000;

/// A line that is longer is cut: nobody reads on.
const LINE: usize = 1000;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    Ok(Box::new(Teams(Hook::new(settings, secrets, clock)?)))
}

#[async_trait]
impl Channel for Teams {
    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let answer = self.0.post(&card(message)).await?;
        // Connectors, which workflows replace, tell of failures behind them with status 200.
        if answer.said.contains("delivery failed") {
            return Err(answer.not_taken(Again::Later));
        }
        Ok(Sent {
            answer: answer.told(),
            reference: None,
        })
    }
}

/// A message as Teams takes it. All texts are runs, which have no markup.
fn card(message: &Message) -> Value {
    let fact = |title: &str, value: &str| json!({ "title": title, "value": plain(&line::cut(&line::one(value), LINE)) });
    let mut facts = vec![
        fact("Severity", &message.severity.to_string()),
        fact("Event", message.event.as_str()),
    ];
    facts.extend(message.source.as_deref().map(|source| fact("Source", source)));
    facts.extend(message.test.as_deref().map(|test| fact("Test", test)));
    facts.extend([
        fact("Since", &format_time(message.since)),
        fact("Alert", &message.alert),
    ]);
    let title = run(
        &line::cut(&line::one(&message.title), LINE),
        &json!({ "weight": "Bolder", "size": "Large" }),
    );
    let mut body = vec![title, json!({ "type": "FactSet", "facts": facts })];
    let wrapped = |body: &[Value]| {
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": { "width": "Full" },
                    "body": body,
                },
            }],
        })
    };
    let more = run("…", &json!({}));
    let mut length = wrapped(&body).to_string().len() + more.to_string().len() + 1;
    for text in message.text.lines().filter(|line| !line.trim().is_empty()) {
        let line = run(&line::cut(&line::one(text), LINE), &json!({}));
        length += line.to_string().len() + 1;
        if length > MESSAGE {
            body.push(more);
            break;
        }
        body.push(line);
    }
    wrapped(&body)
}

/// A block of one line.
fn run(text: &str, style: &Value) -> Value {
    let mut run = json!({ "type": "TextRun", "text": text });
    if let (Some(run), Some(style)) = (run.as_object_mut(), style.as_object()) {
        run.extend(style.clone());
    }
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

/// Facts have Markdown, of which this leaves nothing.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_[]()#~<>".contains(character) {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    #[test]
    fn a_card_has_the_title_what_it_is_about_and_the_text() {
        let made = card(&message());
        let content = &made["attachments"][0]["content"];
        assert_eq!(content["version"], "1.4");
        let body = content["body"].as_array().unwrap();
        assert_eq!(
            body[0]["inlines"][0]["text"],
            "Console users without MFA <prod> & more"
        );
        assert_eq!(body[1]["facts"][1]["value"], "test\\_failing");
        assert_eq!(body[2]["inlines"][0]["text"], "<!channel> alice");
        assert_eq!(body[3]["inlines"][0]["text"], "bob & carol");
        assert_eq!(body.len(), 4);
    }

    #[test]
    fn a_card_is_never_larger_than_teams_takes_and_says_where_it_is_cut() {
        let mut long = message();
        long.title = "\u{1}".repeat(100_000);
        for lines in [10, 300, 100_000] {
            long.text = "a resource named \"x\" and <y>\n".repeat(lines);
            let made = card(&long);
            assert!(made.to_string().len() <= MESSAGE);
            let body = made["attachments"][0]["content"]["body"].as_array().unwrap();
            let cut = body.last().unwrap()["inlines"][0]["text"] == "…";
            assert_eq!(cut, lines > 200, "{lines}");
        }
        long.text = "x".repeat(100_000);
        assert!(card(&long).to_string().len() < 3 * LINE);
    }
}
