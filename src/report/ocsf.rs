//! A period as OCSF compliance findings, for security tools: one for each test at each source, one for each control that people
//! owe evidence for, and one for each deviation.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::listed::{self, Deviation, controls};
use super::{strip, words};
use crate::summary::{ControlRow, SourceRow, Summary, TestRow};

mod manual;

/// The version of the schema.
const VERSION: &str = "1.3.0";
const CATEGORY: u64 = 2;
const CLASS: u64 = 2003;
const CREATE: u64 = 1;
const CLOSE: u64 = 3;
const RULE: u64 = 1;
const INFORMATIONAL: u64 = 1;

/// Whether a test held, as OCSF's `compliance` says it.
#[derive(Clone, Copy)]
enum Status {
    Pass,
    Warning,
    Fail,
}

/// The findings, in the order of the summary.
pub fn findings(summary: &Summary) -> Vec<Value> {
    let tests = summary.tests.iter();
    let results = tests.flat_map(|test| test.sources.iter().map(move |source| (test, source)));
    let deviations = listed::deviations(summary);
    results
        .map(|(test, source)| result(summary, test, source))
        .chain(deviations.iter().map(|deviation| deviated(summary, deviation)))
        .chain(summary.manual.iter().map(|row| manual::brought(summary, row)))
        .chain(
            listed::missed(summary)
                .iter()
                .map(|missed| manual::overdue(summary, missed)),
        )
        .collect()
}

fn result(summary: &Summary, test: &TestRow, source: &SourceRow) -> Value {
    let of = &source.all.observations;
    let failed = summary.deviations.iter().any(|failed| {
        failed.test == test.test && failed.collector == source.collector && failed.source == source.source
    });
    let (status, detail) = if failed || of.failed + of.excepted > 0 {
        (Status::Fail, "the test failed at least once")
    } else if source.all.covered_seconds < source.all.of_seconds || of.unknown > 0 || of.taken == 0 {
        (
            Status::Warning,
            "it did not fail where it was looked, but evidence does not speak for all of the time",
        )
    } else {
        (
            Status::Pass,
            "it did not fail, and evidence speaks for the whole of the time",
        )
    };
    let mut finding = base(summary, CREATE, summary.as_of, test.severity_id(status));
    finding["status_id"] = json!(1);
    finding["status"] = json!("New");
    finding["message"] = json!(format!("{}: {detail}", test.title));
    finding["compliance"] = compliance(summary, &test.test, status, detail);
    finding["finding_info"] = json!({
        "uid": format!("{}/{}/{}/{}", summary.origin, test.test, source.collector, source.source),
        "title": test.title,
        "desc": test.doc,
        "types": ["Test over a period"],
        "analytic": analytic(test),
        "created_time": millis(summary.as_of),
    });
    if let (Some(first), Some(last)) = (source.all.first, source.all.last) {
        finding["start_time"] = millis(first.time);
        finding["end_time"] = millis(last.time);
        finding["finding_info"]["first_seen_time"] = millis(first.time);
        finding["finding_info"]["last_seen_time"] = millis(last.time);
    }
    let named = source
        .targets
        .iter()
        .filter_map(|target| target.target.as_deref());
    let mut resources: Vec<Value> = named
        .map(|target| json!({ "uid": target, "name": target, "type": "target", "group": { "name": source.source } }))
        .collect();
    if resources.is_empty() {
        resources.push(json!({ "name": source.source, "type": "source" }));
    }
    finding["resources"] = Value::Array(resources);
    finding["unmapped"] = json!({
        "collector": source.collector,
        "source": source.source,
        "observations": of,
        "ticks": source.all.ticks,
        "covered_seconds": source.all.covered_seconds,
        "of_seconds": source.all.of_seconds,
        "days": strip::known(&source.all.days),
    });
    finding
}

fn deviated(summary: &Summary, deviation: &Deviation) -> Value {
    let failed = deviation.failed;
    let ended = failed.end.is_some();
    let status = match failed.state {
        _ if ended => (4, "Resolved"),
        "excepted" => (99, "Excepted"),
        _ if failed.acknowledged.is_empty() => (1, "New"),
        _ => (2, "In Progress"),
    };
    let severity = deviation
        .test
        .map_or(INFORMATIONAL, |test| words::severity(test.severity));
    let activity = if ended { CLOSE } else { CREATE };
    let mut finding = base(summary, activity, failed.detected, severity);
    (finding["status_id"], finding["status"]) = (json!(status.0), json!(status.1));
    let title = deviation
        .test
        .map_or_else(|| failed.test.clone(), |test| test.title.clone());
    finding["message"] = json!(format!("{title}: {} failed: {}", failed.resource, failed.reason));
    finding["compliance"] = compliance(summary, &failed.test, Status::Fail, &failed.reason);
    finding["start_time"] = millis(failed.first_fail.time);
    finding["end_time"] = millis(failed.last_fail.time);
    finding["finding_info"] = json!({
        "uid": format!(
            "{}/{}/{}/{}/{}/{}/{}",
            summary.origin, failed.test, failed.collector, failed.source, failed.target, failed.resource,
            failed.first_fail.evaluation
        ),
        "title": title,
        "desc": failed.reason,
        "types": ["Deviation"],
        "created_time": millis(failed.detected),
        "first_seen_time": millis(failed.first_fail.time),
        "last_seen_time": millis(failed.last_fail.time),
    });
    if let Some(test) = deviation.test {
        finding["finding_info"]["analytic"] = analytic(test);
    }
    if let Some(end) = &failed.end {
        finding["finding_info"]["modified_time"] = millis(end.time);
    }
    let mut resource = json!({
        "uid": failed.resource,
        "name": failed.resource,
        "group": { "name": format!("{}/{}", failed.source, failed.target) },
    });
    if let Some(test) = deviation.test {
        resource["type"] = json!(test.resource);
    }
    finding["resources"] = json!([resource]);
    finding["unmapped"] = json!({
        "deviation": deviation.id,
        "collector": failed.collector,
        "source": failed.source,
        "target": failed.target,
        "state": failed.state,
        "snapshot": failed.first_fail.snapshot,
        "evaluation": failed.first_fail.evaluation,
        "open_at_start": failed.open_at_start,
        "open_at_end": failed.open_at_end,
        "ticket": deviation.said.ticket,
    });
    finding
}

/// What the class demands of each.
fn base(summary: &Summary, activity: u64, time: DateTime<Utc>, severity: u64) -> Value {
    json!({
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Compliance Finding",
        "activity_id": activity,
        "activity_name": if activity == CLOSE { "Close" } else { "Create" },
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("Compliance Finding: {}", if activity == CLOSE { "Close" } else { "Create" }),
        "severity_id": severity,
        "severity": caption(severity),
        "time": millis(time),
        "metadata": {
            "version": VERSION,
            "product": { "name": "evidenced", "vendor_name": "evidenced", "version": env!("CARGO_PKG_VERSION") },
            "log_name": summary.origin,
            "labels": labels(summary),
        },
    })
}

fn caption(severity: u64) -> &'static str {
    match severity {
        INFORMATIONAL => "Informational",
        2 => "Low",
        3 => "Medium",
        4 => "High",
        _ => "Critical",
    }
}

fn labels(summary: &Summary) -> Vec<String> {
    let mut labels: Vec<String> = summary
        .period
        .name
        .iter()
        .map(|name| format!("period:{name}"))
        .collect();
    if !summary.draft.is_empty() {
        labels.push("draft".to_owned());
    }
    labels
}

/// A test that serves several controls names them all.
fn compliance(summary: &Summary, test: &str, status: Status, detail: &str) -> Value {
    complied(&controls(summary, test).collect::<Vec<_>>(), status, detail)
}

/// The same of a control itself.
fn compliance_of(summary: &Summary, control: &str, status: Status, detail: &str) -> Value {
    let own = summary.controls.iter().filter(|row| row.control == control);
    complied(&own.collect::<Vec<_>>(), status, detail)
}

fn complied(served: &[&ControlRow], status: Status, detail: &str) -> Value {
    let names: Vec<_> = served.iter().map(|control| control.control.as_str()).collect();
    let criteria: std::collections::BTreeSet<_> =
        served.iter().flat_map(|control| &control.criteria).collect();
    json!({
        "control": names.join(", "),
        "requirements": criteria.into_iter().map(ToString::to_string).collect::<Vec<_>>(),
        "standards": ["SOC 2"],
        "status_id": match status {
            Status::Pass => 1,
            Status::Warning => 2,
            Status::Fail => 3,
        },
        "status": match status {
            Status::Pass => "Pass",
            Status::Warning => "Warning",
            Status::Fail => "Fail",
        },
        "status_detail": detail,
    })
}

fn analytic(test: &TestRow) -> Value {
    json!({ "type_id": RULE, "type": "Rule", "uid": test.test, "name": test.test, "desc": test.passes })
}

fn millis(time: DateTime<Utc>) -> Value {
    json!(time.timestamp_millis())
}

impl TestRow {
    /// What failed is as bad as the test says; all else only tells.
    fn severity_id(&self, status: Status) -> u64 {
        match status {
            Status::Fail => words::severity(self.severity),
            Status::Warning | Status::Pass => INFORMATIONAL,
        }
    }
}
