//! A collector and a clock that a test moves by hand, and a log that they write to.

#![allow(dead_code, reason = "each test crate that includes this uses a part of it")]

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use evidenced::clock::{Clock, SharedClock};
use evidenced::config::KeepRaw;
use evidenced::control::Rules;
use evidenced::log::append::Appender;
use evidenced::log::leaf::{By, Leaf};
use evidenced::log::store::{Paths, Reader};
use evidenced::plan::{Lists, Maker, Plan, PlannedCollector, PlannedSource};
use evidenced::registry::Job;
use evidenced::round::{Occasion, Room, Round, RoundError, Taken};
use evidenced::schedule::Schedule;
use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, DEADLINE, FailureClass, Provenance, Raw, Resource, Run,
    Snapshot, Target,
};

/// Time as the test says, the same until it says otherwise.
pub(crate) struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    /// Noon of a day.
    pub(crate) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(text.parse().unwrap())))
    }

    /// The machine's time, and then the same until the test says otherwise.
    pub(crate) fn of_machine() -> Arc<Self> {
        Arc::new(Self(Mutex::new(evidenced::clock::system().now())))
    }

    pub(crate) fn forward(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// What the fake says of one target.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A snapshot.
    Seen {
        resources: Vec<Resource>,
        complete: bool,
        raw: Vec<u8>,
    },
    Fails(FailureClass, String),
    Hangs,
    Panics,
}

impl Answer {
    /// A complete snapshot of these things.
    pub(crate) fn seen(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self::Seen {
            resources: resources.into_iter().collect(),
            complete: true,
            raw: b"an answer".to_vec(),
        }
    }
}

/// A thing: the one kind of resource that the fake knows.
pub(crate) fn thing(id: &str, safe: bool) -> Resource {
    Resource::new("fake.thing", id, id, 0)
        .with("safe", safe)
        .with("counter", 0)
}

/// What a source holds now.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// By target. `None`: the targets can't be found out.
    pub(crate) answers: Option<BTreeMap<String, Answer>>,
}

pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    kinds: &'static [&'static str],
    id: &'static str,
}

#[async_trait]
impl Collector for Fake {
    fn id(&self) -> &'static str {
        self.id
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    fn volatile(&self) -> &'static [(&'static str, &'static str)] {
        &[("fake.thing", "counter")]
    }

    async fn targets(&self, _run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        let world = self.world.lock().unwrap().clone();
        let Some(answers) = world.answers else {
            return Err(CollectError::new(FailureClass::Auth, "the token is not accepted"));
        };
        answers.keys().map(Target::new).collect()
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let world = self.world.lock().unwrap().clone();
        match world.answers.unwrap()[target.as_str()].clone() {
            Answer::Seen {
                resources,
                complete,
                raw,
            } => {
                let call = run.call("fake", "ListThings").finish("200", Some(&raw));
                Ok(Snapshot {
                    covers: Covers::At { at: run.started },
                    provenance: Provenance {
                        caller: BTreeMap::new(),
                        calls: vec![call],
                        limits: Vec::new(),
                        completeness: Completeness {
                            complete,
                            basis: "the fake says so".to_owned(),
                            expected: None,
                            read: resources.len() as u64,
                            second_source: None,
                        },
                    },
                    resources,
                    raw: vec![Raw {
                        call: 0,
                        media_type: "text/plain".to_owned(),
                        body: raw,
                    }],
                })
            }
            Answer::Fails(class, message) => Err(CollectError::new(class, message)),
            Answer::Hangs => std::future::pending().await,
            Answer::Panics => panic!("the fake panics, as it was told"),
        }
    }

    async fn check(&self, _run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        Vec::new()
    }
}

/// One test on things and one control over it.
pub(crate) const RULES: &str = include_str!("rules.toml");

/// A log, one collector on one source, and the rules in force.
pub(crate) struct Bench {
    pub(crate) log: Appender,
    pub(crate) reader: Reader,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) job: Job,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_seq: u64,
    pub(crate) raw: KeepRaw,
    pub(crate) after: Option<u32>,
}

impl Bench {
    /// A new log in a folder, at noon of 1 March 2026.
    pub(crate) async fn new(folder: &Path) -> Self {
        Self::with_rules(folder, RULES).await
    }

    pub(crate) async fn with_rules(folder: &Path, rules: &str) -> Self {
        let clock = HandClock::at("2026-03-01T12:00:00Z");
        Self::begun_at(folder, rules, clock).await
    }

    pub(crate) async fn begun_at(folder: &Path, rules: &str, clock: Arc<HandClock>) -> Self {
        let paths = Paths::new(folder);
        let shared: SharedClock = clock.clone();
        let log = Appender::open(&paths, "acme", shared).unwrap();
        let reader = Reader::open(&paths).unwrap();
        let world = Arc::new(Mutex::new(World {
            answers: Some(BTreeMap::new()),
        }));
        let job = job("src", "fake.things", &["fake.thing"], world.clone());
        let plan = plan(&[&job], rules);
        let plan_seq = plan.seal(&log, &reader, &maker()).await.unwrap();
        Self {
            log,
            reader,
            clock,
            world,
            job,
            plan,
            plan_seq,
            raw: KeepRaw::Changed,
            after: None,
        }
    }

    /// Another reader of the log, as rounds share it.
    pub(crate) fn shared(&self) -> Arc<Mutex<Reader>> {
        Arc::new(Mutex::new(Reader::open(self.reader.paths()).unwrap()))
    }

    /// What the source holds from here on.
    pub(crate) fn holds<const N: usize>(&self, answers: [(&str, Answer); N]) {
        let answers = answers.map(|(target, answer)| (target.to_owned(), answer));
        self.world.lock().unwrap().answers = Some(BTreeMap::from(answers));
    }

    /// The rules in force from here on.
    pub(crate) async fn rules(&mut self, rules: &str) {
        self.seal_rules(&[rules]).await;
    }

    /// The same of several files, the later ones over the earlier.
    pub(crate) async fn seal_rules(&mut self, files: &[&str]) {
        self.plan = plan_of(&[&self.job], files);
        self.plan_seq = self.plan.seal(&self.log, &self.reader, &maker()).await.unwrap();
    }

    pub(crate) async fn try_run(&self) -> Result<Vec<Taken>, RoundError> {
        let round = Round {
            log: self.log.clone(),
            reader: self.shared(),
            clock: self.clock.clone(),
            plan: Arc::clone(&self.plan),
            plan_seq: self.plan_seq,
            raw: self.raw,
            after: self.after,
            occasion: Occasion::AD_HOC,
            room: Room::default(),
            stop: CancellationToken::new(),
        };
        round.run(&self.job).await
    }

    pub(crate) async fn run(&self) -> Vec<Taken> {
        self.try_run().await.unwrap()
    }

    /// The kinds of all leaves.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.leaves().into_iter().map(|leaf| leaf.kind).collect()
    }

    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        let size = self.reader.size().unwrap();
        (0..size).map(|seq| self.leaf(seq)).collect()
    }

    pub(crate) fn leaf(&self, seq: u64) -> Leaf {
        self.reader.leaf(seq).unwrap().unwrap()
    }
}

pub(crate) fn job(
    source: &str,
    id: &'static str,
    kinds: &'static [&'static str],
    world: Arc<Mutex<World>>,
) -> Job {
    Job {
        source: source.to_owned(),
        collector: Box::new(Fake { world, kinds, id }),
        schedule: Schedule::parse("0 * * * *", chrono_tz::UTC).unwrap(),
        deadline: DEADLINE,
    }
}

pub(crate) fn plan(jobs: &[&Job], rules: &str) -> Arc<Plan> {
    plan_of(jobs, &[rules])
}

fn plan_of(jobs: &[&Job], files: &[&str]) -> Arc<Plan> {
    let schedule = |job: &&Job| PlannedSource {
        name: job.source.clone(),
        vendor: "fake".to_owned(),
        schedules: BTreeMap::from([(job.collector.id().to_owned(), "0 * * * *".to_owned())]),
        time_zones: BTreeMap::new(),
    };
    let known = |job: &&Job| {
        (
            job.collector.id().to_owned(),
            PlannedCollector::of(job.collector.as_ref()),
        )
    };
    let lists = Lists {
        sources: jobs.iter().map(schedule).collect(),
        collectors: jobs.iter().map(known).collect(),
        maintenance: Vec::new(),
        rules: files
            .iter()
            .fold(Rules::default(), |rules, file| rules.with(file).unwrap()),
    };
    Arc::new(Plan::new(lists).unwrap())
}

pub(crate) fn maker() -> Maker {
    Maker {
        by: By::AdHoc,
        binary_sha256: None,
        host: "host".to_owned(),
        os_user: "ann".to_owned(),
        configuration_sha256: "00".repeat(32),
    }
}
