//! What the log tells of deviations: reads evaluation after evaluation, and what people were told and did. Reads only.
//!
//! A year of hourly snapshots is read in seconds, since an evaluation that names the findings of the one before, by the same
//! plan, found the same: its payload is not read again.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use evidenced_collector_api::Covers;

use crate::control::{Severity, TestId, TestResult};
use crate::exception::Sealed;
use crate::log::leaf::{self, Body, Exception, Role};
use crate::log::store::{Evaluated, Filter, Reader, StoreError};
use crate::log::tree::Hash;
use crate::period::deviation::{Deviation, Found, Look, Scope, Series, Sight};
use crate::period::response::Responses;
use crate::plan::{Plan, PlanError};
use crate::round;

/// What the log tells of deviations.
pub struct Deviations {
    /// All of them, by test, source, and the look that found them.
    pub deviations: Vec<Deviation>,
    /// What was done about them.
    pub responses: Responses,
    /// How many evaluations were looked at.
    pub evaluations: u64,
    /// Those whose findings can't be read any more.
    pub unreadable: Vec<u64>,
    /// When the first and the newest snapshot that was looked at were taken.
    pub span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What a plan says of a test.
#[derive(Clone, Debug)]
pub struct Served {
    /// What holds where it passes.
    pub title: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// The controls that it serves, each with who answers for it.
    pub controls: Vec<(String, String)>,
}

/// A recorded exception.
pub struct Recorded {
    /// When it was recorded.
    pub time: DateTime<Utc>,
    /// What was recorded.
    pub exception: Exception,
}

/// A snapshot and its evaluation, without what was found.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// The snapshot's leaf.
    pub snapshot: u64,
    /// The time it speaks for.
    pub covers: Covers,
    /// Whether it held the whole population.
    pub complete: bool,
    /// The evaluation's leaf.
    pub evaluation: u64,
    /// When that was appended.
    pub time: DateTime<Utc>,
    /// The plan whose tests judged.
    pub plan: u64,
    /// The digest of what was found; none where the leaf names none.
    pub findings: Option<Hash>,
}

/// Reads the deviations of all sources, or of one.
///
/// # Errors
/// The store can't be read, or a leaf in it is damaged. Findings that are damaged are named, not refused.
pub fn read(reader: &Reader, source: Option<&str>) -> Result<Deviations, StoreError> {
    let mut looks: BTreeMap<Scope, Vec<Judged>> = BTreeMap::new();
    reader.walk_evaluations(|evaluated| {
        if source.is_some_and(|source| source != evaluated.source) {
            return Ok::<_, StoreError>(());
        }
        let judged = judged(reader, &evaluated)?;
        let scope = Scope {
            collector: evaluated.collector,
            source: evaluated.source,
            target: evaluated.target,
        };
        looks.entry(scope).or_default().push(judged);
        Ok(())
    })?;
    of_looks(reader, looks)
}

/// The deviations of looks that were read already: of each scope's, one after another.
///
/// # Errors
/// As [`read`].
pub fn of_looks(
    reader: &Reader,
    looks: impl IntoIterator<Item = (Scope, Vec<Judged>)>,
) -> Result<Deviations, StoreError> {
    let mut sealed = Sealed::default();
    let exceptions = sealed.up_to_date(reader)?;
    let mut read = Deviations {
        deviations: Vec::new(),
        responses: Responses::default(),
        evaluations: 0,
        unreadable: Vec::new(),
        span: None,
    };
    for (scope, looks) in looks {
        let (mut series, mut last) = (Series::new(scope), None);
        for judged in looks {
            let sight = sight(reader, &judged, &mut last)?;
            if matches!(sight.found, Found::Unreadable) {
                read.unreadable.push(judged.evaluation);
            }
            read.evaluations += 1;
            let at = sight.look.at;
            let (first, newest) = read.span.unwrap_or((at, at));
            read.span = Some((first.min(at), newest.max(at)));
            series.add(sight, exceptions);
        }
        read.deviations.extend(series.end());
    }
    if let Some(newest) = reader.leaf(reader.size()?.saturating_sub(1))? {
        for deviation in &mut read.deviations {
            deviation.note_ended(exceptions, newest.time);
        }
    }
    read.deviations
        .sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.resource.cmp(&b.resource)));
    read.responses = responses(reader)?;
    Ok(read)
}

fn order(deviation: &Deviation) -> (&TestId, &str, DateTime<Utc>, &Scope) {
    let scope = &deviation.scope;
    (&deviation.test, &scope.source, deviation.first.at, scope)
}

/// What the last evaluation of a scope rested on.
#[derive(PartialEq, Eq)]
struct Last {
    plan: u64,
    complete: bool,
    findings: Hash,
}

/// What the leaves of a snapshot and its evaluation say.
fn judged(reader: &Reader, evaluated: &Evaluated) -> Result<Judged, StoreError> {
    #[derive(Deserialize)]
    struct Snapshot {
        covers: Covers,
        complete: bool,
    }
    #[derive(Deserialize)]
    struct Evaluation {
        plan: u64,
    }
    let snapshot: Snapshot = part(reader, evaluated.snapshot)?;
    let bytes = bytes(reader, evaluated.seq)?;
    let evaluation: Evaluation = parsed(&bytes, evaluated.seq)?;
    let time = DateTime::parse_from_rfc3339(&evaluated.time).map_err(|_| damaged(evaluated.seq))?;
    let blobs = leaf::blobs(&bytes).unwrap_or_default();
    let blob = blobs.iter().find(|blob| blob.role == Role::Findings);
    Ok(Judged {
        snapshot: evaluated.snapshot,
        covers: snapshot.covers,
        complete: snapshot.complete,
        evaluation: evaluated.seq,
        time: time.to_utc(),
        plan: evaluation.plan,
        findings: blob.map(|blob| blob.sha256),
    })
}

fn sight(reader: &Reader, judged: &Judged, last: &mut Option<Last>) -> Result<Sight, StoreError> {
    let events_from = match judged.covers {
        Covers::At { .. } => None,
        Covers::Interval { from, .. } => Some(from),
    };
    let this = judged.findings.map(|findings| Last {
        plan: judged.plan,
        complete: judged.complete,
        findings,
    });
    let found = if this.is_some() && this == *last {
        Found::Same
    } else {
        found(reader, judged.evaluation)?
    };
    *last = this.filter(|_| !matches!(found, Found::Unreadable));
    Ok(Sight {
        look: Look {
            snapshot: judged.snapshot,
            at: judged.covers.until(),
            evaluation: judged.evaluation,
            judged: judged.time,
        },
        complete: judged.complete,
        events_from,
        found,
    })
}

fn found(reader: &Reader, evaluation: u64) -> Result<Found, StoreError> {
    let leaf = reader.leaf(evaluation)?.ok_or_else(|| damaged(evaluation))?;
    let findings = round::findings(reader, &leaf)?;
    let results = match leaf.body {
        Some(Body::Evaluation(body)) => serde_json::from_value::<Vec<TestResult>>(body.results).ok(),
        _ => None,
    };
    Ok(match (results, findings) {
        (Some(results), Some(findings)) => Found::New {
            tests: results.into_iter().map(|result| result.test).collect(),
            findings,
        },
        _ => Found::Unreadable,
    })
}

/// Some of a leaf's fields: most of a leaf is not needed, and there are many.
fn part<T: for<'a> Deserialize<'a>>(reader: &Reader, seq: u64) -> Result<T, StoreError> {
    parsed(&bytes(reader, seq)?, seq)
}

fn bytes(reader: &Reader, seq: u64) -> Result<Vec<u8>, StoreError> {
    reader.leaf_bytes(seq)?.ok_or_else(|| damaged(seq))
}

fn parsed<T: for<'a> Deserialize<'a>>(bytes: &[u8], seq: u64) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| damaged(seq))
}

fn damaged(seq: u64) -> StoreError {
    StoreError::Damaged(format!("leaf {seq} is not what the index says it is"))
}

fn responses(reader: &Reader) -> Result<Responses, StoreError> {
    let mut responses = Responses::default();
    let filter = Filter {
        kinds: vec!["alert".to_owned(), "acknowledgement".to_owned()],
        ..Filter::default()
    };
    for entry in reader.entries(&filter)? {
        let Some(leaf) = reader.leaf(entry.seq)? else {
            continue;
        };
        match &leaf.body {
            Some(Body::Alert(alert)) => responses.add_alert(leaf.seq, leaf.time, alert),
            Some(Body::Acknowledgement(said)) => responses.add_acknowledgement(leaf.seq, leaf.time, said),
            _ => {}
        }
    }
    Ok(responses)
}

/// What the newest plan that knows a test says of each: of those before it, only plans that judged a deviation are asked.
///
/// # Errors
/// A plan can't be read. One that is damaged says nothing.
pub fn served(reader: &Reader, deviations: &[Deviation]) -> Result<HashMap<TestId, Served>, PlanError> {
    let mut served = HashMap::new();
    if let Some(newest) = reader.newest("plan", None)? {
        add_plan(reader, newest, &mut served)?;
    }
    let mut asked = BTreeSet::new();
    for deviation in deviations.iter().rev() {
        if served.contains_key(&deviation.test) {
            continue;
        }
        let leaf = reader.leaf(deviation.last.snapshot)?;
        if let Some(Body::Snapshot(snapshot)) = leaf.and_then(|leaf| leaf.body)
            && asked.insert(snapshot.plan)
        {
            add_plan(reader, snapshot.plan, &mut served)?;
        }
    }
    Ok(served)
}

fn add_plan(reader: &Reader, seq: u64, served: &mut HashMap<TestId, Served>) -> Result<(), PlanError> {
    let rules = match Plan::sealed_lists(reader, seq) {
        Ok(lists) => lists.rules,
        Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
        Err(error) => {
            tracing::warn!("{error}");
            return Ok(());
        }
    };
    for test in &rules.tests {
        let controls = rules
            .controls
            .iter()
            .filter(|control| control.enabled && control.tests.contains(&test.id))
            .map(|control| (control.id.to_string(), control.owner.clone()));
        served.entry(test.id.clone()).or_insert_with(|| Served {
            title: test.title.clone(),
            severity: test.severity,
            controls: controls.collect(),
        });
    }
    Ok(())
}

/// What was recorded in an `exception` leaf; none where that can't be read.
pub fn recorded(reader: &Reader, seq: u64) -> Result<Option<Recorded>, StoreError> {
    let leaf = match reader.leaf(seq) {
        Err(error) if !error.is_damage() => return Err(error),
        leaf => leaf.ok().flatten(),
    };
    Ok(leaf.and_then(|leaf| match leaf.body {
        Some(Body::Exception(exception)) => Some(Recorded {
            time: leaf.time,
            exception,
        }),
        _ => None,
    }))
}
