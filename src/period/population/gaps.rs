//! Where the period has no evidence for a population, and what the log says of why.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

use super::super::deviation::Scope;
use super::super::span::{Span, holes};
use super::Asked;

/// A stretch of the period for which nobody can say that the population is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The target.
    pub scope: Scope,
    /// The stretch.
    pub span: Span,
    /// Why, as far as the log says.
    pub why: Why,
}

/// Why there is a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// What happened in it, each with the leaves that say so, in their order.
    pub happened: BTreeMap<What, Vec<u64>>,
    /// The target was out of scope for some of it.
    pub out_of_scope: bool,
    /// There was no complete snapshot before it.
    pub nothing_before: bool,
    /// There was none after it.
    pub nothing_after: bool,
}

/// What kept something from being collected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A run failed, in this way.
    Failure(String),
    /// Ticks were missed, for this reason.
    Missed(String),
    /// A snapshot was incomplete.
    Incomplete,
    /// A snapshot's evidence can't be read any more.
    Unreadable,
}

/// When something kept something from being collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The leaf that says so.
    pub seq: u64,
    /// The time that it is about.
    pub span: Span,
    /// What it was.
    pub what: What,
}

impl Trouble {
    /// A run that failed.
    pub fn failure(seq: u64, at: DateTime<Utc>, class: &str) -> Self {
        Self {
            seq,
            span: instant(at, at),
            what: What::Failure(class.to_owned()),
        }
    }

    /// Ticks that were missed.
    pub fn missed(seq: u64, first: DateTime<Utc>, last: DateTime<Utc>, reason: &str) -> Self {
        Self {
            seq,
            span: instant(first, last),
            what: What::Missed(reason.to_owned()),
        }
    }

    pub(super) fn incomplete(seq: u64, span: Span) -> Self {
        Self {
            seq,
            span,
            what: What::Incomplete,
        }
    }

    pub(super) fn unreadable(seq: u64, span: Span) -> Self {
        Self {
            seq,
            span,
            what: What::Unreadable,
        }
    }
}

fn instant(first: DateTime<Utc>, last: DateTime<Utc>) -> Span {
    Span::new(first, last.max(first) + TimeDelta::nanoseconds(1))
}

/// All that kept a target from being read.
#[derive(Default)]
pub(super) struct Troubles {
    troubles: Vec<Trouble>,
    /// Since when the target was in scope or not, in the order of the log.
    scopes: Vec<(DateTime<Utc>, bool)>,
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    pub(super) fn scope(&mut self, at: DateTime<Utc>, is_in: bool) {
        self.scopes.push((at, is_in));
    }

    /// The holes in the union of intervals.
    pub(super) fn of_events(&self, covered: Vec<Span>, asked: Asked) -> Vec<(Span, Why)> {
        let known = asked.known();
        let first = covered.iter().map(|span| span.from).min();
        let last = covered.iter().map(|span| span.to).max();
        let holes = holes(covered, known).into_iter().map(|hole| {
            let mut why = self.why(hole);
            why.nothing_before = first.is_none_or(|first| hole.from < first);
            why.nothing_after = last.is_none_or(|last| hole.to > last);
            (hole, why)
        });
        // What was not due yet when the log ended is no gap.
        let pending = |why: &Why, hole: &Span| {
            let quiet = why.happened.is_empty() && !why.out_of_scope && !why.nothing_before;
            let short = asked.reach.is_none_or(|reach| hole.length() <= reach);
            quiet && short && why.nothing_after && asked.now < asked.period.to
        };
        holes.filter(|(hole, why)| !pending(why, hole)).collect()
    }

    /// Stretches between two complete looks in which something went wrong, or that are longer than a look speaks for.
    pub(super) fn of_states(&self, looks: &[DateTime<Utc>], asked: Asked) -> Vec<(Span, Why)> {
        let known = asked.known();
        let mut edges: Vec<Option<DateTime<Utc>>> = vec![None];
        edges.extend(looks.iter().copied().map(Some));
        edges.push(None);
        let mut gaps = Vec::new();
        for (position, pair) in edges.windows(2).enumerate() {
            let (before, after) = (pair[0], pair[1]);
            let whole = Span::new(before.unwrap_or(known.from), after.unwrap_or(known.to));
            let Some(span) = whole.shared(known) else {
                continue;
            };
            let mut why = self.why(whole);
            why.nothing_before = position == 0;
            why.nothing_after = position + 2 == edges.len();
            let long = asked.reach.is_some_and(|reach| whole.length() > reach);
            if why.nothing_before || long || why.out_of_scope || !why.happened.is_empty() {
                gaps.push((span, why));
            }
        }
        gaps
    }

    /// What the log says of a stretch: also what happened at its end, when the run that should have covered it was due.
    fn why(&self, hole: Span) -> Why {
        let closed = Span::new(hole.from, hole.to + TimeDelta::nanoseconds(1));
        let mut why = Why::default();
        for trouble in &self.troubles {
            if trouble.span.shared(closed).is_some() {
                let leaves = why.happened.entry(trouble.what.clone()).or_default();
                leaves.push(trouble.seq);
            }
        }
        let mut scopes = self.scopes.iter().peekable();
        while let Some((from, is_in)) = scopes.next() {
            let to = scopes.peek().map_or(closed.to.max(*from), |(next, _)| *next);
            why.out_of_scope |= !is_in && Span::new(*from, to).shared(hole).is_some();
        }
        why
    }
}
