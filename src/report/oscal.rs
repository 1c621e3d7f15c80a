//! A period as NIST's OSCAL has it: an assessment-results document, for tools of compliance.
//!
//! It holds what the summary tells and nothing made up: an observation for each test at each source and for each deviation,
//! a finding for each control. OSCAL knows only `satisfied` and `not-satisfied`: the first stands where no deviation was noted
//! and evidence speaks for the whole of the time, and nowhere else. UUIDs follow from the log's name, the period and what they
//! are of (version 5), so that anybody can make them again.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::listed::{self, Deviation, Missed};
use super::{strip, words};
use crate::log::leaf::format_time;
use crate::summary::{ControlRow, PeriodResult, SourceRow, State, Summary, TestRow};

/// The version that the document is of.
const VERSION: &str = "1.1.2";

mod manual;

/// Whose names the properties have.
const NAMES: &str = "urn:evidenced:oscal:1";

/// The document.
pub fn assessment_results(summary: &Summary) -> Value {
    let oscal = Oscal::new(summary);
    let name = oscal.name();
    json!({ "assessment-results": {
        "uuid": oscal.uuid(&format!("document as of {} leaves", summary.size)),
        "metadata": {
            "title": line(&format!("Observation period {name}")),
            "last-modified": format_time(summary.as_of),
            "version": format!("as of {} leaves", summary.size),
            "oscal-version": VERSION,
            "props": props([
                ("log", summary.origin.clone()),
                ("timezone", summary.period.zone.to_string()),
                ("status", if summary.draft.is_empty() { "complete" } else { "draft" }.to_owned()),
            ]),
            "remarks": remarks(summary),
        },
        "import-ap": {
            "href": format!("#{}", oscal.uuid("summary")),
            "remarks": "No assessment plan of the auditor's is known here. What was collected and how it was judged stands \
                        in the log's plans, as the summary tells.",
        },
        "results": [oscal.result()],
        "back-matter": { "resources": [{
            "uuid": oscal.uuid("summary"),
            "title": "Summary of the period",
            "description": "All that this document is made of, with the plans' tests and controls as they were worded.",
            "rlinks": [{ "href": "../period.json", "media-type": "application/json" }],
        }] },
    } })
}

struct Oscal<'a> {
    summary: &'a Summary,
    space: Uuid,
    deviations: Vec<Deviation<'a>>,
    missed: Vec<Missed<'a>>,
}

impl<'a> Oscal<'a> {
    fn new(summary: &'a Summary) -> Self {
        let period = &summary.period;
        let space = format!(
            "urn:evidenced:{}:{}:{}:{}",
            summary.origin,
            period.name.as_deref().unwrap_or_default(),
            format_time(period.from),
            format_time(period.to)
        );
        Self {
            summary,
            space: Uuid::new_v5(&Uuid::NAMESPACE_URL, space.as_bytes()),
            deviations: listed::deviations(summary),
            missed: listed::missed(summary),
        }
    }

    fn uuid(&self, of: &str) -> String {
        Uuid::new_v5(&self.space, of.as_bytes()).to_string()
    }

    fn name(&self) -> String {
        let period = &self.summary.period;
        period
            .name
            .clone()
            .unwrap_or_else(|| format!("{} to {}", format_time(period.from), format_time(period.to)))
    }

    fn result(&self) -> Value {
        let summary = self.summary;
        let end = summary.period.to.min(summary.as_of).max(summary.period.from);
        let mut result = json!({
            "uuid": self.uuid("result"),
            "title": line(&self.name()),
            "description": "What tests found in snapshots that were sealed within the period.",
            "start": format_time(summary.period.from),
            "end": format_time(end),
            "local-definitions": { "components": self.components() },
            "reviewed-controls": { "control-selections": [self.selection()] },
        });
        let observations: Vec<Value> = self
            .sources()
            .map(|(test, source)| self.tested(test, source))
            .chain(self.deviations.iter().map(|deviation| self.deviated(deviation)))
            .chain(summary.manual.iter().map(|row| self.brought(row)))
            .chain(self.missed.iter().map(|missed| self.overdue(missed)))
            .collect();
        let findings: Vec<Value> = summary
            .controls
            .iter()
            .map(|control| self.finding(control))
            .collect();
        // OSCAL has no empty lists.
        for (name, list) in [("observations", observations), ("findings", findings)] {
            if !list.is_empty() {
                result[name] = Value::Array(list);
            }
        }
        result
    }

    fn selection(&self) -> Value {
        let ids: Vec<Value> = self
            .summary
            .controls
            .iter()
            .map(|control| json!({ "control-id": control.control }))
            .collect();
        if ids.is_empty() {
            return json!({
                "description": "No control in scope was in force.",
                "include-all": {},
            });
        }
        json!({
            "description": "The company's own controls, by their ids; the criteria that each serves stand in its finding.",
            "include-controls": ids,
        })
    }

    /// The tool, and every source that a test was taken of.
    fn components(&self) -> Vec<Value> {
        let mut components = vec![json!({
            "uuid": self.tool(),
            "type": "software",
            "title": "evidenced",
            "description": "Collected the evidence, sealed it and judged it.",
            "props": props([("version", env!("CARGO_PKG_VERSION").to_owned())]),
            "status": { "state": "operational" },
        })];
        let mut known = std::collections::BTreeSet::new();
        for (_, source) in self.sources() {
            if known.insert((&source.collector, &source.source)) {
                components.push(json!({
                    "uuid": self.source(&source.collector, &source.source),
                    "type": "service",
                    "title": line(&source.source),
                    "description": format!("A source of evidence, read by the collector {}.", source.collector),
                    "status": {
                        "state": "other",
                        "remarks": "Whether it operates was not looked at, only how it is configured.",
                    },
                }));
            }
        }
        components
    }

    fn sources(&self) -> impl Iterator<Item = (&'a TestRow, &'a SourceRow)> {
        let tests = self.summary.tests.iter();
        tests.flat_map(|test| test.sources.iter().map(move |source| (test, source)))
    }

    fn tool(&self) -> String {
        self.uuid("component evidenced")
    }

    fn source(&self, collector: &str, source: &str) -> String {
        self.uuid(&format!("component {collector} {source}"))
    }

    fn tested_uuid(&self, test: &TestRow, source: &SourceRow) -> String {
        self.uuid(&format!(
            "test {} {} {}",
            test.test, source.collector, source.source
        ))
    }

    fn deviated_uuid(&self, deviation: &Deviation) -> String {
        let failed = deviation.failed;
        self.uuid(&format!(
            "deviation {} {} {} {} {} {}",
            failed.test,
            failed.collector,
            failed.source,
            failed.target,
            failed.resource,
            failed.first_fail.evaluation
        ))
    }

    /// What every observation has.
    fn observation(&self, uuid: &str, title: &str, collector: &str, source: &str) -> Value {
        json!({
            "uuid": uuid,
            "title": line(title),
            "methods": ["TEST"],
            "origins": [{ "actors": [{ "type": "tool", "actor-uuid": self.tool() }] }],
            "subjects": [{ "subject-uuid": self.source(collector, source), "type": "component" }],
        })
    }

    fn tested(&self, test: &TestRow, source: &SourceRow) -> Value {
        let (of, ticks) = (&source.all.observations, &source.all.ticks);
        let mut observation = self.observation(
            &self.tested_uuid(test, source),
            &format!("{} at {}", test.title, source.source),
            &source.collector,
            &source.source,
        );
        let known = strip::known(&source.all.days);
        observation["description"] = json!(test.doc);
        observation["types"] = json!(["control-objective"]);
        observation["collected"] = json!(format_time(self.last(source)));
        observation["props"] = props([
            ("test", test.test.clone()),
            ("collector", source.collector.clone()),
            ("resource", test.resource.clone()),
            ("applies", test.applies.clone()),
            ("passes", test.passes.clone()),
            ("max-age", test.max_age.clone()),
            ("severity", test.severity.to_string()),
            ("targets", source.targets.len().to_string()),
            ("looks", of.taken.to_string()),
            ("passed", of.passed.to_string()),
            ("failed", of.failed.to_string()),
            ("unknown", of.unknown.to_string()),
            ("excepted", of.excepted.to_string()),
            ("not-applicable", of.not_applicable.to_string()),
            ("ticks-owed", ticks.owed.to_string()),
            ("ticks-collected", ticks.collected.to_string()),
            ("covered-seconds", source.all.covered_seconds.to_string()),
            ("of-seconds", source.all.of_seconds.to_string()),
            (
                "coverage-percent",
                source
                    .all
                    .coverage_percent
                    .map_or_else(String::new, |percent| format!("{percent:.2}")),
            ),
            ("days-observed", known.observed.to_string()),
            ("days-inferred", known.inferred.to_string()),
            ("days-without-evidence", known.nothing.to_string()),
        ]);
        let ends = [("first", source.all.first), ("last", source.all.last)].into_iter();
        let evidence: Vec<Value> = ends
            .filter_map(|(which, at)| {
                at.map(|at| self.evidence(&format!("The {which} snapshot"), at.snapshot))
            })
            .collect();
        if !evidence.is_empty() {
            observation["relevant-evidence"] = Value::Array(evidence);
        }
        observation
    }

    /// When a source was looked at last; as of when the summary is where it never was.
    fn last(&self, source: &SourceRow) -> DateTime<Utc> {
        source.all.last.map_or(self.summary.as_of, |at| at.time)
    }

    fn deviated(&self, deviation: &Deviation) -> Value {
        let failed = deviation.failed;
        let mut observation = self.observation(
            &self.deviated_uuid(deviation),
            &format!("{}: {}", deviation.id, failed.resource),
            &failed.collector,
            &failed.source,
        );
        observation["description"] = json!(failed.reason);
        observation["types"] = json!(["finding"]);
        observation["collected"] = json!(format_time(failed.first_fail.time));
        let when = |time: Option<DateTime<Utc>>| time.map_or_else(String::new, format_time);
        observation["props"] = props([
            ("deviation", deviation.id.clone()),
            ("test", failed.test.clone()),
            ("state", failed.state.to_owned()),
            ("target", failed.target.clone()),
            ("resource", failed.resource.clone()),
            ("seen-before", when(failed.before.as_ref().map(|seen| seen.time))),
            ("first-fail", format_time(failed.first_fail.time)),
            ("last-fail", format_time(failed.last_fail.time)),
            ("ended", when(failed.end.as_ref().map(|seen| seen.time))),
            ("detected", format_time(failed.detected)),
            ("open-at-start", failed.open_at_start.to_string()),
            ("open-at-end", failed.open_at_end.to_string()),
            ("notified", when(failed.notified.as_ref().map(|told| told.time))),
            (
                "acknowledged",
                when(failed.acknowledged.first().map(|said| said.time)),
            ),
            ("ticket", deviation.said.ticket.unwrap_or_default().to_owned()),
        ]);
        observation["relevant-evidence"] = json!([
            self.evidence("The snapshot that it was found in", failed.first_fail.snapshot),
            self.evidence("The evaluation that found it", failed.first_fail.evaluation),
        ]);
        observation
    }

    fn evidence(&self, what: &str, seq: u64) -> Value {
        json!({
            "description": format!("{what}: leaf {seq} of the log {}", self.summary.origin),
            "props": props([("log", self.summary.origin.clone()), ("seq", seq.to_string())]),
        })
    }

    fn finding(&self, control: &ControlRow) -> Value {
        let (state, reason) = match control.result {
            PeriodResult::NoDeviations => ("satisfied", "pass"),
            PeriodResult::Deviations => ("not-satisfied", "fail"),
            PeriodResult::Incomplete
            | PeriodResult::NoEvidence
            | PeriodResult::NoOccurrence
            | PeriodResult::NotTested => ("not-satisfied", "other"),
        };
        let criteria: Vec<_> = control.criteria.iter().map(ToString::to_string).collect();
        let mut brought = self.summary.manual.iter();
        let brought = brought.find(|row| row.control == control.control);
        let tests = self
            .sources()
            .filter(|(test, _)| control.tests.contains(&test.test));
        let tests = tests.map(|(test, source)| self.tested_uuid(test, source));
        let deviations = self
            .deviations
            .iter()
            .filter(|deviation| control.tests.contains(&deviation.failed.test))
            .map(|deviation| self.deviated_uuid(deviation));
        let manual = self.summary.manual.iter();
        let manual = manual
            .filter(|row| row.control == control.control)
            .map(|row| self.brought_uuid(row));
        let missed = self.missed.iter();
        let missed = missed
            .filter(|missed| missed.row.control == control.control)
            .map(|missed| self.overdue_uuid(missed));
        let related: Vec<Value> = tests
            .chain(deviations)
            .chain(manual)
            .chain(missed)
            .map(|uuid| json!({ "observation-uuid": uuid }))
            .collect();
        let mut finding = json!({
            "uuid": self.uuid(&format!("finding {}", control.control)),
            "title": line(&control.control),
            "description": control.statement,
            "props": props([
                ("owner", control.owner.clone()),
                ("criteria", criteria.join(" ")),
                ("result", words::result_name(control.result).to_owned()),
                ("deviations", control.deviations.to_string()),
                ("open", control.open.to_string()),
            ]),
            "target": {
                "type": "objective-id",
                "target-id": control.control,
                "status": {
                    "state": state,
                    "reason": reason,
                    "remarks": format!(
                        "{}. That tests passed is evidence; the conclusion is the auditor's.",
                        words::result(control, brought)
                    ),
                },
            },
        });
        if !related.is_empty() {
            finding["related-observations"] = Value::Array(related);
        }
        finding
    }
}

fn remarks(summary: &Summary) -> String {
    let mut said = vec![
        match summary.state {
            State::Ahead => "The period has not begun.",
            State::Running => "The period goes on.",
            State::Ended => "The period has ended.",
        }
        .to_owned(),
    ];
    said.extend(
        summary
            .draft
            .iter()
            .map(|reason| format!("This is a draft: {reason}.")),
    );
    said.push(
        "What is told here rests on what the sources answered, and on the plan by which they were asked."
            .to_owned(),
    );
    said.join(" ")
}

/// Properties, without those that have no value.
fn props<const N: usize>(named: [(&str, String); N]) -> Value {
    let told = named.into_iter().map(|(name, value)| (name, line(&value)));
    told.filter(|(_, value)| value != NOTHING)
        .map(|(name, value)| json!({ "name": name, "ns": NAMES, "value": value }))
        .collect()
}

const NOTHING: &str = "(nothing)";

/// A text as one line, as OSCAL's titles and values are, and never empty.
fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    if words.is_empty() {
        return NOTHING.to_owned();
    }
    words.join(" ")
}
