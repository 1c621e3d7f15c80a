//! What people are told by the calendar: exceptions that end, the week of an owner, and nothing at night.

use chrono::{NaiveTime, TimeDelta};
use std::time::Duration;

use evidenced::config;
use evidenced::schedule::Schedule;

use crate::alerts::{NOTHING, Told};
use crate::exceptions::record_for;
use crate::fake::{Answer, Bench, RULES, thing};
use crate::folder;

#[tokio::test]
async fn an_exception_that_ends_is_told_before_and_when_it_has_and_never_twice() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let mut told = Told::new(&bench);
    told.settings.notice = Duration::from_hours(24);
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    let withdrawn = record_for(&bench, 30).await;
    let seq = record_for(&bench, 48).await;
    assert_ne!(withdrawn, seq);
    assert_eq!(told.run().await, NOTHING, "it is excepted");
    bench.clock.forward(TimeDelta::hours(22));
    assert_eq!(
        told.tell().await,
        NOTHING,
        "the one that was replaced ends unheard"
    );
    bench.clock.forward(TimeDelta::hours(2));
    assert_eq!(
        told.tell().await,
        ["[medium] An exception from Every thing is safe ends on 2026-03-03"]
    );
    assert_eq!(told.tell().await, NOTHING);
    bench.clock.forward(TimeDelta::hours(24));
    assert_eq!(
        told.tell().await,
        ["[medium] An exception from Every thing is safe has ended"]
    );
    assert_eq!(told.tell().await, NOTHING);
    assert_eq!(
        told.run().await,
        ["[high] Every thing is safe: fails for 1 resource on src"],
        "and the test fails again"
    );
}

#[tokio::test]
async fn each_owner_gets_the_week_of_the_own_controls() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let mut told = Told::new(&bench);
    // 1 March 2026 is a Sunday.
    let schedule = Schedule::parse("0 8 * * 1", chrono_tz::UTC).unwrap();
    told.settings.digest = Some(config::Digest { schedule });
    told.owners = ["platform", "people"]
        .map(|owner| (owner.to_owned(), vec!["desk".to_owned()]))
        .to_vec();
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", false)]))]);
    assert_eq!(told.run().await.len(), 1, "that it fails");
    bench.clock.forward(TimeDelta::hours(18));
    assert_eq!(told.tell().await, NOTHING, "Monday, seven o'clock");
    bench.clock.forward(TimeDelta::hours(1));
    assert_eq!(
        told.tell().await,
        [
            "Week of platform: 1 new, 0 open, 0 mended",
            "Week of people: 0 new, 0 open, 0 mended",
        ]
    );
    assert_eq!(told.tell().await, NOTHING);
    bench.holds([("a", Answer::seen([thing("x", true), thing("y", false)]))]);
    told.run().await;
    bench.clock.forward(TimeDelta::days(7));
    let titles = told.tell().await;
    assert!(
        titles.contains(&"Week of platform: 0 new, 1 open, 1 mended".to_owned()),
        "{titles:?}"
    );
}

#[tokio::test]
async fn at_night_only_what_is_critical_is_told() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let mut told = Told::new(&bench);
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    told.settings.quiet = Some(config::Quiet {
        from: hour(22),
        to: hour(7),
        zone: chrono_tz::UTC,
        weekends: false,
    });
    bench.clock.forward(TimeDelta::hours(10));
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    assert_eq!(told.run().await, NOTHING, "eleven at night");
    bench.clock.forward(TimeDelta::hours(7));
    assert_eq!(told.tell().await, NOTHING, "six in the morning");
    bench.clock.forward(TimeDelta::hours(1));
    assert_eq!(
        told.tell().await,
        ["[high] Every thing is safe: fails for 1 resource on src"]
    );
}

#[tokio::test]
async fn evidence_that_people_owe_is_told_before_it_is_due_and_when_it_is_overdue_and_never_twice() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let owed = "[[control]]\nid = \"access-review\"\nstatement = \"Access is reviewed.\"\nowner = \"people\"\n\
                criteria = [\"CC6.2\"]\nmanual = { every = \"0 0 11 3 *\", grace = \"3d\" }\n";
    bench.seal_rules(&[RULES, owed]).await;
    let mut told = Told::new(&bench);
    told.settings.notice = Duration::from_hours(7 * 24);
    // It is noon of 1 March.
    assert_eq!(told.tell().await, NOTHING);
    bench.clock.forward(TimeDelta::days(4));
    assert_eq!(
        told.tell().await,
        ["[medium] Evidence for access-review is due by 2026-03-10"]
    );
    assert_eq!(told.tell().await, NOTHING);
    bench.clock.forward(TimeDelta::days(8));
    assert_eq!(told.tell().await, NOTHING, "the grace time runs");
    bench.clock.forward(TimeDelta::days(1));
    assert_eq!(
        told.tell().await,
        ["[high] Evidence for access-review is overdue: it was due by 2026-03-10"]
    );
    assert_eq!(told.tell().await, NOTHING);
    let schedule = Schedule::parse("0 8 * * *", chrono_tz::UTC).unwrap();
    told.settings.digest = Some(config::Digest { schedule });
    told.owners = vec![("people".to_owned(), vec!["desk".to_owned()])];
    let text = told.tell_texts().await.concat();
    assert!(
        text.contains("Evidence to bring: 1\n- access-review: overdue, it was due by 2026-03-10"),
        "{text}"
    );
}
