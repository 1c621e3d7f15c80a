//! What a collector is, and what it is given for a run.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::time::Duration;

use crate::{CallTimer, CollectError, Earlier, FirstRun, Snapshot};

/// Reads one kind of evidence from one configured source.
///
/// Implementations hold their settings and clients; the registry builds one per source. All methods may be called
/// again at any time, and concurrently for different targets.
#[async_trait]
pub trait Collector: Send + Sync {
    /// Vendor, a dot, the kind of evidence: `host.baseline`. Never changes, since logs are read by it for years.
    fn id(&self) -> &'static str;

    /// The version of the collecting code, sealed in each plan: raise it when the same source would read differently.
    fn version(&self) -> &'static str;

    /// The kinds of resource that its snapshots hold; no other collector yields them. A test on one of these kinds
    /// is evaluated for every snapshot, also for one that holds no such resource.
    fn kinds(&self) -> &'static [&'static str];

    /// Attributes that change without anybody changing a setting (counters, last use, clock offset), as pairs of
    /// resource kind and attribute. They take no part in drift.
    fn volatile(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Attributes that the vendor is known to introduce or set by itself, as pairs of resource kind and attribute. Where
    /// one was absent or null and now is not, the vendor changed it, not the company: that is no drift.
    fn by_provider(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The targets in scope now, in a stable order. One snapshot or one failure follows for each.
    async fn targets(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError>;

    /// Collects what there is about one target.
    ///
    /// What may not be read is an `unknown` attribute with a reason, not an error: an error means that nothing
    /// at all could be collected.
    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError>;

    /// Tries each permission and means that the collector needs, and says what is missing: pairs of what was tried
    /// and, where it did not work, what to do.
    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)>;
}

/// What one snapshot is about: an account, an owner, a repository, a host. Unique within its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(String);

impl Target {
    /// A target by the name its vendor knows it by; empty names and control characters are refused.
    pub fn new(name: impl Into<String>) -> Result<Self, CollectError> {
        let name = name.into();
        if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
            return Err(CollectError::invalid_response(format!(
                "target name {name:?} is empty, over 512 bytes or has control characters"
            )));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The time, as the program that runs the collector sees it: tests own it.
pub trait Clock: Send + Sync {
    /// Wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// Time since an arbitrary start, never going backwards.
    fn monotonic(&self) -> Duration;
}

/// How long a run may take for one target, unless the configuration says otherwise.
pub const DEADLINE: Duration = Duration::from_mins(10);

/// One run of a collector: its instant, its clock, and what it can go on from.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// When the run began; a point-in-time snapshot covers this instant.
    pub started: DateTime<Utc>,
    /// The only source of time for a collector.
    pub clock: &'a dyn Clock,
    /// When it is cut off, as [`Clock::monotonic`] counts. What was read by then is lost, so a collector that may
    /// have to wait ends before, and says what is missing.
    pub deadline: Duration,
    /// What earlier runs left behind.
    pub earlier: &'a dyn Earlier,
}

impl<'a> Run<'a> {
    /// A run that begins now, and goes on from nothing.
    pub fn begin(clock: &'a dyn Clock) -> Self {
        Self {
            started: clock.now(),
            clock,
            deadline: clock.monotonic() + DEADLINE,
            earlier: &FirstRun,
        }
    }

    /// How much time is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }

    /// Starts timing one call to the source.
    pub fn call(&self, service: impl Into<String>, operation: impl Into<String>) -> CallTimer<'a> {
        CallTimer::start(self.clock, service.into(), operation.into())
    }
}

/// A source's settings are not what its collectors need.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// What is wrong, and what is expected.
    pub message: String,
    /// Where, as a byte range of the settings' text, if known.
    pub span: Option<std::ops::Range<usize>>,
}

impl From<toml::de::Error> for SettingsError {
    fn from(error: toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            span: error.span(),
        }
    }
}
