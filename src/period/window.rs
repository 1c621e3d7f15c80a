//! The time that is looked at, and what of the log is in its scope.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::control::Criterion;

/// A stretch of time with a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The period's name; none where only times were given.
    pub name: Option<String>,
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant behind it.
    pub to: DateTime<Utc>,
    /// The zone whose days it is made of.
    pub timezone: String,
    /// Controls that serve none of these are out of scope; all are in it if empty.
    pub criteria: Vec<Criterion>,
    /// The sources in scope; all if empty.
    pub sources: Vec<String>,
}

impl Window {
    /// Whether an instant is in it.
    pub fn holds(&self, instant: DateTime<Utc>) -> bool {
        self.from <= instant && instant < self.to
    }

    /// Whether a source is in scope.
    pub fn has_source(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|known| known == source)
    }

    /// Whether what serves these criteria is in scope.
    pub fn has_criteria(&self, criteria: &[Criterion]) -> bool {
        self.criteria.is_empty() || criteria.iter().any(|criterion| self.criteria.contains(criterion))
    }
}
