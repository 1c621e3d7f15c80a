//! What judging left to be looked at: whether an open alert has grown, and whether settings changed.

use std::collections::BTreeSet;

use super::resources::{begins, settings};
use super::usual_severity;
use crate::control::Outcome;
use crate::history::{History, HistoryError};
use crate::log::append::{Change, Subject};
use crate::log::leaf::{Body, Event};
use crate::log::store::Reader;

/// Compares every evaluation that waits for it with what came before.
pub(super) fn changes(reader: &Reader) -> Result<Vec<Change>, HistoryError> {
    let mut changes = Vec::new();
    let to_compare = reader.to_compare()?;
    if to_compare.is_empty() {
        return Ok(changes);
    }
    let mut history = History::default();
    let (open, waiting) = (reader.open_alerts()?, reader.waiting()?);
    for row in to_compare {
        changes.push(Change::Finish { row: row.id });
        let Some(Body::Evaluation(evaluation)) = reader.leaf(row.evaluation)?.and_then(|leaf| leaf.body)
        else {
            continue;
        };
        let Some(Body::Snapshot(snapshot)) = reader.leaf(evaluation.snapshot)?.and_then(|leaf| leaf.body)
        else {
            continue;
        };
        let drifts = match history.drifts_of(reader, evaluation.snapshot) {
            Ok(drifts) => drifts,
            Err(HistoryError::Unreadable(seq)) => {
                tracing::warn!("snapshot {seq} can't be compared with those before it");
                continue;
            }
            Err(error) => return Err(error),
        };
        let of_target = open.iter().filter(|open| {
            open.event == Event::TestFailing
                && open.collector == snapshot.collector
                && open.source == snapshot.source
                && open.targets.contains(&snapshot.target)
        });
        for open in of_target {
            let told = waiting
                .iter()
                .any(|waiting| waiting.alert == open.seq && waiting.about == Some(row.evaluation));
            if !told
                && drifts
                    .iter()
                    .any(|drift| begins(drift, &open.test, Outcome::Fail))
            {
                changes.push(Change::Grow {
                    alert: open.seq,
                    about: row.evaluation,
                });
            }
        }
        let resources: BTreeSet<_> = settings(&drifts).iter().map(|drift| &drift.resource).collect();
        if !resources.is_empty() {
            changes.push(Change::Notice {
                subject: Subject::new(Event::SettingChanged, "", &snapshot.collector, &snapshot.source),
                severity: usual_severity(Event::SettingChanged).to_string(),
                resources: resources.len() as u64,
                about: Some(row.evaluation),
            });
        }
    }
    Ok(changes)
}
