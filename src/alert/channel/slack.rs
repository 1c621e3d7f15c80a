//! Slack, by an incoming webhook: a message of blocks, with a line for where blocks are not shown.
//!
//! ```toml
//! settings = { url = { env = "SLACK_WEBHOOK_URL" } }
//! ```
//!
//! The address is the secret: whoever has it may write to the channel. Slack has no key to drop a repetition by.

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

struct Slack(Hook);

/// What Slack takes of a header, in characters.
const HEADER: usize = 150;

/// What Slack takes of a section's text, in characters.
const SECTION: usize = 3000;

/// As many sections as anybody reads; Slack takes 50 blocks.
const SECTIONS: usize = 5;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    clock: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    Ok(Box::new(Slack(Hook::new(settings, secrets, clock)?)))
}

#[async_trait]
impl Channel for Slack {
    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let answer = self.0.post(&blocks(message)).await?;
        if answer.said != "ok" {
            // Something between us and Slack has answered.
            return Err(answer.not_taken(Again::Later));
        }
        Ok(Sent {
            answer: answer.told(),
            reference: None,
        })
    }
}

/// A message as Slack takes it.
fn blocks(message: &Message) -> Value {
    let title = line::one(&message.title);
    let section = |text: String| {
        // Verbatim: names of channels and addresses in it are not made into links.
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
    };
    let mut about = vec![message.severity.to_string(), message.event.as_str().to_owned()];
    about.extend(message.source.iter().cloned());
    about.extend([format_time(message.at), message.alert.clone()]);
    let about = line::cut(&escaped(&line::one(&about.join(" · "))), SECTION);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": line::cut(&title, HEADER), "emoji": false },
    })];
    blocks.extend(
        line::pieces(&message.text, SECTION, SECTIONS, escaped)
            .into_iter()
            .map(section),
    );
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "mrkdwn", "text": about, "verbatim": true }],
    }));
    json!({ "text": escaped(&line::cut(&title, SECTION)), "blocks": blocks })
}

/// Text that stays text: neither a mention nor a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;

    #[test]
    fn a_message_has_a_header_its_text_and_what_it_is_about() {
        let made = blocks(&message());
        let kinds: Vec<_> = made["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].clone())
            .collect();
        assert_eq!(kinds, ["header", "section", "context"]);
        assert_eq!(made["text"], "Console users without MFA &lt;prod&gt; &amp; more");
        assert_eq!(
            made["blocks"][0]["text"]["text"],
            "Console users without MFA <prod> & more"
        );
        assert_eq!(
            made["blocks"][1]["text"]["text"],
            "&lt;!channel&gt; alice\nbob &amp; carol"
        );
        let about = made["blocks"][2]["elements"][0]["text"].as_str().unwrap();
        assert!(
            about.starts_with("high · test_failing · prod · 2026-11-22T12:00:00"),
            "{about}"
        );
    }

    #[test]
    fn no_part_is_longer_than_slack_takes() {
        let mut long = message();
        long.title = "<&>".repeat(2000);
        long.text = "<a line of text> & more\n".repeat(10_000);
        long.source = Some("&".repeat(5000));
        let made = blocks(&long);
        let blocks = made["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 2 + SECTIONS);
        let length = |value: &Value| value.as_str().unwrap().chars().count();
        assert_eq!(length(&blocks[0]["text"]["text"]), HEADER);
        for block in &blocks[1..=SECTIONS] {
            assert!(length(&block["text"]["text"]) <= SECTION);
            assert!(length(&block["text"]["text"]) > SECTION - 100);
        }
        assert!(
            blocks[SECTIONS]["text"]["text"]
                .as_str()
                .unwrap()
                .ends_with("\n…")
        );
        assert!(length(&blocks[1 + SECTIONS]["elements"][0]["text"]) <= SECTION);
        assert!(made.to_string().len() < 40_000);
    }

    #[test]
    fn a_message_without_text_has_no_empty_section() {
        let mut short = message();
        short.text = String::new();
        assert_eq!(blocks(&short)["blocks"].as_array().unwrap().len(), 2);
    }
}
