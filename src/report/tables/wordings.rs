//! The table of tests that were worded in several ways: a row for each wording.

use std::io;

use super::{begun, percent};
use crate::log::leaf::format_time;
use crate::summary::{Otherwise, Summary};

/// A row for each wording of a test that has several.
pub(super) fn table(summary: &Summary) -> io::Result<Vec<u8>> {
    let mut table = begun(&[
        "test",
        "from",
        "plans",
        "resource",
        "applies",
        "passes",
        "parameters",
        "max_age",
        "comparison",
        "stricter",
        "looks",
        "passed",
        "failed",
        "unknown",
        "excepted",
        "not_applicable",
        "covered_seconds",
        "of_seconds",
        "coverage_percent",
        "fail_that_passed",
        "fail_that_passed_resources",
        "fail_that_passed_named",
        "pass_that_failed",
        "pass_that_failed_resources",
        "pass_that_failed_named",
        "not_judged_again",
    ])?;
    let changed = summary.tests.iter();
    for (test, beside) in changed.filter_map(|test| Some((test, test.beside.as_ref()?))) {
        for wording in &beside.wordings {
            let plans: Vec<_> = wording.plans.iter().map(u64::to_string).collect();
            let of = &wording.observations;
            let mut row = vec![
                test.test.clone(),
                format_time(wording.from),
                plans.join(" "),
                wording.resource.clone(),
                wording.applies.clone(),
                wording.passes.clone(),
                parameters(wording.parameters.iter()),
                wording.max_age.clone(),
                beside.comparison.as_str().to_owned(),
                if wording.stricter { "yes" } else { "no" }.to_owned(),
                of.taken.to_string(),
                of.passed.to_string(),
                of.failed.to_string(),
                of.unknown.to_string(),
                of.excepted.to_string(),
                of.not_applicable.to_string(),
                wording.covered_seconds.to_string(),
                wording.of_seconds.to_string(),
                percent(wording.coverage_percent),
            ];
            row.extend(otherwise(&wording.fails_where_passed));
            row.extend(otherwise(&wording.passes_where_failed));
            row.push(beside.unreadable.len().to_string());
            table.row(row)?;
        }
    }
    table.finish()
}

fn parameters<'a>(of: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> String {
    let of: Vec<_> = of.map(|(name, value)| format!("{name} = {value}")).collect();
    of.join("; ")
}

fn otherwise(of: &Otherwise) -> [String; 3] {
    let named: Vec<_> = of.named.iter().map(|named| named.resource.as_str()).collect();
    [
        of.findings.to_string(),
        of.resources.to_string(),
        named.join("; "),
    ]
}
