//! What is chosen, of logs written down leaf by leaf.

use super::*;

/// The period is the whole of 10 to 12 March.
fn chooser() -> Chooser {
    let time = |text: &str| text.parse().unwrap();
    Chooser::new(time("2026-03-10T00:00:00Z"), time("2026-03-13T00:00:00Z"))
}

/// A log of leaves, each with its day and hour, of which tests have a `max_age` of 30 hours.
fn chosen(leaves: &[(u32, u32, What<'_>)]) -> Vec<u64> {
    let mut chooser = chooser();
    for (seq, (day, hour, what)) in (0..).zip(leaves) {
        let time = format!("2026-03-{day:02}T{hour:02}:00:00.000Z");
        chooser.see(&Outline {
            seq,
            time: &time,
            what: what.clone(),
        });
    }
    chooser
        .choose(|_, _| Ok::<_, ()>(Some(TimeDelta::hours(30))))
        .unwrap()
}

const KEY: What<'_> = What::Standing;
const BEAT: What<'_> = What::Passing;

fn plan(by: By, effective: Option<&str>) -> What<'static> {
    What::Plan {
        by,
        effective: effective.map(|text| text.parse().unwrap()),
    }
}

fn snapshot(plan: u64, target: &'static str) -> What<'static> {
    What::Snapshot {
        scope: ("c", "s", target),
        plan,
        complete: true,
    }
}

fn part(plan: u64, target: &'static str) -> What<'static> {
    What::Snapshot {
        scope: ("c", "s", target),
        plan,
        complete: false,
    }
}

fn evaluation(snapshot: u64, plan: u64, says: u8) -> What<'static> {
    What::Evaluation {
        snapshot,
        plan,
        says: [says; 32],
    }
}

#[test]
fn the_period_is_there_without_a_break_and_a_leaf_on_each_side() {
    let log = [
        (1, 0, KEY),
        (8, 0, BEAT),
        (9, 0, BEAT),
        (10, 0, BEAT),
        (11, 0, BEAT),
        // The clock was set back, and forward again.
        (9, 5, BEAT),
        (12, 23, BEAT),
        (13, 0, BEAT),
        (14, 0, snapshot(0, "t")),
        (14, 1, snapshot(0, "t")),
    ];
    assert_eq!(chosen(&log), [0, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn of_a_period_without_leaves_the_ones_on_both_sides_are_there() {
    let log = [
        (1, 0, KEY),
        (8, 0, BEAT),
        (9, 0, BEAT),
        (14, 0, snapshot(0, "t")),
        (15, 0, snapshot(0, "t")),
    ];
    assert_eq!(chosen(&log), [0, 2, 3]);
    assert_eq!(chosen(&log[..3]), [0, 2], "it has not begun yet");
    let later = [(14, 0, KEY), (15, 0, snapshot(0, "t")), (16, 0, snapshot(0, "t"))];
    assert_eq!(chosen(&later), [0, 1], "it was over before the log began");
    assert_eq!(chosen(&[]), [0; 0]);
}

#[test]
fn what_was_in_force_at_the_start_is_there() {
    let log = [
        (1, 0, KEY),
        (1, 0, plan(By::Daemon, Some("2026-03-01T00:00:00Z"))),
        (2, 0, plan(By::Daemon, Some("2026-03-02T00:00:00Z"))),
        // Counts only from within the period on.
        (3, 0, plan(By::Daemon, Some("2026-03-11T00:00:00Z"))),
        (4, 0, plan(By::AdHoc, None)),
        (5, 0, plan(By::AdHoc, None)),
        (
            6,
            0,
            What::Scope {
                collector: "c",
                source: "s",
            },
        ),
        (
            7,
            0,
            What::Scope {
                collector: "c",
                source: "s",
            },
        ),
        (
            7,
            0,
            What::Scope {
                collector: "c",
                source: "other",
            },
        ),
        (8, 0, BEAT),
        (9, 0, BEAT),
        (10, 0, BEAT),
    ];
    assert_eq!(chosen(&log), [0, 2, 3, 5, 7, 8, 10, 11]);
}

#[test]
fn how_things_stood_at_the_start_is_there_with_its_judgement_and_plan() {
    let log = [
        (1, 0, KEY),
        (1, 0, plan(By::AdHoc, None)),
        (1, 0, plan(By::AdHoc, None)),
        (8, 0, snapshot(1, "old")),
        (8, 0, evaluation(3, 1, 1)),
        (9, 0, snapshot(1, "t")),
        (9, 0, evaluation(5, 1, 1)),
        (9, 1, snapshot(1, "t")),
        (9, 1, evaluation(7, 1, 1)),
        // Incomplete: the complete one before it counts too.
        (9, 2, part(2, "t")),
        (9, 2, evaluation(9, 2, 1)),
        (9, 9, BEAT),
        (10, 0, BEAT),
    ];
    assert_eq!(chosen(&log), [0, 1, 2, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn a_snapshot_comes_with_what_judged_it_wherever_that_stands() {
    let log = [
        (1, 0, KEY),
        (1, 0, plan(By::AdHoc, None)),
        (1, 0, plan(By::AdHoc, None)),
        (2, 0, snapshot(1, "late")),
        (9, 0, BEAT),
        (10, 0, snapshot(2, "t")),
        // Left unjudged by a crash for a week.
        (10, 1, evaluation(3, 1, 1)),
        (13, 0, BEAT),
        (14, 0, snapshot(2, "t")),
        (15, 0, snapshot(2, "t")),
        (16, 0, evaluation(5, 2, 1)),
        (16, 0, evaluation(8, 2, 1)),
        (16, 0, evaluation(9, 2, 1)),
    ];
    assert_eq!(chosen(&log), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
}

#[test]
fn what_became_of_it_is_there_as_far_as_it_changed() {
    let log = [
        (1, 0, plan(By::AdHoc, None)),
        (12, 0, snapshot(0, "t")),
        (12, 0, evaluation(1, 0, 1)),
        (13, 0, part(0, "t")),
        (13, 0, evaluation(3, 0, 1)),
        (13, 1, snapshot(0, "t")),
        (13, 1, evaluation(5, 0, 1)),
        (13, 2, snapshot(0, "t")),
        (13, 2, evaluation(7, 0, 1)),
        // Mended.
        (13, 3, snapshot(0, "t")),
        (13, 3, evaluation(9, 0, 2)),
        (13, 4, snapshot(0, "t")),
        (13, 4, evaluation(11, 0, 2)),
        (13, 5, BEAT),
        (13, 6, What::Failure { plan: 0 }),
    ];
    assert_eq!(chosen(&log), [0, 1, 2, 3, 4, 5, 6, 9, 10, 13, 14]);
}

#[test]
fn an_alert_that_was_not_over_is_there_with_what_was_said_to_it() {
    let of = |of, ends| What::Alert { of, ends };
    let log = [
        (1, 0, KEY),
        (2, 0, of(None, false)),
        (2, 0, of(Some(1), false)),
        (3, 0, of(None, false)),
        (3, 0, of(Some(3), true)),
        (4, 0, of(None, false)),
        (4, 0, of(Some(5), true)),
        (9, 0, BEAT),
        (10, 0, of(Some(1), true)),
        // Said of one that was over.
        (10, 0, of(Some(3), false)),
    ];
    assert_eq!(chosen(&log), [0, 1, 2, 3, 4, 7, 8, 9]);
}

#[test]
fn what_stands_by_itself_is_there_wherever_it_is() {
    let log = [
        (1, 0, KEY),
        (2, 0, What::Standing),
        (3, 0, BEAT),
        (9, 0, BEAT),
        (10, 0, BEAT),
        (14, 0, BEAT),
        (15, 0, What::Standing),
    ];
    assert_eq!(chosen(&log), [0, 1, 3, 4, 5, 6]);
}

#[test]
fn a_leaf_that_is_named_and_not_there_is_not_chosen() {
    assert_eq!(
        chosen(&[(10, 0, snapshot(7, "t")), (10, 0, evaluation(9, 8, 1))]),
        [0, 1]
    );
}
