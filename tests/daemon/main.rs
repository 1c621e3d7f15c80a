//! The daemon in virtual time: whatever happens, every tick leaves exactly one account of itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

mod account;
mod alerts;
#[path = "../fake/everything.rs"]
mod everything;
mod long;
mod mishaps;
mod period;
mod pushes;
mod trouble;
mod waived;
#[allow(dead_code, reason = "the tests of faults use more of it")]
mod world;

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

use evidenced::clock::Clock as _;
use evidenced::log::leaf::{Body, MissedReason, Trigger};

use world::{World, Written, pass};

/// Every tick up to now is accounted for exactly once; how many with which outcome.
fn audited(world: &World) -> BTreeMap<String, u64> {
    account::audit(&world.reader(), world.clock.now())
}

fn bodies(world: &World) -> Vec<Body> {
    let reader = world.reader();
    let size = reader.size().unwrap();
    (0..size)
        .filter_map(|seq| reader.leaf(seq).unwrap().unwrap().body)
        .collect()
}

fn missed(world: &World) -> Vec<(DateTime<Utc>, DateTime<Utc>, u64, MissedReason)> {
    let missed = bodies(world).into_iter().filter_map(|body| match body {
        Body::Missed(missed) => Some((
            missed.ticks.first,
            missed.ticks.last,
            missed.ticks.count,
            missed.reason,
        )),
        _ => None,
    });
    missed.collect()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_day_of_ticks_is_a_day_of_snapshots_and_heartbeats() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::hours(24) - TimeDelta::minutes(1)).await;
    daemon.stop().await;
    assert_eq!(audited(&world), BTreeMap::from([("snapshot".to_owned(), 24)]));
    let bodies = bodies(&world);
    // One at once, since nothing had been collected yet.
    let caught_up = bodies
        .iter()
        .filter(|body| matches!(body, Body::Snapshot(snapshot) if snapshot.trigger == Trigger::CatchUp));
    assert_eq!(caught_up.count(), 1);
    // At the start, hourly, and at the end.
    let heartbeats = bodies.iter().filter(|body| matches!(body, Body::Heartbeat(_)));
    assert_eq!(heartbeats.count(), 25);
}

#[tokio::test(start_paused = true)]
async fn what_passed_while_no_daemon_ran_is_missed_and_caught_up_with() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::hours(3)).await;
    daemon.kill().await;
    pass(TimeDelta::hours(5)).await;
    let daemon = world.start().await;
    pass(TimeDelta::minutes(40)).await;
    daemon.stop().await;
    let (first, last) = (time("2026-01-01T04:00:00Z"), time("2026-01-01T08:00:00Z"));
    assert_eq!(missed(&world), [(first, last, 5, MissedReason::DaemonDown)]);
    let counts = audited(&world);
    assert_eq!(counts["snapshot"], 4);
    assert_eq!(counts["missed: daemon_down"], 5);
    let caught_up = bodies(&world)
        .into_iter()
        .filter(|body| matches!(body, Body::Snapshot(snapshot) if snapshot.trigger == Trigger::CatchUp));
    assert_eq!(caught_up.count(), 2);
}
