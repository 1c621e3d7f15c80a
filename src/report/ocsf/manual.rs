//! The evidence that people owe: a finding for each control, and one for each stretch in which it was overdue.

use serde_json::{Value, json};

use super::{CLOSE, CREATE, INFORMATIONAL, Status, base, compliance_of, millis};
use crate::report::listed::Missed;
use crate::report::words;
use crate::summary::{ManualRow, PeriodResult, Summary};

/// What is overdue is as bad as alerts say that it is.
const HIGH: u64 = 4;

pub(super) fn brought(summary: &Summary, row: &ManualRow) -> Value {
    let status = match row.result {
        PeriodResult::Deviations => Status::Fail,
        PeriodResult::NoDeviations => Status::Pass,
        _ => Status::Warning,
    };
    let severity = if matches!(status, Status::Fail) {
        HIGH
    } else {
        INFORMATIONAL
    };
    let title = format!("Evidence that people bring for {}", row.control);
    let words = words::brought(row);
    let mut finding = base(summary, CREATE, summary.as_of, severity);
    finding["status_id"] = json!(1);
    finding["status"] = json!("New");
    finding["message"] = json!(format!("{title}: {words}"));
    finding["compliance"] = compliance_of(summary, &row.control, status, &words);
    finding["finding_info"] = json!({
        "uid": format!("{}/{}/manual", summary.origin, row.control),
        "title": title,
        "desc": words,
        "types": ["Manual evidence over a period"],
        "created_time": millis(summary.as_of),
    });
    finding["resources"] = json!([{ "uid": row.control, "name": row.control, "type": "control" }]);
    finding["unmapped"] = json!({
        "owner": row.owner,
        "state": row.state,
        "covered_seconds": row.covered_seconds,
        "of_seconds": row.of_seconds,
    });
    finding
}

pub(super) fn overdue(summary: &Summary, missed: &Missed) -> Value {
    let (row, overdue) = (missed.row, missed.overdue);
    let status = match overdue.to {
        Some(_) => (4, "Resolved"),
        None if overdue.acknowledged.is_empty() => (1, "New"),
        None => (2, "In Progress"),
    };
    let activity = if overdue.to.is_some() { CLOSE } else { CREATE };
    let words = words::overdue(overdue);
    let title = format!("Evidence for {} was overdue", row.control);
    let mut finding = base(summary, activity, overdue.from, HIGH);
    (finding["status_id"], finding["status"]) = (json!(status.0), json!(status.1));
    finding["message"] = json!(format!("{title}: {words}"));
    finding["compliance"] = compliance_of(summary, &row.control, Status::Fail, &words);
    finding["start_time"] = millis(overdue.from);
    finding["finding_info"] = json!({
        "uid": format!("{}/{}/manual/{}", summary.origin, row.control, overdue.due.timestamp_millis()),
        "title": title,
        "desc": words,
        "types": ["Deviation"],
        "created_time": millis(overdue.from),
        "first_seen_time": millis(overdue.from),
    });
    if let Some(to) = overdue.to {
        finding["end_time"] = millis(to);
        finding["finding_info"]["modified_time"] = millis(to);
        finding["finding_info"]["last_seen_time"] = millis(to);
    }
    finding["resources"] = json!([{ "uid": row.control, "name": row.control, "type": "control" }]);
    finding["unmapped"] = json!({
        "deviation": missed.id,
        "owner": row.owner,
        "due": millis(overdue.due),
        "state": overdue.state,
        "attachment": overdue.by,
        "open_at_start": overdue.open_at_start,
        "open_at_end": overdue.open_at_end,
        "ticket": missed.said.ticket,
    });
    finding
}
