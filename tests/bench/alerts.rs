//! 10,000 resources that begin to fail at once: what alerts cost the round, and how soon the channel is asked.
//!
//! Prints the time of rounds with and without alerts in one run, and that from the end of the round to the request.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, takes the time, and ends where it can't measure"
)]

#[path = "../fake/everything.rs"]
mod everything;
#[path = "../fake/mod.rs"]
mod fake;

use async_trait::async_trait;
use chrono::TimeDelta;
use evidenced::alert::channel::{Channel, SendError, Sent};
use evidenced::alert::courier::Courier;
use evidenced::alert::message::Message;
use evidenced::alert::outlet::{Line, Outlet};
use evidenced::alert::template::Templates;
use evidenced::config;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use everything::everything;
use fake::{Answer, Bench, thing};

const RESOURCES: usize = 10_000;

/// When each message came, and its title.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Vec<(Instant, String)>>>);

#[async_trait]
impl Channel for Desk {
    async fn send(&self, message: &Message, _reference: Option<&str>) -> Result<Sent, SendError> {
        self.0
            .lock()
            .unwrap()
            .push((Instant::now(), message.title.clone()));
        Ok(Sent {
            answer: String::new(),
            reference: None,
        })
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            without.push(round(None).await.0);
            let (took, asked, titles) = round(Some(2)).await;
            with.push(took);
            println!("  the channel was asked {asked:.0?} after the round: {titles:?}");
        }
        let (with, without) = (middle(with), middle(without));
        println!(
            "{RESOURCES} resources begin to fail: a round takes {with:.0?} with alerts, {without:.0?} without, {:.2} times",
            with.as_secs_f64() / without.as_secs_f64()
        );
    });
}

/// How long the round took in which everything changed, how long after it the channel was asked, and what it was told.
async fn round(after: Option<u32>) -> (Duration, Duration, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = after;
    let all =
        |safe| Answer::seen((0..RESOURCES).map(move |number| thing(&format!("thing-{number:05}"), safe)));
    bench.holds([("a", all(true))]);
    bench.run().await;
    bench.clock.forward(TimeDelta::hours(1));
    bench.holds([("a", all(false))]);
    let begun = Instant::now();
    bench.run().await;
    let ended = Instant::now();
    let desk = Desk::default();
    let line = Line {
        channel: Box::new(desk.clone()),
        personal_data: true,
    };
    let outlet = Outlet {
        plan: Arc::clone(&bench.plan),
        settings: config::Alerts::default(),
        channels: BTreeMap::from([("desk".to_owned(), line)]),
        routes: vec![everything("desk")],
        owners: Vec::new(),
        templates: Templates::load(None).unwrap(),
    };
    let (_sender, outlet) = tokio::sync::watch::channel(Arc::new(outlet));
    let courier = Courier {
        log: bench.log.clone(),
        reader: bench.shared(),
        clock: bench.clock.clone(),
        outlet,
        bell: Arc::default(),
    };
    let told = Instant::now();
    courier.run_once(Duration::from_mins(1)).await;
    let taken = desk.0.lock().unwrap().clone();
    let asked = taken.first().map_or(Duration::ZERO, |(at, _)| *at - told);
    let titles = taken.into_iter().map(|(_, title)| title).collect();
    (ended - begun, asked, titles)
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
