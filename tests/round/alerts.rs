//! Which alerts a round opens and closes, and what their channels are told: once, and all of it.

use async_trait::async_trait;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evidenced::alert::channel::{Again, Channel, SendError, Sent};
use evidenced::alert::courier::Courier;
use evidenced::alert::message::Message;
use evidenced::alert::outlet::{Line, Outlet};
use evidenced::alert::template::Templates;
use evidenced::config;
use evidenced::log::leaf::{Alert, AlertState, Body, Event};
use evidenced::log::verify_store::verify_store;
use evidenced_collector_api::FailureClass;

use crate::everything::everything;
use crate::fake::{Answer, Bench, RULES, thing};
use crate::folder;

/// A channel that keeps what it takes, and refuses as long as it is told to.
#[derive(Clone, Default)]
struct Desk {
    taken: Arc<Mutex<Vec<Message>>>,
    refuses: Arc<Mutex<Option<Again>>>,
    tried: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Channel for Desk {
    async fn send(&self, message: &Message, _reference: Option<&str>) -> Result<Sent, SendError> {
        self.tried.lock().unwrap().push(message.key.clone());
        if let Some(again) = *self.refuses.lock().unwrap() {
            let what = "not now".to_owned();
            return Err(SendError { what, again });
        }
        self.taken.lock().unwrap().push(message.clone());
        Ok(Sent {
            answer: "thank you".to_owned(),
            reference: None,
        })
    }
}

impl Desk {
    /// What was taken since the last look: titles.
    fn titles(&self) -> Vec<String> {
        let taken = std::mem::take(&mut *self.taken.lock().unwrap());
        taken.into_iter().map(|message| message.title).collect()
    }
}

/// Runs the collector, and lets the courier bring on what there is to tell.
pub(crate) struct Told<'a> {
    bench: &'a Bench,
    desk: Desk,
    personal_data: bool,
    pub(crate) settings: config::Alerts,
    /// Whose digest goes to the desk.
    pub(crate) owners: Vec<(String, Vec<String>)>,
}

impl<'a> Told<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            desk: Desk::default(),
            personal_data: true,
            settings: config::Alerts {
                after: 2,
                ..config::Alerts::default()
            },
            owners: Vec::new(),
        }
    }

    pub(crate) async fn run(&self) -> Vec<String> {
        self.bench.clock.forward(TimeDelta::hours(1));
        self.bench.run().await;
        self.tell().await
    }

    pub(crate) async fn tell(&self) -> Vec<String> {
        self.tell_by(Box::new(self.desk.clone())).await;
        self.desk.titles()
    }

    /// The same, whole messages.
    pub(crate) async fn tell_texts(&self) -> Vec<String> {
        self.tell_by(Box::new(self.desk.clone())).await;
        let taken = std::mem::take(&mut *self.desk.taken.lock().unwrap());
        taken.into_iter().map(|message| message.text).collect()
    }

    async fn tell_by(&self, channel: Box<dyn Channel>) {
        let line = Line {
            channel,
            personal_data: self.personal_data,
        };
        let outlet = Outlet {
            plan: Arc::clone(&self.bench.plan),
            settings: self.settings.clone(),
            channels: BTreeMap::from([("desk".to_owned(), line)]),
            routes: vec![everything("desk")],
            owners: self.owners.clone(),
            templates: Templates::load(None).unwrap(),
        };
        let (_sender, outlet) = tokio::sync::watch::channel(Arc::new(outlet));
        let courier = Courier {
            log: self.bench.log.clone(),
            reader: self.bench.shared(),
            clock: self.bench.clock.clone(),
            outlet,
            bell: Arc::default(),
        };
        courier.run_once(Duration::from_secs(5)).await;
    }

    /// Every alert leaf: its state, event and how many resources.
    fn alerts(&self) -> Vec<(AlertState, Event, u64)> {
        let leaves = self.bench.leaves().into_iter();
        let alerts = leaves.filter_map(|leaf| match leaf.body {
            Some(Body::Alert(alert)) => Some(alert),
            _ => None,
        });
        alerts
            .map(
                |Alert {
                     state,
                     event,
                     resources,
                     ..
                 }| (state, event, resources),
            )
            .collect()
    }
}

pub(crate) const NOTHING: [String; 0] = [];

#[tokio::test]
async fn a_test_that_fails_is_told_once_then_what_more_fails_and_that_it_passes_again() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", true), thing("y", true)]))]);
    assert_eq!(told.run().await, NOTHING);
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", true)]))]);
    assert_eq!(
        told.run().await,
        ["[high] Every thing is safe: fails for 1 resource on src"]
    );
    assert_eq!(told.run().await, NOTHING, "it goes on, and is known");
    bench.holds([("a", Answer::seen([thing("x", false), thing("y", false)]))]);
    assert_eq!(
        told.run().await,
        ["[high] Every thing is safe: fails for 1 more resource on src"]
    );
    bench.holds([("a", Answer::seen([thing("x", true), thing("y", true)]))]);
    assert_eq!(
        told.run().await,
        [
            "Resolved: Every thing is safe on src: passes again",
            // That settings changed is told as part of what fails, but not of what is mended.
            "[low] fake.things on src: 2 changes of settings",
        ]
    );
    let report = verify_store(bench.reader.paths(), None, &|_, _| {}).unwrap();
    assert!(report.intact, "{:?}", report.problems);
}

#[tokio::test]
async fn a_message_says_what_fails_since_when_what_changed_and_which_controls_it_concerns() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let mut told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    told.run().await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.clock.forward(TimeDelta::hours(1));
    bench.run().await;
    told.tell().await;
    let leaf = bench.leaves().into_iter().find_map(|leaf| match leaf.body {
        Some(Body::Alert(alert)) if alert.state == AlertState::Delivered => Some((alert, leaf.blobs)),
        _ => None,
    });
    let (alert, blobs) = leaf.unwrap();
    let delivery = alert.delivery.unwrap();
    assert_eq!((delivery.channel.as_str(), delivery.attempts), ("desk", 1));
    assert_eq!(
        (delivery.phase.as_str(), delivery.answer.as_str()),
        ("opened", "thank you")
    );
    let text = bench.reader.payload(&blobs[0].sha256).unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    let origin = bench.reader.origin().to_string();
    let (opened, snapshot) = (alert.alert.unwrap(), alert.about.unwrap() - 1);
    let expected = format!(
        "[high] Every thing is safe: fails for 1 resource on src\n\
         \n\
         - fake.thing x (a): safe = false\n    safe: true -> false\n\
         \n\
         CC6.1 Things are safe. (safe-things, owner: platform)\n\
         \n\
         {origin}, 2026-03-01 14:00 UTC\n\
         evidenced show {snapshot}\n\
         evidenced acknowledge {opened} --note \"...\""
    );
    assert_eq!(text, expected);

    told.personal_data = false;
    bench.holds([("a", Answer::seen([thing("x", false), thing("secret", false)]))]);
    bench.clock.forward(TimeDelta::hours(1));
    bench.run().await;
    told.tell().await;
    let leaves = bench.leaves();
    let newest = leaves.iter().rev().find(|leaf| leaf.kind == "alert").unwrap();
    let text = bench.reader.payload(&newest.blobs[0].sha256).unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("- fake.thing #"), "{text}");
    assert!(!text.contains("secret") && !text.contains("false"), "{text}");
}

#[tokio::test]
async fn many_targets_and_resources_make_one_message_for_each_test() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    let all = |safe| {
        let things = (0..50).map(move |n| thing(&format!("t{n:02}"), safe));
        Answer::seen(things)
    };
    bench.holds([("a", all(true)), ("b", all(true)), ("c", all(true))]);
    told.run().await;
    bench.holds([("a", all(false)), ("b", all(false)), ("c", all(true))]);
    assert_eq!(
        told.run().await,
        ["[high] Every thing is safe: fails for 100 resources on src"]
    );
    // It goes on until the last target is mended.
    bench.holds([("a", all(true)), ("b", all(false)), ("c", all(true))]);
    let titles = told.run().await;
    assert!(
        titles.iter().all(|title| !title.starts_with("Resolved")),
        "{titles:?}"
    );
    bench.holds([("a", all(true)), ("b", all(true)), ("c", all(true))]);
    let titles = told.run().await;
    assert!(
        titles.contains(&"Resolved: Every thing is safe on src: passes again".to_owned()),
        "{titles:?}"
    );
}

#[tokio::test]
async fn unknown_neither_mends_nor_breaks_and_is_told_only_when_it_lasts() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    let dim = || {
        let mut dim = thing("x", true);
        dim.attributes.remove("safe");
        dim.unknown.insert("safe".to_owned(), "not allowed".to_owned());
        Answer::seen([dim])
    };
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    told.run().await;
    bench.holds([("a", dim())]);
    assert_eq!(told.run().await, NOTHING);
    assert_eq!(told.run().await, ["[high] Every thing is safe: unknown on src"]);
    assert_eq!(told.run().await, NOTHING);
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    assert_eq!(
        told.run().await,
        ["Known again: Every thing is safe on src: fail"],
        "it fails, as was told long ago"
    );
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    assert_eq!(
        told.run().await[0],
        "Resolved: Every thing is safe on src: passes again"
    );
}

#[tokio::test]
async fn failing_to_collect_is_told_after_as_many_times_as_configured_and_when_it_is_over() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    let refused = || Answer::Fails(FailureClass::Permission, "not allowed to list things".to_owned());
    bench.holds([("a", refused()), ("b", refused())]);
    assert_eq!(told.run().await, NOTHING);
    assert_eq!(
        told.run().await,
        ["[high] fake.things on src: nothing can be collected"]
    );
    assert_eq!(told.run().await, NOTHING);
    bench.holds([("a", Answer::seen([])), ("b", refused())]);
    assert_eq!(told.run().await, NOTHING, "b goes on failing");
    bench.holds([("a", Answer::seen([])), ("b", Answer::seen([]))]);
    assert_eq!(told.run().await, ["Resolved: fake.things on src collects again"]);
    // The targets themselves.
    bench.world.lock().unwrap().answers = None;
    assert_eq!(told.run().await, NOTHING);
    assert_eq!(
        told.run().await,
        ["[high] fake.things on src: nothing can be collected"]
    );
    bench.holds([("a", Answer::seen([])), ("b", Answer::seen([]))]);
    assert_eq!(told.run().await, ["Resolved: fake.things on src collects again"]);
}

#[tokio::test]
async fn a_changed_scope_is_told_and_ends_what_was_about_a_target_that_left() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", false)])), ("b", Answer::seen([]))]);
    told.run().await;
    bench.holds([
        ("b", Answer::seen([])),
        ("c", Answer::seen([])),
        ("d", Answer::seen([])),
    ]);
    assert_eq!(
        told.run().await,
        [
            "[medium] fake.things on src: 2 targets came into scope, 1 left it",
            "No longer tested: Every thing is safe on src",
        ]
    );
}

#[tokio::test]
async fn what_a_channel_does_not_take_is_sent_again_with_the_same_key_and_given_up_in_the_end() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    *told.desk.refuses.lock().unwrap() = Some(Again::Later);
    assert_eq!(told.run().await, NOTHING);
    assert_eq!(told.tell().await, NOTHING, "not before the pause is over");
    assert_eq!(told.desk.tried.lock().unwrap().len(), 1);
    bench.clock.forward(TimeDelta::seconds(6));
    assert_eq!(told.tell().await, NOTHING);
    bench.clock.forward(TimeDelta::hours(20));
    *told.desk.refuses.lock().unwrap() = None;
    assert_eq!(
        told.tell().await,
        ["[high] Every thing is safe: fails for 1 resource on src"]
    );
    let tried = told.desk.tried.lock().unwrap().clone();
    assert_eq!(tried.len(), 3);
    assert!(tried.iter().all(|key| *key == tried[0]), "{tried:?}");

    *told.desk.refuses.lock().unwrap() = Some(Again::Later);
    bench.holds([("a", Answer::seen([thing("x", true)]))]);
    told.run().await;
    for _ in 0..10 {
        bench.clock.forward(TimeDelta::hours(8));
        told.tell().await;
    }
    let undelivered = told
        .alerts()
        .iter()
        .filter(|(state, ..)| *state == AlertState::Undelivered)
        .count();
    assert_eq!(undelivered, 2, "{:?}", told.alerts());
    *told.desk.refuses.lock().unwrap() = None;
    assert_eq!(told.tell().await, NOTHING, "it was given up");
}

#[tokio::test]
async fn who_has_not_acknowledged_is_reminded_and_a_flood_becomes_a_digest() {
    let folder = folder();
    let rules = (0..6).map(|n| {
        RULES
            .replace("things-safe", &format!("things-safe-{n}"))
            .replace("safe-things\"", &format!("control-{n}\""))
            .replace("Every thing is safe", &format!("Rule {n}"))
    });
    let mut bench = Bench::with_rules(folder.path(), &rules.collect::<String>()).await;
    bench.after = Some(2);
    let mut told = Told::new(&bench);
    told.settings.flood = 5;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    assert_eq!(
        told.run().await,
        [format!("[high] 6 alerts of {}", bench.reader.origin())]
    );
    bench.clock.forward(TimeDelta::hours(23));
    assert_eq!(told.tell().await, NOTHING);
    bench.clock.forward(TimeDelta::hours(2));
    told.settings.flood = 20;
    let reminded = told.tell().await;
    assert_eq!(reminded.len(), 6);
    assert_eq!(reminded[0], "[high] Rule 0: still fails for 1 resource on src");
    assert_eq!(told.tell().await, NOTHING);
}

/// A channel that panics before it takes anything.
struct Broken(Arc<Mutex<u32>>);

#[async_trait]
impl Channel for Broken {
    async fn send(&self, _message: &Message, _reference: Option<&str>) -> Result<Sent, SendError> {
        *self.0.lock().unwrap() += 1;
        panic!("the channel panics, as it was told")
    }
}

#[tokio::test]
async fn a_channel_that_panics_is_tried_again_after_a_pause() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let tried = Arc::new(Mutex::new(0));
    for attempts in [1, 1] {
        told.tell_by(Box::new(Broken(Arc::clone(&tried)))).await;
        assert_eq!(*tried.lock().unwrap(), attempts);
    }
    bench.clock.forward(TimeDelta::seconds(6));
    assert_eq!(
        told.tell().await,
        ["[high] Every thing is safe: fails for 1 resource on src"]
    );
}

#[tokio::test]
async fn what_is_over_because_nobody_looks_any_more_is_not_called_resolved() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(2);
    let refused = || Answer::Fails(FailureClass::Permission, "not allowed".to_owned());
    bench.holds([("a", refused()), ("b", Answer::seen([thing("x", false)]))]);
    let told = Told::new(&bench);
    told.run().await;
    assert_eq!(
        told.run().await,
        ["[high] fake.things on src: nothing can be collected"]
    );
    bench.holds([("c", Answer::seen([]))]);
    let titles = told.run().await;
    assert!(
        titles.contains(&"No longer collected: fake.things on src".to_owned())
            && titles.contains(&"No longer tested: Every thing is safe on src".to_owned())
            && titles.iter().all(|title| !title.contains("Resolved")),
        "{titles:?}"
    );
}

#[tokio::test]
async fn a_reminder_of_what_is_unknown_by_now_does_not_say_that_it_fails() {
    let folder = folder();
    let mut bench = Bench::new(folder.path()).await;
    bench.after = Some(100);
    let told = Told::new(&bench);
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    told.run().await;
    let mut dim = thing("x", true);
    dim.attributes.remove("safe");
    dim.unknown.insert("safe".to_owned(), "not allowed".to_owned());
    bench.holds([("a", Answer::seen([dim]))]);
    assert_eq!(told.run().await, NOTHING);
    bench.clock.forward(TimeDelta::hours(24));
    assert_eq!(
        told.tell().await,
        ["[high] Every thing is safe: has not passed again on src"]
    );
}
