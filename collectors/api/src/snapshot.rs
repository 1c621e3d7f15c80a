//! What one run saw of one target.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::Provenance;

/// What one run collected about one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The instant or interval that the resources speak for.
    pub covers: Covers,
    /// What was seen, in any order: it is sorted by kind and id before it is sealed.
    pub resources: Vec<Resource>,
    /// Bodies of answers as received, known secret fields removed.
    pub raw: Vec<Raw>,
    /// How it was obtained, and whether it is the whole population.
    pub provenance: Provenance,
}

/// The time a snapshot speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Covers {
    /// Settings: one instant.
    At {
        /// The instant.
        at: DateTime<Utc>,
    },
    /// Events: an interval, `from` excluded, `to` included.
    Interval {
        /// Where the last good interval ended.
        from: DateTime<Utc>,
        /// Up to here.
        to: DateTime<Utc>,
    },
}

impl Covers {
    /// The newest instant covered: what `now` means to a test unless a resource is older.
    pub fn until(&self) -> DateTime<Utc> {
        match *self {
            Self::At { at } => at,
            Self::Interval { to, .. } => to,
        }
    }
}

/// One item in a snapshot: a user, a bucket, a mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Unique within the snapshot, the same in the next one; the vendor's own identifier where there is one.
    pub id: String,
    /// Vendor, a dot, the kind: `host.account`. Tests name it.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The instant these facts are from where that is not the run's (a cached report: when it was generated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// Which of the provenance's calls the facts come from, by position.
    pub call: Vec<usize>,
    /// The facts. An attribute that does not apply is left out only if every test would rightly call it unknown.
    pub attributes: BTreeMap<String, Value>,
    /// Attributes that could not be read, each with the reason. Never also among `attributes`.
    #[serde(default)]
    pub unknown: BTreeMap<String, String>,
}

impl Resource {
    /// A resource without attributes yet, read by the call at `call`.
    pub fn new(kind: impl Into<String>, id: impl Into<String>, name: impl Into<String>, call: usize) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            name: name.into(),
            as_of: None,
            call: vec![call],
            attributes: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, attribute: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(attribute.into(), value.into());
        self
    }

    /// Adds a fact, or the reason why it is not known.
    #[must_use]
    pub fn with_result<T: Into<Value>>(
        mut self,
        attribute: impl Into<String>,
        value: Result<T, String>,
    ) -> Self {
        match value {
            Ok(value) => self.attributes.insert(attribute.into(), value.into()).map(|_| ()),
            Err(reason) => self.unknown.insert(attribute.into(), reason).map(|_| ()),
        };
        self
    }
}

/// One answer as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Which of the provenance's calls it answers, by position.
    pub call: usize,
    /// IANA media type: `application/json`, `text/plain`.
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
}
