//! Mail servers by aiosmtpd: STARTTLS, passwords, a private authority, and addresses that are no more.

use evidenced::alert::channel::{Again, Channel};
use evidenced::alert::message::{Message, Phase};
use serde_json::Value;

use crate::receivers::{received, said};
use crate::{channel, message, refused, taken};

const PEOPLE: &str =
    "from = \"Evidenced <evidenced@acme.example>\", to = [\"ann@acme.example\", \"Bob <bob@acme.example>\"]";

/// A server that takes connections and says nothing.
pub(crate) fn silent() -> Box<dyn Channel> {
    email("smtp_silent", PEOPLE, "tls = \"none\"", "")
}

/// A channel to one of the servers, of which `more` may say how.
fn email(server: &str, people: &str, more: &str, password: &str) -> Box<dyn Channel> {
    let settings = format!(
        "server = \"localhost\", port = {}, {people}, {more}",
        said(server)
    );
    channel("email", &settings, &[("PASSWORD", password)])
}

fn with_password() -> String {
    format!(
        "root_certificates = \"{}\", user = \"{}\", password = {{ env = \"PASSWORD\" }}",
        said("root"),
        said("user")
    )
}

/// The mails of a message that arrived.
fn arrived(message: &Message) -> Vec<Value> {
    let mut mails = received("mail");
    mails.retain(|mail| mail["plain"].as_str().unwrap().trim_end() == message.text);
    mails
}

fn about(alert: &str, phase: Phase) -> Message {
    let mut message = message(alert, phase);
    message.text = format!("{}\n{alert}", message.text);
    message
}

#[tokio::test]
async fn a_mail_arrives_encrypted_whole_and_in_its_thread() {
    let email = email("smtp", PEOPLE, &with_password(), &said("password"));
    let (opened, closed) = (about("mail", Phase::Opened), about("mail", Phase::Closed));
    let sent = taken(email.as_ref(), &opened, None).await;
    assert_eq!(sent.answer, "250 2.0.0 taken as 4711");
    taken(email.as_ref(), &opened, None).await;
    taken(email.as_ref(), &closed, None).await;

    let first = arrived(&opened);
    assert_eq!(first.len(), 2);
    let last = arrived(&closed).remove(0);
    for mail in first.iter().chain([&last]) {
        assert_eq!(mail["encrypted"], true);
        assert_eq!(mail["user"], said("user"));
        assert_eq!(mail["from"], "evidenced@acme.example");
        assert_eq!(
            mail["to"],
            serde_json::json!(["ann@acme.example", "bob@acme.example"])
        );
        assert_eq!(mail["type"], "multipart/alternative");
        assert_eq!(mail["html"].as_str().unwrap().trim_end(), opened.html);
        assert_eq!(mail["defects"], serde_json::json!([]));
        assert_eq!(mail["headers"]["auto-submitted"], "auto-generated");
    }
    let header = |mail: &Value, name: &str| mail["headers"][name].as_str().unwrap().to_owned();
    assert_eq!(header(&first[0], "subject"), opened.title);
    assert_eq!(header(&first[0], "message-id"), header(&first[1], "message-id"));
    assert_ne!(header(&first[0], "message-id"), header(&last, "message-id"));
    for name in ["references", "in-reply-to"] {
        assert_eq!(header(&first[0], name), header(&last, name));
    }
}

#[tokio::test]
async fn a_server_may_be_encrypted_from_the_first_byte_or_not_at_all() {
    let tls = format!("tls = \"tls\", {}", with_password());
    let first_byte = about("mail-tls", Phase::Opened);
    taken(
        email("smtps", PEOPLE, &tls, &said("password")).as_ref(),
        &first_byte,
        None,
    )
    .await;
    assert_eq!(arrived(&first_byte)[0]["encrypted"], true);
    let plain = about("mail-plain", Phase::Opened);
    taken(
        email("smtp_plain", PEOPLE, "tls = \"none\"", "").as_ref(),
        &plain,
        None,
    )
    .await;
    assert_eq!(arrived(&plain)[0]["encrypted"], false);
    // A server that offers no encryption gets neither mail nor password.
    let never = about("mail-never", Phase::Opened);
    let error = refused(
        email("smtp_plain", PEOPLE, &with_password(), &said("password")).as_ref(),
        &never,
    )
    .await;
    assert_eq!(error.again, Again::Later);
    assert!(error.what.contains("STARTTLS is not supported"), "{}", error.what);
    assert!(arrived(&never).is_empty());
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let more = format!("user = \"{}\", password = {{ env = \"PASSWORD\" }}", said("user"));
    for (server, tls) in [("smtp", ""), ("smtps", ", tls = \"tls\"")] {
        let email = email(server, PEOPLE, &format!("{more}{tls}"), &said("password"));
        let error = refused(email.as_ref(), &about("mail-unknown", Phase::Opened)).await;
        assert_eq!(error.again, Again::Later);
        assert!(error.what.contains("invalid peer certificate"), "{}", error.what);
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_told() {
    let email = email("smtp", PEOPLE, &with_password(), "hunter2");
    let error = refused(email.as_ref(), &about("mail-password", Phase::Opened)).await;
    assert_eq!(error.again, Again::Never);
    assert!(
        error.what.contains("535") && !error.what.contains("hunter2"),
        "{}",
        error.what
    );
}

#[tokio::test]
async fn an_address_that_is_no_more_keeps_the_mail_from_nobody_else() {
    let people = "from = \"a@acme.example\", to = [\"gone@acme.example\", \"ann@acme.example\"]";
    let email_to = |people: &str| email("smtp", people, &with_password(), &said("password"));
    let message = about("mail-gone", Phase::Opened);
    let sent = taken(email_to(people).as_ref(), &message, None).await;
    assert!(
        sent.answer.starts_with("1 of 2 refused: permanent error (550)"),
        "{}",
        sent.answer
    );
    let mails = arrived(&message);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["to"], serde_json::json!(["ann@acme.example"]));

    let nobody = "from = \"a@acme.example\", to = [\"gone@acme.example\"]";
    let error = refused(email_to(nobody).as_ref(), &message).await;
    assert_eq!(error.again, Again::Never);
    let later = "from = \"a@acme.example\", to = [\"later@acme.example\", \"ann@acme.example\"]";
    let error = refused(email_to(later).as_ref(), &message).await;
    assert_eq!(error.again, Again::Later);
}
