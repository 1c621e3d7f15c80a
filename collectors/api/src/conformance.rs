//! What every collector must keep, as one function that its tests run over recorded answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Clock, CollectError, Collector, Covers, Resource, Run, Snapshot};

/// Runs a collector twice over the same recorded answers and returns every breach of the contract, none if it keeps
/// it. Both runs' snapshots are returned too, for the test to look at what was read.
///
/// # Errors
/// The collector's own, where it collects nothing at all.
pub async fn check(
    collector: &dyn Collector,
    clock: &dyn Clock,
) -> Result<(Vec<Snapshot>, Vec<String>), CollectError> {
    let mut breaches = id_breaches(collector.id());
    let run = Run::begin(clock);
    let targets = collector.targets(&run).await?;
    let again = collector.targets(&Run::begin(clock)).await?;
    if targets != again {
        breaches.push("targets() gives another list or order for the same answers".to_owned());
    }
    if targets.iter().collect::<BTreeSet<_>>().len() != targets.len() {
        breaches.push("targets() names a target twice".to_owned());
    }
    let mut snapshots = Vec::new();
    for target in &targets {
        let first = collector.collect(target, &run).await?;
        let second = collector.collect(target, &Run::begin(clock)).await?;
        breaches.extend(
            snapshot_breaches(&first, &run)
                .into_iter()
                .map(|breach| format!("{target}: {breach}")),
        );
        breaches.extend(
            stability_breaches(collector, &first, &second)
                .into_iter()
                .map(|breach| format!("{target}: {breach}")),
        );
        for resource in first
            .resources
            .iter()
            .filter(|resource| !collector.kinds().contains(&resource.kind.as_str()))
        {
            breaches.push(format!("{target}: {} is not among kinds()", resource.kind));
        }
        snapshots.push(first);
    }
    Ok((snapshots, breaches))
}

/// What is wrong with one snapshot, whoever made it. The program itself refuses to seal one that has any.
pub fn snapshot_breaches(snapshot: &Snapshot, run: &Run<'_>) -> Vec<String> {
    let mut breaches = Vec::new();
    let calls = snapshot.provenance.calls.len();
    let mut seen = BTreeSet::new();
    for resource in &snapshot.resources {
        let label = format!("{} {:?}", resource.kind, resource.id);
        if !seen.insert((resource.kind.as_str(), resource.id.as_str())) {
            breaches.push(format!("{label}: twice in one snapshot"));
        }
        if resource.id.is_empty() || resource.name.is_empty() || !resource.kind.contains('.') {
            breaches.push(format!(
                "{label}: needs an id, a name and a kind of the form vendor.kind"
            ));
        }
        if resource.call.is_empty() || resource.call.iter().any(|&call| call >= calls) {
            breaches.push(format!("{label}: points at no call of the provenance"));
        }
        if resource.as_of.is_some_and(|as_of| as_of > run.clock.now()) {
            breaches.push(format!("{label}: as_of lies in the future"));
        }
        for attribute in resource
            .unknown
            .keys()
            .filter(|name| resource.attributes.contains_key(*name))
        {
            breaches.push(format!("{label}: {attribute} is both known and unknown"));
        }
        for (attribute, _) in resource
            .unknown
            .iter()
            .filter(|(_, reason)| reason.trim().is_empty())
        {
            breaches.push(format!("{label}: {attribute} is unknown without a reason"));
        }
        for (attribute, value) in &resource.attributes {
            breaches.extend(value_breach(value).map(|breach| format!("{label}: {attribute} {breach}")));
        }
    }
    for (index, raw) in snapshot.raw.iter().enumerate() {
        if raw.call >= calls {
            breaches.push(format!("raw answer {index} points at no call of the provenance"));
        }
    }
    for call in &snapshot.provenance.calls {
        if call.status.is_empty() {
            breaches.push(format!("call {} {} has no status", call.service, call.operation));
        }
    }
    breaches.extend(completeness_breaches(snapshot));
    match snapshot.covers {
        Covers::At { at } if at < run.started || at > run.clock.now() => {
            breaches.push("covers an instant outside the run".to_owned());
        }
        Covers::Interval { from, to } if from >= to || to > run.clock.now() => {
            breaches.push("covers an empty interval or one that reaches into the future".to_owned());
        }
        Covers::At { .. } | Covers::Interval { .. } => {}
    }
    breaches
}

fn id_breaches(id: &str) -> Vec<String> {
    let good = id.split('.').count() >= 2
        && id.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        });
    if good {
        Vec::new()
    } else {
        vec![format!("id {id:?} is not of the form vendor.evidence")]
    }
}

fn completeness_breaches(snapshot: &Snapshot) -> Vec<String> {
    let completeness = &snapshot.provenance.completeness;
    let mut breaches = Vec::new();
    if completeness.basis.trim().is_empty() {
        breaches.push("completeness gives no basis".to_owned());
    }
    if completeness.read != snapshot.resources.len() as u64 {
        breaches.push(format!(
            "completeness says {} read, the snapshot holds {}",
            completeness.read,
            snapshot.resources.len()
        ));
    }
    if completeness.complete
        && completeness
            .expected
            .is_some_and(|expected| expected != completeness.read)
    {
        breaches.push("complete, though the second source expects another count".to_owned());
    }
    if completeness.complete && snapshot.provenance.calls.is_empty() {
        breaches.push("complete without a single call".to_owned());
    }
    breaches
}

/// Readers in other languages hold numbers as doubles: what they can't hold must be a string.
fn value_breach(value: &serde_json::Value) -> Option<String> {
    const LIMIT: u64 = 1 << 53;
    match value {
        serde_json::Value::Number(number) => {
            let outside = number.as_u64().is_some_and(|n| n >= LIMIT)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() >= LIMIT);
            outside.then(|| format!("holds {number}, which is not below 2^53: make it a string"))
        }
        serde_json::Value::Array(items) => items.iter().find_map(value_breach),
        serde_json::Value::Object(fields) => fields.values().find_map(value_breach),
        _ => None,
    }
}

fn stability_breaches(collector: &dyn Collector, first: &Snapshot, second: &Snapshot) -> Vec<String> {
    let calls = |snapshot: &Snapshot| -> Vec<String> {
        snapshot
            .provenance
            .calls
            .iter()
            .map(|call| format!("{} {}", call.service, call.operation))
            .collect()
    };
    let mut breaches = Vec::new();
    if calls(first) != calls(second) {
        breaches.push("the order of calls varies from run to run".to_owned());
    }
    let (old, new) = (by_id(first), by_id(second));
    for (id, resource) in &old {
        let Some(other) = new.get(id) else {
            breaches.push(format!(
                "{} {:?}: gone in the second run over the same answers",
                id.0, id.1
            ));
            continue;
        };
        for (attribute, value) in &resource.attributes {
            let volatile = collector
                .volatile()
                .contains(&(resource.kind.as_str(), attribute.as_str()));
            if !volatile && other.attributes.get(attribute) != Some(value) {
                breaches.push(format!(
                    "{} {:?}: {attribute} varies and is not marked volatile",
                    id.0, id.1
                ));
            }
        }
        if resource.unknown != other.unknown {
            breaches.push(format!(
                "{} {:?}: what is unknown, or its reason, varies",
                id.0, id.1
            ));
        }
    }
    breaches
}

fn by_id(snapshot: &Snapshot) -> BTreeMap<(&str, &str), &Resource> {
    snapshot
        .resources
        .iter()
        .map(|resource| ((resource.kind.as_str(), resource.id.as_str()), resource))
        .collect()
}
