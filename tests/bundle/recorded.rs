//! Who handed over what: recorded in the log, found in the bundle, and once for the same.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::exported::{PERIOD, export, files, log, verify_py};
use crate::workplace::{Workplace, tree};

fn login() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The `export` leaves, as they stand in the log.
fn recorded(place: &Workplace) -> Vec<Value> {
    let all = ["log", "--kind", "export", "-n", "0", "--format", "json"];
    let shown = place.run(&all).ends(0).json();
    shown["leaves"].as_array().unwrap().clone()
}

fn arguments<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["export", "-o", name, "--format", "json"][..], &PERIOD, more].concat()
}

#[tokio::test]
async fn who_exports_what_stands_in_the_log_and_in_the_bundle() {
    let place = Workplace::new();
    drop(log(&place).await);
    let size = place.reader().size().unwrap();
    let told = place.run(&arguments("b/", &["--source", "src"])).ends(0).json();
    assert_eq!(
        (&told["recorded"], &told["not_recorded"]),
        (&json!(size), &Value::Null)
    );
    assert_eq!(told["bundle"]["size"], json!(size + 1));
    let leaves = recorded(&place);
    let [leaf] = leaves.as_slice() else {
        panic!("{leaves:?}")
    };
    let of = |field: &str| leaf[field].clone();
    assert_eq!(
        [of("seq"), of("period"), of("recipient_sha256")],
        [json!(size), Value::Null, Value::Null]
    );
    assert_eq!(
        [of("from"), of("to")],
        ["2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"].map(|at| json!(at))
    );
    assert_eq!([of("only_controls"), of("only_criteria")], [json!([]), json!([])]);
    assert_eq!([of("only_sources"), of("draft")], [json!(["src"]), json!(false)]);
    assert_eq!(of("recorded_by"), json!(login()));
    let folder = place.path("work").join("b");
    let written = files(&folder);
    let leaves = String::from_utf8(written["log/leaves.jsonl"].clone()).unwrap();
    let last: Value = serde_json::from_str(leaves.lines().last().unwrap()).unwrap();
    assert_eq!(last, *leaf, "the bundle holds what tells of it");
    place.run(&["verify", "b/"]).ends(0);
    place.run(&["verify"]).ends(0);
    assert_eq!(verify_py(&[folder.join("verify.py").to_str().unwrap()]).0, 0);

    let period: Value = serde_json::from_slice(&written["period.json"]).unwrap();
    let person = |name: &str| {
        let people = period["people"].as_array().unwrap().iter();
        let mut own = people.filter(|person| person["name"] == name);
        own.next()
            .unwrap_or_else(|| panic!("{name}: {}", period["people"]))
            .clone()
    };
    let roles = person(&login())["roles"].clone();
    assert!(roles.as_array().unwrap().contains(&json!("exported")), "{roles}");
    let elsewhere = [
        "period",
        "--from",
        "2026-03-04",
        "--to",
        "2026-03-05",
        "--format",
        "json",
    ];
    let other = place.run(&elsewhere).json();
    assert!(
        !other["people"].to_string().contains("exported"),
        "{}",
        other["people"]
    );

    let listed = place.run(&["log", "--kind", "export"]).ends(0).out;
    let said = format!(
        "from 2026-03-02T00:00Z to 2026-03-04T00:00Z, by {}, only src",
        login()
    );
    assert!(listed.contains(&said), "{listed}");
    let shown = place.run(&["show", &size.to_string()]).ends(0).out;
    assert!(
        shown.contains("recorded_by       ") && shown.contains("only_sources      src"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_same_again_is_recorded_once_and_gives_the_same_bytes() {
    let place = Workplace::new();
    let bench = log(&place).await;
    let read = |name: &str| std::fs::read(place.path("work").join(name)).unwrap();
    export(&place, "a.zip", &[]);
    let size = place.reader().size().unwrap();
    let told = place.run(&arguments("b.zip", &[])).ends(0).json();
    assert_eq!(
        (told["recorded"].clone(), place.reader().size().unwrap()),
        (json!(size - 1), size)
    );
    assert!(read("a.zip") == read("b.zip"));

    // Another scope and another recipient are other exports; the first is still the same as itself.
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    export(&place, "c.zip", &["--control", "safe-things"]);
    export(&place, "d.zip.age", &["--encrypt-to", &recipient]);
    export(&place, "e.zip", &[]);
    let leaves = recorded(&place);
    assert_eq!(leaves.len(), 3);
    assert_eq!(leaves[1]["only_controls"], json!(["safe-things"]));
    let digest = hex::encode(Sha256::digest(&recipient));
    assert_eq!(leaves[2]["recipient_sha256"], json!(digest));

    // Once something else was appended, it is another log.
    bench.run().await;
    export(&place, "f.zip", &[]);
    assert_eq!(recorded(&place).len(), 4);
    place.run(&["verify", "f.zip"]).ends(0);
}

#[tokio::test]
async fn what_was_refused_is_not_recorded() {
    let place = Workplace::new();
    drop(log(&place).await);
    std::fs::write(place.path("work").join("there.zip"), "mine").unwrap();
    for (name, more) in [
        ("there.zip", &[][..]),
        ("no/such/folder.zip", &[]),
        ("b.zip", &["--control", "nobody"]),
        ("b.zip", &["--source", "nowhere"]),
        ("b.zip", &["--encrypt-to", "age1nobody"]),
    ] {
        place.run(&arguments(name, more)).ends(2);
    }
    assert_eq!(recorded(&place).len(), 0);
}

#[tokio::test]
async fn a_copy_without_the_key_is_exported_and_it_is_said_that_nothing_was_recorded() {
    let place = Workplace::new();
    drop(log(&place).await);
    place.run(&["backup", "../copy"]).ends(0);
    let copy = place.path("copy");
    // Reading may leave SQLite's own files beside the database.
    let own = || -> Vec<_> {
        let found = tree(&copy).into_iter();
        found
            .filter(|(path, _)| !path.to_string_lossy().contains(".db-"))
            .collect()
    };
    let before = own();
    let ran = place.run(&arguments("c.zip", &["--store", "../copy"])).ends(0);
    assert!(
        ran.err
            .contains("note: the log does not tell of this export: this copy of the log is without its key"),
        "{}",
        ran.err
    );
    assert_eq!(ran.json()["recorded"], Value::Null);
    assert!(
        ran.json()["not_recorded"]
            .as_str()
            .unwrap()
            .contains("without its key")
    );
    assert!(own() == before, "nothing is written to a copy");
    place.run(&["verify", "c.zip"]).ends(0);
}

#[tokio::test]
async fn a_draft_is_recorded_as_one() {
    let place = Workplace::new();
    drop(log(&place).await);
    let arguments = [
        "export",
        "-o",
        "d.zip",
        "--from",
        "2026-03-02",
        "--to",
        "2026-03-31",
        "--format",
        "json",
    ];
    let told = place.run(&arguments).ends(0).json();
    assert_eq!(told["bundle"]["draft"].as_array().unwrap().len(), 1);
    assert_eq!(recorded(&place)[0]["draft"], json!(true));
    let listed = place.run(&["log", "--kind", "export"]).ends(0).out;
    assert!(listed.contains(&format!("by {}, a draft", login())), "{listed}");
}
