//! Judging every snapshot in a bundle again, from its evidence, by the plan that it was judged by and the exceptions that stand
//! before it, and comparing with what was recorded. Never writes, and needs no store.
//!
//! It rests on the bundle being verified: blobs are looked up by the names that were checked. What is not there can't be
//! performed again: it is named, and never counts as the same.
//!
//! The same evidence, plan and exceptions give the same findings. So what was compared once need not be read again, where no test
//! of that collector looks at the time, or the time is the same too.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use evidenced_collector_api::Resource;

use super::archive::{Archive, ArchiveError};
use super::blob_path;
use crate::exception::{self, Exceptions};
use crate::log::blob::{self, MAX_PAYLOAD};
use crate::log::leaf::{self, BlobRef, Body, EvaluationLeaf, Leaf, Role, SnapshotLeaf};
use crate::log::tree::Hash;
use crate::plan::{Lists, Plan};
use crate::round;

mod difference;

pub use difference::Difference;

/// Differences beyond this number are counted, not listed.
const LISTED: usize = 1000;

/// Resources are kept of so many bytes of evidence.
const KEPT: usize = 32 << 20;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Performed {
    /// Evaluations performed again, and the same.
    pub same: u64,
    /// Findings compared, of those and of the ones that differ.
    pub findings: u64,
    /// Evaluations that differ.
    pub different: u64,
    /// Where they do, the first ones.
    pub differences: Vec<Difference>,
    /// Evaluations that can't be performed again, with why.
    pub not_performed: Vec<(u64, String)>,
    /// Snapshots that nothing has judged.
    pub unjudged: Vec<u64>,
}

/// Performs every evaluation in a bundle again. `progress` is told how many leaves have been gone through, of how many.
///
/// # Errors
/// Where the bundle can't be read any more.
pub fn reperform(
    archive: &Archive,
    leaves: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Performed, ArchiveError> {
    let mut again = Again::of(archive)?;
    let mut done = 0;
    each_leaf(archive, |seq, kind, bytes| {
        done += 1;
        progress(done, leaves);
        match kind {
            "snapshot" => again.add_snapshot(seq, bytes),
            "evaluation" => again.perform(seq, bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(again.finish())
}

/// What is known when evaluations are gone through.
struct Again<'a> {
    archive: &'a Archive,
    exceptions: Exceptions,
    /// The exceptions' leaves, in order.
    exceptional: Vec<u64>,
    /// Those that can't be read from the bundle.
    unreadable: Vec<u64>,
    plans: BTreeMap<u64, BlobRef>,
    compiled: HashMap<Hash, Arc<Compiled>>,
    snapshots: BTreeMap<u64, (SnapshotLeaf, Vec<Hash>)>,
    judged: HashSet<u64>,
    kept: VecDeque<(Vec<Hash>, Arc<Vec<Resource>>, usize)>,
    /// What was found the same, by what it follows from: what was recorded, and how many findings it has.
    known: HashMap<Hash, (Hash, u64)>,
    performed: Performed,
}

/// A plan, ready to judge by.
struct Compiled {
    plan: Plan,
    /// The collectors with a test that looks at the time.
    timely: HashSet<String>,
}

impl<'a> Again<'a> {
    /// Reads plans and exceptions first: they may stand behind what they are about.
    fn of(archive: &'a Archive) -> Result<Self, ArchiveError> {
        let mut again = Self {
            archive,
            exceptions: Exceptions::default(),
            exceptional: Vec::new(),
            unreadable: Vec::new(),
            plans: BTreeMap::new(),
            compiled: HashMap::new(),
            snapshots: BTreeMap::new(),
            judged: HashSet::new(),
            kept: VecDeque::new(),
            known: HashMap::new(),
            performed: Performed::default(),
        };
        each_leaf(archive, |seq, kind, bytes| {
            match kind {
                "plan" => {
                    let blobs = leaf::blobs(bytes).unwrap_or_default();
                    let blob = blobs.into_iter().find(|blob| blob.role == Role::Plan);
                    again.plans.extend(blob.map(|blob| (seq, blob)));
                }
                "exception" => again.add_exception(seq, bytes)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(again)
    }

    fn add_exception(&mut self, seq: u64, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.exceptional.push(seq);
        let Ok(Leaf {
            body: Some(Body::Exception(exception)),
            blobs,
            ..
        }) = leaf::decode(bytes)
        else {
            self.exceptions.add_unknown(seq);
            self.unreadable.push(seq);
            return Ok(());
        };
        let blob = blobs.iter().find(|blob| blob.role == Role::Resources);
        let payload = match blob {
            Some(blob) => payload(self.archive, &blob.sha256)?,
            None => None,
        };
        let resources = payload.and_then(|payload| exception::parse(&payload));
        if resources.is_none() {
            self.unreadable.push(seq);
        }
        self.exceptions.add_sealed(seq, &exception, resources);
        Ok(())
    }

    fn add_snapshot(&mut self, seq: u64, bytes: &[u8]) {
        if let Ok(Leaf {
            body: Some(Body::Snapshot(sealed)),
            blobs,
            ..
        }) = leaf::decode(bytes)
        {
            let evidence = blobs.iter().filter(|blob| blob.role == Role::Evidence);
            let evidence = evidence.map(|blob| blob.sha256).collect();
            self.snapshots.insert(seq, (sealed, evidence));
        }
    }

    fn perform(&mut self, seq: u64, bytes: &[u8]) -> Result<(), ArchiveError> {
        if let Err(why) = self.try_to_perform(seq, bytes)? {
            self.performed.not_performed.push((seq, why));
        }
        Ok(())
    }

    /// What came of it is noted; or why it can't be performed.
    fn try_to_perform(&mut self, seq: u64, bytes: &[u8]) -> Result<Result<(), String>, ArchiveError> {
        let Ok(Leaf {
            body: Some(Body::Evaluation(recorded)),
            blobs,
            ..
        }) = leaf::decode(bytes)
        else {
            return Ok(Err("the leaf can't be read".to_owned()));
        };
        self.judged.insert(recorded.snapshot);
        let Some((sealed, evidence)) = self.snapshots.get(&recorded.snapshot).cloned() else {
            return Ok(Err(format!(
                "snapshot {} is not in the bundle",
                recorded.snapshot
            )));
        };
        let Some(findings) = blobs.iter().find(|blob| blob.role == Role::Findings) else {
            return Ok(Err("it names no findings".to_owned()));
        };
        let Some(plan_blob) = self.plans.get(&recorded.plan).map(|blob| blob.sha256) else {
            return Ok(Err(format!("plan {} is not in the bundle", recorded.plan)));
        };
        let plan = match self.plan(&plan_blob)? {
            Ok(plan) => plan,
            Err(why) => return Ok(Err(format!("plan {}: {why}", recorded.plan))),
        };
        let standing = self
            .exceptional
            .partition_point(|exception| *exception < recorded.snapshot);
        let looks_at_time = standing > 0 || plan.timely.contains(&sealed.collector);
        let basis = basis(&plan_blob, &sealed, &evidence, standing, looks_at_time);
        let says = says(&recorded, &findings.sha256);
        if let Some((_, count)) = self.known.get(&basis).filter(|(known, _)| *known == says) {
            self.performed.same += 1;
            self.performed.findings += count;
            return Ok(Ok(()));
        }
        let Some(payload) = payload(self.archive, &findings.sha256)? else {
            return Ok(Err("its findings are not in the bundle".to_owned()));
        };
        let resources = match self.resources(&evidence)? {
            Ok(resources) => resources,
            Err(why) => return Ok(Err(format!("snapshot {}: {why}", recorded.snapshot))),
        };
        let evaluation = round::judged(
            &plan.plan,
            &self.exceptions,
            recorded.snapshot,
            &sealed,
            &resources,
        );
        let count = evaluation.findings.len() as u64;
        let differences = difference::all(seq, &recorded, &payload, &evaluation);
        if differences.is_empty() {
            self.performed.same += 1;
            self.performed.findings += count;
            self.known.insert(basis, (says, count));
            return Ok(Ok(()));
        }
        if let Some(exception) = self
            .unreadable
            .iter()
            .find(|exception| **exception < recorded.snapshot)
        {
            let why = format!(
                "it differs, and may for exception {exception}, which is not in the bundle with its resources"
            );
            return Ok(Err(why));
        }
        self.performed.findings += count;
        self.performed.different += 1;
        let room = LISTED.saturating_sub(self.performed.differences.len());
        self.performed
            .differences
            .extend(differences.into_iter().take(room));
        Ok(Ok(()))
    }

    fn plan(&mut self, blob: &Hash) -> Result<Result<Arc<Compiled>, String>, ArchiveError> {
        if let Some(plan) = self.compiled.get(blob) {
            return Ok(Ok(Arc::clone(plan)));
        }
        let Some(payload) = payload(self.archive, blob)? else {
            return Ok(Err("its lists are not in the bundle".to_owned()));
        };
        let plan = serde_json::from_slice::<Lists>(&payload).map_err(|error| error.to_string());
        let plan = plan.and_then(|lists| {
            Plan::new(lists).map_err(|problems| {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                problems.join("; ")
            })
        });
        Ok(plan.map(|plan| {
            let collectors = plan.lists.collectors.keys();
            let timely = collectors.filter(|id| {
                plan.tests(id).any(|test| {
                    // At worst a word in a text is taken for it.
                    test.applies.contains("now") || test.passes.contains("now")
                })
            });
            let timely = timely.cloned().collect();
            let compiled = Arc::new(Compiled { plan, timely });
            self.compiled.insert(*blob, Arc::clone(&compiled));
            compiled
        }))
    }

    fn resources(&mut self, evidence: &[Hash]) -> Result<Result<Arc<Vec<Resource>>, String>, ArchiveError> {
        if let Some((_, resources, _)) = self.kept.iter().find(|(kept, _, _)| kept == evidence) {
            return Ok(Ok(Arc::clone(resources)));
        }
        let (mut resources, mut size) = (Vec::new(), 0);
        for sha256 in evidence {
            let Some(payload) = payload(self.archive, sha256)? else {
                return Ok(Err("its evidence is not in the bundle".to_owned()));
            };
            size += payload.len();
            match round::parse_evidence(&payload) {
                Ok(part) => resources.extend(part),
                Err(error) => return Ok(Err(format!("its evidence can't be read: {error}"))),
            }
        }
        let resources = Arc::new(resources);
        self.kept
            .push_back((evidence.to_vec(), Arc::clone(&resources), size));
        while self.kept.iter().map(|(_, _, size)| size).sum::<usize>() > KEPT {
            self.kept.pop_front();
        }
        Ok(Ok(resources))
    }

    fn finish(mut self) -> Performed {
        let unjudged = self.snapshots.keys().filter(|seq| !self.judged.contains(seq));
        self.performed.unjudged = unjudged.copied().collect();
        self.performed
    }
}

/// A digest of all that findings follow from.
fn basis(
    plan: &Hash,
    sealed: &SnapshotLeaf,
    evidence: &[Hash],
    standing: usize,
    looks_at_time: bool,
) -> Hash {
    let now = if looks_at_time {
        sealed.covers.until().to_rfc3339()
    } else {
        String::new()
    };
    let words = (
        &sealed.collector,
        &sealed.source,
        &sealed.target,
        sealed.complete,
        standing,
        now,
    );
    let mut digest = Sha256::new_with_prefix(plan);
    digest.update(serde_json::to_vec(&words).unwrap_or_default());
    for part in evidence {
        digest.update(part);
    }
    digest.finalize().into()
}

/// A digest of what was recorded.
fn says(recorded: &EvaluationLeaf, findings: &Hash) -> Hash {
    let results = recorded.results.to_string();
    Sha256::new_with_prefix(findings)
        .chain_update(results)
        .finalize()
        .into()
}

/// The payload of a blob; none where it is not in the bundle.
fn payload(archive: &Archive, sha256: &Hash) -> Result<Option<Vec<u8>>, ArchiveError> {
    let name = blob_path(sha256);
    if archive.size(&name).is_none() {
        return Ok(None);
    }
    let mut bytes = archive.all(&name, (MAX_PAYLOAD + blob::PREFIX) as u64)?;
    // It may have been changed since the bundle was verified.
    if Hash::from(Sha256::digest(&bytes)) != *sha256 || blob::salted(&bytes).is_err() {
        return Err(ArchiveError::Refused(format!(
            "{name} is not the blob it is named as"
        )));
    }
    Ok(Some(bytes.split_off(blob::PREFIX)))
}

fn each_leaf(
    archive: &Archive,
    mut visit: impl FnMut(u64, &str, &[u8]) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    #[derive(Deserialize)]
    struct Header<'a> {
        seq: u64,
        #[serde(borrow)]
        kind: Cow<'a, str>,
    }
    const NAME: &str = "log/leaves.jsonl";
    let mut from = BufReader::new(archive.read(NAME)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.read_until(b'\n', &mut line);
        if read.map_err(|error| archive.reading(NAME, error))? == 0 {
            return Ok(());
        }
        line.pop();
        match serde_json::from_slice::<Header<'_>>(&line) {
            Ok(Header { seq, kind }) => visit(seq, &kind, &line)?,
            Err(error) => return Err(ArchiveError::Refused(format!("a leaf can't be read: {error}"))),
        }
    }
}
