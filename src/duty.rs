//! What is owed, and what accounts for it: the ticks of every collector and source by the daemon's plans, and the leaves
//! that say what became of them. Reads only; the same after a restart, after a full disk, and for an auditor.
//!
//! A plan that the daemon seals counts from its `effective` instant until the next one's. A tick in that time is owed for
//! every target in scope, and each is accounted for by exactly one leaf that names the tick: a snapshot, a failure, or a
//! `missed` range; one whose target is null speaks for all. Snapshots without a tick account for nothing.

use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::log::leaf::{Body, By, Leaf, MissedReason, Role, Ticks};
use crate::log::store::{Filter, Reader, StoreError};
use crate::plan::{Announced, Lists, Plan, PlanError};
use crate::schedule::Schedule;

/// A collector on a source: what has a schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Post {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
}

/// A stretch of time in which one plan of the daemon's counts.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Ticks after this are owed by it,
    pub from: DateTime<Utc>,
    /// up to this; to the present if none.
    pub until: Option<DateTime<Utc>>,
    /// Who is to collect when.
    pub schedules: BTreeMap<Post, Schedule>,
    /// When the daemon was announced not to run.
    pub maintenance: Vec<Announced>,
}

/// What nothing accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed<W> {
    /// A tick whose run came to an end half-way, why, and the targets that have nothing.
    pub partial: Option<(DateTime<Utc>, W, Vec<String>)>,
    /// Ticks that have nothing for any target, oldest first: consecutive ones of the same reason together.
    pub ticks: Vec<(Ticks, W)>,
}

/// What accounts for ticks.
struct Account {
    ticks: Ticks,
    /// The first leaf that names it.
    first_seq: u64,
    /// None: every target.
    targets: Option<BTreeSet<String>>,
}

impl Post {
    /// The collector and source of a schedule.
    pub fn new(collector: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            collector: collector.into(),
            source: source.into(),
        }
    }
}

/// The stretches of the daemon's plans, oldest first.
pub fn stretches(reader: &Reader) -> Result<Vec<Stretch>, PlanError> {
    let filter = Filter {
        kinds: vec!["plan".to_owned()],
        ..Filter::default()
    };
    let mut stretches: Vec<Stretch> = Vec::new();
    // Most plans are the one before, sealed again at a start: the same blob.
    let (mut last, mut unreadable): (_, Option<(usize, PlanError)>) = (None, None);
    for entry in reader.entries(&filter)? {
        let Some(leaf) = reader.leaf(entry.seq)? else {
            continue;
        };
        let Some(Body::Plan(plan)) = &leaf.body else {
            continue;
        };
        let (By::Daemon, Some(from)) = (plan.by, plan.effective) else {
            continue;
        };
        let blob = leaf.blobs.iter().find(|blob| blob.role == Role::Plan);
        let blob = blob.map(|blob| blob.sha256);
        let (schedules, maintenance) = match stretches.last() {
            Some(before) if blob.is_some() && blob == last => {
                // What could not be read there can't be read here.
                if let Some((at, _)) = &mut unreadable
                    && *at + 1 == stretches.len()
                {
                    *at += 1;
                }
                (before.schedules.clone(), before.maintenance.clone())
            }
            _ => planned(reader, entry.seq).unwrap_or_else(|error| {
                unreadable = Some((stretches.len(), error));
                Planned::default()
            }),
        };
        last = blob;
        if let Some(before) = stretches.last_mut() {
            before.until = Some(from);
        }
        stretches.push(Stretch {
            from,
            until: None,
            schedules,
            maintenance,
        });
    }
    // What was owed by an older one was settled when the next began; `verify` tells that it is damaged.
    match unreadable {
        Some((at, error)) if at + 1 == stretches.len() => Err(error),
        Some((_, error)) => {
            tracing::warn!("an older plan can't be read: {error}");
            Ok(stretches)
        }
        None => Ok(stretches),
    }
}

type Planned = (BTreeMap<Post, Schedule>, Vec<Announced>);

fn planned(reader: &Reader, seq: u64) -> Result<Planned, PlanError> {
    let lists = Plan::sealed_lists(reader, seq)?;
    Ok((schedules(&lists, seq)?, lists.maintenance))
}

/// The schedules of a plan.
fn schedules(lists: &Lists, seq: u64) -> Result<BTreeMap<Post, Schedule>, PlanError> {
    let mut schedules = BTreeMap::new();
    for source in &lists.sources {
        for (collector, text) in &source.schedules {
            let zone = source.time_zones.get(collector).map_or("UTC", String::as_str);
            let odd =
                |what: String| PlanError::Schedule(seq, format!("{collector} of {}: {what}", source.name));
            let zone = zone.parse().map_err(|_| odd(format!("no time zone {zone}")))?;
            let schedule = Schedule::parse(text, zone).map_err(|error| odd(error.to_string()))?;
            schedules.insert(Post::new(collector, &source.name), schedule);
        }
    }
    Ok(schedules)
}

/// The ticks of a post that are owed within a stretch of time, by whichever plan counted, oldest first.
pub fn ticks<'a>(
    stretches: &'a [Stretch],
    post: &'a Post,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = DateTime<Utc>> + 'a {
    stretches.iter().flat_map(move |stretch| {
        let (from, until) = (
            stretch.from.max(from),
            stretch.until.map_or(until, |end| end.min(until)),
        );
        let schedule = stretch.schedules.get(post).filter(|_| from < until);
        schedule
            .into_iter()
            .flat_map(move |schedule| schedule.within(from, until))
    })
}

/// What nothing accounts for yet, of the ticks up to an instant, each with the reason that `why` gives for it.
pub fn owed<W: PartialEq>(
    reader: &Reader,
    stretches: &[Stretch],
    post: &Post,
    until: DateTime<Utc>,
    why: impl Fn(DateTime<Utc>) -> W,
) -> Result<Owed<W>, StoreError> {
    let (settled, accounted) = accounts(reader, post)?;
    let mut owed = Owed {
        partial: None,
        ticks: Vec::new(),
    };
    let mut follows = false;
    for tick in ticks(stretches, post, settled, until) {
        let known = accounted
            .iter()
            .find(|known| known.ticks.first <= tick && tick <= known.ticks.last);
        let Some(known) = known else {
            let why = why(tick);
            match owed.ticks.last_mut() {
                Some((ticks, same)) if follows && *same == why => *ticks = ticks.and(tick),
                _ => owed.ticks.push((Ticks::one(tick), why)),
            }
            follows = true;
            continue;
        };
        follows = false;
        if let Some(targets) = &known.targets {
            let mut rest = scope_before(reader, post, known.first_seq)?;
            rest.retain(|target| !targets.contains(target));
            if !rest.is_empty() {
                owed.partial = Some((tick, why(tick), rest));
            }
        }
    }
    Ok(owed)
}

/// The latest tick of a post that something accounts for.
pub fn newest_account(reader: &Reader, post: &Post) -> Result<Option<DateTime<Utc>>, StoreError> {
    let (_, accounted) = accounts(reader, post)?;
    Ok(accounted.iter().map(|known| known.ticks.last).max())
}

/// Up to which tick everything is accounted for, and what accounts for later ones.
///
/// A run begins only when every tick before it is accounted for, so only the newest run can have come to an end half-way:
/// everything up to the run before it is settled.
fn accounts(reader: &Reader, post: &Post) -> Result<(DateTime<Utc>, Vec<Account>), StoreError> {
    let mut accounted: Vec<Account> = Vec::new();
    let (mut newest_run, mut settled): (Option<DateTime<Utc>>, _) = (None, DateTime::<Utc>::MIN_UTC);
    let filter = Filter {
        kinds: ["snapshot", "failure", "missed"].map(str::to_owned).to_vec(),
        collector: Some(post.collector.clone()),
        source: Some(post.source.clone()),
        ..Filter::default()
    };
    reader.walk_back(&filter, |entry| {
        let leaf = reader.leaf(entry.seq)?;
        let Some((ticks, target, is_run)) = leaf.as_ref().and_then(account) else {
            return Ok(ControlFlow::Continue(()));
        };
        match newest_run {
            Some(newest) if is_run && ticks.last < newest => {
                settled = ticks.last;
                return Ok(ControlFlow::Break(()));
            }
            None if is_run => newest_run = Some(ticks.first),
            _ => {}
        }
        note(&mut accounted, entry.seq, ticks, target);
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok((settled, accounted))
}

/// What a leaf accounts for: ticks, a target or all, and whether it comes from a run or follows one. A tick that was
/// overrun was recorded while the run before it was under way.
fn account(leaf: &Leaf) -> Option<(Ticks, Option<String>, bool)> {
    match leaf.body.as_ref()? {
        Body::Snapshot(snapshot) => Some((Ticks::one(snapshot.tick?), Some(snapshot.target.clone()), true)),
        Body::Failure(failure) => Some((Ticks::one(failure.tick?), failure.target.clone(), true)),
        Body::Missed(missed) => {
            let is_run = missed.reason != MissedReason::Overrun;
            Some((missed.ticks, missed.target.clone(), is_run))
        }
        _ => None,
    }
}

/// Leaves come newest first.
fn note(accounted: &mut Vec<Account>, seq: u64, ticks: Ticks, target: Option<String>) {
    let Some(known) = accounted.iter_mut().find(|known| known.ticks == ticks) else {
        accounted.push(Account {
            ticks,
            first_seq: seq,
            targets: target.map(|target| BTreeSet::from([target])),
        });
        return;
    };
    known.first_seq = seq;
    match (&mut known.targets, target) {
        (Some(targets), Some(target)) => _ = targets.insert(target),
        (targets, _) => *targets = None,
    }
}

/// The targets that were in scope when a leaf was appended.
fn scope_before(reader: &Reader, post: &Post, seq: u64) -> Result<Vec<String>, StoreError> {
    let filter = Filter {
        kinds: vec!["scope".to_owned()],
        collector: Some(post.collector.clone()),
        source: Some(post.source.clone()),
        ..Filter::default()
    };
    let mut scope = None;
    reader.walk_back(&filter, |entry| {
        if entry.seq >= seq {
            return Ok(ControlFlow::Continue(()));
        }
        scope = Some(entry.seq);
        Ok::<_, StoreError>(ControlFlow::Break(()))
    })?;
    scope.map_or(Ok(Vec::new()), |scope| reader.targets(scope))
}
