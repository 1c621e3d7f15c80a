//! What came of the evidence that people owe for a control within a stretch of time, such as an observation period.
//!
//! A due date belongs to the time that it ends: what is due when a quarter is over belongs to that quarter, though its grace
//! time may run into the next. Evidence counts from when it was sealed, whatever days it covers, until it is older than the
//! control allows: never backwards. Where none counted, the stretch is *bare*.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Due, DueState, Duty, Evidence, Overdue, State, account, duty_at, is_too_old, reaches};
use crate::period::span::{Span, holes};

/// What came of what was owed within a stretch of time, by all that is known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The due dates that belong to it, oldest first, and before them those from earlier that nobody had met when it began.
    pub dues: Vec<Due>,
    /// Where evidence was overdue: stretches that last into it, and those of its due dates.
    pub overdue: Vec<Overdue>,
    /// The evidence from before it that counts at its beginning and reaches furthest.
    pub before: Option<u64>,
    /// What was sealed within it, as far as it counts.
    pub given: Vec<(u64, DateTime<Utc>)>,
    /// Where no evidence counted, though some was owed.
    pub bare: Vec<Bare>,
    /// For how long evidence counted.
    pub covered: TimeDelta,
    /// For how long evidence was owed.
    pub of: TimeDelta,
    /// How the control stood at its end; while it goes on, how it stands.
    pub state: State,
    /// The last day on which what is due next, behind all this, is on time.
    pub next: Option<NaiveDate>,
    owed: Vec<Span>,
}

/// A stretch in which no evidence counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bare {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Where it ends.
    pub to: DateTime<Utc>,
    /// The evidence that had become too old; none where there was none before.
    pub after: Option<u64>,
}

/// The stretch that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant behind it.
    pub to: DateTime<Utc>,
    /// The present.
    pub now: DateTime<Utc>,
    /// When the log's first plan was sealed. What it began with was owed before, as far as anybody knows.
    pub begun: Option<DateTime<Utc>>,
}

/// What came of it within a stretch of time; none where nothing was owed then, and nothing from before was missing.
pub fn course(duties: &[Duty], evidence: &[Evidence], within: Within) -> Option<Course> {
    let Within { from, to, now, .. } = within;
    let end = to.min(now);
    if end <= from {
        return None;
    }
    let stretch = Span::new(from, end);
    let owed: Vec<Span> = duties
        .iter()
        .filter_map(|duty| owed(duty, within).shared(stretch))
        .collect();
    let account = account(duties, evidence, now);
    let mut overdue = account.overdue;
    overdue.retain(|overdue| overdue.concerns(Some(from), Some(to)));
    if owed.is_empty() && overdue.is_empty() {
        return None;
    }
    let is_listed = |due: &Due| {
        let is_missed = overdue.iter().any(|overdue| overdue.due == due.at);
        let is_carried = match due.met {
            Some((_, sealed)) => due.at <= from && sealed > from,
            None => due.at <= from && due.grace_ends > from,
        };
        is_missed || is_carried || from < due.at && due.at <= to
    };
    let mut dues = account.dues;
    let next = dues.iter().find(|due| due.at > end).map(|due| due.day);
    add_ahead(&mut dues, duties, to);
    dues.retain(is_listed);
    let counting: Vec<(&Evidence, Vec<Span>)> = evidence
        .iter()
        .filter(|each| each.sealed <= now)
        .map(|each| (each, counts(duties, each)))
        .filter(|(_, spans)| !spans.is_empty())
        .collect();
    let before = counting
        .iter()
        .filter(|(each, spans)| each.sealed <= from && spans.iter().any(|span| span.contains(from)))
        .max_by_key(|(_, spans)| spans.iter().map(|span| span.to).max());
    let given = counting.iter().filter(|(each, _)| stretch.contains(each.sealed));
    let bare = bare(&owed, &counting);
    let of: TimeDelta = owed.iter().map(|span| span.length()).sum();
    Some(Course {
        before: before.map(|(each, _)| each.seq),
        given: given.map(|(each, _)| (each.seq, each.sealed)).collect(),
        covered: of - bare.iter().map(|bare| bare.to - bare.from).sum::<TimeDelta>(),
        of,
        state: state_at(duties, evidence, end),
        bare,
        dues,
        overdue,
        next,
        owed,
    })
}

impl Course {
    /// Whether a due date has passed that nobody has met, and its grace time runs: nobody can say what will come of it.
    pub fn is_awaited(&self) -> bool {
        self.dues.iter().any(|due| due.state == DueState::Grace)
    }

    /// A character for each day: G evidence was given on it, c evidence counts, O it was overdue, - none counts, . outside, not
    /// owed, or still ahead. `days` are the instants at which they begin, and the end of the last.
    pub fn letters(&self, days: &[DateTime<Utc>], now: DateTime<Utc>) -> String {
        let letter = |day: &[DateTime<Utc>]| {
            let day = Span::new(day[0], day[1].min(now));
            let touches =
                |from, to: Option<DateTime<Utc>>| Span::new(from, to.unwrap_or(now)).shared(day).is_some();
            let is_owed = self.owed.iter().any(|span| span.shared(day).is_some());
            if self
                .overdue
                .iter()
                .any(|stretch| touches(stretch.from, stretch.to))
            {
                'O'
            } else if self.given.iter().any(|(_, sealed)| day.contains(*sealed)) {
                'G'
            } else if !is_owed {
                '.'
            } else if self.bare.iter().any(|bare| touches(bare.from, Some(bare.to))) {
                '-'
            } else {
                'c'
            }
        };
        days.windows(2).map(letter).collect()
    }
}

impl Overdue {
    /// Whether it concerns a time: it lasted into it, or its due date belongs to it.
    pub fn concerns(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> bool {
        let lasted = to.is_none_or(|to| self.from < to)
            && from.is_none_or(|from| self.to.is_none_or(|ended| ended > from));
        let is_own = from.is_none_or(|from| from < self.due) && to.is_none_or(|to| self.due <= to);
        lasted || is_own
    }

    /// `open`, `given`, or `owed_no_more` where a plan ended it.
    pub fn state(&self) -> &'static str {
        match (self.to, self.by) {
            (None, _) => "open",
            (Some(_), Some(_)) => "given",
            (Some(_), None) => "owed_no_more",
        }
    }
}

fn owed(duty: &Duty, within: Within) -> Span {
    let is_first = within.begun == Some(duty.from);
    let from = if is_first { within.from } else { duty.from };
    Span::new(from, duty.to.unwrap_or(within.to))
}

/// The due dates that are still ahead, up to the end: an account has the next two.
fn add_ahead(dues: &mut Vec<Due>, duties: &[Duty], to: DateTime<Utc>) {
    let Some(open) = duties.last().filter(|duty| duty.to.is_none()) else {
        return;
    };
    let last = dues.last().map_or(open.from, |due| due.at.max(open.from));
    if last < to {
        dues.extend(open.manual.due(last, to).map(|at| Due::new(&open.manual, at)));
    }
}

/// When a piece of evidence counts: from when it was sealed until it is too old, by the age that each duty allows.
fn counts(duties: &[Duty], evidence: &Evidence) -> Vec<Span> {
    let Some(own) = duty_at(duties, evidence.sealed) else {
        return Vec::new();
    };
    if is_too_old(&own.manual, reaches(&own.manual, evidence), evidence.sealed) {
        return Vec::new();
    }
    let spans = duties.iter().enumerate().filter_map(|(at, duty)| {
        let from = if at == 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            duty.from
        };
        let until = duty.manual.max_age().and_then(|age| {
            let reaches = reaches(&duty.manual, evidence);
            reaches.checked_add_signed(age.length())
        });
        let allowed = Span::new(evidence.sealed, until.unwrap_or(DateTime::<Utc>::MAX_UTC));
        allowed.shared(Span::new(from, duty.to.unwrap_or(DateTime::<Utc>::MAX_UTC)))
    });
    spans.collect()
}

fn bare(owed: &[Span], counting: &[(&Evidence, Vec<Span>)]) -> Vec<Bare> {
    let spans: Vec<Span> = counting.iter().flat_map(|(_, spans)| spans).copied().collect();
    let mut bare: Vec<Bare> = Vec::new();
    for hole in owed.iter().flat_map(|owed| holes(spans.clone(), *owed)) {
        // Another calendar is no reason to tell of two.
        if let Some(last) = bare.last_mut().filter(|last| last.to == hole.from) {
            last.to = hole.to;
            continue;
        }
        let earlier = counting.iter().rfind(|(each, _)| each.sealed < hole.from);
        bare.push(Bare {
            from: hole.from,
            to: hole.to,
            after: earlier.map(|(each, _)| each.seq),
        });
    }
    bare
}

/// How it stood at an instant, by what had been planned then.
fn state_at(duties: &[Duty], evidence: &[Evidence], at: DateTime<Utc>) -> State {
    let known: Vec<Duty> = duties
        .iter()
        .filter(|duty| duty.from <= at)
        .map(|duty| Duty {
            to: duty.to.filter(|to| *to <= at),
            ..duty.clone()
        })
        .collect();
    account(&known, evidence, at).state
}

#[cfg(test)]
mod tests;
