//! The alerts: rules that promtool reads, each of which has an example that it fires on and one that it does not.

use std::collections::BTreeSet;
use std::process::Command;

use super::tools::{in_path, not_tried, output, unpacked};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const EXAMPLES: &str = include_str!("../../deploy/prometheus/alerts.test.yaml");

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    let promtool = match in_path("promtool") {
        Some(found) => found,
        None => match unpacked(&["prometheus"]) {
            Ok(root) => root.join("usr/bin/promtool"),
            Err(why) => return not_tried("the alerts", &why, "EVIDENCED_REQUIRE_PROMTOOL"),
        },
    };
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
    ] {
        let mut command = Command::new(&promtool);
        output(command.args(arguments).current_dir(FOLDER)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What stands behind a word in each line that has it, up to a comma or a brace.
fn named<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let end = |c: char| c == ',' || c == '}' || c.is_whitespace();
    let rests = text.lines().filter_map(|line| line.split_once(word));
    rests
        .filter_map(|(_, rest)| rest.trim().split(end).next())
        .collect()
}

#[test]
fn every_alert_has_an_example_that_it_fires_on_and_one_that_it_does_not() {
    let alerts: BTreeSet<_> = named(ALERTS, "- alert:").into_iter().collect();
    let (well, ill) = EXAMPLES.split_once("\n  - name: everything is wrong\n").unwrap();
    assert!(well.contains("{ expr: ALERTS, eval_time: 4h50m, exp_samples: [] }"));
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(ill.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
}

#[test]
fn every_alert_says_what_it_is_and_what_to_do() {
    for alert in ALERTS.split("- alert:").skip(1) {
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "{part} {alert}");
        }
    }
}
