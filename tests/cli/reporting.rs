//! `evidenced report`: a page, or a folder with everything, and nothing of what is there already is lost.

use serde_json::json;

use evidenced::log::tree;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

const PERIOD: &str = "\
[[period]]
name = \"march\"
from = \"2026-03-01\"
to = \"2026-03-31\"

[[source]]
name = \"here\"
type = \"host\"
[source.collectors.\"host.baseline\"]
schedule = \"0 * * * *\"
";

#[tokio::test]
async fn a_report_is_a_page_or_a_folder_that_was_empty() {
    let place = Workplace::new();
    place.write("evidenced.toml", PERIOD);
    let bench = Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let path = |name: &str| place.path(name).display().to_string();
    let (page, folder) = (path("march.html"), path("march"));
    let read = |name: &str| std::fs::read_to_string(name).unwrap();

    let told = place.run(&["report", "-o", &page]).ends(0);
    assert!(
        told.out.contains(&page) && told.out.contains("This is a draft: "),
        "{}",
        told.out
    );
    let written = read(&page);
    assert!(written.starts_with("<!doctype html>") && written.contains("DRAFT"));
    place.run(&["report", "-o", &page]).ends(0);
    assert_eq!(read(&page), written, "again, over the old one");

    let arguments = ["report", "--period", "march", "-o", &folder, "--format", "json"];
    let told = place.run(&arguments).ends(0).json();
    assert_eq!(told["files"].as_array().unwrap().len(), 14);
    assert_eq!(told["files"][0], json!(path("march/report.html")));
    assert_eq!(read(&path("march/report.html")), written);
    let period = place.run(&["period", "march", "--format", "json"]);
    assert_eq!(read(&path("march/period.json")), period.out);

    let refused = place.run(&arguments).ends(2);
    assert!(
        refused.err.contains("march is in the way\n  help: name a folder"),
        "{}",
        refused.err
    );
    let unknown = place.run(&["report", "--period", "merch", "-o", &page]).ends(2);
    assert!(unknown.err.contains("did you mean \"march\"?"), "{}", unknown.err);
}

#[tokio::test]
async fn nothing_is_told_of_a_log_whose_leaves_are_not_those_that_were_signed() {
    for rechained in [false, true] {
        let place = Workplace::new();
        place.write("evidenced.toml", PERIOD);
        let bench = Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await;
        bench.holds([("a", Answer::seen([thing("x", false)]))]);
        bench.run().await;
        place.run(&["period"]).ends(1);
        forge(&place, 3, rechained);
        let said = if rechained {
            "error: the newest checkpoint is for 5 leaves, and the database holds 5 that differ from it\n"
        } else {
            "error: leaf 4 does not name the hash of the leaf before it\n"
        };
        let page = place.path("march.html").display().to_string();
        for arguments in [
            &["period"][..],
            &["report", "-o", &page],
            &["export", "-o", &page],
        ] {
            let refused = place.run(arguments).ends(4);
            assert!(refused.err.starts_with(said), "{}", refused.err);
            assert!(refused.err.contains("\n  help: run `evidenced verify`"));
            assert!(refused.out.is_empty() && !std::fs::exists(&page).unwrap());
        }
    }
}

/// Changes the time of a leaf, as whoever has no key can; `rechained` has the leaves behind it name it as it is now.
fn forge(place: &Workplace, seq: usize, rechained: bool) {
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let read = "SELECT bytes FROM leaf WHERE seq >= ? ORDER BY seq";
    let mut statement = database.prepare(read).unwrap();
    let rows = statement
        .query_map([seq], |row| row.get::<_, Vec<u8>>(0))
        .unwrap();
    let (mut old, mut new) = (String::new(), String::new());
    for (seq, bytes) in (seq..).zip(rows.map(Result::unwrap)) {
        let text = String::from_utf8(bytes).unwrap();
        let forged = if old.is_empty() {
            text.replace("T10:", "T09:")
        } else {
            text.replace(&old, &new)
        };
        assert_ne!(text, forged);
        let hash = tree::hash_leaf(forged.as_bytes());
        (old, new) = (hex::encode(tree::hash_leaf(text.as_bytes())), hex::encode(hash));
        let write = "UPDATE leaf SET bytes = ? WHERE seq = ?";
        database
            .execute(write, rusqlite::params![forged.as_bytes(), seq])
            .unwrap();
        if !rechained {
            return;
        }
        let write = "UPDATE leaf SET hash = ? WHERE seq = ?";
        database.execute(write, rusqlite::params![hash, seq]).unwrap();
    }
}

#[tokio::test]
async fn where_there_was_nothing_to_test_is_not_told_as_a_success() {
    let place = Workplace::new();
    let bench = Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await;
    let result = |to: &str| {
        let arguments = [
            "period",
            "--from",
            "2026-03-01T10:00:00Z",
            "--to",
            to,
            "--format",
            "json",
        ];
        place.run(&arguments).json()["controls"][0]["result"].clone()
    };
    bench.holds([("a", Answer::seen([]))]);
    bench.run().await;
    bench.clock.forward(chrono::TimeDelta::hours(2));
    bench.run().await;
    assert_eq!(result("2026-03-01T11:00:00Z"), json!("no_occurrence"));
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    bench.run().await;
    bench.clock.forward(chrono::TimeDelta::hours(2));
    bench.run().await;
    assert_eq!(result("2026-03-01T13:00:00Z"), json!("no_deviations"));
}
