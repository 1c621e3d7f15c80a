//! That a bundle was handed over, or was about to be.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What somebody was about to hand over: recorded before the first byte is written, so that no bundle goes out that the log does
/// not tell of. One that could not be written is there too.
///
/// The bundle is of the log up to this leaf at the least, and holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The period's configured name, where it has one.
    pub period: Option<String>,
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends, which is no part of it.
    pub to: DateTime<Utc>,
    /// The controls whose evidence is in it. Of these three, a list that is empty narrows nothing.
    pub only_controls: Vec<String>,
    /// The criteria whose evidence is in it.
    pub only_criteria: Vec<String>,
    /// The sources whose evidence is in it.
    pub only_sources: Vec<String>,
    /// Whether it was a draft: not everything that belongs to the period was sealed.
    pub draft: bool,
    /// SHA-256 of the age recipient that it is encrypted to, as text, lowercase hex; null where it is not encrypted.
    pub recipient_sha256: Option<String>,
    /// The operating system's name for the user.
    pub recorded_by: String,
}
