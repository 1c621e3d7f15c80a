//! What a run is given: settings that name the fake, the machine's time, and answers kept from one run to the next.

#![allow(dead_code, reason = "each test crate that includes this uses a part of it")]

use chrono::{DateTime, Utc};
use evidenced_collector_api::{
    Clock, CollectError, Collector, Completeness, Earlier, EarlierSnapshot, Run, Snapshot, Target,
    conformance,
};
use evidenced_collector_github::Settings;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use crate::fake::Fake;

/// Settings of a source at `acme` of the fake, and lines of TOML more.
pub(crate) fn settings(fake: &Fake, more: &str) -> Settings<SecretString> {
    settings_at(&fake.url(), "acme", more)
}

/// The same at any address, about any owner.
pub(crate) fn settings_at(url: &str, owner: &str, more: &str) -> Settings<SecretString> {
    let text = format!("base_url = \"{url}\"\nowners = [\"{owner}\"]\n{more}");
    let settings: Settings<String> = toml::from_str(&text).unwrap();
    let secret = |text: &String| Ok::<_, Infallible>(SecretString::from(text.clone()));
    settings.checked().unwrap().resolve(secret).unwrap()
}

/// The world with every trap, at the time at which it is written, whatever the machine's.
pub(crate) fn traps() -> Fake {
    let fake = Fake::start();
    fake.control("/_fake/scenario", &json!({ "name": "traps" }));
    fake
}

/// Facts, by resource and attribute.
pub(crate) fn facts(snapshot: &Snapshot) -> BTreeMap<(&str, &str), &Value> {
    let all = snapshot.resources.iter().flat_map(|resource| {
        let id = resource.id.as_str();
        let attributes = resource.attributes.iter();
        attributes.map(move |(name, value)| ((id, name.as_str()), value))
    });
    all.collect()
}

pub(crate) fn completeness(snapshot: &Snapshot) -> &Completeness {
    &snapshot.provenance.completeness
}

/// The App of the fake's `access` answer, with more settings of it.
pub(crate) fn app(fake: &Fake, more: &str) -> String {
    let access = fake.control("/_fake/access", &Value::Null);
    let (id, key) = (&access["app"]["id"], access["app"]["private_key"].as_str());
    let key = key.unwrap();
    format!("since = \"2026-05-01\"\napp = {{ id = {id}, key = \"\"\"{key}\"\"\"{more} }}")
}

/// The machine's time: the fake counts by it too, where it is told to.
pub(crate) struct MachineClock(tokio::time::Instant);

impl Default for MachineClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for MachineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the fake goes by the machine's time as well"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time at which every scenario is written, and runs on from: the fake's own, unless it is told otherwise.
pub(crate) struct ScenarioClock(tokio::time::Instant);

impl Default for ScenarioClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for ScenarioClock {
    fn now(&self) -> DateTime<Utc> {
        let written = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap();
        written.to_utc() + self.0.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Answers kept in memory, and the last complete snapshot.
#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<String, Vec<u8>>>, Mutex<Option<EarlierSnapshot>>);

impl Kept {
    /// The next run goes on from this snapshot, if it is complete.
    pub(crate) fn seal(&self, snapshot: &Snapshot) {
        if snapshot.provenance.completeness.complete {
            *self.1.lock().unwrap() = Some(EarlierSnapshot {
                covers: snapshot.covers,
                resources: snapshot.resources.clone(),
            });
        }
    }
}

impl Earlier for Kept {
    fn complete_snapshot(&self, _target: &Target) -> Result<Option<EarlierSnapshot>, CollectError> {
        Ok(self.1.lock().unwrap().clone())
    }

    fn kept(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn keep(&self, key: &str, answer: &[u8]) {
        self.0.lock().unwrap().insert(key.to_owned(), answer.to_vec());
    }
}

/// One run of a collector over one target, which must keep the contract.
pub(crate) async fn collect(collector: &dyn Collector, target: &str) -> Result<Snapshot, CollectError> {
    collect_by(&ScenarioClock::default(), collector, target).await
}

/// The same by another clock than the scenario's.
pub(crate) async fn collect_by(
    clock: &dyn Clock,
    collector: &dyn Collector,
    target: &str,
) -> Result<Snapshot, CollectError> {
    let run = Run::begin(clock);
    // Repositories are targets only once they were listed.
    collector.targets(&run).await?;
    let snapshot = collector.collect(&Target::new(target)?, &run).await?;
    let breaches = conformance::snapshot_breaches(&snapshot, &run);
    assert_eq!(breaches, Vec::<String>::new());
    Ok(snapshot)
}
