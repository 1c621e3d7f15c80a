//! Death between any two steps of evaluating, enqueuing, sending and recording: nobody goes untold, and whoever is told
//! twice can tell by the key.

use async_trait::async_trait;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidenced::alert::channel::{Channel, SendError, Sent};
use evidenced::alert::courier::Courier;
use evidenced::alert::message::Message;
use evidenced::alert::outlet::{Line, Outlet};
use evidenced::alert::template::Templates;
use evidenced::config;
use evidenced::log::leaf::{AlertState, Body};
use evidenced::log::store::{Paths, Reader};
use evidenced::log::verify_store::verify_store;
use evidenced::round;

use super::child::Bench;
use super::everything::everything;
use super::examine::every;
use super::fake::{self, Answer, HandClock, RULES, thing};

/// A receiver that keeps what it is sent, flushed, and whose sender may die at any moment.
struct Pile(PathBuf);

#[async_trait]
impl Channel for Pile {
    async fn send(&self, message: &Message, _reference: Option<&str>) -> Result<Sent, SendError> {
        let line = format!("{}\t{}\n", message.key, message.title);
        let mut pile = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.0)
            .unwrap();
        pile.write_all(line.as_bytes()).unwrap();
        Ok(Sent {
            answer: "taken".to_owned(),
            reference: None,
        })
    }
}

fn pile(paths: &Paths) -> PathBuf {
    paths.directory().parent().unwrap().parent().unwrap().join("pile")
}

/// The program under test: what is safe, then is not, then is again, each told. It goes on from wherever it died.
pub(crate) fn run(paths: &Paths) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = HandClock::at("2026-03-01T12:00:00Z");
        let mut bench = fake::Bench::begun_at(paths.directory(), RULES, clock.clone()).await;
        bench.after = Some(2);
        round::judge_unjudged(&bench.log, &bench.shared(), Some(2))
            .await
            .unwrap();
        let taken = bench.kinds().iter().filter(|kind| *kind == "snapshot").count();
        clock.forward(TimeDelta::hours(i64::try_from(taken).unwrap()));
        let outlet = outlet(&bench, &pile(paths));
        tell(&bench, &outlet).await;
        for safe in [true, false, true].into_iter().skip(taken) {
            clock.forward(TimeDelta::hours(1));
            bench.holds([("a", Answer::seen([thing("x", safe)]))]);
            bench.run().await;
            tell(&bench, &outlet).await;
        }
    });
}

fn outlet(bench: &fake::Bench, pile: &Path) -> Arc<Outlet> {
    let line = Line {
        channel: Box::new(Pile(pile.to_owned())),
        personal_data: true,
    };
    Arc::new(Outlet {
        plan: Arc::clone(&bench.plan),
        settings: config::Alerts::default(),
        channels: BTreeMap::from([("pile".to_owned(), line)]),
        routes: vec![everything("pile")],
        owners: Vec::new(),
        templates: Templates::load(None).unwrap(),
    })
}

async fn tell(bench: &fake::Bench, outlet: &Arc<Outlet>) {
    let (_sender, outlet) = tokio::sync::watch::channel(Arc::clone(outlet));
    let courier = Courier {
        log: bench.log.clone(),
        reader: bench.shared(),
        clock: bench.clock.clone(),
        outlet,
        bell: Arc::default(),
    };
    courier.run_once(Duration::from_secs(5)).await;
}

const TITLES: [&str; 3] = [
    "Resolved: Every thing is safe on src: passes again",
    "[high] Every thing is safe: fails for 1 resource on src",
    "[low] fake.things on src: 1 change of settings",
];

/// Dies as told, goes on to its end, and is looked at.
fn survive(deaths: &[&str]) -> Result<bool, String> {
    let bench = Bench::new();
    let mut died = false;
    for death in deaths {
        died |= !bench.run("alerts", death).status.success();
    }
    let last = bench.run("alerts", "");
    if !last.status.success() {
        return Err(format!("it does not go on: {}", last.complaints));
    }
    let store = bench.store();
    let report = verify_store(&store, None, &|_, _| {}).unwrap();
    if !report.intact {
        return Err(format!("the log is not intact: {:?}", report.problems));
    }
    let told = std::fs::read_to_string(pile(&store)).unwrap_or_default();
    let told: Vec<_> = told.lines().filter_map(|line| line.split_once('\t')).collect();
    let titles: BTreeSet<&str> = told.iter().map(|(_, title)| *title).collect();
    if titles != BTreeSet::from(TITLES) {
        return Err(format!("told was {titles:?}"));
    }
    let messages: BTreeSet<_> = told.iter().collect();
    if messages.len() != TITLES.len() {
        return Err(format!("something was told twice with another key: {messages:?}"));
    }
    let reader = Reader::open(&store).unwrap();
    if !reader.posted().unwrap().is_empty() || !reader.waiting().unwrap().is_empty() {
        return Err("something waits that was told".to_owned());
    }
    let size = reader.size().unwrap();
    let recorded = (0..size).filter_map(|seq| match reader.leaf(seq).unwrap().unwrap().body {
        Some(Body::Alert(alert)) if alert.state == AlertState::Delivered => alert.delivery,
        _ => None,
    });
    let recorded: Vec<_> = recorded.map(|delivery| delivery.key).collect();
    let keys: BTreeSet<&str> = messages.iter().map(|(key, _)| *key).collect();
    if recorded.len() != TITLES.len() || recorded.iter().any(|key| !keys.contains(key.as_str())) {
        return Err(format!("recorded was {recorded:?} of {keys:?}"));
    }
    Ok(died)
}

#[test]
fn death_between_any_two_steps_loses_no_alert_and_repeats_none_under_another_name() {
    let count = Bench::new().run("alerts", "").changes.len();
    let cases: Vec<String> = (1..=count).map(|number| format!("{number}:kill")).collect();
    let died = std::sync::atomic::AtomicUsize::new(0);
    every(&cases, |death| {
        let once = survive(&[death])?;
        died.fetch_add(usize::from(once), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    let died = died.into_inner();
    assert!(died > count * 9 / 10 && died > 100, "only {died} of {count} died");
}
