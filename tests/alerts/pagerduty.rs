//! PagerDuty, by a receiver that keeps incidents as documented.

use evidenced::alert::channel::{Again, Channel};
use evidenced::alert::message::Phase;
use serde_json::Value;

use crate::receivers::{received, said, url};
use crate::{channel, long, message, refused, taken};

fn pagerduty(key: &str) -> Box<dyn Channel> {
    let settings = format!(
        "routing_key = {{ env = \"KEY\" }}, url = \"{}\"",
        url("pagerduty/v2/enqueue")
    );
    channel("pagerduty", &settings, &[("KEY", key)])
}

fn incidents(alert: &str) -> Vec<Value> {
    let key = message(alert, Phase::Opened).alert;
    received("pagerduty")
        .into_iter()
        .filter(|incident| incident["key"] == key.as_str())
        .collect()
}

#[tokio::test]
async fn an_alert_is_one_incident_from_its_beginning_to_its_end() {
    let pagerduty = pagerduty(&said("routing_key"));
    for (phase, state) in [
        (Phase::Opened, "triggered"),
        (Phase::Opened, "triggered"),
        (Phase::Grown, "triggered"),
        (Phase::Reminder, "triggered"),
        (Phase::Acknowledged, "acknowledged"),
        (Phase::Closed, "resolved"),
    ] {
        let sent = taken(pagerduty.as_ref(), &message("incident", phase), None).await;
        assert!(sent.answer.starts_with("202 {"), "{}", sent.answer);
        let found = incidents("incident");
        assert_eq!(found.len(), 1, "{phase:?}");
        assert_eq!(found[0]["state"], state, "{phase:?}");
    }
    let events = incidents("incident").remove(0);
    let payload = &events["events"][0]["payload"];
    assert_eq!(payload["severity"], "error");
    assert_eq!(payload["custom_details"]["resources"][1], "<!channel> & bob");
}

#[tokio::test]
async fn a_trial_is_over_at_once_and_a_notice_stays() {
    let pagerduty = pagerduty(&said("routing_key"));
    taken(pagerduty.as_ref(), &message("trial", Phase::Trial), None).await;
    let found = incidents("trial");
    assert_eq!(found[0]["state"], "resolved");
    assert_eq!(found[0]["events"].as_array().unwrap().len(), 2);
    taken(pagerduty.as_ref(), &message("notice", Phase::Notice), None).await;
    assert_eq!(incidents("notice")[0]["state"], "triggered");
}

#[tokio::test]
async fn a_long_message_is_taken() {
    taken(pagerduty(&said("routing_key")).as_ref(), &long("long"), None).await;
    assert_eq!(incidents("long").len(), 1);
}

#[tokio::test]
async fn a_key_that_pagerduty_does_not_know_is_not_tried_again() {
    let key = "0123456789abcdef0123456789abcdef";
    let error = refused(pagerduty(key).as_ref(), &message("unknown", Phase::Opened)).await;
    assert_eq!(error.again, Again::Never);
    assert!(error.what.contains("Invalid routing key"), "{}", error.what);
    assert!(!error.what.contains(key));
}
