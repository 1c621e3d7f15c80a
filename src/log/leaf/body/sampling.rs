//! What samples are drawn from, and what was drawn.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A complete set of resources over a period, sealed before anything is drawn from it; the numbered list is in its
/// `population` blobs, and so are the gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// Of what: a kind of resource, or a part of one that has a name.
    pub of: String,
    /// The configured name of the period; null where only its ends were given.
    pub period: Option<String>,
    /// The period's first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends.
    pub to: DateTime<Utc>,
    /// Only of these sources; of all if empty.
    pub only_sources: Vec<String>,
    /// How many items the list holds.
    pub count: u64,
    /// How many targets they were read from.
    pub targets: u64,
    /// How many snapshots it rests on.
    pub snapshots: u64,
    /// How many of these were not the whole population.
    pub incomplete: u64,
    /// For how many stretches of the period nobody can say that the list is whole.
    pub gaps: u64,
    /// Whether the period was over by the newest leaf.
    pub over: bool,
    /// How many leaves the log held when it was read.
    pub leaves: u64,
    /// The operating system's name for the user who sealed it.
    pub recorded_by: String,
}

/// What was drawn from a population; the items are in its `sample` blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The leaf that seals the population.
    pub population: u64,
    /// How it was drawn.
    pub method: String,
    /// The auditor's seed.
    pub seed: String,
    /// How many were asked for.
    pub size: u64,
    /// Where the size is from: what is usual for such a population, or that it was given.
    pub basis: String,
    /// How many were drawn: as many as there are where more were asked for.
    pub drawn: u64,
    /// Their positions in the list, from 1, in the order of drawing; null where all were drawn.
    pub positions: Option<Vec<u64>>,
    /// The operating system's name for the user who drew it.
    pub drawn_by: String,
    /// What whoever drew it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Sample {
    /// At most so many positions stand in a leaf, which has a limit.
    pub const POSITIONS: usize = 5000;
}
