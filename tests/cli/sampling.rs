//! `evidenced population` and `evidenced sample`: complete sets whose truth is known, what is drawn from them, and what is said.

use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;

use evidenced::log::leaf::Role;

use crate::workplace::Workplace;
use log::a_day;

#[path = "sampling/drawing.rs"]
mod drawing;
#[path = "sampling/handing.rs"]
mod handing;
#[path = "sampling/log.rs"]
mod log;
#[path = "sampling/truth.rs"]
mod truth;

const PERIOD: [&str; 4] = ["--from", "2026-03-01", "--to", "2026-03-01"];

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &PERIOD].concat()
}

#[tokio::test]
async fn a_population_is_told_with_its_gaps_and_how_it_was_obtained() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let ran = place.run(&with(&["population", "pull-requests"])).ends(0);
    assert_eq!(ran.out, PULLS);
    let shown = place
        .run(&with(&["population", "--format", "json"]))
        .ends(0)
        .json();
    let of: Vec<_> = shown["populations"].as_array().unwrap().iter().collect();
    let counts: Vec<_> = of
        .iter()
        .map(|of| {
            (
                of["population"].as_str().unwrap(),
                of["count"].as_u64().unwrap(),
                of["whole"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("aws.iam.user", 4, true),
            ("github.commit", 0, false),
            ("github.direct_push", 0, false),
            ("github.pull_request", 4, false),
        ]
    );
    let pulls = of[3];
    assert_eq!(
        (&pulls["read"], &pulls["repeated"], &pulls["late"]),
        (&json!(5), &json!(1), &json!(1))
    );
    assert_eq!(
        pulls["gaps"],
        json!([{
            "source": "github",
            "target": "acme/a",
            "from": "2026-03-01T06:00:00.000Z",
            "to": "2026-03-01T12:00:00.000Z",
            "seconds": 21600,
            "why": "a run failed (unavailable; leaf 8)",
            "happened": [{ "what": "failure", "detail": "unavailable", "leaves": [8] }],
        }])
    );
    assert_eq!(
        pulls["obtained"]["reconciled"],
        json!({ "snapshots": 7, "expected": 7, "read": 7, "differ": 0 })
    );
    assert_eq!(pulls["obtained"]["calls"][0]["pages"], 14);
    assert!(pulls.get("items").is_none());
}

const PULLS: &str = "\
From 2026-03-01T00:00Z to 2026-03-02T00:00Z, out of 17 leaves.

github.pull_request (pull-requests): 4 items
  source      github by github.pull_requests: 2 targets
  counted     5 read, 1 repeated, 4 distinct; 1 shown late by the source
  gaps        1
    acme/a of github  2026-03-01T06:00Z to 2026-03-01T12:00Z, 6 h: a run failed (unavailable; leaf 8)
  obtained    7 snapshots, from 2026-03-01T06:00Z to 2026-03-02T00:00Z, by 7 calls
  as          {\"login\":\"auditor-bot\"}, 7 times
  complete    every page (said of 7)
  second      a count (of 7)
  reconciled  7 resources of all kinds read, 7 expected; all agree
    rest GET /pulls: 7 calls, 14 pages, 7 items; 200 ×7
      of = \"acme/a\" | \"acme/b\"
      state = \"closed\"

N  ID        SOURCE  TARGET  TIME               LATE  SNAPSHOT
1  acme/a#2  github  acme/a  2026-03-01T00:00Z        5
2  acme/a#3  github  acme/a  2026-03-01T05:00Z  late  11
3  acme/a#4  github  acme/a  2026-03-01T17:00Z        11
4  acme/b#1  github  acme/b  2026-03-01T11:00Z        9
";

#[tokio::test]
async fn users_are_told_with_when_they_were_seen_and_gone() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let shown = place
        .run(&with(&["population", "users", "--format", "json"]))
        .ends(0)
        .json();
    let items = shown["populations"][0]["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            let text = |name: &str| {
                item[name]
                    .as_str()
                    .map(|text| text[5..16].to_owned())
                    .unwrap_or_default()
            };
            (
                item["id"].as_str().unwrap(),
                text("first_seen"),
                text("last_seen"),
                text("gone"),
            )
        })
        .collect();
    let own = |texts: [&str; 3]| texts.map(str::to_owned);
    let expected = [
        ("ann", own(["02-28T23:00", "03-01T18:00", ""])),
        ("bob", own(["02-28T23:00", "02-28T23:00", "03-01T06:00"])),
        ("carl", own(["03-01T06:00", "03-01T12:00", "03-01T18:00"])),
        ("dora", own(["03-01T18:00", "03-01T18:00", ""])),
    ];
    let expected: Vec<_> = expected
        .map(|(id, [first, last, gone])| (id, first, last, gone))
        .into();
    assert_eq!(told, expected);
}

/// The rows of a table as Python's csv module reads them.
fn by_python(csv: &str) -> Vec<BTreeMap<String, String>> {
    let program =
        "import csv,json,sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='')))))";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), csv).unwrap();
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_spreadsheet_gets_what_there_is_and_runs_none_of_it() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let csv = place
        .run(&with(&["population", "pull-requests", "--csv"]))
        .ends(0)
        .out;
    let rows = by_python(&csv);
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["acme/a#2", "acme/a#3", "acme/a#4", "acme/b#1"]);
    for row in &rows {
        assert_eq!(row["resource.title"], format!("'=HYPERLINK(\"{}\")", row["id"]));
        assert_eq!(row["resource.late"], "false");
    }
    assert_eq!(rows[1]["at"], "2026-03-01T05:00:00.000Z");
    assert_eq!(
        (rows[1]["seen"].as_str(), rows[1]["late"].as_str()),
        ("2", "true")
    );
}

#[tokio::test]
async fn evidence_that_the_store_no_longer_has_is_a_gap_and_never_an_empty_list() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let reader = place.reader();
    let leaf = reader.leaf(14).unwrap().unwrap();
    let blob = leaf
        .blobs
        .iter()
        .find(|blob| blob.role == Role::Evidence)
        .unwrap();
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let gone = database.execute("DELETE FROM blob WHERE sha256 = ?", [&blob.sha256[..]]);
    assert_eq!(gone.unwrap(), 1);
    let told = with(&["population", "pull-requests", "--format", "json"]);
    let told = place.run(&told).ends(0).json();
    let population = &told["populations"][0];
    assert_eq!(population["obtained"]["unreadable"], json!([14]));
    assert_eq!(
        (&population["gaps"][1]["from"], &population["gaps"][1]["why"]),
        (
            &json!("2026-03-01T18:00:00.000Z"),
            &json!("evidence can't be read any more (leaf 14); there is none after")
        )
    );
}
