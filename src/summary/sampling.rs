//! What a period's log says of populations and samples: the lists that were sealed, and every draw. Only leaves are read; the lists
//! themselves, and populations that nobody sealed, are read by `populations`, which takes longer.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::Summary;
use super::gather::Gathered;
use crate::log::leaf::{Population, Sample};
use crate::period::rules;
use crate::period::span::Span;
use crate::period::window::Window;
use crate::populations::Asking;
use crate::populations::named::named;
use crate::populations::sealed::overlap;

/// A list that was sealed.
#[derive(Debug, Serialize)]
pub struct SealedRow {
    /// Its leaf.
    pub seq: u64,
    /// When.
    pub time: DateTime<Utc>,
    /// Of what: a kind of resource, or a part of one that has a name.
    pub population: String,
    /// The name that people use, where there is one.
    pub name: Option<&'static str>,
    /// The configured name of its period, where it was given.
    pub period: Option<String>,
    /// Its period's first instant.
    pub from: DateTime<Utc>,
    /// The instant it ends.
    pub to: DateTime<Utc>,
    /// Only of these sources; of all if empty.
    pub sources: Vec<String>,
    /// How many items it holds.
    pub count: u64,
    /// How many targets they were read from.
    pub targets: u64,
    /// How many snapshots it rests on.
    pub snapshots: u64,
    /// How many of these were not the whole population.
    pub incomplete: u64,
    /// For how many stretches nobody can say that it is whole.
    pub gaps: u64,
    /// Whether its period was over.
    pub over: bool,
    /// Who sealed it.
    pub recorded_by: String,
}

/// A draw.
#[derive(Debug, Serialize)]
pub struct DrawRow {
    /// Its leaf.
    pub sample: u64,
    /// When.
    pub time: DateTime<Utc>,
    /// The leaf that seals what it was drawn from.
    pub population: u64,
    /// Of what; null where that leaf can't be read.
    pub of: Option<String>,
    /// The first instant of the population's period.
    pub from: Option<DateTime<Utc>>,
    /// The instant it ends.
    pub to: Option<DateTime<Utc>>,
    /// Only of these sources; of all if empty.
    pub sources: Option<Vec<String>>,
    /// How many items there were to draw from.
    pub count: Option<u64>,
    /// How it was drawn.
    pub method: String,
    /// The auditor's seed.
    pub seed: String,
    /// How many were asked for.
    pub size: u64,
    /// Where the size is from.
    pub basis: String,
    /// How many were drawn.
    pub drawn: u64,
    /// Which draw on this population it is, from 1, those before the period included.
    pub draw: u64,
    /// The positions drawn, in the order of drawing; none where all were.
    #[serde(skip)]
    pub positions: Option<Vec<u64>>,
    /// Who drew it.
    pub drawn_by: String,
    /// What whoever drew it says.
    pub note: Option<String>,
}

/// What is collected, and what for: which populations belong to the summary.
#[derive(Debug, Default)]
pub struct Collected {
    /// By collector, the kinds that it was ever planned to yield.
    pub kinds: BTreeMap<String, BTreeSet<String>>,
    /// The collectors that were planned, or looked, within the period.
    pub within: BTreeSet<String>,
    /// By test, the kinds that it was about within the period.
    pub tested: BTreeMap<String, BTreeSet<String>>,
    /// Whether only what serves a control in the summary is in scope.
    pub only_serving: bool,
}

/// `population` and `sample` leaves, as a walk over the log finds them.
#[derive(Default)]
pub(super) struct Sampling {
    populations: Vec<(u64, DateTime<Utc>, Population)>,
    samples: Vec<(u64, DateTime<Utc>, Sample)>,
}

impl Sampling {
    pub(super) fn sealed(&mut self, seq: u64, time: DateTime<Utc>, population: Population) {
        self.populations.push((seq, time, population));
    }

    pub(super) fn drawn(&mut self, seq: u64, time: DateTime<Utc>, sample: Sample) {
        self.samples.push((seq, time, sample));
    }

    fn population(&self, seq: u64) -> Option<&Population> {
        let at = self.populations.binary_search_by_key(&seq, |(seq, ..)| *seq);
        at.ok().map(|at| &self.populations[at].2)
    }

    /// The lists of periods that overlap this one.
    pub(super) fn sealed_within(&self, period: &Window) -> Vec<SealedRow> {
        let rows = self.populations.iter();
        let rows = rows.filter(|(_, _, population)| overlaps(population, period));
        let row = |(seq, time, of): &(u64, DateTime<Utc>, Population)| SealedRow {
            seq: *seq,
            time: *time,
            population: of.of.clone(),
            name: named(&of.of).map(|named| named.name),
            period: of.period.clone(),
            from: of.from,
            to: of.to,
            sources: of.only_sources.clone(),
            count: of.count,
            targets: of.targets,
            snapshots: of.snapshots,
            incomplete: of.incomplete,
            gaps: of.gaps,
            over: of.over,
            recorded_by: of.recorded_by.clone(),
        };
        rows.map(row).collect()
    }

    /// The draws from such lists, and all that were made within the period. Whatever the scope: a draw is never left out.
    pub(super) fn drawn_within(&self, period: &Window) -> Vec<DrawRow> {
        let numbered = self.samples.iter().enumerate();
        let rows = numbered.filter(|(_, (_, time, sample))| {
            let population = self.population(sample.population);
            period.holds(*time) || population.is_some_and(|population| overlaps(population, period))
        });
        rows.map(|(at, (seq, time, sample))| self.row(at, (*seq, *time), sample))
            .collect()
    }

    fn row(&self, at: usize, (seq, time): (u64, DateTime<Utc>), sample: &Sample) -> DrawRow {
        let of = self.population(sample.population);
        let on_same = |(_, _, other): &&(u64, DateTime<Utc>, Sample)| {
            let both = self.population(other.population).zip(of);
            other.population == sample.population || both.is_some_and(|(one, other)| overlap(one, other))
        };
        DrawRow {
            sample: seq,
            time,
            population: sample.population,
            of: of.map(|of| of.of.clone()),
            from: of.map(|of| of.from),
            to: of.map(|of| of.to),
            sources: of.map(|of| of.only_sources.clone()),
            count: of.map(|of| of.count),
            method: sample.method.clone(),
            seed: sample.seed.clone(),
            size: sample.size,
            basis: sample.basis.clone(),
            drawn: sample.drawn,
            draw: self.samples[..=at].iter().filter(on_same).count() as u64,
            positions: sample.positions.clone(),
            drawn_by: sample.drawn_by.clone(),
            note: sample.note.clone(),
        }
    }
}

fn overlaps(population: &Population, period: &Window) -> bool {
    population.from < period.to && period.from < population.to
}

/// What was collected, by plans and snapshots.
pub(super) fn collected(gathered: &Gathered, period: &Window) -> Collected {
    let planned = gathered.posts.iter().filter(|(_, span)| {
        let (from, to) = span.within(period.from, period.to);
        from < to
    });
    let looked = gathered
        .looks
        .iter()
        .filter(|(_, looks)| looks.iter().any(|look| period.holds(look.covers.until())));
    let mut within: BTreeSet<String> = planned.map(|(post, _)| post.collector.clone()).collect();
    within.extend(looked.map(|(scope, _)| scope.collector.clone()));
    let tested = gathered.versions.tests().map(|(id, versions)| {
        let kinds = rules::within(versions, period.from, period.to);
        let kinds = kinds.map(|version| version.is.resource.clone());
        (id.to_string(), kinds.collect())
    });
    Collected {
        kinds: gathered.kinds.clone(),
        within,
        tested: tested.collect(),
        only_serving: !period.criteria.is_empty(),
    }
}

impl Summary {
    /// The collectors in scope; none if all are: those that yield what the tests of the controls here are about. A bundle
    /// hands over the blobs of the same.
    pub fn collectors(&self) -> Option<BTreeSet<String>> {
        let kinds: BTreeSet<&String> = self
            .tests
            .iter()
            .filter_map(|test| self.collected.tested.get(&test.test))
            .flatten()
            .collect();
        let serving = self.collected.kinds.iter();
        let serving = serving.filter(|(_, yields)| yields.iter().any(|kind| kinds.contains(kind)));
        self.collected
            .only_serving
            .then(|| serving.map(|(collector, _)| collector.clone()).collect())
    }

    /// The populations that belong to it: of the collectors in scope that were planned or looked within the period.
    pub fn populations_asked(&self) -> Asking {
        let mut collectors = self.collected.within.clone();
        if let Some(in_scope) = self.collectors() {
            collectors.retain(|collector| in_scope.contains(collector));
        }
        Asking {
            period: Span::new(self.period.from, self.period.to),
            only_sources: self.period.sources.iter().cloned().collect(),
            only_collectors: Some(collectors),
            only: None,
        }
    }
}
