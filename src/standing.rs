//! Where every target stands now: its newest snapshot and what the tests said of it, or why there is none. Reads only.
//!
//! A judgement speaks for the present only where it was made by the tests in force, from evidence that is not too old
//! and not from the future; everything else is unknown. What it excepted fails where the exception has ended since.

use chrono::{DateTime, TimeDelta, Utc};

use evidenced_collector_api::Covers;

use crate::control::{Control, ControlResult, Observed, Outcome, Test, TestId, TestResult, control_outcomes};
use crate::exception::Sealed;
use crate::log::leaf::{Body, FailureLeaf, MAX_INTEGER};
use crate::log::store::Reader;
use crate::manual::{self, Owed};
use crate::plan::{Plan, PlanError};

mod excepted;

pub use excepted::Excepted;

/// The newest that is known of one target in scope.
#[derive(Debug)]
pub struct Latest {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target; `None` where the targets have never been found out.
    pub target: Option<String>,
    /// The newest snapshot.
    pub snapshot: Option<Observation>,
    /// A failure that came after it.
    pub failure: Option<(u64, DateTime<Utc>, FailureLeaf)>,
}

/// A snapshot and how it was judged.
#[derive(Debug)]
pub struct Observation {
    /// The snapshot's leaf.
    pub seq: u64,
    /// The end of what it covers.
    pub until: DateTime<Utc>,
    /// Whether it is of events in an interval: facts of their time, which no later end of an exception changes.
    pub interval: bool,
    /// Whether it is the whole population.
    pub complete: bool,
    /// How many resources.
    pub resources: u64,
    /// How it was judged; `None` if nothing has judged it yet.
    pub evaluation: Option<Judgement>,
}

/// What the tests said of a snapshot.
#[derive(Debug)]
pub struct Judgement {
    /// The evaluation's leaf.
    pub seq: u64,
    /// By test.
    pub results: Vec<TestResult>,
    /// The tests that are in force in other words than those that judged: what they said no longer counts.
    pub outdated: Vec<TestId>,
    /// The failures that exceptions covered, by test and exception.
    pub excepted: Vec<Excepted>,
}

/// The plan in force and where every target in its scope stands.
pub struct Standing {
    /// The plan's leaf.
    pub plan_seq: u64,
    /// The plan.
    pub plan: Plan,
    /// By source and collector in the plan's order, then target.
    pub latest: Vec<Latest>,
    /// The controls that people owe evidence for, and what they gave.
    pub manual: Vec<Owed>,
}

/// Behind every leaf that a log can hold.
const END: u64 = MAX_INTEGER;

/// How far the clock that dated a snapshot may be ahead of the reader's.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// Reads it from the log; `None` where nothing has been planned yet.
pub fn standing(reader: &Reader) -> Result<Option<Standing>, PlanError> {
    standing_before(reader, END)
}

/// The same as the log stood before a leaf was appended.
pub fn standing_before(reader: &Reader, end: u64) -> Result<Option<Standing>, PlanError> {
    let plans = reader.of_kind("plan", 0)?;
    let Some(plan_seq) = plans.into_iter().rfind(|seq| *seq < end) else {
        return Ok(None);
    };
    let plan = Plan::sealed(reader, plan_seq)?;
    let mut log = Log {
        reader,
        end,
        exceptions: Sealed::default(),
    };
    let mut latest = Vec::new();
    for source in &plan.lists.sources {
        for collector in source.schedules.keys() {
            let of_source = (collector.as_str(), source.name.as_str(), None);
            let failed = reader.newest_before(end, "failure", of_source)?;
            let scope = reader.newest_before(end, "scope", of_source)?;
            let targets = scope
                .map(|seq| reader.targets(seq))
                .transpose()?
                .unwrap_or_default();
            if targets.is_empty() {
                latest.push(log.latest_of(&plan, (collector, &source.name, None), failed)?);
            }
            for target in targets {
                let scope = (collector.as_str(), source.name.as_str(), Some(target));
                latest.push(log.latest_of(&plan, scope, failed)?);
            }
        }
    }
    let asks = |control: &Control| control.enabled && control.manual.is_some();
    let manual = if plan.lists.rules.controls.iter().any(asks) {
        let mut manual = manual::read_before(reader, end)?;
        manual.retain(|owed| owed.is_owed);
        manual
    } else {
        Vec::new()
    };
    Ok(Some(Standing {
        plan_seq,
        plan,
        latest,
        manual,
    }))
}

impl Standing {
    /// The leaves that it speaks from.
    pub fn leaves(&self) -> impl Iterator<Item = u64> {
        let targets = self.latest.iter().flat_map(Latest::leaves);
        let evidence = self.manual.iter().flat_map(|owed| &owed.evidence);
        std::iter::once(self.plan_seq)
            .chain(targets)
            .chain(evidence.map(|each| each.seq))
    }

    /// The outcome of every control at `now`. A target that nobody has observed is unknown to every test on it.
    pub fn controls(&self, now: DateTime<Utc>) -> Vec<ControlResult> {
        let results: Vec<_> = self
            .latest
            .iter()
            .map(|latest| self.results(latest, now))
            .collect();
        let observed: Vec<_> = self
            .latest
            .iter()
            .zip(&results)
            .map(|(latest, results)| Observed {
                collector: &latest.collector,
                source: &latest.source,
                target: latest.target.as_deref().unwrap_or_default(),
                at: latest.snapshot.as_ref().map_or(now, |snapshot| snapshot.until),
                results,
            })
            .collect();
        let mut controls = control_outcomes(&self.plan.lists.rules, &observed, now);
        manual::join(&mut controls, &self.manual, now);
        controls
    }

    /// The worst that the tests in force say of a target at `now`.
    pub fn outcome(&self, latest: &Latest, now: DateTime<Utc>) -> Outcome {
        let results = self.results(latest, now);
        Outcome::worst(results.iter().map(|result| result.outcome)).unwrap_or(Outcome::Unknown)
    }

    /// Why the newest snapshot of a target does not speak for all tests at `now`, for a person.
    pub fn doubts(&self, latest: &Latest, now: DateTime<Utc>) -> Vec<String> {
        let Some(snapshot) = &latest.snapshot else {
            return vec!["never observed".to_owned()];
        };
        if is_from_the_future(snapshot, now) {
            return vec!["its evidence is dated in the future: the clock is wrong, or was".to_owned()];
        }
        let Some(judgement) = &snapshot.evaluation else {
            return vec!["not judged yet: the next `evidenced collect --once` judges it".to_owned()];
        };
        let mut doubts = Vec::new();
        if !snapshot.complete {
            doubts.push("incomplete: nothing passes that holds for a part only".to_owned());
        }
        if !judgement.outdated.is_empty() {
            doubts.push(format!(
                "judged before these tests changed: {}; collect again",
                names(&judgement.outdated)
            ));
        }
        if self.tests(latest).any(|test| is_stale(test, snapshot, now)) {
            doubts.push("its evidence is older than its tests allow: collect again".to_owned());
        }
        let counts = |excepted: &&Excepted| self.counts(latest, snapshot, judgement, &excepted.test, now);
        let excepted = judgement.excepted.iter().filter(counts);
        doubts.extend(excepted.filter_map(|excepted| excepted.doubt(snapshot.present(now))));
        doubts
    }

    /// What exceptions that are in force at `now` keep from failing on a target.
    pub fn excepted<'a>(
        &'a self,
        latest: &'a Latest,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &'a Excepted> {
        let snapshot = latest.snapshot.as_ref();
        let snapshot = snapshot.filter(|snapshot| !is_from_the_future(snapshot, now));
        let judged = snapshot.and_then(|snapshot| Some((snapshot, snapshot.evaluation.as_ref()?)));
        judged.into_iter().flat_map(move |(snapshot, judgement)| {
            judgement.excepted.iter().filter(move |excepted| {
                excepted.is_in_force(snapshot.present(now))
                    && self.counts(latest, snapshot, judgement, &excepted.test, now)
            })
        })
    }

    /// Whether what a judgement says of a test speaks for `now`.
    fn counts(
        &self,
        latest: &Latest,
        snapshot: &Observation,
        judgement: &Judgement,
        test: &TestId,
        now: DateTime<Utc>,
    ) -> bool {
        self.tests(latest)
            .any(|known| known.id == *test && !is_stale(known, snapshot, now))
            && !judgement.outdated.contains(test)
    }

    /// What each test in force says of a target at `now`.
    fn results(&self, latest: &Latest, now: DateTime<Utc>) -> Vec<TestResult> {
        let mut results = self.plan.unobserved(&latest.collector);
        let Some(snapshot) = latest
            .snapshot
            .as_ref()
            .filter(|snapshot| !is_from_the_future(snapshot, now))
        else {
            return results;
        };
        let Some(judgement) = &snapshot.evaluation else {
            return results;
        };
        for result in &mut results {
            let judged = judgement.results.iter().find(|judged| judged.test == result.test);
            if let Some(judged) = judged
                && self.counts(latest, snapshot, judgement, &result.test, now)
            {
                result.clone_from(judged);
            }
        }
        let counting = |result: &&mut TestResult| result.excepted > 0;
        for result in results.iter_mut().filter(counting) {
            let of_test = |excepted: &&Excepted| excepted.test == result.test;
            let ended = judgement.excepted.iter().filter(of_test);
            let ended = ended.filter(|excepted| !excepted.is_in_force(snapshot.present(now)));
            let failing: u64 = ended.map(|excepted| excepted.resources).sum();
            if failing > 0 {
                result.excepted = result.excepted.saturating_sub(failing);
                result.fail += failing;
                result.outcome = Outcome::Fail;
            }
        }
        results
    }

    /// The tests in force on what a target's collector yields.
    fn tests(&self, latest: &Latest) -> impl Iterator<Item = &Test> {
        self.plan.tests(&latest.collector)
    }
}

fn names(tests: &[TestId]) -> String {
    tests.iter().map(TestId::as_str).collect::<Vec<_>>().join(", ")
}

fn is_from_the_future(snapshot: &Observation, now: DateTime<Utc>) -> bool {
    snapshot.until > now + CLOCKS_APART
}

fn is_stale(test: &Test, snapshot: &Observation, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(snapshot.until) > test.max_age.length()
}

impl Latest {
    fn leaves(&self) -> impl Iterator<Item = u64> {
        let snapshot = self.snapshot.as_ref();
        let judgement = snapshot.and_then(|snapshot| snapshot.evaluation.as_ref());
        let excepted = judgement.map(|judgement| judgement.excepted.as_slice());
        let own = [
            snapshot.map(|snapshot| snapshot.seq),
            judgement.map(|judgement| judgement.seq),
            self.failure.as_ref().map(|(seq, ..)| *seq),
        ];
        let waivers = excepted.unwrap_or_default().iter().map(Excepted::leaf);
        own.into_iter().chain(waivers).flatten()
    }
}

impl Observation {
    /// For which instant exceptions must be in force for it to be excepted still.
    fn present(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.interval { self.until } else { now }
    }
}

/// The log that is read from, with what is read of it once.
struct Log<'a> {
    reader: &'a Reader,
    /// Leaves from here on were not there yet.
    end: u64,
    exceptions: Sealed,
}

impl Log<'_> {
    fn latest_of(
        &mut self,
        plan: &Plan,
        (collector, source, target): (&str, &str, Option<String>),
        discovery_failed: Option<u64>,
    ) -> Result<Latest, PlanError> {
        let (reader, scope) = (self.reader, (collector, source, target.as_deref()));
        let seq = if target.is_some() {
            reader.newest_before(self.end, "snapshot", scope)?
        } else {
            None
        };
        let snapshot = match seq {
            Some(seq) => self.observation(plan, seq)?,
            None => None,
        };
        let failed = reader
            .newest_before(self.end, "failure", scope)?
            .max(discovery_failed)
            .filter(|failed| Some(*failed) > seq);
        let failure = match failed {
            Some(failed) => reader.leaf(failed)?.and_then(|leaf| match leaf.body {
                Some(Body::Failure(body)) => Some((failed, leaf.time, body)),
                _ => None,
            }),
            None => None,
        };
        Ok(Latest {
            collector: collector.to_owned(),
            source: source.to_owned(),
            target,
            snapshot,
            failure,
        })
    }

    fn observation(&mut self, plan: &Plan, seq: u64) -> Result<Option<Observation>, PlanError> {
        let reader = self.reader;
        let Some(Body::Snapshot(snapshot)) = reader.leaf(seq)?.and_then(|leaf| leaf.body) else {
            return Ok(None);
        };
        let mut observation = Observation {
            seq,
            until: snapshot.covers.until(),
            interval: matches!(snapshot.covers, Covers::Interval { .. }),
            complete: snapshot.complete,
            resources: snapshot.resources,
            evaluation: None,
        };
        if let Some(at) = reader.evaluation_of(seq)?.filter(|at| *at < self.end) {
            let of = (snapshot.collector.as_str(), snapshot.source.as_str());
            observation.evaluation = self.judgement(plan, of, &observation, at)?;
        }
        Ok(Some(observation))
    }

    fn judgement(
        &mut self,
        plan: &Plan,
        (collector, source): (&str, &str),
        of: &Observation,
        seq: u64,
    ) -> Result<Option<Judgement>, PlanError> {
        let reader = self.reader;
        let Some(leaf) = reader.leaf(seq)? else {
            return Ok(None);
        };
        let Some(Body::Evaluation(body)) = &leaf.body else {
            return Ok(None);
        };
        // Results that can't be read are no results, and every test is unknown.
        let Ok(results) = serde_json::from_value::<Vec<TestResult>>(body.results.clone()) else {
            return Ok(None);
        };
        let outdated = match Plan::sealed_lists(reader, body.plan) {
            Ok(judged_by) => plan.differing_tests(collector, &judged_by),
            Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
            // By which rules it was judged can't be read any more: by none that count.
            Err(_) => plan.tests(collector).map(|test| test.id.clone()).collect(),
        };
        let excepted = if results.iter().any(|result| result.excepted > 0) {
            let exceptions = self.exceptions.up_to_date(reader)?;
            let of_snapshot = (source, of.seq, of.until);
            excepted::of(reader, exceptions, (&leaf, self.end), &results, of_snapshot)?
        } else {
            Vec::new()
        };
        Ok(Some(Judgement {
            seq,
            results,
            outdated,
            excepted,
        }))
    }
}
