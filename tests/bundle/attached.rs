//! What people attached: handed over with the period that it speaks for, and withheld from whoever asked for other controls.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

use evidenced::log::append::Draft;
use evidenced::log::leaf::{Alert, AlertState, Attachment, Body, Days, Event, Role};

use crate::exported::{export, files, verify_py};
use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

const MANUAL: &str = r#"
[[control]]
id = "by-hand"
statement = "Somebody looks."
owner = "platform"
criteria = ["CC1.1"]
manual = { every = "monthly", grace = "5d", max_age = "45d" }

[[control]]
id = "safe-things"
manual = { every = "yearly" }
"#;

/// The blobs of what was attached: before the period for `by-hand`, within it for `safe-things`, and for a criterion; behind its
/// end for both controls.
async fn log(place: &Workplace) -> [String; 4] {
    let clock = HandClock::at("2026-02-01T12:00:00Z");
    let mut bench = Bench::begun_at(&place.store(), RULES, clock).await;
    bench.seal_rules(&[RULES, MANUAL]).await;
    let mut blobs = Vec::new();
    for event in [Event::ManualDue, Event::ManualOverdue] {
        let notice = Alert {
            collector: None,
            source: None,
            state: AlertState::Noticed,
            alert: None,
            event,
            severity: "high".to_owned(),
            test: None,
            control: Some("by-hand".to_owned()),
            about: None,
            resources: 0,
            delivery: None,
        };
        bench.log.append(Draft::new(Body::Alert(notice))).await.unwrap();
    }
    for (day, controls, criteria) in [
        ("2026-02-20T12:00:00Z", vec!["by-hand"], vec![]),
        ("2026-03-02T12:00:00Z", vec!["safe-things"], vec![]),
        ("2026-03-02T13:00:00Z", vec![], vec!["CC9.2"]),
        ("2026-03-05T12:00:00Z", vec!["by-hand", "safe-things"], vec![]),
    ] {
        let now = evidenced::clock::Clock::now(bench.clock.as_ref());
        let then: DateTime<Utc> = day.parse().unwrap();
        bench.clock.forward(then - now);
        bench.holds([("a", Answer::seen([thing("x", true)]))]);
        bench.run().await;
        let seq = attach(&bench, controls, criteria, then).await;
        let leaf = bench.reader.leaf(seq).unwrap().unwrap();
        blobs.push(hex::encode(leaf.blobs[0].sha256));
        bench.clock.forward(TimeDelta::seconds(1));
    }
    blobs.try_into().unwrap()
}

async fn attach(bench: &Bench, controls: Vec<&str>, criteria: Vec<&str>, at: DateTime<Utc>) -> u64 {
    let words = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    let attachment = Attachment {
        controls: words(controls),
        criteria: words(criteria),
        title: format!("What was seen by {at}"),
        covers: Days {
            from: at.date_naive(),
            to: at.date_naive(),
        },
        file: "seen.txt".to_owned(),
        prepared_by: "Ann Smith".to_owned(),
        approved_by: "Bob Jones".to_owned(),
        recorded_by: "ann".to_owned(),
        note: None,
    };
    let draft = Draft::new(Body::Attachment(attachment));
    let payload = format!("seen at {at}");
    let draft = draft
        .with_blob(Role::File, "text/plain", payload.as_bytes())
        .unwrap();
    bench.log.append(draft).await.unwrap().seq
}

/// Which of the blobs are there; each that is not is named as withheld.
fn held(files: &BTreeMap<String, Vec<u8>>, blobs: &[String; 4]) -> [bool; 4] {
    let withheld = String::from_utf8(files["withheld.csv"].clone()).unwrap();
    blobs.each_ref().map(|blob| {
        let is_there = files
            .keys()
            .any(|name| name.starts_with("blobs/") && name.ends_with(blob.as_str()));
        let line = withheld.lines().find(|line| line.starts_with(blob.as_str()));
        let is_named = line.is_some_and(|line| line.contains(",file,") && line.ends_with(",out_of_scope"));
        assert_ne!(is_there, is_named, "{blob}\n{withheld}");
        is_there
    })
}

#[tokio::test]
async fn what_counts_at_the_beginning_goes_along_and_what_is_of_other_controls_is_withheld_and_named() {
    let place = Workplace::new();
    let blobs = log(&place).await;
    for (name, scope, expected) in [
        ("all/", &[][..], [true; 4]),
        ("hand/", &["--control", "by-hand"], [true, false, false, true]),
        (
            "things/",
            &["--control", "safe-things"],
            [false, true, false, true],
        ),
        (
            "criterion/",
            &["--criterion", "CC1.1"],
            [true, false, false, true],
        ),
        ("vendors/", &["--criterion", "CC9.2"], [false, false, true, false]),
        // What people bring comes from no source.
        ("source/", &["--source", "src"], [true; 4]),
    ] {
        let folder = export(&place, name, scope);
        let files = files(&folder);
        assert_eq!(held(&files, &blobs), expected, "{name}");
        place.run(&["verify", name]).ends(0);
        place.run(&["reperform", name]).ends(0);
        let (status, said) = verify_py(&[folder.join("verify.py").to_str().unwrap()]);
        assert_eq!(status, 0, "{said}");
    }
    let files = files(&place.path("work").join("hand"));
    let leaves = String::from_utf8(files["log/leaves.jsonl"].clone()).unwrap();
    assert_eq!(
        leaves.matches("\"kind\":\"attachment\"").count(),
        4,
        "leaves are always all there"
    );
    assert!(
        leaves.contains("\"manual_overdue\"") && !leaves.contains("\"manual_due\""),
        "evidence may be overdue long after the notice of it"
    );
    let told: serde_json::Value = serde_json::from_slice(&files["period.json"]).unwrap();
    let manual = told["manual"].as_array().unwrap();
    assert_eq!(
        (manual.len(), &manual[0]["control"]),
        (1, &serde_json::json!("by-hand"))
    );
    assert_eq!(
        manual[0]["before"]["sha256"],
        blobs[0].as_str(),
        "the state at the beginning"
    );
}
