//! A simulated year: 20 collectors, each on its own source, hourly, in virtual time, on a real store.
//!
//! Prints how long the year took, and how resident memory and open files developed. `DAYS=30 cargo bench --bench daemon`
//! simulates less.

#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, takes the time, and ends where it can't measure"
)]

#[path = "../fake/everything.rs"]
mod everything;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../daemon/world.rs"]
mod world;

use chrono::TimeDelta;
use evidenced::log::verify_store::verify_store;
use std::time::Instant;

use world::{World, Written, pass};

fn main() {
    let days: i64 = std::env::var("DAYS").map_or(365, |days| days.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let names: Vec<_> = (0..20).map(|number| format!("src-{number}")).collect();
        let world = World::new(Written::of(names.iter().map(|name| (name.as_str(), "0 * * * *"))));
        let begun = Instant::now();
        let daemon = world.start().await;
        for part in 1..=10 {
            pass(TimeDelta::days(days) / 10).await;
            let (day, took) = (days * part / 10, begun.elapsed());
            println!(
                "day {day:3}: {took:6.1?}, {:5.1} MB resident, {} files open",
                resident(),
                files()
            );
        }
        daemon.stop().await;
        let took = begun.elapsed();
        let size = world.reader().size().unwrap();
        assert!(verify_store(world.paths(), None, &|_, _| {}).unwrap().intact);
        println!(
            "{days} days, {} ticks, {size} leaves in {took:.1?}: {:.0} times as fast as time",
            20 * 24 * days,
            (days * 86_400) as f64 / took.as_secs_f64()
        );
    });
}

/// Megabytes of resident memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
