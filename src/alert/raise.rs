//! Which alerts begin and end with a leaf: decided from what is in the log and the leaf, and written in its transaction.
//!
//! A state is told, not a step: whatever a test says of a target is compared with the alerts that are open, so what one
//! process got wrong the next judgement puts right.

use evidenced_collector_api::Covers;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::usual_severity;
use crate::control::{Outcome, TestResult};
use crate::log::append::{Change, Subject};
use crate::log::leaf::{BlobRef, Body, Event, Missed, MissedReason, Role, SnapshotLeaf};
use crate::log::store::{Filter, OpenAlert, Reader, StoreError};
use crate::plan::Plan;

/// Of how many snapshots or failures in a row it is told that nothing can be known, or be collected. None where there is no
/// channel: then no alert is opened.
pub type After = Option<u32>;

/// What follows from a judgement of the snapshot at `seq`.
pub(crate) fn of_evaluation(
    reader: &Reader,
    plan: &Plan,
    after: After,
    seq: u64,
    snapshot: &SnapshotLeaf,
    results: &[TestResult],
) -> Result<Vec<Change>, StoreError> {
    let Some(after) = after else {
        return Ok(Vec::new());
    };
    let (collector, source, target) = (&snapshot.collector, &snapshot.source, &snapshot.target);
    let is_interval = matches!(snapshot.covers, Covers::Interval { .. });
    let open = open_alerts(reader, collector, source)?;
    let is_open = |event, test: &str| {
        open.iter()
            .any(|open| open.event == event && open.test == test && open.targets.contains(target))
    };
    let mut changes = Vec::new();
    for result in results {
        let test = result.test.as_str();
        let begin = |event, resources| Change::Begin {
            subject: Subject::new(event, test, collector, source),
            target: target.clone(),
            severity: severity(plan, test),
            resources,
        };
        let over: &[Event] = match result.outcome {
            // What happened stays: the next interval does not mend it.
            Outcome::Fail if is_interval => {
                changes.push(Change::Notice {
                    subject: Subject::new(Event::TestFailing, test, collector, source),
                    severity: severity(plan, test),
                    resources: result.fail,
                    about: None,
                });
                &[Event::TestUnknown]
            }
            Outcome::Fail => {
                if !is_open(Event::TestFailing, test) {
                    changes.push(begin(Event::TestFailing, result.fail));
                }
                &[Event::TestUnknown]
            }
            Outcome::Unknown => {
                if !is_open(Event::TestUnknown, test) && unknown_for(reader, after, seq, snapshot, test)? {
                    changes.push(begin(Event::TestUnknown, result.unknown));
                }
                &[]
            }
            Outcome::Pass | Outcome::Excepted | Outcome::NotApplicable => {
                &[Event::TestFailing, Event::TestUnknown]
            }
        };
        for event in over.iter().filter(|event| is_open(**event, test)) {
            changes.push(end(Subject::new(*event, test, collector, source), target));
        }
    }
    // A test that is no longer in force says nothing any more.
    let judged: BTreeSet<&str> = results.iter().map(|result| result.test.as_str()).collect();
    let of_test = open.iter().filter(|open| !open.test.is_empty());
    for gone in of_test.filter(|open| open.targets.contains(target) && !judged.contains(&*open.test)) {
        changes.push(end(subject(gone), target));
    }
    let scope = (collector.as_str(), source.as_str(), Some(target.as_str()));
    if let Some(before) = reader.newest_before(seq, "snapshot", scope)?
        && !is_as_before(reader, seq, before, results)?
    {
        changes.push(Change::Look);
    }
    Ok(changes)
}

/// What follows from a snapshot: collecting works again.
pub(crate) fn of_snapshot(
    reader: &Reader,
    after: After,
    collector: &str,
    source: &str,
    target: &str,
) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    if after.is_none() {
        return Ok(changes);
    }
    let open = open_alerts(reader, collector, source)?;
    for open in open.iter().filter(|open| open.event == Event::CollectionFailing) {
        for of in ["", target]
            .into_iter()
            .filter(|of| open.targets.iter().any(|open| open == of))
        {
            changes.push(end(subject(open), of));
        }
    }
    Ok(changes)
}

/// What follows from a failure, of one target or of all.
pub(crate) fn of_failure(
    reader: &Reader,
    after: After,
    collector: &str,
    source: &str,
    target: Option<&str>,
) -> Result<Vec<Change>, StoreError> {
    let Some(after) = after else {
        return Ok(Vec::new());
    };
    let filter = Filter {
        kinds: vec!["snapshot".to_owned(), "failure".to_owned()],
        collector: Some(collector.to_owned()),
        source: Some(source.to_owned()),
        target: target.map(str::to_owned),
        limit: Some(u64::from(after.saturating_sub(1))),
        ..Filter::default()
    };
    let before = reader.entries(&filter)?;
    let in_a_row = before
        .iter()
        .filter(|entry| entry.kind == "failure" && entry.target.as_deref() == target)
        .count();
    if in_a_row + 1 < after as usize {
        return Ok(Vec::new());
    }
    Ok(vec![Change::Begin {
        subject: Subject::new(Event::CollectionFailing, "", collector, source),
        target: target.unwrap_or_default().to_owned(),
        severity: usual_severity(Event::CollectionFailing).to_string(),
        resources: 0,
    }])
}

/// What follows from a new set of targets.
pub(crate) fn of_scope(
    reader: &Reader,
    after: After,
    collector: &str,
    source: &str,
    targets: &[&str],
) -> Result<Vec<Change>, StoreError> {
    if after.is_none() || reader.newest("scope", Some((collector, source, None)))?.is_none() {
        return Ok(Vec::new());
    }
    let mut changes = vec![Change::Notice {
        subject: Subject::new(Event::ScopeChanged, "", collector, source),
        severity: usual_severity(Event::ScopeChanged).to_string(),
        resources: 0,
        about: None,
    }];
    for open in open_alerts(reader, collector, source)? {
        let gone = open.targets.iter().filter(|target| !target.is_empty());
        for target in gone.filter(|target| !targets.contains(&target.as_str())) {
            changes.push(end(subject(&open), target));
        }
    }
    Ok(changes)
}

/// What follows from missed ticks. Those that were announced, or are owed no more, are no news.
pub(crate) fn of_missed(after: After, missed: &Missed) -> Vec<Change> {
    match missed.reason {
        _ if after.is_none() => Vec::new(),
        MissedReason::Maintenance | MissedReason::Removed => Vec::new(),
        _ => vec![Change::Notice {
            subject: Subject::new(Event::EvidenceGap, "", &missed.collector, &missed.source),
            severity: usual_severity(Event::EvidenceGap).to_string(),
            resources: missed.ticks.count,
            about: None,
        }],
    }
}

/// What follows from a plan: what is about a source, collector or test that it does not know is over.
pub(crate) fn of_plan(open: &[OpenAlert], plan: &Plan) -> Vec<Change> {
    let is_planned = |open: &OpenAlert| {
        let collected =
            open.collector.is_empty()
                || plan.lists.sources.iter().any(|source| {
                    source.name == open.source && source.schedules.contains_key(&open.collector)
                });
        let tested = open.test.is_empty()
            || plan
                .lists
                .rules
                .tests
                .iter()
                .any(|test| test.enabled && test.id.as_str() == open.test);
        collected && tested
    };
    let gone = open.iter().filter(|open| !is_planned(open));
    gone.flat_map(|open| open.targets.iter().map(|target| end(subject(open), target)))
        .collect()
}

/// What follows from how the store's disk stands.
pub(crate) fn of_disk(after: After, open: &[OpenAlert], is_filling: bool) -> Vec<Change> {
    let subject = Subject::own(Event::DiskFilling);
    let is_open = open.iter().any(|open| open.event == Event::DiskFilling);
    match (is_filling && after.is_some(), is_open) {
        (true, false) => vec![Change::Begin {
            subject,
            target: String::new(),
            severity: usual_severity(Event::DiskFilling).to_string(),
            resources: 0,
        }],
        (false, true) => vec![end(subject, "")],
        _ => Vec::new(),
    }
}

fn open_alerts(reader: &Reader, collector: &str, source: &str) -> Result<Vec<OpenAlert>, StoreError> {
    let mut open = reader.open_alerts()?;
    open.retain(|open| open.collector == collector && open.source == source);
    Ok(open)
}

fn subject(open: &OpenAlert) -> Subject {
    Subject::new(open.event, &open.test, &open.collector, &open.source)
}

fn end(subject: Subject, target: &str) -> Change {
    Change::End {
        subject,
        target: target.to_owned(),
    }
}

fn severity(plan: &Plan, test: &str) -> String {
    let tests = &plan.lists.rules.tests;
    let test = tests.iter().find(|other| other.id.as_str() == test);
    test.map_or_else(String::new, |test| test.severity.to_string())
}

/// Whether a test was unknown of the snapshots before, too, so many times with this one.
fn unknown_for(
    reader: &Reader,
    after: u32,
    seq: u64,
    snapshot: &SnapshotLeaf,
    test: &str,
) -> Result<bool, StoreError> {
    let mut in_a_row = 1;
    reader.walk_back(&of_target(snapshot), |entry| {
        if entry.seq >= seq {
            return Ok(ControlFlow::Continue(()));
        }
        let unknown = results(reader, entry.seq)?
            .iter()
            .any(|result| result.test.as_str() == test && result.outcome == Outcome::Unknown);
        in_a_row += u32::from(unknown);
        Ok::<_, StoreError>(if unknown && in_a_row < after {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(in_a_row >= after)
}

fn of_target(snapshot: &SnapshotLeaf) -> Filter {
    Filter {
        kinds: vec!["snapshot".to_owned()],
        collector: Some(snapshot.collector.clone()),
        source: Some(snapshot.source.clone()),
        target: Some(snapshot.target.clone()),
        ..Filter::default()
    }
}

/// Whether a snapshot holds the same evidence as the one before, and every test counts the same: then nothing drifted.
/// Evidence that stays can only grow old, so what its tests say of it can't be exchanged and count the same.
fn is_as_before(
    reader: &Reader,
    seq: u64,
    before: u64,
    results_now: &[TestResult],
) -> Result<bool, StoreError> {
    let evidence = |seq| -> Result<Vec<BlobRef>, StoreError> {
        let mut blobs = reader.leaf(seq)?.map(|leaf| leaf.blobs).unwrap_or_default();
        blobs.retain(|blob| blob.role == Role::Evidence);
        Ok(blobs)
    };
    Ok(evidence(seq)? == evidence(before)? && results(reader, before)? == results_now)
}

/// What the tests said of a snapshot; nothing where none did.
fn results(reader: &Reader, snapshot: u64) -> Result<Vec<TestResult>, StoreError> {
    let Some(seq) = reader.evaluation_of(snapshot)? else {
        return Ok(Vec::new());
    };
    Ok(match reader.leaf(seq)?.and_then(|leaf| leaf.body) {
        Some(Body::Evaluation(evaluation)) => serde_json::from_value(evaluation.results).unwrap_or_default(),
        _ => Vec::new(),
    })
}
