//! Deviations out of looks at an hour's distance.

use super::*;
use crate::exception::Waiver;
use Outcome::{Excepted, Fail, NotApplicable, Pass, Unknown};

fn hour(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
}

/// The look of an hour: its snapshot is ten times that, and the evaluation follows.
fn look(at: i64) -> Look {
    let snapshot = at.unsigned_abs() * 10;
    Look {
        snapshot,
        at: hour(at),
        evaluation: snapshot + 1,
        judged: hour(at) + TimeDelta::seconds(2),
    }
}

fn safe() -> TestId {
    TestId::parse("safe").unwrap()
}

fn finding(resource: &str, outcome: Outcome) -> Finding {
    Finding {
        test: safe(),
        resource: resource.to_owned(),
        outcome,
        reason: format!("{resource} is {outcome}"),
    }
}

fn new(findings: &[(&str, Outcome)]) -> Found {
    Found::New {
        tests: BTreeSet::from([safe()]),
        findings: findings
            .iter()
            .map(|(id, outcome)| finding(id, *outcome))
            .collect(),
    }
}

fn sight(at: i64, found: Found) -> Sight {
    Sight {
        look: look(at),
        complete: true,
        events_from: None,
        found,
    }
}

fn deviations(sights: impl IntoIterator<Item = Sight>) -> Vec<Deviation> {
    deviations_with(sights, &Exceptions::default())
}

fn deviations_with(sights: impl IntoIterator<Item = Sight>, exceptions: &Exceptions) -> Vec<Deviation> {
    let mut series = Series::new(Scope {
        collector: "fake.things".to_owned(),
        source: "src".to_owned(),
        target: "a".to_owned(),
    });
    for sight in sights {
        series.add(sight, exceptions);
    }
    series.end()
}

/// What is found hour by hour, of one resource.
fn of_x(outcomes: &[Option<Outcome>]) -> Vec<Deviation> {
    let sights = (0..).zip(outcomes).map(|(at, outcome)| {
        let found: Vec<_> = outcome.iter().map(|outcome| ("x", *outcome)).collect();
        sight(at, new(&found))
    });
    deviations(sights)
}

/// State, before, first, last and end, by hour.
type Told = (State, Option<(Other, i64)>, i64, i64, Option<i64>);

fn told(deviation: &Deviation) -> Told {
    let at = |look: Look| (look.at - hour(0)).num_hours();
    (
        deviation.state(),
        deviation.before.map(|before| (before.state, at(before.look))),
        at(deviation.first),
        at(deviation.last),
        deviation.end.as_ref().map(|end| at(end.look)),
    )
}

#[test]
fn a_stretch_goes_from_the_first_look_that_fails_to_the_first_that_passes() {
    let found = of_x(&[
        Some(Pass),
        Some(Pass),
        Some(Fail),
        Some(Fail),
        Some(Pass),
        Some(Pass),
    ]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [(State::Mended, Some((Other::Passes, 1)), 2, 3, Some(4))]
    );
    assert_eq!(found[0].reason, "x is fail");
    assert_eq!(found[0].at_least(), TimeDelta::hours(1));
    assert_eq!(found[0].at_most(), Some(TimeDelta::hours(3)));
    assert_eq!(found[0].first.judged, hour(2) + TimeDelta::seconds(2));
}

#[test]
fn one_look_is_enough_and_each_stretch_is_one_of_its_own() {
    let found = of_x(&[Some(Fail), Some(Pass), Some(Fail), Some(Pass), Some(Fail)]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [
            (State::Mended, None, 0, 0, Some(1)),
            (State::Mended, Some((Other::Passes, 1)), 2, 2, Some(3)),
            (State::Open, Some((Other::Passes, 3)), 4, 4, None),
        ]
    );
    assert_eq!(found[0].at_most(), None, "nobody looked before");
}

#[test]
fn looks_that_find_the_same_are_not_told_again_and_yet_counted() {
    let same = |at| sight(at, Found::Same);
    let found = deviations([
        sight(0, new(&[("x", Pass)])),
        same(1),
        sight(2, new(&[("x", Fail)])),
        same(3),
        same(4),
        sight(5, new(&[("x", Pass)])),
        same(6),
        sight(7, new(&[("x", Fail)])),
        same(8),
    ]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [
            (State::Mended, Some((Other::Passes, 1)), 2, 4, Some(5)),
            (State::Open, Some((Other::Passes, 6)), 7, 8, None),
        ]
    );
}

#[test]
fn unknown_ends_nothing_and_is_told_where_it_is_the_last_that_is_known() {
    let found = of_x(&[
        Some(Pass),
        Some(Unknown),
        Some(Fail),
        Some(Unknown),
        Some(Fail),
        Some(Unknown),
    ]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [(State::Open, Some((Other::Passes, 0)), 2, 4, None)]
    );
    assert_eq!(found[0].since_then, Some(Doubt::Unknown));
    let found = of_x(&[Some(Fail), Some(Unknown), Some(Fail)]);
    assert_eq!((found.len(), found[0].since_then), (1, None));
    let found = of_x(&[Some(Fail), Some(Unknown), Some(Pass)]);
    assert_eq!(told(&found[0]), (State::Mended, None, 0, 0, Some(2)));
    assert_eq!(found[0].since_then, None);

    let unreadable = deviations([sight(0, new(&[("x", Fail)])), sight(1, Found::Unreadable)]);
    assert_eq!(unreadable[0].since_then, Some(Doubt::Unknown));
}

#[test]
fn what_a_complete_snapshot_does_not_hold_is_gone_and_may_come_back() {
    let found = of_x(&[Some(Pass), None, Some(Fail), None, None, Some(Fail), Some(Fail)]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [
            (State::Gone, Some((Other::Gone, 1)), 2, 2, Some(3)),
            (State::Open, Some((Other::Gone, 4)), 5, 6, None),
        ]
    );
}

#[test]
fn an_incomplete_snapshot_ends_nothing_by_what_it_does_not_hold() {
    let part = |at, found| Sight {
        complete: false,
        ..sight(at, found)
    };
    let found = deviations([
        part(0, new(&[])),
        sight(1, new(&[("x", Fail)])),
        part(2, new(&[("y", Pass)])),
        part(3, new(&[("x", Fail)])),
    ]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [(State::Open, None, 1, 3, None)]
    );
}

#[test]
fn a_test_that_is_not_run_ends_nothing_either() {
    let untested = Found::New {
        tests: BTreeSet::new(),
        findings: Vec::new(),
    };
    let found = deviations([sight(0, new(&[("x", Fail)])), sight(1, untested.clone())]);
    assert_eq!(told(&found[0]), (State::Open, None, 0, 0, None));
    assert_eq!(found[0].since_then, Some(Doubt::NotTested));
    let found = deviations([
        sight(0, new(&[("x", Fail)])),
        sight(1, untested),
        sight(2, new(&[])),
    ]);
    assert_eq!(told(&found[0]), (State::Gone, None, 0, 0, Some(2)));
}

#[test]
fn a_test_that_no_longer_applies_ends_it_and_says_why() {
    let found = of_x(&[Some(Fail), Some(NotApplicable), Some(Fail)]);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [
            (State::NotApplicable, None, 0, 0, Some(1)),
            (State::Open, Some((Other::NotApplicable, 1)), 2, 2, None),
        ]
    );
    assert_eq!(found[0].end.as_ref().unwrap().reason, "x is not_applicable");
}

fn excepting(waivers: &[(u64, i64)]) -> Exceptions {
    let mut exceptions = Exceptions::default();
    for (seq, end) in waivers {
        let waiver = Waiver {
            seq: *seq,
            only_source: None,
            expires: hour(*end),
        };
        exceptions.add("safe", ["x".to_owned()], &waiver);
    }
    exceptions
}

#[test]
fn what_is_excepted_still_fails_and_goes_on_when_the_exception_ends() {
    // Looks 2 to 4 are covered by one, 5 by another that takes its place, and 6 by none.
    let exceptions = excepting(&[(15, 5), (45, 6)]);
    let outcomes = [Fail, Fail, Excepted, Excepted, Excepted, Excepted, Fail];
    let sights = (0..)
        .zip(outcomes)
        .map(|(at, outcome)| sight(at, new(&[("x", outcome)])));
    let found = deviations_with(sights, &exceptions);
    assert_eq!(
        found.iter().map(told).collect::<Vec<_>>(),
        [(State::Open, None, 0, 6, None)]
    );
    let spans: Vec<_> = found[0]
        .excepted
        .iter()
        .map(|span| (span.exception, span.first.snapshot, span.last.snapshot))
        .collect();
    assert_eq!(spans, [(Some(15), 20, 40), (Some(45), 50, 50)]);
}

#[test]
fn what_was_excepted_from_the_beginning_is_listed_all_the_same() {
    let exceptions = excepting(&[(5, 9)]);
    let sights = [
        sight(0, new(&[("x", Pass)])),
        sight(1, new(&[("x", Excepted)])),
        sight(2, Found::Same),
    ];
    let found = deviations_with(sights.clone(), &exceptions);
    assert_eq!(
        told(&found[0]),
        (State::Excepted, Some((Other::Passes, 0)), 1, 2, None)
    );
    assert_eq!(found[0].excepted[0].last, look(2));
    assert!(found[0].goes_on());
    // Its end comes, and nobody has looked since.
    let mut ended = found[0].clone();
    ended.note_ended(&exceptions, hour(9) - TimeDelta::milliseconds(1));
    assert_eq!(ended, found[0]);
    ended.note_ended(&exceptions, hour(9));
    assert_eq!(
        (ended.state(), ended.since_then),
        (State::Open, Some(Doubt::ExceptionEnded))
    );
    // The exception can't be read any more.
    let found = deviations(sights);
    assert_eq!(found[0].excepted[0].exception, None);
    assert_eq!(found[0].state(), State::Excepted);
}

#[test]
fn an_event_is_a_fact_of_its_time_and_nothing_mends_it() {
    let events = |at: i64, found| Sight {
        events_from: Some(hour(at - 1)),
        ..sight(at, found)
    };
    let found = deviations([
        events(1, new(&[("x", Fail), ("y", Pass)])),
        events(2, new(&[])),
        events(3, new(&[("x", Pass)])),
        events(4, new(&[("z", Excepted)])),
        events(5, Found::Same),
    ]);
    assert_eq!(
        found
            .iter()
            .map(|event| (event.resource.as_str(), told(event), event.events_from))
            .collect::<Vec<_>>(),
        [
            ("x", (State::Event, None, 1, 1, None), Some(hour(0))),
            ("z", (State::Event, None, 4, 4, None), Some(hour(3))),
            ("z", (State::Event, None, 5, 5, None), Some(hour(4))),
        ]
    );
    assert!(!found[0].goes_on());
}

#[test]
fn resources_are_told_apart() {
    let found = deviations([
        sight(0, new(&[("x", Pass), ("y", Fail)])),
        sight(1, new(&[("x", Fail), ("y", Fail)])),
        sight(2, new(&[("x", Fail), ("y", Pass)])),
    ]);
    assert_eq!(
        found
            .iter()
            .map(|deviation| (deviation.resource.as_str(), told(deviation)))
            .collect::<Vec<_>>(),
        [
            ("y", (State::Mended, None, 0, 1, Some(2))),
            ("x", (State::Open, Some((Other::Passes, 0)), 1, 2, None)),
        ]
    );
}

#[test]
fn a_time_is_touched_by_what_lasts_into_it() {
    let mended = &of_x(&[Some(Pass), Some(Fail), Some(Fail), Some(Pass)])[0];
    let open = &of_x(&[Some(Pass), Some(Fail)])[0];
    let at = |from: i64, to: i64| (Some(hour(from)), Some(hour(to)));
    for ((from, to), touched) in [
        (at(0, 1), false),
        (at(0, 2), true),
        (at(2, 3), true),
        (at(3, 9), false),
        ((None, None), true),
    ] {
        assert_eq!(mended.touches(from, to), touched, "{from:?} {to:?}");
    }
    assert!(open.touches(Some(hour(99)), None));
    assert!(!open.touches(None, Some(hour(1))));
    let events = Sight {
        events_from: Some(hour(1)),
        ..sight(2, new(&[("x", Fail)]))
    };
    let event = &deviations([events])[0];
    for ((from, to), touched) in [
        (at(0, 1), false),
        (at(0, 2), true),
        (at(1, 9), true),
        (at(2, 9), false),
    ] {
        assert_eq!(event.touches(from, to), touched, "{from:?} {to:?}");
    }
}
