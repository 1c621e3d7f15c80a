//! The shipped tests and controls, and how a company's file overrides and adds to them.
//!
//! A `[[test]]` or `[[control]]` whose id is known changes the fields that it gives; one whose id is new must give
//! all that is required. `parameters` changes the parameters that it names and leaves the others. A company's
//! numbers never break a shipped example: each example holds its own parameters.

mod join_control;
mod join_test;

use std::ops::Range;

use super::read::{self, File};
use super::toml_table::At;
use super::{Problem, Rules};

/// The shipped files: a name for messages, and the text.
pub const FILES: &[(&str, &str)] = &[
    ("host.toml", include_str!("catalogue/host.toml")),
    ("aws.toml", include_str!("catalogue/aws.toml")),
    ("s3.toml", include_str!("catalogue/s3.toml")),
    ("github.toml", include_str!("catalogue/github.toml")),
    (
        "github-changes.toml",
        include_str!("catalogue/github-changes.toml"),
    ),
];

impl Rules {
    /// What ships with this program.
    ///
    /// # Errors
    /// None that its own tests do not find first.
    pub fn shipped() -> Result<Self, Vec<Problem>> {
        let mut rules = Self::default();
        for (_, text) in FILES {
            rules = rules.join(text, true)?;
        }
        Ok(rules)
    }

    /// These rules, overridden and added to by a company's TOML text.
    ///
    /// # Errors
    /// Everything that is wrong with the text, not just the first mistake.
    pub fn with(self, text: &str) -> Result<Self, Vec<Problem>> {
        self.join(text, false)
    }

    fn join(mut self, text: &str, shipped: bool) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let File {
            tests,
            controls,
            exclusions,
        } = read::file(text, &mut problems);
        let ids = tests.iter().map(|test| (test.id.value.as_str(), &test.id.span));
        twice(ids, "test", &mut problems);
        let ids = controls
            .iter()
            .map(|control| (control.id.value.as_str(), &control.id.span));
        twice(ids, "control", &mut problems);
        for entry in tests {
            Join {
                text,
                shipped,
                problems: &mut problems,
            }
            .test(&mut self, entry);
        }
        for entry in controls {
            Join {
                text,
                shipped,
                problems: &mut problems,
            }
            .control(&mut self, entry);
        }
        for (exclusion, span) in exclusions {
            if let (Some(test), Some(span)) = (&exclusion.test, span)
                && !self.tests.iter().any(|known| known.id == *test)
            {
                problems.push(no_such_test(test.as_str(), span));
            }
            self.exclusions.push(exclusion);
        }
        if problems.is_empty() {
            Ok(self)
        } else {
            problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
            Err(problems)
        }
    }
}

fn twice<'a>(
    ids: impl Iterator<Item = (&'a str, &'a Range<usize>)>,
    what: &str,
    problems: &mut Vec<Problem>,
) {
    let mut seen = Vec::new();
    for (id, span) in ids {
        if seen.contains(&id) {
            problems.push(Problem::at(
                span.clone(),
                format!("the {what} {id} stands twice in this file"),
                "join the two, or rename one",
            ));
        }
        seen.push(id);
    }
}

fn no_such_test(id: &str, span: Range<usize>) -> Problem {
    Problem::at(
        span,
        format!("there is no test {id}"),
        "check the spelling; a test is defined before it is used, in this file or an earlier one",
    )
}

/// Joins one entry of a file with the rules.
struct Join<'a> {
    text: &'a str,
    shipped: bool,
    problems: &'a mut Vec<Problem>,
}

impl Join<'_> {
    fn problem(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::at(span.clone(), message, help));
    }

    fn required(&mut self, span: &Range<usize>, what: &str, given: &[&str], required: &[&str]) -> bool {
        let missing: Vec<_> = required
            .iter()
            .copied()
            .filter(|key| !given.contains(key))
            .collect();
        if !missing.is_empty() {
            let message = format!("{what} is new and gives no {}", missing.join(", "));
            self.problem(
                span,
                message,
                "add what is missing, or correct the id if it should override",
            );
        }
        missing.is_empty()
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn note_overridden(overridden: &mut Vec<String>, given: &[&str]) {
    for field in given {
        if !overridden.iter().any(|known| known == field) {
            overridden.push((*field).to_owned());
        }
    }
}

fn values<T>(items: Vec<At<T>>) -> Vec<T> {
    items.into_iter().map(|at| at.value).collect()
}

#[cfg(test)]
mod tests;
