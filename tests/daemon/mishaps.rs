//! What goes wrong, one at a time.

use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;

use evidenced::daemon::Order;
use evidenced::log::leaf::{Body, FailureLeaf, SnapshotLeaf};
use evidenced::plan::Announced;
use evidenced_collector_api::FailureClass;

use crate::world::{Act, World, Written, pass};
use crate::{audited, bodies, missed, time};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn snapshots(world: &World) -> Vec<SnapshotLeaf> {
    let snapshots = bodies(world).into_iter().filter_map(|body| match body {
        Body::Snapshot(snapshot) => Some(snapshot),
        _ => None,
    });
    snapshots.collect()
}

fn failures(world: &World) -> Vec<FailureLeaf> {
    let failures = bodies(world).into_iter().filter_map(|body| match body {
        Body::Failure(failure) => Some(failure),
        _ => None,
    });
    failures.collect()
}

pub(crate) fn three() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_targets_leaves_the_rest_interrupted() {
    let mut written = Written::of([("src", "0 * * * *")]);
    written.targets = Arc::new(|_, _| three());
    written.script = Arc::new(|_, _, _| Act::Answer(10 * SECOND));
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::minutes(30) + TimeDelta::seconds(15)).await;
    daemon.kill().await;
    let daemon = world.start().await;
    pass(TimeDelta::minutes(5)).await;
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!((counts["snapshot"], counts["missed: interrupted"]), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_comes_during_a_run_is_an_overrun_and_no_second_run_begins() {
    let mut written = Written::of([("src", "* * * * *")]);
    written.script = Arc::new(|_, _, _| Act::Answer(150 * SECOND));
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::minutes(30) + TimeDelta::seconds(30)).await;
    let until = evidenced::clock::Clock::now(world.clock.as_ref());
    daemon.stop().await;
    let counts = crate::account::audit(&world.reader(), until);
    assert!(counts["snapshot"] >= 9, "{counts:?}");
    assert!(counts["missed: overrun"] >= 18, "{counts:?}");
    let mut ends: Vec<_> = snapshots(&world)
        .iter()
        .map(|leaf| (leaf.started, leaf.finished))
        .collect();
    ends.sort_unstable();
    assert!(
        ends.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "two runs at once"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_runs_ask_at_once_than_there_is_room_for() {
    let names: Vec<_> = (0..9).map(|number| format!("src-{number}")).collect();
    let mut written = Written::of(names.iter().map(|name| (name.as_str(), "0 * * * *")));
    written.script = Arc::new(|_, _, _| Act::Answer(60 * SECOND));
    written.daemon.runs = 3;
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::minutes(45)).await;
    daemon.stop().await;
    assert_eq!(audited(&world)["snapshot"], 9);
    let runs: Vec<_> = snapshots(&world)
        .iter()
        .map(|leaf| (leaf.started, leaf.finished))
        .collect();
    let at_once = |(begun, _): &(_, _)| {
        runs.iter()
            .filter(|(from, to)| from <= begun && begun < to)
            .count()
    };
    assert_eq!(runs.iter().map(at_once).max(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_is_tried_again_within_the_tick_and_then_fails_once() {
    let mut written = Written::of([
        ("brief", "0 * * * *"),
        ("long", "0 * * * *"),
        ("refused", "0 * * * *"),
    ]);
    // Of several targets that are down, all have their end within the tick.
    written.targets = Arc::new(|source, _| match source {
        "long" => three(),
        _ => three()[..1].to_vec(),
    });
    let back = time("2026-01-01T01:03:00Z");
    written.script = Arc::new(move |source, _, now| match source {
        "refused" => Act::Refused,
        "brief" if now >= back || now < time("2026-01-01T01:00:00Z") => Act::Answer(SECOND),
        _ => Act::Down,
    });
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::minutes(29) + TimeDelta::hours(1)).await;
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!((counts["snapshot"], counts["failure"]), (1, 3 + 1));
    let brief = snapshots(&world)
        .into_iter()
        .find(|leaf| leaf.tick.is_some())
        .unwrap();
    assert!(brief.attempts > 3 && brief.started >= back, "{brief:?}");
    let failures = failures(&world);
    let of = |source: &str| {
        failures
            .iter()
            .find(|leaf| leaf.source == source && leaf.tick.is_some())
            .unwrap()
    };
    assert!(of("long").attempts > 10 && of("long").class == FailureClass::Unavailable);
    let end = time("2026-01-01T02:00:00Z");
    assert!(
        failures.iter().all(|leaf| leaf.finished < end),
        "not within the tick"
    );
    assert_eq!(of("refused").attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn collectors_that_hang_or_panic_fail_and_hold_up_nobody() {
    let names = ["good", "hangs-1", "hangs-2", "hangs-3", "panics"];
    let mut written = Written::of(names.map(|name| (name, "0 * * * *")));
    written.script = Arc::new(|source, _, _| match source {
        "good" => Act::Answer(SECOND),
        "panics" => Act::Panic,
        _ => Act::Hang,
    });
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::hours(5)).await;
    assert!(daemon.is_running() && daemon.watch.readiness().is_ok());
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!((counts["snapshot"], counts["failure"]), (5, 20));
    for failure in failures(&world) {
        let class = if failure.source == "panics" {
            FailureClass::Internal
        } else {
            FailureClass::Timeout
        };
        assert_eq!(failure.class, class);
    }
    let good: Vec<_> = snapshots(&world)
        .into_iter()
        .filter(|leaf| leaf.tick.is_some())
        .collect();
    assert!(
        good.iter()
            .all(|leaf| leaf.finished - leaf.tick.unwrap() < TimeDelta::seconds(5))
    );
}

/// In real time: a thread that is not given back can't be waited for in any other.
#[tokio::test]
async fn a_collector_that_keeps_its_thread_holds_up_nobody() {
    let mut written = Written::of([("blocks", "* * * * * *"), ("good", "* * * * * *")]);
    written.script = Arc::new(|source, _, _| match source {
        "good" => Act::Answer(Duration::ZERO),
        _ => Act::Block,
    });
    written.daemon.stop_within = SECOND;
    let world = World::new(written);
    let collectors = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let daemon = world.try_start(collectors.handle().clone()).await.unwrap();
    pass(TimeDelta::seconds(5)).await;
    daemon.order(Order::Stop).await;
    pass(TimeDelta::seconds(12)).await;
    assert!(!daemon.is_running(), "it does not end");
    collectors.shutdown_background();
    let good = snapshots(&world)
        .into_iter()
        .filter(|leaf| leaf.source == "good" && leaf.tick.is_some());
    assert!(good.count() >= 4);
    // What it owes is settled by the next daemon.
    world.write(|written| written.script = Arc::new(|_, _, _| Act::Answer(Duration::ZERO)));
    let daemon = world.start().await;
    daemon.stop().await;
    let effective = bodies(&world).into_iter().rev().find_map(|body| match body {
        Body::Plan(plan) => plan.effective,
        _ => None,
    });
    let counts = crate::account::audit(&world.reader(), effective.unwrap());
    assert!(
        counts["missed: interrupted"] >= 1 && counts["missed: overrun"] >= 2,
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_recorded_and_no_tick_is_lost_or_counted_twice() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::hours(3)).await;
    world.clock.set_by(TimeDelta::hours(4));
    pass(TimeDelta::hours(2)).await;
    world.clock.set_by(TimeDelta::hours(-3));
    pass(TimeDelta::hours(6)).await;
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!(counts["missed: clock_step"], 4);
    let steps: Vec<_> = bodies(&world)
        .into_iter()
        .filter_map(|body| match body {
            Body::Heartbeat(heartbeat) => heartbeat.stepped_ms,
            _ => None,
        })
        .collect();
    assert_eq!(steps, [4 * 3_600_000, -3 * 3_600_000]);
    // While the clock passes again what is accounted for, it is collected all the same; once it was after the first step.
    let (from, to) = (time("2026-01-01T06:31:00Z"), time("2026-01-01T09:01:00Z"));
    let again = snapshots(&world).into_iter().filter(|leaf| leaf.tick.is_none());
    assert_eq!(
        again
            .filter(|leaf| leaf.started > from && leaf.started < to)
            .count(),
        1 + 3
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_while_no_daemon_ran_is_recorded_too() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::minutes(130)).await;
    daemon.kill().await;
    world.clock.set_by(TimeDelta::hours(-2));
    let daemon = world.start().await;
    pass(TimeDelta::hours(4)).await;
    daemon.stop().await;
    let step = bodies(&world).into_iter().find_map(|body| match body {
        Body::Heartbeat(heartbeat) => heartbeat.stepped_ms,
        _ => None,
    });
    assert!((-7_200_000..-5_000_000).contains(&step.unwrap()), "{step:?}");
    assert_eq!(audited(&world), [("snapshot".to_owned(), 4)].into());
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_a_valid_configuration_from_now_on_and_keeps_the_old_one_otherwise() {
    let world = World::new(Written::of([
        ("gone", "0 * * * *"),
        ("kept", "0 * * * *"),
        ("other", "0 * * * *"),
    ]));
    let daemon = world.start().await;
    pass(TimeDelta::minutes(95)).await;
    let before = world.written.lock().unwrap().take();
    daemon.order(Order::Reload).await;
    pass(TimeDelta::hours(1)).await;
    *world.written.lock().unwrap() = before;
    world.write(|written| {
        written.schedules.remove("gone");
        written
            .schedules
            .insert("new".to_owned(), ("15 * * * *".to_owned(), chrono_tz::UTC));
        written
            .schedules
            .insert("other".to_owned(), ("*/20 * * * *".to_owned(), chrono_tz::UTC));
    });
    daemon.order(Order::Reload).await;
    pass(TimeDelta::minutes(119)).await;
    daemon.stop().await;
    let plans = bodies(&world)
        .iter()
        .filter(|body| matches!(body, Body::Plan(_)))
        .count();
    assert_eq!(plans, 2);
    let counts = audited(&world);
    assert_eq!(counts.len(), 1, "{counts:?}");
    // Until 3:05 by the old one, from there to 5:04 by the new one.
    let ticked = |source: &str| {
        let all = snapshots(&world);
        all.iter()
            .filter(|leaf| leaf.source == source && leaf.tick.is_some())
            .count()
    };
    assert_eq!(["gone", "kept", "other", "new"].map(ticked), [3, 5, 3 + 6, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_waits_behind_its_jitter_when_its_source_goes_is_missed() {
    let mut written = Written::of([("gone", "0 * * * *"), ("kept", "0 * * * *")]);
    written.daemon.jitter = Duration::from_hours(1);
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::minutes(30) + TimeDelta::milliseconds(100)).await;
    world.write(|written| drop(written.schedules.remove("gone")));
    daemon.order(Order::Reload).await;
    pass(TimeDelta::minutes(25)).await;
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!((counts["missed: removed"], counts["snapshot"]), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_named_where_it_had_been_announced() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let announced = Announced {
        from: time("2026-01-01T03:00:00Z"),
        to: time("2026-01-01T05:00:00Z"),
        reason: "the rack moves".to_owned(),
    };
    world.write(|written| written.maintenance.push(announced.clone()));
    let daemon = world.start().await;
    pass(TimeDelta::hours(1)).await;
    daemon.kill().await;
    pass(TimeDelta::hours(6)).await;
    // Too late to announce what has passed.
    world.write(|written| {
        written.maintenance.push(Announced {
            from: time("2026-01-01T05:00:00Z"),
            to: time("2026-01-01T09:00:00Z"),
            ..announced
        });
    });
    let daemon = world.start().await;
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!(
        (counts["missed: maintenance"], counts["missed: daemon_down"]),
        (2, 4)
    );
    let notes = bodies(&world).into_iter().filter_map(|body| match body {
        Body::Missed(missed) => missed.note,
        _ => None,
    });
    assert_eq!(notes.collect::<Vec<_>>(), ["the rack moves"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_set_of_targets_stands_before_its_snapshots_and_none_at_all_is_a_failure() {
    let mut written = Written::of([("src", "0 * * * *")]);
    written.targets = Arc::new(|_, now| {
        match now
            .signed_duration_since(time("2026-01-01T00:00:00Z"))
            .num_hours()
        {
            0..3 => three(),
            3..5 => vec!["b".to_owned()],
            5 => Vec::new(),
            _ => vec!["a".to_owned(), "d".to_owned()],
        }
    });
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::hours(7)).await;
    daemon.stop().await;
    // 1 and 2 o'clock of three, 3 and 4 of one, 6 and 7 of two.
    let counts = audited(&world);
    assert_eq!((counts["snapshot"], counts["failure"]), (6 + 2 + 4, 1));
    let scopes = bodies(&world)
        .iter()
        .filter(|body| matches!(body, Body::Scope(_)))
        .count();
    assert_eq!(scopes, 4);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_waits_for_runs_and_records_those_that_take_too_long() {
    for (seconds, outcome) in [(20, "snapshot"), (300, "missed: interrupted")] {
        let mut written = Written::of([("src", "0 * * * *")]);
        written.script = Arc::new(move |_, _, _| Act::Answer(Duration::from_secs(seconds)));
        written.daemon.stop_within = 30 * SECOND;
        let world = World::new(written);
        let daemon = world.start().await;
        pass(TimeDelta::minutes(30) + TimeDelta::seconds(1)).await;
        daemon.stop().await;
        assert_eq!(audited(&world), [(outcome.to_owned(), 1)].into());
    }
}

#[tokio::test(start_paused = true)]
async fn a_daily_tick_happens_on_the_day_on_which_its_hour_does_not() {
    let mut written = Written::of([]);
    let berlin = chrono_tz::Europe::Berlin;
    written
        .schedules
        .insert("src".to_owned(), ("30 2 * * *".to_owned(), berlin));
    let world = World::new(written);
    world.clock.set_by(TimeDelta::days(86));
    let daemon = world.start().await;
    pass(TimeDelta::hours(95)).await;
    daemon.stop().await;
    let ticks: Vec<_> = snapshots(&world).iter().filter_map(|leaf| leaf.tick).collect();
    // On 29 March 2026 clocks go from 2:00 to 3:00, which is 1:00 in UTC.
    let expected = ["03-28T01:30", "03-29T01:00", "03-30T00:30", "03-31T00:30"];
    assert_eq!(ticks, expected.map(|text| time(&format!("2026-{text}:00Z"))));
    audited(&world);
}

#[tokio::test(start_paused = true)]
async fn what_is_collected_by_hand_alone_is_left_to_that() {
    let world = World::new(Written::of([("by-hand", "@ad_hoc"), ("src", "0 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::hours(3)).await;
    daemon.stop().await;
    assert!(snapshots(&world).iter().all(|leaf| leaf.source == "src"));
    let text = String::from_utf8(world.start().await.watch.metrics().unwrap()).unwrap();
    assert!(
        !text.contains("schedule_interval_seconds{collector=\"fake.things\",source=\"by-hand\"}"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_may_see_is_what_the_log_says() {
    let mut written = Written::of([("bad", "0 * * * *"), ("good", "0 * * * *")]);
    written.script = Arc::new(|source, _, _| match source {
        "good" => Act::Answer(SECOND),
        _ => Act::Refused,
    });
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::hours(2)).await;
    let text = String::from_utf8(daemon.watch.metrics().unwrap()).unwrap();
    let newest = snapshots(&world)
        .last()
        .unwrap()
        .covers
        .until()
        .with_timezone(&Utc);
    for line in [
        "evidenced_ticks_total{collector=\"fake.things\",outcome=\"snapshot\",source=\"good\"} 2".to_owned(),
        "evidenced_ticks_total{collector=\"fake.things\",outcome=\"failure\",source=\"bad\"} 2".to_owned(),
        "evidenced_ticks_total{collector=\"fake.things\",outcome=\"missed\",source=\"bad\"} 0".to_owned(),
        "evidenced_schedule_interval_seconds{collector=\"fake.things\",source=\"bad\"} 3600".to_owned(),
        format!(
            "evidenced_last_success_timestamp_seconds{{collector=\"fake.things\",source=\"good\"}} {}",
            newest.timestamp()
        ),
        format!("evidenced_log_leaves {}", world.reader().size().unwrap()),
        "evidenced_source_calls_total{collector=\"fake.things\",source=\"good\"} 3".to_owned(),
        // One target is as it should be, the other was never observed.
        "evidenced_controls{outcome=\"unknown\"} 1".to_owned(),
        "evidenced_ready 1".to_owned(),
        "evidenced_clock_synchronised 1".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(&line)),
            "{line}\n{text}"
        );
    }
    assert!(missed(&world).is_empty());
    daemon.stop().await;
}
