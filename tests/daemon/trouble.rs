//! Trouble with the log itself: it can't be written for a while, or what it holds can't be read.

use chrono::TimeDelta;
use std::sync::Arc;

use evidenced::daemon::Order;
use evidenced::log::leaf::Body;

use crate::mishaps::{snapshots, three};
use crate::world::{World, Written, pass};
use crate::{audited, bodies};

#[tokio::test(start_paused = true)]
async fn a_log_that_can_not_be_written_stops_collection_until_it_can() {
    let mut written = Written::of([("src", "*/10 * * * *")]);
    written.targets = Arc::new(|_, _| three());
    let world = World::new(written);
    let daemon = world.start().await;
    pass(TimeDelta::hours(1)).await;
    let lock = world.path().join("write.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    pass(TimeDelta::hours(1)).await;
    assert!(daemon.is_running());
    assert!(daemon.watch.readiness().unwrap_err().contains("can't be written"));
    assert!(daemon.watch.health().is_ok());
    std::fs::remove_dir(&lock).unwrap();
    pass(TimeDelta::minutes(25)).await;
    assert!(daemon.watch.readiness().is_ok());
    daemon.stop().await;
    let counts = audited(&world);
    assert_eq!(counts["missed: log_unavailable"], 6);
    assert_eq!(counts["snapshot"], 3 * (6 + 2));
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_can_not_be_recorded_leaves_the_old_configuration_and_says_so_in_the_log() {
    let world = World::new(Written::of([("src", "*/10 * * * *")]));
    let daemon = world.start().await;
    pass(TimeDelta::minutes(35)).await;
    let lock = world.path().join("write.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    world.write(|written| {
        drop(
            written
                .schedules
                .insert("new".to_owned(), ("5 * * * *".to_owned(), chrono_tz::UTC)),
        );
    });
    daemon.order(Order::Reload).await;
    pass(TimeDelta::minutes(25)).await;
    std::fs::remove_dir(&lock).unwrap();
    pass(TimeDelta::minutes(61)).await;
    assert!(daemon.watch.readiness().is_ok());
    daemon.stop().await;
    assert!(snapshots(&world).iter().all(|leaf| leaf.source == "src"));
    let plans = bodies(&world)
        .iter()
        .filter(|body| matches!(body, Body::Plan(_)))
        .count();
    assert_eq!(plans, 2, "the old one is sealed again");
    assert!(audited(&world)["missed: log_unavailable"] >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_can_not_be_read_stops_the_daemon_only_while_it_is_the_newest() {
    let world = World::new(Written::of([("src", "0 * * * *")]));
    let damage = |seq: u64| {
        let database = rusqlite::Connection::open(world.paths().database()).unwrap();
        let changed = database.execute("UPDATE blob SET bytes = x'00' WHERE seq = ?", [seq]);
        assert_eq!(changed.unwrap(), 1);
    };
    for schedule in ["0 * * * *", "30 * * * *"] {
        let text = schedule.to_owned();
        world.write(|written| drop(written.schedules.insert("src".to_owned(), (text, chrono_tz::UTC))));
        let daemon = world.start().await;
        pass(TimeDelta::hours(2)).await;
        daemon.stop().await;
    }
    let plans: Vec<_> = (0..)
        .zip(bodies(&world))
        .filter_map(|(seq, body)| matches!(body, Body::Plan(_)).then_some(seq))
        .collect();
    damage(plans[0]);
    world.start().await.stop().await;
    damage(plans[1]);
    let refused = world.try_start(tokio::runtime::Handle::current()).await;
    assert!(refused.is_err());
}
