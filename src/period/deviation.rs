//! Deviations: stretches in which a test failed on a resource, out of evaluation after evaluation of one target.
//!
//! A stretch begins at the first look that found the test failing, and ends at the first that found it passing, no longer
//! applying, or the resource gone from a complete snapshot. Unknown between does not end it, nor does an exception: what is
//! excepted still fails, with approval. An event is a fact of its time, and its deviation has no end.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::control::{Finding, Outcome, TestId};
use crate::exception::{Exceptions, Place};

/// What one series of looks is at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target.
    pub target: String,
}

/// A snapshot and its evaluation: that somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// The snapshot's leaf.
    pub snapshot: u64,
    /// The instant that it speaks for: the end of what it covers.
    pub at: DateTime<Utc>,
    /// The evaluation's leaf.
    pub evaluation: u64,
    /// When that was appended: when a failure was detected.
    pub judged: DateTime<Utc>,
}

/// What a look saw.
#[derive(Clone, Debug)]
pub struct Sight {
    /// The look.
    pub look: Look,
    /// Whether the snapshot held the whole population.
    pub complete: bool,
    /// Where the interval begins that a snapshot of events covers.
    pub events_from: Option<DateTime<Utc>>,
    /// What was found.
    pub found: Found,
}

/// What an evaluation found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The same as the look before it: the same findings by the same tests, and as complete.
    Same,
    /// Of these tests, these findings.
    New {
        /// The tests that judged, also those that found nothing to judge.
        tests: BTreeSet<TestId>,
        /// What they said.
        findings: Vec<Finding>,
    },
    /// Nobody can read it any more.
    Unreadable,
}

/// A stretch in which a test failed on a resource, or an event on which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Where.
    pub scope: Scope,
    /// The test.
    pub test: TestId,
    /// The resource's id.
    pub resource: String,
    /// Where the interval begins that it was found in, if it is an event.
    pub events_from: Option<DateTime<Utc>>,
    /// What was seen last before it, if anything.
    pub before: Option<Before>,
    /// The first look that found it.
    pub first: Look,
    /// What the test said then.
    pub reason: String,
    /// The last look that found it.
    pub last: Look,
    /// The stretches within it in which an exception covered it.
    pub excepted: Vec<Span>,
    /// Why nobody can say how it stands since the last look that found it.
    pub since_then: Option<Doubt>,
    /// How it ended; none where it has not, and of an event.
    pub end: Option<End>,
}

/// What was seen last before a deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// What was seen.
    pub state: Other,
    /// By the last look that saw it.
    pub look: Look,
}

/// How a deviation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What was seen.
    pub state: Other,
    /// By the first look that saw it.
    pub look: Look,
    /// Why the test does not apply, where that is so.
    pub reason: String,
}

/// What is seen of a test and a resource where it does not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// The test passes.
    Passes,
    /// A complete snapshot does not hold the resource.
    Gone,
    /// The test does not apply to it.
    NotApplicable,
}

/// Why nobody can say how a deviation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// What was seen does not tell.
    Unknown,
    /// The test is not run any more.
    NotTested,
    /// What excepted it has ended, and nobody has looked since.
    ExceptionEnded,
}

/// Looks that found a failure covered by an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The exception's leaf; none where it can't be read any more.
    pub exception: Option<u64>,
    /// The first of them.
    pub first: Look,
    /// The last of them.
    pub last: Look,
}

/// How a deviation stands at the end of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It goes on.
    Open,
    /// It goes on, and an exception covers it.
    Excepted,
    /// A look found the test passing.
    Mended,
    /// The resource is gone.
    Gone,
    /// The test does not apply any more.
    NotApplicable,
    /// It was an event.
    Event,
}

impl Other {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passes => "pass",
            Self::Gone => "gone",
            Self::NotApplicable => "not_applicable",
        }
    }
}

impl State {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Excepted => "excepted",
            Self::Mended => "mended",
            Self::Gone => "gone",
            Self::NotApplicable => "not_applicable",
            Self::Event => "event",
        }
    }
}

impl Deviation {
    /// How it stands.
    pub fn state(&self) -> State {
        let is_excepted = self.since_then != Some(Doubt::ExceptionEnded) && self.was_excepted();
        match &self.end {
            _ if self.events_from.is_some() => State::Event,
            Some(end) => match end.state {
                Other::Passes => State::Mended,
                Other::Gone => State::Gone,
                Other::NotApplicable => State::NotApplicable,
            },
            None if is_excepted => State::Excepted,
            None => State::Open,
        }
    }

    fn was_excepted(&self) -> bool {
        self.excepted.last().is_some_and(|span| span.last == self.last)
    }

    /// Notes where the exception that covered it last has ended by `now`: nothing is excepted by what has ended.
    pub fn note_ended(&mut self, exceptions: &Exceptions, now: DateTime<Utc>) {
        let place = Place {
            test: self.test.as_str(),
            resource: &self.resource,
            source: &self.scope.source,
        };
        let is_covered = exceptions.covering(place, Exceptions::NOW, now).is_some();
        if self.state() == State::Excepted && !is_covered {
            self.since_then = Some(Doubt::ExceptionEnded);
        }
    }

    /// Whether it goes on, approved or not.
    pub fn goes_on(&self) -> bool {
        matches!(self.state(), State::Open | State::Excepted)
    }

    /// How long it lasted as far as was observed: from the first look that found it to the last.
    pub fn at_least(&self) -> TimeDelta {
        self.last.at - self.first.at
    }

    /// How long it lasted at the most: from the last look before it to the first behind it. None where one is missing.
    pub fn at_most(&self) -> Option<TimeDelta> {
        Some(self.end.as_ref()?.look.at - self.before?.look.at)
    }

    /// Whether it concerns the time from `from` up to `to`.
    pub fn touches(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> bool {
        let begins = self.events_from.unwrap_or(self.first.at);
        let ended_before = |from: DateTime<Utc>| match &self.end {
            Some(end) => end.look.at <= from,
            // An interval begins behind its first instant and holds its last.
            None => self.events_from.is_some() && self.first.at <= from,
        };
        to.is_none_or(|to| begins < to) && !from.is_some_and(ended_before)
    }
}

impl Deviation {
    /// A look finds it, by itself or covered by an exception.
    fn see(&mut self, finding: &Finding, look: Look, exceptions: &Exceptions) {
        let before = std::mem::replace(&mut self.last, look);
        if finding.outcome != Outcome::Excepted {
            return;
        }
        let place = Place {
            test: finding.test.as_str(),
            resource: &finding.resource,
            source: &self.scope.source,
        };
        let covering = exceptions.covering(place, look.snapshot, look.at);
        let exception = covering.map(|waiver| waiver.seq);
        match self.excepted.last_mut() {
            Some(span) if span.last == before && span.exception == exception => span.last = look,
            _ => self.excepted.push(Span {
                exception,
                first: look,
                last: look,
            }),
        }
    }

    /// The looks that found the same as the one before go up to this one.
    fn go_on(&mut self, look: Look) {
        let before = std::mem::replace(&mut self.last, look);
        if let Some(span) = self.excepted.last_mut().filter(|span| span.last == before) {
            span.last = look;
        }
    }
}

type Key = (TestId, String);

/// The looks at one scope, one after another.
#[derive(Debug)]
pub struct Series {
    scope: Scope,
    found: Vec<Deviation>,
    /// Which of them go on.
    open: BTreeMap<Key, usize>,
    known: HashMap<Key, Known>,
    /// By test, the last complete snapshot that it judged.
    complete: HashMap<TestId, Look>,
    run: Option<SameLooks>,
}

/// What is known of a resource that was seen.
#[derive(Debug)]
struct Known {
    /// The last look that saw it.
    last: Look,
    before: Option<Before>,
}

/// Looks one after another that found the same.
#[derive(Debug)]
struct SameLooks {
    last: Look,
    complete: bool,
    tests: BTreeSet<TestId>,
    findings: Vec<Finding>,
}

impl Series {
    /// Before the first look.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            found: Vec::new(),
            open: BTreeMap::new(),
            known: HashMap::new(),
            complete: HashMap::new(),
            run: None,
        }
    }

    /// Adds a look, later than those before it.
    pub fn add(&mut self, sight: Sight, exceptions: &Exceptions) {
        let look = sight.look;
        match sight.found {
            Found::Same => {
                if let Some(from) = sight.events_from {
                    self.add_events(look, from, exceptions);
                } else if let Some(run) = &mut self.run {
                    run.last = look;
                }
            }
            Found::New { tests, findings } => {
                self.close_run();
                self.run = Some(SameLooks {
                    last: look,
                    complete: sight.complete,
                    tests,
                    findings,
                });
                match sight.events_from {
                    Some(from) => self.add_events(look, from, exceptions),
                    None => self.begin_run(look, exceptions),
                }
            }
            Found::Unreadable => {
                self.close_run();
                for at in self.open.values() {
                    self.found[*at].since_then = Some(Doubt::Unknown);
                }
            }
        }
    }

    /// All deviations, in the order in which they were found.
    pub fn end(mut self) -> Vec<Deviation> {
        self.close_run();
        self.found
    }

    /// Every failing event is a deviation of its own.
    fn add_events(&mut self, look: Look, from: DateTime<Utc>, exceptions: &Exceptions) {
        let Some(run) = self.run.take() else { return };
        for finding in run.findings.iter().filter(|finding| fails(finding)) {
            let mut deviation = self.begun(finding, look);
            deviation.events_from = Some(from);
            deviation.see(finding, look, exceptions);
            self.found.push(deviation);
        }
        self.run = Some(run);
    }

    fn begin_run(&mut self, look: Look, exceptions: &Exceptions) {
        let Some(run) = self.run.take() else { return };
        let by_key: BTreeMap<(&TestId, &str), &Finding> = run
            .findings
            .iter()
            .map(|finding| ((&finding.test, finding.resource.as_str()), finding))
            .collect();
        for (key, at) in std::mem::take(&mut self.open) {
            let finding = by_key.get(&(&key.0, key.1.as_str())).copied();
            let deviation = &mut self.found[at];
            let mut end = |state, reason: &str| {
                deviation.since_then = None;
                deviation.end = Some(End {
                    state,
                    look,
                    reason: reason.to_owned(),
                });
            };
            match finding.map(|finding| (finding.outcome, finding.reason.as_str())) {
                Some((Outcome::Pass, reason)) => end(Other::Passes, reason),
                Some((Outcome::NotApplicable, reason)) => end(Other::NotApplicable, reason),
                Some((Outcome::Fail | Outcome::Excepted, _)) => {
                    deviation.since_then = None;
                    self.open.insert(key, at);
                }
                None if run.complete && run.tests.contains(&key.0) => end(Other::Gone, ""),
                _ => {
                    let tested = run.tests.contains(&key.0);
                    deviation.since_then = Some(if tested { Doubt::Unknown } else { Doubt::NotTested });
                    self.open.insert(key, at);
                }
            }
        }
        for finding in &run.findings {
            let key = (finding.test.clone(), finding.resource.clone());
            self.note_absence(&key, look);
            if !fails(finding) {
                continue;
            }
            let at = if let Some(at) = self.open.get(&key) {
                *at
            } else {
                let mut deviation = self.begun(finding, look);
                deviation.before = self.known.get(&key).and_then(|known| known.before);
                self.found.push(deviation);
                self.open.insert(key, self.found.len() - 1);
                self.found.len() - 1
            };
            self.found[at].see(finding, look, exceptions);
        }
        self.run = Some(run);
    }

    /// A resource that is there, and that the last complete snapshot did not hold, was absent then.
    fn note_absence(&mut self, key: &Key, look: Look) {
        let absent = self.complete.get(&key.0).copied();
        let known = self.known.entry(key.clone()).or_insert(Known {
            last: look,
            before: None,
        });
        let is_new = known.last == look;
        if let Some(absent) = absent.filter(|absent| is_new || *absent > known.last) {
            known.before = Some(Before {
                state: Other::Gone,
                look: absent,
            });
        }
        known.last = look;
    }

    fn begun(&self, finding: &Finding, look: Look) -> Deviation {
        Deviation {
            scope: self.scope.clone(),
            test: finding.test.clone(),
            resource: finding.resource.clone(),
            events_from: None,
            before: None,
            first: look,
            reason: finding.reason.clone(),
            last: look,
            excepted: Vec::new(),
            since_then: None,
            end: None,
        }
    }

    /// What the last of the same looks saw is what was seen last.
    fn close_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let look = run.last;
        for finding in &run.findings {
            let key = (finding.test.clone(), finding.resource.clone());
            if let Some(at) = self.open.get(&key).filter(|_| fails(finding)) {
                self.found[*at].go_on(look);
            }
            if let Some(known) = self.known.get_mut(&key) {
                known.last = look;
                let state = match finding.outcome {
                    Outcome::Pass => Other::Passes,
                    Outcome::NotApplicable => Other::NotApplicable,
                    Outcome::Fail | Outcome::Excepted | Outcome::Unknown => continue,
                };
                known.before = Some(Before { state, look });
            }
        }
        if run.complete {
            self.complete
                .extend(run.tests.into_iter().map(|test| (test, look)));
        }
    }
}

fn fails(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Fail | Outcome::Excepted)
}

#[cfg(test)]
mod tests;
