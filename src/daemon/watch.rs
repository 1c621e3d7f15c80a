//! What others may see of a running daemon: whether it is healthy and ready, and its metrics. No evidence.

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evidenced_collector_api::RateLimit;

use crate::clock::SharedClock;
use crate::control::Severity;
use crate::disk;
use crate::duty::{self, Post, Stretch};
use crate::log::leaf::{Body, ClockState};
use crate::log::store::{Filter, Paths, Reader, StoreError};
use crate::period::manual::State;
use crate::standing::{self, Standing};

/// A scheduler that has not turned for so long is not healthy.
const TURN: Duration = Duration::from_mins(2);

/// What others may see.
pub struct Watch {
    clock: SharedClock,
    paths: Paths,
    state: Mutex<Now>,
    registry: Registry,
    ready: IntGauge,
    writable: IntGauge,
    /// Without a series where that is unknown.
    synchronised: IntGaugeVec,
    configured: IntGauge,
    ticks: IntCounterVec,
    success: GaugeVec,
    interval: GaugeVec,
    owed: IntGaugeVec,
    duration: HistogramVec,
    calls: IntCounterVec,
    limits: IntGaugeVec,
    controls: IntGaugeVec,
    leaves: IntGauge,
    store_bytes: IntGauge,
    free_bytes: IntGauge,
    checkpoint: IntGauge,
    alerts: Alerts,
    manual: Manual,
}

/// What is told of the evidence that people owe, by control.
struct Manual {
    due: IntGaugeVec,
    overdue: IntGaugeVec,
}

/// What is told of alerts.
struct Alerts {
    open: IntGaugeVec,
    waiting: IntGauge,
    oldest: IntGauge,
}

struct Now {
    /// Why it is not ready, if it is not.
    unready: Option<String>,
    /// When the scheduler last turned, on the monotonic clock.
    turned: Duration,
    /// The size of the log at which controls were judged, and when.
    judged: Option<(u64, Duration)>,
    posts: Vec<Shown>,
    stretches: Vec<Stretch>,
}

/// What is shown of a post from the start.
pub(super) struct Shown {
    pub(super) post: Post,
    /// How far apart its ticks are; none without ticks.
    pub(super) interval: Option<TimeDelta>,
    /// The end of what its newest snapshot covers.
    pub(super) success: Option<DateTime<Utc>>,
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

impl Alerts {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "How many alerts go on, by how bad they are.";
        let open = IntGaugeVec::new(Opts::new("evidenced_alerts_open", help), &["severity"])?;
        let help = "How many messages wait for their channels.";
        let waiting = IntGauge::new("evidenced_outbox_messages", help)?;
        let help = "For how long the one that waits longest has waited; 0 if none does.";
        let oldest = IntGauge::new("evidenced_outbox_oldest_seconds", help)?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(waiting.clone()))?;
        registry.register(Box::new(oldest.clone()))?;
        Ok(Self {
            open,
            waiting,
            oldest,
        })
    }
}

impl Manual {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "When the evidence that people owe next is due, or should have been given.";
        let options = Opts::new("evidenced_manual_evidence_due_timestamp_seconds", help);
        let due = IntGaugeVec::new(options, &["control", "owner"])?;
        let help = "Whether evidence that people owe is overdue: 1 or 0.";
        let options = Opts::new("evidenced_manual_evidence_overdue", help);
        let overdue = IntGaugeVec::new(options, &["control", "owner"])?;
        registry.register(Box::new(due.clone()))?;
        registry.register(Box::new(overdue.clone()))?;
        Ok(Self { due, overdue })
    }

    fn set(&self, standing: Option<&Standing>, now: DateTime<Utc>) {
        self.due.reset();
        self.overdue.reset();
        for owed in standing.iter().flat_map(|standing| &standing.manual) {
            let account = owed.account(now);
            let labels = [owed.control.id.as_str(), owed.control.owner.as_str()];
            if let Some(wanted) = account.wanted() {
                self.due.with_label_values(&labels).set(wanted.at.timestamp());
            }
            let is_overdue = account.state == State::Overdue;
            self.overdue.with_label_values(&labels).set(is_overdue.into());
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
            synchronised: gauges(
                "evidenced_clock_synchronised",
                "Whether something keeps the clock right, at the last heartbeat: 1 or 0; absent where that is unknown.",
                &[],
            )?,
            configured: gauge(
                "evidenced_configuration_in_force",
                "Whether the configuration that was read last is in force: 1, or 0 if it was refused.",
            )?,
            ticks: counters(
                "evidenced_ticks_total",
                "Scheduled ticks since the daemon began, for each target by how they ended.",
                &["collector", "source", "outcome"],
            )?,
            success: seconds(
                "evidenced_last_success_timestamp_seconds",
                "When the newest snapshot was taken; from the log, where that was before the daemon began.",
            )?,
            interval: seconds(
                "evidenced_schedule_interval_seconds",
                "The time between the next tick and the one behind it.",
            )?,
            owed: gauges(
                "evidenced_ticks_since_success",
                "Ticks that the plans scheduled since the newest snapshot, or ever if there is none: 100 at most.",
                &post,
            )?,
            duration: durations(&registry)?,
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
            alerts: Alerts::new(&registry)?,
            manual: Manual::new(&registry)?,
            state: Mutex::new(Now {
                unready: Some("the daemon is starting".to_owned()),
                turned: clock.monotonic(),
                judged: None,
                posts: Vec::new(),
                stretches: Vec::new(),
            }),
            clock,
            paths,
            registry,
        })
    }

    fn state(&self) -> MutexGuard<'_, Now> {
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
        self.synchronised.reset();
        if let Some(is_synchronised) = clock.synchronised {
            let gauge = self.synchronised.with_label_values::<&str>(&[]);
            gauge.set(is_synchronised.into());
        }
    }

    pub(super) fn tick(&self, post: &Post, outcome: Outcome, count: u64) {
        self.ticks
            .with_label_values(&[post.collector.as_str(), &post.source, outcome.as_str()])
            .inc_by(count);
    }

    pub(super) fn succeeded(&self, post: &Post, until: DateTime<Utc>) {
        self.success.with_label_values(&labels(post)).set(seconds(until));
        let mut state = self.state();
        if let Some(shown) = state.posts.iter_mut().find(|shown| shown.post == *post) {
            shown.success = shown.success.max(Some(until));
        }
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

    /// The posts there are from here on, and the plans that say which ticks they owe.
    pub(super) fn set_posts(&self, posts: Vec<Shown>, stretches: Vec<Stretch>) {
        self.interval.reset();
        self.owed.reset();
        for Shown {
            post,
            interval,
            success,
        } in &posts
        {
            for outcome in [Outcome::Snapshot, Outcome::Failure, Outcome::Missed] {
                self.tick(post, outcome, 0);
            }
            if let Some(interval) = interval {
                let gauge = self.interval.with_label_values(&labels(post));
                gauge.set(interval.as_seconds_f64());
            }
            if let Some(until) = success {
                self.succeeded(post, *until);
            }
        }
        let mut state = self.state();
        (state.posts, state.stretches) = (posts, stretches);
    }

    /// Whether the configuration that was read last is in force.
    pub(super) fn set_configured(&self, is_taken: bool) {
        self.configured.set(is_taken.into());
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
        let (bytes, free) = disk::sizes(&self.paths);
        self.store_bytes.set(i64::try_from(bytes)?);
        if let Some(free) = free {
            self.free_bytes.set(i64::try_from(free)?);
        }
        // A checkpoint is signed with every batch, so it is as old as the newest leaf.
        if let Some(newest) = reader.leaf(size.saturating_sub(1))? {
            self.checkpoint.set(newest.time.timestamp());
        }
        self.count_alerts(&reader)?;
        self.count_owed();
        let judged = self.state().judged;
        if judged.is_some_and(|(at, when)| at == size && now.saturating_sub(when) < Duration::from_mins(1)) {
            return Ok(());
        }
        let standing = standing::standing(&reader)?;
        self.manual.set(standing.as_ref(), self.clock.now());
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

    fn count_alerts(&self, reader: &Reader) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (open, posted) = (reader.open_alerts()?, reader.posted()?);
        for severity in Severity::ALL {
            let severity = severity.to_string();
            let count = open.iter().filter(|open| open.severity == severity).count();
            self.alerts
                .open
                .with_label_values(&[&severity])
                .set(i64::try_from(count)?);
        }
        self.alerts.waiting.set(i64::try_from(posted.len())?);
        let oldest = posted.iter().map(|posted| posted.since).min();
        let waited = oldest.map_or(0, |since| (self.clock.now() - since).num_seconds());
        self.alerts.oldest.set(waited.max(0));
        Ok(())
    }

    fn count_owed(&self) {
        let now = self.clock.now();
        let state = self.state();
        for Shown { post, success, .. } in &state.posts {
            let since = success.unwrap_or(DateTime::<Utc>::MIN_UTC);
            let owed = duty::ticks(&state.stretches, post, since, now)
                .take(100)
                .fold(0, |count, _| count + 1);
            self.owed.with_label_values(&labels(post)).set(owed);
        }
    }
}

/// The end of what the newest snapshot of a post covers; none if nothing was ever collected of it.
pub(super) fn last_success(reader: &Reader, post: &Post) -> Result<Option<DateTime<Utc>>, StoreError> {
    let filter = Filter {
        kinds: vec!["snapshot".to_owned()],
        collector: Some(post.collector.clone()),
        source: Some(post.source.clone()),
        limit: Some(1),
        ..Filter::default()
    };
    let Some(newest) = reader.entries(&filter)?.pop() else {
        return Ok(None);
    };
    Ok(match reader.leaf(newest.seq)?.and_then(|leaf| leaf.body) {
        Some(Body::Snapshot(snapshot)) => Some(snapshot.covers.until()),
        _ => None,
    })
}

fn durations(registry: &Registry) -> Result<HistogramVec, prometheus::Error> {
    let help = "How long runs took, from their first attempt to the last judgement.";
    let options = HistogramOpts::new("evidenced_run_duration_seconds", help)
        .buckets(vec![0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0]);
    let durations = HistogramVec::new(options, &["collector", "source"])?;
    registry.register(Box::new(durations.clone()))?;
    Ok(durations)
}

fn seconds(time: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit for 285,000 years")]
    let milliseconds = time.timestamp_millis() as f64;
    milliseconds / 1000.0
}

fn labels(post: &Post) -> [&str; 2] {
    [&post.collector, &post.source]
}
