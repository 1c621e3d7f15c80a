//! Where every target stands now: its newest snapshot and what the tests said of it, or why there is none. Reads only.
//!
//! A judgement speaks for the present only where it was made by the tests in force, from evidence that is not too old
//! and not from the future; everything else is unknown.

use chrono::{DateTime, TimeDelta, Utc};

use crate::control::{ControlResult, Observed, Outcome, Test, TestId, TestResult, control_outcomes};
use crate::log::leaf::{Body, FailureLeaf};
use crate::log::store::Reader;
use crate::plan::{Plan, PlanError};

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
}

/// The plan in force and where every target in its scope stands.
pub struct Standing {
    /// The plan's leaf.
    pub plan_seq: u64,
    /// The plan.
    pub plan: Plan,
    /// By source and collector in the plan's order, then target.
    pub latest: Vec<Latest>,
}

/// How far the clock that dated a snapshot may be ahead of the reader's.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// Reads it from the log; `None` where nothing has been planned yet.
pub fn standing(reader: &Reader) -> Result<Option<Standing>, PlanError> {
    let Some(plan_seq) = reader.newest("plan", None)? else {
        return Ok(None);
    };
    let plan = Plan::sealed(reader, plan_seq)?;
    let mut latest = Vec::new();
    for source in &plan.lists.sources {
        for collector in source.schedules.keys() {
            let failed = reader.newest("failure", Some((collector, &source.name, None)))?;
            let scope = reader.newest("scope", Some((collector, &source.name, None)))?;
            let targets = scope
                .map(|seq| reader.targets(seq))
                .transpose()?
                .unwrap_or_default();
            if targets.is_empty() {
                latest.push(latest_of(reader, &plan, (collector, &source.name, None), failed)?);
            }
            for target in targets {
                let scope = (collector.as_str(), source.name.as_str(), Some(target));
                latest.push(latest_of(reader, &plan, scope, failed)?);
            }
        }
    }
    Ok(Some(Standing {
        plan_seq,
        plan,
        latest,
    }))
}

impl Standing {
    /// The leaves that it speaks from.
    pub fn leaves(&self) -> impl Iterator<Item = u64> {
        let of_target = |latest: &Latest| {
            let snapshot = latest.snapshot.as_ref();
            let judgement = snapshot.and_then(|snapshot| snapshot.evaluation.as_ref());
            let failure = latest.failure.as_ref().map(|(seq, ..)| *seq);
            [
                snapshot.map(|snapshot| snapshot.seq),
                judgement.map(|judgement| judgement.seq),
                failure,
            ]
        };
        let targets = self.latest.iter().flat_map(of_target).flatten();
        std::iter::once(self.plan_seq).chain(targets)
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
        control_outcomes(&self.plan.lists.rules, &observed, now)
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
        doubts
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
        let fresh: Vec<&Test> = self
            .tests(latest)
            .filter(|test| !is_stale(test, snapshot, now))
            .collect();
        for result in &mut results {
            let judged = judgement.results.iter().find(|judged| judged.test == result.test);
            if let Some(judged) = judged
                && fresh.iter().any(|test| test.id == result.test)
                && !judgement.outdated.contains(&result.test)
            {
                result.clone_from(judged);
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

fn latest_of(
    reader: &Reader,
    plan: &Plan,
    (collector, source, target): (&str, &str, Option<String>),
    discovery_failed: Option<u64>,
) -> Result<Latest, PlanError> {
    let scope = (collector, source, target.as_deref());
    let seq = if target.is_some() {
        reader.newest("snapshot", Some(scope))?
    } else {
        None
    };
    let snapshot = match seq {
        Some(seq) => observation(reader, plan, seq)?,
        None => None,
    };
    let failed = reader
        .newest("failure", Some(scope))?
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

fn observation(reader: &Reader, plan: &Plan, seq: u64) -> Result<Option<Observation>, PlanError> {
    let Some(Body::Snapshot(snapshot)) = reader.leaf(seq)?.and_then(|leaf| leaf.body) else {
        return Ok(None);
    };
    let evaluation = match reader.evaluation_of(seq)? {
        Some(at) => judgement(reader, plan, &snapshot.collector, at)?,
        None => None,
    };
    Ok(Some(Observation {
        seq,
        until: snapshot.covers.until(),
        complete: snapshot.complete,
        resources: snapshot.resources,
        evaluation,
    }))
}

fn judgement(
    reader: &Reader,
    plan: &Plan,
    collector: &str,
    seq: u64,
) -> Result<Option<Judgement>, PlanError> {
    let Some(Body::Evaluation(body)) = reader.leaf(seq)?.and_then(|leaf| leaf.body) else {
        return Ok(None);
    };
    // Results that can't be read are no results, and every test is unknown.
    let Ok(results) = serde_json::from_value(body.results) else {
        return Ok(None);
    };
    let outdated = match Plan::sealed_lists(reader, body.plan) {
        Ok(judged_by) => plan.differing_tests(collector, &judged_by),
        Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
        // By which rules it was judged can't be read any more: by none that count.
        Err(_) => plan.tests(collector).map(|test| test.id.clone()).collect(),
    };
    Ok(Some(Judgement {
        seq,
        results,
        outdated,
    }))
}
