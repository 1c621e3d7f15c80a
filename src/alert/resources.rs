//! Which resources a message names, and what changed about them: read from the log.

use std::collections::{BTreeSet, HashMap};

use super::facts::{ChangeFacts, ResourceFacts};
use crate::control::Outcome;
use crate::drift::{Cause, Change, Drift, Named, Side, by_resource};
use crate::history::{History, HistoryError};
use crate::log::store::Reader;

/// So many changes of one resource are told.
const CHANGES: usize = 10;

/// The resources of snapshots of which a test says `wanted`, by target, then id. With `only_new`, those of which it did not
/// before; all where nothing tells which.
pub(super) fn with_outcome(
    reader: &Reader,
    history: &mut History,
    snapshots: &[u64],
    test: &str,
    wanted: Outcome,
    only_new: bool,
) -> Result<Vec<ResourceFacts>, HistoryError> {
    let mut found = Vec::new();
    for seq in snapshots {
        let Some(snapshot) = history.snapshot_at(reader, *seq)? else {
            continue;
        };
        let Some(findings) = &snapshot.findings else {
            continue;
        };
        let failing: HashMap<&str, &str> = findings
            .iter()
            .filter(|(id, _, said)| id.as_str() == test && said.outcome == wanted)
            .map(|(_, resource, said)| (resource, said.reason.as_str()))
            .collect();
        let drifts = history.drifts_of(reader, *seq)?;
        let new: BTreeSet<&str> = drifts
            .iter()
            .filter(|drift| begins(drift, test, wanted))
            .filter_map(|drift| drift.resource.as_ref().map(|resource| resource.id.as_str()))
            .collect();
        let drifts = by_resource(&drifts);
        let kind = snapshot.tested_kind(test);
        for resource in snapshot.resources.iter() {
            let id = resource.id.as_str();
            let Some(reason) = failing.get(id) else {
                continue;
            };
            if only_new && !new.is_empty() && !new.contains(id) {
                continue;
            }
            if kind.is_some_and(|kind| kind != resource.kind) {
                continue;
            }
            let drifts = drifts.get(id).map(Vec::as_slice).unwrap_or_default();
            found.push(ResourceFacts {
                target: snapshot.target.clone(),
                kind: resource.kind.clone(),
                id: resource.id.clone(),
                name: resource.name.clone(),
                reason: (*reason).to_owned(),
                change: cause(drifts, test),
                changed: changed(drifts),
            });
        }
    }
    Ok(found)
}

/// The resources whose settings changed with snapshots, that appeared, or that are gone; those left out that began to fail
/// a test, of which people are told anyway.
pub(super) fn with_changes(
    reader: &Reader,
    history: &mut History,
    snapshots: &[u64],
) -> Result<Vec<ResourceFacts>, HistoryError> {
    let mut found = Vec::new();
    for seq in snapshots {
        let drifts = history.drifts_of(reader, *seq)?;
        let settings = settings(&drifts);
        let mut by_named: Vec<(&Named, Vec<&Drift>)> = Vec::new();
        for drift in settings {
            let Some(resource) = &drift.resource else { continue };
            match by_named.last_mut() {
                Some((last, drifts)) if *last == resource => drifts.push(drift),
                _ => by_named.push((resource, vec![drift])),
            }
        }
        for (resource, drifts) in by_named {
            let what = drifts.iter().find_map(|drift| match drift.change {
                Change::Appeared { .. } => Some("appeared"),
                Change::Vanished { .. } => Some("is gone"),
                _ => None,
            });
            found.push(ResourceFacts {
                target: drifts
                    .first()
                    .map(|drift| drift.target.clone())
                    .unwrap_or_default(),
                kind: resource.kind.clone(),
                id: resource.id.clone(),
                name: resource.name.clone(),
                reason: String::new(),
                change: what.map(str::to_owned).or_else(|| other_cause(&drifts)),
                changed: changed(&drifts),
            });
        }
    }
    Ok(found)
}

/// The targets that came into scope with a `scope` leaf, and those that left it.
pub(super) fn scope_change(
    reader: &Reader,
    history: &mut History,
    scope: u64,
) -> Result<(Vec<String>, Vec<String>), HistoryError> {
    let (mut came, mut left) = (Vec::new(), Vec::new());
    for drift in history.drifts_of(reader, scope)? {
        match drift.change {
            Change::TargetCame => came.push(drift.target),
            Change::TargetLeft => left.push(drift.target),
            _ => {}
        }
    }
    Ok((came, left))
}

/// Changes of settings, and of what there is, of resources that did not begin to fail a test.
pub(super) fn settings(drifts: &[Drift]) -> Vec<&Drift> {
    let failing: BTreeSet<&Named> = drifts
        .iter()
        .filter(|drift| match &drift.change {
            Change::Finding { after, .. } => *after == Some(Outcome::Fail),
            Change::Appeared { findings } => findings.values().any(|outcome| *outcome == Outcome::Fail),
            _ => false,
        })
        .filter_map(|drift| drift.resource.as_ref())
        .collect();
    let told = |drift: &&Drift| {
        let change = match &drift.change {
            Change::Setting { after, .. } => !matches!(after, Side::Unknown(_)),
            Change::Appeared { .. } | Change::Vanished { .. } => true,
            _ => false,
        };
        // What another version reads otherwise has not changed.
        change
            && drift.cause != Cause::Tool
            && drift
                .resource
                .as_ref()
                .is_some_and(|resource| !failing.contains(resource))
    };
    let mut settings: Vec<&Drift> = drifts.iter().filter(told).collect();
    settings.sort_by(|a, b| a.resource.cmp(&b.resource));
    settings
}

/// Whether with this drift a test begins to say something of a resource.
pub(super) fn begins(drift: &Drift, id: &str, wanted: Outcome) -> bool {
    match &drift.change {
        Change::Finding { test, after, .. } => test.as_str() == id && *after == Some(wanted),
        Change::Appeared { findings } => findings
            .iter()
            .any(|(test, outcome)| test.as_str() == id && *outcome == wanted),
        _ => false,
    }
}

/// Why a finding changed, in words, where the source had no part in it; or that the resource is new.
fn cause(drifts: &[&Drift], id: &str) -> Option<String> {
    let drift = drifts.iter().find(|drift| match &drift.change {
        Change::Finding { test, .. } => test.as_str() == id,
        Change::Appeared { .. } => true,
        _ => false,
    })?;
    match drift.change {
        Change::Appeared { .. } => Some("appeared".to_owned()),
        _ if drift.cause == Cause::Source => None,
        _ => Some(format!("({})", drift.cause.words())),
    }
}

fn other_cause(drifts: &[&Drift]) -> Option<String> {
    let drift = drifts.iter().find(|drift| drift.cause != Cause::Source)?;
    Some(format!("({})", drift.cause.words()))
}

fn changed(drifts: &[&Drift]) -> Vec<ChangeFacts> {
    let known = |side: &Side| match side {
        Side::Known(value) => Some(value.clone()),
        Side::Unknown(_) | Side::Absent => None,
    };
    let mut changed = Vec::new();
    for drift in drifts {
        let Change::Setting {
            attribute,
            before,
            after,
            paths,
        } = &drift.change
        else {
            continue;
        };
        if paths.is_empty() {
            changed.push(ChangeFacts {
                attribute: attribute.clone(),
                before: known(before),
                after: known(after),
            });
        }
        for path in paths {
            changed.push(ChangeFacts {
                attribute: format!("{attribute}{}", path.path),
                before: path.before.clone(),
                after: path.after.clone(),
            });
        }
    }
    changed.truncate(CHANGES);
    changed
}
