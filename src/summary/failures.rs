//! The deviations of a period, with what people did about each.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::gather::Gathered;
use super::{SummaryError, TestRow};
use crate::deviations;
use crate::log::store::Reader;
use crate::period::deviation::{Deviation, Look};
use crate::period::response::{Responses, Said, Told};
use crate::period::window::Window;
use crate::round::{self, RoundError};

/// A stretch in which a test failed on a resource, or an event on which it did.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// The test.
    pub test: String,
    /// The collector's id.
    pub collector: String,
    /// The source's name.
    pub source: String,
    /// The target.
    pub target: String,
    /// The resource's id.
    pub resource: String,
    /// `open`, `excepted`, `mended`, `gone`, `not_applicable` or `event`, by all that the log tells by now.
    pub state: &'static str,
    /// What the test said when it first failed.
    pub reason: String,
    /// Of an event, where the interval begins that it was found in.
    pub events_from: Option<DateTime<Utc>>,
    /// What was seen last before it: `pass`, `gone` or `not_applicable`.
    pub before: Option<Sighting>,
    /// The first look that found it, or the one whose interval holds the event.
    pub first_fail: Sighting,
    /// The last look that found it.
    pub last_fail: Sighting,
    /// The look that ended it.
    pub end: Option<Sighting>,
    /// When it was first judged.
    pub detected: DateTime<Utc>,
    /// It had begun before the period.
    pub open_at_start: bool,
    /// It had not ended when the period did; an end behind that is a subsequent event.
    pub open_at_end: bool,
    /// How long it lasted as far as was observed, in seconds.
    pub at_least_seconds: i64,
    /// How long at the most, where both ends were observed.
    pub at_most_seconds: Option<i64>,
    /// The exceptions that covered it for a time.
    pub exceptions: Vec<u64>,
    /// The first message about it that a channel took.
    pub notified: Option<Told>,
    /// What was said to it.
    pub acknowledged: Vec<Said>,
}

/// What a look saw.
#[derive(Debug, Serialize)]
pub struct Sighting {
    /// What it saw, where that is not a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// The instant it speaks for.
    pub time: DateTime<Utc>,
    /// The snapshot's leaf.
    pub snapshot: u64,
    /// The evaluation's.
    pub evaluation: u64,
}

/// Those that concern the period, counted at their tests, and what was done about any.
pub(super) fn within(
    reader: &Reader,
    gathered: &Gathered,
    period: &Window,
    tests: &mut [TestRow],
) -> Result<(Vec<Failed>, Responses), SummaryError> {
    let history = deviations::of_looks(reader, gathered.judged())?;
    let mut failed = Vec::new();
    for deviation in &history.deviations {
        let concerns =
            deviation.touches(Some(period.from), Some(period.to)) && is_own(reader, period, deviation)?;
        if !concerns {
            continue;
        }
        let response = history.responses.to(deviation);
        if let Some(test) = tests.iter_mut().find(|test| test.test == deviation.test.as_str()) {
            test.deviations += 1;
            test.open += u64::from(deviation.goes_on());
        }
        failed.push(row(deviation, period, response.notified, response.acknowledged));
    }
    Ok((failed, history.responses))
}

/// An event belongs to the period of its own time, which matters where the interval it was found in lies across an edge.
fn is_own(reader: &Reader, period: &Window, deviation: &Deviation) -> Result<bool, SummaryError> {
    let Some(from) = deviation.events_from else {
        return Ok(true);
    };
    let until = deviation.first.at;
    if period.from <= from && until < period.to {
        return Ok(true);
    }
    let snapshot = deviation.first.snapshot;
    let Some(leaf) = reader.leaf(snapshot)? else {
        return Ok(true);
    };
    let resources = match round::resources(reader, snapshot, &leaf) {
        Ok(resources) => resources,
        Err(RoundError::Store(error)) if !error.is_damage() => return Err(error.into()),
        // When it was can't be read any more: it is shown rather than left out.
        Err(_) => return Ok(true),
    };
    let own = resources
        .iter()
        .find(|resource| resource.id == deviation.resource);
    let time = own.and_then(|resource| resource.as_of);
    Ok(time.is_none_or(|time| period.holds(time)))
}

fn row(deviation: &Deviation, period: &Window, notified: Option<Told>, acknowledged: Vec<Said>) -> Failed {
    let scope = &deviation.scope;
    let is_event = deviation.events_from.is_some();
    let ended = deviation.end.as_ref().map(|end| end.look.at);
    Failed {
        test: deviation.test.to_string(),
        collector: scope.collector.clone(),
        source: scope.source.clone(),
        target: scope.target.clone(),
        resource: deviation.resource.clone(),
        state: deviation.state().as_str(),
        reason: deviation.reason.clone(),
        events_from: deviation.events_from,
        before: deviation
            .before
            .map(|before| sighting(Some(before.state.as_str()), before.look)),
        first_fail: sighting(None, deviation.first),
        last_fail: sighting(None, deviation.last),
        end: deviation
            .end
            .as_ref()
            .map(|end| sighting(Some(end.state.as_str()), end.look)),
        detected: deviation.first.judged,
        open_at_start: !is_event && deviation.first.at < period.from,
        open_at_end: !is_event && ended.is_none_or(|ended| ended >= period.to),
        at_least_seconds: deviation.at_least().num_seconds(),
        at_most_seconds: deviation.at_most().map(|length| length.num_seconds()),
        exceptions: deviation
            .excepted
            .iter()
            .filter_map(|span| span.exception)
            .collect(),
        notified,
        acknowledged,
    }
}

fn sighting(state: Option<&'static str>, look: Look) -> Sighting {
    Sighting {
        state,
        time: look.at,
        snapshot: look.snapshot,
        evaluation: look.evaluation,
    }
}
