//! The evidence that people owe for the controls in scope, within a period: what was due, what was given, by whom and when, and
//! where none counted. What it comes to is said by [`crate::period::manual`], which `status`, alerts and readiness ask too.
//!
//! A scope by criteria holds the controls that serve them, with their evidence. What people bring comes from no source, so a
//! scope by sources leaves none of it out.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::{ControlRow, PeriodResult, SummaryError};
use crate::control::{Criterion, MaxAge};
use crate::log::leaf::{Attachment, Days};
use crate::log::store::Reader;
use crate::manual::{self, Attached, Owed};
use crate::period::coverage::{Covered, Stretch};
use crate::period::manual::{Course, DueState, Duty, Overdue, State, Within, course};
use crate::period::response::{Response, Responses, Said, Told};
use crate::period::window::Window;

mod joined;

pub(super) use joined::{draft, join};

/// The evidence that people owe for a control.
#[derive(Clone, Debug, Serialize)]
pub struct ManualRow {
    /// The control.
    pub control: String,
    /// Who answers for it.
    pub owner: String,
    /// The calendars within the period, oldest first.
    pub calendars: Vec<CalendarRow>,
    /// What came of it, the control's tests left aside.
    pub result: PeriodResult,
    /// How it stood when the period ended; while that goes on, how it stands.
    pub state: State,
    /// The due dates of the period, and before them those from earlier that were open when it began.
    pub dues: Vec<DueRow>,
    /// The last day on which what is due next, behind all this, is on time.
    pub next: Option<NaiveDate>,
    /// Where evidence was overdue: the deviations.
    pub overdue: Vec<OverdueRow>,
    /// What was given before the period and counts at its beginning; of several, what reaches furthest.
    pub before: Option<AttachmentRow>,
    /// What was given within the period beside that, and met no due date.
    pub further: Vec<AttachmentRow>,
    /// Where no evidence counted.
    pub bare: Vec<BareRow>,
    /// Seconds for which evidence counted.
    pub covered_seconds: i64,
    /// Of so many in which it was owed.
    pub of_seconds: i64,
    /// The one in percent of the other, rounded down; null of no time at all.
    pub coverage_percent: Option<f64>,
    /// A character for each day: G evidence was given, c evidence counts, O it was overdue, - none counts; . outside, or not
    /// owed.
    pub days: String,
}

/// When evidence was owed, by one calendar.
#[derive(Clone, Debug, Serialize)]
pub struct CalendarRow {
    /// Since the plan that brought it.
    pub from: DateTime<Utc>,
    /// Until a plan without it; null where it is in force.
    pub until: Option<DateTime<Utc>>,
    /// The calendar, as it is written.
    pub every: String,
    /// The zone that it is meant in, where one is written.
    pub timezone: Option<String>,
    /// How long after its due date evidence is late and still accepted.
    pub grace: Option<String>,
    /// The age beyond which evidence no longer counts.
    pub max_age: Option<String>,
}

/// A due date.
#[derive(Clone, Debug, Serialize)]
pub struct DueRow {
    /// The last day on which evidence was on time.
    pub day: NaiveDate,
    /// The instant by which it had to be sealed.
    pub due: DateTime<Utc>,
    /// When it became overdue, or would have.
    pub grace_ends: DateTime<Utc>,
    /// What came of it.
    pub state: DueState,
    /// What met it.
    pub given: Option<AttachmentRow>,
}

/// A stretch in which evidence was overdue: a deviation.
#[derive(Clone, Debug, Serialize)]
pub struct OverdueRow {
    /// The last day on which it would have been on time.
    pub day: Option<NaiveDate>,
    /// The due date.
    pub due: DateTime<Utc>,
    /// When its grace time was over.
    pub from: DateTime<Utc>,
    /// When it ended, if it did.
    pub to: Option<DateTime<Utc>>,
    /// `open`, `given`, or `owed_no_more` where a plan ended it.
    pub state: &'static str,
    /// The attachment that ended it.
    pub by: Option<u64>,
    /// For how long, as far as is known.
    pub seconds: i64,
    /// It had begun before the period.
    pub open_at_start: bool,
    /// It had not ended when the period did; an end behind that is a subsequent event.
    pub open_at_end: bool,
    /// The first message about it that a channel took.
    pub notified: Option<Told>,
    /// What was said to it.
    pub acknowledged: Vec<Said>,
}

/// A stretch in which no evidence counted.
#[derive(Clone, Debug, Serialize)]
pub struct BareRow {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Where it ends.
    pub to: DateTime<Utc>,
    /// How long.
    pub seconds: i64,
    /// The attachment that had become too old; null where none was given before.
    pub after: Option<u64>,
}

/// A file that somebody brought as evidence.
#[derive(Clone, Debug, Serialize)]
pub struct AttachmentRow {
    /// Its leaf.
    pub seq: u64,
    /// When it was sealed, which is when it counts as given.
    pub time: DateTime<Utc>,
    /// What it is.
    pub title: String,
    /// The controls that it is evidence for.
    pub controls: Vec<String>,
    /// The criteria that it is evidence for, beside theirs.
    pub criteria: Vec<String>,
    /// The days that it says it covers.
    pub covers: Days,
    /// The file's name.
    pub file: String,
    /// What kind of file it is.
    pub media_type: Option<String>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// Of the blob, salt and all.
    pub sha256: Option<String>,
    /// Who made it, as recorded.
    pub prepared_by: String,
    /// Who approved it, as recorded.
    pub approved_by: String,
    /// Who recorded it, as the operating system names them.
    pub recorded_by: String,
    /// What an auditor should know of it.
    pub note: Option<String>,
    /// Whether the one who approved it is the one who made it, as far as names tell.
    pub self_approved: bool,
}

/// What people owed and brought.
pub(super) struct Brought {
    pub(super) rows: Vec<ManualRow>,
    pub(super) attachments: Vec<AttachmentRow>,
}

/// Of the controls given, and the attachments of the period with all that the rows name.
pub(super) fn brought(
    reader: &Reader,
    controls: &[ControlRow],
    responses: &Responses,
    period: &Window,
    within: Within,
) -> Result<Brought, SummaryError> {
    let attached = manual::attachments(reader)?;
    let days = period.days();
    let mut rows = Vec::new();
    for owed in manual::read(reader)? {
        let id = owed.control.id.as_str();
        let course = course(&owed.duties, &owed.evidence, within);
        if let Some(course) = course.filter(|_| controls.iter().any(|row| row.control == id)) {
            let letters = course.letters(&days, within.now);
            rows.push(row(&owed, &course, &attached, responses, within, letters));
        }
    }
    rows.sort_by(|a, b| a.control.cmp(&b.control));
    let named = |seq: u64| rows.iter().any(|row| row.names(seq));
    let in_scope = |attached: &&Attached| {
        let is_own = period.holds(attached.sealed) && is_about(&attached.attachment, controls, period);
        is_own || named(attached.seq)
    };
    Ok(Brought {
        attachments: attached.iter().filter(in_scope).map(given).collect(),
        rows,
    })
}

/// Whether an attachment is evidence for one of the controls, or for a criterion in scope.
fn is_about(attachment: &Attachment, controls: &[ControlRow], period: &Window) -> bool {
    let numbers = attachment.criteria.iter();
    let criteria: Vec<Criterion> = numbers
        .filter_map(|number| Criterion::parse(number).ok())
        .collect();
    let is_of = |id: &String| controls.iter().any(|row| row.control == *id);
    attachment.controls.iter().any(is_of) || !criteria.is_empty() && period.has_criteria(&criteria)
}

fn row(
    owed: &Owed,
    course: &Course,
    attached: &[Attached],
    responses: &Responses,
    within: Within,
    days: String,
) -> ManualRow {
    let control = owed.control.id.as_str();
    let find = |seq: u64| attached.iter().find(|each| each.seq == seq).map(given);
    let met = |seq: u64| {
        let mut dues = course.dues.iter();
        dues.any(|due| due.met.is_some_and(|(by, _)| by == seq))
    };
    let end = within.to.min(within.now);
    let further = attached.iter().filter(|each| {
        let is_own = each.attachment.controls.iter().any(|id| id == control);
        is_own && within.from <= each.sealed && each.sealed <= end && !met(each.seq)
    });
    let calendars = owed.duties.iter().filter(|duty| {
        let is_before = duty.to.is_some_and(|to| to <= within.from);
        duty.from < end && !is_before
    });
    let percent = Covered {
        time: course.covered,
        of: course.of,
        longest: Stretch { from: end, to: end },
    };
    ManualRow {
        control: control.to_owned(),
        owner: owed.control.owner.clone(),
        calendars: calendars.map(calendar).collect(),
        result: joined::result(course),
        state: course.state,
        dues: course
            .dues
            .iter()
            .map(|due| DueRow {
                day: due.day,
                due: due.at,
                grace_ends: due.grace_ends,
                state: due.state,
                given: due.met.and_then(|(seq, _)| find(seq)),
            })
            .collect(),
        next: course.next,
        overdue: course
            .overdue
            .iter()
            .map(|stretch| overdue(stretch, course, responses.to_overdue(control, stretch), within))
            .collect(),
        before: course.before.and_then(find),
        further: further.map(given).collect(),
        bare: course
            .bare
            .iter()
            .map(|bare| BareRow {
                from: bare.from,
                to: bare.to,
                seconds: (bare.to - bare.from).num_seconds(),
                after: bare.after,
            })
            .collect(),
        covered_seconds: course.covered.num_seconds(),
        of_seconds: course.of.num_seconds(),
        coverage_percent: percent.basis_points().map(|points| f64::from(points) / 100.0),
        days,
    }
}

fn calendar(duty: &Duty) -> CalendarRow {
    let length = |length: Option<&MaxAge>| length.map(ToString::to_string);
    CalendarRow {
        from: duty.from,
        until: duty.to,
        every: duty.manual.every().to_owned(),
        timezone: duty.manual.timezone().map(str::to_owned),
        grace: length(duty.manual.grace()),
        max_age: length(duty.manual.max_age()),
    }
}

fn overdue(stretch: &Overdue, course: &Course, response: Response, within: Within) -> OverdueRow {
    let due = course.dues.iter().find(|due| due.at == stretch.due);
    OverdueRow {
        day: due.map(|due| due.day),
        due: stretch.due,
        from: stretch.from,
        to: stretch.to,
        state: stretch.state(),
        by: stretch.by,
        seconds: (stretch.to.unwrap_or(within.now) - stretch.from).num_seconds(),
        open_at_start: stretch.from < within.from,
        open_at_end: stretch.to.is_none_or(|to| to >= within.to),
        notified: response.notified,
        acknowledged: response.acknowledged,
    }
}

fn given(attached: &Attached) -> AttachmentRow {
    let says = &attached.attachment;
    let blob = attached.file.as_ref();
    AttachmentRow {
        seq: attached.seq,
        time: attached.sealed,
        title: says.title.clone(),
        controls: says.controls.clone(),
        criteria: says.criteria.clone(),
        covers: says.covers,
        file: says.file.clone(),
        media_type: blob.map(|blob| blob.media_type.clone()),
        size: blob.map(|blob| blob.size.saturating_sub(SALT)),
        sha256: blob.map(|blob| hex::encode(blob.sha256)),
        prepared_by: says.prepared_by.clone(),
        approved_by: says.approved_by.clone(),
        recorded_by: says.recorded_by.clone(),
        note: says.note.clone(),
        self_approved: says.is_self_approved(),
    }
}

/// Salt and newline before a blob's payload.
const SALT: u64 = 65;

impl ManualRow {
    /// Whether it names an attachment.
    fn names(&self, seq: u64) -> bool {
        let met = self.dues.iter().filter_map(|due| due.given.as_ref());
        let given = met.chain(&self.before).chain(&self.further);
        let ended = self.overdue.iter().filter_map(|overdue| overdue.by);
        given
            .map(|given| given.seq)
            .chain(ended)
            .any(|named| named == seq)
    }

    /// The deviations that go on.
    pub fn open(&self) -> u64 {
        self.overdue.iter().filter(|overdue| overdue.to.is_none()).count() as u64
    }
}
