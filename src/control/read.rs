//! What a file of tests, controls and exclusions says, before it is joined with what is known already.

use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::toml_table::{At, Table};
use super::{ControlId, Criterion, Exclusion, Manual, MaxAge, Outcome, Problem, Severity, TestId};

/// A file's content.
#[derive(Default)]
pub(super) struct File {
    pub(super) tests: Vec<TestEntry>,
    pub(super) controls: Vec<ControlEntry>,
    pub(super) exclusions: Vec<(Exclusion, Option<Range<usize>>)>,
}

/// A `[[test]]`: only what it gives. `None` for examples means that none are given.
pub(super) struct TestEntry {
    pub(super) id: At<TestId>,
    pub(super) title: Option<String>,
    pub(super) doc: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) applies: Option<At<String>>,
    pub(super) passes: Option<At<String>>,
    pub(super) parameters: BTreeMap<String, At<Value>>,
    pub(super) severity: Option<Severity>,
    pub(super) max_age: Option<MaxAge>,
    pub(super) enabled: Option<bool>,
    pub(super) reason: Option<String>,
    pub(super) examples: Option<Vec<ExampleEntry>>,
    /// Every key given, right or wrong, the id aside.
    pub(super) given: Vec<&'static str>,
}

/// An example, its parameters not yet completed.
pub(super) struct ExampleEntry {
    pub(super) given: BTreeMap<String, Value>,
    pub(super) unknown: BTreeMap<String, String>,
    pub(super) parameters: BTreeMap<String, At<Value>>,
    pub(super) now: Option<DateTime<Utc>>,
    pub(super) outcome: Outcome,
}

/// A `[[control]]`: only what it gives.
pub(super) struct ControlEntry {
    pub(super) id: At<ControlId>,
    pub(super) statement: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) frequency: Option<String>,
    pub(super) criteria: Option<At<Vec<At<Criterion>>>>,
    pub(super) tests: Option<Vec<At<TestId>>>,
    pub(super) manual: Option<Manual>,
    pub(super) enabled: Option<bool>,
    pub(super) reason: Option<String>,
    pub(super) given: Vec<&'static str>,
}

const TEST: [&str; 12] = [
    "id",
    "title",
    "doc",
    "resource",
    "applies",
    "passes",
    "parameters",
    "severity",
    "max_age",
    "enabled",
    "reason",
    "example",
];
const CONTROL: [&str; 9] = [
    "id",
    "statement",
    "owner",
    "frequency",
    "criteria",
    "tests",
    "manual",
    "enabled",
    "reason",
];
const MANUAL: [&str; 4] = ["every", "timezone", "grace", "max_age"];
const EXAMPLE: [&str; 5] = ["given", "unknown", "parameters", "now", "outcome"];
const EXCLUSION: [&str; 6] = ["reason", "kind", "resource", "test", "source", "target"];

/// Reads a whole file.
pub(super) fn file(text: &str, problems: &mut Vec<Problem>) -> File {
    let (document, errors) = DeTable::parse_recoverable(text);
    problems.extend(errors.iter().map(|error| Problem {
        message: format!("TOML syntax: {}", error.message()),
        help: "see toml.io for the language".to_owned(),
        span: error.span(),
    }));
    let document = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    let mut file = File::default();
    let Some(mut table) = Table::read(&document, "the file", &["test", "control", "exclusion"], problems)
    else {
        return file;
    };
    let (tests, controls) = (table.tables("test"), table.tables("control"));
    let exclusions = table.tables("exclusion");
    file.tests = tests.iter().filter_map(|each| test(each, problems)).collect();
    file.controls = controls
        .iter()
        .filter_map(|each| control(each, problems))
        .collect();
    file.exclusions = exclusions
        .iter()
        .filter_map(|each| exclusion(each, problems))
        .collect();
    file
}

fn test(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Option<TestEntry> {
    let mut table = Table::read(value, "[[test]]", &TEST, problems)?;
    let examples = table.has("example").then(|| {
        let list = table.tables("example");
        list.iter()
            .filter_map(|each| example(each, table.problems))
            .collect()
    });
    let entry = (
        table.text("title"),
        table.text("doc"),
        table.text("resource"),
        table.parsed("severity", |text| named(text, &SEVERITIES)),
        table.parsed("max_age", MaxAge::parse),
        table.field("enabled", "true or false", DeValue::as_bool),
        table.text("reason"),
    );
    let (title, doc, resource, severity, max_age, enabled, reason) = entry;
    let (applies, passes) = (table.text("applies"), table.text("passes"));
    let parameters = table.values("parameters").unwrap_or_default();
    let given = given(&table, &TEST);
    Some(TestEntry {
        id: id(&mut table, "[[test]]", TestId::parse)?,
        title: title.map(|at| at.value),
        doc: doc.map(|at| at.value),
        resource: resource.map(|at| at.value),
        applies,
        passes,
        parameters,
        severity: severity.map(|at| at.value),
        max_age: max_age.map(|at| at.value),
        enabled: enabled.map(|at| at.value),
        reason: reason.map(|at| at.value),
        examples,
        given,
    })
}

fn example(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Option<ExampleEntry> {
    let mut table = Table::read(value, "example", &EXAMPLE, problems)?;
    let given = attributes(&mut table);
    let unknown = unknown(&mut table);
    let parameters = table.values("parameters").unwrap_or_default();
    let now = table.instant("now");
    for name in unknown.keys().filter(|name| given.contains_key(*name)) {
        let span = table.span.clone();
        table.problem(
            &span,
            format!("{name} is both given and unknown"),
            "remove one of the two",
        );
    }
    let outcome = table.parsed("outcome", |text| named(text, &OUTCOMES));
    if !table.has("outcome") {
        let span = table.span.clone();
        table.problem(
            &span,
            "the example says no outcome",
            "add `outcome`, such as \"fail\"",
        );
    }
    Some(ExampleEntry {
        given,
        unknown,
        parameters,
        now,
        outcome: outcome?.value,
    })
}

/// A table, or the same as JSON text: TOML has no null.
fn attributes(table: &mut Table<'_, '_, '_>) -> BTreeMap<String, Value> {
    if table.raw("given").is_some_and(|value| value.get_ref().is_str()) {
        let read = table.parsed("given", |text| {
            serde_json::from_str(text).map_err(|error| format!("given is no JSON object: {error}"))
        });
        return read.map(|at| at.value).unwrap_or_default();
    }
    let values = table.values("given").unwrap_or_default();
    values.into_iter().map(|(name, at)| (name, at.value)).collect()
}

/// Names of attributes, or names and reasons.
fn unknown(table: &mut Table<'_, '_, '_>) -> BTreeMap<String, String> {
    if table
        .raw("unknown")
        .is_some_and(|value| value.get_ref().is_array())
    {
        let names = table.parsed_list("unknown", |name| Ok(name.to_owned()));
        let names = names.map(|names| names.value).unwrap_or_default();
        return names
            .into_iter()
            .map(|name| (name.value, "unknown in this example".to_owned()))
            .collect();
    }
    let mut reasons = BTreeMap::new();
    for (name, at) in table.values("unknown").unwrap_or_default() {
        match at.value {
            Value::String(reason) if !reason.trim().is_empty() => {
                reasons.insert(name, reason);
            }
            _ => table.problem(
                &at.span,
                format!("{name} is unknown without a reason"),
                "give the reason as a string",
            ),
        }
    }
    reasons
}

fn control(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Option<ControlEntry> {
    let mut table = Table::read(value, "[[control]]", &CONTROL, problems)?;
    let (statement, owner) = (table.text("statement"), table.text("owner"));
    let (frequency, reason) = (table.text("frequency"), table.text("reason"));
    let criteria = table.parsed_list("criteria", Criterion::parse);
    let tests = table.parsed_list("tests", TestId::parse);
    let manual = table
        .raw("manual")
        .and_then(|value| manual(value, table.problems));
    let enabled = table.field("enabled", "true or false", DeValue::as_bool);
    let given = given(&table, &CONTROL);
    Some(ControlEntry {
        id: id(&mut table, "[[control]]", ControlId::parse)?,
        statement: statement.map(|at| at.value),
        owner: owner.map(|at| at.value),
        frequency: frequency.map(|at| at.value),
        criteria,
        tests: tests.map(|at| at.value),
        manual,
        enabled: enabled.map(|at| at.value),
        reason: reason.map(|at| at.value),
        given,
    })
}

fn manual(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Option<Manual> {
    let mut table = Table::read(value, "manual", &MANUAL, problems)?;
    let every = table.parsed("every", Manual::check_calendar);
    let timezone = table.parsed("timezone", Manual::check_zone);
    let (grace, max_age) = (
        table.parsed("grace", MaxAge::parse),
        table.parsed("max_age", MaxAge::parse),
    );
    if !table.has("every") {
        let span = table.span.clone();
        table.problem(
            &span,
            "manual says no calendar",
            "add `every`, such as \"quarterly\"",
        );
    }
    let timezone = timezone.map(|at| at.value);
    let every = every?.value;
    Manual::new(
        &every,
        timezone.as_deref(),
        grace.map(|at| at.value),
        max_age.map(|at| at.value),
    )
    .ok()
}

fn exclusion(
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<(Exclusion, Option<Range<usize>>)> {
    let mut table = Table::read(value, "[[exclusion]]", &EXCLUSION, problems)?;
    let span = table.span.clone();
    let reason = table.text("reason");
    if !table.has("reason") {
        table.problem(
            &span,
            "the exclusion gives no reason",
            "add `reason`: an auditor will ask",
        );
    }
    if !EXCLUSION[1..].iter().any(|key| table.has(key)) {
        table.problem(
            &span,
            "the exclusion would exclude everything",
            "add at least one of kind, resource, test, source, target",
        );
    }
    let test = table.parsed("test", TestId::parse);
    let mut string = |key| table.text(key).map(|at| at.value);
    let exclusion = Exclusion {
        kind: string("kind"),
        resource: string("resource"),
        source: string("source"),
        target: string("target"),
        reason: reason?.value,
        test: test.as_ref().map(|at| at.value.clone()),
    };
    Some((exclusion, test.map(|at| at.span)))
}

fn id<T>(
    table: &mut Table<'_, '_, '_>,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<At<T>> {
    let id = table.parsed("id", parse);
    if !table.has("id") {
        let span = table.span.clone();
        table.problem(&span, format!("{what} without an id"), "add `id = \"…\"`");
    }
    id
}

fn given(table: &Table<'_, '_, '_>, keys: &[&'static str]) -> Vec<&'static str> {
    keys.iter()
        .copied()
        .filter(|key| *key != "id" && table.has(key))
        .collect()
}

const SEVERITIES: [(&str, Severity); 4] = [
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
];
/// Without `excepted`: a waiver is no part of a test.
const OUTCOMES: [(&str, Outcome); 4] = [
    ("pass", Outcome::Pass),
    ("fail", Outcome::Fail),
    ("unknown", Outcome::Unknown),
    ("not_applicable", Outcome::NotApplicable),
];

fn named<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, String> {
    names
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is none of {}", names.join(", "))
        })
}
