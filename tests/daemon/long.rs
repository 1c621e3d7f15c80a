//! A year.

use chrono::TimeDelta;
use std::collections::BTreeMap;

use crate::audited;
use crate::world::{World, Written, pass};

/// `SIMULATED_DAYS` makes it longer or shorter.
#[tokio::test(start_paused = true)]
async fn weeks_of_hourly_ticks_of_twenty_collectors_are_accounted_for_to_the_last() {
    let days = std::env::var("SIMULATED_DAYS").map_or(7, |days| days.parse().unwrap());
    let names: Vec<_> = (0..20).map(|number| format!("src-{number}")).collect();
    let world = World::new(Written::of(names.iter().map(|name| (name.as_str(), "0 * * * *"))));
    let daemon = world.start().await;
    pass(TimeDelta::days(days)).await;
    daemon.stop().await;
    let ticks = 20 * 24 * u64::try_from(days).unwrap();
    assert_eq!(audited(&world), BTreeMap::from([("snapshot".to_owned(), ticks)]));
}
