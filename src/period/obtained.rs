//! How a population was obtained, out of the provenance of every snapshot that it rests on: what an auditor asks of information
//! produced by the entity (IPE). Calls are told apart by operation, counted, and never listed one by one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{Call, Provenance};

/// So many values of a parameter are told apart: heads of branches and page marks are others in every run.
const VALUES: usize = 200;

/// How a population was obtained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Obtained {
    /// How many snapshots it rests on.
    pub snapshots: u64,
    /// The first and the newest, by what they speak for.
    pub dates: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Those that were not the whole population, each with what spoke against it.
    pub incomplete: BTreeMap<u64, String>,
    /// Those whose evidence or provenance can't be read any more.
    pub unreadable: BTreeSet<u64>,
    /// Who asked, as the sources name them, and for how many snapshots.
    pub callers: BTreeMap<String, u64>,
    /// Why complete snapshots are believed to be so, and for how many.
    pub bases: BTreeMap<String, u64>,
    /// What else was counted, and for how many snapshots.
    pub second_sources: BTreeMap<String, u64>,
    /// Resources of all kinds that were read, and those that the second counts expected, over snapshots that have one.
    pub reconciled: Reconciled,
    /// What was asked, by service and operation.
    pub calls: BTreeMap<(String, String), Calls>,
}

/// Counts of two sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Snapshots with a second count.
    pub snapshots: u64,
    /// What these counts expected.
    pub expected: u64,
    /// What was read.
    pub read: u64,
    /// Snapshots in which the two differ.
    pub differ: u64,
}

/// Calls of one operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// How many.
    pub calls: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Items that they held.
    pub items: u64,
    /// How they ended, and how many so.
    pub statuses: BTreeMap<String, u64>,
    /// When the first and the last were sent.
    pub dates: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Their parameters, with the values that they had.
    pub parameters: BTreeMap<String, Values>,
}

/// The values of a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// As JSON, the first of them by their text.
    pub some: BTreeSet<String>,
    /// Whether there are more than these.
    pub more: bool,
}

impl Obtained {
    /// Counts a snapshot, and what its provenance says; none where that can't be read.
    pub fn add(&mut self, seq: u64, until: DateTime<Utc>, complete: bool, provenance: Option<&Provenance>) {
        self.snapshots += 1;
        widen(&mut self.dates, until);
        let Some(provenance) = provenance else {
            self.unreadable.insert(seq);
            if !complete {
                self.incomplete
                    .insert(seq, "its provenance can't be read any more".to_owned());
            }
            return;
        };
        let told = &provenance.completeness;
        if complete {
            *self.bases.entry(told.basis.clone()).or_default() += 1;
        } else {
            self.incomplete.insert(seq, told.basis.clone());
        }
        let caller = serde_json::to_string(&provenance.caller).unwrap_or_default();
        *self.callers.entry(caller).or_default() += 1;
        if let Some(second) = &told.second_source {
            *self.second_sources.entry(second.clone()).or_default() += 1;
        }
        if let Some(expected) = told.expected {
            self.reconciled.snapshots += 1;
            self.reconciled.expected += expected;
            self.reconciled.read += told.read;
            self.reconciled.differ += u64::from(expected != told.read);
        }
        for call in &provenance.calls {
            let operation = (call.service.clone(), call.operation.clone());
            self.calls.entry(operation).or_default().add(call);
        }
    }

    /// How many calls there were in all.
    pub fn count(&self) -> u64 {
        self.calls.values().map(|calls| calls.calls).sum()
    }
}

impl Calls {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.pages += call.pages;
        self.items += call.items;
        *self.statuses.entry(call.status.clone()).or_default() += 1;
        widen(&mut self.dates, call.started);
        for (name, value) in &call.parameters {
            self.parameters.entry(name.clone()).or_default().add(value);
        }
    }
}

impl Values {
    fn add(&mut self, value: &Value) {
        let value = value.to_string();
        if self.some.len() < VALUES {
            self.some.insert(value);
        } else if !self.some.contains(&value) {
            self.more = true;
        }
    }
}

fn widen(dates: &mut Option<(DateTime<Utc>, DateTime<Utc>)>, at: DateTime<Utc>) {
    let (first, last) = dates.unwrap_or((at, at));
    *dates = Some((first.min(at), last.max(at)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidenced_collector_api::Completeness;
    use serde_json::json;

    fn provenance(page: u64, complete: bool) -> Provenance {
        serde_json::from_value(json!({
            "caller": { "login": "ann" },
            "calls": [{
                "service": "rest", "operation": "GET /pulls", "parameters": { "state": "closed", "page": page },
                "started": format!("2026-03-0{}T00:00:00Z", page % 9 + 1), "duration_ms": 1, "status": "200",
                "pages": 2, "items": 10
            }],
            "completeness": Completeness {
                complete,
                basis: if complete { "all pages".to_owned() } else { "a page was refused".to_owned() },
                expected: Some(if complete { 10 } else { 12 }),
                read: 10,
                second_source: Some("a count".to_owned()),
            },
        }))
        .unwrap()
    }

    #[test]
    fn calls_are_counted_by_operation_with_the_values_of_their_parameters() {
        let mut obtained = Obtained::default();
        let at = DateTime::UNIX_EPOCH;
        for page in 0..500 {
            obtained.add(page, at, page != 7, Some(&provenance(page, page != 7)));
        }
        obtained.add(500, at, true, None);
        let calls = &obtained.calls[&("rest".to_owned(), "GET /pulls".to_owned())];
        assert_eq!((calls.calls, calls.pages, calls.items), (500, 1000, 5000));
        assert_eq!(calls.statuses, BTreeMap::from([("200".to_owned(), 500)]));
        assert_eq!(
            calls.parameters["state"].some,
            BTreeSet::from(["\"closed\"".to_owned()])
        );
        assert!(calls.parameters["page"].more && calls.parameters["page"].some.len() == VALUES);
        assert_eq!(
            obtained.incomplete,
            BTreeMap::from([(7, "a page was refused".to_owned())])
        );
        assert_eq!(obtained.unreadable, BTreeSet::from([500]));
        let reconciled = Reconciled {
            snapshots: 500,
            expected: 5002,
            read: 5000,
            differ: 1,
        };
        assert_eq!(obtained.reconciled, reconciled);
        assert_eq!(
            obtained.callers,
            BTreeMap::from([(r#"{"login":"ann"}"#.to_owned(), 500)])
        );
    }
}
