//! Why something changed: the source, or what it is looked at with.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use evidenced_collector_api::Resource;
use serde_json::Value;

use super::setting::{Seen, differing};
use super::{Cause, Change, Drift, Findings, Named, Side, Snapshot};
use crate::control::{Outcome, Test, TestId};

/// A change against one earlier snapshot.
pub(super) struct Found<'a> {
    /// The resource as it is, or was where it vanished.
    pub(super) resource: &'a Resource,
    /// The resource as it was.
    pub(super) old: Option<&'a Resource>,
    /// What changed.
    pub(super) change: Change,
}

/// The changes between two snapshots, each with its cause.
pub(super) fn drifts(later: &Snapshot, before: &Snapshot, found: Vec<Found<'_>>) -> Vec<Drift> {
    let causes: Vec<Cause> = {
        let between = Between::new(later, before, &found);
        found.iter().map(|found| between.cause(found)).collect()
    };
    let drift = |(found, cause): (Found<'_>, Cause)| Drift {
        collector: later.collector.clone(),
        source: later.source.clone(),
        target: later.target.clone(),
        from: before.moment,
        to: later.moment,
        resource: Some(Named {
            kind: found.resource.kind.clone(),
            id: found.resource.id.clone(),
            name: found.resource.name.clone(),
        }),
        change: found.change,
        cause,
    };
    found.into_iter().zip(causes).map(drift).collect()
}

/// What lies between two snapshots beside the source.
struct Between<'a> {
    later: &'a Snapshot,
    before: &'a Snapshot,
    rules: Rules<'a>,
    /// Whether the collector is of another version.
    collector: bool,
    /// What the later rules say of the earlier resources whose findings changed.
    under_later_rules: LazyCell<Findings, Box<dyn FnOnce() -> Findings + 'a>>,
    /// The same, of resources with what the provider set since.
    with_provider: LazyCell<Findings, Box<dyn FnOnce() -> Findings + 'a>>,
}

impl<'a> Between<'a> {
    fn new(later: &'a Snapshot, before: &'a Snapshot, found: &'a [Found<'a>]) -> Self {
        let version = |snapshot: &Snapshot| snapshot.planned().map(|planned| planned.version.clone());
        Self {
            later,
            before,
            rules: Rules::between(later, before),
            collector: version(later) != version(before),
            under_later_rules: LazyCell::new(Box::new(|| {
                let old: Vec<_> = judged_otherwise(found)
                    .filter_map(|found| found.old.cloned())
                    .collect();
                later.rules.judge(before, &old)
            })),
            with_provider: LazyCell::new(Box::new(|| {
                let old: Vec<_> = judged_otherwise(found)
                    .filter_map(|found| with_provider(later, found))
                    .collect();
                later.rules.judge(before, &old)
            })),
        }
    }

    fn cause(&self, found: &Found<'_>) -> Cause {
        match &found.change {
            Change::Finding {
                test, before, after, ..
            } => match (before, after) {
                (Some(before), Some(after)) => self.of_finding(found, test, *before, *after),
                _ => Cause::Test,
            },
            Change::Setting {
                attribute,
                before,
                after,
                ..
            } => {
                let bare = |side: &Side| matches!(side, Side::Absent | Side::Known(Value::Null));
                let set = matches!(after, Side::Known(value) if !value.is_null());
                if self.collector {
                    Cause::Tool
                } else if bare(before) && set && self.later.is_by_provider(found.resource, attribute) {
                    Cause::Provider
                } else {
                    Cause::Source
                }
            }
            // A version that first looks at a kind of resource finds all that there are.
            Change::Appeared { .. } if !yields(self.before, found.resource) => Cause::Tool,
            Change::Vanished { .. } if !yields(self.later, found.resource) => Cause::Tool,
            _ => Cause::Source,
        }
    }

    fn of_finding(&self, found: &Found<'_>, test: &TestId, before: Outcome, after: Outcome) -> Cause {
        let (before, after) = (unwaived(before), unwaived(after));
        if before == after {
            return Cause::Exception;
        }
        let gives = |findings: &Findings| {
            let said = findings.of(test, &found.resource.id);
            said.is_some_and(|said| said.outcome == after)
        };
        if let Some(cause) = self.rules.differing(test)
            && gives(&self.under_later_rules)
        {
            return cause;
        }
        if self.collector {
            return match found.old {
                Some(old) if is_otherwise(self.later, old, found.resource) => Cause::Tool,
                _ => Cause::Source,
            };
        }
        if has_provider(self.later) && gives(&self.with_provider) {
            return Cause::Provider;
        }
        Cause::Source
    }
}

/// What the test says, waived or not: an exception covers failures only.
fn unwaived(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Excepted => Outcome::Fail,
        outcome => outcome,
    }
}

/// What changed in the rules that judge.
#[derive(Default)]
struct Rules<'a> {
    /// Tests in other words.
    words: HashSet<&'a TestId>,
    /// Tests with other parameters.
    parameters: HashSet<&'a TestId>,
    exclusions: bool,
    /// What judges is of another version.
    program: bool,
}

impl<'a> Rules<'a> {
    fn between(later: &'a Snapshot, before: &Snapshot) -> Self {
        if Arc::ptr_eq(&later.rules, &before.rules) {
            return Self::default();
        }
        let words = |test: &'a Test| (&test.resource, &test.applies, &test.passes);
        let (now, then) = (&later.rules.lists.rules, &before.rules.lists.rules);
        let earlier: HashMap<&TestId, &Test> = then.tests.iter().map(|test| (&test.id, test)).collect();
        let mut rules = Self {
            exclusions: now.exclusions != then.exclusions,
            program: later.rules.version != before.rules.version,
            ..Self::default()
        };
        for test in &now.tests {
            let Some(old) = earlier.get(&test.id) else {
                rules.words.insert(&test.id);
                continue;
            };
            if (&old.resource, &old.applies, &old.passes) != words(test) {
                rules.words.insert(&test.id);
            }
            if old.parameters != test.parameters {
                rules.parameters.insert(&test.id);
            }
        }
        rules
    }

    /// What speaks for a test's saying something else of the same resource.
    fn differing(&self, test: &TestId) -> Option<Cause> {
        if self.words.contains(test) {
            Some(Cause::Test)
        } else if self.parameters.contains(test) || self.exclusions {
            Some(Cause::Configuration)
        } else if self.program {
            Some(Cause::Tool)
        } else {
            None
        }
    }
}

/// One change for each resource that a test says something else of. They stand together.
fn judged_otherwise<'a>(found: &'a [Found<'a>]) -> impl Iterator<Item = &'a Found<'a>> {
    let mut last: Option<&Resource> = None;
    found.iter().filter(move |found| {
        let is_judged = matches!(found.change, Change::Finding { .. });
        let is_first = last.is_none_or(|last| !std::ptr::eq(last, found.resource));
        if is_judged {
            last = Some(found.resource);
        }
        is_judged && is_first
    })
}

/// The resource as it was, but for what the provider set since; none if it set nothing.
fn with_provider(later: &Snapshot, found: &Found<'_>) -> Option<Resource> {
    let old = found.old?;
    let mut patched: Option<Resource> = None;
    for (attribute, before, after) in differing(old, found.resource) {
        if let (Seen::Absent | Seen::Known(Value::Null), Seen::Known(value)) = (before, after)
            && !value.is_null()
            && later.is_by_provider(old, attribute)
        {
            let patched = patched.get_or_insert_with(|| old.clone());
            patched.attributes.insert(attribute.to_owned(), value.clone());
        }
    }
    patched
}

fn has_provider(later: &Snapshot) -> bool {
    later
        .planned()
        .is_some_and(|planned| !planned.by_provider.is_empty())
}

/// Whether a setting differs, or whether it is known.
fn is_otherwise(later: &Snapshot, old: &Resource, new: &Resource) -> bool {
    differing(old, new).any(|(attribute, ..)| !later.is_volatile(new, attribute))
}

fn yields(snapshot: &Snapshot, resource: &Resource) -> bool {
    let planned = snapshot.planned();
    planned.is_some_and(|planned| planned.kinds.contains(&resource.kind))
}
