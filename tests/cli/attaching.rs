//! `evidenced attach`, and what becomes of the evidence that people owe: what is sealed, what is refused, and how it stands.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use serde_json::json;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

/// Two controls that people bring evidence for: weekly, and yearly in some months, the latter with a test too.
fn manual() -> String {
    let yearly = today() + TimeDelta::days(100);
    MANUAL.replace(
        "YEARLY",
        &format!("0 0 {} {} *", yearly.day().min(28), yearly.month()),
    )
}

const MANUAL: &str = r#"
[[control]]
id = "access-review"
statement = "Access is reviewed by whoever grants it."
owner = "security"
criteria = ["CC6.2", "CC6.3"]
manual = { every = "0 0 * * 1", grace = "3d", max_age = "30d" }

[[control]]
id = "safe-things"
manual = { every = "YEARLY" }
"#;

/// A log that began some days ago, with evidence of now: leaves 0 to 4.
pub(crate) async fn begun(place: &Workplace, days: i64) -> Bench {
    let clock = HandClock::of_machine();
    clock.forward(-TimeDelta::days(days));
    let mut bench = Bench::begun_at(&place.store(), RULES, clock).await;
    bench.seal_rules(&[RULES, &manual()]).await;
    bench.clock.forward(TimeDelta::days(days));
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    bench
}

fn today() -> DateTime<Utc> {
    evidenced::clock::system().now()
}

fn days_ago(days: i64) -> String {
    (today() - TimeDelta::days(days)).format("%Y-%m-%d").to_string()
}

/// Arguments that are accepted, with others in their place or added.
fn arguments<'a>(changed: &[(&'a str, &'a str)], covers: &'a str) -> Vec<&'a str> {
    let mut fields = vec![
        ("--control", "access-review"),
        ("--title", "Access review"),
        ("--covers", covers),
        ("--prepared-by", "Ann Smith"),
        ("--approved-by", "Bob Jones"),
    ];
    let mut file = "review.csv";
    for (flag, value) in changed {
        match fields.iter_mut().find(|(known, _)| known == flag) {
            _ if *flag == "FILE" => file = value,
            Some(field) => field.1 = value,
            None => fields.push((flag, value)),
        }
    }
    let mut arguments = vec!["attach", file];
    arguments.extend(fields.into_iter().flat_map(|(flag, value)| [flag, value]));
    arguments
}

#[tokio::test]
async fn a_file_is_sealed_shown_and_given_back_byte_for_byte() {
    let place = Workplace::new();
    drop(begun(&place, 1).await);
    place.write("review.csv", "who,keeps access\nzoë,yes\n");
    let day = days_ago(0);
    let ran = place
        .run(&arguments(&[("--note", "two accounts were removed")], &day))
        .ends(0);
    let head = format!(
        "\
Sealed: attachment 6, review.csv (26 bytes, text/csv)
title     Access review
for       access-review
covers    {day}
prepared  by Ann Smith
approval  asserted by Bob Jones, recorded by "
    );
    assert!(ran.out.starts_with(&head), "{}", ran.out);
    assert!(
        ran.out.contains("\nnote      two accounts were removed\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("\naccess-review: meets what was due by "),
        "{}",
        ran.out
    );

    let again = place.run(&arguments(&[], "2020-01-01")).ends(0).out;
    assert!(
        again.contains("\nnote: access-review: it is further evidence and meets no due date: "),
        "{again}"
    );

    let given = place.run(&["show", "6", "--blob", "file"]).ends(0);
    assert_eq!(given.out, "who,keeps access\nzoë,yes\n");
    let shown = place.run(&["show", "6"]).ends(0).out;
    assert!(shown.contains("controls     access-review\n"), "{shown}");
    assert!(
        shown.contains("`evidenced show 6 --blob file > FILE` writes it"),
        "{shown}"
    );
    let listed = place.run(&["log", "--kind", "attachment"]).ends(0).out;
    let line = format!("attachment         Access review, for access-review, covers {day}\n");
    assert!(listed.contains(&line), "{listed}");
    place.run(&["verify"]).ends(0);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_written() {
    let place = Workplace::new();
    drop(begun(&place, 1).await);
    place.write("review.csv", "who\nzoë\n");
    place.write("empty.csv", "");
    place.write("large.csv", &"x".repeat(2049));
    place.write(
        "evidenced.toml",
        &include_str!("../../config.example.toml").replace("limit = \"16MiB\"", "limit = \"2KiB\""),
    );
    let day = days_ago(0);
    for (changed, wrong, help) in [
        (
            vec![("--approved-by", " ann SMITH")],
            "Ann Smith can't approve what Ann Smith prepared",
            "who else",
        ),
        (
            vec![("--control", "acces-review")],
            "no control \"acces-review\" is in the plan",
            "did you mean access-review?",
        ),
        (
            vec![("--criterion", "cc6.2")],
            "\"cc6.2\" is no Trust Services Criterion",
            "did you mean CC6.2?",
        ),
        (
            vec![("--covers", "Q3")],
            "--covers \"Q3\" is no day",
            "2026-07-01..2026-09-30",
        ),
        (vec![("--title", " ")], "--title is empty", "for the auditor"),
        (
            vec![("FILE", "gone.csv")],
            "gone.csv can't be read",
            "check the path",
        ),
        (vec![("FILE", ".")], "the file's name is empty", "say it"),
        (
            vec![("FILE", "empty.csv")],
            "empty.csv is empty",
            "evidence of nothing",
        ),
        (
            vec![("FILE", "large.csv")],
            "large.csv is over 2 KiB, the most that is attached",
            "[attachments] limit",
        ),
    ] {
        let ran = place.run(&arguments(&changed, &day)).ends(2);
        assert!(ran.err.contains(wrong), "{}", ran.err);
        assert!(ran.err.contains(help), "{}", ran.err);
    }
    place.run(&["attach", "review.csv", "--title", "x"]).ends(2);
    assert_eq!(place.reader().size().unwrap(), 6);
    let nothing = Workplace::new();
    nothing.write("review.csv", "x");
    let ran = nothing.run(&arguments(&[], &day)).ends(2);
    assert!(ran.err.contains("evidenced init"), "{}", ran.err);
}

#[tokio::test]
async fn a_control_that_people_serve_is_unknown_then_passes_and_fails_when_it_is_overdue() {
    let place = Workplace::new();
    drop(begun(&place, 1).await);
    place.write("review.csv", "who\nzoë\n");
    let outcome = |place: &Workplace, status: i32| {
        let json = place.run(&["status", "--format", "json"]).ends(status).json();
        let control = json["controls"].as_array().unwrap().iter();
        let mut control = control.filter(|control| control["control"] == "access-review");
        let mut manual = json["manual"].as_array().unwrap().clone();
        manual.retain(|manual| manual["control"] == "access-review");
        (control.next().unwrap()["outcome"].clone(), json!(manual))
    };
    let (before, manual) = outcome(&place, 1);
    assert_eq!(before, "unknown");
    assert!(
        ["never", "due"].contains(&manual[0]["state"].as_str().unwrap()),
        "{manual}"
    );
    assert_eq!(manual[0]["newest"], json!(null));
    // A test that passes does not speak for what people owe beside it.
    let text = place.run(&["status"]).ends(1).out;
    assert!(text.contains("MANUAL EVIDENCE FOR"), "{text}");
    assert!(text.contains("unknown  (manual)\n"), "{text}");
    assert!(text.contains("unknown  things-safe (manual)\n"), "{text}");

    place.run(&arguments(&[], &days_ago(0))).ends(0);
    let changed = [("--control", "safe-things"), ("--format", "json")];
    let attached = place.run(&arguments(&changed, &days_ago(0))).ends(0).json();
    assert_eq!(attached["met"][0]["control"], "safe-things");
    assert_eq!(attached["met"][0]["state"], "on_time");
    let (after, manual) = outcome(&place, 0);
    assert_eq!((after, &manual[0]["state"]), (json!("pass"), &json!("current")));
    assert_eq!(manual[0]["newest"]["seq"], 6);

    let place = Workplace::new();
    drop(begun(&place, 15).await);
    let (overdue, manual) = outcome(&place, 1);
    assert_eq!((overdue, &manual[0]["state"]), (json!("fail"), &json!("overdue")));
    let text = place.run(&["status"]).ends(1).out;
    assert!(
        text.contains("fail access-review: evidence was due by "),
        "{text}"
    );
    let deviations = |state: &str, place: &Workplace| {
        let json = place.run(&["deviations", "--format", "json"]).ends(0).json();
        let manual = json["manual"][0].clone();
        assert_eq!(
            (&manual["control"], &manual["state"]),
            (&json!("access-review"), &json!(state))
        );
        manual["attachment"].clone()
    };
    assert_eq!(deviations("open", &place), json!(null));
    place.write("review.csv", "who\nzoë\n");
    let ran = place.run(&arguments(&[], &days_ago(0))).ends(0);
    assert!(ran.out.contains("late"), "{}", ran.out);
    assert_eq!(deviations("given", &place), 6);
    let text = place.run(&["deviations"]).ends(0).out;
    assert!(
        text.contains("\nEvidence that people owe was overdue\n  access-review, owner security: due by "),
        "{text}"
    );
    let open = place
        .run(&["deviations", "--open", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(open["manual"], json!([]));
}
