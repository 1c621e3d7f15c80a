//! What differs from the last known state: how far back is looked, and for what.

use std::collections::BTreeSet;
use std::sync::Arc;

use evidenced_collector_api::Resource;

use super::cause::{self, Found};
use super::setting::{Seen, differing, paths};
use super::{Change, Drift, Side, Snapshot};
use crate::control::{Outcome, TestId};

/// What changed in `later`, by resource: against the first of `earlier`, newest first, and where that can't tell, against
/// those before it. No more of them are pulled than are needed; one that is left out, because it can't be read or says the
/// same as one before, changes nothing.
pub fn drifts<E>(
    later: &Snapshot,
    earlier: impl IntoIterator<Item = Result<Arc<Snapshot>, E>>,
) -> Result<Vec<Drift>, E> {
    let mut earlier = earlier.into_iter();
    let mut questions = Questions::about(later);
    let mut drifts = Vec::new();
    while questions.are_open() {
        let Some(before) = earlier.next().transpose()? else {
            break;
        };
        let found = questions.ask(&before);
        drifts.extend(cause::drifts(later, &before, found));
    }
    drifts.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(drifts)
}

/// What is not yet known of the state before.
struct Questions<'a> {
    later: &'a Snapshot,
    open: Vec<Open<'a>>,
    /// Whether resources may have vanished that no snapshot looked at so far held.
    vanishing: bool,
    /// Those that have, by kind and id.
    vanished: BTreeSet<(String, String)>,
}

/// A resource that is there now, and what it is to be compared in.
struct Open<'a> {
    resource: &'a Resource,
    /// The attributes whose state before is not known yet; none: the resource was not met yet.
    attributes: Option<Vec<String>>,
    /// The tests whose findings before are not known yet; none: no judged snapshot was met yet that has the resource.
    tests: Option<Vec<&'a TestId>>,
}

impl<'a> Questions<'a> {
    fn about(later: &'a Snapshot) -> Self {
        let tests = later.findings.is_none().then(Vec::new);
        let open = later.resources.iter().map(|resource| Open {
            resource,
            attributes: None,
            tests: tests.clone(),
        });
        Self {
            later,
            open: open.collect(),
            vanishing: later.complete && !later.is_interval(),
            vanished: BTreeSet::new(),
        }
    }

    fn are_open(&self) -> bool {
        self.vanishing || !self.open.is_empty()
    }

    /// What an earlier snapshot shows to have changed since; what it can't tell stays open.
    fn ask<'b>(&mut self, before: &'b Snapshot) -> Vec<Found<'b>>
    where
        'a: 'b,
    {
        let later = self.later;
        let mut found = Vec::new();
        if !self.same(before) {
            self.open.retain_mut(|open| {
                let (kind, id) = (&open.resource.kind, &open.resource.id);
                match before.resources.get(kind, id) {
                    Some(old) => open.compare(later, before, old, &mut found),
                    None if later.is_interval() => false,
                    None if before.complete => {
                        if open.attributes.is_none() {
                            found.push(appeared(later, open.resource));
                        }
                        false
                    }
                    None => true,
                }
            });
        }
        if self.vanishing {
            self.vanishing = !before.complete;
            for old in before.resources.iter() {
                let there = later.resources.get(&old.kind, &old.id).is_some();
                if !there && self.vanished.insert((old.kind.clone(), old.id.clone())) {
                    found.push(vanished(before, old));
                }
            }
        }
        found
    }

    /// Whether all is as it was: evidence that is stored once, judged the same. Then nothing is open any more.
    fn same(&mut self, before: &Snapshot) -> bool {
        let same_findings = match (&self.later.findings, &before.findings) {
            (Some(later), Some(before)) => Arc::ptr_eq(later, before),
            (later, _) => later.is_none(),
        };
        let same = same_findings && Arc::ptr_eq(&self.later.resources, &before.resources);
        if same {
            self.open.clear();
        }
        same
    }
}

impl<'a> Open<'a> {
    /// Compares with an earlier state of the resource; returns whether something is open still.
    fn compare<'b>(
        &mut self,
        later: &'a Snapshot,
        before: &'b Snapshot,
        old: &'b Resource,
        found: &mut Vec<Found<'b>>,
    ) -> bool
    where
        'a: 'b,
    {
        let mut push = |change| {
            found.push(Found {
                resource: self.resource,
                old: Some(old),
                change,
            });
        };
        self.attributes = Some(if later.is_interval() {
            Vec::new()
        } else {
            settings(self.resource, old, self.attributes.take(), later, &mut push)
        });
        self.tests = match (&later.findings, &before.findings) {
            (Some(_), None) => self.tests.take(),
            _ => Some(findings(
                self.resource,
                self.tests.take(),
                later,
                before,
                &mut push,
            )),
        };
        let attributes_settled = self.attributes.as_ref().is_some_and(Vec::is_empty);
        let tests_settled = self.tests.as_ref().is_some_and(Vec::is_empty);
        !(attributes_settled && tests_settled)
    }
}

/// The settings that changed; returns those that can't be told yet. `open`: only these; none: all, the name too.
fn settings(
    resource: &Resource,
    old: &Resource,
    open: Option<Vec<String>>,
    later: &Snapshot,
    push: &mut impl FnMut(Change),
) -> Vec<String> {
    let mut still = Vec::new();
    let mut compare = |attribute: &str, before: Seen<'_>, after: Seen<'_>| {
        if before == after || later.is_volatile(resource, attribute) {
            return;
        }
        match (before.is_unknown(), after.is_unknown()) {
            (true, true) => {}
            (true, false) => still.push(attribute.to_owned()),
            (false, _) => push(Change::Setting {
                attribute: attribute.to_owned(),
                before: before.into(),
                after: after.into(),
                paths: paths(before, after),
            }),
        }
    };
    if let Some(open) = open {
        for name in open {
            compare(&name, Seen::of(old, &name), Seen::of(resource, &name));
        }
        return still;
    }
    for (name, before, after) in differing(old, resource) {
        compare(name, before, after);
    }
    if old.name != resource.name {
        push(Change::Setting {
            attribute: "name".to_owned(),
            before: Side::Known(old.name.clone().into()),
            after: Side::Known(resource.name.clone().into()),
            paths: Vec::new(),
        });
    }
    still
}

/// The findings that changed; returns the tests whose finding can't be told yet. `open`: only these; none: all.
fn findings<'a>(
    resource: &Resource,
    open: Option<Vec<&'a TestId>>,
    later: &'a Snapshot,
    before: &Snapshot,
    push: &mut impl FnMut(Change),
) -> Vec<&'a TestId> {
    let (Some(now), Some(then)) = (&later.findings, &before.findings) else {
        return Vec::new();
    };
    let mut still = Vec::new();
    let in_force = later.rules.tests_on(&resource.kind);
    let first = open.is_none();
    for test in open.unwrap_or_else(|| in_force.iter().collect()) {
        let (old, new) = (then.of(test, &resource.id), now.of(test, &resource.id));
        let (old, outcome) = (old.map(|said| said.outcome), new.map(|said| said.outcome));
        match (old, outcome) {
            (old, new) if old == new => {}
            (Some(Outcome::Unknown), Some(_)) => still.push(test),
            // It was in force since, and could not tell: that was told then.
            (None, _) if !first => {}
            _ => push(Change::Finding {
                test: test.clone(),
                before: old,
                after: outcome,
                reason: new.map(|said| said.reason.clone()).unwrap_or_default(),
            }),
        }
    }
    if first && !Arc::ptr_eq(&later.rules, &before.rules) {
        let gone = before.rules.tests_on(&resource.kind).iter();
        for test in gone.filter(|test| !in_force.contains(test)) {
            if let Some(said) = then.of(test, &resource.id) {
                push(Change::Finding {
                    test: test.clone(),
                    before: Some(said.outcome),
                    after: None,
                    reason: String::new(),
                });
            }
        }
    }
    still
}

fn appeared<'b>(later: &Snapshot, resource: &'b Resource) -> Found<'b> {
    let findings = later.findings_of(&resource.kind, &resource.id);
    Found {
        resource,
        old: None,
        change: Change::Appeared { findings },
    }
}

fn vanished<'b>(before: &Snapshot, old: &'b Resource) -> Found<'b> {
    let findings = before.findings_of(&old.kind, &old.id);
    Found {
        resource: old,
        old: Some(old),
        change: Change::Vanished { findings },
    }
}
