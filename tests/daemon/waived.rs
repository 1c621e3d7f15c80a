//! Exceptions in the lived half-year: recorded beside the running daemon, some that cover failures up to their end, one that is
//! withdrawn before; and which failures that covers, counted again.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

use evidenced::clock::Clock as _;
use evidenced::exception;
use evidenced::log::append::{Appender, Draft};
use evidenced::log::leaf::{Body, Exception, Role};
use evidenced::summary::Failed;

use crate::world::{World, pass};

type Time = DateTime<Utc>;

/// An exception of the truth: recorded when, on which source, up to when.
pub(crate) struct Waived {
    pub(crate) seq: u64,
    source: &'static str,
    recorded: Time,
    expires: Time,
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// When which source's things are excepted, up to when: the second of `prod` withdraws the one before it.
fn asked() -> [(Time, &'static str, Time); 4] {
    [
        ("2026-02-20T03:00:00Z", "prod", "2026-03-20T00:00:00Z"),
        ("2026-03-01T03:00:00Z", "edge", "2026-05-10T12:00:00Z"),
        ("2026-04-05T03:00:00Z", "prod", "2026-06-20T00:00:00Z"),
        ("2026-05-15T03:00:00Z", "prod", "2026-05-15T03:00:00Z"),
    ]
    .map(|(recorded, source, expires)| (time(recorded), source, time(expires)))
}

/// Lets time go on up to an instant, recording what is due on the way.
pub(crate) async fn pass_until(world: &World, until: Time) -> Vec<Waived> {
    let mut recorded = Vec::new();
    let now = world.clock.now();
    for (at, source, expires) in asked().into_iter().filter(|(at, ..)| now <= *at && *at < until) {
        pass(at - world.clock.now()).await;
        recorded.push(record(world, source, expires).await);
    }
    pass(until - world.clock.now()).await;
    recorded
}

async fn record(world: &World, source: &'static str, expires: Time) -> Waived {
    let log = Appender::open(world.paths(), "acme", world.clock.clone()).unwrap();
    let exception = Exception {
        test: "things-safe".to_owned(),
        only_source: Some(source.to_owned()),
        reason: "by design".to_owned(),
        requested_by: "Ann".to_owned(),
        approved_by: "Bob".to_owned(),
        recorded_by: "cleo".to_owned(),
        expires,
        resources: 1,
        ticket: None,
    };
    let payload = exception::payload(BTreeSet::from(["x".to_owned()]));
    let draft = Draft::new(Body::Exception(exception));
    let draft = draft
        .with_blob(Role::Resources, "application/json", &payload)
        .unwrap();
    let recorded = world.clock.now();
    let seq = log.append(draft).await.unwrap().seq;
    Waived {
        seq,
        source,
        recorded,
        expires,
    }
}

/// The exception that covers a failure at an instant: of the newest on its source, if that has not ended.
pub(crate) fn covering(waived: &[Waived], source: &str, at: Time) -> Option<u64> {
    let own = waived.iter().filter(|of| of.source == source && of.recorded < at);
    let newest = own.max_by_key(|of| of.recorded)?;
    (at < newest.expires).then_some(newest.seq)
}

/// Each deviation names the exceptions that covered it; the looks are those at which it failed.
pub(crate) fn are_told(waived: &[Waived], failed: &Failed, looks: impl Iterator<Item = Time>) {
    let within = looks.filter(|at| failed.first_fail.time <= *at && *at <= failed.last_fail.time);
    let covered: BTreeSet<u64> = within
        .filter_map(|at| covering(waived, &failed.source, at))
        .collect();
    let told: BTreeSet<u64> = failed.exceptions.iter().copied().collect();
    assert_eq!(told, covered, "{} {}", failed.target, failed.first_fail.time);
}

/// The truth has all of it: failures that were covered, and ones behind an end and a withdrawal that were not.
pub(crate) fn is_worth_telling(waived: &[Waived], failures: &[(String, Time)]) {
    assert_eq!(waived.len(), asked().len());
    let of = |source: &str, from: &str, to: &str| {
        let (from, to) = (time(from), time(to));
        let own = failures
            .iter()
            .filter(|(own, at)| own == source && from < *at && *at < to);
        let own: Vec<bool> = own
            .map(|(_, at)| covering(waived, source, *at).is_some())
            .collect();
        own
    };
    let covered = of("prod", "2026-02-20T03:00:00Z", "2026-03-20T00:00:00Z");
    assert!(!covered.is_empty() && covered.iter().all(|covered| *covered));
    let ended = of("prod", "2026-03-20T00:00:00Z", "2026-04-05T03:00:00Z");
    assert!(
        !ended.is_empty() && ended.iter().all(|covered| !covered),
        "it has expired"
    );
    let withdrawn = of("prod", "2026-05-15T03:00:00Z", "2026-06-20T00:00:00Z");
    assert!(
        !withdrawn.is_empty() && withdrawn.iter().all(|covered| !covered),
        "it was withdrawn"
    );
    assert!(TimeDelta::days(30) < waived[2].expires - waived[3].recorded);
}
