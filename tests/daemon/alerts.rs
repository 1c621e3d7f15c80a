//! What the daemon tells people while it runs: soon after a run's end, and without holding up a tick.

use chrono::TimeDelta;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evidenced::log::leaf::Body;

use super::world::{Act, Desk, World, Written, pass};

fn written(desk: &Desk) -> Written {
    let mut written = Written::of([("src", "0 * * * *")]);
    written.desk = Some(desk.clone());
    written.script = Arc::new(|_, _, now| {
        let hour = now.timestamp() / 3600 % 24;
        if (3..8).contains(&hour) {
            Act::Down
        } else {
            Act::Answer(Duration::from_secs(1))
        }
    });
    written
}

fn titles(desk: &Desk) -> Vec<String> {
    let taken = desk.taken.lock().unwrap();
    taken.iter().map(|(_, title)| title.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_hours_is_told_once_and_that_it_is_over_within_a_minute_of_the_run() {
    let desk = Desk::default();
    let world = World::new(written(&desk));
    let daemon = world.start().await;
    let began = tokio::time::Instant::now();
    pass(TimeDelta::hours(10)).await;
    assert_eq!(
        titles(&desk),
        [
            "[high] fake.things on src: nothing can be collected",
            "Resolved: fake.things on src collects again",
        ]
    );
    // At 08:00:01 it was collected again: seven and a half hours after the start.
    let (at, _) = desk.taken.lock().unwrap()[1];
    let after = (at - began).checked_sub(Duration::from_mins(450)).unwrap();
    assert!(after < Duration::from_mins(1), "{after:?} after the tick");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_never_answers_holds_up_no_tick_and_is_told_in_the_end() {
    let desk = Desk::default();
    desk.hangs.store(true, Ordering::Relaxed);
    let world = World::new(written(&desk));
    let daemon = world.start().await;
    pass(TimeDelta::hours(12)).await;
    let reader = world.reader();
    let leaves = (0..reader.size().unwrap()).map(|seq| reader.leaf(seq).unwrap().unwrap());
    let ticks = leaves.filter(|leaf| match &leaf.body {
        Some(Body::Snapshot(snapshot)) => snapshot.tick.is_some(),
        Some(Body::Failure(failure)) => failure.tick.is_some(),
        _ => false,
    });
    assert_eq!(ticks.count(), 12);
    assert_eq!(titles(&desk), [""; 0]);
    assert_eq!(reader.posted().unwrap().len(), 2);
    desk.hangs.store(false, Ordering::Relaxed);
    pass(TimeDelta::hours(2)).await;
    assert_eq!(titles(&desk).len(), 2);
    assert!(reader.posted().unwrap().is_empty());
    daemon.stop().await;
}
