//! Exceptions: failures that are approved for a time, and which of them covers a finding.
//!
//! An exception counts from its own leaf on, never backwards: a snapshot is judged by the exceptions that stand before it in
//! the log, whenever it is judged. Of several for one test and resource the newest counts, so that an earlier end withdraws
//! one. It covers up to its end, by the time that the snapshot speaks for.
//!
//! One that can't be read covers nothing, and neither does any before it that it may have been meant to replace.
//!
//! Pure, but for [`Sealed`], which reads them from the log.

use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::{BTreeSet, HashMap};

mod sealed;

pub use sealed::{Sealed, parse, payload, resources};

/// Exceptions, by what they are from.
#[derive(Debug, Default)]
pub struct Exceptions {
    by_test: HashMap<String, OfTest>,
    /// Those of which nobody can say what they are from.
    unreadable: Vec<u64>,
}

#[derive(Debug, Default)]
struct OfTest {
    by_resource: HashMap<String, Vec<Waiver>>,
    /// Those of which nobody can say from which resources they are.
    unreadable: Vec<Waiver>,
}

/// An exception, as far as it concerns one test and resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Its leaf.
    pub seq: u64,
    /// Only on this source; on all where it is none.
    pub only_source: Option<String>,
    /// Snapshots that speak for this instant or later are not covered.
    pub expires: DateTime<Utc>,
}

/// A finding, as far as exceptions are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The test.
    pub test: &'a str,
    /// The resource's id.
    pub resource: &'a str,
    /// The source's name.
    pub source: &'a str,
}

impl Exceptions {
    /// Adds one. They are added in the order of the log.
    pub fn add(&mut self, test: &str, resources: impl IntoIterator<Item = String>, waiver: &Waiver) {
        let of_test = self.by_test.entry(test.to_owned()).or_default();
        for resource in resources {
            of_test
                .by_resource
                .entry(resource)
                .or_default()
                .push(waiver.clone());
        }
    }

    /// Adds one of which nobody can say from which resources it is.
    pub fn add_unreadable(&mut self, test: &str, waiver: Waiver) {
        let of_test = self.by_test.entry(test.to_owned()).or_default();
        of_test.unreadable.push(waiver);
    }

    /// Adds one of which nobody can say anything.
    pub fn add_unknown(&mut self, seq: u64) {
        self.unreadable.push(seq);
    }

    /// The exception that counts for a finding of the snapshot at `snapshot`, whether or not it has ended. [`Self::NOW`]
    /// stands for one that would be appended next.
    pub fn newest(&self, place: Place<'_>, snapshot: u64) -> Option<&Waiver> {
        let of_test = self.by_test.get(place.test)?;
        let concerns = |waiver: &&Waiver| {
            waiver.seq < snapshot
                && waiver
                    .only_source
                    .as_ref()
                    .is_none_or(|source| source == place.source)
        };
        let waivers = of_test.by_resource.get(place.resource)?;
        let newest = waivers.iter().rev().find(concerns)?;
        let unreadable = of_test
            .unreadable
            .iter()
            .filter(concerns)
            .map(|waiver| waiver.seq)
            .chain(self.unreadable.iter().copied().filter(|seq| *seq < snapshot));
        (!unreadable.into_iter().any(|seq| seq > newest.seq)).then_some(newest)
    }

    /// The exception that covers a failure in the snapshot at `snapshot`, which speaks for `until`.
    pub fn covering(&self, place: Place<'_>, snapshot: u64, until: DateTime<Utc>) -> Option<&Waiver> {
        self.newest(place, snapshot)
            .filter(|waiver| until < waiver.expires)
    }

    /// Whether one is in force at `now`: on a source, or on any where it is none.
    pub fn in_force(&self, test: &str, resource: &str, source: Option<&str>, now: DateTime<Utc>) -> bool {
        let covers = |source: &str| {
            let place = Place {
                test,
                resource,
                source,
            };
            self.covering(place, Self::NOW, now).is_some()
        };
        if let Some(source) = source {
            return covers(source);
        }
        let waivers = self.by_test.get(test).and_then(|of| of.by_resource.get(resource));
        let named: BTreeSet<&str> = waivers
            .into_iter()
            .flatten()
            .filter_map(|waiver| waiver.only_source.as_deref())
            .collect();
        // No source has an empty name: it stands for all that no exception names.
        covers("") || named.into_iter().any(covers)
    }

    /// Behind every leaf.
    pub const NOW: u64 = u64::MAX;
}

impl Waiver {
    /// How a finding that it covers names it. Sealed, so that it stays as it is.
    pub fn note(&self) -> String {
        let end = self.expires.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        format!("exception {} until {end}", self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> DateTime<Utc> {
        format!("2026-03-{day:02}T00:00:00Z").parse().unwrap()
    }

    fn waiver(seq: u64, only_source: Option<&str>, end: u32) -> Waiver {
        Waiver {
            seq,
            only_source: only_source.map(str::to_owned),
            expires: day(end),
        }
    }

    const X: Place<'_> = Place {
        test: "safe",
        resource: "x",
        source: "prod",
    };

    fn with(waivers: &[Waiver]) -> Exceptions {
        let mut exceptions = Exceptions::default();
        for waiver in waivers {
            exceptions.add("safe", ["x".to_owned(), "y".to_owned()], waiver);
        }
        exceptions
    }

    fn covers(exceptions: &Exceptions, snapshot: u64, at: u32) -> Option<u64> {
        exceptions.covering(X, snapshot, day(at)).map(|waiver| waiver.seq)
    }

    #[test]
    fn it_covers_what_comes_behind_it_in_the_log_up_to_its_end_and_nothing_before() {
        let exceptions = with(&[waiver(10, None, 20)]);
        assert_eq!(covers(&exceptions, 9, 1), None);
        assert_eq!(covers(&exceptions, 10, 1), None);
        assert_eq!(covers(&exceptions, 11, 1), Some(10));
        assert_eq!(covers(&exceptions, 11, 19), Some(10));
        assert_eq!(covers(&exceptions, 11, 20), None, "the end is not covered");
        for other in [Place { test: "other", ..X }, Place { resource: "z", ..X }] {
            assert_eq!(exceptions.covering(other, 11, day(1)), None);
        }
    }

    #[test]
    fn the_newest_counts_also_where_it_ends_earlier() {
        let exceptions = with(&[waiver(10, None, 20), waiver(15, None, 5)]);
        assert_eq!(covers(&exceptions, 12, 10), Some(10), "as it was judged then");
        assert_eq!(covers(&exceptions, 16, 4), Some(15));
        assert_eq!(covers(&exceptions, 16, 10), None);
        let longer = with(&[waiver(10, None, 5), waiver(15, None, 20)]);
        assert_eq!(covers(&longer, 12, 10), None);
        assert_eq!(covers(&longer, 16, 10), Some(15));
    }

    #[test]
    fn one_for_a_source_counts_there_alone() {
        let exceptions = with(&[waiver(10, None, 20), waiver(15, Some("prod"), 5)]);
        assert_eq!(covers(&exceptions, 16, 10), None);
        let elsewhere = Place { source: "test", ..X };
        assert!(exceptions.covering(elsewhere, 16, day(10)).is_some());
        assert!(exceptions.in_force("safe", "x", None, day(10)));
        assert!(!exceptions.in_force("safe", "x", Some("prod"), day(10)));
        assert!(!with(&[waiver(10, Some("test"), 20)]).in_force("safe", "x", Some("prod"), day(10)));
        assert!(with(&[waiver(10, Some("test"), 20)]).in_force("safe", "x", None, day(10)));
    }

    #[test]
    fn one_that_can_not_be_read_covers_nothing_and_nor_does_what_it_may_replace() {
        let mut exceptions = with(&[waiver(10, None, 20)]);
        exceptions.add_unreadable("safe", waiver(15, Some("test"), 20));
        exceptions.add_unreadable("other", waiver(16, None, 20));
        assert_eq!(
            covers(&exceptions, 30, 1),
            Some(10),
            "another source's, another test's"
        );
        exceptions.add_unreadable("safe", waiver(17, None, 20));
        assert_eq!(
            covers(&exceptions, 17, 1),
            Some(10),
            "it stands behind the snapshot"
        );
        assert_eq!(covers(&exceptions, 18, 1), None);
        exceptions.add("safe", ["x".to_owned()], &waiver(20, None, 20));
        assert_eq!(covers(&exceptions, 21, 1), Some(20), "a later one is clear again");
        exceptions.add_unknown(22);
        assert_eq!(covers(&exceptions, 22, 1), Some(20));
        assert_eq!(covers(&exceptions, 23, 1), None);
    }

    #[test]
    fn a_finding_names_it_with_its_end() {
        assert_eq!(
            waiver(10, None, 20).note(),
            "exception 10 until 2026-03-20T00:00:00Z"
        );
    }
}
