//! A year of quarterly evidence, given and not given.

use super::*;
use crate::control::MaxAge;
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z").parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn quarterly() -> Vec<Duty> {
    let length = |text| Some(MaxAge::parse(text).unwrap());
    vec![Duty {
        from: at("2026-01-10T00:00"),
        to: None,
        manual: Manual::new("quarterly", None, length("14d"), length("200d")).unwrap(),
    }]
}

fn evidence(seq: u64, sealed: &str, covers: &str) -> Evidence {
    let (from, to) = covers.split_once("..").unwrap_or((covers, covers));
    Evidence {
        seq,
        sealed: at(sealed),
        covers: Days {
            from: day(from),
            to: day(to),
        },
        title: "Access review".to_owned(),
    }
}

fn states(account: &Account) -> Vec<(String, DueState, Option<u64>)> {
    let dues = account.dues.iter();
    dues.map(|due| (due.day.to_string(), due.state, due.met.map(|(seq, _)| seq)))
        .collect()
}

fn due(day: &str, state: DueState, met: Option<u64>) -> (String, DueState, Option<u64>) {
    (day.to_owned(), state, met)
}

#[test]
fn what_was_sealed_by_its_due_date_is_on_time_after_it_late_and_after_the_grace_time_overdue() {
    let given = [
        evidence(1, "2026-03-30T12:00", "2026-01-01..2026-03-31"),
        evidence(2, "2026-07-10T12:00", "2026-04-01..2026-06-30"),
        evidence(3, "2026-11-01T12:00", "2026-07-01..2026-09-30"),
    ];
    let account = account(&quarterly(), &given, at("2026-12-01T00:00"));
    assert_eq!(
        states(&account),
        [
            due("2026-03-31", DueState::OnTime, Some(1)),
            due("2026-06-30", DueState::Late, Some(2)),
            due("2026-09-30", DueState::MetOverdue, Some(3)),
            due("2026-12-31", DueState::Ahead, None),
            due("2027-03-31", DueState::Ahead, None),
        ]
    );
    assert_eq!(account.state, State::Current);
    assert_eq!(
        account.overdue,
        [Overdue {
            due: at("2026-10-01T00:00"),
            from: at("2026-10-15T00:00"),
            to: Some(at("2026-11-01T12:00")),
            by: Some(3),
        }]
    );
    assert_eq!(account.wanted().unwrap().day, day("2026-12-31"));
}

#[test]
fn silence_is_unknown_then_overdue_and_never_a_pass() {
    let told = |now| {
        let account = account(&quarterly(), &[], at(now));
        (account.state, account.outcome(), account.reason())
    };
    let (state, outcome, reason) = told("2026-02-01T00:00");
    assert_eq!((state, outcome), (State::Never, Outcome::Unknown));
    assert_eq!(reason, "no evidence has been given yet; it is due by 2026-03-31");
    let (state, outcome, reason) = told("2026-04-10T00:00");
    assert_eq!((state, outcome), (State::Due, Outcome::Unknown));
    assert_eq!(
        reason,
        "evidence was due by 2026-03-31; the grace time runs until 2026-04-15"
    );
    let (state, outcome, reason) = told("2026-09-01T00:00");
    assert_eq!((state, outcome), (State::Overdue, Outcome::Fail));
    assert_eq!(reason, "evidence was due by 2026-03-31 and has not been given");
}

#[test]
fn a_missed_due_date_stays_missed_and_later_evidence_ends_the_deviation() {
    let given = [evidence(5, "2026-08-01T12:00", "2026-08-01")];
    let account = account(&quarterly(), &given, at("2026-09-01T00:00"));
    assert_eq!(
        states(&account)[..3],
        [
            due("2026-03-31", DueState::Overdue, None),
            due("2026-06-30", DueState::MetOverdue, Some(5)),
            due("2026-09-30", DueState::Ahead, None),
        ]
    );
    let ends: Vec<_> = account
        .overdue
        .iter()
        .map(|overdue| (overdue.to, overdue.by))
        .collect();
    assert_eq!(ends, [(Some(at("2026-08-01T12:00")), Some(5)); 2]);
    assert_eq!(account.state, State::Current);
}

#[test]
fn a_second_file_of_the_same_review_is_not_the_next_review() {
    let given = [
        evidence(1, "2026-04-05T12:00", "2026-01-01..2026-03-31"),
        evidence(2, "2026-04-05T12:01", "2026-01-01..2026-03-31"),
        evidence(3, "2026-04-05T12:02", "2026-04-05"),
    ];
    let account = account(&quarterly(), &given, at("2026-05-01T00:00"));
    assert_eq!(states(&account)[0], due("2026-03-31", DueState::Late, Some(1)));
    assert_eq!(states(&account)[1], due("2026-06-30", DueState::Ahead, None));
    // Nor is one of a quarter that was met on time.
    let given = [
        evidence(1, "2026-03-30T12:00", "2026-03-30"),
        evidence(2, "2026-04-20T12:00", "2026-01-01..2026-03-31"),
    ];
    let account = super::account(&quarterly(), &given, at("2026-05-01T00:00"));
    assert_eq!(states(&account)[1].2, None);
}

#[test]
fn evidence_that_only_covers_what_was_before_meets_nothing() {
    let given = [
        evidence(1, "2026-03-30T12:00", "2026-03-30"),
        evidence(2, "2026-07-05T12:00", "2026-01-01..2026-03-31"),
    ];
    let account = account(&quarterly(), &given, at("2026-07-06T00:00"));
    assert_eq!(states(&account)[1], due("2026-06-30", DueState::Grace, None));
    assert_eq!(account.state, State::Due);
}

#[test]
fn evidence_no_longer_counts_beyond_its_age_also_where_it_was_given_in_time() {
    let yearly = vec![Duty {
        manual: Manual::new("yearly", None, None, Some(MaxAge::parse("90d").unwrap())).unwrap(),
        ..quarterly().remove(0)
    }];
    let given = [evidence(1, "2026-03-01T12:00", "2026-02-01..2026-12-31")];
    let told = |now| account(&yearly, &given, at(now));
    assert_eq!(told("2026-05-30T00:00").state, State::Current);
    assert_eq!(told("2026-06-01T00:00").state, State::TooOld);
    assert_eq!(told("2026-06-01T00:00").outcome(), Outcome::Unknown);
    let old = [evidence(1, "2026-03-01T12:00", "2025-06-30")];
    assert_eq!(account(&yearly, &old, at("2026-03-02T00:00")).state, State::Never);
}

#[test]
fn another_calendar_is_owed_from_its_plan_on_and_what_is_owed_no_more_ends() {
    let mut duties = quarterly();
    duties[0].to = Some(at("2026-05-01T00:00"));
    duties.push(Duty {
        from: at("2026-05-01T00:00"),
        to: Some(at("2026-09-15T00:00")),
        manual: Manual::new("monthly", None, None, None).unwrap(),
    });
    let account = account(&duties, &[], at("2026-12-01T00:00"));
    let days: Vec<_> = account.dues.iter().map(|due| due.day.to_string()).collect();
    let expected = [
        "2026-03-31",
        "2026-05-31",
        "2026-06-30",
        "2026-07-31",
        "2026-08-31",
    ];
    assert_eq!(days, expected);
    let ends: Vec<_> = account.overdue.iter().map(|overdue| overdue.to).collect();
    assert_eq!(ends, [Some(at("2026-09-15T00:00")); 5]);
}

proptest! {
    #[test]
    fn whatever_is_given_when_no_silence_passes_and_nothing_counts_twice(
        given in prop::collection::vec((0..700_i64, 0..200_i64, 0..100_i64), 0..12),
        now in 0..800_i64,
    ) {
        let begin = at("2026-01-10T00:00");
        let now = begin + TimeDelta::days(now);
        let mut given: Vec<Evidence> = given
            .into_iter()
            .map(|(sealed, back, length)| {
                let sealed = begin + TimeDelta::days(sealed) + TimeDelta::hours(7);
                let to = sealed.date_naive() - TimeDelta::days(back - 100);
                Evidence {
                    seq: 0,
                    sealed,
                    covers: Days { from: to - TimeDelta::days(length), to },
                    title: String::new(),
                }
            })
            .collect();
        given.sort_by_key(|each| each.sealed);
        for (seq, each) in given.iter_mut().enumerate() {
            each.seq = seq as u64;
        }
        let duties = quarterly();
        let account = account(&duties, &given, now);
        let mut met: Vec<u64> = account.dues.iter().filter_map(|due| Some(due.met?.0)).collect();
        let count = met.len();
        met.dedup();
        prop_assert_eq!(met.len(), count, "evidence met two due dates");
        prop_assert!(met.is_sorted());
        let mut before = None;
        for due in &account.dues {
            if let Some((seq, sealed)) = due.met {
                let each = &given[usize::try_from(seq).unwrap()];
                prop_assert_eq!(each.sealed, sealed);
                prop_assert!(sealed <= now);
                prop_assert!(before.is_none_or(|before| sealed > before), "given before its window");
                prop_assert!(before.is_none_or(|before| duties[0].manual.end_of(each.covers.to) > before));
                prop_assert_eq!(due.state == DueState::OnTime, sealed <= due.at);
                prop_assert_eq!(due.state == DueState::MetOverdue, sealed > due.grace_ends);
            } else {
                prop_assert_eq!(due.state == DueState::Overdue, due.grace_ends < now);
            }
            before = Some(due.at);
        }
        // A pass needs evidence for the last due date, not merely some.
        let last = account.dues.iter().rfind(|due| due.at < now);
        if account.outcome() == Outcome::Pass {
            prop_assert!(last.is_none_or(|last| last.met.is_some()));
            prop_assert!(account.newest.is_some());
        }
        // What nobody gives any more is a pass no longer.
        let later = super::account(&duties, &given, begin + TimeDelta::days(1200));
        prop_assert_eq!(later.outcome(), Outcome::Fail);
        // What came of the past does not change as time goes on, but for what is still open.
        let settled = account.dues.iter().zip(&later.dues).filter(|(due, _)| due.met.is_some());
        for (due, later) in settled {
            prop_assert_eq!(due, later);
        }
    }
}
