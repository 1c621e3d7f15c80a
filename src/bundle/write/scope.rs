//! Whose blobs a bundle holds. They are withheld whole, never in part; the leaves are always all there.

use serde::Deserialize;
use std::collections::BTreeSet;

use super::super::Scope;
use super::super::contents::Chooser;
use super::ExportError;
use super::chosen::{Log, lists_of};
use crate::log::store::Reader;

/// The sources and collectors whose evidence is handed over; all where there is none.
pub(super) struct InScope {
    sources: Option<BTreeSet<String>>,
    collectors: Option<BTreeSet<String>>,
}

impl InScope {
    /// Follows controls and criteria to tests, to kinds of resource, to collectors, by every plan in the bundle.
    pub(super) fn of(scope: &Scope, log: &Log, reader: &Reader) -> Result<Self, ExportError> {
        let (mut collectors, mut known) = (BTreeSet::new(), Scope::default());
        for seq in log.plans(reader)? {
            let lists = match log.plans.get(&seq) {
                Some(lists) => lists.clone(),
                None => lists_of(reader, seq)?,
            };
            let Some(lists) = lists else { continue };
            known
                .sources
                .extend(lists.sources.into_iter().map(|source| source.name));
            for control in &lists.rules.controls {
                let is_meant = scope.controls.contains(control.id.as_str())
                    || control
                        .criteria
                        .iter()
                        .any(|criterion| scope.criteria.contains(criterion.number()));
                known.controls.insert(control.id.as_str().to_owned());
                if !is_meant {
                    continue;
                }
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
        let names = [
            ("control", &scope.controls, &known.controls),
            ("source", &scope.sources, &known.sources),
        ];
        for (what, asked, known) in names {
            if let Some(unknown) = asked.difference(known).next() {
                return Err(ExportError::NoSuch(what, unknown.clone()));
            }
        }
        let by_control = !scope.controls.is_empty() || !scope.criteria.is_empty();
        Ok(Self {
            sources: Some(scope.sources.clone()).filter(|sources| !sources.is_empty()),
            collectors: by_control.then_some(collectors),
        })
    }

    /// Whether a leaf's blobs are handed over. Those of leaves about no source are, and the names of targets.
    pub(super) fn wants(&self, bytes: &[u8], chooser: &Chooser) -> bool {
        #[derive(Deserialize)]
        struct About {
            kind: String,
            collector: Option<String>,
            source: Option<String>,
            snapshot: Option<u64>,
        }
        if self.sources.is_none() && self.collectors.is_none() {
            return true;
        }
        let Ok(about) = serde_json::from_slice::<About>(bytes) else {
            return true;
        };
        let judged = about.snapshot.and_then(|snapshot| chooser.scope_of(snapshot));
        let (collector, source) = judged.unzip();
        let is_in = |asked: &Option<BTreeSet<String>>, name: Option<&str>| match (asked, name) {
            (Some(asked), Some(name)) => asked.contains(name),
            _ => true,
        };
        about.kind == "scope"
            || is_in(&self.collectors, collector.or(about.collector.as_deref()))
                && is_in(&self.sources, source.or(about.source.as_deref()))
    }
}
