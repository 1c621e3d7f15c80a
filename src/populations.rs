//! What the log tells of populations: reads every snapshot of a period, what kept others from being taken, and how they were
//! obtained. Reads only.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::control::Exclusion;
use crate::log::store::{Reader, StoreError};
use crate::period::deviation::Scope;
use crate::period::obtained::Obtained;
use crate::period::population::{Gap, Item};
use crate::period::span::Span;

pub mod alike;
mod entries;
pub mod handed;
pub mod named;
mod planned;
mod reading;
pub mod rows;
pub mod sealed;
pub mod statement;

use planned::{Of, Planned};
use reading::Reading;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The period.
    pub period: Span,
    /// Only of these sources; of all if empty.
    pub only_sources: BTreeSet<String>,
    /// Only what these collectors yield; all if none.
    pub only_collectors: Option<BTreeSet<String>>,
    /// Only this population, as it is called in the log.
    pub only: Option<String>,
}

impl Asking {
    fn has_source(&self, source: &str) -> bool {
        self.only_sources.is_empty() || self.only_sources.contains(source)
    }
}

/// The complete set of one kind of resource over a period, as far as the log has it.
#[derive(Clone, Debug)]
pub struct Population {
    /// What it is called in the log.
    pub of: String,
    /// The name that people use, where there is one.
    pub name: Option<&'static str>,
    /// What part of its kind it is, where it is not all of it.
    pub part: Option<&'static str>,
    /// The collector that yields it.
    pub collector: String,
    /// The period that was asked for.
    pub period: Span,
    /// The time of the newest leaf: nothing is known beyond it.
    pub now: DateTime<Utc>,
    /// How many leaves the log held.
    pub leaves: u64,
    /// Only of these sources; of all if empty.
    pub only_sources: BTreeSet<String>,
    /// Whether it is of events; else of states.
    pub is_events: bool,
    /// In the order in which they are numbered.
    pub items: Vec<Item>,
    /// How many there are of each sort.
    pub counts: Counts,
    /// By target, oldest first.
    pub gaps: Vec<Gap>,
    /// How many items the snapshots held together.
    pub read: u64,
    /// Where they were read.
    pub targets: BTreeSet<Scope>,
    /// For how long a look at a state speaks for what follows it.
    pub reach: Option<TimeDelta>,
    /// How it was obtained; shared by all that the collector yields.
    pub obtained: Rc<Obtained>,
    /// What the company leaves out of its tests. It is in the population all the same.
    pub exclusions: Vec<Exclusion>,
}

/// How many items of each sort a population has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub items: u64,
    /// Those that another snapshot showed otherwise.
    pub changed: u64,
    /// Events that the source showed late.
    pub late: u64,
    /// Events whose own time is not told.
    pub untimed: u64,
    /// States that were there when the period began.
    pub at_start: u64,
    /// States that the last look no longer saw.
    pub gone: u64,
}

impl Counts {
    fn of(items: &[Item]) -> Self {
        let count = |is: fn(&Item) -> bool| items.iter().filter(|item| is(item)).count() as u64;
        Self {
            items: items.len() as u64,
            changed: count(|item| !item.changed.is_empty()),
            late: count(|item| item.late),
            untimed: count(|item| item.between.is_some()),
            at_start: count(|item| item.at_start),
            gone: count(|item| item.gone.is_some()),
        }
    }
}

impl Population {
    /// Whether the period was over when the log ended.
    pub fn is_over(&self) -> bool {
        self.now >= self.period.to
    }

    /// Whether nothing is missing, by all that the log says.
    pub fn is_whole(&self) -> bool {
        self.is_over() && self.gaps.is_empty() && !self.targets.is_empty()
    }

    /// How many items the list holds.
    pub fn count(&self) -> u64 {
        self.counts.items
    }
}

/// What populations there are: the names by which they are called in the log.
///
/// # Errors
/// The store can't be read.
pub fn known(reader: &Reader) -> Result<BTreeSet<String>, StoreError> {
    let planned = Planned::read(reader)?;
    Ok(planned.all(None).into_iter().map(|(_, of)| of.called).collect())
}

/// The sources that anything was ever planned for.
///
/// # Errors
/// The store can't be read.
pub fn sources(reader: &Reader) -> Result<BTreeSet<String>, StoreError> {
    Ok(Planned::read(reader)?.all_sources())
}

/// Reads populations, by collector and kind.
///
/// # Errors
/// The store can't be read. Evidence that is damaged is named, not refused.
pub fn read(reader: &Reader, asking: &Asking) -> Result<Vec<Population>, StoreError> {
    let mut populations = Vec::new();
    each(reader, asking, |of_collector| {
        populations.extend(of_collector);
        Ok::<_, StoreError>(())
    })?;
    Ok(populations)
}

/// Reads populations a collector at a time, so that the items of all need not be held at once.
///
/// # Errors
/// As [`read`], and those of `visit`.
pub fn each<E: From<StoreError>>(
    reader: &Reader,
    asking: &Asking,
    mut visit: impl FnMut(Vec<Population>) -> Result<(), E>,
) -> Result<(), E> {
    let planned = Planned::read(reader)?;
    let leaves = reader.size()?;
    let newest = reader.leaf(leaves.saturating_sub(1))?;
    let now = newest.map_or(asking.period.from, |leaf| leaf.time);
    let mut by_collector: BTreeMap<String, Vec<Of>> = BTreeMap::new();
    for (collector, of) in planned.all(asking.only.as_deref()) {
        let wanted = asking.only_collectors.as_ref();
        if wanted.is_some_and(|wanted| !wanted.contains(&collector)) {
            continue;
        }
        by_collector.entry(collector).or_default().push(of);
    }
    for (collector, wanted) in by_collector {
        let mut reading = Reading::new(reader, asking, &planned, (&collector, &wanted), now);
        reading.read()?;
        visit(reading.end(leaves))?;
    }
    Ok(())
}
