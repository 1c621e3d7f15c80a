//! What each wording of the changed tests says of a look: as recorded by the one in force, judged again by the others.

use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use evidenced_collector_api::{Covers, Resource};

use super::{Changed, judges_like};
use crate::control::{Evaluation, Finding, Outcome, Test, TestResult};
use crate::exception::Sealed;
use crate::log::leaf::{Body, Leaf, Role, SnapshotLeaf};
use crate::log::store::{Reader, StoreError};
use crate::log::tree::Hash;
use crate::period::window::Window;
use crate::plan::{Lists, Plan, PlanError};
use crate::round::{self, RoundError};
use crate::summary::SummaryError;
use crate::summary::look::{Judgement, Look};

/// Judges look after look of a target, and remembers the last one: most are the same.
pub(super) struct Judging<'a> {
    reader: &'a Reader,
    exceptions: Sealed,
    /// Exceptions that may concern the changed tests.
    standing: Vec<u64>,
    by_plan: HashMap<u64, Option<Rc<Judges>>>,
    by_lists: HashMap<Hash, Option<Rc<Judges>>>,
    last: Option<(Basis, Rc<Told>)>,
    /// What was found without the exceptions.
    evaluated: Option<(Basis, Vec<Option<Evaluation>>)>,
}

/// What a look comes to.
#[derive(Default)]
pub(super) struct Told {
    /// By changed test that was in force: what each wording says, none where it is not about what is collected here.
    pub(super) results: BTreeMap<usize, Vec<Option<Outcome>>>,
    /// Findings that are not the same by all wordings.
    pub(super) differing: Vec<Differing>,
    /// The changed tests of which something can't be read any more.
    pub(super) lost: Vec<usize>,
}

/// A finding that wordings give differently.
pub(super) struct Differing {
    pub(super) test: usize,
    pub(super) resource: String,
    pub(super) recorded: Outcome,
    pub(super) by: Vec<Outcome>,
}

/// A plan's part in it.
struct Judges {
    lists: Hash,
    /// By changed test: as the plan words it; none where it is not in force.
    own: Vec<Option<Test>>,
    /// For the first, second, … wordings of all tests: rules with those that judge otherwise than the plan's own. None where
    /// there is nothing to judge.
    beside: Vec<Option<Plan>>,
    /// Whether any of them looks at the time.
    timely: bool,
}

/// All that a look's findings follow from.
#[derive(Clone, PartialEq)]
struct Basis {
    lists: Hash,
    complete: bool,
    evidence: Vec<Hash>,
    findings: Option<Hash>,
    standing: usize,
    now: Option<DateTime<Utc>>,
}

/// What was recorded of a look: the results, and the findings where they can be read.
type Recorded = (Vec<TestResult>, Option<Vec<Finding>>);

impl<'a> Judging<'a> {
    pub(super) fn of(reader: &'a Reader, changed: &[Changed]) -> Result<Self, SummaryError> {
        let mut standing = Vec::new();
        for seq in reader.of_kind("exception", 0)? {
            let leaf = undamaged(reader.leaf(seq))?.flatten();
            let concerns = match leaf.and_then(|leaf| leaf.body) {
                Some(Body::Exception(exception)) => {
                    changed.iter().any(|test| test.id.as_str() == exception.test)
                }
                _ => true,
            };
            if concerns {
                standing.push(seq);
            }
        }
        Ok(Self {
            reader,
            exceptions: Sealed::default(),
            standing,
            by_plan: HashMap::new(),
            by_lists: HashMap::new(),
            last: None,
            evaluated: None,
        })
    }

    /// Another target's looks come now.
    pub(super) fn begin(&mut self) {
        self.last = None;
        self.evaluated = None;
    }

    /// What a look comes to.
    pub(super) fn told(
        &mut self,
        changed: &[Changed],
        period: &Window,
        look: &Look,
        judgement: &Judgement,
    ) -> Result<Rc<Told>, SummaryError> {
        let Some(judges) = self.judges(changed, judgement.plan)? else {
            let recorded = self.recorded(judgement)?;
            return Ok(Rc::new(lost(changed, recorded.as_ref())));
        };
        if judges.own.iter().all(Option::is_none) {
            return Ok(Rc::default());
        }
        let snapshot = undamaged(self.reader.leaf(look.snapshot))?.flatten();
        let standing = self.standing.partition_point(|seq| *seq < look.snapshot);
        let basis = Basis {
            lists: judges.lists,
            complete: look.complete,
            evidence: snapshot.iter().flat_map(evidence).collect(),
            findings: judgement.findings,
            standing,
            now: (judges.timely || standing > 0).then_some(look.covers.until()),
        };
        if let Some((known, told)) = &self.last
            && *known == basis
            && basis.findings.is_some()
        {
            return Ok(Rc::clone(told));
        }
        // Of an interval across an edge of the period, only the events within it count.
        let crosses =
            matches!(look.covers, Covers::Interval { from, to } if from < period.from || to > period.to);
        let edges = crosses.then_some(period);
        let told = self.judge(changed, &judges, (look, judgement, snapshot), edges, &basis)?;
        let told = Rc::new(told);
        self.last = (!crosses).then(|| (basis, Rc::clone(&told)));
        Ok(told)
    }

    fn judge(
        &mut self,
        changed: &[Changed],
        judges: &Judges,
        (look, judgement, snapshot): (&Look, &Judgement, Option<Leaf>),
        edges: Option<&Window>,
        basis: &Basis,
    ) -> Result<Told, SummaryError> {
        let Some(recorded) = self.recorded(judgement)? else {
            return Ok(lost(changed, None));
        };
        let needed = edges.is_some() || judges.beside.iter().any(Option::is_some);
        let resources = match snapshot.as_ref().filter(|_| needed) {
            Some(leaf) => self.resources(look.snapshot, leaf)?,
            None => None,
        };
        let again = match (snapshot.and_then(|leaf| leaf.body), &resources) {
            (Some(Body::Snapshot(sealed)), Some(resources)) => {
                self.again(judges, (look.snapshot, &sealed), resources, basis)?
            }
            _ => Vec::new(),
        };
        let mut told = Told::default();
        for (at, (test, own)) in changed.iter().zip(&judges.own).enumerate() {
            if let Some(own) = own {
                told.add((at, test), own, &recorded, &again);
            }
        }
        if let Some(period) = edges {
            let times = resources.into_iter().flatten();
            let times = times.filter_map(|resource| Some((resource.id, resource.as_of?)));
            let times: HashMap<String, DateTime<Utc>> = times.collect();
            told.differing.retain(|found| {
                let time = times.get(&found.resource);
                time.is_none_or(|time| period.holds(*time))
            });
        }
        Ok(told)
    }

    fn recorded(&self, judgement: &Judgement) -> Result<Option<Recorded>, SummaryError> {
        let leaf = undamaged(self.reader.leaf(judgement.evaluation))?.flatten();
        let Some(leaf) = leaf else { return Ok(None) };
        let Some(Body::Evaluation(body)) = &leaf.body else {
            return Ok(None);
        };
        let Ok(results) = serde_json::from_value(body.results.clone()) else {
            return Ok(None);
        };
        Ok(Some((results, round::findings(self.reader, &leaf)?)))
    }

    /// What the other wordings say; the exceptions are applied to what was found without them.
    fn again(
        &mut self,
        judges: &Judges,
        (seq, sealed): (u64, &SnapshotLeaf),
        resources: &[Resource],
        basis: &Basis,
    ) -> Result<Vec<Option<Evaluation>>, SummaryError> {
        let until = sealed.covers.until();
        let basis = Basis {
            findings: None,
            standing: 0,
            now: judges.timely.then_some(until),
            ..basis.clone()
        };
        let known = self.evaluated.take().filter(|(known, _)| *known == basis);
        let evaluated = known.map_or_else(
            || {
                let evaluate = |plan: &Plan| round::evaluated(plan, sealed, resources);
                let plans = judges.beside.iter();
                plans.map(|plan| plan.as_ref().map(evaluate)).collect()
            },
            |(_, evaluated)| evaluated,
        );
        let exceptions = self.exceptions.up_to_date(self.reader)?;
        let mut excepted = evaluated.clone();
        for evaluation in excepted.iter_mut().flatten() {
            round::except(evaluation, exceptions, seq, (&sealed.source, until));
        }
        self.evaluated = Some((basis, evaluated));
        Ok(excepted)
    }

    /// The resources of a snapshot; none where they can't be read any more.
    fn resources(&self, seq: u64, leaf: &Leaf) -> Result<Option<Vec<Resource>>, SummaryError> {
        match round::resources(self.reader, seq, leaf) {
            Ok(resources) => Ok(Some(resources)),
            Err(RoundError::Store(error)) if !error.is_damage() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// A plan's part in it; none where it can't be read or compiled any more.
    fn judges(&mut self, changed: &[Changed], plan: u64) -> Result<Option<Rc<Judges>>, SummaryError> {
        if let Some(known) = self.by_plan.get(&plan) {
            return Ok(known.clone());
        }
        let leaf = undamaged(self.reader.leaf(plan))?.flatten();
        let mut blobs = leaf.into_iter().flat_map(|leaf| leaf.blobs);
        let lists = blobs.find(|blob| blob.role == Role::Plan).map(|blob| blob.sha256);
        let known = lists.and_then(|lists| self.by_lists.get(&lists));
        let judges = match (known, lists) {
            (Some(known), _) => known.clone(),
            (None, None) => None,
            (None, Some(lists)) => {
                let read = match Plan::sealed_lists(self.reader, plan) {
                    Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
                    read => read.ok(),
                };
                let judges = read.and_then(|read| Judges::of(changed, lists, &read));
                let judges = judges.map(Rc::new);
                self.by_lists.insert(lists, judges.clone());
                judges
            }
        };
        self.by_plan.insert(plan, judges.clone());
        Ok(judges)
    }
}

impl Told {
    /// Adds what the wordings of a test say, which the plan in force words as its `own`.
    fn add(
        &mut self,
        (at, test): (usize, &Changed),
        own: &Test,
        (results, findings): &Recorded,
        again: &[Option<Evaluation>],
    ) {
        let Some(recorded) = results.iter().find(|result| result.test == test.id) else {
            return;
        };
        let count = test.wordings.len();
        let absent = || (Outcome::NotApplicable, vec![Outcome::NotApplicable; count]);
        let mut found: BTreeMap<&str, (Outcome, Vec<Outcome>)> = BTreeMap::new();
        let of_test = |finding: &&Finding| finding.test == test.id;
        for finding in findings.iter().flatten().filter(of_test) {
            found.entry(&finding.resource).or_insert_with(absent).0 = finding.outcome;
        }
        let (mut says, mut is_lost) = (Vec::with_capacity(count), findings.is_none());
        for (number, wording) in test.wordings.iter().enumerate() {
            if judges_like(&wording.test, own) {
                says.push(Some(recorded.outcome));
                for (outcome, by) in found.values_mut() {
                    by[number] = *outcome;
                }
            } else if let Some(Some(again)) = again.get(number) {
                let result = again.results.iter().find(|result| result.test == test.id);
                says.push(result.map(|result| result.outcome));
                for finding in again.findings.iter().filter(of_test) {
                    found.entry(&finding.resource).or_insert_with(absent).1[number] = finding.outcome;
                }
            } else {
                says.push(Some(Outcome::Unknown));
                is_lost = true;
            }
        }
        self.results.insert(at, says);
        if is_lost {
            self.lost.push(at);
            return;
        }
        let found = found.into_iter();
        let differing = found.filter(|(_, (recorded, by))| by.iter().any(|outcome| outcome != recorded));
        self.differing
            .extend(differing.map(|(resource, (recorded, by))| Differing {
                test: at,
                resource: resource.to_owned(),
                recorded,
                by,
            }));
    }
}

impl Judges {
    fn of(changed: &[Changed], lists: Hash, read: &Lists) -> Option<Self> {
        let own = |test: &Changed| {
            let mut tests = read.rules.tests.iter();
            tests.find(|own| own.enabled && own.id == test.id).cloned()
        };
        let own: Vec<Option<Test>> = changed.iter().map(own).collect();
        let most = changed.iter().map(|test| test.wordings.len()).max();
        let (mut beside, mut timely) = (Vec::new(), false);
        for number in 0..most.unwrap_or_default() {
            let others = changed.iter().zip(&own).filter_map(|(test, own)| {
                let wording = &test.wordings.get(number)?.test;
                (!judges_like(wording, own.as_ref()?)).then(|| wording.clone())
            });
            let tests: Vec<Test> = others.collect();
            // At worst a word in a text is taken for it.
            timely |= tests
                .iter()
                .any(|test| test.applies.contains("now") || test.passes.contains("now"));
            let mut lists = read.clone();
            let any = !tests.is_empty();
            lists.rules.tests = tests;
            beside.push(if any { Some(Plan::new(lists).ok()?) } else { None });
        }
        Some(Self {
            lists,
            own,
            beside,
            timely,
        })
    }
}

/// Nothing can be told by any wording, of the tests that were judged.
fn lost(changed: &[Changed], recorded: Option<&Recorded>) -> Told {
    let results = recorded
        .map(|(results, _)| results.as_slice())
        .unwrap_or_default();
    let of = |test: &Changed| results.iter().any(|result| result.test == test.id);
    let judged = changed.iter().enumerate().filter(|(_, test)| of(test));
    Told {
        results: judged
            .map(|(at, test)| (at, vec![Some(Outcome::Unknown); test.wordings.len()]))
            .collect(),
        differing: Vec::new(),
        lost: (0..changed.len()).collect(),
    }
}

fn evidence(leaf: &Leaf) -> impl Iterator<Item = Hash> + '_ {
    let evidence = leaf.blobs.iter().filter(|blob| blob.role == Role::Evidence);
    evidence.map(|blob| blob.sha256)
}

/// What is read; none where it is damaged.
fn undamaged<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read.map(Some),
    }
}
