//! Joins a `[[test]]` with the test that it overrides, or makes a new one of it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

use super::{Join, note_overridden, set};
use crate::control::expression::Expression;
use crate::control::read::{ExampleEntry, TestEntry};
use crate::control::toml_table::At;
use crate::control::{Example, MaxAge, Outcome, Rules, Severity, Test};

impl Join<'_> {
    pub(super) fn test(&mut self, rules: &mut Rules, entry: TestEntry) {
        let span = entry.id.span.clone();
        let known = rules.tests.iter().position(|test| test.id == entry.id.value);
        let mut test = if let Some(index) = known {
            self.may_override(&rules.tests[index], &entry);
            let mut test = rules.tests[index].clone();
            note_overridden(&mut test.overridden, &entry.given);
            test
        } else {
            let required = ["title", "doc", "resource", "passes", "severity", "example"];
            let what = format!("the test {}", entry.id.value);
            if !self.required(&span, &what, &entry.given, &required) {
                return;
            }
            self.blank(&entry)
        };
        // Places within the file, for what can only be told from the joined test.
        let places = (entry.applies.clone(), entry.passes.clone());
        let examples = apply(&mut test, entry);
        if let Some(examples) = examples {
            test.examples = examples
                .into_iter()
                .filter_map(|each| self.example(&test, each))
                .collect();
            for outcome in [Outcome::Pass, Outcome::Fail] {
                if !test.examples.iter().any(|example| example.outcome == outcome) {
                    let message = format!("the test {} has no example that gives {outcome}", test.id);
                    self.problem(
                        &span,
                        message,
                        "add one, so that the test is seen to tell the two apart",
                    );
                }
            }
        }
        if !test.enabled && test.reason.is_none() {
            let message = format!("the test {} is switched off without a reason", test.id);
            self.problem(
                &span,
                message,
                "add `reason`: it stands in the plan, for the auditor",
            );
        }
        self.expressions(&test, &span, places);
        match known {
            Some(index) => rules.tests[index] = test,
            None => rules.tests.push(test),
        }
    }

    /// A test that does not exist yet; what is required has been seen to be given.
    fn blank(&self, entry: &TestEntry) -> Test {
        Test {
            id: entry.id.value.clone(),
            title: String::new(),
            doc: String::new(),
            resource: String::new(),
            applies: "true".to_owned(),
            passes: "true".to_owned(),
            parameters: BTreeMap::new(),
            severity: Severity::Medium,
            max_age: MaxAge::default(),
            enabled: true,
            reason: None,
            examples: Vec::new(),
            shipped: self.shipped,
            overridden: Vec::new(),
        }
    }

    /// What only an override can get wrong.
    fn may_override(&mut self, known: &Test, entry: &TestEntry) {
        let judging = ["resource", "applies", "passes"];
        if entry.examples.is_none()
            && let Some(field) = entry.given.iter().find(|field| judging.contains(field))
        {
            let message = format!(
                "the test {} is given another `{field}`, for which its examples were not made",
                known.id
            );
            self.problem(
                &entry.id.span,
                message,
                "add `example`, with at least one that passes and one that fails",
            );
        }
        for (name, at) in &entry.parameters {
            if let Some(old) = known.parameters.get(name)
                && entry.passes.is_none()
                && let Some(wanted) = other_type(old, &at.value)
            {
                let message = format!("the parameter {name} of {} must be {wanted}", known.id);
                self.problem(&at.span, message, format!("as in {old}"));
            }
        }
    }

    fn example(&mut self, test: &Test, entry: ExampleEntry) -> Option<Example> {
        let mut parameters = test.parameters.clone();
        for (name, At { value, span }) in entry.parameters {
            if parameters.insert(name.clone(), value).is_none() {
                let message = format!("the test {} has no parameter {name}", test.id);
                self.problem(
                    &span,
                    message,
                    "add it to the test's `parameters`, or correct its name",
                );
                return None;
            }
        }
        Some(Example {
            given: entry.given,
            unknown: entry.unknown,
            parameters,
            now: entry.now,
            outcome: entry.outcome,
        })
    }

    /// Checks both expressions; a fault in one that stands in this file is shown there, else at the id.
    fn expressions(
        &mut self,
        test: &Test,
        id: &Range<usize>,
        places: (Option<At<String>>, Option<At<String>>),
    ) {
        let names: Vec<&str> = test.parameters.keys().map(String::as_str).collect();
        let mut used = Vec::new();
        let mut sound = true;
        for (field, source, place) in [
            ("applies", &test.applies, places.0),
            ("passes", &test.passes, places.1),
        ] {
            match Expression::compile(source, &names) {
                Ok(expression) => used.push(expression),
                Err(faults) => {
                    sound = false;
                    for fault in faults {
                        let span = place
                            .as_ref()
                            .map_or(id.clone(), |at| self.within(at, &fault.range));
                        self.problem(
                            &span,
                            format!("{field} of {}: {}", test.id, fault.message),
                            fault.help,
                        );
                    }
                }
            }
        }
        // A misspelt parameter would silently change nothing.
        for name in names
            .iter()
            .filter(|name| sound && !used.iter().any(|each| each.uses(name)))
        {
            let message = format!("the test {} does not use a parameter {name}", test.id);
            self.problem(id, message, "correct its name, or remove it");
        }
    }

    /// A range of a TOML string's value as a range of the file: exact unless the string has escapes.
    fn within(&self, at: &At<String>, range: &Range<usize>) -> Range<usize> {
        let raw = self.text.get(at.span.clone()).unwrap_or_default();
        raw.find(&at.value).map_or(at.span.clone(), |offset| {
            let start = at.span.start + offset;
            start + range.start..start + range.end
        })
    }
}

/// Puts what the entry gives over the test; returns its examples, which need the joined parameters.
fn apply(test: &mut Test, entry: TestEntry) -> Option<Vec<ExampleEntry>> {
    set(&mut test.title, entry.title);
    set(&mut test.doc, entry.doc);
    set(&mut test.resource, entry.resource);
    set(&mut test.applies, entry.applies.map(|at| at.value));
    set(&mut test.passes, entry.passes.map(|at| at.value));
    set(&mut test.severity, entry.severity);
    set(&mut test.max_age, entry.max_age);
    if let Some(enabled) = entry.enabled {
        test.enabled = enabled;
        // The reason for being off does not outlive it.
        test.reason = None;
    }
    test.reason = entry.reason.or_else(|| test.reason.take());
    test.parameters
        .extend(entry.parameters.into_iter().map(|(name, at)| (name, at.value)));
    entry.examples
}

/// What a new value should have been: an override by another type would leave every finding unknown.
fn other_type(old: &Value, new: &Value) -> Option<&'static str> {
    let same = match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            return old
                .first()
                .and_then(|first| new.iter().find_map(|item| other_type(first, item)))
                .map(|_| "a list of the same kind");
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Object(_), Value::Object(_)) => true,
        _ => false,
    };
    (!same).then_some(match old {
        Value::Array(_) => "a list",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        _ => "a table",
    })
}
