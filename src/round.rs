//! One round: a collector's targets, each collected, sealed, appended, and only then judged.
//!
//! Scheduled and ad hoc runs take this path, and so does what a crash left behind: judging always reads the sealed
//! snapshot back from the log, so it is the same whether that was appended a moment or a month ago.

use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use evidenced_collector_api::{CollectError, FailureClass, RateLimit, Run, Snapshot, Target, conformance};

use crate::alert::raise::{self, After};
use crate::clock::{Clock, SharedClock};
use crate::config::KeepRaw;
use crate::control::Evaluation;
use crate::exception::{Exceptions, Sealed};
use crate::log::append::{AppendError, Appender, Draft};
use crate::log::leaf::{Body, FailureLeaf, Missed, MissedReason, Role, Scope, SnapshotLeaf, Ticks, Trigger};
use crate::log::store::{Paths, Reader, StoreError};
use crate::plan::{Observed, Plan, PlanError};
use crate::registry::Job;

mod earlier;
mod evidence;
mod judge;
mod kept;
mod tries;

use earlier::EarlierRuns;
pub use evidence::{Evidence, parse as parse_evidence};
use judge::judge;
pub use judge::{
    evaluated, except, findings, findings_payload, judge_unjudged, judged, parse_findings, resources,
};
pub use tries::Room;
use tries::{Tries, begin, within_deadline};

/// What a round needs.
#[derive(Clone)]
pub struct Round {
    /// The log to append to.
    pub log: Appender,
    /// The same log, to read.
    pub reader: Arc<Mutex<Reader>>,
    /// The only source of time.
    pub clock: SharedClock,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// Its leaf.
    pub plan_seq: u64,
    /// When answers are kept as received.
    pub raw: KeepRaw,
    /// Why it runs.
    pub occasion: Occasion,
    /// Of how many failures in a row people are told, if anybody is.
    pub after: After,
    /// How much may be asked of sources at once.
    pub room: Room,
    /// Ends it: nothing more is asked for, and what is owed for its tick is recorded as interrupted.
    pub stop: CancellationToken,
}

/// Why a round runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// What set it off.
    pub trigger: Trigger,
    /// The scheduled instant that it accounts for; none outside the schedule.
    pub tick: Option<DateTime<Utc>>,
    /// For how long, from the round's beginning, what may pass by itself is tried again.
    pub retry_for: Duration,
}

impl Occasion {
    /// A person asked.
    pub const AD_HOC: Self = Self {
        trigger: Trigger::AdHoc,
        tick: None,
        retry_for: Duration::ZERO,
    };
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
    /// How much was asked of the source, each page counted.
    pub calls: u64,
    /// What the source said of its limits.
    pub limits: Vec<RateLimit>,
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

impl Round {
    /// Runs one collector on one source.
    pub async fn run(&self, job: &Job) -> Result<Vec<Taken>, RoundError> {
        let paths = self.reader().paths().clone();
        let earlier = EarlierRuns::of(job, &paths, self.clock.as_ref());
        let until = self.clock.monotonic() + self.occasion.retry_for;
        let mut tries = Tries::new(self, until);
        let targets = loop {
            let Some((run, within)) = tries.begin(job, &earlier).await else {
                break None;
            };
            let targets = within_deadline(&run, job.collector.targets(&run));
            let targets = self.unless_stopped(targets).await;
            drop(within);
            match targets {
                Some(Err(error)) if tries.again(job, &error).await => {}
                targets => break targets,
            }
        };
        let targets = match targets {
            Some(Ok(targets)) => targets,
            Some(Err(error)) => return Ok(vec![self.append_failure(job, None, &tries, error).await?]),
            None => {
                self.append_interrupted(job, &[None]).await?;
                return Ok(Vec::new());
            }
        };
        self.append_scope(job, &targets).await?;
        if targets.is_empty() && self.occasion.tick.is_some() {
            // Else nothing would say that anybody had looked.
            let error = CollectError::new(FailureClass::InvalidResponse, "the source has no targets");
            return Ok(vec![self.append_failure(job, None, &tries, error).await?]);
        }
        let mut taken = Vec::with_capacity(targets.len());
        let exceptions = Mutex::default();
        for (at, target) in targets.iter().enumerate() {
            let mut tries = Tries::new(self, until);
            let outcome = loop {
                let Some((run, within)) = tries.begin(job, &earlier).await else {
                    break None;
                };
                let outcome = self.unless_stopped(collect(job, target, &run)).await;
                drop(within);
                match outcome {
                    Some(Err(error)) if tries.again(job, &error).await => {}
                    outcome => break outcome,
                }
            };
            taken.push(match outcome {
                Some(Ok(snapshot)) => {
                    self.append_snapshot(job, target, &tries, &exceptions, snapshot)
                        .await?
                }
                Some(Err(error)) => self.append_failure(job, Some(target), &tries, error).await?,
                None => {
                    let rest: Vec<_> = targets[at..].iter().map(Some).collect();
                    self.append_interrupted(job, &rest).await?;
                    break;
                }
            });
        }
        Ok(taken)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // It has no state that a panic could leave half-way.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None if the round is to end before the work is done.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// The round was ended before it came to these targets, or to any.
    async fn append_interrupted(&self, job: &Job, targets: &[Option<&Target>]) -> Result<(), RoundError> {
        let Some(tick) = self.occasion.tick else {
            return Ok(());
        };
        for target in targets {
            let missed = Missed {
                collector: job.collector.id().to_owned(),
                source: job.source.clone(),
                target: target.map(ToString::to_string),
                ticks: Ticks::one(tick),
                reason: MissedReason::Interrupted,
                note: None,
            };
            self.log.append(Draft::new(Body::Missed(missed))).await?;
        }
        Ok(())
    }

    /// Durable first, judged second.
    async fn append_snapshot(
        &self,
        job: &Job,
        target: &Target,
        tries: &Tries<'_>,
        exceptions: &Mutex<Sealed>,
        snapshot: Snapshot,
    ) -> Result<Taken, RoundError> {
        let scope = (job.collector.id(), job.source.as_str(), Some(target.as_str()));
        let (covers, complete) = (snapshot.covers, snapshot.provenance.completeness.complete);
        let evidence = Evidence::of(&snapshot, job.collector.volatile());
        let keep_raw =
            self.raw == KeepRaw::Always || evidence.wants_raw(&self.reader(), scope, self.clock.now())?;
        let mut draft = Draft::new(Body::Snapshot(SnapshotLeaf {
            plan: self.plan_seq,
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            target: target.to_string(),
            tick: self.occasion.tick,
            trigger: self.occasion.trigger,
            started: tries.started,
            finished: self.clock.now(),
            attempts: tries.attempts,
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
                    return self.append_failure(job, Some(target), tries, error).await;
                }
                draft => draft?,
            };
        }
        let over = raise::of_snapshot(
            &self.reader(),
            self.after,
            job.collector.id(),
            &job.source,
            target.as_str(),
        )?;
        let receipt = self.log.append(draft.with_changes(over)).await?;
        let (judged, evaluation) = judge(
            &self.log,
            &self.reader,
            exceptions,
            receipt.seq,
            (&self.plan, self.after),
        )
        .await?;
        Ok(Taken {
            seq: Some(receipt.seq),
            outcome: Ok(Collected {
                complete,
                resources: snapshot.resources.len() as u64,
                until: covers.until(),
                judged: Some(judged),
                evaluation,
                calls: calls(&snapshot),
                limits: snapshot.provenance.limits,
            }),
            ..not_taken(job, Some(target))
        })
    }

    async fn append_failure(
        &self,
        job: &Job,
        target: Option<&Target>,
        tries: &Tries<'_>,
        error: CollectError,
    ) -> Result<Taken, RoundError> {
        let failure = FailureLeaf {
            plan: self.plan_seq,
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            target: target.map(ToString::to_string),
            tick: self.occasion.tick,
            trigger: self.occasion.trigger,
            started: tries.started,
            finished: self.clock.now(),
            attempts: tries.attempts,
            class: error.class,
            message: error.message.clone(),
            retryable: error.retryable,
        };
        let named = target.map(Target::as_str);
        let raised = raise::of_failure(&self.reader(), self.after, job.collector.id(), &job.source, named)?;
        let draft = Draft::new(Body::Failure(failure)).with_changes(raised);
        let receipt = self.log.append(draft).await?;
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
        if self.newest_scope(job)?.as_ref() == Some(&payload) {
            return Ok(());
        }
        let scope = Scope {
            collector: job.collector.id().to_owned(),
            source: job.source.clone(),
            count: targets.len() as u64,
        };
        let raised = raise::of_scope(
            &self.reader(),
            self.after,
            job.collector.id(),
            &job.source,
            &names,
        )?;
        let draft = Draft::new(Body::Scope(scope)).with_blob(Role::Scope, "application/json", &payload)?;
        self.log.append(draft.with_changes(raised)).await?;
        Ok(())
    }

    fn newest_scope(&self, job: &Job) -> Result<Option<Vec<u8>>, RoundError> {
        let reader = self.reader();
        let Some(seq) = reader.newest("scope", Some((job.collector.id(), &job.source, None)))? else {
            return Ok(None);
        };
        let blobs = undamaged(reader.leaf(seq))?
            .map(|leaf| leaf.blobs)
            .unwrap_or_default();
        match blobs.iter().find(|blob| blob.role == Role::Scope) {
            Some(blob) => Ok(undamaged(reader.payload(&blob.sha256))?),
            None => Ok(None),
        }
    }
}

/// Runs a collector as a round does, writing nothing.
pub async fn dry_run(job: &Job, plan: &Plan, clock: &dyn Clock, store: &Paths) -> Vec<Taken> {
    let earlier = EarlierRuns::without_answers(job, store);
    let (none, mut sealed) = (Exceptions::default(), Sealed::default());
    // Where they can't be read, what they cover shows as failing.
    let exceptions = Reader::open(store)
        .and_then(|reader| sealed.up_to_date(&reader))
        .unwrap_or(&none);
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
            let mut evaluation = plan.evaluate(job.collector.id(), &observed);
            let place = (job.source.as_str(), observed.now);
            except(&mut evaluation, exceptions, Exceptions::NOW, place);
            Collected {
                complete: observed.complete,
                resources: snapshot.resources.len() as u64,
                until: observed.now,
                judged: None,
                evaluation,
                calls: calls(&snapshot),
                limits: snapshot.provenance.limits.clone(),
            }
        });
        taken.push(Taken {
            outcome,
            ..not_taken(job, Some(target))
        });
    }
    taken
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
pub(crate) fn undamaged<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read,
    }
}

fn calls(snapshot: &Snapshot) -> u64 {
    snapshot
        .provenance
        .calls
        .iter()
        .map(|call| call.pages.max(1))
        .sum()
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
