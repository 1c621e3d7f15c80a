//! Which leaves go into a bundle. Pure: it is told of every leaf of the log in order, and then says.
//!
//! 1. *The period without a break*: every leaf from the first whose time is in the period to the last, and one more on each
//!    side, so that whoever holds the bundle sees that nothing of the period is missing, whatever the clock did meanwhile.
//! 2. *What was judged*: with each snapshot its evaluations, with each evaluation its snapshot, wherever they stand, and the
//!    plans that both name.
//! 3. *What was in force at the start*: the newest plan of each maker (of the daemon's, back to one that counted by then), the
//!    newest scope of each collector and source, alerts that were not over, with what was said to them.
//! 4. *How things stood at the start*: of each collector, source and target the snapshots from the newest complete one before it
//!    on, unless they are older than any `max_age` of its tests.
//! 5. *What became of it*: behind the end the first snapshots of each target, up to a complete one; every evaluation that
//!    says another thing than the one before it, so that mended deviations show; all that is small: plans, scopes, failures,
//!    missed ticks, heartbeats, alerts, acknowledgements.
//! 6. *What stands by itself*, wherever it is: key, recoveries, exceptions, and every kind not named here, such as attachments
//!    (what was given before the period may count in it, and what is given behind it may be late), populations, samples and
//!    exports.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::log::leaf::{By, format_time};
use crate::log::tree::Hash;

mod outline;
#[cfg(test)]
mod tests;

pub use outline::{Outline, What, outline};

/// Told of every leaf in order, says which go into the bundle.
pub struct Chooser {
    from: DateTime<Utc>,
    /// The period's edges as leaves write times.
    edges: (String, String),
    next: u64,
    /// The first and the last leaf of the period.
    within: Option<(u64, u64)>,
    /// The first leaf whose time is not before the period.
    begun: Option<u64>,
    chosen: BTreeSet<u64>,
    plans: Vec<PlanBefore>,
    plans_within: BTreeSet<u64>,
    scopes: HashMap<(String, String), u64>,
    alerts: BTreeMap<u64, AlertBefore>,
    series: HashMap<(String, String, String), usize>,
    targets: Vec<Target>,
    snapshots: Vec<Judged>,
    evaluations: Vec<Judgement>,
    /// Plans by the leaves that name them and are neither snapshot nor evaluation.
    named: Vec<(u64, u64)>,
}

struct PlanBefore {
    seq: u64,
    by: By,
    effective: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct AlertBefore {
    leaves: Vec<u64>,
    over: bool,
}

/// One collector, source and target.
#[derive(Default)]
struct Target {
    collector: String,
    source: String,
    /// Snapshots before the period, from the newest complete one on, with their times.
    before: Vec<(u64, DateTime<Utc>)>,
    /// Whether a complete snapshot behind the end was seen.
    looked_after: bool,
    /// What the newest evaluation says.
    says: Option<Hash>,
}

struct Judged {
    seq: u64,
    plan: u64,
    target: usize,
}

struct Judgement {
    snapshot: u64,
    seq: u64,
    plan: u64,
}

/// Where a time lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Within,
    Behind,
}

impl Chooser {
    /// For the time from `from` up to `to`.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self {
            from,
            edges: (format_time(from), format_time(to)),
            next: 0,
            within: None,
            begun: None,
            chosen: BTreeSet::new(),
            plans: Vec::new(),
            plans_within: BTreeSet::new(),
            scopes: HashMap::new(),
            alerts: BTreeMap::new(),
            series: HashMap::new(),
            targets: Vec::new(),
            snapshots: Vec::new(),
            evaluations: Vec::new(),
            named: Vec::new(),
        }
    }

    /// The next leaf, from the log's first on.
    pub fn see(&mut self, leaf: &Outline<'_>) {
        let seq = leaf.seq;
        self.next = seq + 1;
        let side = if leaf.time < self.edges.0.as_str() {
            Side::Before
        } else if leaf.time < self.edges.1.as_str() {
            Side::Within
        } else {
            Side::Behind
        };
        if side != Side::Before && self.begun.is_none() {
            self.begun = Some(seq);
        }
        if side == Side::Within {
            let first = self.within.map_or(seq, |(first, _)| first);
            self.within = Some((first, seq));
        }
        let is_chosen = match &leaf.what {
            What::Snapshot { .. } => self.see_snapshot(leaf, side),
            What::Evaluation { snapshot, plan, says } => {
                self.see_evaluation(seq, (*snapshot, *plan), *says, side)
            }
            What::Plan { by, effective } if side == Side::Before => {
                self.plans.push(PlanBefore {
                    seq,
                    by: *by,
                    effective: *effective,
                });
                false
            }
            What::Plan { .. } => {
                if side == Side::Within {
                    self.plans_within.insert(seq);
                }
                true
            }
            What::Scope { collector, source } if side == Side::Before => {
                self.scopes
                    .insert(((*collector).to_owned(), (*source).to_owned()), seq);
                false
            }
            What::Alert { of, ends } => {
                let alert = self.alerts.entry(of.unwrap_or(seq)).or_default();
                alert.leaves.push(seq);
                alert.over |= *ends && side == Side::Before;
                side == Side::Behind
            }
            What::Failure { plan } => {
                self.named.push((seq, *plan));
                side == Side::Behind
            }
            What::Passing | What::Scope { .. } => side == Side::Behind,
            What::Standing => true,
        };
        if is_chosen {
            self.chosen.insert(seq);
        }
    }

    fn see_snapshot(&mut self, leaf: &Outline<'_>, side: Side) -> bool {
        let What::Snapshot {
            scope: (collector, source, target),
            plan,
            complete,
        } = leaf.what
        else {
            return false;
        };
        let key = (collector.to_owned(), source.to_owned(), target.to_owned());
        let at = *self.series.entry(key).or_insert_with(|| {
            self.targets.push(Target {
                collector: collector.to_owned(),
                source: source.to_owned(),
                ..Target::default()
            });
            self.targets.len() - 1
        });
        self.snapshots.push(Judged {
            seq: leaf.seq,
            plan,
            target: at,
        });
        let target = &mut self.targets[at];
        match side {
            Side::Before => {
                if complete {
                    target.before.clear();
                }
                let time = leaf.time.parse().unwrap_or(DateTime::<Utc>::MIN_UTC);
                target.before.push((leaf.seq, time));
                false
            }
            Side::Within => false,
            Side::Behind => {
                let is_first = !target.looked_after;
                target.looked_after |= complete;
                is_first
            }
        }
    }

    fn see_evaluation(&mut self, seq: u64, (snapshot, plan): (u64, u64), says: Hash, side: Side) -> bool {
        self.evaluations.push(Judgement { snapshot, seq, plan });
        let Some(at) = self.target_of(snapshot) else {
            return side == Side::Behind;
        };
        let before = self.targets[at].says.replace(says);
        side == Side::Behind && before != Some(says)
    }

    fn target_of(&self, snapshot: u64) -> Option<usize> {
        let at = self
            .snapshots
            .binary_search_by_key(&snapshot, |judged| judged.seq)
            .ok()?;
        Some(self.snapshots[at].target)
    }

    /// What a snapshot is of, by its collector and source.
    pub fn scope_of(&self, snapshot: u64) -> Option<(&str, &str)> {
        let target = &self.targets[self.target_of(snapshot)?];
        Some((&target.collector, &target.source))
    }

    /// The leaves that go into the bundle, in order; `max_age` is the longest that a plan's tests on a collector have.
    ///
    /// # Errors
    /// Those of `max_age`.
    pub fn choose<E>(
        &self,
        mut max_age: impl FnMut(u64, &str) -> Result<Option<TimeDelta>, E>,
    ) -> Result<Vec<u64>, E> {
        let mut chosen = self.chosen.clone();
        chosen.extend(self.stretch());
        let mut in_force = self.plans_at_the_start();
        chosen.extend(&in_force);
        chosen.extend(self.scopes.values());
        for (opened, alert) in &self.alerts {
            // One that was over before is told of where something within names it.
            if !alert.over || alert.leaves.iter().any(|seq| chosen.contains(seq)) {
                chosen.insert(*opened);
                chosen.extend(&alert.leaves);
            }
        }
        in_force.extend(&self.plans_within);
        for target in &self.targets {
            let mut oldest = None;
            for (seq, time) in target.before.iter().rev() {
                let own = self.plan_of(*seq);
                for plan in in_force.iter().copied().chain(own) {
                    oldest = oldest.max(max_age(plan, &target.collector)?);
                }
                if oldest.is_some_and(|age| self.from.signed_duration_since(*time) <= age) {
                    chosen.insert(*seq);
                }
            }
        }
        for judgement in &self.evaluations {
            if chosen.contains(&judgement.seq) {
                chosen.insert(judgement.snapshot);
            }
        }
        for judgement in &self.evaluations {
            if chosen.contains(&judgement.snapshot) {
                chosen.insert(judgement.seq);
            }
        }
        let judged = self
            .snapshots
            .iter()
            .map(|snapshot| (snapshot.seq, snapshot.plan));
        let judged = judged.chain(
            self.evaluations
                .iter()
                .map(|judgement| (judgement.seq, judgement.plan)),
        );
        let plans: Vec<u64> = judged
            .chain(self.named.iter().copied())
            .filter(|(seq, _)| chosen.contains(seq))
            .map(|(_, plan)| plan)
            .collect();
        chosen.extend(plans);
        // A leaf can name one that is not there; the log is wrong then, but no bundle can hold it.
        chosen.retain(|seq| *seq < self.next);
        Ok(chosen.into_iter().collect())
    }

    /// The period without a break, and a leaf more on each side.
    fn stretch(&self) -> impl Iterator<Item = u64> + use<> {
        // Where nothing is of the period, the leaves on both sides of it show just that.
        let begun = self.begun.unwrap_or(self.next);
        let (first, behind) = self
            .within
            .map_or((begun, begun), |(first, last)| (first, last + 1));
        first.saturating_sub(1)..(behind + 1).min(self.next)
    }

    fn plans_at_the_start(&self) -> BTreeSet<u64> {
        let mut in_force = BTreeSet::new();
        let by = |by| self.plans.iter().rev().filter(move |plan| plan.by == by);
        in_force.extend(by(By::AdHoc).next().map(|plan| plan.seq));
        for plan in by(By::Daemon) {
            in_force.insert(plan.seq);
            if plan.effective.is_none_or(|effective| effective <= self.from) {
                break;
            }
        }
        in_force
    }

    fn plan_of(&self, snapshot: u64) -> Option<u64> {
        let at = self
            .snapshots
            .binary_search_by_key(&snapshot, |judged| judged.seq)
            .ok()?;
        Some(self.snapshots[at].plan)
    }
}
