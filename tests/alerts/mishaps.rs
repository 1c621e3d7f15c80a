//! Receivers on bad days: those that refuse, hang, move, repeat what they got, or never end.

use evidenced::alert::channel::{Again, Channel, SendError};
use evidenced::alert::message::Phase;
use evidenced::clock;
use std::net::TcpListener;
use std::time::Duration;

use crate::mail::silent;
use crate::receivers::{received, said, url};
use crate::{channel, message, refused, taken};

const SECRET: &str = "secret-part";

/// A webhook, which trusts the status; and a channel to Slack, which does not.
fn webhook(kind: &str) -> Box<dyn Channel> {
    let settings = "url = { env = \"URL\" }, secret = { env = \"SECRET\" }";
    let hook = url(&format!("mishap/{SECRET}/{kind}"));
    channel("webhook", settings, &[("URL", &hook), ("SECRET", &said("whsec"))])
}

fn slack(kind: &str) -> Box<dyn Channel> {
    let hook = url(&format!("mishap/{SECRET}/{kind}"));
    channel("slack", "url = { env = \"URL\" }", &[("URL", &hook)])
}

async fn mishap(kind: &str) -> SendError {
    let error = refused(webhook(kind).as_ref(), &message(kind, Phase::Opened)).await;
    for secret in [SECRET, &said("whsec"), &url("")] {
        assert!(!error.what.contains(secret), "{kind}: {}", error.what);
    }
    error
}

#[tokio::test]
async fn a_status_says_whether_to_try_again() {
    for (status, again) in [
        ("400", Again::Never),
        ("401", Again::Later),
        ("404", Again::Never),
        ("410", Again::Never),
        ("408", Again::Later),
        ("429", Again::Later),
        ("500", Again::Later),
        ("503", Again::Later),
    ] {
        let error = mishap(status).await;
        assert_eq!(error.again, again, "{status}");
        assert_eq!(error.what, format!("answered with {status}: status {status}"));
    }
}

#[tokio::test]
async fn a_receiver_says_when_to_come_back() {
    assert_eq!(
        mishap("seconds").await.again,
        Again::After(Duration::from_secs(17))
    );
    let Again::After(wait) = mishap("date").await.again else {
        panic!("it gave a date");
    };
    assert!((115..=121).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_read_as_far_as_it_matters() {
    let clock = clock::system();
    let error = mishap("endless").await;
    assert_eq!(error.again, Again::Later);
    assert!(
        error.what.starts_with("answered with 500: no end in sight"),
        "{}",
        error.what
    );
    assert!(clock.monotonic() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left() {
    let clock = clock::system();
    let (hanging, in_body, mail) = (webhook("hang"), slack("hang-in-body"), silent());
    let message = message("hang", Phase::Opened);
    let timed = async |channel: &dyn Channel| {
        let error = refused(channel, &message).await;
        (error, clock.monotonic().as_secs())
    };
    let (hanging, in_body, mail) = tokio::join!(
        timed(hanging.as_ref()),
        timed(in_body.as_ref()),
        timed(mail.as_ref())
    );
    assert_eq!(
        (hanging.0.again, in_body.0.again, mail.0.again),
        (Again::Later, Again::Later, Again::Later)
    );
    assert!(
        hanging.0.what.starts_with("no answer in time"),
        "{}",
        hanging.0.what
    );
    // The status was right, and what Slack says with it never came.
    assert!(
        in_body.0.what.starts_with("answered with 200"),
        "{}",
        in_body.0.what
    );
    assert!((18..28).contains(&hanging.1) && (18..28).contains(&in_body.1));
    assert!((28..38).contains(&mail.1));
}

#[tokio::test]
async fn nobody_there_is_no_connection_and_a_broken_one_may_hold_tomorrow() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let hook = format!("http://{}/services/{SECRET}", free.local_addr().unwrap());
    drop(free);
    let slack = channel("slack", "url = { env = \"URL\" }", &[("URL", &hook)]);
    let error = refused(slack.as_ref(), &message("nobody", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    assert!(error.what.starts_with("no connection: "), "{}", error.what);
    assert!(
        !error.what.contains("127.0.0.1") && !error.what.contains(SECRET),
        "{}",
        error.what
    );
    assert_eq!(mishap("cut").await.again, Again::Later);
}

#[tokio::test]
async fn who_moved_is_not_followed() {
    let before = received("mishap").len();
    let error = mishap("moved").await;
    assert_eq!(error.again, Again::Never);
    assert_eq!(error.what, "answered with 307");
    let paths = received("mishap").split_off(before.min(received("mishap").len()));
    assert!(
        !paths.iter().any(|got| got["path"] == "/mishap/secret-part/ok"),
        "{paths:?}"
    );
}

#[tokio::test]
async fn what_a_receiver_repeats_is_told_without_secrets() {
    let error = mishap("echo").await;
    assert!(
        error.what.starts_with("answered with 400: POST [hidden] "),
        "{}",
        error.what
    );
    let error = mishap("controls").await;
    assert!(
        error.what.starts_with("answered with 400: a [31m b c"),
        "{}",
        error.what
    );
    let jira = format!(
        "url = \"{}\", project = \"SEC\", user = \"bot\", token = {{ env = \"TOKEN\" }}",
        url("mishap/echo")
    );
    let jira = channel("jira", &jira, &[("TOKEN", "s3cret-token")]);
    let error = jira
        .send(&message("echo", Phase::Opened), None)
        .await
        .unwrap_err();
    // `bot:s3cret-token`, as basic authentication writes it.
    assert!(
        !error.what.contains("s3cret") && !error.what.contains("Ym90OnMzY3JldC10b2tlbg"),
        "{}",
        error.what
    );
}

#[tokio::test]
async fn a_page_that_stands_between_is_not_taken_for_the_receiver() {
    let error = refused(slack("page").as_ref(), &message("page", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    assert_eq!(error.what, "answered with 200: <html>Please sign in</html>");
    let settings = format!(
        "routing_key = {{ env = \"KEY\" }}, url = \"{}\"",
        url("mishap/x/page")
    );
    let pagerduty = channel(
        "pagerduty",
        &settings,
        &[("KEY", "0123456789abcdef0123456789abcdef")],
    );
    let error = refused(pagerduty.as_ref(), &message("page", Phase::Opened)).await;
    assert_eq!(error.again, Again::Later);
    // Who can't be understood may hold the ticket already: none is opened.
    let token = [("TOKEN", "token")];
    for (kind, settings) in [
        (
            "jira",
            format!("url = \"{}\", project = \"SEC\"", url("mishap/page")),
        ),
        (
            "github_issues",
            format!("base_url = \"{}\", repository = \"a/b\"", url("mishap/page")),
        ),
    ] {
        let tickets = channel(
            kind,
            &format!("{settings}, token = {{ env = \"TOKEN\" }}"),
            &token,
        );
        let error = refused(tickets.as_ref(), &message("page", Phase::Opened)).await;
        assert_eq!(error.again, Again::Later, "{kind}");
    }
    taken(slack("ok").as_ref(), &message("ok", Phase::Opened), None).await;
}
