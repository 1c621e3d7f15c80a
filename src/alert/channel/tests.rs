//! What every type of channel is asked.

use serde_json::json;

use super::*;
use crate::alert::message::Phase;
use crate::clock;
use crate::control::Severity;
use crate::log::leaf::Event;

/// A message with all that a receiver could take for markup.
pub(super) fn message() -> Message {
    let at = "2026-11-22T12:00:00Z".parse().unwrap();
    Message {
        key: "acme/0a1b2c3d/7/opened/1".to_owned(),
        alert: "acme/0a1b2c3d/7".to_owned(),
        phase: Phase::Opened,
        event: Event::TestFailing,
        severity: Severity::High,
        since: at,
        at,
        source: Some("prod".to_owned()),
        test: Some("aws-console-mfa".to_owned()),
        title: "Console users without MFA <prod> & more".to_owned(),
        text: "<!channel> alice\nbob & carol".to_owned(),
        html: "<!doctype html><p>alice &amp; bob</p>".to_owned(),
        facts: json!({ "resources": ["alice", "bob & carol"] }),
    }
}

/// What the user is told about a channel of these lines.
fn told(lines: &str) -> String {
    let text = format!(
        "[[channel]]\nname = \"a\"\n{lines}\n[[source]]\nname = \"a\"\ntype = \"host\"\n\
         collectors.\"host.baseline\".schedule = \"0 * * * *\"\n"
    );
    let config = Config::parse(text.as_bytes(), Some(std::path::Path::new("evidenced.toml"))).unwrap();
    let variable = |name: &str| match name {
        "UNSET" => None,
        "OPEN" => Some("http://hunter2.example/".into()),
        "WEBHOOK_SECRET" => Some("whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==".into()),
        "PAGERDUTY_ROUTING_KEY" => Some("0123456789abcdef0123456789abcdef".into()),
        name if name.ends_with("_URL") => Some("https://hooks.example/hunter2".into()),
        _ => Some("hunter2".into()),
    };
    let secrets = SecretSources {
        variable: &variable,
        credentials_directory: None,
    };
    match build_all(&config, &secrets, &clock::system()) {
        Ok(built) => built.into_keys().collect(),
        Err(error) => {
            let told = error.to_string();
            assert!(!told.contains("hunter2"), "{told}");
            told
        }
    }
}

#[test]
fn every_type_is_listed_once_and_in_order() {
    assert!(TYPES.is_sorted_by_key(|registered| registered.kind));
    let mut kinds: Vec<_> = TYPES.iter().map(|registered| registered.kind).collect();
    kinds.dedup();
    assert_eq!(kinds.len(), TYPES.len());
}

/// The settings of a type in the example, without the comment's sign.
fn example(kind: &str) -> String {
    let heading = format!("# type = \"{kind}\"\n");
    let (_, settings) = Config::embedded_text()
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{kind} is not in config.example.toml"));
    let lines = settings.lines().map_while(|line| line.strip_prefix("# "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_type_is_built_of_the_settings_that_the_example_shows() {
    for registered in TYPES {
        let kind = registered.kind;
        let settings = example(kind);
        assert!(settings.starts_with("[channel.settings]\n"), "{settings}");
        let certificates = "\nroot_certificates = \"/etc/evidenced/private-ca.pem\"";
        let without = settings.replace(certificates, "");
        assert_ne!(settings, without, "{kind}");
        assert_eq!(told(&format!("type = \"{kind}\"\n{without}")), "a", "{kind}");
        let absent = settings.replace("/etc/evidenced/private-ca.pem", "/dev/null/absent");
        let told = told(&format!("type = \"{kind}\"\n{absent}"));
        assert!(
            told.contains("root_certificates: /dev/null/absent can't be read"),
            "{kind}: {told}"
        );
    }
}

#[test]
fn the_example_shows_every_setting() {
    for registered in TYPES {
        let kind = registered.kind;
        let settings = example(kind);
        let told = told(&format!("type = \"{kind}\"\nsettings = {{ unheard_of = 1 }}"));
        let (_, known) = told.split_once("expected ").unwrap();
        let known: Vec<_> = known
            .lines()
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert!(known.len() > 1, "{told}");
        for key in known {
            let shown = settings
                .lines()
                .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(shown, "{kind}: {key}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_the_secret() {
    assert_eq!(
        told("type = \"slak\""),
        "evidenced.toml:3:8: settings of channel \"a\": no such type of channel: \"slak\"\n  \
         help: did you mean \"slack\"? there are: alertmanager, email, github_issues, jira, pagerduty, slack, teams, webhook"
    );
    let listed = "\n  help: config.example.toml lists the settings of this type";
    let here = "settings of channel \"a\":";
    assert_eq!(
        told("type = \"slack\""),
        format!("evidenced.toml:1:1: {here} missing field `url`{listed}")
    );
    assert_eq!(
        told("type = \"slack\"\nsettings = { url = { env = \"A_URL\" }, channel = \"#hunter2\" }"),
        format!(
            "evidenced.toml:4:39: {here} unknown field `channel`, expected `url` or `root_certificates`{listed}"
        )
    );
    assert_eq!(
        told("type = \"slack\"\nsettings = { url = { env = \"UNSET\" } }"),
        format!(
            "evidenced.toml:4:12: {here} url: environment variable UNSET is not set\n  \
             help: set UNSET for the process, or refer to a file or credential instead"
        )
    );
    assert_eq!(
        told("type = \"slack\"\nsettings = { url = { env = \"SECRET\" } }"),
        format!(
            "evidenced.toml:4:12: {here} url: the secret holds no address that can be used\n  \
             help: put the address there as the receiver shows it, and nothing else"
        )
    );
    assert!(
        told("type = \"teams\"\nsettings = { url = { env = \"OPEN\" } }").contains("it begins with http://")
    );
    assert!(
        told("type = \"slack\"\nsettings = { url = \"https://hunter2.example/\" }")
            .contains("a secret is written here")
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (lines, what) in [
        (
            "type = \"alertmanager\"\nsettings = { url = \"http://alertmanager:9093\", token = { env = \"T\" } }",
            "url begins with http://",
        ),
        (
            "type = \"alertmanager\"\nsettings = { url = \"https://a.example\", user = \"u\" }",
            "user and password",
        ),
        (
            "type = \"webhook\"\nsettings = { url = { env = \"A_URL\" }, secret = { env = \"A_URL\" } }",
            "secret: not as Standard Webhooks have it",
        ),
        (
            "type = \"pagerduty\"\nsettings = { routing_key = { env = \"A_URL\" } }",
            "routing_key: not an integration key",
        ),
        (
            "type = \"email\"\nsettings = { server = \"mail.example\", from = \"a@b.example\", to = [] }",
            "to is empty",
        ),
        (
            "type = \"email\"\nsettings = { server = \"mail.example\", from = \"a@b.example\", to = [\"a@b.example\"], user = \"u\" }",
            "user and password",
        ),
        (
            "type = \"email\"\nsettings = { server = \"mail.example\", tls = \"none\", from = \"a@b.example\", \
             to = [\"a@b.example\"], user = \"u\", password = { env = \"P\" } }",
            "all on the way could read the password",
        ),
        (
            "type = \"github_issues\"\nsettings = { repository = \"acme\", token = { env = \"T\" } }",
            "repository is an owner and a name",
        ),
        (
            "type = \"jira\"\nsettings = { url = \"http://jira.example\", project = \"SEC\", token = { env = \"T\" } }",
            "url begins with http://",
        ),
    ] {
        let told = told(lines);
        assert!(told.contains(what), "{lines}: {told}");
    }
}
