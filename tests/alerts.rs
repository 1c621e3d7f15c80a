//! Every type of channel against a receiver that holds what it gets against what is documented: where there is one, the
//! program itself or an emulator of others; else one of ours, beside this.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "alerts/alertmanager.rs"]
mod alertmanager;
#[path = "alerts/chat.rs"]
mod chat;
#[path = "../collectors/github/tests/fake/mod.rs"]
mod fake;
#[path = "alerts/mail.rs"]
mod mail;
#[path = "alerts/mishaps.rs"]
mod mishaps;
#[path = "alerts/pagerduty.rs"]
mod pagerduty;
#[path = "../collectors/aws/tests/moto/python.rs"]
mod python;
#[path = "alerts/receivers.rs"]
mod receivers;
#[path = "alerts/tickets.rs"]
mod tickets;
#[path = "deploy/tools.rs"]
#[expect(dead_code, reason = "what tests of deploy need besides")]
mod tools;
#[path = "alerts/webhook.rs"]
mod webhook;

use evidenced::alert::channel::{Again, Channel, SendError, Sent, build_all};
use evidenced::alert::message::{Message, Phase};
use evidenced::clock;
use evidenced::config::Config;
use evidenced::control::Severity;
use evidenced::log::leaf::Event;
use evidenced::secret::SecretSources;
use serde_json::json;
use std::path::Path;

/// A channel of a type with settings as they are written; the secrets are what `{ env = "NAME" }` finds.
fn channel(kind: &str, settings: &str, secrets: &[(&str, &str)]) -> Box<dyn Channel> {
    let text = format!(
        "[[channel]]\nname = \"it\"\ntype = \"{kind}\"\nsettings = {{ {settings} }}\n\
         [[source]]\nname = \"a\"\ntype = \"host\"\ncollectors.\"host.baseline\".schedule = \"0 * * * *\"\n"
    );
    let config = Config::parse(text.as_bytes(), Some(Path::new("evidenced.toml"))).unwrap();
    let variable = |name: &str| {
        let mut secrets = secrets.iter();
        secrets
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    };
    let sources = SecretSources {
        variable: &variable,
        credentials_directory: None,
    };
    let built = build_all(&config, &sources, &clock::system());
    let mut built = built.unwrap_or_else(|error| panic!("{error}"));
    built.remove("it").unwrap()
}

/// A message about an alert, with all in it that a receiver could take for markup.
fn message(alert: &str, phase: Phase) -> Message {
    let at = clock::system().now();
    let title = format!(
        "Console users without MFA: 2 of <prod> & \"more\" ({})",
        phase.as_str()
    );
    Message {
        key: format!("acme/0a1b2c3d/{alert}/{}", phase.as_str()),
        alert: format!("acme/0a1b2c3d/{alert}"),
        phase,
        event: Event::TestFailing,
        severity: Severity::High,
        since: at,
        at,
        source: Some("prod".to_owned()),
        test: Some("aws-console-mfa".to_owned()),
        text: format!(
            "{title}\n\n<!channel> alice *bold* _it_ [x](y)\n@bob {{noformat}} ``` <b>&amp;</b>\nümlaut — ✓"
        ),
        html: "<!doctype html><p>alice &amp; bob — ✓</p>".to_owned(),
        title,
        facts: json!({ "resources": ["alice", "<!channel> & bob"] }),
    }
}

/// The same with more in it than any receiver takes.
fn long(alert: &str) -> Message {
    let mut long = message(alert, Phase::Opened);
    long.title = "<long> & ".repeat(1000);
    long.text = "a resource of some name, <and> & \"more\" ✓\n".repeat(20_000);
    long.facts = json!({ "resources": vec!["arn:aws:iam::111111111111:user/somebody"; 20_000] });
    long
}

/// For what tests themselves ask of receivers.
fn http() -> reqwest::Client {
    // Connections need it, even those in the clear.
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy().user_agent("test");
    builder.build().unwrap()
}

/// Sends one, which must be taken.
async fn taken(channel: &dyn Channel, message: &Message, reference: Option<&str>) -> Sent {
    let sent = channel.send(message, reference).await;
    let sent = sent.unwrap_or_else(|error| panic!("{}: {error}", message.phase.as_str()));
    assert_plain(&sent.answer);
    sent
}

/// Sends one, which must not be taken.
async fn refused(channel: &dyn Channel, message: &Message) -> SendError {
    let refused = channel.send(message, None).await.unwrap_err();
    assert_plain(&refused.what);
    assert_ne!(refused.what, "");
    if let Again::After(wait) = refused.again {
        assert!(!wait.is_zero() && wait.as_secs() <= 86_400);
    }
    refused
}

fn assert_plain(line: &str) {
    assert!(line.chars().count() <= 200, "{line}");
    assert!(!line.contains(char::is_control), "{line:?}");
}
