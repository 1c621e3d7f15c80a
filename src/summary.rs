//! What the log tells of an observation period: for each control, test and source what was owed, collected, failed and missed,
//! what was observed and what is only inferred, and what changed meanwhile. Reads only.
//!
//! The present is the newest leaf's time, so that whoever reads a copy of the log is told the same.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::control::{Criterion, Severity};
use crate::log::store::{Held, StoreError};
use crate::period::coverage::Stretch;
use crate::period::ledger::Counts;
use crate::period::manual::Within;
use crate::period::slot::{At, Observations};
use crate::period::window::Window;
use crate::plan::PlanError;

mod beside;
mod changes;
mod controls;
mod evidence;
mod failures;
mod gather;
mod look;
mod manual;
mod sampling;
mod tested;

pub use beside::{Beside, Named, Otherwise, WordingRow};
pub use changes::{Change, Downtime, Person};
pub use failures::{Failed, Sighting};
pub use manual::{AttachmentRow, BareRow, CalendarRow, DueRow, ManualRow, OverdueRow};
pub use sampling::{Collected, DrawRow, SealedRow};

/// What the log tells of a stretch of time.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The log's name.
    pub origin: String,
    /// How many leaves it held.
    pub size: u64,
    /// The newest leaf's time: what is said is said as of then.
    pub as_of: DateTime<Utc>,
    /// The stretch, and its scope.
    pub period: Window,
    /// Whether it goes on.
    pub state: State,
    /// Why what is exported now is a draft; empty when everything that belongs to the period is sealed.
    pub draft: Vec<String>,
    /// The controls in scope, by id.
    pub controls: Vec<ControlRow>,
    /// The tests that serve them, by id.
    pub tests: Vec<TestRow>,
    /// The evidence that people owe for the controls in scope, by control.
    pub manual: Vec<ManualRow>,
    /// What people attached within the period to what is in scope, and what the rows before name of earlier and later.
    pub attachments: Vec<AttachmentRow>,
    /// What was collected, by collector, source and target.
    pub evidence: Vec<EvidenceRow>,
    /// Every stretch in which one of the tests failed, and every event on which one did.
    pub deviations: Vec<Failed>,
    /// Changes of plans, scopes and versions within the period.
    pub changes: Vec<Change>,
    /// When no daemon ran.
    pub downtime: Vec<Downtime>,
    /// Who did what.
    pub people: Vec<Person>,
    /// The lists that were sealed of periods that overlap this one.
    pub populations: Vec<SealedRow>,
    /// What was drawn from them, and all that was drawn within the period.
    pub draws: Vec<DrawRow>,
    /// Which populations belong to it, sealed or not.
    #[serde(skip)]
    pub collected: Collected,
    /// Snapshots that nothing has judged.
    pub unjudged: Vec<u64>,
    /// Leaves of which a payload can't be read any more, or that a later version wrote otherwise: their part is missing here.
    pub unreadable: Vec<u64>,
}

/// Whether a period goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not begun.
    Ahead,
    /// It goes on.
    Running,
    /// It has ended.
    Ended,
}

/// A control in scope.
#[derive(Debug, Serialize)]
pub struct ControlRow {
    /// Its id.
    pub control: String,
    /// The company's statement.
    pub statement: String,
    /// Who answers for it.
    pub owner: String,
    /// How often it operates.
    pub frequency: Option<String>,
    /// What it serves.
    pub criteria: Vec<Criterion>,
    /// Since when it is so worded, and how it was before, within the period.
    pub versions: Vec<VersionRow>,
    /// The tests that serve it.
    pub tests: Vec<String>,
    /// What came of it, of its tests and of the evidence that people owe for it.
    pub result: PeriodResult,
    /// How many deviations its tests have and its evidence, and how many of them go on.
    pub deviations: u64,
    /// Those that go on.
    pub open: u64,
    /// The least coverage of its tests and its evidence, in percent, rounded down.
    pub coverage_percent: Option<f64>,
}

/// What a period shows of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodResult {
    /// A test failed at least once, or evidence that people owe was overdue.
    Deviations,
    /// None failed where it was looked, but some of the time nothing speaks for, or nobody could say.
    Incomplete,
    /// Nobody looked, or gave anything.
    NoEvidence,
    /// Evidence speaks for the whole of the time, and there never was anything that a test applies to.
    NoOccurrence,
    /// None failed, what was due was given, and evidence speaks for the whole of the time.
    NoDeviations,
    /// No test serves it, and nobody owes evidence for it.
    NotTested,
}

/// A wording, with its dates.
#[derive(Debug, Serialize)]
pub struct VersionRow {
    /// The plan that introduced it.
    pub plan: u64,
    /// When.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// What changed with it.
    pub changed: Vec<&'static str>,
}

/// A test.
#[derive(Debug, Serialize)]
pub struct TestRow {
    /// Its id.
    pub test: String,
    /// What holds where it passes.
    pub title: String,
    /// What is checked and what is not.
    pub doc: String,
    /// The kind of resource that it is about.
    pub resource: String,
    /// CEL: which of those it is about.
    pub applies: String,
    /// CEL: what must hold.
    pub passes: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// For how long evidence speaks.
    pub max_age: String,
    /// Its wordings within the period, oldest first. The fields above are the last one's.
    pub versions: Vec<VersionRow>,
    /// What each wording says of the whole period, where one judges otherwise than another.
    pub beside: Option<Beside>,
    /// Where it was taken.
    pub sources: Vec<SourceRow>,
    /// How many deviations.
    pub deviations: u64,
    /// Those that go on.
    pub open: u64,
}

/// A test at a source: of all its targets together, and of each.
#[derive(Debug, Serialize)]
pub struct SourceRow {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// Of all targets together.
    #[serde(flatten)]
    pub all: Tally,
    /// By target.
    pub targets: Vec<TargetRow>,
}

/// A test at a target.
#[derive(Debug, Serialize)]
pub struct TargetRow {
    /// The target; null where the targets have never been found out.
    pub target: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What came of looking.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    /// The schedule's ticks.
    pub ticks: Counts,
    /// What the test said at the looks within the period.
    pub observations: Observations,
    /// Seconds for which a look speaks.
    pub covered_seconds: i64,
    /// Of so many.
    pub of_seconds: i64,
    /// The one in percent of the other, rounded down; null of no time at all.
    pub coverage_percent: Option<f64>,
    /// The longest stretch without a look that counts.
    pub longest: Longest,
    /// The last look before the period that speaks into it.
    pub before: Option<At>,
    /// The first look within it.
    pub first: Option<At>,
    /// The last.
    pub last: Option<At>,
    /// A character for each day: P passed, F failed, U unknown, E excepted, N nothing to test; in lower case where that is
    /// only inferred from a look before; - nothing; . outside.
    pub days: String,
}

/// The longest stretch without a look that counts.
#[derive(Clone, Debug, Serialize)]
pub struct Longest {
    /// When.
    #[serde(flatten)]
    pub stretch: Stretch,
    /// How long.
    pub seconds: i64,
    /// At which target.
    pub target: Option<String>,
    /// Why.
    pub why: Vec<String>,
}

/// What was collected about a target.
#[derive(Debug, Serialize)]
pub struct EvidenceRow {
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target; null where the targets have never been found out.
    pub target: Option<String>,
    /// What the schedule owed, and what came of it.
    pub ticks: Counts,
    /// Ticks that yielded nothing whole.
    pub holes: Vec<HoleRow>,
}

/// Consecutive ticks that yielded nothing whole.
#[derive(Clone, Debug, Serialize)]
pub struct HoleRow {
    /// The first.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
    /// How many.
    pub ticks: u64,
    /// `incomplete`, `failed`, `missed` or `unaccounted`.
    pub fate: &'static str,
    /// In words.
    pub why: String,
}

/// What the log tells can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A plan can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Reads what the log tells of a stretch of time, as it is held.
///
/// # Errors
/// The store can't be read, or its leaves are not those that its checkpoint was signed for. Payloads that are damaged are named,
/// not refused.
pub fn read(held: &Held<'_>, period: Window) -> Result<Summary, SummaryError> {
    let reader = held.reader();
    let mut gathered = gather::gather(reader, &period)?;
    let as_of = gathered.as_of;
    let state = match as_of {
        now if now < period.from => State::Ahead,
        now if now < period.to => State::Running,
        _ => State::Ended,
    };
    let accounts = evidence::accounts(&gathered);
    let mut tests = tested::rows(reader, &mut gathered, &accounts, &period)?;
    let (deviations, responses) = failures::within(reader, &gathered, &period, &mut tests)?;
    beside::fill(reader, &gathered, &period, &mut tests)?;
    let mut controls = controls::rows(&gathered.versions, &tests, &deviations, &period, as_of);
    let within = Within {
        from: period.from,
        to: period.to,
        now: as_of,
        begun: gathered.versions.begun,
    };
    let brought = manual::brought(reader, &controls, &responses, &period, within)?;
    manual::join(&mut controls, &brought.rows);
    let mut draft = gathered.draft(&period);
    if state == State::Ended {
        draft.extend(manual::draft(&brought.rows, &period));
    }
    let mut summary = Summary {
        origin: reader.origin().to_string(),
        size: gathered.size,
        as_of,
        state,
        draft,
        controls,
        tests,
        manual: brought.rows,
        attachments: brought.attachments,
        evidence: evidence::rows(&accounts),
        deviations,
        changes: changes::rows(&gathered, &period),
        downtime: changes::downtime(&gathered, &period),
        people: gathered.people.within(&period),
        populations: gathered.sampling.sealed_within(&period),
        draws: gathered.sampling.drawn_within(&period),
        collected: sampling::collected(&gathered, &period),
        unjudged: gathered.unjudged(&period),
        unreadable: gathered.unreadable,
        period,
    };
    summary.prune();
    Ok(summary)
}

/// Whether what is exported of a period would be a draft, if the log went on up to `now`.
///
/// # Errors
/// As [`read`].
pub fn is_draft(held: &Held<'_>, period: &Window, now: DateTime<Utc>) -> Result<bool, SummaryError> {
    let mut gathered = gather::gather(held.reader(), period)?;
    gathered.as_of = gathered.as_of.max(now);
    Ok(!gathered.draft(period).is_empty())
}

impl Summary {
    /// Leaves out other controls than these, with what people brought for them, and what serves none that stays: tests, with their
    /// deviations, and populations.
    pub fn keep_controls(&mut self, wanted: impl Fn(&str) -> bool) {
        self.controls.retain(|control| wanted(&control.control));
        self.collected.only_serving = true;
        self.prune();
        let (controls, criteria) = (&self.controls, &self.period.criteria);
        let is_meant = |attached: &AttachmentRow| {
            let is_of = |id: &String| controls.iter().any(|control| control.control == *id);
            let mut numbers = attached.criteria.iter();
            attached.controls.iter().any(is_of)
                || numbers.any(|number| criteria.iter().any(|criterion| criterion.number() == number))
        };
        self.attachments.retain(is_meant);
    }

    /// Leaves out the tests that serve no control here, with their deviations, and what people brought for others.
    fn prune(&mut self) {
        let controls = &self.controls;
        self.tests
            .retain(|test| controls.iter().any(|control| control.tests.contains(&test.test)));
        let tests = &self.tests;
        self.deviations
            .retain(|failed| tests.iter().any(|test| test.test == failed.test));
        let of_control = |row: &ManualRow| controls.iter().any(|control| control.control == row.control);
        self.manual.retain(of_control);
    }
}
