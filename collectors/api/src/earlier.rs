//! What earlier runs left behind, for a collector that goes on where the last one ended.

use crate::{CollectError, Covers, Resource, Target};

/// A sealed snapshot that a run can go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlierSnapshot {
    /// What it covers; an interval begins where this one ended.
    pub covers: Covers,
    /// Its resources.
    pub resources: Vec<Resource>,
}

/// What earlier runs of the same collector on the same source left behind.
pub trait Earlier: Send + Sync {
    /// The newest complete snapshot of a target: the log itself is the watermark. An incomplete one is passed over,
    /// so that its interval is read again.
    fn complete_snapshot(&self, target: &Target) -> Result<Option<EarlierSnapshot>, CollectError>;

    /// An answer kept by [`Earlier::keep`], if it is still there: anything may be forgotten at any time.
    fn kept(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps an answer, so that it need not be sent again unless it changed. It is no evidence, and no secret.
    fn keep(&self, key: &str, answer: &[u8]);
}

/// Nothing is left behind: every run is the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstRun;

impl Earlier for FirstRun {
    fn complete_snapshot(&self, _target: &Target) -> Result<Option<EarlierSnapshot>, CollectError> {
        Ok(None)
    }

    fn kept(&self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _key: &str, _answer: &[u8]) {}
}
