//! A population of pull requests, from GitHub to the auditor's spreadsheet: an outage is a hole in it, and the rest equals what the
//! peer holds to be true.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::fake::Fake;
use super::{evidenced, object, peer};

const SETTINGS: &str = "since = \"2026-05-01\", repositories = [\"pulls\", \"pushes\", \"conflict\"]";

fn printed(folder: &Path, fake: &Fake, arguments: &[&str]) -> String {
    let output = evidenced(folder, fake, "admin-token", SETTINGS, arguments);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(folder: &Path, fake: &Fake, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&printed(folder, fake, &arguments)).unwrap()
}

/// The pull requests that were merged into the default branches of these repositories within a time, by id.
fn merged(truth: &Value, repositories: &[&str], from: &str, to: &str) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    for name in repositories {
        let repository = &truth["repositories"][name];
        let default = repository["default_branch"].as_str().unwrap();
        for (number, told) in object(&repository["branches"][default], "pull_requests") {
            // Times in one form and zone are compared as text.
            let at = told["merged_at"].as_str().unwrap();
            if from <= at && at < to {
                merged.insert(
                    format!("{name}#{number}"),
                    told["merge"].as_str().unwrap().to_owned(),
                );
            }
        }
    }
    merged
}

#[test]
fn a_population_with_an_outage_equals_the_truth_and_shows_the_hole() {
    let fake = peer(&json!({ "name": "traps" }));
    let truth = fake.control("/_fake/truth", &Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let once = ["collect", "--once", "github.pull_requests"];
        evidenced(folder.path(), &fake, "admin-token", SETTINGS, &once)
            .status
            .code()
    };
    assert!(matches!(run(), Some(0 | 1)));
    let out = json!({ "match": "graphql|Merged", "kind": "status", "status": 503, "times": -1 });
    fake.control("/_fake/faults", &out);
    run();
    let log = json_of(folder.path(), &fake, &["log", "-n", "1"]);
    let end = log["leaves"][0]["time"].as_str().unwrap().to_owned();
    // What was merged at the very beginning would be in it.
    let begin = "2026-05-01T00:00:00Z";
    let period = ["--from", begin, "--to", &end, "--source", "github"];

    let told = json_of(
        folder.path(),
        &fake,
        &[&["population", "pull-requests"][..], &period].concat(),
    );
    let population = &told["populations"][0];
    let gaps = population["gaps"].as_array().unwrap();
    let targets = population["targets"].as_array().unwrap();
    let repositories: Vec<&str> = targets
        .iter()
        .map(|target| target["target"].as_str().unwrap())
        .collect();
    let holes = |name: &str| gaps.iter().filter(|gap| gap["target"] == name).count();
    assert!(
        repositories.contains(&"acme/pulls") && holes("acme/pulls") == 1,
        "{gaps:?}"
    );
    let why = |gap: &Value| gap["why"].as_str().unwrap().to_owned();
    assert!(gaps.iter().all(|gap| gap["to"] == json!(end)), "{gaps:?}");
    assert!(
        gaps.iter()
            .any(|gap| why(gap).contains("incomplete") || why(gap).contains("failed")),
        "{gaps:?}"
    );

    let read: Vec<&str> = repositories
        .iter()
        .copied()
        .filter(|name| truth["repositories"][name]["vanishes"] != true)
        .collect();
    let expected = merged(&truth, &read, begin, &end);
    assert!(expected.len() > 10, "{expected:?}");
    let csv = printed(
        folder.path(),
        &fake,
        &[&["population", "pull-requests", "--csv"][..], &period].concat(),
    );
    let file = folder.path().join("pulls.csv");
    std::fs::write(&file, csv).unwrap();
    let program = "import csv,json,sys; print(json.dumps({r['id']: r['resource.merge_commit'] \
                   for r in csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8'))}))";
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(&file)
        .output()
        .unwrap();
    let rows: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows, expected);

    // What was pushed directly, by the commits' own names; of the first commit nobody knows what brought it.
    let told = json_of(
        folder.path(),
        &fake,
        &[&["population", "direct-pushes"][..], &period].concat(),
    );
    let items = told["populations"][0]["items"].as_array().unwrap();
    let sha = |item: &Value| item["id"].as_str().unwrap().split_once('@').unwrap().1.to_owned();
    let listed: BTreeSet<String> = items.iter().map(sha).collect();
    let mut direct = BTreeSet::new();
    for name in &read {
        let repository = &truth["repositories"][name];
        let default = repository["default_branch"].as_str().unwrap();
        let pushes = repository["branches"][default]["direct_pushes"].as_array();
        for push in pushes
            .into_iter()
            .flatten()
            .filter(|push| push["sha"] != repository["first_commit"])
        {
            direct.insert(push["sha"].as_str().unwrap().to_owned());
        }
    }
    assert!(direct.len() > 2, "{direct:?}");
    assert_eq!(listed, direct);

    let sample = ["sample", "pull-requests", "--seed", "4711", "--size", "5"];
    let sample = json_of(folder.path(), &fake, &[&sample[..], &period].concat());
    let drawn: Vec<&str> = sample["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert!(
        drawn.len() == 5 && drawn.iter().all(|id| expected.contains_key(*id)),
        "{drawn:?}"
    );
    printed(folder.path(), &fake, &["verify"]);
}
