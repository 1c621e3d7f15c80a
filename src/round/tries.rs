//! Attempts: each with its end, caught when it panics, and repeated where that can help.

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, Utc};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use evidenced_collector_api::{CollectError, FailureClass, Run};

use super::Round;
use super::earlier::EarlierRuns;
use crate::clock::Clock;
use crate::registry::Job;

/// The attempts at one thing: what may pass by itself is tried again, until its time is over.
pub(super) struct Tries<'a> {
    round: &'a Round,
    delays: ExponentialBackoff,
    /// When there is no more time to try again, on the clock's monotonic time.
    until: Duration,
    /// When the last attempt began.
    pub(super) started: DateTime<Utc>,
    pub(super) attempts: u32,
}

/// How many attempts may be under way at once: in all, and on one source.
#[derive(Clone, Debug, Default)]
pub struct Room(Vec<Arc<Semaphore>>);

impl Room {
    /// Within each of these limits; without one, there is no limit.
    pub fn within(limits: impl IntoIterator<Item = Arc<Semaphore>>) -> Self {
        Self(limits.into_iter().collect())
    }

    async fn enter(&self) -> Within {
        let mut permits = Vec::with_capacity(self.0.len());
        for limit in &self.0 {
            // They are never closed.
            permits.extend(Arc::clone(limit).acquire_owned().await.ok());
        }
        Within(permits)
    }
}

/// A place in the room, held while an attempt is under way.
pub(super) struct Within(#[expect(dead_code, reason = "held, and given back")] Vec<OwnedSemaphorePermit>);

impl<'a> Tries<'a> {
    pub(super) fn new(round: &'a Round, until: Duration) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_secs(5))
            .with_max_delay(Duration::from_mins(5))
            .without_max_times();
        Self {
            round,
            delays: delays.build(),
            until,
            started: round.clock.now(),
            attempts: 0,
        }
    }

    /// Begins an attempt once there is room for it; none if the round is to end.
    pub(super) async fn begin<'r>(&mut self, job: &Job, earlier: &'r EarlierRuns) -> Option<(Run<'r>, Within)>
    where
        'a: 'r,
    {
        let within = self.round.unless_stopped(self.round.room.enter()).await?;
        let mut run = begin(job, self.round.clock.as_ref(), earlier);
        if self.attempts > 0 {
            run.deadline = run.deadline.min(self.until);
        }
        (self.started, self.attempts) = (run.started, self.attempts + 1);
        Some((run, within))
    }

    /// Waits, if trying again can help and there is time for it.
    pub(super) async fn again(&mut self, job: &Job, error: &CollectError) -> bool {
        let Some(delay) = self.delays.next().filter(|_| error.retryable) else {
            return false;
        };
        if self.round.clock.monotonic() + delay >= self.until {
            return false;
        }
        let (collector, source) = (job.collector.id(), &job.source);
        tracing::info!(
            "{collector} of {source}: attempt {} failed, another in {delay:.1?}: {error}",
            self.attempts
        );
        self.round
            .unless_stopped(tokio::time::sleep(delay))
            .await
            .is_some()
    }
}

pub(super) fn begin<'a>(job: &Job, clock: &'a dyn Clock, earlier: &'a EarlierRuns) -> Run<'a> {
    Run {
        deadline: clock.monotonic() + job.deadline,
        earlier,
        ..Run::begin(clock)
    }
}

pub(super) async fn within_deadline<T>(
    run: &Run<'_>,
    work: impl Future<Output = Result<T, CollectError>>,
) -> Result<T, CollectError> {
    let time = run.remaining();
    tokio::time::timeout(time, unpanicked(work))
        .await
        .unwrap_or_else(|_| {
            let what = format!("no end after {} seconds", time.as_secs());
            Err(CollectError::new(FailureClass::Timeout, what))
        })
}

/// A collector that panics has failed like any other: silence is never compliance.
async fn unpanicked<T>(work: impl Future<Output = Result<T, CollectError>>) -> Result<T, CollectError> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let what = "the collector panicked: this is a bug in it";
            Poll::Ready(Err(CollectError::new(FailureClass::Internal, what)))
        })
    })
    .await
}
