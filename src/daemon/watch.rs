//! What others may see of a running daemon: whether it is healthy and ready, and its metrics. No evidence.

use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evidenced_collector_api::RateLimit;

use crate::clock::SharedClock;
use crate::duty::Post;
use crate::log::leaf::ClockState;
use crate::log::store::{Paths, Reader, StoreError};
use crate::standing;

/// A scheduler that has not turned for so long is not healthy.
const TURN: Duration = Duration::from_mins(2);

/// What others may see.
pub struct Watch {
    clock: SharedClock,
    paths: Paths,
    state: Mutex<State>,
    registry: Registry,
    ready: IntGauge,
    writable: IntGauge,
    synchronised: IntGauge,
    ticks: IntCounterVec,
    success: GaugeVec,
    interval: GaugeVec,
    duration: HistogramVec,
    calls: IntCounterVec,
    limits: IntGaugeVec,
    controls: IntGaugeVec,
    leaves: IntGauge,
    store_bytes: IntGauge,
    free_bytes: IntGauge,
    checkpoint: IntGauge,
}

struct State {
    /// Why it is not ready, if it is not.
    unready: Option<String>,
    /// When the scheduler last turned, on the monotonic clock.
    turned: Duration,
    /// The size of the log at which controls were judged, and when.
    judged: Option<(u64, Duration)>,
}

/// How a tick ended for a target, or for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Snapshot,
    Failure,
    Missed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Failure => "failure",
            Self::Missed => "missed",
        }
    }
}

impl Watch {
    /// Nothing is ready yet.
    pub(super) fn new(clock: SharedClock, paths: Paths) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let post = ["collector", "source"];
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let seconds = |name: &str, help: &str| {
            let gauges = GaugeVec::new(Opts::new(name, help), &post)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "evidenced_run_duration_seconds",
                "How long runs took, from their first attempt to the last judgement.",
            )
            .buckets(vec![0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0]),
            &post,
        )?;
        registry.register(Box::new(duration.clone()))?;
        gauges("evidenced_build_info", "The version that runs.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Ok(Self {
            ready: gauge(
                "evidenced_ready",
                "Whether what is collected is recorded: 1 or 0.",
            )?,
            writable: gauge(
                "evidenced_log_writable",
                "Whether the last write to the log succeeded: 1 or 0.",
            )?,
            synchronised: gauge(
                "evidenced_clock_synchronised",
                "Whether something keeps the clock right, at the last heartbeat: 1, or 0 also where that is unknown.",
            )?,
            ticks: counters(
                "evidenced_ticks_total",
                "Scheduled ticks since the daemon began, for each target by how they ended.",
                &["collector", "source", "outcome"],
            )?,
            success: seconds(
                "evidenced_last_success_timestamp_seconds",
                "When the newest snapshot was taken.",
            )?,
            interval: seconds(
                "evidenced_schedule_interval_seconds",
                "The time between the next tick and the one behind it.",
            )?,
            duration,
            calls: counters(
                "evidenced_source_calls_total",
                "Calls to the source for snapshots taken, each page counted.",
                &post,
            )?,
            limits: gauges(
                "evidenced_source_rate_limit_remaining",
                "What the source said at last was left of its rate limit.",
                &["source", "limit"],
            )?,
            controls: gauges(
                "evidenced_controls",
                "How many controls have each outcome now.",
                &["outcome"],
            )?,
            leaves: gauge("evidenced_log_leaves", "How many leaves the log holds.")?,
            store_bytes: gauge("evidenced_store_bytes", "The size of the store's database.")?,
            free_bytes: gauge("evidenced_store_free_bytes", "What is left on the store's disk.")?,
            checkpoint: gauge(
                "evidenced_checkpoint_timestamp_seconds",
                "When the newest checkpoint was signed.",
            )?,
            state: Mutex::new(State {
                unready: Some("the daemon is starting".to_owned()),
                turned: clock.monotonic(),
                judged: None,
            }),
            clock,
            paths,
            registry,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn turned(&self) {
        self.state().turned = self.clock.monotonic();
    }

    /// Why the daemon is not ready; none if it is.
    pub(super) fn set_unready(&self, why: Option<String>) {
        self.ready.set(why.is_none().into());
        self.state().unready = why;
    }

    pub(super) fn set_writable(&self, is_writable: bool) {
        self.writable.set(is_writable.into());
    }

    pub(super) fn set_clock(&self, clock: &ClockState) {
        self.synchronised.set((clock.synchronised == Some(true)).into());
    }

    pub(super) fn tick(&self, post: &Post, outcome: Outcome, count: u64) {
        self.ticks
            .with_label_values(&[post.collector.as_str(), &post.source, outcome.as_str()])
            .inc_by(count);
    }

    pub(super) fn succeeded(&self, post: &Post, seconds: f64) {
        self.success.with_label_values(&labels(post)).set(seconds);
    }

    pub(super) fn ran(&self, post: &Post, took: Duration) {
        self.duration
            .with_label_values(&labels(post))
            .observe(took.as_secs_f64());
    }

    pub(super) fn asked(&self, post: &Post, calls: u64, limits: &[RateLimit]) {
        self.calls.with_label_values(&labels(post)).inc_by(calls);
        for limit in limits {
            self.limits
                .with_label_values(&[post.source.as_str(), &limit.name])
                .set(i64::try_from(limit.remaining).unwrap_or(i64::MAX));
        }
    }

    /// The posts there are from here on, and how far apart their ticks are.
    pub(super) fn set_posts(&self, posts: &[(Post, Option<f64>)]) {
        self.interval.reset();
        for (post, interval) in posts {
            for outcome in [Outcome::Snapshot, Outcome::Failure, Outcome::Missed] {
                self.tick(post, outcome, 0);
            }
            if let Some(interval) = interval {
                self.interval.with_label_values(&labels(post)).set(*interval);
            }
        }
    }

    /// Whether the scheduler turns, or for how long it has not.
    pub fn health(&self) -> Result<(), String> {
        let still = self.clock.monotonic().saturating_sub(self.state().turned);
        if still < TURN {
            return Ok(());
        }
        Err(format!(
            "the scheduler has stood still for {} seconds",
            still.as_secs()
        ))
    }

    /// Whether what is collected is recorded, or why not.
    pub fn readiness(&self) -> Result<(), String> {
        self.health()?;
        self.state().unready.clone().map_or(Ok(()), Err)
    }

    /// The metrics in Prometheus' text form.
    pub fn metrics(&self) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.refresh()?;
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Reads from the store what is to be read there. Controls are judged again where the log has grown, and each minute,
    /// since evidence grows old.
    fn refresh(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let reader = Reader::open(&self.paths)?;
        let (size, now) = (reader.size()?, self.clock.monotonic());
        self.leaves.set(i64::try_from(size)?);
        let (bytes, free) = sizes(&self.paths);
        self.store_bytes.set(i64::try_from(bytes)?);
        if let Some(free) = free {
            self.free_bytes.set(i64::try_from(free)?);
        }
        // A checkpoint is signed with every batch, so it is as old as the newest leaf.
        if let Some(newest) = reader.leaf(size.saturating_sub(1))? {
            self.checkpoint.set(newest.time.timestamp());
        }
        let judged = self.state().judged;
        if judged.is_some_and(|(at, when)| at == size && now.saturating_sub(when) < Duration::from_mins(1)) {
            return Ok(());
        }
        let standing = standing::standing(&reader)?;
        let controls = standing.map(|standing| standing.controls(self.clock.now()));
        let mut counts = crate::control::Outcome::ALL.map(|outcome| (outcome, 0));
        for control in controls.iter().flatten() {
            for (outcome, count) in &mut counts {
                *count += i64::from(*outcome == control.outcome);
            }
        }
        for (outcome, count) in counts {
            self.controls.with_label_values(&[outcome.as_str()]).set(count);
        }
        self.state().judged = Some((size, now));
        Ok(())
    }
}

fn labels(post: &Post) -> [&str; 2] {
    [&post.collector, &post.source]
}

/// Bytes of the database and its write-ahead log, and what is left on their disk.
pub(super) fn sizes(paths: &Paths) -> (u64, Option<u64>) {
    let database = paths.database();
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let bytes = size(&database) + size(&database.with_extension("db-wal"));
    let disk = rustix::fs::statvfs(paths.directory()).ok();
    (bytes, disk.map(|disk| disk.f_bavail * disk.f_frsize))
}

/// Whether a store error says that its disk is full.
pub(super) fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::Io(_, error) => matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ),
        StoreError::Sqlite(_, error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
        _ => false,
    }
}
