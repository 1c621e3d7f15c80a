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
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clock::SharedClock;
use crate::config::{self, KeepRaw};
use crate::duty::{self, Post};
use crate::log::append::{AppendError, Appender, Draft};
use crate::log::leaf::{Body, ClockState, Heartbeat, MissedReason, Trigger};
use crate::log::store::{Paths, Reader, StoreError};
use crate::plan::{Maker, Plan, PlanError};
use crate::registry::Job;
use crate::round::{self, Occasion, Room, Round, RoundError, Taken};

pub mod http;
pub mod lock;
mod notify;
mod settle;
mod timetable;
mod watch;

pub use watch::Watch;

use timetable::{Purpose, Timetable};
use watch::Outcome;

/// A clock that moves by more than this against the time that passes was set.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// At least so often the scheduler turns, to notice that the clock was set or that the machine slept.
const NAP: Duration = Duration::from_mins(1);

/// How often a heartbeat is written.
const HEARTBEAT: Duration = Duration::from_hours(1);

/// How long after the log refused it is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// The longest that temporary errors of a tick are tried again, however far the next tick is.
const RETRY: TimeDelta = TimeDelta::hours(1);

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
    means: Means,
    reader: Arc<Mutex<Reader>>,
    watch: Arc<Watch>,
    configured: Configured,
    plan_seq: u64,
    /// From when on the plan counts.
    effective: DateTime<Utc>,
    posts: Vec<Scheduled>,
    room: HashMap<String, Room>,
    tasks: JoinSet<Ended>,
    /// The runs among the tasks.
    running: HashMap<Id, Post>,
    /// Why the log could not be written or not be trusted to be complete, until that is settled.
    trouble: Option<Trouble>,
    /// Posts to be collected as soon as that is possible, beside their ticks.
    catch_up: BTreeSet<Post>,
    /// The clock at the last turn: wall and monotonic.
    last_turn: (DateTime<Utc>, Duration),
    /// On the monotonic clock.
    next_heartbeat: Duration,
    stepped: TimeDelta,
    stop: CancellationToken,
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
    },
    Clock(ClockState),
}

impl Daemon {
    /// Settles what was left, seals the plan, and is ready to [`Self::run`].
    pub async fn begin(means: Means, configured: Configured) -> Result<Self, DaemonError> {
        let reader = Arc::new(Mutex::new(Reader::open(&means.paths)?));
        let judged = round::judge_unjudged(&means.log, &reader).await?;
        if judged > 0 {
            tracing::info!("judged {judged} snapshots that had been left unjudged");
        }
        let watch = Arc::new(Watch::new(means.clock.clone(), means.paths.clone())?);
        let (now, monotonic) = (means.clock.now(), means.clock.monotonic());
        let mut daemon = Self {
            reader,
            watch,
            configured,
            plan_seq: 0,
            effective: now,
            posts: Vec::new(),
            room: HashMap::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            trouble: None,
            catch_up: BTreeSet::new(),
            last_turn: (now, monotonic),
            next_heartbeat: monotonic,
            stepped: TimeDelta::zero(),
            stop: CancellationToken::new(),
            means,
        };
        let stretches = duty::stretches(&daemon.reader())?;
        let alive = daemon.last_sign_of_life(&stretches)?;
        let known: BTreeSet<Post> = stretches
            .iter()
            .flat_map(|stretch| stretch.schedules.keys().cloned())
            .collect();
        daemon.effective = daemon.effective_from(now, &known, &stretches)?;
        for post in &known {
            daemon
                .settle(
                    &stretches,
                    post,
                    daemon.effective,
                    MissedReason::DaemonDown,
                    alive,
                )
                .await?;
        }
        daemon.seal().await?;
        for post in daemon.configured.posts() {
            if !daemon.was_ever_observed(&post)? {
                daemon.catch_up.insert(post);
            }
        }
        daemon.schedule(&[])?;
        Ok(daemon)
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

    /// Seals the plan, from which on its schedules count.
    async fn seal(&mut self) -> Result<(), AppendError> {
        let plan = Arc::clone(&self.configured.plan);
        self.plan_seq = plan
            .seal_for_daemon(&self.means.log, &self.configured.maker, self.effective)
            .await?;
        Ok(())
    }

    /// Makes the timetables of the configuration; those that are `kept` go on as they are.
    fn schedule(&mut self, kept: &[Post]) -> Result<(), DaemonError> {
        let limits = &self.configured.daemon;
        let all = Arc::new(Semaphore::new(limits.runs));
        self.room.clear();
        let mut before = std::mem::take(&mut self.posts);
        let origin = self.reader().origin().to_string();
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
            let interval = next
                .zip(behind)
                .map(|(next, behind)| (behind - next).as_seconds_f64());
            shown.push((post.clone(), interval));
            self.posts.push(Scheduled {
                post,
                job: Arc::new(job),
                timetable,
            });
        }
        self.watch.set_posts(&shown);
        Ok(())
    }

    /// Does what is due. Only a log that is not as it was left is an error: everything else passes.
    async fn turn(&mut self) -> Result<(), DaemonError> {
        self.watch.turned();
        notify::turned();
        let (now, monotonic) = (self.means.clock.now(), self.means.clock.monotonic());
        let step = self.clock_step(now, monotonic);
        let mut late = if step > TimeDelta::zero() {
            MissedReason::ClockStep
        } else {
            MissedReason::Late
        };
        if let Some(trouble) = &self.trouble {
            if monotonic < trouble.next_try {
                return Ok(());
            }
            let reason = trouble.reason;
            if let Err(error) = self.settle_all(reason).await {
                return self.troubled(&error);
            }
            late = reason;
            self.trouble = None;
            tracing::info!("the log can be written again");
        }
        self.watch.set_writable(true);
        self.watch.set_unready(None);
        if monotonic >= self.next_heartbeat {
            self.next_heartbeat = monotonic + HEARTBEAT;
            let state = (self.means.clock_state)();
            self.tasks.spawn(async move { Ended::Clock(state.await) });
        }
        for at in 0..self.posts.len() {
            if let Err(error) = self.post_turn(at, now, late).await {
                return self.troubled(&error);
            }
        }
        Ok(())
    }

    /// By how much the clock was set since the last turn, if it was.
    fn clock_step(&mut self, now: DateTime<Utc>, monotonic: Duration) -> TimeDelta {
        let (wall, steady) = std::mem::replace(&mut self.last_turn, (now, monotonic));
        let passed = TimeDelta::from_std(monotonic.saturating_sub(steady)).unwrap_or(TimeDelta::MAX);
        let step = (now - wall) - passed;
        if step.abs() < STEP {
            return TimeDelta::zero();
        }
        tracing::warn!(
            "the clock was set by {} seconds, or the machine slept",
            step.num_seconds()
        );
        self.stepped += step;
        self.next_heartbeat = monotonic;
        if step < TimeDelta::zero() {
            for post in &mut self.posts {
                post.timetable.set_back(now);
            }
        }
        step
    }

    /// Misses and begins what is due of one post.
    async fn post_turn(
        &mut self,
        at: usize,
        now: DateTime<Utc>,
        late: MissedReason,
    ) -> Result<(), RoundError> {
        let is_busy = self.is_running(&self.posts[at].post);
        let due = self.posts[at].timetable.turn(now, is_busy);
        let post = self.posts[at].post.clone();
        if let Some(ticks) = due.missed {
            let reason = if is_busy { MissedReason::Overrun } else { late };
            self.miss(&post, None, ticks, reason, None).await?;
        }
        match due.run {
            Some(Purpose::Tick(tick)) => {
                self.catch_up.remove(&post);
                self.start(at, Some(tick), now);
            }
            Some(Purpose::CatchUp) => {
                self.catch_up.remove(&post);
                self.start(at, None, now);
            }
            None if !is_busy && self.catch_up.remove(&post) => self.start(at, None, now),
            None => {}
        }
        Ok(())
    }

    fn is_running(&self, post: &Post) -> bool {
        self.running.values().any(|running| running == post)
    }

    /// Begins a run of a post.
    fn start(&mut self, at: usize, tick: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let Scheduled { post, job, timetable } = &self.posts[at];
        // A run that is tried again should be at its end before the next tick.
        let next = timetable.schedule().after(now);
        let window = next.map_or(RETRY, |next| ((next - now) * 9 / 10).min(RETRY));
        let round = Round {
            log: self.means.log.clone(),
            reader: Arc::clone(&self.reader),
            clock: self.means.clock.clone(),
            plan: Arc::clone(&self.configured.plan),
            plan_seq: self.plan_seq,
            raw: self.configured.raw,
            occasion: Occasion {
                trigger: if tick.is_some() {
                    Trigger::Schedule
                } else {
                    Trigger::CatchUp
                },
                tick,
                retry_for: window.to_std().unwrap_or_default(),
            },
            room: self.room.get(&post.source).cloned().unwrap_or_default(),
            stop: self.stop.clone(),
        };
        let (post, job, clock) = (post.clone(), Arc::clone(job), self.means.clock.clone());
        let span = tracing::info_span!(
            "run",
            collector = post.collector,
            source = post.source,
            tick = tick.map(tracing::field::display),
            run = self.running.len(),
        );
        let running = post.clone();
        let task = async move {
            let begun = clock.monotonic();
            tracing::debug!("begins");
            let taken = round.run(&job).await;
            let took = clock.monotonic().saturating_sub(begun);
            Ended::Run {
                post,
                tick,
                took,
                taken,
            }
        };
        let handle = self.tasks.spawn_on(task.instrument(span), &self.means.collectors);
        self.running.insert(handle.id(), running);
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
                },
            )) => {
                self.running.remove(&id);
                self.watch.ran(&post, took);
                match taken {
                    Ok(taken) => self.note(&post, tick, &taken),
                    Err(error) => return self.troubled(&error),
                }
            }
            Ok((_, Ended::Clock(state))) => {
                if let Err(error) = self.heartbeat(state).await {
                    return self.troubled(&RoundError::from(error));
                }
            }
            Err(error) => {
                let post = self.running.remove(&error.id());
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
                    tracing::info!(collector, source, target, seq = taken.seq, "collected");
                    self.watch.asked(post, collected.calls, &collected.limits);
                    let until = collected.until.timestamp_millis();
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit for 285,000 years")]
                    self.watch.succeeded(post, until as f64 / 1000.0);
                }
                Err(error) => {
                    tracing::warn!(
                        collector,
                        source,
                        target,
                        seq = taken.seq,
                        "failed to collect: {error}"
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

    async fn heartbeat(&mut self, clock: ClockState) -> Result<(), AppendError> {
        self.watch.set_clock(&clock);
        let (store_bytes, free_bytes) = watch::sizes(&self.means.paths);
        let leaves = self
            .reader()
            .size()
            .map_err(|error| AppendError::Store(Arc::new(error)))?;
        let stepped = std::mem::take(&mut self.stepped);
        let heartbeat = Heartbeat {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.means.clock.monotonic().as_secs(),
            clock,
            stepped_ms: (!stepped.is_zero()).then(|| stepped.num_milliseconds()),
            leaves,
            store_bytes,
            free_bytes,
        };
        let written = self
            .means
            .log
            .append(Draft::new(Body::Heartbeat(heartbeat)))
            .await;
        if written.is_err() {
            self.stepped += stepped;
        }
        written.map(drop)
    }

    /// How long there is nothing to do.
    fn nap(&self) -> Duration {
        let (now, monotonic) = (self.means.clock.now(), self.means.clock.monotonic());
        let longest = notify::watchdog().map_or(NAP, |watchdog| NAP.min(watchdog / 3));
        if let Some(trouble) = &self.trouble {
            return trouble.next_try.saturating_sub(monotonic).min(longest);
        }
        let next = self.posts.iter().filter_map(|post| post.timetable.next()).min();
        let ticks = next.map_or(longest, |next| (next - now).to_std().unwrap_or_default());
        let heartbeat = self.next_heartbeat.saturating_sub(monotonic);
        ticks.min(heartbeat).min(longest)
    }

    /// The log could not be written, or a run did not come to its end: from here on what is owed is read from the log, once
    /// it can be written. Only a log that is not as it was left ends the daemon.
    fn troubled(&mut self, error: &RoundError) -> Result<(), DaemonError> {
        let store = match error {
            RoundError::Append(AppendError::Store(error)) => Some(error.as_ref()),
            RoundError::Store(error) | RoundError::Plan(PlanError::Store(error)) => Some(error),
            _ => None,
        };
        if let RoundError::Append(AppendError::Store(error)) = error
            && error.is_damage()
        {
            return Err(AppendError::Store(Arc::clone(error)).into());
        }
        let reason = match store {
            Some(error) if watch::is_full(error) => MissedReason::DiskFull,
            Some(error) if !error.is_damage() => MissedReason::LogUnavailable,
            _ => MissedReason::Interrupted,
        };
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let why = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let next_try = if reason == MissedReason::Interrupted {
            tracing::error!("a run did not come to its end: {why}");
            Duration::ZERO
        } else {
            tracing::error!("nothing can be recorded, so nothing is collected: {why}");
            self.watch.set_writable(false);
            self.watch
                .set_unready(Some(format!("the log can't be written: {why}")));
            notify::status(&format!("The log can't be written: {why}"));
            self.means.clock.monotonic() + AGAIN
        };
        // A full disk is the better reason, wherever it was met.
        let reason = match &self.trouble {
            Some(Trouble {
                reason: MissedReason::DiskFull,
                ..
            }) => MissedReason::DiskFull,
            _ => reason,
        };
        self.trouble = Some(Trouble { reason, next_try });
        Ok(())
    }

    /// Ends: runs under way may go on for a while, and then record what they owe.
    async fn end(mut self) -> Result<(), DaemonError> {
        notify::stopping();
        self.watch.set_unready(Some("the daemon is stopping".to_owned()));
        let within = self.configured.daemon.stop_within;
        tracing::info!("stopping, with {} runs under way", self.running.len());
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
        let state = state.unwrap_or_else(|_| ClockState {
            synchronised: None,
            offset_ms: None,
            how: "not told in time".to_owned(),
        });
        if let Err(error) = self.heartbeat(state).await {
            tracing::warn!("the last heartbeat could not be written: {error}");
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

impl Configured {
    fn posts(&self) -> Vec<Post> {
        let of = |job: &Job| Post::new(job.collector.id(), &job.source);
        self.jobs.iter().map(of).collect()
    }
}
