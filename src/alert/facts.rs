//! What a message tells, as facts: what templates are given, and programs.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::message::Phase;
use crate::control::{Control, Criterion, Severity};
use crate::log::leaf::Event;

/// What a message tells. What does not apply is null or empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What has become of the alert.
    pub phase: Phase,
    /// What happened.
    pub event: Event,
    /// How bad it is.
    pub severity: Severity,
    /// The log's origin.
    pub log: String,
    /// The alert: the leaf that opened it.
    pub alert: u64,
    /// When it was opened.
    pub since: DateTime<Utc>,
    /// When what is told was recorded.
    pub at: DateTime<Utc>,
    /// The source concerned.
    #[serde(default)]
    pub source: Option<String>,
    /// The collector concerned.
    #[serde(default)]
    pub collector: Option<String>,
    /// The test concerned.
    #[serde(default)]
    pub test: Option<TestFacts>,
    /// The controls that the test serves.
    #[serde(default)]
    pub controls: Vec<ControlFacts>,
    /// How many resources, ticks, settings or targets it is about.
    pub count: u64,
    /// The resources, sorted; the first [`SHOWN`] of them.
    #[serde(default)]
    pub resources: Vec<ResourceFacts>,
    /// The leaf that shows it whole: `evidenced show`.
    #[serde(default)]
    pub show: Option<u64>,
    /// How what is over ended: what the test says now, or `collected`. None where it ended because nobody tests or collects
    /// it any more: then nothing is known to be well.
    #[serde(default)]
    pub outcome: Option<String>,
    /// The ticks that passed without evidence.
    #[serde(default)]
    pub gaps: Vec<GapFacts>,
    /// Why nothing could be collected, by target.
    #[serde(default)]
    pub failures: Vec<FailureFacts>,
    /// Targets that came into scope.
    #[serde(default)]
    pub came: Vec<String>,
    /// Targets that left it.
    #[serde(default)]
    pub left: Vec<String>,
    /// The exception that ends.
    #[serde(default)]
    pub exception: Option<ExceptionFacts>,
    /// The evidence that people owe.
    #[serde(default)]
    pub manual: Option<ManualFacts>,
    /// Who took it on.
    #[serde(default)]
    pub acknowledged: Option<SaidFacts>,
    /// What is wrong with the log.
    #[serde(default)]
    pub problems: Vec<String>,
    /// How the disk stands.
    #[serde(default)]
    pub disk: Option<DiskFacts>,
    /// What several messages in one say: their titles.
    #[serde(default)]
    pub titles: Vec<String>,
    /// The alerts that it tells of beside `alert`.
    #[serde(default)]
    pub also: Vec<u64>,
    /// The week of a control's owner, or what has passed since the digest before.
    #[serde(default)]
    pub week: Option<WeekFacts>,
}

/// So many resources are named; `count` is of all.
pub const SHOWN: usize = 20;

/// A test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFacts {
    /// Its id.
    pub id: String,
    /// What holds where it passes.
    pub title: String,
}

/// A control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlFacts {
    /// Its id.
    pub id: String,
    /// The company's statement.
    pub statement: String,
    /// Who answers for it.
    pub owner: String,
    /// What it serves.
    pub criteria: Vec<Criterion>,
}

/// A resource. Without personal data only its kind is told, with a name that means nothing to others, and which of its
/// attributes changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceFacts {
    /// The target it is of.
    pub target: String,
    /// Its kind.
    pub kind: String,
    /// The vendor's identifier.
    #[serde(skip)]
    pub id: String,
    /// What people call it; or `#` and eight hex digits of the SHA-256 of origin, a space and id.
    pub name: String,
    /// Why it fails; empty without personal data.
    #[serde(default)]
    pub reason: String,
    /// What has become of it.
    #[serde(default)]
    pub change: Option<String>,
    /// What changed since it was last known.
    #[serde(default)]
    pub changed: Vec<ChangeFacts>,
}

/// An attribute that changed; without personal data neither value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeFacts {
    /// The attribute, or a path in it.
    pub attribute: String,
    /// What it was; none where it was not there or not known.
    #[serde(default)]
    pub before: Option<Value>,
    /// What it is.
    #[serde(default)]
    pub after: Option<Value>,
}

/// Consecutive ticks without evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapFacts {
    /// The target; none for all.
    #[serde(default)]
    pub target: Option<String>,
    /// The first tick.
    pub first: DateTime<Utc>,
    /// The last one.
    pub last: DateTime<Utc>,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// Why nothing could be collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureFacts {
    /// The target; none where the targets could not be found out.
    #[serde(default)]
    pub target: Option<String>,
    /// What kind of failure.
    pub class: String,
    /// Our words.
    pub message: String,
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionFacts {
    /// Its leaf.
    pub seq: u64,
    /// Why there is one.
    pub reason: String,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// Who approved it, as recorded.
    pub approved_by: String,
}

/// Evidence that people owe for a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualFacts {
    /// The control's id.
    pub control: String,
    /// The last day on which it is on time.
    pub due: NaiveDate,
    /// When it becomes overdue, or became so.
    pub grace_ends: DateTime<Utc>,
    /// The newest attachment that counts.
    #[serde(default)]
    pub newest: Option<u64>,
}

/// What somebody said to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidFacts {
    /// The login.
    pub by: String,
    /// What they say.
    pub note: String,
    /// Where it is worked on.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// How the store's disk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Bytes left; none where that can't be told.
    #[serde(default)]
    pub free_bytes: Option<u64>,
    /// Days that it lasts at the rate of the last week.
    #[serde(default)]
    pub days: Option<u64>,
}

/// The week of a control's owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeekFacts {
    /// Who.
    pub owner: String,
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends.
    pub to: DateTime<Utc>,
    /// Deviations that began in it: lines.
    pub new: Vec<String>,
    /// Older ones that go on.
    pub open: Vec<String>,
    /// Those that ended in it.
    pub mended: Vec<String>,
    /// Ticks without evidence.
    pub gaps: Vec<String>,
    /// Exceptions that end within the notice.
    pub exceptions: Vec<String>,
    /// Evidence that people owe: what is due within the notice, and what is late.
    #[serde(default)]
    pub manual: Vec<String>,
}

impl ControlFacts {
    /// What is told of a control.
    pub fn of(control: &Control) -> Self {
        Self {
            id: control.id.to_string(),
            statement: control.statement.clone(),
            owner: control.owner.clone(),
            criteria: control.criteria.clone(),
        }
    }
}

impl Facts {
    /// The same without what names or describes people and resources.
    #[must_use]
    pub fn without_personal_data(mut self) -> Self {
        for resource in &mut self.resources {
            let digest = Sha256::digest(format!("{} {}", self.log, resource.id));
            resource.name = format!("#{}", &hex::encode(digest)[..8]);
            resource.reason.clear();
            for change in &mut resource.changed {
                (change.before, change.after) = (None, None);
            }
        }
        self
    }
}
