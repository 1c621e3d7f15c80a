//! What the plans in a log say of populations: which kinds there are, what is left out, for how long a look speaks.

use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use evidenced_collector_api::Resource;

use super::named::{self, NAMED, Named};
use crate::control::Exclusion;
use crate::log::leaf::Role;
use crate::log::store::{Reader, StoreError};
use crate::log::tree::Hash;
use crate::plan::{Lists, Plan, PlanError};

/// A population that a collector yields.
pub(super) struct Of {
    /// What it is called in the log.
    pub(super) called: String,
    /// The kind of its resources.
    pub(super) kind: String,
    pub(super) named: Option<&'static Named>,
}

impl Of {
    /// Those of a snapshot's resources that belong to it.
    pub(super) fn part_of(&self, resources: &[Resource]) -> Vec<Resource> {
        let of_kind = resources.iter().filter(|resource| resource.kind == self.kind);
        of_kind
            .filter(|resource| named::holds(&self.called, resource))
            .cloned()
            .collect()
    }
}

/// Every plan in a log.
pub(super) struct Planned {
    /// By leaf. Most plans are the one before, sealed again at a start.
    plans: BTreeMap<u64, Rc<Lists>>,
}

impl Planned {
    pub(super) fn read(reader: &Reader) -> Result<Self, StoreError> {
        let mut plans: BTreeMap<u64, Rc<Lists>> = BTreeMap::new();
        let mut last: Option<(Hash, Rc<Lists>)> = None;
        for seq in reader.of_kind("plan", 0)? {
            let blobs = match reader.leaf(seq) {
                Err(error) if !error.is_damage() => return Err(error),
                leaf => leaf.ok().flatten().map(|leaf| leaf.blobs).unwrap_or_default(),
            };
            let blob = blobs
                .iter()
                .find(|blob| blob.role == Role::Plan)
                .map(|blob| blob.sha256);
            let lists = match &last {
                Some((same, lists)) if Some(*same) == blob => Rc::clone(lists),
                _ => match Plan::sealed_lists(reader, seq) {
                    Ok(lists) => Rc::new(lists),
                    Err(PlanError::Store(error)) if !error.is_damage() => return Err(error),
                    Err(error) => {
                        tracing::warn!("{error}");
                        continue;
                    }
                },
            };
            last = blob.map(|blob| (blob, Rc::clone(&lists)));
            plans.insert(seq, lists);
        }
        Ok(Self { plans })
    }

    /// The populations that there are, or the one that is wanted, each with its collector.
    pub(super) fn all(&self, only: Option<&str>) -> Vec<(String, Of)> {
        let mut kinds: BTreeSet<(&str, &str)> = BTreeSet::new();
        for lists in self.plans.values() {
            for (collector, planned) in &lists.collectors {
                kinds.extend(
                    planned
                        .kinds
                        .iter()
                        .map(|kind| (collector.as_str(), kind.as_str())),
                );
            }
        }
        let mut all = Vec::new();
        for (collector, kind) in kinds {
            let named = NAMED.iter().find(|named| named.of == kind);
            let parts = NAMED
                .iter()
                .filter(|named| named.kind == kind && named.part.is_some());
            let both = std::iter::once((kind, named)).chain(parts.map(|part| (part.of, Some(part))));
            for (of, named) in both.filter(|(of, _)| only.is_none_or(|only| only == *of)) {
                let of = Of {
                    called: of.to_owned(),
                    kind: kind.to_owned(),
                    named,
                };
                all.push((collector.to_owned(), of));
            }
        }
        all
    }

    /// The sources that a collector was ever planned for.
    pub(super) fn sources(&self, collector: &str) -> BTreeSet<String> {
        let sources = self.plans.values().flat_map(|lists| &lists.sources);
        let planned = sources.filter(|source| source.schedules.contains_key(collector));
        planned.map(|source| source.name.clone()).collect()
    }

    pub(super) fn all_sources(&self) -> BTreeSet<String> {
        let sources = self.plans.values().flat_map(|lists| &lists.sources);
        sources.map(|source| source.name.clone()).collect()
    }

    /// The attributes of a kind that change by themselves.
    pub(super) fn volatile(&self, collector: &str, kind: &str) -> BTreeSet<String> {
        let planned = self
            .plans
            .values()
            .filter_map(|lists| lists.collectors.get(collector));
        let pairs = planned.flat_map(|planned| &planned.volatile);
        let of_kind = pairs.filter(|(of, _)| of == kind);
        of_kind.map(|(_, attribute)| attribute.clone()).collect()
    }

    /// For how long a look at a kind speaks for what follows: the shortest of its tests, by the newest plan that has one.
    pub(super) fn reach(&self, kind: &str) -> Option<TimeDelta> {
        self.plans.values().rev().find_map(|lists| {
            let tests = lists
                .rules
                .tests
                .iter()
                .filter(|test| test.enabled && test.resource == kind);
            tests.map(|test| test.max_age.length()).min()
        })
    }

    /// What these plans leave out of the tests on a kind.
    pub(super) fn exclusions(&self, plans: &BTreeSet<u64>, kind: &str) -> Vec<Exclusion> {
        let mut exclusions: Vec<Exclusion> = Vec::new();
        for lists in plans.iter().filter_map(|plan| self.plans.get(plan)) {
            for exclusion in &lists.rules.exclusions {
                let concerns = exclusion.kind.as_ref().is_none_or(|of| of == kind);
                if concerns && !exclusions.contains(exclusion) {
                    exclusions.push(exclusion.clone());
                }
            }
        }
        exclusions
    }
}
