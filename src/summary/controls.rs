//! The controls in scope, each with what its tests showed.

use chrono::{DateTime, Utc};

use super::tested::version_row;
use super::{ControlRow, Failed, PeriodResult, TestRow};
use crate::control::Control;
use crate::period::rules::{self, Version, Versions};
use crate::period::window::Window;

pub(super) fn rows(
    versions: &Versions,
    tests: &[TestRow],
    deviations: &[Failed],
    period: &Window,
    as_of: DateTime<Utc>,
) -> Vec<ControlRow> {
    let end = period.to.min(as_of);
    let controls = versions.controls().filter_map(|versions| {
        let within: Vec<&Version<Control>> = rules::within(versions, period.from, end).collect();
        let newest = within.last()?;
        period
            .has_criteria(&newest.is.criteria)
            .then(|| row(&newest.is, &within, tests, deviations))
    });
    controls.collect()
}

fn row(
    control: &Control,
    versions: &[&Version<Control>],
    tests: &[TestRow],
    deviations: &[Failed],
) -> ControlRow {
    // Also tests that served it earlier in the period.
    let served = |test: &&TestRow| {
        versions
            .iter()
            .any(|of| of.is.tests.iter().any(|id| id.as_str() == test.test))
    };
    let tests: Vec<&TestRow> = tests.iter().filter(served).collect();
    let failed = deviations
        .iter()
        .filter(|failed| tests.iter().any(|test| test.test == failed.test));
    let (mut deviations, mut open) = (0, 0);
    for failed in failed {
        deviations += 1;
        open += u64::from(matches!(failed.state, "open" | "excepted"));
    }
    let percents = tests
        .iter()
        .flat_map(|test| &test.sources)
        .map(|source| source.all.coverage_percent);
    let coverage_percent = percents.flatten().min_by(f64::total_cmp);
    ControlRow {
        control: control.id.to_string(),
        statement: control.statement.clone(),
        owner: control.owner.clone(),
        frequency: control.frequency.clone(),
        criteria: control.criteria.clone(),
        versions: versions.iter().map(|version| version_row(version)).collect(),
        tests: tests.iter().map(|test| test.test.clone()).collect(),
        result: result(&tests, deviations),
        deviations,
        open,
        coverage_percent,
    }
}

fn result(tests: &[&TestRow], deviations: u64) -> PeriodResult {
    let tallies = || {
        tests
            .iter()
            .flat_map(|test| &test.sources)
            .map(|source| &source.all)
    };
    if tests.is_empty() {
        PeriodResult::NotTested
    } else if deviations > 0 || tallies().any(|of| of.observations.failed > 0) {
        PeriodResult::Deviations
    } else if tallies().all(|of| of.observations.taken == 0 && of.before.is_none()) {
        PeriodResult::NoEvidence
    } else if tests.iter().any(|test| test.sources.is_empty())
        || tallies().any(|of| of.covered_seconds < of.of_seconds || of.observations.unknown > 0)
    {
        PeriodResult::Incomplete
    } else if tallies()
        .all(|of| of.observations.taken > 0 && of.observations.taken == of.observations.not_applicable)
    {
        PeriodResult::NoOccurrence
    } else {
        PeriodResult::NoDeviations
    }
}
