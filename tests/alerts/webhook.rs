//! Standard Webhooks, verified by the specification's own library.

use evidenced::alert::channel::Again;
use evidenced::alert::message::Phase;
use std::path::Path;

use crate::receivers::{received, said, url};
use crate::{channel, long, message, refused, taken};

const SETTINGS: &str = "url = { env = \"URL\" }, secret = { env = \"SECRET\" }";

#[tokio::test]
async fn a_receiver_verifies_what_it_gets_and_can_drop_a_repetition() {
    let webhook = channel(
        "webhook",
        SETTINGS,
        &[("URL", &url("webhook/here")), ("SECRET", &said("whsec"))],
    );
    let opened = message("webhook", Phase::Opened);
    let sent = taken(webhook.as_ref(), &opened, None).await;
    assert_eq!((sent.answer.as_str(), sent.reference), ("204", None));
    taken(webhook.as_ref(), &opened, None).await;
    taken(webhook.as_ref(), &message("webhook", Phase::Closed), None).await;
    taken(webhook.as_ref(), &long("webhook-long"), None).await;

    let got = received("webhook");
    let about: Vec<_> = got
        .iter()
        .filter(|got| got["body"]["data"]["alert"] == opened.alert)
        .collect();
    let ids: Vec<_> = about.iter().map(|got| &got["headers"]["webhook-id"]).collect();
    assert_eq!(ids[0], &opened.key);
    assert_eq!(ids[1], ids[0]);
    assert_ne!(ids[2], ids[0]);
    assert_eq!(about[0]["bytes"], about[1]["bytes"]);
    assert_eq!(about[0]["body"]["type"], "alert.opened");
    assert_eq!(about[2]["body"]["type"], "alert.closed");
    assert_eq!(about[0]["body"]["data"]["facts"], opened.facts);
    assert_eq!(about[0]["body"]["data"]["text"], opened.text);
    let agent = about[0]["headers"]["user-agent"].as_str().unwrap();
    assert_eq!(agent, concat!("evidenced/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn another_secret_is_refused() {
    let another = "whsec_bm90IHRoZSByaWdodCBvbmUsIGJ1dCBsb25nIGVub3VnaA==";
    let webhook = channel(
        "webhook",
        SETTINGS,
        &[("URL", &url("webhook/here")), ("SECRET", another)],
    );
    let error = refused(webhook.as_ref(), &message("webhook-refused", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    assert_eq!(error.what, "answered with 401: No matching signature found");
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_its_certificate_is_given_and_only_there() {
    let hook = format!("https://localhost:{}/webhook/here", said("https"));
    let secrets = [("URL", hook.as_str()), ("SECRET", &said("whsec"))];
    let webhook = channel("webhook", SETTINGS, &secrets);
    let error = refused(webhook.as_ref(), &message("webhook-tls", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    assert!(
        error.what.starts_with("no connection: invalid peer certificate"),
        "{}",
        error.what
    );
    let root = said("root");
    assert!(Path::new(&root).is_file());
    let settings = format!("{SETTINGS}, root_certificates = \"{root}\"");
    let webhook = channel("webhook", &settings, &secrets);
    taken(webhook.as_ref(), &message("webhook-tls", Phase::Opened), None).await;
}
