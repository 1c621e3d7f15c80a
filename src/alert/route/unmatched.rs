//! Routes that no alert can fit, and owners whose digest would be empty: mistakes that only the rules show.

use std::collections::BTreeSet;
use toml::Spanned;

use super::asks_for;
use crate::config::{Config, Problem, Route, there_are};
use crate::control::{Control, Rules};
use crate::log::leaf::Event;
use crate::plan::Lists;

/// What is wrong with the routes and owners of a configuration under the lists of its plan, in the order of the file:
///
/// - a control that is not in force, and a criterion that none in force serves;
/// - conditions that exclude each other: controls without any of the criteria, events that are about no test or no source
///   though controls or sources are asked for, sources from which nothing is collected that a test of the controls is about;
/// - an owner whom no control names.
pub fn unmatched(config: &Config, lists: &Lists) -> Vec<Problem> {
    let controls: Vec<&Control> = lists
        .rules
        .controls
        .iter()
        .filter(|control| control.enabled)
        .collect();
    let mut problems = Vec::new();
    for route in &config.routes {
        let absent = absent(config, route, &controls);
        if absent.is_empty() {
            problems.extend(excluding(config, route, &controls, lists));
        }
        problems.extend(absent);
    }
    let owners: BTreeSet<&str> = controls.iter().map(|control| control.owner.as_str()).collect();
    let owners: Vec<&str> = owners.into_iter().collect();
    for owner in &config.owners {
        if !owners.contains(&owner.name.get_ref().as_str()) {
            problems.push(
                config
                    .problem(&owner.name.span(), "no control in force has this owner")
                    .help(there_are(owner.name.get_ref(), &owners)),
            );
        }
    }
    problems.sort_by_key(|problem| problem.position);
    problems
}

/// Each control and criterion of a route that is not there.
fn absent(config: &Config, route: &Route, controls: &[&Control]) -> Vec<Problem> {
    let known: Vec<&str> = controls.iter().map(|control| control.id.as_str()).collect();
    let wrong = route
        .controls
        .iter()
        .filter(|id| !known.contains(&id.get_ref().as_str()));
    let mut problems: Vec<_> = wrong
        .map(|id: &Spanned<_>| {
            let message = format!("no control \"{}\" is in force", id.get_ref());
            config
                .problem(&id.span(), message)
                .help(there_are(id.get_ref().as_str(), &known))
        })
        .collect();
    let served: BTreeSet<_> = controls.iter().flat_map(|control| &control.criteria).collect();
    for criteria in &route.criteria {
        if !served
            .iter()
            .any(|criterion| criteria.get_ref().include(**criterion))
        {
            let numbers: Vec<_> = served.iter().map(|criterion| criterion.number()).collect();
            problems.push(
                config
                    .problem(&criteria.span(), "no control in force serves this")
                    .help(format!("criteria that are served: {}", numbers.join(", "))),
            );
        }
    }
    problems
}

/// Why no alert can fit all that a route asks for, if none can.
fn excluding(config: &Config, route: &Route, controls: &[&Control], lists: &Lists) -> Option<Problem> {
    let asks_for_controls = !route.controls.is_empty() || !route.criteria.is_empty();
    let wanted: Vec<&Control> = controls
        .iter()
        .filter(|control| asks_for(route, control))
        .copied()
        .collect();
    let can = |possible: fn(Event) -> bool| {
        route.events.is_empty() || route.events.iter().any(|event| possible(*event.get_ref()))
    };
    let (what, help) = if wanted.is_empty() {
        (
            "none of its controls serves one of its criteria",
            "an alert must fit all that a route asks for: make two routes of it",
        )
    } else if asks_for_controls
        && wanted
            .iter()
            .all(|control| control.tests.is_empty() && control.manual.is_none())
    {
        (
            "its controls have no tests",
            "only tests, and evidence that people owe, give rise to alerts: name controls that have some",
        )
    } else if asks_for_controls && !can(|event| is_about_a_test(event) || is_about_manual_evidence(event)) {
        (
            "its events are about no test, and so about no control",
            "leave out controls and criteria, or make two routes of it",
        )
    } else if !route.sources.is_empty() && !can(is_about_a_source) {
        (
            "its events are about no source",
            "leave out sources, or make two routes of it",
        )
    } else if asks_for_controls && !route.sources.is_empty() && !tested(route, &wanted, lists) {
        (
            "nothing is collected from its sources that a test of its controls is about",
            "an alert must fit all that a route asks for: leave out one, or make two routes of it",
        )
    } else {
        return None;
    };
    Some(
        config
            .problem(&route.span, format!("no alert can fit this route: {what}"))
            .help(help),
    )
}

/// Whether collectors of a route's sources yield what a test of these controls is about.
fn tested(route: &Route, controls: &[&Control], lists: &Lists) -> bool {
    let named = |name: &str| {
        route
            .sources
            .iter()
            .any(|source| source.get_ref().as_str() == name)
    };
    let kinds: BTreeSet<&str> = lists
        .sources
        .iter()
        .filter(|source| named(&source.name))
        .flat_map(|source| source.schedules.keys())
        .filter_map(|collector| lists.collectors.get(collector))
        .flat_map(|collector| collector.kinds.iter().map(String::as_str))
        .collect();
    let Rules { tests, .. } = &lists.rules;
    controls.iter().flat_map(|control| &control.tests).any(|id| {
        tests
            .iter()
            .any(|test| test.id == *id && kinds.contains(test.resource.as_str()))
    })
}

fn is_about_a_test(event: Event) -> bool {
    matches!(
        event,
        Event::TestFailing | Event::TestUnknown | Event::ExceptionEnding | Event::ExceptionEnded
    )
}

fn is_about_manual_evidence(event: Event) -> bool {
    matches!(event, Event::ManualDue | Event::ManualOverdue)
}

fn is_about_a_source(event: Event) -> bool {
    !matches!(event, Event::LogNotIntact | Event::DiskFilling) && !is_about_manual_evidence(event)
}
