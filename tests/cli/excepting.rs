//! `evidenced except` and `evidenced acknowledge`: what people put on record, and what is refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use evidenced::log::append::Draft;
use evidenced::log::leaf::{Alert, AlertState, Body, Delivery, Event};

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

/// A log in which x failed an hour ago: leaves 0 to 4.
async fn failing(place: &Workplace) -> Bench {
    let clock = HandClock::of_machine();
    clock.forward(-TimeDelta::hours(1));
    let bench = Bench::begun_at(&place.store(), RULES, clock).await;
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", true)]))]);
    bench.run().await;
    bench.clock.forward(TimeDelta::hours(1));
    bench
}

/// Who the tests run as.
fn login() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn in_days(days: i64) -> DateTime<Utc> {
    evidenced::clock::system().now() + TimeDelta::days(days)
}

fn date_in(days: i64) -> String {
    in_days(days).format("%Y-%m-%d").to_string()
}

/// Arguments that are accepted, with others in their place or added.
fn arguments<'a>(changed: &[(&'a str, &'a str)], end: &'a str) -> Vec<&'a str> {
    let mut fields = vec![
        ("--resource", "x"),
        ("--reason", "by design"),
        ("--requested-by", "Ann Smith"),
        ("--approved-by", "Bob Jones"),
        ("--expires", end),
    ];
    for (flag, value) in changed {
        match fields.iter_mut().find(|(known, _)| known == flag) {
            Some(field) => field.1 = value,
            None => fields.push((flag, value)),
        }
    }
    let mut arguments = vec!["except", "things-safe"];
    for (flag, value) in fields {
        match value {
            "" if flag == "--unseen" => arguments.push(flag),
            _ => arguments.extend([flag, value]),
        }
    }
    arguments
}

#[tokio::test]
async fn an_exception_is_recorded_and_the_next_snapshot_reads_excepted() {
    let place = Workplace::new();
    let bench = failing(&place).await;
    let end = date_in(9);
    let ran = place
        .run(&arguments(&[("--ticket", "SEC-41"), ("--source", "src")], &end))
        .ends(0);
    let until = date_in(10);
    assert_eq!(
        ran.out,
        format!(
            "\
Recorded: exception 5 from things-safe on 1 resource of src, until {until}T00:00Z
  x
reason     by design
requested  by Ann Smith
approval   asserted by Bob Jones, recorded by {}
ticket     SEC-41
From the next snapshot on, where the test fails on these, it reads excepted, never pass; after the end it fails again.
What was found before stays as it was found.
",
            login()
        )
    );
    assert_eq!(
        place.run(&["show", "5", "--blob", "resources"]).ends(0).out,
        r#"{"resources":["x"]}"#
    );
    let before = place.run(&["status"]).ends(1).out;
    assert!(before.contains("safe-things  CC6.1     fail "), "{before}");

    bench.run().await;
    let shown = place.run(&["status"]).ends(0).out;
    assert!(
        shown.contains(&format!(
            "~ fake.things  src  a: things-safe excepted on 1 resource until {until}T00:00Z (exception 5)\n  \
             fake.things  src  a: `evidenced show 7` lists every finding\n"
        )),
        "{shown}"
    );
    assert!(
        shown.contains("safe-things  CC6.1     excepted  things-safe"),
        "{shown}"
    );
    let json = place.run(&["status", "--format", "json"]).ends(0).json();
    assert_eq!(
        json["targets"][0]["excepted"],
        json!([{ "test": "things-safe", "resources": 1, "exception": 5, "expires": format!("{until}T00:00:00.000Z") }])
    );
    assert_eq!(json["controls"][0]["outcome"], "excepted");
    let evaluation = place.run(&["show", "7"]).ends(0).out;
    assert!(
        evaluation.contains("things-safe  excepted  1 excepted, 1 pass\n"),
        "{evaluation}"
    );
    let listed = place.run(&["log", "-n", "1"]).ends(0).out;
    assert!(
        listed.contains("of snapshot 6: 1 test, 0 fail, 0 unknown, 1 excepted\n"),
        "{listed}"
    );
    place.run(&["verify"]).ends(0);
}

#[tokio::test]
async fn what_was_recorded_is_shown_to_programs_with_what_an_auditor_will_ask() {
    let place = Workplace::new();
    drop(failing(&place).await);
    let (end, me) = (in_days(3).to_rfc3339(), login());
    let own = format!("{me}@example.org");
    let changed = [
        ("--resource", "y"),
        ("--requested-by", own.as_str()),
        ("--format", "json"),
    ];
    let shown = place.run(&arguments(&changed, &end)).ends(0).json();
    for (name, expected) in [
        ("seq", json!(5)),
        ("test", json!("things-safe")),
        ("resources", json!(["y"])),
        ("source", json!(null)),
        ("requested_by", json!(own)),
        ("approved_by", json!("Bob Jones")),
        ("approval", json!("asserted")),
        ("recorded_by", json!(me)),
        ("withdrawn", json!(false)),
        (
            "notes",
            json!([format!(
                "{own} asked for it and recorded it, so that Bob Jones's approval rests on {own}'s word: \
                 keep what Bob Jones wrote where --ticket says"
            )]),
        ),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    let ran = place
        .run(&arguments(&[("--approved-by", me.as_str())], &end))
        .ends(0);
    let note = format!(
        "\nnote: {me} approved it and recorded it: an auditor may ask Ann Smith whether it was asked for\n"
    );
    assert!(ran.out.contains(&note), "{}", ran.out);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_written() {
    let place = Workplace::new();
    drop(failing(&place).await);
    let (end, far, past) = (date_in(9), date_in(367), date_in(-1));
    let (far_text, past_text) = (
        format!("--expires {far} is more than 366 days ahead"),
        format!("--expires {past} is not in the future"),
    );
    let long = "r".repeat(4001);
    for (changed, wrong, help) in [
        (vec![("--reason", " ")], "--reason is empty", "for the auditor"),
        (
            vec![("--approved-by", " ")],
            "--approved-by is empty",
            "for the auditor",
        ),
        (
            vec![("--reason", "a\u{1b}[2J")],
            "--reason holds a character that is no text: a\\u{1b}[2J",
            "one line",
        ),
        (
            vec![("--reason", long.as_str())],
            "--reason has 4001 characters, and at most 4000 are allowed",
            "shorter",
        ),
        (
            vec![("--approved-by", " ann  SMITH ")],
            "Ann Smith can't approve what Ann Smith asked for",
            "who else",
        ),
        (
            vec![("--expires", past.as_str())],
            past_text.as_str(),
            "--withdraw",
        ),
        (vec![("--expires", far.as_str())], far_text.as_str(), "anew"),
        (vec![("--expires", "soon")], "\"soon\" is no time", "2026-11-21"),
        (
            vec![("--resource", "z")],
            "the newest snapshots hold no fake.thing \"z\"",
            "--unseen",
        ),
        (
            vec![("--resource", " x")],
            "--resource \" x\" has blanks around it",
            "show",
        ),
        (
            vec![("--source", "scr")],
            "no source \"scr\" is in the plan",
            "did you mean src?",
        ),
    ] {
        let ran = place.run(&arguments(&changed, &end)).ends(2);
        let lines: Vec<_> = ran.err.lines().collect();
        assert_eq!(lines[0], format!("error: {wrong}"));
        assert!(
            lines[1].starts_with("  help: ") && lines[1].contains(help),
            "{}",
            ran.err
        );
        assert_eq!(lines.len(), 2, "{}", ran.err);
    }
    let mut misspelt = arguments(&[], &end);
    misspelt[1] = "thing-safe";
    let ran = place.run(&misspelt).ends(2);
    assert_eq!(
        ran.err,
        "error: no test \"thing-safe\" is in the plan\n  help: did you mean things-safe?\n"
    );
    assert_eq!(place.reader().size().unwrap(), 5, "nothing was written");

    place
        .run(&arguments(&[("--resource", "z"), ("--unseen", "")], &end))
        .ends(0);
    assert_eq!(place.reader().size().unwrap(), 6);
}

#[tokio::test]
async fn an_exception_from_what_is_not_in_force_is_refused() {
    let place = Workplace::new();
    place.run(&["init"]).ends(0);
    let end = date_in(9);
    let ran = place.run(&arguments(&[], &end)).ends(2);
    assert!(
        ran.err
            .starts_with("error: nothing has been collected yet, so that no test is in force\n"),
        "{}",
        ran.err
    );
    let place = Workplace::new();
    let mut bench = failing(&place).await;
    let off = RULES.replace(
        "severity",
        "enabled = false\nreason = \"no such things\"\nseverity",
    );
    bench.rules(&off).await;
    let ran = place.run(&arguments(&[], &end)).ends(2);
    assert!(
        ran.err
            .starts_with("error: the test things-safe is switched off, so that it fails on nothing\n"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn one_in_force_is_withdrawn_and_nothing_else_can_be() {
    let place = Workplace::new();
    let bench = failing(&place).await;
    let withdraw = [
        "except",
        "things-safe",
        "--resource",
        "x",
        "--withdraw",
        "--reason",
        "mended",
        "--requested-by",
        "Ann Smith",
    ];
    let ran = place.run(&withdraw).ends(2);
    assert_eq!(
        ran.err,
        "error: no exception from things-safe is in force on \"x\"\n  \
         help: `evidenced log --kind exception -n 0` lists them all\n"
    );
    place.run(&arguments(&[], &date_in(9))).ends(0);
    bench.clock.forward(TimeDelta::seconds(1));
    bench.run().await;
    place.run(&["status"]).ends(0);
    let ran = place.run(&withdraw).ends(0);
    assert!(
        ran.out.starts_with(
            "Recorded: exception 8 from things-safe on 1 resource, withdraws what was in force\n  x\n"
        ),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .ends_with("\nFrom the next snapshot on, the test fails on these again, if it still does.\n"),
        "{}",
        ran.out
    );
    let status = place.run(&["status"]).ends(1).out;
    assert!(
        status.contains(": exception 8 took the place of exception 5 and ended at "),
        "{status}"
    );
    assert!(status.contains("safe-things  CC6.1     fail "), "{status}");
    place.run(&withdraw).ends(2);
    bench.clock.forward(TimeDelta::seconds(59));
    bench.run().await;
    let status = place.run(&["status"]).ends(1).out;
    assert!(!status.contains("exception"), "{status}");
}

/// An alert, opened or what became of it.
fn alert(state: AlertState, alert: Option<u64>) -> Draft {
    let delivery = Delivery {
        also: Vec::new(),
        channel: "pager".to_owned(),
        phase: "opened".to_owned(),
        key: "key".to_owned(),
        attempts: 1,
        answer: "200".to_owned(),
        reference: None,
    };
    Draft::new(Body::Alert(Alert {
        collector: Some("fake.things".to_owned()),
        source: Some("src".to_owned()),
        state,
        alert,
        event: Event::TestFailing,
        severity: "high".to_owned(),
        test: Some("things-safe".to_owned()),
        control: None,
        about: Some(3),
        resources: 1,
        delivery: (state == AlertState::Delivered).then_some(delivery),
    }))
}

#[tokio::test]
async fn an_alert_is_acknowledged_and_a_later_word_adds_to_it() {
    let place = Workplace::new();
    let bench = failing(&place).await;
    for draft in [
        alert(AlertState::Opened, None),
        alert(AlertState::Delivered, Some(5)),
    ] {
        bench.log.append(draft).await.unwrap();
    }
    let said = [
        "acknowledge",
        "5",
        "--note",
        "looking into it",
        "--ticket",
        "OPS-17",
    ];
    let ran = place.run(&said).ends(0);
    assert_eq!(
        ran.out,
        format!(
            "\
Recorded: acknowledgement 7 of alert 5 (test failing: things-safe on src)
note        looking into it
ticket      OPS-17
recorded    by {}
",
            login()
        )
    );
    let more = [
        "acknowledge",
        "5",
        "--note",
        "mended",
        "--cause",
        "a slip",
        "--correction",
        "put right",
    ];
    let ran = place.run(&more).ends(0);
    assert!(
        ran.out.ends_with("\nIt adds to what was said in 7.\n"),
        "{}",
        ran.out
    );
    let shown = place
        .run(&[
            "acknowledge",
            "5",
            "--note",
            "for the report",
            "--response",
            "trained",
            "--format",
            "json",
        ])
        .ends(0)
        .json();
    assert_eq!(
        shown,
        json!({ "seq": 9, "alert": 5, "note": "for the report", "response": "trained", "recorded_by": login(),
                "adds_to": [7, 8] })
    );
    place.run(&["verify"]).ends(0);

    for (number, wrong, help) in [
        (
            "6",
            "leaf 6 is a delivery of alert 5",
            "acknowledge the alert itself: `evidenced acknowledge 5 …`",
        ),
        (
            "3",
            "leaf 3 is no alert, but of kind snapshot",
            "`evidenced log --kind alert` lists the alerts",
        ),
        (
            "99",
            "there is no leaf 99",
            "the log holds leaves 0 to 9; `evidenced log --kind alert` lists the alerts",
        ),
    ] {
        let ran = place.run(&["acknowledge", number, "--note", "seen"]).ends(2);
        assert_eq!(ran.err, format!("error: {wrong}\n  help: {help}\n"));
    }
    place.run(&["acknowledge", "5", "--note", " "]).ends(2);
    place
        .run(&["acknowledge", "5", "--note", "seen", "--cause", "a\nb"])
        .ends(2);
    assert_eq!(place.reader().size().unwrap(), 10, "nothing was written");
}
