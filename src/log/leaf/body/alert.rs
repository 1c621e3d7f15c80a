//! What people were told, and what they did about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// That people are to know something, or were told.
///
/// What concerns a source stands directly behind the kind, so that it is found by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The collector's id, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collector: Option<String>,
    /// The source's configured name, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What has become of it.
    pub state: AlertState,
    /// The leaf that opened it, which is its name; null in that leaf itself.
    pub alert: Option<u64>,
    /// What happened.
    pub event: Event,
    /// How bad it is: the test's severity, or the event's.
    pub severity: String,
    /// The test, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// The control, where it concerns evidence that people owe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The leaf that gave rise to it: an evaluation, a failure, a scope, a missed range, an exception; null where none did.
    pub about: Option<u64>,
    /// How many resources it concerned then.
    pub resources: u64,
    /// How a channel took the message, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// What has become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It begins, and goes on until it is closed.
    Opened,
    /// It is over.
    Closed,
    /// Nothing that goes on: it is only told.
    Noticed,
    /// A channel has taken a message about it.
    Delivered,
    /// A channel will not be tried again.
    Undelivered,
}

/// How a channel took a message; the message is in the leaf's `message` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The channel's configured name.
    pub channel: String,
    /// Which message: `opened`, `grown`, `reminder`, `acknowledged`, `closed`, `notice`, `digest` or `trial`.
    pub phase: String,
    /// The message's idempotency key.
    pub key: String,
    /// How often it was sent.
    pub attempts: u32,
    /// What the receiver answered, or why it was given up.
    pub answer: String,
    /// What the receiver calls the alert: a ticket's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Further alerts that the message tells of, where it is a digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<u64>,
}

/// What happened, that people are to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A test fails on a source.
    TestFailing,
    /// Nobody can say any more what a test would say of a source.
    TestUnknown,
    /// Settings changed, though no test fails for it.
    SettingChanged,
    /// Targets came into a source's scope, or left it.
    ScopeChanged,
    /// Nothing could be collected for several ticks.
    CollectionFailing,
    /// Ticks passed without evidence.
    EvidenceGap,
    /// An exception ends soon.
    ExceptionEnding,
    /// An exception has ended.
    ExceptionEnded,
    /// Evidence that people owe is soon due, or was and its grace time runs.
    ManualDue,
    /// Evidence that people owe is overdue.
    ManualOverdue,
    /// The log is not as it was left.
    LogNotIntact,
    /// The disk is nearly full.
    DiskFilling,
    /// No event: several messages in one, or the week's.
    Digest,
    /// No event: somebody tries a channel.
    Trial,
}

/// That somebody has taken on an alert, and what came of it. A later one for the same alert adds to it, and where both
/// say something, counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The alert: the leaf that opened it.
    pub alert: u64,
    /// What they say to it.
    pub note: String,
    /// Where it is worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Why it came to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What was done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
    /// Management's response, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// The operating system's name for the user.
    pub recorded_by: String,
}

/// That failures of a test on some resources are approved for a time; the resources are in its `resources` blob.
///
/// It counts for snapshots behind it in the log, up to its end. Of several for one test and resource the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The test.
    pub test: String,
    /// Only on this source; all where null.
    pub only_source: Option<String>,
    /// Why, for the auditor.
    pub reason: String,
    /// Who asked for it, as recorded.
    pub requested_by: String,
    /// Who approved it, as recorded.
    pub approved_by: String,
    /// The operating system's name for the user who recorded it.
    pub recorded_by: String,
    /// Snapshots that speak for this instant or later are not covered.
    pub expires: DateTime<Utc>,
    /// How many resources.
    pub resources: u64,
    /// Where it was discussed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl Event {
    /// Its name in leaves, configuration and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TestFailing => "test_failing",
            Self::TestUnknown => "test_unknown",
            Self::SettingChanged => "setting_changed",
            Self::ScopeChanged => "scope_changed",
            Self::CollectionFailing => "collection_failing",
            Self::EvidenceGap => "evidence_gap",
            Self::ExceptionEnding => "exception_ending",
            Self::ExceptionEnded => "exception_ended",
            Self::ManualDue => "manual_due",
            Self::ManualOverdue => "manual_overdue",
            Self::LogNotIntact => "log_not_intact",
            Self::DiskFilling => "disk_filling",
            Self::Digest => "digest",
            Self::Trial => "trial",
        }
    }

    /// Those that something can be routed by: all but the ones that are no events.
    pub const ALL: [Self; 12] = [
        Self::TestFailing,
        Self::TestUnknown,
        Self::SettingChanged,
        Self::ScopeChanged,
        Self::CollectionFailing,
        Self::EvidenceGap,
        Self::ExceptionEnding,
        Self::ExceptionEnded,
        Self::ManualDue,
        Self::ManualOverdue,
        Self::LogNotIntact,
        Self::DiskFilling,
    ];
}
