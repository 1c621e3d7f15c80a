//! The words of a report: what a result is called, how long something lasted, what was done to test a control.

use chrono::TimeDelta;

use crate::control::Severity;
use crate::log::leaf::format_time;
use crate::period::manual::DueState;
use crate::summary::{ControlRow, ManualRow, OverdueRow, PeriodResult, TestRow};

/// What a result is called in a table of results.
pub(super) fn result(control: &ControlRow, manual: Option<&ManualRow>) -> String {
    if let Some(manual) = manual
        && let Some(words) = of_people(control, manual)
    {
        return words;
    }
    match control.result {
        PeriodResult::Deviations => match (control.deviations, control.open) {
            (0, _) => "Deviations noted".to_owned(),
            (all, 0) => format!("{} noted", counted(all, "deviation")),
            (all, open) => format!("{} noted, {open} open", counted(all, "deviation")),
        },
        PeriodResult::Incomplete => {
            "Incomplete: none noted where evidence speaks, which is not all of the time".to_owned()
        }
        PeriodResult::NoEvidence => "No evidence: nobody looked".to_owned(),
        PeriodResult::NoOccurrence => "No occurrence: there was nothing that its tests apply to".to_owned(),
        PeriodResult::NoDeviations => "No deviations noted".to_owned(),
        PeriodResult::NotTested => "Not tested by a machine".to_owned(),
    }
}

/// What a result is called where it is people who did not bring what the control needs.
fn of_people(control: &ControlRow, manual: &ManualRow) -> Option<String> {
    let is_awaited = manual.dues.iter().any(|due| due.state == DueState::Grace);
    let words = match control.result {
        PeriodResult::Incomplete if control.tests.is_empty() && is_awaited => {
            "Incomplete: evidence is late, and its grace time runs"
        }
        PeriodResult::NoEvidence if !control.tests.is_empty() => {
            "No evidence: nobody looked, and nothing was given"
        }
        PeriodResult::NoEvidence if manual.dues.is_empty() => {
            "No evidence: nothing was given, and nothing fell due"
        }
        PeriodResult::NoEvidence => "No evidence: nothing was given",
        _ => return None,
    };
    Some(words.to_owned())
}

/// What came of the evidence that people owe, in a sentence or two.
pub(super) fn brought(row: &ManualRow) -> String {
    let counted = |wanted: &[DueState]| {
        let dues = row.dues.iter();
        dues.filter(|due| wanted.contains(&due.state)).count() as u64
    };
    let (on_time, late) = (counted(&[DueState::OnTime]), counted(&[DueState::Late]));
    let given_overdue = counted(&[DueState::MetOverdue]);
    let mut fell_due: Vec<String> = [
        (on_time, "met on time"),
        (late, "late within its grace time"),
        (given_overdue, "given when it was overdue"),
        (counted(&[DueState::Overdue]), "overdue"),
        (counted(&[DueState::Grace]), "not given while its grace time runs"),
        (counted(&[DueState::Ahead]), "still ahead"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", thousands(count)))
    .collect();
    if fell_due.is_empty() {
        let next = row
            .next
            .map_or_else(String::new, |day| format!("; next by {day}"));
        fell_due.push(format!("nothing fell due{next}"));
        return sentence(&fell_due.join("; "));
    }
    let dues = self::counted(row.dues.len() as u64, "due date");
    sentence(&format!("{dues}: {}", fell_due.join(", ")))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

/// What was wrong with evidence that was overdue.
pub(super) fn overdue(overdue: &OverdueRow) -> String {
    let time = |time| format_time(time);
    let due = overdue
        .day
        .map_or_else(|| time(overdue.due), |day| day.to_string());
    let end = match (overdue.to, overdue.by) {
        (None, _) => "it had not been given".to_owned(),
        (Some(to), Some(seq)) => format!("it was given {}, as leaf {seq}", time(to)),
        (Some(to), None) => format!("it was no longer owed from {}", time(to)),
    };
    format!(
        "Evidence was due by {due} and overdue from {}; {end}.",
        time(overdue.from)
    )
}

/// What came of a due date.
pub(super) fn due(state: DueState) -> &'static str {
    match state {
        DueState::OnTime => "On time",
        DueState::Late => "Late, within the grace time",
        DueState::MetOverdue => "Given when it was overdue",
        DueState::Overdue => "Overdue",
        DueState::Grace => "Late, the grace time runs",
        DueState::Ahead => "Still ahead",
    }
}

/// A result's name for programs and styles.
pub(super) fn result_name(result: PeriodResult) -> &'static str {
    match result {
        PeriodResult::Deviations => "deviations",
        PeriodResult::Incomplete => "incomplete",
        PeriodResult::NoEvidence => "no_evidence",
        PeriodResult::NoOccurrence => "no_occurrence",
        PeriodResult::NoDeviations => "no_deviations",
        PeriodResult::NotTested => "not_tested",
    }
}

/// What was done to try a test, for whoever reads no expressions.
pub(super) fn performed(test: &TestRow) -> String {
    let taken: u64 = test
        .sources
        .iter()
        .map(|source| source.all.observations.taken)
        .sum();
    if test.sources.is_empty() {
        return "Nothing was collected that it could be tried on.".to_owned();
    }
    let names: Vec<&str> = test.sources.iter().map(|source| source.source.as_str()).collect();
    let targets = test
        .sources
        .iter()
        .flat_map(|source| &source.targets)
        .filter(|target| target.target.is_some())
        .count() as u64;
    let of = if targets > 1 {
        format!(" ({})", counted(targets, "target"))
    } else {
        String::new()
    };
    if taken == 0 {
        return format!(
            "No snapshot of {}{of} was tried within the period.",
            names.join(", ")
        );
    }
    let passed = test
        .sources
        .iter()
        .map(|source| source.all.observations.passed + source.all.observations.not_applicable)
        .sum();
    format!(
        "Tried on every {} in {} of {}{of}: {} passed.",
        test.resource,
        counted(taken, "snapshot"),
        names.join(", "),
        thousands(passed),
    )
}

/// So many of something.
pub(super) fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// A number that can be read at a glance.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long, by the two largest units.
pub(super) fn length(seconds: i64) -> String {
    let length = TimeDelta::seconds(seconds.max(0));
    let units = [
        (length.num_days(), "d"),
        (length.num_hours() % 24, "h"),
        (length.num_minutes() % 60, "min"),
        (length.num_seconds() % 60, "s"),
    ];
    let Some(largest) = units.iter().position(|(count, _)| *count > 0) else {
        return "0 s".to_owned();
    };
    let two = units[largest..].iter().take(2).filter(|(count, _)| *count > 0);
    two.map(|(count, unit)| format!("{count} {unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A severity's number, where more is worse and 1 is what needs nothing done.
pub(super) fn severity(severity: Severity) -> u64 {
    match severity {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_by_its_two_largest_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (3600, "1 h"),
            (3661, "1 h 1 min"),
            (90_061, "1 d 1 h"),
            (86_400 * 181 + 59, "181 d"),
        ] {
            assert_eq!(length(seconds), text);
        }
    }

    #[test]
    fn numbers_are_told_in_groups_of_three() {
        let told = [0, 999, 1000, 175_000, 1_234_567].map(thousands);
        assert_eq!(told, ["0", "999", "1,000", "175,000", "1,234,567"]);
    }
}
