//! Each test at each source and target: what was seen, and for how much of the time that speaks.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashMap};

use evidenced_collector_api::Covers;

use super::evidence::{Accounts, named};
use super::gather::{Gathered, why};
use super::look::{Judgement, Look};
use super::{Longest, SourceRow, SummaryError, Tally, TargetRow, TestRow, VersionRow};
use crate::control::{Outcome, Test, TestId, TestResult};
use crate::duty::Post;
use crate::log::leaf::Body;
use crate::log::store::Reader;
use crate::log::tree::Hash;
use crate::period::coverage::{Covered, Stretch};
use crate::period::deviation::Scope;
use crate::period::ledger::{Account, Counts, Fate};
use crate::period::rules::{self, Version};
use crate::period::slot::{Day, Observations, Seen, Slot};
use crate::period::window::Window;

/// The tests that were in force within the period, whether or not anything was collected for them.
pub(super) fn rows(
    reader: &Reader,
    gathered: &mut Gathered,
    accounts: &Accounts,
    period: &Window,
) -> Result<Vec<TestRow>, SummaryError> {
    let end = period.to.min(gathered.as_of);
    let days = period.days();
    let mut found: BTreeMap<TestId, BTreeMap<Scope, Slot>> = BTreeMap::new();
    for (scope, from, to) in scopes(gathered, period, end) {
        let mut slots = slots(gathered, &scope, (from, to), period, &days);
        let looks = gathered.looks.get(&scope).map(Vec::as_slice).unwrap_or_default();
        let mut results = Results::default();
        let longest = gathered.max_ages.values().flat_map(HashMap::values).max();
        let early = period.from - longest.copied().unwrap_or_default();
        let relevant = looks.iter().filter(|look| look.covers.until() >= early);
        for look in relevant.take_while(|look| begins(look.covers) < period.to) {
            let Some(judgement) = look.judged else { continue };
            let ages = gathered.max_ages.get(&judgement.plan);
            let told = |result: TestResult| {
                let slot = slots.iter().position(|(test, _)| *test == result.test)?;
                let age = ages.and_then(|ages| ages.get(&result.test));
                Some(Said {
                    slot,
                    outcome: result.outcome,
                    max_age: age.copied().unwrap_or_default(),
                })
            };
            let Some(said) = results.of(reader, look, &judgement, told)? else {
                gathered.unreadable.push(judgement.evaluation);
                continue;
            };
            for said in said {
                slots[said.slot]
                    .1
                    .add(seen(look, said.outcome, said.max_age), &days);
            }
        }
        for (test, slot) in slots {
            found.entry(test).or_default().insert(scope.clone(), slot);
        }
    }
    let tests = gathered.versions.tests().filter_map(|(id, versions)| {
        let within: Vec<_> = rules::within(
            versions,
            period.from,
            end.max(period.from + TimeDelta::milliseconds(1)),
        )
        .collect();
        let newest = within.last()?;
        let slots = found.remove(id).unwrap_or_default();
        Some(row(
            &newest.is,
            &within,
            slots,
            accounts,
            &days,
            gathered.versions.begun,
        ))
    });
    Ok(tests.collect())
}

pub(super) fn begins(covers: Covers) -> DateTime<Utc> {
    match covers {
        Covers::At { at } => at,
        Covers::Interval { from, .. } => from,
    }
}

pub(super) fn seen(look: &Look, outcome: Outcome, max_age: TimeDelta) -> Seen {
    Seen {
        snapshot: look.snapshot,
        at: look.covers.until(),
        events_from: match look.covers {
            Covers::At { .. } => None,
            Covers::Interval { from, .. } => Some(from),
        },
        complete: look.complete,
        outcome,
        max_age,
    }
}

/// Every target that was in scope within the period, and when; a source whose targets are not known is one without a name.
pub(super) fn scopes(
    gathered: &Gathered,
    period: &Window,
    end: DateTime<Utc>,
) -> Vec<(Scope, DateTime<Utc>, DateTime<Utc>)> {
    let mut scopes = Vec::new();
    for (post, span) in &gathered.posts {
        let (from, to) = span.within(period.from, end);
        let targets = gathered.targets.iter();
        let targets =
            targets.filter(|(scope, _)| scope.collector == post.collector && scope.source == post.source);
        let mut any = false;
        for (scope, span) in targets {
            any = true;
            let (from, to) = span.within(from, to);
            if from < to {
                scopes.push((scope.clone(), from, to));
            }
        }
        if !any && from < to {
            let scope = Scope {
                collector: post.collector.clone(),
                source: post.source.clone(),
                target: String::new(),
            };
            scopes.push((scope, from, to));
        }
    }
    scopes
}

/// A slot for each test on what a scope's collector yields, for as long as both were there.
pub(super) fn slots(
    gathered: &Gathered,
    scope: &Scope,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    period: &Window,
    days: &[DateTime<Utc>],
) -> Vec<(TestId, Slot)> {
    let kinds = gathered.kinds.get(&scope.collector);
    let concerns = |version: &&Version<Test>| kinds.is_some_and(|kinds| kinds.contains(&version.is.resource));
    let mut slots = Vec::new();
    for (id, versions) in gathered.versions.tests() {
        let mut own = rules::within(versions, period.from, to).filter(concerns);
        let Some(first) = own.next() else { continue };
        let last = own.last().unwrap_or(first);
        // What the log began with was in force before it, as far as anybody knows: the time before is not covered.
        let is_first = gathered.versions.begun == Some(first.from);
        let from = if is_first { from } else { from.max(first.from) };
        let to = last.until.map_or(to, |until| until.min(to));
        if from < to {
            slots.push((id.clone(), Slot::new(from, to, days)));
        }
    }
    slots
}

/// What evaluations said: one that names the findings of the one before, by the same plan, said the same.
#[derive(Default)]
struct Results {
    last: Option<(u64, bool, Hash)>,
    said: Vec<Said>,
}

/// What a test said.
#[derive(Clone, Copy)]
struct Said {
    /// The test's slot.
    slot: usize,
    outcome: Outcome,
    /// For how long evidence speaks to it.
    max_age: TimeDelta,
}

impl Results {
    fn of(
        &mut self,
        reader: &Reader,
        look: &Look,
        judgement: &Judgement,
        told: impl Fn(TestResult) -> Option<Said>,
    ) -> Result<Option<&[Said]>, SummaryError> {
        let this = judgement.findings;
        let this = this.map(|findings| (judgement.plan, look.complete, findings));
        if this.is_some() && this == self.last {
            return Ok(Some(&self.said));
        }
        self.last = None;
        let leaf = match reader.leaf(judgement.evaluation) {
            Err(error) if !error.is_damage() => return Err(error.into()),
            leaf => leaf.ok().flatten(),
        };
        let Some(Body::Evaluation(body)) = leaf.and_then(|leaf| leaf.body) else {
            return Ok(None);
        };
        let Ok(results) = serde_json::from_value::<Vec<TestResult>>(body.results) else {
            return Ok(None);
        };
        self.said = results.into_iter().filter_map(told).collect();
        self.last = this;
        Ok(Some(&self.said))
    }
}

fn row(
    test: &Test,
    versions: &[&Version<Test>],
    slots: BTreeMap<Scope, Slot>,
    accounts: &Accounts,
    days: &[DateTime<Utc>],
    begun: Option<DateTime<Utc>>,
) -> TestRow {
    let mut sources: Vec<SourceRow> = Vec::new();
    let mut joined: Vec<(Joined, Vec<Day>)> = Vec::new();
    for (scope, slot) in slots {
        let post = Post::new(&scope.collector, &scope.source);
        let account = accounts
            .get(&post)
            .and_then(|of| of.iter().find(|of| of.target == scope.target));
        let (covered, uncounted) = slot.covered();
        let longest = longest(&scope, covered.longest, account, uncounted, begun);
        let (before, first, last, observations) = (slot.before, slot.first, slot.last, slot.observations);
        let strip = slot.days(days);
        let ticks = account.map(|account| account.counts).unwrap_or_default();
        let tally = tally(ticks, observations, &covered, longest, &strip);
        let tally = Tally {
            before,
            first,
            last,
            ..tally
        };
        let target = TargetRow {
            target: named(&scope.target),
            tally: tally.clone(),
        };
        match sources.last_mut() {
            Some(source) if source.collector == scope.collector && source.source == scope.source => {
                source.targets.push(target);
                if let Some((all, known)) = joined.last_mut() {
                    all.add(ticks, observations, covered, tally);
                    *known = known.iter().zip(&strip).map(|(a, b)| a.join(*b)).collect();
                }
            }
            _ => {
                sources.push(SourceRow {
                    collector: scope.collector.clone(),
                    source: scope.source.clone(),
                    all: tally.clone(),
                    targets: vec![target],
                });
                joined.push((
                    Joined {
                        ticks,
                        observations,
                        covered,
                        tally,
                    },
                    strip,
                ));
            }
        }
    }
    for (source, (all, strip)) in sources.iter_mut().zip(joined) {
        let Tally {
            before,
            first,
            last,
            longest,
            ..
        } = all.tally;
        let tally = tally(all.ticks, all.observations, &all.covered, longest, &strip);
        source.all = Tally {
            before,
            first,
            last,
            ..tally
        };
    }
    TestRow {
        test: test.id.to_string(),
        title: test.title.clone(),
        doc: test.doc.clone(),
        resource: test.resource.clone(),
        applies: test.applies.clone(),
        passes: test.passes.clone(),
        severity: test.severity,
        max_age: test.max_age.to_string(),
        versions: versions.iter().map(|version| version_row(version)).collect(),
        beside: None,
        sources,
        deviations: 0,
        open: 0,
    }
}

/// Of several targets together.
struct Joined {
    ticks: Counts,
    observations: Observations,
    covered: Covered,
    tally: Tally,
}

impl Joined {
    fn add(&mut self, ticks: Counts, observations: Observations, covered: Covered, other: Tally) {
        self.ticks += ticks;
        self.observations += observations;
        self.covered += covered;
        let tally = &mut self.tally;
        if other.longest.seconds > tally.longest.seconds {
            tally.longest = other.longest;
        }
        let earlier =
            |a: Option<super::At>, b: Option<super::At>| a.into_iter().chain(b).min_by_key(|at| at.time);
        tally.before = earlier(tally.before, other.before);
        tally.first = earlier(tally.first, other.first);
        tally.last = tally.last.into_iter().chain(other.last).max_by_key(|at| at.time);
    }
}

fn tally(
    ticks: Counts,
    observations: Observations,
    covered: &Covered,
    longest: Longest,
    days: &[Day],
) -> Tally {
    Tally {
        ticks,
        observations,
        covered_seconds: covered.time.num_seconds(),
        of_seconds: covered.of.num_seconds(),
        coverage_percent: covered.basis_points().map(|points| f64::from(points) / 100.0),
        longest,
        before: None,
        first: None,
        last: None,
        days: days.iter().map(|day| day.letter()).collect(),
    }
}

pub(super) fn version_row<T>(version: &Version<T>) -> VersionRow {
    VersionRow {
        plan: version.plan,
        from: version.from,
        until: version.until,
        changed: version.changed.clone(),
    }
}

/// Why nothing was observed for so long: what became of the ticks in it.
fn longest(
    scope: &Scope,
    stretch: Stretch,
    account: Option<&Account>,
    uncounted: u64,
    begun: Option<DateTime<Utc>>,
) -> Longest {
    let mut counts: BTreeMap<Fate, u64> = BTreeMap::new();
    let holes = account
        .map(|account| account.holes.as_slice())
        .unwrap_or_default();
    for hole in holes
        .iter()
        .filter(|hole| hole.ticks.first < stretch.to && hole.ticks.last >= stretch.from)
    {
        *counts.entry(hole.fate).or_default() += hole.ticks.count;
    }
    let mut reasons: Vec<String> = counts
        .into_iter()
        .map(|(fate, count)| {
            format!(
                "{count} {}: {}",
                if count == 1 { "tick" } else { "ticks" },
                why(fate).1
            )
        })
        .collect();
    if uncounted > 0 {
        let looks = if uncounted == 1 { "look" } else { "looks" };
        reasons.push(format!("{uncounted} {looks}: the test could not tell"));
    }
    if let Some(begun) = begun.filter(|begun| stretch.from < *begun) {
        reasons.push(format!(
            "nothing was collected before {}",
            begun.format("%Y-%m-%d %H:%M UTC")
        ));
    }
    if reasons.is_empty() {
        let owed = account.is_some_and(|account| account.counts.owed > 0);
        reasons.push(
            if owed {
                "no tick was due in it"
            } else {
                "nothing was scheduled"
            }
            .to_owned(),
        );
    }
    Longest {
        stretch,
        seconds: stretch.length().num_seconds(),
        target: named(&scope.target),
        why: reasons,
    }
}
