//! Channels from the command line: they are tried, checked, and told even where the log can't be written.

use std::time::Duration;

use crate::receiver::receiver;
use crate::workplace::{Workplace, ran};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A configuration with a channel that goes to `url`, and `more`.
fn configure(place: &Workplace, more: &str) {
    let text = format!(
        "name = \"acme\"\n{more}\n[[source]]\nname = \"this-machine\"\ntype = \"host\"\n\
         [source.collectors.\"host.baseline\"]\nschedule = \"@hourly\"\n\
         [[channel]]\nname = \"hook\"\ntype = \"webhook\"\n\
         settings = {{ url = {{ env = \"HOOK_URL\" }}, secret = {{ env = \"HOOK_SECRET\" }} }}\n"
    );
    place.write("evidenced.toml", &text);
}

fn run(place: &Workplace, url: &str, arguments: &[&str]) -> crate::workplace::Ran {
    let mut command = place.command(arguments);
    command
        .env("HOOK_URL", url)
        .env("HOOK_SECRET", SECRET)
        .env("NO_PROXY", "127.0.0.1");
    ran(&command.output().unwrap())
}

#[test]
fn a_channel_is_tried_and_the_receivers_answer_is_told_and_recorded() {
    let place = Workplace::collected();
    configure(&place, "");
    let (url, bodies) = receiver();
    let tried = run(&place, &url, &["alert", "test", "hook", "--format", "json"]).ends(0);
    let json = tried.json();
    assert_eq!(
        (&json["delivered"], &json["answer"]),
        (&true.into(), &"204".into())
    );
    let body = bodies.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(body["type"], "alert.trial");
    let seq = json["seq"].as_u64().unwrap();
    assert_eq!(place.reader().leaf(seq).unwrap().unwrap().kind, "alert");

    let refused = run(&place, "http://127.0.0.1:1/", &["alert", "test", "hook"]).ends(2);
    assert!(
        refused.out.contains("hook did not take the test message"),
        "{}",
        refused.out
    );
    assert!(
        !refused.out.contains("127.0.0.1:1/"),
        "the address is a secret: {}",
        refused.out
    );
    let unknown = run(&place, &url, &["alert", "test", "hok"]).ends(2);
    assert!(unknown.err.contains("did you mean \"hook\"?"), "{}", unknown.err);
}

#[test]
fn a_template_that_is_none_is_found_before_anything_is_told() {
    let place = Workplace::new();
    configure(&place, "[alerts]\ntemplates = \"words\"\n");
    std::fs::create_dir(place.path("work").join("words")).unwrap();
    place.write("words/title.txt", "Look:\n{{ tilte }}\n");
    let checked = run(&place, "http://127.0.0.1:1/", &["check"]).ends(2);
    assert!(checked.err.contains("words/title.txt:2: "), "{}", checked.err);
    place.write("words/title.txt", "{% if %}");
    let checked = run(&place, "http://127.0.0.1:1/", &["check"]).ends(2);
    assert!(checked.err.contains("words/title.txt:1: "), "{}", checked.err);
}

#[test]
fn that_the_log_is_not_intact_is_told_without_it_and_named_alike_each_time() {
    let place = Workplace::collected();
    configure(&place, "");
    std::fs::remove_file(place.store().join("guard")).unwrap();
    let (url, bodies) = receiver();
    let mut told = Vec::new();
    for _ in 0..2 {
        run(&place, &url, &["collect", "--once"]).ends(4);
        told.push(bodies.recv_timeout(Duration::from_secs(5)).unwrap());
    }
    assert_eq!(told[0]["data"]["event"], "log_not_intact");
    assert_eq!(told[0]["data"]["severity"], "critical");
    assert_eq!(told[0]["data"]["key"], told[1]["data"]["key"]);
    let text = told[0]["data"]["text"].as_str().unwrap();
    assert!(text.contains("guard missing"), "{text}");
}
