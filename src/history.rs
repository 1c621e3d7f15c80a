//! Snapshots and their past, as far as drift needs them: read from the log, the large parts kept by their digest. Reads only.
//!
//! What can't be read any more is left out of the past, as if it had never been taken: that neither hides a change nor
//! makes one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::control::Finding;
use crate::drift::{Drift, Findings, Moment, Resources, SealedPlan, Snapshot, Targets, drifts, scope_drifts};
use crate::log::leaf::{Body, Leaf, Role, SnapshotLeaf};
use crate::log::store::{Reader, StoreError};
use crate::log::tree::Hash;
use crate::plan::{Plan, PlanError};
use crate::round::{self, RoundError, undamaged};

/// What changed with a leaf can't be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The leaf is neither a snapshot nor a scope, or what it names can't be read any more.
    #[error("leaf {0} is no snapshot and no scope that can be read")]
    Unreadable(u64),
}

/// What changed with one snapshot, or one `scope` leaf, against its past.
pub fn drifts_of(reader: &Reader, seq: u64) -> Result<Vec<Drift>, HistoryError> {
    History::default().drifts_of(reader, seq)
}

/// What was read of snapshots lately. One may serve many snapshots of the same store: best target by target, oldest first.
pub struct History {
    outlines: Recent<u64, Arc<Outline>>,
    resources: Recent<Vec<Hash>, Arc<Resources>>,
    findings: Recent<Hash, Arc<Findings>>,
    plans: Recent<u64, Arc<SealedPlan>>,
}

impl Default for History {
    fn default() -> Self {
        // Of what may be large, no more than a target that alternates between two states needs.
        Self {
            outlines: Recent::of(16),
            resources: Recent::of(3),
            findings: Recent::of(3),
            plans: Recent::of(4),
        }
    }
}

impl History {
    /// What changed with one snapshot, or one `scope` leaf, against its past.
    pub fn drifts_of(&mut self, reader: &Reader, seq: u64) -> Result<Vec<Drift>, HistoryError> {
        if let Some(later) = self.outline(reader, seq)? {
            return self.of_snapshot(reader, &later);
        }
        match targets(reader, seq)? {
            Some(later) => of_scope(reader, &later),
            None => Err(HistoryError::Unreadable(seq)),
        }
    }

    fn of_snapshot(&mut self, reader: &Reader, later: &Outline) -> Result<Vec<Drift>, HistoryError> {
        let seq = later.moment.seq;
        match Past::of(later).next(self, reader)? {
            None => return Ok(Vec::new()),
            // What is stored once and judged the same did not change: there is nothing to read.
            Some(before) if before.digests() == later.digests() => return Ok(Vec::new()),
            Some(_) => {}
        }
        let snapshot = self.snapshot(reader, later)?;
        let snapshot = snapshot.ok_or(HistoryError::Unreadable(seq))?;
        let mut past = Past::of(later);
        let mut next = || -> Result<_, HistoryError> {
            while let Some(outline) = past.next(self, reader)? {
                if let Some(snapshot) = self.snapshot(reader, &outline)? {
                    return Ok(Some(Arc::new(snapshot)));
                }
            }
            Ok(None)
        };
        drifts(&snapshot, std::iter::from_fn(|| next().transpose()))
    }

    /// A snapshot's leaves; none if it is no snapshot, or can't be read.
    fn outline(&mut self, reader: &Reader, seq: u64) -> Result<Option<Arc<Outline>>, HistoryError> {
        self.outlines.or_read(&seq, || {
            let Some(leaf) = undamaged(reader.leaf(seq))? else {
                return Ok(None);
            };
            let Some(Body::Snapshot(body)) = leaf.body.clone() else {
                return Ok(None);
            };
            let judged = match undamaged(reader.evaluation_of(seq))? {
                Some(evaluation) => undamaged(reader.leaf(evaluation))?.and_then(judgement),
                None => None,
            };
            Ok(Some(Arc::new(Outline {
                moment: Moment { seq, time: leaf.time },
                evidence: digests(&leaf, &Role::Evidence).collect(),
                body,
                leaf,
                judged,
            })))
        })
    }

    /// A snapshot with its resources and findings; none if the leaf is none, or can't be read.
    pub fn snapshot_at(&mut self, reader: &Reader, seq: u64) -> Result<Option<Snapshot>, HistoryError> {
        match self.outline(reader, seq)? {
            Some(outline) => self.snapshot(reader, &outline),
            None => Ok(None),
        }
    }

    /// A snapshot with all that it names; none if that can't be read. Without its findings it is one that nobody judged.
    fn snapshot(&mut self, reader: &Reader, outline: &Outline) -> Result<Option<Snapshot>, HistoryError> {
        let body = &outline.body;
        let resources = self.resources.or_read(&outline.evidence, || {
            match round::resources(reader, outline.moment.seq, &outline.leaf) {
                Ok(resources) => Ok(Some(Arc::new(Resources::new(resources)))),
                Err(RoundError::Store(error)) if !error.is_damage() => Err(HistoryError::from(error)),
                Err(_) => Ok(None),
            }
        })?;
        let (Some(resources), Some(plan)) = (resources, self.plan(reader, body.plan)?) else {
            return Ok(None);
        };
        let judged = match outline.judged {
            Some((findings, rules)) => {
                let read = || undamaged(read_findings(reader, &findings)).map(|read| read.map(Arc::new));
                let findings = self.findings.or_read(&findings, read)?;
                findings.zip(self.plan(reader, rules)?)
            }
            None => None,
        };
        let (findings, rules) = judged.unzip();
        Ok(Some(Snapshot {
            moment: outline.moment,
            collector: body.collector.clone(),
            source: body.source.clone(),
            target: body.target.clone(),
            covers: body.covers,
            complete: body.complete,
            resources,
            findings,
            rules: rules.unwrap_or_else(|| Arc::clone(&plan)),
            plan,
        }))
    }

    fn plan(&mut self, reader: &Reader, seq: u64) -> Result<Option<Arc<SealedPlan>>, HistoryError> {
        self.plans.or_read(&seq, || {
            let Some(Body::Plan(leaf)) = undamaged(reader.leaf(seq))?.and_then(|leaf| leaf.body) else {
                return Ok(None);
            };
            match Plan::sealed_lists(reader, seq) {
                Ok(lists) => Ok(Some(Arc::new(SealedPlan::new(leaf.version, lists)))),
                Err(PlanError::Store(error)) if !error.is_damage() => Err(error.into()),
                Err(_) => Ok(None),
            }
        })
    }
}

/// A snapshot without its payloads.
struct Outline {
    moment: Moment,
    leaf: Leaf,
    body: SnapshotLeaf,
    evidence: Vec<Hash>,
    /// The findings of the newest evaluation, and the plan that it judged by.
    judged: Option<(Hash, u64)>,
}

impl Outline {
    /// By this, two snapshots of a target are known to say the same: completeness, evidence, findings.
    fn digests(&self) -> (bool, Vec<Hash>, Option<Hash>) {
        let findings = self.judged.map(|(findings, _)| findings);
        (self.body.complete, self.evidence.clone(), findings)
    }
}

/// The snapshots before one, newest first, those left out that say the same as one before.
struct Past<'a> {
    scope: (&'a str, &'a str, Option<&'a str>),
    at: u64,
    seen: HashSet<(bool, Vec<Hash>, Option<Hash>)>,
}

impl<'a> Past<'a> {
    fn of(later: &'a Outline) -> Self {
        let body = &later.body;
        Self {
            scope: (&body.collector, &body.source, Some(&body.target)),
            at: later.moment.seq,
            seen: HashSet::new(),
        }
    }

    fn next(&mut self, history: &mut History, reader: &Reader) -> Result<Option<Arc<Outline>>, HistoryError> {
        while let Some(at) = reader.newest_before(self.at, "snapshot", self.scope)? {
            self.at = at;
            if let Some(outline) = history.outline(reader, at)?
                && self.seen.insert(outline.digests())
            {
                return Ok(Some(outline));
            }
        }
        Ok(None)
    }
}

/// The findings of a snapshot's newest evaluation; none where nothing has judged it, or they were erased.
pub fn findings_of(reader: &Reader, snapshot: u64) -> Result<Option<Findings>, StoreError> {
    let Some(evaluation) = reader.evaluation_of(snapshot)? else {
        return Ok(None);
    };
    match reader.leaf(evaluation)?.and_then(judgement) {
        Some((findings, _)) => read_findings(reader, &findings),
        None => Ok(None),
    }
}

fn judgement(leaf: Leaf) -> Option<(Hash, u64)> {
    let findings = digests(&leaf, &Role::Findings).next()?;
    match leaf.body {
        Some(Body::Evaluation(body)) => Some((findings, body.plan)),
        _ => None,
    }
}

fn read_findings(reader: &Reader, digest: &Hash) -> Result<Option<Findings>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Payload {
        findings: Vec<Finding>,
    }
    let Some(payload) = reader.payload(digest)? else {
        return Ok(None);
    };
    serde_json::from_slice::<Payload>(&payload)
        .map(|read| Some(Findings::new(read.findings)))
        .map_err(|error| StoreError::Damaged(format!("findings can't be read: {error}")))
}

fn digests(leaf: &Leaf, role: &Role) -> impl Iterator<Item = Hash> {
    let blobs = leaf.blobs.iter().filter(move |blob| blob.role == *role);
    blobs.map(|blob| blob.sha256)
}

/// Against the last scope that can be read.
fn of_scope(reader: &Reader, later: &Targets) -> Result<Vec<Drift>, HistoryError> {
    let scope = (later.collector.as_str(), later.source.as_str(), None);
    let mut at = later.moment.seq;
    while let Some(seq) = reader.newest_before(at, "scope", scope)? {
        if let Some(earlier) = targets(reader, seq)? {
            return Ok(scope_drifts(later, &earlier));
        }
        at = seq;
    }
    Ok(Vec::new())
}

/// What a `scope` leaf says; none if the leaf is another, or can't be read.
fn targets(reader: &Reader, seq: u64) -> Result<Option<Targets>, HistoryError> {
    let Some(leaf) = undamaged(reader.leaf(seq))? else {
        return Ok(None);
    };
    let Some(Body::Scope(scope)) = leaf.body else {
        return Ok(None);
    };
    let targets = undamaged(reader.targets(seq).map(Some))?;
    Ok(targets.map(|targets| Targets {
        moment: Moment { seq, time: leaf.time },
        collector: scope.collector,
        source: scope.source,
        targets: targets.into_iter().collect(),
    }))
}

/// The last few of what was read, the newest last.
struct Recent<K, V> {
    kept: VecDeque<(K, V)>,
    limit: usize,
}

impl<K: Clone + PartialEq, V: Clone> Recent<K, V> {
    fn of(limit: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            limit,
        }
    }

    /// What is kept, or is read now. What can't be read is not kept.
    fn or_read<E>(&mut self, key: &K, read: impl FnOnce() -> Result<Option<V>, E>) -> Result<Option<V>, E> {
        let held = self.kept.iter().position(|(held, _)| held == key);
        let held = held.and_then(|at| self.kept.remove(at));
        let value = match held {
            Some((_, value)) => Some(value),
            None => read()?,
        };
        if let Some(value) = &value {
            if self.kept.len() == self.limit {
                self.kept.pop_front();
            }
            self.kept.push_back((key.clone(), value.clone()));
        }
        Ok(value)
    }
}
