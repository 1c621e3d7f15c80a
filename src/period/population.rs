//! Populations: the complete set that samples are drawn from, out of snapshot after snapshot of each target.
//!
//! Events (pull requests, commits) come in intervals: the union of the intervals is the population, each event belongs to the
//! period of its own time, and a hole in the union is a gap. States (users, buckets) are seen at instants: the population is
//! every one that any snapshot of the period saw, and those that were there when it began.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

use evidenced_collector_api::{Covers, Resource};

use super::deviation::Scope;
use super::span::Span;

mod gaps;

use gaps::Troubles;
pub use gaps::{Gap, Trouble, What, Why};

/// Attributes that hold an event's own time, where its `as_of` does not. The first that is there counts.
const OWN_TIME: [&str; 3] = ["merged_at", "pushed_at", "at"];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The period, `from` included, `to` excluded.
    pub period: Span,
    /// Up to when anything can be known: the time of the newest leaf.
    pub now: DateTime<Utc>,
    /// For how long a look at a state speaks for what follows it, where a test says so.
    pub reach: Option<TimeDelta>,
}

impl Asked {
    /// As much of the period as is over.
    fn known(self) -> Span {
        Span::new(
            self.period.from,
            self.period.to.min(self.now).max(self.period.from),
        )
    }
}

/// One item of a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it was read.
    pub scope: Scope,
    /// An event's own time, where it is told.
    pub at: Option<DateTime<Utc>>,
    /// Of an event whose own time is not told: the interval in which it arrived.
    pub between: Option<Span>,
    /// The first look that saw it.
    pub first_seen: DateTime<Utc>,
    /// The last one.
    pub last_seen: DateTime<Utc>,
    /// Of a state: the look that no longer saw it, unless a later one did.
    pub gone: Option<DateTime<Utc>>,
    /// Of a state: whether it was there when the period began, by the last look before.
    pub at_start: bool,
    /// Of an event: whether the interval of its own time had been read without it.
    pub late: bool,
    /// In how many snapshots it was.
    pub seen: u64,
    /// The newest of them.
    pub snapshot: u64,
    /// The attributes that another snapshot showed otherwise; those of the newest are kept.
    pub changed: BTreeSet<String>,
    /// What the newest snapshot says of it.
    pub resource: Resource,
}

/// What a snapshot holds of one kind.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The same as the snapshot before it.
    Same,
    /// These.
    Items(Vec<Resource>),
    /// Nobody can say any more.
    Unreadable,
}

/// A snapshot, as far as one kind is concerned.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its leaf.
    pub seq: u64,
    /// The time it speaks for.
    pub covers: Covers,
    /// Whether it is the whole population.
    pub complete: bool,
    /// What it holds.
    pub seen: Seen,
}

/// One kind of resource of one target over a period, look by look in the order of the log.
pub struct Gathering {
    scope: Scope,
    asked: Asked,
    /// Attributes whose changes do not count.
    volatile: BTreeSet<String>,
    items: BTreeMap<String, Item>,
    troubles: Troubles,
    /// What complete snapshots cover, of events.
    covered: Vec<Span>,
    /// The instants of complete snapshots, of states.
    looks: Vec<DateTime<Utc>>,
    /// The ids in the look before, and the look that last saw the same.
    present: Vec<String>,
    again: Option<(DateTime<Utc>, u64, u64)>,
    read: u64,
    is_events: bool,
}

/// What a target adds to a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// By id.
    pub items: Vec<Item>,
    /// Oldest first.
    pub gaps: Vec<Gap>,
    /// Whether the items are events.
    pub is_events: bool,
    /// How many items the snapshots held together, as far as they belong to the period.
    pub read: u64,
}

impl Gathering {
    /// Nothing yet.
    pub fn new(scope: Scope, asked: Asked, volatile: BTreeSet<String>) -> Self {
        Self {
            scope,
            asked,
            volatile,
            items: BTreeMap::new(),
            troubles: Troubles::default(),
            covered: Vec::new(),
            looks: Vec::new(),
            present: Vec::new(),
            again: None,
            read: 0,
            is_events: false,
        }
    }

    /// A snapshot of the period, or the last complete one before it; whether anything of it counts.
    pub fn look(&mut self, look: Look) -> bool {
        match look.covers {
            Covers::Interval { from, to } => self.events(look, Span::of_events(from, to)),
            Covers::At { at } => self.states(look, at),
        }
    }

    /// What kept something from being collected.
    pub fn trouble(&mut self, trouble: Trouble) {
        self.troubles.add(trouble);
    }

    /// From this instant on, the target was in scope or not.
    pub fn scope(&mut self, at: DateTime<Utc>, is_in: bool) {
        self.troubles.scope(at, is_in);
    }

    fn events(&mut self, look: Look, interval: Span) -> bool {
        self.is_events = true;
        let touches = interval.shared(self.asked.period).is_some();
        if touches && !look.complete {
            self.troubles.add(Trouble::incomplete(look.seq, interval));
        }
        let resources = match look.seen {
            Seen::Items(resources) => resources,
            // Intervals are never the same; what can't be read is no coverage.
            Seen::Same | Seen::Unreadable => {
                if touches {
                    self.troubles.add(Trouble::unreadable(look.seq, interval));
                }
                return touches;
            }
        };
        if look.complete {
            self.covered.push(interval);
        }
        let (from, until, mut counts) = (interval.from, look.covers.until(), touches);
        for resource in resources {
            let own = own_time(&resource);
            let belongs = own.map_or(touches, |at| self.asked.period.contains(at));
            if !belongs {
                continue;
            }
            counts = true;
            self.read += 1;
            let item = self.item(look.seq, until, resource);
            item.at = own;
            item.between = own.is_none().then_some(interval);
            item.late |= own.is_some_and(|at| at < from);
        }
        counts
    }

    fn states(&mut self, look: Look, at: DateTime<Utc>) -> bool {
        let (known, before) = (self.asked.known(), at < self.asked.period.from);
        if before {
            let old = self
                .asked
                .reach
                .is_some_and(|reach| self.asked.period.from - at > reach);
            if old || !look.complete {
                return false;
            }
            // Only the last look before the period counts.
            if matches!(look.seen, Seen::Items(_)) {
                self.items.clear();
                self.read = 0;
            }
        } else if !self.asked.period.contains(at) {
            return false;
        }
        let moment = Span::new(at.max(known.from), at.max(known.from) + TimeDelta::nanoseconds(1));
        let resources = match look.seen {
            Seen::Unreadable => {
                self.troubles.add(Trouble::unreadable(look.seq, moment));
                return true;
            }
            Seen::Same => {
                let times = self.again.map_or(0, |(_, _, times)| times);
                self.again = Some((at, look.seq, times + 1));
                self.read += self.present.len() as u64;
                self.note_complete(look.complete, look.seq, at, moment);
                return true;
            }
            Seen::Items(resources) => resources,
        };
        self.see_again();
        self.present.clear();
        for resource in resources {
            self.present.push(resource.id.clone());
            self.read += 1;
            let item = self.item(look.seq, at, resource);
            item.gone = None;
            item.at_start |= before;
        }
        if look.complete {
            let present: BTreeSet<&str> = self.present.iter().map(String::as_str).collect();
            for (id, item) in &mut self.items {
                if item.gone.is_none() && !present.contains(id.as_str()) {
                    item.gone = Some(at);
                }
            }
        }
        self.note_complete(look.complete, look.seq, at, moment);
        true
    }

    fn note_complete(&mut self, complete: bool, seq: u64, at: DateTime<Utc>, moment: Span) {
        if complete {
            self.looks.push(at);
        } else {
            self.troubles.add(Trouble::incomplete(seq, moment));
        }
    }

    /// Looks that saw the same count for everything that was there.
    fn see_again(&mut self) {
        if let Some((at, seq, times)) = self.again.take() {
            for id in &self.present {
                if let Some(item) = self.items.get_mut(id) {
                    item.last_seen = at;
                    item.snapshot = seq;
                    item.seen += times;
                }
            }
        }
    }

    /// The item that a snapshot shows, newly or again.
    fn item(&mut self, seq: u64, at: DateTime<Utc>, resource: Resource) -> &mut Item {
        let volatile = &self.volatile;
        let new = || Item {
            scope: self.scope.clone(),
            at: None,
            between: None,
            first_seen: at,
            last_seen: at,
            gone: None,
            at_start: false,
            late: false,
            seen: 0,
            snapshot: seq,
            changed: BTreeSet::new(),
            resource: resource.clone(),
        };
        let item = self.items.entry(resource.id.clone()).or_insert_with(new);
        let differ = differences(&item.resource, &resource);
        item.changed
            .extend(differ.filter(|name| !volatile.contains(name)));
        item.resource = resource;
        item.last_seen = at;
        item.snapshot = seq;
        item.seen += 1;
        item
    }

    /// What the target adds.
    pub fn end(mut self) -> Gathered {
        self.see_again();
        let gaps = if self.is_events {
            self.troubles.of_events(self.covered, self.asked)
        } else {
            self.troubles.of_states(&self.looks, self.asked)
        };
        Gathered {
            items: self.items.into_values().collect(),
            gaps: gaps
                .into_iter()
                .map(|(span, why)| Gap {
                    scope: self.scope.clone(),
                    span,
                    why,
                })
                .collect(),
            is_events: self.is_events,
            read: self.read,
        }
    }
}

/// When an event happened, by what it says of itself.
pub fn own_time(resource: &Resource) -> Option<DateTime<Utc>> {
    let told = OWN_TIME
        .iter()
        .find_map(|name| resource.attributes.get(*name)?.as_str());
    let told = told.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    resource.as_of.or(told.map(|at| at.to_utc()))
}

/// The attributes that two readings of an item do not agree on.
fn differences(one: &Resource, other: &Resource) -> impl Iterator<Item = String> {
    let names: BTreeSet<&String> = [one, other]
        .into_iter()
        .flat_map(|resource| resource.attributes.keys().chain(resource.unknown.keys()))
        .collect();
    let differ = |name: &&String| {
        one.attributes.get(*name) != other.attributes.get(*name)
            || one.unknown.get(*name) != other.unknown.get(*name)
    };
    let differ: Vec<String> = names.into_iter().filter(differ).cloned().collect();
    differ.into_iter()
}

/// The order of a population's list, in which its items are numbered: source, target, id, collector, byte for byte.
pub fn sort(items: &mut [Item]) {
    items.sort_by(|a, b| key(a).cmp(&key(b)));
}

fn key(item: &Item) -> (&str, &str, &str, &str) {
    let scope = &item.scope;
    (&scope.source, &scope.target, &item.resource.id, &scope.collector)
}

#[cfg(test)]
mod tests;
