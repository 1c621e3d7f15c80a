//! Half a year of quarterly evidence, of a log that began on 10 January, with 14 days of grace and an age of 120 days.

use super::*;
use crate::control::{Manual, MaxAge};
use crate::log::leaf::Days;

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z").parse().unwrap()
}

fn quarterly(from: &str, to: Option<&str>, max_age: Option<&str>) -> Duty {
    let length = |text| MaxAge::parse(text).unwrap();
    Duty {
        from: at(from),
        to: to.map(at),
        manual: Manual::new("quarterly", None, Some(length("14d")), max_age.map(length)).unwrap(),
    }
}

fn duties() -> Vec<Duty> {
    vec![quarterly("2026-01-10T00:00", None, Some("120d"))]
}

fn evidence(seq: u64, sealed: &str, covers_to: &str) -> Evidence {
    let to = covers_to.parse().unwrap();
    Evidence {
        seq,
        sealed: at(sealed),
        covers: Days { from: to, to },
        title: "Access review".to_owned(),
    }
}

/// The first half of 2026.
fn half(now: &str) -> Within {
    Within {
        from: at("2026-01-01T00:00"),
        to: at("2026-07-01T00:00"),
        now: at(now),
        begun: Some(at("2026-01-10T00:00")),
    }
}

fn listed(course: &Course) -> Vec<(String, DueState)> {
    let dues = course.dues.iter();
    dues.map(|due| (due.day.to_string(), due.state)).collect()
}

fn stretches(course: &Course) -> Vec<(DateTime<Utc>, DateTime<Utc>, Option<u64>)> {
    let bare = course.bare.iter();
    bare.map(|bare| (bare.from, bare.to, bare.after)).collect()
}

fn due(day: &str, state: DueState) -> (String, DueState) {
    (day.to_owned(), state)
}

#[test]
fn a_due_date_belongs_to_the_time_that_it_ends_and_its_grace_runs_behind() {
    let given = [
        evidence(1, "2026-01-10T12:00", "2025-12-31"),
        evidence(2, "2026-03-30T12:00", "2026-03-30"),
        evidence(3, "2026-07-05T12:00", "2026-06-30"),
    ];
    let told = course(&duties(), &given, half("2026-07-20T00:00")).unwrap();
    let dues = [
        due("2026-03-31", DueState::OnTime),
        due("2026-06-30", DueState::Late),
    ];
    assert_eq!(listed(&told), dues);
    assert!(told.overdue.is_empty() && !told.is_awaited());
    // In the next half-year it is carried over, since nobody had met it when that began.
    let next = Within {
        from: at("2026-07-01T00:00"),
        to: at("2026-08-01T00:00"),
        ..half("2026-07-20T00:00")
    };
    let told = course(&duties(), &given, next).unwrap();
    assert_eq!(listed(&told), [due("2026-06-30", DueState::Late)]);
    assert_eq!(told.before, Some(2));
}

#[test]
fn while_the_grace_time_of_a_due_date_runs_nobody_can_say_and_then_it_is_a_deviation_of_the_time_it_belongs_to()
 {
    let given = [evidence(2, "2026-03-30T12:00", "2026-03-30")];
    let told = |now| course(&duties(), &given, half(now)).unwrap();
    let waiting = told("2026-07-10T00:00");
    assert!(waiting.is_awaited() && waiting.overdue.is_empty());
    let over = told("2026-08-01T00:00");
    assert!(!over.is_awaited());
    let stretches: Vec<_> = over
        .overdue
        .iter()
        .map(|stretch| (stretch.due, stretch.from, stretch.to, stretch.state()))
        .collect();
    let (due, from) = (at("2026-07-01T00:00"), at("2026-07-15T00:00"));
    assert_eq!(stretches, [(due, from, None, "open")]);
    assert!(
        over.overdue[0].concerns(Some(from), None),
        "and it lasts into the next"
    );
    assert!(!over.overdue[0].concerns(None, Some(at("2026-06-30T00:00"))));
}

#[test]
fn evidence_counts_from_when_it_was_sealed_until_it_is_too_old_and_never_backwards() {
    let given = [evidence(1, "2026-01-20T00:00", "2026-01-20")];
    let told = course(&duties(), &given, half("2026-07-20T00:00")).unwrap();
    // 120 days from the 20th of January.
    let expected = [
        (at("2026-01-01T00:00"), at("2026-01-20T00:00"), None),
        (at("2026-05-20T00:00"), at("2026-07-01T00:00"), Some(1)),
    ];
    assert_eq!(stretches(&told), expected);
    assert_eq!(told.covered, TimeDelta::days(120));
    assert_eq!(told.of, TimeDelta::days(181));
    assert_eq!(told.before, None);
    let forever = vec![quarterly("2026-01-10T00:00", None, None)];
    let told = course(&forever, &given, half("2026-07-20T00:00")).unwrap();
    assert_eq!(stretches(&told), expected[..1], "no age is none that ends");
}

#[test]
fn what_was_too_old_when_it_was_sealed_never_counts() {
    let given = [evidence(1, "2026-01-20T00:00", "2025-06-30")];
    let told = course(&duties(), &given, half("2026-02-01T00:00")).unwrap();
    assert_eq!(told.covered, TimeDelta::zero());
    assert!(told.given.is_empty());
}

#[test]
fn what_counts_at_the_beginning_is_the_earlier_evidence_that_reaches_furthest() {
    let duties = vec![quarterly("2025-06-01T00:00", None, Some("120d"))];
    let given = [
        evidence(1, "2025-08-01T00:00", "2025-08-01"),
        evidence(2, "2025-12-20T00:00", "2025-12-20"),
        evidence(3, "2025-12-28T00:00", "2025-11-30"),
    ];
    let within = Within {
        begun: Some(at("2025-01-01T00:00")),
        ..half("2026-02-01T00:00")
    };
    let told = course(&duties, &given, within).unwrap();
    assert_eq!((told.before, told.bare.len()), (Some(2), 0));
    let told = course(&duties, &given[..1], within).unwrap();
    assert_eq!(told.before, None, "the one of August is older than 120 days");
    // It was due when September ended and in December, and nobody has met the latter: from before the period, and in it.
    assert_eq!(told.state, State::Overdue);
}

#[test]
fn what_was_overdue_before_and_still_is_belongs_to_this_time_too() {
    let duties = vec![quarterly("2025-06-01T00:00", None, None)];
    let within = Within {
        begun: Some(at("2025-01-01T00:00")),
        ..half("2026-02-01T00:00")
    };
    let told = course(&duties, &[], within).unwrap();
    let days: Vec<_> = told.overdue.iter().map(|stretch| stretch.due).collect();
    let expected = ["2025-07-01T00:00", "2025-10-01T00:00", "2026-01-01T00:00"].map(at);
    assert_eq!(days, expected);
    assert_eq!(told.dues.len(), 5, "with the two that are ahead of it");
}

#[test]
fn all_that_is_ahead_of_a_time_that_goes_on_is_listed() {
    let mut duties = duties();
    duties[0].manual = Manual::new("monthly", None, None, None).unwrap();
    let told = course(&duties, &[], half("2026-01-15T00:00")).unwrap();
    let days: Vec<_> = listed(&told).into_iter().map(|(day, _)| day).collect();
    let expected = [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
        "2026-06-30",
    ];
    assert_eq!(days, expected);
    assert!(told.dues.iter().all(|due| due.state == DueState::Ahead));
    assert_eq!(told.next.unwrap().to_string(), "2026-01-31");
    assert_eq!((told.state, told.covered), (State::Never, TimeDelta::zero()));
}

#[test]
fn a_control_that_owes_nothing_within_a_time_has_no_course() {
    let gone = vec![quarterly("2025-06-01T00:00", Some("2025-06-15T00:00"), None)];
    let log = Within {
        begun: Some(at("2025-01-01T00:00")),
        ..half("2026-02-01T00:00")
    };
    assert_eq!(course(&gone, &[], log), None);
    assert_eq!(
        course(&duties(), &[], half("2025-12-01T00:00")),
        None,
        "it has not begun"
    );
}

#[test]
fn a_control_that_came_within_the_time_owes_from_then_on_and_another_calendar_is_no_break() {
    let mut changed = vec![
        quarterly("2026-02-01T00:00", Some("2026-03-01T00:00"), Some("120d")),
        quarterly("2026-03-01T00:00", None, Some("30d")),
    ];
    let told = course(&changed, &[], half("2026-04-01T00:00")).unwrap();
    let all = (at("2026-02-01T00:00"), at("2026-04-01T00:00"), None);
    assert_eq!(stretches(&told), [all]);
    let given = [evidence(1, "2026-02-10T00:00", "2026-02-10")];
    let told = course(&changed, &given, half("2026-04-01T00:00")).unwrap();
    assert_eq!(
        told.bare[1].from,
        at("2026-03-12T00:00"),
        "30 days since the change"
    );
    changed[1].to = Some(at("2026-03-10T00:00"));
    let told = course(&changed, &given, half("2026-04-01T00:00")).unwrap();
    assert_eq!(told.of, TimeDelta::days(37));
    assert!(told.dues.is_empty() && told.next.is_none());
}

#[test]
fn a_state_at_the_end_is_what_was_known_then() {
    let given = [evidence(9, "2026-07-20T00:00", "2026-06-30")];
    let told = course(&duties(), &given, half("2026-08-01T00:00")).unwrap();
    assert_eq!(told.state, State::Overdue, "that of March still was");
    assert_eq!(
        told.overdue.iter().map(Overdue::state).collect::<Vec<_>>(),
        ["given", "given"]
    );
}

#[test]
fn a_day_has_the_letter_of_what_is_worst_about_it() {
    let given = [
        evidence(2, "2026-04-17T12:00", "2026-04-17"),
        evidence(3, "2026-04-18T01:00", "2026-04-17"),
    ];
    let within = Within {
        to: at("2026-04-21T00:00"),
        ..half("2026-04-19T00:00")
    };
    let told = course(&duties(), &given, within).unwrap();
    let days: Vec<_> = (0..=110).map(|day| within.from + TimeDelta::days(day)).collect();
    let letters = told.letters(&days, within.now);
    // What the log began with was owed before, as far as anybody knows. Overdue from 15 to 17 April.
    let expected = format!("{}OOOG..", "-".repeat(104));
    assert_eq!(letters, expected);
}
