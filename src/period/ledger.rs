//! The account of ticks: of every tick that is owed, what became of it for each target that was in scope.
//!
//! Leaves are entered in the order of the log. A tick is owed by the targets that were in scope when something first accounted
//! for it; one that nothing accounts for, by those of the tick before. What nothing accounts for is never left out: it reads
//! *unaccounted*.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use crate::log::leaf::{MissedReason, Ticks};

/// What became of a tick for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// A snapshot, of the whole population or not.
    Collected {
        /// Whether it is the whole population.
        complete: bool,
    },
    /// A run that collected nothing.
    Failed,
    /// No run, and why.
    Missed(MissedReason),
    /// Nothing in the log says what became of it.
    Unaccounted,
}

/// The ticks of one collector and source, as leaf after leaf accounts for them.
#[derive(Debug)]
pub struct Ledger {
    ticks: Vec<DateTime<Utc>>,
    /// By tick: which scope was in force when it was first accounted for.
    scope_at: Vec<Option<usize>>,
    /// Each that was in force; before the first, nothing is known of targets.
    scopes: Vec<BTreeSet<String>>,
    targets: BTreeMap<String, Vec<Option<Fate>>>,
    /// Of leaves that speak for all targets.
    all: Vec<Option<Fate>>,
    twice: u64,
    /// Where the last tick stands that was looked for.
    last: usize,
}

/// How many ticks of a target came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that were owed: the sum of the others.
    pub owed: u64,
    /// A snapshot of the whole population.
    pub collected: u64,
    /// A snapshot that is not of the whole population.
    pub incomplete: u64,
    /// A run that collected nothing.
    pub failed: u64,
    /// No run.
    pub missed: u64,
    /// Nothing says what became of them.
    pub unaccounted: u64,
}

/// Consecutive ticks of a target that yielded nothing whole, all with the same fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first of them, and the last.
    pub ticks: Ticks,
    /// What became of them.
    pub fate: Fate,
}

/// What became of a target's ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The target's name; empty where the targets have never been found out.
    pub target: String,
    /// How many came to what.
    pub counts: Counts,
    /// Those that yielded nothing whole, oldest first.
    pub holes: Vec<Hole>,
}

impl Ledger {
    /// With the ticks that are owed, oldest first.
    pub fn new(ticks: Vec<DateTime<Utc>>) -> Self {
        Self {
            scope_at: vec![None; ticks.len()],
            scopes: vec![BTreeSet::new()],
            targets: BTreeMap::new(),
            all: vec![None; ticks.len()],
            twice: 0,
            last: 0,
            ticks,
        }
    }

    /// From here on, these are the targets.
    pub fn enter_scope(&mut self, targets: impl IntoIterator<Item = String>) {
        self.scopes.push(targets.into_iter().collect());
    }

    /// A leaf accounts for ticks: of one target, or of all.
    pub fn enter(&mut self, ticks: Ticks, target: Option<&str>, fate: Fate) {
        let first = self.place(ticks.first);
        let within = self.ticks[first..].iter().take_while(|tick| **tick <= ticks.last);
        let behind = first + within.count();
        if first == behind {
            return;
        }
        let scope = self.scopes.len() - 1;
        for known in &mut self.scope_at[first..behind] {
            known.get_or_insert(scope);
        }
        let fates = match target {
            None => &mut self.all,
            Some(target) => match self.targets.get_mut(target) {
                Some(fates) => fates,
                None => self
                    .targets
                    .entry(target.to_owned())
                    .or_insert_with(|| vec![None; self.ticks.len()]),
            },
        };
        for known in &mut fates[first..behind] {
            if known.is_some() {
                self.twice += 1;
            }
            known.get_or_insert(fate);
        }
    }

    /// The first tick from an instant on. Leaves come in the order of their ticks, so it is looked for where the last one was.
    fn place(&mut self, instant: DateTime<Utc>) -> usize {
        let last = self.last;
        let is_next = |at: usize| self.ticks.get(at) == Some(&instant);
        self.last = if is_next(last) {
            last
        } else if is_next(last + 1) {
            last + 1
        } else {
            self.ticks.partition_point(|tick| *tick < instant)
        };
        self.last
    }

    /// How often a tick of a target was accounted for again: never, where the log is the daemon's alone.
    pub fn twice(&self) -> u64 {
        self.twice
    }

    /// The newest tick that anything accounts for.
    pub fn accounted_until(&self) -> Option<DateTime<Utc>> {
        let newest = self.scope_at.iter().rposition(Option::is_some)?;
        Some(self.ticks[newest])
    }

    /// The accounts, by target.
    pub fn close(&self) -> Vec<Account> {
        let mut accounts: BTreeMap<&str, Open> = BTreeMap::new();
        let mut scope = self.scope_at.iter().flatten().next().copied().unwrap_or(0);
        for at in 0..self.ticks.len() {
            scope = self.scope_at[at].unwrap_or(scope);
            let in_scope = &self.scopes[scope];
            let mut note = |target, fate: Option<Fate>| {
                let open = accounts.entry(target).or_default();
                open.note(at, self.ticks[at], fate.unwrap_or(Fate::Unaccounted));
            };
            for target in in_scope {
                let own = self.targets.get(target).and_then(|fates| fates[at]);
                note(target, own.or(self.all[at]));
            }
            // A target that nobody had announced was looked at all the same.
            let beside = self.targets.iter();
            let beside = beside.filter(|(target, fates)| fates[at].is_some() && !in_scope.contains(*target));
            let mut any = !in_scope.is_empty();
            for (target, fates) in beside {
                note(target, fates[at]);
                any = true;
            }
            if !any {
                note("", self.all[at]);
            }
        }
        let accounts = accounts.into_iter();
        accounts.map(|(target, open)| open.close(target)).collect()
    }
}

/// An account that is being made.
#[derive(Default)]
struct Open {
    counts: Counts,
    holes: Vec<Hole>,
    /// Where the last hole ends.
    last: usize,
}

impl Open {
    fn note(&mut self, at: usize, tick: DateTime<Utc>, fate: Fate) {
        self.counts.add(fate);
        if fate == (Fate::Collected { complete: true }) {
            return;
        }
        match self.holes.last_mut() {
            Some(hole) if hole.fate == fate && self.last + 1 == at => hole.ticks = hole.ticks.and(tick),
            _ => self.holes.push(Hole {
                ticks: Ticks::one(tick),
                fate,
            }),
        }
        self.last = at;
    }

    fn close(self, target: &str) -> Account {
        Account {
            target: target.to_owned(),
            counts: self.counts,
            holes: self.holes,
        }
    }
}

impl Counts {
    fn add(&mut self, fate: Fate) {
        self.owed += 1;
        *match fate {
            Fate::Collected { complete: true } => &mut self.collected,
            Fate::Collected { complete: false } => &mut self.incomplete,
            Fate::Failed => &mut self.failed,
            Fate::Missed(_) => &mut self.missed,
            Fate::Unaccounted => &mut self.unaccounted,
        } += 1;
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.owed += other.owed;
        self.collected += other.collected;
        self.incomplete += other.incomplete;
        self.failed += other.failed;
        self.missed += other.missed;
        self.unaccounted += other.unaccounted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MissedReason::{DaemonDown, Overrun};
    use chrono::TimeDelta;

    const WHOLE: Fate = Fate::Collected { complete: true };
    const PART: Fate = Fate::Collected { complete: false };

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn ledger(hours: i64) -> Ledger {
        Ledger::new((0..hours).map(hour).collect())
    }

    fn scope(ledger: &mut Ledger, targets: &[&str]) {
        ledger.enter_scope(targets.iter().map(ToString::to_string));
    }

    fn one(ledger: &mut Ledger, at: i64, target: &str, fate: Fate) {
        ledger.enter(Ticks::one(hour(at)), Some(target), fate);
    }

    fn range(first: i64, last: i64) -> Ticks {
        Ticks {
            first: hour(first),
            last: hour(last),
            count: u64::try_from(last - first + 1).unwrap(),
        }
    }

    /// By target: owed, collected, incomplete, failed, missed, unaccounted.
    fn told(ledger: &Ledger) -> Vec<(String, [u64; 6])> {
        let accounts = ledger.close().into_iter();
        accounts
            .map(|account| {
                let Counts {
                    owed,
                    collected,
                    incomplete,
                    failed,
                    missed,
                    unaccounted,
                } = account.counts;
                let counts = [owed, collected, incomplete, failed, missed, unaccounted];
                (account.target, counts)
            })
            .collect()
    }

    #[test]
    fn every_tick_of_every_target_in_scope_comes_to_exactly_one_fate() {
        let mut ledger = ledger(6);
        scope(&mut ledger, &["a", "b"]);
        one(&mut ledger, 0, "a", WHOLE);
        one(&mut ledger, 0, "b", PART);
        ledger.enter(Ticks::one(hour(1)), None, Fate::Failed);
        one(&mut ledger, 2, "a", WHOLE);
        one(&mut ledger, 2, "b", Fate::Missed(MissedReason::Interrupted));
        ledger.enter(range(3, 4), None, Fate::Missed(DaemonDown));
        let expected = [("a", [6, 2, 0, 1, 2, 1]), ("b", [6, 0, 1, 1, 3, 1])];
        assert_eq!(
            told(&ledger),
            expected.map(|(target, counts)| (target.to_owned(), counts))
        );
        assert_eq!((ledger.accounted_until(), ledger.twice()), (Some(hour(4)), 0));
        let holes = |target: usize| ledger.close()[target].holes.clone();
        let fates: Vec<_> = holes(1)
            .iter()
            .map(|hole| (hole.fate, hole.ticks.count))
            .collect();
        let down = Fate::Missed(DaemonDown);
        let cut = Fate::Missed(MissedReason::Interrupted);
        assert_eq!(
            fates,
            [
                (PART, 1),
                (Fate::Failed, 1),
                (cut, 1),
                (down, 2),
                (Fate::Unaccounted, 1)
            ]
        );
    }

    #[test]
    fn a_target_owes_ticks_only_while_it_is_in_scope() {
        let mut ledger = ledger(4);
        scope(&mut ledger, &["a", "b"]);
        one(&mut ledger, 0, "a", WHOLE);
        one(&mut ledger, 0, "b", WHOLE);
        scope(&mut ledger, &["a", "c"]);
        for at in 1..3 {
            one(&mut ledger, at, "a", WHOLE);
            one(&mut ledger, at, "c", WHOLE);
        }
        let counts: Vec<_> = told(&ledger)
            .iter()
            .map(|(_, counts)| (counts[0], counts[5]))
            .collect();
        assert_eq!(
            counts,
            [(4, 1), (1, 0), (3, 1)],
            "the last tick is owed by those in scope last"
        );
    }

    #[test]
    fn before_any_target_is_known_the_source_itself_owes() {
        let mut ledger = ledger(3);
        ledger.enter(Ticks::one(hour(0)), None, Fate::Failed);
        assert_eq!(told(&ledger), [(String::new(), [3, 0, 0, 1, 0, 2])]);
        scope(&mut ledger, &["a"]);
        one(&mut ledger, 1, "a", WHOLE);
        assert_eq!(
            told(&ledger),
            [
                (String::new(), [1, 0, 0, 1, 0, 0]),
                ("a".to_owned(), [2, 1, 0, 0, 0, 1])
            ]
        );
    }

    #[test]
    fn holes_that_do_not_touch_are_two_and_one_that_is_overrun_may_be_entered_early() {
        let mut ledger = ledger(5);
        scope(&mut ledger, &["a"]);
        ledger.enter(Ticks::one(hour(1)), None, Fate::Missed(Overrun));
        one(&mut ledger, 0, "a", WHOLE);
        one(&mut ledger, 2, "a", WHOLE);
        ledger.enter(Ticks::one(hour(3)), None, Fate::Missed(Overrun));
        one(&mut ledger, 4, "a", WHOLE);
        let holes: Vec<_> = ledger.close()[0].holes.iter().map(|hole| hole.ticks).collect();
        assert_eq!(holes, [range(1, 1), range(3, 3)]);
        one(&mut ledger, 4, "a", Fate::Failed);
        assert_eq!(
            ledger.twice(),
            1,
            "what is told twice is noticed, and the first counts"
        );
        assert_eq!(ledger.close()[0].counts.collected, 3);
    }

    #[test]
    fn ticks_that_are_not_owed_are_no_part_of_it() {
        let mut ledger = ledger(2);
        scope(&mut ledger, &["a"]);
        ledger.enter(range(-3, 0), None, Fate::Missed(DaemonDown));
        one(&mut ledger, 9, "a", WHOLE);
        assert_eq!(told(&ledger), [("a".to_owned(), [2, 0, 0, 0, 1, 1])]);
    }
}
