//! One turn of the scheduler: what is due is missed or begun, heartbeats are written, and trouble with the log is waited out.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

use super::timetable::Purpose;
use super::{Daemon, DaemonError, Ended, Scheduled, Trouble, notify};
use crate::alert::raise;
use crate::disk;
use crate::duty::Post;
use crate::log::append::{AppendError, Change, Draft};
use crate::log::leaf::{Body, Heartbeat, MissedReason, Trigger, format_time};
use crate::log::store::StoreError;
use crate::plan::PlanError;
use crate::round::{Occasion, Round, RoundError};

/// With fewer bytes left a disk is nearly full, however slowly the store grows.
const FREE: u64 = 256 << 20;

/// A clock that moves by more than this against the time that passes was set.
pub(super) const STEP: TimeDelta = TimeDelta::seconds(2);

/// At least so often the scheduler turns, to notice that the clock was set or that the machine slept.
const NAP: Duration = Duration::from_mins(1);

/// How often a heartbeat is written.
const HEARTBEAT: Duration = Duration::from_hours(1);

/// How long after the log refused it is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// The longest that temporary errors of a tick are tried again, however far the next tick is.
const RETRY: TimeDelta = TimeDelta::hours(1);

impl Daemon {
    /// Does what is due. Only a log that is not as it was left is an error: everything else passes.
    pub(super) async fn turn(&mut self) -> Result<(), DaemonError> {
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
            // The least that can be written tells whether anything can.
            if let Err(error) = self.heartbeat().await {
                return self.troubled(&error.into());
            }
            if let Err(error) = self.settle_all(reason).await {
                return self.troubled(&error);
            }
            if self.unsealed
                && let Err(error) = self.seal().await
            {
                return self.troubled(&error);
            }
            late = reason;
            self.trouble = None;
            tracing::info!("the log can be written again");
            notify::collecting();
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
    pub(super) fn clock_step(&mut self, now: DateTime<Utc>, monotonic: Duration) -> TimeDelta {
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
    pub(super) async fn post_turn(
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

    pub(super) fn is_running(&self, post: &Post) -> bool {
        self.running.values().any(|running| running == post)
    }

    /// Begins a run of a post.
    pub(super) fn start(&mut self, at: usize, tick: Option<DateTime<Utc>>, now: DateTime<Utc>) {
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
            after: self.after(),
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
            tick = tick.map(format_time),
            run = self.runs,
        );
        self.runs += 1;
        let within = span.clone();
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
                span: within,
            }
        };
        self.bell.begins(&running);
        let handle = self.tasks.spawn_on(task.instrument(span), &self.means.collectors);
        self.running.insert(handle.id(), running);
    }

    pub(super) async fn heartbeat(&mut self) -> Result<(), AppendError> {
        let clock = self.clock_state.clone();
        self.watch.set_clock(&clock);
        let (store_bytes, free_bytes) = disk::sizes(&self.means.paths);
        let store = |error| AppendError::Store(Arc::new(error));
        let leaves = self.reader().size().map_err(store)?;
        let raised = self.disk_alert(free_bytes).map_err(store)?;
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
            .append(Draft::new(Body::Heartbeat(heartbeat)).with_changes(raised))
            .await;
        if written.is_err() {
            self.stepped += stepped;
        }
        written.map(drop)
    }

    /// Whether the disk begins to be nearly full, or has room again.
    fn disk_alert(&self, free: Option<u64>) -> Result<Vec<Change>, StoreError> {
        let reader = self.reader();
        let days = disk::days_left(&reader, self.means.clock.now())?;
        let least = u64::from(self.configured.outlet.settings.disk_days);
        let is_filling = days.is_some_and(|days| days < least) || free.is_some_and(|free| free < FREE);
        Ok(raise::of_disk(self.after(), &reader.open_alerts()?, is_filling))
    }

    /// How long there is nothing to do.
    pub(super) fn nap(&self) -> Duration {
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
    pub(super) fn troubled(&mut self, error: &RoundError) -> Result<(), DaemonError> {
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
            Some(error) if error.is_full() => MissedReason::DiskFull,
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
}
