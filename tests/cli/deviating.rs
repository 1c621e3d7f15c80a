//! `evidenced deviations`: each stretch, what was observed of it, and what people did.

use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use evidenced::exception;
use evidenced::log::append::Draft;
use evidenced::log::leaf::{
    Acknowledgement, Alert, AlertState, Body, Delivery, Event, Exception, Role, SnapshotLeaf, Trigger,
};
use evidenced::round;
use evidenced_collector_api::Covers;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

async fn begun(place: &Workplace) -> Bench {
    Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await
}

/// What the source holds from here on, and a look at it.
async fn look(bench: &Bench, things: &[(&str, bool)]) {
    let things = things.iter().map(|(id, safe)| thing(id, *safe));
    bench.holds([("a", Answer::seen(things))]);
    bench.run().await;
    bench.clock.forward(TimeDelta::hours(1));
}

async fn record(bench: &Bench, body: Body) -> u64 {
    bench.log.append(Draft::new(body)).await.unwrap().seq
}

fn alert(state: AlertState, alert: Option<u64>) -> Body {
    let delivery = Delivery {
        also: Vec::new(),
        channel: "pager".to_owned(),
        phase: "opened".to_owned(),
        key: "key".to_owned(),
        attempts: 1,
        answer: "200".to_owned(),
        reference: None,
    };
    Body::Alert(Alert {
        collector: Some("fake.things".to_owned()),
        source: Some("src".to_owned()),
        state,
        alert,
        event: Event::TestFailing,
        severity: "high".to_owned(),
        test: Some("things-safe".to_owned()),
        control: None,
        about: None,
        resources: 2,
        delivery: (state == AlertState::Delivered).then_some(delivery),
    })
}

async fn except(bench: &Bench, resource: &str, hours: i64) {
    let exception = Exception {
        test: "things-safe".to_owned(),
        only_source: None,
        reason: "by design".to_owned(),
        requested_by: "Ann".to_owned(),
        approved_by: "Bob".to_owned(),
        recorded_by: "root".to_owned(),
        expires: evidenced::clock::Clock::now(bench.clock.as_ref()) + TimeDelta::hours(hours),
        resources: 1,
        ticket: Some("SEC-9".to_owned()),
    };
    let payload = exception::payload(BTreeSet::from([resource.to_owned()]));
    let draft = Draft::new(Body::Exception(exception))
        .with_blob(Role::Resources, "application/json", &payload)
        .unwrap();
    bench.log.append(draft).await.unwrap();
}

/// From 10:00 on, hourly: w, x and y pass, fail twice, and w and x are mended, y gone; z fails from 12:00 on, and is excepted from
/// 13:00 to 14:00.
async fn a_morning(bench: &Bench) {
    look(bench, &[("w", true), ("x", true), ("y", true)]).await;
    look(bench, &[("w", false), ("x", false), ("y", false)]).await;
    let opened = record(bench, alert(AlertState::Opened, None)).await;
    record(bench, alert(AlertState::Delivered, Some(opened))).await;
    let said = Acknowledgement {
        alert: opened,
        note: "looking into it".to_owned(),
        ticket: Some("OPS-17".to_owned()),
        cause: Some("made by hand".to_owned()),
        correction: None,
        response: Some("made by Terraform from now on".to_owned()),
        recorded_by: "ann".to_owned(),
    };
    record(bench, Body::Acknowledgement(said)).await;
    look(bench, &[("w", false), ("x", false), ("y", false), ("z", false)]).await;
    record(bench, alert(AlertState::Closed, Some(opened))).await;
    except(bench, "z", 1).await;
    look(bench, &[("w", true), ("x", true), ("z", false)]).await;
    look(bench, &[("w", true), ("x", true), ("z", false)]).await;
}

#[tokio::test]
async fn every_stretch_is_told_with_what_was_observed_and_what_was_done() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    a_morning(&bench).await;
    let ran = place.run(&["deviations"]).ends(0);
    assert_eq!(
        ran.out,
        "\
4 deviations: 1 open, 2 mended, 1 gone. Observed: 5 evaluations from 2026-03-01T10:00Z to 2026-03-01T14:00Z.
Times are of looks. Where nobody looked, nothing is known: `evidenced log --kind missed --kind failure`.

things-safe (high): Every thing is safe
serves safe-things, owner platform

  mended  fake.things of src, 2 resources
    a: w  safe = false
    a: x  safe = false
    last pass     2026-03-01T10:00Z  snapshot 3
    first fail    2026-03-01T11:00Z  snapshot 5; detected 2026-03-01T11:00Z, evaluation 6
    last fail     2026-03-01T12:00Z  snapshot 10
    mended        2026-03-01T13:00Z  snapshot 14, the first that passes
    lasted        at least 1 hour; at most 3 hours, between the looks around it
    notified      2026-03-01T12:00Z  by pager, alert 7
    acknowledged  2026-03-01T12:00Z  by ann: looking into it (OPS-17)
    cause         made by hand
    response      made by Terraform from now on

  gone  fake.things of src, 1 resource
    a: y  safe = false
    last pass     2026-03-01T10:00Z  snapshot 3
    first fail    2026-03-01T11:00Z  snapshot 5; detected 2026-03-01T11:00Z, evaluation 6
    last fail     2026-03-01T12:00Z  snapshot 10
    gone          2026-03-01T13:00Z  snapshot 14, complete, does not hold it any more
    lasted        at least 1 hour; at most 3 hours, between the looks around it
    notified      2026-03-01T12:00Z  by pager, alert 7
    acknowledged  2026-03-01T12:00Z  by ann: looking into it (OPS-17)
    cause         made by hand
    response      made by Terraform from now on

  open  fake.things of src, 1 resource
    a: z  safe = false
    not there     2026-03-01T11:00Z  snapshot 5
    first fail    2026-03-01T12:00Z  snapshot 10; detected 2026-03-01T12:00Z, evaluation 11
    last fail     2026-03-01T14:00Z  snapshot 16
    lasts         at least 2 hours so far
    notified      nobody
    acknowledged  by nobody
    exception     13, until 2026-03-01T14:00Z: by design (SEC-9)
                  requested by Ann, approval asserted by Bob, recorded by root 2026-03-01T13:00Z
                  covered the look of 2026-03-01T13:00Z
"
    );
}

#[tokio::test]
async fn programs_are_told_the_same_of_each_resource() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    a_morning(&bench).await;
    let shown = place.run(&["deviations", "--format", "json"]).ends(0).json();
    let told = |name: &str| -> Vec<Value> {
        let list = shown["deviations"].as_array().unwrap();
        list.iter().map(|deviation| deviation[name].clone()).collect()
    };
    assert_eq!(told("resource"), ["w", "x", "y", "z"]);
    assert_eq!(told("state"), ["mended", "mended", "gone", "open"]);
    assert_eq!(told("at_least_seconds"), [3600, 3600, 3600, 7200]);
    assert_eq!(
        told("at_most_seconds"),
        [json!(10_800), json!(10_800), json!(10_800), json!(null)]
    );
    let x = &shown["deviations"][1];
    assert_eq!(x["before"]["state"], "pass");
    assert_eq!(x["before"]["time"], "2026-03-01T10:00:00.000Z");
    assert_eq!(x["first_fail"]["time"], "2026-03-01T11:00:00.000Z");
    assert_eq!(x["first_fail"]["snapshot"], 5);
    assert_eq!(x["first_fail"]["evaluation"], 6);
    assert_eq!(x["end"]["state"], "pass");
    assert_eq!(x["notified"]["channel"], "pager");
    assert_eq!(x["acknowledged"][0]["recorded_by"], "ann");
    assert_eq!(x["cause"], "made by hand");
    assert_eq!(x["response"], "made by Terraform from now on");
    assert_eq!(
        x["controls"],
        json!([{ "control": "safe-things", "owner": "platform" }])
    );
    let z = &shown["deviations"][3];
    assert_eq!(
        z["notified"],
        Value::Null,
        "its alert's message was sent before it failed"
    );
    assert_eq!(z["acknowledged"], json!([]));
    let exception = &z["exceptions"][0];
    assert_eq!(exception["approval"], "asserted");
    assert_eq!(
        [&exception["first"], &exception["last"], &exception["approved_by"]],
        [
            &json!("2026-03-01T13:00:00.000Z"),
            &json!("2026-03-01T13:00:00.000Z"),
            &json!("Bob")
        ]
    );
    assert_eq!(z["last_fail"]["time"], "2026-03-01T14:00:00.000Z");
}

#[tokio::test]
async fn what_an_exception_covered_is_open_again_when_that_has_ended() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, &[("x", true)]).await;
    except(&bench, "x", 2).await;
    look(&bench, &[("x", false)]).await;
    let told = |name: &str| {
        let shown = place.run(&["deviations", "--format", "json"]).ends(0).json();
        shown["deviations"][0][name].clone()
    };
    assert_eq!(
        [told("state"), told("since_then")],
        [json!("excepted"), Value::Null]
    );
    // Now is the newest leaf's time: it ended at 13:00.
    bench.clock.forward(TimeDelta::hours(1));
    record(&bench, alert(AlertState::Opened, None)).await;
    assert_eq!([told("state"), told("since_then")], ["open", "exception_ended"]);
    let text = place.run(&["deviations", "--open"]).ends(0).out;
    assert!(
        text.contains("  snapshot 6; its exception has ended since\n"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_asked_for_is_listed() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    a_morning(&bench).await;
    for (asked, listed) in [
        (vec!["--open"], vec!["z"]),
        (vec!["--to", "2026-03-01T11:00:00Z"], vec![]),
        (vec!["--to", "2026-03-01T12:00:00Z"], vec!["w", "x", "y"]),
        (vec!["--from", "2026-03-01T13:00:00Z"], vec!["z"]),
        (vec!["--from", "2026-03-01"], vec!["w", "x", "y", "z"]),
        (vec!["--to", "2026-02-28"], vec![]),
        (
            vec!["--test", "things-safe", "--source", "src"],
            vec!["w", "x", "y", "z"],
        ),
    ] {
        let arguments = [vec!["deviations", "--format", "json"], asked].concat();
        let shown = place.run(&arguments).ends(0).json();
        let resources: Vec<_> = shown["deviations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|deviation| deviation["resource"].as_str().unwrap())
            .collect();
        assert_eq!(resources, listed, "{arguments:?}");
    }
    for (asked, wrong, help) in [
        (
            ["--test", "thing-safe"],
            "no plan in the log has a test \"thing-safe\"",
            "did you mean things-safe?",
        ),
        (
            ["--source", "prod"],
            "no plan in the log has a source \"prod\"",
            "there are: src",
        ),
        (["--from", "today"], "\"today\" is no time", "write 2026-11-21"),
    ] {
        let ran = place.run(&["deviations", asked[0], asked[1]]).ends(2);
        assert!(
            ran.err.starts_with(&format!("error: {wrong}\n  help: {help}")),
            "{}",
            ran.err
        );
    }
    let ran = place
        .run(&["deviations", "--from", "2026-03-02", "--to", "2026-03-01"])
        .ends(2);
    assert!(
        ran.err.starts_with("error: --from is not before --to\n"),
        "{}",
        ran.err
    );
}

const PERIODS: &str = "\
[[period]]
name = \"march\"
from = \"2026-03-01\"
to = \"2026-03-31\"
timezone = \"America/New_York\"

[[period]]
name = \"february\"
from = \"2026-02-01\"
to = \"2026-02-28\"

[[source]]
name = \"here\"
type = \"host\"
[source.collectors.\"host.baseline\"]
schedule = \"0 * * * *\"
";

#[tokio::test]
async fn a_period_is_meant_from_midnight_to_midnight_of_its_zone_wherever_times_are_asked_for() {
    let place = Workplace::new();
    place.write("evidenced.toml", PERIODS);
    let bench = begun(&place).await;
    look(&bench, &[("x", false)]).await; // At 10:00 UTC it is March in New York, five hours later than in Greenwich.
    let count = |verb, period| {
        let shown = place
            .run(&[verb, "--period", period, "--format", "json"])
            .ends(0)
            .json();
        let list = ["deviations", "leaves", "drifts"]
            .into_iter()
            .find_map(|key| shown[key].as_array());
        list.unwrap().len()
    };
    assert_eq!(
        [count("deviations", "march"), count("deviations", "february")],
        [1, 0]
    );
    assert!(count("log", "march") > 2);
    assert_eq!([count("log", "february"), count("drift", "march")], [0, 0]);
    let ran = place.run(&["log", "--period", "merch"]).ends(2);
    assert!(
        ran.err
            .starts_with("error: no period \"merch\"\n  help: did you mean \"march\"?"),
        "{}",
        ran.err
    );
    let both = place
        .run(&["drift", "--period", "march", "--from", "2026-03-01"])
        .ends(2);
    assert!(both.err.contains("cannot be used with"), "{}", both.err);
}

#[tokio::test]
async fn where_none_was_found_it_is_said_by_how_many_looks() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    let ran = place.run(&["deviations"]).ends(0);
    assert!(
        ran.out
            .starts_with("No deviation was found. Observed: nothing: nothing has been judged yet.\n"),
        "{}",
        ran.out
    );
    look(&bench, &[("x", true)]).await;
    let ran = place.run(&["deviations"]).ends(0);
    assert!(
        ran.out.starts_with(
            "No deviation was found. Observed: 1 evaluation from 2026-03-01T10:00Z to 2026-03-01T10:00Z.\n"
        ),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn an_event_is_told_as_one() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, &[("x", true)]).await;
    let at = |text: &str| text.parse().unwrap();
    let leaf = SnapshotLeaf {
        plan: bench.plan_seq,
        collector: "fake.things".to_owned(),
        source: "src".to_owned(),
        target: "events".to_owned(),
        tick: None,
        trigger: Trigger::AdHoc,
        started: at("2026-03-01T12:00:00Z"),
        finished: at("2026-03-01T12:00:00Z"),
        attempts: 1,
        covers: Covers::Interval {
            from: at("2026-03-01T10:00:00Z"),
            to: at("2026-03-01T12:00:00Z"),
        },
        complete: true,
        resources: 1,
    };
    for things in [
        r#"{"resources":[{"id":"pr 7","kind":"fake.thing","name":"x","call":[0],"attributes":{"safe":false},"unknown":{}}]}"#,
        r#"{"resources":[]}"#,
    ] {
        let draft = Draft::new(Body::Snapshot(leaf.clone()))
            .with_blob(Role::Evidence, "application/json", things.as_bytes())
            .unwrap();
        bench.log.append(draft).await.unwrap();
    }
    round::judge_unjudged(&bench.log, &bench.shared(), None)
        .await
        .unwrap();
    let shown = place.run(&["deviations", "--format", "json"]).ends(0).json();
    let event = &shown["deviations"][0];
    assert_eq!(
        [&event["state"], &event["resource"], &event["end"]],
        [&json!("event"), &json!("pr 7"), &Value::Null]
    );
    assert_eq!(
        event["interval"],
        json!({ "from": "2026-03-01T10:00:00.000Z", "to": "2026-03-01T12:00:00.000Z" })
    );
    let text = place.run(&["deviations"]).ends(0).out;
    assert!(
        text.contains("\n    happened      between 2026-03-01T10:00Z and 2026-03-01T12:00Z\n"),
        "{text}"
    );
}

#[tokio::test]
async fn findings_that_can_not_be_read_are_told_and_a_forged_leaf_is_refused() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, &[("x", false)]).await;
    look(&bench, &[("x", true)]).await;
    drop(bench);
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    assert_eq!(database.execute("DELETE FROM blob WHERE seq = 6", []).unwrap(), 1);
    let ran = place.run(&["deviations"]).ends(0);
    assert!(
        ran.out.contains(
            "! the findings of evaluation 6 can't be read any more: what they told is not listed\n"
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("; since then nobody can tell\n"), "{}", ran.out);
    let forged =
        "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '12:00', '13:00') AS BLOB) WHERE seq = 3";
    let forged = forged.replace("12:00", "T10:").replace("13:00", "T09:");
    assert_eq!(database.execute(&forged, []).unwrap(), 1);
    let ran = place.run(&["deviations"]).ends(4);
    assert!(
        ran.err
            .starts_with("error: leaf 3 is not the one that the log's checkpoint commits to\n"),
        "{}",
        ran.err
    );
}
