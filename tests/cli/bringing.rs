//! The evidence that people owe, in `evidenced period` and the report: what was due, given and overdue, and what that makes of a
//! control.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use evidenced::log::append::Draft;
use evidenced::log::leaf::{Alert, AlertState, Attachment, Body, By, Days, Event, Role};
use evidenced::plan::Maker;

use crate::fake::{Answer, Bench, HandClock, RULES, maker, thing};
use crate::workplace::Workplace;

/// A control that people alone serve, and one that a test serves too.
const MANUAL: &str = r#"
[[control]]
id = "access-review"
statement = "Access is reviewed by whoever grants it."
owner = "security"
criteria = ["CC6.2", "CC6.3"]
manual = { every = "quarterly", grace = "14d", max_age = "120d" }

[[control]]
id = "safe-things"
manual = { every = "yearly" }
"#;

const SCOPED: &str = "\
[[period]]
name = \"by-source\"
from = \"2026-01-01\"
to = \"2026-06-30\"
sources = [\"here\"]

[[period]]
name = \"by-criterion\"
from = \"2026-01-01\"
to = \"2026-06-30\"
criteria = [\"CC8.1\"]

[[source]]
name = \"here\"
type = \"host\"
[source.collectors.\"host.baseline\"]
schedule = \"0 * * * *\"
";

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap()
}

/// A log of 10 January.
async fn begun(place: &Workplace) -> Bench {
    let clock = HandClock::at("2026-01-10T00:00:00Z");
    let mut bench = Bench::begun_at(&place.store(), RULES, clock).await;
    bench.seal_rules(&[RULES, MANUAL]).await;
    bench
}

/// The clock goes on to a time, and a look is taken.
async fn look(bench: &Bench, time: &str) {
    let now = evidenced::clock::Clock::now(bench.clock.as_ref());
    bench.clock.forward(at(time) - now);
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
}

/// Somebody attaches a file, at the time that it is.
async fn attach(bench: &Bench, control: &str, title: &str, covers: &str, approved_by: &str) -> u64 {
    let day = covers.parse().unwrap();
    let attachment = Attachment {
        controls: vec![control.to_owned()],
        criteria: Vec::new(),
        title: title.to_owned(),
        covers: Days { from: day, to: day },
        file: "review.csv".to_owned(),
        prepared_by: "Ann Smith".to_owned(),
        approved_by: approved_by.to_owned(),
        recorded_by: "ann".to_owned(),
        note: None,
    };
    let draft = Draft::new(Body::Attachment(attachment));
    let draft = draft.with_blob(Role::File, "text/csv", title.as_bytes()).unwrap();
    bench.log.append(draft).await.unwrap().seq
}

fn period(place: &Workplace, from: &str, to: &str) -> Value {
    let ran = place.run(&["period", "--from", from, "--to", to, "--format", "json"]);
    ran.json()
}

fn half_year(place: &Workplace) -> Value {
    period(place, "2026-01-01", "2026-06-30")
}

fn control<'a>(period: &'a Value, list: &str, id: &str) -> &'a Value {
    let rows = period[list].as_array().unwrap();
    let mut rows = rows.iter().filter(|row| row["control"] == id);
    rows.next().unwrap_or(&Value::Null)
}

#[tokio::test]
async fn evidence_that_is_overdue_is_a_deviation_of_its_control_until_it_is_given_and_after_it() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, "2026-03-30T12:00:00").await;
    let first = attach(&bench, "access-review", "Review of Q1", "2026-03-30", "Bob Jones").await;
    look(&bench, "2026-08-01T00:00:00").await;

    let told = half_year(&place);
    let row = control(&told, "manual", "access-review");
    let dues: Vec<_> = row["dues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|due| {
            (
                due["day"].clone(),
                due["state"].clone(),
                due["given"]["seq"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!("2026-03-31"), json!("on_time"), json!(first)),
        (json!("2026-06-30"), json!("overdue"), Value::Null),
    ];
    assert_eq!(dues, expected);
    let given = &row["dues"][0]["given"];
    for (field, value) in [
        ("title", json!("Review of Q1")),
        ("prepared_by", json!("Ann Smith")),
        ("approved_by", json!("Bob Jones")),
        ("covers", json!({ "from": "2026-03-30", "to": "2026-03-30" })),
        ("time", json!("2026-03-30T12:00:00Z")),
        ("size", json!(12)),
    ] {
        assert_eq!(given[field], value, "{field}");
    }
    let blob = place.reader().leaf(first).unwrap().unwrap().blobs[0].sha256;
    assert_eq!(given["sha256"], json!(hex::encode(blob)));
    let overdue = &row["overdue"][0];
    assert_eq!(
        [&overdue["state"], &overdue["from"], &overdue["open_at_end"]],
        [&json!("open"), &json!("2026-07-15T00:00:00Z"), &json!(true)]
    );
    let own = control(&told, "controls", "access-review");
    assert_eq!(
        [&own["result"], &own["deviations"], &own["open"]],
        [&json!("deviations"), &json!(1), &json!(1)]
    );
    // Others that are asked say the same.
    let asked = [
        "deviations",
        "--from",
        "2026-01-01",
        "--to",
        "2026-06-30",
        "--format",
        "json",
    ];
    let deviations = place.run(&asked).ends(0).json();
    assert_eq!(
        deviations["manual"][0]["due"],
        overdue["due"].as_str().unwrap().replace('Z', ".000Z")
    );
    let text = place
        .run(&["period", "--from", "2026-01-01", "--to", "2026-06-30"])
        .ends(1)
        .out;
    for line in [
        "✗ access-review: evidence was due by 2026-06-30, overdue from 2026-07-15 00:00, it still is (open at the end)",
        "- access-review: no evidence counted from 2026-01-01 00:00 to 2026-03-30 12:00: none had been given",
        &format!("2026-03-30 Review of Q1 (seq {first}), by Ann Smith, approved by Bob Jones"),
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    bench.clock.forward(TimeDelta::days(4));
    let late = attach(&bench, "access-review", "Review of Q2", "2026-06-30", "Bob Jones").await;
    let told = half_year(&place);
    let row = control(&told, "manual", "access-review");
    assert_eq!(
        [&row["dues"][1]["state"], &row["overdue"][0]["state"]],
        ["met_overdue", "given"]
    );
    assert_eq!(row["overdue"][0]["by"], late);
    let own = control(&told, "controls", "access-review");
    assert_eq!(
        [&own["result"], &own["deviations"], &own["open"]],
        [&json!("deviations"), &json!(1), &json!(0)],
        "what ended was one all the same"
    );
    let next = period(&place, "2026-07-01", "2026-09-30");
    let row = control(&next, "manual", "access-review");
    assert_eq!(row["overdue"][0]["by"], late, "it lasted into the next");
    assert_eq!(row["before"]["seq"], first);
}

#[tokio::test]
async fn what_was_given_in_time_and_counts_all_the_while_leaves_no_deviation_and_silence_is_no_evidence() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, "2026-01-12T00:00:00").await;
    let quiet = period(&place, "2026-01-10", "2026-01-11");
    let own = control(&quiet, "controls", "access-review");
    assert_eq!(
        [&own["result"], &own["deviations"]],
        [&json!("no_evidence"), &json!(0)]
    );
    let row = control(&quiet, "manual", "access-review");
    assert_eq!(
        [&row["state"], &row["next"], &row["dues"]],
        [&json!("never"), &json!("2026-03-31"), &json!([])]
    );
    let said = place
        .run(&["period", "--from", "2026-01-10", "--to", "2026-01-11"])
        .ends(1)
        .out;
    assert!(said.contains("fell due; next by 2026-03-31"), "{said}");

    attach(&bench, "access-review", "Review", "2026-01-12", "Bob Jones").await;
    attach(&bench, "safe-things", "Look at things", "2026-01-12", "Bob Jones").await;
    look(&bench, "2026-04-02T00:00:00").await;
    let told = period(&place, "2026-01-13", "2026-03-31");
    let own = control(&told, "controls", "access-review");
    assert_eq!(
        [&own["result"], &own["coverage_percent"]],
        [&json!("no_deviations"), &json!(100.0)]
    );
    // Its test was looked at twice in three months, so what people brought does not speak for it.
    assert_eq!(control(&told, "manual", "safe-things")["result"], "no_deviations");
    assert_eq!(control(&told, "controls", "safe-things")["result"], "incomplete");
    let days = control(&told, "manual", "access-review")["days"]
        .as_str()
        .unwrap();
    assert_eq!(days, "c".repeat(78));
}

#[tokio::test]
async fn until_the_grace_time_of_what_fell_due_is_over_nothing_is_settled() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    attach(&bench, "access-review", "Review", "2026-01-10", "Bob Jones").await;
    look(&bench, "2026-07-10T00:00:00").await;
    let told = period(&place, "2026-05-01", "2026-06-30");
    assert_eq!(
        control(&told, "manual", "access-review")["dues"][0]["state"],
        "grace"
    );
    let own = control(&told, "controls", "access-review");
    assert_eq!(
        [&own["result"], &own["deviations"]],
        [&json!("incomplete"), &json!(0)]
    );
    let why = "evidence for access-review was due by 2026-06-30, and its grace time runs until 2026-07-15T00:00:00.000Z";
    assert!(
        told["draft"].as_array().unwrap().contains(&json!(why)),
        "{}",
        told["draft"]
    );
}

#[tokio::test]
async fn a_period_that_goes_on_says_what_status_and_readiness_say() {
    for (days, given, state) in [
        (1, false, "never"),
        (1, true, "current"),
        (15, false, "overdue"),
        (15, true, "current"),
    ] {
        let place = Workplace::new();
        let bench = crate::attaching::begun(&place, days).await;
        if given {
            let today = evidenced::clock::system().now().format("%Y-%m-%d").to_string();
            attach(&bench, "access-review", "Review", &today, "Bob Jones").await;
        }
        let day = |days: i64| {
            let at = evidenced::clock::system().now() + TimeDelta::days(days);
            at.format("%Y-%m-%d").to_string()
        };
        let told = period(&place, &day(-40), &day(40));
        let told = control(&told, "manual", "access-review")["state"].clone();
        let status = place.run(&["status", "--format", "json"]).json();
        let of_status = control(&status, "manual", "access-review")["state"].clone();
        let readiness = place.run(&["readiness", "--format", "json"]).json();
        let served = readiness["criteria"].as_array().unwrap().iter();
        let served = served.flat_map(|criterion| criterion["controls"].as_array().unwrap());
        let mut own = served.filter(|serving| serving["control"] == "access-review");
        let of_readiness = own.next().unwrap()["manual"]["state"].clone();
        assert_eq!([&told, &of_readiness], [&of_status; 2]);
        // Where a Monday has just passed, the grace time runs instead.
        assert!(
            told == state || told == "due" && state == "never",
            "{told}, {state}"
        );
    }
}

#[tokio::test]
async fn whoever_tries_another_configuration_by_hand_ends_nobodys_duty() {
    let place = Workplace::new();
    let mut bench = begun(&place).await;
    let daemon = Maker {
        by: By::Daemon,
        ..maker()
    };
    let sealed = bench
        .plan
        .seal_for_daemon(&bench.log, &daemon, at("2026-01-10T00:00:00"))
        .await;
    sealed.unwrap();
    bench.clock.forward(TimeDelta::hours(1));
    bench.seal_rules(&[RULES]).await;
    look(&bench, "2026-05-01T00:00:00").await;
    let told = half_year(&place);
    let row = control(&told, "manual", "access-review");
    assert_eq!(row["overdue"][0]["state"], "open", "{row}");
}

#[tokio::test]
async fn a_scope_by_criteria_holds_their_controls_and_one_by_sources_hides_nothing_that_people_bring() {
    let place = Workplace::new();
    place.write("evidenced.toml", SCOPED);
    let bench = begun(&place).await;
    let seq = attach(&bench, "access-review", "Review", "2026-01-10", "Bob Jones").await;
    look(&bench, "2026-07-20T00:00:00").await;
    let by_source = place.run(&["period", "by-source", "--format", "json"]).json();
    assert_eq!(
        control(&by_source, "manual", "access-review")["overdue"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(by_source["attachments"][0]["seq"], seq);
    let by_criterion = place.run(&["period", "by-criterion", "--format", "json"]).json();
    assert_eq!(
        [&by_criterion["manual"], &by_criterion["attachments"]],
        [&json!([]), &json!([])]
    );
}

#[tokio::test]
async fn who_approves_what_they_prepared_is_told_wherever_it_came_from() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    attach(&bench, "access-review", "Review", "2026-01-10", " ann  SMITH ").await;
    attach(&bench, "safe-things", "Look", "2026-01-10", "Bob Jones").await;
    look(&bench, "2026-02-01T00:00:00").await;
    let told = half_year(&place);
    let people = told["people"].as_array().unwrap();
    let overlap = |name: &str| {
        let mut people = people.iter().filter(|person| person["name"] == name);
        people.next().unwrap()["overlap"].clone()
    };
    assert_eq!(
        [
            overlap(" ann  SMITH "),
            overlap("Ann Smith"),
            overlap("Bob Jones")
        ],
        [true, false, false]
    );
    assert_eq!(told["attachments"][0]["self_approved"], true);
    let text = place
        .run(&["period", "--from", "2026-01-01", "--to", "2026-06-30"])
        .out;
    assert!(text.contains(", the same person"), "{text}");
}

#[tokio::test]
async fn what_is_said_to_a_notice_of_overdue_evidence_stands_beside_it() {
    let place = Workplace::new();
    let bench = begun(&place).await;
    look(&bench, "2026-04-20T00:00:00").await;
    let notice = Alert {
        collector: None,
        source: None,
        state: AlertState::Noticed,
        alert: None,
        event: Event::ManualOverdue,
        severity: "high".to_owned(),
        test: None,
        control: Some("access-review".to_owned()),
        about: None,
        resources: 0,
        delivery: None,
    };
    let alert = bench
        .log
        .append(Draft::new(Body::Alert(notice)))
        .await
        .unwrap()
        .seq;
    let ran = place
        .run(&[
            "acknowledge",
            &alert.to_string(),
            "--note",
            "asked her",
            "--cause",
            "she was ill",
        ])
        .ends(0);
    assert!(ran.out.contains("(manual overdue: access-review)"), "{}", ran.out);
    let told = half_year(&place);
    let overdue = &control(&told, "manual", "access-review")["overdue"];
    assert_eq!(overdue[0]["acknowledged"][0]["cause"], "she was ill");
    assert_eq!(
        overdue
            .as_array()
            .unwrap()
            .iter()
            .filter(|of| of["acknowledged"] != json!([]))
            .count(),
        1
    );
    let text = place.run(&["deviations"]).ends(0).out;
    assert!(
        text.contains(": asked her (seq") && text.contains("    cause: she was ill\n"),
        "{text}"
    );
}

#[tokio::test]
async fn the_report_has_a_table_of_what_people_brought_and_says_so_on_the_page() {
    let place = Workplace::new();
    place.write("evidenced.toml", SCOPED);
    let bench = begun(&place).await;
    let seq = attach(&bench, "access-review", "Review", "2026-01-10", "Bob Jones").await;
    look(&bench, "2026-08-01T00:00:00").await;
    let folder = place.path("report").display().to_string();
    place
        .run(&["report", "--period", "by-source", "-o", &folder])
        .ends(0);
    let read = |name: &str| std::fs::read_to_string(place.path("report").join(name)).unwrap();
    let table = read("csv/manual.csv").replace('"', "");
    let lines: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("access-review,"))
        .collect();
    assert!(lines.len() > 1, "{table}");
    assert!(
        lines[0].starts_with("access-review,security,due date,2026-03-31,2026-04-01T00:00:00.000Z,")
            && lines[0].contains(&format!(
                ",on_time,,,,,,,,,,,{seq},2026-01-10T00:00:00.000Z,Review,"
            )),
        "{table}"
    );
    assert!(
        lines[1].contains(",overdue,M1,2026-07-15T00:00:00.000Z,,open,false,true,"),
        "{table}"
    );
    let page = read("report.html");
    assert!(page.contains("<tr id=\"M1\">") && page.contains(&format!("id=\"A{seq}\"")));
    assert!(read("ocsf/compliance-findings.jsonl").contains("Evidence for access-review was overdue"));
    assert!(read("oscal/assessment-results.json").contains("M1: evidence for access-review was overdue"));
}
