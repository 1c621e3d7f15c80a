//! A period day by day, out of a tally's letters: by months for the eye, in runs for one line.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Serialize;

/// A month's days as one line.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Month {
    /// `Jan 2026`.
    name: String,
    /// How many of its days lie before the first that is shown.
    skip: u32,
    /// What is known of each.
    days: Vec<Cell>,
}

/// A day.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Cell {
    letter: char,
    class: &'static str,
    title: String,
}

/// Consecutive days of which the same is known.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Run {
    class: &'static str,
    days: usize,
}

/// How many days were observed, how many only inferred, and of how many nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Known {
    pub(super) observed: u64,
    pub(super) inferred: u64,
    pub(super) nothing: u64,
}

/// The days by months, of a zone's calendar.
pub(super) fn months(days: &str, from: DateTime<Utc>, zone: Tz) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    let mut date = Some(from.with_timezone(&zone).date_naive());
    let mut last: Option<NaiveDate> = None;
    for letter in days.chars() {
        let Some(day) = date else { break };
        if last.is_none_or(|last| (last.year(), last.month()) != (day.year(), day.month())) {
            months.push(Month {
                name: day.format("%b %Y").to_string(),
                skip: day.day0(),
                days: Vec::new(),
            });
        }
        if let Some(month) = months.last_mut() {
            let (class, known) = meaning(letter);
            month.days.push(Cell {
                letter: if letter == '-' { '\u{2013}' } else { letter },
                class,
                title: format!("{}: {known}", day.format("%-d %b")),
            });
        }
        last = date;
        date = day.checked_add_days(Days::new(1));
    }
    months
}

/// The days as runs.
pub(super) fn runs(days: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for letter in days.chars() {
        let (class, _) = meaning(letter);
        match runs.last_mut() {
            Some(run) if run.class == class => run.days += 1,
            _ => runs.push(Run { class, days: 1 }),
        }
    }
    runs
}

/// Counts days by how they are known.
pub(super) fn known(days: &str) -> Known {
    let mut known = Known::default();
    for letter in days.chars() {
        match letter {
            '-' => known.nothing += 1,
            'A'..='Z' => known.observed += 1,
            'a'..='z' => known.inferred += 1,
            _ => {}
        }
    }
    known
}

/// How often something else than a pass is known of a day: what is most worth looking at has most.
pub(super) fn trouble(days: &str) -> usize {
    days.chars()
        .filter(|letter| !matches!(letter, 'P' | 'p' | 'N' | 'n' | '.'))
        .count()
}

/// A letter's style, and what it says.
fn meaning(letter: char) -> (&'static str, &'static str) {
    match letter {
        'P' => ("dp", "passed, observed"),
        'p' => ("ip", "passed, inferred"),
        'F' => ("df", "failed, observed"),
        'f' => ("if", "failed, inferred"),
        'U' => ("du", "unknown, observed"),
        'u' => ("iu", "unknown, inferred"),
        'E' => ("de", "excepted, observed"),
        'e' => ("ie", "excepted, inferred"),
        'N' => ("dn", "nothing to test, observed"),
        'n' => ("in", "nothing to test, inferred"),
        '-' => ("no", "no evidence"),
        'G' => ("dp", "evidence given"),
        'c' => ("ip", "evidence counts"),
        'O' => ("mo", "evidence overdue"),
        _ => ("out", "outside"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_stand_under_their_date_of_the_zone() {
        let from = "2026-01-29T23:00:00Z".parse().unwrap();
        let months = months("Pf-.", from, chrono_tz::Europe::Berlin);
        let told: Vec<_> = months
            .iter()
            .map(|month| {
                let titles: Vec<_> = month.days.iter().map(|day| day.title.as_str()).collect();
                (month.name.as_str(), month.skip, titles.join("; "))
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "Jan 2026",
                    29,
                    "30 Jan: passed, observed; 31 Jan: failed, inferred".to_owned()
                ),
                ("Feb 2026", 0, "1 Feb: no evidence; 2 Feb: outside".to_owned()),
            ]
        );
    }

    #[test]
    fn runs_join_what_is_the_same_and_nothing_else() {
        let told: Vec<_> = runs("PPpP--")
            .into_iter()
            .map(|run| (run.class, run.days))
            .collect();
        assert_eq!(told, [("dp", 2), ("ip", 1), ("dp", 1), ("no", 2)]);
        assert_eq!(
            known("PPp-F."),
            Known {
                observed: 3,
                inferred: 1,
                nothing: 1
            }
        );
    }
}
