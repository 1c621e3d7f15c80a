//! OCSF compliance findings against what the published schema, 1.3.0, demands of class 2003: which attributes there must be,
//! of which types, and which numbers each may have with which captions.

use serde_json::Value;
use std::collections::BTreeSet;

use crate::{all, file, made};
use evidenced::summary::Summary;

/// A required attribute, where it is, and its type.
const REQUIRED: [(&str, Type); 14] = [
    ("/activity_id", Type::Number),
    ("/category_uid", Type::Number),
    ("/class_uid", Type::Number),
    ("/compliance", Type::Object),
    ("/compliance/standards", Type::Texts),
    ("/finding_info", Type::Object),
    ("/finding_info/title", Type::Text),
    ("/finding_info/uid", Type::Text),
    ("/metadata/product", Type::Object),
    ("/metadata/product/vendor_name", Type::Text),
    ("/metadata/version", Type::Text),
    ("/severity_id", Type::Number),
    ("/time", Type::Number),
    ("/type_uid", Type::Number),
];

/// Numbers with captions: where the one and the other are, and which pairs the schema has. 99 has the source's own caption.
const NAMED: [Named; 7] = [
    (
        "/activity_id",
        "/activity_name",
        &[(1, "Create"), (2, "Update"), (3, "Close")],
    ),
    ("/category_uid", "/category_name", &[(2, "Findings")]),
    ("/class_uid", "/class_name", &[(2003, "Compliance Finding")]),
    (
        "/severity_id",
        "/severity",
        &[
            (1, "Informational"),
            (2, "Low"),
            (3, "Medium"),
            (4, "High"),
            (5, "Critical"),
            (6, "Fatal"),
        ],
    ),
    (
        "/status_id",
        "/status",
        &[(1, "New"), (2, "In Progress"), (3, "Suppressed"), (4, "Resolved")],
    ),
    (
        "/compliance/status_id",
        "/compliance/status",
        &[(1, "Pass"), (2, "Warning"), (3, "Fail")],
    ),
    (
        "/finding_info/analytic/type_id",
        "/finding_info/analytic/type",
        &[(1, "Rule")],
    ),
];

type Named = (&'static str, &'static str, &'static [(u64, &'static str)]);

#[derive(Clone, Copy)]
enum Type {
    Number,
    Text,
    Texts,
    Object,
}

impl Type {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Number => value.is_u64(),
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Texts => value
                .as_array()
                .is_some_and(|texts| texts.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
        }
    }
}

fn findings(summary: &Summary) -> Vec<Value> {
    let lines = file(summary, "ocsf/compliance-findings.jsonl");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_finding_has_what_the_schema_demands() {
    for (name, summary) in all() {
        for finding in findings(&summary) {
            for (place, of) in REQUIRED {
                let value = finding.pointer(place);
                assert!(
                    value.is_some_and(|value| of.is_of(value)),
                    "{name}: {place} in {finding}"
                );
            }
            for (number, caption, pairs) in NAMED {
                let Some(number) = finding.pointer(number).and_then(Value::as_u64) else {
                    continue;
                };
                let caption = finding.pointer(caption).and_then(Value::as_str).unwrap();
                assert!(
                    number == 99 || pairs.contains(&(number, caption)),
                    "{name}: {number} {caption}"
                );
            }
            assert_eq!(
                finding["type_uid"].as_u64().unwrap(),
                2003 * 100 + finding["activity_id"].as_u64().unwrap()
            );
            for resource in finding["resources"].as_array().unwrap() {
                assert!(
                    resource["uid"].is_string() || resource["name"].is_string(),
                    "{name}: {resource}"
                );
            }
        }
    }
}

#[test]
fn there_is_one_for_each_deviation_for_each_test_at_each_source_and_for_each_control_that_people_serve() {
    let summary = made::half_year();
    let sources: usize = summary.tests.iter().map(|test| test.sources.len()).sum();
    let findings = findings(&summary);
    let overdue: usize = summary.manual.iter().map(|row| row.overdue.len()).sum();
    let manual = summary.manual.len() + overdue;
    assert_eq!(findings.len(), sources + summary.deviations.len() + manual);
    let ids: BTreeSet<_> = findings
        .iter()
        .map(|finding| finding["finding_info"]["uid"].as_str())
        .collect();
    assert_eq!(ids.len(), findings.len());
}

#[test]
fn evidence_that_is_overdue_fails_until_it_is_given_and_none_given_is_no_pass() {
    let findings = findings(&made::half_year());
    let of = |uid: &str| {
        let is_it = |finding: &&Value| finding["finding_info"]["uid"].as_str().unwrap().ends_with(uid);
        findings.iter().find(is_it).unwrap()
    };
    for (control, status, severity) in [
        ("access-is-reviewed", "Warning", "Informational"),
        ("policies-are-approved", "Pass", "Informational"),
        ("restores-are-tried", "Fail", "High"),
        ("vendors-are-reviewed", "Warning", "Informational"),
    ] {
        let finding = of(&format!("/{control}/manual"));
        assert_eq!(finding["compliance"]["status"], status, "{control}");
        assert_eq!(finding["compliance"]["control"], control);
        assert_eq!(finding["severity"], severity, "{control}");
    }
    let overdue: Vec<_> = findings
        .iter()
        .filter(|finding| {
            finding["unmapped"]["deviation"]
                .as_str()
                .is_some_and(|id| id.starts_with('M'))
        })
        .map(|finding| {
            (
                finding["status"].as_str().unwrap(),
                finding["activity_name"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        overdue,
        [("Resolved", "Close"), ("New", "Create"), ("New", "Create")]
    );
}

#[test]
fn a_result_is_a_pass_only_where_evidence_speaks_for_all_of_the_time() {
    let findings = findings(&made::half_year());
    let status = |test: &str, source: &str| {
        let is_it = |finding: &&Value| {
            finding["finding_info"]["types"][0] == "Test over a period"
                && finding["finding_info"]["analytic"]["uid"] == test
                && finding["unmapped"]["source"] == source
        };
        let of = findings.iter().find(is_it).unwrap();
        (
            of["compliance"]["status"].as_str().unwrap().to_owned(),
            of["severity"].as_str().unwrap().to_owned(),
        )
    };
    let told = |status: &str, severity: &str| (status.to_owned(), severity.to_owned());
    assert_eq!(status("console-mfa", "production"), told("Fail", "High"));
    assert_eq!(status("console-mfa", "staging"), told("Pass", "Informational"));
    assert_eq!(status("key-age", "production"), told("Warning", "Informational"));
    assert_eq!(
        status("host-patched", "bastion"),
        told("Warning", "Informational")
    );
}
