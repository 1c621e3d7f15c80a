//! A world in virtual time: a clock that tests set, collectors that do as they are told, and a daemon among them.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use evidenced::alert::channel::{Channel, SendError, Sent};
use evidenced::alert::message::Message;
use evidenced::alert::outlet::{Line, Outlet};
use evidenced::alert::template::Templates;
use evidenced::clock::Clock;
use evidenced::config::{self, KeepRaw};
use evidenced::control::Rules;
use evidenced::daemon::{Configured, Daemon, DaemonError, Means, Order, Watch};
use evidenced::log::append::Appender;
use evidenced::log::leaf::{By, ClockState};
use evidenced::log::store::{Paths, Reader};
use evidenced::plan::{Announced, Lists, Maker, Plan, PlannedCollector, PlannedSource};
use evidenced::registry::Job;
use evidenced::schedule::Schedule;
use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, DEADLINE, FailureClass, Provenance, Resource, Run,
    Snapshot, Target,
};

use super::everything::everything;

/// Wall time is what really passed since the beginning, and by how much the test has set the clock.
pub(crate) struct SetClock {
    began: Instant,
    wall: DateTime<Utc>,
    set: Mutex<TimeDelta>,
}

impl SetClock {
    pub(crate) fn at(wall: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            wall,
            set: Mutex::default(),
        })
    }

    /// Sets the clock, while no time passes.
    pub(crate) fn set_by(&self, step: TimeDelta) {
        *self.set.lock().unwrap() += step;
    }
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.began.elapsed()).unwrap();
        let now = self.wall + passed + *self.set.lock().unwrap();
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// What happens when a target is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// An answer, after this long.
    Answer(Duration),
    /// At once, that the thing is not safe.
    Unsafe,
    /// At once, of a part of the population only.
    Part,
    /// The source can't be reached.
    Down,
    /// We are not let in.
    Refused,
    /// No answer, ever.
    Hang,
    /// No answer, ever, and the thread is not given back.
    Block,
    Panic,
}

/// What happens, by source, target and time.
pub(crate) type Script = Arc<dyn Fn(&str, &str, DateTime<Utc>) -> Act + Send + Sync>;
/// The targets, by source and time.
pub(crate) type Targets = Arc<dyn Fn(&str, DateTime<Utc>) -> Vec<String> + Send + Sync>;

struct Scripted {
    source: String,
    script: Script,
    targets: Targets,
}

#[async_trait]
impl Collector for Scripted {
    fn id(&self) -> &'static str {
        "fake.things"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["fake.thing"]
    }

    async fn targets(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        let names = (self.targets)(&self.source, run.started);
        names.into_iter().map(Target::new).collect()
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let act = (self.script)(&self.source, target.as_str(), run.started);
        match act {
            Act::Unsafe | Act::Part => {}
            Act::Answer(after) => tokio::time::sleep(after).await,
            Act::Down => return Err(CollectError::new(FailureClass::Unavailable, "no route")),
            Act::Refused => return Err(CollectError::new(FailureClass::Permission, "refused")),
            Act::Hang => std::future::pending().await,
            Act::Block => loop {
                std::thread::park();
            },
            Act::Panic => panic!("the collector panics, as it was told"),
        }
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources: vec![Resource::new("fake.thing", "x", "x", 0).with("safe", act != Act::Unsafe)],
            raw: Vec::new(),
            provenance: Provenance {
                caller: BTreeMap::new(),
                calls: vec![run.call("fake", "ListThings").finish("200", None)],
                limits: Vec::new(),
                completeness: Completeness {
                    complete: act != Act::Part,
                    basis: "the fake says so".to_owned(),
                    expected: None,
                    read: 1,
                    second_source: None,
                },
            },
        })
    }

    async fn check(&self, _run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        Vec::new()
    }
}

/// One test on things and one control over it.
const RULES: &str = include_str!("../fake/rules.toml");

/// A configuration to be: which source is collected when, in which zone.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) schedules: BTreeMap<String, (String, chrono_tz::Tz)>,
    pub(crate) maintenance: Vec<Announced>,
    pub(crate) daemon: config::Daemon,
    pub(crate) script: Script,
    pub(crate) targets: Targets,
    /// Who is told of alerts.
    pub(crate) desk: Option<Desk>,
    /// Another collector.
    pub(crate) further: Option<Further>,
}

/// Another collector, with the tests and controls on what it yields.
#[derive(Clone)]
pub(crate) struct Further {
    pub(crate) job: fn() -> Job,
    pub(crate) schedule: &'static str,
    pub(crate) rules: &'static str,
}

/// Takes each message, with the time, and hangs as long as it is told to.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    pub(crate) taken: Arc<Mutex<Vec<(Instant, String)>>>,
    pub(crate) hangs: Arc<AtomicBool>,
}

#[async_trait]
impl Channel for Desk {
    async fn send(&self, message: &Message, _reference: Option<&str>) -> Result<Sent, SendError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let mut taken = self.taken.lock().unwrap();
        taken.push((Instant::now(), message.title.clone()));
        Ok(Sent {
            answer: "thank you".to_owned(),
            reference: None,
        })
    }
}

impl Written {
    /// These sources, in UTC, each with one target, that answers after a second.
    pub(crate) fn of<'a>(schedules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let schedules = schedules.into_iter();
        Self {
            schedules: schedules
                .map(|(source, text)| (source.to_owned(), (text.to_owned(), chrono_tz::UTC)))
                .collect(),
            maintenance: Vec::new(),
            daemon: config::Daemon {
                jitter: Duration::ZERO,
                ..config::Daemon::default()
            },
            script: Arc::new(|_, _, _| Act::Answer(Duration::from_secs(1))),
            targets: Arc::new(|_, _| vec!["t".to_owned()]),
            desk: None,
            further: None,
        }
    }

    pub(crate) fn configured(&self) -> Configured {
        let own = self.schedules.iter().map(|(source, when)| self.job(source, when));
        let further = self.further.iter();
        let jobs: Vec<Job> = own.chain(further.clone().map(|of| (of.job)())).collect();
        let further = further.clone().zip(jobs.iter().rev());
        let further = further.map(|(of, job)| PlannedSource {
            name: job.source.clone(),
            vendor: "fake".to_owned(),
            schedules: BTreeMap::from([(job.collector.id().to_owned(), of.schedule.to_owned())]),
            time_zones: BTreeMap::new(),
        });
        let sources = self.schedules.iter().map(|(source, (text, zone))| PlannedSource {
            name: source.clone(),
            vendor: "fake".to_owned(),
            schedules: BTreeMap::from([("fake.things".to_owned(), text.clone())]),
            time_zones: BTreeMap::from([("fake.things".to_owned(), zone.name().to_owned())]),
        });
        let collectors = jobs.iter().map(|job| {
            let planned = PlannedCollector::of(job.collector.as_ref());
            (job.collector.id().to_owned(), planned)
        });
        let lists = Lists {
            sources: sources.chain(further).collect(),
            collectors: collectors.collect(),
            maintenance: self.maintenance.clone(),
            rules: self
                .further
                .iter()
                .fold(Rules::default().with(RULES).unwrap(), |rules, of| {
                    rules.with(of.rules).unwrap()
                }),
        };
        let plan = Arc::new(Plan::new(lists).unwrap());
        Configured {
            jobs,
            outlet: Arc::new(self.outlet(Arc::clone(&plan))),
            plan,
            maker: Maker {
                by: By::Daemon,
                binary_sha256: None,
                host: "host".to_owned(),
                os_user: "ann".to_owned(),
                configuration_sha256: "00".repeat(32),
            },
            raw: KeepRaw::Changed,
            daemon: self.daemon.clone(),
        }
    }

    fn outlet(&self, plan: Arc<Plan>) -> Outlet {
        let line = |desk: &Desk| Line {
            channel: Box::new(desk.clone()),
            personal_data: true,
        };
        let channels: BTreeMap<_, _> = self
            .desk
            .iter()
            .map(|desk| ("desk".to_owned(), line(desk)))
            .collect();
        Outlet {
            plan,
            settings: config::Alerts::default(),
            routes: channels.keys().map(|name| everything(name)).collect(),
            channels,
            owners: Vec::new(),
            templates: Templates::load(None).unwrap(),
        }
    }

    fn job(&self, source: &str, (text, zone): &(String, chrono_tz::Tz)) -> Job {
        Job {
            source: source.to_owned(),
            collector: Box::new(Scripted {
                source: source.to_owned(),
                script: Arc::clone(&self.script),
                targets: Arc::clone(&self.targets),
            }),
            schedule: Schedule::parse(text, *zone).unwrap(),
            deadline: DEADLINE,
        }
    }
}

/// A store, and the daemons that run on it one after another.
pub(crate) struct World {
    paths: Paths,
    _folder: Option<tempfile::TempDir>,
    pub(crate) clock: Arc<SetClock>,
    /// What the next reload reads; none for what is not valid.
    pub(crate) written: Arc<Mutex<Option<Written>>>,
}

/// A running daemon.
pub(crate) struct Running {
    task: JoinHandle<Result<(), DaemonError>>,
    orders: mpsc::Sender<Order>,
    pub(crate) watch: Arc<Watch>,
}

impl World {
    /// A new store, at half past midnight of 1 January 2026.
    pub(crate) fn new(written: Written) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wall = "2026-01-01T00:30:00Z".parse().unwrap();
        Self {
            paths: Paths::new(folder.path()),
            _folder: Some(folder),
            clock: SetClock::at(wall),
            written: Arc::new(Mutex::new(Some(written))),
        }
    }

    /// A store that may be there already.
    pub(crate) fn at(paths: Paths, wall: DateTime<Utc>, written: Written) -> Self {
        Self {
            paths,
            _folder: None,
            clock: SetClock::at(wall),
            written: Arc::new(Mutex::new(Some(written))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.paths.directory()
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.paths).unwrap()
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut Written)) {
        change(self.written.lock().unwrap().as_mut().unwrap());
    }

    pub(crate) async fn start(&self) -> Running {
        self.try_start(Handle::current()).await.unwrap()
    }

    pub(crate) async fn try_start(&self, collectors: Handle) -> Result<Running, DaemonError> {
        let clock = self.clock.clone();
        let log = Appender::open(&self.paths, "acme", clock.clone())?;
        let written = Arc::clone(&self.written);
        let load = move || match written.lock().unwrap().as_ref() {
            Some(written) => Ok(written.configured()),
            None => Err("the configuration is not valid".into()),
        };
        let means = Means {
            log,
            paths: self.paths.clone(),
            clock,
            collectors,
            clock_state: Arc::new(|| {
                Box::pin(std::future::ready(ClockState {
                    synchronised: Some(true),
                    offset_ms: Some(0.5),
                    how: "the test says so".to_owned(),
                }))
            }),
            load: Box::new(load),
        };
        let configured = self.written.lock().unwrap().as_ref().unwrap().configured();
        let daemon = Daemon::begin(means, configured).await?;
        let (orders, receiver) = mpsc::channel(8);
        Ok(Running {
            watch: daemon.watch(),
            task: tokio::spawn(daemon.run(receiver)),
            orders,
        })
    }
}

impl Running {
    pub(crate) async fn order(&self, order: Order) {
        self.orders.send(order).await.unwrap();
    }

    /// Ends in an orderly way.
    pub(crate) async fn stop(self) {
        self.order(Order::Stop).await;
        self.task.await.unwrap().unwrap();
    }

    /// Ends as by kill -9: at once, wherever it is.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
        // What a thread was writing is written.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

pub(crate) async fn pass(time: TimeDelta) {
    tokio::time::sleep(time.to_std().unwrap()).await;
}
