//! What each kind of leaf says.

use chrono::{DateTime, Utc};
use evidenced_collector_api::{Covers, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::tree::Hash;

mod alert;
mod attachment;
mod export;
mod sampling;

pub use alert::{Acknowledgement, Alert, AlertState, Delivery, Event, Exception};
pub use attachment::{Attachment, Days, is_same_person};
pub use export::Export;
pub use sampling::{Population, Sample};

/// The kinds that this version knows.
pub(super) const KINDS: [&str; 16] = [
    "key",
    "plan",
    "scope",
    "snapshot",
    "failure",
    "missed",
    "evaluation",
    "heartbeat",
    "alert",
    "acknowledgement",
    "exception",
    "attachment",
    "population",
    "sample",
    "export",
    "recovery",
];

/// What a leaf says, by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Leaf 0: the key that signs this log's checkpoints.
    Key(Key),
    /// What is collected and how it is judged, from here on.
    Plan(Plan),
    /// The targets found in a source.
    Scope(Scope),
    /// What one run collected about one target.
    Snapshot(SnapshotLeaf),
    /// Why one run collected nothing.
    Failure(FailureLeaf),
    /// Ticks that nothing was collected at, and why.
    Missed(Missed),
    /// How the tests judged a snapshot.
    Evaluation(EvaluationLeaf),
    /// That the daemon runs, and how its clock stands.
    Heartbeat(Heartbeat),
    /// That people are to know something, or were told.
    Alert(Alert),
    /// That somebody has taken on an alert, and what came of it.
    Acknowledgement(Acknowledgement),
    /// That failures of a test are approved for a time.
    Exception(Exception),
    /// Evidence that people bring.
    Attachment(Attachment),
    /// What samples are drawn from.
    Population(Population),
    /// What was drawn from it.
    Sample(Sample),
    /// That a bundle was handed over, or was about to be.
    Export(Export),
    /// The log that this one takes over from.
    Recovery(Recovery),
}

/// Leaf 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// C2SP signed-note verifier key: `name+keyid+base64`.
    pub key: String,
}

/// What is collected and how it is judged; the lists themselves are in its `plan` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Who runs it.
    pub by: By,
    /// From which instant on its schedules count, where the daemon runs it: ticks after this are owed by this plan, and
    /// those up to it by the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<DateTime<Utc>>,
    /// evidenced's version.
    pub version: String,
    /// SHA-256 of the running program, lowercase hex; null where it can't be read.
    pub binary_sha256: Option<String>,
    /// The host's name.
    pub host: String,
    /// The operating system's name for the user.
    pub os_user: String,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of the configuration file's bytes, lowercase hex.
    pub configuration_sha256: String,
    /// SHA-256 of the tests, controls and exclusions as they stand in the blob, lowercase hex.
    pub rules_sha256: String,
    /// How many sources are configured.
    pub sources: u64,
    /// How many tests are enabled.
    pub tests: u64,
    /// How many controls there are.
    pub controls: u64,
    /// How many exclusions from scope.
    pub exclusions: u64,
    /// What the tests' own examples gave.
    pub self_test: SelfTest,
}

/// Who wrote a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The scheduler.
    Daemon,
    /// A person, by hand.
    AdHoc,
}

/// The result of running all tests' examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// How many examples ran.
    pub examples: u64,
    /// How many gave another outcome than they state.
    pub failed: u64,
}

/// The targets found in a source; their names are in its `scope` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// How many targets.
    pub count: u64,
}

/// Why a run was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its tick came.
    Schedule,
    /// A person asked.
    AdHoc,
    /// At once, beside the schedule: after missed ticks, where nothing had been collected yet, or where a clock that
    /// was set back passes ticks that are accounted for.
    CatchUp,
}

/// What one run collected about one target; the resources are in its `evidence` blobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotLeaf {
    /// The plan it was collected under.
    pub plan: u64,
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// The target's name.
    pub target: String,
    /// The scheduled instant, null for an ad hoc run.
    pub tick: Option<DateTime<Utc>>,
    /// Why it ran.
    pub trigger: Trigger,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// How many attempts it took.
    pub attempts: u32,
    /// The time it speaks for.
    pub covers: Covers,
    /// Whether it is the whole population.
    pub complete: bool,
    /// How many resources it holds.
    pub resources: u64,
}

/// Why one run collected nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureLeaf {
    /// The plan it ran under.
    pub plan: u64,
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// The target's name, null when the targets could not be found out.
    pub target: Option<String>,
    /// The scheduled instant, null for an ad hoc run.
    pub tick: Option<DateTime<Utc>>,
    /// Why it ran.
    pub trigger: Trigger,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// How many attempts it took.
    pub attempts: u32,
    /// What kind of failure.
    pub class: FailureClass,
    /// Our words, at most 1 KiB.
    pub message: String,
    /// Whether trying again can help.
    pub retryable: bool,
}

/// Ticks at which nothing was collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The collector's id.
    pub collector: String,
    /// The source's configured name.
    pub source: String,
    /// The target's name; null for all targets.
    pub target: Option<String>,
    /// Which ticks.
    pub ticks: Ticks,
    /// Why.
    pub reason: MissedReason,
    /// What was announced, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Consecutive ticks of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticks {
    /// The first.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many, both included.
    pub count: u64,
}

impl Ticks {
    /// A single tick.
    pub fn one(tick: DateTime<Utc>) -> Self {
        Self {
            first: tick,
            last: tick,
            count: 1,
        }
    }

    /// The same with the tick that follows.
    #[must_use]
    pub fn and(self, next: DateTime<Utc>) -> Self {
        Self {
            last: next,
            count: self.count + 1,
            ..self
        }
    }
}

/// Why nothing was collected at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedReason {
    /// The daemon was not running.
    DaemonDown,
    /// The daemon ended, or was ended, before it got to it.
    Interrupted,
    /// The run before was still under way.
    Overrun,
    /// The disk was full: nothing could be recorded, so nothing was collected.
    DiskFull,
    /// The log could not be written for another reason.
    LogUnavailable,
    /// The daemon was not running, as had been announced in the plan.
    Maintenance,
    /// The clock jumped over it: it was set forward, or the machine slept.
    ClockStep,
    /// The daemon ran, but came to it too late.
    Late,
    /// The collector or its source was taken out of the configuration before it came to it.
    Removed,
}

impl std::fmt::Display for MissedReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DaemonDown => "the daemon was not running",
            Self::Interrupted => "the daemon ended before it",
            Self::Overrun => "the run before was still under way",
            Self::DiskFull => "the disk was full",
            Self::LogUnavailable => "the log could not be written",
            Self::Maintenance => "announced maintenance",
            Self::ClockStep => "the clock jumped over it",
            Self::Late => "the daemon came too late",
            Self::Removed => "taken out of the configuration",
        })
    }
}

/// How the tests judged a snapshot; the findings are in its `findings` blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationLeaf {
    /// The snapshot that was judged.
    pub snapshot: u64,
    /// The plan whose tests judged it.
    pub plan: u64,
    /// A result for each test, by test id.
    pub results: Value,
}

/// Written hourly by the daemon, and when its clock was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// evidenced's version.
    pub version: String,
    /// Seconds since the daemon began.
    pub uptime_s: u64,
    /// How the machine's clock stands.
    pub clock: ClockState,
    /// By how many milliseconds the clock was set since the last heartbeat, against the time that really passed:
    /// negative if back. A machine that slept looks like a clock that was set forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stepped_ms: Option<i64>,
    /// How many leaves the log held before this one.
    pub leaves: u64,
    /// Bytes of the store's database.
    pub store_bytes: u64,
    /// Bytes left on the store's disk for whom the daemon runs as; null where that can't be read.
    pub free_bytes: Option<u64>,
}

/// What is known of a clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockState {
    /// Whether something keeps it right; null where that can't be found out.
    pub synchronised: Option<bool>,
    /// By how many milliseconds it is off; null where that is not told.
    pub offset_ms: Option<f64>,
    /// How that was found out, or why not.
    pub how: String,
}

/// The log that this one takes over from, moved to `logs/ORIGIN/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The old log's origin, null where nothing readable named it.
    pub origin: Option<String>,
    /// Where its files are, below the store.
    pub directory: String,
    /// What its newest signed guard entry said, if it could be read.
    pub guard: Option<OldHead>,
    /// What its database held, if it could be read.
    pub database: Option<OldHead>,
    /// What verifying it found.
    pub problems: Vec<String>,
    /// Why, as the operator said.
    pub reason: String,
    /// The operating system's name for the user.
    pub recorded_by: String,
}

impl Recovery {
    /// At most so many problems are named.
    pub const LISTED: usize = 100;
}

/// The size and root of an old log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldHead {
    /// How many leaves.
    pub size: u64,
    /// Root, lowercase hex.
    pub root: String,
}

/// A blob that a leaf names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// What it is to the leaf.
    pub role: Role,
    /// SHA-256 of salt, newline and payload.
    #[serde(with = "hex::serde")]
    pub sha256: Hash,
    /// Bytes of salt, newline and payload.
    pub size: u64,
    /// IANA media type of the payload.
    pub media_type: String,
}

/// What a blob is to its leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Resources.
    Evidence,
    /// The body of an answer.
    Raw,
    /// How a snapshot was obtained.
    Provenance,
    /// Every test on every resource.
    Findings,
    /// Configuration's lists, tests and controls.
    Plan,
    /// Target names.
    Scope,
    /// Ids of resources.
    Resources,
    /// A message as it was sent.
    Message,
    /// A file that was attached.
    File,
    /// The numbered list that samples are drawn from.
    Population,
    /// What was drawn.
    Sample,
    /// One written by a later version.
    #[serde(untagged)]
    Other(String),
}
