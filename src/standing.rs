//! Where every target stands now: its newest snapshot and what the tests said of it, or why there is none. Reads only.

use chrono::{DateTime, Utc};

use crate::control::{ControlResult, Observed, TestResult, control_outcomes};
use crate::log::leaf::{Body, FailureLeaf, Role};
use crate::log::store::{Reader, StoreError};
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
    /// The evaluation's leaf and results; `None` if nothing has judged it yet.
    pub evaluation: Option<(u64, Vec<TestResult>)>,
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
            let targets = targets(reader, collector, &source.name)?;
            if targets.is_empty() {
                latest.push(latest_of(reader, collector, &source.name, None, failed)?);
            }
            for target in targets {
                latest.push(latest_of(reader, collector, &source.name, Some(target), failed)?);
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
    /// The outcome of every control at `now`. A target that nobody has observed is unknown to every test on it.
    pub fn controls(&self, now: DateTime<Utc>) -> Vec<ControlResult> {
        let results: Vec<_> = self.latest.iter().map(|latest| self.results(latest)).collect();
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

    fn results(&self, latest: &Latest) -> Vec<TestResult> {
        let judged = latest
            .snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.evaluation.clone());
        judged.map_or_else(|| self.plan.unobserved(&latest.collector), |(_, results)| results)
    }
}

fn latest_of(
    reader: &Reader,
    collector: &str,
    source: &str,
    target: Option<String>,
    discovery_failed: Option<u64>,
) -> Result<Latest, StoreError> {
    let scope = (collector, source, target.as_deref());
    let seq = if target.is_some() {
        reader.newest("snapshot", Some(scope))?
    } else {
        None
    };
    let snapshot = match seq {
        Some(seq) => observation(reader, seq)?,
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

fn observation(reader: &Reader, seq: u64) -> Result<Option<Observation>, StoreError> {
    let Some(Body::Snapshot(snapshot)) = reader.leaf(seq)?.and_then(|leaf| leaf.body) else {
        return Ok(None);
    };
    let evaluation = match reader.evaluation_of(seq)? {
        Some(at) => reader.leaf(at)?.and_then(|leaf| match leaf.body {
            Some(Body::Evaluation(body)) => serde_json::from_value(body.results)
                .ok()
                .map(|results| (at, results)),
            _ => None,
        }),
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

/// The targets that the newest `scope` leaf names.
fn targets(reader: &Reader, collector: &str, source: &str) -> Result<Vec<String>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Names {
        targets: Vec<String>,
    }
    let Some(seq) = reader.newest("scope", Some((collector, source, None)))? else {
        return Ok(Vec::new());
    };
    let blobs = reader.leaf(seq)?.map(|leaf| leaf.blobs).unwrap_or_default();
    let Some(blob) = blobs.iter().find(|blob| blob.role == Role::Scope) else {
        return Ok(Vec::new());
    };
    let payload = reader.payload(&blob.sha256)?.unwrap_or_default();
    serde_json::from_slice::<Names>(&payload)
        .map(|names| names.targets)
        .map_err(|error| {
            StoreError::Damaged(format!("the targets of scope leaf {seq} can't be read: {error}"))
        })
}
