//! What drift needs of a snapshot. The large parts are shared: snapshots with the same evidence hold it once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use evidenced_collector_api::{Covers, Resource};

use super::Moment;
use crate::control::{Finding, Outcome, TestId};
use crate::plan::{Lists, Observed, Plan, PlannedCollector};

/// A sealed snapshot and what the tests said of it.
#[derive(Clone)]
pub struct Snapshot {
    /// The leaf.
    pub moment: Moment,
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target.
    pub target: String,
    /// The time it speaks for.
    pub covers: Covers,
    /// Whether it is the whole population.
    pub complete: bool,
    /// What was seen.
    pub resources: Arc<Resources>,
    /// What the tests said; none where nothing has judged it.
    pub findings: Option<Arc<Findings>>,
    /// The plan that it was collected under.
    pub plan: Arc<SealedPlan>,
    /// The plan whose rules judged it; the same where nothing did.
    pub rules: Arc<SealedPlan>,
}

impl Snapshot {
    /// Whether it holds events and not settings.
    pub(super) fn is_interval(&self) -> bool {
        matches!(self.covers, Covers::Interval { .. })
    }

    /// What its plan knows of its collector.
    pub(super) fn planned(&self) -> Option<&PlannedCollector> {
        self.plan.lists.collectors.get(&self.collector)
    }

    /// Whether an attribute changes by itself.
    pub(super) fn is_volatile(&self, resource: &Resource, attribute: &str) -> bool {
        let planned = self.planned();
        planned.is_some_and(|planned| names(&planned.volatile, resource, attribute))
    }

    /// Whether the vendor is known to set an attribute by itself.
    pub(super) fn is_by_provider(&self, resource: &Resource, attribute: &str) -> bool {
        let planned = self.planned();
        planned.is_some_and(|planned| names(&planned.by_provider, resource, attribute))
    }

    /// The kind of resource that a test is about, by the rules that judged.
    pub fn tested_kind(&self, test: &str) -> Option<&str> {
        let tests = self.rules.lists.rules.tests.iter();
        let mut of_id = tests.filter(|other| other.id.as_str() == test);
        of_id.next().map(|test| test.resource.as_str())
    }

    /// What the tests said of a resource, where any did.
    pub(super) fn findings_of(&self, kind: &str, id: &str) -> BTreeMap<TestId, Outcome> {
        let Some(findings) = &self.findings else {
            return BTreeMap::new();
        };
        let tests = self.rules.tests_on(kind).iter();
        tests
            .filter_map(|test| Some((test.clone(), findings.of(test, id)?.outcome)))
            .collect()
    }
}

fn names(pairs: &[(String, String)], resource: &Resource, attribute: &str) -> bool {
    let mut pairs = pairs.iter();
    pairs.any(|(kind, name)| *kind == resource.kind && name == attribute)
}

/// The resources of a snapshot, found by kind and id.
#[derive(Debug, Default)]
pub struct Resources(Vec<Resource>);

impl Resources {
    /// In any order.
    pub fn new(mut resources: Vec<Resource>) -> Self {
        // They are sealed in this order.
        if !resources.is_sorted_by(|a, b| key(a) <= key(b)) {
            resources.sort_by(|a, b| key(a).cmp(&key(b)));
        }
        Self(resources)
    }

    /// The one of this kind and id.
    pub fn get(&self, kind: &str, id: &str) -> Option<&Resource> {
        let at = self.0.binary_search_by(|each| key(each).cmp(&(kind, id)));
        Some(&self.0[at.ok()?])
    }

    /// By kind, then id.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }
}

fn key(resource: &Resource) -> (&str, &str) {
    (&resource.kind, &resource.id)
}

/// The findings of an evaluation, found by test and resource.
#[derive(Debug, Default)]
pub struct Findings(HashMap<TestId, HashMap<String, Said>>);

/// What a test says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, for a person; empty where it passes.
    pub reason: String,
}

impl Findings {
    /// In any order.
    pub fn new(findings: Vec<Finding>) -> Self {
        let mut by_test: HashMap<TestId, HashMap<String, Said>> = HashMap::new();
        for finding in findings {
            let said = Said {
                outcome: finding.outcome,
                reason: finding.reason,
            };
            by_test
                .entry(finding.test)
                .or_default()
                .insert(finding.resource, said);
        }
        Self(by_test)
    }

    /// What a test says of a resource.
    pub fn of(&self, test: &TestId, resource: &str) -> Option<&Said> {
        self.0.get(test)?.get(resource)
    }

    /// Each with its test and resource, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&TestId, &str, &Said)> {
        self.0.iter().flat_map(|(test, of_test)| {
            let each = of_test.iter();
            each.map(move |(resource, said)| (test, resource.as_str(), said))
        })
    }
}

/// A plan as it is sealed. Its rules are compiled when they are first judged by: most are only looked at.
pub struct SealedPlan {
    /// The version of evidenced that made it.
    pub version: String,
    /// Its lists.
    pub lists: Lists,
    tests: HashMap<String, Vec<TestId>>,
    ready: OnceLock<Option<Plan>>,
}

impl SealedPlan {
    /// A plan that evidenced of this version made.
    pub fn new(version: String, lists: Lists) -> Self {
        let mut tests: HashMap<String, Vec<TestId>> = HashMap::new();
        for test in &lists.rules.tests {
            tests
                .entry(test.resource.clone())
                .or_default()
                .push(test.id.clone());
        }
        Self {
            version,
            lists,
            tests,
            ready: OnceLock::new(),
        }
    }

    /// The tests on a kind of resource, also those that are switched off.
    pub(super) fn tests_on(&self, kind: &str) -> &[TestId] {
        self.tests.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// What its rules say of resources of a snapshot; nothing where they don't compile, being of a later version.
    pub(super) fn judge(&self, snapshot: &Snapshot, resources: &[Resource]) -> Findings {
        let plan = self.ready.get_or_init(|| Plan::new(self.lists.clone()).ok());
        let Some(plan) = plan else {
            return Findings::default();
        };
        let observed = Observed {
            source: &snapshot.source,
            target: &snapshot.target,
            resources,
            complete: snapshot.complete,
            now: snapshot.covers.until(),
        };
        Findings::new(plan.evaluate(&snapshot.collector, &observed).findings)
    }
}
