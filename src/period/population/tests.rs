//! What is asked of populations: edges, holes, what changed, what is gone.

use super::*;
use evidenced_collector_api::Covers;
use proptest::prelude::*;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

fn minutes(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

/// From hour 10 to hour 20, long over.
fn asked() -> Asked {
    Asked {
        period: Span::new(at(10), at(20)),
        now: at(100),
        reach: None,
    }
}

fn gathering(asked: Asked) -> Gathering {
    let scope = Scope {
        collector: "c".to_owned(),
        source: "s".to_owned(),
        target: "t".to_owned(),
    };
    Gathering::new(scope, asked, BTreeSet::from(["counter".to_owned()]))
}

fn event(id: &str, merged: DateTime<Utc>) -> Resource {
    Resource::new("x.event", id, id, 0).with("merged_at", merged.to_rfc3339())
}

fn interval(seq: u64, from: i64, to: i64, events: Vec<Resource>) -> Look {
    Look {
        seq,
        covers: Covers::Interval {
            from: at(from),
            to: at(to),
        },
        complete: true,
        seen: Seen::Items(events),
    }
}

fn state(seq: u64, hour: i64, seen: Seen) -> Look {
    Look {
        seq,
        covers: Covers::At { at: at(hour) },
        complete: true,
        seen,
    }
}

fn things(ids: &[&str]) -> Seen {
    Seen::Items(
        ids.iter()
            .map(|id| Resource::new("x.thing", *id, *id, 0))
            .collect(),
    )
}

fn ids(gathered: &Gathered) -> Vec<&str> {
    gathered
        .items
        .iter()
        .map(|item| item.resource.id.as_str())
        .collect()
}

fn spans(gathered: &Gathered) -> Vec<Span> {
    gathered.gaps.iter().map(|gap| gap.span).collect()
}

#[test]
fn an_event_belongs_to_the_period_of_its_own_time_whatever_interval_it_was_read_in() {
    let mut gathering = gathering(asked());
    gathering.look(interval(
        1,
        5,
        12,
        vec![
            event("before", at(10) - TimeDelta::seconds(1)),
            event("at the beginning", at(10)),
        ],
    ));
    gathering.look(interval(2, 12, 19, vec![event("within", at(15))]));
    gathering.look(interval(
        3,
        19,
        25,
        vec![
            event("last", at(20) - TimeDelta::seconds(1)),
            event("at the end", at(20)),
        ],
    ));
    assert!(!gathering.look(interval(4, 25, 30, vec![event("after", at(26))])));
    // Read by a later interval, it belongs all the same, and is said to be late.
    assert!(gathering.look(interval(5, 30, 35, vec![event("shown late", at(16))])));
    let gathered = gathering.end();
    assert_eq!(
        ids(&gathered),
        ["at the beginning", "last", "shown late", "within"]
    );
    let late: Vec<bool> = gathered.items.iter().map(|item| item.late).collect();
    assert_eq!(late, [false, false, true, false]);
    assert_eq!((spans(&gathered), gathered.read), (Vec::new(), 4));
}

#[test]
fn an_event_that_two_intervals_hold_is_one_and_what_differs_is_named() {
    let mut gathering = gathering(asked());
    gathering.look(interval(
        1,
        9,
        15,
        vec![event("e", at(14)).with("by", "ann").with("counter", 1)],
    ));
    gathering.look(interval(
        2,
        13,
        25,
        vec![event("e", at(14)).with("by", "bob").with("counter", 2)],
    ));
    let gathered = gathering.end();
    let [item] = gathered.items.as_slice() else {
        panic!("{gathered:?}")
    };
    assert_eq!((item.seen, item.snapshot, gathered.read), (2, 2, 2));
    assert_eq!(item.changed, BTreeSet::from(["by".to_owned()]));
    assert_eq!(item.resource.attributes["by"], "bob");
}

#[test]
fn an_event_without_a_time_of_its_own_belongs_wherever_its_interval_does() {
    let commit = |id: &str| Resource::new("x.commit", id, id, 0);
    let mut gathering = gathering(asked());
    gathering.look(interval(1, 5, 11, vec![commit("across")]));
    gathering.look(interval(2, 11, 21, vec![commit("across the end")]));
    gathering.look(interval(3, 21, 25, vec![commit("after")]));
    let gathered = gathering.end();
    assert_eq!(ids(&gathered), ["across", "across the end"]);
    assert!(
        gathered
            .items
            .iter()
            .all(|item| item.at.is_none() && item.between.is_some())
    );
}

#[test]
fn a_hole_in_the_union_is_a_gap_with_what_the_log_says_of_it() {
    let mut gathering = gathering(asked());
    gathering.look(interval(1, 9, 12, Vec::new()));
    gathering.trouble(Trouble::failure(2, at(13), "unavailable"));
    gathering.trouble(Trouble::missed(3, at(14), at(15), "daemon_down"));
    let partly = Look {
        complete: false,
        ..interval(4, 12, 14, vec![event("seen", at(13))])
    };
    gathering.look(partly);
    // This failure is about the time before the next interval, too: it came when that was due.
    gathering.trouble(Trouble::failure(5, at(15), "unavailable"));
    gathering.look(interval(6, 15, 18, Vec::new()));
    gathering.trouble(Trouble::failure(7, at(30), "auth"));
    let gathered = gathering.end();
    let instant = TimeDelta::nanoseconds(1);
    let hole = Span::new(at(12) + instant, at(15) + instant);
    assert_eq!(spans(&gathered), [hole, Span::new(at(18) + instant, at(20))]);
    assert_eq!(ids(&gathered), ["seen"]);
    let why = &gathered.gaps[0].why;
    let happened = BTreeMap::from([
        (What::Failure("unavailable".to_owned()), vec![2, 5]),
        (What::Missed("daemon_down".to_owned()), vec![3]),
        (What::Incomplete, vec![4]),
    ]);
    assert_eq!(why.happened, happened);
    assert!(!why.nothing_before && !why.nothing_after);
    let last = &gathered.gaps[1].why;
    assert!(last.happened.is_empty() && last.nothing_after);
}

#[test]
fn what_is_not_due_yet_is_no_gap_and_what_is_overdue_is_one() {
    let run = |now, reach| {
        let mut gathering = gathering(Asked {
            now,
            reach,
            ..asked()
        });
        gathering.look(interval(1, 9, 12, Vec::new()));
        spans(&gathering.end()).len()
    };
    assert_eq!(run(at(13), Some(TimeDelta::hours(2))), 0);
    assert_eq!(run(at(15), Some(TimeDelta::hours(2))), 1);
    assert_eq!(run(at(20), None), 1, "the period is over");
}

#[test]
fn a_target_that_was_never_read_is_one_gap() {
    let mut gathering = gathering(asked());
    gathering.scope(at(14), false);
    let gathered = gathering.end();
    assert_eq!(spans(&gathered), [asked().period]);
    let why = &gathered.gaps[0].why;
    assert!(why.out_of_scope && why.nothing_before);
}

#[test]
fn a_state_is_told_with_when_it_was_seen_and_when_no_longer() {
    let mut gathering = gathering(asked());
    gathering.look(state(1, 8, things(&["older"])));
    gathering.look(state(2, 9, things(&["gone first", "stays"])));
    gathering.look(state(3, 10, things(&["back", "stays"])));
    gathering.look(state(4, 12, Seen::Same));
    gathering.look(state(5, 14, Seen::Same));
    gathering.look(state(6, 16, things(&["new", "stays"])));
    gathering.look(state(7, 18, things(&["back", "new", "stays"])));
    let after = gathering.look(state(8, 20, things(&["too late"])));
    let gathered = gathering.end();
    assert!(!after);
    assert_eq!(ids(&gathered), ["back", "gone first", "new", "stays"]);
    let told: Vec<_> = gathered
        .items
        .iter()
        .map(|item| {
            (
                item.first_seen,
                item.last_seen,
                item.gone,
                item.at_start,
                item.seen,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (at(10), at(18), None, false, 4),
            (at(9), at(9), Some(at(10)), true, 1),
            (at(16), at(18), None, false, 2),
            (at(9), at(18), None, true, 6),
        ]
    );
    assert_eq!(gathered.items[3].snapshot, 7);
    assert_eq!(spans(&gathered), []);
}

#[test]
fn what_an_incomplete_snapshot_does_not_hold_is_not_gone() {
    let mut gathering = gathering(asked());
    gathering.look(state(1, 9, things(&["a", "b"])));
    let partly = Look {
        complete: false,
        ..state(2, 12, things(&["a"]))
    };
    gathering.look(partly);
    gathering.look(state(3, 15, things(&["a", "b"])));
    let gathered = gathering.end();
    assert!(gathered.items.iter().all(|item| item.gone.is_none()));
    // Nobody knows what there was between the two complete ones.
    assert_eq!(spans(&gathered), [Span::new(at(10), at(15))]);
    assert_eq!(
        gathered.gaps[0].why.happened,
        BTreeMap::from([(What::Incomplete, vec![2])])
    );
}

#[test]
fn a_look_speaks_no_longer_than_its_reach() {
    let reach = Some(TimeDelta::hours(3));
    let mut short = gathering(Asked { reach, ..asked() });
    // Too old to tell how the period began.
    assert!(!short.look(state(1, 6, things(&["a"]))));
    short.look(state(2, 11, things(&["a"])));
    short.look(state(3, 14, Seen::Same));
    let gathered = short.end();
    assert_eq!(
        spans(&gathered),
        [Span::new(at(10), at(11)), Span::new(at(14), at(20))]
    );
    assert!(gathered.gaps[0].why.nothing_before && gathered.gaps[1].why.nothing_after);
    assert!(!gathered.items[0].at_start);
}

#[test]
fn evidence_that_is_gone_is_a_gap_and_not_an_empty_list() {
    let mut events = gathering(asked());
    events.look(interval(1, 9, 15, Vec::new()));
    events.look(Look {
        seen: Seen::Unreadable,
        ..interval(2, 15, 25, Vec::new())
    });
    let gathered = events.end();
    assert_eq!(spans(&gathered).len(), 1);
    assert_eq!(
        gathered.gaps[0].why.happened,
        BTreeMap::from([(What::Unreadable, vec![2])])
    );
    let mut states = gathering(asked());
    states.look(state(1, 9, things(&["a"])));
    states.look(state(2, 12, Seen::Unreadable));
    assert_eq!(spans(&states.end()), [Span::new(at(10), at(20))]);
}

proptest! {
    /// Events on a grid of minutes, read by intervals of any kind: counts and gaps are those of the grid.
    #[test]
    fn counts_and_gaps_are_those_of_a_grid(
        events in prop::collection::btree_set(500_i64..1300, 0..60),
        intervals in prop::collection::vec((400_i64..1300, 1_i64..200, any::<bool>()), 0..10),
    ) {
        let asked = asked();
        let mut gathering = gathering(asked);
        let mut known = BTreeSet::new();
        let mut covered = vec![false; 1600];
        for (seq, (from, length, complete)) in (0..).zip(&intervals) {
            let to = from + length;
            let held: Vec<i64> = events.range(from + 1..=to).copied().collect();
            // An incomplete one has lost every other.
            let held: Vec<i64> = held.into_iter().filter(|at| *complete || at % 2 == 0).collect();
            known.extend(held.iter().copied().filter(|at| (600..1200).contains(at)));
            if *complete {
                for minute in from + 1..=to {
                    covered[usize::try_from(minute).unwrap()] = true;
                }
            }
            gathering.look(Look {
                seq,
                covers: Covers::Interval { from: minutes(*from), to: minutes(to) },
                complete: *complete,
                seen: Seen::Items(held.iter().map(|at| event(&format!("{at:05}"), minutes(*at))).collect()),
            });
        }
        let gathered = gathering.end();
        let expected: Vec<String> = known.iter().map(|at| format!("{at:05}")).collect();
        prop_assert_eq!(ids(&gathered), expected.iter().map(String::as_str).collect::<Vec<_>>());
        for minute in 600..1200 {
            let in_gap = gathered.gaps.iter().any(|gap| gap.span.contains(minutes(minute)));
            prop_assert_eq!(in_gap, !covered[usize::try_from(minute).unwrap()], "minute {}", minute);
        }
    }

    /// What saw the same as the look before it counts as if it had listed all of it again.
    #[test]
    fn the_same_again_is_as_good_as_a_list(
        looks in prop::collection::vec((prop::collection::btree_set(0..4_usize, 0..4), any::<bool>()), 0..14),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let (mut listed, mut short) = (gathering(asked()), gathering(asked()));
        let mut last = None;
        for (hour, look) in (8..).zip(&looks) {
            let (held, complete) = look;
            let ids: Vec<&str> = held.iter().map(|id| IDS[*id]).collect();
            let of = |seen| Look { complete: *complete, ..state(u64::try_from(hour).unwrap(), hour, seen) };
            listed.look(of(things(&ids)));
            // A look that does not count is none to be the same as.
            let counts = hour >= 10 || *complete;
            let seen = if counts && last == Some(look) { Seen::Same } else { things(&ids) };
            short.look(of(seen));
            last = Some(look).filter(|_| counts);
        }
        let (listed, short) = (listed.end(), short.end());
        prop_assert_eq!(&listed.gaps, &short.gaps);
        for (one, other) in listed.items.iter().zip(&short.items) {
            // Of those before the period a list begins anew.
            let told = |item: &Item| (item.resource.id.clone(), item.last_seen, item.gone, item.snapshot, item.at_start);
            prop_assert_eq!(told(one), told(other));
        }
        prop_assert_eq!(listed.items.len(), short.items.len());
    }
}
