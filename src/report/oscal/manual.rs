//! The evidence that people owe, as observations: one for each control, and one for each stretch in which it was overdue.

use serde_json::{Value, json};

use super::{Oscal, line, props};
use crate::log::leaf::format_time;
use crate::period::manual::DueState;
use crate::report::listed::Missed;
use crate::report::words;
use crate::summary::{AttachmentRow, ManualRow};

impl Oscal<'_> {
    pub(super) fn brought_uuid(&self, row: &ManualRow) -> String {
        self.uuid(&format!("manual {}", row.control))
    }

    pub(super) fn overdue_uuid(&self, missed: &Missed) -> String {
        self.uuid(&format!(
            "overdue {} {}",
            missed.row.control,
            format_time(missed.overdue.due)
        ))
    }

    /// What every observation of evidence that people owe has.
    fn examined(&self, uuid: &str, title: &str) -> Value {
        json!({
            "uuid": uuid,
            "title": line(title),
            "methods": ["EXAMINE"],
            "origins": [{ "actors": [{ "type": "tool", "actor-uuid": self.tool() }] }],
        })
    }

    pub(super) fn brought(&self, row: &ManualRow) -> Value {
        let title = format!("Evidence that people bring for {}", row.control);
        let mut observation = self.examined(&self.brought_uuid(row), &title);
        observation["description"] = json!(words::brought(row));
        observation["types"] = json!(["control-objective"]);
        let given: Vec<&AttachmentRow> = row
            .before
            .iter()
            .chain(row.dues.iter().filter_map(|due| due.given.as_ref()))
            .chain(&row.further)
            .collect();
        let newest = given.iter().map(|given| given.time).max();
        observation["collected"] = json!(format_time(newest.unwrap_or(self.summary.as_of)));
        let counted = |wanted: DueState| {
            let dues = row.dues.iter().filter(|due| due.state == wanted);
            dues.count().to_string()
        };
        let calendars: Vec<&str> = row
            .calendars
            .iter()
            .map(|calendar| calendar.every.as_str())
            .collect();
        observation["props"] = props([
            ("control", row.control.clone()),
            ("owner", row.owner.clone()),
            ("calendar", calendars.join(", ")),
            ("result", words::result_name(row.result).to_owned()),
            ("due-dates", row.dues.len().to_string()),
            ("on-time", counted(DueState::OnTime)),
            ("late", counted(DueState::Late)),
            ("given-overdue", counted(DueState::MetOverdue)),
            ("overdue", counted(DueState::Overdue)),
            ("in-grace", counted(DueState::Grace)),
            ("ahead", counted(DueState::Ahead)),
            ("covered-seconds", row.covered_seconds.to_string()),
            ("of-seconds", row.of_seconds.to_string()),
        ]);
        if !given.is_empty() {
            let evidence = given.iter().map(|given| self.attached(given));
            observation["relevant-evidence"] = evidence.collect();
        }
        observation
    }

    fn attached(&self, given: &AttachmentRow) -> Value {
        let mut evidence = self.evidence(&given.title, given.seq);
        evidence["props"] = props([
            ("log", self.summary.origin.clone()),
            ("seq", given.seq.to_string()),
            ("sealed", format_time(given.time)),
            ("covers-from", given.covers.from.to_string()),
            ("covers-to", given.covers.to.to_string()),
            ("prepared-by", given.prepared_by.clone()),
            ("approved-by", given.approved_by.clone()),
            ("file", given.file.clone()),
            ("sha256", given.sha256.clone().unwrap_or_default()),
        ]);
        evidence
    }

    pub(super) fn overdue(&self, missed: &Missed) -> Value {
        let overdue = missed.overdue;
        let title = format!("{}: evidence for {} was overdue", missed.id, missed.row.control);
        let mut observation = self.examined(&self.overdue_uuid(missed), &title);
        observation["description"] = json!(words::overdue(overdue));
        observation["types"] = json!(["finding"]);
        observation["collected"] = json!(format_time(overdue.from));
        let when = |time: Option<_>| time.map_or_else(String::new, format_time);
        observation["props"] = props([
            ("deviation", missed.id.clone()),
            ("control", missed.row.control.clone()),
            ("state", overdue.state.to_owned()),
            ("due", format_time(overdue.due)),
            ("overdue-from", format_time(overdue.from)),
            ("ended", when(overdue.to)),
            ("open-at-start", overdue.open_at_start.to_string()),
            ("open-at-end", overdue.open_at_end.to_string()),
            ("notified", when(overdue.notified.as_ref().map(|told| told.time))),
            (
                "acknowledged",
                when(overdue.acknowledged.first().map(|said| said.time)),
            ),
            ("ticket", missed.said.ticket.unwrap_or_default().to_owned()),
        ]);
        if let Some(by) = overdue.by {
            observation["relevant-evidence"] = json!([self.evidence("What was given at last", by)]);
        }
        observation
    }
}
