//! Reading all that one collector yields: leaf after leaf, each snapshot's evidence at most once.

use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use evidenced_collector_api::{Covers, Provenance, Resource};

use super::entries::{self, What};
use super::planned::{Of, Planned};
use super::{Asking, Counts, Population};
use crate::log::leaf::{Body, Leaf, Role, SnapshotLeaf};
use crate::log::store::{Reader, StoreError};
use crate::log::tree::Hash;
use crate::period::deviation::Scope;
use crate::period::obtained::Obtained;
use crate::period::population::{self, Asked, Gathering, Look, Seen, Trouble};
use crate::period::span::Span;
use crate::round::{self, RoundError};

/// All that one collector yields.
pub(super) struct Reading<'a> {
    reader: &'a Reader,
    asking: &'a Asking,
    planned: &'a Planned,
    collector: &'a str,
    wanted: &'a [Of],
    now: DateTime<Utc>,
    /// By source and target.
    targets: BTreeMap<(String, String), Target>,
    /// What concerns every target of a source.
    troubles: Vec<(String, Trouble)>,
    /// By source, the targets from each instant on.
    scopes: BTreeMap<String, Vec<Scoped>>,
    obtained: Obtained,
    plans: BTreeSet<u64>,
}

/// The targets of a source from an instant on.
type Scoped = (DateTime<Utc>, BTreeSet<String>);

/// One target.
struct Target {
    /// One for each population that is wanted.
    gatherings: Vec<Gathering>,
    /// Snapshots that are too old to be of the period, for its beginning; none once that is known.
    before: Option<Vec<u64>>,
    /// What the snapshot before rested on.
    last: Option<(Vec<Hash>, bool)>,
    looked: bool,
}

impl<'a> Reading<'a> {
    /// Nothing read yet.
    pub(super) fn new(
        reader: &'a Reader,
        asking: &'a Asking,
        planned: &'a Planned,
        (collector, wanted): (&'a str, &'a [Of]),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            reader,
            asking,
            planned,
            collector,
            wanted,
            now,
            targets: BTreeMap::new(),
            troubles: Vec::new(),
            scopes: BTreeMap::new(),
            obtained: Obtained::default(),
            plans: BTreeSet::new(),
        }
    }

    pub(super) fn read(&mut self) -> Result<(), StoreError> {
        let (entries, places) = entries::of(self.reader, self.asking, self.collector)?;
        for (seq, place, what) in entries {
            let key = &places[place];
            match what {
                What::Scope(time) => self.scope(seq, &time, key.0.clone())?,
                What::Trouble => self.trouble(seq, key.0.clone())?,
                What::Early | What::Snapshot => {
                    let before = &mut self.target(key).before;
                    if let Some(before) = before.as_mut().filter(|_| matches!(what, What::Early)) {
                        before.push(seq);
                    } else {
                        self.begin(key)?;
                        self.snapshot(key, seq)?;
                    }
                }
            }
        }
        for source in self.planned.sources(self.collector) {
            let known = self.targets.keys().any(|(of, _)| *of == source);
            if self.asking.has_source(&source) && !known {
                // Nobody ever found out what there is.
                self.target(&(source, String::new()));
            }
        }
        let keys: Vec<_> = self.targets.keys().cloned().collect();
        keys.iter().try_for_each(|key| self.begin(key))
    }

    fn target(&mut self, key: &(String, String)) -> &mut Target {
        let (period, now, planned) = (self.asking.period, self.now, self.planned);
        let (collector, wanted) = (self.collector, self.wanted);
        self.targets.entry(key.clone()).or_insert_with(|| {
            let scope = Scope {
                collector: collector.to_owned(),
                source: key.0.clone(),
                target: key.1.clone(),
            };
            let gatherings = wanted.iter().map(|of| {
                let asked = Asked {
                    period,
                    now,
                    reach: planned.reach(&of.kind),
                };
                Gathering::new(scope.clone(), asked, planned.volatile(collector, &of.kind))
            });
            Target {
                gatherings: gatherings.collect(),
                before: Some(Vec::new()),
                last: None,
                looked: false,
            }
        })
    }

    /// The last complete snapshot before the period.
    fn begin(&mut self, key: &(String, String)) -> Result<(), StoreError> {
        let before = self.target(key).before.take().unwrap_or_default();
        for seq in before.into_iter().rev() {
            let Some((_, snapshot)) = self.snapshot_leaf(seq)? else {
                continue;
            };
            let Covers::At { .. } = snapshot.covers else {
                return Ok(());
            };
            if snapshot.complete {
                return self.snapshot(key, seq);
            }
        }
        Ok(())
    }

    fn leaf(&self, seq: u64) -> Result<Option<Leaf>, StoreError> {
        match self.reader.leaf(seq) {
            Err(error) if error.is_damage() => {
                tracing::warn!("{error}");
                Ok(None)
            }
            leaf => leaf,
        }
    }

    fn snapshot_leaf(&self, seq: u64) -> Result<Option<(Leaf, SnapshotLeaf)>, StoreError> {
        let leaf = self.leaf(seq)?;
        Ok(leaf.and_then(|leaf| match leaf.body.clone() {
            Some(Body::Snapshot(snapshot)) => Some((leaf, snapshot)),
            _ => None,
        }))
    }

    fn snapshot(&mut self, key: &(String, String), seq: u64) -> Result<(), StoreError> {
        let Some((leaf, snapshot)) = self.snapshot_leaf(seq)? else {
            self.obtained.unreadable.insert(seq);
            return Ok(());
        };
        let is_state = match snapshot.covers {
            Covers::At { at } if at >= self.asking.period.to => return Ok(()),
            Covers::At { .. } => true,
            Covers::Interval { .. } => false,
        };
        let evidence = leaf.blobs.iter().filter(|blob| blob.role == Role::Evidence);
        let this = (
            evidence.map(|blob| blob.sha256).collect::<Vec<_>>(),
            snapshot.complete,
        );
        let target = self.target(key);
        let same = is_state && target.last.as_ref() == Some(&this);
        let resources = if same { None } else { self.resources(seq, &leaf)? };
        let readable = same || resources.is_some();
        let wanted = self.wanted;
        let target = self.target(key);
        target.last = readable.then_some(this);
        let mut counts = false;
        for (of, gathering) in wanted.iter().zip(&mut target.gatherings) {
            let seen = match &resources {
                _ if same => Seen::Same,
                Some(resources) => Seen::Items(of.part_of(resources)),
                None => Seen::Unreadable,
            };
            counts |= gathering.look(Look {
                seq,
                covers: snapshot.covers,
                complete: snapshot.complete,
                seen,
            });
        }
        target.looked |= counts;
        if counts {
            let provenance = self.provenance(&leaf)?;
            let until = snapshot.covers.until();
            self.obtained
                .add(seq, until, snapshot.complete, provenance.as_ref());
            self.plans.insert(snapshot.plan);
        }
        Ok(())
    }

    /// None where they can't be read any more.
    fn resources(&mut self, seq: u64, leaf: &Leaf) -> Result<Option<Vec<Resource>>, StoreError> {
        match round::resources(self.reader, seq, leaf) {
            Ok(resources) => Ok(Some(resources)),
            Err(RoundError::Store(error)) if !error.is_damage() => Err(error),
            Err(error) => {
                tracing::warn!("{error}");
                self.obtained.unreadable.insert(seq);
                Ok(None)
            }
        }
    }

    fn provenance(&self, leaf: &Leaf) -> Result<Option<Provenance>, StoreError> {
        let Some(blob) = leaf.blobs.iter().find(|blob| blob.role == Role::Provenance) else {
            return Ok(None);
        };
        let payload = round::undamaged(self.reader.payload(&blob.sha256))?;
        Ok(payload.and_then(|payload| serde_json::from_slice(&payload).ok()))
    }

    fn scope(&mut self, seq: u64, time: &str, source: String) -> Result<(), StoreError> {
        let targets = match self.reader.targets(seq) {
            Err(error) if error.is_damage() => {
                tracing::warn!("{error}");
                return Ok(());
            }
            targets => targets?.into_iter().collect::<BTreeSet<_>>(),
        };
        let at = DateTime::parse_from_rfc3339(time).map(|at| at.to_utc());
        for target in &targets {
            self.target(&(source.clone(), target.clone()));
        }
        if let Ok(at) = at {
            self.scopes.entry(source).or_default().push((at, targets));
        }
        Ok(())
    }

    fn trouble(&mut self, seq: u64, source: String) -> Result<(), StoreError> {
        let Some(leaf) = self.leaf(seq)? else {
            return Ok(());
        };
        let (target, trouble) = match leaf.body {
            Some(Body::Failure(failure)) => {
                let class = serde_json::to_value(failure.class).unwrap_or_default();
                let class = class.as_str().unwrap_or_default();
                (failure.target, Trouble::failure(leaf.seq, failure.started, class))
            }
            Some(Body::Missed(missed)) => {
                let ticks = missed.ticks;
                let reason = missed.reason.to_string();
                (
                    missed.target,
                    Trouble::missed(leaf.seq, ticks.first, ticks.last, &reason),
                )
            }
            _ => return Ok(()),
        };
        match target {
            Some(target) => {
                for gathering in &mut self.target(&(source, target)).gatherings {
                    gathering.trouble(trouble.clone());
                }
            }
            None => self.troubles.push((source, trouble)),
        }
        Ok(())
    }

    pub(super) fn end(mut self, leaves: u64) -> Vec<Population> {
        let (period, only_sources) = (self.asking.period, &self.asking.only_sources);
        let obtained = Rc::new(std::mem::take(&mut self.obtained));
        let mut populations: Vec<Population> = self
            .wanted
            .iter()
            .map(|of| Population {
                of: of.called.clone(),
                name: of.named.map(|named| named.name),
                part: of.named.and_then(|named| named.part),
                collector: self.collector.to_owned(),
                period,
                now: self.now,
                leaves,
                only_sources: only_sources.clone(),
                is_events: false,
                items: Vec::new(),
                counts: Counts::default(),
                gaps: Vec::new(),
                read: 0,
                targets: BTreeSet::new(),
                reach: self.planned.reach(&of.kind),
                obtained: Rc::clone(&obtained),
                exclusions: self.planned.exclusions(&self.plans, &of.kind),
            })
            .collect();
        for ((source, name), target) in self.targets {
            let scopes = self.scopes.get(&source).map_or(&[][..], Vec::as_slice);
            let scopes = scopes.iter().map(|(at, targets)| (*at, targets.contains(&name)));
            let scopes: Vec<_> = scopes.collect();
            if !target.looked && was_never_in(&scopes, period) {
                continue;
            }
            for (mut gathering, population) in target.gatherings.into_iter().zip(&mut populations) {
                for (at, is_in) in &scopes {
                    gathering.scope(*at, *is_in);
                }
                for (_, trouble) in self.troubles.iter().filter(|(of, _)| *of == source) {
                    gathering.trouble(trouble.clone());
                }
                let gathered = gathering.end();
                population.items.extend(gathered.items);
                population.gaps.extend(gathered.gaps);
                population.read += gathered.read;
                population.is_events |= gathered.is_events;
                population.targets.insert(Scope {
                    collector: population.collector.clone(),
                    source: source.clone(),
                    target: name.clone(),
                });
            }
        }
        for population in &mut populations {
            population::sort(&mut population.items);
            population.counts = Counts::of(&population.items);
        }
        populations
    }
}

/// Whether a target left the scope before the period, and did not come back in it.
fn was_never_in(scopes: &[(DateTime<Utc>, bool)], period: Span) -> bool {
    let at_start = scopes.iter().rfind(|(at, _)| *at <= period.from);
    let later = scopes.iter().any(|(at, is_in)| *is_in && period.contains(*at));
    // Before the first list of targets nothing is known, unless that came after the period.
    let out = at_start.map_or_else(
        || scopes.first().is_some_and(|(at, _)| *at >= period.to),
        |(_, is_in)| !is_in,
    );
    out && !later
}
