//! What came of the evidence that people owe for a control: due date by due date, and how it stands.
//!
//! Three rules, so that an auditor can do it by hand. Evidence is taken in the order in which it was sealed.
//!
//! 1. It goes to the last due date that has passed, where nothing was given for that yet; unless all that it covers lies
//!    before that date's window, which begins at the due date before it. So it is late, whatever days it claims to cover.
//! 2. Else it goes to the next due date, if it covers something after the last one.
//! 3. What is sealed within the grace time of a due date that was met late, or within a day of what met it, belongs to that
//!    one too: a second file of the same review is not the next review.
//!
//! No evidence speaks for more than one due date, and a due date that nothing went to before the next one passed stays
//! missed.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use crate::control::{Manual, Outcome};
use crate::log::leaf::Days;

mod course;

pub use course::{Bare, Course, Within, course};

/// Evidence that was attached for a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its leaf.
    pub seq: u64,
    /// When it was sealed.
    pub sealed: DateTime<Utc>,
    /// The days that it says it covers.
    pub covers: Days,
    /// What it is.
    pub title: String,
}

/// A stretch in which a control owed evidence on one calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// When the plan was sealed that brought it; due dates after this are owed.
    pub from: DateTime<Utc>,
    /// When a plan ended it, if one did.
    pub to: Option<DateTime<Utc>>,
    /// What is owed.
    pub manual: Manual,
}

/// A due date, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Evidence must be sealed by then.
    pub at: DateTime<Utc>,
    /// The last day on which that is so, where the calendar is meant.
    pub day: NaiveDate,
    /// When it becomes overdue.
    pub grace_ends: DateTime<Utc>,
    /// The evidence that met it: its leaf, and when it was sealed.
    pub met: Option<(u64, DateTime<Utc>)>,
    /// What came of it.
    pub state: DueState,
}

/// What came of a due date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueState {
    /// Evidence was sealed by then.
    OnTime,
    /// Evidence was sealed after it, within the grace time.
    Late,
    /// Evidence was sealed after it had become overdue: a deviation.
    MetOverdue,
    /// The grace time is over and nothing was sealed for it: a deviation.
    Overdue,
    /// It has passed, and the grace time runs.
    Grace,
    /// It has not passed.
    Ahead,
}

/// How a control stands with the evidence that people owe for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A due date and its grace time have passed without evidence.
    Overdue,
    /// A due date has passed without evidence, and the grace time runs.
    Due,
    /// The newest evidence is older than counts.
    TooOld,
    /// Nothing was ever given, and nothing was due yet.
    Never,
    /// What was due was given.
    Current,
}

/// A stretch in which evidence was overdue: a deviation of the control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overdue {
    /// The due date.
    pub due: DateTime<Utc>,
    /// When its grace time was over.
    pub from: DateTime<Utc>,
    /// When it ended, if it did.
    pub to: Option<DateTime<Utc>>,
    /// The evidence that ended it; none where a plan did.
    pub by: Option<u64>,
}

/// What came of all that was owed, as of an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The due dates up to then, the oldest first, and the next one.
    pub dues: Vec<Due>,
    /// How it stands.
    pub state: State,
    /// The first evidence that counts.
    pub first: Option<Evidence>,
    /// The evidence that counts and reaches furthest.
    pub newest: Option<Evidence>,
    /// Where evidence was overdue.
    pub overdue: Vec<Overdue>,
}

/// How long what belongs together may take to attach.
const TOGETHER: TimeDelta = TimeDelta::days(1);

/// What came of what was owed, as of `now`. `duties` in the order of their time, `evidence` of the log.
pub fn account(duties: &[Duty], evidence: &[Evidence], now: DateTime<Utc>) -> Account {
    let mut dues = dues(duties, now);
    let (mut first, mut newest) = (None, None::<(DateTime<Utc>, &Evidence)>);
    let mut counting = Vec::new();
    for each in evidence.iter().filter(|each| each.sealed <= now) {
        let Some(duty) = duty_at(duties, each.sealed) else {
            break;
        };
        let reaches = reaches(&duty.manual, each);
        if is_too_old(&duty.manual, reaches, each.sealed) {
            continue;
        }
        counting.push(each);
        first = first.or(Some(each));
        if newest.is_none_or(|(furthest, _)| furthest <= reaches) {
            newest = Some((reaches, each));
        }
        if let Some(index) = goes_to(&dues, each.sealed, reaches) {
            dues[index].met = Some((each.seq, each.sealed));
        }
    }
    for due in &mut dues {
        due.state = due.state_at(now);
    }
    let overdue = overdue(&dues, duties, &counting, now);
    let missing = dues
        .iter()
        .rfind(|due| due.at < now)
        .filter(|due| due.met.is_none());
    let is_old = newest.is_some_and(|(reaches, _)| {
        duty_at(duties, now).is_some_and(|duty| is_too_old(&duty.manual, reaches, now))
    });
    let state = if overdue.iter().any(|overdue| overdue.to.is_none()) {
        State::Overdue
    } else if missing.is_some() {
        State::Due
    } else if newest.is_none() {
        State::Never
    } else if is_old {
        State::TooOld
    } else {
        State::Current
    };
    Account {
        dues,
        state,
        first: first.cloned(),
        newest: newest.map(|(_, each)| each.clone()),
        overdue,
    }
}

impl Account {
    /// What it says of the control: never a pass by silence.
    pub fn outcome(&self) -> Outcome {
        match self.state {
            State::Current => Outcome::Pass,
            State::Due | State::TooOld | State::Never => Outcome::Unknown,
            State::Overdue => Outcome::Fail,
        }
    }

    /// What people should see to: the oldest due date that is overdue, else the first that nothing went to yet.
    pub fn wanted(&self) -> Option<&Due> {
        let open = self.overdue.iter().find(|overdue| overdue.to.is_none());
        let of = |at| self.dues.iter().find(|due| due.at == at);
        open.and_then(|overdue| of(overdue.due)).or_else(|| {
            let open = |due: &&Due| matches!(due.state, DueState::Grace | DueState::Ahead);
            self.dues.iter().filter(open).find(|due| due.met.is_none())
        })
    }

    /// Why it is no pass, for a person; empty where it is one.
    pub fn reason(&self) -> String {
        let wanted = self.wanted();
        let day = wanted.map_or_else(String::new, |due| due.day.to_string());
        match self.state {
            State::Current => String::new(),
            State::Overdue => format!("evidence was due by {day} and has not been given"),
            State::Due => {
                let end =
                    wanted.map_or_else(String::new, |due| due.grace_ends.format("%Y-%m-%d").to_string());
                format!("evidence was due by {day}; the grace time runs until {end}")
            }
            State::TooOld => "the newest evidence is older than the control allows".to_owned(),
            State::Never if day.is_empty() => "no evidence has been given yet".to_owned(),
            State::Never => format!("no evidence has been given yet; it is due by {day}"),
        }
    }
}

impl Due {
    fn new(manual: &Manual, at: DateTime<Utc>) -> Self {
        Self {
            at,
            day: manual.last_day(at),
            grace_ends: manual.grace_ends(at),
            met: None,
            state: DueState::Ahead,
        }
    }

    fn state_at(&self, now: DateTime<Utc>) -> DueState {
        match self.met {
            Some((_, sealed)) if sealed <= self.at => DueState::OnTime,
            Some((_, sealed)) if sealed <= self.grace_ends => DueState::Late,
            Some(_) => DueState::MetOverdue,
            None if now <= self.at => DueState::Ahead,
            None if now <= self.grace_ends => DueState::Grace,
            None => DueState::Overdue,
        }
    }
}

/// The due dates that are owed up to `now`, and the next two: evidence may be given for the first of them already.
fn dues(duties: &[Duty], now: DateTime<Utc>) -> Vec<Due> {
    let mut dues = Vec::new();
    for duty in duties {
        let to = duty.to.unwrap_or(now).min(now);
        dues.extend(
            duty.manual
                .due(duty.from, to)
                .map(|at| Due::new(&duty.manual, at)),
        );
        if duty.to.is_none() {
            let ahead =
                std::iter::successors(duty.manual.next(duty.from.max(to)), |at| duty.manual.next(*at));
            dues.extend(ahead.take(2).map(|at| Due::new(&duty.manual, at)));
        }
    }
    dues
}

/// What was owed at an instant; before anything was, what was owed first.
fn duty_at(duties: &[Duty], at: DateTime<Utc>) -> Option<&Duty> {
    duties.iter().rfind(|duty| duty.from <= at).or(duties.first())
}

/// Up to which instant it speaks: nobody can speak for what has not been.
fn reaches(manual: &Manual, evidence: &Evidence) -> DateTime<Utc> {
    manual.end_of(evidence.covers.to).min(evidence.sealed)
}

fn is_too_old(manual: &Manual, reaches: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    manual.max_age().is_some_and(|age| at - reaches > age.length())
}

/// The due date that evidence goes to, by the rules above.
fn goes_to(dues: &[Due], sealed: DateTime<Utc>, reaches: DateTime<Utc>) -> Option<usize> {
    let passed = dues.partition_point(|due| due.at < sealed);
    if let Some(last) = passed.checked_sub(1) {
        let due = &dues[last];
        let Some((_, met)) = due.met else {
            let window = last.checked_sub(1).map(|before| dues[before].at);
            return window.is_none_or(|begins| reaches > begins).then_some(last);
        };
        let was_late = met > due.at;
        if was_late && sealed <= due.grace_ends.max(met + TOGETHER) || reaches <= due.at {
            return None;
        }
    }
    dues.get(passed).filter(|due| due.met.is_none()).map(|_| passed)
}

/// When people ceased to owe evidence after a due date: another calendar is no end.
fn owed_until(duties: &[Duty], due: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut after = duties
        .iter()
        .skip_while(|duty| duty.to.is_some_and(|to| to < due));
    let mut end = after.next()?.to;
    for duty in after {
        if end != Some(duty.from) {
            break;
        }
        end = duty.to;
    }
    end
}

fn overdue(dues: &[Due], duties: &[Duty], counting: &[&Evidence], now: DateTime<Utc>) -> Vec<Overdue> {
    let was = |due: &&Due| matches!(due.state, DueState::Overdue | DueState::MetOverdue);
    let mut stretches = Vec::new();
    for due in dues.iter().filter(was) {
        // What came for a later due date shows that the control operates again; the missed one stays missed.
        let after = counting.iter().find(|each| each.sealed > due.grace_ends);
        let by = due.met.or(after.map(|each| (each.seq, each.sealed)));
        let ended = owed_until(duties, due.at).filter(|to| *to <= now);
        let ended = ended.map(|to| to.max(due.grace_ends));
        let (to, by) = match (by, ended) {
            (Some((_, sealed)), Some(ended)) if ended < sealed => (Some(ended), None),
            (Some((seq, sealed)), _) => (Some(sealed), Some(seq)),
            (None, ended) => (ended, None),
        };
        stretches.push(Overdue {
            due: due.at,
            from: due.grace_ends,
            to,
            by,
        });
    }
    stretches
}

#[cfg(test)]
mod tests;
