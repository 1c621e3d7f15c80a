//! The daemon: every tick of every collector and source, for months, leaves exactly one account of itself.
//!
//! [`Daemon::begin`] settles what earlier ones left, seals the plan and from there on [`Daemon::run`] turns: it misses or
//! runs what is due, takes in what has ended, and sleeps until there is something to do. What is owed is not remembered but
//! read from the log (`duty`), at the beginning and after every trouble with the log: recovery runs the normal code.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch as watch_channel};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::alert::courier::{Bell, Courier};
use crate::alert::outlet::Outlet;
use crate::alert::raise::After;
use crate::clock::SharedClock;
use crate::config::{self, KeepRaw};
use crate::duty::{self, Post};
use crate::log::append::{AppendError, Appender};
use crate::log::leaf::{ClockState, MissedReason};
use crate::log::store::{Paths, Reader, StoreError};
use crate::plan::{Maker, Plan, PlanError};
use crate::registry::Job;
use crate::round::{self, Room, RoundError, Taken};

pub mod http;
pub mod lock;
mod notify;
mod settle;
mod timetable;
mod turn;
mod watch;

pub use watch::Watch;

use timetable::Timetable;
use watch::{Outcome, Shown};

/// How long runs that were told to end may take to record what they owe.
const END: Duration = Duration::from_secs(10);

/// A configuration, as the daemon needs it.
pub struct Configured {
    /// What collects, and when.
    pub jobs: Vec<Job>,
    /// How it is judged.
    pub plan: Arc<Plan>,
    /// Program and person.
    pub maker: Maker,
    /// When answers are kept as received.
    pub raw: KeepRaw,
    /// Limits and manners.
    pub daemon: config::Daemon,
    /// Who is told what.
    pub outlet: Arc<Outlet>,
}

/// What the daemon is given once.
pub struct Means {
    /// The log.
    pub log: Appender,
    /// Its store.
    pub paths: Paths,
    /// The only source of time.
    pub clock: SharedClock,
    /// Where collectors run: a runtime of their own, so that one that hangs holds up nobody else.
    pub collectors: Handle,
    /// Tells how the machine's clock stands.
    pub clock_state: ClockProbe,
    /// Reads the configuration anew.
    pub load: Box<dyn FnMut() -> Result<Configured, LoadError> + Send>,
}

/// Tells how the machine's clock stands.
pub type ClockProbe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ClockState> + Send>> + Send + Sync>;

/// Why a new configuration is not taken.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// What the daemon is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration anew.
    Reload,
    /// End in an orderly way.
    Stop,
}

/// The daemon can't go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store can't be read, or is not as it was left.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A plan in the log can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The log refused at the start.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What an earlier run left can't be judged.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// The metrics are not as they should be: a bug.
    #[error("metrics can't be set up")]
    Metrics(#[from] prometheus::Error),
}

/// The daemon.
pub struct Daemon {
    /// Closed before the log is, which then leaves no write-ahead log behind.
    reader: Arc<Mutex<Reader>>,
    means: Means,
    watch: Arc<Watch>,
    configured: Configured,
    plan_seq: u64,
    /// From when on the plan counts.
    effective: DateTime<Utc>,
    posts: Vec<Scheduled>,
    room: HashMap<String, Room>,
    tasks: JoinSet<Ended>,
    /// How many runs were begun.
    runs: u64,
    /// The runs among the tasks.
    running: HashMap<Id, Post>,
    /// Why the log could not be written or not be trusted to be complete, until that is settled.
    trouble: Option<Trouble>,
    /// Whether the newest plan in the log may be another than the one in force.
    unsealed: bool,
    /// Posts to be collected as soon as that is possible, beside their ticks.
    catch_up: BTreeSet<Post>,
    /// The clock at the last turn: wall and monotonic.
    last_turn: (DateTime<Utc>, Duration),
    /// On the monotonic clock.
    next_heartbeat: Duration,
    stepped: TimeDelta,
    /// As it was last told.
    clock_state: ClockState,
    stop: CancellationToken,
    bell: Arc<Bell>,
    /// Tells the courier of a new configuration.
    outlet: watch_channel::Sender<Arc<Outlet>>,
    /// The one task that it is: a set, since that ends its tasks when it is dropped.
    courier: JoinSet<()>,
    /// Ends the courier.
    told: CancellationToken,
}

/// A job with its ticks.
struct Scheduled {
    post: Post,
    job: Arc<Job>,
    timetable: Timetable,
}

struct Trouble {
    reason: MissedReason,
    /// On the monotonic clock.
    next_try: Duration,
}

/// What a task ended with.
enum Ended {
    Run {
        post: Post,
        tick: Option<DateTime<Utc>>,
        took: Duration,
        taken: Result<Vec<Taken>, RoundError>,
        /// Names the run in what is noted of it.
        span: tracing::Span,
    },
    Clock(ClockState),
}

impl Daemon {
    /// Settles what was left, seals the plan, and is ready to [`Self::run`].
    pub async fn begin(means: Means, configured: Configured) -> Result<Self, DaemonError> {
        let reader = Arc::new(Mutex::new(Reader::open(&means.paths)?));
        let after = configured.outlet.after();
        let judged = round::judge_unjudged(&means.log, &reader, after).await?;
        if judged > 0 {
            tracing::info!("judged {judged} snapshots that had been left unjudged");
        }
        let watch = Arc::new(Watch::new(means.clock.clone(), means.paths.clone())?);
        let (now, monotonic) = (means.clock.now(), means.clock.monotonic());
        let (outlet, newest) = watch_channel::channel(Arc::clone(&configured.outlet));
        let (bell, told) = (Arc::new(Bell::default()), CancellationToken::new());
        let courier = Courier {
            log: means.log.clone(),
            reader: Arc::new(Mutex::new(Reader::open(&means.paths)?)),
            clock: means.clock.clone(),
            outlet: newest,
            bell: Arc::clone(&bell),
        };
        let mut task = JoinSet::new();
        task.spawn_on(courier.run(told.clone()), &means.collectors);
        let mut daemon = Self {
            reader,
            watch,
            configured,
            plan_seq: 0,
            effective: now,
            posts: Vec::new(),
            room: HashMap::new(),
            tasks: JoinSet::new(),
            runs: 0,
            running: HashMap::new(),
            trouble: None,
            unsealed: false,
            catch_up: BTreeSet::new(),
            last_turn: (now, monotonic),
            next_heartbeat: monotonic,
            stepped: TimeDelta::zero(),
            clock_state: unknown_clock(),
            stop: CancellationToken::new(),
            bell,
            outlet,
            courier: task,
            told,
            means,
        };
        daemon.stepped = daemon.set_back_meanwhile(now)?;
        let stretches = duty::stretches(&daemon.reader())?;
        let alive = daemon.last_sign_of_life(&stretches)?;
        let known: BTreeSet<Post> = stretches
            .iter()
            .flat_map(|stretch| stretch.schedules.keys().cloned())
            .collect();
        let from = daemon.effective_from(now, &known, &stretches)?;
        for post in &known {
            let down = MissedReason::DaemonDown;
            daemon.settle(&stretches, post, from, down, alive).await?;
        }
        daemon.seal_from(from).await?;
        daemon.catch_up_with_new()?;
        daemon.schedule(&[])?;
        daemon.watch.set_configured(true);
        Ok(daemon)
    }

    fn after(&self) -> After {
        self.configured.outlet.after()
    }

    /// By how much the clock must have been set back since the newest leaf was written, if it was.
    fn set_back_meanwhile(&self, now: DateTime<Utc>) -> Result<TimeDelta, StoreError> {
        let reader = self.reader();
        let newest = reader.leaf(reader.size()?.saturating_sub(1))?;
        let step = newest.map_or(TimeDelta::zero(), |newest| now - newest.time);
        Ok(if step < -turn::STEP {
            step
        } else {
            TimeDelta::zero()
        })
    }

    /// What others may see of it.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// Runs until it is told to stop, or the log is not as it was left.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), DaemonError> {
        notify::ready();
        loop {
            self.turn().await?;
            let nap = self.nap();
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await?,
                order = orders.recv() => match order {
                    Some(Order::Reload) => self.reload().await?,
                    Some(Order::Stop) | None => return self.end().await,
                },
            }
        }
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // It has no state that a panic could leave half-way.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the timetables of the configuration; those that are `kept` go on as they are.
    fn schedule(&mut self, kept: &[Post]) -> Result<(), DaemonError> {
        let limits = &self.configured.daemon;
        let all = Arc::new(Semaphore::new(limits.runs));
        self.room.clear();
        let mut before = std::mem::take(&mut self.posts);
        let origin = self.reader().origin().to_string();
        let stretches = duty::stretches(&self.reader())?;
        let mut shown = Vec::new();
        for job in std::mem::take(&mut self.configured.jobs) {
            let post = Post::new(job.collector.id(), &job.source);
            let own = Arc::new(Semaphore::new(limits.runs_per_source));
            self.room
                .entry(post.source.clone())
                .or_insert_with(|| Room::within([own, Arc::clone(&all)]));
            let at = before
                .iter()
                .position(|old| kept.contains(&post) && old.post == post);
            let timetable = if let Some(at) = at {
                before.swap_remove(at).timetable
            } else {
                let jitter = timetable::jitter(&origin, &post, &job.schedule, limits.jitter, self.effective);
                let from = self.means.clock.now().min(self.effective);
                Timetable::new(job.schedule.clone(), jitter, from, self.effective)
            };
            let next = timetable.schedule().after(self.effective);
            let behind = next.and_then(|next| timetable.schedule().after(next));
            shown.push(Shown {
                interval: next.zip(behind).map(|(next, behind)| behind - next),
                success: watch::last_success(&self.reader(), &post)?,
                post: post.clone(),
            });
            self.posts.push(Scheduled {
                post,
                job: Arc::new(job),
                timetable,
            });
        }
        self.watch.set_posts(shown, stretches);
        Ok(())
    }

    /// Takes in what a task ended with.
    async fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) -> Result<(), DaemonError> {
        match ended {
            Ok((
                id,
                Ended::Run {
                    post,
                    tick,
                    took,
                    taken,
                    span,
                },
            )) => {
                self.running.remove(&id);
                self.bell.ended(&post);
                self.watch.ran(&post, took);
                match taken {
                    Ok(taken) => span.in_scope(|| self.note(&post, tick, &taken)),
                    Err(error) => return span.in_scope(|| self.troubled(&error)),
                }
            }
            Ok((_, Ended::Clock(state))) => {
                self.clock_state = state;
                if let Err(error) = self.heartbeat().await {
                    return self.troubled(&RoundError::from(error));
                }
            }
            Err(error) => {
                let post = self.running.remove(&error.id());
                if let Some(post) = &post {
                    self.bell.ended(post);
                }
                tracing::error!("a run of {post:?} broke off, which is a bug: {error}");
                self.trouble = Some(Trouble {
                    reason: MissedReason::Interrupted,
                    next_try: Duration::ZERO,
                });
            }
        }
        Ok(())
    }

    fn note(&self, post: &Post, tick: Option<DateTime<Utc>>, taken: &[Taken]) {
        for taken in taken {
            let target = taken.target.as_deref().unwrap_or("all targets");
            let (collector, source) = (&post.collector, &post.source);
            match &taken.outcome {
                Ok(collected) => {
                    let (complete, resources) = (collected.complete, collected.resources);
                    let how = if complete { "" } else { ", not completely" };
                    tracing::info!(
                        target,
                        seq = taken.seq,
                        resources,
                        complete,
                        "{collector} of {source}: {target} collected{how}"
                    );
                    self.watch.asked(post, collected.calls, &collected.limits);
                    self.watch.succeeded(post, collected.until);
                }
                Err(error) => {
                    tracing::warn!(
                        target,
                        seq = taken.seq,
                        "{collector} of {source}: {target} failed: {error}"
                    );
                }
            }
            if tick.is_some() {
                let outcome = match taken.outcome {
                    Ok(_) => Outcome::Snapshot,
                    Err(_) => Outcome::Failure,
                };
                self.watch.tick(post, outcome, 1);
            }
        }
    }

    /// Ends: runs under way may go on for a while, and then record what they owe.
    async fn end(mut self) -> Result<(), DaemonError> {
        notify::stopping();
        self.watch.set_unready(Some("the daemon is stopping".to_owned()));
        let within = self.configured.daemon.stop_within;
        tracing::info!("stopping; runs under way: {}", self.running.len());
        if tokio::time::timeout(within, self.drain()).await.is_err() {
            self.stop.cancel();
            if tokio::time::timeout(END, self.drain()).await.is_err() {
                tracing::error!(
                    "{} runs do not end: the next start records them as interrupted",
                    self.running.len()
                );
            }
        }
        // So that the next start knows how long this one lived.
        let state = tokio::time::timeout(END, (self.means.clock_state)()).await;
        self.clock_state = state.unwrap_or_else(|_| unknown_clock());
        if let Err(error) = self.heartbeat().await {
            tracing::warn!("the last heartbeat could not be written: {error}");
        }
        self.told.cancel();
        if tokio::time::timeout(END, self.courier.join_next()).await.is_err() {
            tracing::warn!("a channel does not answer: what it was to be told waits for the next start");
        }
        self.tasks.detach_all();
        Ok(())
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            notify::turned();
            if let Err(error) = self.ended(ended).await {
                tracing::error!("{error}");
            }
        }
    }
}

fn unknown_clock() -> ClockState {
    ClockState {
        synchronised: None,
        offset_ms: None,
        how: "not told in time".to_owned(),
    }
}

impl Configured {
    fn posts(&self) -> Vec<Post> {
        let of = |job: &Job| Post::new(job.collector.id(), &job.source);
        self.jobs.iter().map(of).collect()
    }
}
