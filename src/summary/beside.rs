//! Tests whose wording changed within the period: every look is judged by each of the wordings, also by those that were not in
//! force then, so that a later, milder one hides nothing.
//!
//! The wording in force says what was recorded; the others are tried on the sealed evidence as `round` judges it, with the
//! exclusions of the plan of the time and the exceptions before the snapshot. What can't be read any more is unknown by them.
//! Looks at which the test was out of the plan count for none. Payloads are read only where a test was worded otherwise.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::Covers;

use super::gather::Gathered;
use super::look::Look;
use super::tested::{begins, scopes, seen, slots};
use super::{SummaryError, TestRow};
use crate::control::{Test, TestId};
use crate::log::store::Reader;
use crate::period::beside::{self, Comparison, Verdict};
use crate::period::coverage::Covered;
use crate::period::deviation::Scope;
use crate::period::rules::{self, Version};
use crate::period::slot::{Observations, Slot};
use crate::period::window::Window;

mod judging;

use judging::{Judging, Told};

/// So many resources on which wordings differ are named.
const NAMED: usize = 10;

/// What the wordings of a test say of the whole period.
#[derive(Clone, Debug, Serialize)]
pub struct Beside {
    /// Each, in the order in which they first came into force.
    pub wordings: Vec<WordingRow>,
    /// How they compare, as far as was observed.
    pub comparison: Verdict,
    /// Snapshots that could not be judged again: by the wordings not in force then, they are unknown.
    pub unreadable: Vec<u64>,
}

/// A wording, and what it says of every look within the period.
#[derive(Clone, Debug, Serialize)]
pub struct WordingRow {
    /// When it came into force, for the first time.
    pub from: DateTime<Utc>,
    /// The plans that introduced it.
    pub plans: Vec<u64>,
    /// The kind of resource that it is about.
    pub resource: String,
    /// CEL: which of those it is about.
    pub applies: String,
    /// CEL: what must hold.
    pub passes: String,
    /// The company's numbers and lists.
    pub parameters: BTreeMap<String, Value>,
    /// For how long evidence speaks.
    pub max_age: String,
    /// It is the stricter one, or among those.
    pub stricter: bool,
    /// What it says at each look.
    pub observations: Observations,
    /// Seconds for which a look speaks by it, of all targets together.
    pub covered_seconds: i64,
    /// Of so many.
    pub of_seconds: i64,
    /// The one in percent of the other, rounded down; null of no time at all.
    pub coverage_percent: Option<f64>,
    /// What fails by it, and passed or was not asked about when it was judged.
    pub fails_where_passed: Otherwise,
    /// What passes by it, or is not asked about, and failed when it was judged, excepted or not.
    pub passes_where_failed: Otherwise,
}

/// Findings that a wording gives otherwise than they were judged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Otherwise {
    /// How many, counted at each look.
    pub findings: u64,
    /// On so many resources.
    pub resources: u64,
    /// The first of those, each where it was first seen.
    pub named: Vec<Named>,
}

/// A resource on which wordings differ.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target.
    pub target: String,
    /// The resource's id.
    pub resource: String,
    /// The first snapshot.
    pub snapshot: u64,
    /// The instant it speaks for.
    pub time: DateTime<Utc>,
}

/// What is counted into one of those.
#[derive(Default)]
struct Counted {
    told: Otherwise,
    known: BTreeSet<(Scope, String)>,
}

impl Counted {
    fn add(&mut self, scope: &Scope, look: &Look, resource: &str) {
        self.told.findings += 1;
        if !self.known.insert((scope.clone(), resource.to_owned())) {
            return;
        }
        self.told.resources += 1;
        if self.told.named.len() < NAMED {
            self.told.named.push(Named {
                collector: scope.collector.clone(),
                source: scope.source.clone(),
                target: scope.target.clone(),
                resource: resource.to_owned(),
                snapshot: look.snapshot,
                time: look.covers.until(),
            });
        }
    }
}

/// A test that was worded in several ways.
struct Changed {
    id: TestId,
    wordings: Vec<Wording>,
    comparison: Comparison,
    unreadable: Vec<u64>,
}

struct Wording {
    test: Test,
    from: DateTime<Utc>,
    plans: Vec<u64>,
    observations: Observations,
    covered: Option<Covered>,
    fails: Counted,
    passes: Counted,
}

impl Wording {
    /// Whether a test as some plan has it judges and ages alike.
    fn is_like(&self, test: &Test) -> bool {
        judges_like(&self.test, test) && self.test.max_age == test.max_age
    }
}

fn judges_like(one: &Test, other: &Test) -> bool {
    let judges = |test: &Test| {
        (
            test.resource.clone(),
            test.applies.clone(),
            test.passes.clone(),
            test.parameters.clone(),
        )
    };
    judges(one) == judges(other)
}

/// Adds to each test whose wording changed what every wording says.
pub(super) fn fill(
    reader: &Reader,
    gathered: &Gathered,
    period: &Window,
    tests: &mut [TestRow],
) -> Result<(), SummaryError> {
    let end = period.to.min(gathered.as_of);
    let behind = end.max(period.from + TimeDelta::milliseconds(1));
    let mut changed: Vec<Changed> = Vec::new();
    for (id, versions) in gathered.versions.tests() {
        changed.extend(of(id, rules::within(versions, period.from, behind)));
    }
    if changed.is_empty() {
        return Ok(());
    }
    let days = period.days();
    let longest = gathered.max_ages.values().flat_map(|ages| ages.values()).max();
    let early = period.from - longest.copied().unwrap_or_default();
    let mut judging = Judging::of(reader, &changed)?;
    for (scope, from, to) in scopes(gathered, period, end) {
        let own = slots(gathered, &scope, (from, to), period, &days);
        let mut own: Vec<(usize, Vec<Slot>)> = own
            .into_iter()
            .filter_map(|(id, slot)| {
                let at = changed.iter().position(|test| test.id == id)?;
                Some((at, vec![slot; changed[at].wordings.len()]))
            })
            .collect();
        if own.is_empty() {
            continue;
        }
        judging.begin();
        let looks = gathered.looks.get(&scope).map(Vec::as_slice).unwrap_or_default();
        let relevant = looks.iter().filter(|look| look.covers.until() >= early);
        for look in relevant.take_while(|look| begins(look.covers) < period.to) {
            let Some(judgement) = look.judged else { continue };
            let told = judging.told(&changed, period, look, &judgement)?;
            for (at, slots) in &mut own {
                changed[*at].add(*at, &scope, look, &told, (slots, &days));
            }
        }
        for (at, slots) in own {
            for (wording, slot) in changed[at].wordings.iter_mut().zip(slots) {
                wording.observations += slot.observations;
                let (covered, _) = slot.covered();
                match &mut wording.covered {
                    Some(all) => *all += covered,
                    None => wording.covered = Some(covered),
                }
            }
        }
    }
    for changed in changed {
        let row = tests.iter_mut().find(|row| row.test == changed.id.as_str());
        if let Some(row) = row {
            row.beside = Some(changed.row());
        }
    }
    Ok(())
}

/// A test whose versions are not all the same wording.
fn of<'a>(id: &TestId, versions: impl Iterator<Item = &'a Version<Test>>) -> Option<Changed> {
    let mut wordings: Vec<Wording> = Vec::new();
    for version in versions {
        match wordings.iter_mut().find(|known| known.is_like(&version.is)) {
            Some(known) => known.plans.push(version.plan),
            None => wordings.push(Wording {
                test: version.is.clone(),
                from: version.from,
                plans: vec![version.plan],
                observations: Observations::default(),
                covered: None,
                fails: Counted::default(),
                passes: Counted::default(),
            }),
        }
    }
    (wordings.len() > 1).then(|| Changed {
        id: id.clone(),
        comparison: Comparison::new(wordings.len()),
        wordings,
        unreadable: Vec::new(),
    })
}

impl Changed {
    /// Adds what the wordings say of a look; `at` is which of the tests this is.
    fn add(
        &mut self,
        at: usize,
        scope: &Scope,
        look: &Look,
        told: &Told,
        (slots, days): (&mut [Slot], &[DateTime<Utc>]),
    ) {
        let events_from = match look.covers {
            Covers::At { .. } => None,
            Covers::Interval { from, .. } => Some(from),
        };
        let is_within = slots
            .iter()
            .any(|slot| slot.counts(look.covers.until(), events_from));
        let results = told.results.get(&at).into_iter().flatten();
        for ((slot, wording), outcome) in slots.iter_mut().zip(&self.wordings).zip(results) {
            if let Some(outcome) = outcome {
                slot.add(seen(look, *outcome, wording.test.max_age.length()), days);
            }
        }
        if !is_within {
            return;
        }
        if told.lost.contains(&at) {
            self.comparison.lose();
            self.unreadable.push(look.snapshot);
        }
        for found in told.differing.iter().filter(|found| found.test == at) {
            self.comparison.add(&found.by);
            for (wording, outcome) in self.wordings.iter_mut().zip(&found.by) {
                let is_well = beside::is_well;
                if beside::fails(*outcome) && is_well(found.recorded) {
                    wording.fails.add(scope, look, &found.resource);
                } else if is_well(*outcome) && beside::fails(found.recorded) {
                    wording.passes.add(scope, look, &found.resource);
                }
            }
        }
    }

    fn row(self) -> Beside {
        let (comparison, stricter) = self.comparison.verdict();
        let wordings = self.wordings.into_iter().zip(stricter);
        let wordings = wordings.map(|(wording, stricter)| {
            let covered = wording.covered;
            let seconds =
                |of: fn(&Covered) -> TimeDelta| covered.as_ref().map_or(0, |all| of(all).num_seconds());
            WordingRow {
                from: wording.from,
                plans: wording.plans,
                resource: wording.test.resource,
                applies: wording.test.applies,
                passes: wording.test.passes,
                parameters: wording.test.parameters,
                max_age: wording.test.max_age.to_string(),
                stricter,
                observations: wording.observations,
                covered_seconds: seconds(|all| all.time),
                of_seconds: seconds(|all| all.of),
                coverage_percent: covered
                    .and_then(|all| all.basis_points())
                    .map(|points| f64::from(points) / 100.0),
                fails_where_passed: wording.fails.told,
                passes_where_failed: wording.passes.told,
            }
        });
        Beside {
            wordings: wordings.collect(),
            comparison,
            unreadable: self.unreadable,
        }
    }
}
