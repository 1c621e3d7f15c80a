//! One walk over the log that takes from every leaf what a period needs of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::SummaryError;
use super::changes::People;
use super::look::{Judgement, Look, Places, SnapshotPart};
use super::sampling::Sampling;
use crate::control::TestId;
use crate::deviations::Judged;
use crate::duty::{self, Post};
use crate::log::leaf::{self, Body, By, Heartbeat, Plan as PlanLeaf, Role, Ticks};
use crate::log::store::{Reader, StoreError};
use crate::log::tree::Hash;
use crate::period::deviation::Scope;
use crate::period::ledger::{Fate, Ledger};
use crate::period::rules::Versions;
use crate::period::window::Window;
use crate::plan::{Lists, Plan, PlanError};

/// What the walk took.
pub(super) struct Gathered {
    pub(super) size: u64,
    pub(super) as_of: DateTime<Utc>,
    /// Tests and controls from plan to plan.
    pub(super) versions: Versions,
    /// By collector, the kinds that it yields.
    pub(super) kinds: BTreeMap<String, BTreeSet<String>>,
    /// By the plan that judged, for how long evidence speaks to each test.
    pub(super) max_ages: HashMap<u64, HashMap<TestId, TimeDelta>>,
    pub(super) plans: Vec<PlanSeen>,
    pub(super) scopes: Vec<ScopeSeen>,
    books: HashMap<Post, Book, foldhash::fast::RandomState>,
    /// When each was in the plans.
    pub(super) posts: BTreeMap<Post, Span>,
    /// When each was in scope.
    pub(super) targets: BTreeMap<Scope, Span>,
    /// The looks at each target, in the order of the log.
    pub(super) looks: BTreeMap<Scope, Vec<Look>>,
    pub(super) heartbeats: Vec<(DateTime<Utc>, String, Heartbeat)>,
    pub(super) people: People,
    pub(super) sampling: Sampling,
    pub(super) unreadable: Vec<u64>,
}

/// What the leaves of a post account for.
#[derive(Default)]
struct Book {
    /// None of what no daemon owes.
    ledger: Option<Ledger>,
    /// The newest instant that they speak for.
    newest: Option<DateTime<Utc>>,
}

/// From when on something was there, and until when; open ends where it was there before the log began, or still is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
}

/// A plan.
pub(super) struct PlanSeen {
    pub(super) seq: u64,
    pub(super) time: DateTime<Utc>,
    pub(super) boot: String,
    pub(super) leaf: PlanLeaf,
}

/// A `scope` leaf.
pub(super) struct ScopeSeen {
    pub(super) seq: u64,
    pub(super) time: DateTime<Utc>,
    pub(super) post: Post,
    pub(super) targets: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Boot {
    boot: String,
}

pub(super) fn gather(reader: &Reader, period: &Window) -> Result<Gathered, SummaryError> {
    let mut gathered = Gathered::new(reader, period)?;
    // Plans that are sealed again at each start share a blob.
    let mut lists: HashMap<Hash, Lists> = HashMap::new();
    let mut places = Places::new(gathered.size);
    let mut prev = [0; 32];
    let origin = reader.origin().to_string();
    reader.walk(|seq, hash, bytes| {
        let lead = leaf::lead(bytes, &origin, seq, &prev);
        let lead = lead.map_err(|what| StoreError::Damaged(format!("leaf {seq} {what}")))?;
        // What is held ends as was signed, and each leaf names the hash of the one before it.
        prev = *hash;
        if lead
            .source
            .as_deref()
            .is_some_and(|source| !period.has_source(source))
        {
            return Ok(());
        }
        match lead.kind {
            "snapshot" => {
                let (Some(part), Some(at)) = (places.part(&lead), places.of(&lead)) else {
                    gathered.unreadable.push(seq);
                    return Ok(());
                };
                let (scope, post, looks) = &mut places.series[at];
                places.snapshots.insert(seq, (at, looks.len()));
                looks.push(gathered.add_snapshot(seq, (scope, post), &part));
            }
            "evaluation" => {
                let place = lead
                    .snapshot
                    .and_then(|snapshot| places.snapshots.get(&snapshot).copied());
                // One of another source.
                let Some((series, at)) = place else { return Ok(()) };
                let (Some(plan), Some(time)) = (lead.plan, lead.instant()) else {
                    gathered.unreadable.push(seq);
                    return Ok(());
                };
                let judgement = Judgement {
                    evaluation: seq,
                    time,
                    plan,
                    findings: places.findings(bytes),
                };
                places.series[series].2[at].judged = Some(judgement);
            }
            _ => gathered.add_other(reader, seq, bytes, &mut lists)?,
        }
        Ok::<_, SummaryError>(())
    })?;
    let looks = places.series.into_iter().map(|(scope, _, looks)| (scope, looks));
    gathered.looks = looks.collect();
    gathered.close(period);
    Ok(gathered)
}

impl Gathered {
    fn new(reader: &Reader, period: &Window) -> Result<Self, SummaryError> {
        let size = reader.size()?;
        let newest = reader.leaf(size.saturating_sub(1))?;
        let as_of = newest.map_or(DateTime::UNIX_EPOCH, |leaf| leaf.time);
        let stretches = duty::stretches(reader)?;
        let posts: BTreeSet<&Post> = stretches
            .iter()
            .flat_map(|stretch| stretch.schedules.keys())
            .collect();
        let books = posts
            .into_iter()
            .filter(|post| period.has_source(&post.source))
            .map(|post| {
                // A stretch of duty holds its end and not its beginning; a period the other way round.
                let instant = TimeDelta::milliseconds(1);
                let until = period.to.min(as_of + instant) - instant;
                let ticks = duty::ticks(&stretches, post, period.from - instant, until);
                let book = Book {
                    ledger: Some(Ledger::new(ticks.collect())),
                    newest: None,
                };
                (post.clone(), book)
            });
        Ok(Self {
            size,
            as_of,
            versions: Versions::default(),
            kinds: BTreeMap::new(),
            max_ages: HashMap::new(),
            plans: Vec::new(),
            scopes: Vec::new(),
            books: books.collect(),
            posts: BTreeMap::new(),
            targets: BTreeMap::new(),
            looks: BTreeMap::new(),
            heartbeats: Vec::new(),
            people: People::default(),
            sampling: Sampling::default(),
            unreadable: Vec::new(),
        })
    }

    fn add_snapshot(&mut self, seq: u64, (scope, post): (&Scope, &Post), part: &SnapshotPart) -> Look {
        let fate = Fate::Collected {
            complete: part.complete,
        };
        let ticks = part.tick.map(|tick| (Ticks::one(tick), fate));
        self.enter(post, Some(&scope.target), ticks, part.covers.until());
        Look {
            snapshot: seq,
            covers: part.covers,
            complete: part.complete,
            judged: None,
        }
    }

    /// A leaf of a post speaks for an instant, and accounts for ticks.
    fn enter(
        &mut self,
        post: &Post,
        target: Option<&str>,
        ticks: Option<(Ticks, Fate)>,
        instant: DateTime<Utc>,
    ) {
        let book = match self.books.get_mut(post) {
            Some(book) => book,
            None => self.books.entry(post.clone()).or_default(),
        };
        if let (Some(ledger), Some((ticks, fate))) = (&mut book.ledger, ticks) {
            ledger.enter(ticks, target, fate);
        }
        let instant = ticks.map_or(instant, |(ticks, _)| ticks.last.max(instant));
        book.newest = book.newest.max(Some(instant));
    }

    /// The ticks owed by each post, and what became of them.
    pub(super) fn ledgers(&self) -> impl Iterator<Item = (&Post, &Ledger)> {
        let books = self.books.iter();
        books.filter_map(|(post, book)| Some((post, book.ledger.as_ref()?)))
    }

    fn add_other(
        &mut self,
        reader: &Reader,
        seq: u64,
        bytes: &[u8],
        lists: &mut HashMap<Hash, Lists>,
    ) -> Result<(), SummaryError> {
        let Ok(leaf) = leaf::decode(bytes) else {
            self.unreadable.push(seq);
            return Ok(());
        };
        let boot = || serde_json::from_slice::<Boot>(bytes).map_or(String::new(), |header| header.boot);
        let time = leaf.time;
        match leaf.body {
            Some(Body::Plan(plan)) => {
                let blob = leaf.blobs.iter().find(|blob| blob.role == Role::Plan);
                self.people.configured(time, &plan.os_user);
                self.add_plan(reader, (seq, time), blob.map(|blob| blob.sha256), lists, plan.by)?;
                self.plans.push(PlanSeen {
                    seq,
                    time,
                    boot: boot(),
                    leaf: plan,
                });
            }
            Some(Body::Scope(scope)) => {
                let targets: BTreeSet<String> = match reader.targets(seq) {
                    Ok(targets) => targets.into_iter().collect(),
                    Err(error) if !error.is_damage() => return Err(error.into()),
                    Err(_) => {
                        self.unreadable.push(seq);
                        return Ok(());
                    }
                };
                self.add_scope(seq, time, Post::new(scope.collector, scope.source), targets);
            }
            Some(Body::Failure(failure)) => {
                if let Some(tick) = failure.tick {
                    let post = Post::new(failure.collector, failure.source);
                    let ticks = Some((Ticks::one(tick), Fate::Failed));
                    self.enter(&post, failure.target.as_deref(), ticks, tick);
                }
            }
            Some(Body::Missed(missed)) => {
                let post = Post::new(missed.collector, missed.source);
                let ticks = Some((missed.ticks, Fate::Missed(missed.reason)));
                self.enter(&post, missed.target.as_deref(), ticks, missed.ticks.last);
            }
            Some(Body::Heartbeat(heartbeat)) => self.heartbeats.push((time, boot(), heartbeat)),
            Some(Body::Exception(exception)) => self.people.excepted(time, &exception),
            Some(Body::Attachment(attachment)) => self.people.attached(time, &attachment),
            Some(Body::Acknowledgement(said)) => self.people.acknowledged(time, &said.recorded_by),
            Some(Body::Population(population)) => self.sampling.sealed(seq, time, population),
            Some(Body::Sample(sample)) => self.sampling.drawn(seq, time, sample),
            Some(Body::Export(export)) => self.people.exported(export),
            _ => {}
        }
        Ok(())
    }

    fn add_plan(
        &mut self,
        reader: &Reader,
        (seq, time): (u64, DateTime<Utc>),
        blob: Option<Hash>,
        known: &mut HashMap<Hash, Lists>,
        by: By,
    ) -> Result<(), SummaryError> {
        let Some(blob) = blob else {
            self.unreadable.push(seq);
            return Ok(());
        };
        let lists = match known.entry(blob) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => match Plan::sealed_lists(reader, seq) {
                Ok(lists) => unknown.insert(lists),
                Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
                Err(_) => {
                    self.unreadable.push(seq);
                    return Ok(());
                }
            },
        };
        let ages = lists.rules.tests.iter();
        let ages = ages.map(|test| (test.id.clone(), test.max_age.length()));
        self.max_ages.insert(seq, ages.collect());
        for (collector, planned) in &lists.collectors {
            let kinds = self.kinds.entry(collector.clone()).or_default();
            kinds.extend(planned.kinds.iter().cloned());
        }
        // Who tries another configuration by hand does not change what the daemon is to do.
        if by == By::AdHoc && self.plans.iter().any(|plan| plan.leaf.by == By::Daemon) {
            return Ok(());
        }
        let first = self.versions.begun.is_none();
        self.versions.add(seq, time, &lists.rules);
        let planned = lists.sources.iter().flat_map(|source| {
            let collectors = source.schedules.keys();
            collectors.map(|collector| Post::new(collector, &source.name))
        });
        let planned: BTreeSet<Post> = planned.collect();
        for (post, span) in &mut self.posts {
            span.note(planned.contains(post), time);
        }
        for post in planned {
            self.posts.entry(post).or_insert(Span {
                from: (!first).then_some(time),
                until: None,
            });
        }
        Ok(())
    }

    fn add_scope(&mut self, seq: u64, time: DateTime<Utc>, post: Post, targets: BTreeSet<String>) {
        if let Some(ledger) = self.books.get_mut(&post).and_then(|book| book.ledger.as_mut()) {
            ledger.enter_scope(targets.iter().cloned());
        }
        let first = !self.scopes.iter().any(|scope| scope.post == post);
        let known = self.targets.iter_mut();
        let known =
            known.filter(|(scope, _)| scope.collector == post.collector && scope.source == post.source);
        for (scope, span) in known {
            span.note(targets.contains(&scope.target), time);
        }
        for target in &targets {
            let scope = Scope {
                collector: post.collector.clone(),
                source: post.source.clone(),
                target: target.clone(),
            };
            self.targets.entry(scope).or_insert(Span {
                from: (!first).then_some(time),
                until: None,
            });
        }
        self.scopes.push(ScopeSeen {
            seq,
            time,
            post,
            targets,
        });
    }

    /// Looks come in the order in which they were taken; one that a crash left unjudged was judged later.
    fn close(&mut self, period: &Window) {
        for looks in self.looks.values_mut() {
            looks.sort_by_key(|look| (look.covers.until(), look.snapshot));
        }
        self.posts.retain(|post, _| period.has_source(&post.source));
    }

    /// The looks that were judged, by target.
    pub(super) fn judged(&self) -> impl Iterator<Item = (Scope, Vec<Judged>)> {
        self.looks.iter().map(|(scope, looks)| {
            let judged = looks.iter().filter_map(|look| {
                let judgement = look.judged?;
                Some(Judged {
                    snapshot: look.snapshot,
                    covers: look.covers,
                    complete: look.complete,
                    evaluation: judgement.evaluation,
                    time: judgement.time,
                    plan: judgement.plan,
                    findings: judgement.findings,
                })
            });
            (scope.clone(), judged.collect())
        })
    }

    /// Why what is exported now is a draft.
    pub(super) fn draft(&self, period: &Window) -> Vec<String> {
        if self.as_of < period.to {
            return vec![format!(
                "the period has not ended: the log ends at {}",
                leaf::format_time(self.as_of)
            )];
        }
        let in_force = self
            .posts
            .iter()
            .filter(|(_, span)| span.until.is_none_or(|until| until >= period.to));
        let behind = in_force.filter(|(post, _)| {
            let newest = self.books.get(post).and_then(|book| book.newest);
            newest.is_none_or(|newest| newest < period.to)
        });
        behind
            .map(|(post, _)| {
                format!(
                    "nothing is sealed yet of {} at {} from behind the end",
                    post.collector, post.source
                )
            })
            .collect()
    }

    /// Snapshots of the period that nothing has judged.
    pub(super) fn unjudged(&self, period: &Window) -> Vec<u64> {
        let looks = self.looks.values().flatten();
        let unjudged = looks.filter(|look| look.judged.is_none() && period.holds(look.covers.until()));
        let mut unjudged: Vec<u64> = unjudged.map(|look| look.snapshot).collect();
        unjudged.sort_unstable();
        unjudged
    }
}

impl Span {
    /// Whether it is there at an instant.
    fn note(&mut self, is_there: bool, at: DateTime<Utc>) {
        self.until = if is_there { None } else { self.until.or(Some(at)) };
    }

    /// As much of it as lies within a stretch of time.
    pub(super) fn within(self, from: DateTime<Utc>, to: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let from = self.from.map_or(from, |own| own.max(from));
        (from, self.until.map_or(to, |own| own.min(to)))
    }
}

/// In words, why ticks yielded nothing whole.
pub(super) fn why(fate: Fate) -> (&'static str, String) {
    match fate {
        Fate::Collected { .. } => ("incomplete", "not the whole population".to_owned()),
        Fate::Failed => ("failed", "collecting failed".to_owned()),
        Fate::Missed(reason) => ("missed", reason.to_string()),
        Fate::Unaccounted => (
            "unaccounted",
            "nothing in the log says what became of it".to_owned(),
        ),
    }
}
