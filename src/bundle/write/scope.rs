//! Whose blobs a bundle holds. They are withheld whole, never in part; the leaves are always all there.
//!
//! What people attached is about controls and criteria and comes from no source: a scope by controls or criteria withholds
//! what is for none of them, whenever it was given, and a scope by sources alone withholds none.

use serde::Deserialize;
use std::collections::BTreeSet;

use super::super::Scope;
use super::super::contents::Chooser;
use super::ExportError;
use super::chosen::{Log, lists_of};
use crate::log::leaf;
use crate::log::store::{Reader, StoreError};
use crate::plan::Lists;
use crate::populations::sealed;

/// The sources and collectors whose evidence is handed over; all where there is none.
pub(super) struct InScope {
    sources: Option<BTreeSet<String>>,
    collectors: Option<BTreeSet<String>>,
    /// The controls and criteria whose attachments are handed over.
    meant: Option<Meant>,
}

/// Controls by id, criteria by number.
struct Meant {
    controls: BTreeSet<String>,
    criteria: BTreeSet<String>,
}

/// Refuses names of controls and sources that no plan of the log has.
pub(super) fn check_names(scope: &Scope, reader: &Reader) -> Result<(), ExportError> {
    let mut known = Scope::default();
    if scope.controls.is_empty() && scope.sources.is_empty() {
        return Ok(());
    }
    for seq in reader.of_kind("plan", 0)? {
        if let Some(lists) = lists_of(reader, seq)? {
            note_names(&lists, &mut known);
        }
    }
    refuse_unknown(scope, &known)
}

fn note_names(lists: &Lists, known: &mut Scope) {
    let sources = lists.sources.iter().map(|source| source.name.clone());
    known.sources.extend(sources);
    let controls = lists.rules.controls.iter();
    known
        .controls
        .extend(controls.map(|control| control.id.as_str().to_owned()));
}

fn refuse_unknown(scope: &Scope, known: &Scope) -> Result<(), ExportError> {
    let names = [
        ("control", &scope.controls, &known.controls),
        ("source", &scope.sources, &known.sources),
    ];
    for (what, asked, known) in names {
        if let Some(unknown) = asked.difference(known).next() {
            return Err(ExportError::NoSuch(what, unknown.clone()));
        }
    }
    Ok(())
}

impl InScope {
    /// Follows controls and criteria to tests, to kinds of resource, to collectors, by every plan in the bundle.
    pub(super) fn of(scope: &Scope, log: &Log, reader: &Reader) -> Result<Self, ExportError> {
        let (mut collectors, mut known) = (BTreeSet::new(), Scope::default());
        // Also what no plan in the bundle has any more.
        let mut controls = scope.controls.clone();
        for seq in log.plans(reader)? {
            let lists = match log.plans.get(&seq) {
                Some(lists) => lists.clone(),
                None => lists_of(reader, seq)?,
            };
            let Some(lists) = lists else { continue };
            note_names(&lists, &mut known);
            for control in &lists.rules.controls {
                let is_meant = scope.controls.contains(control.id.as_str())
                    || control
                        .criteria
                        .iter()
                        .any(|criterion| scope.criteria.contains(criterion.number()));
                if !is_meant {
                    continue;
                }
                controls.insert(control.id.as_str().to_owned());
                let tests = lists
                    .rules
                    .tests
                    .iter()
                    .filter(|test| control.tests.contains(&test.id));
                let kinds: BTreeSet<&String> = tests.map(|test| &test.resource).collect();
                let serving = lists
                    .collectors
                    .iter()
                    .filter(|(_, planned)| planned.kinds.iter().any(|kind| kinds.contains(kind)));
                collectors.extend(serving.map(|(id, _)| id.clone()));
            }
        }
        refuse_unknown(scope, &known)?;
        let by_control = !scope.controls.is_empty() || !scope.criteria.is_empty();
        Ok(Self {
            sources: Some(scope.sources.clone()).filter(|sources| !sources.is_empty()),
            collectors: by_control.then_some(collectors),
            meant: by_control.then(|| Meant {
                controls,
                criteria: scope.criteria.clone(),
            }),
        })
    }

    /// Whether a leaf's blobs are handed over. Those of leaves about no source are, but for attachments to what is not in
    /// scope, and the names of targets. A list of items is where each of them was read within the scope.
    pub(super) fn wants(&self, bytes: &[u8], chooser: &Chooser, reader: &Reader) -> Result<bool, StoreError> {
        #[derive(Deserialize)]
        struct About {
            kind: String,
            collector: Option<String>,
            source: Option<String>,
            snapshot: Option<u64>,
        }
        if self.sources.is_none() && self.collectors.is_none() {
            return Ok(true);
        }
        let Ok(about) = serde_json::from_slice::<About>(bytes) else {
            return Ok(true);
        };
        if let (Some(meant), "attachment") = (&self.meant, about.kind.as_str()) {
            return Ok(meant.has(bytes));
        }
        if matches!(about.kind.as_str(), "population" | "sample") {
            return self.wants_list(bytes, chooser, reader);
        }
        let judged = about.snapshot.and_then(|snapshot| chooser.scope_of(snapshot));
        let (collector, source) = judged.unzip();
        Ok(about.kind == "scope"
            || is_in(self.collectors.as_ref(), collector.or(about.collector.as_deref()))
                && is_in(self.sources.as_ref(), source.or(about.source.as_deref())))
    }

    /// Whether each item of a list, sealed or drawn, is from a snapshot in scope. One that nobody can read is not handed over.
    fn wants_list(&self, bytes: &[u8], chooser: &Chooser, reader: &Reader) -> Result<bool, StoreError> {
        for blob in leaf::blobs(bytes).unwrap_or_default() {
            // One that is not there is missing, whatever the scope.
            let Some(payload) = reader.payload(&blob.sha256)? else {
                continue;
            };
            let Ok((_, items)) = sealed::items(&payload) else {
                return Ok(false);
            };
            let all = items.iter().all(|item| {
                chooser
                    .scope_of(item.snapshot)
                    .is_some_and(|(collector, source)| {
                        is_in(self.collectors.as_ref(), Some(collector))
                            && is_in(self.sources.as_ref(), Some(source))
                    })
            });
            if !all {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_in(asked: Option<&BTreeSet<String>>, name: Option<&str>) -> bool {
    match (asked, name) {
        (Some(asked), Some(name)) => asked.contains(name),
        _ => true,
    }
}

impl Meant {
    /// Whether an attachment is for one of them. What can't be told is not handed over.
    fn has(&self, bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct For {
            controls: Vec<String>,
            criteria: Vec<String>,
        }
        serde_json::from_slice::<For>(bytes).is_ok_and(|attachment| {
            attachment.controls.iter().any(|id| self.controls.contains(id))
                || attachment
                    .criteria
                    .iter()
                    .any(|number| self.criteria.contains(number))
        })
    }
}
