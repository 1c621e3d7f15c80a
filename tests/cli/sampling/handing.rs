//! Populations and samples where they are handed over: in a report's folder, in a bundle, and in what a period tells.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::log::a_day;
use super::{by_python, with};
use crate::workplace::{Ran, Workplace, tree};

const MARK: char = '\u{feff}';

/// The files of a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let found = tree(folder).into_iter().filter(|(path, _)| path.is_file());
    let named = found.map(|(path, bytes)| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    });
    named.collect()
}

fn export(place: &Workplace, name: &str, more: &[&str]) -> BTreeMap<String, String> {
    let arguments = [&["export", "-o", name][..], more].concat();
    place.run(&with(&arguments)).ends(0);
    files(&place.path("work").join(name))
}

fn verified(place: &Workplace, folder: &str) -> Ran {
    let path = place.path("work").join(folder);
    let script = path.join("verify.py");
    let python = Command::new("python3").arg("-B").arg(script).output().unwrap();
    assert!(
        python.status.success(),
        "{}",
        String::from_utf8_lossy(&python.stdout)
    );
    place.run(&["verify", folder]).ends(0)
}

fn draw(place: &Workplace, of: &str, more: &[&str]) {
    let arguments = [&["sample", of, "--seed", "4711"][..], more].concat();
    place.run(&with(&arguments)).ends(0);
}

#[tokio::test]
async fn a_bundle_holds_each_population_as_the_verb_tells_it() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    draw(&place, "pull-requests", &[]);
    let bundle = export(&place, "bundle/", &[]);
    let names: Vec<_> = bundle
        .keys()
        .filter_map(|name| name.strip_prefix("populations/"))
        .collect();
    let of = ["commits", "direct-pushes", "pull-requests", "users"];
    let expected: Vec<_> = of
        .iter()
        .flat_map(|name| [format!("{name}.csv"), format!("{name}.json")])
        .collect();
    assert_eq!(names, expected);
    let all = place
        .run(&with(&["population", "--format", "json"]))
        .ends(0)
        .json();
    for name in of {
        let csv = place.run(&with(&["population", name, "--csv"])).ends(0).out;
        assert_eq!(bundle[&format!("populations/{name}.csv")], format!("{MARK}{csv}"));
        let told: Value = serde_json::from_str(&bundle[&format!("populations/{name}.json")]).unwrap();
        let populations = all["populations"].as_array().unwrap();
        let same = populations.iter().find(|about| about["name"] == name).unwrap();
        assert_eq!(
            told,
            json!({ "origin": all["origin"], "populations": [same] }),
            "{name}"
        );
    }
    for words in ["populations/", "csv/samples.csv"] {
        assert!(bundle["README.txt"].contains(words), "{words}");
    }
    verified(&place, "bundle/");
    assert_eq!(export(&place, "again/", &[]), bundle, "the same bytes");
}

#[tokio::test]
async fn what_was_drawn_is_in_the_bundle_as_the_verb_drew_it() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let drawn = with(&[
        "sample",
        "pull-requests",
        "--seed",
        "=1+1",
        "--size",
        "3",
        "--format",
        "json",
    ]);
    let drawn = place.run(&drawn).ends(0).json();
    draw(&place, "pull-requests", &[]);
    draw(&place, "users", &["--size", "9", "--note", "Joiners"]);
    let bundle = export(&place, "bundle/", &[]);
    let rows = by_python(bundle["csv/samples.csv"].trim_start_matches(MARK));
    let of = |sample: u64| -> Vec<&BTreeMap<String, String>> {
        rows.iter()
            .filter(|row| row["sample"] == sample.to_string())
            .collect()
    };
    let first = of(drawn["sample"].as_u64().unwrap());
    let items = drawn["items"].as_array().unwrap();
    assert_eq!((first.len(), items.len()), (3, 3));
    for (row, item) in first.iter().zip(items) {
        for (column, field) in [("order", "draw"), ("n", "n"), ("snapshot", "snapshot")] {
            assert_eq!(row[column], item[field].as_u64().unwrap().to_string());
        }
        for column in ["id", "source", "target", "at", "first_seen", "last_seen"] {
            assert_eq!(row[column], item[column].as_str().unwrap(), "{column}");
        }
        assert_eq!(
            (row["seed"].as_str(), row["items"].as_str(), row["draw"].as_str()),
            ("'=1+1", "listed", "1")
        );
        assert_eq!(
            (row["drawn"].as_str(), row["count"].as_str(), row["of"].as_str()),
            ("3", "4", "github.pull_request")
        );
    }
    let listed = place
        .run(&["sample", "--list", "--format", "json"])
        .ends(0)
        .json();
    let listed = listed["draws"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let told: Value = serde_json::from_str(&bundle["period.json"]).unwrap();
    for (draw, row) in listed.iter().zip(told["draws"].as_array().unwrap()) {
        for field in [
            "sample",
            "population",
            "of",
            "sources",
            "seed",
            "size",
            "drawn",
            "drawn_by",
            "note",
        ] {
            assert_eq!(draw[field], row[field], "{field}");
        }
        assert_eq!(
            of(draw["sample"].as_u64().unwrap()).len() as u64,
            draw["drawn"].as_u64().unwrap()
        );
    }
    let nth: Vec<_> = told["draws"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["draw"])
        .collect();
    assert_eq!(nth, [1, 2, 1]);
    assert_eq!(
        told["populations"].as_array().unwrap().len(),
        2,
        "one list was drawn from twice"
    );
    assert!(bundle["report.html"].contains("<code>=1+1</code>") && bundle["report.html"].contains("Joiners"));
}

#[tokio::test]
async fn items_from_out_of_scope_are_nowhere_in_a_bundle() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    draw(&place, "pull-requests", &[]);
    draw(&place, "users", &[]);
    let narrow = export(&place, "narrow/", &["--source", "aws"]);
    for (name, text) in &narrow {
        assert!(!text.contains("acme/a#") && !text.contains("acme/b#"), "{name}");
    }
    let lists: Vec<_> = narrow
        .keys()
        .filter(|name| name.starts_with("populations/"))
        .collect();
    assert_eq!(lists, ["populations/users.csv", "populations/users.json"]);
    assert_eq!(narrow["populations/users.csv"].lines().count(), 1 + 4);
    let csv = place
        .run(&with(&["population", "users", "--source", "aws", "--csv"]))
        .ends(0)
        .out;
    assert_eq!(narrow["populations/users.csv"], format!("{MARK}{csv}"));
    // The draw is told of, with the positions that its leaf has, and without its items.
    let rows = by_python(narrow["csv/samples.csv"].trim_start_matches(MARK));
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["of"].as_str(),
                row["items"].as_str(),
                row["n"].is_empty(),
                row["id"].is_empty(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("github.pull_request", "withheld", false, true),
            ("github.pull_request", "withheld", false, true),
            ("aws.iam.user", "listed", false, false),
            ("aws.iam.user", "listed", false, false),
        ]
    );
    for (role, lines) in [("population", 1), ("sample", 1)] {
        let withheld = narrow["withheld.csv"]
            .lines()
            .filter(|line| line.contains(&format!(",{role},")));
        assert_eq!(withheld.count(), lines, "{role}");
    }
    assert!(narrow["report.html"].contains("Items withheld: out of scope"));
    verified(&place, "narrow/");
    // Nothing in scope at all.
    let neither = export(&place, "neither/", &["--criterion", "CC9.2"]);
    for (name, text) in &neither {
        assert!(!text.contains("acme/a#") && !text.contains("carl"), "{name}");
    }
    assert!(neither.keys().all(|name| !name.starts_with("populations/")));
    verified(&place, "neither/");
}

#[tokio::test]
async fn a_draw_whose_list_is_gone_is_told_of_all_the_same() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    draw(&place, "pull-requests", &[]);
    let reader = place.reader();
    let sample = reader.leaf(18).unwrap().unwrap();
    let database = rusqlite::Connection::open(place.store().join("evidence.db")).unwrap();
    let gone = database.execute("DELETE FROM blob WHERE sha256 = ?", [&sample.blobs[0].sha256[..]]);
    assert_eq!(gone.unwrap(), 1);
    let bundle = export(&place, "bundle/", &[]);
    let rows = by_python(bundle["csv/samples.csv"].trim_start_matches(MARK));
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["items"].as_str(), row["n"].as_str(), row["id"].as_str()))
        .collect();
    assert_eq!(told, [("unreadable", "4", ""), ("unreadable", "3", "")]);
    assert!(bundle["withheld.csv"].contains(",sample,18,missing"));
}

#[tokio::test]
async fn a_period_tells_what_was_sealed_and_drawn_of_its_time() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    let period = with(&["period"]);
    assert!(!place.run(&period).out.contains("SEALED"));
    draw(&place, "pull-requests", &["--note", "Changes"]);
    draw(&place, "pull-requests", &["--size", "1"]);
    place
        .run(&with(&["population", "users", "--source", "aws", "--seal"]))
        .ends(0);
    let out = place.run(&period).out;
    for line in [
        "SEALED  POPULATION     OF THE TIME                           ITEMS  SOURCES  GAPS  DRAWN",
        "17      pull-requests  2026-03-01 00:00 to 2026-03-02 00:00  4      all      1     2 times",
        "20      users          2026-03-01 00:00 to 2026-03-02 00:00  4      aws      -     -",
        "sample 18: 2 of 4 of github.pull_request (17), by the seed \"4711\", ",
        "sample 19: 1 of 4 of github.pull_request (17), by the seed \"4711\", draw 2 on this population, ",
        ", for Changes\n",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    let told = place.run(&with(&["period", "--format", "json"])).json();
    assert_eq!(
        (
            &told["populations"][1]["name"],
            &told["populations"][1]["sources"],
            &told["draws"][1]["draw"]
        ),
        (&json!("users"), &json!(["aws"]), &json!(2))
    );
    assert!(told["draws"][0].get("positions").is_none() && told.get("collected").is_none());
    // Of another time they are none; a draw made in it is.
    let other = [
        "period",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-31",
        "--format",
        "json",
    ];
    let other = place.run(&other).json();
    assert_eq!((&other["populations"], &other["draws"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_report_folder_has_them_too() {
    let place = Workplace::new();
    drop(a_day(&place).await);
    place.write(
        "evidenced.toml",
        "name = \"acme\"\n\
         [[source]]\nname = \"aws\"\ntype = \"host\"\n[source.collectors.\"host.baseline\"]\nschedule = \"@hourly\"\n\
         [[period]]\nname = \"day\"\nfrom = \"2026-03-01\"\nto = \"2026-03-01\"\ntimezone = \"UTC\"\nsources = [\"aws\"]\n",
    );
    draw(&place, "users", &[]);
    let folder = place.path("report").display().to_string();
    place.run(&["report", "-o", &folder]).ends(0);
    let report = files(Path::new(&folder));
    let csv = place.run(&["population", "users", "--csv"]).ends(0).out;
    assert_eq!(report["populations/users.csv"], format!("{MARK}{csv}"));
    assert!(report["csv/samples.csv"].contains("aws.iam.user"));
    let page = &report["report.html"];
    assert!(
        page.contains("<strong>users</strong>") && page.contains("rest <code>GET"),
        "{page}"
    );
    assert!(!page.contains("acme/a"), "not in the period's scope");
}
