//! Drift: what changed from one snapshot to the next of the same collector, source and target, and what caused it.
//!
//! Pure: no input or output, no clock. [`drifts`] is given a snapshot and pulls earlier ones, newest first, only as far
//! as it needs them.
//!
//! A state is compared with the last *known* one: unknown hides no change and makes none. What was known and now is
//! not is told once, as a change to unknown; what comes back as it was is none. A resource has vanished where a complete
//! snapshot lacks it, and has appeared where a complete one before it did: an incomplete one tells neither. So of a
//! resource that only incomplete snapshots came before, nobody can say that it appeared.
//!
//! A snapshot over an interval holds events, not settings: of those only findings are compared, and only of events
//! that the snapshot before held too.
//!
//! Design note: whether the rules changed or the source is not guessed from the plans, but tried. If the earlier
//! resources under the later rules already give the later outcome, the source had no part in it.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};

use crate::control::{Outcome, TestId};
use crate::log::leaf::format_time;

mod cause;
mod compare;
mod scope;
mod setting;
mod snapshot;

pub use compare::drifts;
pub use scope::{Targets, scope_drifts};
pub use setting::{Difference, PathChange, Side, differences};
pub use snapshot::{Findings, Resources, Said, SealedPlan, Snapshot};

/// One change between two observations of a target. It is drift proper where its cause is [`Cause::Source`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target.
    pub target: String,
    /// Where the state before was last known.
    pub from: Moment,
    /// Where the change was observed.
    pub to: Moment,
    /// The resource; none where the target itself came or left.
    pub resource: Option<Named>,
    /// What changed.
    pub change: Change,
    /// Why.
    pub cause: Cause,
}

/// A snapshot, or a `scope` leaf, and when it was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Moment {
    /// The leaf.
    pub seq: u64,
    /// The leaf's time.
    #[serde(serialize_with = "as_leaves_have_it")]
    pub time: DateTime<Utc>,
}

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Named {
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// What a test says of the resource. A side is null where that snapshot was not judged by the test.
    Finding {
        /// The test.
        test: TestId,
        /// What it said.
        before: Option<Outcome>,
        /// What it says.
        after: Option<Outcome>,
        /// Why it says so; empty where it passes.
        reason: String,
    },
    /// An attribute, or the name.
    Setting {
        /// Which.
        attribute: String,
        /// What it was.
        before: Side,
        /// What it is.
        after: Side,
        /// Where both are nested: what differs inside.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        paths: Vec<PathChange>,
    },
    /// The resource was not there.
    Appeared {
        /// What the tests say of it.
        findings: BTreeMap<TestId, Outcome>,
    },
    /// The resource is no longer there.
    Vanished {
        /// What the tests said of it.
        findings: BTreeMap<TestId, Outcome>,
    },
    /// The target came into the source's scope.
    TargetCame,
    /// The target left the source's scope.
    TargetLeft,
}

/// Why something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What was observed did: drift proper.
    Source,
    /// The vendor introduced or set it by itself, as the collector declares.
    Provider,
    /// An exception began or ended.
    Exception,
    /// The test is worded otherwise, is new, or is no longer in force.
    Test,
    /// The test's parameters or the exclusions did.
    Configuration,
    /// The collector, or evidenced itself, is of another version.
    Tool,
}

impl Drift {
    /// Whether something that was known no longer is.
    pub fn is_to_unknown(&self) -> bool {
        match &self.change {
            Change::Finding { after, .. } => *after == Some(Outcome::Unknown),
            Change::Setting { after, .. } => matches!(after, Side::Unknown(_)),
            _ => false,
        }
    }

    /// Whether it concerns a test: what it says of a resource that changed, appeared or vanished.
    pub fn is_of_test(&self, id: &str) -> bool {
        match &self.change {
            Change::Finding { test, .. } => test.as_str() == id,
            Change::Appeared { findings } | Change::Vanished { findings } => {
                findings.keys().any(|test| test.as_str() == id)
            }
            _ => false,
        }
    }
}

impl Cause {
    /// For a person, behind what changed.
    pub fn words(self) -> &'static str {
        match self {
            Self::Source => "at the source",
            Self::Provider => "changed by the provider",
            Self::Exception => "an exception began or ended",
            Self::Test => "the test changed",
            Self::Configuration => "the configuration changed",
            Self::Tool => "the tool changed",
        }
    }
}

/// The changes of one snapshot, by the id of their resource.
pub fn by_resource(drifts: &[Drift]) -> HashMap<&str, Vec<&Drift>> {
    let mut found: HashMap<&str, Vec<&Drift>> = HashMap::new();
    for drift in drifts {
        if let Some(resource) = &drift.resource {
            found.entry(&resource.id).or_default().push(drift);
        }
    }
    found
}

fn as_leaves_have_it<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*time))
}

#[cfg(test)]
mod tests;
