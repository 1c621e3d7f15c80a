//! What the evidence that people owe makes of a control, beside its tests.

use chrono::TimeDelta;

use super::{ControlRow, ManualRow, PeriodResult};
use crate::log::leaf::format_time;
use crate::period::manual::{Course, DueState};
use crate::period::window::Window;

/// What came of it, the control's tests left aside.
pub(super) fn result(course: &Course) -> PeriodResult {
    if !course.overdue.is_empty() {
        PeriodResult::Deviations
    } else if course.covered == TimeDelta::zero() {
        PeriodResult::NoEvidence
    } else if !course.bare.is_empty() || course.is_awaited() {
        PeriodResult::Incomplete
    } else {
        PeriodResult::NoDeviations
    }
}

/// Tells each control what came of the evidence that people owe for it.
pub(in super::super) fn join(controls: &mut [ControlRow], rows: &[ManualRow]) {
    for control in controls {
        let Some(row) = rows.iter().find(|row| row.control == control.control) else {
            continue;
        };
        control.deviations += row.overdue.len() as u64;
        control.open += row.open();
        control.result = joined(control.result, row.result);
        control.coverage_percent = control
            .coverage_percent
            .into_iter()
            .chain(row.coverage_percent)
            .min_by(f64::total_cmp);
    }
}

/// Of tests and of what people bring together: the worst, and where one of them has nothing to show, not all is known.
fn joined(tests: PeriodResult, manual: PeriodResult) -> PeriodResult {
    use PeriodResult::{Deviations, Incomplete, NoDeviations, NoEvidence, NoOccurrence, NotTested};
    match (tests, manual) {
        (NotTested, other) | (other, NotTested) => other,
        (Deviations, _) | (_, Deviations) => Deviations,
        (NoEvidence, NoEvidence) => NoEvidence,
        (Incomplete | NoEvidence, _) | (_, Incomplete | NoEvidence) => Incomplete,
        (NoOccurrence, NoOccurrence) => NoOccurrence,
        (NoOccurrence | NoDeviations, NoOccurrence | NoDeviations) => NoDeviations,
    }
}

/// Why the period is not settled yet: the grace time of one of its due dates runs.
pub(in super::super) fn draft(rows: &[ManualRow], period: &Window) -> Vec<String> {
    let awaited = rows
        .iter()
        .flat_map(|row| row.dues.iter().map(move |due| (row, due)));
    awaited
        .filter(|(_, due)| due.state == DueState::Grace && due.due <= period.to)
        .map(|(row, due)| {
            format!(
                "evidence for {} was due by {}, and its grace time runs until {}",
                row.control,
                due.day,
                format_time(due.grace_ends)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::PeriodResult::{Deviations, Incomplete, NoDeviations, NoEvidence, NoOccurrence, NotTested};
    use super::*;

    #[test]
    fn the_worse_of_tests_and_people_counts_and_what_is_unknown_of_one_is_no_pass_of_both() {
        for (tests, manual, both) in [
            (NotTested, NoDeviations, NoDeviations),
            (NotTested, NoEvidence, NoEvidence),
            (NoDeviations, Deviations, Deviations),
            (Deviations, NoDeviations, Deviations),
            (NoDeviations, NoEvidence, Incomplete),
            (NoEvidence, NoDeviations, Incomplete),
            (NoEvidence, NoEvidence, NoEvidence),
            (NoOccurrence, Incomplete, Incomplete),
            (NoOccurrence, NoDeviations, NoDeviations),
            (NoDeviations, NoDeviations, NoDeviations),
        ] {
            assert_eq!(joined(tests, manual), both, "{tests:?} and {manual:?}");
        }
    }
}
