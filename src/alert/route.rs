//! Which channels an alert goes to, and until when quiet hours hold it back. Pure: it reads no clock.

use chrono::{DateTime, Datelike as _, DurationRound as _, TimeDelta, Utc, Weekday};

use crate::config::{Criteria, Quiet, Route};
use crate::control::{Control, ControlId, Criterion, Rules, Severity};
use crate::log::leaf::Event;

mod unmatched;

pub use unmatched::unmatched;

/// What an alert is about, as far as routes look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About<'a> {
    /// What happened.
    pub event: Event,
    /// How bad it is.
    pub severity: Severity,
    /// The source concerned, if it is one.
    pub source: Option<&'a str>,
    /// The test concerned, if it is one.
    pub test: Option<&'a str>,
    /// The control concerned, if it is about evidence that people owe for one.
    pub control: Option<&'a str>,
}

/// What is at least so bad goes to all channels where there is no route. The rest is for those who ask for it.
const UNROUTED: Severity = Severity::Medium;

/// Those of the channels that an alert goes to, each once: of every route that it fits. Without any route it goes to all,
/// unless it is of low severity.
///
/// The controls of an alert are those in force that its test serves, by the rules of the plan under which it was opened.
/// One that is about no test fits no route that asks for controls or criteria, one about no source none that asks for sources.
pub fn recipients<'c>(
    channels: impl Iterator<Item = &'c str>,
    routes: &[Route],
    rules: &Rules,
    about: &About<'_>,
) -> Vec<&'c str> {
    if routes.is_empty() {
        return channels.filter(|_| about.severity <= UNROUTED).collect();
    }
    let fitting: Vec<_> = routes.iter().filter(|route| fits(route, rules, about)).collect();
    channels
        .filter(|name| {
            fitting
                .iter()
                .flat_map(|route| &route.channels)
                .any(|to| to.get_ref().as_str() == *name)
        })
        .collect()
}

fn fits(route: &Route, rules: &Rules, about: &About<'_>) -> bool {
    let asks_for_controls = !route.controls.is_empty() || !route.criteria.is_empty();
    // The worst is the least.
    about.severity <= route.severity
        && (route.events.is_empty() || route.events.iter().any(|event| *event.get_ref() == about.event))
        && (route.sources.is_empty()
            || route
                .sources
                .iter()
                .any(|source| Some(source.get_ref().as_str()) == about.source))
        && (!asks_for_controls
            || rules
                .controls
                .iter()
                .any(|control| is_about(control, about) && asks_for(route, control)))
}

/// Whether an alert is about a control that is in force, or about a test that serves it.
fn is_about(control: &Control, about: &About<'_>) -> bool {
    let mut tests = control.tests.iter();
    control.enabled
        && (about.control == Some(control.id.as_str())
            || tests.any(|served| Some(served.as_str()) == about.test))
}

/// Whether a control is one of those that a route asks for, by its name and by its criteria.
fn asks_for(route: &Route, control: &Control) -> bool {
    let named = |id: &ControlId| route.controls.iter().any(|wanted| wanted.get_ref() == id);
    let wanted = |criterion: &Criterion| {
        route
            .criteria
            .iter()
            .map(toml::Spanned::get_ref)
            .any(|wanted: &Criteria| wanted.include(*criterion))
    };
    (route.controls.is_empty() || named(&control.id))
        && (route.criteria.is_empty() || control.criteria.iter().any(wanted))
}

/// The end of the quiet hours, if an alert of this severity has to wait for it now. What is critical never waits.
///
/// What clocks in the zone show decides: a night in which they change is longer or shorter by that, and a time that comes
/// twice counts both times.
pub fn quiet_until(quiet: &Quiet, severity: Severity, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if severity == Severity::Critical || !is_quiet(quiet, now) {
        return None;
    }
    // Quiet hours begin and end with a minute, and clocks change with one, so that a look at each is exact. A weekend with a
    // night on either side has less than four thousand.
    let minute = TimeDelta::minutes(1);
    let mut at = now.duration_trunc(minute).ok()?;
    for _ in 0..LONGEST {
        at += minute;
        if !is_quiet(quiet, at) {
            return Some(at);
        }
    }
    None
}

/// More minutes than any quiet hours have: a week's.
const LONGEST: usize = 7 * 24 * 60;

fn is_quiet(quiet: &Quiet, at: DateTime<Utc>) -> bool {
    let shown = at.with_timezone(&quiet.zone);
    let time = shown.time();
    let night = if quiet.from < quiet.to {
        (quiet.from..quiet.to).contains(&time)
    } else {
        time >= quiet.from || time < quiet.to
    };
    night || (quiet.weekends && matches!(shown.weekday(), Weekday::Sat | Weekday::Sun))
}

#[cfg(test)]
mod tests;
