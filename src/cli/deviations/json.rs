//! Deviations for programs: one for each test and resource, in a form that stays.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::overdue::ShownOverdue;
use super::{Line, Told};
use crate::control::Severity;
use crate::log::leaf::format_time;
use crate::period::deviation::{Doubt, Look, Other, Span};
use crate::period::response;

#[derive(Serialize)]
pub(super) struct Shown<'a> {
    origin: String,
    from: Option<String>,
    to: Option<String>,
    observed: Observed<'a>,
    deviations: Vec<Deviation<'a>>,
    /// Evidence that people owed and did not give in time.
    manual: &'a [ShownOverdue],
}

/// What the list rests on.
#[derive(Serialize)]
struct Observed<'a> {
    evaluations: u64,
    /// When the first snapshot was taken.
    first: Option<String>,
    /// When the newest was.
    last: Option<String>,
    /// Evaluations whose findings can't be read any more.
    unreadable: &'a [u64],
}

#[derive(Serialize)]
struct Deviation<'a> {
    test: &'a str,
    /// Null where no plan that can be read tells.
    severity: Option<Severity>,
    title: Option<&'a str>,
    controls: Vec<Control<'a>>,
    collector: &'a str,
    source: &'a str,
    target: &'a str,
    resource: &'a str,
    state: &'static str,
    /// What the test said when it first failed.
    reason: &'a str,
    /// Of an event: in which it happened.
    interval: Option<Interval>,
    before: Option<Seen<'a>>,
    first_fail: Seen<'a>,
    last_fail: Seen<'a>,
    since_then: Option<&'static str>,
    end: Option<Seen<'a>>,
    at_least_seconds: i64,
    at_most_seconds: Option<i64>,
    notified: Option<&'a response::Told>,
    acknowledged: &'a [response::Said],
    ticket: Option<&'a str>,
    cause: Option<&'a str>,
    correction: Option<&'a str>,
    response: Option<&'a str>,
    exceptions: Vec<Exception<'a>>,
}

#[derive(Serialize)]
struct Control<'a> {
    control: &'a str,
    owner: &'a str,
}

#[derive(Serialize)]
struct Interval {
    from: String,
    to: String,
}

/// What a look saw.
#[derive(Serialize)]
struct Seen<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    time: String,
    snapshot: u64,
    evaluation: u64,
    /// When it was judged.
    detected: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// An exception, and the looks that it covered.
#[derive(Serialize)]
struct Exception<'a> {
    /// Null where it can't be read any more.
    seq: Option<u64>,
    first: String,
    last: String,
    #[serde(flatten)]
    recorded: Option<Recorded<'a>>,
}

#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(rename = "recorded")]
    time: String,
    #[serde(rename = "recorded_by")]
    by: &'a str,
    requested_by: &'a str,
    approved_by: &'a str,
    /// How the approval is known: by the word of whoever recorded it.
    approval: &'static str,
    reason: &'a str,
    expires: String,
    ticket: Option<&'a str>,
}

pub(super) fn shown<'a>(told: &'a Told<'a>) -> Shown<'a> {
    let time = |time: Option<DateTime<Utc>>| time.map(format_time);
    let span = told.history.span;
    Shown {
        origin: told.reader.origin().to_string(),
        from: time(told.from),
        to: time(told.to),
        observed: Observed {
            evaluations: told.history.evaluations,
            first: time(span.map(|(first, _)| first)),
            last: time(span.map(|(_, last)| last)),
            unreadable: &told.history.unreadable,
        },
        deviations: told.listed.iter().map(|line| deviation(told, line)).collect(),
        manual: &told.manual,
    }
}

fn deviation<'a>(told: &'a Told<'a>, line: &'a Line<'a>) -> Deviation<'a> {
    let (shown, response) = (line.deviation, &line.response);
    let served = told.served.get(&shown.test);
    let controls = served
        .map(|served| served.controls.as_slice())
        .unwrap_or_default();
    Deviation {
        test: shown.test.as_str(),
        severity: served.map(|served| served.severity),
        title: served.map(|served| served.title.as_str()),
        controls: controls
            .iter()
            .map(|(control, owner)| Control { control, owner })
            .collect(),
        collector: &shown.scope.collector,
        source: &shown.scope.source,
        target: &shown.scope.target,
        resource: &shown.resource,
        state: shown.state().as_str(),
        reason: &shown.reason,
        interval: shown.events_from.map(|from| Interval {
            from: format_time(from),
            to: format_time(shown.first.at),
        }),
        before: shown
            .before
            .map(|before| seen(Some(before.state), before.look, "")),
        first_fail: seen(None, shown.first, ""),
        last_fail: seen(None, shown.last, ""),
        since_then: shown.since_then.map(|doubt| match doubt {
            Doubt::Unknown => "unknown",
            Doubt::NotTested => "not_tested",
            Doubt::ExceptionEnded => "exception_ended",
        }),
        end: shown
            .end
            .as_ref()
            .map(|end| seen(Some(end.state), end.look, &end.reason)),
        at_least_seconds: shown.at_least().num_seconds(),
        at_most_seconds: shown.at_most().map(|most| most.num_seconds()),
        notified: response.notified.as_ref(),
        acknowledged: &response.acknowledged,
        ticket: response.ticket.as_deref(),
        cause: response.cause.as_deref(),
        correction: response.correction.as_deref(),
        response: response.response.as_deref(),
        exceptions: shown.excepted.iter().map(|span| exception(told, span)).collect(),
    }
}

fn seen(state: Option<Other>, look: Look, reason: &str) -> Seen<'_> {
    Seen {
        state: state.map(Other::as_str),
        time: format_time(look.at),
        snapshot: look.snapshot,
        evaluation: look.evaluation,
        detected: format_time(look.judged),
        reason,
    }
}

fn exception<'a>(told: &'a Told<'a>, span: &Span) -> Exception<'a> {
    let recorded = span.exception.and_then(|seq| told.exceptions.get(&seq));
    Exception {
        seq: span.exception,
        first: format_time(span.first.at),
        last: format_time(span.last.at),
        recorded: recorded.map(|recorded| {
            let exception = &recorded.exception;
            Recorded {
                time: format_time(recorded.time),
                by: &exception.recorded_by,
                requested_by: &exception.requested_by,
                approved_by: &exception.approved_by,
                approval: "asserted",
                reason: &exception.reason,
                expires: format_time(exception.expires),
                ticket: exception.ticket.as_deref(),
            }
        }),
    }
}
