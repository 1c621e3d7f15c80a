//! Judging what is sealed: always from the log, under the plan that the snapshot names.

use chrono::{DateTime, Utc};
use std::sync::{Mutex, MutexGuard, PoisonError};

use evidenced_collector_api::Resource;

use super::RoundError;
use crate::alert::raise::{self, After};
use crate::control::{Evaluation, Finding};
use crate::exception::{Exceptions, Place, Sealed, Waiver};
use crate::log::append::{Appender, Draft};
use crate::log::leaf::{Body, EvaluationLeaf, Leaf, Role, SnapshotLeaf};
use crate::log::store::{Reader, StoreError};
use crate::plan::{Observed, Plan};

/// Judges a sealed snapshot under its plan and the exceptions before it, and appends the evaluation with the alerts that
/// begin or end with it; returns where that is, and what it says.
pub(super) async fn judge(
    log: &Appender,
    reader: &Mutex<Reader>,
    exceptions: &Mutex<Sealed>,
    snapshot: u64,
    (plan, after): (&Plan, After),
) -> Result<(u64, Evaluation), RoundError> {
    let (sealed, resources) = sealed_snapshot(&lock(reader), snapshot)?;
    let evaluation = {
        let mut exceptions = lock(exceptions);
        let exceptions = exceptions.up_to_date(&lock(reader))?;
        judged(plan, exceptions, snapshot, &sealed, &resources)
    };
    let findings =
        findings_payload(&evaluation).map_err(|error| RoundError::Evidence(snapshot, Some(error)))?;
    let raised = raise::of_evaluation(&lock(reader), plan, after, snapshot, &sealed, &evaluation.results)?;
    let body = EvaluationLeaf {
        snapshot,
        plan: sealed.plan,
        results: serde_json::to_value(&evaluation.results)
            .map_err(|error| RoundError::Evidence(snapshot, Some(error)))?,
    };
    let draft = Draft::new(Body::Evaluation(body))
        .with_blob(Role::Findings, "application/json", &findings)?
        .with_changes(raised);
    let receipt = log.append(draft).await?;
    Ok((receipt.seq, evaluation))
}

/// What a plan and the exceptions say of the snapshot sealed at `seq`, which holds these resources. Pure: the same, whoever asks
/// and whenever.
pub fn judged(
    plan: &Plan,
    exceptions: &Exceptions,
    seq: u64,
    sealed: &SnapshotLeaf,
    resources: &[Resource],
) -> Evaluation {
    let mut evaluation = evaluated(plan, sealed, resources);
    except(
        &mut evaluation,
        exceptions,
        seq,
        (&sealed.source, sealed.covers.until()),
    );
    evaluation
}

/// The same without any exception.
pub fn evaluated(plan: &Plan, sealed: &SnapshotLeaf, resources: &[Resource]) -> Evaluation {
    plan.evaluate(
        &sealed.collector,
        &Observed {
            source: &sealed.source,
            target: &sealed.target,
            resources,
            complete: sealed.complete,
            now: sealed.covers.until(),
        },
    )
}

/// The payload of an evaluation's `findings` blob.
pub fn findings_payload(evaluation: &Evaluation) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Findings {
        findings: &evaluation.findings,
    })
}

/// Reads the payload of a `findings` blob.
pub fn parse_findings(payload: &[u8]) -> Result<Vec<Finding>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Findings {
        findings: Vec<Finding>,
    }
    serde_json::from_slice::<Findings>(payload).map(|read| read.findings)
}

/// Turns failures into excepted ones, by the exceptions that stand before the snapshot, which is of a source and speaks for an
/// instant.
pub fn except(
    evaluation: &mut Evaluation,
    exceptions: &Exceptions,
    snapshot: u64,
    (source, until): (&str, DateTime<Utc>),
) {
    evaluation.except(|test, resource| {
        let place = Place {
            test: test.as_str(),
            resource,
            source,
        };
        let covering = exceptions.covering(place, snapshot, until);
        covering.map(Waiver::note)
    });
}

/// A sealed snapshot as it stands in the log, and its resources.
fn sealed_snapshot(reader: &Reader, seq: u64) -> Result<(SnapshotLeaf, Vec<Resource>), RoundError> {
    let leaf = reader.leaf(seq)?.ok_or(RoundError::Evidence(seq, None))?;
    let resources = resources(reader, seq, &leaf)?;
    match leaf.body {
        Some(Body::Snapshot(sealed)) => Ok((sealed, resources)),
        _ => Err(RoundError::Evidence(seq, None)),
    }
}

/// Judges what a crash left unjudged, each snapshot under its own plan; returns how many there were.
///
/// One that can't be judged stays so, which every reader shows as unknown, and is no reason to collect nothing more.
pub async fn judge_unjudged(log: &Appender, reader: &Mutex<Reader>, after: After) -> Result<u64, RoundError> {
    let (mut judged, exceptions) = (0, Mutex::default());
    let unjudged = lock(reader).unjudged()?;
    for snapshot in unjudged {
        let plan = sealed_plan(&lock(reader), snapshot);
        let again = match plan {
            Ok(plan) => judge(log, reader, &exceptions, snapshot, (&plan, after)).await,
            Err(error) => Err(error),
        };
        match again {
            Ok(_) => judged += 1,
            Err(error) if error.concerns_one_snapshot() => {
                tracing::warn!(
                    "snapshot {snapshot} stays unjudged, `evidenced verify` may say more: {error}"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(judged)
}

/// The plan that a snapshot was collected under.
fn sealed_plan(reader: &Reader, snapshot: u64) -> Result<Plan, RoundError> {
    let leaf = reader
        .leaf(snapshot)?
        .ok_or(RoundError::Evidence(snapshot, None))?;
    match leaf.body {
        Some(Body::Snapshot(sealed)) => Ok(Plan::sealed(reader, sealed.plan)?),
        _ => Err(RoundError::Evidence(snapshot, None)),
    }
}

/// The resources of a sealed snapshot, of all its `evidence` blobs.
pub fn resources(reader: &Reader, seq: u64, leaf: &Leaf) -> Result<Vec<Resource>, RoundError> {
    let mut resources = Vec::new();
    for blob in leaf.blobs.iter().filter(|blob| blob.role == Role::Evidence) {
        let payload = reader
            .payload(&blob.sha256)?
            .ok_or(RoundError::Evidence(seq, None))?;
        resources.extend(
            super::evidence::parse(&payload).map_err(|error| RoundError::Evidence(seq, Some(error)))?,
        );
    }
    Ok(resources)
}

/// The findings of a sealed evaluation; none where they can't be read any more.
pub fn findings(reader: &Reader, leaf: &Leaf) -> Result<Option<Vec<Finding>>, StoreError> {
    let Some(blob) = leaf.blobs.iter().find(|blob| blob.role == Role::Findings) else {
        return Ok(None);
    };
    let payload = match reader.payload(&blob.sha256) {
        Err(error) if !error.is_damage() => return Err(error),
        payload => payload.ok().flatten(),
    };
    Ok(payload.and_then(|payload| parse_findings(&payload).ok()))
}

#[derive(serde::Serialize)]
struct Findings<'a> {
    findings: &'a [Finding],
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Neither has a state that a panic could leave half-way.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
