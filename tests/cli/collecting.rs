//! `evidenced collect`: what it says, writes and leaves alone.

use serde_json::{Value, json};

use crate::workplace::{Workplace, collected};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn what_is_printed_as_json_is_what_the_documentation_says_and_what_the_log_holds() {
    let ran = &collected().ran;
    let shown = ran.json();
    assert_eq!(keys(&shown), ["controls", "snapshots"]);
    let snapshot = &shown["snapshots"][0];
    assert_eq!(
        keys(snapshot),
        [
            "collector",
            "complete",
            "evaluation",
            "outcome",
            "resources",
            "seq",
            "source",
            "target"
        ]
    );
    assert_eq!(
        [
            &snapshot["collector"],
            &snapshot["source"],
            &snapshot["outcome"],
            &snapshot["seq"]
        ],
        [
            &json!("host.baseline"),
            &json!("this-machine"),
            &json!("collected"),
            &json!(3)
        ]
    );
    for test in snapshot["evaluation"].as_array().unwrap() {
        assert_eq!(
            keys(test),
            [
                "excepted",
                "fail",
                "not_applicable",
                "outcome",
                "pass",
                "test",
                "unknown"
            ]
        );
    }
    let controls = shown["controls"].as_array().unwrap();
    assert_eq!(controls.len(), 6, "those of the host, the only vendor configured");
    for control in controls {
        assert_eq!(keys(control), ["control", "criteria", "outcome"]);
    }
    let worst = |list: &Value| {
        let outcomes: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["outcome"].clone())
            .collect();
        outcomes.contains(&json!("fail")) || outcomes.contains(&json!("unknown"))
    };
    assert_eq!(
        ran.status == 1,
        worst(&snapshot["evaluation"]) || worst(&shown["controls"])
    );

    let reader = collected().place.reader();
    let kinds: Vec<_> = (0..5)
        .map(|seq| reader.leaf(seq).unwrap().unwrap().kind)
        .collect();
    assert_eq!(kinds, ["key", "plan", "scope", "snapshot", "evaluation"]);
    let evaluation: Value = serde_json::from_slice(&reader.leaf_bytes(4).unwrap().unwrap()).unwrap();
    assert_eq!(evaluation["results"], snapshot["evaluation"]);
}

#[test]
fn a_dry_run_shows_the_same_and_writes_nothing_at_all() {
    let place = Workplace::new();
    let before = place.tree();
    let ran = place.run(&["collect", "--once", "--dry-run", "host.baseline"]);
    assert!(ran.status < 2, "{}", ran.err);
    assert_eq!(place.tree(), before);
    assert!(
        ran.out.starts_with("✓ host.baseline  this-machine  "),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("(not written)\n"), "{}", ran.out);
    assert!(!ran.out.contains("Sealed in"), "{}", ran.out);
    assert!(
        ran.out
            .contains("No configuration was found: this machine was collected by the built-in default."),
        "{}",
        ran.out
    );
}

#[test]
fn a_second_run_beside_an_unchanged_plan_adds_a_snapshot_and_its_evaluation() {
    let place = Workplace::collected();
    place.write("evidenced.toml", include_str!("../../config.example.toml"));
    let ran = place.run(&["collect", "--once", "host.baseline"]);
    assert!(ran.status < 2, "{}", ran.err);
    let store = place.store();
    assert!(
        ran.out.ends_with(&format!(
            "Sealed in {}; check it with `evidenced verify`.\n",
            store.display()
        )),
        "{}",
        ran.out
    );
    let kinds: Vec<_> = place.run(&["log", "--format", "json"]).ends(0).json()["leaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leaf| leaf["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[5..], ["snapshot", "evaluation"]);
}

#[test]
fn a_store_that_is_refused_is_left_as_it_is() {
    let place = Workplace::collected();
    std::fs::remove_file(place.store().join("guard")).unwrap();
    let ran = place.run(&["collect", "--once"]).ends(4);
    assert_eq!(
        ran.err,
        format!(
            "error: guard missing from {}\n  help: run `evidenced verify` for what is wrong; \
             `evidenced recover --reason …` keeps this log as it is and begins a new one\n",
            place.store().display()
        )
    );
    assert!(!place.store().join("guard").exists());
}
