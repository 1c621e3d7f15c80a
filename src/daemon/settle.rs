//! Settling: what nothing accounts for is recorded as missed, and made up for where that can be. And reloading, which does
//! the same to posts that go.

use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Configured, Daemon, DaemonError, LoadError, Scheduled, notify, watch};
use crate::alert::raise;
use crate::daemon::watch::Outcome;
use crate::duty::{self, Owed, Post, Stretch};
use crate::log::append::{AppendError, Draft};
use crate::log::leaf::{Body, By, Missed, MissedReason, Ticks, Trigger, format_time};
use crate::log::store::{Filter, StoreError};
use crate::round::{self, RoundError};

impl Daemon {
    /// Records what nothing accounts for of a post's ticks up to an instant, and lets it be caught up with. A tick up to
    /// `alive` was interrupted, whatever the reason of later ones.
    pub(super) async fn settle(
        &mut self,
        stretches: &[Stretch],
        post: &Post,
        until: DateTime<Utc>,
        reason: MissedReason,
        alive: Option<DateTime<Utc>>,
    ) -> Result<(), RoundError> {
        let why = |tick| {
            if reason != MissedReason::DaemonDown {
                return (reason, None);
            }
            match announced(stretches, tick) {
                Some(note) => (MissedReason::Maintenance, Some(note)),
                None if alive.is_some_and(|alive| tick <= alive) => (MissedReason::Interrupted, None),
                None => (reason, None),
            }
        };
        let Owed { partial, ticks } = duty::owed(&self.reader(), stretches, post, until, why)?;
        let any = partial.is_some() || !ticks.is_empty();
        if let Some((tick, (reason, note), targets)) = partial {
            let reason = if reason == MissedReason::DaemonDown {
                MissedReason::Interrupted
            } else {
                reason
            };
            for target in targets {
                self.miss(post, Some(target), Ticks::one(tick), reason, note.clone())
                    .await?;
            }
        }
        for (ticks, (reason, note)) in ticks {
            self.miss(post, None, ticks, reason, note).await?;
        }
        if any {
            self.catch_up.insert(post.clone());
        }
        Ok(())
    }

    /// Settles every post of the present configuration whose run is not under way.
    pub(super) async fn settle_all(&mut self, reason: MissedReason) -> Result<(), RoundError> {
        // A snapshot may have been written whose evaluation could not be.
        round::judge_unjudged(&self.means.log, &self.reader, self.after()).await?;
        let stretches = duty::stretches(&self.reader()).map_err(RoundError::Plan)?;
        let posts: Vec<_> = self
            .posts
            .iter()
            .filter(|scheduled| !self.is_running(&scheduled.post))
            .map(|scheduled| (scheduled.post.clone(), scheduled.timetable.looked()))
            .collect();
        for (post, looked) in posts {
            self.settle(&stretches, &post, looked, reason, None).await?;
        }
        Ok(())
    }

    /// Records ticks as missed.
    pub(super) async fn miss(
        &mut self,
        post: &Post,
        target: Option<String>,
        ticks: Ticks,
        reason: MissedReason,
        note: Option<String>,
    ) -> Result<(), RoundError> {
        let (collector, source) = (&post.collector, &post.source);
        let (first, last) = (format_time(ticks.first), format_time(ticks.last));
        let which = match ticks.count {
            1 => format!("the tick of {first}"),
            count => format!("{count} ticks from {first} to {last}"),
        };
        tracing::warn!(
            collector,
            source,
            target,
            first,
            last,
            count = ticks.count,
            "{collector} of {source}: missed {which}: {reason}"
        );
        let missed = Missed {
            collector: post.collector.clone(),
            source: post.source.clone(),
            target,
            ticks,
            reason,
            note,
        };
        let raised = raise::of_missed(self.after(), &missed);
        let draft = Draft::new(Body::Missed(missed)).with_changes(raised);
        self.means.log.append(draft).await?;
        self.bell.ring();
        self.watch.tick(post, Outcome::Missed, ticks.count);
        Ok(())
    }

    /// Reads the configuration anew, and goes on with the old one where that is not valid.
    pub(super) async fn reload(&mut self) -> Result<(), DaemonError> {
        notify::reloading();
        let loaded = (self.means.load)();
        let taken = match loaded {
            Ok(new) => self.take_over(new).await,
            Err(error) => Err(error),
        };
        self.watch.set_configured(taken.is_ok());
        match taken {
            Ok(()) => {
                tracing::info!("the configuration was read anew");
                notify::ready();
            }
            Err(error) => {
                let causes =
                    std::iter::successors(Some(&*error as &dyn std::error::Error), |error| error.source());
                let why = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
                tracing::error!("the old configuration stays in force: {why}");
                notify::ready();
                notify::status(&format!(
                    "Collecting by the old configuration; the new one: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Puts a new configuration in force, from now on.
    async fn take_over(&mut self, new: Configured) -> Result<(), LoadError> {
        if self.trouble.is_some() {
            return Err("the log can't be written at present; reload again when it can".into());
        }
        let old = std::mem::replace(&mut self.configured, new);
        if let Err(error) = self.seal().await {
            self.configured = old;
            // Nobody can say whether the new plan is in the log: once it can be written, the old one is sealed again.
            self.unsealed = true;
            self.troubled(&error)?;
            return Err(error.into());
        }
        let wanted: BTreeSet<Post> = self.configured.posts().into_iter().collect();
        let is_kept = |old: &Scheduled| self.configured.jobs.iter().any(|job| is_same(old, job));
        let (kept, gone): (Vec<_>, Vec<_>) = self.posts.iter().partition(|old| is_kept(old));
        let names = |posts: Vec<&Scheduled>| posts.into_iter().map(|old| old.post.clone()).collect();
        let (kept, gone): (Vec<Post>, Vec<Post>) = (names(kept), names(gone));
        // Ticks that had come, and waited for their jitter, are owed by the old schedule.
        for post in gone {
            let reason = if wanted.contains(&post) {
                MissedReason::Late
            } else {
                MissedReason::Removed
            };
            if let Err(error) = self.settle_gone(&post, reason).await {
                self.troubled(&error)?;
            }
        }
        self.outlet.send_replace(Arc::clone(&self.configured.outlet));
        self.catch_up_with_new()?;
        self.catch_up.retain(|post| wanted.contains(post));
        self.schedule(&kept)?;
        Ok(())
    }

    async fn settle_gone(&mut self, post: &Post, reason: MissedReason) -> Result<(), RoundError> {
        if self.is_running(post) {
            return Ok(());
        }
        let stretches = duty::stretches(&self.reader())?;
        self.settle(&stretches, post, self.effective, reason, None).await
    }

    /// Seals the plan of the present configuration, whose schedules count from now on.
    pub(super) async fn seal(&mut self) -> Result<(), RoundError> {
        let stretches = duty::stretches(&self.reader())?;
        let known = self
            .posts
            .iter()
            .map(|scheduled| scheduled.post.clone())
            .collect();
        let from = self.effective_from(self.means.clock.now(), &known, &stretches)?;
        self.seal_from(from).await?;
        self.unsealed = false;
        Ok(())
    }

    /// The same, from an instant on.
    pub(super) async fn seal_from(&mut self, from: DateTime<Utc>) -> Result<(), AppendError> {
        let plan = Arc::clone(&self.configured.plan);
        let maker = &self.configured.maker;
        self.plan_seq = plan.seal_for_daemon(&self.means.log, maker, from).await?;
        self.effective = from;
        Ok(())
    }

    /// From when on a new plan counts: from now, unless the clock was set back and ticks yet to come are accounted for.
    pub(super) fn effective_from(
        &self,
        now: DateTime<Utc>,
        known: &BTreeSet<Post>,
        stretches: &[Stretch],
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut from = stretches.last().map_or(now, |last| last.from.max(now));
        for post in known {
            let accounted = duty::newest_account(&self.reader(), post)?;
            from = accounted.map_or(from, |accounted| accounted.max(from));
        }
        Ok(from)
    }

    /// What is on a schedule and was never collected is collected at once.
    pub(super) fn catch_up_with_new(&mut self) -> Result<(), StoreError> {
        let now = self.means.clock.now();
        let mut new = Vec::new();
        for job in &self.configured.jobs {
            let post = Post::new(job.collector.id(), &job.source);
            if job.schedule.after(now).is_some() && watch::last_success(&self.reader(), &post)?.is_none() {
                new.push(post);
            }
        }
        self.catch_up.extend(new);
        Ok(())
    }

    /// When a daemon last wrote something.
    pub(super) fn last_sign_of_life(
        &self,
        stretches: &[Stretch],
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let Some(last) = stretches.last() else {
            return Ok(None);
        };
        let reader = self.reader();
        let kinds = ["snapshot", "failure", "missed", "heartbeat", "plan"];
        let filter = Filter {
            kinds: kinds.map(str::to_owned).to_vec(),
            limit: Some(200),
            ..Filter::default()
        };
        for entry in reader.entries(&filter)?.iter().rev() {
            let Some(leaf) = reader.leaf(entry.seq)? else {
                continue;
            };
            let by_daemon = match &leaf.body {
                Some(Body::Snapshot(snapshot)) => snapshot.trigger != Trigger::AdHoc,
                Some(Body::Failure(failure)) => failure.trigger != Trigger::AdHoc,
                Some(Body::Missed(_) | Body::Heartbeat(_)) => true,
                Some(Body::Plan(plan)) => plan.by == By::Daemon,
                _ => false,
            };
            if by_daemon {
                return Ok(Some(leaf.time));
            }
        }
        Ok(Some(last.from))
    }
}

/// Whether a job goes on as it was scheduled.
fn is_same(old: &Scheduled, job: &crate::registry::Job) -> bool {
    old.post.collector == job.collector.id()
        && old.post.source == job.source
        && *old.timetable.schedule() == job.schedule
}

/// The maintenance that the plan in force at a tick had announced for it.
fn announced(stretches: &[Stretch], tick: DateTime<Utc>) -> Option<String> {
    let in_force = stretches.iter().rev().find(|stretch| stretch.from < tick)?;
    let announced = in_force
        .maintenance
        .iter()
        .find(|time| time.from <= tick && tick < time.to);
    announced.map(|time| time.reason.clone())
}
