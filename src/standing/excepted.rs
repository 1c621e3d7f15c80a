//! What a judgement excepted, and whether it still is: exceptions end, and are withdrawn.

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

use crate::control::{Finding, Outcome, TestId, TestResult};
use crate::exception::{Exceptions, Place, Waiver};
use crate::log::leaf::{Leaf, format_time};
use crate::log::store::{Reader, StoreError};
use crate::round;

/// Failures of one test on one target that an exception covered when they were judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// The test.
    pub test: TestId,
    /// On how many resources.
    pub resources: u64,
    /// What covered them; none where that can't be read.
    pub by: Option<Waiver>,
    /// What counts for them by now: the same, or a later one in its place.
    pub newest: Option<Waiver>,
}

impl Excepted {
    /// Whether it still is at an instant.
    pub fn is_in_force(&self, at: DateTime<Utc>) -> bool {
        self.newest.as_ref().is_some_and(|newest| at < newest.expires)
    }

    /// The leaf that it rests on.
    pub(super) fn leaf(&self) -> Option<u64> {
        self.newest.as_ref().map(|newest| newest.seq)
    }

    /// Why it is excepted no longer, for a person; none where it still is.
    pub(super) fn doubt(&self, at: DateTime<Utc>) -> Option<String> {
        if self.is_in_force(at) {
            return None;
        }
        let failing = match self.resources {
            1 => format!("{} fails on 1 resource", self.test),
            more => format!("{} fails on {more} resources", self.test),
        };
        Some(match (&self.by, &self.newest) {
            (Some(by), Some(newest)) if by.seq == newest.seq => {
                let (seq, end) = (by.seq, format_time(by.expires));
                format!("exception {seq} ended at {end}, so that {failing}")
            }
            (Some(by), Some(newest)) => {
                let (seq, later, end) = (by.seq, newest.seq, format_time(newest.expires));
                format!(
                    "exception {later} took the place of exception {seq} and ended at {end}, so that {failing}"
                )
            }
            _ => format!("its exception can't be read, so that {failing}"),
        })
    }
}

/// What an evaluation excepted, by test and exception, as the log stood before `end`. `source`, `snapshot` and `until` are its
/// snapshot's.
pub(super) fn of(
    reader: &Reader,
    exceptions: &Exceptions,
    (evaluation, end): (&Leaf, u64),
    results: &[TestResult],
    (source, snapshot, until): (&str, u64, DateTime<Utc>),
) -> Result<Vec<Excepted>, StoreError> {
    let findings = round::findings(reader, evaluation)?.unwrap_or_default();
    let mut groups: BTreeMap<(&TestId, Option<u64>, Option<u64>), Excepted> = BTreeMap::new();
    let excepted = |finding: &&Finding| finding.outcome == Outcome::Excepted;
    for finding in findings.iter().filter(excepted) {
        let place = Place {
            test: finding.test.as_str(),
            resource: &finding.resource,
            source,
        };
        let by = exceptions.covering(place, snapshot, until);
        let newest = exceptions.newest(place, end);
        let seq = |waiver: Option<&Waiver>| waiver.map(|waiver| waiver.seq);
        let group = groups
            .entry((&finding.test, seq(by), seq(newest)))
            .or_insert_with(|| Excepted {
                test: finding.test.clone(),
                resources: 0,
                by: by.cloned(),
                newest: newest.cloned(),
            });
        group.resources += 1;
    }
    let mut groups: Vec<Excepted> = groups.into_values().collect();
    // What no finding tells of can't be shown to be excepted.
    for result in results {
        let told = groups.iter().filter(|group| group.test == result.test);
        let told: u64 = told.map(|group| group.resources).sum();
        if result.excepted > told {
            groups.push(Excepted {
                test: result.test.clone(),
                resources: result.excepted - told,
                by: None,
                newest: None,
            });
        }
    }
    Ok(groups)
}
