//! Half a year of a daemon's life: killed at random changes of its store, on disks that fill up, with clocks that are set,
//! an interface that is down for a week, and configurations that are not valid. Every tick leaves exactly one account.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evidenced::clock::Clock as _;
use evidenced::daemon::Order;
use evidenced::log::leaf::Body;
use evidenced::log::store::{Paths, Reader};
use evidenced::log::verify_store::verify_store;

use super::account::audit;
use super::child::Bench;
use super::program::{Random, say};
use super::world::{Act, World, Written, pass};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Four sources: each hour; each six hours, of three targets that become two; daily where clocks change; weekly.
fn written() -> Written {
    let mut written = Written::of([
        ("hourly", "0 * * * *"),
        ("six", "30 */6 * * *"),
        ("weekly", "0 6 * * 1"),
    ]);
    let berlin = chrono_tz::Europe::Berlin;
    written
        .schedules
        .insert("daily".to_owned(), ("30 2 * * *".to_owned(), berlin));
    written.targets = Arc::new(|source, now| {
        let all = ["a", "b", "c"].map(str::to_owned);
        match source {
            "six" if now < time("2026-03-15T00:00:00Z") => all.to_vec(),
            "six" => all[1..].to_vec(),
            _ => all[..1].to_vec(),
        }
    });
    let down = time("2026-02-10T00:00:00Z")..time("2026-02-17T00:00:00Z");
    written.script = Arc::new(move |source, target, now| {
        let hour = now.timestamp() / 3600;
        match source {
            "hourly" if down.contains(&now) => Act::Down,
            // No answer before the run's deadline, now and then.
            "hourly" if hour % 23 == 0 => Act::Answer(Duration::from_mins(70)),
            "hourly" if hour % 89 == 0 => Act::Panic,
            "six" if target == "b" && hour % 11 == 0 => Act::Refused,
            _ => Act::Answer(Duration::from_secs(20)),
        }
    });
    written.daemon.jitter = Duration::from_mins(5);
    written
}

/// The program under test: a daemon from `DAEMON_FROM` to `DAEMON_TO`, and what happens to it by `DAEMON_SEED`.
pub(crate) fn run(paths: &Paths) {
    let variable = |name| std::env::var(name).unwrap();
    let (from, to) = (time(&variable("DAEMON_FROM")), time(&variable("DAEMON_TO")));
    let mut random = Random(variable("DAEMON_SEED").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::at(paths.clone(), from, written());
        let daemon = match world.try_start(tokio::runtime::Handle::current()).await {
            Ok(daemon) => daemon,
            Err(error) => return say(&format!("refused {error}")),
        };
        let mut is_valid = true;
        while world.clock.now() < to && daemon.is_running() {
            pass(TimeDelta::minutes(i64::try_from(random.below(600)).unwrap())).await;
            match random.below(40) {
                0 => world.clock.set_by(TimeDelta::minutes(200)),
                1 => world.clock.set_by(TimeDelta::minutes(-200)),
                // Not valid, and mended.
                2..5 => {
                    is_valid = !is_valid;
                    *world.written.lock().unwrap() = is_valid.then(written);
                }
                5..8 if world.written.lock().unwrap().is_some() => world.write(|written| {
                    let hourly = ["0 * * * *", "*/40 * * * *", "15 * * * *"];
                    let text = hourly[random.index(3)].to_owned();
                    written
                        .schedules
                        .insert("hourly".to_owned(), (text, chrono_tz::UTC));
                    if written.schedules.remove("weekly").is_none() {
                        let monday = "0 6 * * 1".to_owned();
                        written
                            .schedules
                            .insert("weekly".to_owned(), (monday, chrono_tz::UTC));
                    }
                }),
                _ => continue,
            }
            daemon.order(Order::Reload).await;
        }
        if daemon.is_running() {
            daemon.stop().await;
            say(&"stopped");
        }
    });
}

/// When a store's newest leaf was written; none where it holds nothing yet.
fn newest(paths: &Paths) -> Option<DateTime<Utc>> {
    let reader = Reader::open(paths).ok()?;
    let size = reader.size().unwrap();
    Some(reader.leaf(size - 1).unwrap()?.time)
}

#[test]
fn half_a_year_of_mishaps_leaves_exactly_one_account_of_every_tick() {
    let bench = Bench::new();
    let mut random = Random(5);
    let (begin, end) = (time("2026-01-01T00:10:00Z"), time("2026-07-01T00:00:00Z"));
    let (mut from, mut lives, mut ends) = (begin, 0, BTreeMap::new());
    while from < end {
        let fault = match random.below(4) {
            0 => (
                "SHIM_FULL",
                format!("{}:{}", random.below(9_000) + 1, random.below(3_000) + 1_500),
            ),
            1 => ("SHIM_FAULTS", format!("{}:cut", random.below(12_000) + 1)),
            _ => ("SHIM_FAULTS", format!("{}:kill", random.below(12_000) + 1)),
        };
        let to = (from + TimeDelta::days(21)).min(end);
        let mut command = bench.command("daemon");
        command
            .env(fault.0, &fault.1)
            .env("DAEMON_FROM", from.to_rfc3339())
            .env("DAEMON_TO", to.to_rfc3339())
            .env("DAEMON_SEED", lives.to_string());
        let run = bench.finish(command.spawn().unwrap());
        assert!(
            !run.said("refused") || fault.0 == "SHIM_FULL",
            "{fault:?}: {:?}",
            run.said
        );
        let ended = if run.said("stopped") { "stopped" } else { "died" };
        *ends.entry(ended).or_insert(0) += 1;
        lives += 1;
        assert!(lives < 400, "it does not get on: {from}");
        // The next one begins at once, later, or by a clock that was set back meanwhile.
        let last = newest(&bench.store()).unwrap_or(from).max(from);
        from = last
            + match random.below(6) {
                0 => TimeDelta::seconds(1),
                1 => TimeDelta::minutes(-90),
                _ => TimeDelta::minutes(i64::try_from(random.below(3000)).unwrap()),
            };
    }
    // The last one settles what is left.
    let mut command = bench.command("daemon");
    let times = [("DAEMON_FROM", from), ("DAEMON_TO", from)];
    command
        .envs(times.map(|(name, at)| (name, at.to_rfc3339())))
        .env("DAEMON_SEED", "1");
    let run = bench.finish(command.spawn().unwrap());
    assert!(run.said("stopped"), "{:?} {}", run.said, run.complaints);

    let report = verify_store(&bench.store(), None, &|_, _| {}).unwrap();
    assert!(report.intact, "{:?}", report.problems);
    let reader = Reader::open(&bench.store()).unwrap();
    let effective = (0..reader.size().unwrap())
        .rev()
        .find_map(|seq| match reader.leaf(seq).unwrap()?.body {
            Some(Body::Plan(plan)) => plan.effective,
            _ => None,
        });
    let counts = audit(&reader, effective.unwrap());
    for outcome in [
        "snapshot",
        "failure",
        "missed: daemon_down",
        "missed: interrupted",
        "missed: disk_full",
        "missed: clock_step",
    ] {
        assert!(
            counts.get(outcome).is_some_and(|count| *count > 0),
            "no {outcome}: {counts:?}"
        );
    }
    assert!(ends["died"] > 10, "{ends:?}");
}
