//! One round: a collector's targets, each collected, sealed, appended, and only then judged.
//!
//! Scheduled and ad hoc runs take this path, and so does what a crash left behind: judging always reads the sealed
//! snapshot back from the log, so it is the same whether that was appended a moment or a month ago.

use chrono::{DateTime, Utc};
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use evidenced_collector_api::{CollectError, FailureClass, Resource, Run, Snapshot, Target, conformance};

use crate::clock::Clock;
use crate::config::KeepRaw;
use crate::control::{Evaluation, Finding};
use crate::log::append::{AppendError, Appender, Draft};
use crate::log::leaf::{Body, EvaluationLeaf, FailureLeaf, Role, Scope, SnapshotLeaf, Trigger};
use crate::log::store::{Paths, Reader, StoreError};
use crate::plan::{Observed, Plan, PlanError};
use crate::registry::Job;

mod earlier;
mod evidence;
mod kept;

use earlier::EarlierRuns;
pub use evidence::Evidence;

/// What a round needs.
pub struct Round<'a> {
    /// The log to append to.
    pub log: &'a Appender,
    /// The same log, to read.
    pub reader: &'a Reader,
    /// The only source of time.
    pub clock: &'a dyn Clock,
    /// The plan in force.
    pub plan: u64,
    /// When answers are kept as received.
    pub raw: KeepRaw,
    /// Why it runs.
    pub trigger: Trigger,
}

/// How a round ended for one target, or for all where these could not be found out.
#[derive(Debug)]
pub struct Taken {
    /// The leaf; `None` if nothing was written (a dry run).
    pub seq: Option<u64>,
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target; `None` if the targets could not be found out.
    pub target: Option<String>,
    /// What was collected, or why nothing was.
    pub outcome: Result<Collected, CollectError>,
}

/// A snapshot and its judgement.
#[derive(Debug)]
pub struct Collected {
    /// Whether it is the whole population.
    pub complete: bool,
    /// How many resources.
    pub resources: u64,
    /// The end of what it covers.
    pub until: DateTime<Utc>,
    /// The evaluation's leaf; `None` if nothing was written (a dry run).
    pub judged: Option<u64>,
    /// What the tests said.
    pub evaluation: Evaluation,
}

/// A round can't go on: what was collected is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A sealed snapshot can't be read.
    #[error("the evidence of snapshot {0} can't be read")]
    Evidence(u64, #[source] Option<serde_json::Error>),
}

impl RoundError {
    /// Whether another snapshot may well be judged.
    fn concerns_one_snapshot(&self) -> bool {
        match self {
            Self::Store(error) | Self::Plan(PlanError::Store(error)) => error.is_damage(),
            Self::Append(error) => matches!(error, AppendError::Encode(_) | AppendError::TooLarge(_)),
            Self::Evidence(..) | Self::Plan(_) => true,
        }
    }
}

impl Round<'_> {
    /// Runs one collector on one source; `plan` is the plan in force.
    pub async fn run(&self, job: &Job, plan: &Plan) -> Result<Vec<Taken>, RoundError> {
        let earlier = EarlierRuns::of(job, self.reader.paths(), self.clock);
        let run = begin(job, self.clock, &earlier);
        let targets = match within_deadline(&run, job.collector.targets(&run)).await {
            Ok(targets) => targets,
            Err(error) => return Ok(vec![self.append_failure(job, None, run.started, error).await?]),
        };
        self.append_scope(job, &targets).await?;
        let mut taken = Vec::with_capacity(targets.len());
        for target in &targets {
            let run = begin(job, self.clock, &earlier);
            taken.push(match collect(job, target, &run).await {
                Ok(snapshot) => {
                    self.append_snapshot(job, target, run.started, snapshot, plan)
                        .await?
                }
                Err(error) => self.append_failure(job, Some(target), run.started, error).await?,
            });
        }
        Ok(taken)
    }

    /// Durable first, judged second.
    async fn append_snapshot(
        &self,
        job: &Job,
        target: &Target,
        started: DateTime<Utc>,
        snapshot: Snapshot,
        plan: &Plan,
    ) -> Result<Taken, RoundError> {
        let scope = (job.collector.id(), job.source.as_str(), Some(target.as_str()));
        let (covers, complete) = (snapshot.covers, snapshot.provenance.completeness.complete);
        let evidence = Evidence::of(&snapshot, job.collector.volatile());
        let keep_raw =
            self.raw == KeepRaw::Always || evidence.wants_raw(self.reader, scope, self.clock.now())?;
        let mut draft = Draft::new(Body::Snapshot(SnapshotLeaf {
            plan: self.plan,
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            target: target.to_string(),
            tick: None,
            trigger: self.trigger,
            started,
            finished: self.clock.now(),
            attempts: 1,
            covers,
            complete,
            resources: snapshot.resources.len() as u64,
        }));
        let sealed = seal(&evidence, &snapshot, keep_raw);
        for (role, media_type, payload) in &sealed {
            draft = match draft.with_blob(role.clone(), media_type, payload) {
                Err(AppendError::TooLarge(bytes)) => {
                    let what = format!("a payload of {bytes} bytes, and the log takes none above 16 MiB");
                    let error = CollectError::new(FailureClass::Internal, what);
                    return self.append_failure(job, Some(target), started, error).await;
                }
                draft => draft?,
            };
        }
        let receipt = self.log.append(draft).await?;
        let (judged, evaluation) = judge(self.log, self.reader, receipt.seq, plan).await?;
        Ok(Taken {
            seq: Some(receipt.seq),
            outcome: Ok(Collected {
                complete,
                resources: snapshot.resources.len() as u64,
                until: covers.until(),
                judged: Some(judged),
                evaluation,
            }),
            ..not_taken(job, Some(target))
        })
    }

    async fn append_failure(
        &self,
        job: &Job,
        target: Option<&Target>,
        started: DateTime<Utc>,
        error: CollectError,
    ) -> Result<Taken, RoundError> {
        let failure = FailureLeaf {
            plan: self.plan,
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            target: target.map(ToString::to_string),
            tick: None,
            trigger: self.trigger,
            started,
            finished: self.clock.now(),
            attempts: 1,
            class: error.class,
            message: error.message.clone(),
            retryable: error.retryable,
        };
        let receipt = self.log.append(Draft::new(Body::Failure(failure))).await?;
        Ok(Taken {
            seq: Some(receipt.seq),
            outcome: Err(error),
            ..not_taken(job, target)
        })
    }

    /// A changed set of targets stands in the log before the snapshots of its targets.
    async fn append_scope(&self, job: &Job, targets: &[Target]) -> Result<(), RoundError> {
        let names: Vec<&str> = targets.iter().map(Target::as_str).collect();
        let payload = serde_json::json!({ "targets": names }).to_string().into_bytes();
        if let Some(seq) = self
            .reader
            .newest("scope", Some((job.collector.id(), &job.source, None)))?
            && let Some(leaf) = undamaged(self.reader.leaf(seq))?
            && let Some(blob) = leaf.blobs.iter().find(|blob| blob.role == Role::Scope)
            && undamaged(self.reader.payload(&blob.sha256))?.as_ref() == Some(&payload)
        {
            return Ok(());
        }
        let scope = Scope {
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            count: targets.len() as u64,
        };
        let draft = Draft::new(Body::Scope(scope)).with_blob(Role::Scope, "application/json", &payload)?;
        self.log.append(draft).await?;
        Ok(())
    }
}

/// Runs a collector as a round does, writing nothing.
pub async fn dry_run(job: &Job, plan: &Plan, clock: &dyn Clock, store: &Paths) -> Vec<Taken> {
    let earlier = EarlierRuns::without_answers(job, store);
    let run = begin(job, clock, &earlier);
    let targets = match within_deadline(&run, job.collector.targets(&run)).await {
        Ok(targets) => targets,
        Err(error) => {
            return vec![Taken {
                outcome: Err(error),
                ..not_taken(job, None)
            }];
        }
    };
    let mut taken = Vec::with_capacity(targets.len());
    for target in &targets {
        let run = begin(job, clock, &earlier);
        let outcome = collect(job, target, &run).await.map(|snapshot| {
            let observed = Observed {
                source: &job.source,
                target: target.as_str(),
                resources: &snapshot.resources,
                complete: snapshot.provenance.completeness.complete,
                now: snapshot.covers.until(),
            };
            Collected {
                complete: observed.complete,
                resources: snapshot.resources.len() as u64,
                until: observed.now,
                judged: None,
                evaluation: plan.evaluate(job.collector.id(), &observed),
            }
        });
        taken.push(Taken {
            outcome,
            ..not_taken(job, Some(target))
        });
    }
    taken
}

/// Judges a sealed snapshot under its plan, and appends the evaluation; returns where that is, and what it says.
pub async fn judge(
    log: &Appender,
    reader: &Reader,
    snapshot: u64,
    plan: &Plan,
) -> Result<(u64, Evaluation), RoundError> {
    let leaf = reader
        .leaf(snapshot)?
        .ok_or(RoundError::Evidence(snapshot, None))?;
    let Some(Body::Snapshot(sealed)) = &leaf.body else {
        return Err(RoundError::Evidence(snapshot, None));
    };
    let resources = resources(reader, snapshot, &leaf)?;
    let observed = Observed {
        source: &sealed.source,
        target: &sealed.target,
        resources: &resources,
        complete: sealed.complete,
        now: sealed.covers.until(),
    };
    let evaluation = plan.evaluate(&sealed.collector, &observed);
    let findings = serde_json::to_vec(&Findings {
        findings: &evaluation.findings,
    })
    .map_err(|error| RoundError::Evidence(snapshot, Some(error)))?;
    let body = EvaluationLeaf {
        snapshot,
        plan: sealed.plan,
        results: serde_json::to_value(&evaluation.results)
            .map_err(|error| RoundError::Evidence(snapshot, Some(error)))?,
    };
    let draft =
        Draft::new(Body::Evaluation(body)).with_blob(Role::Findings, "application/json", &findings)?;
    let receipt = log.append(draft).await?;
    Ok((receipt.seq, evaluation))
}

/// Judges what a crash left unjudged, each snapshot under its own plan; returns how many there were.
///
/// One that can't be judged stays so, which every reader shows as unknown, and is no reason to collect nothing more.
pub async fn judge_unjudged(log: &Appender, reader: &Reader) -> Result<u64, RoundError> {
    let mut judged = 0;
    for snapshot in reader.unjudged()? {
        match judge_again(log, reader, snapshot).await {
            Ok(()) => judged += 1,
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

async fn judge_again(log: &Appender, reader: &Reader, snapshot: u64) -> Result<(), RoundError> {
    let leaf = reader
        .leaf(snapshot)?
        .ok_or(RoundError::Evidence(snapshot, None))?;
    let Some(Body::Snapshot(sealed)) = leaf.body else {
        return Err(RoundError::Evidence(snapshot, None));
    };
    let plan = Plan::sealed(reader, sealed.plan)?;
    judge(log, reader, snapshot, &plan).await?;
    Ok(())
}

/// The resources of a sealed snapshot, of all its `evidence` blobs.
pub fn resources(
    reader: &Reader,
    seq: u64,
    leaf: &crate::log::leaf::Leaf,
) -> Result<Vec<Resource>, RoundError> {
    let mut resources = Vec::new();
    for blob in leaf.blobs.iter().filter(|blob| blob.role == Role::Evidence) {
        let payload = reader
            .payload(&blob.sha256)?
            .ok_or(RoundError::Evidence(seq, None))?;
        resources.extend(evidence::parse(&payload).map_err(|error| RoundError::Evidence(seq, Some(error)))?);
    }
    Ok(resources)
}

#[derive(serde::Serialize)]
struct Findings<'a> {
    findings: &'a [Finding],
}

/// Collects one target, and refuses what a collector must not return.
async fn collect(job: &Job, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
    let snapshot = within_deadline(run, job.collector.collect(target, run)).await?;
    match conformance::snapshot_breaches(&snapshot, run).into_iter().next() {
        None => Ok(snapshot),
        Some(breach) => {
            let what = format!(
                "{} {} broke its contract: {}",
                job.collector.id(),
                job.collector.version(),
                without_id(&breach)
            );
            tracing::warn!("{} of {}: {breach}", job.collector.id(), job.source);
            Err(CollectError::new(FailureClass::Internal, what))
        }
    }
}

/// A breach without the resource's id, which may be a person's name and so has no place in a leaf.
fn without_id(breach: &str) -> String {
    let parts = breach
        .split_once(" \"")
        .and_then(|(kind, rest)| Some((kind, rest.rsplit_once("\": ")?.1)));
    parts.map_or_else(|| breach.to_owned(), |(kind, what)| format!("{kind}: {what}"))
}

/// Earlier evidence that is damaged is for `verify` to report; here it only means that there is none to compare with.
fn undamaged<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read,
    }
}

fn begin<'a>(job: &Job, clock: &'a dyn Clock, earlier: &'a EarlierRuns) -> Run<'a> {
    Run {
        deadline: clock.monotonic() + job.deadline,
        earlier,
        ..Run::begin(clock)
    }
}

async fn within_deadline<T>(
    run: &Run<'_>,
    work: impl Future<Output = Result<T, CollectError>>,
) -> Result<T, CollectError> {
    let time = run.remaining();
    tokio::time::timeout(time, unpanicked(work))
        .await
        .unwrap_or_else(|_| {
            let what = format!("no end after {} seconds", time.as_secs());
            Err(CollectError::new(FailureClass::Timeout, what))
        })
}

/// A collector that panics has failed like any other: silence is never compliance.
async fn unpanicked<T>(work: impl Future<Output = Result<T, CollectError>>) -> Result<T, CollectError> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let what = "the collector panicked: this is a bug in it";
            Poll::Ready(Err(CollectError::new(FailureClass::Internal, what)))
        })
    })
    .await
}

fn seal(evidence: &Evidence, snapshot: &Snapshot, keep_raw: bool) -> Vec<(Role, String, Vec<u8>)> {
    let json = "application/json".to_owned();
    let provenance = serde_json::to_vec(&snapshot.provenance).unwrap_or_default();
    let parts = evidence.parts().iter();
    let mut sealed: Vec<_> = parts
        .map(|part| (Role::Evidence, json.clone(), part.clone()))
        .collect();
    if keep_raw {
        sealed.extend(
            snapshot
                .raw
                .iter()
                .map(|raw| (Role::Raw, raw.media_type.clone(), raw.body.clone())),
        );
    }
    sealed.push((Role::Provenance, json, provenance));
    sealed
}

fn not_taken(job: &Job, target: Option<&Target>) -> Taken {
    Taken {
        seq: None,
        collector: job.collector.id().to_owned(),
        source: job.source.clone(),
        target: target.map(ToString::to_string),
        outcome: Err(CollectError::new(FailureClass::Internal, "not run")),
    }
}
